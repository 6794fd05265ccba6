#!/usr/bin/env python3
"""Events of known number and known values, recorded with kymo record -e."""
import collections
import contextlib
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *

SYS_GETPPID = {"x86_64": 110, "aarch64": 173}[os.uname().machine]
RINGS = ("mapped", "ringbuf", "perfbuf")
MANY = 1000 if EMULATED else 5000
LOTS = 10000 if EMULATED else 300000


def recorded(folder, *args, status=0):
    """Runs kymo record; the trace and what the program printed."""
    trace = os.path.join(folder, "t.kymo")
    out = kymo("record", "-q", "-o", trace, *args, status=status)
    return trace, out


def fields(trace, event=None, *args):
    return [r["fields"] for r in records(trace, *args) if event in (None, r["event"])]


def lost(trace):
    return sum(row["count"] for row in info(trace)["losses"])


def rings_of(trace):
    return info(trace)["host"]["probe rings"]


def way_of(trace, event):
    return info(trace)["host"]["probe " + event]


# --- counts and values ---------------------------------------------------------------


def every_ring_and_way(folder):
    """each way and each kind of ring sees each of many calls, enter and exit"""
    used = set()
    for ring in RINGS:
        for way in ("tp_btf", "tracepoint"):
            trace, out = recorded(folder, "--use", way + "," + ring, "-m", "16M",
                                  "-e", "raw_syscalls:sys_enter",
                                  "--filter", "id == %d" % SYS_GETPPID,
                                  "-e", "raw_syscalls:sys_exit",
                                  "--filter", "id == %d" % SYS_GETPPID,
                                  "--", *program("calls", "getppid", MANY), status=None)
            if not os.path.exists(trace):
                continue
            pid = int(out.split()[-1])
            enter = fields(trace, "raw_syscalls:sys_enter")
            exits = fields(trace, "raw_syscalls:sys_exit")
            equal((len(enter), len(exits), lost(trace)), (MANY, MANY, 0),
                  "%s, %s: enter, exit, lost" % (way, ring))
            equal({f["id"] for f in enter}, {SYS_GETPPID}, "id")
            equal(len({f["ret"] for f in exits}), 1, "values of ret")
            check(all(r["pid"] == pid for r in records(trace)), "another process")
            equal(rings_of(trace), ring, "rings")
            equal(way_of(trace, "raw_syscalls:sys_exit").split(",")[0], way, "way")
            used.add((way, ring))
            os.unlink(trace)
    check(len(used) >= 2, "ways that work here: %s" % sorted(used))


def text_fields(folder):
    """texts from user memory, numbers and return values are those of the program"""
    os.mkdir(folder + "/files")
    trace, _ = recorded(folder, "-e", "syscalls:sys_enter_openat(filename:str, flags:hex, mode)",
                        "--filter", "flags & 0x40",
                        "-e", "syscalls:sys_exit_openat(ret:errno)",
                        "--", *program("calls", "opens", folder + "/files", 500))
    got = fields(trace, "syscalls:sys_enter_openat")
    equal([f["filename"] for f in got],
          ["%s/files/file-%d" % (folder, i) for i in range(500)], "names in order")
    equal([f["mode"] for f in got], [0o600 + i % 8 for i in range(500)], "modes")
    wanted = os.O_CREAT | os.O_RDWR | os.O_TRUNC | os.O_CLOEXEC
    equal({int(str(f["flags"]), 0) for f in got}, {wanted}, "flags")
    check(len(fields(trace, "syscalls:sys_exit_openat")) >= 500, "returns")
    equal(lost(trace), 0, "lost")


def long_text(folder):
    """long texts are cut where the hint says, and text that cannot be read is none"""
    name = folder + "/" + "x" * 200
    trace, _ = recorded(folder, "-e", "syscalls:sys_enter_openat(short=filename:str(16), "
                        "filename:str(128), whole=filename:str(4096))", "--",
                        "sh", "-c", ": > " + name)
    got = [f for f in fields(trace) if f["whole"] == name]
    equal(len(got), 1, "opened")
    equal(got[0]["short"], name[:15], "cut to 16 bytes with its NUL")
    equal(got[0]["filename"], name[:127], "cut to 128")
    trace, _ = recorded(folder, "-e", "syscalls:sys_enter_kill(pid:str, sig)", "--",
                        *program("calls", "signals", 10))
    equal([f["pid"] for f in fields(trace) if f["sig"] == signal.SIGURG], [None] * 10, "no text")


