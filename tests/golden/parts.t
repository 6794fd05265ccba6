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

GOLDEN = "tests/golden/parts.kymo"
PARTS = "offcpu", "blocked", "runq", "oncpu", "wakeup", "switch"
START_NS = 7000000000

results = []


def check(name, good, *comments):
    results.append((name, good, comments))


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
        folded = run("flamegraph", "-i", GOLDEN, "-e", part, "--folded", "-o", "-")[1]
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


def check_together():
    """The rest of a record may be the start or the end of a span."""
    found = scripted("-i", GOLDEN, "-e", "offcpu,runq..switch@tid as turn")
    check("beside spans", len(found["offcpu"]) == len(EXPECTED["offcpu"]), repr(found))
    check("and spans of parts", len(found["turn"]) == len(EXPECTED["runq"]), repr(found["turn"]))
    said = run("hist", "-i", GOLDEN, "-i", GOLDEN, "-e", "runq", "--json")[1]
    check("parts of several files", said.count('"samples": 11') == 2, said)


def main():
    check_records()
    check_names()
    check_time()
    check_filters()
    check_views()
    check_together()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.kymo")
        subprocess.run([os.path.join(BUILD, "tests/partgen"), path], check=True)
        with open(path, "rb") as f:
            check("the generator still writes that trace", f.read() == DATA)
    print(f"1..{len(results)}")
    for i, (name, good, comments) in enumerate(results, 1):
        print(f"{'' if good else 'not '}ok {i} - {name}")
        for comment in comments if not good else ():
            print(f"# {comment}")


main()
