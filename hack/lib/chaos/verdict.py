# SPDX-License-Identifier: Apache-2.0
"""Reads what hack/chaos has recorded in a folder, prints `name value unit` lines, says on stderr what was
wrong, and exits 1 if anything was. What is said of announcements: announced.py."""

import json
import sys
from collections import defaultdict
from pathlib import Path

import announced

LIVE = ("Pending", "Running")


class Complaints:
    def __init__(self):
        self.all = []

    def __call__(self, what):
        self.all.append(what)
        print("chaos: " + what, file=sys.stderr)
        return 1


def lines(folder, name):
    """The objects of a file of JSON lines; a line that a kill cut off is left out."""
    path = folder / name
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            continue


def requests_lost(managers, objects, complain):
    """Accepted requests that never ended or left something behind, and operations of theirs without an end or that do not exist."""
    lost = 0
    ended = {note["ended"] for note in managers if "ended" in note}
    states = {o["metadata"]["name"]: o.get("status", {}).get("state", "") for o in objects if o["kind"] == "Operation"}
    keys = defaultdict(set)
    for note in managers:
        if "accepted" in note:
            keys[note["key"]].add(note["accepted"])
            if note["accepted"] not in ended:
                lost += complain(f"request {note['accepted']} was accepted and did not end")
        elif "failed" in note:
            lost += complain(f"round {note['round']}: the manager was refused")
        elif "operation" in note and states.get(note["operation"], "missing") not in announced.TERMINAL:
            lost += complain(f"operation {note['operation']} is {states.get(note['operation'], 'missing')}")
    for key, requests in keys.items():
        if len(requests) > 1:
            lost += complain(f"one key made {len(requests)} requests: {key}")
    for o in objects:
        name = o["metadata"]["name"]
        owner = o["metadata"].get("labels", {}).get("longshore.dev/request", "")
        if o["kind"] == "ComputeRequest" and name in ended:
            lost += complain(f"request {name} was ended and is still there")
        elif o["kind"] == "Pod" and owner in ended:
            lost += complain(f"pod {name} of the ended request {owner} is still there")
        elif o["kind"] == "BackupPod" and owner in ended and o.get("status", {}).get("state") not in announced.ENDED:
            lost += complain(f"the row of pod {name} of the ended request {owner} has not ended")
    return lost


def pods_doubled(changes, managers, complain):
    """Pods that were alive at one moment for one slot of one request, or beyond what the request may have."""
    most = {note["accepted"]: note["max"] for note in managers if "accepted" in note}
    alive, doubled = {}, set()
    for change in changes:
        if change.get("again"):
            alive = {}
            continue
        uid = change["uid"]
        alive.pop(uid, None)
        if change["type"] == "DELETED" or change["deletion"] or change["phase"] not in LIVE:
            continue
        alive[uid] = change
        siblings = [one for one in alive.values() if one["request"] == change["request"]]
        for other in siblings:
            pair = frozenset((uid, other["uid"]))
            if other["uid"] != uid and other["slot"] == change["slot"] and pair not in doubled:
                doubled.add(pair)
                complain(f"pods {other['name']} and {change['name']} lived for slot {change['slot']} of {change['request']}")
        if len(siblings) > most.get(change["request"], len(siblings)) and uid not in doubled:
            doubled.add(uid)
            complain(f"{len(siblings)} pods of {change['request']} lived, of {most[change['request']]}")
    return len(doubled)


# A kill is written down once it is seen to be done, which takes up to 5 s; the work may have begun anew by then.
SEEN_LATE = 10


