#!/usr/bin/env python3
"""Options, exit statuses and complaints of kymo record."""
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *

SPIN = ["sh", "-c", "i=0; while [ $i -lt %d ]; do i=$((i+1)); done" %
        (10000 if EMULATED else 60000)]


def status_is_passed_on(folder):
    """the workload's exit status is passed on"""
    t = folder + "/t.kymo"
    for code in (0, 1, 7, 255):
        kymo("record", "-q", "-o", t, "--", "sh", "-c", "exit %d" % code, status=code)
    kymo("record", "-q", "-o", t, "--", "sh", "-c", "kill -TERM $$", status=128 + 15)


def default_file(folder):
    """the default file is trace.kymo, and an old one is kept"""
    for _ in range(2):
        kymo("record", "-q", "--", "true", cwd=folder)
    equal(sorted(os.listdir(folder)), ["trace.kymo", "trace.kymo.old"], "files")
    equal(os.stat(folder + "/trace.kymo").st_mode & 0o777, 0o600, "mode")


def summary_line(folder):
    """one summary line tells samples, losses, size, time and own cost"""
    r = run_command([KYMO, "record", "-o", folder + "/t.kymo", "--"] + SPIN)
    lines = r.stderr.decode().splitlines()
    equal(len(lines), 1, "lines")
    for word in ("samples", "lost", "B in", " s,", " ms"):
        check(word in lines[0], "no %r in %r" % (word, lines[0]))
    r = run_command([KYMO, "record", "-q", "-o", folder + "/t.kymo", "--", "true"])
    equal(r.stderr, b"", "stderr with -q")


