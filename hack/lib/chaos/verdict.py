# SPDX-License-Identifier: Apache-2.0
"""Reads what hack/chaos has recorded in a folder, prints `name value unit` lines, says on stderr what was
wrong, and exits 1 if anything was."""

import json
import sys
from pathlib import Path

TERMINAL = {"Succeeded", "Failed", "Cancelled"}
COMPLAINTS = []


def complain(what):
    COMPLAINTS.append(what)
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


def requests_lost(managers, operations):
    """Accepted requests that never ended, and operations of theirs without an end or that do not exist."""
    lost = 0
    ended = {note["ended"] for note in managers if "ended" in note}
    for note in managers:
        if "accepted" in note and note["accepted"] not in ended:
            lost += complain(f"request {note['accepted']} was accepted and did not end")
        elif "failed" in note:
            lost += complain(f"round {note['round']}: the manager was refused")
        elif "operation" in note:
            state = operations.get(note["operation"], {}).get("status", {}).get("state", "missing")
            if state not in TERMINAL:
                lost += complain(f"operation {note['operation']} is {state}")
    return lost


def pods_doubled(changes):
    """Pairs of Pods that were alive at one moment for one slot of one request."""
    alive, doubled = {}, set()
    for change in changes:
        if change.get("again"):
            alive = {}
            continue
        uid, slot = change["uid"], (change["request"], change["slot"])
        lives = change["type"] != "DELETED" and not change["deleted"] and change["phase"] in ("Pending", "Running")
        alive.pop(uid, None)
        if not lives:
            continue
        for other, (other_slot, name) in alive.items():
            pair = frozenset((uid, other))
            if other_slot == slot and pair not in doubled:
                doubled.add(pair)
                complain(f"pods {name} and {change['name']} lived for slot {slot[1]} of request {slot[0]}")
        alive[uid] = (slot, change["name"])
    return len(doubled)


def operations_killed(kills, operations):
    """Attempts beyond the first that no kill of a busy backup pod explains."""
    explained = sum(1 for kill in kills if kill["kind"] == "backup_pod" and kill["busy"])
    again = {name: o["status"].get("attempt", 1) - 1 for name, o in operations.items() if o.get("status")}
    killed = max(0, sum(n for n in again.values() if n > 0) - explained)
    if killed:
        complain(f"{killed} attempts ended without a kill of their pod: { {k: v for k, v in again.items() if v > 0} }")
    return killed


def announcements(told, operations):
    """(missed, out of order): follows what the listening manager was told, from leader to leader."""
    missed = disordered = 0
    available, finished, revision = set(), set(), 0
    for event in told:
        if "listed" in event:
            available |= {pod["name"] for pod in event["listed"]["pods"]}
            finished |= {o["name"] for o in event["listed"]["operations"] if o["state"] in TERMINAL}
            continue
        if event["revision"] <= revision:
            disordered += complain(f"revision {event['revision']} came after {revision}")
        revision = event["revision"]
        data = event["data"]
        if event["type"] == "PodsAvailable":
            available |= set(data["pods"])
        elif event["type"] == "OperationStarted" and data["pod"] not in available:
            missed += complain(f"{data['operation']} started on {data['pod']}, which was never announced")
        elif event["type"] == "OperationFinished":
            finished.add(data["operation"])
    for name, operation in operations.items():
        if operation.get("status", {}).get("state") in TERMINAL and name not in finished:
            missed += complain(f"{name} ended, and nobody was told")
    return missed, disordered


def main():
    folder = Path(sys.argv[1])
    objects = json.loads((folder / "objects.json").read_text())["items"]
    operations = {o["metadata"]["name"]: o for o in objects if o["kind"] == "Operation"}
    managers, kills = list(lines(folder, "managers.jsonl")), list(lines(folder, "kills.jsonl"))
    told, changes = list(lines(folder, "told.jsonl")), list(lines(folder, "pods.jsonl"))
    missed, disordered = announcements(told, operations)
    figures = {
        "requests_lost": requests_lost(managers, operations),
        "pods_doubled": pods_doubled(changes),
        "operations_killed": operations_killed(kills, operations),
        "announcements_missed": missed,
        "announcements_out_of_order": disordered,
    }
    seen = {
        "kills_total": len(kills),
        "requests_total": sum("accepted" in note for note in managers),
        "operations_total": sum("operation" in note for note in managers),
        "operations_succeeded": sum(o.get("status", {}).get("state") == "Succeeded" for o in operations.values()),
        "announcements_total": sum("revision" in event for event in told),
        "pod_changes_seen": sum("uid" in change for change in changes),
    }
    for name, value in {**figures, **seen}.items():
        print(f"{name} {value} 1")
    # Nothing seen would mean nothing proved.
    for name, value in seen.items():
        if value == 0:
            complain(f"{name} is 0: this run proves nothing")
    sys.exit(1 if COMPLAINTS else 0)


main()
