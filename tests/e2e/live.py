"""What the live tests share: running kymo, TAP output, work to record.

A test is a function that raises on failure; run(tests) prints TAP.  skip()
inside a test skips it, with the reason.
"""
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

KYMO = os.environ["KYMO"]
BUILD = os.environ["BUILD"]
PROGRAMS = os.path.join(BUILD, "tests", "programs")
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# A sanitized recorder is slow: what depends on its speed is skipped.
SANITIZED = bool(os.environ.get("SAN"))
# Where every instruction is emulated all takes fifty times as long.
EMULATED = "KYMO_VM_KERNEL" in os.environ


class Skip(Exception):
    pass


def skip(reason):
    raise Skip(reason)


def program(name, *args):
    path = os.path.join(PROGRAMS, name)
    if not os.path.exists(path):
        skip("no test program '%s'" % name)
    return [path] + [str(a) for a in args]


def run_command(args, timeout=120, **kw):
    kw.setdefault("stdout", subprocess.PIPE)
    kw.setdefault("stderr", subprocess.PIPE)
    return subprocess.run([str(a) for a in args], timeout=timeout, **kw)


def kymo(*args, status=0, **kw):
    """Runs kymo, checks its exit status, returns stdout as text."""
    r = run_command([KYMO] + list(args), **kw)
    if status is not None and r.returncode != status:
        raise AssertionError("kymo %s: exit status %d, not %d\n%s" % (
            " ".join(map(str, args)), r.returncode, status,
            r.stderr.decode(errors="replace") if r.stderr else ""))
    return r.stdout.decode(errors="replace") if r.stdout is not None else ""


def complaint(*args, status=1, **kw):
    """The one line on stderr of a kymo that must fail."""
    r = run_command([KYMO] + list(args), **kw)
    text = r.stderr.decode()
    check(r.returncode == status, "exit status %d, not %d: %s" % (r.returncode, status, text))
    lines = text.splitlines()
    check(len(lines) == 1, "one line on stderr, not: %r" % text)
    return lines[0]


# What was read last, by command: tests look at the same file again and again.
last_read = {}


def read_once(command, trace, *args):
    """What kymo COMMAND --json tells of a file, as text."""
    at = os.stat(trace)
    key = (trace, at.st_ino, at.st_mtime_ns, at.st_size, args)
    if last_read.get(command, (None,))[0] != key:
        last_read[command] = key, kymo(command, "--json", "-i", trace, *args[1:], status=args[0])
    return last_read[command][1]


def records(trace, *args, status=0):
    """Every record as kymo script --json tells it."""
    return [json.loads(line) for line in read_once("script", trace, status, *args).splitlines()]


def info(trace, *args, status=0):
    return json.loads(read_once("info", trace, status, *args))


def check(truth, text="it does not hold"):
    if not truth:
        raise AssertionError(text)


def equal(got, wanted, text=""):
    check(got == wanted, "%s: got %r, wanted %r" % (text, got, wanted))


def wait_until(condition, what, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        check(time.monotonic() < deadline, "waited too long for " + what)
        time.sleep(0.02)


@contextlib.contextmanager
def recording(trace, *args, before=()):
    """
    kymo record beside the block: what happens in it is recorded from its first moment on.
    After it .said is what kymo wrote to stderr.
    """
    if os.path.exists(trace):
        os.unlink(trace)
    p = subprocess.Popen([*before, KYMO, "record", "-o", trace, *map(str, args)],
                         stderr=subprocess.PIPE)
    try:
        # The file has that name once everything is attached and enabled.
        wait_until(lambda: os.path.exists(trace) or p.poll() is not None, "kymo record to begin")
        equal(p.poll(), None, "the recorder has ended")
        yield p
        if p.poll() is None:
            p.send_signal(signal.SIGINT)
        p.said = p.communicate(timeout=120)[1].decode(errors="replace")
        equal(p.returncode, 0, "exit status (%s)" % p.said)
    finally:
        p.kill()
        p.wait()
        p.stderr.close()


def recorded_so_far(trace):
    """The names of the events that records of a trace, which may still be written, are of."""
    r = run_command([KYMO, "info", "--json", "-i", trace])
    if r.returncode not in (0, 3):
        return set()
    return {e["name"] for e in json.loads(r.stdout)["events"] if e["records"]}


def programs_left():
    """The numbers of kymo's programs in the kernel that no process holds, which stay."""
    r = run_command(["bpftool", "prog", "show"], env=dict(
        os.environ, PATH=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"))
    left = set(re.findall(r"^(\d+): .*\bname kymo_probe", r.stdout.decode(), re.M))
    for path in glob.glob("/proc/[0-9]*/fdinfo/*"):
        try:
            with open(path) as f:
                left -= set(re.findall(r"^prog_id:\s*(\d+)", f.read(), re.M))
        except OSError:
            pass                # of a process that has ended, or that has closed it
    return left


def nothing_attached():
    """What the kernel still frees goes away; the numbers of programs do not come again."""
    left = programs_left()
    deadline = time.monotonic() + 60
    while left:
        check(time.monotonic() < deadline, "programs are still there: %s" % sorted(left))
        time.sleep(0.02)
        left &= programs_left()


def within_three(attempt, tries=3):
    """
    Runs attempt() again when it fails, so many times in all: for counts of samples
    against CPU time.  A hypervisor that takes a CPU away bends its timers or its
    accounts, and the two no longer agree; three times in a row it does not.
    """
    for left in reversed(range(tries)):
        try:
            return attempt()
        except AssertionError:
            if not left:
                raise


def is_caught(pid, number):
    try:
        with open("/proc/%d/status" % pid) as f:
            caught = int(re.search(r"^SigCgt:\s*(\w+)", f.read(), re.M)[1], 16)
    except OSError:
        return False
    return bool(caught >> (number - 1) & 1)


def interrupt(p, timeout=300):
    """
    Ends another tool as ^C does: what it says.  bpftrace 0.17 ends only if that comes while it
    waits for events, not while it handles them: it is told again, unless it would die of it.
    """
    p.send_signal(signal.SIGINT)
    for _ in range(timeout):
        try:
            return p.communicate(timeout=1)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            if "bpftrace" in p.args[:3] and is_caught(p.pid, signal.SIGINT):
                p.send_signal(signal.SIGINT)
    raise AssertionError("%s does not end" % " ".join(p.args))


def may_load_bpf():
    return os.geteuid() == 0


def run(tests, needs_bpf=True):
    """tests: functions of one argument, an empty folder of their own."""
    if needs_bpf and not may_load_bpf():
        print("1..0 # SKIP needs root to load BPF programs")
        return
    failed = 0
    print("1..%d" % len(tests))
    for i, test in enumerate(tests, 1):
        name = (test.__doc__ or test.__name__).strip().splitlines()[0]
        folder = tempfile.mkdtemp(prefix="kymo-test-")
        os.chmod(folder, 0o755)
        try:
            test(folder)
            print("ok %d - %s" % (i, name))
        except Skip as reason:
            print("ok %d - %s # SKIP %s" % (i, name, reason))
        except Exception:
            failed += 1
            print("not ok %d - %s" % (i, name))
            for line in traceback.format_exc().splitlines():
                print("# " + line)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        sys.stdout.flush()
    sys.exit(1 if failed else 0)
