#!/usr/bin/env python3
"""`report --latency` says where the wall clock of threads and spans went, and adds up.

A generated trace tells by itself what is true; its records, as the second reader has them,
are added up here once more; and what is said as JSON, CSV and text is the same.
"""

import collections
import csv
import io
import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, "tests/reader")
sys.dont_write_bytecode = True

import records as reader  # noqa: E402
from tap import check, finish  # noqa: E402

KYMO = os.environ["KYMO"]
SCHEDGEN = os.path.join(os.environ["BUILD"], "tests/schedgen")
ON_CPU = ("user", "kernel", "on_cpu", "interrupted")
REASONS = dict(enumerate("NONE OTHER DISK NETWORK LOCK FUTEX SLEEP PIPE PAGE-FAULT POLL CHILD "
                         "WORK UNKNOWN".split()))


def run(*args, **more):
    return subprocess.run([KYMO, "report", "--latency", *args], capture_output=True, **more)


def text_of(*args, **more):
    return run(*args, check=True, **more).stdout.decode()


def json_of(*args, **more):
    return json.loads(text_of("--json", *args, **more))


def reasons_of(row):
    sums = collections.Counter()
    for wait in row["blocked"]:
        sums[wait["reason"]] += wait["ns"]
    return dict(sums)


def wrong_sums(answer):
    """Rows whose parts are not their wall clock, or whose stacks are more than a part."""
    for row in answer["rows"]:
        parts = sum(row["ns"].values())
        waits = sum(w["ns"] for w in row["blocked"])
        if parts != row["wall_ns"] or waits != row["ns"]["blocked"]:
            yield f"{row['keys']}: {parts} and {waits} of {row['wall_ns']}"
        for wait in row["blocked"]:
            stacks = sum(s["ns"] for s in wait["stacks"])
            wakers = sum(w["ns"] for s in wait["stacks"] for w in s["wakers"])
            if not wait["ns"] >= stacks >= wakers:
                yield f"{row['keys']}: {wait['reason']}: {stacks}, {wakers} of {wait['ns']}"
    total = answer["total"]
    for name in total["ns"]:
        if total["ns"][name] != sum(r["ns"][name] for r in answer["rows"]):
            yield f"total: {name}"
    if total["wall_ns"] != sum(r["wall_ns"] for r in answer["rows"]):
        yield "total: wall clock"


def compare_truth(path, truth):
    """Thread by thread what the generator knows."""
    wrong, told = [], {}
    for row in json_of("--by", "tid", "-i", path)["rows"]:
        told[row["keys"]["tid"]] = row
    for thread in truth["threads"]:
        row = told.get(thread["tid"])
        if not row:
            if thread["wall_ns"]:
                wrong.append(f"{thread['tid']} is missing")
            continue
        pairs = {
            "wall": (row["wall_ns"], thread["wall_ns"]),
            "on CPU": (sum(row["ns"][k] for k in ON_CPU), thread["oncpu_ns"]),
            "runq": (row["ns"]["runq"], thread["runq_ns"]),
            "skipped": (row["ns"]["skipped"], thread["skipped_ns"]),
            "idle": (row["idle_ns"], thread["idle_ns"]),
            "blocked": (reasons_of(row), thread["blocked_ns"]),
            "unexplained": (row["ns"]["unexplained"], 0),
        }
        wrong += [f"{thread['tid']}: {k}: {a} is {b}" for k, (a, b) in pairs.items() if a != b]
    return wrong


def compare_records(path, answer):
    """By comm, from the records of the second reader."""
    sums = collections.defaultdict(collections.Counter)
    for r in reader.read(path)["sched"]:
        to, off = sums[r["comm"]], r["offcpu"]
        irq = min(r["irq"], r["oncpu"])
        to["interrupted"] += irq
        to["cpu"] += r["oncpu"] - irq
        to["runq"] += r["runq"]
        to["skipped"] += r["skipped"]
        to["blocked"] += off - r["runq"]
        to["idle"] += (off - r["runq"]) * r["idle"]
        if off > r["runq"]:
            to[REASONS[r["reason"]]] += off - r["runq"]
    wrong = []
    for row in answer["rows"]:
        want, ns = sums.pop(row["keys"]["comm"]), row["ns"]
        got = dict(reasons_of(row), cpu=ns["user"] + ns["kernel"] + ns["on_cpu"],
                   idle=row["idle_ns"])
        got.update({k: ns[k] for k in ("interrupted", "runq", "skipped", "blocked")})
        wrong += [f"{row['keys']}: {k}: {got.get(k, 0)} is {want[k]}" for k in set(want) | set(got)
                  if got.get(k, 0) != want[k]]
    return wrong + list(sums)


