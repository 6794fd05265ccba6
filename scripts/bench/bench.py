#!/usr/bin/env python3
"""Measures kymo against perf, side by side, and prints every bar as a ratio.

  make bench                        everything (about fifteen minutes)
  make bench BENCH='--json FILE'    the figures as JSON, too
  make bench BENCH='views slice'    some sections only

Sections: size record idle start views memory slice burst, and of events calls whole
filters uprobes attach spans keys distributions; of the scheduler switches flood waits.
Run as root on a machine that does nothing else.  FLAMEGRAPH_DIR names a folder that holds
stackcollapse-perf.pl and flamegraph.pl, to be measured as well.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import probes  # noqa: E402
import reading  # noqa: E402
import recording  # noqa: E402
import spans  # noqa: E402
import waits  # noqa: E402
from measure import Failed, Table, text_of, wait_for_quiet  # noqa: E402

SECTIONS = {
    "size": recording.size,
    "record": recording.cost,
    "idle": recording.low_rate,
    "start": recording.start,
    "burst": recording.burst,
    "views": reading.views,
    "memory": reading.memory,
    "slice": reading.time_slice,
    "calls": probes.calls,
    "whole": probes.whole,
    "filters": probes.filters,
    "uprobes": probes.uprobes,
    "attach": probes.attach,
    "spans": spans.spans,
    "keys": spans.keys,
    "distributions": spans.distributions,
    "switches": waits.switches,
    "flood": waits.flood,
    "waits": waits.waits,
}


class Bench:
    """What all sections share."""

    def __init__(self, args, folder):
        self.table = Table()
        self.folder = folder
        self.repeat = args.repeat
        self.quick = args.quick
        self.kymo = os.environ["KYMO"]
        self.build = os.environ["BUILD"]
        # Its own cache of binaries: what others left in ~/.debug can make perf abort.
        self.perf = ["perf", "--buildid-dir", self.path("debug")]
        self.nr_cpus = os.cpu_count()
        self.load = self.path("cpuload")
        here = os.path.dirname(os.path.abspath(__file__))
        subprocess.run([os.environ.get("CC", "cc"), "-O1", "-g", "-fno-omit-frame-pointer",
                        "-fno-optimize-sibling-calls", "-pthread", "-o", self.load,
                        os.path.join(here, "cpuload.c")], check=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def kymo_info(self, trace):
        return json.loads(text_of([self.kymo, "info", "--json", "-i", trace]))

    def perf_samples(self, data):
        """The number of samples in a perf.data file."""
        stats = text_of([*self.perf, "report", "--stats", "-i", data])
        for line in stats.split("\n"):
            if "SAMPLE events:" in line:
                return int(line.split(":")[1].split()[0])
        raise Failed(f"perf report --stats tells no samples of {data}")


def machine():
    return {
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "perf": text_of(["perf", "--version"]).strip(),
        "kymo": text_of([os.environ["KYMO"], "--version"]).split("\n")[0],
    }


def main():
    parser = argparse.ArgumentParser(description="Measures kymo against perf.")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    parser.add_argument("--quick", action="store_true", help="less of everything, to try it")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each (default: 5)")
    parser.add_argument("--folder", help="where to put the traces (default: a temporary one)")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    args = parser.parse_args()
    unknown = set(args.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))} (there are: {', '.join(SECTIONS)})")
    if os.geteuid():
        print("bench: needs root, to record the whole machine", file=sys.stderr)
        return 1

    about = machine()
    print("  ".join(f"{key} {value}" for key, value in about.items()))
    with tempfile.TemporaryDirectory(prefix="kymo-bench-") as scratch:
        bench = Bench(args, args.folder or scratch)
        about["quiet"] = wait_for_quiet()
        if not about["quiet"]:
            print("the machine is busy with other things: figures are rough")
        for name in args.sections or SECTIONS:
            try:
                SECTIONS[name](bench)
            except Failed as e:
                bench.table.skip(name, str(e))
    table = bench.table
    print(f"\n{table.passed()} bars hold, {table.failed()} do not")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump({"machine": about, "rows": table.rows}, f, indent=1)
            f.write("\n")
    return 1 if table.failed() else 0


if __name__ == "__main__":
    sys.exit(main())