def pipe(folder):
    """record -o - | script -i - works, and the command's output stays out of it"""
    p = subprocess.run("%s record -q -F 999 -o - -- sh -c 'echo noise; %s' | %s script -i - --json" %
                       (KYMO, SPIN[2].replace("'", ""), KYMO), shell=True, timeout=120,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    equal(p.returncode, 0, "exit status")
    equal(p.stderr.split(b"\n")[0], b"noise", "first on stderr")
    check(len(p.stdout.splitlines()) > 10, "records")


def terminal(folder):
    """a trace is not written to a terminal"""
    import pty
    leader, follower = pty.openpty()
    r = run_command([KYMO, "record", "-q", "-o", "-", "--", "true"], stdout=follower)
    equal(r.returncode, 2, "exit status")
    check(b"terminal" in r.stderr, r.stderr)
    os.close(leader)
    os.close(follower)


def complaints(folder):
    """bad targets, events and outputs get one clear line and leave no file"""
    t = folder + "/t.kymo"
    line = complaint("record", "-q", "-o", t, "--", "no-such-command-here")
    check("no-such-command-here" in line and "no such file" in line.lower(), line)
    line = complaint("record", "-q", "-o", t, "-p", "999999")
    check("999999" in line, line)
    line = complaint("record", "-q", "-o", t, "-t", "999999")
    check("999999" in line, line)
    line = complaint("record", "-q", "-o", t, "-e", "no-such-event", "--", "true", status=2)
    check("no-such-event" in line, line)
    line = complaint("record", "-q", "-o", t, "-C", "4095", "--duration", "1", status=1)
    check("4095" in line, line)
    line = complaint("record", "-q", "-F", "0", "--", "true", status=2)
    check("frequency" in line, line)
    line = complaint("record", "-q", "-F", "99", "-c", "1000", "--", "true", status=2)
    line = complaint("record", "-q", "-a", "-p", "1", status=2)
    line = complaint("record", "-q", "-o", "/nonexistent/x.kymo", "--", "true")
    check("/nonexistent/x.kymo" in line, line)
    equal(os.listdir(folder), [], "files left")


def failure_restores(folder):
    """a recording that fails at the start leaves the old files in place"""
    t = folder + "/t.kymo"
    for name in (t, t + ".old"):
        with open(name, "w") as f:
            f.write(name)
    complaint("record", "-q", "-o", t, "--", "no-such-command-here")
    equal(sorted(os.listdir(folder)), ["t.kymo", "t.kymo.old"], "files")
    for name in (t, t + ".old"):
        with open(name) as f:
            equal(f.read(), name, "contents")


def command_as_timer(folder):
    """beside -p a command is not recorded and says how long to record, as with perf"""
    t = folder + "/t.kymo"
    p = subprocess.Popen(program("shares", 60), stdout=subprocess.DEVNULL)
    try:
        kymo("record", "-q", "-F", 999, "-p", p.pid, "-o", t, "--", "sh", "-c",
             "sleep 0.5; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; exit 3", status=3)
    finally:
        p.kill()
        p.wait()
    equal({r["pid"] for r in records(t)}, {p.pid}, "processes")


def file_of_the_caller(folder):
    """under sudo the trace belongs to who called it"""
    t = folder + "/t.kymo"
    kymo("record", "-q", "-o", t, "--", "true",
         env=dict(os.environ, SUDO_UID="65534", SUDO_GID="65534"))
    st = os.stat(t)
    equal((st.st_uid, st.st_gid, st.st_mode & 0o777), (65534, 65534, 0o600), "owner and mode")


def interrupted(folder):
    """Ctrl-C ends the recording in good order"""
    t = folder + "/t.kymo"
    p = subprocess.Popen([KYMO, "record", "-q", "-a", "-I", "-o", t], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 100
    while not os.path.exists(t) or os.path.getsize(t) < 3000:
        check(time.monotonic() < deadline, "nothing is written")
        time.sleep(0.05)
    p.send_signal(signal.SIGINT)
    equal(p.wait(timeout=100), 0, "exit status")
    check(len(records(t)) > 0, "no records")


def interrupted_at_start(folder):
    """Ctrl-C is heeded at any moment of the start"""
    t = folder + "/t.kymo"
    for ms in range(0, 40, 5):
        p = subprocess.Popen([KYMO, "record", "-q", "-a", "-o", t])
        time.sleep(ms / 1000)
        p.send_signal(signal.SIGINT)
        check(p.wait(timeout=100) in (0, -signal.SIGINT), "exit status %d" % p.returncode)


def interrupted_at_fifo(folder):
    """Ctrl-C ends the wait for the reader of a FIFO"""
    os.mkfifo(folder + "/fifo")
    p = subprocess.Popen([KYMO, "record", "-q", "-a", "-o", folder + "/fifo"])
    deadline = time.monotonic() + 100
    while True:
        check(time.monotonic() < deadline, "it never waits")
        with open("/proc/%d/wchan" % p.pid) as f:
            if "partner" in f.read():
                break
        time.sleep(0.02)
    p.send_signal(signal.SIGINT)
    equal(p.wait(timeout=100), -signal.SIGINT, "exit status")


def stopped_command(folder):
    """a command that is stopped is ended with the recording"""
    t = folder + "/t.kymo"
    kymo("record", "-q", "--duration", "0.3", "-o", t, "--",
         "sh", "-c", "kill -STOP $$; exit 3", status=128 + 15)


def interrupted_twice(folder):
    """a second Ctrl-C while the command takes its time to end does no harm"""
    t = folder + "/t.kymo"
    p = subprocess.Popen([KYMO, "record", "-o", t, "--", "sh", "-c",
                          "trap '' INT TERM; echo ready; while [ ! -e %s/go ]; do :; done; exit 3"
                          % folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    equal(p.stdout.readline(), b"ready\n", "the command's first line")
    p.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 100
    while run_command([KYMO, "script", "-i", t]).returncode:
        check(time.monotonic() < deadline, "the file is not finished")
    p.send_signal(signal.SIGINT)
    open(folder + "/go", "w").close()
    equal(p.wait(timeout=100), 3, p.stderr.read())


def in_pid_namespace(folder):
    """in a pid namespace of its own it samples under the numbers known there"""
    inside = ["unshare", "-m", "-p", "-f", "--mount-proc"]
    if run_command(inside + ["true"]).returncode:
        skip("no pid namespaces")
    t = folder + "/t.kymo"
    r = run_command(inside + [KYMO, "record", "-F", "999", "-o", t, "--"] + SPIN)
    equal(r.returncode, 0, "exit status")
    check(b"pid namespace" in r.stderr, r.stderr)
    samples = records(t)
    check(len(samples) > 10, "samples: %d" % len(samples))
    check(max(s["pid"] for s in samples) < 100, "numbers of the namespace")
    r = run_command(inside + [KYMO, "record", "-q", "--transport", "ringbuf", "-o", t, "--", "true"])
    equal(r.returncode, 1, "exit status with BPF")


def duration_and_delay(folder):
    """--duration ends it, -D starts it late, and a command is ended with it"""
    t = folder + "/t.kymo"
    kymo("record", "-q", "-I", "-a", "--duration", "1", "-o", t)
    times = [r["time"] for r in records(t)]
    check(0.5 < times[-1] - times[0] < 100, "lasted %g s" % (times[-1] - times[0]))
    start = time.monotonic()
    kymo("record", "-q", "-F", "999", "-D", "300", "--duration", "0.5", "-o", t, "--",
         "sh", "-c", "while :; do :; done", status=128 + 15)
    check(time.monotonic() - start < 100, "took too long")
    check(len(records(t)) > 10, "records after a delay")


def no_stacks(folder):
    """--no-stack and its sisters leave out what they say"""
    t = folder + "/t.kymo"
    of_kernel = {"[%s]" % name for name in os.listdir("/sys/module") + ["kernel.kallsyms", "bpf"]}
    for options, deep_user, deep_kernel in ((["--user-stack=no"], False, True),
                                            (["--kernel-stack=no"], True, False), ([], True, True)):
        kymo("record", "-q", "-F", "2999", *options, "-o", t, "--",
             "sh", "-c", "%s 1; for i in 1 2 3 4; do cat /proc/kallsyms; done" %
             program("shares")[0], stdout=subprocess.DEVNULL)
        user = kernel = 0
        for r in records(t):
            inside = [f["module"] in of_kernel for f in r["stack"]]
            kernel = max(kernel, inside.count(True))
            user = max(user, inside.count(False))
        equal((user > 1, kernel > 1), (deep_user, deep_kernel), "user, kernel with %s" % options)
    kymo("record", "-q", "-F", "999", "--no-stack", "-o", t, "--", *SPIN)
    equal({len(r["stack"]) for r in records(t)}, {1}, "only where it was: frames")


run([status_is_passed_on, default_file, summary_line, pipe, terminal, complaints,
     failure_restores, command_as_timer, file_of_the_caller, interrupted, interrupted_at_start, interrupted_at_fifo, interrupted_twice,
     stopped_command, in_pid_namespace, duration_and_delay, no_stacks])
