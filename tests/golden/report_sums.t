#!/usr/bin/env python3
"""The sums of report are those of a program that knows only kymo-format(5).

The second reader prints all records, stacks and names; from these the tables
are computed anew, slowly and plainly, and compared with report --json.
"""

import collections
import json
import os
import re
import subprocess
import sys
import tempfile

KYMO, BUILD = os.environ["KYMO"], os.environ["BUILD"]
READER = [sys.executable, "-B", "tests/reader/kymo_reader.py"]
SPECIAL = {1: "[truncated]", 2: "[no stack]"}
KERNEL, KERNEL_MODULE, BPF, VDSO, JIT = 1, 2, 3, 5, 6
TIME, CPU, TASK, STACK, WEIGHT, DURATION, STATE = 1, 2, 3, 4, 5, 6, 13

results = []


def module_name(kind, path):
    if kind == KERNEL:
        return "[kernel.kallsyms]"
    if kind == KERNEL_MODULE:
        return path if path[:1] in ("", "[", "/") else f"[{path}]"
    if kind == BPF:
        return "[bpf]"
    if kind == VDSO:
        return "[vdso]"
    if kind == JIT:
        return path if path and not path.startswith("//anon") else "[jit]"
    return path or "[unknown]"


def text(cell):
    """What a C program sees of a text that the reader escaped, as JSON can say it."""
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()),
                 cell.encode())
    return raw.split(b"\0")[0].decode(errors="replace")


class Trace:
    """What the second reader says."""

    def __init__(self, path):
        self.events, self.tasks, self.modules, self.frames = {}, {}, {}, {}
        self.stacks, self.records, self.losses = {}, [], []
        printed = subprocess.run(READER + [path], capture_output=True, check=True).stdout
        for line in printed.decode().split("\n"):
            word, *cells = line.split("\t")
            getattr(self, "take_" + word, lambda *cells: None)(*cells)
        self.names = {i: self.name(*f) for i, f in self.frames.items()}
        self.chains = {}
        self.rows = list(self.make_rows())

    def take_event(self, event, name, *_):
        self.events[int(event)] = self.event = (text(name), [])

    def take_field(self, column, name, kind, role, *_):
        self.event[1].append(int(role))

    def take_task(self, task, time, pid, tid, parent, ns_pid, comm, cmdline, cgroup, *_):
        self.tasks[int(task)] = {"pid": int(pid), "tid": int(tid),
                                 "comm": text(comm) or "[unknown]",
                                 "cgroup": text(cgroup) or "[unknown]"}

    def take_module(self, module, kind, path, *_):
        self.modules[int(module)] = int(kind), text(path)

    def take_frame(self, frame, module, offset, start, size, name):
        self.frames[int(frame)] = int(module), int(offset), text(name)

    def take_stack(self, stack, parent, frame):
        self.stacks[int(stack)] = int(parent), int(frame)

    def take_record(self, event, *values):
        self.records.append((int(event), values))

    def take_loss(self, first, last, cpu, event, cause, count):
        self.losses.append((int(cpu), int(event), int(cause), int(count)))

    def name(self, module, offset, symbol):
        if not module:
            return "[unknown]", SPECIAL.get(offset, "[unknown]")
        kind, path = self.modules.get(module, (0, ""))
        return module_name(kind, path), symbol or "[unknown]"

    def chain(self, stack):
        """(module, symbol) of the frames, the innermost first."""
        if stack not in self.chains:
            frames, at = [], stack
            while at in self.stacks:
                at, frame = self.stacks[at]
                frames.append(self.names.get(frame, ("[unknown]", "[unknown]")))
            self.chains[stack] = frames
        return self.chains[stack]

    def make_rows(self):
        """Every record as a dict of what it can be grouped by, and its chain."""
        unknown = {"pid": 0, "tid": 0, "comm": "[unknown]", "cgroup": "[unknown]"}
        for event, values in self.records:
            name, roles = self.events[event]
            by_role = {role: int(v) for role, v in zip(roles, values)
                       if role in (TIME, CPU, TASK, STACK, WEIGHT, DURATION, STATE)}
            state = by_role.get(STATE, 0)
            letter = chr(state) if state < 128 and chr(state).isalpha() else state
            yield {**self.tasks.get(by_role.get(TASK, 0), unknown),
                   "event": name, "cpu": by_role.get(CPU, 0), "state": letter,
                   "time": by_role[TIME],
                   "weight": by_role.get(WEIGHT, by_role.get(DURATION, 1)),
                   "is_span": WEIGHT not in by_role and DURATION in by_role,
                   "chain": self.chain(by_role.get(STACK, 0))
                   or [("[unknown]", "[unknown]")]}


