"""Runs programs and measures them: wall time, CPU time, peak memory."""

import os
import signal
import statistics
import subprocess
import sys
import time


class Failed(Exception):
    """A program did not do what it was to do."""


class Result:
    """What one run of a program took; children that it waited for included."""

    def __init__(self, wall, usage, status, argv):
        self.wall = wall
        self.cpu = usage.ru_utime + usage.ru_stime
        self.rss_mib = usage.ru_maxrss / 1024
        self.status = os.waitstatus_to_exitcode(status)
        self.argv = argv

    def expect(self, *allowed):
        if self.status not in (allowed or (0,)):
            raise Failed(f"{' '.join(self.argv)}: status {self.status}")
        return self


class Running:
    """A program that was started and is waited for once."""

    def __init__(self, argv, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, cwd=None):
        self.argv = [str(a) for a in argv]
        self.start = time.perf_counter()
        self.child = subprocess.Popen(self.argv, stdin=stdin, stdout=stdout,
                                      stderr=subprocess.DEVNULL, cwd=cwd)

    def interrupt(self):
        self.child.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self):
        # wait4() rather than Popen.wait(): it tells what the child has used.
        _, status, usage = os.wait4(self.child.pid, 0)
        result = Result(time.perf_counter() - self.start, usage, status, self.argv)
        self.child.returncode = result.status
        return result


def run(argv, **how):
    return Running(argv, **how).wait()


def run_to(path, argv, **how):
    with open(path, "wb") as f:
        return Running(argv, stdout=f, **how).wait()


def text_of(argv):
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return done.stdout.decode(errors="replace")


def wait_until(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"{what} did not happen within {seconds} s")
        time.sleep(0.02)


def median(values):
    return statistics.median(values)


def machine_cpu_seconds():
    with open("/proc/stat", encoding="ascii") as f:
        numbers = [int(x) for x in f.readline().split()[1:9]]
    return (sum(numbers) - numbers[3] - numbers[4]) / os.sysconf("SC_CLK_TCK")


def wait_for_quiet(limit_seconds=20):
    """Others on this machine disturb the figures: waits a while for them to rest."""
    end = time.monotonic() + limit_seconds
    while time.monotonic() < end:
        used, at = machine_cpu_seconds(), time.monotonic()
        time.sleep(0.3)
        if (machine_cpu_seconds() - used) / (time.monotonic() - at) < 0.2:
            return True
    return False


class Table:
    """Bars and figures, printed as they come."""

    def __init__(self):
        self.rows = []

    def section(self, title):
        print(f"\n{title}", flush=True)

    def figure(self, name, value, unit="", note=""):
        self._add(name, value, unit, None, None, note)

    def bar(self, name, value, unit, limit, note="", at_least=False):
        """Holds when value <= limit, or >= limit."""
        passed = value >= limit if at_least else value <= limit
        self._add(name, value, unit, (">= " if at_least else "<= ") + f"{limit:g}", passed, note)

    def skip(self, name, why):
        self.rows.append({"name": name, "skipped": why})
        print(f"  {name:<52} {'-':>10} {'':<22} skipped: {why}", flush=True)

    def _add(self, name, value, unit, limit, passed, note):
        self.rows.append({"name": name, "value": value, "unit": unit, "limit": limit,
                          "pass": passed, "note": note})
        verdict = {True: "PASS", False: "FAIL", None: ""}[passed]
        print(f"  {name:<52} {value:>10.4g} {unit:<9} {limit or '':<9} {verdict:<5} {note}",
              flush=True)

    def failed(self):
        return sum(1 for row in self.rows if row.get("pass") is False)

    def passed(self):
        return sum(1 for row in self.rows if row.get("pass"))


def note(text):
    print(f"  ({text})", file=sys.stdout, flush=True)
