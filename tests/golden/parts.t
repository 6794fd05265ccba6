#!/usr/bin/env python3
"""Parts of events, as views have them and as the second reader does.

parts.kymo (tests/partgen) holds an event "sched" with parts; what belongs to a part is
asked of the reader written from kymo-format(5) alone.
"""

import collections
import json
import os
import subprocess
import sys
import tempfile

KYMO, BUILD = os.environ["KYMO"], os.environ["BUILD"]
sys.path.insert(0, "tests/reader")
import records as second  # noqa: E402
from tap import check, finish  # noqa: E402

GOLDEN = "tests/golden/parts.kymo"
PARTS = "offcpu", "blocked", "runq", "oncpu", "wakeup", "switch"
START_NS = 7000000000


def run(*args, **more):
    done = subprocess.run([KYMO, *args], capture_output=True, **more)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def scripted(*args, **more):
    """What kymo script says: {event: [record]}"""
    found = collections.defaultdict(list)
    for line in run("script", *args, "--json", **more)[1].splitlines():
        r = json.loads(line)
        found[r["event"]].append(r)
    return found


def brief(records):
    return sorted((r["time"], r["comm"], r["duration"]) for r in records)


def shown(records):
    """The same of kymo script."""
    return sorted((round(r["time"] * 1e9), r["comm"], r["fields"]["duration"]) for r in records)


EXPECTED = second.read(GOLDEN, parts=True)
with open(GOLDEN, "rb") as f:
    DATA = f.read()


def check_records():
    for part in PARTS[:-1]:
        there = brief(EXPECTED[part])
        found = scripted("-i", GOLDEN, "-e", part)
        check(f"{part}: the records of the second reader", shown(found[part]) == there,
              repr(found))
        check(f"{part}: and no others", list(found) == [part] and there, list(found))
        piped = scripted("-i", "-", "-e", part, input=DATA)
        check(f"{part}: the same through a pipe", piped == found, repr(piped))


def check_names():
    for words, wanted in ((), ["sched"]), (["-e", "*"], ["sched"]), (["-e", "**"], ["sched"]), \
            (["-e", "o*"], ["offcpu", "oncpu"]), (["-e", "sched,runq"], ["runq", "sched"]), \
            (["-e", "s*"], ["sched", "switch"]), (["-e", "*cpu"], ["offcpu", "oncpu"]):
        found = scripted("-i", GOLDEN, *words)
        check(f"{' '.join(words) or 'without -e'}: {', '.join(wanted)}",
              sorted(found) == wanted and
              all(len(found[e]) == len(EXPECTED[e]) for e in wanted), sorted(found))
    status, _, said = run("script", "-i", GOLDEN, "-e", "offcup")
    check("a wrong name: parts are among those there are",
          status == 1 and "sched, offcpu, blocked" in said, said)


def check_time():
    """Also records whose wholes stand in later blocks than the range."""
    for first, last in (0, 1000), (1000, 2000), (500, 30000), (40000, 205000), (0, 501), \
            (210000, 600000):
        said = f"{(START_NS + first * 1000) / 1e9:.6f},{(START_NS + last * 1000) / 1e9:.6f}"
        for part in PARTS[:-1]:
            wanted = [r for r in brief(EXPECTED[part])
                      if START_NS + first * 1000 <= r[0] < START_NS + (last + 1) * 1000]
            for words in ["-i", GOLDEN], ["-i", "-"]:
                found = scripted(*words, "-e", part, "--time", said, input=DATA)
                check(f"{part}: {first} to {last} us {words[-1]}", shown(found[part]) == wanted,
                      repr(shown(found[part])), repr(wanted))


