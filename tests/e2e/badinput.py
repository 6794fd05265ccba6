"""
What cannot be recorded: one clear line, the right status, and nothing is left.
The tests that badevents.t and badends.t run.
"""
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *

TRACING = "/sys/kernel/tracing"
TYPES = "/sys/kernel/btf/vmlinux"
SWITCH = "sched:sched_switch"
UPROBES = os.path.join(PROGRAMS, "uprobes")
GUARDED = os.path.join(PROGRAMS, "usdts_guarded")


def refused(folder, args, words, status=1, before=(), command=("true",)):
    """kymo record must fail: one line with all the words in it, no file, nothing attached."""
    trace = folder + "/t.kymo"
    r = run_command(list(before) + [KYMO, "record", "-q", "-o", trace] + list(args) +
                    (["--"] + list(command) if command else []))
    text = r.stderr.decode()
    equal(r.returncode, status, "status of %s: %s" % (args, text))
    equal(len(text.splitlines()), 1, "lines for %s: %r" % (args, text))
    for word in words:
        check(word in text, "no %r in %r" % (word, text))
    equal([f for f in os.listdir(folder) if f.startswith("t.kymo")], [], "files left")
    return text


def recorded(folder, args, before=(), command=("true",)):
    """kymo record must do it; what it said."""
    trace = folder + "/t.kymo"
    r = run_command(list(before) + [KYMO, "record", "-o", trace] + list(args) +
                    (["--"] + list(command) if command else []))
    equal(r.returncode, 0, "status: %s" % r.stderr.decode())
    return r.stderr.decode()


def with_caps(*caps):
    """The front of a command that runs as nobody with these capabilities only."""
    if not shutil.which("setpriv"):
        skip("no setpriv")
    some = ",".join(["-all"] + ["+" + c for c in caps])
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=" + some,
            "--ambient-caps=" + some, "--bounding-set=" + some]


def own_mounts(script):
    """The front of a command that runs after the script, in a mount namespace of its own."""
    front = ["unshare", "-m", "sh", "-c", script + ' && exec "$@"', "sh"]
    if run_command(front + ["true"]).returncode:
        skip("cannot change mounts")
    return front


def open_folder(folder):
    """Somebody else may write there."""
    os.chmod(folder, 0o777)
    return folder


def has_kprobes():
    return os.path.exists("/sys/bus/event_source/devices/kprobe")


# --- names, fields, filters -----------------------------------------------------------


def near_names(folder):
    """an unknown event, of every kind, names those that are near"""
    for event, words in {
            "sched:sched_swich": ["'%s'" % SWITCH, "kymo list"],
            "raw_tracepoint:sched_swich": ["'sched_switch'", "kymo list"],
            "uprobe:%s:count_mee" % UPROBES: ["'count_me'"],
            "usdt:%s:guardet" % GUARDED: ["'guarded'"],
            "sched:nosuch*": ["nosuch*", "kymo list"],
            "nosuch:nosuch": ["nosuch:nosuch", "kymo list"],
            "uprobe:%s:nosuch*" % UPROBES: ["nosuch*"],
            "kprobe:vfs_raed": ["'vfs_raed'", "'vfs_read'"],
    }.items():
        refused(folder, ["-e", event], words)
    refused(folder, ["-e", "cpu-clok"], ["'cpu-clok'", "'cpu-clock'", "kymo list"], 2)
    refused(folder, ["-e", "pagefaults"], ["'page-faults'"], 2)


def fields(folder):
    """fields that are not there, too many, too long or twice"""
    for text, words in {
            "nosuch": ["'nosuch'", "prev_comm", "next_prio", "cgroup"],
            "prev_pid,prev_pid": ["two fields 'prev_pid'"],
            "a=prev_pid,a=next_pid": ["two fields 'a'"],
            "prev_comm:str(999999)": ["4096"],
            ",".join("f%d=prev_pid" % i for i in range(100)): ["more than 60 fields"],
            "prev_pid:str": ["prev_pid", ":str"],
    }.items():
        refused(folder, ["-e", "%s(%s)" % (SWITCH, text)], words, 2)


