"""Stories of threads (-e sched) as tests read them: records in order, times in ns."""
import time

from live import *

START, END, EXIT = 1, 2, 4


class Record:
    """One record: the slice, then the wait that ended at `time`."""

    def __init__(self, r):
        f = r["fields"]
        self.tid, self.pid, self.comm, self.cpu = r["tid"], r["pid"], r["comm"], r["cpu"]
        # A float has 52 bits, so that the last one or two of a time are wrong.
        self.time = round(r["time"] * 1e9)
        self.state = r.get("state")
        self.off, self.runq, self.on = f["offcpu"], f["runq"], f["oncpu"]
        self.skipped, self.irq, self.edge = f["skipped"], f["irq"], f["edge"]
        self.user, self.system = f["user"], f["system"]
        self.reason, self.idle = f["reason"], f["idle"]
        self.waker, self.waker_context = f["waker"], f["waker_context"]
        self.from_cpu = f["from_cpu"]
        self.begin = self.time - self.off - self.on - self.skipped

    def __repr__(self):
        return "<%s>" % " ".join("%s=%r" % i for i in vars(self).items())


def stories(trace):
    """By thread: its records in order."""
    found = {}
    for r in records(trace, "-e", "sched", "--no-stack"):
        found.setdefault(r["tid"], []).append(Record(r))
    for of_thread in found.values():
        of_thread.sort(key=lambda r: (r.time, r.begin))
    return found


def check_conserved(trace):
    """The records of each thread meet, and tell nothing that cannot be."""
    found = stories(trace)
    check(found, "no records")
    for tid, of_thread in found.items():
        for before, after in zip(of_thread, of_thread[1:]):
            # Numbers of threads are used again.
            if before.edge & EXIT:
                check(after.begin >= before.time - 1, (before, after))
            else:
                check(abs(after.begin - before.time) <= 1, "thread %d: a gap of %d ns: %r, %r" % (
                    tid, after.begin - before.time, before, after))
        for r in of_thread:
            check(0 <= r.runq <= r.off and 0 <= r.irq <= r.on, r)
    return found


def lost(trace):
    """But for switches that the kernel itself does not show: their time is in the next ones."""
    return sum(l["count"] for l in info(trace)["losses"] if l["cause"] != "recursion")


def latency(trace, *args):
    """The rows of report --latency as JSON, and its total."""
    told = json.loads(kymo("report", "--latency", "--json", "-i", trace, *args))
    return told["rows"], told["total"], told


def stolen():
    """What the hypervisor has taken from the CPUs: no account of threads has it."""
    with open("/proc/stat") as f:
        return int(f.readline().split()[8]) * (1000000000 // os.sysconf("SC_CLK_TCK"))


def busy_share():
    """How much of the CPUs' time since the machine began was used: (used, all), in ticks."""
    with open("/proc/stat") as f:
        ticks = [int(w) for w in f.readline().split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def unless_busy(attempt, tries=3):
    """
    As within_three().  Where others use the machine, too, what a thread does between its
    last look at a clock and its end takes as long as they let it: then a failure says
    nothing.
    """
    used, total = busy_share()
    time.sleep(0.5)
    now, end = busy_share()
    is_busy = (now - used) > 0.5 * (end - total)
    try:
        return within_three(attempt, tries)
    except AssertionError:
        if not is_busy:
            raise
        skip("other programs use the CPUs")
