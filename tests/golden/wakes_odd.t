#!/usr/bin/env python3
"""Wakeups that no kernel tells of: in circles, of nobody, each from a stack of its own, from
clocks that go back.  Graphs with wakers and `report --latency` end, with all of the time.
"""

import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

from tap import check, finish  # noqa: E402

KYMO = os.environ["KYMO"]
WAKEGEN = os.path.join(os.environ["BUILD"], "tests/wakegen")
SHAPES = {"pair": 20000, "self": 20000, "one": 8000, "stacks": 20000, "ring": 20000,
          "deep": 4000, "nobody": 20000, "back": 20000, "most": 4000}
LARGEST = 2**64 - 1
# Of which the fifteenth is the last that may be asked for.
HOPS = ("1", "3", "15")
# What the dictionaries, a million chains and the order of waits may take; a sanitizer's
# memory is not kymo's.
MOST_KIB = 80 << 10


def kymo(*args):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with subprocess.Popen([KYMO, *args], stdout=out, stderr=err) as p:
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        text, said = out.read().decode(), err.read().decode()
    assert p.returncode == 0, (args, p.returncode, said)
    if not os.environ.get("SAN") and usage.ru_maxrss > MOST_KIB:
        said += "\ntakes %d MiB" % (usage.ru_maxrss >> 10)
    return text, said


def lines_of(text):
    return [(stack, int(count)) for stack, _, count in
            (line.rpartition(" ") for line in text.splitlines())]


def nr_hops(stack):
    return stack.split(";").count("--")


def check_graphs(shape, trace, truth):
    off = truth["off_ns"]
    for hops in HOPS:
        text, said = kymo("flamegraph", "--folded", "--hops", hops, "-i", trace)
        lines = lines_of(text)
        check(f"{shape}: {hops} hops hold all waits", sum(n for _, n in lines) == off,
              sum(n for _, n in lines), off)
        check(f"{shape}: no chain is longer than {hops}",
              max(nr_hops(s) for s, _ in lines) <= int(hops))
        check(f"{shape}: {hops} hops in bounded memory", "takes" not in said, said)
    if shape in ("pair", "ring"):
        check(f"{shape}: and some are as long as that",
              max(nr_hops(s) for s, _ in lines) == int(HOPS[-1]))
    if shape == "self":
        check("nobody is a reason for its own sleep", max(nr_hops(s) for s, _ in lines) == 1)
    check(f"{shape}: what a sum cannot hold is told", ("64 bits" in said) == (shape == "most"),
          said)
    text, said = kymo("flamegraph", "--folded", "--wall", "-i", trace)
    check(f"{shape}: all time of threads",
          sum(n for _, n in lines_of(text)) == min(off + truth["on_ns"], LARGEST))
    for args in ["--hops", HOPS[-1]], ["--hops", "3", "--by", "tid"]:
        text, said = kymo("flamegraph", *args, "-i", trace)
        check(f"{shape}: a picture, {' '.join(args)}",
              len(text) < 2000000 and text.endswith("</svg>\n"), len(text), said)


def wrong(row):
    if sum(row["ns"].values()) != row["wall_ns"]:
        yield f"{row['keys']}: {sum(row['ns'].values())} of {row['wall_ns']}"
    if sum(b["ns"] for b in row["blocked"]) != row["ns"]["blocked"]:
        yield f"{row['keys']}: blocked {row['ns']['blocked']}"


def check_latency(shape, trace):
    for by in "comm", "tid":
        text, said = kymo("report", "--latency", "--json", "--by", by, "-i", trace)
        told = json.loads(text)
        rows = told["rows"]
        bad = [w for row in rows for w in wrong(row)]
        check(f"{shape}: columns are the wall clock, by {by}", rows and not bad, *bad[:5])
        total = told["total"]
        check(f"{shape}: and rows are the total, by {by}",
              sum(r["wall_ns"] for r in rows) == total["wall_ns"] or
              told["remarks"]["more_groups"], total)
        check(f"{shape}: told in bounded memory, by {by}", "takes" not in said, said)
    # Every sixth has no waker, and no part in which it waited for a CPU.
    unwoken = (SHAPES[shape] + 5) // 6 if shape == "nobody" else 0
    check(f"{shape}: waits that nobody was seen to end are counted",
          [told["remarks"][k] for k in ("unwoken", "unwoken_ns")] == [unwoken, 900 * unwoken],
          told["remarks"])
    text, said = kymo("report", "--latency", "-i", trace)
    check(f"{shape}: and are told", (f"# {unwoken:,} waits, " in text) == (unwoken > 0), text[:500])


with tempfile.TemporaryDirectory() as scratch:
    for name, nr in SHAPES.items():
        path = os.path.join(scratch, name + ".kymo")
        done = subprocess.run([WAKEGEN, name, str(nr), path], capture_output=True, check=True)
        sums = json.loads(done.stdout)
        check_graphs(name, path, sums)
        check_latency(name, path)
finish()
