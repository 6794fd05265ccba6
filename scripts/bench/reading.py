"""How long the views take, and how much memory."""

import glob
import os
import shutil

import recording
from measure import median, run, run_to

VIEWS = {
    "report": ["report"],
    "report -g": ["report", "-g"],
    "script": ["script"],
    "script --json": ["script", "--json"],
    "flamegraph": ["flamegraph"],
    "flamegraph --folded": ["flamegraph", "--folded"],
    "info": ["info"],
}


def flamegraph_scripts():
    """(stackcollapse-perf.pl, flamegraph.pl), each None if it is not there."""
    def find(name):
        folder = os.environ.get("FLAMEGRAPH_DIR")
        if folder and os.path.exists(os.path.join(folder, name)):
            return os.path.join(folder, name)
        found = shutil.which(name)
        if found:
            return found
        # Debian's libdevel-nytprof-perl brings one of them along.
        for path in glob.glob("/usr/share/**/" + name, recursive=True):
            return path
        return None
    return find("stackcollapse-perf.pl"), find("flamegraph.pl")


def repeated(bench, argv, times=None, out=os.devnull):
    times = times or bench.repeat
    run_to(out, argv).expect()
    return median([run_to(out, argv).expect().wall for _ in range(times)])


def pipeline(bench, data):
    """Seconds of perf script | stackcollapse-perf.pl | flamegraph.pl, or None."""
    collapse, flamegraph = flamegraph_scripts()
    if not collapse or not flamegraph:
        return None, ("needs stackcollapse-perf.pl and flamegraph.pl: set FLAMEGRAPH_DIR"
                      f" (found: {collapse}, {flamegraph})")
    shell = (f"{' '.join(bench.perf)} script -i {data} 2>/dev/null | perl {collapse} 2>/dev/null | "
             f"perl {flamegraph} >{bench.path('peer.svg')}")
    return median([run(["sh", "-c", shell]).expect().wall for _ in range(2)]), ""


def views(bench):
    table = bench.table
    table.section("Views on the same run, per sample; medians, warm file cache")
    paths, samples = recording.traces(bench)
    kymo, perf = {}, {}
    for name, argv in VIEWS.items():
        kymo[name] = repeated(bench, [bench.kymo, *argv, "-i", paths["kymo"]])
    svg = bench.path("flame.svg")
    kymo["flamegraph"] = repeated(
        bench, [bench.kymo, "flamegraph", "-i", paths["kymo"], "-o", svg])
    perf["report"] = repeated(bench, [*bench.perf, "report", "--stdio", "--no-children",
                                      "-i", paths["perf"]], 3)
    perf["script"] = repeated(bench, [*bench.perf, "script", "-i", paths["perf"]], 3)
    for name, seconds in kymo.items():
        table.figure(f"kymo {name}", seconds, "s", f"{samples['kymo']} samples")
    for name, seconds in perf.items():
        table.figure(f"perf {name}", seconds, "s", f"{samples['perf']} samples")

    def times_faster(theirs, ours):
        return (theirs / samples["perf"]) / (ours / samples["kymo"])

    table.bar("report: faster than perf report", times_faster(perf["report"], kymo["report"]),
              "times", 10, at_least=True)
    table.bar("script: faster than perf script", times_faster(perf["script"], kymo["script"]),
              "times", 4, at_least=True)
    table.bar("flamegraph: faster than perf report",
              times_faster(perf["report"], kymo["flamegraph"]), "times", 10, at_least=True)
    perl, why = pipeline(bench, paths["perf"])
    if perl:
        table.figure("perf script | stackcollapse-perf.pl | flamegraph.pl", perl, "s")
        table.bar("flamegraph: faster than the Perl pipeline",
                  times_faster(perl, kymo["flamegraph"]), "times", 100, at_least=True)
    else:
        table.skip("flamegraph: faster than the Perl pipeline", why)


def generated(bench, samples):
    path = bench.path(f"generated-{samples}.kymo")
    if not os.path.exists(path):
        run([os.path.join(bench.build, "tests/tracegen"), samples, path]).expect()
    return path


def memory(bench):
    table = bench.table
    sizes = (100000, 500000) if bench.quick else (1000000, 5000000)
    table.section(f"Peak memory on {sizes[0]} and {sizes[1]} samples")
    for name, argv in VIEWS.items():
        rss = [run([bench.kymo, *argv, "-i", generated(bench, n)]).expect().rss_mib
               for n in sizes]
        table.bar(f"kymo {name}", max(rss), "MiB", 64,
                  " and ".join(f"{r:.1f}" for r in rss))


def time_slice(bench):
    table = bench.table
    samples = 500000 if bench.quick else 5000000
    table.section(f"1 % of the time of {samples} samples, against the whole")
    trace = generated(bench, samples)
    for name in ("report", "script", "flamegraph"):
        argv = [bench.kymo, *VIEWS[name], "-i", trace]
        whole = repeated(bench, argv, 3)
        part = repeated(bench, [*argv, "--time", "50%,51%"])
        table.bar(f"kymo {name}", 100 * part / whole, "%", 5,
                  f"{1000 * part:.1f} ms of {1000 * whole:.0f} ms")
