#!/usr/bin/env python3
"""A difference in a browser: marks, details, search, zoom, hatching, colours for every eye."""
import json
import os
import shutil
import subprocess
import tempfile

import browser as chromium
from browser import CONTROL, ESCAPE
from eyes import EYES, TEXTS_JS, lab, distance, overlaps
from live import BUILD, check, kymo, run

BASE = """\
server;main;serve;read_request;k:read;k:tcp_recvmsg 300
server;main;serve;parse;json_parse 500
server;main;serve;query;btree_find;k:pread;k:wait_on_page 1500
server;main;serve;query;btree_find;compare_keys 900
server;main;serve;query;old_planner;estimate_rows 900
server;main;serve;reply;deflate 1800
worker;start;loop;hash 600
"""
NEW = """\
server;main;serve;read_request;k:read;k:tcp_recvmsg 302
server;main;serve;parse;json_parse 520
server;main;serve;query;btree_find;k:pread;k:wait_on_page 2600
server;main;serve;query;btree_find;compare_keys 970
server;main;serve;query;new_planner;estimate_rows 700
server;main;serve;reply;deflate 1400
worker;start;loop;hash 480
"""

FRAMES_JS = """
    return [...document.querySelectorAll("#f rect")].map((e) => {
        const r = e.getBoundingClientRect();
        const [name, tip] = e.firstElementChild.textContent.split(/\\n(?=[^\\n]*$)/);
        return {x: r.left + scrollX, y: r.top + scrollY, w: r.width, h: r.height, name: name,
                tip: tip, cls: e.classList[0], matched: e.classList.contains("m"),
                fill: getComputedStyle(e).fill, mark: e.dataset.mark || ""};
    });"""

browser = None
folder = None


def make(name, text, length_ms, *args):
    path = os.path.join(folder, name)
    subprocess.run([os.path.join(BUILD, "tests", "foldgen"), path, str(length_ms), *args],
                   input=text.encode(), check=True)
    return path


def picture(name, *args, base=BASE, new=NEW):
    path = os.path.join(folder, name + ".svg")
    kymo("flamegraph", "--diff", make("base.kymo", base, 10000), "-i",
         make("new.kymo", new, 10000, "--shift", "7"), "-o", path, *args)
    return path


def show(name, *args, **kw):
    browser.open(picture(name, *args, **kw))
    check(browser.js("return document.documentElement.classList.contains('js');"), "script ran")
    return browser.js(FRAMES_JS)


def frame(frames, name, which=0):
    found = [f for f in frames if f["name"] == name]
    check(len(found) > which, "no frame %s" % name)
    return found[which]


def select(name):
    check(browser.js("""
        document.querySelectorAll("[data-test]").forEach((e) => e.removeAttribute("data-test"));
        const found = [...document.querySelectorAll("#f rect")].find(
            (e) => e.firstElementChild.textContent.split("\\n")[0] === arguments[0]);
        if (found) found.setAttribute("data-test", "1");
        return found !== undefined;""", name), "no frame " + name)
    return "[data-test]"


def labels():
    return browser.js("return [...document.querySelectorAll('#t text')].map("
                      "(e) => e.textContent);")


def test_first_look(_):
    """Marks, widths and the section of what is gone"""
    frames = show("look")
    for name, cls, mark in (("wait_on_page", "up4", "\u25b2"), ("deflate", "dn4", "\u25bc"),
                            ("new_planner", "new", "+"), ("old_planner", "gone", "\u00d7"),
                            ("tcp_recvmsg", "same", ""), ("compare_keys", "up2", "\u25b2")):
        f = frame(frames, name)
        check((f["cls"], f["mark"]) == (cls, mark), "%s: %s" % (name, f))
    whole, aside = frame(frames, "all of the new trace"), frame(frames, "only in the base")
    check(abs(whole["w"] / aside["w"] - 6972 / 900) < 0.1, "to scale: %s %s" % (whole, aside))
    check(abs(whole["x"] + whole["w"] - aside["x"]) < 1, "side by side")
    check("\u25b2 wait_on_page" in labels() and "\u00d7 old_planner" in labels(), labels())


def test_details(_):
    """The mouse over a frame tells both weights and the difference"""
    show("details", "--width", "1000")
    browser.point(select("wait_on_page"))
    check(browser.text("#d") == "\u25b2 wait_on_page  \u2013  new 2,600 samples (37.29 %), base "
          "1,500 samples (21.51 %): +1,100 samples, +73.3 %", browser.text("#d"))
    browser.point(select("old_planner"))
    check("only in the base: 900 samples" in browser.text("#d"), browser.text("#d"))
    browser.point("#search")
    check(browser.text("#d") == "", "details go away")


def test_long_names(_):
    """The difference is in sight, however long a name is"""
    name = "a_very_long_name_of_a_function_" * 12
    text = "server;main;%s 1000\nserver;main;b 500\n" % name
    show("long", "--width", "1000", base=text, new=text.replace(" 1000", " 2000"))
    browser.point(select(name))
    box = browser.js("const r = document.querySelector('#d').getBoundingClientRect();"
                     "return r.right;")
    check("+1,000 samples, +100.0 %" in browser.text("#d"), browser.text("#d"))
    check(box <= 1000, "details end at %d" % box)


def test_search(_):
    """A search looks for names without their marks"""
    show("search")
    browser.chord(CONTROL, "f")
    browser.keys("^deflate$")
    hits = [f for f in browser.js(FRAMES_JS) if f["matched"]]
    check([f["name"] for f in hits] == ["deflate"], "marked: %s" % hits)
    check(hits[0]["fill"] == "rgb(217, 140, 240)", "shows over the colour: %s" % hits[0])
    browser.keys(ESCAPE)
    check(not [f for f in browser.js(FRAMES_JS) if f["matched"]], "escape clears it")