def kernel_values(folder):
    """tracepoints of fork, exit and signals carry the true pids, codes and signals"""
    trace, out = recorded(folder, "-e", "sched:sched_process_fork,signal:signal_generate",
                          "-e", "syscalls:sys_enter_exit_group(error_code)",
                          "--", *program("calls", "children", 300))
    pids = [int(p) for p in out.split("pid")[0].split()]
    parent = int(out.split()[-1])
    forks = fields(trace, "sched:sched_process_fork")
    equal([f["child_pid"] for f in forks if f["parent_pid"] == parent], pids, "children")
    equal({f["parent_comm"] for f in forks if f["parent_pid"] == parent}, {"calls"}, "comm")
    codes = [r["fields"]["error_code"] for r in records(trace)
             if r["event"] == "syscalls:sys_enter_exit_group" and r["pid"] in set(pids)]
    equal(codes, [i & 0x7f for i in range(300)], "exit codes of children, who are followed")
    trace, out = recorded(folder, "-e", "signal:signal_generate(sig, comm, pid)",
                          "--filter", "sig == %d" % signal.SIGURG,
                          "--", *program("calls", "signals", 700))
    got = fields(trace)
    equal(len(got), 700, "signals")
    equal({(f["sig"], f["comm"], f["pid"]) for f in got},
          {(signal.SIGURG, "calls", int(out.split()[-1]))}, "values")


def everything_adds_up(folder):
    """at full speed on two threads, what is recorded and what is lost is what was done"""
    calls = LOTS
    trace, _ = recorded(folder, "-e", "raw_syscalls:sys_enter(id)",
                        "--filter", "id == %d" % SYS_GETPPID,
                        "--", *program("calls", "threads", 2, calls))
    rows = [r for r in info(trace)["events"] if r["name"] == "raw_syscalls:sys_enter"]
    equal(rows[0]["records"] + lost(trace), 2 * calls, "recorded and lost")
    # A ring of a few pages must lose, and must say so.
    trace, _ = recorded(folder, "-m", "64K", "-e", "raw_syscalls:sys_enter(id)",
                        "--filter", "id == %d" % SYS_GETPPID,
                        "--", *program("calls", "threads", 2, calls))
    rows = [r for r in info(trace)["events"] if r["name"] == "raw_syscalls:sys_enter"]
    equal(rows[0]["records"] + lost(trace), 2 * calls, "recorded and lost, in a small ring")


# --- filters ---------------------------------------------------------------------------

FILTERS = (
    "mode == 0603", "mode > 385 && mode <= 388", "!(mode & 1)", "mode % 3 == 1 || mode == 384",
    "filename ~ \"*file-1*\"", "filename == \"/nowhere\"", "filename !~ \"*[0-9]*\"",
    "comm == \"calls\" && filename ~ \"*-?\"", "uid == 0 && cpu >= 0 && pid == tid",
    "-1 < dfd", "dfd < 0", "flags >> 6 & 1",
)


def filters_agree(folder):
    """a filter in the kernel and the same filter in a view leave the same records"""
    os.mkdir(folder + "/files")
    work = program("calls", "opens", folder + "/files", 64)
    event = "syscalls:sys_enter_openat(dfd:s32, filename:str, flags, mode)"
    whole, _ = recorded(folder, "-e", event, "--", *work)
    os.rename(whole, folder + "/whole.kymo")
    for text in FILTERS[::3] if EMULATED else FILTERS:
        text = text.replace("0603", "387")
        trace, _ = recorded(folder, "-e", event.replace("dfd:s32", "dfd:s32"), "--filter", text,
                            "--", *work)
        equal(fields(trace), fields(folder + "/whole.kymo", None, "--filter", text), text)


# --- targets ------------------------------------------------------------------------------

BUSY = ["sh", "-c", "while :; do kill -0 $$; done"]
WHEN_TOLD = ["sh", "-c", "while read -r line; do kill -0 $$; echo; done"]