def cut(row, first_ns):
    """The record with what it has from then on."""
    if not row["is_span"]:
        return row
    return {**row, "weight": min(row["weight"], row["time"] - first_ns)}


def profile(trace, keys, wanted=lambda row: True, first_ns=0):
    """{(event, keys...): [samples, self, children]}"""
    sums = collections.defaultdict(lambda: [0, 0, 0])

    def of(row, frame):
        module, symbol = frame
        values = {"module": module, "symbol": (module, symbol), **row}
        return (row["event"], *(values[k] for k in keys))

    for row in trace.rows:
        if not wanted(row):
            continue
        row = cut(row, first_ns)
        own = of(row, row["chain"][0])
        sums[own][0] += 1
        sums[own][1] += row["weight"]
        for one in {of(row, frame) for frame in row["chain"]}:
            sums[one][2] += row["weight"]
    return sums


def reported(keys, *args, path, pipe=False):
    command = [KYMO, "report", "--json", "--children", "--by", ",".join(keys), *args]
    with open(path, "rb") as f:
        done = subprocess.run(command + ["-i", "-" if pipe else path], stdin=f,
                              capture_output=True)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    sums = collections.defaultdict(lambda: [0, 0, 0])
    for row in answer["rows"]:
        one = sums[(row["event"], *(row[k] for k in keys))]
        for i, what in enumerate(("samples", "self", "children")):
            one[i] += row[what]
    return answer, dict(sums)


def plain(sums, keys):
    """Symbols without their modules, as the JSON has them when asked for alone."""
    out = collections.defaultdict(lambda: [0, 0, 0])
    for key, values in sums.items():
        one = (key[0], *(v[1] if k == "symbol" else v for k, v in zip(keys, key[1:])))
        out[one] = [a + b for a, b in zip(out[one], values)]
    return dict(out)


def trees(trace, direction, self_only):
    """{(event, module and symbol of a row): {way from the row: weight}}"""
    sums = collections.defaultdict(lambda: collections.defaultdict(int))
    for row in trace.rows:
        chain = row["chain"]        # the innermost first
        for frame in set(chain[:1] if self_only else chain):
            # A row that is on the stack several times stands for its outermost place.
            at = 0 if self_only else len(chain) - 1 - chain[::-1].index(frame)
            way = chain[at + 1:] if direction == "callers" else chain[:at][::-1]
            for depth in range(1, len(way) + 1):
                sums[(row["event"], frame)][tuple(way[:depth])] += row["weight"]
    return sums


def flattened(branches, direction, way=()):
    for b in branches:
        here = *way, (b["module"], b["symbol"])
        yield here, b["weight"]
        yield from flattened(b.get(direction, []), direction, here)


def compare_trees(name, trace, path, direction, *args, self_only=False):
    expected = trees(trace, direction, self_only)
    done = subprocess.run([KYMO, "report", "--json", "--by", "module,symbol", "--percent-limit",
                           "0", *args, "-i", path], capture_output=True, check=True)
    wrong, nr = [], 0
    for row in json.loads(done.stdout)["rows"]:
        frame = row["module"], row["symbol"]
        branches = list(flattened(row.get(direction, []), direction))
        got = dict(branches)
        if got != expected[(row["event"], frame)] or len(got) != len(branches):
            wrong.append(frame)
        nr += len(got)
    check(name, not wrong and nr, f"{len(wrong)} trees: {wrong[:2]}")


