#!/usr/bin/env python3
"""The three ways samples come: ring buffer, perf buffer, and no BPF at all."""
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *

NAMES = {"ringbuf": "BPF ring buffer", "perfbuf": "BPF perf buffer", "perf": "perf mmap buffer"}
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def every_transport(folder):
    """each transport gives user and kernel stacks, children included"""
    t = folder + "/t.kymo"
    counts = {}
    for option, name in NAMES.items():
        kymo("record", "-q", "-F", 1999, "--transport", option, "-o", t, "--", "sh", "-c",
             "%s 1; head -c %s /dev/zero | md5sum" % (
                 program("shares")[0], "10M" if EMULATED else "300M"), stdout=subprocess.DEVNULL)
        equal(info(t)["host"]["transport"], name, "transport")
        recs = records(t)
        # A second of CPU time; what the others need depends on who shares the CPU's caches.
        counts[option] = sum(r["comm"] == "shares" for r in recs)
        symbols = {f["symbol"] for r in recs for f in r["stack"]}
        check("burn_40" in symbols, option + ": user stacks")
        check(any(f["module"] == "[kernel.kallsyms]" for r in recs for f in r["stack"]),
              option + ": kernel stacks")
        check({"shares", "md5sum"} <= {r["comm"] for r in recs}, option + ": children")
        equal(recs, sorted(recs, key=lambda r: float(r["time"])), option + ": order")
    # How fast emulation is depends on who else wants the host's CPUs.
    check(EMULATED or min(counts.values()) > 0.7 * max(counts.values()), "counts %s" % counts)


def ordinary_user(folder):
    """an ordinary user profiles his own command in user space and is told so in one line"""
    with open("/proc/sys/kernel/perf_event_paranoid", encoding="utf-8") as f:
        level = int(f.read())
    if level > 2:
        skip("kernel.perf_event_paranoid is %d: ordinary users may not" % level)
    os.chmod(folder, 0o777)
    mine = folder + "/shares"
    shutil.copy(program("shares")[0], mine)
    shutil.copy(KYMO, folder + "/kymo")
    t = folder + "/t.kymo"
    r = run_command(NOBODY + [folder + "/kymo", "record", "-F", "999", "-o", t, "--", mine, "1"])
    equal(r.returncode, 0, "exit status: %s" % r.stderr)
    lines = r.stderr.decode().splitlines()
    equal(len(lines), 2, "lines: %s" % lines)
    check("BPF" in lines[0] and "user space" in lines[0], lines[0])
    recs = records(t)
    check(len(recs) > 200, "records")
    symbols = {f["symbol"] for r in recs for f in r["stack"]}
    check("burn_40" in symbols and "main" in symbols, "stacks")
    check("[kernel.kallsyms]" not in {f["module"] for r in recs for f in r["stack"]}, "no kernel")
    equal({r["comm"] for r in recs}, {"shares"}, "commands")
    r = run_command(NOBODY + [folder + "/kymo", "record", "-a", "-o", folder + "/x.kymo",
                              "--duration", "1"])
    equal(r.returncode, 1, "system-wide without rights")
    equal(len(r.stderr.decode().splitlines()), 1, "one line: %s" % r.stderr)
    check(not os.path.exists(folder + "/x.kymo"), "no file is left")
    r = run_command(NOBODY + [folder + "/kymo", "record", "-p", "1", "-o", folder + "/x.kymo",
                              "--duration", "1"])
    equal(r.returncode, 1, "another's process without rights")
    equal(len(r.stderr.decode().splitlines()), 1, "one line: %s" % r.stderr)


def attach(folder):
    """-p and -t record what they name, its new threads and children, and end with it"""
    t = folder + "/t.kymo"
    code = ("import threading, sys, time, subprocess\n"
            "def spin(s):\n    e = time.monotonic() + s\n    while time.monotonic() < e: pass\n"
            "sys.stdin.readline()\n"
            "x = threading.Thread(target=spin, args=(0.4,)); x.start(); x.join()\n"
            "subprocess.run(['sh', '-c', 'i=0; while [ $i -lt %s ]; do i=$((i+1)); done'])\n"
            "spin(0.4)\n" % (5000 if EMULATED else 100000))
    for option in ("-p", "-t"):
        p = subprocess.Popen(["python3", "-c", code], stdin=subprocess.PIPE)
        r = subprocess.Popen([KYMO, "record", "-q", "-F", "999", option, str(p.pid), "-o", t])
        try:
            while not os.path.exists(t) or os.path.getsize(t) < 32:
                check(r.poll() is None, "record ended")
                time.sleep(0.02)
            time.sleep(0.5)
            p.stdin.write(b"\n")
            p.stdin.close()
            p.wait(timeout=100)
            equal(r.wait(timeout=100), 0, option + ": exit status")
        finally:
            p.kill()
            r.kill()
        recs = records(t)
        check({r["comm"] for r in recs} >= {"python3", "sh"}, "%s: %s" % (option, {r["comm"] for r in recs}))
        check(len({r["tid"] for r in recs}) >= 3, option + ": threads")


run([every_transport, ordinary_user, attach])
