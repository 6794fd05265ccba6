#!/usr/bin/env python3
"""Graphs of waits: wakers and chains of them, all time of threads, waits for work.

The lines are made a second time, from `kymo script --json`, in another way: with all
records in memory.
"""
import collections
import json
import os
import re
import subprocess
import tempfile

KYMO = os.environ["KYMO"]
BUILD = os.environ["BUILD"]
ENTRY = re.compile("asm_(common_interrupt|sysvec_|exc_)")
CONTEXTS = {1: "[softirq]", 2: "[irq]", 3: "[nmi]"}
n = 0


def result(ok, name, why=""):
    global n
    n += 1
    print("%sok %d - %s" % ("" if ok else "not ", n, name))
    if not ok:
        for line in str(why).splitlines()[:8]:
            print("# " + line[:300])


def kymo(*args, status=0, **kw):
    done = subprocess.run([KYMO, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)
    assert done.returncode == status, (args, done.returncode, done.stderr)
    return done.stdout.decode(), done.stderr.decode()


def folded(trace, *args):
    counts = {}
    for line in kymo("flamegraph", "--folded", "-i", trace, *args)[0].splitlines():
        stack, _, count = line.rpartition(" ")
        assert stack not in counts, "twice: " + stack
        counts[stack] = int(count)
    return counts


def ns(text):
    seconds, _, rest = str(text).partition(".")
    return int(seconds) * 10**9 + int(rest.ljust(9, "0"))


def read(trace):
    """Records with their stacks as lists, outermost function first."""
    text = kymo("script", "-e", "sched", "--json", "-i", trace)[0]
    records = []
    for line in text.splitlines():
        # A decimal would lose digits as a float.
        r = json.loads(line, parse_float=str)
        f = r["fields"]
        time = ns(r["time"])
        waker, _, tid = (f["waker"] or "[unknown]:0").rpartition(":")
        records.append({
            "comm": r["comm"], "tid": r["tid"], "time": time, "wait": f["offcpu"],
            "from": time - f["offcpu"], "until": time - f["runq"], "runq": f["runq"],
            "oncpu": f["oncpu"], "skipped": f["skipped"], "idle": f["idle"], "cpu": r["cpu"],
            "stack": [x["symbol"] for x in reversed(r["stack"])],
            "kernel": [x["module"].startswith("[kernel") for x in reversed(r["stack"])],
            "waker": waker, "waker_tid": int(tid), "context": f["waker_context"],
            "waker_stack": [x["symbol"] for x in reversed(r.get("waker_stack", []))],
        })
    return records


def waker_of(r):
    """(innermost function first, name, whether it is a thread)"""
    stack = r["waker_stack"][::-1]
    if r["waker"] == "[unknown]" and not r["context"]:
        return None
    if r["context"]:
        for i, name in enumerate(stack):
            if ENTRY.match(name):
                return stack[:i + 1], CONTEXTS[r["context"]], False
    return stack, r["waker"], not r["waker"].startswith("swapper")


class Story:
    def __init__(self, records):
        self.records = records
        self.waits = collections.defaultdict(list)
        for r in records:
            if waker_of(r) or r["until"] > r["from"]:
                self.waits[r["tid"]].append(r)

    def hop(self, r, left):
        by = waker_of(r)
        if not left or not by:
            return []
        stack, name, is_thread = by
        line = ["--"] + stack + [name]
        if is_thread:
            before = [x for x in self.waits[r["waker_tid"]] if x["until"] <= r["until"]]
            last = max(before, key=lambda x: x["until"], default=None)
            if last and last["until"] > r["from"]:
                line += self.hop(last, left - 1)
        return line

    def fold(self, hops, idle=False, width=lambda r: r["wait"]):
        counts = collections.Counter()
        for r in self.records:
            if width(r) and (idle or not r["idle"]):
                counts[";".join([r["comm"]] + r["stack"] + self.hop(r, hops))] += width(r)
        return dict(counts)


def differ(got, want):
    keys = [k for k in sorted(set(got) | set(want)) if got.get(k) != want.get(k)]
    return "%d lines, wanted %d\n" % (len(got), len(want)) + "\n".join(
        "%s: %s, wanted %s" % (k, got.get(k), want.get(k)) for k in keys[:3])


def check_hops(story, trace):
    for hops in 0, 1, 2, 4:
        got, want = folded(trace, "-e", "offcpu", "--hops", str(hops)), story.fold(hops)
        result(got == want and len(got) > 20, "%d hops" % hops, differ(got, want))
    got, want = folded(trace, "-e", "offcpu", "--hops", "1", "--idle"), story.fold(1, True)
    result(got == want, "one hop, with those who wait for work", differ(got, want))
    got = folded(trace, "-e", "blocked", "--hops", "3")
    want = story.fold(3, width=lambda r: r["wait"] - r["runq"])
    result(got == want, "chains of a part with times of its own", differ(got, want))
    got = folded(trace, "--hops", "3")
    want = story.fold(3)
    result(got == want, "without -e it is the event that has wakers", differ(got, want))
    shares = [sum(folded(trace, "-e", "blocked", "--hops", str(h)).values()) for h in (0, 1, 5)]
    result(len(set(shares)) == 1, "hops take nothing away", shares)
    only = {k: v for k, v in story.fold(3).items() if k.startswith("web;")}
    got = folded(trace, "-e", "offcpu", "--hops", "3", "--comm", "web")
    result(got == only, "wakers of chains need not be among those asked for", differ(got, only))


def check_wall(records, trace):
    names = (("on_CPU", lambda r: r["oncpu"]), ("waiting_for_a_CPU", lambda r: r["runq"]),
             ("blocked", lambda r: r["wait"] - r["runq"]), ("short_waits", lambda r: r["skipped"]))
    want = collections.Counter()
    for r in records:
        for name, value in names:
            if value(r):
                want[";".join([r["comm"], name] + r["stack"])] += value(r)
    got = folded(trace, "--wall", "--idle")
    result(got == dict(want), "all time of threads", differ(got, want))
    hidden = sum(r["wait"] - r["runq"] for r in records if r["idle"])
    result(sum(folded(trace, "--wall").values()) == sum(want.values()) - hidden,
           "without waiting for work")
    middle = folded(trace, "--wall", "--idle", "--time", "40%,60%")
    result(0.1 * sum(want.values()) < sum(middle.values()) < 0.3 * sum(want.values()),
           "of a time range, about its share", (sum(middle.values()), sum(want.values())))
    pieces = [sum(folded(trace, "--wall", "--idle", "--time", t).values())
              for t in (",30%", "30%,70%", "70%,")]
    result(abs(sum(pieces) - sum(want.values())) < 1e-4 * sum(want.values()),
           "ranges add up to the whole", (pieces, sum(want.values())))


def check_said(records, trace):
    hidden = sum(r["wait"] for r in records if r["idle"]) / 1e9
    said = kymo("flamegraph", "--folded", "-e", "offcpu", "-i", trace)[1]
    m = re.search(r"([\d.]+) s of waiting for work hidden \(--idle shows it\)", said)
    result(m and abs(float(m.group(1)) - hidden) < 0.01 * hidden, "what is hidden is told", said)
    svg = kymo("flamegraph", "-e", "offcpu", "-i", trace)[0]
    result(m and m.group(0) in svg, "in the picture, too")
    said = kymo("flamegraph", "--folded", "-e", "offcpu", "--of", "1", "-i", trace)[1]
    result("%s waits for work hidden" % format(sum(bool(r["idle"] and r["wait"])
           for r in records), ",") in said, "as a number of waits", said)
    said = kymo("flamegraph", "--folded", "-e", "runq", "-i", trace)[1]
    result("hidden" not in said, "nobody waits for a CPU in idleness", said)


def check_forms(records, trace):
    got = folded(trace, "-e", "offcpu", "-d", "--kernel")
    both = [k for k in got if ";-;" in k]
    result(both and all(not re.search(r"_\[k\]$|_\[k\];", k.split(";-;")[0]) and
                        all(f.endswith("_[k]") for f in k.split(";-;")[1].split(";"))
                        for k in both), "-d stands between program and kernel", both[:2])
    by_cpu = collections.Counter()
    for r in records:
        if r["wait"] and not r["idle"]:
            by_cpu["CPU_%d;%s" % (r["cpu"], r["comm"])] += r["wait"]
    got = collections.Counter()
    for k, v in folded(trace, "-e", "offcpu", "--by", "cpu,comm").items():
        got[";".join(k.split(";")[:2])] += v
    result(got == by_cpu, "levels of CPUs and names", differ(got, by_cpu))
    got = folded(trace, "-e", "offcpu,oncpu", "--idle")
    sums = {e: sum(v for k, v in got.items() if k.startswith(e + ";")) for e in ("offcpu", "oncpu")}
    result(sums == {"offcpu": sum(r["wait"] for r in records),
                    "oncpu": sum(r["oncpu"] for r in records)},
           "two events of one unit stand side by side", sums)
    got = folded(trace, "-e", "blocked", "--by", "reason")
    result({"DISK", "FUTEX"} <= {k.split(";")[0] for k in got}, "by a field", list(got)[:2])


def check_errors(trace, folder):
    none = os.path.join(folder, "none.kymo")
    subprocess.run([os.path.join(BUILD, "tests", "tracegen"), "100", none], check=True)
    bare = os.path.join(folder, "bare.kymo")
    subprocess.run([os.path.join(BUILD, "tests", "schedgen"), "200", bare, "--no-stacks"],
                   check=True)
    for args, want in (
            (("-i", bare, "--hops", "1"), r"record without --no-stack"),
            (("-i", bare, "--hops", "2", "-e", "offcpu"), r"record without --no-stack"),
            (("-i", none, "--hops", "1"), r"tells who woke, with a stack: --hops needs"),
            (("-i", none, "-e", "cpu-clock", "--hops", "1"), r"'cpu-clock' does not tell who woke"),
            (("-i", none, "--wall"), r"--wall needs: record with -e sched"),
            (("-i", trace, "-e", "oncpu", "--hops", "1"), r"'oncpu' does not tell who woke"),
            (("-i", trace, "--hops", "16"), r"number of wakeups"),
            (("-i", trace, "--hops", "1", "--reverse"), r"--hops has no meaning with --reverse"),
            (("-i", trace, "--wall", "--of", "1"), r"--wall sums up time"),
            (("-i", trace, "--by", "comm,,cpu"), r"a key is empty")):
        said = kymo("flamegraph", *args, status=2)[1]
        result(re.search(want, said) and len(said.splitlines()) == 1, "said of " + " ".join(
            a for a in args if not a.startswith("/")), said)
    said = kymo("flamegraph", "-i", none, "-e", "offcpu", status=1)[1]
    result("record with -e sched" in said, "what to record for offcpu", said)


def check_pipe(trace):
    with open(trace, "rb") as f:
        data = f.read()
    for args in (("-e", "offcpu", "--hops", "3"), ("--wall",), ("-e", "offcpu,oncpu")):
        piped = subprocess.run([KYMO, "flamegraph", "--folded", "-i", "-", *args], input=data,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        want = kymo("flamegraph", "--folded", "-i", trace, *args)[0]
        result(len(piped.splitlines()) > 10 and
               sum(int(x.rpartition(b" ")[2]) for x in piped.splitlines()) ==
               sum(int(x.rpartition(" ")[2]) for x in want.splitlines()),
               "from a pipe: " + " ".join(args))


with tempfile.TemporaryDirectory() as scratch:
    path = os.path.join(scratch, "sched.kymo")
    subprocess.run([os.path.join(BUILD, "tests", "schedgen"), "20000", path, "--lose", "50"],
                   check=True)
    all_records = read(path)
    check_hops(Story(all_records), path)
    check_wall(all_records, path)
    check_said(all_records, path)
    check_forms(all_records, path)
    check_errors(path, scratch)
    check_pipe(path)
print("1..%d" % n)
