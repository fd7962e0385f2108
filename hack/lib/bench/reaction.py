# SPDX-License-Identifier: Apache-2.0
"""Figures of hack/bench controller from its trials (lines of JSON): `name value unit` lines."""

import collections
import json
import sys


def quantile(values, q):
    """By linear interpolation between the two nearest, as numpy does it."""
    values = sorted(values)
    at = q * (len(values) - 1)
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (at - low)


def main():
    arms = collections.defaultdict(list)
    with open(sys.argv[1], encoding="utf-8") as lines:
        for line in lines:
            trial = json.loads(line)
            arms[trial["arm"]].append(trial)

    def say(name, value, unit):
        print(f"{name} {value:.2f} {unit}")

    def spans(name, arm, start, end):
        found = [t[end] - t[start] for t in arms[arm]]
        if not found:
            return None
        for q in (50, 95):
            say(f"{name}_p{q}_s", quantile(found, q / 100), "s")
        return quantile(found, 0.5)

    say("trials", len(arms["ours"]), "count")
    spans("step_to_crossing", "ours", "step", "crossing")
    spans("decision", "ours", "crossing", "decision")
    spans("ready", "ours", "crossing", "ready")
    spans("announced", "ours", "crossing", "announced")
    ours = spans("step_to_announced", "ours", "step", "announced")
    spans("warm_start", "warm", "asked", "started")
    for arm in ("hpa_default", "hpa_tuned"):
        theirs = spans(f"{arm}_step_to_ready", arm, "step", "ready")
        if theirs is not None and ours:
            say(f"{arm}_trials", len(arms[arm]), "count")
            say(f"{arm}_over_ours_ratio", theirs / ours, "ratio")


main()