def check_filters():
    for part, words, test in (
            ("wakeup", ["--comm", "server"], lambda r: r["comm"] == "server"),
            ("wakeup", ["--tid", "201"], lambda r: r["comm"] == "worker"),
            ("oncpu", ["--cpu", "1"], lambda r: r["cpu"] == 1),
            ("blocked", ["--filter", "duration > 15000000"], lambda r: r["duration"] > 15000000),
            ("runq", ["--filter", "reason == 2"], lambda r: r["reason"] == 2),
            ("runq", ["--filter", 'reason == "PIPE"'], lambda r: r["reason"] == 4),
            ("oncpu", ["--filter", 'edge != "START"'], lambda r: not r["edge"] & 1),
            ("blocked", ["--pid", "200"], lambda r: r["comm"] in ("server", "worker"))):
        wanted = brief(filter(test, EXPECTED[part]))
        found = shown(scripted("-i", GOLDEN, "-e", part, *words)[part])
        check(f"{part} {' '.join(words)}", found == wanted and wanted, repr(found), repr(wanted))


def check_views():
    for part in PARTS[:-1]:
        total = sum(r["duration"] for r in EXPECTED[part])
        nr = len(EXPECTED[part])
        hist = json.loads(run("hist", "-i", GOLDEN, "-e", part, "--json")[1])
        check(f"hist -e {part} counts them", str(nr) in json.dumps(hist), json.dumps(hist))
        folded = run("flamegraph", "-i", GOLDEN, "-e", part, "--idle", "--folded",
                     "-o", "-")[1]
        found = sum(int(line.rsplit(" ", 1)[1]) for line in folded.splitlines())
        check(f"flamegraph -e {part} sums them up", found == total, folded, str(total))
        status, drawn, said = run("heatmap", "-i", GOLDEN, "-e", part, "-o", "-")
        check(f"heatmap -e {part} draws them",
              status == 0 and drawn.rstrip().endswith("</svg>") and f"{nr} records" in said, said)
    status, said, _ = run("info", "-i", GOLDEN)
    check("info lists parts below their whole", status == 0 and
          said.index("  sched ") < said.index("15 records in those of sched: time, cpu") <
          said.index("14 records in those of sched: time, cpu"), said)
    listed = json.loads(run("info", "-i", GOLDEN, "--json")[1])["events"]
    check("and says so in JSON", [e.get("part_of") for e in listed] == [None] + 6 * ["sched"] and
          [e["records"] for e in listed] == [16] + [len(EXPECTED[p]) for p in PARTS],
          json.dumps(listed))


def check_script():
    """A waker and its stack, and durations under another name."""
    words = ["-i", GOLDEN, "-e", "offcpu", "--comm", "worker"]
    text = run("script", *words)[1]
    check("script: the waker's stack follows under a heading",
          "do_syscall_64+0x4 ([kernel.kallsyms])\n\n\t-- woken by swapper/0:0\n\t" in text and
          text.count("\t-- woken by") == 2 and text.count("waker_stack") == 0, text)
    check("script: there may be none", "waker=-" in text, text)
    found = scripted(*words)["offcpu"]
    check("script: JSON has its frames",
          [[f["symbol"] for f in r["waker_stack"]] for r in found if r["fields"]["waker"]] ==
          [["try_to_wake_up", "try_to_wake_up", "blk_mq_complete"]] * 2 and
          [r["fields"]["waker"] for r in found].count(None) == 2, json.dumps(found))
    alone = run("script", *words, "-F", "comm,waker_stack")[1]
    check("script: alone", "schedule" not in alone and
          alone.count("blk_mq_complete+0x4") == 2, alone)
    for form in [], ["--json"], ["--csv"]:
        flat = run("script", *words, "--no-stack", *form)[1]
        check("script: no stacks, a waker's neither " + "".join(form),
              "waker" in flat and "waker_stack" not in flat and "woken" not in flat and
              "try_to_wake_up" not in flat, flat)
    csv = run("script", *words, "--csv")[1]
    check("script: CSV likewise", csv.count('"blk_mq_complete;try_to_wake_up') == 2, csv)
    whole = run("script", "-i", GOLDEN, "-e", "sched", "-F", "tid,duration")[1]
    check("script: the duration of an event that calls it otherwise",
          whole.count("duration=") == 16 and "offcpu" not in whole, whole)
    one, two = (run("report", "-i", GOLDEN, "-e", e, "--by", "duration", "--csv",
                    "--filter", "duration > 1ms") for e in ("sched", "offcpu"))
    check("report: and in --by and --filter",
          one[1].replace("sched", "offcpu") == two[1] and two[1].count("\n") > 3,
          one[1], two[1])


