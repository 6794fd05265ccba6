#!/usr/bin/env python3
"""Spans paired in the kernel: beside the program's own clock, and where pairing is hard."""
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *

NR = 40
CLOCK = os.path.join(PROGRAMS, "spanclock")


def recorded(folder, events, *work):
    """The trace, and what the program says: (name, index) -> (inner, outer)."""
    trace = os.path.join(folder, "t.kymo")
    args = [a for e in events for a in (e if isinstance(e, tuple) else ("-e", e))]
    out = kymo("record", "-q", "-o", trace, *args, "--", *program("spanclock", *work))
    own = {}
    for line in out.splitlines():
        name, index, inner, outer = line.split()
        own[name, int(index)] = (int(inner), int(outer))
    return trace, own


def spans(trace, event):
    return [r for r in records(trace) if r["event"] == event]


def unpaired(trace):
    """Ends without a start, starts without an end."""
    quality = info(trace)["quality"]
    return quality["no_start"], quality["no_end"]


def nothing_lost(trace):
    bad = [r for r in info(trace)["losses"] if r["cause"] not in ("no start", "no end")]
    check(not info(trace)["quality"]["lost"], "lost: %r" % bad)


def between(span, clock, text):
    """A span lies around what is timed within, and within what is timed around it."""
    inner, outer = clock
    check(inner <= span["fields"]["duration"] <= outer,
          "%s: %d is not in %d..%d" % (text, span["fields"]["duration"], inner, outer))


def func(name, fields=""):
    return "func:%s:%s%s as %s" % (CLOCK, name, fields, name)


def calls_take_what_they_say(folder):
    """a function's durations agree with the program's own clock"""
    trace, own = recorded(folder, [func("timed", "(index=arg0,ret)")], "calls", NR)
    got = spans(trace, "timed")
    equal([s["fields"]["index"] for s in got], list(range(1, NR + 1)), "calls")
    for s in got:
        equal(s["fields"]["ret"], 2 * s["fields"]["index"], "returned")
        between(s, own["timed", s["fields"]["index"]], "call %d" % s["fields"]["index"])
    equal(unpaired(trace), (0, 0), "unpaired")
    nothing_lost(trace)


def system_calls_take_what_they_say(folder):
    """a system call's durations lie between what was asked for and the program's clock"""
    trace, own = recorded(folder, ["syscall:clock_nanosleep"], "calls", NR)
    got = spans(trace, "syscall:clock_nanosleep")
    equal(len(got), NR, "calls")
    for i, s in enumerate(got, 1):
        inner, outer = own["timed", i]
        check(i * 20000 <= s["fields"]["duration"] <= inner,
              "call %d: %d is not in %d..%d" % (i, s["fields"]["duration"], i * 20000, inner))
        equal(s["fields"]["ret"], 0, "returned")
    nothing_lost(trace)


def short_ones_are_dropped(folder):
    """--min and --max drop in the kernel, and filters ask for both sides"""
    trace, own = recorded(folder, [("-e", func("timed", "(index=arg0,ret)"),
                                    "--min", "300us", "--max", "600us")], "calls", NR)
    for s in spans(trace, "timed"):
        check(300000 <= s["fields"]["duration"] <= 600000, "duration %r" % s)
    must = {i for (_, i), (inner, outer) in own.items() if inner >= 300000 and outer <= 600000}
    got = {s["fields"]["index"] for s in spans(trace, "timed")}
    check(must <= got, "missing: %r" % sorted(must - got))
    trace, own = recorded(folder, [("-e", func("timed", "(index=arg0,ret)"), "--filter",
                                    "index > 10 && ret < 40 && duration > index * 10000")],
                          "calls", NR)
    equal([s["fields"]["index"] for s in spans(trace, "timed")], list(range(11, 20)), "calls")
    equal(unpaired(trace), (0, 0), "unpaired")


def recursion_is_told_apart(folder):
    """calls of a function within itself are spans of their own"""
    trace, own = recorded(folder, [func("deep", "(level=arg0,ret)")], "recursion", 20)
    got = spans(trace, "deep")
    equal([s["fields"]["level"] for s in got], list(range(1, 21)), "levels, innermost first")
    for s in got:
        equal(s["fields"]["ret"], s["fields"]["level"], "returned")
        between(s, own["deep", s["fields"]["level"]], "level %d" % s["fields"]["level"])
    equal(unpaired(trace), (0, 0), "unpaired")


