#!/usr/bin/env python3
"""Flame graphs of waits, of who ended them, and of all time, as a browser shows them."""
import os
import shutil
import subprocess
import tempfile

import browser as chromium
from eyes import EYES, TEXTS_JS, distance, overlaps
from live import BUILD, check, kymo, run, skip

GRAPHS = {
    "offcpu": ("-e", "offcpu"),
    "runq": ("-e", "runq"),
    "offwake": ("-e", "blocked", "--hops", "1"),
    "chain": ("-e", "blocked", "--hops", "3"),
    "wall": ("--wall",),
    "idle": ("--wall", "--idle", "--by", "comm,tid"),
    "one": ("-e", "blocked", "--hops", "1", "--time", "50%,50.002%"),
    "none": ("-e", "blocked", "--hops", "1", "--comm", "nobody"),
}

# {name of a colour: the colour}, from the explanation below the graph.
LEGEND_JS = """
    return Object.fromEntries([...document.querySelectorAll("#foot rect")].map(
        (e) => [e.nextElementSibling.textContent, getComputedStyle(e).fill]));"""

FRAMES_JS = """
    return [...document.querySelectorAll("#f rect")].map((e) => {
        const r = e.getBoundingClientRect();
        return {name: e.firstElementChild.textContent.split("\\n")[0], x: r.left, w: r.width,
                y: r.top, fill: getComputedStyle(e).fill};
    });"""

browser = None
folder = None


def show(name, *args):
    path = os.path.join(folder, name + ".svg")
    trace = os.path.join(folder, "sched.kymo")
    if not os.path.exists(trace):
        generator = os.path.join(BUILD, "tests", "schedgen")
        if not os.path.exists(generator):
            skip("no generator: it needs record/")
        subprocess.run([generator, "40000", trace], check=True)
    kymo("flamegraph", "-i", trace, "-o", path, *GRAPHS[name], *args)
    browser.open(path)
    check(browser.js("return document.documentElement.classList.contains('js');"), "script ran")


def test_room(_):
    """Nothing overlaps and nothing sticks out"""
    for name in GRAPHS:
        for width in (700, 1000):
            show(name, "--width", str(width))
            texts = browser.js(TEXTS_JS)
            check(not overlaps(texts), "%s, %d px: %s" % (name, width, overlaps(texts)[:3]))
            for t in texts:
                check(t["x"] >= 0 and t["x"] + t["w"] <= width, "%s: %s" % (name, t))


def test_waker_colours(_):
    """Every eye tells the wait from its waker, and this one from who woke it"""
    show("chain")
    legend = browser.js(LEGEND_JS)
    check(len(legend) >= 3, "colours: %s" % legend)
    waits = [c for text, c in legend.items() if "waker" not in text]
    wakers = [c for text, c in legend.items() if "waker" in text]
    check(waits and wakers, "colours: %s" % legend)
    for eye in EYES:
        for a in waits:
            check(distance(a, wakers[0], eye) > 15, "%s: %s, %s" % (eye, a, wakers[0]))


def test_wall_colours(_):
    """Every eye tells running from waiting for a CPU from blocked"""
    show("wall")
    legend = browser.js(LEGEND_JS)
    parts = [legend[t] for t in ("on CPU", "waiting for a CPU", "blocked")]
    for eye in EYES:
        for i, a in enumerate(parts):
            for b in parts[i + 1:]:
                check(distance(a, b, eye) > 15, "%s: %s, %s: %.1f" % (
                    eye, a, b, distance(a, b, eye)))
    frames = browser.js(FRAMES_JS)
    check({"on CPU", "blocked"} <= {f["name"] for f in frames}, "parts are drawn")


def test_wait_below_waker(_):
    """What waits stands below --, who ended it above"""
    show("offwake")
    frames = browser.js(FRAMES_JS)
    bars = [f for f in frames if f["name"] == "--" and f["w"] > 2]
    check(bars, "no --")
    waker = browser.js(LEGEND_JS)["its waker"]
    for bar in bars:
        here = [f for f in frames if f["x"] <= bar["x"] + 0.5 and
                f["x"] + f["w"] >= bar["x"] + bar["w"] - 0.5]
        below = [f for f in here if abs(f["y"] - bar["y"] - 16) < 1]
        check([f["name"] for f in below] == ["__schedule"], "below -- stands %s" % below)
        check(distance(below[0]["fill"], waker, "all") > 20, "a wait like a waker: %s" % below)
        above = [f for f in frames if abs(f["y"] - bar["y"] + 16) < 1 and
                 bar["x"] - 0.5 <= f["x"] < bar["x"] + bar["w"]]
        check(above, "nobody ended %s" % bar)
        for f in above:
            check(distance(f["fill"], waker, "all") < 20, "a waker of another colour: %s" % f)


def test_quiet(_):
    """Nothing is complained of"""
    for name in GRAPHS:
        show(name)
    said = browser.post("/se/log", {"type": "browser"})
    check(not said, "the browser complained: %s" % said)


TESTS = [test_room, test_waker_colours, test_wall_colours, test_wait_below_waker, test_quiet]


def begin(*started):
    global browser, folder
    browser, folder = started


chromium.run(TESTS, begin)
