# SPDX-License-Identifier: Apache-2.0
"""hack/chaos' verdict on made-up records: a story in which all went well, and for each figure what must make it fail."""

import copy
import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "hack/lib/chaos"))
import verdict  # noqa: E402


def when(second):
    return f"2026-01-01T00:{int(second) // 60:02d}:{second % 60:09.6f}Z"


START = 1767225600  # the same as seconds since 1970


def row(name, state, second, reason=""):
    return {"type": "MODIFIED", "name": name, "state": state, "reason": reason, "moved": when(second) if second else None}


def operation(state, attempt=0, pod=None, started=0, completed=0, reason=""):
    return {"type": "MODIFIED", "name": "op", "state": state, "attempt": attempt, "pod": pod, "reason": reason,
            "started": when(started) if started else None, "completed": when(completed) if completed else None}


def pod(name, uid, slot, deletion=None, kind="MODIFIED"):
    return {"type": kind, "name": name, "uid": uid, "phase": "Running", "slot": slot, "request": "r", "grace": 10,
            "deletion": when(deletion + 10)[:19] + "Z" if deletion else None}


class Story:
    """Two pods are asked for; one is killed with its work, which is done on the other; the leader is killed while it
    withdraws that, so that only a list says so."""

    def __init__(self):
        again = {"again": True}
        self.managers = [{"accepted": "r", "key": "k", "max": 2}, {"operation": "op", "request": "r"}, {"ended": "r"}]
        self.kills = [{"kind": "backup_pod", "target": "a", "dead": True, "time": START + 8},
                      {"kind": "leader", "target": "c", "dead": True, "time": START + 33, "term": 4}]
        self.rows = [
            again, row("a", "Planned", 0), row("b", "Planned", 0), row("a", "Provisioning", 1), row("b", "Provisioning", 1),
            row("a", "Available", 3), row("b", "Available", 4), row("a", "Assigned", 5), row("a", "Lost", 8, "PodDeleted"),
            row("b", "Assigned", 10), row("b", "Available", 20, "Released"), row("b", "Draining", 30, "RequestEnded"),
            row("b", "Deconstructed", 41, "RequestEnded")]
        self.operations = [
            again, operation("Queued"), operation("Preparing", 1, "a", 5), operation("Running", 1, "a", 5),
            operation("Interrupted", 1, "a", 5), operation("Queued", 1, "a", 5), operation("Preparing", 2, "b", 10),
            operation("Running", 2, "b", 10), operation("Succeeded", 2, "b", 10, 20)]
        self.pods = [again, pod("a", "1", "0"), pod("b", "2", "1"), pod("a", "1", "0", kind="DELETED"), pod("b", "2", "1", 40),
                     pod("b", "2", "1", 40, kind="DELETED")]
        self.told = [
            {"at": START + 0.5, "listed": {"pods": [], "operations": []}},
            self.said(3, "PodsAvailable", "a"), self.said(4, "PodsAvailable", "b"), self.began(5, "a", 1), self.said(8, "PodLost", "a"),
            self.began(10, "b", 2), self.finished(20), self.said(20, "PodsAvailable", "b"),
            {"at": START + 35, "listed": {"pods": [{"name": "b", "state": "Draining"}], "operations": [{"name": "op", "state": "Succeeded"}]}},
            self.said(41, "PodDeconstructed", "b", 5)]
        self.objects = [{"kind": "Operation", "metadata": {"name": "op"}, "status": {"state": "Succeeded", "attempt": 2, "pod": "b"}},
                        {"kind": "BackupPod", "metadata": {"name": "b", "labels": {"longshore.dev/request": "r"}},
                         "status": {"state": "Deconstructed"}}]
        self.lease = 5

    def said(self, second, kind, name, term=4):
        return {"revision": (term << 34) + int(second * 10) + (kind == "PodsAvailable"), "time": when(second + 0.01), "type": kind,
                "data": {"pods": [name]}}

    def about(self, second, kind, data):
        return {"revision": (4 << 34) + int(second * 10), "time": when(second + 0.01), "type": kind, "data": {"operation": "op"} | data}

    def began(self, second, name, attempt):
        return self.about(second, "OperationStarted", {"pod": name, "attempt": attempt})

    def finished(self, second):
        return self.about(second, "OperationFinished", {"pod": "b", "state": "Succeeded"})

    def judged(self):
        complaints = []
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            for name in ("managers", "kills", "rows", "operations", "pods", "told"):
                text = "".join(json.dumps(line) + "\n" for line in getattr(self, name))
                (folder / f"{name}.jsonl").write_text(text)
            (folder / "objects.json").write_text(json.dumps({"items": self.objects}))
            (folder / "lease.json").write_text(json.dumps({"spec": {"leaseTransitions": self.lease}}))
            figures = verdict.judge(folder, lambda what: complaints.append(what) or 1)
        return figures, complaints

    def without(self, name, position):
        del getattr(self, name)[position]
        return self


