#!/usr/bin/env python3
"""Named spans and functions of the kernel: known durations, files, peers."""
import time
from vm import *

SCRATCH = "/vm/scratch"
# How the kernel says that a lock is taken to write.
WRITE = 4


def spans(trace, event):
    return [r for r in of_event(trace, event)]


def fields_of(trace, event, *names):
    return [tuple(r["fields"][n] for n in names) for r in of_event(trace, event)]


def needs(event, way):
    """Skips where this kernel takes another way for a named span."""
    line = kymo("list", "-v", event)
    if "here by %s" % way not in line:
        skip("another way here: %s" % line.strip()[:200])


def disk_requests(folder):
    """blockio: a disk that answers after 20 ms"""
    if run_command(["modprobe", "null_blk", "nr_devices=1", "irqmode=2", "queue_mode=2",
                    "completion_nsec=20000000", "gb=1"]).returncode:
        skip("no null_blk module")
    t = folder + "/t.kymo"
    try:
        record(t, [("blockio", "--filter", 'disk == "nullb0"')],
               "dd", "if=/dev/nullb0", "of=/dev/null", "bs=4096", "count=10", "iflag=direct",
               options=["-a"])
    finally:
        run_command(["rmmod", "null_blk"])
    got = spans(t, "blockio")
    equal([(r["fields"]["sector"], r["fields"]["bytes"], r["fields"]["op"]) for r in got],
          [(8 * i, 4096, 0) for i in range(10)], "requests")
    equal({r["comm"] for r in got}, {"dd"}, "who issued them")
    for r in got:
        check(20000000 <= r["fields"]["duration"], "duration: %r" % r)
        check(r["fields"]["queued"] < r["fields"]["duration"], "queued: %r" % r)


def functions(folder):
    """func: as many calls as were made, by every way, each within the system call it works for"""
    t = folder + "/t.kymo"
    for way in ("fentry", "kprobe"):
        told = run_command([KYMO, "record", "-q", "-o", t, "-e", "func:vfs_read(count,ret)",
                            "-e", "syscall:read(count,ret)", "--use",
                            way + ",tp_btf,mapped,ringbuf", "--", "dd", "if=/dev/zero",
                            "of=/dev/null", "bs=1000", "count=100"])
        if told.returncode and way == "fentry" and MACHINE == "aarch64":
            continue
        equal(told.returncode, 0, told.stderr.decode())
        inner = [r for r in spans(t, "func:vfs_read") if r["fields"]["count"] == 1000]
        outer = [r for r in spans(t, "syscall:read") if r["fields"]["count"] == 1000]
        equal((len(inner), len(outer)), (100, 100), "reads by %s" % way)
        for a, b in zip(inner, outer):
            equal(a["fields"]["ret"], b["fields"]["ret"], "returned")
            check(0 < a["fields"]["duration"] < b["fields"]["duration"],
                  "the function takes longer than its call: %r %r" % (a, b))


def files(folder):
    """fs:*: names, file system, offsets and bytes of files"""
    needs("fs:read", "func:vfs_read")
    t = folder + "/t.kymo"
    path = SCRATCH + "/name-of-a-file"
    record(t, ["fs:read", "fs:write", "fs:open", "fs:sync"], "sh", "-c",
           "dd if=/dev/zero of=$0 bs=5000 count=3 conv=fsync 2>/dev/null;"
           "dd if=$0 of=/dev/null bs=5000 skip=1 2>/dev/null", path)
    mine = lambda event, *names: [f[1:] for f in fields_of(t, event, "name", *names)
                                  if f[0] == "name-of-a-file"]
    reads = [("ext4", 5000, 5000, 5000), ("ext4", 10000, 5000, 5000), ("ext4", 15000, 5000, 0)]
    writes = [("ext4", 0, 5000, 5000), ("ext4", 5000, 5000, 5000), ("ext4", 10000, 5000, 5000)]
    equal(mine("fs:write", "fs", "offset", "bytes", "ret"), writes, "writes")
    equal(mine("fs:read", "fs", "offset", "bytes", "ret"), reads, "reads")
    equal(mine("fs:open", "fs", "ret"), [("ext4", 0)] * 2, "opens")
    equal(mine("fs:sync", "fs", "ret"), [("ext4", 0)], "syncs")
    check(not {"pipe:", "tty"} & {f[0] for f in fields_of(t, "fs:read", "name")}, "only files")


