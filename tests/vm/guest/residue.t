#!/usr/bin/env python3
"""Nothing stays in the kernel after the recorder is gone, killed included."""
import ctypes
import signal
import struct
import time
from vm import *

EVENTS = ["syscalls:sys_enter_getppid", "kprobe:" + SYSCALL + "getppid",
          "kretprobe:" + SYSCALL + "getppid", "uprobe:%s:call_getppid" % program("calls")[0]]
SYS_BPF = {"x86_64": 321, "aarch64": 280}[MACHINE]
NEXT_ID = {"programs": 11, "maps": 12, "links": 31}


def bpf_ids(what):
    """The numbers of what there is in the kernel."""
    libc = ctypes.CDLL(None, use_errno=True)
    ids, last = [], 0
    while True:
        attr = ctypes.create_string_buffer(struct.pack("=IIII", last, 0, 0, 0), 16)
        if libc.syscall(SYS_BPF, NEXT_ID[what], attr, 16):
            return ids
        last = struct.unpack("=IIII", attr.raw)[1]
        ids.append(last)


def in_kernel():
    state = {what: set(bpf_ids(what)) for what in NEXT_ID}
    for name in ("kprobe_events", "uprobe_events", "set_event"):
        state[name] = set(text_of(TRACING + "/" + name).splitlines())
    state["pins"] = set(os.listdir("/sys/fs/bpf"))
    return state


def gone(before):
    """The kernel takes its time; what others had before may go meanwhile, too."""
    end = time.monotonic() + 100
    while True:
        left = {what: now - before[what] for what, now in in_kernel().items()}
        if not any(left.values()):
            return
        check(time.monotonic() < end, "left in the kernel: %s" % left)
        time.sleep(0.05)


def events():
    return [x for event in EVENTS for x in ("-e", event)]


def failed(folder):
    """after an attach that fails half-way"""
    before = in_kernel()
    text = complaint("record", "-q", "-o", folder + "/t.kymo", *events(),
                     "-e", "kprobe:no_such_function", "--", "true")
    check("no_such_function" in text, text)
    gone(before)


def killed(folder):
    """after kill -9 of the recorder, while probes hit"""
    before = in_kernel()
    trace = folder + "/t.kymo"
    recorder = subprocess.Popen([KYMO, "record", "-q", "-a", "-o", trace] + events())

    def recording():
        check(recorder.poll() is None, "kymo has ended: %s" % recorder.returncode)
        return os.path.exists(trace) and os.path.getsize(trace) > 4096

    try:
        # Its first block is in the file: all is attached, and probes hit.
        while not recording():
            run_command(program("calls", "getppid", 5000))
    finally:
        recorder.send_signal(signal.SIGKILL)
        recorder.wait()
    gone(before)


def ended(folder):
    """after an end as usual, of a recording after those"""
    before = in_kernel()
    kymo("record", "-q", "-o", folder + "/t.kymo", *events(), "--",
         *program("calls", "getppid", 10))
    check(len(records(folder + "/t.kymo")) >= 30, "recording again")
    gone(before)


run([failed, killed, ended])
