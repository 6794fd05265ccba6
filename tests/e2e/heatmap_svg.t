#!/usr/bin/env python3
"""The heat map in a browser: what is pointed at, dragged over and pasted, zoom, labels."""
import itertools
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import tempfile

import browser as chromium
from browser import ENTER, ESCAPE
from live import BUILD, KYMO, check, equal, kymo, run

RIGHT, UP, SHIFT = "\ue014", "\ue013", "\ue008"

browser = None
folder = None
traces = {}


def trace(name, generator, *args):
    """Generated once, whichever test comes first."""
    if name not in traces:
        path = os.path.join(folder, name + ".kymo")
        nr, *more = args
        subprocess.run([os.path.join(BUILD, "tests", generator), str(nr), path, *more], check=True)
        traces[name] = path
    return traces[name]


def spans():
    return trace("spans", "spangen", 6000)


def tallies():
    return trace("tallies", "spangen", 200000, "--as", "tallies")


def samples():
    return trace("samples", "tracegen", 20000, "--cpus", "3")


def show(path, *args, name="picture"):
    svg = os.path.join(folder, name + ".svg")
    kymo("heatmap", "-i", path, "-o", svg, *args)
    browser.open(svg)
    check(browser.js("return document.documentElement.classList.contains('js');"), "script ran")
    return json.loads(browser.text("#data"))


def pasted(path):
    """How many the options in the field choose: records, or hits of tallies."""
    args = browser.js("return document.querySelector('#args').value;")
    check(args, "the field has options")
    done = subprocess.run("%s script --json -i %s %s" % (
        shlex.quote(KYMO), shlex.quote(path), args), shell=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, check=False)
    check(done.returncode == 0, "'%s': %s" % (args, done.stderr))
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return sum(row["fields"]["count"] if path == traces.get("tallies") else 1 for row in rows), args


def told():
    """How many the line above the maps tells of."""
    text = browser.text("#d")
    found = re.search(r":  ([\d,]+) (record|sample|hit)s?\b", text)
    check(found, "a count in '%s'" % text)
    return int(found.group(1).replace(",", ""))


def pixel(map_nr, column, row):
    """The middle of a cell of the view that is shown whole."""
    return browser.js("""
        const data = JSON.parse(document.querySelector("#data").textContent);
        const f = document.querySelectorAll(".map .f")[arguments[0]];
        f.scrollIntoView({block: "center"});
        const r = f.getBoundingClientRect();
        return [r.left + (arguments[1] + .5) * r.width / data.x.from.length,
                r.bottom - (arguments[2] + .5) * r.height / data.y.from.length];""",
                      map_nr, column, row)


def mouse(*actions):
    done = []
    for action in actions:
        if isinstance(action, str):
            done.append({"type": action, "button": 0})
        else:
            done.append({"type": "pointerMove", "x": round(action[0]), "y": round(action[1]),
                         "duration": 0})
    browser.post("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": done}]})


def drag(a, b, map_nr=0):
    browser.keys(ESCAPE)
    mouse(pixel(map_nr, *a), "pointerDown", pixel(map_nr, *b), "pointerUp")
    selected = browser.js("""const e = document.activeElement;
        return e.id === "args" && e.selectionStart === 0 && e.selectionEnd === e.value.length;""")
    check(selected, "the options are selected")


def cells(data, map_nr=0):
    """{(column, row): what is shown}"""
    found, column = {}, 0
    for part in filter(None, data["maps"][map_nr]["cells"].split(";")):
        place, *rest = part.split(" ")
        column += int(place.split("/")[0])
        row = 0
        for cell in rest:
            up, _, amount = cell.partition("*")
            row += int(up)
            found[column, row] = int(amount or 1)
    return found