def jumps_leave_no_wrong_durations(folder):
    """calls that longjmp() leaves are counted, and those after them are right"""
    trace, own = recorded(folder, [func("leaves", "(index=arg0)")], "jumps", NR)
    got = spans(trace, "leaves")
    equal([s["fields"]["index"] for s in got], list(range(2, NR + 1, 2)), "calls that return")
    for s in got:
        between(s, own["leaves", s["fields"]["index"]], "call %d" % s["fields"]["index"])
    equal(unpaired(trace), (0, NR // 2), "unpaired")


def threads_that_die_are_counted(folder):
    """threads that end inside a span leave one start each"""
    trace, own = recorded(folder, [func("lives", "(index=arg0)")], "deaths", NR)
    got = spans(trace, "lives")
    equal([s["fields"]["index"] for s in got], list(range(1, NR + 1, 2)), "threads that live on")
    for s in got:
        between(s, own["lives", s["fields"]["index"]], "thread %d" % s["fields"]["index"])
    equal(unpaired(trace), (0, NR // 2), "unpaired")


def spans_cross_cpus(folder):
    """a span that begins on one CPU and ends on another is one"""
    if len(os.sched_getaffinity(0)) < 2 or not {0, 1} <= os.sched_getaffinity(0):
        skip("needs CPUs 0 and 1")
    trace, own = recorded(folder, ["uprobe:%s:moves(index=arg0,from=cpu)..uretprobe:%s:moves(to=cpu)"
                                   "@tid,frame as moves" % (CLOCK, CLOCK)], "migration", NR)
    got = spans(trace, "moves")
    equal([s["fields"]["index"] for s in got], list(range(1, NR + 1)), "calls")
    for s in got:
        index = s["fields"]["index"]
        equal((s["fields"]["from"], s["fields"]["to"]), (index & 1, 1 - (index & 1)), "CPUs")
        between(s, own["moves", index], "call %d" % index)
    equal(unpaired(trace), (0, 0), "unpaired")


MARKS = ("syscalls:sys_enter_lseek(key=offset){whence == 1000}..syscalls:sys_enter_lseek"
         "(end=offset){whence == 1001}@offset as mark")


def keys_are_used_again(folder):
    """starts of a key that comes again, ends of none: each is counted, none is mixed up"""
    trace, _ = recorded(folder, [("-a", "-e", MARKS)], "pairs", "s1 s2 s1 e1 e1 e3 e2 s4",
                        "s5 e5 s6")
    equal([(s["fields"]["key"], s["fields"]["end"]) for s in spans(trace, "mark")],
          [(1, 1), (2, 2), (5, 5)], "pairs")
    # e1 again and e3; s1 replaced, s4 and s6 open.
    equal(unpaired(trace), (2, 3), "unpaired")


def keys_cross_threads(folder):
    """a start in one thread and its end in another; whose the record is"""
    lists = ["s%d" % i for i in range(1, 11)] + ["e%d" % i for i in range(10, 0, -1)]
    trace, _ = recorded(folder, [MARKS], "pairs", *lists)
    got = spans(trace, "mark")
    equal([s["fields"]["key"] for s in got], list(range(10, 0, -1)), "keys")
    equal(len({s["tid"] for s in got}), 10, "threads of the starts")
    starts = [s["tid"] for s in got]
    trace, _ = recorded(folder, [MARKS.replace("end=offset", "end=offset,task")], "pairs",
                        "s1 s2 s3", "e1", "e2", "e3")
    equal(len({s["tid"] for s in spans(trace, "mark")}), 3, "threads of the ends")
    equal(unpaired(trace), (0, 0), "unpaired")


def negative_keys_are_equal(folder):
    """a key with a sign and one without are one number"""
    trace, _ = recorded(folder, [MARKS.replace("@offset", "@offset,fd=fd")], "pairs",
                        "s-5 e-5 s7 e7")
    equal(len(spans(trace, "mark")), 2, "pairs")


def sleeps(pid):
    return open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0] == "S"


def recording_cuts_spans(folder):
    """a call that began before the recording, and one that ends after it, are counted"""
    p = subprocess.Popen(program("spanclock", "sleep", 1), stdout=subprocess.PIPE)
    trace = os.path.join(folder, "t.kymo")
    r = None
    try:
        p.stdout.readline()
        while not sleeps(p.pid):
            time.sleep(0.01)
        r = subprocess.Popen([KYMO, "record", "-o", trace, "-e", "syscall:pause",
                              "-p", str(p.pid)], stderr=subprocess.PIPE)
        # Once it is recorded: between two calls it would begin with a start.
        while not os.path.exists(trace):
            check(r.poll() is None, "the recorder ended")
            time.sleep(0.01)
        # A call that a stop interrupts ends, and is made again: until one is seen.
        while not kymo("script", "-i", trace, status=None):
            os.kill(p.pid, signal.SIGSTOP)
            os.waitpid(p.pid, os.WUNTRACED)
            os.kill(p.pid, signal.SIGCONT)
            while not sleeps(p.pid):
                time.sleep(0.01)
            check(r.poll() is None, "the recorder ended")
            time.sleep(0.05)
        r.send_signal(signal.SIGINT)
        text = r.communicate(timeout=60)[1].decode()
    finally:
        p.kill()
        p.wait()
    check(spans(trace, "syscall:pause"), "no span")
    equal(unpaired(trace), (1, 1), "unpaired (%s)" % text)
    check("1 end without a start" in text and "1 start without an end" in text, text)


def stacks_of_either_side(folder):
    """the stack is taken on the side that says so"""
    for side, wanted in (("(stack)..%s", "timed"), ("..%s(stack)", None)):
        event = "uprobe:%s:timed" % CLOCK + side % ("uretprobe:%s:timed" % CLOCK) + \
            "@tid,frame as t"
        trace, _ = recorded(folder, [event], "calls", 3)
        for s in spans(trace, "t"):
            names = [f["symbol"] for f in s["stack"]]
            check("main" in names, "stack: %r" % names)
            equal(names[0] == "timed", wanted == "timed", "innermost of %r" % names)


def many_calls_at_once(folder):
    """syscall:* records every call of a program once, with one table"""
    trace, _ = recorded(folder, ["syscall:*"], "calls", NR)
    got = records(trace)
    names = {r["event"] for r in got}
    check({"syscall:clock_nanosleep", "syscall:write", "syscall:mmap"} <= names, repr(names))
    equal(len(spans(trace, "syscall:clock_nanosleep")), NR, "sleeps")
    for a, b in zip(got, got[1:]):
        check(b["time"] - b["fields"]["duration"] / 1e9 > a["time"] - 1e-8,
              "calls of one thread overlap: %r %r" % (a, b))
    nothing_lost(trace)


def names_are_looked_up(folder):
    """dns: getaddrinfo and gethostbyname of libc, by one event, each once"""
    trace = os.path.join(folder, "t.kymo")
    code = ("import socket\n"
            "socket.getaddrinfo('localhost', 80)\n"
            "socket.gethostbyname_ex('localhost')\n")
    kymo("record", "-q", "-o", trace, "-e", "dns", "--", "/usr/bin/env", "python3", "-c", code)
    got = spans(trace, "dns")
    check(len(got) >= 2, "look-ups: %r" % got)
    equal({s["fields"]["host"] for s in got}, {"localhost"}, "names")
    check("getaddrinfo" in {s["fields"]["func"] for s in got}, "functions: %r" % got)
    equal(unpaired(trace), (0, 0), "unpaired")


def named_spans_are_here(folder):
    """every named span is listed with a way that this machine has, or with what it lacks"""
    lines = kymo("list", "-v", "span:*").splitlines()
    names = {line.split("\t")[0] for line in lines}
    check({"blockio", "irq", "softirq", "futex", "lock", "net:connect", "net:accept",
           "net:retransmit", "dns", "fs:read", "fs:write", "fs:open", "fs:sync"} <= names,
          "names: %r" % names)
    for line in lines:
        check("here by " in line or re.search(r"\(not here: .+\)$", line), line)
    trace = os.path.join(folder, "t.kymo")
    path = os.path.join(folder, "a-file")
    with open(path, "w") as f:
        f.write("x" * 5000)
    kymo("record", "-q", "-o", trace, "-e", "fs:read(bytes,ret),fs:open", "--", "dd",
         "if=" + path, "of=/dev/null", "bs=1000")
    read = [s["fields"] for s in spans(trace, "fs:read")]
    equal([f["ret"] for f in read if f["bytes"] == 1000], [1000] * 5 + [0], "reads")
    check(any(s["fields"]["name"] in (path, "a-file") for s in spans(trace, "fs:open")), "opens")
    equal(set(read[0]), {"duration", "bytes", "ret"}, "fields that were chosen")


def mistakes_are_told(folder):
    """what cannot be a span is told in one line"""
    pair = "sched:sched_waking..sched:sched_switch"
    for status, events, words in (
            (2, ["-e", "syscall:exit_group"], "never returns"),
            (2, ["-e", "sched:sched_switch..cpu-clock"], "sampled"),
            (1, ["-e", "func:%s:no_such_function" % CLOCK], "no_such_function"),
            (2, ["-e", pair + "@comm=next_comm"], "text"),
            (2, ["-e", pair + "@pid=nothing"], "'nothing'"),
            (2, ["-e", pair + "@pid=next_comm"], "text"),
            (2, ["-e", "sched:sched_waking", "--min", "1ms"], "no duration"),
            (2, ["-e", pair, "--min", "2ms", "--max", "1ms"], "--max"),
            (2, ["-e", "syscall:read as r,syscall:write as r"], "twice")):
        line = complaint("record", "-o", os.path.join(folder, "t"), *events, "--", "true",
                         status=status)
        check(words in line, "%r lacks '%s'" % (line, words))


if __name__ == "__main__":
    run([calls_take_what_they_say, system_calls_take_what_they_say, short_ones_are_dropped,
         recursion_is_told_apart, jumps_leave_no_wrong_durations, threads_that_die_are_counted,
         spans_cross_cpus, keys_are_used_again, keys_cross_threads, negative_keys_are_equal,
         recording_cuts_spans, stacks_of_either_side, many_calls_at_once, names_are_looked_up,
         named_spans_are_here, mistakes_are_told])
