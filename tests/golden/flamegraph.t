#!/usr/bin/env python3
"""The picture is valid XML, harmless, complete, and its widths add up."""
import collections
import os
import re
import subprocess
import tempfile
import xml.etree.ElementTree as ET

KYMO = os.environ["KYMO"]
BUILD = os.environ["BUILD"]
SVG = "{http://www.w3.org/2000/svg}"
n = 0


def result(ok, name, why=""):
    global n
    n += 1
    print("%sok %d - %s" % ("" if ok else "not ", n, name))
    if not ok:
        for line in str(why).splitlines()[:8]:
            print("# " + line[:300])


def kymo(*args):
    return subprocess.run([KYMO, *args], check=True, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL).stdout


Box = collections.namedtuple("Box", "depth x w name count")


def boxes(svg):
    found = []
    rows = [g for g in svg.iter(SVG + "g") if g.get("id") == "f"][0]
    for depth, row in enumerate(rows):
        for rect in row:
            name, _, count = rect[0].text.rpartition("\n")
            found.append(Box(depth, int(rect.get("x")), int(rect.get("width")), name,
                             int(count.split(" ")[0].replace(",", ""))))
    return found


def folded_tree(trace, *args):
    """{path: count} of every node, from the folded stacks."""
    nodes = collections.Counter()
    for line in kymo("flamegraph", "--folded", "-i", trace, *args).decode().splitlines():
        stack, _, count = line.rpartition(" ")
        path = ("all",) + tuple(stack.split(";"))
        for i in range(len(path)):
            nodes[path[:i + 1]] += int(count)
    return nodes


def check_sums(name, found, total):
    rows = collections.defaultdict(list)
    for b in found:
        rows[b.depth].append(b)
    result(found[0].count == total and found[0].name == "all", name + ": the root is everything",
           found[0])
    result(all(b.w == b.count for b in found), name + ": a width is a count")
    result(all(a.x + a.w <= b.x for row in rows.values() for a, b in zip(row, row[1:])),
           name + ": boxes of a row stand apart, from left to right")
    held = all(any(p.x <= b.x and b.x + b.w <= p.x + p.w for p in rows[b.depth - 1])
               for b in found if b.depth)
    result(held, name + ": each box stands on one of the row before")
    spare = [b for b in found if sum(c.w for c in rows[b.depth + 1]
                                     if b.x <= c.x < b.x + b.w) > b.w]
    result(not spare, name + ": children are not wider than their parent", spare)


def check_against_folded(name, trace):
    """The same tree as the folded stacks, where both keep names as they are."""
    nodes = folded_tree(trace, "--by", "none")
    whole = ET.fromstring(kymo("flamegraph", "--by", "none", "--minwidth", "0", "-i", trace))
    result(len(boxes(whole)) == len(nodes), name + ": as many boxes as nodes of the folded stacks",
           "%d %d" % (len(boxes(whole)), len(nodes)))
    result(sorted(b.count for b in boxes(whole)) == sorted(nodes.values()),
           name + ": with the same counts")
    cut = ET.fromstring(kymo("flamegraph", "--by", "none", "--minwidth", "1%", "-i", trace))
    note = "".join("".join(t.itertext()) for t in cut.iter(SVG + "text") if t.get("id") == "n")
    told = re.match(r"([\d,]+) frames? narrower than 11\.8 px left out", note)
    result(told and int(told.group(1).replace(",", "")) == len(nodes) - len(boxes(cut)),
           name + ": narrow ones are counted", note)
    result(min(b.count for b in boxes(cut)) >= boxes(cut)[0].count / 100,
           name + ": and nothing narrower is drawn")


