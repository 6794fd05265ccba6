#!/usr/bin/env python3
"""The one-liners of perf, bcc and bpftrace, by kymo: the same counts and values."""
import csv
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *

# bpftrace takes long for each where it is emulated.
SOME_CALLS = "sys_enter_e*" if EMULATED else "sys_enter_*"
SOME_FUNCTIONS = "vfs_r*" if EMULATED else "vfs_*"
# bpftrace looks at the whole machine, where others may run the same programs.
NAME = "mine%d" % os.getpid()


class Bpftrace:
    """
    A program of bpftrace that runs while the with block does; then .text is its output.
    /mine/ in it are the events of the programs that have our name.
    """

    def __init__(self, program):
        if not shutil.which("bpftrace"):
            skip("bpftrace is not installed")
        program = program.replace("/mine/", '/comm == "%s"/' % NAME)
        self.p = subprocess.Popen(["bpftrace", "-B", "line", "-e", 'BEGIN { printf("ready\\n"); } ' +
                                   program], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env=dict(os.environ, BPFTRACE_STRLEN="128",
                                           BPFTRACE_PERF_RB_PAGES="512"))

    def __enter__(self):
        seen = b""
        while b"ready" not in seen:
            line = self.p.stdout.readline()
            if not line:
                reason = self.p.stderr.read().decode().strip().splitlines()[-1:]
                self.p.wait()
                skip("bpftrace cannot do this here: %s" % reason)
            seen += line
        return self

    def __exit__(self, *error):
        self.text = interrupt(self.p)
        return False

    def counts(self):
        """@[a, b]: 3 as {("a", "b"): 3}."""
        return {tuple(key.split(", ")): int(n)
                for key, n in re.findall(r"^@\w*\[(.*)\]: (\d+)$", self.text, re.M)}


def named(folder, path, *args):
    """A command that runs a copy of the program by a name of its own."""
    copy = os.path.join(folder, NAME)
    shutil.copy(path, copy)
    return [copy] + [str(a) for a in args]


def calls(folder, *args):
    return named(folder, program("calls")[0], *args)


def beside(folder, program, work, *args):
    """Runs the work under kymo and the bpftrace program at once: the trace and bpftrace."""
    trace = os.path.join(folder, "t.kymo")
    with Bpftrace(program) as theirs:
        kymo("record", "-q", "-o", trace, *args, "--", *work)
    check(sum(row["count"] for row in info(trace)["losses"]) == 0, "lost events")
    return trace, theirs


def report_counts(trace, by, *args):
    """kymo report --by as {(values): count}."""
    rows = list(csv.reader(kymo("report", "-i", trace, "--by", by, "--csv", *args).splitlines()))
    head = rows[0]
    keys = [i for i, name in enumerate(head) if name in by.split(",")]
    number = head.index("samples")
    return {tuple(row[i] for i in keys): int(row[number]) for row in rows[1:]}


def missing(trace_args):
    """Why these events cannot be recorded here, or None."""
    r = run_command([KYMO, "record", "-q", "-o", "/dev/null"] + list(trace_args) + ["--", "true"])
    return None if r.returncode == 0 else r.stderr.decode().strip()


def needs(*args):
    reason = missing(args)
    if reason:
        skip(reason)


def opensnoop(folder):
    """opensnoop: who opens what, with flags and result"""
    os.mkdir(folder + "/files")
    trace, theirs = beside(
        folder, 't:syscalls:sys_enter_openat /mine/ '
        '{ printf("%d|%s|%d\\n", pid, str(args->filename), args->flags); } '
        't:syscalls:sys_exit_openat /mine/ { @r[args->ret >= 0] = count(); }',
        calls(folder, "opens", folder + "/files", 100),
        "-e", "syscalls:sys_enter_openat(filename:str,flags)",
        "-e", "syscalls:sys_exit_openat(ret)")
    rows = records(trace, "--filter", 'comm == "%s"' % NAME)
    ours = ["%d|%s|%d" % (r["pid"], r["fields"]["filename"], r["fields"]["flags"])
            for r in rows if "filename" in r["fields"]]
    # What comes from several CPUs is not in order there.
    equal(sorted(ours), sorted(l for l in theirs.text.splitlines() if l.count("|") == 2), "opens")
    good = sum(r["fields"]["ret"] >= 0 for r in rows if "ret" in r["fields"])
    equal(good, theirs.counts()[("1",)], "successes")