def check(name, good, comment=""):
    results.append((name, good, comment))


def compare(name, trace, path, keys, wanted=lambda row: True, *args, first_ns=0):
    expected = plain(profile(trace, keys, wanted, first_ns), keys)
    for pipe in False, True:
        _, got = reported(keys, *args, path=path, pipe=pipe)
        wrong = [f"{k}: {expected.get(k)} and {got.get(k)}" for k in {*expected, *got}
                 if expected.get(k) != got.get(k)]
        check(f"{name}{', from a pipe' if pipe else ''}", not wrong and got,
              f"{len(wrong)} of {len(expected)} rows: {wrong[:2]}")


def compare_all(trace, path):
    start = min(row["time"] for row in trace.rows)
    end = max(row["time"] for row in trace.rows)
    every = ["comm", "pid", "tid", "cpu", "module", "symbol", "cgroup", "state"]
    for keys in (["comm", "module", "symbol"], ["symbol"], ["module"], ["cpu", "state"],
                 ["pid", "tid"], ["cgroup", "symbol"], every):
        compare("by " + ",".join(keys), trace, path, keys)
    low, high = start + (end - start) // 4, start + (end - start) // 2
    seconds = "%d.%09d,%d.%09d" % (*divmod(low, 10**9), *divmod(high, 10**9))
    keys = ["comm", "symbol"]
    compare("a time range", trace, path, keys,
            lambda row: low <= row["time"] <= high, "--time", seconds, first_ns=low)
    compare("a CPU", trace, path, keys, lambda row: row["cpu"] == 1, "-C", "1")
    compare("some processes", trace, path, keys, lambda row: 1000 <= row["pid"] <= 1003,
            "--pid", "1000-1003")
    compare("names of threads", trace, path, keys, lambda row: row["comm"][:1] in ("s", "c"),
            "--comm", "s*,c*")
    compare("all filters at once", trace, path, keys,
            lambda row: row["pid"] == 1000 and row["cpu"] != 0 and row["time"] >= low and
            row["event"] == "cpu-clock",
            "--pid", "1000", "-C", "1-99", "--time", seconds.split(",")[0] + ",",
            "-e", "cpu-clock")
    compare_trees("trees of callees", trace, path, "callees", "-g")
    compare_trees("trees of callers", trace, path, "callers", "--call-graph=callee")
    compare_trees("trees of callers of the last frame", trace, path, "callers", "-g",
                  "--no-children", self_only=True)
    answer, _ = reported(["symbol"], path=path)
    frames = [f for row in trace.rows for f in row["chain"] if row["chain"] !=
              [("[unknown]", "[unknown]")]]
    quality = answer["quality"]
    check("samples are counted", quality["samples"] == len(trace.records))
    check("frames without a name are counted", quality["frames"] == len(frames) and
          quality["unresolved_frames"] == sum(f[1] == "[unknown]" for f in frames),
          f"{quality}, {len(frames)}")
    check("losses are counted", quality["lost"] ==
          sum(count for _, _, cause, count in trace.losses if cause != 3), quality)


def main():
    compare_all(Trace("tests/golden/first.kymo"), "tests/golden/first.kymo")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "many.kymo")
        subprocess.run([os.path.join(BUILD, "tests/tracegen"), "3000", path, "--stacks", "200",
                        "--tasks", "25", "--seed", "7", "--all"], check=True)
        compare_all(Trace(path), path)
    print(f"1..{len(results)}")
    for i, (name, good, comment) in enumerate(results, 1):
        print(f"{'' if good else 'not '}ok {i} - {name}")
        if not good and comment:
            print(f"# {comment}")


main()