def locks(folder):
    """lock: a thread that waits for a lock which another one holds"""
    t = folder + "/t.kymo"
    nr = 5
    tid = int(record(t, ["lock"], *program("contend", nr)))
    got = spans(t, "lock")
    check(all(r["fields"]["lock"] for r in got), "locks: %r" % got[:3])
    equal({r["comm"] for r in got}, {"contend"}, "who waited")
    waits = [r for r in got if r["tid"] == tid and r["fields"]["kind"] == WRITE]
    check(len(waits) >= nr, "%d waits: %r" % (len(waits), got[:9]))
    equal(len({r["fields"]["lock"] for r in waits}), 1, "locks")


def retransmits(folder):
    """net:retransmit: a SYN to a neighbour who never answers is sent again after 1 and 2 s"""
    needs("net:retransmit", "fentry:tcp_retransmit_skb")
    t = folder + "/t.kymo"
    nr = 3
    silent_neighbour()
    try:
        before = sent_again()
        record(t, ["net:retransmit"], "python3", "-c", UNANSWERED, nr, options=["-a"])
        most = sent_again() - before
    finally:
        no_neighbour()
    got = fields_of(t, "net:retransmit", "daddr", "state", "family", "duration")
    check(nr <= len(got) <= most, "of %d retransmits: %r" % (most, got))
    equal({g[:3] for g in got}, {("10.9.0.2", 2, 2)}, "what is sent again")
    # Newer kernels wait as long as before, some times.
    linear = "/proc/sys/net/ipv4/tcp_syn_linear_timeouts"
    nr_linear = int(text_of(linear)) if os.path.exists(linear) else 1
    for i, g in enumerate(got):
        check(g[3] >= 900000000 << max(i - nr_linear + 1, 0), "after %d ns" % g[3])


def connections(folder):
    """net:connect and net:accept: a server that is in no hurry"""
    t = folder + "/t.kymo"
    code = ("import socket, threading, time\n"
            "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()\n"
            "print(s.getsockname()[1])\n"
            "c = [socket.create_connection(s.getsockname()) for i in range(3)]\n"
            "time.sleep(0.2)\n"
            "for i in range(3): s.accept()\n"
            "try: socket.create_connection(('127.0.0.1', 1))\n"
            "except OSError: pass\n")
    port = int(record(t, ["net:connect", "net:accept"], "python3", "-c", code).split()[0])
    equal(fields_of(t, "net:connect", "daddr", "dport", "state"),
          [("127.0.0.1", port, 1)] * 3 + [("127.0.0.1", 1, 7)], "connections")
    equal(len(spans(t, "net:accept")), 3, "accepted")
    if "inet_csk_accept" in kymo("list", "-v", "net:accept").split("here by ")[1].split(";")[0]:
        for d, in fields_of(t, "net:accept", "duration"):
            check(d >= 200000000, "accepted after %d ns" % d)


def interrupts(folder):
    """irq and softirq: the disk's interrupt, the timer"""
    t = folder + "/t.kymo"
    begin_ns = time.monotonic_ns()
    record(t, ["irq", "softirq"], "dd", "if=/dev/zero", "of=" + SCRATCH + "/x", "bs=4096",
           "count=10", "oflag=dsync", options=["-a"])
    took_ns = time.monotonic_ns() - begin_ns
    check(any("virtio" in n for n, in fields_of(t, "irq", "name")), "no disk's interrupt")
    vectors = {v for v, in fields_of(t, "softirq", "vec")}
    check(1 in vectors and vectors <= set(range(10)), "vectors: %r" % vectors)
    for event in ("irq", "softirq"):
        check(all(0 <= d < took_ns for d, in fields_of(t, event, "duration")), event)


run([disk_requests, functions, files, locks, retransmits, connections,
     interrupts])
