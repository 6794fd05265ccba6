#!/usr/bin/env python3
"""A flame graph with nothing in it says of which event, and what was asked for."""

import os
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET

sys.dont_write_bytecode = True

from tap import check, finish  # noqa: E402

KYMO = os.environ["KYMO"]
TOOLS = os.path.join(os.environ["BUILD"], "tests")


def graph(trace, *args, status=0, **kw):
    done = subprocess.run([KYMO, "flamegraph", "-i", trace, *args], capture_output=True,
                          check=False, **kw)
    assert done.returncode == status, (args, done.returncode, done.stderr)
    return done.stdout.decode(), done.stderr.decode().replace("kymo flamegraph: ", "")


def told(svg):
    """What stands in the picture itself, or None."""
    texts = [e.text for e in ET.fromstring(svg).iter() if e.get("id") == "empty"]
    return texts[0] if texts else None


def says(trace, name, want, *args, **kw):
    svg, err = graph(trace, *args, **kw)
    check(name, told(svg) == want and err.splitlines()[0] == want, told(svg), err)
    folded, err = graph(trace, "--folded", *args, **kw)
    check(name + ", as text", folded == "" and err.splitlines()[0] == want, folded, err)


with tempfile.TemporaryDirectory() as scratch:
    sched = os.path.join(scratch, "sched.kymo")
    subprocess.run([os.path.join(TOOLS, "schedgen"), "3000", sched], check=True)
    says(sched, "no record passes",
         "nothing to draw: no record of offcpu with --time '+900,' --comm '<none>&' --filter "
         "'duration > 3600s'",
         "-e", "offcpu", "--time", "+900,", "--comm", "<none>&", "--filter", "duration > 3600s")
    says(sched, "several events", "nothing to draw: no record of runq,offcpu with --pid '7'",
         "-e", "runq", "-e", "offcpu", "--pid", "7")
    says(sched, "no event is named", "nothing to draw: no record of sched with --cpu '200'",
         "--cpu", "200")
    says(sched, "chains", "nothing to draw: no record of blocked with --tid '9999999'",
         "-e", "blocked", "--hops", "3", "--tid", "9999999")
    says(sched, "all time", "nothing to draw: no record of sched with --comm 'none'",
         "--wall", "--comm", "none")
    with open(sched, "rb") as pipe:
        svg, err = graph("-", "--pid", "7", stdin=pipe)
    check("from a pipe", told(svg) == "nothing to draw: no record of sched with --pid '7'" and
          told(svg) in err, err)
    svg, err = graph(sched, "-e", "offcpu", "--filter", "idle == 1")
    hidden = re.fullmatch(r"nothing to draw: ([0-9,]+) records of offcpu with --filter "
                          r"'idle == 1', ([0-9.]+ [mun]?s) of waiting for work hidden "
                          r"\(--idle shows it\)", told(svg) or "")
    check("all is hidden: how much, and how to see it", hidden, told(svg))
    check("and that is said once", hidden and err.count(hidden[2]) == 1, err)
    svg, err = graph(sched, "-e", "offcpu", "--filter", "idle == 1", "--idle")
    check("which then is drawn", told(svg) is None and "nothing" not in err, err)
    svg, err = graph(sched)
    check("no such words where there is something", told(svg) is None and
          "nothing" not in err, err)

    nothing = os.path.join(scratch, "nothing.kymo")
    with subprocess.Popen([os.path.join(TOOLS, "lifegen"), nothing], stdin=subprocess.PIPE) as p:
        p.communicate(b"")
    says(nothing, "a trace without records of it", "nothing to draw: no record of life",
         "-e", "life")
    says(nothing, "a trace without stacks",
         "nothing to draw: no record of an event with stacks")
    zero = os.path.join(scratch, "zero.kymo")
    with subprocess.Popen([os.path.join(TOOLS, "lifegen"), zero], stdin=subprocess.PIPE) as p:
        p.communicate(b"c 1000 1 0 5\nc 2000 1 0 5\n")
    says(zero, "only zeros", "nothing to draw: 2 records of call, none of which has a weight",
         "-e", "call")
finish()
