"""What recording every hit of an event costs, beside perf, trace-cmd and bpftrace."""

import os
import re
import shutil
import signal
import subprocess

from measure import Failed, median, run, text_of

HERE = os.path.dirname(os.path.abspath(__file__))
ENTER, EXIT = "raw_syscalls:sys_enter", "raw_syscalls:sys_exit"


def load_path(bench):
    path = bench.path("callload")
    if not os.path.exists(path):
        subprocess.run([os.environ.get("CC", "cc"), "-O1", "-g", "-fno-omit-frame-pointer",
                        "-pthread", "-o", path, os.path.join(HERE, "callload.c")], check=True)
    return path


class Recorded:
    """One run of the load under a recorder."""

    def __init__(self, ns_per_call, cpu, path):
        self.ns, self.cpu, self.path = ns_per_call, cpu, path


def under(bench, argv, load, out=None):
    """
    Runs the load as the command of a recorder, which passes on what it prints.  The
    recorder's CPU time is that of both less that of the load alone, which the shell's
    `times` tells.
    """
    script = '"$@" >%s; times >%s' % (bench.path("load.out"), bench.path("load.times"))
    done = run([*argv, "sh", "-c", script, "sh", *load])
    done.expect(0, -signal.SIGINT)
    with open(bench.path("load.out"), encoding="ascii") as f:
        ns = float(f.read().split()[-1])
    with open(bench.path("load.times"), encoding="ascii") as f:
        used = sum(int(m) * 60 + float(s)
                   for m, s in re.findall(r"(\d+)m([\d.]+)s", f.read()))
    return Recorded(ns, max(done.cpu - used, 0), out)


def bare(bench, load):
    return median([float(text_of(load)) for _ in range(bench.repeat)])


def kymo(bench, out, *options):
    return [bench.kymo, "record", "-q", "-o", out, *options, "--"]


def full_records(out, bench):
    return kymo(bench, out, "-e", ENTER, "-e", EXIT)


def lost_of(bench, trace):
    return sum(row["count"] for row in bench.kymo_info(trace)["losses"])


def records_of(bench, trace):
    return sum(e["records"] for e in bench.kymo_info(trace)["events"])


def peers(bench):
    """Name, command, output; those that are installed."""
    found = [("perf", [*bench.perf, "record", "-q", "-m", "16M", "-e", ENTER, "-e", EXIT, "-o",
                       bench.path("calls.data")], bench.path("calls.data"))]
    if shutil.which("trace-cmd"):
        found.append(("trace-cmd", [os.path.join(HERE, "shadow-ftrace"), "trace-cmd", "record",
                                    "--compression", "zstd", "-F", "-c", "-e", ENTER, "-e", EXIT, "-o",
                                    bench.path("calls.dat")], bench.path("calls.dat")))
    return found


