#!/usr/bin/env python3
"""-e sched while a CPU goes and comes back: nothing is lost, and no time of any thread."""
import subprocess
import time
from vm import *

ONLINE = "/sys/devices/system/cpu/cpu1/online"


def switch(on):
    with open(ONLINE, "w", encoding="ascii") as f:
        f.write("1" if on else "0")


def hotplug(folder):
    """a CPU goes and comes back"""
    if not os.path.exists(ONLINE):
        skip("no CPU of this machine can be taken away")
    trace = folder + "/t.kymo"
    # One that makes processes, and three that only wait, which costs less where all is emulated.
    waits = ["bash", "-c", "exec 3<> <(:); while :; do read -rt 0.05 -u 3; done"]
    load = [subprocess.Popen(["sh", "-c", "while :; do sleep 0.05; done"])]
    load += [subprocess.Popen(waits) for _ in range(3)]
    recorder = subprocess.Popen([KYMO, "record", "-q", "-a", "-e", "sched", "-o", trace],
                                stderr=subprocess.PIPE)
    try:
        while not os.path.exists(trace):
            check(recorder.poll() is None, "the recorder ended")
            time.sleep(0.05)
        for _ in range(3):
            try:
                switch(False)
            except OSError as e:
                skip("the CPU cannot be taken away: %s" % e)
            time.sleep(0.3)
            switch(True)
            time.sleep(0.3)
    finally:
        switch(True)
        recorder.terminate()
        text = recorder.communicate()[1]
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