def filters(folder):
    """filters of wrong types, too long, too deep, too complex for the kernel's verifier"""
    for text, words, status in (
            ("prev_comm == 1", ["column 14", "prev_comm"], 2),
            ("prev_pid == \"x\"", ["column 13", "prev_pid"], 2),
            ("prev_pid + \"x\" == 1", ["column 12"], 2),
            (" || ".join("prev_pid == %d" % i for i in range(2000)), ["4096"], 2),
            ("(" * 300 + "prev_pid == 1", ["column 51", "deep"], 2),
            (" || ".join("prev_comm ~ \"*a*b*c%d*\"" % i for i in range(100)), ["filter"], None)):
        args = ["-e", SWITCH, "--filter", text]
        if status is None:
            # Some verifiers take it.
            r = run_command([KYMO, "record", "-q", "-o", folder + "/t.kymo"] + args + ["true"])
            if r.returncode == 0:
                continue
            equal(r.returncode, 1, "status of a filter that is too complex")
        refused(folder, args, words, status or 1)
    refused(folder, ["--filter", "pid == 1", "-e", SWITCH], ["--filter", "-e"], 2)


def twice(folder):
    """two events of one name could not be told apart"""
    for first, second in ((SWITCH, SWITCH), ("sched:*", SWITCH), ("cpu-clock", "cpu-clock"),
                          ("uprobe:%s:count_me" % UPROBES, "uprobe:%s:count_me" % UPROBES)):
        refused(folder, ["-e", first, "-e", second], ["twice", second], 2)
    refused(folder, ["-e", SWITCH + "," + SWITCH], ["twice"], 2)


def many(folder):
    """hundreds of -e are refused, hundreds of events in one are not"""
    refused(folder, sum((["-e", SWITCH] for _ in range(300)), []), ["256 -e", "commas"], 2)
    names = kymo("list", "syscalls:sys_enter_*").split()[:300]
    check(len(names) > 200, "tracepoints")
    recorded(folder, ["-e", ",".join(names)])


# --- rights ------------------------------------------------------------------------------


def is_paranoid():
    """Debian's kernels know a level at which CAP_PERFMON is not enough."""
    with open("/proc/sys/kernel/perf_event_paranoid") as f:
        return int(f.read()) > 2


def rights(folder):
    """the capability that is missing is named, and only that"""
    open_folder(folder)
    for caps, missing in (((), "CAP_BPF and CAP_PERFMON are missing"),
                          (("bpf",), "CAP_PERFMON is missing"),
                          (("perfmon",), "CAP_BPF is missing")):
        for event in (SWITCH, "*:*", "raw_tracepoint:sched_switch",
                      "uprobe:%s:count_me" % UPROBES, "usdt:%s:guarded" % GUARDED,
                      "kprobe:vfs_read"):
            text = refused(folder, ["-e", event], [missing], before=with_caps(*caps))
            check(event in text or "perf_event_paranoid" in text, text)


def enough_rights(folder):
    """CAP_BPF and CAP_PERFMON do for what needs no more"""
    open_folder(folder)
    if is_paranoid():
        refused(folder, ["-e", SWITCH], ["perf_event_paranoid"],
                before=with_caps("bpf", "perfmon"))
        skip("kernel.perf_event_paranoid is above 2")
    recorded(folder, ["-e", "raw_tracepoint:sched_switch"], with_caps("bpf", "perfmon"))
    recorded(folder, ["-e", SWITCH], with_caps("bpf", "perfmon", "dac_read_search"))
    os.unlink(folder + "/t.kymo")
    os.unlink(folder + "/t.kymo.old")
    refused(folder, ["-e", SWITCH], ["CAP_DAC_READ_SEARCH", TRACING],
            before=with_caps("bpf", "perfmon"))


def unprivileged_list(folder):
    """without root, kymo list shows what may be seen and says of the rest what is missing"""
    def listed(*args):
        return run_command(with_caps() + [KYMO, "list"] + list(args))

    r = listed()
    text = r.stdout.decode()
    equal((r.returncode, r.stderr), (0, b""), "kymo list")
    rows = {line.split()[0]: line for line in text.splitlines() if line}
    for kind in ("kprobe", "fentry", "tracepoint", "raw_tracepoint"):
        check("not here: " in rows[kind], rows[kind])
    for kind in ("fentry", "raw_tracepoint"):
        check("CAP_BPF" in rows[kind] and "CAP_PERFMON" in rows[kind], rows[kind])
    r = listed("sched:*")
    equal(r.returncode, 1, "status")
    equal(len(r.stderr.splitlines()), 1, "lines: %r" % r.stderr)
    check(b"CAP_DAC_READ_SEARCH" in r.stderr, r.stderr)
    r = listed("cpu*")
    check(r.returncode == 0 and b"cpu-clock" in r.stdout and b"not allowed" in r.stdout, r.stdout)
    for glob, word in (("uprobe:%s:count_*" % UPROBES, "count_me"),
                       ("usdt:%s:*" % GUARDED, "guarded"),
                       ("raw_tracepoint:sched_swi*", "sched_switch\t(not here: needs CAP_BPF"),
                       ("kprobe:vfs_rea*", "kprobe:vfs_read\t(not here: ")):
        r = listed(glob)
        check(r.returncode == 0 and word in r.stdout.decode(), "%s: %r" % (glob, r))