def execsnoop(folder):
    """execsnoop: programs that start, with their arguments"""
    trace, theirs = beside(
        folder, "t:syscalls:sys_enter_execve /mine/ { printf(\"%d|\", pid); join(args->argv); }",
        named(folder, "/bin/sh", "-c",
              "/bin/true one; /bin/echo two three >/dev/null; /bin/false; true"),
        "-e", "syscalls:sys_enter_execve(filename:str)", "-e", "sched:sched_process_exec(filename)")
    ours = {r["fields"]["filename"] for r in records(trace) if "filename" in r["fields"]}
    for name in ("/bin/true", "/bin/echo", "/bin/false"):
        check(name in ours, "%s in %s" % (name, ours))
        check(name in theirs.text, theirs.text)
    started = [r for r in records(trace) if r["event"] == "sched:sched_process_exec"]
    check({"true", "echo", "false"} <= {r["comm"] for r in started}, "names after exec")


def killsnoop(folder):
    """killsnoop: who signals whom"""
    trace, theirs = beside(
        folder, 't:syscalls:sys_enter_kill /mine/ { @[pid, args->pid, args->sig] = count(); }',
        calls(folder, "signals", 77), "-e", "syscalls:sys_enter_kill(target=pid,sig)")
    equal(report_counts(trace, "pid,target,sig", "--comm", NAME), theirs.counts(), "signals")


def argdist(folder):
    """argdist -C: how often each value of an argument"""
    trace, theirs = beside(
        folder, 't:syscalls:sys_enter_pread64 /mine/ { @[comm, args->count] = count(); }',
        calls(folder, "reads", "/etc/passwd", 40), "-e", "syscalls:sys_enter_pread64(count)")
    equal(report_counts(trace, "comm,count", "--comm", NAME), theirs.counts(), "sizes")


def funccount_tracepoints(folder):
    """funccount t:syscalls:sys_enter_*: system calls by name"""
    trace, theirs = beside(
        folder, 't:syscalls:%s /mine/ { @[probe] = count(); }' % SOME_CALLS,
        calls(folder, "children", 30), "-e", "syscalls:%s()" % SOME_CALLS)
    wanted = {k[0].replace("tracepoint:", ""): n for k, n in theirs.counts().items()}
    got = {k[0]: n for k, n in report_counts(trace, "event", "--comm", NAME).items()}
    equal(got, wanted, "system calls")


def funccount_kernel(folder):
    """funccount 'vfs_*': functions of the kernel by name"""
    needs("-e", "kprobe:vfs_read")
    trace, theirs = beside(
        folder, 'kprobe:%s /mine/ { @[func] = count(); }' % SOME_FUNCTIONS,
        calls(folder, "reads", "/etc/passwd", 50), "-e", "kprobe:" + SOME_FUNCTIONS)
    ours = {k[0].split("+")[0]: n for k, n in
            report_counts(trace, "func", "--comm", NAME).items()}
    for name, n in theirs.counts().items():
        equal(ours.get(name[0]), n, name[0])


def funccount_library(folder):
    """funccount c:...: functions of a library by name"""
    trace, theirs = beside(
        folder, 'uprobe:libc:getpid, uprobe:libc:kill /mine/ { @[probe] = count(); }',
        calls(folder, "signals", 60), "-e", "uprobe:libc:getpid()", "-e", "uprobe:libc:kill()")
    ours = {k[0].split(":")[-1].rstrip("()"): n for k, n in
            report_counts(trace, "event", "--comm", NAME).items()}
    equal(ours, {k[0].split(":")[-1]: n for k, n in theirs.counts().items()}, "calls of functions")


