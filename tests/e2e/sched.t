#!/usr/bin/env python3
"""-e sched: the time of every thread from its beginning to its end, without gaps."""
import re
import signal
import subprocess
import time

from live import *

START, END, EXIT = 1, 2, 4
NONE, DISK, SLEEP, PIPE, CHILD, WORK, UNKNOWN = 0, 2, 6, 7, 10, 11, 12


def spans(trace):
    """By thread: (begin, end, fields, record), in order; times in ns."""
    found = {}
    for r in records(trace, "-e", "sched"):
        f, end = r["fields"], round(r["time"] * 1e9)
        begin = end - f["offcpu"] - f["oncpu"] - f["skipped"]
        found.setdefault(r["tid"], []).append((begin, end, f, r))
    for of_thread in found.values():
        of_thread.sort(key=lambda s: s[1])
    return found


def check_conserved(trace):
    """The records of each thread meet each other to the nanosecond."""
    found = spans(trace)
    check(found, "no records")
    for tid, of_thread in found.items():
        for before, after in zip(of_thread, of_thread[1:]):
            check(abs(after[0] - before[1]) <= 1,
                  "thread %d: a gap of %d ns before %r" % (tid, after[0] - before[1], after[3]))
        for begin, end, f, r in of_thread:
            check(0 <= f["runq"] <= f["offcpu"], r)
    return found


def lost(trace):
    """But for switches that the kernel itself does not show: their time is in the next ones."""
    return sum(l["count"] for l in info(trace)["losses"] if l["cause"] != "recursion")


def ping_pong(rounds):
    """A command: two processes that hand a byte to each other."""
    return ["python3", "-c", """
import os
there, back = os.pipe(), os.pipe()
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
if os.fork():
    os.close(there[0]); os.close(back[1])
    for i in range(%d):
        os.write(there[1], b"x"); os.read(back[0], 1)
    os.close(there[1])
    os.wait()
else:
    os.close(there[1]); os.close(back[0])
    while os.read(there[0], 1):
        os.write(back[1], b"x")
    os._exit(0)
""" % rounds]


def a_command(folder):
    """a command: each of its threads from birth to exit, and what it waited for"""
    trace = folder + "/t.kymo"
    kymo("record", "-q", "-e", "sched", "-o", trace, "--", "sh", "-c", "sleep 0.3; sleep 0.2 & wait")
    found = check_conserved(trace)
    equal(lost(trace), 0)
    sleeps = [t for t in found.values() if t[-1][3]["comm"] == "sleep"]
    equal(len(sleeps), 2)
    # Whoever waits for a CPU after its parent was told of its end has not switched for good.
    for of_thread in found.values():
        check(of_thread[-1][2]["edge"] & (EXIT | END), of_thread[-1][3])
    for of_thread, least in zip(sorted(sleeps, key=lambda t: t[0][0]), (300e6, 200e6)):
        longest = max((f for _, _, f, _ in of_thread), key=lambda f: f["offcpu"] - f["runq"])
        # It has set the timer before it leaves the CPU.
        check(longest["oncpu"] + longest["offcpu"] - longest["runq"] >= least, longest)
        # Some kernels show no wakeup that comes upon a thread of process 1.
        check(longest["waker_context"] in (1, 2) or not longest["waker"],
              "a timer wakes it: %r" % longest)
        # Its parent has started it.
        check("sh:" in (of_thread[0][2]["waker"] or "") or of_thread[0][2]["edge"] & START,
              of_thread[0][3])


def whole_machine(folder):
    """the whole machine: threads that never run are in it, cut at both ends"""
    trace = folder + "/t.kymo"
    asleep = subprocess.Popen(["sleep", "1000"])
    try:
        while open("/proc/%d/stat" % asleep.pid).read().split()[2] != "S" or \
                open("/proc/%d/comm" % asleep.pid).read() != "sleep\n":
            time.sleep(0.01)
        kymo("record", "-q", "-a", "-e", "sched", "-o", trace, "--duration", 0.5)
    finally:
        asleep.kill()
        asleep.wait()
    found = check_conserved(trace)
    check(asleep.pid in found, "the sleeper is missing")
    begin, end, fields, record = found[asleep.pid][-1]
    equal(len(found[asleep.pid]), 1)
    equal(fields["edge"], START | END)
    check(end - begin >= 400e6 and fields["offcpu"] == end - begin, record)
    check(0 not in found, "idle is no thread")


