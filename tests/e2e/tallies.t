#!/usr/bin/env python3
"""Tallies beside the same run recorded one by one."""
import collections
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *

STEPS = 64
NR = 200 if EMULATED else 2000


def middle(value):
    """The middle of the value's bucket, which is what a record of a histogram shows."""
    amount = abs(value)
    shift = 0
    while amount >> shift >= 2 * STEPS:
        shift += 1
    low = amount >> shift << shift
    return (low + ((1 << shift) - 1) // 2) * (-1 if value < 0 else 1)


def recorded(folder, *args):
    """Runs kymo record; the trace and the process that the program named."""
    trace = os.path.join(folder, "t.kymo")
    out = kymo("record", "-q", "-o", trace, *args)
    return trace, [int(word) for word in out.split() if word.isdigit()]


def rows(trace, event="t"):
    return [r["fields"] for r in records(trace) if r["event"] == event]


def summed(of, key):
    """By key: hits, sum, least, most."""
    totals = {}
    for row in of:
        t = totals.setdefault(key(row), [0, 0, None, None])
        t[0] += row["hits"]
        if not row["first"]:
            continue
        t[1] += row["sum"]
        t[2] = row["min"] if t[2] is None else min(t[2], row["min"])
        t[3] = row["max"] if t[3] is None else max(t[3], row["max"])
    return totals


def lost(trace):
    return {row["cause"]: row["count"] for row in info(trace)["losses"]}


def read_twice(folder):
    """A command whose two processes read known numbers of bytes, and fail once each."""
    path = os.path.join(folder, "data")
    with open(path, "wb") as f:
        f.write(b"x" * 65536)
    reads = program("reads", path)
    return ["sh", "-c", '"$@" %d; "$@" %d' % (NR, NR // 3), "sh"] + reads


def compared(folder, how):
    trace, pids = recorded(folder, "-e", "raw_syscalls:sys_exit(ret)", "-e",
                           "raw_syscalls:sys_exit as t", "--tally",
                           "by=pid; %s=ret; every=20ms" % how, "--", *read_twice(folder))
    one_by_one = collections.defaultdict(list)
    for r in records(trace):
        if r["event"] == "raw_syscalls:sys_exit":
            one_by_one[r["pid"]].append(r["fields"]["ret"])
    equal(len(pids), 2, "processes")
    check(set(pids) <= set(one_by_one), "both were recorded")
    expected = {pid: [len(v), sum(v), min(v), max(v)] for pid, v in one_by_one.items()}
    equal(summed(rows(trace), lambda row: row["pid"]), expected, "sums by process")
    check(all(min(v) < 0 and len(set(v)) > NR // 4 for v in (one_by_one[p] for p in pids)),
          "many values, some of them negative")
    equal(lost(trace), {}, "losses")
    return trace, one_by_one


def sums_are_those_of_the_records(folder):
    """sums of a tally equal those of the records of the same run, exactly"""
    compared(folder, "sum")


def histograms_are_those_of_the_records(folder):
    """so does each bucket of its histogram"""
    trace, one_by_one = compared(folder, "hist")
    counted = collections.Counter()
    for row in rows(trace):
        counted[row["pid"], row["ret"]] += row["hits"]
    expected = collections.Counter((pid, middle(v)) for pid, values in one_by_one.items()
                                   for v in values)
    equal(counted, expected, "buckets")


def a_key_is_first_once(folder):
    """in each interval each key is first once, and intervals follow each other"""
    trace, _ = recorded(folder, "-e", "syscall:getppid as t", "--tally",
                        "by=tid; hist; every=10ms", "--",
                        *program("calls", "getppid", NR * 80))
    firsts = collections.Counter()
    ends = {}
    for r in records(trace):
        ends[r["time"]] = r["fields"]["interval"]
        firsts[r["time"], r["fields"]["tid"]] += r["fields"]["first"]
    check(set(firsts.values()) == {1}, "first once")
    last = None
    for end in sorted(ends):
        check(last is None or end * 1e9 - ends[end] > last * 1e9 - 1000, "no overlap")
        last = end
    equal(sum(row["hits"] for row in rows(trace)), NR * 80, "hits")


def spans_are_measured(folder):
    """durations of spans, by a text; the sum is between the least and the greatest"""
    trace, _ = recorded(folder, "-e", "syscall:getppid as t", "--tally", "by=comm; hist",
                        "--", *program("calls", "getppid", NR))
    totals = summed(rows(trace), lambda row: row["comm"])
    equal(set(totals), {"calls"}, "keys")
    hits, total, least, most = totals["calls"]
    equal(hits, NR, "hits")
    check(0 < least * hits <= total <= most * hits, "mean between the ends")
    check(all(middle(least) <= row["duration"] <= middle(most) for row in rows(trace)),
          "buckets between the ends")


def without_a_key(folder):
    """without by= there is one key; without hist= and sum= only hits"""
    trace, _ = recorded(folder, "-e", "syscall:getppid as t", "--tally", "every=1s", "--",
                        *program("calls", "getppid", NR))
    equal(sum(row["hits"] for row in rows(trace)), NR, "hits")
    check(all("sum" not in row and "duration" not in row for row in rows(trace)), "no value")


def all_events_of_a_glob(folder):
    """a tally of each of many events, in tables that they share"""
    trace, _ = recorded(folder, "-e", "syscall:get*", "--tally", "by=comm", "--",
                        *program("calls", "getppid", NR))
    hits = collections.Counter()
    for r in records(trace):
        if "hits" in r["fields"]:
            hits[r["event"], r["fields"]["comm"]] += r["fields"]["hits"]
    equal(hits["syscall:getppid", "calls"], NR, "hits")


def texts_are_keys(folder):
    """file names as keys"""
    trace, _ = recorded(folder, "-e", "syscall:openat as t", "--tally",
                        "by=filename", "--", "sh", "-c",
                        "for i in 1 2 3; do : </dev/zero; done; : </dev/null; cat <%s" %
                        ("/" * 90 + "dev/null"))
    hits = collections.Counter()
    for row in rows(trace):
        hits[row["filename"]] += row["hits"]
    equal(hits["/dev/zero"], 3, "/dev/zero")
    equal(hits["/dev/null"], 1, "/dev/null")
    equal(hits["/" * 63], 1, "a name that is cut")


def bytes_are_keys(folder):
    """addresses of the internet as keys, in all rows of a key"""
    trace, _ = recorded(
        folder, "-e", "sock:inet_sock_set_state(daddr, dport, sport, daddr_v6)", "-e",
        "sock:inet_sock_set_state as t", "--tally", "by=daddr,daddr_v6,newstate; hist=dport",
        "--", sys.executable, "-c", """
import socket
for host in "127.0.0.1", "127.0.0.2":
    with socket.create_server((host, 0)) as server:
        for i in range(3):
            socket.create_connection(server.getsockname()).close()
""")
    keys = ("daddr", "daddr_v6")
    one_by_one = collections.Counter(tuple(r["fields"][k] for k in keys)
                                     for r in records(trace)
                                     if r["event"] == "sock:inet_sock_set_state")
    hits = collections.Counter()
    for row in rows(trace):
        hits[tuple(row[k] for k in keys)] += row["hits"]
    check(len(hits) > 1, "several addresses")
    equal(hits, one_by_one, "hits by address")


def stacks_are_keys(folder):
    """stacks as keys, with the names of their functions"""
    trace, _ = recorded(folder, "-e", "syscall:getppid as t", "--tally", "by=stack", "--",
                        *program("calls", "getppid", NR))
    hits = collections.Counter()
    for r in records(trace):
        for frame in {f["symbol"] for f in r["stack"]}:
            hits[frame] += r["fields"]["hits"]
    equal(hits["syscall"], NR, "hits under syscall()")


def keys_without_room(folder):
    """hits of keys without room are counted as lost, and every view tells"""
    trace, _ = recorded(folder, "-e", "raw_syscalls:sys_exit(ret)", "-e",
                        "raw_syscalls:sys_exit as t", "--tally", "by=ret; keys=10", "--",
                        *read_twice(folder))
    made = len([r for r in records(trace) if r["event"] == "raw_syscalls:sys_exit"])
    hits = sum(row["hits"] for row in rows(trace))
    equal(len({row["ret"] for row in rows(trace)}), 10, "keys")
    equal(lost(trace), {"no room in a table": made - hits}, "losses")
    text = run_command([KYMO, "report", "-i", trace]).stdout.decode()
    check("{:,} lost".format(made - hits) in text, "report: %s" % text.splitlines()[:1])


def mistakes_are_named(folder):
    """mistakes are told in one line, before anything is recorded"""
    trace = os.path.join(folder, "t.kymo")
    for event, tally, words in (
            ("syscall:getppid", "by=nothing", "nothing"),
            ("syscall:getppid", "hist=comm", "'comm' is not a number"),
            ("syscall:getppid", "hits", "unknown word 'hits'"),
            ("syscall:getppid", "every=5", "every='5' is no time"),
            ("syscalls:sys_enter_read", "hist", "duration"),
            ("cpu", "by=comm", "'cpu' is sampled")):
        r = run_command([KYMO, "record", "-q", "-o", trace, "-e", event, "--tally", tally,
                         "--", "true"])
        text = r.stderr.decode()
        check(r.returncode in (1, 2), "%s: exit status %d" % (tally, r.returncode))
        equal(len(text.splitlines()), 1, "lines of %r" % text)
        check(words in text, "%s: %s" % (tally, text))
        check(not os.path.exists(trace), "%s: no file" % tally)


run([
    sums_are_those_of_the_records,
    histograms_are_those_of_the_records,
    a_key_is_first_once,
    spans_are_measured,
    without_a_key,
    all_events_of_a_glob,
    texts_are_keys,
    bytes_are_keys,
    stacks_are_keys,
    keys_without_room,
    mistakes_are_named,
])
