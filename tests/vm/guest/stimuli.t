#!/usr/bin/env python3
"""Known causes and what the kernel says of them: block requests, TCP, memory, rights."""
import re
import time
from vm import *


def slow_disk(answer_ns):
    """/dev/nullb0, whose requests a timer's interrupt completes; its number"""
    if run_command(["modprobe", "null_blk", "nr_devices=1", "irqmode=2", "queue_mode=2",
                    "completion_nsec=%d" % answer_ns, "gb=1"]).returncode:
        skip("no null_blk module")
    device = os.stat("/dev/nullb0").st_rdev
    return os.major(device) << 20 | os.minor(device)


def block_requests(folder):
    """a disk that answers after 20 ms: each request issued and completed once"""
    t = folder + "/t.kymo"
    events = ["block:block_rq_issue", "block:block_rq_complete"]
    number = slow_disk(20000000)
    try:
        record(t, [(e, "--filter", "dev == %d" % number) for e in events],
               "dd", "if=/dev/nullb0", "of=/dev/null", "bs=4096", "count=10", "iflag=direct",
               options=["-a"])
        issued, done = (of_event(t, e) for e in events)
        equal((len(issued), len(done)), (10, 10), "requests")
        for begin, end in zip(issued, done):
            equal(begin["fields"]["sector"], end["fields"]["sector"], "sector")
            took = float(end["time"]) - float(begin["time"])
            check(0.0199 < took, "a request took %.6f s" % took)
    finally:
        run_command(["rmmod", "null_blk"])


def left_out(folder):
    """interrupts of busy programs: what the kernel leaves out is counted"""
    t = folder + "/t.kymo"
    completed, nr = "block:block_rq_complete", 1000
    busy = [x for event, never in (("kmem_cache_alloc", "bytes_req == 1"),
                                   ("kmem_cache_free", "ptr == 1"))
            for x in ("-e", "kmem:" + event, "--filter", never)]
    number = slow_disk(1000000)
    try:
        command = ("while :; do stat /; done >/dev/null & "
                   "dd if=/dev/nullb0 of=/dev/null bs=4096 count=%d iflag=direct; kill $!" % nr)
        told = run_command([KYMO, "record", "--no-stack", "-a", "-o", t, "-e", completed,
                            "--filter", "dev == %d" % number] + busy +
                           ["--", "taskset", "1", "sh", "-c", command])
        equal(told.returncode, 0, "exit status; %s" % told.stderr.decode())
        done = len(of_event(t, completed))
        lost = sum(int(n.replace(",", "")) for n in
                   re.findall(r"([\d,]+)  recursion, %s" % completed, kymo("info", "-i", t)))
        print("# %d of %d, %d left out" % (done, nr, lost))
        check(done <= nr <= done + lost, "%d completions of %d, %d left out" % (done, nr, lost))
        check(lost <= 2 * (nr - done) + 5, "%d left out, %d missing" % (lost, nr - done))
    finally:
        run_command(["rmmod", "null_blk"])


def retransmitted(folder):
    """a SYN to a neighbour who never answers is sent again"""
    t = folder + "/t.kymo"
    silent_neighbour()
    try:
        before = sent_again()
        record(t, [("tcp:tcp_retransmit_skb", "--filter", "dport == 4242")],
               "python3", "-c", UNANSWERED, 2, options=["-a"])
        most = sent_again() - before
    finally:
        no_neighbour()
    recs = records(t)
    # The kernel counts each before it tells of it, and the last may be too late.
    check(1 <= len(recs) <= most, "%d of %d retransmits" % (len(recs), most))
    equal({r["fields"]["dport"] for r in recs}, {4242}, "port")


def out_of_memory(folder):
    """the victim of a full cgroup is named"""
    group = "/sys/fs/cgroup/kymo-test"
    t = folder + "/t.kymo"
    try:
        write("/sys/fs/cgroup/cgroup.subtree_control", "+memory")
        os.mkdir(group)
        write(group + "/memory.max", "20M")
    except OSError as e:
        skip("no memory controller: %s" % e)
    code = ("import os\n"
            "open('%s/cgroup.procs', 'w').write(str(os.getpid()))\n"
            "print(os.getpid(), flush=True)\n"
            "b = bytearray(60 << 20)\n" % group)
    try:
        told = run_command([KYMO, "record", "-q", "-a", "-o", t, "-e", "oom:mark_victim", "--",
                            "sh", "-c", 'python3 -c "$0"; echo $?', code])
        equal(told.returncode, 0, told.stderr.decode())
        pid, status = told.stdout.decode().split()[:2]
        equal(status, "137", "the victim's end")
        equal([r["fields"]["pid"] for r in records(t)], [int(pid)], "victims")
    finally:
        os.rmdir(group)


def with_rights(folder, rights):
    """kymo record of root with these capabilities only: status, complaint, trace"""
    t = folder + "/t.kymo"
    told = run_command(["setpriv", "--bounding-set", "-all" + rights, "--inh-caps", "-all", KYMO,
                        "record", "-q", "-o", t, "-e", "syscalls:sys_enter_getppid", "--"] +
                       program("calls", "getppid", 100))
    return told.returncode, told.stderr.decode(), t


def no_rights(folder):
    """without capabilities one line says which is missing, and no file is left"""
    status, text, t = with_rights(folder, "")
    equal(status, 1, "exit status: %s" % text)
    equal(len(text.splitlines()), 1, "lines: %s" % text)
    check("CAP_" in text or "root" in text, text)
    check(not os.path.exists(t), "no file is left")


def few_rights(folder):
    """CAP_BPF and CAP_PERFMON are all that tracepoints take, below perf's highest level"""
    level = "/proc/sys/kernel/perf_event_paranoid"
    before = text_of(level)
    try:
        write(level, "3")
        status, text, _ = with_rights(folder, ",+bpf,+perfmon")
        # Debian's kernels ask for CAP_SYS_ADMIN then; others know no such level.
        if status:
            equal(len(text.splitlines()), 1, "lines: %s" % text)
            check("perf_event_paranoid is 3" in text and "CAP_SYS_ADMIN" in text, text)
        write(level, "2")
        status, text, t = with_rights(folder, ",+bpf,+perfmon")
        equal(status, 0, "exit status: %s" % text)
        equal(len(records(t)), 100, "records")
    finally:
        write(level, before)


run([block_requests, left_out, retransmitted, out_of_memory, no_rights, few_rights])
