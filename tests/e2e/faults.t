#!/usr/bin/env python3
"""What is left when things go wrong: kill -9, full disk, slow and stuck readers."""
import contextlib
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *

BUSY = ["record", "-a", "-I", "-F", "999"]


def wait_until(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < deadline, "waited too long for " + what)
        time.sleep(0.02)


@contextlib.contextmanager
def busy_cpus():
    """Work for every CPU: an idle one may stop its timer, and then has no samples."""
    burners = [subprocess.Popen(program("shares", 120), stdout=subprocess.DEVNULL)
               for _ in range(os.cpu_count())]
    try:
        yield
    finally:
        for p in burners:
            p.kill()
            p.wait()


def written_bytes(p):
    with open("/proc/%d/io" % p.pid) as f:
        return int(re.search(r"wchar: (\d+)", f.read()).group(1))


def killed(folder):
    """after kill -9 everything up to the last second is readable, status 3, one line"""
    t = folder + "/t.kymo"
    p = subprocess.Popen([KYMO] + BUSY + ["-q", "-o", t])
    wait_until(lambda: os.path.exists(t) and os.path.getsize(t) > 20000, "the file to grow")
    # Just before a flush is the worst moment: most is still in memory.
    size = os.path.getsize(t)
    wait_until(lambda: os.path.getsize(t) > size, "a flush")
    time.sleep(0.7)
    killed_at = time.monotonic()
    p.kill()
    p.wait()
    r = run_command([KYMO, "script", "--json", "-i", t])
    equal(r.returncode, 3, "exit status")
    told = [line for line in r.stderr.decode().splitlines() if "cut" in line]
    equal(len(told), 1, "lines about the cut in %r" % r.stderr)
    recs = [json.loads(line) for line in r.stdout.splitlines()]
    late = killed_at - float(recs[-1]["time"])
    check(late < (5 if SANITIZED else 1.05), "the last record is %.2f s older than the kill" % late)
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
        p = subprocess.Popen([KYMO, "record", "-a", "-I", "-F", "4999", "--duration", "2",
                              "-o", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while True:
            piece = p.stdout.read1(10000)
            if not piece:
                break
            f.write(piece)
            time.sleep(len(piece) / 1e6)
    text = p.stderr.read().decode()
    equal(p.wait(), 0, "exit status")
    lost = int(re.search(r"([0-9]+) lost", text).group(1))
    n = len(records(t))
    equal(info(t)["lost"], lost, "lost as told by record and by the file")
    wanted = 2 * 4999 * os.cpu_count()
    if not SANITIZED:
        check(n + lost >= 0.97 * wanted, "%d samples and %d lost of %d" % (n, lost, wanted))


def stuck_reader(folder):
    """a reader that stops: bounded memory, losses by CPU, and the recording still ends"""
    p = subprocess.Popen([KYMO, "record", "-a", "-I", "-F", "19999", "-m", "64K", "-o", "-"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    with busy_cpus():
        wait_until(lambda: written_bytes(p) >= 60000, "the pipe to fill up")
        time.sleep(6 if not SANITIZED else 12)
    with open("/proc/%d/status" % p.pid) as f:
        rss = int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
    check(SANITIZED or rss < 64 * 1024, "the recorder uses %d KiB" % rss)
    p.send_signal(signal.SIGINT)
    time.sleep(0.3)
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
        wait_until(lambda: written_bytes(p) >= 60000, "the pipe to fill up")
        time.sleep(2)
    p.send_signal(signal.SIGINT)
    time.sleep(0.5)
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