@contextlib.contextmanager
def told_to_call(*fronts):
    """For each front of a command a shell that calls kill() each time it is told to."""
    shells = []
    try:
        for front in fronts:
            shells.append(subprocess.Popen(list(front) + WHEN_TOLD, stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE))
            call_once(shells[-1])
        yield shells
    finally:
        for p in shells:
            p.kill()
            p.communicate()


def call_once(p):
    p.stdin.write(b"\n")
    p.stdin.flush()
    equal(p.stdout.readline(), b"\n", "answer of a shell")


def by_process(folder):
    """-p and -t record the one process and the one thread, and children of theirs"""
    trace = folder + "/t.kymo"
    with told_to_call([], []) as shells:
        for option in ("-p", "-t"):
            with recording(trace, option, shells[0].pid, "-e", "syscalls:sys_enter_kill"):
                for p in shells * 10:
                    call_once(p)
            equal([r["pid"] for r in records(trace)], [shells[0].pid] * 10,
                  "processes with " + option)


def by_cpu(folder):
    """-C records these CPUs only"""
    trace = folder + "/t.kymo"
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        skip("one CPU")
    with told_to_call(*(["taskset", "-c", str(c)] for c in cpus[:2])) as shells:
        with recording(trace, "-C", cpus[1], "-e", "syscalls:sys_enter_kill"):
            for p in shells * 10:
                call_once(p)
    rows = records(trace)
    equal({r["cpu"] for r in rows}, {cpus[1]}, "CPUs")
    equal([r["pid"] for r in rows].count(shells[1].pid), 10, "calls")


def cgroup_root():
    for line in open("/proc/mounts"):
        if line.split()[2] == "cgroup2":
            return line.split()[1]
    skip("no cgroup2 file system is mounted")


def by_cgroup(folder):
    """-G records the tasks of that cgroup and below, of samples too"""
    name = "kymo-test-%d" % os.getpid()
    path = os.path.join(cgroup_root(), name)
    os.mkdir(path)
    inside, outside = subprocess.Popen(BUSY), subprocess.Popen(BUSY)
    try:
        with open(path + "/cgroup.procs", "w") as f:
            f.write(str(inside.pid))
        both = {"syscalls:sys_enter_kill", "cpu-clock"}
        trace = folder + "/t.kymo"
        with recording(trace, "-G", name, "-e", "syscalls:sys_enter_kill(cgroup)",
                       "-e", "cpu-clock", "-F", "999"):
            wait_until(lambda: recorded_so_far(trace) >= both, "both events")
        rows = records(trace)
        equal({r["pid"] for r in rows if r["pid"]}, {inside.pid}, "processes")
        equal({r["event"] for r in rows}, both, "events")
        equal({r["fields"]["cgroup"] for r in rows if r["event"] == "syscalls:sys_enter_kill"},
              {os.stat(path).st_ino}, "number of the cgroup")
    finally:
        for p in (inside, outside):
            p.kill()
            p.wait()
        os.rmdir(path)


def not_itself(folder):
    """the recorder leaves itself out of what it records of the machine"""
    trace = folder + "/t.kymo"
    other = subprocess.Popen(BUSY)
    try:
        p = subprocess.Popen([KYMO, "record", "-q", "-o", trace, "-a",
                              "-e", "raw_syscalls:sys_enter(id)", "--duration", "1"])
        equal(p.wait(), 0, "exit status")
    finally:
        other.kill()
        other.wait()
    rows = kymo("report", "-i", trace, "--by", "pid", "--csv", "--no-children").splitlines()
    pids = {int(row.split(",")[1]) for row in rows[1:]}
    check(pids, "nothing at all was recorded")
    check(p.pid not in pids, "the recorder recorded itself")


def interrupts_meanwhile(folder):
    """interrupts that come while the recorder runs are none of its doing: they are kept"""
    trace = folder + "/t.kymo"
    for _ in range(20):
        other = subprocess.Popen(["dd", "if=/dev/zero", "of=/dev/null", "bs=1"],
                                 stderr=subprocess.DEVNULL)
        try:
            p = subprocess.Popen([KYMO, "record", "-q", "-o", trace, "-a",
                                  "-e", "raw_syscalls:sys_enter(id)",
                                  "-e", "timer:hrtimer_expire_entry", "--duration", "1"])
            equal(p.wait(), 0, "exit status")
        finally:
            other.kill()
            other.wait()
        rows = kymo("report", "-i", trace, "--by", "pid,event", "--csv",
                    "--no-children").splitlines()
        own = [row for row in rows[1:] if str(p.pid) in row.split(",")]
        check(not [row for row in own if "sys_enter" in row], "its own calls: %s" % own)
        if own:
            return
    check(False, "no interrupt found the recorder running")


