#!/usr/bin/env python3
"""
Why threads wait, beside tools that watch the same load at the same time: offcputime, runqlat,
biolatency and perf sched timehist all at once, and kprobes on the functions that block.
"""
import atexit
import re
import tempfile
from vm import *
from peers import *

COMPLETION_NS = 3000000
DISK = "nullb0"
# The kernel's functions in which threads of waitmix wait, and what kymo calls that.
BLOCKED_IN = {
    "sleeper": ("do_nanosleep", "SLEEP"), "writer": ("do_nanosleep", "SLEEP"),
    "holder": ("do_nanosleep", "SLEEP"), "sender": ("do_nanosleep", "SLEEP"),
    "server": ("do_nanosleep", "SLEEP"), "reader": ("pipe_read", "PIPE"),
    "locker": ("futex_wait_queue", "FUTEX"), "disk": ("blk_io_schedule", "DISK"),
    "faulter": ("io_schedule", "PAGE-FAULT"), "receiver": ("sk_wait_data", "NETWORK"),
    "poller": ("do_sys_poll", "POLL"), "parent": ("do_wait", "CHILD"),
    "flocker-1": ("locks_lock_inode_wait", "LOCK"),
    "flocker-2": ("locks_lock_inode_wait", "LOCK"),
}
REASONS = ["NONE", "OTHER", "DISK", "NETWORK", "LOCK", "FUTEX", "SLEEP", "PIPE", "PAGE-FAULT",
           "POLL", "CHILD"]
# The scheduler's own, one of which begins its section, and what the tracing itself calls.
NO_SITE = re.compile(r"_*schedule$|(io_)?schedule_(timeout|hrtimeout)|__sched_text_start$|"
                     r"_*preempt_schedule|_*bpf_|_*traceiter_|_*cond_resched|\[")


class Disk:
    """A file system on a disk that answers after 3 ms: nothing else is read, nothing written."""

    def __init__(self, folder):
        self.at = folder + "/disk"
        os.mkdir(self.at)

    def __enter__(self):
        if run_command(["modprobe", "null_blk", "nr_devices=1", "irqmode=2", "queue_mode=2",
                        "completion_nsec=%d" % COMPLETION_NS, "gb=1", "memory_backed=1"]).returncode:
            skip("no null_blk module")
        for command in (["mkfs.ext4", "-qF", "-O", "^has_journal", "-E", "nodiscard",
                         "/dev/" + DISK, "32M"], ["mount", "/dev/" + DISK, self.at]):
            done = run_command(command)
            equal(done.returncode, 0, done.stderr)
        path = file_to_read(self.at)
        equal(run_command(["mount", "-o", "remount,ro,noatime", self.at]).returncode, 0, "read only")
        write("/proc/sys/vm/drop_caches", "3")
        return path

    def __exit__(self, *error):
        run_command(["umount", self.at])
        run_command(["rmmod", "null_blk"])


class Together:
    """One run of the load, with all four watching: kept until one of the views differs."""
    run = None

    def __init__(self):
        folder = tempfile.mkdtemp()
        atexit.register(shutil.rmtree, folder, True)
        self.trace, self.data = folder + "/t.kymo", folder + "/perf.data"
        with Disk(folder) as path:
            self.names, self.found, said = watched(self.trace, path, [
                ["perf", "sched", "record", "--no-bpf-event", "-B", "-m", "16M", "-o", self.data],
                ["offcputime", "-p", "PID", "--stack-storage-size", "8192"],
                ["runqlat", "-p", "PID"],
                ["biolatency", "-d", DISK],
            ], "-a", "-e", "blockio", "--filter", 'disk == "%s"' % DISK)
        _, self.offcputime, self.runqlat, self.biolatency = said


def together(view):
    """A test that is view(run)."""
    def test(folder):
        def attempt():
            run, Together.run = Together.run or Together(), None
            view(run)
            Together.run = run
        within_three(attempt)
    test.__doc__ = view.__doc__
    return test


def of_timehist(run):
    """perf sched timehist: wait time, delay and run time of each thread"""
    print("# %d threads" % compare_timehist(run.data, run.names, run.found))


def of_runqlat(run):
    """runqlat: the same delays, give or take a row"""
    compare_runqlat(run.runqlat, run.found)


def of_offcputime(run):
    """offcputime: the time off CPUs of each thread"""
    compare_offcputime(run.offcputime, run.names, run.found)


def site_of(functions):
    """The innermost function that is not everyone's."""
    return next((f for f in functions if not NO_SITE.match(f)), "")


def of_stacks(run):
    """offcputime: where in the kernel each thread was off CPUs, beside flamegraph -e offcpu"""
    theirs, mine = {}, {}
    for functions, name, ns in offcputime_stacks(run.offcputime):
        key = name, site_of(f.split("+")[0] for f in functions)
        theirs[key] = theirs.get(key, 0) + ns
    pid = next(iter(run.found.values()))[0].pid
    for line in kymo("flamegraph", "--folded", "--idle", "-e", "offcpu", "--by", "comm", "--pid",
                     pid, "-i", run.trace).splitlines():
        stack, ns = line.rsplit(" ", 1)
        frames = stack.split(";")
        key = frames[0], site_of(frames[:0:-1])
        mine[key] = mine.get(key, 0) + int(ns)
    compared = 0
    for (name, site), ns in sorted(mine.items()):
        if ns < 100 * MS or not site or name not in run.names.values():
            continue
        near(ns, theirs.get((name, site), 0), "%s in %s" % (name, site), 0, SHARE, 20 * MS)
        compared += 1
    print("# %d pairs of a thread and a function" % compared)
    check(compared >= 10, "%r, %r" % (mine, theirs))