class VerdictTest(unittest.TestCase):
    def fails(self, story, figure, value, *words):
        """The figure says so, and somebody says why."""
        figures, complaints = story.judged()
        self.assertEqual(figures[figure], value, complaints)
        for word in words:
            self.assertIn(word, "\n".join(complaints))

    def test_a_run_in_which_all_went_well_has_nothing_to_complain_about(self):
        figures, complaints = Story().judged()
        self.assertEqual(complaints, [])
        self.assertEqual(figures["kills_total"], 2)
        for name in ("requests_lost", "pods_doubled", "operations_killed", "announcements_missed", "announcements_out_of_order"):
            self.assertEqual(figures[name], 0, name)

    # ---- requests_lost

    def test_a_request_without_an_end_is_lost(self):
        self.fails(Story().without("managers", 2), "requests_lost", 1, "did not end")

    def test_a_request_that_was_refused_is_lost(self):
        story = Story()
        story.managers.append({"round": "two-1", "failed": True})
        self.fails(story, "requests_lost", 1, "refused")

    def test_an_operation_that_is_gone_is_lost(self):
        self.fails(Story().without("objects", 0), "requests_lost", 1, "op is missing")

    def test_an_operation_that_never_ends_is_lost(self):
        story = Story()
        story.objects[0]["status"]["state"] = "Running"
        self.fails(story, "requests_lost", 1, "op is Running")

    def test_what_an_ended_request_leaves_behind_is_counted(self):
        story = Story()
        story.objects.append({"kind": "ComputeRequest", "metadata": {"name": "r"}})
        story.objects.append({"kind": "Pod", "metadata": {"name": "b", "labels": {"longshore.dev/request": "r"}}})
        story.objects[1]["status"]["state"] = "Draining"
        self.fails(story, "requests_lost", 3, "request r was ended", "pod b of", "the row of pod b")

    def test_one_key_that_makes_two_requests_is_counted(self):
        story = Story()
        story.managers += [{"accepted": "r2", "key": "k", "max": 2}, {"ended": "r2"}]
        self.fails(story, "requests_lost", 1, "one key made 2")

    # ---- pods_doubled

    def test_two_pods_of_one_slot_are_doubled(self):
        story = Story()
        story.pods.insert(3, pod("a2", "3", "0"))
        story.managers[0]["max"] = 3
        self.fails(story, "pods_doubled", 1, "slot 0")

    def test_more_pods_than_the_request_may_have_are_counted(self):
        story = Story()
        story.pods.insert(3, pod("c", "3", "2"))
        self.fails(story, "pods_doubled", 1, "3 pods of r")

    def test_a_pod_that_follows_one_that_goes_is_not_doubled(self):
        story = Story()
        story.pods.insert(4, pod("a2", "3", "0"))
        self.assertEqual(story.judged()[0]["pods_doubled"], 0)

    # ---- operations_killed

    def test_an_attempt_that_ends_without_a_kill_of_its_pod_is_counted(self):
        story = Story()
        story.kills[0]["target"] = "b"
        self.fails(story, "operations_killed", 1, "attempt 1 of op on a")

    def test_a_kill_that_came_later_is_no_excuse(self):
        story = Story()
        story.kills[0]["time"] = START + 500
        self.fails(story, "operations_killed", 1, "attempt 1 of op on a")

    def test_a_pod_that_did_not_die_is_no_excuse(self):
        story = Story()
        story.kills[0]["dead"] = False
        self.fails(story, "operations_killed", 1, "attempt 1 of op on a")

    def test_an_operation_that_fails_by_itself_is_counted(self):
        story = Story()
        story.objects[0]["status"]["state"] = "Failed"
        self.fails(story, "operations_killed", 1, "attempt 2 of op on b")

    def test_work_that_a_worker_refuses_was_not_killed(self):
        story = Story()
        story.kills[0]["target"] = "b"
        story.operations[5]["reason"] = "Refused"
        self.assertEqual(story.judged()[0]["operations_killed"], 0)

    # ---- announcements_missed

    def test_each_announcement_that_is_left_out_is_missed(self):
        for position in range(1, 8):
            with self.subTest(position=position):
                left_out = Story().told[position]
                self.fails(Story().without("told", position), "announcements_missed", 1, left_out["type"])

    def test_what_a_new_leader_does_not_say_is_missed(self):
        self.fails(Story().without("told", 9), "announcements_missed", 1, "PodDeconstructed of b")

    def test_a_leader_that_goes_on_talking_has_no_excuse(self):
        story = Story()  # b is withdrawn at 30 without a word, and the same leader says something at 32
        story.told.insert(8, {"revision": (4 << 34) + 999, "time": when(32), "type": "ScalingDecided", "data": {}})
        self.fails(story, "announcements_missed", 1, "PodsWithdrawn of b")

    def test_a_list_that_does_not_say_it_is_no_excuse(self):
        story = Story()
        story.told[8]["listed"]["pods"][0]["state"] = "Available"
        self.fails(story, "announcements_missed", 1, "PodsWithdrawn of b")

    def test_what_nobody_saw_because_the_watch_was_broken_is_not_held_against_anybody(self):
        story = Story()
        del story.told[4], story.rows[8]
        story.rows.insert(8, {"again": True})
        story.rows.insert(9, row("a", "Lost", 8, "PodDeleted"))
        figures, complaints = story.judged()
        self.assertEqual(figures["announcements_missed"], 0, complaints)

    def test_what_is_told_later_is_not_taken_for_what_a_list_says(self):
        story = Story()  # b is available at 4, and again at 20; the leader died between the first and its announcement
        story.told[2] = {"at": START + 4.5, "listed": {"pods": [{"name": "b", "state": "Available"}], "operations": []}}
        figures, complaints = story.judged()
        self.assertEqual(figures["announcements_missed"], 0, complaints)

    # ---- announcements_out_of_order

    def test_a_revision_that_falls_is_out_of_order(self):
        story = Story()
        story.told[5]["revision"] = story.told[4]["revision"]
        self.fails(story, "announcements_out_of_order", 1, "revision")

    def test_what_is_told_before_what_came_first_is_out_of_order(self):
        story = Story()
        first, second = story.told[1], story.told[4]  # Available and Lost of a
        story.told[1], story.told[4] = second | {"revision": first["revision"]}, first | {"revision": second["revision"]}
        self.fails(story, "announcements_out_of_order", 1, "of a is told after")

    def test_what_is_told_twice_is_out_of_order(self):
        story = Story()
        story.told.insert(5, story.said(8.5, "PodLost", "a"))
        self.fails(story, "announcements_out_of_order", 1, "PodLost of a is told, and did not happen")

    def test_a_pod_that_is_asked_to_go_while_it_is_on_offer_is_out_of_order(self):
        story = Story()
        story.pods.insert(4, pod("b", "2", "1", 22))  # offered since 20, withdrawn at 30
        self.fails(story, "announcements_out_of_order", 1, "b was asked to go")

    def test_what_a_broken_watch_of_the_rows_did_not_show_is_no_evidence(self):
        story = Story()  # withdrawn and told at 21, which the watch of the rows did not see
        story.rows[11:12] = [{"again": True}]
        story.pods.insert(4, pod("b", "2", "1", 22))
        story.told.insert(8, story.said(20.9, "PodsWithdrawn", "b"))
        self.assertEqual(story.judged()[0]["announcements_out_of_order"], 0, story.judged()[1])

    def test_a_pod_that_is_asked_to_go_before_the_manager_is_told_is_out_of_order(self):
        story = Story()
        story.rows[11]["moved"] = when(21)
        story.pods.insert(4, pod("b", "2", "1", 22))
        story.told.insert(8, story.said(28, "PodsWithdrawn", "b"))
        self.fails(story, "announcements_out_of_order", 1, "b was asked to go")

    # ---- kills_total

    def test_what_did_not_die_was_not_killed(self):
        story = Story()
        story.kills.append({"kind": "agent", "target": "n", "dead": False})
        self.fails(story, "kills_total", 2, "agent n did not die")

    def test_a_leader_that_nobody_followed_is_told(self):
        story = Story()
        story.lease = 4
        self.assertIn("nobody has led since", "\n".join(story.judged()[1]))
        story = Story()
        story.kills.append(copy.deepcopy(story.kills[1]))
        self.fails(story, "kills_total", 2, "two leaders killed in term 4")

    def test_a_killed_pod_whose_row_does_not_say_so_is_told(self):
        self.fails(Story().without("rows", 8), "kills_total", 1, "its row does not say so")

    def test_a_run_that_saw_nothing_proves_nothing(self):
        for name in ("kills", "rows", "operations", "pods", "told", "managers"):
            with self.subTest(name=name):
                story = Story()
                setattr(story, name, [])
                self.assertIn("proves nothing", "\n".join(story.judged()[1]))


if __name__ == "__main__":
    unittest.main()
