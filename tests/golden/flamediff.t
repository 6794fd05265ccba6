#!/usr/bin/env python3
"""Differences of two traces whose stacks are known: lines, widths, colours, words."""
import collections
import os
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ET

KYMO = os.environ["KYMO"]
BUILD = os.environ["BUILD"]
SVG = "{http://www.w3.org/2000/svg}"
n = 0

BASE = """\
server;main;serve;read_request;k:read;k:tcp_recvmsg 300
server;main;serve;parse;json_parse 500
server;main;serve;parse;json_parse;utf8_check 200
server;main;serve;query;btree_find;k:pread;k:wait_on_page 1500
server;main;serve;query;btree_find;compare_keys 900
server;main;serve;query;plan;old_planner;estimate_rows 400
server;main;serve;query;plan;old_planner;join_order 300
server;main;serve;reply;deflate 800
server;main;gc;mark 350
worker;start;loop;hash 600
cron;main;k:exec 4
"""
NEW = """\
server;main;serve;read_request;k:read;k:tcp_recvmsg 602
server;main;serve;parse;json_parse 600
server;main;serve;parse;simd_parse 360
server;main;serve;parse;json_parse;utf8_check 406
server;main;serve;query;btree_find;k:pread;k:wait_on_page 5200
server;main;serve;query;btree_find;compare_keys 1820
server;main;serve;query;plan;new_planner;estimate_rows 180
server;main;serve;reply;deflate 800
server;main;gc;mark 840
worker;start;loop;hash 1200
"""


def result(ok, name, why=""):
    global n
    n += 1
    print("%sok %d - %s" % ("" if ok else "not ", n, name))
    if not ok:
        for line in str(why).splitlines()[:8]:
            print("# " + line[:300])


def run(*args, status=0, **kw):
    done = subprocess.run([KYMO, "flamegraph", *args], capture_output=True, check=False, **kw)
    if status is not None and done.returncode != status:
        result(False, "exit status %d of %s" % (status, " ".join(args)),
               "%d %s" % (done.returncode, done.stderr.decode()))
    return done.stdout.decode(), done.stderr.decode()


def make(name, text, length_ms, *args):
    path = os.path.join(folder, name)
    subprocess.run([os.path.join(BUILD, "tests/foldgen"), path, str(length_ms), *args],
                   input=text.encode(), check=True)
    return path


def counts(text):
    found = collections.Counter()
    for line in text.splitlines():
        stack, _, count = line.replace("k:", "").rpartition(" ")
        found[tuple(stack.split(";"))] += int(count)
    return found


def totals(lines):
    found = collections.Counter()
    for stack, count in lines.items():
        for i in range(len(stack) + 1):
            found[stack[:i]] += count
    return found


def lines_of(base, new):
    """What --folded should say."""
    rows = ["%s %d %d" % (";".join(s), base[s], new[s]) for s in set(base) | set(new)]
    return sorted(rows, key=lambda r: r.rpartition(" ")[0].rpartition(" ")[0].encode())


Box = collections.namedtuple("Box", "path x w cls mark tip section")


def boxes(svg, section_names):
    """Each with its path from the root; sections are no part of it."""
    root = ET.fromstring(svg)
    rows = [g for g in root.iter(SVG + "g") if g.get("id") == "f"][0]
    above, found = [], []
    for depth, row in enumerate(rows):
        here = []
        for rect in row:
            name, _, tip = rect[0].text.rpartition("\n")
            x, w = int(rect.get("x")), int(rect.get("width"))
            held = [p for p in above if p.x <= x and x + w <= p.x + p.w]
            result_ok = not depth or len(held) == 1
            if not result_ok:
                result(False, "box %s stands on one box" % name, held)
            path, section = (held[0].path, held[0].section) if depth else ((), None)
            if depth == 1 and name in section_names:
                section = name
            elif depth:
                path = path + (name,)
            box = Box(path, x, w, rect.get("class"), rect.get("data-mark") or "", tip, section)
            here.append(box)
        for a, b in zip(here, here[1:]):
            if a.x + a.w > b.x:
                result(False, "boxes of a row stand apart", "%s %s" % (a, b))
        found += here
        above = here
    return found