def test_zoom(_):
    """A click zooms, labels keep their marks, hatching its shape"""
    frames = show("zoom")
    hatch = "return document.querySelector('#hg').getAttribute('patternTransform');"
    before = browser.js(hatch)
    browser.click(select("only in the base"))
    zoomed = browser.js(FRAMES_JS)
    f = frame(zoomed, "old_planner")
    check(abs(f["w"] - 1176) < 2, "fills the width: %s" % f)
    check("\u00d7 old_planner" in labels(), labels())
    first, second = (float(t[len("scale("):].split()[0]) for t in (before, browser.js(hatch)))
    shrunk = 900 / (6972 + 900)
    check(abs(second / first / shrunk - 1) < 0.01, "hatching: %s, then %s" % (first, second))
    browser.click("#reset")
    check(browser.js(FRAMES_JS) == frames and browser.js(hatch) == before, "and back")


def test_room(_):
    """Nothing overlaps and nothing sticks out, in pictures of any width"""
    for width in (600, 740, 1000, 1600):
        show("room%d" % width, "--width", str(width))
        texts = browser.js(TEXTS_JS)
        check(len(texts) > 15, "texts: %s" % texts)
        check(not overlaps(texts), "%d px: %s" % (width, overlaps(texts)[:3]))
        for t in texts:
            check(t["x"] >= 0 and t["x"] + t["w"] <= width, "%d px: %s" % (width, t))
        height = float(browser.js("return document.documentElement.getAttribute('height');"))
        if width == 600:
            check({"\u25b2", "\u25bc", "+", "\u00d7"} & set(labels()),
                  "narrow boxes have marks alone: %s" % labels())
        low = max(t["y"] + t["h"] for t in texts)
        check(low <= height, "%d px wide: %d of %d high" % (width, low, height))


def test_colours(_):
    """Grown and shrunk are told apart by every eye, shades are in order, names can be read"""
    show("colours")
    # Of the legend, which has all of them.
    fills = browser.js("""
        return Object.fromEntries([...document.querySelectorAll("#k rect")].map(
            (e) => [e.classList[0], getComputedStyle(e).fill]));""")
    up, down = ([fills["%s%d" % (way, i)] for i in range(1, 5)] for way in ("up", "dn"))
    for eye in EYES:
        for i in range(4):
            apart = distance(up[i], down[i], eye)
            check(apart > (14, 25, 40, 50)[i], "%s: shade %d: %.1f" % (eye, i + 1, apart))
            for way in (up, down):
                before = way[i - 1] if i else fills["same"]
                check(distance(way[i], before, eye) > 6, "%s: %s like %s" % (eye, way[i], before))
    for way in (up, down):
        light = [lab(c, "all")[0] for c in way]
        check(light == sorted(light, reverse=True), "in grey, more is darker: %s" % light)
        check(light[3] > 50, "black letters can be read on the darkest: %s" % light)
    # Where there are no colours the marks tell the same.
    marks = {f["cls"][:2]: f["mark"] for f in browser.js(FRAMES_JS) if f["mark"]}
    check(len(set(marks.values())) == 4, "marks: %s" % marks)


def test_hatching(_):
    """Hatches are stripes of equal width, whatever the scale"""
    show("hatching")
    for id_ in ("hn", "hg"):
        text = browser.js("return document.querySelector('#%s').getAttribute("
                          "'patternTransform');" % id_)
        per_px = float(text[len("scale("):].split()[0])
        scale = browser.js("return document.querySelector('#f').getCTM().a;")
        check(abs(per_px * scale - 1) < 0.001, "%s: %g units of %g px" % (id_, per_px, scale))


def test_same(_):
    """Two that are the same are grey"""
    frames = show("same", new=BASE)
    check({f["fill"] for f in frames} == {"rgb(227, 227, 225)"}, "fills: %s" % frames[:2])


def test_many(_):
    """Two large traces without a stack in common"""
    traces = []
    for seed in "12":
        traces.append(os.path.join(folder, "many%s.kymo" % seed))
        subprocess.run([os.path.join(BUILD, "tests", "tracegen"), "60000", traces[-1],
                        "--stacks", "2000", "--seed", seed], check=True)
    path = os.path.join(folder, "many.svg")
    kymo("flamegraph", "--diff", traces[0], "-i", traces[1], "-o", path)
    check(os.path.getsize(path) < 700000, "size: %d" % os.path.getsize(path))
    browser.open(path)
    check(not overlaps(browser.js(TEXTS_JS)), "overlaps: %s" % overlaps(browser.js(TEXTS_JS))[:3])


def test_hostile(_):
    """Hostile names are text"""
    text = "<script>alert(1)</script>&\"';main;</title><b>x</b> 10\n"
    frames = show("hostile", base=text, new=text.replace(" 10", " 30"),)
    check(frame(frames, "</title><b>x</b>")["mark"] == "\u25b2", "names show as they are")
    check(browser.js("return document.querySelectorAll('script').length;") == 1, "one script")


def test_quiet(_):
    """Nothing is complained of"""
    show("quiet")
    said = browser.post("/se/log", {"type": "browser"})
    check(not said, "the browser complained: %s" % json.dumps(said))


TESTS = [test_first_look, test_details, test_long_names, test_search, test_zoom, test_room,
         test_colours, test_hatching, test_same, test_many, test_hostile, test_quiet]


def begin(*started):
    global browser, folder
    browser, folder = started


chromium.run(TESTS, begin)