def a_process(folder):
    """a process that is there: only it, from the start of the recording to its end"""
    trace = folder + "/t.kymo"
    load = subprocess.Popen(["sh", "-c", "while :; do sleep 0.01; done"])
    try:
        kymo("record", "-q", "-e", "sched", "-p", load.pid, "-o", trace, "--duration", 0.5)
    finally:
        load.kill()
        load.wait()
    found = check_conserved(trace)
    check(found[load.pid][0][2]["edge"] & START, found[load.pid][0][3])
    check(found[load.pid][-1][2]["edge"] & END, found[load.pid][-1][3])
    check(found[load.pid][-1][1] - found[load.pid][0][0] >= 400e6)
    # A child that was about to end when the recording began may be gone before it is asked for.
    began = found[load.pid][0][0]
    for of_thread in found.values():
        check(of_thread[-1][3]["comm"] in ("sh", "sleep") or of_thread[0][0] - began < 1e6,
              of_thread[-1][3])


NAPS = "while true; do sleep 0.01; done"
THREADS = """
import threading, time, os
def naps():
    while True:
        time.sleep(0.005)
def child():
    while True:
        threading.Thread(target=time.sleep, args=(0.01,)).start()
        time.sleep(0.01)
def asleep():
    time.sleep(1000)
for wanted in (naps, child, asleep):
    thread = threading.Thread(target=wanted, daemon=True)
    thread.start()
    print(thread.native_id, flush=True)
time.sleep(1000)
"""


def start_threads():
    """Its first thread sleeps, the second takes naps, the third has children, the last sleeps."""
    load = subprocess.Popen(["python3", "-c", THREADS], stdout=subprocess.PIPE)
    tids = [load.pid] + [int(load.stdout.readline()) for _ in range(3)]
    for tid in (tids[0], tids[3]):
        while open("/proc/%d/task/%d/stat" % (load.pid, tid)).read().split()[2] != "S":
            time.sleep(0.01)
    return load, tids


def a_thread(folder):
    """threads that are there: only they and their children, asleep all the time or not"""
    trace = folder + "/t.kymo"
    load, (first, naps, parent, asleep) = start_threads()
    try:
        for chosen in ([naps], [asleep], [first, asleep], [parent]):
            kymo("record", "-q", "-e", "sched", "-t", ",".join(map(str, chosen)), "-o", trace,
                 "--duration", 0.4)
            found = check_conserved(trace)
            equal(lost(trace), 0)
            others = set(found) - set(chosen)
            check(set(chosen) <= set(found), found.keys())
            equal(bool(others), chosen == [parent], "threads besides %r: %r" % (chosen, others))
            check(all(found[tid][0][3]["pid"] == load.pid for tid in found))
            check(not others & {first, naps, asleep}, others)
            for tid in chosen:
                check(found[tid][0][2]["edge"] & START and found[tid][-1][2]["edge"] & END)
                check(found[tid][-1][1] - found[tid][0][0] >= 300e6, found[tid])
            for tid in set(chosen) & {first, asleep}:
                (begin, end, fields, _), = found[tid]
                equal(fields["offcpu"], end - begin)
    finally:
        load.kill()
        load.wait()


