#!/usr/bin/env python3
"""The flame graph in a browser: search, zoom, details, turning over, hostile names."""
import json
import os
import shutil
import subprocess
import tempfile

import browser as chromium
from browser import CONTROL, ENTER, ESCAPE
from live import BUILD, check, kymo, run

# All frames as they are on the screen, in pixels, and what they count.
FRAMES_JS = """
    return [...document.querySelectorAll("#f rect")].map((e) => {
        const r = e.getBoundingClientRect();
        const [name, count] = e.firstElementChild.textContent.split(/\\n(?=[^\\n]*$)/);
        return {x: r.left + scrollX, y: r.top + scrollY, w: r.width, name: name,
                units: Number(e.getAttribute("width")), at: Number(e.getAttribute("x")),
                count: count, matched: e.classList.contains("m"),
                parent: e.classList.contains("p"),
                row: [...e.parentNode.parentNode.children].indexOf(e.parentNode)};
    });"""

browser = None
folder = None


def picture(name, *args, hostile=False, stacks=12, nr=3000):
    trace = os.path.join(folder, name + ".kymo")
    command = [os.path.join(BUILD, "tests", "tracegen"), str(nr), trace, "--stacks", str(stacks)]
    subprocess.run(command + (["--hostile"] if hostile else []), check=True)
    path = os.path.join(folder, name + ".svg")
    kymo("flamegraph", "-i", trace, "-o", path, *args)
    return path


def show(name, *args, **kw):
    browser.open(picture(name, *args, **kw))
    frames = browser.js(FRAMES_JS)
    check(browser.js("return document.documentElement.classList.contains('js');"), "script ran")
    return frames


def near(a, b, tolerance=1.5):
    return abs(a - b) <= tolerance


def mark(js):
    """A CSS selector of the frame that the expression finds among all of them."""
    found = browser.js("""
        document.querySelectorAll("[data-test]").forEach((e) => e.removeAttribute("data-test"));
        const all = [...document.querySelectorAll("#f rect")];
        const width = (e) => Number(e.getAttribute("width"));
        const row = (e) => [...e.parentNode.parentNode.children].indexOf(e.parentNode);
        const found = all.find((e) => (%s));
        if (found) found.setAttribute("data-test", "1");
        return found !== undefined;""" % js)
    check(found, "no frame where " + js)
    return "[data-test]"


def test_first_look(_):
    """Frames and labels are in proportion"""
    frames = show("look")
    root = frames[0]
    check(root["name"] == "all" and root["count"].startswith("3,000 samples"), str(root))
    check(near(root["w"], 1176), "the root fills the width: %s" % root)
    for f in frames:
        check(near(f["w"], f["units"] / root["units"] * 1176), "in proportion: %s" % f)
    check(all(f["y"] < root["y"] for f in frames if f["row"]), "the root is at the bottom")
    labels = browser.js("""return [...document.querySelectorAll("#t text")].map((e) => {
        const r = e.getBoundingClientRect(); return [e.textContent, r.left, r.right, r.top]; });""")
    check(len(labels) > 5, "labels: %s" % labels)
    for text, left, right, top in labels:
        room = [f for f in frames if f["x"] - 1 <= left and right <= f["x"] + f["w"] + 1 and
                abs(f["y"] - top) < 16 and f["name"].startswith(text.rstrip("\u2026"))]
        check(room, "label '%s' stands in its frame" % text)


def test_details(_):
    """The mouse over a frame tells count and shares"""
    show("details")
    frames = browser.js(FRAMES_JS)
    browser.point(mark("row(e) === 3 && width(e) > 100"))
    target = browser.js(
        "return document.querySelector('[data-test]').firstElementChild.textContent;")
    name, count = target.split("\n")
    text = browser.text("#d")
    check(text.startswith(name), "details of '%s': '%s'" % (name, text))
    check(count.split(",")[0] in text and "of all" in text, text)
    check("of its parent" in text, text)
    check(len(frames) > 10, "frames")
    browser.point("#search")
    check(browser.text("#d") == "", "details go away")


def test_search(_):
    """A search marks frames and tells their share"""
    frames = show("search", "--by", "comm")
    browser.click("#search")
    browser.keys("^server$")
    hits = [f for f in frames if f["name"] == "server"]
    want = "Matched: %.2f %%" % (100 * sum(f["units"] for f in hits) / frames[0]["units"])
    check(browser.text("#m") == want, "'%s', not '%s'" % (browser.text("#m"), want))
    marked = [f["name"] for f in browser.js(FRAMES_JS) if f["matched"]]
    check(marked and set(marked) == {"server"}, "marked: %s" % marked)
    browser.keys(ESCAPE)
    check(browser.text("#m") == "", "escape clears it")
    check(not [f for f in browser.js(FRAMES_JS) if f["matched"]], "nothing is marked")