def operations_killed(kills, changes, operations, complain):
    """Attempts that ended without success though nobody had killed their pod by then."""
    pods, refused, began = defaultdict(dict), set(), {}
    for change in changes:
        if change.get("again") or not change["attempt"]:
            continue
        pods[change["name"]].setdefault(change["attempt"], change["pod"])
        began.setdefault((change["name"], change["attempt"]), announced.seconds(change["started"]))
        if change["reason"] == "Refused":  # the worker never began
            refused.add((change["name"], change["attempt"]))
    deaths = defaultdict(list)
    for kill in kills:
        if kill["kind"] == "backup_pod" and kill.get("dead"):
            deaths[kill["target"]].append(kill["time"])
    killed = 0
    for operation in operations:
        name, status = operation["metadata"]["name"], operation.get("status", {})
        attempts = status.get("attempt", 0)
        end = announced.seconds(status.get("completionTime"))
        for attempt in range(1, attempts + 1):
            pod = pods[name].get(attempt, status.get("pod") if attempt == attempts else None)
            well = attempt == attempts and status["state"] == "Succeeded"
            over = (began.get((name, attempt + 1)) or end or float("inf")) + SEEN_LATE
            died = any(time <= over for time in deaths[pod])
            if not well and not died and (name, attempt) not in refused:
                killed += complain(f"attempt {attempt} of {name} on {pod} ended ({status['state']} now), and nobody had killed its pod")
        if not attempts and status.get("state") in announced.TERMINAL:
            killed += complain(f"{name} is {status['state']} and was never begun")
    return killed


def kills_counted(kills, rows, lease, complain):
    """Kills that did something: the process or Pod was gone, another leader came, the row of the Pod ended."""
    ended = {row["name"] for row in rows if not row.get("again") and row["state"] in announced.ENDED}
    term = -1
    counted = 0
    for kill in kills:
        if not kill.get("dead"):
            complain(f"{kill['kind']} {kill['target']} did not die")
            continue
        if kill["kind"] == "backup_pod" and kill["target"] not in ended:
            complain(f"pod {kill['target']} was killed, and its row does not say so")
            continue
        if kill["kind"] == "leader":
            if kill["term"] <= term:
                complain(f"two leaders killed in term {term}: nobody else led")
                continue
            term = kill["term"]
        counted += 1
    if term >= lease:
        complain(f"the leader of term {term} was killed, and nobody has led since")
    return counted


def judge(folder, complain):
    """The figures that must be right, and what was seen."""
    objects = json.loads((folder / "objects.json").read_text())["items"]
    managers, kills = list(lines(folder, "managers.jsonl")), list(lines(folder, "kills.jsonl"))
    pods, rows, changes = (list(lines(folder, f"{kind}.jsonl")) for kind in ("pods", "rows", "operations"))
    told = announced.Told(lines(folder, "told.jsonl"))
    lease = json.loads((folder / "lease.json").read_text())["spec"].get("leaseTransitions", 0)
    ours = {note["operation"] for note in managers if "operation" in note}
    operations = [o for o in objects if o["kind"] == "Operation" and o["metadata"]["name"] in ours]
    missed, disordered = 0, announced.revisions(told, complain)
    for kinds, owed, seen in (
        (announced.ABOUT_PODS, announced.owed_by_pods(rows), announced.watched(rows, "Planned")),
        (announced.ABOUT_OPERATIONS, announced.owed_by_operations(changes), announced.watched(changes, "Queued")),
    ):
        of_these = announced.compare(owed, told, complain)
        missed, disordered = missed + of_these[0], disordered + of_these[1]
        disordered += announced.groundless(told, of_these[2], complain, kinds, seen)
    disordered += announced.drained_unsaid(told, pods, rows, {kill["target"] for kill in kills}, complain)
    figures = {
        "requests_lost": requests_lost(managers, objects, complain),
        "pods_doubled": pods_doubled(pods, managers, complain),
        "operations_killed": operations_killed(kills, changes, operations, complain),
        "announcements_missed": missed,
        "announcements_out_of_order": disordered,
        "kills_total": kills_counted(kills, rows, lease, complain),
    }
    seen = {
        "requests_total": sum("accepted" in note for note in managers),
        "operations_total": len(ours),
        "operations_succeeded": sum(o.get("status", {}).get("state") == "Succeeded" for o in operations),
        "announcements_total": sum("revision" in event for event in told.all),
        "pod_changes_seen": sum("uid" in change for change in pods),
        "row_changes_seen": sum("name" in change for change in rows),
        "operation_changes_seen": sum("name" in change for change in changes),
    }
    # Nothing seen would mean nothing proved.
    for name in ("kills_total", *seen):
        if not (figures | seen)[name]:
            complain(f"{name} is 0: this run proves nothing")
    return figures | seen


def main():
    complain = Complaints()
    for name, value in judge(Path(sys.argv[1]), complain).items():
        print(f"{name} {value} 1")
    sys.exit(1 if complain.all else 0)


if __name__ == "__main__":
    main()