def of_biolatency(run):
    """biolatency: as many requests, as long, and as long the waits for them"""
    theirs = log2_rows(run.biolatency)
    requests = of_event(run.trace, "blockio")
    equal(sum(theirs.values()), len(requests), "requests")
    check(len(requests) > 100, "few requests")
    slack = len(requests) // 10
    compare_rows(rows_of(r["fields"]["duration"] for r in requests), theirs, slack)
    # A thread that does not get to wait before its request is done has not waited for it.
    reasons = REASONS.index("DISK"), REASONS.index("PAGE-FAULT")
    waits = [r for tid, name in run.names.items() if name in ("disk", "faulter")
             for r in run.found[tid] if r.reason in reasons]
    print("# %d requests, %d waits; us: %r" % (len(requests), len(waits), theirs))
    near(len(waits) * MS, len(requests) * MS, "waits", 0, 0.1)
    blocked = [r.off - r.runq for r in waits]
    compare_rows(rows_of(blocked), theirs, slack)
    # The disk says so in an interrupt.
    from_interrupt = sum(1 for r in waits if r.waker_context)
    check(from_interrupt > 0.9 * len(waits), "%d woken by interrupts" % from_interrupt)


def bpftrace(pid, functions):
    """A command that sums up the time in these functions by thread, until the process ends."""
    return ["bpftrace", "-e", "%s /pid == %d/ { @at[tid] = nsecs; } "
            "%s /@at[tid]/ { @ns[tid, probe] = sum(nsecs - @at[tid]); @calls[tid, probe] = count(); "
            "delete(@at[tid]); } "
            "interval:ms:500 /!@told/ { printf(\"ready\\n\"); @told = 1; }"
            % (",".join("kprobe:" + f for f in functions), pid,
               ",".join("kretprobe:" + f for f in functions))]


def kprobes(folder):
    """kprobes on the functions that block: the time in each, beside report --latency"""
    if not shutil.which("bpftrace"):
        skip("no bpftrace")
    known = {line.split()[2] for line in text_of("/proc/kallsyms").splitlines()}
    functions = sorted({f for f, _ in BLOCKED_IN.values()} & known)
    check(len(functions) >= 8, "the kernel has %r only" % functions)

    def attempt():
        trace = folder + "/t.kymo"
        with Disk(tempfile.mkdtemp(dir=folder)) as path:
            load = Load(path)
            other = Printer(*bpftrace(load.pid, functions))
            recorder = Recorder(KYMO, "record", "-q", "-o", trace, "-a", "-e", "sched")
            names = load.run()
            recorder.end()
            text = other.end()
        found = check_conserved(trace)
        equal(lost(trace), 0)
        theirs = {(int(tid), f): int(ns) for tid, f, ns in re.findall(
            r"^@ns\[(\d+), kretprobe:(\w+)\]: (\d+)$", text, re.M)}
        calls = {(int(tid), f): int(n) for tid, f, n in re.findall(
            r"^@calls\[(\d+), kretprobe:(\w+)\]: (\d+)$", text, re.M)}
        rows, _, _ = latency(trace, "--by", "tid")
        blocked = {r["keys"]["tid"]: {b["reason"]: b["ns"] for b in r["blocked"]} for r in rows}
        compared = 0
        for tid, name in names.items():
            function, reason = BLOCKED_IN.get(name, ("", ""))
            if function not in functions:
                continue
            delays = sum(r.runq for r in found[tid] if r.reason == REASONS.index(reason))
            told = blocked[tid].get(reason, 0)
            ns, nr = theirs.get((tid, function), 0), calls.get((tid, function), 0)
            print("# %s: %.1f ms %s, %.1f ms then for a CPU; %.1f ms in %d calls of %s" % (
                name, told / 1e6, reason, delays / 1e6, ns / 1e6, nr, function))
            # A function takes its wait, then for a CPU, and its own time on it, in which
            # others may take the CPU away.
            near(told + delays, ns, "%s in %s" % (name, reason), 0, 0.15, 20 * MS)
            compared += 1
        check(compared >= 10, "%d threads" % compared)
    within_three(attempt)


class Printer(Peer):
    """A peer that says that it is ready."""

    def __init__(self, *command):
        self.p = subprocess.Popen(["stdbuf", "-oL"] + list(command), stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        said = []
        for line in self.p.stdout:
            said.append(line.decode(errors="replace"))
            if "ready" in said[-1]:
                return
        self.p.wait()
        skip("%s: %r" % (command[0], said[-1:]))


if KERNEL != "6.1":
    print("1..0 # SKIP a comparison of tools, which 6.1 has made")
    sys.exit(0)
run([together(view) for view in (of_timehist, of_runqlat, of_offcputime, of_stacks,
                                 of_biolatency)] + [kprobes])
