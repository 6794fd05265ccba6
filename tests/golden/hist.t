#!/usr/bin/env python3
"""Histograms and percentiles are those of a program that knows only kymo-format(5).

The second reader prints all records; from these the rows are counted anew, value by
value, in the layout of bcc's tools, and the percentiles are taken from sorted values.
"""

import collections
import csv
import io
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
PARTS = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "p99.99": 0.9999}
NS = {"ns": 1, "us": 1000, "ms": 10 ** 6, "s": 10 ** 9}
LABELS = {"ns": "nsecs", "us": "usecs", "ms": "msecs", "s": "secs"}

results = []


def result(good, name, why=""):
    results.append((bool(good), name, str(why)))


def kymo(*args, stdin=None, status=0):
    with open(stdin or os.devnull, "rb") as f:
        done = subprocess.run([KYMO, *args], capture_output=True, stdin=f)
    if done.returncode != status:
        result(False, " ".join(args), f"status {done.returncode}: {done.stderr.decode()}")
    return done.stdout.decode(), done.stderr.decode()


def generate(n, path, *args):
    subprocess.run([f"{BUILD}/tests/spangen", str(n), path, *args], check=True)


# --- the layout of bcc ---------------------------------------------------------------

def stars(count, most, width):
    n = count * width // most
    return "*" * n + " " * (width - n)


def bcc_log2(values, label):
    """What print_log2_hist() of bcc's libbpf-tools prints."""
    slots = collections.Counter(max(v.bit_length() - 1, 0) for v in values)
    last, most = max(slots), max(slots.values())
    wide = last > 32
    lines = ["%*s%-*s : count    distribution" % (15 if wide else 5, "", 29 if wide else 19, label)]
    for i in range(last + 1):
        low, high = (1 << i + 1) >> 1, (1 << i + 1) - 1
        low -= low == high
        w = 20 if wide else 10
        lines.append("%*d -> %-*d : %-8d |%s|" % (w, low, w, high, slots[i],
                                                  stars(slots[i], most, 20 if wide else 40)))
    return lines


