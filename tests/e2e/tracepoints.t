#!/usr/bin/env python3
"""Tracepoints and raw tracepoints: what is recorded is what happened, in every way."""
import collections
import os
import platform
import subprocess

import live
from live import check, complaint, equal, info, kymo, program, records, run, skip

CALLS = 1000
OPENED = "/nonexistent/kymo"
FLAGS = os.O_RDONLY | os.O_CLOEXEC
GETPPID = {"x86_64": 110, "aarch64": 173}[platform.machine()]


def record(folder, events, *options, work=None):
    """The trace, and what the program printed as numbers: its pid, its children's."""
    trace = os.path.join(folder, "trace.kymo")
    out = kymo("record", "-o", trace, *options,
               *[x for event in events for x in ("-e", event)],
               "--", *(work or program("stimuli", CALLS)))
    return trace, [int(line) for line in out.split()] if not work else out


def ways(trace):
    """The way of each event, as the file tells it."""
    return {key[len("probe "):]: value for key, value in
            ((h["key"], h["value"]) if isinstance(h, dict) else h
             for h in host_rows(trace)) if key.startswith("probe ") and ":" in key}


def host_rows(trace):
    host = info(trace)["host"]
    return host.items() if isinstance(host, dict) else host


def by_event(trace, pid=None):
    found = collections.defaultdict(list)
    for r in records(trace):
        if pid is None or r["pid"] == pid:
            found[r["event"]].append(r)
    return found


def supports(way):
    r = live.run_command([live.KYMO, "record", "--use", way, "-e", "raw_syscalls:sys_exit",
                          "-o", "/dev/null", "--", "true"])
    return r.returncode == 0


def need(way):
    if not supports(way):
        skip("this kernel does not do %s" % way)


def check_calls(folder, way):
    need(way)
    trace, pids = record(folder, [
        "syscalls:sys_enter_getppid", "syscalls:sys_exit_getppid",
        "syscalls:sys_enter_openat(dfd,filename:str,flags,mode)",
        "syscalls:sys_exit_openat(ret)", "syscalls:sys_enter_lseek",
        "syscalls:sys_exit_lseek(ret)"], "--use", way)
    found = by_event(trace, pids[0])
    equal(len(found["syscalls:sys_enter_getppid"]), CALLS, "calls of getppid")
    equal(len(found["syscalls:sys_exit_getppid"]), CALLS, "results of getppid")
    equal(len({r["fields"]["ret"] for r in found["syscalls:sys_exit_getppid"]}), 1, "parents")
    opened = [r["fields"] for r in found["syscalls:sys_enter_openat"]
              if r["fields"]["filename"] == OPENED]
    equal([f["mode"] for f in opened], list(range(7)), "modes of openat")
    equal({f["flags"] for f in opened}, {FLAGS}, "flags of openat")
    equal([r["fields"]["ret"] for r in found["syscalls:sys_exit_openat"]].count(-2), 7,
          "openat returns ENOENT")
    seeks = [r["fields"] for r in found["syscalls:sys_enter_lseek"]
             if r["fields"]["whence"] == 20000]
    equal([f["fd"] for f in seeks], [10001, 10002, 10003], "descriptors of lseek")
    equal([f["offset"] & (1 << 64) - 1 for f in seeks],
          [-i & (1 << 64) - 1 for i in range(3)], "offsets of lseek")
    equal([r["fields"]["ret"] for r in found["syscalls:sys_exit_lseek"]][-3:], [-9] * 3,
          "lseek returns EBADF")


def test_calls_typed(folder):
    """system calls, jumped to by number"""
    check_calls(folder, "tp_btf")


def test_calls_classic(folder):
    """system calls, by perf events"""
    check_calls(folder, "tracepoint")


def check_signals(folder, way):
    need(way)
    trace, pids = record(folder, ["signal:signal_generate", "sched:sched_process_fork",
                                  "sched:sched_process_exit", "sched:sched_process_exec",
                                  "task:task_rename"] if way == "tracepoint" else
                         ["sched:sched_process_fork", "sched:sched_process_exit",
                          "sched:sched_process_exec"], "--use", way)
    found = by_event(trace)
    me, children = pids[0], pids[1:]
    forks = [r["fields"] for r in found["sched:sched_process_fork"] if r["pid"] == me]
    equal([f["child_pid"] for f in forks], children, "children")
    equal({f["parent_comm"] for f in forks}, {"stimuli-named"}, "name of the parent")
    exits = [r["fields"]["pid"] for r in found["sched:sched_process_exit"]]
    for pid in pids:
        equal(exits.count(pid), 1, "exits of %d" % pid)
    execs = [r["fields"] for r in found["sched:sched_process_exec"] if r["fields"]["pid"] == me]
    equal([f["filename"] for f in execs], program("stimuli")[:1], "file executed")
    if way != "tracepoint":
        return
    signals = [r["fields"] for r in found["signal:signal_generate"] if r["pid"] == me]
    equal([f["sig"] for f in signals if f["pid"] == me], [10] * 5, "signals to itself")
    renames = [r["fields"] for r in found["task:task_rename"] if r["pid"] == me]
    check("stimuli-named" in [f["newcomm"] for f in renames], "a thread was renamed")


