#!/usr/bin/env python3
"""Graphs of waits in a browser: wakers, all time of threads; what they look like to everyone."""
import os
import re
import shutil
import subprocess
import tempfile

import browser as chromium
from live import BUILD, check, kymo, run

WAIT_USER, WAIT_KERNEL, WAKERS, SEPARATOR = "b", "k", "wxyz", "s"
PARTS = {"pc": "on CPU", "pw": "waiting for a CPU", "pb": "blocked"}
RECTS_JS = """
    return [...document.querySelectorAll("#f rect")].map((e) => ({
        name: e.textContent.split("\\n")[0], told: e.textContent.split("\\n").pop(),
        cls: e.classList[0], fill: getComputedStyle(e).fill,
        units: Number(e.getAttribute("width")), at: Number(e.getAttribute("x")),
        row: [...e.parentNode.parentNode.children].indexOf(e.parentNode)}));"""
TEXTS_JS = """
    return [...document.querySelectorAll("text")].filter((e) => e.textContent !== "" &&
        getComputedStyle(e).visibility !== "hidden").map((e) => {
        const r = e.getBoundingClientRect();
        return {text: e.textContent, left: r.left, right: r.right, top: r.top + scrollY,
                bottom: r.bottom + scrollY, frame: e.parentNode.id === "t"};
    }).concat([...document.querySelectorAll("input")].map((e) => {
        const r = e.getBoundingClientRect();
        return {text: "[input]", left: r.left, right: r.right, top: r.top + scrollY,
                bottom: r.bottom + scrollY, frame: false};
    }));"""

browser = None
folder = None
traces = {}


def trace(nr, *args):
    key = (nr,) + args
    if key not in traces:
        traces[key] = os.path.join(folder, "%d.kymo" % len(traces))
        subprocess.run([os.path.join(BUILD, "tests", "schedgen"), str(nr), traces[key], *args],
                       check=True)
    return traces[key]


def show(path, *args):
    svg = os.path.join(folder, "picture.svg")
    kymo("flamegraph", "-i", path, "-o", svg, *args)
    browser.post("/se/log", {"type": "browser"})
    browser.open(svg)
    said = browser.post("/se/log", {"type": "browser"})
    check(not said, "the browser complained: %s" % said)
    check(browser.js("return document.documentElement.classList.contains('js');"), "script ran")
    check_texts()
    return browser.js(RECTS_JS)


def check_texts():
    """No text lies on another one or sticks out of the picture."""
    width = browser.js("return document.documentElement.getBoundingClientRect().right;")
    texts = browser.js(TEXTS_JS)
    for i, a in enumerate(texts):
        check(a["left"] >= 0 and a["right"] <= width + 1, "sticks out: %s" % a)
        for b in texts[i + 1:]:
            if a["frame"] and b["frame"] and abs(a["top"] - b["top"]) > 4:
                continue
            check(a["right"] <= b["left"] + 0.5 or b["right"] <= a["left"] + 0.5 or
                  a["bottom"] <= b["top"] + 3 or b["bottom"] <= a["top"] + 3,
                  "overlap: %s and %s" % (a, b))


def family(rect):
    return rect["cls"].rstrip("0123456789")


# --- colours -----------------------------------------------------------------------

# Machado, Oliveira and Fernandes (2009): severity 1, of linear RGB.
BLINDNESS = {
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
                   (-0.003882, -0.048116, 1.051998)),
    "deuteranopia": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
                     (-0.011820, 0.042940, 0.968881)),
    "tritanopia": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602),
                   (0.004733, 0.691367, 0.303900)),
}


def linear(fill):
    rgb = [int(c) / 255 for c in re.findall(r"\d+", fill)[:3]]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]


def lab(rgb):
    xyz = [sum(a * b for a, b in zip(row, rgb)) for row in (
        (0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))]
    f = [(v ** (1 / 3) if v > 0.008856 else 7.787 * v + 16 / 116)
         for v in (xyz[0] / 0.9505, xyz[1], xyz[2] / 1.089)]
    return 116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])


def seen(fill, blindness):
    rgb = linear(fill)
    return lab([min(max(sum(a * b for a, b in zip(row, rgb)), 0), 1)
                for row in BLINDNESS[blindness]])


def middle(fills, blindness):
    labs = [seen(f, blindness) for f in fills]
    return [sum(c) / len(labs) for c in zip(*labs)]


def distance(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b)) ** 0.5


def contrast_with_text(fill):
    text = 0.2126 * 0.01 + 0.7152 * 0.01 + 0.0722 * 0.01     # #1a1a1a
    back = sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear(fill)))
    return (back + 0.05) / (text + 0.05)


def test_wakers(_):
    """Wakers stand on the waits that they ended, and are told apart"""
    rects = show(trace(20000), "-e", "offcpu", "--hops", "1")
    by_row = {}
    for r in rects:
        by_row.setdefault(r["row"], []).append(r)
    below = {}
    for r in rects:
        if r["row"]:
            below[id(r)] = next(p for p in by_row[r["row"] - 1] if p["at"] <= r["at"] and
                                r["at"] + r["units"] <= p["at"] + p["units"])
    wakers = [r for r in rects if family(r) == "w"]
    check(len(wakers) > 50, "wakers are there")
    for r in wakers:
        check(family(below[id(r)]) in ("w", SEPARATOR), "%s on %s" % (r, below[id(r)]))
    for r in rects:
        if family(r) == SEPARATOR:
            check(r["name"] == "--" and family(below[id(r)]) in (WAIT_USER, WAIT_KERNEL, "n", "g"),
                  "a separator on %s" % below[id(r)])
    check(not [r for r in rects if family(r) in "uxyz"], "nothing else has other colours")
    legend = browser.js("return [...document.querySelectorAll('#foot text')].map("
                        "(e) => e.textContent);")
    check("its waker" in legend and "waits: user" in legend, legend)