def some_drags(path, data, nr=6, seed=1, map_nr=0):
    """Regions between cells that have something lead to as many records as they tell."""
    rng = random.Random(seed)
    known = sorted(cells(data, map_nr))
    for _ in range(nr):
        a, b = rng.choice(known), rng.choice(known)
        drag(a, b, map_nr)
        got, args = pasted(path)
        equal(got, told(), "what '%s' chooses" % args)
        check(got > 0, "something is there")


def test_details(_):
    """The mouse over a cell tells its limits, count and share"""
    data = show(spans(), "-e", "read")
    (column, row), count = max(cells(data).items(), key=lambda c: c[1])
    mouse(pixel(0, column, row))
    text = browser.text("#d")
    check("%s \u2013 %s" % (data["x"]["label"][column], data["x"]["label"][column + 1]) in text,
          text)
    check("%s \u2013 %s" % (data["y"]["label"][row], data["y"]["label"][row + 1]) in text, text)
    equal(told(), count, text)
    check("%.2f %% of all" % (100 * count / data["maps"][0]["total"]) in text, text)
    equal(sum(cells(data).values()), data["maps"][0]["total"], "all cells")
    browser.point("#q")
    equal(browser.text("#d"), "", "goes away")


def test_click(_):
    """A click on a cell leads to its records"""
    data = show(spans(), "-e", "read")
    cell, count = max(cells(data).items(), key=lambda c: c[1])
    drag(cell, cell)
    got, args = pasted(spans())
    equal((got, told()), (count, count), args)
    check("--time +" in args and "--filter 'duration >= " in args and "-e read" in args, args)


def test_drag(_):
    """A region leads to exactly its records"""
    some_drags(spans(), show(spans(), "-e", "read"))
    some_drags(spans(), show(spans(), "-e", "blockio", "--linear"))
    some_drags(spans(), show(spans(), "-e", "blockio", "--of", "bytes"))
    data = show(spans(), "-e", "read", "--of", "ret", "--log")
    some_drags(spans(), data)
    drag((0, 0), (len(data["x"]["from"]) - 1, len(data["y"]["from"]) - 1))
    got, args = pasted(spans())
    equal(got, data["maps"][0]["total"], "everything")
    check("--time" not in args and "--filter" not in args, args)


def test_drag_of_chosen(_):
    """What chose the records of the picture is a part of the options"""
    some_drags(spans(), show(spans(), "-e", "read", "--comm", "nginx,cron", "-C", "0-2",
                             "--filter", "ret >= 0 || comm == \"it's\"", "--time", "+0.01234567,"))
    some_drags(spans(), show(spans(), "--range", "100us,3.3ms", "-e", "r*d"))
    some_drags(spans(), show(spans(), "--time", "10%,50%", "--linear"))


def test_by(_):
    """Small maps share their axes; a region is one of its group"""
    data = show(spans(), "-e", "blockio", "--by", "comm,rwbs")
    check(len(data["maps"]) > 3, "maps")
    totals = [m["total"] for m in data["maps"]]
    equal(totals, sorted(totals, reverse=True), "the largest first")
    for nr in (0, len(totals) - 1):
        some_drags(spans(), data, nr=3, map_nr=nr)
    data = show(spans(), "-e", "read", "--by", "tid", "--max-maps", "5")
    equal(len(data["maps"]), 5, "a limit")
    check("43 smaller maps not shown" in browser.text("#n"), browser.text("#n"))
    some_drags(spans(), data, nr=2, map_nr=4)


def test_subsecond(_):
    """Within seconds: a place in one second, and the same of several"""
    data = show(samples(), "--subsecond")
    equal(len(data["y"]["from"]), 50, "rows")
    some_drags(samples(), data)
    column, row = sorted(cells(data))[0]
    drag((column, row), (column, row + 3))
    got, args = pasted(samples())
    equal(got, told(), args)
    check("--filter" not in args, args)


