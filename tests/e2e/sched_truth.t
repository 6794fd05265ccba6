#!/usr/bin/env python3
"""-e sched beside what threads know of themselves, and beside the kernel's own accounts."""
import bisect

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


def act(folder, *options, command=None):
    """
    Records waitmix, or a copy of it: the trace, its threads by name, what it says of requests,
    the theft.
    """
    trace, path = folder + "/t.kymo", folder + "/file"
    with open(path, "wb") as f:
        f.write(os.urandom(4 << 20))
        os.fsync(f.fileno())
    before = stolen()
    text = kymo("record", "-q", "-o", trace, *options, "--",
                command or program("waitmix")[0], path)
    actors = {a.name: a for a in map(Actor, text.splitlines())}
    return trace, actors, actors.pop("request"), stolen() - before


def near(told, true, what, more=0, floor=1.5 * MS):
    """Within 2 %, but for what a thread does before its first look at a clock, and after."""
    check(abs(told - true) <= true * 0.02 + floor + more,
          "%s: %.3f ms, and %.3f ms are true (%.3f ms may differ)" % (
              what, told / 1e6, true / 1e6, (true * 0.02 + floor + more) / 1e6))


def within(told, least, most, what, more=0):
    """As near(), to any of the values from least to most."""
    near(told, min(max(told, least), most), what, more)


def queue_delays(trace, found):
    """
    By thread: from when it is woken until the CPU that it is to run on has put it on its
    queue.  The kernel's account of delays begins there.
    """
    queued = {}
    for r in records(trace, "-e", "sched:sched_wakeup", "--no-stack"):
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


def backdated(found):
    """
    By thread: how much CPU time the kernel's accounts may take from it, and give to it.  Who is
    woken and preempts another one has run since its wakeup, they say, not since the switch:
    __schedule() does not look at the clock again.
    """
    arrivals, taken, given = {}, {}, {}
    for of_thread in found.values():
        for r in of_thread:
            arrivals.setdefault(r.cpu, []).append((r.time, r))
    for of_cpu in arrivals.values():
        of_cpu.sort(key=lambda a: a[0])
    times = {cpu: [time for time, r in of_cpu] for cpu, of_cpu in arrivals.items()}
    for tid, of_thread in found.items():
        for r in of_thread:
            at = bisect.bisect(times.get(r.from_cpu, []), r.time - r.off - 4)
            next_one = arrivals.get(r.from_cpu, [])[at:at + 1]
            if r.state != "R" or not r.off or not next_one:
                continue
            time, woken = next_one[0]
            # Who has waited for longer had not come to preempt.
            if abs(time - (r.time - r.off)) > 4 or woken.state == "R" or woken.runq > MS // 10:
                continue
            taken[tid] = taken.get(tid, 0) + woken.runq
            given[woken.tid] = given.get(woken.tid, 0) + woken.runq
    return taken, given


def hidden_of(of_thread):
    """
    What the kernel did not show of it; and how long it was off CPUs where nobody was seen
    waking it: all is told as blocked, though it waited for a CPU at the end.
    """
    return (sum(r.skipped for r in of_thread),
            sum(r.off for r in of_thread if r.state != "R" and not r.waker and not r.edge))


def check_actor(a, row, of_thread, delay, theft, taken, given):
    ns, blocked = row["ns"], {b["reason"]: b["ns"] for b in row["blocked"]}
    equal(sum(ns.values()), row["wall_ns"], "the sum of the columns of " + a.name)
    # What it did after it had looked.
    tail = of_thread[-1].time - a.end
    hidden, unseen = hidden_of(of_thread)
    on = ns["user"] + ns["kernel"] + ns["on_cpu"] + ns["interrupted"]
    # Others of the process change its mappings while it does, or while it faults or forks.
    locked = blocked.pop("LOCK", 0) if a.name in ("faulter", "parent") else 0
    check(0 <= tail and a.wall + tail <= row["wall_ns"], "%s: %d ns until %d, and %d ns: %r" % (
        a.name, a.wall, a.end, row["wall_ns"], (of_thread[0], of_thread[-1])))
    within(on, a.cpu - given, a.cpu + taken, a.name + " on a CPU",
           hidden + theft + min(tail, MS))
    within(ns["runq"] - delay, a.delay - taken, a.delay + given, a.name + " waiting for a CPU",
           hidden + unseen + theft + tail)
    wanted = REASONS.get(a.name)
    if wanted:
        within(blocked.pop(wanted, 0), a.waited - delay - locked, a.waited - delay,
               a.name + " in " + wanted, hidden + unseen + theft)
    if a.name.startswith("flocker"):
        near(blocked.pop("SLEEP", 0), 25 * 15 * MS, a.name + " in SLEEP", hidden + theft)
    if a.name == "holder":
        blocked.pop("FUTEX", 0)         # barriers
    # Threads that begin and end have locks.
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
        taken, given = backdated(found)
        rows, total, told = latency(trace, "--by", "tid")
        of = {int(r["keys"]["tid"]): r for r in rows}
        equal(len(actors), 18)
        for a in actors.values():
            check_actor(a, of[a.tid], found[a.tid],
                        delays.get(a.tid, 0), theft, taken.get(a.tid, 0), given.get(a.tid, 0))
        for column in total["ns"]:
            equal(sum(r["ns"][column] for r in rows), total["ns"][column], column)
        equal(sum(total["ns"].values()), total["wall_ns"])
    unless_busy(attempt)


