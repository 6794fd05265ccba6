#!/usr/bin/env python3
"""Every kind of probe on this kernel counts known calls, with known arguments."""
from vm import *

GETPPID = SYSCALL + "getppid"
NR = 500


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
    equal(len(numbers), 1, "numbers")


def kprobe(folder):
    """kprobe: every call"""
    counted(folder, "kprobe:" + GETPPID)


def kretprobe(folder):
    """kretprobe: every call, with what it returned"""
    recs = counted(folder, "kretprobe:%s(retval)" % GETPPID, "kretprobe:" + GETPPID)
    equal(len({r["fields"]["retval"] for r in recs}), 1, "parents")


def fentry(folder):
    """fentry and fexit: every call; where the kernel has none, it is said"""
    no_function_trampolines()
    counted(folder, "fentry:" + GETPPID)
    recs = counted(folder, "fexit:%s(retval)" % GETPPID, "fexit:" + GETPPID)
    equal(len({r["fields"]["retval"] for r in recs}), 1, "parents")


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


def transports(folder):
    """records come whole through every transport this kernel has"""
    t = folder + "/t.kymo"
    for transport in ("ringbuf", "perfbuf"):
        record(t, ["syscalls:sys_enter_getppid"], *program("calls", "getppid", NR),
               options=["--transport", transport])
        equal(len(records(t)), NR, transport)


run([tracepoint, kprobe, kretprobe, fentry, arguments, filtered, uprobe, transports])
