#!/usr/bin/env python3
"""`report --latency` of spans and threads that are many, long, nested, or in no order.

Spans of which each lies over thousands of waits, or of waits that each lie in thousands of
spans, are as long in sum as when every wait is looked at for every span, as it is here.
"""

import collections
import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

from tap import check, finish  # noqa: E402

KYMO = os.environ["KYMO"]
LIFEGEN = os.path.join(os.environ["BUILD"], "tests/lifegen")
REASONS = {1: "TAPE", 2: "CARD", 3: "DRUM"}
START = 10**9


def life(i, tid=1, at=None):
    """Of 100 ns: 40 on a CPU, 35 blocked, 15 waiting; 10 that nobody tells of."""
    return ("s", START + 100 * i + 90 if at is None else at, tid, 50, 15, 40, 0, 1 + i % 3)


def call(end, took, tid=1, nr=0):
    return ("c", end, tid, took, nr)


def all_open(n):
    """All are open at once, and each is longer than the one after it."""
    return [life(i) for i in range(n)] + \
           [call(START + 100 * n + i, 100 * (n - i) + i + 31) for i in range(n)]


def nested(n):
    """Over a quarter of the trace each, from any point of a wait to any other."""
    return [r for i in range(n) for r in
            (life(i), call(START + 100 * i + 91 + i % 7, min(100 * i, 25 * n + i % 97)))]


def long(n):
    """Longer than the trace, of many threads."""
    return [r for i in range(n) for r in
            (life(i, 1 + i % 20), call(START + 100 * i + 95, START, 1 + i % 20))]


def rows(n):
    """Each is a row of its own."""
    return [r for i in range(n) for r in
            (life(i), call(START + 100 * i + 91, min(100 * i, 30000), nr=i))]


def silent(n):
    """No record tells what the thread did."""
    return [life(0)] + [call(START + 100 * i + 99, 60) for i in range(1, n)]