# --- what else -----------------------------------------------------------------------------


def stacks_by_event(folder):
    """stacks are taken of the events that were asked for them, kernel and user"""
    trace, _ = recorded(folder, "-e", "syscalls:sys_enter_getppid", "-g",
                        "-e", "syscalls:sys_exit_getppid",
                        "-e", "raw_syscalls:sys_exit(id)", "--filter", "id == %d" % SYS_GETPPID,
                        "--kernel-stack", "no", "--user-stack", "fp",
                        "--", *program("calls", "getppid", 50))
    for r in records(trace):
        names = [f.get("symbol") for f in r.get("stack") or []]
        if r["event"] == "syscalls:sys_exit_getppid":
            equal(names, [], "stack of " + r["event"])
            continue
        check("syscall" in names, "user stack of %s: %s" % (r["event"], names))
        check(not any(n and n.startswith(("bpf_", "__bpf_")) for n in names),
              "our own machinery in %s" % names)
        equal("do_syscall_64" in names or "el0_svc" in names,
              r["event"] == "syscalls:sys_enter_getppid", "kernel stack of " + r["event"])


# Calls each time it is told to, and says when, just before.
CALLER = """
import os, sys, time
while True:
    print(time.monotonic_ns(), flush=True)
    os.kill(os.getpid(), 0)
    if sys.stdin.read(1) != "y":
        break
"""