def test_processes_typed(folder):
    """forks, exits, execs, from the arguments"""
    check_signals(folder, "tp_btf")


def test_processes_classic(folder):
    """forks, exits, execs, signals, renames, by perf events"""
    check_signals(folder, "tracepoint")


def test_raw(folder):
    """raw tracepoints, members by name and numbered arguments"""
    need("tp_btf")
    trace, pids = record(folder, [
        "raw_tracepoint:sched_process_fork(parent->tgid,child->pid,child=child->comm)",
        "rawtp:sys_enter(id,arg1)"])
    found = by_event(trace, pids[0])
    forks = [r["fields"] for r in found["raw_tracepoint:sched_process_fork"]]
    equal([f["child->pid"] for f in forks], pids[1:], "children")
    equal({f["parent->tgid"] for f in forks}, pids and {pids[0]}, "parents")
    equal({f["child"] for f in forks}, {"stimuli-named"}, "names")
    calls = [r["fields"] for r in found["raw_tracepoint:sys_enter"]]
    check(all(f["id"] == f["arg1"] for f in calls), "a number is the same by name and position")
    equal([f["id"] for f in calls].count(GETPPID), CALLS, "calls of getppid")


def test_raw_untyped(folder):
    """raw tracepoints without types: --use raw_tp"""
    trace, pids = record(folder, ["rawtp:sched_process_fork(child->pid)"], "--use", "raw_tp")
    found = by_event(trace, pids[0])["raw_tracepoint:sched_process_fork"]
    equal([r["fields"]["child->pid"] for r in found], pids[1:], "children")
    equal(set(ways(trace).values()), {"raw_tp"}, "way")


# Events of the table of fields that come from arguments, and what is compared of them.
SAME = [
    "raw_syscalls:sys_enter", "raw_syscalls:sys_exit",
    "sched:sched_switch(prev_comm,prev_pid,prev_prio,next_comm,next_pid,next_prio)",
    "sched:sched_waking", "sched:sched_wakeup", "sched:sched_wakeup_new",
    "sched:sched_migrate_task", "sched:sched_stat_runtime", "sched:sched_process_fork",
    "sched:sched_process_exec", "sched:sched_process_exit", "sched:sched_process_free",
    "task:task_newtask", "irq:irq_handler_entry", "irq:irq_handler_exit", "irq:softirq_entry",
    "irq:softirq_exit", "irq:softirq_raise", "timer:hrtimer_cancel", "timer:hrtimer_expire_exit",
    "timer:timer_cancel", "timer:timer_expire_exit", "workqueue:workqueue_activate_work",
    "workqueue:workqueue_execute_start", "exceptions:page_fault_user",
    "exceptions:page_fault_kernel", "kmem:kfree",
]


def typed_events():
    """Those of SAME that this kernel has and that can be had from arguments here."""
    events = list(SAME)
    while events:
        r = live.run_command([live.KYMO, "record", "--use", "tp_btf", "-o", "/dev/null",
                              *[x for event in events for x in ("-e", event)], "--", "true"])
        if r.returncode == 0:
            return events
        left = [e for e in events if "'%s'" % e.split("(")[0] not in r.stderr.decode()]
        check(len(left) < len(events), r.stderr.decode())
        events = left
    return events


def life(side):
    """
    From the first call of the program, before which the process belongs to the recorder, to its
    exit: each side looks at the clock when it is its turn, however much later that is.
    """
    begin = next((r["time"] for r in side["raw_syscalls:sys_enter"]
                  if r["fields"]["id"] == GETPPID),
                 side["sched:sched_process_exec"][0]["time"] + 1e-4)
    return begin, next((r["time"] for r in side["sched:sched_process_exit"]), float("inf"))


def left_out(trace, event):
    """How often the kernel has left out the program of an event."""
    return sum(row["count"] for row in info(trace)["losses"]
               if row["cause"] == "recursion" and row["event"] == event)


def test_side_by_side(folder):
    """both ways, side by side, see the same values"""
    need("tp_btf")
    events = typed_events()
    check(len(events) > 12, "only %d events can be had from arguments" % len(events))
    inner, outer = (os.path.join(folder, name) for name in ("inner.kymo", "outer.kymo"))
    listed = [x for event in events for x in ("-e", event)]
    out = kymo("record", "-o", outer, "--use", "tracepoint", *listed, "--",
               live.KYMO, "record", "-o", inner, "--use", "tp_btf", *listed, "--",
               *program("stimuli", 200))
    pid = int(out.split()[0])
    typed, classic = by_event(inner, pid), by_event(outer, pid)
    compared = 0
    for event in {e.split("(")[0] for e in events}:
        got, wanted = ([r["fields"] for r in side[event] if begin < r["time"] < end]
                       for side, (begin, end) in ((typed, life(typed)), (classic, life(classic))))
        if got == wanted and not live.EMULATED:
            compared += len(got)
            continue
        # Of an interrupt in a program of perf events the kernel shows such programs
        # nothing, and counts it.  The other recorder's own work is in between, here and there.
        got, wanted = (collections.Counter(str(f) for f in s) for s in (got, wanted))
        more, less = sum((got - wanted).values()), sum((wanted - got).values())
        if event.startswith(("kmem:", "irq:softirq")) or live.EMULATED:
            check((more + less) * 10 <= sum(wanted.values()) + 10, "%s: %r" % (event, (got, wanted)))
        else:
            check(more <= left_out(outer, event) and less <= left_out(inner, event),
                  "%s: only in one: %r" % (event, (got - wanted, wanted - got)))
        compared += sum((got & wanted).values())
    check(compared > 40, "%d records compared" % compared)