def test_search_nested(_):
    """A match below a match counts once; a part of a name in any case is found"""
    frames = show("nested")
    browser.chord(CONTROL, "f")
    browser.keys("VDSO|libc".lower())
    hits = [f for f in frames if "vdso" in f["name"] or "libc" in f["name"]]
    top = [f for f in hits if not any(
        g["row"] < f["row"] and g["at"] <= f["at"] and
        f["at"] + f["units"] <= g["at"] + g["units"] for g in hits)]
    want = "Matched: %.2f %%" % (100 * sum(f["units"] for f in top) / frames[0]["units"])
    check(browser.text("#m") == want, "'%s', not '%s'" % (browser.text("#m"), want))
    browser.keys(ESCAPE)
    browser.chord(CONTROL, "f")
    browser.keys("(")
    check("not a regular expression" in browser.text("#m"), browser.text("#m"))


def test_zoom(_):
    """A click zooms, Reset zoom goes back"""
    frames = show("zoom")
    css = mark("row(e) === 2 && width(e) > 300 && width(e) < 2000")
    target = browser.js("const e = document.querySelector('[data-test]');"
                        "return [Number(e.getAttribute('x')), Number(e.getAttribute('width'))];")
    check(browser.js("return document.querySelector('#reset').classList.contains('off');"),
          "nothing to reset")
    browser.click(css)
    zoomed = browser.js(FRAMES_JS)
    chosen = [f for f in zoomed if f["row"] == 2 and [f["at"], f["units"]] == target][0]
    check(near(chosen["w"], 1176) and near(chosen["x"], 12), "fills the width: %s" % chosen)
    inside = [f for f in zoomed if f["row"] > 2 and target[0] <= f["at"] and
              f["at"] + f["units"] <= target[0] + target[1]]
    check(inside, "has children")
    for f in inside:
        check(near(f["w"], f["units"] / target[1] * 1176), "children in proportion: %s" % f)
    check([f["row"] for f in zoomed if f["parent"]] == [0, 1], "parents are dimmed")
    labels = browser.js("return [...document.querySelectorAll('#t text')].map("
                        "(e) => e.textContent);")
    check(chosen["name"] in labels, "the name in full: %s" % labels)
    browser.point(mark("row(e) === 3 && Number(e.getAttribute('x')) >= %d && "
                       "Number(e.getAttribute('x')) < %d" % (target[0], sum(target))))
    check(" of " + chosen["name"][:20] in browser.text("#d"), browser.text("#d"))
    browser.click("#reset")
    check(browser.js(FRAMES_JS) == frames, "reset brings everything back")


def test_search_in_zoom(_):
    """In a zoom the share is that of the zoomed frame"""
    frames = show("inzoom")
    browser.chord(CONTROL, "f")
    browser.keys("libc")
    whole = browser.text("#m")
    browser.click(mark("row(e) === 1 && width(e) < 2000"))
    zoomed = [f for f in browser.js(FRAMES_JS) if f["row"] == 1 and near(f["w"], 1176)][0]
    hits = [f for f in frames if "libc" in f["name"] and zoomed["at"] <= f["at"] and
            f["at"] + f["units"] <= zoomed["at"] + zoomed["units"]]
    top = [f for f in hits if not any(
        g["row"] < f["row"] and g["at"] <= f["at"] and
        f["at"] + f["units"] <= g["at"] + g["units"] for g in hits)]
    want = "Matched: %.2f %%" % (100 * sum(f["units"] for f in top) / zoomed["units"])
    check(browser.text("#m") == want, "'%s', not '%s'; whole: %s" % (
        browser.text("#m"), want, whole))


def test_icicle(_):
    """The graph can be turned over"""
    frames = show("icicle")
    browser.click("#icicle")
    turned = browser.js(FRAMES_JS)
    check(all(f["y"] > turned[0]["y"] for f in turned if f["row"]), "the root is on top")
    check([(f["x"], f["w"]) for f in frames] == [(f["x"], f["w"]) for f in turned],
          "nothing else moves")
    browser.js("document.querySelector('#icicle').focus();")
    browser.keys(ENTER)
    check(browser.js(FRAMES_JS) == frames, "and back, with the keyboard")
    drawn = show("icicle2", "--icicle")
    check(all(f["y"] > drawn[0]["y"] for f in drawn if f["row"]), "--icicle draws it so")


def test_needles(_):
    """Rows without anything a pixel wide come in sight when their frames are zoomed"""
    show("needles", "--minwidth", "0.4", "--width", "600", stacks=1000, nr=20000)
    check("show when zoomed in" in browser.text("#n"), browser.text("#n"))
    height = "return Number(document.documentElement.getAttribute('height'));"
    before = browser.js(height)
    css = mark("e === all[all.length - 1]")
    deepest = browser.js("return document.querySelectorAll('#f > g').length;")
    browser.js("document.querySelector(arguments[0]).dispatchEvent("
               "new MouseEvent('click', {bubbles: true}));", css)
    check(browser.js(height) >= 16 * deepest and browser.js(height) > before,
          "the picture grows from %d to %d" % (before, browser.js(height)))
    seen = [f for f in browser.js(FRAMES_JS) if f["row"] == deepest - 1 and near(f["w"], 576)]
    check(seen and seen[0]["y"] >= 80, "what was out of sight shows: %s" % seen)
    browser.keys(ESCAPE)
    check(browser.js(height) == before, "and shrinks again")


