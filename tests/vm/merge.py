#!/usr/bin/env python3
"""tests/vm/merge.py KERNEL RESULTS: one stream of TAP from what guest/runner left.

What was skipped is counted and named, with its reason, in comments that prove
shows.
"""
import collections
import glob
import os
import re
import struct
import sys

import core

kernel, results = sys.argv[1:]
nr_tests = 0
failed = False
skipped = collections.defaultdict(list)


def result(good, name, comment=""):
    global nr_tests, failed
    nr_tests += 1
    failed |= not good
    print("%sok %d - %s%s" % ("" if good else "not ", nr_tests, name, comment))


def text_of(name):
    try:
        with open(os.path.join(results, name), encoding="utf-8", errors="replace") as f:
            return f.read()
    except FileNotFoundError:
        return ""


def comments(text):
    for line in text.splitlines()[-30:]:
        print("# " + line)


def remains(nr):
    """What the kernel said while a test ran, and where programs were that it ended"""
    comments(text_of("%d.log" % nr))
    for path in sorted(glob.glob(os.path.join(results, "%d.core.*" % nr)))[:3]:
        try:
            comments("\n".join(core.lines(path)))
        except (struct.error, KeyError) as e:
            print("# %s: %s" % (path, e))


def merge(test, tap, err, status):
    """
    Passes on the results of one test, and says when it is not all of them: whether it is
    all, and all good.
    """
    planned, seen, bad = None, 0, 0
    for line in tap.splitlines():
        plan = re.match(r"1\.\.(\d+)(?:\s*#\s*skip\s*(.*))?", line, re.I)
        found = re.match(r"(not )?ok\b\s*\d*\s*-?\s*(.*?)(?:\s*#\s*skip\b\s*(.*))?$", line, re.I)
        if plan:
            planned = int(plan.group(1))
            if planned == 0:
                reason = plan.group(2) or "no reason given"
                skipped[reason].append(test)
                result(True, test, " # SKIP " + reason)
        elif found:
            seen += 1
            name = "%s: %s" % (test, found.group(2) or seen)
            if found.group(3) is not None:
                reason = found.group(3) or "no reason given"
                skipped[reason].append(name)
                result(True, name, " # SKIP " + reason)
            else:
                bad += bool(found.group(1))
                result(not found.group(1), name)
        elif line.startswith("#"):
            print(line)
    if not status:
        result(False, "%s: the machine ended while it ran" % test)
    elif status[0] == "124":
        result(False, "%s: no end after %s ms" % (test, status[1]))
    elif planned != seen and planned != 0:
        result(False, "%s: %d results where %s were planned" % (test, seen, planned))
    elif status[0] != "0" and not bad:
        result(False, "%s: exit status %s" % (test, status[0]))
    elif not bad:
        return True
    comments(err)
    return False


begun = 0
times = []
tests = text_of("tests").split()
for nr, test in enumerate(tests, 1):
    short = re.sub(r"^.*tests/(unit|e2e|vm/guest)/", "", test)
    if not os.path.exists(os.path.join(results, "%d.tap" % nr)):
        break
    begun += 1
    status = text_of("%d.status" % nr).split()
    if status:
        times.append((int(status[1]), short))
    if not merge(short, text_of("%d.tap" % nr), text_of("%d.err" % nr), status):
        remains(nr)
for test in tests[begun:]:
    result(False, "%s: the machine ended before it began" % test)

print("# %s: %d results, %d skipped; %.0f s in tests, longest: %s" % (
    kernel, nr_tests, sum(map(len, skipped.values())), sum(ms for ms, _ in times) / 1000,
    ", ".join("%s %.1f s" % (name, ms / 1000) for ms, name in sorted(times)[:-7:-1])))
for reason, names in sorted(skipped.items()):
    print("# %s skips %d (%s): %s" % (kernel, len(names), reason, "; ".join(names)))
print("1..%d" % nr_tests)
sys.exit(failed)
