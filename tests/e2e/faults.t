#!/usr/bin/env python3
"""What is left when things go wrong: kill -9, full disk, slow and stuck readers."""
import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *

BUSY = ["record", "-a", "-I", "-F", "999"]


@contextlib.contextmanager
def busy_cpus():
    """Work for every CPU: an idle one may stop its timer, and then has no samples."""
    burners = [subprocess.Popen(["nice", "-n", "19", "taskset", "-c", str(cpu)] +
                                program("shares", 120), stdout=subprocess.DEVNULL)
               for cpu in sorted(os.sched_getaffinity(0))]
    try:
        yield
    finally:
        for p in burners:
            p.kill()
            p.wait()


def of_threads(p, name):
    """That file of each of its threads in /proc."""
    texts = []
    for tid in os.listdir("/proc/%d/task" % p.pid):
        try:
            with open("/proc/%d/task/%s/%s" % (p.pid, tid, name)) as f:
                texts.append(f.read())
        except OSError:
            pass                        # it has ended
    return texts


def is_full(pipe):
    """Whether who writes to it would have to wait."""
    fd = os.open("/proc/self/fd/%d" % pipe.fileno(), os.O_WRONLY | os.O_NONBLOCK)
    try:
        return not select.select([], [fd], [], 0)[1]
    finally:
        os.close(fd)


def rests(p):
    """Whether all its threads sleep, and go on to do so while others run."""
    def told():
        return [t.rsplit(")", 1)[1].split()[:1] + t.rsplit(")", 1)[1].split()[11:13]
                for t in of_threads(p, "stat")]

    first = told()
    for _ in range(10):
        time.sleep(0.02)
        if told() != first:
            return False
    return all(state == "S" for state, *_ in first)


def interrupt_recorder(p):
    """Sends a SIGINT that is not one with the next."""
    p.send_signal(signal.SIGINT)
    for pending in ("SigPnd", "ShdPnd"):
        wait_until(lambda: p.poll() is not None or not any(
            int(re.search(pending + r":\s*(\w+)", text)[1], 16) >> (signal.SIGINT - 1) & 1
            for text in of_threads(p, "status")), "the signal to be taken")


def stolen_s():
    """By CPU: what the hypervisor has taken away from it, and all its time."""
    with open("/proc/stat") as f:
        rows = [line.split() for line in f if re.match(r"cpu\d", line)]
    tick = os.sysconf("SC_CLK_TCK")
    return [(int(row[8]) / tick, sum(map(int, row[1:9])) / tick) for row in rows]


def kept_from_running_s(p):
    """How long its threads have waited for a CPU, or the machine for its CPUs."""
    waited = sum(int(text.split()[1]) for text in of_threads(p, "schedstat")) / 1e9
    return waited + sum(stolen for stolen, _ in stolen_s())


def killed(folder):
    """after kill -9 everything up to the last second is readable, status 3, one line"""
    t = folder + "/t.kymo"
    p = subprocess.Popen([KYMO] + BUSY + ["-q", "-o", t])
    with busy_cpus():
        wait_until(lambda: os.path.exists(t) and os.path.getsize(t) > 20000, "the file to grow")
        # Just before a flush is the worst moment: most is still in memory.
        size, kept_s = os.path.getsize(t), kept_from_running_s(p)
        wait_until(lambda: os.path.getsize(t) > size, "a flush")
        time.sleep(0.7)
        # A recorder that may not run flushes later.
        kept_s = kept_from_running_s(p) - kept_s
        killed_at = time.monotonic()
        p.kill()
        p.wait()
    r = run_command([KYMO, "script", "--json", "-i", t])
    equal(r.returncode, 3, "exit status")
    told = [line for line in r.stderr.decode().splitlines() if "cut" in line]
    equal(len(told), 1, "lines about the cut in %r" % r.stderr)
    recs = [json.loads(line) for line in r.stdout.splitlines()]
    late = killed_at - float(recs[-1]["time"])
    check(late < (5 if SANITIZED else 1.05) + kept_s,
          "the last record is %.2f s older than the kill, %.2f s of them in want of a CPU" % (
              late, kept_s))
    names = [f["symbol"] for x in recs for f in x["stack"]]
    check(names.count("[unknown]") < 0.9 * len(names), "names are missing")
    for view in ("report", "info"):
        equal(run_command([KYMO, view, "-i", t]).returncode, 3, view)
    equal(run_command([KYMO, "flamegraph", "-i", t, "-o", folder + "/f.svg"]).returncode, 3, "flamegraph")


