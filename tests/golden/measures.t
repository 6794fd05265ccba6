#!/usr/bin/env python3
"""What report and flamegraph sum up: weights, durations, any field; spans and tallies.

The sums are those of a program that knows only kymo-format(5).
"""

import collections
import json
import math
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, "tests/reader")
from records import read  # noqa: E402

KYMO, BUILD = os.environ["KYMO"], os.environ["BUILD"]

results = []


def result(good, name, why=""):
    results.append((bool(good), name, str(why)))


def kymo(*args, status=0):
    done = subprocess.run([KYMO, *args], capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode != status:
        result(False, " ".join(args), f"status {done.returncode}: {done.stderr.decode()}")
    return done.stdout.decode(), done.stderr.decode()


def reported(path, event, *args):
    """{comm: row} of a table of report."""
    answer = json.loads(kymo("report", "--json", "--by", "comm", "-i", path, "-e", event, *args)[0])
    return {row["comm"]: row for row in answer["rows"]}


def check_report(path, records):
    for event, field, args in (("read", "duration", ()), ("blockio", "bytes", ("--of", "bytes")),
                               ("read", "ret", ("--of", "ret"))):
        values = collections.defaultdict(list)
        for r in records[event]:
            values[r["comm"]].append(r[field])
        rows, bad = reported(path, event, *args), []
        for comm, of_comm in values.items():
            row, n = rows.pop(comm), len(of_comm)
            of_comm.sort()
            half, most = of_comm[math.ceil(n / 2) - 1], of_comm[math.ceil(n * 0.99) - 1]
            if (row["samples"], row["self"]) != (n, sum(v for v in of_comm if v > 0)):
                bad.append(f"{comm}: {row['samples']} with {row['self']}")
            if row["max"] != of_comm[-1] or abs(row["mean"] - sum(of_comm) / n) > 1e-6 * row["mean"]:
                bad.append(f"{comm}: max {row['max']}, mean {row['mean']}")
            if abs(row["p50"] - half) > half / 100 or abs(row["p99"] - most) > most / 100:
                bad.append(f"{comm}: p50 {row['p50']}, p99 {row['p99']}")
        result(not bad and not rows, f"report: {field} of {event} by comm", "\n".join(bad))
    rows = reported(path, "read", "--of", "1")
    result(all(r["self"] == r["samples"] and "p50" not in r for r in rows.values()) and
           sum(r["self"] for r in rows.values()) == len(records["read"]), "--of 1 counts")
    totals = re.findall(r"^ +[\d.]+% +([\d,]+) ", kymo("report", "--by", "comm", "-e", "read",
                                                       "-i", path)[0], re.M)
    rows = sorted(reported(path, "read").values(), key=lambda r: -r["self"])
    result([int(t.replace(",", "")) for t in totals] == [r["samples"] for r in rows],
           "report as text: the same counts, the largest sums first", totals)


def check_words(path, tally, samples, records):
    negative = sum(r["ret"] < 0 for r in records["read"])
    text, _ = kymo("report", "--by", "comm", "-e", "read", "--of", "ret", "-i", path)
    result(f"\n# {negative} values are negative and have no share\n" in text and negative,
           "negative values are told", text)
    for trace, event, words in (
            (path, "read", rf"# Spans: {len(records['read']):,} of event 'read'\n"
             r"# Weight:  [\d.]+ m?s of duration\n"),
            (tally, "read", rf"# Hits: {len(records['read']):,} of event 'read'\n"
             r"# Weight:  [\d.]+ m?s of duration\n"),
            (samples, "cpu-clock", r"# Samples: 500 of event 'cpu-clock'\n# Weight:  [\d.]+ m?s\n"),
            (path, "block:block_rq_issue", r"# Records: \d+ of event 'block:block_rq_issue'\n"
             r"# Weight:  each record counts 1\n")):
        text, _ = kymo("report", "--by", "cpu", "-e", event, "-i", trace)
        result(re.search(words, text), f"the head of {event} in {os.path.basename(trace)}", text)
    for view in ("report", "--json"), ("flamegraph", "--folded"), ("hist",):
        for field, words in (("rwbs", "field 'rwbs' of event 'blockio' is no number (numbers there: "),
                             ("nix", "event 'blockio' has no field 'nix' (numbers there: ")):
            out, err = kymo(*view, "-i", path, "-e", "blockio", "--of", field, status=2)
            result(not out and err.startswith(f"kymo {view[0]}: {words}"),
                   f"{view[0]}: --of {field} is refused", err)


def check_tallies(path, tally):
    spans, sums = reported(path, "read"), reported(tally, "read")
    result(spans == sums and len(sums) > 3, "a tally has the rows of its spans", sums)


def folded(path, event, *args):
    """The sums of folded stacks, by comm."""
    sums = collections.Counter()
    for line in kymo("flamegraph", "--folded", "-i", path, "-e", event, *args)[0].splitlines():
        stack, _, count = line.rpartition(" ")
        sums[stack.split(";")[0]] += int(count)
    return sums


def check_flamegraph(path, tally, samples, records):
    for event, field, args in (("read", "duration", ()), ("blockio", "bytes", ("--of", "bytes")),
                               ("read", "duration", ("--weight",)), ("read", None, ("--of", "1")),
                               ("block:block_rq_issue", None, ())):
        want = collections.Counter()
        for r in records[event]:
            want[r["comm"]] += r[field] if field else 1
        result(folded(path, event, *args) == want,
               f"flamegraph: {field or 'count'} of {event} {' '.join(args)}")
    result(folded(tally, "read") == folded(path, "read"), "flamegraph: a tally by its own comm")
    result(sum(folded(samples, "cpu-clock").values()) == 500, "flamegraph: samples are counted")
    _, err = kymo("flamegraph", "--folded", "-i", path, "-e", "read", "--of", "ret")
    result(f"{sum(r['ret'] < 0 for r in records['read'])} negative values left out\n" in err,
           "flamegraph: negative values are told", err)
    _, err = kymo("flamegraph", "--folded", "-i", path, "-e", "read,block:block_rq_issue")
    result("1 event left out: no sum can be made with what is drawn" in err,
           "flamegraph: times and counts are not added", err)


def main():
    with tempfile.TemporaryDirectory() as scratch:
        both, tally = f"{scratch}/both.kymo", f"{scratch}/tally.kymo"
        for path, as_what in (both, "both"), (tally, "tallies"):
            subprocess.run([f"{BUILD}/tests/spangen", "5000", path, "--as", as_what, "--stacks"],
                           check=True)
        records, samples = read(both), "tests/golden/first.kymo"
        check_report(both, records)
        check_words(both, tally, samples, records)
        check_tallies(both, tally)
        check_flamegraph(both, tally, samples, records)
    print(f"1..{len(results)}")
    for i, (good, name, why) in enumerate(results, 1):
        print(f"{'' if good else 'not '}ok {i} - {name}")
        if not good:
            for line in why.split("\n")[:30]:
                print(f"# {line}")


main()
