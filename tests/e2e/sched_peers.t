#!/usr/bin/env python3
"""-e sched beside perf sched timehist, runqlat and offcputime, which watch the same load."""
import re
import signal
import subprocess
import time

from story import *

MS = 1000000


class Load:
    """waitmix, that begins when it is told to: its number is known before."""

    def __init__(self, folder):
        path = folder + "/file"
        with open(path, "wb") as f:
            f.write(os.urandom(4 << 20))
            os.fsync(f.fileno())
        self.p = subprocess.Popen(["sh", "-c", 'kill -STOP $$; exec "$@"', "sh"] +
                                  program("waitmix", path), stdout=subprocess.PIPE)
        self.pid = self.p.pid
        os.waitpid(self.pid, os.WUNTRACED)

    def run(self):
        os.kill(self.pid, signal.SIGCONT)
        text = self.p.communicate(timeout=120)[0].decode()
        equal(self.p.returncode, 0, "the load")
        # NAME by number of the thread.
        return {int(line.split()[1]): line.split()[0] for line in text.splitlines()
                if not line.startswith("request ")}


def has_attached(pid):
    folder = "/proc/%d/fd" % pid
    try:
        return any("bpf" in os.readlink(folder + "/" + fd) and "link" in os.readlink(
            folder + "/" + fd) for fd in os.listdir(folder))
    except OSError:
        return False