def a_cpu(folder):
    """a CPU: nothing but what happens there, and what other CPUs do is skipped time"""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        skip("one CPU")
    trace = folder + "/t.kymo"
    loads = [subprocess.Popen(["taskset", "-c", str(cpu), "sh", "-c", NAPS]) for cpu in cpus[:2]]
    try:
        kymo("record", "-q", "-e", "sched", "-C", cpus[1], "-o", trace, "--duration", 0.5)
    finally:
        for load in loads:
            load.kill()
            load.wait()
    found = check_conserved(trace)
    of_all = [(f, r) for t in found.values() for _, _, f, r in t]
    for f, r in of_all:
        check(r["cpu"] == cpus[1] or (f["edge"] & (END | EXIT) and f["oncpu"]), r)
    check(loads[0].pid not in found, "a thread of the other CPU")
    lasts = found[loads[1].pid][-1][1] - found[loads[1].pid][0][0]
    busy = sum(f["oncpu"] for f, _ in of_all)
    check(busy <= 1.001 * lasts, "%d ns on a CPU in %d ns" % (busy, lasts))
    mine = found[loads[1].pid]
    check(mine[0][2]["edge"] & START and mine[-1][2]["edge"] & END)
    check(mine[-1][1] - mine[0][0] >= 400e6)


def cgroup_root():
    for line in open("/proc/mounts"):
        if line.split()[2] == "cgroup2":
            return line.split()[1]
    skip("no cgroup2 file system is mounted")


def move(pid, path):
    with open(path + "/cgroup.procs", "w") as f:
        f.write(str(pid))


def remove_cgroup(path):
    """Children of those that were killed may still be in it."""
    while True:
        try:
            return os.rmdir(path)
        except OSError:
            time.sleep(0.02)


def a_cgroup(folder):
    """a cgroup: who is in it or below, asleep or not, its children, and who comes in later"""
    name = "kymo-sched-%d" % os.getpid()
    path = os.path.join(cgroup_root(), name)
    below = path + "/below"
    trace = folder + "/t.kymo"
    os.makedirs(below)
    loads = [subprocess.Popen(command) for command in
             (["sh", "-c", NAPS], ["sleep", "1000"], ["sh", "-c", NAPS], ["sh", "-c", NAPS])]
    naps, asleep, outside, later = loads
    try:
        move(naps.pid, path)
        move(asleep.pid, below)
        recorder = subprocess.Popen([KYMO, "record", "-q", "-e", "sched", "-G", name, "-o", trace])
        # What it has seen so far is written then.
        while recorder.poll() is None and not (os.path.exists(trace) and os.path.getsize(trace)):
            time.sleep(0.02)
        move(later.pid, path)
        time.sleep(0.5)
        recorder.send_signal(signal.SIGINT)
        equal(recorder.wait(), 0)
    finally:
        for load in loads:
            load.kill()
            load.wait()
        for place in (below, path):
            remove_cgroup(place)
    found = check_conserved(trace)
    equal(lost(trace), 0)
    (begin, end, fields, record), = found[asleep.pid]
    equal((fields["edge"], fields["offcpu"]), (START | END, end - begin), record)
    mine = found[naps.pid]
    check(mine[0][2]["edge"] & START and mine[-1][2]["edge"] & END)
    equal((mine[0][0], mine[-1][1]), (begin, end))
    check(outside.pid not in found, "a thread outside")
    children = [t for tid, t in found.items() if tid not in (naps.pid, asleep.pid, later.pid)]
    check(children, "no children")
    check(all(t[0][3]["comm"] in ("sh", "sleep") for t in children))
    if later.pid in found:
        busy = sum(f["oncpu"] for _, _, f, _ in found[later.pid])
        check(found[later.pid][0][0] > begin, "it is there before it came")
        check(busy < 300e6, "%d ns on a CPU" % busy)


def parts(folder):
    """its parts are events of the file"""
    trace = folder + "/t.kymo"
    kymo("record", "-q", "-e", "sched", "-o", trace, "--", "sleep", "0.1")
    whole = records(trace, "-e", "sched")
    names = [e["name"] for e in info(trace)["events"]]
    equal(names, ["sched", "offcpu", "blocked", "runq", "oncpu", "wakeup"])
    for part, field in (("offcpu", "offcpu"), ("runq", "runq"), ("oncpu", "oncpu")):
        got = [r["fields"]["duration"] for r in records(trace, "-e", part)]
        equal(sorted(got), sorted(r["fields"][field] for r in whole if r["fields"][field]), part)
    woken = [r for r in whole if r["fields"]["waker"]]
    check(len(records(trace, "-e", "wakeup")) <= len(woken))


