#!/usr/bin/env python3
"""Sampling on this kernel: by clock through each transport, and by hardware counters."""
from vm import *

SHARES = {"burn_10", "burn_20", "burn_30", "burn_40"}


def hot_functions(trace):
    rows = kymo("report", "-i", trace, "--no-children", "--by", "symbol", "--csv").splitlines()
    return [row for row in rows if any(name in row for name in SHARES)], rows


def cpu_clock(folder):
    """samples by clock name the hot functions, with BPF and without"""
    t = folder + "/t.kymo"
    for transport in ("auto", "perf"):
        kymo("record", "-q", "-F", 199, "--transport", transport, "-o", t, "--",
             *program("shares", 1))
        recs = records(t)
        check(len(recs) > 50, "%s: %d samples" % (transport, len(recs)))
        seen = {f["symbol"] for r in recs for f in r["stack"]}
        check(SHARES <= seen, "%s: %s" % (transport, SHARES - seen))
        check("main" in seen, "%s: no main" % transport)


def cycles(folder):
    """cycles of the hardware lead to the hot function"""
    t = folder + "/t.kymo"
    kinds = os.listdir("/sys/bus/event_source/devices")
    if not any(kind == "cpu" or kind.startswith("armv8") for kind in kinds):
        text = complaint("record", "-q", "-e", "cycles", "-o", t, "--", "true")
        check("cycles" in text, text)
        skip("this machine has no hardware counters")
    kymo("record", "-q", "-e", "cycles", "-F", 499, "-o", t, "--", *program("shares", 1))
    found, rows = hot_functions(t)
    check(len(records(t)) > 50, "%d samples" % len(records(t)))
    check(found and "burn_40" in found[0] and found[0] in rows[:4], "report: %s" % rows[:6])
    check(any(e.startswith("cycles") for e in {r["event"] for r in records(t)}), "the event")


run([cpu_clock, cycles])
