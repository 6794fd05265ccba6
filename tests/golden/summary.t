#!/usr/bin/env python3
"""`script --summary` says of each thread what its records, one by one, add up to.

The golden traces, and a generated one of many spans: JSON Lines are summed up here, and
compared with the summary as JSON, CSV and text.
"""

import collections
import csv
import io
import json
import math
import os
import subprocess
import tempfile

from tap import check, finish

KYMO = os.environ["KYMO"]
CALLGEN = os.path.join(os.environ["BUILD"], "tests/callgen")


def kymo(*args, **more):
    done = subprocess.run([KYMO, "script", *args], capture_output=True, check=True, **more)
    return done.stdout.decode()


def nearest_rank(values, part):
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]


def sums_of(records):
    """By pid, tid and event: durations, results."""
    sums = collections.defaultdict(lambda: ([], []))
    for r in records:
        fields = r.get("fields", {})
        name = "duration" if "duration" in fields else "took"
        if name not in fields:
            continue
        durations, returned = sums[r["pid"], r["tid"], r["event"]]
        durations.append(fields[name])
        if "ret" in fields:
            returned.append(fields["ret"])
    return sums


def close(got, wanted, share=1e-9):
    return abs(got - wanted) <= share * abs(wanted) + 0.06


def differences(row, durations, returned):
    n, mean = len(durations), sum(durations) / len(durations)
    spread = math.sqrt(sum((d - mean) ** 2 for d in durations) / (n - 1) / n) if n > 1 else 0
    errors = sum(-4095 <= r <= -1 for r in returned) if returned else None
    wanted = {
        "calls": n, "errors": errors, "total_ns": sum(durations), "min_ns": min(durations),
        "avg_ns": mean, "max_ns": max(durations),
        "stddev_percent": 100 * spread / mean if mean else 0,
    }
    for name, value in wanted.items():
        same = row[name] is value if value is None else close(row[name], value)
        if name == "stddev_percent":
            same = close(row[name], value, 1e-4)
        if not same:
            yield f"{row['event']}: {name} is {row[name]}, not {value}"
    for name, part in ("p50_ns", 0.5), ("p99_ns", 0.99):
        if not close(row[name], nearest_rank(durations, part), 0.008):
            yield f"{row['event']}: {name} is {row[name]}"


def compare(name, path, *options):
    records = map(json.loads, kymo("--json", "-G", "-i", path, *options).splitlines())
    sums = sums_of(records)
    summary = json.loads(kymo("--summary", "--json", "-i", path, *options))
    wrong, seen = [], 0
    for thread in summary["threads"]:
        own = [k for k in sums if k[:2] == (thread["pid"], thread["tid"])]
        spans = sum(len(sums[k][0]) for k in own)
        if thread["spans"] != spans or len(thread["calls"]) != len(own):
            wrong.append(f"thread {thread['tid']}: {thread['spans']} spans, not {spans}")
        if [c["total_ns"] for c in thread["calls"]] != sorted(
                (c["total_ns"] for c in thread["calls"]), reverse=True):
            wrong.append(f"thread {thread['tid']}: not in order")
        for row in thread["calls"]:
            seen += 1
            wrong += differences(row, *sums[thread["pid"], thread["tid"], row["event"]])
    check(f"{name}: every figure is that of the records",
          not wrong and seen == len(sums) > 0, f"{seen} of {len(sums)}", *wrong)
    check(f"{name}: the threads with most spans come first",
          [t["spans"] for t in summary["threads"]] ==
          sorted((t["spans"] for t in summary["threads"]), reverse=True))
    compare_csv(name, path, summary, options)


def compare_csv(name, path, summary, options):
    rows = list(csv.DictReader(io.StringIO(kymo("--summary", "--csv", "-i", path, *options))))
    wanted = [(t, c) for t in summary["threads"] for c in t["calls"]]
    good = len(rows) == len(wanted)
    for row, (thread, call) in zip(rows, wanted):
        good &= int(row["tid"]) == thread["tid"] and int(row["pid"]) == thread["pid"]
        good &= row["event"] == call["event"] and int(row["calls"]) == call["calls"]
        good &= row["errors"] == ("" if call["errors"] is None else str(call["errors"]))
        good &= all(float(row[k]) == call[k] for k in call if k.endswith(("_ns", "_percent")))
    check(f"{name}: CSV has the same figures", good)


def main():
    compare("calls", "tests/golden/calls.kymo", "--filter", "duration < 1000000000000")
    compare("probes", "tests/golden/probes.kymo")
    compare("first", "tests/golden/first.kymo")
    compare("calls of one thread", "tests/golden/calls.kymo", "--tid", "101")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "again.kymo")
        subprocess.run([CALLGEN, path], check=True)
        with open("tests/golden/calls.kymo", "rb") as golden:
            piped = kymo("--summary", "-i", "-", input=golden.read())
        # Which encodings are chosen may change; what is told by them may not.
        check("the generator still writes what the golden trace tells",
              kymo("--json", "-i", path) == kymo("--json", "-i", "tests/golden/calls.kymo"))
        check("from a pipe it is the same",
              piped == kymo("--summary", "-i", "tests/golden/calls.kymo"))
    finish()


main()