def bcc_linear(values, label, first, step):
    """What its print_linear_hist() prints, with the empty rows in between."""
    slots = collections.Counter((v - first) // step for v in values)
    most = max(slots.values())
    lines = ["     %-13s : count     distribution" % label]
    for i in range(min(slots), max(slots) + 1):
        lines.append("        %-10d : %-8d |%s|" % (first + i * step, slots[i],
                                                    stars(slots[i], most, 40)))
    return lines


def tables(text):
    """[(title, lines of the histogram, the line with the percentiles)]"""
    found = []
    for part in text.strip("\n").split("\n\n"):
        title, *lines, summary = part.split("\n")
        found.append((title, lines, summary))
    return found


def near(a, b, part=0.01):
    return abs(a - b) <= abs(b) * part


def wrong_numbers(cell, values):
    """What of a JSON cell does not follow from the values."""
    values = sorted(values)
    n, total = len(values), sum(values)
    bad = []
    if (cell["count"], cell["min"], cell["max"]) != (n, values[0], values[-1]):
        bad.append(f"count, min, max: {cell['count']}, {cell['min']}, {cell['max']}")
    if cell["sum"] != total or not near(cell["mean"], total / n, 1e-12):
        bad.append(f"sum {cell['sum']}, mean {cell['mean']}: not {total}")
    for name, part in PARTS.items():
        exact = values[max(math.ceil(part * n), 1) - 1]
        if not near(cell[name], exact):
            bad.append(f"{name} {cell[name]}, not {exact}")
    if cell.get("stddev") is not None:
        deviation = math.sqrt(sum((v - total / n) ** 2 for v in values) / n)
        if not near(cell["stddev"], deviation, 1e-6):
            bad.append(f"stddev {cell['stddev']}, not {deviation}")
    return bad


def cells_of(event, *args, stdin=None):
    answer = json.loads(kymo("hist", "--json", *args, stdin=stdin)[0])
    return {tuple(c["keys"].values()) + ((c["from_ns"],) if "from_ns" in c else ()): c
            for t in answer["tables"] if t["event"] == event for c in t["groups"]}


def compare_cells(cells, groups, name):
    bad = [f"{k}: {w}" for k, values in groups.items()
           for w in (wrong_numbers(cells[k], values) if k in cells else ["missing"])]
    bad += [f"{k} is too much" for k in cells.keys() - groups.keys()]
    result(not bad, name, "\n".join(bad[:5]))


def grouped(records, field, *keys):
    groups = collections.defaultdict(list)
    for r in records:
        groups[tuple(r[k] for k in keys)].append(r[field])
    return groups


# --- tests ---------------------------------------------------------------------------

def check_log2(path, records):
    for event, unit in (("read", "ns"), ("read", "us"), ("read", "ms"), ("blockio", "us"),
                        ("blockio", "s")):
        (title, lines, _), = tables(kymo("hist", "-i", path, "-e", event, "--unit", unit)[0])
        values = [r["duration"] // NS[unit] for r in records[event]]
        result(lines == bcc_log2(values, LABELS[unit]) and title == f"duration of {event}",
               f"{event} in {LABELS[unit]} is what bcc prints", "\n".join(lines))
    (_, lines, _), = tables(kymo("hist", "-i", path, "-e", "blockio", "--of", "sector")[0])
    result(lines == bcc_log2([r["sector"] for r in records["blockio"]], "sector"),
           "a field without a unit has its name")
    (_, lines, _), = tables(kymo("hist", "-i", path, "-e", "blockio", "--of", "bytes")[0])
    result(lines == bcc_log2([r["bytes"] for r in records["blockio"]], "bytes"), "bytes")
    text = kymo("hist", "-i", path)[0]
    row = r" {0,20}\d+ -> \d+ {0,20} : \d+ +\|\*{0,40} {0,40}\|"
    heading = r" {5}[a-z]+ +: count {4}distribution"
    plain = [line for _, lines, _ in tables(text) for line in lines]
    result(len(tables(text)) == 2 and all(re.fullmatch(f"{row}|{heading}", x) for x in plain) and
           {len(x) for x in plain if "|" in x} == {10 + 4 + 10 + 3 + 8 + 1 + 42},
           "a table for each event, all lines in bcc's layout")
    result("nsecs" in text.split("\n\n")[0] and "usecs" in text.split("\n\n")[1],
           "the unit fits the values")


def check_shapes(path, records):
    values = [r["duration"] for r in records["blockio"]]
    args = ("hist", "-i", path, "-e", "blockio")
    (_, lines, _), = tables(kymo(*args, "--linear", "500us")[0])
    result(lines == bcc_linear([v // 1000 for v in values], "usecs", 0, 500), "--linear STEP",
           "\n".join(lines))
    (_, lines, _), = tables(kymo(*args, "--linear", "40,100,6", "--unit", "us")[0])
    want = collections.Counter(min(max(-1, (v - 40000) // 10000), 6) for v in values)
    got = re.findall(r"^ {8}((?:< |>= )?\d+) +: (\d+)", "\n".join(lines), re.M)
    names = ["< 40", "40", "50", "60", "70", "80", "90", ">= 100"]
    result([(n, int(c)) for n, c in got] == [(n, want[i - 1]) for i, n in enumerate(names)],
           "--linear MIN,MAX,N", got)
    rows = list(csv.DictReader(io.StringIO(kymo(*args, "--linear", "0.1", "--unit", "ms",
                                                "--csv")[0])))
    want = collections.Counter(v // 100000 for v in values)
    result({float(r["low"]): int(r["count"]) for r in rows} ==
           {float(k * 100000): n for k, n in want.items()}, "steps of a tenth are exact", rows[:3])
    rows = list(csv.DictReader(io.StringIO(kymo(*args, "--loglinear", "--csv")[0])))
    limits = [(int(r["low"]), int(r["high"]), int(r["count"])) for r in rows]
    result(all(sum(a <= v < b for v in values) == n and (b - a) <= max(1, a * 0.016)
               for a, b, n in limits) and sum(n for *_, n in limits) == len(values),
           "--loglinear: rows of 1.6 %", limits[:5])
    (_, lines, _), = tables(kymo(*args, "--loglinear")[0])
    result([(int(a), int(b) + 1, int(n)) for a, b, n in
            re.findall(r"^ *(\d+) -> (\d+) +: (\d+)", "\n".join(lines), re.M)] == limits,
           "--loglinear as text")


def check_negative(path, records):
    text = kymo("hist", "-i", path, "-e", "read", "--of", "ret")[0]
    (_, lines, summary), = tables(text)
    rows = {(int(a), int(b)): int(n)
            for a, b, n in re.findall(r"^ *(-?\d+) -> (-?\d+) +: (\d+)", "\n".join(lines), re.M)}
    values = [r["ret"] for r in records["read"]]
    result(min(rows)[0] < 0 and sum(rows.values()) == len(values) and
           all(n == sum(a <= v <= b for v in values) for (a, b), n in rows.items()),
           "negative values have rows", text)
    result(f"min -{-min(values)} B" in summary, "negative values have a least one", summary)


def check_groups(path, records):
    for event in "read", "blockio":
        compare_cells(cells_of(event, "-i", path), grouped(records[event], "duration"),
                      f"{event}: count, sum, mean, deviation, percentiles")
        compare_cells(cells_of(event, "-i", path, "--by", "comm"),
                      grouped(records[event], "duration", "comm"), f"{event} by comm")
    compare_cells(cells_of("read", "-i", path, "--by", "fd,comm", "--of", "ret"),
                  grouped(records["read"], "ret", "fd", "comm"), "ret by fd and comm")
    compare_cells(cells_of("read", "-i", "-", "--by", "fd,comm", stdin=path),
                  grouped(records["read"], "duration", "fd", "comm"), "the same from a pipe")
    first = min(r["time"] for rs in records.values() for r in rs)
    start = json.loads(kymo("hist", "-i", path, "--json")[0])["inputs"][0]["first_ns"]
    every = 50000000
    groups = collections.defaultdict(list)
    for r in records["read"]:
        groups[((r["time"] - start) // every * every,)].append(r["duration"])
    result(start <= first, "the trace starts before its first record")
    compare_cells(cells_of("read", "-i", path, "--every", "50ms"), groups, "--every")
    text = kymo("hist", "-i", path, "-e", "read", "--every", "50ms", "--summary")[0]
    times = re.findall(r"^\+([\d.]+) to \+([\d.]+) s +([\d,]+)", text, re.M)
    result([(float(a), int(n.replace(",", ""))) for a, _, n in times] ==
           [(k[0] / 1e9, len(v)) for k, v in sorted(groups.items())], "--every tells the times",
           text)
    text = kymo("hist", "-i", path, "-e", "read", "--by", "comm", "--summary",
                "--max-rows", "2")[0]
    largest = sorted(grouped(records["read"], "duration", "comm").items(), key=lambda g: -sum(g[1]))
    result(re.findall(r"^(\w+) +[\d,]+ ", text, re.M) == [k for (k,), _ in largest[:2]] and
           text.endswith(f"\n{len(largest) - 2} more not shown\n"), "--max-rows: the largest sums",
           text)


def check_summary(path, records):
    rows = list(csv.DictReader(io.StringIO(
        kymo("hist", "-i", path, "--by", "comm", "--summary", "--csv")[0])))
    cells = {(r["comm"],): {k: float(r[k]) if r[k] else None for k in
                            ("count", "sum", "mean", "stddev", "min", "max", *PARTS)}
             for r in rows if r["event"] == "read"}
    compare_cells(cells, grouped(records["read"], "duration", "comm"), "--summary --csv")
    (_, _, line), _ = tables(kymo("hist", "-i", path)[0])
    result(re.fullmatch(r"count [\d,]+, mean [\d.]+ us, min [\d.]+ ns, max [\d.]+ ms, p50 [\d.]+ us, "
                        r"p90 [\d.]+ us, p99 [\d.]+ [um]s, p99.9 [\d.]+ ms, p99.99 [\d.]+ ms", line),
           "the line below a histogram", line)


def check_tallies(path, tally, records):
    """All but the deviation, which a tally does not have; and rows of whole buckets."""
    for args in ((), ("--by", "comm")):
        raw, sums = (cells_of("read", "-i", p, "--unit", "ns", *args) for p in (path, tally))
        for c in raw.values():
            c["stddev"] = None
        result(raw == sums, f"a tally says what its records say {' '.join(args)}", sums)
    both = cells_of("read", "-i", path, "-i", tally, "--by", "comm")
    groups = grouped(records["read"] * 2, "duration", "comm")
    for c in both.values():
        c["stddev"] = None
    compare_cells(both, groups, "records and tallies of one event together")
    text, _ = kymo("hist", "-i", tally, "-e", "read")
    result(sum(map(int, re.findall(r": (\d+) +\|", text))) == len(records["read"]),
           "a tally's rows hold all of it", text)
    n = sum(c["count"] for c in cells_of("read", "-i", tally, "--every", "1s").values())
    result(n == len(records["read"]), "a tally by intervals")


def check_files(path, other, records, others):
    all_of = records["read"] + others["read"]
    compare_cells(cells_of("read", "-i", path, "-i", other), grouped(all_of, "duration"),
                  "two files together")
    compare_cells(cells_of("read", "-i", path, "-i", other, "--by", "comm,fd"),
                  grouped(all_of, "duration", "comm", "fd"), "two files: groups by text")
    answer = json.loads(kymo("hist", "--json", "-i", path, "-i", other)[0])
    result([i["name"] for i in answer["inputs"]] == [path, other] and
           all(i["quality"]["samples"] for i in answer["inputs"]), "JSON tells of each file")


def check_words(path):
    def refused(words, *args, status=2):
        out, err = kymo("hist", *args, status=status)
        result(not out and err.startswith(f"kymo hist: {words}") and err.count("\n") == 1,
               " ".join(a for a in args if a != path),
               err)

    numbers = "cpu, duration, dev, sector, bytes, error"
    refused(f"field 'rwbs' of event 'blockio' is no number (numbers there: {numbers})",
            "-i", path, "-e", "blockio", "--of", "rwbs")
    refused(f"event 'blockio' has no field 'nix' (numbers there: {numbers})",
            "-i", path, "-e", "blockio", "--of", "nix")
    refused("event 'block:block_rq_issue' has no duration and no weight: choose a field with --of "
            "(numbers there: cpu, dev, sector, bytes)",
            "-i", path, "-e", "block:block_rq_issue")
    refused("'bytes' is no time: it cannot be shown in ms",
            "-i", path, "-e", "blockio", "--of", "bytes", "--unit", "ms")
    refused("bad unit 'weeks': give ns, us, ms or s", "-i", path, "--unit", "weeks")
    for rows in ("", "0", "-1", "1,2", "5,1,10", "0,1,0", "0,1,1.5", "0,5ms,50us", "1,2,3,4", "x", "inf",
                 "5parsecs"):
        refused(f"bad rows '{rows}': give a STEP, or MIN,MAX,N for N equal steps (100us, or "
                "0,5ms,50)", "-i", path, "--linear", rows)
    refused("--log2 and --linear are two shapes: choose one", "-i", path, "--log2", "--linear", "1")
    refused("--linear is in ms, but --unit is us: write the steps in that unit",
            "-i", path, "--linear", "1ms", "--unit", "us")
    refused("cannot group by 'nix': there are comm, pid, tid, ", "-i", path, "--by", "nix")
    out, err = kymo("hist", "-i", path, "-e", "blockio,syscalls:*")
    result(len(tables(out)) == 1 and "kymo hist: 2 events left out: event 'syscalls:sys_enter_read' "
           "has no duration" in err, "an event that was chosen and cannot be shown is told", err)
    out, _ = kymo("hist", "-i", path, "-e", "blockio", "--filter", "duration > 1000000000000")
    result(out == "duration of blockio: no values\n", "no values", out)
    out, _ = kymo("hist", "-i", path, "-e", "read", "--filter", "duration > 1000000000000", "--json")
    result(json.loads(out)["tables"][0]["groups"] == [], "no values in JSON", out)


def check_one_value(path, records):
    most = max(r["duration"] for r in records["blockio"])
    out, _ = kymo("hist", "-i", path, "-e", "blockio", "--filter", f"duration == {most}", "--unit", "ns")
    (_, lines, summary), = tables(out)
    result(lines == bcc_log2([most], "nsecs"), "one value has a row", out)
    result(len(set(re.findall(r"(?:mean|min|max|p[\d.]+) (\d+ ns)", summary))) == 1 and
           summary.count(f"{most} ns") == 8, "one value is every percentile", summary)


def main():
    with tempfile.TemporaryDirectory() as scratch:
        spans, other, tally, both = (f"{scratch}/{n}.kymo" for n in ("spans", "other", "tally",
                                                                     "both"))
        generate(20000, spans, "--as", "spans")
        generate(5000, other, "--as", "spans", "--seed", "7", "--tasks", "20")
        generate(20000, tally, "--as", "tallies")
        generate(300, both, "--as", "both")
        records = read(spans)
        check_log2(spans, records)
        check_shapes(spans, records)
        check_negative(spans, records)
        check_groups(spans, records)
        check_summary(spans, records)
        check_tallies(spans, tally, records)
        check_files(spans, other, records, read(other))
        check_words(both)
        check_one_value(spans, records)
    print(f"1..{len(results)}")
    for i, (good, name, why) in enumerate(results, 1):
        print(f"{'' if good else 'not '}ok {i} - {name}")
        if not good:
            for line in why.split("\n")[:30]:
                print(f"# {line}")


main()
