#!/usr/bin/env python3
"""Functions of the kernel: entries, returns, arguments and members, by every way."""
import collections
import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *

NR = 40			# reads of 1, 2 ... 40 bytes, and one that is refused
NAME = "a-name-of-its-own"
EBADF = 9
# `make check-vm` has time for what is slow when emulated.
THOROUGH = os.environ.get("KYMO_VM") == "all"
WITH_NAME = "file->f_path.dentry->d_name.name"
BY_NAME = "%s == \"%s\"" % (WITH_NAME, NAME)


def try_record(folder, *args):
    trace = os.path.join(folder, "t.kymo")
    r = run_command([KYMO, "record", "-q", "-o", trace] + list(args))
    return trace, r.returncode, r.stderr.decode(), r.stdout.decode()


def recorded(folder, *args):
    """Skips where the kernel lacks what is asked for, which the one line must say."""
    trace, status, text, _ = try_record(folder, *args)
    for lack in ("has no kprobes", "it refuses fentry", "cannot be probed by fentry",
                 "--use forbids the ways there are", "and this kernel has no other way",
                 "the kernel is locked down", "cannot read the kernel's types"):
        if status and lack in text:
            equal(len(text.splitlines()), 1, "lines: %r" % text)
            skip(text.strip())
    equal(status, 0, "exit status of %s: %s" % (" ".join(args), text))
    return trace