def shade(base, new, whole):
    """The class of a box that both have."""
    share = 100 * abs(new - base) / whole
    if share < 0.1:
        return "same", ""
    step = 1 + sum(share >= limit for limit in (0.5, 2, 5))
    return ("up%d" % step, "▲") if new > base else ("dn%d" % step, "▼")


def look(base, new, whole):
    if not base:
        return "new", "+"
    if not new:
        return "gone", "×"
    return shade(base, new, whole)


def check_folded():
    base, new = counts(BASE), counts(NEW)
    args = ("--folded", "--diff", base_file, "-i", new_file)
    result(run(*args)[0].splitlines() == lines_of(base, new), "folded: both columns as recorded",
           run(*args)[0])
    by_time = collections.Counter({s: 2 * c for s, c in base.items()})
    result(run(*args, "--normalize", "time")[0].splitlines() == lines_of(by_time, new),
           "folded: by time, the base counts twice")
    factor = sum(new.values()) / sum(base.values())
    by_total = collections.Counter({s: int(c * factor + 0.5) for s, c in base.items()})
    result(run(*args, "--normalize", "total")[0].splitlines() == lines_of(by_total, new),
           "folded: by total, both sums are the same")
    back = run("--folded", "--diff", new_file, "-i", base_file, "--normalize", "time")[0]
    result("cron;main;exec 0 4" in back and "server;main;gc;mark 420 350" in back,
           "folded: the other way round")
    rare = run("--folded", "--diff", make("long.kymo", "a;b 1\n", 100000), "-i", new_file,
               "--normalize", "time")[0]
    result("a;b 1 0\n" in rare, "folded: what is scaled down does not vanish", rare)
    merged = run("--folded", "--diff", base_file, "-i", new_file, "--by", "none")[0]
    result("main;exec 4 0\n" in merged, "folded: --by none has no level for threads")
    with open(new_file, "rb") as f:
        piped = run("--folded", "--diff", base_file, "-i", "-", stdin=f)[0]
    result(piped == run(*args)[0], "folded: the new trace may come from a pipe")


def check_graph(name, main, args):
    """All boxes against what the two texts say."""
    base = totals(collections.Counter({s: 2 * c for s, c in counts(BASE).items()}))
    new = totals(counts(NEW))
    mine, other = (new, base) if main == "new" else (base, new)
    only = "only in the base" if main == "new" else "only in the new trace"
    whole_name = "all of the new trace" if main == "new" else "all of the base"
    whole = max(base[()], new[()])
    gone = {p: c for p, c in other.items() if not mine[p] and (mine[p[:-1]] or not p)}
    svg, _ = run("--diff", base_file, "-i", new_file, "--minwidth", "0", *args)
    found = boxes(svg, (only, whole_name))
    grid = found[0].w / (mine[()] + sum(gone.values()))
    drawn = {b.path: b for b in found if b.section == whole_name}
    result(set(drawn) == set(p for p in mine if mine[p]), name + ": a box for each node",
           set(drawn) ^ set(mine))
    result(all(abs(b.w - grid * mine[p]) <= 1.5 for p, b in drawn.items()),
           name + ": widths are its weights")
    looks = {p: look(base[p], new[p], whole) for p in drawn}
    result(all((b.cls, b.mark) == looks[p] for p, b in drawn.items()),
           name + ": colours and marks", [(b, looks[b.path]) for b in drawn.values()
                                          if (b.cls, b.mark) != looks[b.path]])
    aside = {b.path: b for b in found if b.section == only}
    below = totals(collections.Counter({p: c for p, c in gone.items()}))
    for path, box in aside.items():
        is_gone = not mine[path]
        want = other[path] if is_gone else below[path]
        if abs(box.w - grid * want) > 1.5 or (box.cls, box.mark) != (
                (("gone", "×") if main == "new" else ("new", "+")) if is_gone else ("way", "")):
            result(False, name + ": aside", "%s %s" % (box, want))
    want = set(p for p in other if not mine[p]) | set(p for p in below)
    result(set(aside) == want, name + ": what the other has alone stands aside",
           set(aside) ^ want)
    return {b.path: b for b in found if b.section == whole_name}, svg