def delayed(folder):
    """-D leaves out the beginning"""
    delay_ms = 5000 if EMULATED else 500
    trace = folder + "/t.kymo"
    began_ns = time.monotonic_ns()
    p = subprocess.Popen([KYMO, "record", "-q", "-o", trace, "-D", str(delay_ms), "-e",
                          "syscalls:sys_enter_kill", "--", sys.executable, "-c", CALLER],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    called_ns = []
    # Some calls after the first one that is certain to be seen, which the file shows.
    while len(called_ns) < 3 or not recorded_so_far(trace):
        check(len(called_ns) < 100000 and p.poll() is None, "nothing is recorded")
        called_ns.append(int(p.stdout.readline()))
        time.sleep(0.01)
        p.stdin.write(b"y")
        p.stdin.flush()
    called_ns.append(int(p.stdout.readline()))
    p.communicate()
    equal(p.returncode, 0, "exit status")
    seen_ns = [round(r["time"] * 1e9) for r in records(trace)]
    check(0 < len(seen_ns) <= len(called_ns), "%d of %d" % (len(seen_ns), len(called_ns)))
    check(seen_ns[0] >= began_ns + delay_ms * 1000000, "too early")
    # From then on every call.
    called_ns = called_ns[-len(seen_ns):] + [float("inf")]
    for seen, called, next_called in zip(seen_ns, called_ns, called_ns[1:]):
        check(called - 1000 < seen < next_called + 1000, "a call is missing")


def with_samples(folder):
    """samples and events stand in one trace, in the order of time"""
    calls = LOTS // 3
    trace, _ = recorded(folder, "-e", "cpu-clock", "-F", "999", "-e", "syscalls:sys_enter_getppid",
                        "--", *program("calls", "getppid", calls))
    rows = records(trace)
    counts = collections.Counter(r["event"] for r in rows)
    equal(counts["syscalls:sys_enter_getppid"] + lost(trace), calls, "calls")
    check(counts["cpu-clock"] > 5, "samples")
    times = [r["time"] for r in rows]
    equal(times, sorted(times), "times")


def grouped(folder):
    """report --by a field counts as bpftrace's @[comm, field] = count() does"""
    trace, _ = recorded(folder, "-e", "syscalls:sys_enter_kill(sig)", "--",
                        *program("calls", "signals", 123))
    text = kymo("report", "-i", trace, "--by", "comm,sig", "--csv")
    check(re.search(r"calls.*\b23\b", text) or re.search(r"\b23\b.*calls", text), text)
    check("123" in text, text)


COMPLAINTS = (
    (("-e", "sched:sched_swich"), ("sched:sched_switch", "kymo list")),
    (("-e", "nosuch:*"), ("nosuch",)),
    (("-e", "sched:sched_switch(nosuch)"), ("'nosuch'", "prev_comm")),
    (("-e", "sched:sched_switch(prev_pid:str)"), ("prev_pid", ":str")),
    (("-e", "sched:sched_switch(prev_pid:nosuch)"), ("nosuch", "hex")),
    (("-e", "sched:sched_switch", "--filter", "nosuch == 1"), ("column 1", "prev_comm")),
    (("-e", "sched:sched_switch", "--filter", "prev_pid =="), ("column",)),
    (("-e", "sched:sched_switch", "--filter", "prev_comm == 1"), ("column", "prev_comm")),
    (("-e", "sched:sched_switch", "--filter", "prev_pid ~ \"x\""), ("column",)),
    (("-e", "sched:sched_switch(prev_pid"), ("')'",)),
    (("-e", "nosuchevent"), ("nosuchevent",)),
    (("-e", "cycles:x"), ("modifier", "'x'")),
    (("-e", "cpu-clock(period)",), ("cpu-clock", "fields")),
    (("--filter", "pid == 1"), ("--filter", "-e")),
    (("-G", "no/such/group", "-e", "sched:sched_switch"), ("no/such/group",)),
    (("--use", "nosuch", "-e", "sched:sched_switch"), ("sched:sched_switch",)),
)


def complaints(folder):
    """each mistake gets one clear line, and no file is left"""
    for args, words in COMPLAINTS[::4] if EMULATED else COMPLAINTS:
        trace = folder + "/t.kymo"
        r = run_command([KYMO, "record", "-q", "-o", trace] + list(args) + ["--", "true"])
        text = r.stderr.decode()
        check(r.returncode in (1, 2), "%s: exit status %d" % (args, r.returncode))
        equal(len(text.splitlines()), 1, "lines for %s: %r" % (args, text))
        for word in words:
            check(word in text, "no %r in %r" % (word, text))
        check(not os.path.exists(trace), "%s left a file" % (args,))


def kernel_state():
    state = []
    for base in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing"):
        for name in ("kprobe_events", "uprobe_events", "dynamic_events"):
            try:
                state.append((base, name, open(os.path.join(base, name)).read()))
            except OSError:
                pass
    for pinned in ("/sys/fs/bpf",):
        state.append((pinned, sorted(os.listdir(pinned)) if os.path.isdir(pinned) else []))
    return state


def nothing_left(folder):
    """nothing stays in tracefs, pinned or attached, after kill -9 neither"""
    before = kernel_state()
    for sig in (signal.SIGINT, signal.SIGKILL):
        trace = folder + "/t%d.kymo" % sig
        p = subprocess.Popen([KYMO, "record", "-q", "-o", trace, "-a", "-e", "sched:sched_switch",
                              "-e", "syscalls:sys_enter_*", "-g"])
        while not os.path.exists(trace) or \
                "sched:sched_switch" not in recorded_so_far(trace):
            check(p.poll() is None, "the recorder has ended")
            time.sleep(0.05)
        p.send_signal(sig)
        p.wait()
        equal(kernel_state(), before, "tracefs and pins after signal %d" % sig)
        nothing_attached()
        check(len(records(trace, "--event", "sched:sched_switch",
                          status=0 if sig == signal.SIGINT else 3)) > 0, "records")


def listed(folder):
    """kymo list tells what there is, and what is not"""
    text = kymo("list")
    for word in ("tracepoint", "kprobe", "uprobe", "usdt", "sample"):
        check(word in text, "no %r in %r" % (word, text))
    text = kymo("list", "-v", "sched:sched_process_fork")
    check("child_pid" in text, text)
    check("sched:sched_switch" in kymo("list", "sched:*").split(), "sched:sched_switch")
    check("cpu-clock" in kymo("list", "cpu*"), "cpu-clock")
    line = complaint("list", "nosuch:*")
    check("nosuch:*" in line, line)


run([every_ring_and_way, text_fields, long_text, kernel_values, everything_adds_up, filters_agree,
     by_process, by_cpu, by_cgroup, not_itself, interrupts_meanwhile, stacks_by_event, delayed,
     with_samples, grouped, complaints, nothing_left, listed])