def test_hostile(_):
    """Hostile names are text"""
    frames = show("hostile", "--title", "<b>&'\"</title><script>alert(2)</script>", hostile=True)
    names = [f["name"] for f in frames]
    check([n for n in names if "<script>alert(1)</script>" in n], "names show as they are")
    check(browser.js("return document.querySelectorAll('script').length;") == 1, "one script")
    browser.chord(CONTROL, "f")
    browser.keys("<script>")
    check(browser.text("#m").startswith("Matched: "), browser.text("#m"))
    browser.click(mark("row(e) === 2"))
    browser.point(mark("row(e) === 3"))
    try:
        said = browser.call("GET", browser.session + "/alert/text")
    except AssertionError as e:
        check("no such alert" in str(e), str(e))
    else:
        check(False, "a name was executed: " + said)


def test_lost(_):
    """What was lost is told"""
    show("lost")
    check("samples" in browser.text("#foot"), browser.text("#foot"))


def test_empty(_):
    """A picture of nothing says why, within the picture"""
    browser.open(picture("empty", "--comm", "nobody & <none>"))
    want = "nothing to draw: no record of cpu-clock with --comm 'nobody & <none>'"
    check(browser.text("#empty") == want, browser.text("#empty"))
    frames = browser.js(FRAMES_JS)
    check(len(frames) == 1 and near(frames[0]["w"], 1176), "one frame: %s" % frames)
    x, y, right, bottom = browser.js("""
        const r = document.querySelector("#empty").getBoundingClientRect();
        return [r.left + scrollX, r.top + scrollY, r.right + scrollX, r.bottom + scrollY];""")
    root = frames[0]
    check(root["x"] < x and right < root["x"] + root["w"], "in its frame: %s, %s" % (x, right))
    check(near(y, root["y"], 3) and near(bottom, root["y"] + 15, 3), "in its row: %s" % bottom)
    labels = browser.js("""return [...document.querySelectorAll("#t text")].map(
        (e) => [e.textContent, e.getBoundingClientRect().right + scrollX]);""")
    check(all(end < x for _, end in labels), "beside the labels: %s, %s" % (x, labels))
    browser.point("#f rect")
    check(browser.text("#d").startswith("all"), "details: " + browser.text("#d"))
    browser.click("#icicle")
    check(browser.text("#empty") == want, "upside down: " + browser.text("#empty"))


def test_no_requests(_):
    """Nothing is fetched, nothing complained of"""
    show("requests")
    events = [json.loads(e["message"])["message"]
              for e in browser.post("/se/log", {"type": "performance"})]
    asked = {e["params"]["request"]["url"] for e in events
             if e["method"] == "Network.requestWillBeSent"}
    pictures = {a for a in asked if a.startswith("file://" + folder)}
    check("file://" + os.path.join(folder, "requests.svg") in pictures, "requests are seen")
    # Pages of the browser itself, such as its empty tab, are chrome: ones.
    other = {a for a in asked - pictures if not a.startswith(("chrome:", "data:"))}
    check(not other, "the pages asked for %s" % other)
    said = browser.post("/se/log", {"type": "browser"})
    check(not said, "the browser complained: %s" % said)
    loaded = browser.js("return performance.getEntriesByType('resource').map((e) => e.name);")
    check(loaded == [], "loaded: %s" % loaded)


def test_without_script(_):
    """As an image, without JavaScript, it shows the same"""
    path = picture("image")
    page = os.path.join(folder, "image.html")
    with open(page, "w", encoding="utf-8") as f:
        f.write("<!doctype html><body style='margin:0'><img src='image.svg'><canvas></canvas>")
    browser.open(page)
    # Pixels of a file may not be read back: the size, and the elements of the file, say it.
    size = browser.js("const i = document.images[0]; return [i.complete, i.naturalWidth];")
    check(size == [True, 1200], "drawn as an image: %s" % size)
    with open(path, encoding="utf-8") as f:
        text = f.read()
    check(text.count("</text>") > 10 and text.count("<rect ") > 10, "drawn without a script")


TESTS = [test_first_look, test_details, test_search, test_search_nested, test_zoom,
         test_search_in_zoom, test_icicle, test_needles, test_hostile, test_lost, test_empty,
         test_no_requests, test_without_script]


def begin(*started):
    global browser, folder
    browser, folder = started


chromium.run(TESTS, begin)