# --- what a kernel may lack ---------------------------------------------------------------


def no_types(folder):
    """without the kernel's types, tracepoints, uprobes and samples are recorded all the same"""
    with open(folder + "/empty", "w"):
        pass
    front = own_mounts("mount --bind %s/empty %s" % (folder, TYPES))
    work = subprocess.Popen(["sh", "-c", "while :; do kill -0 $$; done"])
    try:
        trace = folder + "/t.kymo"

        def sees_work():
            return any(x["pid"] == work.pid for x in records(trace, status=None))

        with recording(trace, "-a", "-e", "syscalls:sys_enter_kill(pid)", before=front):
            wait_until(sees_work, "calls")
        got = [x["fields"]["pid"] for x in records(trace) if x["pid"] == work.pid]
        equal(set(got), {work.pid}, "arguments")
        equal(info(trace)["host"]["probe syscalls:sys_enter_kill"], "tracepoint")
        args = ["-a", "--duration", "0.3"]
        recorded(folder, ["-e", "uprobe:%s:count_me" % UPROBES] + args, front, ())
        recorded(folder, ["-e", "raw_tracepoint:sched_switch"] + args, front, ())
        with recording(trace, "-a", "-e", "cpu-clock", "-F", "999", before=front) as r:
            wait_until(sees_work, "samples")
        check(TYPES in r.said, "what is missing: " + r.said)
    finally:
        work.kill()
        work.wait()
    for name in os.listdir(folder):
        if name.startswith("t.kymo"):
            os.unlink(folder + "/" + name)
    refused(folder, ["-e", SWITCH], [SWITCH, TYPES, "-a"], before=front)
    if has_kprobes():
        refused(folder, ["-a", "-e", "kprobe:vfs_read(file)"], ["'file'", TYPES, "arg0"], 2, front)


def no_tracefs(folder):
    """tracefs that is not mounted is found by root; who cannot mount it is told how"""
    script = "while umount -l %s; do :; done 2>/dev/null; umount -l /sys/kernel/debug 2>/dev/null"
    front = own_mounts(script % TRACING + "; test ! -e %s/events" % TRACING)
    recorded(folder, ["-e", SWITCH], front)
    for name in os.listdir(folder):
        os.unlink(folder + "/" + name)
    if is_paranoid():
        return
    open_folder(folder)
    refused(folder, ["-e", SWITCH], ["tracefs is not mounted", "mount -t tracefs"],
            before=front + with_caps("bpf", "perfmon"))


def strange_format(folder):
    """a tracepoint whose format is not understood is left out of a glob, and told"""
    for name in ("sched_switch", "strange"):
        os.makedirs(folder + "/events/sched/" + name)
    shutil.copyfile(TRACING + "/events/sched/sched_switch/format",
                    folder + "/events/sched/sched_switch/format")
    with open(folder + "/events/sched/strange/format", "w") as f:
        f.write("name: strange\nID: 7\nformat:\n\tfield:;;;\n")
    front = own_mounts("mount --bind %s/events %s/events" % (folder, TRACING))
    refused(folder, ["-e", "sched:strange"], ["'sched:strange'", "not understand"], before=front)
    text = recorded(folder, ["-e", "sched:*"], front)
    check("1 of 2 tracepoints are left out" in text and "'sched:strange'" in text, text)
    equal([e["name"] for e in info(folder + "/t.kymo")["events"]], [SWITCH], "events")