def compare_slices(path):
    """What is cut in two is as much as the whole."""
    whole = json_of("--by", "tid", "-i", path)
    trace = json.loads(subprocess.run([KYMO, "info", "--json", "-i", path], check=True,
                                      capture_output=True).stdout)
    middle = (trace["first_ns"] + trace["last_ns"]) // 2
    at = f"{middle // 10**9}.{middle % 10**9:09}"
    parts = [json_of("--by", "tid", "-i", path, "--time", t) for t in (f",{at}", f"{at},")]
    sums = collections.defaultdict(collections.Counter)
    for part in parts:
        for row in part["rows"]:
            sums[row["keys"]["tid"]].update(wall=row["wall_ns"], runq=row["ns"]["runq"],
                                            blocked=row["ns"]["blocked"], idle=row["idle_ns"])
    wrong = []
    for row in whole["rows"]:
        want = dict(wall=row["wall_ns"], runq=row["ns"]["runq"], blocked=row["ns"]["blocked"],
                    idle=row["idle_ns"])
        got = sums[row["keys"]["tid"]]
        wrong += [f"{row['keys']}: {k}: {got[k]} is {v}" for k, v in want.items() if got[k] != v]
    alive = [r for r in parts[1]["rows"] if r["wall_ns"] == trace["last_ns"] - middle]
    check("two slices of time are the whole, thread by thread", not wrong, *wrong[:9])
    check("threads that live all through a slice have all of its wall clock", alive)
    check("parts of slices are their wall clock",
          not any(w for p in parts for w in wrong_sums(p)))


def compare_spans(path):
    """The parts of a story are spans that lie over it exactly."""
    whole = json_of("--by", "none", "-i", path)
    for event, parts in ("blocked", ("blocked",)), ("runq", ("runq",)), \
            ("offcpu", ("blocked", "runq")), ("oncpu", ON_CPU):
        answer = json_of("-e", event, "-i", path)
        total, own = answer["total"]["ns"], whole["total"]["ns"]
        got = {k: v for k, v in total.items() if v and k not in ON_CPU}
        want = {k: own[k] for k in parts if own[k] and k not in ON_CPU}
        wrong = list(wrong_sums(answer))
        if event == "oncpu":
            got = {"on a CPU": sum(total[k] for k in ON_CPU), "runq": total["runq"]}
            want = {"on a CPU": sum(own[k] for k in ON_CPU), "runq": 0}
        check(f"spans of '{event}' are that part of their threads' stories",
              got == want and not wrong, f"{got}", f"{want}", *wrong)
    answer = json_of("-e", "blocked", "--by", "comm", "-i", path)
    by_comm = {r["keys"]["comm"]: r for r in json_of("--by", "comm", "-i", path)["rows"]}
    wrong = [r["keys"] for r in answer["rows"]
             if reasons_of(r) != reasons_of(by_comm[r["keys"]["comm"]])]
    check("and have the reasons of the story", not wrong, *wrong)


def compare_wall(path):
    """A graph of all time cuts what lies over the ends of a range of time as this view does."""
    sides = {"on_CPU": ON_CPU, "waiting_for_a_CPU": ("runq",), "blocked": ("blocked",),
             "short_waits": ("skipped",)}
    wrong = []
    for times in "40%,60%", "33.3%,33.4%", ",12%", "77.7%,":
        total = json_of("--by", "none", "-i", path, "--time", times)["total"]["ns"]
        folded = subprocess.run([KYMO, "flamegraph", "--wall", "--idle", "--folded", "--by", "none",
                                 "-i", path, "--time", times], check=True, capture_output=True)
        sums = collections.Counter()
        for line in folded.stdout.decode().splitlines():
            stack, _, ns = line.rpartition(" ")
            sums[stack.split(";")[0]] += int(ns)
        for part, columns in sides.items():
            if sums[part] != sum(total[c] for c in columns):
                wrong.append(f"{times}: {part}: {sums[part]} of {total}")
    check("a graph of all time has the same sums of a range", not wrong, *wrong)