def cut_at(records, first_ns, last_ns):
    """(sum of what lies in the range, spans that are cut, what is left out)"""
    inside = [r for r in records if first_ns <= r["time"] <= last_ns]
    off = [max(0, r["duration"] - (r["time"] - first_ns)) for r in inside]
    return sum(r["duration"] for r in inside) - sum(off), sum(x > 0 for x in off), sum(off)


def check_cut():
    """Sums have what lies in the time range; distributions have whole durations."""
    for part in "offcpu", "blocked", "oncpu", "runq":
        for first_us, last_us in (1100, 1700), (5000, 20000), (100000, 300000), (0, 600000):
            first_ns, last_ns = START_NS + first_us * 1000, START_NS + last_us * 1000 + 999
            said = f"{first_ns / 1e9:.6f},{last_ns // 1000 / 1e6:.6f}"
            total, nr, off = cut_at(EXPECTED[part], first_ns, last_ns)
            words = ["-i", GOLDEN, "-e", part, "--time", said]
            name = f"{part} from {first_us} to {last_us} us"
            report = json.loads(run("report", *words, "--sort", "comm", "--json")[1])
            rows = report["rows"]
            check(f"{name}: report", sum(t["weight"] for t in report["tables"]) == total and
                  sum(row["self"] for row in rows) == total and
                  report["quality"].get("cut_spans", 0) == nr and
                  report["quality"].get("cut_ns", 0) == off,
                  json.dumps(report), repr((total, nr, off)))
            whole = max([r["duration"] for r in EXPECTED[part]
                         if first_ns <= r["time"] <= last_ns], default=0)
            check(f"{name}: its greatest is a whole one",
                  max([row["max"] for row in rows], default=0) == whole, json.dumps(rows))
            _, folded, told = run("flamegraph", *words, "--idle", "--folded", "-o", "-")
            check(f"{name}: flamegraph",
                  sum(int(line.rsplit(" ", 1)[1]) for line in folded.splitlines()) == total,
                  folded, str(total))
            spans = f"{nr} span{'s' * (nr != 1)} cut at the start"
            check(f"{name}: and says so", (spans in told) == (nr > 0), told)
            hist = run("hist", *words, "--json")[1]
            check(f"{name}: hist has whole ones", "cut_spans" not in hist, hist)
    words = ["-i", GOLDEN, "-e", "offcpu", "--time", "7.1,7.3", "--json", "--sort", "comm"]
    one, two = run("report", *words), run("report", *words, "--of", "duration")
    check("the same if the duration is asked for", "cut_spans" in one[1] and one[1] == two[1])
    other = run("report", *words[:2], "-e", "sched", *words[4:], "--of", "runq")[1]
    check("another time is not cut", '"cut_spans"' not in other and '"runq"' in other, other)


def check_together():
    """The rest of a record may be the start or the end of a span."""
    found = scripted("-i", GOLDEN, "-e", "offcpu,runq..switch@tid as turn")
    check("beside spans", len(found["offcpu"]) == len(EXPECTED["offcpu"]), repr(found))
    check("and spans of parts", len(found["turn"]) == len(EXPECTED["runq"]), repr(found["turn"]))
    for part in PARTS[:-1]:
        status, _, said = run("report", "-i", "tests/golden/probes.kymo", "-e", part)
        check(part + " is missing: what to record", status == 1 and
              "no event '%s' in the trace: record with -e sched (it has: " % part in said, said)
    said = run("hist", "-i", GOLDEN, "-i", GOLDEN, "-e", "runq", "--json")[1]
    check("parts of several files", said.count('"samples": 11') == 2, said)


def main():
    check_records()
    check_names()
    check_time()
    check_filters()
    check_views()
    check_script()
    check_cut()
    check_together()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.kymo")
        subprocess.run([os.path.join(BUILD, "tests/partgen"), path], check=True)
        told = [subprocess.run([KYMO, "script", "--json", "-i", p], capture_output=True,
                               check=True).stdout for p in (path, GOLDEN)]
        check("the generator still writes that trace", told[0] and told[0] == told[1])
    finish()


main()
