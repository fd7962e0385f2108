# SPDX-License-Identifier: Apache-2.0
"""Holds what a listening manager was told against what has happened, as watches of the objects saw it. Every transition that owes an
announcement must have been announced once, in order, by the leader that made it. One excuse counts: the leader died
before it could say more, and then a list said it."""

import collections
import dataclasses
from datetime import datetime, timezone

ENDED = ("Deconstructed", "Failed", "Lost")
TERMINAL = ("Succeeded", "Failed", "Cancelled")
# A row that ends like this was never offered, and is replaced without a word.
SILENTLY = ("Unplaced", "RequireTimedOut", "NameTaken")
ABOUT_PODS = ("PodsAvailable", "PodsWithdrawn", "PodLost", "PodDeconstructed")
ABOUT_OPERATIONS = ("OperationStarted", "OperationFinished")


def seconds(text):
    """RFC 3339 with or without a fraction, as seconds since 1970; 0 for nothing."""
    if not text:
        return 0.0
    text = text.rstrip("Z")
    form = "%Y-%m-%dT%H:%M:%S.%f" if "." in text else "%Y-%m-%dT%H:%M:%S"
    return datetime.strptime(text, form).replace(tzinfo=timezone.utc).timestamp()


@dataclasses.dataclass
class Owed:
    """An announcement that a transition asks for; `states`: what a list may say from then on."""

    subject: str
    type: str
    at: float
    states: list


def history(changes):
    """Of lines of a watch: (name, previous state or None, change) for each change of a state that was seen as it happened.
    What has changed while the watch was broken is left out: some of it was never seen."""
    state, unseen = {}, set()
    for change in changes:
        if change.get("again"):
            unseen = set(state)
            continue
        name, now = change["name"], change["state"]
        before, gap = state.get(name), name in unseen
        unseen.discard(name)
        if change["type"] == "DELETED":
            state.pop(name, None)
        elif before != now:
            state[name] = now
            if not gap:
                yield name, before, change


def owed_by_pods(rows):
    owed, states = [], collections.defaultdict(list)
    for name, before, row in history(rows):
        now, at = row["state"], seconds(row["moved"])
        states[name].append(now)
        types = []
        if before == "Available" and now != "Assigned":
            types.append("PodsWithdrawn")
        if now == "Available" and before is not None:
            types.append("PodsAvailable")
        if now in ("Failed", "Lost") and before is not None and row["reason"] not in SILENTLY:
            types.append("PodLost")
        if now == "Deconstructed" and before is not None:
            types.append("PodDeconstructed")
        owed += [(Owed(name, kind, at, states[name]), len(states[name]) - 1) for kind in types]
    return [dataclasses.replace(one, states=one.states[since:]) for one, since in owed]


def owed_by_operations(changes):
    owed, states = [], collections.defaultdict(list)
    attempts = {}
    for name, before, operation in history(changes):
        now = operation["state"]
        states[name].append(now)
        kind, at = None, 0.0
        if operation["attempt"] > attempts.get(name, 0) and before is not None:
            kind, at = "OperationStarted", seconds(operation["started"])
        elif now in TERMINAL and before is not None:
            kind, at = "OperationFinished", seconds(operation["completed"])
        attempts[name] = operation["attempt"]
        if kind:
            owed.append((Owed(name, kind, at, states[name]), len(states[name]) - 1))
    return [dataclasses.replace(one, states=one.states[since:]) for one, since in owed]