# What a thread does between a look at a clock and the beginning or end of a span is shorter.
AROUND_NS = 20000


def around_spans(spans, of_thread):
    """
    How much the thread waited for a CPU just outside of its spans, where it looks at clocks,
    and where it was preempted within so little work.
    """
    begins = [r["time"] * 1e9 - r["fields"]["duration"] for r in spans]
    ends = [r["time"] * 1e9 for r in spans]
    waits = [r for r in of_thread if r.state == "R" and r.off]
    return sum(r.off for r in waits
               if any(-1000 < b - r.time < AROUND_NS for b in begins) or
               any(-1000 < r.time - r.off - e < AROUND_NS for e in ends))


def known_requests(folder):
    """spans of a function: their waits and work, and nothing of what is between them"""
    # Of the whole machine, in which others may run the program.
    mine = shutil.copy(program("waitmix")[0], folder + "/mine")

    def attempt():
        trace, actors, requests, theft = act(
            folder, "-a", "-e", "sched,sched:sched_wakeup", "-e", "func:%s:request" % mine,
            command=mine)
        rows, total, told = latency(trace, "-e", "func:*")
        spans = records(trace, "-e", "func:*", "--no-stack")
        found = stories(trace)
        tid = actors["server"].tid
        hidden, unseen = hidden_of(found[tid])
        delay = queue_delays(trace, found).get(tid, 0)
        taken, given = (of_tid.get(tid, 0) for of_tid in backdated(found))
        equal(len(rows), 1)
        ns, wait = rows[0]["ns"], rows[0]["blocked"][0]
        equal(rows[0]["spans"], requests.tid)
        equal(sum(ns.values()), rows[0]["wall_ns"])
        equal(rows[0]["wall_ns"], sum(r["fields"]["duration"] for r in spans))
        equal(wait["reason"], "SLEEP")
        # The clocks are read around the span.
        outside = around_spans(spans, found[tid])
        around = requests.tid * AROUND_NS + hidden + theft
        within(rows[0]["wall_ns"], requests.wall - outside, requests.wall, "all spans", around)
        within(ns["on_cpu"] + ns["interrupted"], requests.cpu - given, requests.cpu + taken,
               "spans on a CPU", around)
        within(ns["runq"], requests.delay - outside - taken, requests.delay + given + delay,
               "spans waiting for a CPU", around + unseen)
        within(wait["ns"], requests.waited - delay, requests.waited, "spans in SLEEP",
               around + unseen)
        near(wait["ns"], 40 * 5 * MS, "naps", around + unseen)
    unless_busy(attempt)


# A command that runs another one and says how much CPU time that took, with its children.
ACCOUNT = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(int((used.ru_utime + used.ru_stime) * 1e9))
"""

DATABASE = """
import multiprocessing, sqlite3, sys
def work(path, n):
    db = sqlite3.connect(path, timeout=30, isolation_level=None)
    for i in range(40):
        db.execute("begin immediate")
        db.execute("insert into t values (?, ?)", (n, i))
        db.execute("commit")
        db.execute("select sum(b) from t where a = ?", (n,)).fetchone()