def pid_namespace(folder):
    """in a pid namespace of its own, whose numbers BPF does not know"""
    if run_command(["unshare", "-pf", "true"]).returncode:
        skip("no pid namespaces")
    refused(folder, ["-e", SWITCH], [SWITCH, "pid namespace"], before=["unshare", "-pf"])


def no_cgroup2(folder):
    """-G without cgroup2, or of a cgroup that is not there"""
    refused(folder, ["-G", "no/such", "-e", SWITCH], ["no/such"])
    mounts = [l.split()[1] for l in open("/proc/mounts") if l.split()[2] == "cgroup2"]
    script = "; ".join("umount -l " + m for m in reversed(mounts)) or "true"
    refused(folder, ["-G", "any", "-e", SWITCH], ["any", "cgroup2", "mounted"],
            before=own_mounts(script + "; true"))


# --- functions --------------------------------------------------------------------------


def kernel_functions(folder):
    """functions of the kernel that cannot be probed: why"""
    if not has_kprobes():
        refused(folder, ["-e", "kprobe:vfs_read"], ["'vfs_read'", "no kprobes"])
        refused(folder, ["-e", "kprobe:nosuchfunction"], ["no function 'nosuchfunction'"])
        skip("this kernel has no kprobes")
    if "[confidentiality]" in open("/sys/kernel/security/lockdown").read():
        skip("locked down")
    with open("/sys/kernel/debug/kprobes/blacklist") as f:
        names = {line.split()[1] for line in f if len(line.split()) > 1}
    black = next(n for n in ("notify_die", "do_int3", "exc_debug", *sorted(names)) if n in names)
    with open(TRACING + "/available_filter_functions") as f:
        traceable = {line.split()[0] for line in f}
    refused(folder, ["-e", "kprobe:" + black], [black, "blacklist"])
    refused(folder, ["-e", "kprobe:vfs_read+0x99999"], ["vfs_read+0x99999", "offset"])
    refused(folder, ["-e", "kprobe:nosuchfunction"], ["no function 'nosuchfunction'"])
    refused(folder, ["-e", "kprobe:nosuchmodule:f"], ["no such module"])
    refused(folder, ["-e", "kprobe:vfs_read(file->nosuch)"], ["struct file", "'nosuch'",
                                                             "f_path"], 2)
    refused(folder, ["-e", "kprobe:vfs_read(nosuch)"], ["'nosuch'", "count",
                                                       "file"], 2)
    check("vfs_read" in traceable, "vfs_read")


def all_functions(folder):
    """kprobe:* is done, or refused with the limit"""
    trace = folder + "/t.kymo"
    r = run_command([KYMO, "record", "-q", "-o", trace, "-e", "kprobe:*",
                     "--filter", "pid == 1 && pid == 2", "--", "true"], timeout=280)
    lines = r.stderr.decode().splitlines()
    if r.returncode:
        equal((r.returncode, len(lines)), (1, 1), "refusal: %s" % lines)
        check("functions" in lines[0] or "kprobes" in lines[0], lines[0])
        check(not os.path.exists(trace), "a file is left")


def library_globs(folder):
    """many functions of a library: those that kernels misread are left out, programs go on"""
    libc = next((l.split()[-1] for l in open("/proc/self/maps") if "/libc.so.6" in l), None)
    if not libc:
        skip("no libc.so.6")
    # A copy, so that nobody else stumbles over the probes.
    copy = folder + "/libc.so.6"
    shutil.copyfile(libc, copy)
    os.chmod(copy, 0o755)
    event = "uprobe:%s:__mem*" % copy
    text = recorded(folder, ["-e", event, "--filter", "pid == 1"], command=(
        "env", "LD_LIBRARY_PATH=" + folder, "sh", "-c", "echo x | tr x y | sort >/dev/null"))
    way = info(folder + "/t.kymo")["host"]["probe " + event]
    check(re.search(r" x [0-9]{2}", way), way)
    if os.uname().machine == "x86_64":
        check("left out" in text, "functions that begin with EVEX instructions: " + text)