def full_disk(folder):
    """a full disk ends the recording cleanly, is told, and the rest is readable"""
    disk = folder + "/disk"
    os.mkdir(disk)
    if run_command(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", disk]).returncode:
        skip("cannot mount a tmpfs")
    # What is always in the same place takes next to no room.
    load = subprocess.Popen(["sh", "-c", "while :; do ls -lR /usr/include; done"],
                            stdout=subprocess.DEVNULL)
    try:
        t = disk + "/t.kymo"
        line = complaint(*BUSY, "-q", "-F", "4999", "-o", t, timeout=60)
        check("no space left" in line.lower(), line)
        recs = records(t, status=3)
        check(len(recs) > 100, "%d records are left" % len(recs))
    finally:
        load.kill()
        load.wait()
        run_command(["umount", disk])


def full_disk_ends_command(folder):
    """a full disk ends the command that is recorded, and its trace too"""
    if not os.path.exists("/dev/full"):
        skip("no /dev/full")
    line = complaint("record", "-q", "-o", "/dev/full", "--", "sleep", "60", timeout=50)
    check("no space left" in line.lower(), line)


def slow_reader(folder):
    """two seconds at 4,999 Hz into 1 MB/s: nothing is lost but what is counted"""
    t = folder + "/t.kymo"
    with busy_cpus(), open(t, "wb") as f:
        before_s = stolen_s()
        p = subprocess.Popen([KYMO, "record", "-a", "-I", "-F", "4999", "--duration", "2",
                              "-o", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while True:
            piece = p.stdout.read1(10000)
            if not piece:
                break
            f.write(piece)
            time.sleep(len(piece) / 1e6)
        # A CPU that is away has no timer.
        away_s = sum(after[0] - before[0] for before, after in zip(before_s, stolen_s()))
    text = p.stderr.read().decode()
    equal(p.wait(), 0, "exit status")
    lost = int(re.search(r"([0-9]+) lost", text).group(1))
    n = len(records(t))
    equal(info(t)["lost"], lost, "lost as told by record and by the file")
    wanted = (2 * os.cpu_count() - away_s) * 4999
    if not SANITIZED:
        check(n + lost >= 0.97 * wanted, "%d samples and %d lost of %.0f" % (n, lost, wanted))


def stuck_reader(folder):
    """a reader that stops: bounded memory, losses by CPU, and the recording still ends"""
    p = subprocess.Popen([KYMO, "record", "-a", "-I", "-F", "19999", "-m", "64K", "-o", "-"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    with busy_cpus():
        wait_until(lambda: is_full(p.stdout), "the pipe to fill up")
        # More than there is room for comes from a CPU while it is there as long as that.
        before_s = stolen_s()
        wait_until(lambda: all(after[1] - after[0] - before[1] + before[0] >=
                               (12 if SANITIZED else 6)
                               for before, after in zip(before_s, stolen_s())), "samples", 120)
    with open("/proc/%d/status" % p.pid) as f:
        rss = int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
    check(SANITIZED or rss < 64 * 1024, "the recorder uses %d KiB" % rss)
    interrupt_recorder(p)
    wait_until(lambda: p.poll() is not None or rests(p), "it to have nothing more to do")
    check(p.poll() is None, "it ended though nobody read")
    data = p.stdout.read()
    text = p.stderr.read().decode()
    equal(p.wait(timeout=30), 0, "exit status")
    lost = int(re.search(r"([0-9]+) lost", text).group(1))
    check(lost > 0, "nothing lost: " + text)
    t = folder + "/t.kymo"
    with open(t, "wb") as f:
        f.write(data)
    facts = info(t)
    equal(facts["lost"], lost, "lost")
    check(len({x["cpu"] for x in facts["losses"]}) == os.cpu_count(), "losses by CPU: %s" % facts["losses"])


def given_up(folder):
    """a second Ctrl-C gives up an output that nobody reads"""
    p = subprocess.Popen([KYMO, "record", "-a", "-I", "-F", "19999", "-o", "-"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with busy_cpus():
        wait_until(lambda: is_full(p.stdout), "the pipe to fill up")
    interrupt_recorder(p)
    p.send_signal(signal.SIGINT)
    equal(p.wait(timeout=30), 1, "exit status")


def vanished_reader(folder):
    """a reader that goes away ends the recording"""
    p = subprocess.Popen([KYMO, "record", "-a", "-I", "-F", "999", "-o", "-"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdout.read(100)
    p.stdout.close()
    equal(p.wait(timeout=30), 1, "exit status")
    check(b"pipe" in p.stderr.read().lower(), "it says why")


run([killed, full_disk, full_disk_ends_command, slow_reader, stuck_reader, given_up,
     vanished_reader])
