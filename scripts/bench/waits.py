"""What the scheduler's story costs when recording, and what it takes to look at it."""

import os
import shutil
import subprocess

from measure import Failed, median, run, run_to
from probes import HERE, bare, kymo, under
from spans import beside

PERF_EVENT = "sched:sched_switch"
NO_STACKS = ["--no-stack"]


def load_path(bench):
    path = bench.path("switchload")
    if not os.path.exists(path):
        subprocess.run([os.environ.get("CC", "cc"), "-O1", "-g", "-fno-omit-frame-pointer",
                        "-o", path, os.path.join(HERE, "switchload.c")], check=True)
    return path


def records_of(bench, trace):
    """Parts of records are counted there, too, as events of their own."""
    return sum(e["records"] for e in bench.kymo_info(trace)["events"] if e["name"] == "sched")


def lost_of(bench, trace):
    """But for switches that the kernel itself shows to nobody: of some threads here."""
    return sum(row["count"] for row in bench.kymo_info(trace)["losses"]
               if row["cause"] != "recursion")


def perf(bench, *options):
    return [*bench.perf, "record", "-q", "-m", "16M", *options, "-e", PERF_EVENT, "-o",
            bench.path("switches.data")]


def measured(bench, argv, load, out):
    """Wall ns a switch, and CPU time of the recorder for the whole load, in medians."""
    runs = [under(bench, argv, load, out) for _ in range(bench.repeat)]
    return median([r.ns for r in runs]), median([r.cpu for r in runs])


def switches(bench):
    table, out = bench.table, bench.path("switches.kymo")
    rounds = 50000 if bench.quick else 500000
    for apart in (False, True):
        where = "on two CPUs, idle in between" if apart else "on one CPU"
        table.section(f"each context switch of a ping-pong over pipes, {where}")
        load = [load_path(bench), rounds, 1] + ["apart"] * apart
        base = bare(bench, load)
        table.figure("a switch alone", base, "ns")
        for stacks, options in ((False, NO_STACKS), (True, [])):
            what = "with stacks" if stacks else "without stacks"
            ns, cpu = measured(bench, kymo(bench, out, "-e", "sched", *options), load, out)
            nr = records_of(bench, out)
            added, each = ns - base, cpu / nr * 1e6
            table.figure(f"kymo {what}: added to each switch", added, "ns")
            table.figure(f"kymo {what}: CPU time of the recorder, each record", each, "us")
            table.bar(f"kymo {what}: lost", lost_of(bench, out), "records", 0)
            size = os.path.getsize(out) / nr
            if stacks:
                table.bar(f"kymo {what}: bytes a record", size, "B", 4.5)
            else:
                table.figure(f"kymo {what}: bytes a record", size, "B")
            # As many switches as ours: both have costs that do not depend on their number.
            theirs, their_cpu = measured(bench, perf(bench, *["-g"] * stacks), load,
                                         bench.path("switches.data"))
            their_nr = bench.perf_samples(bench.path("switches.data"))
            table.figure(f"perf {what}: added to each switch", theirs - base, "ns")
            table.figure(f"perf {what}: CPU time of the recorder, each record",
                         their_cpu / their_nr * 1e6, "us")
            table.figure(f"perf {what}: bytes a record",
                         os.path.getsize(bench.path("switches.data")) / their_nr, "B")
            table.bar(f"added by kymo / by perf, {what}", added / (theirs - base), "",
                      0.9 if stacks else 0.35)
            if stacks:
                table.bar("the aim of that: stacks that are remembered",
                          added / (theirs - base), "", 0.4)
            table.bar(f"CPU time of the recorder / perf's, {what}",
                      each / (their_cpu / their_nr * 1e6), "", 0.3)
            if stacks:
                beside_offcputime(bench, load, base, added)


def beside_offcputime(bench, load, base, added):
    if not shutil.which("offcputime"):
        bench.table.skip("offcputime", "offcputime is not installed")
        return
    try:
        theirs = beside(bench, ["offcputime", "100"], load, base) - base
    except Failed as e:
        bench.table.skip("offcputime", str(e))
        return
    bench.table.figure("offcputime (libbpf-tools): added to each switch", theirs, "ns")
    bench.table.bar("added by kymo with stacks / by offcputime", added / theirs, "", 0.9)