def calls(bench):
    """Enter and exit of a cheap system call, one thread."""
    bench.table.section("each enter and exit of getppid as a record, one thread")
    nr = 200000 if bench.quick else 3000000
    load = [load_path(bench), nr, 1]
    base = bare(bench, load)
    bench.table.figure("getppid alone", base, "ns")
    out = bench.path("calls.kymo")
    empty = median([under(bench, kymo(bench, out, "-e", ENTER, "--filter", "0 == 1", "-e", EXIT,
                                      "--filter", "0 == 1"), load).ns
                    for _ in range(bench.repeat)]) - base
    bench.table.figure("kymo, filters that drop everything unseen: added", empty, "ns")
    runs = [under(bench, full_records(out, bench), load, out) for _ in range(bench.repeat)]
    added = median([r.ns for r in runs]) - base
    bench.table.bar("kymo: added to each call", added, "ns", 300)
    cpu = median([r.cpu for r in runs]) / (2 * nr) * 1e6
    bench.table.bar("kymo: CPU time of the recorder, each event", cpu, "us", 0.15)
    bench.table.bar("kymo: bytes an event", os.path.getsize(out) / records_of(bench, out), "B", 2)
    bench.table.bar("kymo: lost", lost_of(bench, out), "events", 0)
    for name, argv, path in peers(bench):
        try:
            fewer = [load[0], nr // 5, 1]
            theirs = [under(bench, argv, fewer, path) for _ in range(max(bench.repeat // 2, 1))]
        except Failed as e:
            bench.table.skip(name, str(e))
            continue
        ns = median([r.ns for r in theirs]) - base
        bench.table.figure(f"{name}: added to each call", ns, "ns")
        bench.table.figure(f"{name}: CPU time of the recorder, each event",
                           median([r.cpu for r in theirs]) / (2 * nr / 5) * 1e6, "us")
        bench.table.figure(f"{name}: bytes an event", os.path.getsize(path) / (2 * nr / 5), "B")
        bench.table.bar(f"added by kymo / by {name}", added / ns, "", 0.25 if name == "perf" else 1)


def whole(bench):
    """Two threads as fast as they can."""
    bench.table.section("two threads, all of their calls")
    nr = 300000 if bench.quick else 5000000
    load, out = [load_path(bench), nr, 2], bench.path("whole.kymo")
    lost, rates, cpu = [], [], []
    for _ in range(bench.repeat):
        r = under(bench, full_records(out, bench), load, out)
        lost.append(lost_of(bench, out))
        rates.append(4 / r.ns * 1e3)
        cpu.append(r.cpu / (4 * nr) * 1e6)
    bench.table.bar("million events a second", median(rates), "M/s", 5, at_least=True)
    bench.table.bar("lost, in the worst run", max(lost), "events", 0)
    bench.table.bar("CPU time of the recorder, each event", median(cpu), "us", 0.15)


def filters(bench):
    """What a filter and a list of fields cost."""
    bench.table.section("filters and fields, one thread, enter only")
    nr = 200000 if bench.quick else 3000000
    load, out = [load_path(bench), nr, 1], bench.path("filter.kymo")
    base = bare(bench, load)
    variants = {
        "empty program": ["-e", ENTER + "()", "--filter", "0 == 1"],
        "filter on a field that drops everything": ["-e", ENTER + "()", "--filter", "id == 9999"],
        "filter on the name that drops everything": ["-e", ENTER + "()", "--filter",
                                                     'comm == "nobody"'],
        "one field": ["-e", ENTER + "(id)"],
        "all fields": ["-e", ENTER],
        "one field by the tracepoint": ["--use", "tracepoint,mapped", "-e", ENTER + "(id)"],
    }
    added = {}
    for name, options in variants.items():
        added[name] = median([under(bench, kymo(bench, out, *options), load).ns
                              for _ in range(bench.repeat)]) - base
        bench.table.figure(name, added[name], "ns")
    bench.table.bar("drop by a field / empty", added["filter on a field that drops everything"] /
                    added["empty program"], "", 1.5)


def uprobes(bench):
    """A hit of a uprobe against an empty program."""
    bench.table.section("uprobe on an empty function, one thread")
    nr = 20000 if bench.quick else 200000
    load, out = [load_path(bench), nr, 1, "function"], bench.path("uprobe.kymo")
    base = bare(bench, load)
    where = f"uprobe:{load[0]}:called"
    empty, full = [], []
    for _ in range(bench.repeat):
        empty.append(under(bench, kymo(bench, out, "-e", where + "()", "--filter", "0 == 1"),
                           load).ns)
        full.append(under(bench, kymo(bench, out, "-e", where + "(i)"), load).ns)
    bench.table.figure("program that drops everything", median(empty) - base, "ns")
    bench.table.figure("record with one argument", median(full) - base, "ns")
    bench.table.bar("record / empty", (median(full) - base) / (median(empty) - base), "", 1.1)
    bench.table.bar("lost", lost_of(bench, out), "events", 0)


def attach(bench):
    """A thousand tracepoints."""
    bench.table.section("a thousand tracepoints and more, attached and detached")
    out = bench.path("attach.kymo")
    for events in ("syscalls:*", "*:*"):
        runs = []
        for _ in range(max(bench.repeat // 2, 1)):
            runs.append(run(kymo(bench, out, "-e", events) + ["true"]).expect().wall)
        nr = len(bench.kymo_info(out)["events"])
        bench.table.bar(f"{nr} tracepoints ({events}), a thousand of them",
                        median(runs) / nr * 1000, "s", 6, "attach and detach")