def progress_line(folder):
    """attaching many shows how far it is on a terminal, and Ctrl-C ends it at once"""
    libc = next((l.split()[-1] for l in open("/proc/self/maps") if "/libc.so.6" in l), None)
    if not libc:
        skip("no libc.so.6")
    shutil.copyfile(libc, folder + "/copy.so")
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(KYMO, [KYMO, "record", "--use", "uprobe", "-o", folder + "/t.kymo", "-e",
                        "uprobe:%s/copy.so:*" % folder, "--", "true"])
    text, interrupted = b"", 0
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        if select.select([fd], [], [], 1)[0]:
            try:
                piece = os.read(fd, 4096)
            except OSError:
                break
            if not piece:
                break
            text += piece
        if not interrupted and b" of " in text:
            os.kill(pid, signal.SIGINT)
            interrupted = time.monotonic()
    ended = os.waitpid(pid, 0)[1]
    os.close(fd)
    check(re.search(rb"uprobe:\S+ [0-9]+ of [0-9]{4}\x1b\[K", text), "progress: %r" % text[-300:])
    check(b"interrupted while attaching" in text, "end: %r" % text[-300:])
    equal(os.WEXITSTATUS(ended), 1, "status")
    equal([f for f in os.listdir(folder) if f.startswith("t.kymo")], [], "files left")


def files(folder):
    """files without the function, without names, that are no ELF, or cut"""
    stripped = folder + "/stripped"
    if run_command(["strip", "-s", "-o", stripped, UPROBES]).returncode:
        skip("no strip")
    for name, data in (("text", b"#!/bin/sh\n"), ("short", b"\x7fELF"), ("none", b"")):
        with open(folder + "/" + name, "wb") as f:
            f.write(data)
    with open(UPROBES, "rb") as f, open(folder + "/cut", "wb") as to:
        to.write(f.read(3000))
    for path, words, status in (
            (stripped + ":count_me", ["stripped", "0x1234"], 1),
            (stripped + ":*", ["stripped"], 1),
            (UPROBES + ":0xffffffffff", ["0xffffffffff", "not in its code"], 2),
            (folder + "/text:f", ["text", "no ELF file"], 1),
            (folder + "/short:f", ["short", "no ELF file"], 1),
            (folder + "/none:f", ["none", "no ELF file"], 1),
            (folder + "/cut:f", ["cut"], 1),
            (folder + ":f", [folder], 1),
            ("/dev/null:f", ["/dev/null"], 1),
            (folder + "/nosuch:f", ["nosuch"], 1),
            ("nosuchlib:f", ["nosuchlib"], 1)):
        refused(folder, ["-e", "uprobe:" + path], words, status)
    for path, words in ((UPROBES + ":x:y", ["no static probes"]), (folder + "/text:x:y", ["text"])):
        refused(folder, ["-e", "usdt:" + path], words)


# --- limits -----------------------------------------------------------------------------


def open_files(folder):
    """few open files: the soft limit is raised, the hard one is told, however low it is"""
    events = ["-e", "sched:*", "-e", "syscalls:sys_enter_[a-g]*"]
    recorded(folder, events, ["sh", "-c", 'ulimit -Sn 64; exec "$@"', "sh"])
    for name in os.listdir(folder):
        os.unlink(folder + "/" + name)
    for limit in (64, 34, 30, 26, 22, 18, 14):
        refused(folder, events, ["ulimit -n" if limit == 64 else "open"],
                before=["sh", "-c", "ulimit -n %d; exec \"$@\"" % limit, "sh"])


def little_memory(folder):
    """too little memory is said in one line"""
    if SANITIZED:
        skip("a sanitizer itself takes terabytes of addresses")
    for kb in (20000, 50000, 80000, 120000):
        r = run_command(["sh", "-c", "ulimit -v %d; exec \"$@\"" % kb, "sh", KYMO, "record", "-q",
                         "-o", folder + "/t.kymo", "-e", SWITCH, "--", "true"])
        if r.returncode == 0:
            os.unlink(folder + "/t.kymo")
            continue
        lines = r.stderr.decode().splitlines()
        check(r.returncode in (1, 127) and len(lines) == 1, "%d kB: %r" % (kb, r))
        equal(os.listdir(folder), [], "files left")


def many_without_rights(folder):
    """every tracepoint of the machine, without root"""
    open_folder(folder)
    refused(folder, ["-e", "*:*"], ["CAP_BPF"], before=with_caps())


# --- ends ---------------------------------------------------------------------------------