def flood(bench):
    """A pair on every CPU, all with stacks: at least 400,000 switches a second."""
    table, out = bench.table, bench.path("flood.kymo")
    table.section("context switches on all CPUs at once")
    rounds = 100000 if bench.quick else 1000000
    load = [load_path(bench), rounds, bench.nr_cpus]
    for stacks, options in ((False, NO_STACKS), (True, [])):
        what = "with stacks" if stacks else "without stacks"
        done = under(bench, kymo(bench, out, "-a", "-e", "sched", *options), load, out)
        rate = 1e9 / done.ns * bench.nr_cpus
        table.figure(f"switches a second, {what}", rate, "1/s")
        table.bar(f"lost, {what}", lost_of(bench, out), "records", 0,
                  f"of {records_of(bench, out)}")


def generated(bench, nr):
    path = bench.path(f"sched-{nr}.kymo")
    if not os.path.exists(path):
        run([os.path.join(bench.build, "tests/schedgen"), nr, path]).expect()
    return path


VIEWS = {
    "report --latency": ["report", "--latency"],
    "flamegraph -e offcpu": ["flamegraph", "-e", "offcpu"],
    "flamegraph -e runq": ["flamegraph", "-e", "runq"],
    "flamegraph -e oncpu": ["flamegraph", "-e", "oncpu"],
    "flamegraph -e offcpu --hops 1": ["flamegraph", "-e", "offcpu", "--hops", "1"],
    "flamegraph -e offcpu --hops 3": ["flamegraph", "-e", "offcpu", "--hops", "3"],
    "flamegraph --wall": ["flamegraph", "--wall"],
}


def waits(bench):
    table = bench.table
    few, many = (100000, 1000000) if bench.quick else (1000000, 10000000)
    table.section(f"views of {few} and {many} records of the scheduler")
    for name, argv in VIEWS.items():
        taken = {}
        for nr in (few, many):
            view = [bench.kymo, *argv, "-i", generated(bench, nr)]
            run_to(os.devnull, view).expect()
            runs = [run_to(bench.path("out"), view).expect() for _ in range(bench.repeat)]
            taken[nr] = (median([r.wall for r in runs]), max(r.rss_mib for r in runs))
        table.bar(f"kymo {name}", taken[few][0], "s", 0.15)
        table.bar(f"kymo {name}: memory", taken[many][1], "MiB", 64,
                  f"{taken[few][1]:.1f} and {taken[many][1]:.1f}")
        table.bar(f"kymo {name}: ten times as many take", taken[many][0] / taken[few][0],
                  "times", 11)
    diff(bench, few)
    timehist(bench)


def diff(bench, nr):
    slow = bench.path("slow.kymo")
    run([os.path.join(bench.build, "tests/schedgen"), nr, slow, "--slow", 3]).expect()
    argv = [bench.kymo, "flamegraph", "-e", "offcpu", "--diff", generated(bench, nr), "-i", slow]
    runs = [run_to(bench.path("out"), argv).expect() for _ in range(bench.repeat)]
    bench.table.bar("kymo flamegraph --diff, two traces", median([r.wall for r in runs]), "s", 0.3)
    bench.table.bar("kymo flamegraph --diff: memory", max(r.rss_mib for r in runs), "MiB", 64)


def timehist(bench):
    """The same load, recorded by each in turn."""
    table = bench.table
    load = [load_path(bench), 20000 if bench.quick else 200000, 1]
    data, out = bench.path("timehist.data"), bench.path("timehist.kymo")
    run([*bench.perf, "sched", "record", "-m", "16M", "-a", "-o", data, *load]).expect()
    run(kymo(bench, out, "-a", "-e", "sched", "--no-stack") + load).expect()
    switched = bench.perf_samples(data)
    theirs = median([run([*bench.perf, "sched", "timehist", "-i", data]).expect().wall
                     for _ in range(3)])
    ours = median([run([bench.kymo, "report", "--latency", "-i", out]).expect().wall
                   for _ in range(bench.repeat)])
    table.figure("perf sched timehist", theirs, "s", f"{switched} events")
    table.figure("kymo report --latency of the same load", ours, "s",
                 f"{records_of(bench, out)} records")
    table.bar("perf sched timehist / kymo report --latency", theirs / ours, "times", 8,
              at_least=True)
