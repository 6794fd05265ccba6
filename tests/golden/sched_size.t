#!/usr/bin/env python3
# The scheduler's story in few bytes, and nothing of it lost: the second reader reads what
# the writer wrote, times add up, and records take no more room than they may.
import collections
import json
import os
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(sys.argv[0])), "..", "reader"))

import records  # noqa: E402
import subprocess  # noqa: E402

BUILD = os.environ["BUILD"]
CASES = [
    ("server", 20000, [], 8.5),
    ("server, records lost", 20000, ["--lose", "40"], 9.5),
    ("without stacks", 20000, ["--no-stacks"], 6.6),
    ("pipe, one CPU", 20000, ["--pingpong", "--cpus", "1"], 1.95),
    ("pipe, two CPUs", 20000, ["--pingpong", "--cpus", "2"], 2.6),
]


def sums_of(rows):
    sums = collections.Counter()
    for r in rows:
        for field in ("offcpu", "runq", "oncpu", "skipped", "user", "system", "irq"):
            sums[field] += r[field]
        sums["records"] += 1
    return sums


def gaps(rows):
    """Records whose story does not begin where the one before ended."""
    found, last = 0, {}
    for r in sorted(rows, key=lambda r: r["time"]):
        begin = r["time"] - r["offcpu"] - r["oncpu"] - r["skipped"]
        found += last.get(r["task"], begin) != begin
        last[r["task"]] = r["time"]
    return found


def differences(rows, truth):
    """Threads whose sums are not those that the generator made."""
    by_task, bad = collections.defaultdict(list), 0
    for r in rows:
        by_task[int(r["task"])].append(r)
    for thread in truth["threads"]:
        got = sums_of(by_task[thread["task"]])
        blocked = sum(thread["blocked_ns"].values())
        bad += [got["records"], got["oncpu"], got["runq"], got["skipped"], got["user"],
                got["system"], got["irq"], got["offcpu"] - got["runq"]] != [
                    thread["records"], thread["oncpu_ns"], thread["runq_ns"],
                    thread["skipped_ns"], thread["user_ns"], thread["system_ns"],
                    thread["irq_ns"], blocked]
    return bad


print(f"1..{3 * len(CASES)}")
number = 0


def ok(good, what):
    global number
    number += 1
    print(f"{'ok' if good else 'not ok'} {number} - {what}")


with tempfile.TemporaryDirectory() as folder:
    path, told = os.path.join(folder, "x.kymo"), os.path.join(folder, "x.json")
    for name, nr, options, most in CASES:
        subprocess.run([f"{BUILD}/tests/schedgen", str(nr), path, "--truth", told] + options,
                       check=True)
        rows = records.read(path)["sched"]
        with open(told) as file:
            truth = json.load(file)
        ok(len(rows) == nr and not gaps(rows), f"{name}: stories without a gap")
        ok(not differences(rows, truth), f"{name}: sums of each thread")
        each = os.path.getsize(path) / nr
        print(f"# {each:.2f} bytes a record")
        ok(each < most, f"{name}: at most {most} bytes a record")