def trace_kernel(folder):
    """trace 'do_sys_openat2 "%s", arg2': arguments of a function of the kernel"""
    needs("-e", "kprobe:do_sys_openat2")
    os.mkdir(folder + "/files")
    trace, theirs = beside(
        folder, 'kprobe:do_sys_openat2 /mine/ { printf("%s|\\n", str(uptr(arg1))); }',
        calls(folder, "opens", folder + "/files", 20),
        "-e", "kprobe:do_sys_openat2(filename:str)")
    ours = [r["fields"]["filename"] + "|" for r in records(trace, "--comm", NAME)]
    equal(sorted(ours), sorted(l for l in theirs.text.splitlines() if l.endswith("|")), "names")


def trace_return(folder):
    """trace 'r::...' and r:c:...: return values"""
    trace, theirs = beside(
        folder, 'uretprobe:libc:kill /mine/ { @[retval] = count(); }',
        calls(folder, "signals", 25), "-e", "uretprobe:libc:kill(retval:s32)")
    equal(report_counts(trace, "retval", "--comm", NAME), theirs.counts(), "values")


def trace_stacks(folder):
    """trace -KU: the stacks at an event"""
    trace, theirs = beside(
        folder, 't:syscalls:sys_enter_kill /mine/ { @[ustack(1)] = count(); }',
        calls(folder, "signals", 10), "-e", "syscalls:sys_enter_kill", "-g")
    # The program has gone by the time bpftrace looks for its names.
    check("]: 10" in theirs.text, theirs.text)
    equal(len(records(trace, "--comm", NAME)), 10, "calls")
    for r in records(trace, "--comm", NAME):
        names = [f.get("symbol") for f in r["stack"]]
        check(names and names[-1] == "__libc_start_call_main" and
              any(n.lstrip("_").endswith("kill") for n in names if n), names)


def perf_stat(folder):
    """perf stat -e: how often"""
    if not shutil.which("perf"):
        skip("perf is not installed")
    trace = folder + "/t.kymo"
    work = program("calls", "getppid", 5000)
    r = run_command(["perf", "stat", "-x", ",", "-e", "syscalls:sys_enter_getppid", "--"] + work)
    theirs = [int(l.split(",")[0]) for l in r.stderr.decode().splitlines() if "getppid" in l]
    kymo("record", "-q", "-o", trace, "-e", "syscalls:sys_enter_getppid", "--", *work)
    equal(len(records(trace)), theirs[0], "calls")


def beside_perf(folder):
    """perf still sees the events that kymo records"""
    if not shutil.which("perf"):
        skip("perf is not installed")
    for event in ("syscalls:sys_enter_getppid", "signal:signal_generate"):
        work = program("calls", "getppid" if "getppid" in event else "signals", 200)
        for way in ("tp_btf", "tracepoint"):
            r = run_command([KYMO, "record", "-q", "-o", folder + "/t.kymo", "--use",
                             way + ",mapped,ringbuf", "-e", event, "--", "perf", "stat", "-x", ",",
                             "-e", event, "--"] + work)
            if r.returncode:
                continue
            counts = [l.split(",")[0] for l in r.stderr.decode().splitlines() if event in l]
            equal(counts, ["200"], "%s of perf, while kymo records by %s" % (event, way))


# Those that ask most of the kernel; the others differ from them in their fields only.
OF_THE_KERNEL = [funccount_tracepoints, funccount_kernel, trace_kernel, trace_return, trace_stacks,
                 beside_perf]

run(OF_THE_KERNEL if EMULATED else
    [opensnoop, execsnoop, killsnoop, argdist, funccount_tracepoints, funccount_kernel,
     funccount_library, trace_kernel, trace_return, trace_stacks, perf_stat, beside_perf])
