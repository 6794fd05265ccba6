#!/usr/bin/env python3
"""Every kind of probe on this kernel counts known calls, with known arguments."""
import collections
from vm import *

GETPPID = SYSCALL + "getppid"
NR = 500


# System calls that starting and ending processes take.
CALLS = ("brk clone close exit_group getppid mmap mprotect munmap newfstatat openat pread64 read "
         "wait4").split()
# What each kernel has of what is tried in turn.
RINGS = {"5.10": "ringbuf"}
ENTRIES = {"arm64": "kprobe"}
GLOBBED = {"6.12": "kprobe-multi", "newest": "kprobe-multi"}


def ways(trace):
    """How each event of the trace was recorded, without the number of functions."""
    return {name[len("probe "):]: text.split(",")[0].split(" x ")[0]
            for name, text in info(trace)["host"].items() if name.startswith("probe ")}


def whole(trace, events, *command, **how):
    """
    Newer kernels preempt programs on system calls and leave out, and count, what comes
    then.  With a CPU of its own the recorder is not what comes.
    """
    if os.cpu_count() > 1:
        how["recorder"] = ("taskset", "1", KYMO)
        command = ("taskset", "2") + command
    for _ in range(9):
        try:
            return record(trace, events, *command, **how)
        except AssertionError as e:
            if "lost:" not in str(e):
                raise
    return record(trace, events, *command, **how)


def known_calls(folder):
    """tracepoint, kprobe and kretprobe: every call, and none that a filter drops"""
    t = folder + "/t.kymo"
    number, dropped = "syscalls:sys_enter_getppid", "syscalls:sys_exit_getppid"
    entry, end = "kprobe:" + GETPPID, "kretprobe:" + GETPPID
    whole(t, [number, entry, end + "(retval)", (dropped, "--filter", "pid == 1")],
          *program("calls", "getppid", NR))
    counts = collections.Counter(r["event"] for r in records(t))
    equal(dict(counts), {number: NR, entry: NR, end: NR}, "records")
    equal({r["fields"]["__syscall_nr"] for r in of_event(t, number)},
          {{"x86_64": 110, "aarch64": 173}[MACHINE]}, "numbers")
    equal(len({r["fields"]["retval"] for r in of_event(t, end)}), 1, "parents")


def system_calls(folder):
    """system calls by our numbers are those that the kernel's own tracepoints name"""
    events = ["syscalls:sys_%s_%s" % (side, name) for name in CALLS for side in ("enter", "exit")]
    counts = {}
    for way in ("tp_btf", "tracepoint"):
        t = folder + "/" + way
        whole(t, [event + "()" for event in events], *program("calls", "children", 5),
              options=["--use", way + ",mapped,ringbuf"])
        used = ways(t)
        equal({used[event] for event in events}, {way}, "way")
        # How much around a library is unmapped depends on where it happens to be.
        counts[way] = collections.Counter(r["event"] for r in records(t)
                                          if not r["event"].endswith("munmap"))
    equal(counts["tp_btf"], counts["tracepoint"], "calls")
    equal(counts["tp_btf"]["syscalls:sys_exit_wait4"], 5, "waits")


def reads(folder):
    """A command that reads 7 bytes 16 times: 14 times 7, once 2, once none, by its filter."""
    write(folder + "/read-me", "x" * 100)
    return 'comm == "dd" && count == 7', ["dd", "if=" + folder + "/read-me", "of=/dev/null", "bs=7"]


def best_ways(folder):
    """of the ways there are this kernel's best are taken, with arguments and members by BTF"""
    t = folder + "/t.kymo"
    chosen, command = reads(folder)
    one, many = "kprobe:vfs_read", "kprobe:vfs_rea*"
    name = "file->f_path.dentry->d_name.name"
    record(t, [(one + "(%s:str, count)" % name, "--filter", chosen),
               (many, "--filter", 'comm == "dd"')], *command)
    used = ways(t)
    equal(used["rings"], RINGS.get(KERNEL, "mapped"), "rings")
    equal(used[one], ENTRIES.get(KERNEL, "fentry"), "way of one function")
    equal(used[many], GLOBBED.get(KERNEL, "kprobe"), "way of many")
    equal([(r["fields"][name], r["fields"]["count"]) for r in of_event(t, one)],
          [("read-me", 7)] * 16, "files and sizes")
    check(len(of_event(t, many)) >= 16, "calls of many")


def fentry(folder):
    """fentry and fexit: every call, what it was asked and returned"""
    no_function_trampolines()
    t = folder + "/t.kymo"
    chosen, command = reads(folder)
    entry, end = "fentry:vfs_read", "fexit:vfs_read"
    record(t, [(entry + "(count)", "--filter", chosen),
               (end + "(count, retval)", "--filter", chosen)], *command)
    used = ways(t)
    equal((used[entry], used[end]), ("fentry", "fexit"), "ways")
    equal(len(of_event(t, entry)), 16, "entries")
    equal([r["fields"]["retval"] for r in of_event(t, end)], [7] * 14 + [2, 0], "returned")


def of_programs(folder):
    """uprobe and usdt: each call, each of the places of a probe, with its arguments"""
    t = folder + "/t.kymo"
    calls, usdts = program("calls")[0], program("usdts")[0]
    function = "uprobe:%s:call_getppid" % calls
    widths, forms = ("usdt:%s:kymotest:%s" % (usdts, name) for name in ("widths", "forms"))
    record(t, [function, widths, forms], "sh", "-ec", '"$0" threads 7 3; "$1" 5', calls, usdts)
    equal(len(of_event(t, function)), 7, "calls")
    equal([list(r["fields"].values()) for r in of_event(t, widths)],
          [[-1, 255, -300, 65535, -70000, 4000000000]] * 5, "arguments")
    equal(len(of_event(t, forms)), 15, "hits of three places")


def transports(folder):
    """records come whole through every transport this kernel has"""
    t = folder + "/t.kymo"
    for transport in ("ringbuf", "perfbuf"):
        whole(t, ["syscalls:sys_enter_getppid"], *program("calls", "getppid", NR),
              options=["--transport", transport])
        equal(len(records(t)), NR, transport)


run([best_ways, known_calls, system_calls, fentry, of_programs, transports])