@functools.lru_cache(maxsize=None)
def lack():
    """What the one line says where the kernel lets nobody probe its functions, else nothing."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            recorded(folder, "-e", "kprobe:vfs_read", "--", "true")
        except Skip as why:
            return str(why)
    return ""


def needs_probes():
    if lack():
        skip(lack())


def skip_what_needs_none():
    if EMULATED and not THOROUGH:
        skip("needs no kprobes, and is seen where nothing is emulated")


def work(folder):
    path = os.path.join(folder, NAME)
    with open(path, "wb") as f:
        f.write(bytes(100000))
    return program("reads", path, NR)


def fields(trace, event=None):
    return [r["fields"] for r in records(trace) if event in (None, r["event"])]


def lost(trace):
    return sum(row["count"] for row in info(trace)["losses"])


def way_of(trace, event):
    return info(trace)["host"]["probe " + event].split(",")[0]


# --- values ----------------------------------------------------------------------------


def entries(folder, way):
    trace = recorded(folder, "--use", way, "-e",
                     "kprobe:vfs_read(%s,count,at=pos[0],mode=file->f_mode,"
                     "s=file->f_inode->i_size,func,curtask->comm,pid=curtask->tgid)" % WITH_NAME,
                     "--filter", BY_NAME, "--", *work(folder))
    got = fields(trace)
    equal(way_of(trace, "kprobe:vfs_read"), way, "way")
    equal([f["count"] for f in got], list(range(1, NR + 1)) + [1], "counts")
    equal({f[WITH_NAME] for f in got}, {NAME}, "name")
    equal({f["func"] for f in got}, {"vfs_read"}, "func")
    equal({f["at"] for f in got}, {0}, "position")
    equal({f["s"] for f in got}, {100000}, "size of the file")
    equal({f["curtask->comm"] for f in got}, {"reads"}, "comm")
    equal([f["mode"] & 3 for f in got], [1] * NR + [2], "FMODE_READ, FMODE_WRITE")
    pids = {r["pid"] for r in records(trace)}
    equal(len(pids), 1, "processes")
    equal({f["pid"] for f in got}, pids, "tgid")
    equal(lost(trace), 0, "lost")


def by_fentry(folder):
    """arguments and nested members of known reads are exact, by fentry"""
    entries(folder, "fentry")


def by_kprobe(folder):
    """arguments and nested members of known reads are exact, by a kprobe"""
    entries(folder, "kprobe")


def usual_fields(folder):
    """without a list, all arguments are recorded; a return has its value"""
    trace = recorded(folder, "-e", "kprobe:vfs_read", "--filter", BY_NAME,
                     "-e", "kretprobe:vfs_read", "--filter", "retval == %d" % NR,
                     "--", *work(folder))
    got = fields(trace, "kprobe:vfs_read")
    equal(len(got), NR + 1, "entries")
    equal(list(got[0]), ["file", "buf", "count", "pos"], "names")
    equal({tuple(f) for f in fields(trace, "kretprobe:vfs_read")}, {("retval",)}, "of returns")


def returns(folder, way, name):
    trace = recorded(folder, "--use", way, "-e", "kretprobe:vfs_read(retval:errno,func)",
                     "--filter", "pid > 0 && retval <= %d" % NR, "--", *work(folder))
    got = [f["retval"] for f in fields(trace)]
    equal(way_of(trace, "kretprobe:vfs_read"), name, "way")
    equal([v for v in got if v != 0], list(range(1, NR + 1)) + [-EBADF], "values")
    equal({f["func"] for f in fields(trace)}, {"vfs_read"}, "func")


def returns_by_fexit(folder):
    """returned values are exact, by fexit"""
    returns(folder, "fentry", "fexit")


def returns_by_kretprobe(folder):
    """returned values are exact, by a kretprobe"""
    returns(folder, "kprobe", "kretprobe")


def fexit_arguments(folder):
    """fexit has arguments and the returned value; where it is none, it says so"""
    trace = recorded(folder, "--use", "fentry", "-e",
                     "fexit:vfs_read(count,retval,%s)" % WITH_NAME, "--filter",
                     BY_NAME + " && retval > 0", "--", *work(folder))
    got = fields(trace)
    equal([f["count"] for f in got], list(range(1, NR + 1)), "counts")
    equal([f["retval"] for f in got], [f["count"] for f in got], "returned")
    _, status, text, _ = try_record(folder, "--use", "kprobe", "-e", "fexit:vfs_read(count)",
                                    "--", "true")
    check(status in (1, 2) and ("at the entry only" in text or "has no kprobes" in text), text)


def small_numbers(folder):
    """arguments and returned values smaller than a register have their sign and size"""
    for way in ("fentry", "kprobe"):
        trace = recorded(folder, "--use", way, "-e",
                         "kprobe:do_sys_openat2(dfd,filename,flags=how->flags)", "--filter",
                         "filename ~ \"*%s\"" % NAME, "-e", "kretprobe:do_sys_openat2",
                         "--", *work(folder))
        got = fields(trace, "kprobe:do_sys_openat2")
        equal([f["dfd"] for f in got], [-100] * 2, "dfd, " + way)
        equal({f["filename"] for f in got}, {os.path.join(folder, NAME)}, "name, " + way)
        equal([int(str(f["flags"]), 0) & 3 for f in got], [os.O_RDONLY, os.O_WRONLY], "flags")
        check(all(-4096 < f["retval"] < 1024 for f in fields(trace, "kretprobe:do_sys_openat2")),
              "returned")


# --- many functions -----------------------------------------------------------------------


def globbed(folder, way, name):
    trace = recorded(folder, "--use", way, "-e", "kprobe:vfs_r*(func,arg2)",
                     "--filter", "arg2 > 0 && arg2 <= %d" % NR,
                     "-e", "kretprobe:vfs_r*", "--filter", "retval > 0 && retval <= %d" % NR,
                     "--", *work(folder))
    for event, prefix in (("kprobe:vfs_r*", name), ("kretprobe:vfs_r*", name.replace("k", "kret"))):
        used, number = way_of(trace, event).split(" x ")
        equal(used, prefix, "way")
        check(int(number) >= 4, "%s functions match" % number)
    counts = collections.Counter(f["func"] for f in fields(trace, "kprobe:vfs_r*"))
    equal(counts["vfs_read"], NR + 1, "calls of vfs_read")
    counts = collections.Counter(f["func"] for f in fields(trace, "kretprobe:vfs_r*"))
    equal(counts["vfs_read"], NR, "returns of vfs_read")
    equal(lost(trace), 0, "lost")
    # What bpftrace says as @[func] = count().
    text = kymo("report", "-i", trace, "--event", "kprobe:vfs_r*", "--by", "comm,func", "--csv")
    check(any("vfs_read" in line and "reads" in line and str(NR + 1) in line
              for line in text.splitlines()), text)


def globbed_multi(folder):
    """all functions that match are counted, by one kprobe-multi link"""
    globbed(folder, "kprobe-multi", "kprobe-multi")


def globbed_each(folder):
    """all functions that match are counted, by a kprobe each"""
    globbed(folder, "kprobe", "kprobe")


# --- places --------------------------------------------------------------------------------


def offset(folder):
    """a kprobe on an instruction has the registers; elsewhere it is refused"""
    refused = 0
    # The first instruction has 4 or 5 bytes, where the kernel may be traced.
    for n in (1, 4, 5, *range(6, 16), 2, 3):
        trace, status, text, _ = try_record(folder, "-e", "kprobe:vfs_read+%d" % n, "--",
                                            *work(folder))
        if "has no kprobes" in text or "locked down" in text:
            skip(text.strip())
        if status == 0:
            break
        refused += 1
        equal(len(text.splitlines()), 1, "lines: %r" % text)
        check("offset" in text, text)
    check(refused >= 1 and status == 0, "no instruction found in 15 bytes")
    got = [r for r in records(trace) if r["comm"] == "reads"]
    check(len(got) > NR, "%d hits" % len(got))
    check(all(str(r["fields"]["func"]).startswith("vfs_read") for r in got), str(got[0]))
    _, status, line, _ = try_record(folder, "-e", "kprobe:vfs_read+%d(count)" % n, "--", "true")
    check(status and "'count'" in line, line)


def of_module(folder):
    """functions of modules are found, with and without the module's name"""
    mounts = [line.split() for line in open("/proc/mounts")]
    places = [m[1] for m in mounts if m[2] == "ext4" and os.access(m[1], os.W_OK) and
              m[1].startswith("/vm")]
    if not places:
        skip("no ext4 file system to write to")
    path = os.path.join(places[0], NAME)
    with open(path, "wb") as f:
        f.write(bytes(1000))
    for event in ("fentry:ext4_file_open", "kprobe:ext4:ext4_file_open"):
        trace = recorded(folder, "-e", event + "(filp->f_path.dentry->d_name.name)", "--",
                         *program("reads", path, 3))
        names = [list(f.values())[0] for f in fields(trace)]
        equal(names.count(NAME), 2, event)
    os.unlink(path)


