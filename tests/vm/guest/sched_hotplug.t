#!/usr/bin/env python3
"""-e sched while a CPU goes and comes back: nothing is lost, and no time of any thread."""
import subprocess
import time
from vm import *

ONLINE = "/sys/devices/system/cpu/cpu1/online"


def switch(on):
    with open(ONLINE, "w", encoding="ascii") as f:
        f.write("1" if on else "0")


def turns_of(p):
    """How often it has waited"""
    return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)",
                         text_of("/proc/%d/status" % p.pid), re.M)[1])


def wait_for_turns(load):
    """Each of them has waited a few times more."""
    wanted = [turns_of(p) + 5 for p in load]
    end = time.monotonic() + 60
    while any(turns_of(p) < nr for p, nr in zip(load, wanted)):
        check(time.monotonic() < end, "the load stands still")
        time.sleep(0.02)


def hotplug(folder):
    """a CPU goes and comes back"""
    if not os.path.exists(ONLINE):
        skip("no CPU of this machine can be taken away")
    trace = folder + "/t.kymo"
    # One that makes processes, and three that only wait, which costs less where all is emulated.
    waits = ["bash", "-c", "exec 3<> <(:); while :; do read -rt 0.05 -u 3; done"]
    load = [subprocess.Popen(["sh", "-c", "while :; do sleep 0.05; done"])]
    load += [subprocess.Popen(waits) for _ in range(3)]
    recorder = subprocess.Popen([KYMO, "record", "-q", "-a", "-e", "sched", "-o", trace, "--",
                                 "sh", "-c", "echo ready; read x"], stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        check(b"ready" in recorder.stdout.readline(), "no recording")
        for _ in range(3):
            try:
                switch(False)
            except OSError as e:
                skip("the CPU cannot be taken away: %s" % e)
            wait_for_turns(load)
            switch(True)
            wait_for_turns(load)
    finally:
        switch(True)
        text = recorder.communicate(b"\n")[1]
        for p in load:
            p.kill()
            p.wait()
    equal(recorder.returncode, 0, text)
    last = {}
    cpus = set()
    for r in sorted(records(trace, "-e", "sched"), key=lambda r: r["time"]):
        f, end = r["fields"], round(r["time"] * 1e9)
        begin = end - f["offcpu"] - f["oncpu"] - f["skipped"]
        if r["tid"] in last:
            check(abs(last[r["tid"]] - begin) <= 1, "a gap of %d ns before %r" % (
                begin - last[r["tid"]], r))
        last[r["tid"]] = end
        cpus.add(r["cpu"])
    equal(cpus, {0, 1})
    for p in load:
        check(p.pid in last, "a thread of the load is missing")
    equal([l for l in info(trace)["losses"] if l["cause"] != "recursion"], [])


run([hotplug])
