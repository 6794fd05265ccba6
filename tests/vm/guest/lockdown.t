#!/usr/bin/env python3
"""A kernel locked down for confidentiality: one clear line for what it forbids, the rest works."""
from vm import *


def really_locked(folder):
    """this kernel is locked down"""
    check("[confidentiality]" in text_of("/sys/kernel/security/lockdown"), "lockdown")


def forbidden(folder):
    """what is forbidden is refused in one line, and leaves no file"""
    t = folder + "/t.kymo"
    for event in (("-e", "kprobe:" + SYSCALL + "getppid"), ("--graph", "do_sys_openat2")):
        text = complaint("record", "-q", "-o", t, *event, "--", "true")
        check("lock" in text, "%s: %s" % (event, text))
        check(not os.path.exists(t), "no file is left")


def tracepoints(folder):
    """tracepoints without tracefs are recorded another way, or refused in one line"""
    t = folder + "/t.kymo"
    told = run_command([KYMO, "record", "-q", "-o", t, "-e", "sched:sched_switch", "--", "true"])
    lines = told.stderr.decode().splitlines()
    if told.returncode == 0:
        check(len(records(t)) > 0, "records")
    else:
        equal((told.returncode, len(lines)), (1, 1), "refusal: %s" % lines)
        check("lock" in lines[0], lines[0])


def sampling(folder):
    """sampling works or says why not, in one line"""
    t = folder + "/t.kymo"
    told = run_command([KYMO, "record", "-F", "499", "-o", t, "--"] + program("shares", 1))
    lines = told.stderr.decode().splitlines()
    equal(told.returncode, 0, "exit status: %s" % lines)
    symbols = {f["symbol"] for r in records(t) for f in r["stack"]}
    check("burn_40" in symbols, "hot functions: %s; told: %s" % (symbols, lines))


run([really_locked, forbidden, tracepoints, sampling])
