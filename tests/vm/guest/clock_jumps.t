#!/usr/bin/env python3
"""-e sched while the wall clock is set, forward and back: times of the trace do not follow it."""
import ctypes
import subprocess
import threading
import time
from vm import *
from story import *

HOUR = 3600
libc = ctypes.CDLL(None, use_errno=True)


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("ns", ctypes.c_long)]


def set_clock(seconds):
    """The wall clock jumps by so many seconds."""
    time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) + seconds)


def sleep_until(seconds):
    """Until the wall clock says so: a jump of it ends the wait."""
    at = Timespec(int(seconds), 0)
    TIMER_ABSTIME = 1
    equal(libc.clock_nanosleep(time.CLOCK_REALTIME, TIMER_ABSTIME, ctypes.byref(at), None), 0)


class Sleeper(threading.Thread):
    """Waits for a time an hour away, which a jump brings at once."""

    def run(self):
        self.tid = threading.get_native_id()
        self.begin = time.monotonic_ns()
        sleep_until(time.time() + HOUR)
        self.end = time.monotonic_ns()


def is_asleep(tid):
    with open("/proc/self/task/%d/syscall" % tid) as f:
        words = f.read().split()
    return words[0] != "running"


def wait_for(truth):
    while not truth():
        time.sleep(0.02)


def record_jumps(folder, *jumps):
    """
    A trace, with a wait for the wall clock that the first jump ends, and both clocks at both
    ends, in seconds.
    """
    trace = folder + "/t.kymo"
    clocks = [(time.time(), time.monotonic())]
    recorder = subprocess.Popen([KYMO, "record", "-q", "-a", "-e", "sched", "-o", trace, "--",
                                 "sh", "-c", "echo ready; read x"], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        check(b"ready" in recorder.stdout.readline(), "no recording")
        sleeper = Sleeper()
        sleeper.start()
        wait_for(lambda: hasattr(sleeper, "begin") and is_asleep(sleeper.tid))
        for seconds in jumps:
            begin = time.monotonic()
            wait_for(lambda: time.monotonic() > begin + 0.3)
            set_clock(seconds)
        begin = time.monotonic()
        wait_for(lambda: time.monotonic() > begin + 0.3)
        sleeper.join(60)
        check(not sleeper.is_alive(), "the clock's jump has ended no wait")
    finally:
        text = recorder.communicate(b"\n")[1].decode()
        clocks.append((time.time(), time.monotonic()))
        set_clock(-sum(jumps))
    equal((recorder.returncode, text), (0, ""))
    return trace, sleeper, clocks


def check_times(trace, sleeper, clocks):
    found = check_conserved(trace)
    equal(lost(trace), 0)
    begin, end = (c[1] * 1e9 for c in clocks)
    told = info(trace)
    equal(told["duration_ns"], told["last_ns"] - told["first_ns"])
    check(begin <= told["first_ns"] <= told["last_ns"] <= end, (begin, end, told["first_ns"]))
    for of_thread in found.values():
        for r in of_thread:
            check(min(r.off, r.runq, r.on, r.skipped, r.user, r.system, r.irq) >= 0, r)
            check(begin <= r.begin and r.time <= end, (begin, end, r))
    # The wait has its own length, not the one that the wall clock had.
    wait = max(found[sleeper.tid], key=lambda r: r.off)
    check(sleeper.begin <= wait.time - wait.off and wait.time <= sleeper.end and
          wait.off >= 300000000, (sleeper.begin, sleeper.end, wait))
    # Each end is told by the clock as it was then.
    for ns, wall in zip((told["first_wall_ns"], told["last_wall_ns"]), clocks):
        check(abs(ns / 1e9 - wall[0]) < 60, "%r and not %r" % (ns / 1e9, wall[0]))
    rows, total, _ = latency(trace, "--by", "tid")
    equal(sum(total["ns"].values()), total["wall_ns"])
    for r in rows:
        check(0 < r["wall_ns"] <= end - begin and min(r["ns"].values()) >= 0, r)
        equal(sum(r["ns"].values()), r["wall_ns"])
    for args in (["hist", "-e", "offcpu"], ["heatmap", "-e", "offcpu", "-o", "/dev/null"],
                 ["flamegraph", "-e", "offcpu", "--hops", "3", "-o", "/dev/null"], ["info"],
                 ["report", "--latency", "--time", "0%,50%"]):
        done = run_command([KYMO, *args, "-i", trace])
        equal(done.returncode, 0, "%r: %s" % (args, done.stderr))
        check(b"-0." not in done.stdout and b"18446744" not in done.stdout, args)


def forward(folder):
    """two hours forward: a wait for the wall clock ends, and has its true length"""
    check_times(*record_jumps(folder, 2 * HOUR))


def back(folder):
    """two hours forward, and five back: no time of the trace goes back"""
    check_times(*record_jumps(folder, 2 * HOUR, -5 * HOUR))


def duration(folder):
    """--duration is no matter of the wall clock"""
    for seconds in (-HOUR, HOUR):
        trace = folder + "/t.kymo"
        begin = time.monotonic()
        recorder = subprocess.Popen([KYMO, "record", "-q", "-a", "-e", "sched", "-o", trace,
                                     "--duration", "2"])
        wait_for(lambda: os.path.exists(trace))
        set_clock(seconds)
        try:
            equal(recorder.wait(120), 0)
        finally:
            set_clock(-seconds)
        check(time.monotonic() - begin >= 2, "it ended too early")
        told = info(trace)["duration_ns"]
        check(1.9e9 < told < 60e9, "%.3f s" % (told / 1e9))
        check_conserved(trace)
        os.unlink(trace)


run([forward, back, duration])