class Told:
    """What the manager was told: announcements by subject, and the lists between them."""

    def __init__(self, lines):
        self.by_subject = collections.defaultdict(list)  # (position, event)
        self.by_pod = collections.defaultdict(list)  # the same, with what began on it
        self.lists = []  # (position, list)
        self.latest = []  # by position: the latest time of an announcement of that log, up to there
        self.all = list(lines)
        latest = 0.0
        for position, line in enumerate(self.all):
            if "listed" in line:
                self.lists.append((position, line))
                latest = 0.0
            else:
                latest = max(latest, seconds(line["time"]))
                for subject in line["data"].get("pods", []):
                    self.by_subject[subject].append((position, line))
                    self.by_pod[subject].append((position, line))
                if line["type"] in ABOUT_OPERATIONS:
                    self.by_subject[line["data"]["operation"]].append((position, line))
                if line["type"] == "OperationStarted":
                    self.by_pod[line["data"]["pod"]].append((position, line))
            self.latest.append(latest)

    def excused(self, owed):
        """Its leader told nothing that is later, and the next list says it."""
        for position, line in self.lists:
            if line["at"] <= owed.at:
                continue
            if position > 0 and self.latest[position - 1] > owed.at:
                return False
            found = [one for one in line["listed"]["pods"] + line["listed"]["operations"] if one["name"] == owed.subject]
            # A list leaves out what has ended and is gone.
            return found[0]["state"] in owed.states if found else owed.states[-1] in ENDED + TERMINAL
        return False

    def knew_before(self, owed):
        """The manager had not begun to listen."""
        return not self.lists or owed.at < self.lists[0][1]["at"]


def compare(owed, told, complain):
    """(missed, out of order, positions of those that were told)."""
    missed = disordered = 0
    used, last = set(), collections.defaultdict(lambda: -1)
    times = collections.defaultdict(list)
    for one in owed:
        times[one.subject, one.type].append(one.at)
    for one in owed:
        if told.knew_before(one):
            continue
        # Times have microseconds; the announcement comes after the write, and before the next of its kind is owed.
        later = min((at for at in times[one.subject, one.type] if at > one.at), default=float("inf"))
        found = next((position for position, event in told.by_subject[one.subject] if position not in used
                      and event["type"] == one.type and one.at - 1e-3 <= seconds(event["time"]) < later), None)
        if found is None:
            if not told.excused(one):
                missed += complain(f"{one.type} of {one.subject} is not told")
            continue
        used.add(found)
        if found < last[one.subject]:
            disordered += complain(f"{one.type} of {one.subject} is told after what came after it")
        last[one.subject] = max(last[one.subject], found)
    return missed, disordered, used


def groundless(told, used, complain, types, watched):
    """Announcements of what did not happen, or that were made twice; `watched`: subjects that were seen all the time."""
    extra = 0
    for subject, events in told.by_subject.items():
        if subject not in watched:
            continue
        for position, event in events:
            if event["type"] in types and position not in used:
                extra += complain(f"{event['type']} of {subject} is told, and did not happen then")
    return extra


def watched(changes, first):
    """Subjects whose watch was never broken and that began in state `first`."""
    seen, broken, names = {}, set(), set()
    for change in changes:
        if change.get("again"):
            broken |= {name for name in names}
            continue
        names.add(change["name"])
        seen.setdefault(change["name"], change["state"])
    return {name for name, state in seen.items() if state == first} - broken


def revisions(told, complain):
    """Each above the one before it, from leader to leader."""
    disordered, revision = 0, 0
    for event in told.all:
        if "listed" in event:
            continue
        if event["revision"] <= revision:
            disordered += complain(f"revision {event['revision']} came after {revision}")
        revision = max(revision, event["revision"])
    return disordered


def offered_at(rows, name, at):
    """Whether the row was on offer at that time. Where its watch was broken before the next change was seen, nobody can say."""
    offered, unsure = False, False
    for row in rows:
        if row.get("again"):
            unsure = True
        elif row["name"] == name:
            if seconds(row["moved"]) > at:
                break
            offered, unsure = row["state"] == "Available", False
    return offered and not unsure


def drained_unsaid(told, pods, rows, killed, complain):
    """Pods that were asked to go while their row offered them, or before the manager was told that it does not any more."""
    disordered, asked = 0, {}
    for pod in pods:
        if pod.get("deletion") and pod["name"] not in killed:
            asked.setdefault(pod["name"], seconds(pod["deletion"]) - pod["grace"])
    for name, at in asked.items():
        at += 1  # the cluster counts whole seconds
        said = [(event["type"], seconds(event["time"])) for _, event in told.by_pod[name]]
        before = [kind for kind, time in said if time <= at]
        later = [kind for kind, time in said if time > at]
        if offered_at(rows, name, at) or (before[-1:] == ["PodsAvailable"] and "PodsWithdrawn" in later[:1]):
            disordered += complain(f"pod {name} was asked to go while it was on offer")
    return disordered
