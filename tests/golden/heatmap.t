#!/usr/bin/env python3
"""Every cell of a heat map has the records that `kymo script` prints, whatever they are."""
import bisect
import collections
import json
import os
import random
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ET
from fractions import Fraction

KYMO = os.environ["KYMO"]
TOOLS = os.path.join(os.environ["BUILD"], "tests")
SVG = "{http://www.w3.org/2000/svg}"
UNITS = {"": 1, "s": 10**9, "ms": 10**6, "us": 10**3, "K": 2**10, "M": 2**20, "G": 2**30}
scratch = tempfile.TemporaryDirectory()
n = 0


def result(ok, name, why=""):
    global n
    n += 1
    print("%sok %d - %s" % ("" if ok else "not ", n, name))
    if not ok:
        for line in str(why).splitlines()[:8]:
            print("# " + line[:300])


def run(*args, status=0, **kw):
    done = subprocess.run([KYMO, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False, **kw)
    if status is not None and done.returncode != status:
        raise AssertionError("%s: exit status %d: %s" % (args, done.returncode,
                                                         done.stderr.decode()))
    return done


def records(trace, *args):
    """With times in nanoseconds: the ones printed have all their digits."""
    found = []
    for line in run("script", "--json", "-i", trace, *args).stdout.decode().splitlines():
        r = json.loads(line, parse_float=str)
        seconds, _, rest = str(r["time"]).partition(".")
        r["ns"] = int(seconds) * 10**9 + int(rest.ljust(9, "0"))
        found.append(r)
    return found


class Picture:
    def __init__(self, trace, *args):
        self.svg = run("heatmap", "-i", trace, *args).stdout
        self.tree = ET.fromstring(self.svg)
        self.data = json.loads(self.tree.find(SVG + "metadata").text)
        first = records(trace, "--time", ",+0")
        self.start = min((r["ns"] for r in first), default=0)
        self.maps = [self.cells(m["cells"]) for m in self.data["maps"]]

    @staticmethod
    def cells(text):
        found, column = {}, 0
        for part in filter(None, text.split(";")):
            place, *rest = part.split(" ")
            column += int(place.split("/")[0])
            row = 0
            for cell in rest:
                up, _, amount = cell.partition("*")
                row += int(up)
                found[column, row] = int(amount or 1)
        return found

    def text(self):
        return "\n".join(t.text or "" for t in self.tree.iter(SVG + "text"))

    def time(self, text, is_end):
        seconds, _, rest = text.lstrip("+").partition(".")
        ns = int(seconds) * 10**9 + int(rest.ljust(9, "0") or 0)
        if is_end and len(rest) >= 6:
            ns += 10**(9 - len(rest)) - 1
        return ns + (self.start if text.startswith("+") else 0)

    def columns(self):
        x = self.data["x"]
        return [(self.time(a, False), self.time(b, True)) for a, b in zip(x["from"], x["to"])]

    def rows(self):
        """From and up to which values; None is no bound."""
        def value(term):
            found = re.fullmatch(r"\w+ (>=|<|<=) (-?\d+)(\w*)", term)
            return int(found.group(2)) * UNITS[found.group(3)] + (found.group(1) == "<=")
        y = self.data["y"]
        return [(value(a) if a else None, value(b) if b else None)
                for a, b in zip(y["from"], y["to"])]


def place(borders, v):
    """The one cell that holds it."""
    found = [i for i, (low, high) in enumerate(borders)
             if (low is None or v >= low) and (high is None or v < high)]
    if len(found) != 1:
        raise AssertionError("%d cells hold %d" % (len(found), v))
    return found[0]


class Places:
    def __init__(self, borders):
        self.borders = borders
        self.known = {}

    def __getitem__(self, v):
        if v not in self.known:
            self.known[v] = place(self.borders, v)
        return self.known[v]


def check_values(name, trace, event, field, *args, of=True):
    more = ("--of", field) if of else ()
    p = Picture(trace, "-e", event, *more, *args)
    choose = [a for a in args if a not in ("--log", "--linear")]
    for option in ("--width", "--height", "--range"):
        if option in choose:
            at = choose.index(option)
            del choose[at:at + 2]
    times = Places([(a, b + 1) for a, b in p.columns()])
    values = Places(p.rows())
    want = collections.Counter()
    for r in records(trace, "-e", event, *choose):
        v = r["fields"][field]
        if "--range" in args:
            low, high = args[args.index("--range") + 1].split(",")
            if v < int(low) or v > int(high):
                continue
        want[times[r["ns"]], values[v]] += 1
    result(dict(want) == p.maps[0] and want, "%s: every cell has its records" % name,
           list(set(want.items()) ^ set(p.maps[0].items()))[:8])
    rows, columns = len(p.data["y"]["from"]), len(p.data["x"]["from"])
    width = int(p.tree.get("data-width"))
    height = int(p.tree.get("data-height"))
    result(columns <= width / 4 and rows <= max(height / 4, 130) and len(p.svg) < 400000,
           "%s: cells are no smaller than 4 px, and the file is small" % name,
           "%d columns, %d rows, %d bytes" % (columns, rows, len(p.svg)))
    return p


def check_groups(trace):
    p = Picture(trace, "-e", "read", "--by", "comm", "--max-maps", "3")
    times = Places([(a, b + 1) for a, b in p.columns()])
    values = Places(p.rows())
    want = collections.defaultdict(collections.Counter)
    for r in records(trace, "-e", "read"):
        want[r["comm"]][times[r["ns"]], values[r["fields"]["duration"]]] += 1
    largest = sorted(want, key=lambda comm: (-sum(want[comm].values()), comm))[:3]
    result([m["filter"] for m in p.data["maps"]] == ['comm == "%s"' % c for c in largest],
           "--by: the largest groups", [m["filter"] for m in p.data["maps"]])
    result(all(dict(want[c]) == m for c, m in zip(largest, p.maps)),
           "--by: every cell of every map has its records")
    result("%d smaller maps not shown" % (len(want) - 3) in p.text(), "--by: how many more",
           p.text())


def check_subsecond(trace):
    p = Picture(trace, "-e", "read", "--subsecond")
    want = collections.Counter()
    for r in records(trace, "-e", "read"):
        ns = r["ns"] - p.start
        want[ns // 10**9, ns % 10**9 // 20000000] += 1
    result(dict(want) == p.maps[0], "--subsecond: every cell has its records")


def check_utilization(trace):
    p = Picture(trace, "-e", "blockio", "--utilization")
    columns = p.columns()
    starts = [a for a, _ in columns]
    covered = collections.Counter()
    known = records(trace, "-e", "blockio")
    ends = max(r["ns"] for r in known)
    begins = min(max(r["ns"] - r["fields"]["duration"], p.start) for r in known)
    for r in known:
        begin, end = max(r["ns"] - r["fields"]["duration"], p.start), r["ns"]
        for i in range(bisect.bisect_right(starts, begin) - 1, len(columns)):
            if columns[i][0] >= end:
                break
            part = min(end, columns[i][1] + 1) - max(begin, columns[i][0])
            covered[i, r["cpu"] if "cpu" in r else r["fields"]["cpu"]] += part
    wrong = []
    for (column, cpu), ns in covered.items():
        low, high = columns[column]
        share = 1000 * Fraction(ns, max(min(high + 1, ends) - max(low, begins), 1))
        if abs(p.maps[0].get((column, cpu), 0) - max(share, Fraction(ns > 0))) > 1:
            wrong.append((column, cpu, float(share), p.maps[0].get((column, cpu))))
    result(covered and not wrong and set(p.maps[0]) == {k for k in covered if covered[k]},
           "--utilization: every cell has its share", wrong[:5])


def check_tallies(spans, tallies):
    """The same run as spans and as tallies: the same counts by second and by value."""
    a, b = (Picture(t, "-e", "read") for t in (spans, tallies))
    want = collections.Counter()
    for r in records(tallies, "-e", "read"):
        want[r["ns"]] += r["fields"]["count"]
    got = collections.Counter()
    for (column, _), count in b.maps[0].items():
        got[column] += count
    times = Places([(x, y + 1) for x, y in b.columns()])
    result(collections.Counter({times[ns]: c for ns, c in want.items()}) == got,
           "tallies: columns have the hits of their intervals")
    by_value = [collections.Counter(), collections.Counter()]
    for sums, p in zip(by_value, (a, b)):
        for (_, row), count in p.maps[0].items():
            sums[p.data["y"]["from"][row]] += count
    result(by_value[0] == by_value[1], "tallies: as many of every value as of spans",
           list(set(by_value[0].items()) ^ set(by_value[1].items()))[:5])


def check_pipe(trace, *args):
    with open(trace, "rb") as f:
        piped = run("heatmap", "-i", "-", *args, stdin=f).stdout
    result(piped == run("heatmap", "-i", trace, *args).stdout, "from a pipe: %s" % " ".join(args))


def check_derived():
    """Spans made of raw records are drawn as those that were paired when recording."""
    both = os.path.join(scratch.name, "both")
    subprocess.run([os.path.join(TOOLS, "spangen"), "4000", both, "--as", "both"], check=True)
    text = "block:block_rq_issue..block:block_rq_complete@dev,sector as io"
    recorded, derived = (Picture(both, "-e", e) for e in ("blockio", text))
    result(recorded.maps == derived.maps and recorded.maps[0], "A..B@key: the same cells",
           "%s %s" % (recorded.data["maps"], derived.data["maps"]))
    result(derived.data["options"] == "-e '%s'" % text, "A..B@key: chosen by the same words",
           derived.data["options"])


def check_damage(trace):
    """What is left of a file is drawn, and the exit status tells."""
    with open(trace, "rb") as f:
        whole = f.read()
    path = os.path.join(scratch.name, "cut")
    for cut in (len(whole) // 2, len(whole) - 5):
        with open(path, "wb") as f:
            f.write(whole[:cut])
        done = run("heatmap", "-i", path, "-e", "read", status=None)
        text = "\n".join(t.text or "" for t in ET.fromstring(done.stdout).iter(SVG + "text"))
        result(done.returncode == 3 and "cut" in text, "a file cut at %d" % cut,
               "%d %s" % (done.returncode, text))
    random.seed(3)
    for i in range(40):
        broken = bytearray(whole)
        for _ in range(1 + i % 5):
            broken[random.randrange(64, len(broken))] ^= 1 << random.randrange(8)
        with open(path, "wb") as f:
            f.write(broken)
        kinds = [[], ["--subsecond"], ["--utilization"], ["--by", "comm"], ["--linear"]]
        done = run("heatmap", "-i", path, *kinds[i % len(kinds)], status=None)
        if done.returncode not in (0, 1, 2, 3) or (done.stdout and not ET.fromstring(done.stdout)):
            result(False, "damaged files", "%d %s" % (done.returncode, done.stderr))
            return
    result(True, "damaged files")


# --- odd traces --------------------------------------------------------------------

MOST = 2**64 - 1


def rows(name, lines):
    path = os.path.join(scratch.name, name)
    text = "".join(" ".join(map(str, line)) + "\n" for line in lines)
    subprocess.run([os.path.join(TOOLS, "rowgen"), path], input=text.encode(), check=True)
    return path


def check_odd():
    second = 10**9
    rng = random.Random(7)
    odd = {
        "one record": [(5 * second, 0, 1234, -5, 0.5)],
        "one value": [(5 * second + i * 10**6, 0, 77777, 3, 1) for i in range(500)],
        "nothing but 0": [(5 * second + i, 0, 0, 0, 0) for i in range(100)],
        "all of one time": [(5 * second, i % 4, 2**i, -2**i, i) for i in range(63)],
        "negative values": [(second * i, 0, i, rng.randint(-10**i, 10**i), 1)
                            for i in range(1, 18)],
        "a clock that jumps": [(t * second, 0, 10, 1, 1)
                               for t in (*range(1000, 1100), 10**9, *range(900, 950))],
        "times of all sizes": [(t, 1, 5, 5, 5) for t in
                               (0, 1, 2**32, 2**63 - 1, 2**63, MOST, 7, second)],
        "spans longer than the trace": [(100 * second + i, 2, 1000 * second, 1, 1)
                                        for i in range(50)] + [(100 * second, 2, MOST, 1, 1)],
        "values of all sizes": [(second + i, 0, v, (v + 2**63) % 2**64 - 2**63, v) for i, v in
                                enumerate([0, 1, 2**31, 2**62, 2**63 - 1, 2**63, MOST])],
        "no numbers": [(second + i, 3, 1, 1, v)
                       for i, v in enumerate(["nan", "inf", "-inf", "1e300", "-0", "2.5"])],
        "CPUs that cannot be": [(second + i * 1000, c, 500, 1, 1)
                                for i, c in enumerate([0, 4095, 4096, MOST])],
    }
    for name, lines in odd.items():
        trace = rows("odd", lines)
        for args in ([], ["--linear"], ["--of", "value"], ["--of", "value", "--log"],
                     ["--of", "load", "--log"], ["--subsecond"], ["--utilization"],
                     ["--by", "cpu"], ["--height", "60", "--width", "600"]):
            p = Picture(trace, *args)
            if "--utilization" in args:
                continue
            total = sum(sum(m.values()) for m in p.maps)
            if total != len(lines):
                result(False, "%s %s: nothing is missing" % (name, args), total)
                break
        else:
            result(True, "%s: nothing is missing" % name)
    check_values("negative values", rows("odd", odd["negative values"]), "row", "value")
    check_values("negative values, log", rows("odd", odd["negative values"]), "row", "value",
                 "--log")
    check_values("a clock that jumps", rows("odd", odd["a clock that jumps"]), "row", "duration")
    check_values("values of all sizes", rows("odd", odd["values of all sizes"]), "row", "value",
                 "--log")
    # Far away records are told of, with what leads to the rest.
    trace = rows("odd", [(1000 * second + i * 10**6, 0, 5, 1, 1) for i in range(1000)] +
                 [(10**6 * second, 0, 5, 1, 1)])
    found = re.search(r"99 % lie within --time (\S+)", Picture(trace).text())
    result(found and len(records(trace, "--time", found.group(1))) == 1000,
           "a clock that jumps: where the rest is", Picture(trace).text())
    p = Picture(rows("odd", odd["spans longer than the trace"]), "--utilization")
    result(p.data["x"]["from"][0] == "+0", "spans longer than the trace begin with it",
           p.data["x"]["from"][:3])


def check_none(trace):
    p = Picture(trace, "-e", "read", "--time", "+100000,")
    result(not p.maps and "no records to draw" in p.text(), "no records", p.text())


def check_many_groups():
    """More groups than are counted at once: the largest are found in a second pass."""
    lines = [(10**9 + i * 1000, 0, 5, i, 1) for i in range(3000)]
    lines += [(10**9 + i * 1000, 0, 7, 2500 + i % 2, 1) for i in range(100)]
    trace = rows("groups", lines)
    p = Picture(trace, "--by", "value", "--max-maps", "2")
    result([(m["filter"], m["total"]) for m in p.data["maps"]] ==
           [("value == 2500", 51), ("value == 2501", 51)] and
           [sum(m.values()) for m in p.maps] == [51, 51], "the largest of 3,000 groups",
           [(m["filter"], m["total"]) for m in p.data["maps"]])
    with open(trace, "rb") as f:
        done = run("heatmap", "-i", "-", "--by", "value", stdin=f, status=1)
    result(b"3000 groups" in done.stderr and not done.stdout, "which a pipe cannot have",
           done.stderr.decode())


def check_words(spans, tallies):
    cpu = os.path.join(scratch.name, "cpu")
    subprocess.run([os.path.join(TOOLS, "tracegen"), "100", cpu], check=True)
    plain = os.path.join(scratch.name, "plain")
    subprocess.run([os.path.join(TOOLS, "probegen"), "100", plain], check=True)
    for status, words, args in (
            (2, "no number", ["-i", spans, "-e", "blockio", "--of", "rwbs"]),
            (2, "no field 'foo'", ["-i", spans, "--of", "foo"]),
            (2, "has no duration", ["-i", plain, "-e", "*sys_enter*"]),
            (2, "is a tally", ["-i", tallies, "--subsecond"]),
            (2, "spans", ["-i", tallies, "--utilization"]),
            (2, "cover no time", ["-i", plain, "-e", "*sys_enter*", "--utilization"]),
            (2, "cannot group by 'foo'", ["-i", spans, "--by", "foo"]),
            (2, "exclude each other", ["-i", spans, "--log", "--linear"]),
            (2, "two pictures", ["-i", spans, "--subsecond", "--utilization"]),
            (2, "no range", ["-i", spans, "--range", "5ms,1ms"]),
            (2, "no range", ["-i", spans, "--range", "x,1"]),
            (2, "only for values", ["-i", spans, "--subsecond", "--log"]),
            (2, "no meaning", ["-i", spans, "--subsecond", "--of", "duration"]),
            (2, "only with --by", ["-i", spans, "--max-maps", "3"]),
            (2, "width in pixels", ["-i", spans, "--width", "5"]),
            (1, "no event 'nothing'", ["-i", spans, "-e", "nothing"])):
        done = run("heatmap", *args, status=None)
        said = done.stderr.decode()
        result(done.returncode == status and words in said and said.count("\n") == 1 and
               not done.stdout, " ".join(args[2:]) + ": " + words,
               "%d %s" % (done.returncode, said))
    p = Picture(cpu)
    result(sum(p.maps[0].values()) == 100, "samples have weights")


def main():
    spans, tallies = (os.path.join(scratch.name, name) for name in ("spans", "tallies"))
    subprocess.run([os.path.join(TOOLS, "spangen"), "4000", spans], check=True)
    large = os.path.join(scratch.name, "large")
    subprocess.run([os.path.join(TOOLS, "spangen"), "200000", large], check=True)
    subprocess.run([os.path.join(TOOLS, "spangen"), "200000", tallies, "--as", "tallies"],
                   check=True)
    check_values("durations", spans, "read", "duration", of=False)
    check_values("linear", spans, "read", "duration", "--linear")
    check_values("narrow", spans, "blockio", "duration", "--width", "600", "--height", "60")
    check_values("wide", spans, "read", "duration", "--width", "4000", "--height", "1000",
                 "--linear")
    check_values("sizes", spans, "blockio", "bytes", "--log")
    check_values("results", spans, "read", "ret")
    check_values("results, log", spans, "read", "ret", "--log")
    check_values("a part", spans, "read", "duration", "--time", "+0.0123,+0.03", "--comm", "nginx")
    check_values("a range", spans, "read", "duration", "--range", "1000,123456")
    check_values("a range, linear", spans, "read", "duration", "--range", "1000,123456", "--linear")
    check_groups(spans)
    check_subsecond(large)
    check_utilization(spans)
    check_tallies(large, tallies)
    for args in ([], ["-e", "blockio", "--by", "comm"], ["--subsecond"], ["--utilization"],
                 ["--linear"]):
        check_pipe(spans, "-e", "read", *args) if "-e" not in args else check_pipe(spans, *args)
    check_derived()
    check_damage(spans)
    check_odd()
    check_none(spans)
    check_many_groups()
    check_words(spans, tallies)
    print("1..%d" % n)


main()