db = sqlite3.connect(sys.argv[1])
db.execute("create table t (a int, b int)")
db.commit()
workers = [multiprocessing.Process(target=work, args=(sys.argv[1], n)) for n in range(4)]
for w in workers: w.start()
for w in workers: w.join()
"""

WEB = """
import http.client, http.server, os, threading
class Page(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b"x" * 20000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
threading.Thread(target=server.serve_forever, daemon=True).start()
def ask():
    c = http.client.HTTPConnection("127.0.0.1", server.server_address[1])
    for i in range(60):
        c.request("GET", "/")
        c.getresponse().read()
    c.close()
clients = [threading.Thread(target=ask) for i in range(8)]
for c in clients: c.start()
for c in clients: c.join()
server.shutdown()
"""


def compile_load(folder):
    if not shutil.which("make") or not shutil.which(os.environ.get("CC", "cc")):
        skip("no compiler")
    objects = ["%s/out/report/%s.o" % (folder, name) for name in (
        "column", "groups", "valuenames", "escape", "numbers", "measure")
        if os.path.exists("%s/report/%s.c" % (ROOT, name))]
    return ["make", "-s", "-C", ROOT, "-j2", "O=%s/out" % folder] + objects


def check_lives(trace, found):
    """Threads live from the fork to the exit that the kernel's own events tell."""
    forks = {r["fields"]["child_pid"]: r["time"] * 1e9
             for r in records(trace, "-e", "sched:sched_process_fork", "--no-stack")}
    exits = {r["tid"]: r["time"] * 1e9
             for r in records(trace, "-e", "sched:sched_process_exit", "--no-stack")}
    lives = 0
    for tid, of_thread in found.items():
        first, last = of_thread[0], of_thread[-1]
        told = sum(r.on + r.off + r.skipped for r in of_thread)
        check(abs(told - (last.time - first.begin)) <= 2 * len(of_thread), (first, last))
        if tid not in forks or tid not in exits:
            continue
        lives += 1
        # Its last switch may come after its parent was told, and after the recording.
        check(last.edge & (EXIT | END), "thread %d has no end: %r" % (tid, last))
        check(last.time >= exits[tid], last)
        life = last.time - forks[tid]
        # Between the event of the fork and the moment in which it can run.
        check(abs(told - life) <= life * 0.001 + 2 * MS,
              "thread %d: %.3f ms told, %.3f lived" % (tid, told / 1e6, life / 1e6))
    return lives


def load(folder, command, least):
    """Records a load: all lives of its threads, and all its CPU time."""
    def attempt():
        trace = folder + "/t.kymo"
        theft = stolen()
        used = int(kymo("record", "-q", "-o", trace, "-e", "sched,sched:sched_process_fork,"
                        "sched:sched_process_exit", "--", "python3", "-c", ACCOUNT, *command))
        theft = stolen() - theft
        found = check_conserved(trace)
        equal(lost(trace), 0)
        check(check_lives(trace, found) >= least, "few threads: %d" % len(found))
        account = min(t[0].pid for t in found.values())
        mine = [r for t in found.values() for r in t if r.pid != account]
        hidden = sum(r.skipped for r in mine)
        near(sum(r.on for r in mine), used, "time on CPUs", hidden + theft, 5 * MS)
        rows, total, told = latency(trace)
        equal(sum(total["ns"].values()), total["wall_ns"])
        equal(total["wall_ns"], sum(r.on + r.off + r.skipped for t in found.values() for r in t))
        equal(total["ns"]["unexplained"], 0)
    unless_busy(attempt)


def a_compile(folder):
    """a compiler, two at a time: nothing is missing of its threads' time"""
    load(folder, compile_load(folder), 8)


def a_database(folder):
    """a database of several processes: nothing is missing of its threads' time"""
    load(folder, ["python3", "-c", DATABASE, folder + "/db"], 4)


def a_server(folder):
    """a web server and its clients: nothing is missing of its threads' time"""
    load(folder, ["python3", "-c", WEB], 16)


# Processes that hand a byte to each other as fast as they can, and children that come and go.
BUSY = """
import os
pairs = []
for pair in range(3):
    there, back = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        for i in range(6000):
            os.read(there[0], 1); os.write(back[1], b"x")
        os._exit(0)
    pairs.append((pid, there, back))
    pid = os.fork()
    if not pid:
        for i in range(6000):
            os.write(there[1], b"x"); os.read(back[0], 1)
        os._exit(0)
    pairs.append((pid, there, back))
for i in range(200):
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
for pid, there, back in pairs:
    os.waitpid(pid, 0)
"""


def too_small(folder):
    """rings that are too small: losses are counted, and no time is missing"""
    trace = folder + "/t.kymo"

    def attempt():
        theft = stolen()
        used = int(kymo("record", "-q", "-o", trace, "-m", "64K", "-e", "sched", "--", "python3",
                        "-c", ACCOUNT, "python3", "-c", BUSY))
        theft = stolen() - theft
        found = check_conserved(trace)
        check(len(found) > 200, len(found))
        for of_thread in found.values():
            check(of_thread[-1].edge & (EXIT | END), "no end: %r" % of_thread[-1])
        account = min(t[0].pid for t in found.values())
        mine = [r for t in found.values() for r in t if r.pid != account]
        # What is skipped is told apart from waits, not from the work between them.
        near(sum(r.on for r in mine), used, "time on CPUs", theft, 5 * MS)
        return found
    found = unless_busy(attempt)
    hidden = sum(r.skipped for t in found.values() for r in t)
    if not lost(trace):
        skip("nothing was lost")
    check(hidden, "nothing is skipped")
    rows, total, told = latency(trace)
    equal(sum(total["ns"].values()), total["wall_ns"])
    check(total["ns"]["skipped"] > 0 and total["ns"]["unexplained"] == 0, total)
    equal(told["quality"]["lost"], sum(l["count"] for l in info(trace)["losses"]
                                       if l["cause"] != "sideband"))


def check_cpus(found):
    """No two threads are on a CPU at once.  How much of the time of each CPU is told."""
    slices, first = {}, min(t[0].begin for t in found.values())
    last = max(t[-1].time for t in found.values())
    for of_thread in found.values():
        for r in of_thread:
            if r.on and not r.skipped:
                end = r.time - r.off
                slices.setdefault(r.from_cpu, []).append((end - r.on, end, r))
    for of_cpu in slices.values():
        of_cpu.sort(key=lambda s: s[:2])
        for a, b in zip(of_cpu, of_cpu[1:]):
            check(b[0] >= a[1] - 2, "two at once: %r, %r" % (a, b))
        check(sum(s[1] - s[0] for s in of_cpu) <= last - first)


def check_wakers(trace, found):
    """Who woke a thread, and when, as the kernel's own event tells."""
    raw, right = {}, 0
    for r in records(trace, "-e", "sched:sched_waking", "--no-stack"):
        name = "%s:%d" % (r["comm"], r["tid"])
        raw.setdefault(r["fields"]["pid"], []).append((round(r["time"] * 1e9), name))
    for of_thread in raw.values():
        of_thread.sort()
    for tid, of_thread in found.items():
        seen = raw.get(tid, [])
        times = [at for at, name in seen]
        for r in of_thread:
            # The recorder's own wakeups are not in the event; who began has another one.
            if not r.waker or r.waker.startswith("kymo:") or r is of_thread[0]:
                continue
            # The event's program has run before ours; a host that takes the CPU away
            # between the two makes that long.
            woken = r.time - r.runq
            near_by = seen[bisect.bisect(times, woken - MS):bisect.bisect(times, woken + MS // 20)]
            if r.runq == r.off and not near_by:
                continue                # woken before it had left the CPU
            check(near_by, "nobody wakes at %d: %r" % (woken, r))
            # A thread may have another name by the end of the wait.
            check(any(name.split(":")[-1] == r.waker.split(":")[-1] for at, name in near_by),
                  (near_by, r))
            right += 1
    return right


def whole_machine(folder):
    """the whole machine: one thread a CPU at a time, woken by whom the kernel's event tells"""
    trace = folder + "/t.kymo"

    # A switch that the kernel shows to nobody may leave two threads on one CPU.
    def attempt():
        kymo("record", "-q", "-a", "-o", trace, "-e", "sched,sched:sched_waking", "--",
             "python3", "-c", WEB)
        found = check_conserved(trace)
        equal(lost(trace), 0)
        check_cpus(found)
        check(check_wakers(trace, found) > 1000, "few wakeups")
    unless_busy(attempt)


def many_threads(folder):
    """more threads than the table has room for: counted, and nothing is missing of the others"""
    trace = folder + "/t.kymo"
    started = int(kymo("record", "-q", "-o", trace, "-e", "sched", "--no-stack", "--",
                       *program("crowd", 20000)))
    if started < 20000:
        skip("no more than %d threads can be started" % started)
    found = check_conserved(trace)
    room = sum(l["count"] for l in info(trace)["losses"] if "room" in l["cause"])
    check(len(found) > started or room, "%d threads of %d, and none is missing" % (
        len(found), started))
    check(len(found) > 4000, len(found))
    rows, total, told = latency(trace)
    equal(total["threads"], len(found))
    equal(sum(total["ns"].values()), total["wall_ns"])


run([known_waits, known_requests, a_compile, a_database, a_server, too_small, whole_machine,
     many_threads])