def compare_csv(path, answer):
    rows = list(csv.DictReader(io.StringIO(text_of("--csv", "-i", path, "--by", "comm"))))
    wanted = {}
    for row in answer["rows"]:
        comm = row["keys"]["comm"]
        wanted[comm, "wall", "", ""] = row["wall_ns"], None
        for part, ns in row["ns"].items():
            if part != "blocked":
                wanted[comm, part, "", ""] = ns, row["values"].get(part)
        for w in row["blocked"]:
            wanted[comm, "blocked", w["reason"], str(int(w["idle"]))] = w["ns"], w["values"]
    good = len(rows) == len(wanted)
    for r in rows:
        ns, values = wanted[r["comm"], r["part"], r["reason"], r["idle"]]
        good &= int(r["ns"]) == ns
        if values and (r["part"] != "on_cpu" or ns):
            good &= all(int(r[k]) == v for k, v in values.items())
    check("CSV has the same figures", good)


def compare_text(path, answer):
    lines = text_of("-i", path, "--by", "comm").split("\n")
    wrong = []
    for row in answer["rows"][:3]:
        idle = 100 * row["idle_ns"] / row["wall_ns"]
        comm = row["keys"]["comm"]
        if not any(line.endswith(f"  {comm}") and f" {idle:.2f}%" in line for line in lines):
            wrong.append(f"no line for {comm} with {idle:.2f}%")
    check("text has the same figures", not wrong, *wrong, *lines[:30])
    check("text fits into 100 columns", all(len(line) <= 100 for line in lines),
          *(line for line in lines if len(line) > 100))
    check("columns of nothing are left out", not any("Unknown" in line for line in lines))


def compare_pipe(path):
    for args in ("--by", "comm"), ("-e", "offcpu"):
        with open(path, "rb") as f:
            piped = text_of(*args, "-i", "-", stdin=f)
        check(f"from a pipe it is the same: {' '.join(args)}", piped == text_of(*args, "-i", path))


def check_words(path):
    done = run("-i", "tests/golden/first.kymo")
    check("a trace without a story is told what to do", done.returncode == 2 and
          b"record with -e sched" in done.stderr, done.stderr)
    for args in ("-g",), ("--of", "runq"), ("--no-children",):
        done = run(*args, "-i", path)
        check(f"{args[0]} is refused", done.returncode == 2 and b"--latency" in done.stderr)
    rows = json_of("--max-rows", "2", "-i", path)["rows"]
    check("--max-rows limits the rows", len(rows) == 2)
    check("rows are of processes, called like their first thread",
          all(set(r["keys"]) == {"comm", "pid"} for r in rows))
    waits = [s for r in json_of("-i", path)["rows"] for w in r["blocked"] for s in w["stacks"]]
    check("waits have stacks", waits and all(s["stack"].count(" <- ") < 4 for s in waits))
    deep = [s for r in json_of("--max-stack", "9", "-i", path)["rows"] for w in r["blocked"]
            for s in w["stacks"]]
    check("--max-stack makes them longer", max(s["stack"].count(" <- ") for s in deep) > 3)


def main():
    with tempfile.TemporaryDirectory() as folder:
        path, truth = os.path.join(folder, "s.kymo"), os.path.join(folder, "truth.json")
        for name, args in ("all records", ()), ("one record in 50 missing", ("--lose", "50")):
            subprocess.run([SCHEDGEN, "20000", path, "--truth", truth, *args], check=True)
            with open(truth) as f:
                wrong = compare_truth(path, json.load(f))
            check(f"{name}: threads have what is true", not wrong, *wrong[:9])
            answer = json_of("--by", "comm", "-i", path)
            wrong = list(wrong_sums(answer))
            check(f"{name}: the parts of every row are its wall clock", not wrong, *wrong[:9])
            wrong = compare_records(path, answer)
            check(f"{name}: they are the sums of the records", not wrong, *wrong[:9])
        compare_wall(path)
        subprocess.run([SCHEDGEN, "20000", path], check=True)
        answer = json_of("--by", "comm", "-i", path)
        compare_spans(path)
        compare_slices(path)
        compare_csv(path, answer)
        compare_text(path, answer)
        compare_pipe(path)
        check_words(path)
    finish()


main()
