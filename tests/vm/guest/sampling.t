#!/usr/bin/env python3
"""Sampling on this kernel: by clock through each transport, and by hardware counters."""
from vm import *

SHARES = {"burn_10", "burn_20", "burn_30", "burn_40"}
# That the rarest of them is in none of so many has a chance of one in a billion.
ENOUGH = 200


def hot_functions(trace):
    rows = kymo("report", "-i", trace, "--no-children", "--by", "symbol", "--csv").splitlines()
    return [row for row in rows if any(name in row for name in SHARES)], rows


def sampled(trace, *options):
    """
    Enough samples of the hot functions.  While an emulated machine stands still, CPU time
    goes on and brings one sample, however long that is: then it takes more of that time.
    """
    for seconds in (1, 2, 4, 8, 16):
        kymo("record", "-q", *options, "-o", trace, "--", *program("shares", seconds))
        recs = records(trace)
        if len(recs) >= ENOUGH:
            return recs
    raise AssertionError("%s: %d samples in %d s" % (options, len(recs), seconds))


def cpu_clock(folder):
    """samples by clock name the hot functions, with BPF and without"""
    t = folder + "/t.kymo"
    for transport in ("auto", "perf"):
        recs = sampled(t, "-F", 249, "--transport", transport)
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
    recs = sampled(t, "-e", "cycles", "-F", 499)
    found, rows = hot_functions(t)
    # Which of 30 and 40 % is met more often is chance; 10 % never is.
    order = [re.search(r"burn_\d+", row).group() for row in found]
    check(order and order[0] in ("burn_40", "burn_30") and found[0] in rows[:4],
          "report: %s" % rows[:6])
    check("burn_40" in order[:order.index("burn_10")], "order: %s" % order)
    check(any(e.startswith("cycles") for e in {r["event"] for r in recs}), "the event")


run([cpu_clock, cycles])