def shortest(folder):
    """--min: short waits have no record, and no time is missing"""
    trace = folder + "/t.kymo"
    kymo("record", "-q", "-e", "sched", "--min", "50ms", "-o", trace, "--",
         "sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 0.001; done; sleep 0.2")
    found = check_conserved(trace)
    of_all = [f for t in found.values() for _, _, f, _ in t]
    check(any(f["skipped"] for f in of_all), "nothing was skipped")
    for f in of_all:
        check(f["offcpu"] >= 50e6 or f["edge"], f)


def remembered(folder):
    """stacks that are remembered are walked again now and then, and are the same"""
    trace = folder + "/t.kymo"
    kymo("record", "-q", "-e", "sched", "-o", trace, "--", *ping_pong(2000 if EMULATED else 20000))
    text = info(trace)["host"]["sched stacks"]
    walked, known, again, wrong = map(int, re.findall(r"\d+", text))
    if not known and EMULATED:
        skip("this kernel does not let programs see where a stack ends")
    check(known > walked and again and not wrong, text)


def small_rings(folder):
    """rings that are too small: records are lost, are counted, and no time is missing"""
    trace = folder + "/t.kymo"
    kymo("record", "-q", "-e", "sched", "-m", "4K", "-o", trace, "--", *ping_pong(2000 if EMULATED else 20000))
    found = check_conserved(trace)
    if not lost(trace):
        skip("nothing was lost")
    check(any(f["skipped"] for t in found.values() for _, _, f, _ in t), "nothing is skipped")
    check(all(l["event"] == "sched" for l in info(trace)["losses"]), info(trace)["losses"])


def with_samples(folder):
    """samples beside it, in one file"""
    trace = folder + "/t.kymo"
    kymo("record", "-q", "-e", "cpu,sched", "-F", 999, "-o", trace, "--", "python3", "-c",
         "sum(range(20000000))")
    nr = {e["name"]: e["records"] for e in info(trace)["events"]}
    check(nr["sched"] > 0, nr)
    check(any(nr.get(name) for name in ("cpu-clock", "cycles")), nr)
    check_conserved(trace)


def stacks_off(folder):
    """--no-stack: no stacks, and no reasons but those that need none"""
    trace = folder + "/t.kymo"
    kymo("record", "-q", "-e", "sched", "--no-stack", "-o", trace, "--", "sleep", "0.1")
    check_conserved(trace)
    for r in records(trace, "-e", "sched"):
        check(not r.get("stack"), r)
        check("waker_stack" not in r, r)
        check(r["fields"]["reason"] in (NONE, DISK, UNKNOWN), r)


def longest(trace, comm):
    """What threads of that name were blocked by for the longest time, not waiting for a CPU."""
    return max((r for r in records(trace, "-e", "sched") if r["comm"] == comm),
               key=lambda r: r["fields"]["offcpu"] - r["fields"]["runq"])


def reasons(folder):
    """why a thread was blocked, and its stack, the kernel's part and the program's"""
    trace = folder + "/t.kymo"
    kymo("record", "-q", "-e", "sched", "-o", trace, "--", "sh", "-c", "sleep 0.3 | cat >/dev/null")
    check_conserved(trace)
    for comm, reason, kernel in (("sleep", SLEEP, "nanosleep"), ("cat", PIPE, "pipe_read"),
                                 ("sh", CHILD, "do_wait")):
        r = longest(trace, comm)
        names = [f.get("symbol") or "" for f in r["stack"]]
        check(any(kernel in n for n in names), "%s: %r" % (comm, names))
        check(any("libc" in (f.get("module") or "") for f in r["stack"]), r["stack"])
        check(names[0] in ("__schedule", "schedule"), "the tracing itself is there: %r" % names)
        equal((r["fields"]["reason"], r["fields"]["idle"]), (reason, 0), comm)
    # Whoever wakes is in the middle of doing so.
    of_waker = [f.get("symbol") or "" for f in longest(trace, "cat")["waker_stack"]]
    check(any("wake" in name for name in of_waker), of_waker)