class Peer:
    """Another tool that watches until it is told to end."""

    def __init__(self, *command):
        if not shutil.which(command[0]):
            skip("no %s" % command[0])
        # Most of them keep what they say back, unless it goes to a terminal.
        self.p = subprocess.Popen(["stdbuf", "-oL"] + [str(c) for c in command],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while not has_attached(self.p.pid):
            if self.p.poll() is not None:
                skip("%s does not run here" % command[0])
            time.sleep(0.02)

    def end(self):
        self.p.send_signal(signal.SIGINT)
        return self.p.communicate(timeout=60)[0].decode()


class Recorder:
    """A recorder, perf's or ours, that runs a command which ends when it is told to."""

    def __init__(self, *command):
        self.p = subprocess.Popen([*command, "--", "sh", "-c", "echo ready; read x"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        if b"ready" not in self.p.stdout.readline():
            skip("%s does not record" % command[0])

    def end(self):
        self.p.communicate(b"\n", timeout=60)
        if self.p.returncode == -signal.SIGABRT:
            skip("perf aborts when BPF programs come and go")
        equal(self.p.returncode, 0, "exit status")
        return ""


def watched(folder, *peers):
    """
    Runs the load under the peers, commands, and records it: names of its
    threads, their stories, and what each peer says.
    """
    trace = folder + "/t.kymo"
    load = Load(folder)
    running = []
    try:
        for command in peers:
            command = [str(load.pid) if c == "PID" else c for c in command]
            running.append((Recorder if "record" in command else Peer)(*command))
        recorder = Recorder(KYMO, "record", "-q", "-o", trace, "-a", "-e", "sched", "--no-stack")
        names = load.run()
        recorder.end()
    finally:
        said = [p.end() for p in running]
        load.p.kill()
    found = check_conserved(trace)
    mine = {tid: found[tid] for tid in names}
    equal(lost(trace), 0)
    return names, mine, said


def near(told, theirs, what, more=0, share=0.01, floor=MS):
    check(abs(told - theirs) <= theirs * share + floor + more, "%s: %.3f ms here, %.3f ms there" % (
        what, told / 1e6, theirs / 1e6))


def timehist(data, names):
    """By thread: sums of waits, delays and runs in ns, and of how many of perf's lines."""
    sums = {}
    out = run_command(["perf", "sched", "timehist", "-i", data], timeout=100)
    for line in out.stdout.decode(errors="replace").splitlines():
        m = re.match(r"\s*[\d.]+ \[\d+\]\s+.*?\[(\d+)(?:/\d+)?\]\s+([\d.]+)\s+([\d.]+)\s+([\d.]+)",
                     line)
        if m and int(m[1]) in names:
            old = sums.get(int(m[1]), (0, 0, 0, 0))
            sums[int(m[1])] = (*(a + float(b) * 1e6 for a, b in zip(old, m.groups()[1:])),
                               old[3] + 1)
    return sums


def beside_timehist(folder):
    """perf sched timehist: wait time, delay and run time of each thread, within 1 %"""
    data = folder + "/perf.data"
    if not shutil.which("perf"):
        skip("no perf")

    def attempt():
        names, found, said = watched(folder, ["perf", "sched", "record", "-B", "-m", "16M",
                                              "-o", data])
        sums = timehist(data, names)
        if not sums:
            skip("perf sched timehist tells nothing")
        compared = 0
        for tid, name in names.items():
            wait, delay, run_time, lines = sums.get(tid, (0, 0, 0, 0))
            # A switch that the kernel shows to nobody takes a line from it, or the wait in it.
            if len(found[tid]) > 2000 or not len(found[tid]) - 3 <= lines <= len(found[tid]) or \
                    wait < sum(r.off for r in found[tid][1:-2]) - 15 * MS:
                continue
            hidden = 2 * sum(r.skipped for r in found[tid])
            # It knows no wait before the first switch, and has forgotten the thread by the last.
            n = len(found[tid]) * 1000
            on = sum(r.on for r in found[tid])
            # Not seeing a switch, it takes a wait for a run.
            if run_time > on * 1.01 + hidden + n + MS:
                continue
            near(on, run_time, name + " on a CPU", hidden + n)
            last = found[tid][-2].off
            near(sum(r.off for r in found[tid][1:-2]) + last / 2, wait, name + " off it",
                 hidden + n + last / 2)
            woken = [r.runq for r in found[tid] if r.state != "R" or r is found[tid][0]]
            near(sum(woken[:-2]) + sum(woken[-2:]) / 2, delay, name + " delayed",
                 hidden + n + sum(woken[-2:]) / 2)
            compared += 1
        if compared < 6:
            skip("perf has all lines of %d threads only" % compared)
    unless_busy(attempt)


def log2_rows(text):
    return {int(a): int(n) for a, b, n in
            re.findall(r"^\s*(\d+) -> (\d+)\s*: (\d+)", text, re.M)}


def row_of(us):
    """The least value of the row of a histogram by powers of two; 0 and 1 are one."""
    return 1 << (us.bit_length() - 1) if us > 1 else 0


def beside_runqlat(folder):
    """runqlat: the same histogram, give or take a row"""
    def attempt():
        names, found, said = watched(folder, ["runqlat", "-p", "PID"])
        theirs, mine = log2_rows(said[0]), {}
        for of_thread in found.values():
            for r in of_thread:
                if r.runq and not r.edge:
                    row = row_of(r.runq // 1000)
                    mine[row] = mine.get(row, 0) + 1
        total = sum(theirs.values())
        check(total > 500, "few values: %r" % theirs)
        # Its wakeup is when the CPU has the thread on its queue, a few microseconds later.
        near(sum(mine.values()) * MS, total * MS, "values", 0, 0.02, 40 * MS)
        slack = total // 30 + 20
        for row in set(theirs) | set(mine):
            below = sum(n for r, n in theirs.items() if r < row)
            least = sum(n for r, n in mine.items() if r < (row // 2 if row > 2 else 0))
            most = sum(n for r, n in mine.items() if r < (row * 2 if row else 2))
            check(least - slack <= below <= most + slack, "below %d us: %d there, %d to %d here: "
                  "%r, %r" % (row, below, least, most, theirs, mine))
    unless_busy(attempt)


def beside_offcputime(folder):
    """offcputime: the time off CPUs of each thread, within 1 %"""
    def attempt():
        names, found, said = watched(
            folder, ["offcputime", "-p", "PID", "--stack-storage-size", "8192"])
        sums = {}
        for name, us in re.findall(r"^\s+-\s+(\S+) \(\d+\)\n\s+(\d+)$", said[0], re.M):
            sums[name] = sums.get(name, 0) + int(us) * 1000
        check(len(sums) >= 15, said[0][:500])
        for tid, name in names.items():
            hidden = 2 * sum(r.skipped for r in found[tid])
            # It does not see what a thread waits for before its first time on a CPU.
            told = sum(r.off for r in found[tid][1:])
            near(told, sums.get(name, 0), name + " off CPUs", hidden + len(found[tid]) * 2000,
                 0.01, 2 * MS)
    unless_busy(attempt)


run([beside_timehist, beside_runqlat, beside_offcputime])