def test_utilization(_):
    """CPUs by time: the share is that of the samples"""
    data = show(samples(), "--utilization")
    equal(data["y"]["from"], ["0", "1", "2"], "CPUs")
    drag((0, 1), (len(data["x"]["from"]) - 1, 2))
    _, args = pasted(samples())
    check("-C 1-2" in args, args)
    text = browser.text("#d")
    share = float(re.search(r"([\d.]+) % of the time", text).group(1))
    columns = {c for c, _ in cells(data)}
    mean = sum(v for (_, row), v in cells(data).items() if row) / 2 / len(data["x"]["from"]) / 10
    check(abs(share - mean) < 0.06 and columns, "%s: %s" % (text, mean))


def test_tallies(_):
    """A cell of a tally is its interval, and a region has whole ones"""
    data = show(tallies(), "-e", "read")
    equal(sum(cells(data).values()), data["maps"][0]["total"], "all cells")
    some_drags(tallies(), data)
    # The middle of an interval leads to all of it.
    wide = [int(w) for w in re.findall(r"/(\d+) ", data["maps"][0]["cells"])]
    check(wide and max(wide) > 4, "intervals are wide: %s" % wide)
    column, row = sorted(cells(data))[-1]
    drag((column - 2, row), (column - 2, row))
    got, args = pasted(tallies())
    equal((got, told()), (cells(data)[column, row],) * 2, args)
    some_drags(tallies(), show(tallies(), "-e", "blockio", "--linear"))


def test_zoom(_):
    """A region can be enlarged, with the mouse and with keys"""
    data = show(spans(), "-e", "read")
    check(browser.js("return document.querySelector('#reset').classList.contains('off');"),
          "nothing to reset")
    matrix = "return document.querySelector('.z').getAttribute('transform').match(/[-.e0-9]+/g);"
    before = browser.js(matrix)
    drag((10, 20), (29, 39))
    browser.click("#zoom")
    scale = browser.js("const m = document.querySelector('.z').transform.baseVal[0].matrix;"
                       "return [m.a, m.d];")
    frame = browser.js("const f = document.querySelector('.f'); return "
                       "[Number(f.getAttribute('width')), Number(f.getAttribute('height'))];")
    check(abs(scale[0] - frame[0] / 20) < .01 and abs(scale[1] + frame[1] / 20) < .01, scale)
    shown = browser.js("return [...document.querySelectorAll('.t')].filter((e) => "
                       "e.getAttribute('visibility') === 'visible').map((e) => "
                       "[...e.querySelectorAll('text')].map((t) => t.textContent));")
    equal(len(shown), 1, "one set of numbers")
    check(set(shown[0]) <= set(data["x"]["label"] + data["y"]["label"]) and len(shown[0]) > 5,
          "numbers of edges: %s" % shown)
    browser.keys(ESCAPE)
    browser.keys(ESCAPE)
    back = [abs(float(a) - float(b)) for a, b in zip(browser.js(matrix), before)]
    check(len(back) == 6 and max(back) < 1e-6, "and back")
    column, row = max(cells(data).items(), key=lambda c: c[1])[0]
    drag((column, row), (column, row))
    browser.js("document.querySelector('.map').focus();")
    browser.post("/actions", {"actions": [{"type": "key", "id": "keys", "actions": [
        {"type": "keyDown", "value": SHIFT}, {"type": "keyDown", "value": RIGHT},
        {"type": "keyUp", "value": RIGHT}, {"type": "keyDown", "value": UP},
        {"type": "keyUp", "value": UP}, {"type": "keyUp", "value": SHIFT}]}]})
    want = sum(cells(data).get((column + x, row + y), 0) for x in (0, 1) for y in (0, 1))
    got, args = pasted(spans())
    equal((got, told()), (want, want), args)
    browser.keys(ENTER)
    check(not browser.js("return document.querySelector('#reset').classList.contains('off');"),
          "Enter zooms in")
    browser.click("#reset")
    check(browser.js("return document.querySelector('#reset').classList.contains('off');"), "reset")