def stacks(folder):
    """the kernel's stack of a kprobe begins with the function"""
    trace = recorded(folder, "-e", "kprobe:vfs_read(count)", "-g", "--filter",
                     BY_NAME, "--", *work(folder))
    got = records(trace)
    equal(len(got), NR + 1, "records")
    for r in got:
        names = [f.get("symbol") for f in r["stack"]]
        equal(names[0], "vfs_read", "innermost of %s" % names)
        check(len(names) >= 3, "frames: %s" % names)


# --- mistakes ---------------------------------------------------------------------------------

# What no kernel has, and what needs nothing but its list of functions.
COMPLAINTS = (
    ("kprobe:vfs_raed", ("'kprobe:vfs_raed'", "did you mean", "'vfs_read'")),
    ("kprobe:nosuch_module_x:vfs_raed", ("vfs_raed", "no such module")),
    ("kprobe:nosuchfunction*", ("no function",)),
    ("kprobe:vfs_*+4", ("expected FUNCTION+OFFSET",)),
    ("kprobe:vfs_read+x", ("expected FUNCTION+OFFSET",)),
    ("kretprobe:vfs_read+4", ("only a kprobe",)),
    ("kprobe:", ()),
)
# What needs a kernel that can probe.
PROBING_COMPLAINTS = (
    ("kprobe:vfs_read(nosuch)", ("'nosuch'", "file, buf, count, pos")),
    ("kprobe:vfs_read(file->f_pth)", ("struct file", "'f_pth'", "'f_path'")),
    ("kprobe:vfs_read(file->f_path)", ("path", "dentry")),
    ("kprobe:vfs_read(count->x)", ("'count->x'", "size_t")),
    ("kprobe:vfs_read(retval)", ("return only", "kretprobe:vfs_read")),
    ("kprobe:vfs_read(arg4)", ("4 arguments",)),
    ("kprobe:vfs_r*(file)", ("'file'", "arg0")),
    ("kprobe:vfs_r*(arg0->x)", ("type",)),
)