def check_words(drawn, svg):
    wait = ("server", "main", "serve", "query", "btree_find", "pread", "wait_on_page")
    result(drawn[wait].tip == "new 5,200 samples (43.30 %), base 3,000 samples (24.98 %): "
           "+2,200 samples, +73.3 %", "tooltip: grown", drawn[wait].tip)
    deflate = ("server", "main", "serve", "reply", "deflate")
    result(drawn[deflate].tip == "new 800 samples (6.66 %), base 1,600 samples (13.32 %): "
           "−800 samples, −50.0 %", "tooltip: shrunk", drawn[deflate].tip)
    result("only in the new trace: 360 samples (3.00 %)" in svg, "tooltip: new")
    result("only in the base: 1,400 samples (11.66 %)" in svg, "tooltip: gone")
    result("leads to what is only in the base: 1,400 samples (11.66 %)" in svg,
           "tooltip: leads to what is gone")
    texts = [t.text or "" for t in ET.fromstring(svg).iter(SVG + "text")]
    result(any(t.startswith("per second of recording: base × 2 (20.0 s against 10.0 s)")
               for t in texts), "the subtitle says what was done", texts[:3])
    result("× only in the base: 1,408 samples (11.73 %)" in texts and
           "+ only in the new trace: 540 samples (4.50 %)" in texts,
           "what only one has is summed up", texts[-6:])
    result(any(t.startswith("base (× 2): 5,854 samples, 0 lost") for t in texts),
           "the quality of the base is told")
    factor = "%.4g" % (sum(counts(NEW).values()) / sum(counts(BASE).values()))
    total, _ = run("--diff", base_file, "-i", new_file, "--normalize", "total")
    none, _ = run("--diff", base_file, "-i", new_file, "--normalize", "none")
    result("shares of the whole: base × %s (" % factor in total and "as recorded: base × 1 (" in
           none, "--normalize total and none say so, too")


def check_same():
    svg, said = run("--diff", base_file, "-i", base_file)
    result({b.cls for b in boxes(svg, ())} == {"same"}, "a trace with itself is all grey")
    result("no difference" in said, "and it is said", said)
    moved = make("moved.kymo", BASE, 10000, "--shift", "900")
    svg, said = run("--diff", base_file, "-i", moved)
    result("no difference" in said and {b.cls for b in boxes(svg, ())} == {"same"},
           "other addresses, ids and paths are no difference", said)
    out, _ = run("--folded", "--diff", base_file, "-i", base_file)
    result(all(re.search(r" (\d+) \1$", line) for line in out.splitlines()),
           "and both columns are the same")


def check_reverse():
    svg, _ = run("--diff", base_file, "-i", new_file, "--minwidth", "0", "--reverse",
                 "--by", "comm")
    base, new = (totals(collections.Counter({s[:1] + s[:0:-1]: f * c for s, c in t.items()}))
                 for f, t in ((2, counts(BASE)), (1, counts(NEW))))
    drawn = {b.path: b for b in boxes(svg, ("all of the new trace", "only in the base"))
             if b.section == "all of the new trace"}
    whole = max(base[()], new[()])
    result(set(drawn) == set(new) and all((b.cls, b.mark) == look(base[p], new[p], whole)
                                          for p, b in drawn.items()),
           "--reverse: innermost functions stand next to the threads", set(drawn) ^ set(new))


def complaint(*args, status):
    out, said = run(*args, "-o", os.path.join(folder, "none.svg"), status=status)
    return said.strip()


