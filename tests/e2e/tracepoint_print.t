#!/usr/bin/env python3
"""Records the same calls with kymo and with perf at once: what kymo script prints
of a tracepoint is what perf script prints.  Where kymo's program hangs on the
tracepoint itself, the kernel gives perf nothing; those events are left out here
(and are compared with libtraceevent by test_report_printfmt)."""
import collections
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

KYMO = os.path.abspath(os.environ["KYMO"])
EVENTS = """sched:sched_wakeup sched:sched_waking sched:sched_wakeup_new sched:sched_switch
sched:sched_process_fork sched:sched_process_exit sched:sched_process_wait
signal:signal_generate signal:signal_deliver irq:softirq_raise timer:hrtimer_cancel
timer:hrtimer_start task:task_newtask task:task_rename kmem:kfree
kmem:kmalloc net:netif_receive_skb net:net_dev_queue sock:inet_sock_set_state
raw_syscalls:sys_enter raw_syscalls:sys_exit syscalls:sys_enter_openat
syscalls:sys_exit_openat syscalls:sys_enter_connect syscalls:sys_enter_rename
syscalls:sys_enter_rt_sigaction writeback:writeback_dirty_folio""".split()
STIMULUS = r'''
import ctypes, os, signal, socket, sys, threading, time
libc = ctypes.CDLL(None)
libc.prctl(15, b"stimulus", 0, 0, 0)
signal.signal(signal.SIGUSR1, lambda *_: None)
os.kill(os.getpid(), signal.SIGUSR1)
thread = threading.Thread(target=time.sleep, args=(0.002,))
thread.start()
thread.join()
pid = os.fork()
if not pid:
    os._exit(3)
os.waitpid(pid, 0)
with open(sys.argv[1] + "/file name", "wb") as f:
    f.write(b"x" * 20000)
os.rename(sys.argv[1] + "/file name", sys.argv[1] + "/b")
s, c = socket.socket(), socket.socket()
s.bind(("127.0.0.1", 0))
s.listen(1)
c.connect(s.getsockname())
a, _ = s.accept()
c.send(b"hello")
a.recv(10)
'''
# Each may be tried for itself, which takes long where perf is emulated.
if "KYMO_VM_KERNEL" in os.environ:
    EVENTS = EVENTS[::3]
LINE = re.compile(r" *stimulus\s+\d+ \[\d+\]\s+[\d.]+: +(\w+:\w+): ?(.*?) *$")


def skip(reason):
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, errors="surrogateescape")


def texts(output):
    found = collections.defaultdict(collections.Counter)
    for line in output.splitlines():
        match = LINE.match(line)
        if match:
            found[match[1]][match[2]] += 1
    return found


def record(folder, events):
    ran = run(KYMO, "record", "-q", "-a", "--no-stack", "-m", "16M", "-o", folder + "/kymo",
              "-e", events, "--", "perf", "record", "-q", "-B", "-N", "-a", "-m", "2048", "-e", events,
              "-o", folder + "/perf", "--", sys.executable, "-c", STIMULUS, folder)
    if ran.returncode:
        skip("kymo cannot record tracepoints here: " + ran.stderr.strip()[:200])
    return (texts(run("perf", "script", "-i", folder + "/perf", "-F",
                      "comm,tid,cpu,time,event,trace").stdout),
            texts(run(KYMO, "script", "-i", folder + "/kymo").stdout))


def lost(trace):
    """How many records the trace says are missing: of a full buffer, or left out by the kernel."""
    return sum(row["count"] for row in
               json.loads(run(KYMO, "info", "--json", "-i", trace).stdout)["losses"])


def perf_takes(events):
    return run("perf", "record", "-q", "-B", "-N", "-a", "-o", "/dev/null", "-e",
               ",".join(events), "true").returncode == 0


def main():
    if not shutil.which("perf"):
        skip("no perf")
    with tempfile.TemporaryDirectory() as folder:
        usable = EVENTS if perf_takes(EVENTS) else [e for e in EVENTS if perf_takes([e])]
        if not usable:
            skip("perf cannot record tracepoints here")
        # Where other programs take the CPUs away, a recorder may lose records, and says so.
        for _ in range(3):
            theirs, ours = record(folder, ",".join(usable))
            if not lost(folder + "/kymo"):
                break
    print(f"1..{len(usable)}")
    for number, event in enumerate(usable, 1):
        if not theirs[event]:
            print(f"ok {number} - {event} # SKIP perf got no record of it")
            continue
        missing = theirs[event] - ours[event]
        print("ok" if not missing else "not ok", number,
              f"- {event}: the {theirs[event].total()} records read as perf prints them")
        for text in list(missing)[:2]:
            print("# perf:", text)
        for text in list(ours[event] - theirs[event])[:2] if missing else ():
            print("# kymo:", text)


main()
