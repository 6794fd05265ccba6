"""What spans and tallies cost when recording, and what it takes to look at their distributions."""

import os
import shutil
import subprocess
import time

from measure import Failed, Running, median, run, run_to, text_of
from probes import bare, kymo, load_path, lost_of, records_of, under

SPAN = "syscall:getppid"
PEERS = {
    "bpftrace, latency histogram of getppid": [
        "bpftrace", "-e",
        "tracepoint:syscalls:sys_enter_getppid { @s[tid] = nsecs; } "
        "tracepoint:syscalls:sys_exit_getppid /@s[tid]/ "
        "{ @us[comm] = hist(nsecs - @s[tid]); delete(@s[tid]); }"],
    "syscount -L (libbpf-tools)": ["syscount", "-L"],
}


def beside(bench, argv, load, base):
    """What a call takes while a peer looks on: median of runs, once it is attached."""
    with open(bench.path("peer.out"), "wb") as out:
        peer = Running(argv, stdout=out)
        try:
            short = [load[0], 100000, 1]
            end = time.monotonic() + 20
            while float(text_of(short)) < base + 15:
                if peer.child.poll() is not None or time.monotonic() > end:
                    raise Failed(f"{argv[0]} does not attach")
            return median([float(text_of(load)) for _ in range(bench.repeat)])
        finally:
            if peer.child.poll() is None:
                peer.interrupt()


def recorded(bench, nr, options, name):
    """Wall ns added to a call, CPU time of the recorder for each, bytes, in medians."""
    load, out = [load_path(bench), nr, 1], bench.path(name + ".kymo")
    base = bare(bench, load)
    runs = [under(bench, kymo(bench, out, *options), load, out) for _ in range(bench.repeat)]
    return (median([r.ns for r in runs]) - base, median([r.cpu for r in runs]) / nr * 1e6, out)


def spans(bench):
    table = bench.table
    table.section("each getppid as one span, or summed up by thread name with a histogram")
    nr = 200000 if bench.quick else 3000000
    added, cpu, out = recorded(bench, nr, ["-e", SPAN], "span")
    table.bar("span: added to each call", added, "ns", 240)
    table.figure("span: CPU time of the recorder, each", cpu, "us")
    table.bar("span: bytes each", os.path.getsize(out) / records_of(bench, out), "B", 3)
    table.bar("span: lost", lost_of(bench, out), "spans", 2, "ends of calls under way count")
    short, _, _ = recorded(bench, nr, ["-e", SPAN, "--min", "1s"], "short")
    table.figure("span with --min that drops all: added", short, "ns")
    tally, _, out = recorded(bench, nr, ["-e", SPAN, "--tally", "by=comm; hist=duration"],
                             "tally")
    table.bar("tally: added to each call", tally, "ns", 200)
    table.figure("tally: size of the file", os.path.getsize(out), "B")
    sums, _, _ = recorded(bench, nr, ["-e", SPAN, "--tally", "sum=duration"], "sums")
    table.figure("tally of count and sums alone: added to each call", sums, "ns")
    load = [load_path(bench), nr, 1]
    base = bare(bench, load)
    for name, argv in PEERS.items():
        if not shutil.which(argv[0]):
            table.skip(name, f"{argv[0]} is not installed")
            continue
        try:
            theirs = beside(bench, argv, load, base) - base
        except Failed as e:
            table.skip(name, str(e))
            continue
        table.figure(f"{name}: added", theirs, "ns")
        ours = sums if argv[0] == "syscount" else tally
        table.bar("added by the tally that tells the same / by it", ours / theirs, "", 1)


def cpu_ns(recorder):
    return recorder["user_ns"] + recorder["system_ns"]


def keys(bench):
    """A thousand keys with histograms, every second."""
    table = bench.table
    table.section("a tally of 1,000 keys with histograms, every second")
    out, seconds = bench.path("keys.kymo"), 3 if bench.quick else 10
    load = bench.path("keyload")
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run([os.environ.get("CC", "cc"), "-O1", "-o", load,
                    os.path.join(here, "keyload.c")], check=True)

    def cost(*options):
        run(kymo(bench, out, *options) + [load, 1000, seconds]).expect()
        last = bench.kymo_info(out)["recorder"]
        return last, os.path.getsize(out)

    for value, what in (("newfd", "ten buckets a key"), ("duration", "durations")):
        tally = f"by=oldfd; hist={value}; every=1s"
        idle, empty = cost("-e", "syscall:dup2", "--filter", "oldfd == -5", "--tally", tally)
        used, size = cost("-e", "syscall:dup2", "--tally", tally)
        rows = records_of(bench, out) / seconds
        taken = (size - empty) / seconds, (cpu_ns(used) - cpu_ns(idle)) / seconds / 1e6
        if value == "newfd":
            table.bar(f"{what}: bytes an interval", taken[0], "B", 20480, f"{rows:.0f} records")
            table.bar(f"{what}: CPU time of the recorder, each interval", taken[1], "ms", 1)
        else:
            table.figure(f"{what}: bytes an interval", taken[0], "B", f"{rows:.0f} records")
            table.figure(f"{what}: CPU time of the recorder, each interval", taken[1], "ms")


def generated(bench, nr):
    path = bench.path(f"spans-{nr}.kymo")
    if not os.path.exists(path):
        run([os.path.join(bench.build, "tests/spangen"), nr, path]).expect()
    return path


def distributions(bench):
    table = bench.table
    few, many = (100000, 1000000) if bench.quick else (1000000, 10000000)
    table.section(f"distributions of {few} and {many} spans")
    for name in ("hist", "heatmap"):
        taken = {}
        for nr in (few, many):
            argv = [bench.kymo, name, "-i", generated(bench, nr)]
            run_to(os.devnull, argv).expect()
            runs = [run_to(bench.path("out"), argv).expect() for _ in range(bench.repeat)]
            taken[nr] = (median([r.wall for r in runs]), max(r.rss_mib for r in runs))
        table.bar(f"kymo {name}", taken[few][0], "s", 0.1)
        table.bar(f"kymo {name}: memory", taken[many][1], "MiB", 64,
                  f"{taken[few][1]:.1f} and {taken[many][1]:.1f}")
        table.bar(f"kymo {name}: ten times as many take", taken[many][0] / taken[few][0],
                  "times", 11)