def complain(folder, rows):
    for event, words in rows:
        trace, status, text, _ = try_record(folder, "-e", event, "--", "true")
        check(status in (1, 2), "%s: exit status %d" % (event, status))
        equal(len(text.splitlines()), 1, "lines for %s: %r" % (event, text))
        for word in words:
            check(word in text, "no %r in %r" % (word, text))
        check(not os.path.exists(trace), "%s left a file" % event)


def mistakes(folder):
    """a function that is not there gets one clear line with near names"""
    skip_what_needs_none()
    complain(folder, COMPLAINTS)


def mistakes_in_fields(folder):
    """a member or argument that is not there gets one line that lists what is"""
    needs_probes()
    complain(folder, PROBING_COMPLAINTS)


def forbidden(folder):
    """a function that may not be probed is named with the reason"""
    needs_probes()
    try:
        names = [line.split()[-1] for line in open("/sys/kernel/debug/kprobes/blacklist")]
    except OSError:
        skip("the blacklist of kprobes cannot be read")
    names = [n for n in names if n.replace("_", "a").isalnum()]
    check(names, "an empty blacklist")
    for name in names[:5]:
        _, status, text, _ = try_record(folder, "-e", "kprobe:" + name, "--", "true")
        equal(len(text.splitlines()), 1 if status else 0, "lines for %s: %r" % (name, text))
        if "blacklist" in text:
            return
    check(False, "none of %s was refused" % names[:5])


def too_many(folder):
    """more functions than can be probed one by one are refused"""
    skip_what_needs_none()
    _, status, text, _ = try_record(folder, "--use", "kprobe", "-e", "kprobe:*", "--", "true")
    equal((status, len(text.splitlines())), (1, 1), text)
    check("more than 10000" in text, text)


def no_kprobes(folder):
    """where the kernel has no kprobes, one line says so"""
    if not lack():
        skip("this kernel has them")
    trace, status, text, _ = try_record(folder, "-e", "kprobe:vfs_read", "--", "true")
    equal((status, len(text.splitlines())), (1, 1), text)
    check("'vfs_read' cannot be probed: " in text, text)
    check(not os.path.exists(trace), "it left a file")


def peer(*args):
    """Runs another tool, which may be slow where every instruction is emulated."""
    try:
        return run_command(args, timeout=100)
    except subprocess.TimeoutExpired:
        skip("%s gives no answer within 100 s" % args[0])


# --- others -----------------------------------------------------------------------------------------


def skip_if_slow():
    if EMULATED and not THOROUGH:
        skip("other tools take long to start when emulated: make check-vm compares")


def as_bpftrace(folder):
    """bpftrace counts the same calls by their argument"""
    skip_if_slow()
    needs_probes()
    if run_command(["sh", "-c", "command -v bpftrace"]).returncode:
        skip("no bpftrace")
    args = work(folder)
    r = peer("bpftrace", "-q", "-f", "json", "-e",
             "kprobe:vfs_read /comm == \"reads\"/ { @[arg2] = count(); }", "-c", " ".join(args))
    maps = [json.loads(line) for line in r.stdout.decode().splitlines() if '"map"' in line]
    if not maps:
        skip("bpftrace does not work here: " + r.stderr.decode().strip()[:200])
    theirs = {int(k): v for k, v in maps[0]["data"]["@"].items()}
    trace = recorded(folder, "-e", "kprobe:vfs_read(count)", "--filter", "comm == \"reads\"",
                     "--", *args)
    ours = collections.Counter(f["count"] for f in fields(trace))
    equal(dict(ours), theirs, "calls by argument")