def test_told(_):
    """The tooltip tells time, how often, and how long on average"""
    rects = show(trace(20000), "-e", "offcpu")
    for r in rects:
        check(re.fullmatch(r"[\d.,]+ (s|ms|us|ns), [\d,]+ times?, on average [\d.,]+ "
                           r"(s|ms|us|ns), \d+\.\d\d %", r["told"]), r["told"])
    browser.point("#f rect")
    check("on average" in browser.text("#d") and "of all" in browser.text("#d"),
          browser.text("#d"))
    title = browser.text(".h")
    check(title == "Flame graph: offcpu time", title)
    check("of waiting for work hidden (--idle shows it)" in
          browser.js("return document.documentElement.textContent;"), "what is hidden is told")


def test_colors(_):
    """Whose stack it is can be told with any eyes and in grey, and its text be read"""
    rects = show(trace(20000), "-e", "offcpu", "--hops", "4", "--minwidth", "0")
    fills = {}
    for r in rects:
        fills.setdefault(family(r), set()).add(r["fill"])
    stacks = [WAIT_KERNEL] + [w for w in WAKERS if w in fills]
    check(len(stacks) >= 4, "several hops: %s" % sorted(fills))
    for f, colors in fills.items():
        for fill in colors:
            check(contrast_with_text(fill) >= 5, "text on %s %s" % (f, fill))
    for blindness in BLINDNESS:
        for a, b in zip(stacks, stacks[1:]):
            apart = distance(middle(fills[a], blindness), middle(fills[b], blindness))
            check(apart >= 12, "%s and %s, %s: %.1f" % (a, b, blindness, apart))
    for a, b in zip(stacks, stacks[1:]):
        apart = abs(middle(fills[a], "none")[0] - middle(fills[b], "none")[0])
        check(apart >= 6, "%s and %s in grey: %.1f" % (a, b, apart))


def test_wall(_):
    """All time of threads, in three parts with colours and names of their own"""
    rects = show(trace(20000), "--wall")
    parts = {}
    for r in rects:
        if family(r) in PARTS:
            check(r["row"] == 2 and r["name"] == PARTS[family(r)], "part %s" % r)
            parts.setdefault(family(r), set()).add(r["fill"])
    check(set(parts) == set(PARTS), "all parts: %s" % sorted(parts))
    for blindness in BLINDNESS:
        colors = [seen(next(iter(parts[p])), blindness) for p in sorted(parts)]
        for i, a in enumerate(colors):
            for b in colors[i + 1:]:
                check(distance(a, b) >= 15, "%s: %s %s" % (blindness, a, b))
    units = {r["row"]: 0 for r in rects}
    for r in rects:
        units[r["row"]] += r["units"]
    check(abs(units[2] - units[0]) <= len(rects), "the parts fill the width: %s" % units)


def test_zoom_and_search(_):
    """Zooming to a wait shows its wakers; searching finds them"""
    rects = show(trace(20000), "-e", "offcpu", "--hops", "2")
    at = max((r for r in rects if r["cls"] == SEPARATOR), key=lambda r: r["units"])
    index = next(i for i, r in enumerate(rects) if r == at)
    browser.js("document.querySelectorAll('#f rect')[arguments[0]].dispatchEvent("
               "new MouseEvent('click', {bubbles: true}));", index)
    check_texts()
    labels = browser.js("return [...document.querySelectorAll('#t text')].map("
                        "(e) => e.textContent);")
    inside = [r["name"] for r in rects if r["row"] > at["row"] and at["at"] <= r["at"] and
              r["units"] > at["units"] / 2 and
              r["at"] + r["units"] <= at["at"] + at["units"]]
    check(inside and set(inside) <= set(labels), "%s in %s" % (inside, labels))
    browser.keys(chromium.ESCAPE)
    browser.chord(chromium.CONTROL, "f")
    browser.keys("try_to_wake_up")
    check(re.fullmatch(r"Matched: \d+\.\d\d %", browser.text("#m")), browser.text("#m"))
    check(browser.text("#m") != "Matched: 0.00 %", browser.text("#m"))
    check_texts()


def test_narrow(_):
    """A thousand pixels, or many levels, and nothing lies on anything else"""
    for args in (("-e", "offcpu", "--hops", "3"), ("--wall",), ("-e", "offcpu", "--by", "cpu,tid"),
                 ("-e", "offcpu,oncpu"), ("-e", "offcpu", "--icicle", "--hops", "1")):
        rects = show(trace(20000), "--width", "1000", *args)
        check(len(rects) > 100, "%s: %d boxes" % (args, len(rects)))


def test_few(_):
    """One record, and none, are pictures, too"""
    for nr in 0, 1, 2:
        for args in (("-e", "offcpu", "--hops", "2", "--idle"), ("--wall", "--idle")):
            rects = show(trace(nr), *args)
            check(rects[0]["name"] == "all", "%d: %s" % (nr, rects))
            check(nr or len(rects) == 1, "%d: %s" % (nr, rects))


def test_many(_):
    """As many records as one likes make a picture of the same size"""
    path = trace(1000000)
    for args in (("-e", "offcpu"), ("-e", "offcpu", "--hops", "5"), ("--wall",)):
        rects = show(path, *args)
        check(100 < len(rects) <= 3000, "%s: %d boxes" % (args, len(rects)))
        check(os.path.getsize(os.path.join(folder, "picture.svg")) < 700000, "size")


TESTS = [test_wakers, test_told, test_colors, test_wall, test_zoom_and_search, test_narrow,
         test_few, test_many]


def begin(*started):
    global browser, folder
    browser, folder = started


chromium.run(TESTS, begin)
