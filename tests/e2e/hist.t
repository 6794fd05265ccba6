#!/usr/bin/env python3
"""Histograms of live events: known values, as bpftrace counts them, as a tally counts them."""
import json
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *

READS = 300 if EMULATED else 3000
# Other tests may run the same program, and bpftrace looks at the whole machine.
NAME = "reads%d" % os.getpid()
SUFFIX = {"": 1, "K": 1 << 10, "M": 1 << 20}


def recorded(folder, *args):
    trace = os.path.join(folder, "t.kymo")
    with open(os.path.join(folder, "file"), "wb") as f:
        f.write(bytes(READS))
    shutil.copy(program("reads")[0], os.path.join(folder, NAME))
    kymo("record", "-q", "-o", trace, *args, "--", os.path.join(folder, NAME),
         os.path.join(folder, "file"), READS)
    check(sum(row["count"] for row in info(trace)["losses"]) == 0, "lost events")
    return trace


def cell(trace, *args):
    tables = json.loads(kymo("hist", "-i", trace, "--json", *args))["tables"]
    equal(len(tables), 1, "tables")
    equal(len(tables[0]["groups"]), 1, "groups")
    return tables[0]["groups"][0]


def rows_of(cell):
    return {tuple(row[:2]): row[2] for row in cell["rows"]}


def known_rows():
    """Of reads of 1, 2 ... READS bytes: 0 and 1 share a row."""
    rows = {}
    for n in range(1, READS + 1):
        low = 1 << (n.bit_length() - 1)
        key = (low if low > 1 else 0, low * 2)
        rows[key] = rows.get(key, 0) + 1
    return rows


def known_sizes(folder):
    """reads of 1, 2 ... N bytes, one by one and as a tally"""
    # The dynamic linker reads, too, but not from the start of a file.
    event = ("-e", "syscall:pread64 as r", "--filter", 'comm == "%s" && pos == 0' % NAME)
    one_by_one = cell(recorded(folder, *event), "--of", "ret")
    equal(rows_of(one_by_one), known_rows(), "rows")
    equal([one_by_one[k] for k in ("count", "sum", "min", "max")],
          [READS, READS * (READS + 1) / 2, 1, READS], "numbers")
    for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)):
        check(abs(one_by_one[name] - part * READS) <= part * READS / 100 + 1,
              "%s is %r" % (name, one_by_one[name]))
    tally = cell(recorded(folder, *event, "--tally", "hist=ret"))
    for what in ("count", "sum", "min", "max", "p50", "p90", "p99", "p99.9", "p99.99", "rows"):
        equal(tally[what], one_by_one[what], what)


def bpftrace_rows(text):
    """Its "[512, 1K)  512 |@@ |" as {(low, high): count}, with 0 and 1 in a row."""
    rows = {}
    for low, low_suffix, high, high_suffix, count in re.findall(
            r"^\[(\d+)([KM]?)(?:, (\d+)([KM]?)\)|\]) +(\d+) \|", text, re.M):
        first = int(low) * SUFFIX[low_suffix]
        key = (first, int(high) * SUFFIX[high_suffix]) if high else (0, 2)
        if int(count):
            rows[key] = rows.get(key, 0) + int(count)
    return rows


def as_bpftrace_counts(folder):
    """the same rows as hist() of bpftrace, at the same time"""
    if not shutil.which("bpftrace"):
        skip("bpftrace is not installed")
    theirs = subprocess.Popen(
        ["bpftrace", "-B", "line", "-e",
         't:syscalls:sys_exit_pread64 /comm == "%s"/ { @ = hist(args->ret); } '
         'BEGIN { printf("ready\\n"); }' % NAME], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    line = b" "
    while line and b"ready" not in line:
        line = theirs.stdout.readline()
    if not line:
        skip("bpftrace cannot do this here: %s" % theirs.communicate()[1].decode()[-200:])
    try:
        trace = recorded(folder, "-e", "syscalls:sys_exit_pread64(ret)", "--filter",
                         'comm == "%s"' % NAME)
    finally:
        text = interrupt(theirs)
    equal(rows_of(cell(trace, "--of", "ret")), bpftrace_rows(text), "rows")


def durations_of_a_span(folder):
    """a span's durations: the sum of report, the rows of hist, every value in its row"""
    trace = recorded(folder, "-e", "syscall:pread64 as r", "--filter", 'comm == "%s"' % NAME)
    values = [r["fields"]["duration"] for r in records(trace)]
    ours = cell(trace, "--unit", "ns")
    equal([ours[k] for k in ("count", "sum", "min", "max")],
          [len(values), sum(values), min(values), max(values)], "numbers")
    check(len(values) >= READS, "%d spans" % len(values))
    for (low, high), count in rows_of(ours).items():
        equal(count, sum(low <= v < high for v in values), "from %d to %d" % (low, high))
    tables = json.loads(kymo("report", "-i", trace, "--json", "--by", "comm"))
    row = tables["rows"][0]
    equal([row["samples"], row["self"], row["max"], row["p50"]],
          [len(values), sum(values), max(values), ours["p50"]], "the row of report")


run([known_sizes, as_bpftrace_counts, durations_of_a_span])