def as_perf(folder):
    """perf counts the same calls"""
    skip_if_slow()
    needs_probes()
    if run_command(["sh", "-c", "command -v perf"]).returncode:
        skip("no perf")
    name = "kymo_test_%d" % os.getpid()
    r = peer("perf", "probe", "-q", "--add", name + "=vfs_read")
    if r.returncode:
        skip("perf probe does not work here: " + r.stderr.decode().strip()[:200])
    try:
        out = os.path.join(folder, "stat")
        peer("perf", "stat", "-x,", "-o", out, "-e", "probe:" + name, *work(folder))
        theirs = [int(line.split(",")[0]) for line in open(out) if name in line]
    finally:
        peer("perf", "probe", "-q", "--del", name)
    trace = recorded(folder, "-e", "kprobe:vfs_read(count)", "--", *work(folder))
    equal([len(fields(trace))], theirs, "calls")


def kernel_state():
    state = []
    for path in ("/sys/kernel/tracing/kprobe_events", "/sys/kernel/tracing/enabled_functions",
                 "/sys/kernel/debug/kprobes/list"):
        try:
            with open(path) as f:
                state.append((path, f.read()))
        except OSError:
            state.append((path, None))
    return state


def nothing_left(folder):
    """nothing stays attached after kill -9, nor after a mistake"""
    needs_probes()
    before = kernel_state()
    for use in ("fentry", "kprobe", "kprobe-multi,kprobe"):
        event = "kprobe:vfs_re*" if "multi" in use else "kprobe:vfs_read"
        trace = os.path.join(folder, use + ".kymo")
        p = subprocess.Popen([KYMO, "record", "-q", "--use", use, "-a", "-o", trace, "-e", event],
                             stderr=subprocess.PIPE)
        while p.poll() is None and not (os.path.exists(trace) and os.stat(trace).st_size > 1500):
            time.sleep(0.02)
        if p.poll() is None:
            p.send_signal(signal.SIGKILL)
        p.wait()
        p.stderr.close()
        wait_for_state(before, "kill -9 of " + use)
    try_record(folder, "-e", "kprobe:vfs_read", "-e", "kprobe:vfs_write(nosuch)", "--", "true")
    wait_for_state(before, "a mistake")


def wait_for_state(before, after_what):
    """The kernel lets go of a dead process's probes a little later."""
    for _ in range(1000):
        if kernel_state() == before:
            return
        time.sleep(0.02)
    equal(kernel_state(), before, "after " + after_what)


def listed(folder):
    """kymo list tells the functions, with the types of their arguments, and what is missing"""
    text = kymo("list", "kprobe:vfs_re*")
    names = [line.split("\t")[0] for line in text.splitlines()]
    check("kprobe:vfs_read" in names, text)
    check(all(n.startswith("kprobe:vfs_re") for n in names), text)
    equal("not here" in text, lack() != "", "what is listed and what works: " + text)
    if lack():
        skip("this kernel cannot probe functions")
    text = kymo("list", "-v", "kprobe:vfs_read")
    check("file:struct file *, buf:" in text and "count:size_t" in text, text)
    text = kymo("list", "-v", "fexit:vfs_read")
    check("retval:ssize_t" in text, text)


run([by_fentry, by_kprobe, usual_fields, returns_by_fexit, returns_by_kretprobe, fexit_arguments,
     small_numbers, globbed_multi, globbed_each, offset, of_module, stacks, mistakes,
     mistakes_in_fields, forbidden, too_many, no_kprobes, as_bpftrace, as_perf, nothing_left,
     listed])