def target_exits(folder):
    """a target that ends before, while and after it is attached to"""
    gone = subprocess.Popen(["true"])
    gone.wait()
    for option, word in (("-p", "process"), ("-t", "thread")):
        refused(folder, [option, str(gone.pid), "-e", SWITCH], ["no %s %d" % (word, gone.pid)],
                command=())
    for delay in (0, 0.005, 0.01, 0.02, 0.04, 0.08):
        for option in ("-p", "-t"):
            p = subprocess.Popen(["sleep", "60"])
            r = subprocess.Popen([KYMO, "record", "-q", "-o", folder + "/t.kymo", option,
                                  str(p.pid), "-e", "uprobe:%s:count_me" % UPROBES, "-e",
                                  "sched:*"], stderr=subprocess.PIPE)
            time.sleep(delay)
            p.kill()
            p.wait()
            text = r.communicate(timeout=60)[1].decode()
            check((r.returncode, len(text.splitlines())) in ((0, 0), (1, 1)),
                  "status %d: %r" % (r.returncode, text))
            for name in os.listdir(folder):
                check(r.returncode == 0, "file left after a failure: " + name)
                os.unlink(folder + "/" + name)


def full_disk(folder):
    """a full disk and a closed pipe end a recording of probes, and nothing stays attached"""
    args = ["-a", "-e", "sched:*", "-e", "syscalls:sys_enter_*", "-e",
            "uprobe:%s:count_me" % UPROBES]
    work = subprocess.Popen(["sh", "-c", "while :; do kill -0 $$; done"])
    try:
        line = complaint("record", "-q", "-o", "/dev/full", *args, timeout=60)
        check("no space left" in line.lower(), line)
        p = subprocess.Popen([KYMO, "record", "-q", "-o", "-"] + args, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        p.stdout.read(100)
        p.stdout.close()
        equal(p.wait(timeout=60), 1, "status")
        check(b"pipe" in p.stderr.read().lower(), "it says why")
    finally:
        work.kill()
        work.wait()
    nothing_attached()


def tracefs_state():
    state = {}
    for name in ("kprobe_events", "uprobe_events", "dynamic_events"):
        try:
            with open(TRACING + "/" + name) as f:
                state[name] = f.read()
        except OSError:
            pass
    if os.path.isdir("/sys/fs/bpf"):
        state["pins"] = os.listdir("/sys/fs/bpf")
    return state


def semaphore_of(p):
    """Reads the semaphore of usdts_guarded in a running process."""
    out = run_command(["nm", GUARDED]).stdout.decode()
    address = next(int(l.split()[0], 16) for l in out.splitlines()
                   if l.endswith(" kymotest_guarded_semaphore"))
    with open("/proc/%d/maps" % p.pid) as f:
        base = next(int(l.split("-")[0], 16) for l in f if l.rstrip().endswith("usdts_guarded"))

    def read():
        with open("/proc/%d/mem" % p.pid, "rb") as f:
            f.seek(address if address >= base else base + address)
            return int.from_bytes(f.read(2), "little")
    return read


def killed(folder):
    """after kill -9 semaphores count 0 again, and tracefs, pins and programs are as before"""
    before = tracefs_state()
    events = ["-e", "usdt:%s:guarded" % GUARDED, "--filter", "arg0 == -1",
              "-e", "uprobe:%s:count_me" % UPROBES, "-e", SWITCH]
    if has_kprobes():
        events += ["-e", "kprobe:vfs_read", "-e", "kretprobe:vfs_read"]
    p = subprocess.Popen([GUARDED, "2000000000"], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: os.readlink("/proc/%d/exe" % p.pid) == os.path.realpath(GUARDED) and
                   "usdts_guarded" in open("/proc/%d/maps" % p.pid).read(), "exec")
        semaphore = semaphore_of(p)
        equal(semaphore(), 0, "before")
        for options in (["-a"], ["-p", str(p.pid)]):
            r = subprocess.Popen([KYMO, "record", "-q", "-o", folder + "/t.kymo"] + options +
                                 events)
            wait_until(lambda: semaphore() or r.poll() is not None, "the semaphore")
            wait_until(lambda: os.path.exists(folder + "/t.kymo") or r.poll() is not None,
                       "the recording")
            equal(r.poll(), None, "the recorder has ended")
            r.kill()
            r.wait()
            wait_until(lambda: semaphore() == 0, "the semaphore to be 0 again")
            equal(tracefs_state(), before, "tracefs and pins")
            os.unlink(folder + "/t.kymo")
    finally:
        p.kill()
        p.wait()
    nothing_attached()