def check_bad_input():
    junk = os.path.join(folder, "junk")
    with open(junk, "w", encoding="utf-8") as f:
        f.write("not a trace at all, but long enough to be looked at\n" * 20)
    said = complaint("--diff", junk, "-i", new_file, status=1)
    result("no base to compare with" in said and junk in said, "the base is no trace", said)
    said = complaint("--diff", os.path.join(folder, "nowhere"), "-i", new_file, status=1)
    result("nowhere" in said, "there is no base", said)
    cut = os.path.join(folder, "cut.kymo")
    with open(base_file, "rb") as f, open(cut, "wb") as to:
        to.write(f.read()[:-40])
    out, said = run("--folded", "--diff", cut, "-i", new_file, status=3)
    result("main" in out and "cut" in said, "a base that was cut is used, with exit status 3",
           said)
    out, said = run("--folded", "--diff", base_file, "-i", cut, status=3)
    result("main" in out and "cut" in said, "and so is a new trace", said)
    waits = make("waits.kymo", NEW, 20000, "--waits")
    said = complaint("--diff", waits, "-i", new_file, status=2)
    result("cpu-clock in samples" in said and "wait in ns" in said, "units differ", said)
    said = complaint("--diff", waits, "-i", new_file, "-e", "cpu-clock", status=1)
    result("no base to compare with" in said and "cpu-clock" in said,
           "the base lacks the event", said)
    svg, said = run("--diff", base_file, "-i", new_file, "--comm", "cron")
    result("so nothing of the base is left" in said and "gone" in svg, "an empty new trace", said)
    svg, said = run("--diff", new_file, "-i", base_file, "--comm", "cron")
    result("so all is new" in said and "class=\"new\"" in svg, "an empty base", said)
    svg, said = run("--diff", new_file, "-i", base_file, "--comm", "nobody")
    result(said.count("nothing to compare") == 2 and len(boxes(svg, ())) == 1,
           "two empty ones", said)
    for args, words in (
            (("--normalize", "time"), "--normalize has a meaning only with --diff"),
            (("--width-of", "base"), "--width-of has a meaning only with --diff"),
            (("--diff", base_file, "--normalize", "x"), "cannot normalize by 'x'"),
            (("--diff", base_file, "--width-of", "x"), "there is no width of 'x'"),
            (("--diff", base_file, "--folded", "--width-of", "base"), "no meaning with --folded"),
            (("--diff", "-", "-i", "-"), "only one of the two")):
        said = complaint(*args, status=2)
        result(words in said, "usage: " + " ".join(a for a in args if "/" not in a), said)


def check_waits():
    base = make("wait1.kymo", "a;b;c 1000000\na;b;d 3000000\n", 10000, "--waits")
    new = make("wait2.kymo", "a;b;c 4000000\na;b;d 6000000\n", 20000, "--waits", "--shift", "5")
    svg, _ = run("--diff", base, "-i", new, "--by", "none")
    tips = {b.path: b.tip for b in boxes(svg, ())}
    result(tips[("b", "c")] == "new 4.00 ms (40.00 %), base 2.00 ms (20.00 %): +2.00 ms, +100.0 %",
           "waits are compared in time", tips)
    svg, _ = run("--diff", base, "-i", new, "--by", "none", "--of", "1")
    tips = {b.path: b.tip for b in boxes(svg, ())}
    result(tips[("b", "c")].startswith("new 1 sample (25.00 %), base 2 samples (50.00 %)"),
           "or counted", tips)
    args = ("--folded", "--time", "20%,50%")
    alone = [counts(run(*args, "-i", f)[0]) for f in (base_file, new_file)]
    both, _ = run(*args, "--diff", base_file, "-i", new_file)
    result(both.splitlines() == lines_of(*alone) and sum(alone[1].values()) < 4000,
           "--time holds for both", both)
    svg, _ = run("--diff", base_file, "-i", new_file, "--time", "20%,50%")
    result("base × 2 (6.00 s against 3.00 s)" in svg, "and for how long was recorded")


folder = tempfile.mkdtemp()
try:
    base_file = make("base.kymo", BASE, 10000)
    new_file = make("new.kymo", NEW, 20000, "--shift", "77")
    check_folded()
    graph, picture = check_graph("width of new", "new", ())
    check_words(graph, picture)
    check_graph("width of base", "base", ("--width-of", "base"))
    check_same()
    check_reverse()
    check_waits()
    check_bad_input()
    print("1..%d" % n)
finally:
    shutil.rmtree(folder, ignore_errors=True)