def check_reverse(name, trace):
    leaves = collections.Counter()
    for line in kymo("flamegraph", "--folded", "--by", "none", "-i", trace).decode().splitlines():
        stack, _, count = line.rpartition(" ")
        leaves[stack.split(";")[-1]] += int(count)
    found = boxes(ET.fromstring(kymo("flamegraph", "--reverse", "--minwidth", "0", "-i", trace)))
    first = collections.Counter()
    for b in found:
        if b.depth == 1:
            first[b.name.replace(";", ":")] += b.count
    result(first == leaves, name + ": the first row reversed is the innermost frames",
           "%s\n%s" % (sorted(first.items())[:3], sorted(leaves.items())[:3]))
    nodes = collections.Counter()
    for line in kymo("flamegraph", "--folded", "--by", "none", "-i", trace).decode().splitlines():
        stack, _, count = line.rpartition(" ")
        path = tuple(reversed(stack.split(";")))
        for i in range(len(path)):
            nodes[path[:i + 1]] += int(count)
    result(sorted(b.count for b in found[1:]) == sorted(nodes.values()),
           name + ": and all others are reversed stacks")
    note = kymo("flamegraph", "--reverse", "--minwidth", "2%", "-i", trace).decode()
    drawn = len(boxes(ET.fromstring(note)))
    told = re.search(r">([\d,]+) frames? narrower than", note)
    result(told and int(told.group(1).replace(",", "")) + drawn == len(nodes) + 1,
           name + ": narrow ones are counted", told and told.group(0))


def check_harmless(name, trace):
    """No element, attribute or address that the drawing itself does not make."""
    raw = kymo("flamegraph", "-i", trace, "--title", "</title><script>alert(1)</script>",
               "--subtitle", "\"'&<!--]]>\x1b[31m")
    svg = ET.fromstring(raw)
    tags = {e.tag.replace(SVG, "") for e in svg.iter()}
    allowed = {"svg", "title", "style", "defs", "clipPath", "pattern", "rect", "text", "g",
               "foreignObject", "script"}
    result(tags <= allowed, name + ": no foreign elements", tags - allowed)
    scripts = list(svg.iter(SVG + "script"))
    result(len(scripts) == 1 and "alert" not in scripts[0].text, name + ": one script, the own one")
    attributes = {a for e in svg.iter() for a in e.keys()}
    result(not [a for a in attributes if a.startswith("on") or "href" in a],
           name + ": no event attributes and no links", attributes)
    urls = set(re.findall(rb"(?:https?|javascript|data|file):[^\"' )]*", raw))
    result(urls <= {b"http://www.w3.org/2000/svg", b"http://www.w3.org/1999/xhtml"},
           name + ": nothing from elsewhere", urls)
    result(b"innerHTML" not in raw and b"eval(" not in raw, name + ": text is never parsed as markup")


with tempfile.TemporaryDirectory() as scratch:
    gen = os.path.join(BUILD, "tests", "tracegen")
    plain = os.path.join(scratch, "plain.kymo")
    hostile = os.path.join(scratch, "hostile.kymo")
    subprocess.run([gen, "5000", plain, "--stacks", "40"], check=True)
    subprocess.run([gen, "1000", hostile, "--stacks", "30", "--hostile"], check=True)
    for args in [], ["--icicle"], ["--by", "tid"], ["--by", "pid"], ["--reverse"], \
            ["--minwidth", "0"], ["--reverse", "--by", "comm"]:
        svg = ET.fromstring(kymo("flamegraph", *args, "-i", plain))
        check_sums(" ".join(args) or "plain", boxes(svg), 5000)
    check_against_folded("plain", plain)
    check_reverse("reversed", plain)
    check_harmless("hostile names", hostile)
    once, again = (kymo("flamegraph", "-i", plain) for _ in range(2))
    result(once == again, "the same trace gives the same bytes")
    many = os.path.join(scratch, "many.kymo")
    subprocess.run([gen, "20000", many, "--stacks", "5000"], check=True)
    for args in [], ["--by", "tid"], ["--reverse"]:
        size = len(kymo("flamegraph", *args, "-i", many))
        result(size < 500000, " ".join(["a small picture of many stacks"] + args), size)
print("1..%d" % n)