def kernel_threads(folder):
    """threads of the kernel without work, by their stacks and without"""
    for options in ([], ["--no-stack"]):
        trace = folder + "/t.kymo"
        kymo("record", "-q", "-a", "-e", "sched", *options, "-o", trace, "--duration", 0.5)
        of_workers = [r for r in records(trace, "-e", "sched") if r["comm"].startswith("kworker") and
                      r["state"] == "I"]
        check(of_workers, "no workers")
        for r in of_workers:
            if r["fields"]["offcpu"] > r["fields"]["runq"]:
                equal((r["fields"]["reason"], r["fields"]["idle"]), (WORK, 1), r)


def names_of_parts(folder):
    """a part is asked for: the whole is recorded, and that is said"""
    trace = folder + "/t.kymo"
    done = run_command([KYMO, "record", "-e", "runq,wakeup", "-o", trace, "--", "true"])
    equal(done.returncode, 0, done.stderr)
    check(b"part of 'sched'" in done.stderr, done.stderr)
    check(records(trace, "-e", "sched"))


def nonsense(folder):
    """what makes no sense is told, with another way"""
    for args, words in (
            (["sched(pid)"], ["fields", "kymo list"]),
            (["sched", "--filter", "pid == 1"], ["--filter", "-p"]),
            (["sched", "--max", "1ms"], ["--max", "--min"]),
            (["sched", "--tally", "by=comm"], ["--tally"]),
            (["runq", "--min", "1ms"], ["--min", "-e sched"]),
            (["sched,sched"], ["twice"]),
            (["sched,offcpu"], ["twice"]),
            (["runq,runq"], ["twice"])):
        text = complaint("record", "-q", "-o", folder + "/t.kymo", "-e", *args, "--", "true",
                         status=2)
        for word in words:
            check(word in text, "%r is not in %r" % (word, text))
    text = complaint("record", "-q", "-o", folder + "/t.kymo", "-e", "shced", "--", "true",
                     status=2)
    check("'sched'" in text, text)


def no_rights(folder):
    """without rights: one line says what is missing"""
    if not shutil.which("setpriv"):
        skip("no setpriv")
    os.chmod(folder, 0o777)
    done = run_command(["setpriv", "--reuid=65534", "--clear-groups", KYMO, "record", "-q", "-o",
                        folder + "/t.kymo", "-e", "sched", "--", "true"])
    equal(done.returncode, 1, done.stderr)
    equal(len(done.stderr.splitlines()), 1, done.stderr)
    check(b"root" in done.stderr, done.stderr)
    check(not os.path.exists(folder + "/t.kymo"), "a file is left")


def full_disk(folder):
    """a full disk: told, and what is on it can be read"""
    small = folder + "/small"
    os.mkdir(small)
    if run_command(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small]).returncode:
        skip("no tmpfs can be mounted")
    try:
        trace = small + "/t.kymo"
        done = run_command([KYMO, "record", "-q", "-e", "sched", "-o", trace, "--",
                            *ping_pong(40000 if EMULATED else 400000)])
        equal(done.returncode, 1, done.stderr)
        check(b"No space left" in done.stderr, done.stderr)
        kymo("info", "-i", trace, status=3)
    finally:
        run_command(["umount", small])


def listed(folder):
    """kymo list shows it, with its parts and fields"""
    lines = kymo("list", "-v", "sched").splitlines()
    check(any(l.startswith("sched\t") and "offcpu, runq, oncpu" in l for l in lines), lines)
    for part in ("offcpu", "blocked", "runq", "oncpu", "wakeup"):
        check(kymo("list", part).startswith(part + "\tpart of sched"), part)


run([a_command, whole_machine, a_process, a_thread, a_cpu, a_cgroup, parts, shortest, remembered,
     small_rings, with_samples, stacks_off, reasons, kernel_threads, names_of_parts, nonsense, no_rights, full_disk, listed])