def test_overlap(_):
    """No label covers another at 1,000 px"""
    for args in (["-e", "read"], ["-e", "blockio", "--linear"], ["-e", "read", "--by", "comm"],
                 ["-e", "read", "--by", "tid"], ["--subsecond"], ["--utilization"],
                 ["-e", "read", "--of", "ret"], ["-e", "blockio", "--of", "bytes", "--log"],
                 ["--title", "a long title " * 20, "--subtitle", "long words " * 30], ["--time", "+1000,"],
                 ["--height", "60"]):
        for path in (spans(), tallies()):
            if path == tallies() and {"--subsecond", "--utilization", "--of", "tid"} & set(args):
                continue
            show(path, "--width", "1000", *args)
            boxes = browser.js("""
                return [...document.querySelectorAll("text")].filter((e) => e.textContent !== "" &&
                    e.id !== "d" && getComputedStyle(e).visibility === "visible").map((e) => {
                    const r = e.getBoundingClientRect();
                    return [e.textContent, r.left, r.right, r.top + 2, r.bottom - 2]; });""")
            check(len(boxes) > 6, "labels")
            for a, b in itertools.combinations(boxes, 2):
                check(a[2] <= b[1] or b[2] <= a[1] or a[4] <= b[3] or b[4] <= a[3],
                      "%s: '%s' covers '%s'" % (args, a, b))
            for box in boxes:
                check(box[1] >= 0 and box[2] <= 1000, "%s: '%s' is cut off" % (args, box))


def test_little(_):
    """One record and none"""
    data = show(spans(), "--time", "+1000,", "-e", "read")
    equal(data["maps"], [], "nothing")
    check("no records" in browser.text(".map"), browser.text(".map"))
    line = kymo("script", "--json", "-i", spans(), "-e", "read", "--limit", "1")
    one = json.loads(line)["fields"]["duration"]
    for scale in ("--log", "--linear"):
        data = show(spans(), "-e", "read", "--filter", "duration == %d" % one, "--time", ",+0.01",
                    scale)
        some_drags(spans(), data, nr=1)


def test_hostile(_):
    """Hostile names are text"""
    path = trace("hostile", "tracegen", 2000, "--hostile")
    data = show(path, "--subsecond", "--by", "comm", "--title", "<b>&'\"</title>]]>\x1b")
    check("<script>" in browser.text(".map .g"), browser.text(".map .g"))
    equal(browser.js("return document.querySelectorAll('script').length;"), 1, "scripts")
    some_drags(path, data, nr=2)


def test_no_requests(_):
    """Nothing is fetched, nothing complained of"""
    show(spans(), name="requests")
    drag((1, 1), (5, 5))
    browser.click("#copy")
    said = browser.post("/se/log", {"type": "browser"})
    check(not said, "the browser complained: %s" % said)
    loaded = browser.js("return performance.getEntriesByType('resource').map((e) => e.name);")
    equal(loaded, [], "loaded")


def test_without_script(_):
    """As an image, without JavaScript, it shows cells, axes and legend"""
    show(spans(), name="image")
    with open(os.path.join(folder, "image.html"), "w", encoding="utf-8") as f:
        f.write("<!doctype html><body style='margin:0'><img src='image.svg'>")
    browser.open(os.path.join(folder, "image.html"))
    size = browser.js("const i = document.images[0]; return [i.complete, i.naturalWidth];")
    equal(size, [True, 1200], "drawn as an image")
    with open(os.path.join(folder, "image.svg"), encoding="utf-8") as f:
        text = f.read()
    check(text.count("</text>") > 10 and text.count('<path class="l') > 3, "drawn without a script")


TESTS = [test_details, test_click, test_drag, test_drag_of_chosen, test_by, test_subsecond,
         test_utilization, test_tallies, test_zoom, test_overlap, test_little, test_hostile,
         test_no_requests, test_without_script]


def begin(*started):
    global browser, folder
    browser, folder = started


chromium.run(TESTS, begin)
