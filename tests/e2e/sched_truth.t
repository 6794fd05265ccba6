#!/usr/bin/env python3
"""-e sched beside what threads know of themselves, and beside the kernel's own accounts."""
from story import *

MS = 1000000
# Where each thread of waitmix waits.
REASONS = {
    "sleeper": "SLEEP", "writer": "SLEEP", "holder": "SLEEP", "sender": "SLEEP",
    "server": "SLEEP", "reader": "PIPE", "locker": "FUTEX", "disk": "DISK",
    "faulter": "PAGE-FAULT", "receiver": "NETWORK", "poller": "POLL", "parent": "CHILD",
    "flocker-1": "LOCK", "flocker-2": "LOCK",
}


class Actor:
    def __init__(self, line):
        words = line.split()
        self.name = words[0]
        (self.tid, self.wall, self.cpu, self.delay, self.waited, self.user, self.system,
         self.end) = map(int, words[1:])


def stolen():
    """What the hypervisor has taken from the CPUs: no account of threads has it."""
    with open("/proc/stat") as f:
        return int(f.readline().split()[8]) * (1000000000 // os.sysconf("SC_CLK_TCK"))


def act(folder, *options):
    """Records waitmix: the trace, its threads by name, what it says of requests, the theft."""
    trace, path = folder + "/t.kymo", folder + "/file"
    with open(path, "wb") as f:
        f.write(os.urandom(4 << 20))
        os.fsync(f.fileno())
    before = stolen()
    text = kymo("record", "-q", "-o", trace, *options, "--", *program("waitmix", path))
    actors = {a.name: a for a in map(Actor, text.splitlines())}
    return trace, actors, actors.pop("request"), stolen() - before


def near(told, true, what, more=0, floor=1.5 * MS):
    """Within 2 %, but for what a thread does before its first look at a clock, and after."""
    check(abs(told - true) <= true * 0.02 + floor + more,
          "%s: %.3f ms, and %.3f ms are true (%.3f ms may differ)" % (
              what, told / 1e6, true / 1e6, (true * 0.02 + floor + more) / 1e6))


def queue_delays(trace, found):
    """
    By thread: from when it is woken until the CPU that it is to run on has put it on its
    queue.  The kernel's account of delays begins there.
    """
    queued = {}
    for r in records(trace, "-e", "sched:sched_wakeup"):
        queued.setdefault(r["fields"]["pid"], []).append(round(r["time"] * 1e9))
    delays = {}
    for tid, of_thread in found.items():
        at = iter(sorted(queued.get(tid, [])))
        q = next(at, None)
        for r in of_thread:
            woken = r.time - r.runq
            while q is not None and q < woken:
                q = next(at, None)
            if q is not None and q <= r.time and r.off > r.runq:
                delays[tid] = delays.get(tid, 0) + q - woken
    return delays


def check_actor(a, row, of_thread, delay, theft):
    ns, blocked = row["ns"], {b["reason"]: b["ns"] for b in row["blocked"]}
    equal(sum(ns.values()), row["wall_ns"], "the sum of the columns of " + a.name)
    # What it did after it had looked, and what the kernel did not show.
    tail = of_thread[-1].time - a.end
    hidden = sum(r.skipped for r in of_thread)
    on = ns["user"] + ns["kernel"] + ns["on_cpu"] + ns["interrupted"]
    check(0 <= tail and a.wall + tail <= row["wall_ns"], a.name + " lived longer")
    near(on, a.cpu, a.name + " on a CPU", hidden + theft + min(tail, MS))
    near(ns["runq"] - delay, a.delay, a.name + " waiting for a CPU", hidden + theft + tail)
    wanted = REASONS.get(a.name)
    if wanted:
        near(blocked.pop(wanted, 0), a.waited - delay, a.name + " in " + wanted,
             hidden + theft)
    if a.name.startswith("flocker"):
        near(blocked.pop("SLEEP", 0), 25 * 15 * MS, a.name + " in SLEEP", hidden + theft)
    if a.name == "holder":
        blocked.pop("FUTEX", 0)         # barriers
    # Locks of the allocator and of stdout.
    near(sum(blocked.values()), 0, a.name + " in anything else: %r" % blocked,
         hidden + (row["wall_ns"] // 50))
    if a.name in ("user", "kernel"):
        told = ns["user"] + ns["kernel"]
        check(told >= 0.8 * a.cpu, "%s is split" % a.name)
        near(ns["user"] * (a.user + a.system), a.user * told, "user time of " + a.name,
             0.03 * told * a.cpu, 0)


def known_waits(folder):
    """each second of known waits is in its column within 2 %"""
    def attempt():
        trace, actors, requests, theft = act(folder, "-a", "-e", "sched,sched:sched_wakeup")
        found = check_conserved(trace)
        delays = queue_delays(trace, found)
        rows, total, told = latency(trace, "--by", "tid")
        of = {int(r["keys"]["tid"]): r for r in rows}
        equal(len(actors), 18)
        for a in actors.values():
            check_actor(a, of[a.tid], found[a.tid],
                        delays.get(a.tid, 0), theft)
        for column in total["ns"]:
            equal(sum(r["ns"][column] for r in rows), total["ns"][column], column)
        equal(sum(total["ns"].values()), total["wall_ns"])
    within_three(attempt)


def known_requests(folder):
    """spans of a function: their waits and work, and nothing of what is between them"""
    def attempt():
        trace, actors, requests, theft = act(folder, "-e", "sched", "-e", "func:%s:request" % (
            program("waitmix")[0]))
        rows, total, told = latency(trace, "-e", "func:*")
        hidden = sum(r.skipped for r in stories(trace)[actors["server"].tid])
        equal(len(rows), 1)
        ns, wait = rows[0]["ns"], rows[0]["blocked"][0]
        equal(rows[0]["spans"], requests.tid)
        equal(sum(ns.values()), rows[0]["wall_ns"])
        equal(wait["reason"], "SLEEP")
        # The clocks are read around the span, which takes as long again.
        around = requests.tid * 20000 + hidden + theft
        near(rows[0]["wall_ns"], requests.wall, "all spans", around)
        near(ns["on_cpu"] + ns["interrupted"], requests.cpu, "spans on a CPU", around)
        near(ns["runq"], requests.delay, "spans waiting for a CPU", around)
        near(wait["ns"], requests.waited, "spans in SLEEP", around)
        near(wait["ns"], 40 * 5 * MS, "naps", around)
    within_three(attempt)


run([known_waits, known_requests])
