"""Other tools that watch the scheduler beside -e sched, and what they say, in ns."""
import re
import signal
import subprocess

from story import *

MS = 1000000
# Programs of several tools at the same switch run one after the other, and each looks at the
# clock when it is its turn: so much may lie between two looks.  Emulated, stacks take long.
SWITCH_NS = 500000 if EMULATED else 1000
# So far apart two programs of a switch may look at the clock: half of what a switch takes.
apart_ns = SWITCH_NS
NR_SWITCHES = 100 if EMULATED else 2000
SHARE = 0.05 if EMULATED else 0.01


class Load:
    """waitmix, that begins when it is told to: its number is known before."""

    def __init__(self, path):
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


def file_to_read(folder):
    """The file of waitmix, written out."""
    path = folder + "/file"
    with open(path, "wb") as f:
        f.write(os.urandom(4 << 20))
        os.fsync(f.fileno())
    return path


# How many programs a tool attaches, if more than one.
NR_PROGRAMS = {"runqlat": 3}


def has_attached(pid, nr):
    folder = "/proc/%d/fd" % pid
    try:
        links = [os.readlink(folder + "/" + fd) for fd in os.listdir(folder)]
    except OSError:
        return False
    return sum("bpf" in link and "link" in link for link in links) >= nr


class Peer:
    """Another tool that watches until it is told to end."""

    def __init__(self, *command):
        if not shutil.which(command[0]):
            skip("no %s" % command[0])
        # Most of them keep what they say back, unless it goes to a terminal.
        self.p = subprocess.Popen(["stdbuf", "-oL"] + [str(c) for c in command],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        while not has_attached(self.p.pid, NR_PROGRAMS.get(command[0], 1)):
            if self.p.poll() is not None:
                skip("%s does not run here" % command[0])
            time.sleep(0.02)

    def end(self):
        return interrupt(self.p)


class Recorder:
    """A recorder, perf's or ours, that runs a command which ends when it is told to."""

    def __init__(self, *command):
        self.p = subprocess.Popen([*command, "--", "sh", "-c", "echo ready; read x"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        if b"ready" not in self.p.stdout.readline():
            skip("%s does not record" % command[0])

    def end(self):
        self.p.communicate(b"\n", timeout=120)
        if self.p.returncode == -signal.SIGABRT:
            skip("perf aborts when BPF programs come and go")
        equal(self.p.returncode, 0, "exit status")
        return ""


def switch_ns():
    """How long two processes take that wait for each other, for each time."""
    here, there = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        for _ in range(NR_SWITCHES):
            os.read(there[0], 1)
            os.write(here[1], b"x")
        os._exit(0)
    begin = time.monotonic_ns()
    for _ in range(NR_SWITCHES):
        os.write(there[1], b"x")
        os.read(here[0], 1)
    took = time.monotonic_ns() - begin
    os.waitpid(child, 0)
    for fd in here + there:
        os.close(fd)
    return took / NR_SWITCHES / 2


def watched(trace, path, peers, *options):
    """
    Runs the load, which reads path, under the peers, commands, and records it with these
    options: names of its threads, their stories, and what each peer says.
    """
    global apart_ns
    load = Load(path)
    running = []
    apart_ns = max(SWITCH_NS, min(switch_ns() for _ in range(3)) / 2)

    def start(command):
        command = [str(load.pid) if c == "PID" else c for c in command]
        running.append((Recorder if "record" in command else Peer)(*command))
    try:
        # Who comes first looks at the clock first.  Those who walk stacks come behind us:
        # else a wait begins for us when they are done.  perf takes the same time for each
        # end of a wait, and comes before us, who do not.
        for command in peers:
            if "record" in command:
                start(command)
        # What others do meanwhile takes long to read.
        of_load = [] if "-a" in options else ["-p", str(load.pid)]
        recorder = Recorder(KYMO, "record", "-q", "-o", trace, *of_load, "-e", "sched", *options)
        for command in peers:
            if "record" not in command:
                start(command)
        names = load.run()
        recorder.end()
    finally:
        said = [p.end() for p in running]
        load.p.kill()
    found = check_conserved(trace)
    mine = {tid: found[tid] for tid in names}
    equal(lost(trace), 0)
    return names, mine, said


def near(told, theirs, what, more=0, share=SHARE, floor=MS):
    check(abs(told - theirs) <= theirs * share + floor + more, "%s: %.3f ms here, %.3f ms there" % (
        what, told / 1e6, theirs / 1e6))


def timehist(data, names):
    """
    By thread: (when a run ended, what it had waited, of that for a CPU, how long it ran) of each
    of perf's lines, in ns.
    """
    found = {tid: [] for tid in names}
    out = run_command(["perf", "sched", "timehist", "-i", data], timeout=200)
    for line in out.stdout.decode(errors="replace").splitlines():
        m = re.match(r"\s*([\d.]+) \[\d+\]\s+.*?\[(\d+)(?:/\d+)?\]\s+([\d.]+)\s+([\d.]+)\s+"
                     r"([\d.]+)", line)
        if m and int(m[2]) in names:
            found[int(m[2])].append((float(m[1]) * 1e9, *(float(t) * 1e6 for t in m.groups()[2:])))
    return found


def compare_timehist(data, names, found):
    """Wait time, delay and run time of each thread: how many were compared."""
    theirs = timehist(data, names)
    if not any(theirs.values()):
        skip("perf sched timehist tells nothing")
    compared = 0
    for tid, name in names.items():
        lines, mine = theirs[tid], found[tid]
        nr = len(lines)
        if len(mine) > 2000 or not 3 <= nr < len(mine):
            continue
        # It knows no wait before the first run, and no run of a thread that is about to end.
        runs, waits, woken = mine[1:nr + 1], mine[1:nr], [
            r.runq for r in mine[:nr] if r.state != "R" or r is mine[0]]
        hidden, n = 2 * sum(r.skipped for r in mine), nr * apart_ns
        # A switch that the kernel shows to nobody takes a line from it: the last is a later one.
        last = runs[-1].time - runs[-1].off - (runs[0].time - runs[0].off)
        if abs(last - (lines[-1][0] - lines[0][0])) > MS + last * SHARE / 10:
            continue
        wait, delay, run_time = (sum(line[i] for line in lines) for i in (1, 2, 3))
        on = sum(r.on for r in runs)
        # Not seeing a switch, it takes a wait for a run.
        if run_time > on * (1 + SHARE) + hidden + n + MS:
            continue
        near(on, run_time, name + " on a CPU", hidden + n)
        near(sum(r.off for r in waits), wait, name + " off it", hidden + n)
        # Nor does it see every wakeup: such a wait was none for a CPU.
        unseen = [r.runq for r, line in zip(mine, lines)
                  if (r.state != "R" or r is mine[0]) and r.runq >= 1000 and not line[2]]
        check(len(unseen) <= 2 + nr // 50, "%s: perf saw no wakeup for %r" % (name, unseen))
        near(sum(woken), delay, name + " delayed", hidden + n + sum(unseen))
        compared += 1
    if compared < 6:
        skip("perf has all lines of %d threads only" % compared)
    return compared


def log2_rows(text):
    return {int(a): int(n) for a, b, n in
            re.findall(r"^\s*(\d+) -> (\d+)\s*: (\d+)", text, re.M) if int(n)}


def row_of(us):
    """The least value of the row of a histogram by powers of two; 0 and 1 are one."""
    return 1 << (us.bit_length() - 1) if us > 1 else 0


def rows_of(values_ns):
    rows = {}
    for ns in values_ns:
        row = row_of(ns // 1000)
        rows[row] = rows.get(row, 0) + 1
    return rows


def compare_rows(mine, theirs, slack):
    """The same histogram, give or take a row, and slack values in another one."""
    for row in set(theirs) | set(mine):
        below = sum(n for r, n in theirs.items() if r < row)
        least = sum(n for r, n in mine.items() if r < (row // 2 if row > 2 else 0))
        most = sum(n for r, n in mine.items() if r < (row * 2 if row else 2))
        check(least - slack <= below <= most + slack, "below %d us: %d there, %d to %d here: "
              "%r, %r" % (row, below, least, most, theirs, mine))


def compare_runqlat(text, found):
    """The same histogram of delays."""
    theirs = log2_rows(text)
    mine = rows_of(r.runq for t in found.values() for r in t if r.runq and not r.edge)
    total = sum(theirs.values())
    check(total > 500, "few values: %r" % theirs)
    # Its wakeup is when the CPU has the thread on its queue, a few microseconds later.
    near(sum(mine.values()) * MS, total * MS, "values", 0, 2 * SHARE, 40 * MS)
    compare_rows(mine, theirs, int(total * 3 * SHARE) + 20)


def offcputime_stacks(text):
    """(names of kernel functions, the innermost first, name of the thread, ns) each."""
    for part in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in part.splitlines() if line.strip()]
        if len(lines) < 2 or not lines[-1].isdigit():
            continue
        whose = re.match(r"-\s+(\S+) \((\d+)\)$", lines[-2])
        if whose:
            yield lines[:-2], whose[1], int(lines[-1]) * 1000


def offcputime_sums(text):
    """By name of the thread: ns."""
    sums = {}
    for _, name, ns in offcputime_stacks(text):
        sums[name] = sums.get(name, 0) + ns
    check(len(sums) >= 15, text[:500])
    return sums


def compare_offcputime(text, names, found):
    """The time off CPUs of each thread."""
    sums = offcputime_sums(text)
    for tid, name in names.items():
        hidden = 2 * sum(r.skipped for r in found[tid])
        # It does not see what a thread waits for before its first time on a CPU.
        told = sum(r.off for r in found[tid][1:])
        near(told, sums.get(name, 0), name + " off CPUs", hidden + len(found[tid]) * 2 * apart_ns,
             SHARE, 2 * MS)
