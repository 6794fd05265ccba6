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


def lossy_record(trace, events, *command, options=()):
    """
    Newer kernels preempt programs on system calls and leave out, and count, what comes to
    the same program then.  With a CPU of its own the recorder is not what comes.
    """
    recorder = (KYMO,)
    if os.cpu_count() > 1:
        recorder = ("taskset", "1", KYMO)
        command = ("taskset", "2") + command
    record(trace, events, *command, recorder=recorder, options=options, lossy=True)


def counts_of(trace):
    """How often each event is in the trace, and how many the kernel has left out in all."""
    left_out = 0
    for loss in info(trace)["losses"]:
        equal(loss["cause"], "recursion", "lost")
        left_out += loss["count"]
    return collections.Counter(r["event"] for r in records(trace)), left_out


def adds_up(trace, wanted):
    """
    What is left out is counted where all processes and system calls come by, so that it may
    be more than what is missing.
    """
    seen, left_out = counts_of(trace)
    check(seen.keys() <= wanted.keys(), "events: %s" % seen)
    for event, nr in wanted.items():
        check(seen[event] <= nr <= seen[event] + left_out and nr <= 2 * seen[event],
              "%s: %d of %d, %d left out" % (event, seen[event], nr, left_out))


def is_most_of(seen, wanted, left_out):
    """These, in that order, but for what is left out."""
    rest = iter(wanted)
    check(all(x in rest for x in seen) and len(wanted) <= len(seen) + left_out and
          len(wanted) <= 2 * len(seen), "%r of %r, %d left out" % (seen, wanted, left_out))


def known_calls(folder):
    """tracepoint, kprobe and kretprobe: every call, and none that a filter drops"""
    t = folder + "/t.kymo"
    number, dropped = "syscalls:sys_enter_getppid", "syscalls:sys_exit_getppid"
    entry, end = "kprobe:" + GETPPID, "kretprobe:" + GETPPID
    lossy_record(t, [number, entry, end + "(retval)", (dropped, "--filter", "pid == 1")],
                 *program("calls", "getppid", NR))
    adds_up(t, {number: NR, entry: NR, end: NR})
    equal({r["fields"]["__syscall_nr"] for r in of_event(t, number)},
          {{"x86_64": 110, "aarch64": 173}[MACHINE]}, "numbers")
    equal(len({r["fields"]["retval"] for r in of_event(t, end)}), 1, "parents")


def system_calls(folder):
    """system calls by our numbers are those that the kernel's own tracepoints name"""
    events = ["syscalls:sys_%s_%s" % (side, name) for name in CALLS for side in ("enter", "exit")]
    least, most = collections.Counter(), collections.defaultdict(lambda: 10**9)
    totals = []
    for way in ("tp_btf", "tracepoint"):
        t = folder + "/" + way
        lossy_record(t, [event + "()" for event in events], *program("calls", "children", 5),
                     options=["--use", way + ",mapped,ringbuf"])
        used = ways(t)
        equal({used[event] for event in events}, {way}, "way")
        seen, left_out = counts_of(t)
        print("# %s: %d calls, %d left out" % (way, seen.total(), left_out))
        check(left_out < seen.total(), "%d left out" % left_out)
        # How much around a library is unmapped depends on where it happens to be.
        known = [event for event in events if not event.endswith("munmap")]
        total = sum(seen[event] for event in known)
        totals.append((total, total + left_out))
        for event in known:
            least[event] = max(least[event], seen[event])
            most[event] = min(most[event], seen[event] + left_out)
    for event in known:
        check(least[event] <= most[event], "%s: at least %d, at most %d" % (
            event, least[event], most[event]))
    check(max(low for low, _ in totals) <= min(high for _, high in totals), totals)
    waits = "syscalls:sys_exit_wait4"
    check(least[waits] <= 5 <= most[waits], "waits: %d to %d" % (least[waits], most[waits]))


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
    lossy_record(t, [(one + "(%s:str, count)" % name, "--filter", chosen),
                     (many, "--filter", 'comm == "dd"')], *command)
    used = ways(t)
    equal(used["rings"], RINGS.get(KERNEL, "mapped"), "rings")
    equal(used[one], ENTRIES.get(KERNEL, "fentry"), "way of one function")
    equal(used[many], GLOBBED.get(KERNEL, "kprobe"), "way of many")
    seen, left_out = counts_of(t)
    is_most_of([(r["fields"][name], r["fields"]["count"]) for r in of_event(t, one)],
               [("read-me", 7)] * 16, left_out)
    check(seen[many] + left_out >= 16 and 2 * seen[many] >= 16, "calls of many: %s" % seen)


def fentry(folder):
    """fentry and fexit: every call, what it was asked and returned"""
    no_function_trampolines()
    t = folder + "/t.kymo"
    chosen, command = reads(folder)
    entry, end = "fentry:vfs_read", "fexit:vfs_read"
    lossy_record(t, [(entry + "(count)", "--filter", chosen),
                     (end + "(count, retval)", "--filter", chosen)], *command)
    used = ways(t)
    equal((used[entry], used[end]), ("fentry", "fexit"), "ways")
    _, left_out = counts_of(t)
    is_most_of([r["fields"]["count"] for r in of_event(t, entry)], [7] * 16, left_out)
    is_most_of([r["fields"]["retval"] for r in of_event(t, end)], [7] * 14 + [2, 0], left_out)


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
        lossy_record(t, ["syscalls:sys_enter_getppid"], *program("calls", "getppid", NR),
                     options=["--transport", transport])
        adds_up(t, {"syscalls:sys_enter_getppid": NR})


run([best_ways, known_calls, system_calls, fentry, of_programs, transports])