def test_32_bit(folder):
    """system calls of 32-bit programs"""
    if platform.machine() != "x86_64":
        skip("only on x86-64 do they lie in other registers")
    source, work = os.path.join(folder, "calls.s"), os.path.join(folder, "calls")
    numbers = [1001, 1002, 1003, 1004, 1005, 1006]
    with open(source, "w") as f:
        f.write(".globl _start\n_start: movl $19,%eax\n")
        for n, register in zip(numbers, ("ebx", "ecx", "edx", "esi", "edi", "ebp")):
            f.write(" movl $%d,%%%s\n" % (n, register))
        f.write(" int $0x80\n movl $1,%eax\n movl $0,%ebx\n int $0x80\n")
    try:
        subprocess.run(["as", "--32", "-o", work + ".o", source], check=True)
        subprocess.run(["ld", "-m", "elf_i386", "-o", work, work + ".o"], check=True)
        subprocess.run([work], check=True)
    except (OSError, subprocess.CalledProcessError):
        skip("32-bit programs cannot be made or run here")
    for way in ("tp_btf", "tracepoint"):
        if not supports(way):
            continue
        trace, _ = record(folder, ["raw_syscalls:sys_enter", "syscalls:sys_enter_fstat",
                                   "syscalls:sys_enter_newfstat", "syscalls:sys_enter_write",
                                   "syscalls:sys_enter_gettid"][:1], "--use", way, work=[work])
        first = records(trace)[0]["fields"]
        equal(first["id"], 19, way)
        equal([first["args[%d]" % i] for i in range(6)], numbers, way)
    # Number 1 is exit there, and write here: not to be mistaken.
    trace, _ = record(folder, ["syscalls:sys_enter_write", "raw_syscalls:sys_enter"], work=[work])
    equal(len(by_event(trace)["syscalls:sys_enter_write"]), 0, "calls taken for write")


def test_all_load(folder):
    """every tracepoint of the main systems is loaded, attached and detached"""
    trace, _ = record(folder, ["sched:*", "raw_syscalls:*", "syscalls:*", "signal:*", "task:*",
                               "timer:*", "irq:*", "kmem:*"], work=["true"])
    check(len(info(trace)["events"]) > 200, "%d events" % len(info(trace)["events"]))


def test_no_tracefs(folder):
    """works without tracefs being mounted, and mounts it for nobody else"""
    inside = ("umount -l /sys/kernel/tracing 2>/dev/null; umount -l /sys/kernel/debug 2>/dev/null; "
              "test ! -e /sys/kernel/tracing/events || exit 9; "
              "%s record -o %s/t.kymo --use tracepoint -e signal:signal_generate "
              "-- sh -c 'kill -0 $$; kill -CONT $$' || exit; "
              "grep -c ' /sys/.*tracefs' /proc/self/mountinfo"
              % (live.KYMO, folder))
    r = live.run_command(["unshare", "-m", "sh", "-c", inside])
    if r.returncode == 9 or b"unshare" in r.stderr:
        skip("tracefs cannot be unmounted here")
    equal(r.stdout.strip(), b"0", "mounts of tracefs %r" % r.stderr)
    equal([x["fields"]["sig"] for x in records(folder + "/t.kymo")].count(18), 1, "signals")


def test_complaints(folder):
    """what cannot be is told in one line"""
    out = ["-o", os.path.join(folder, "x"), "--", "true"]
    text = complaint("record", "-e", "sched:sched_swich", *out)
    check("no tracepoint 'sched:sched_swich'" in text and "'sched:sched_switch'" in text, text)
    check("no tracepoint matches 'nothing:*'" in complaint("record", "-e", "nothing:*", *out))
    text = complaint("record", "-e", "sched:sched_process_fork(nothing)", *out, status=2)
    check("child_pid" in text, text)
    text = complaint("record", "-e", "raw_syscalls:sys_enter(args[6])", *out, status=2)
    check("6 elements" in text, text)
    text = complaint("record", "-e", "rawtp:sched_swich", *out)
    check("'sched_switch'" in text, text)
    text = complaint("record", "--use", "tp_btf", "-e", "signal:signal_generate", *out)
    check("any of the ways allowed" in text, text)


run([test_calls_typed, test_calls_classic, test_processes_typed,
     test_processes_classic, test_raw, test_raw_untyped, test_side_by_side, test_32_bit,
     test_all_load, test_no_tracefs, test_complaints])