def jumping(n):
    """The clock goes back again and again, and what is told overlaps."""
    times = [START + 100 * i + 90 - (i // 100 % 2) * min(3000000, 95 * i) for i in range(n)]
    return [r for i, at in enumerate(times) for r in
            (life(i, 1 + i % 5, at), call(at + 3, i % 5000, 1 + i % 5))]


def make(path, records):
    text = "".join("%s %s\n" % (r[0], " ".join(map(str, r[1:]))) for r in records)
    subprocess.run([LIFEGEN, path], input=text.encode(), check=True)


def json_of(path, *args):
    done = subprocess.run([KYMO, "report", "--latency", "--json", "-i", path, *args],
                          capture_output=True, check=True)
    return json.loads(done.stdout)


def overlap(a, b, c, d):
    return max(0, min(b, d) - max(a, c))


def expected(records):
    """Every span with every wait of its thread, by the span's number."""
    lives, sums = collections.defaultdict(list), collections.defaultdict(collections.Counter)
    for _, at, tid, off, runq, on, _, reason in (r for r in records if r[0] == "s"):
        lives[tid].append((at, at - runq, at - off, at - off - on, REASONS[reason]))
    for _, end, tid, took, nr in (r for r in records if r[0] == "c"):
        start, to = end - took, sums[nr]
        told = collections.Counter()
        for at, ready, off, begin, reason in lives[tid]:
            if begin >= end or at <= start:
                continue
            told["runq"] += overlap(ready, at, start, end)
            told["on_cpu"] += overlap(begin, off, start, end)
            told[reason] += overlap(off, ready, start, end)
        told["unexplained"] = took - sum(told.values())
        to.update(told)
        to["wall"] += took
        to["spans"] += 1
    return sums


def told(row):
    sums = collections.Counter(wall=row["wall_ns"], spans=row["spans"])
    for name in ("runq", "on_cpu", "unexplained"):
        sums[name] = row["ns"][name]
    for wait in row["blocked"]:
        sums[wait["reason"]] += wait["ns"]
    return +sums


def wrong_sums(row):
    """Parts that are not the wall clock, or stacks that are not their wait, time or number."""
    if sum(row["ns"].values()) != row["wall_ns"]:
        yield f"{row['keys']}: {sum(row['ns'].values())} of {row['wall_ns']}"
    for wait in row["blocked"]:
        ns = sum(s["ns"] for s in wait["stacks"])
        count = sum(s["count"] for s in wait["stacks"])
        if (ns, count) != (wait["ns"], wait["count"]):
            yield f"{row['keys']}: {wait['reason']}: {ns} of {wait['ns']}, {count} times"


def compare(name, path, records):
    make(path, records)
    for by in "none", "nr":
        answer = json_of(path, "-e", "call", "--by", by)
        want = expected(records if by == "nr" else
                        [r[:4] + (0,) if r[0] == "c" else r for r in records])
        wrong = [w for row in answer["rows"] for w in wrong_sums(row)]
        for row in answer["rows"]:
            nr = row["keys"].get("nr", 0)
            if told(row) != +want[nr]:
                wrong.append(f"{nr}: {dict(told(row))} is {dict(+want[nr])}")
        wrong += ["rows are missing"] if len(answer["rows"]) != len(want) else []
        check(f"{name}, by {by}: the same as span by span", not wrong, *wrong[:9])


def conserve(name, path, records, *args):
    """Where it is not said what is true, all is still told once."""
    make(path, records)
    answer = json_of(path, *args)
    wrong = [w for row in answer["rows"] for w in wrong_sums(row)]
    calls = [r for r in records if r[0] == "c"]
    if args and answer["total"]["wall_ns"] != sum(r[3] for r in calls):
        wrong.append(f"{answer['total']['wall_ns']} in all")
    check(f"{name}: it adds up", not wrong and answer["rows"], *wrong[:9])


def many_threads(path, n):
    """One record each."""
    records = [life(i, 1 + i) for i in range(n)]
    make(path, records)
    answer = json_of(path, "--by", "tid")
    check("a thread for each record has its own row", len(answer["rows"]) == n and
          all(r["wall_ns"] == 90 for r in answer["rows"]))
    answer = json_of(path, "--by", "none")
    check("and all of them are the whole", answer["total"]["wall_ns"] == 90 * n and
          answer["total"]["threads"] == n)


def too_many_threads(path, n):
    """More than there can be rows."""
    make(path, [r for i in range(n) for r in
                (life(i, 1 + i), call(START + 100 * i + 85, 60, 1 + i))])
    for args, wall in (("--by", "tid"), 90), (("-e", "call", "--by", "tid"), 60):
        answer = json_of(path, *args)
        rows = {r["keys"]["tid"]: r for r in answer["rows"]}
        wrong = [w for row in answer["rows"] for w in wrong_sums(row)]
        rest = n + 1 - len(rows)
        if rest != answer["remarks"]["more_groups"] or len(rows) == n:
            wrong.append(f"{len(rows)} rows, and {answer['remarks']['more_groups']}")
        elif rows[None]["threads"] != rest or rows[None]["wall_ns"] != wall * rest:
            wrong.append(f"{rows[None]}")
        if answer["total"]["wall_ns"] != wall * n:
            wrong.append(f"{answer['total']['wall_ns']} in all")
        check(f"{' '.join(args)}: the last row is of all for which there is none", not wrong,
              *wrong[:9])
    text = subprocess.check_output([KYMO, "report", "--latency", "-i", path])
    check("and text says so", b"rows more are one: (more)" in text)


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "odd.kymo")
        compare("spans that are all open at once", path, all_open(600))
        compare("spans over a quarter of the trace", path, nested(600))
        compare("spans longer than the trace", path, long(600))
        compare("spans that are rows", path, rows(600))
        compare("spans that nobody tells of", path, silent(600))
        conserve("clocks that jump", path, jumping(20000), "-e", "call")
        conserve("threads whose clocks jump", path, jumping(20000))
        conserve("20,000 spans open at once", path, all_open(20000), "-e", "call")
        many_threads(path, 20000)
        too_many_threads(path, 70000)
    finish()


main()
