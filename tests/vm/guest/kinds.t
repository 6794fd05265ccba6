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


def counted(folder, event, name=None, *options):
    t = folder + "/t.kymo"
    record(t, [event], *program("calls", "getppid", NR), options=options)
    recs = of_event(t, name or event)
    equal(len(recs), NR, "%s: records" % event)
    return recs


def tracepoint(folder):
    """tracepoint: every call, its number in it"""
    numbers = {r["fields"]["__syscall_nr"] for r in
               counted(folder, "syscalls:sys_enter_getppid")}
    equal(numbers, {{"x86_64": 110, "aarch64": 173}[MACHINE]}, "numbers")


def whole(*args, **how):
    """Newer kernels preempt programs on system calls and leave out, and count, what comes then."""
    for _ in range(9):
        try:
            return record(*args, **how)
        except AssertionError as e:
            if "lost:" not in str(e):
                raise
    return record(*args, **how)


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
        counts[way] = collections.Counter(r["event"] for r in records(t))
    equal(counts["tp_btf"], counts["tracepoint"], "calls")
    equal(counts["tp_btf"]["syscalls:sys_exit_wait4"], 5, "waits")


def reads(folder):
    """A command that reads 7 bytes 16 times: 14 times 7, once 2, once none, by its filter."""
    write(folder + "/read-me", "x" * 100)
    return 'comm == "dd" && count == 7', ["dd", "if=" + folder + "/read-me", "of=/dev/null", "bs=7"]


def best_ways(folder):
    """of the ways there are this kernel's best are taken"""
    t = folder + "/t.kymo"
    chosen, command = reads(folder)
    one, many = "kprobe:vfs_read", "kprobe:vfs_rea*"
    record(t, [(one, "--filter", chosen), (many, "--filter", 'comm == "dd"')], *command)
    used = ways(t)
    equal(used["rings"], RINGS.get(KERNEL, "mapped"), "rings")
    equal(used[one], ENTRIES.get(KERNEL, "fentry"), "way of one function")
    equal(used[many], GLOBBED.get(KERNEL, "kprobe"), "way of many")
    equal(len(of_event(t, one)), 16, "calls")
    check(len(of_event(t, many)) >= 16, "calls of many")


def kprobe(folder):
    """kprobe: every call"""
    counted(folder, "kprobe:" + GETPPID)


def kretprobe(folder):
    """kretprobe: every call, with what it returned"""
    recs = counted(folder, "kretprobe:%s(retval)" % GETPPID, "kretprobe:" + GETPPID)
    equal(len({r["fields"]["retval"] for r in recs}), 1, "parents")


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


def arguments(folder):
    """arguments and members by BTF: sizes of reads, and the name of their file"""
    t = folder + "/t.kymo"
    path = folder + "/read-me"
    write(path, "x" * 100)
    function = "kprobe:vfs_read"
    name = "file->f_path.dentry->d_name.name"
    record(t, [(function + "(%s:str, count)" % name, "--filter", "comm == \"dd\"")],
           "dd", "if=" + path, "of=/dev/null", "bs=7")
    sizes = [r["fields"]["count"] for r in of_event(t, function)
             if r["fields"][name] == "read-me"]
    equal(sizes, [7] * 16, "sizes")


def filtered(folder):
    """a filter drops in the kernel what does not match"""
    t = folder + "/t.kymo"
    record(t, [("syscalls:sys_enter_getppid", "--filter", "pid == 1")],
           *program("calls", "getppid", NR))
    equal(len(records(t)), 0, "records")


def uprobe(folder):
    """uprobe: a function of a program, each call"""
    t = folder + "/t.kymo"
    path = program("calls")[0]
    record(t, ["uprobe:%s:call_getppid" % path], *program("calls", "threads", 7, 3))
    equal(len(records(t)), 7, "records")


def usdt(folder):
    """usdt: each of the places of a probe, with its arguments"""
    t = folder + "/t.kymo"
    path = program("usdts")[0]
    record(t, ["usdt:%s:kymotest:widths" % path, "usdt:%s:kymotest:forms" % path],
           path, 5)
    equal([list(r["fields"].values()) for r in of_event(t, "usdt:%s:kymotest:widths" % path)],
          [[-1, 255, -300, 65535, -70000, 4000000000]] * 5, "arguments")
    equal(len(of_event(t, "usdt:%s:kymotest:forms" % path)), 15, "hits of three places")


def transports(folder):
    """records come whole through every transport this kernel has"""
    t = folder + "/t.kymo"
    for transport in ("ringbuf", "perfbuf"):
        record(t, ["syscalls:sys_enter_getppid"], *program("calls", "getppid", NR),
               options=["--transport", transport])
        equal(len(records(t)), NR, transport)


run([best_ways, tracepoint, system_calls, kprobe, kretprobe, fentry, arguments, filtered, uprobe,
     usdt, transports])
