"""The law of the function graph: own times add up to the duration of each root."""
import collections
import re
from vm import *

ROOT_FUNCTION = "do_sys_openat2"
# What comes in between, at any time.
INTERRUPTS = re.compile(r"irq|sysvec|interrupt|timer|tick_|exc_page_fault|schedule|resched|rcu_")
UNTIL_6_10 = KERNEL in ("5.10", "6.1")


def names_of(record):
    """From the outermost inwards."""
    return [f["symbol"] for f in reversed(record["stack"])]


def lines_of(part):
    return "\n".join("%s depth %d cpu %d duration %d own %d %s" % (
        r["time"], r["fields"]["depth"], r["cpu"], r["fields"]["duration"], r["period"],
        ";".join(names_of(r))) for r in part[-60:])


def units_of(part):
    """What a root calls, and what was noted without one: (outermost, function, own time)."""
    own_ns = 0
    for r in part[:-1]:
        path = names_of(r)
        own_ns += r["period"]
        # Around the callee of a root there may be one that is not known.
        below = len(path) - 1 - path[1:2].count("[truncated]")
        known = path[0] in (ROOT_FUNCTION, "[truncated]")
        if below == (1 if known else 0):
            yield path[0], path[-1], own_ns
            own_ns = 0
    check(not own_ns, "calls without the one around them:\n" + lines_of(part))


def adds_up(part):
    """
    The calls that a thread ended from one root to the next one, which is the last of
    them: own times add up to its duration, to the nanosecond.  Only interrupts that come
    while the tracer is at work may be no part of that.

    Until Linux 6.10 the tracer reads the clock before it sets out to follow a root: what
    is noted before the root is (its stack is truncated) belongs to its time.  At the end
    it leaves the root before it reads the clock, and follows until later: an interrupt
    then is a root beside, and belongs to it or not.

    Newer kernels may set out before they read the clock, and leave only when both is done:
    what is noted before the root may not belong to it, nor what it called last.
    """
    root, units = part[-1], list(units_of(part))
    before = [u for u in units if u[0] == "[truncated]"]
    beside = [u for u in units if u[0] not in (ROOT_FUNCTION, "[truncated]")]
    within = [u for u in units if u[0] == ROOT_FUNCTION]
    check(units == before + within + beside, "the order:\n" + lines_of(part))
    check(all(INTERRUPTS.search(u[1]) for u in before + beside),
          "no interrupts:\n" + lines_of(part))
    if not UNTIL_6_10:
        check(not beside, "roots beside:\n" + lines_of(part))
    first, last = ([], beside) if UNTIL_6_10 else (before, [])
    for unit in reversed([] if UNTIL_6_10 else within):
        if not INTERRUPTS.search(unit[1]):
            break
        last.insert(0, unit)
    total_ns = sum(r["period"] for r in part)
    sums = {total_ns - sum(u[2] for u in first[:i] + last[k:])
            for i in range(len(first) + 1) for k in range(len(last) + 1)}
    check(root["fields"]["duration"] in sums, "own times make %s, not %d:\n%s" % (
        sums, root["fields"]["duration"], lines_of(part)))


def nested(part):
    """No call begins after one that it called, interrupts at their edges left out."""
    called = collections.defaultdict(list)
    for r in part:
        name, depth = r["fields"]["function"], r["fields"]["depth"]
        # A float has 52 bits, so that the last digits of a time are wrong.
        began = r["time"] * 1e9 - r["fields"]["duration"]
        for other, other_began in called.pop(depth + 1, []):
            check(other_began > began - 10 or INTERRUPTS.search(name) or INTERRUPTS.search(other),
                  "%s calls %s, and begins %d ns later:\n%s" % (
                      name, other, began - other_began, lines_of(part)))
        called[depth].append((name, began))


def add_up(t):
    """Root by root; nothing is left over.  The sum of own times, and how many roots."""
    recs = records(t)
    equal(info(t)["losses"], [], "losses")
    threads = collections.defaultdict(list)
    nr_roots = 0
    for r in recs:
        part = threads[r["tid"]]
        part.append(r)
        names = names_of(r)
        equal(names[-1], r["fields"]["function"], "stack: %s" % names)
        check(len(names) <= r["fields"]["depth"] + 1, "stack: %s" % names)
        check(len(names) == r["fields"]["depth"] + 1 or "[truncated]" in names,
              "stack: %s" % names)
        check(r["fields"]["duration"] >= r["period"], "own time is a part: %s" % r)
        if names == [ROOT_FUNCTION]:
            adds_up(part)
            nested(part)
            nr_roots += 1
            part.clear()
    left = [r for part in threads.values() for r in part]
    check(not left, "calls that no root follows:\n" + lines_of(left))
    return sum(r["period"] for r in recs), nr_roots
