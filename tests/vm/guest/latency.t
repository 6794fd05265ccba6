#!/usr/bin/env python3
"""How long things take, beside tools that watch the same load at the same time."""
import json
import re
import shutil
import signal
import subprocess
import threading
import time
from vm import *

COMPLETION_NS = 20000000
SCRATCH = "/vm/scratch"
READS = 200
SIZE = 300000
SUFFIX = {"": 1, "K": 1 << 10, "M": 1 << 20}


class Other:
    """Another tool that watches until it is told to end by a signal, or ends by itself."""

    def __init__(self, *command, ends_itself=False):
        self.ends_itself = ends_itself
        if not shutil.which(command[0]):
            skip("no %s" % command[0])
        # Most of them keep what they say back, unless it goes to a terminal.
        self.p = subprocess.Popen(["stdbuf", "-oL"] + [str(c) for c in command],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = []
        for line in self.p.stdout:
            said.append(line.decode(errors="replace").strip())
            if re.search("Tracing|TIME|ready", said[-1]):
                return
        self.p.wait()
        skip("%s: %s" % (command[0], said[-1:]))

    def end(self):
        if self.ends_itself:
            return self.p.communicate(timeout=200)[0].decode()
        return interrupt(self.p)


def buckets(text):
    """"16384 -> 32767 : 10 |***|" of bcc: (least, most) -> count"""
    return {(int(a), int(b)): int(n) for a, b, n in
            re.findall(r"^\s*(\d+) -> (\d+)\s*: (\d+)", text, re.M) if int(n)}


class Recorder:
    """kymo record of the whole machine, from now until it is told to end."""

    def __init__(self, trace, *options):
        self.p = subprocess.Popen([KYMO, "record", "-a", "-o", trace] + list(options) +
                                  ["--", "sh", "-c", "echo ready; read x"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE)
        if b"ready" not in self.p.stdout.readline():
            raise AssertionError(self.p.communicate()[1].decode())

    def end(self):
        text = self.p.communicate(b"\n", timeout=200)[1].decode()
        equal(self.p.returncode, 0, "exit status; %s" % text)
        check(" 0 lost" in text, "lost: %s" % text)


class Waiting:
    """A process that becomes a program when it is told to: its number is known before."""

    def __init__(self, *command):
        self.p = subprocess.Popen(["sh", "-c", 'kill -STOP $$; exec "$@"', "sh"] + list(command),
                                  stdout=subprocess.PIPE)
        self.pid = self.p.pid
        os.waitpid(self.pid, os.WUNTRACED)

    def run(self):
        os.kill(self.pid, signal.SIGCONT)
        self.p.communicate(timeout=200)
        equal(self.p.returncode, 0, "the load")


def hist(trace, *args):
    """The one histogram there is: what --json tells of it."""
    tables = json.loads(kymo("hist", "--json", "-i", trace, *args))["tables"]
    equal([len(t["groups"]) for t in tables], [1], "histograms")
    return tables[0]["groups"][0]


def rows_of(histogram, unit=1):
    """(least, most) -> count, as buckets() tells it."""
    return {(low // unit, high // unit - 1): n for low, high, n in histogram["rows"]}


def rows_around(values):
    rows = {}
    for value in values:
        bits = max(value.bit_length(), 1)
        row = (1 << bits - 1 if bits > 1 else 0, (1 << bits) - 1)
        rows[row] = rows.get(row, 0) + 1
    return rows


def ranks(rows):
    """The number of the power of two of every value, the least first."""
    return [max(low, 1).bit_length() for (low, _), n in sorted(rows.items()) for _ in range(n)]


def same_rows(ours, theirs, what):
    """
    As many values, and each in the same row or the next: two tools do not look at
    the clock at once.  What stops the emulated CPU between them moves a value
    further, which is one in ten at most.
    """
    equal(sum(ours.values()), sum(theirs.values()), "%s: values" % what)
    far = [a - b for a, b in zip(ranks(ours), ranks(theirs)) if abs(a - b) > 1]
    print("# %s: %r, others %r" % (what, ours, theirs))
    check(len(far) <= sum(ours.values()) // 10, "%s: %r rows apart" % (what, far))


class Disk:
    """A disk that answers each request after 20 ms, one after the other."""

    def __enter__(self):
        if run_command(["modprobe", "null_blk", "nr_devices=1", "irqmode=2", "queue_mode=2",
                        "completion_nsec=%d" % COMPLETION_NS, "gb=1", "memory_backed=1",
                        "submit_queues=1", "hw_queue_depth=1"]).returncode:
            skip("no null_blk module")

    def __exit__(self, *error):
        run_command(["rmmod", "null_blk"])


def reader(block):
    return ["dd", "if=/dev/nullb0", "of=/dev/null", "bs=4096", "count=8", "iflag=direct",
            "skip=%d" % block, "status=none"]


def disk(folder):
    """blockio: requests, their rows, who issued them and where, as biolatency counts them"""
    t = folder + "/t.kymo"
    with Disk():
        other = Other("biolatency", "-d", "nullb0")
        recorder = Recorder(t, "-g", "-e", "blockio", "--filter", 'disk == "nullb0"')
        load = Waiting(*reader(0))
        begin = time.monotonic_ns()
        load.run()
        took = time.monotonic_ns() - begin
        recorder.end()
        theirs = buckets(other.end())
    got = of_event(t, "blockio")
    equal([(r["fields"]["sector"], r["fields"]["bytes"], r["fields"]["op"]) for r in got],
          [(8 * i, 4096, 0) for i in range(8)], "requests")
    equal({(r["pid"], r["comm"]) for r in got}, {(load.pid, "dd")}, "who issued them")
    durations = [r["fields"]["duration"] for r in got]
    check(min(durations) >= COMPLETION_NS, "durations: %r" % durations)
    # One after the other: all of them fit into the time of the program that waits.
    check(sum(durations) + sum(r["fields"]["queued"] for r in got) <= took,
          "durations: %r in %d" % (durations, took))
    for r in got:
        names = [f["symbol"] for f in r["stack"]]
        check("vfs_read" in names and any(n.startswith("blk_mq_") for n in names) and
              "read" in names, "stack: %r" % names)
    same_rows(rows_of(hist(t), 1000), theirs, "us")
    print("# ns: %r" % sorted(durations))


def queue(folder):
    """blockio: time in the queue and at the disk, as biolatency -Q counts it"""
    t = folder + "/t.kymo"
    with Disk():
        run_command(["modprobe", "mq-deadline"])
        try:
            write("/sys/block/nullb0/queue/scheduler", "mq-deadline")
        except OSError as error:
            skip("mq-deadline: %s" % error)
        other, whole = Other("biolatency", "-d", "nullb0"), Other("biolatency", "-Qd", "nullb0")
        recorder = Recorder(t, "--no-stack", "-e", "blockio", "--filter", 'disk == "nullb0"')
        loads = [Waiting(*reader(100 * i)) for i in range(3)]
        threads = [threading.Thread(target=load.run) for load in loads]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        recorder.end()
        theirs, theirs_whole = buckets(other.end()), buckets(whole.end())
    got = of_event(t, "blockio")
    equal(sorted(r["fields"]["sector"] for r in got),
          [8 * (100 * i + k) for i in range(3) for k in range(8)], "requests")
    # What the scheduler has kept is often issued by a worker of the kernel.
    pids = {load.pid for load in loads}
    check(all(r["pid"] in pids or r["comm"].startswith("kworker") for r in got),
          "who issued them: %r" % {(r["pid"], r["comm"]) for r in got})
    for a, b in zip(got, got[1:]):
        check(a["time"] <= b["time"] - b["fields"]["duration"] / 1e9 + 1e-6,
              "a disk that takes one at a time had two: %r %r" % (a, b))
    waited = sorted(r["fields"]["queued"] for r in got)
    check(waited[-1] >= COMPLETION_NS, "in the queue: %r" % waited)
    same_rows(rows_of(hist(t), 1000), theirs, "us at the disk")
    same_rows(rows_around((r["fields"]["queued"] + r["fields"]["duration"]) // 1000
                          for r in got), theirs_whole, "us with the queue")
    print("# ns queued: %r" % waited)


def sections(text):
    """The histograms of fsdist: operation -> rows."""
    parts = re.split(r"operation = '(\w+)'", text)
    return {name: buckets(rows) for name, rows in zip(parts[1::2], parts[2::2])}


FUNCTIONS = {"R": "ext4_file_read_iter", "W": "ext4_file_write_iter", "O": "ext4_file_open",
             "F": "ext4_sync_file"}
OPERATIONS = {"R": ("fs:read", "read"), "W": ("fs:write", "write"), "O": ("fs:open", "open"),
              "F": ("fs:sync", "fsync")}


def files(folder):
    """fs:*: operations, names, offsets, bytes and durations, as ext4slower and fsdist tell them"""
    t = folder + "/t.kymo"
    path = SCRATCH + "/name-of-a-file"
    slower, dist = Other("ext4slower", "-c", "-m", "0"), Other("fsdist", "-t", "ext4")
    events = [x for way, _ in OPERATIONS.values()
              for x in ("-e", way, "--filter", 'fs == "ext4"')]
    events += [x for name in FUNCTIONS.values() for x in ("-e", "func:" + name)]
    recorder = Recorder(t, "--no-stack", *events)
    load = ("dd if=/dev/zero of=$0 bs=5000 count=20 conv=fsync && dd if=$0 of=/dev/null bs=3000;"
            "for i in 1 2 3 4 5 6 7 8 9; do : <$0; done")
    equal(run_command(["sh", "-c", load, path]).returncode, 0, "the load")
    recorder.end()
    lines = [line.split(",") for line in slower.end().splitlines() if line.count(",") == 7]
    theirs = sections(dist.end())
    for kind, (event, operation) in OPERATIONS.items():
        got = of_event(t, event)
        seen = [s for s in lines if s[3] == kind]
        equal([str(r["pid"]) for r in got], [s[2] for s in seen], "%s: processes" % event)
        equal({r["fields"]["name"] for r in got}, {"name-of-a-file"}, "%s: names" % event)
        equal({s[7] for s in seen}, {"name-of-a-file"}, "%s: names of ext4slower" % event)
        if kind in "RW":
            equal([(r["fields"]["offset"], r["fields"]["ret"]) for r in got],
                  [(int(s[5]), int(s[4])) for s in seen], "%s: offsets and bytes" % event)
        # The function of ext4, which the others look at, within the one of the kernel.
        inner = [r["fields"]["duration"] for r in of_event(t, "func:" + FUNCTIONS[kind])]
        outer = [r["fields"]["duration"] for r in got]
        equal(len(inner), len(outer), "%s: calls" % event)
        check(all(a <= b for a, b in zip(inner, outer)),
              "%s: the function of ext4 takes longer: %r, %r" % (event, inner, outer))
        ours = rows_of(hist(t, "-e", "func:" + FUNCTIONS[kind], "--unit", "us"), 1000)
        same_rows(ours, rows_around(int(s[6]) for s in seen), "us of %s, ext4slower" % event)
        same_rows(ours, theirs[operation], "us of %s, fsdist" % event)


def reads(folder):
    """A process that will read 1, 2 ... READS bytes."""
    path = folder + "/data"
    with open(path, "wb") as f:
        f.write(bytes(READS))
    return Waiting(*program("reads", path, READS))


def function(folder):
    """func:vfs_read by fentry and by kprobe, as funclatency counts it"""
    # Calls that take longer than all the probes in their way.
    load = Waiting("dd", "if=/dev/zero", "of=/dev/null", "bs=%d" % SIZE, "count=%d" % READS,
                   "status=none")
    other = Other("funclatency", "-p", load.pid, "vfs_read")
    recorders = {way: Recorder(folder + "/%s.kymo" % way, "--no-stack", "--use",
                               way + ",mapped,ringbuf", "-e", "func:vfs_read(count,ret)",
                               "--filter", "pid == %d" % load.pid)
                 for way in ("fentry", "kprobe")}
    load.run()
    for recorder in recorders.values():
        recorder.end()
    theirs = buckets(other.end())
    told = {}
    for way in recorders:
        trace = folder + "/%s.kymo" % way
        told[way] = [(r["fields"]["count"], r["fields"]["ret"])
                     for r in of_event(trace, "func:vfs_read")]
        same_rows(rows_of(hist(trace, "--unit", "ns")), theirs, "ns, by %s" % way)
    equal(told["fentry"], told["kprobe"], "calls by either way")
    equal([c for c in told["fentry"] if c[0] == SIZE], [(SIZE, SIZE)] * READS,
          "the program's own calls")


def bpftrace_rows(text):
    """Its "[512, 1K)  512 |@@ |": (least, most) -> count, with 0 and 1 in a row."""
    rows = {}
    for low, low_suffix, high, high_suffix, count in re.findall(
            r"^\[(\d+)([KM]?)(?:, (\d+)([KM]?)\)|\]) +(\d+) \|", text, re.M):
        key = (int(low) * SUFFIX[low_suffix], int(high or 0) * SUFFIX[high_suffix] - 1)
        if key[1] <= 1:
            key = (0, 1)
        if int(count):
            rows[key] = rows.get(key, 0) + int(count)
    return rows


def argument(folder):
    """an argument of a function, one by one and as a tally, as bpftrace's hist() counts it"""
    load = reads(folder)
    # It ends with the process: a signal while it reads events may pass unnoticed.
    other = Other("bpftrace", "-e", """
        kprobe:vfs_read /pid == %d/ { @ = hist(arg2); }
        tracepoint:sched:sched_process_exit /pid == %d/ { exit(); }
        interval:ms:500 /!@told/ { printf("ready\\n"); @told = 1; }""" % (load.pid, load.pid),
                  ends_itself=True)
    t = folder + "/t.kymo"
    mine = ["--filter", "pid == %d" % load.pid]
    recorder = Recorder(t, "--no-stack", "-e", "kprobe:vfs_read(count)", *mine, "-e",
                        "kprobe:vfs_read(count) as t", *mine, "--tally", "hist=count")
    load.run()
    recorder.end()
    theirs = bpftrace_rows(other.end())
    for name in ("kprobe:vfs_read", "t"):
        equal(rows_of(hist(t, "-e", name, "--of", "count")), theirs, "rows of '%s'" % name)
    check(sum(theirs.values()) > READS, "values: %r" % theirs)
    print("# bytes: %r" % theirs)


if KERNEL != "6.1":
    print("1..0 # SKIP a comparison of tools, which 6.1 has made")
    sys.exit(0)
# argdist, which counts arguments, too, compiles with headers of the kernel that nobody has
# in the machine; bpftrace does not need them.
run([disk, queue, files, function, argument])
