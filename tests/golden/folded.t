#!/usr/bin/env python3
"""Folded stacks equal what stackcollapse-perf.pl makes of `kymo script`.

The rules of that script are written down here a second time, from its
behaviour.  Where FLAMEGRAPH_DIR names a folder with the script itself, it is
run, too.
"""
import collections
import os
import re
import subprocess
import tempfile

KYMO = os.environ["KYMO"]
BUILD = os.environ["BUILD"]
GOLDEN = os.path.dirname(os.path.abspath(__file__))
n = 0


def result(ok, name, why=""):
    global n
    n += 1
    print("%sok %d - %s" % ("" if ok else "not ", n, name))
    if not ok:
        for line in why.splitlines()[:8]:
            print("# " + line[:300])


def kymo(*args):
    return subprocess.run([KYMO, *args], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


def tidy(name, module, comm, kernel, jit):
    if name == "[unknown]":
        name = "[%s]" % module.rsplit("/", 1)[-1] if module != "[unknown]" else name
    name = name.replace(";", ":")
    if not re.search(r"\.\(.*\)\.", name):
        name = re.sub(r"\((?!anonymous namespace\)).*", "", name)
    name = name.replace('"', "").replace("'", "")
    if comm.startswith("java") and "/" in name:
        name = re.sub("^L", "", name)
    if module == "[jit]" or re.search(r"/tmp/perf-\d+\.map", module):
        return name + "_[j]" if jit else name
    if kernel and re.search(r"^\[|vmlinux$", module) and "unknown" not in module:
        return name + "_[k]"
    return name


def fold(text, by="comm", kernel=False, jit=False):
    """What kymo documents: all frames are kept, and a comm has no semicolon."""
    counts = collections.Counter()
    only = None
    # Records of events without stacks are lines of their own, with no empty line after them.
    text = re.sub(r"\n(?=[^\t\n].*\s\[\d+\]\s+[\d.]+:)", "\n\n", text)
    for sample in re.split(r"\n\n+", text):
        lines = sample.split("\n")
        head = re.match(r"(.+?)\s+(\d+)/(\d+)\s+\[\d+\]\s+[\d.]+:\s+(?:\d+ )?(.*?):( |$)", lines[0])
        if not head:
            continue
        comm, pid, tid, event = head.group(1, 2, 3, 4)
        only = only or event
        if event != only:
            continue
        label = comm.replace(";", ":").replace(" ", "_")
        label += {"comm": "", "pid": "-" + pid, "tid": "-%s/%s" % (pid, tid)}[by]
        stack = []
        for line in lines[1:]:
            frame = re.match(r"\s*(\w+) (.+?)(?:\+0x[\da-f]+)? \((.*)\)$", line)
            stack.insert(0, tidy(frame.group(2), frame.group(3), comm, kernel, jit))
        counts[";".join([label] + stack)] += 1
    keys = sorted(counts, key=lambda k: k.encode())
    return "".join("%s %d\n" % (k, counts[k]) for k in keys)


def check(name, trace):
    text = kymo("script", "-F", "+pid", "-i", trace)
    for by, marks in (("comm", []), ("pid", ["--kernel"]), ("tid", ["--kernel", "--jit"])):
        got = kymo("flamegraph", "--folded", "--by", by, *marks, "-i", trace).decode()
        want = fold(text.decode(), by, "--kernel" in marks, "--jit" in marks)
        a, b = got.splitlines(), want.splitlines()
        first = next(((x, y) for x, y in zip(a, b) if x != y), ("", ""))
        result(got == want and got, "%s by %s %s" % (name, by, " ".join(marks)),
               "%d lines, wanted %d\n%s\n%s" % (len(a), len(b), *first))
        lines = [x.rpartition(" ")[0] for x in a]
        result(lines == sorted(lines, key=lambda k: k.encode()) and len(set(lines)) == len(lines),
               "%s by %s: sorted, each stack once" % (name, by))
    return text


def check_original(name, text, trace):
    script = os.path.join(os.environ.get("FLAMEGRAPH_DIR", "/nonexistent"),
                          "stackcollapse-perf.pl")
    if not os.path.exists(script):
        result(True, "%s # skip FLAMEGRAPH_DIR names no folder with stackcollapse-perf.pl" % name)
        return
    text = kymo("script", "-F", "-period", "-i", trace)
    want = subprocess.run(["perl", script], input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, env={"LC_ALL": "C"}).stdout
    result(want == kymo("flamegraph", "--folded", "-i", trace), name)


with tempfile.TemporaryDirectory() as scratch:
    plain = os.path.join(scratch, "plain.kymo")
    hostile = os.path.join(scratch, "hostile.kymo")
    gen = os.path.join(BUILD, "tests", "tracegen")
    subprocess.run([gen, "5000", plain, "--stacks", "200"], check=True)
    subprocess.run([gen, "1000", hostile, "--stacks", "100", "--hostile"], check=True)
    text = check("5,000 samples", plain)
    check_original("5,000 samples, against the original", text, plain)
    check("hostile names", hostile)
    check("the golden trace", os.path.join(GOLDEN, "first.kymo"))
    total = sum(int(x.rpartition(b" ")[2]) for x in
                kymo("flamegraph", "--folded", "-i", plain).splitlines())
    result(total == 5000, "every sample is counted once", str(total))
    weight = sum(int(x.rpartition(b" ")[2]) for x in
                 kymo("flamegraph", "--folded", "--weight", "-i", plain).splitlines())
    periods = sum(int(x.split(b",")[1]) for x in
                  kymo("script", "--csv", "-F", "cpu,period", "-i", plain).splitlines()[1:])
    result(weight == periods, "weights are summed", "%d, not %d" % (weight, periods))
print("1..%d" % n)
