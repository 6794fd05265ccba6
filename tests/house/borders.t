#!/usr/bin/env python3
"""The borders between the folders, and who may print, exit and export."""

import glob
import os
import re
import subprocess
import sys
from collections import defaultdict

BUILD = os.environ["BUILD"]
ALLOWED = {
    "format": {"format"},
    "report": {"report", "format"},
    "record": {"record", "format", "bpf"},
    "bpf": {"bpf"},
    "cmd": {"cmd", "record", "report", "format", "Documentation"},
}
# The headers of bpf/ that record/ may see, besides the skeletons.
SHARED_BPF = {"bpf/sample.h", "bpf/probe.h", "bpf/sched.h"}
RECORD_LIBRARIES = re.compile(r"<(bpf/|libelf|gelf|elfutils/|dwarf|libdw|libiberty|demangle)")
FORBIDDEN = re.compile(
    r"\b(exit|_exit|abort|printf|vprintf|puts|putchar|perror|fputs|fputc|fprintf|vfprintf|"
    r"err|errx|warn|warnx)\s*\(")
# A header that is one part of the format has names for several of its structs.
EXTRA_PREFIXES = {"format/block.c": ("file_header_", "trailer_")}
# The child of a fork leaves through _exit(): that ends no program of a caller.
CHILD = re.compile(r"\b_exit\s*\(")

results = []


def check(name, problems):
    results.append((name, sorted(problems)))


def sources():
    for folder in ALLOWED:
        yield from sorted(glob.glob(f"{folder}/*.[ch]"))


def code_of(path):
    """The text without comments and string contents, line by line."""
    with open(path, encoding="utf-8") as f:
        text = f.read()
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        found = match.group(0)
        if found.startswith("/"):
            return "\n" * found.count("\n")
        return found[0] * 2
    return pattern.sub(blank, text).split("\n")


def check_includes():
    problems = set()
    for path in sources():
        folder = path.split("/")[0]
        with open(path, encoding="utf-8") as f:
            lines = f.read().split("\n")
        for nr, line in enumerate(lines, 1):
            found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if found:
                name = found.group(1)
                other = name.split("/")[0] if "/" in name else None
                if other is None:
                    problems.add(f"{path}:{nr}: '{name}' is not spelled from the root")
                elif other not in ALLOWED[folder]:
                    problems.add(f"{path}:{nr}: {folder}/ may not include '{name}'")
                elif folder == "record" and other == "bpf" and name not in SHARED_BPF \
                        and not name.endswith(".skel.h"):
                    problems.add(f"{path}:{nr}: record/ may not include '{name}'")
            found = re.match(r"\s*#\s*include\s+(<[^>]+>)", line)
            if found and folder not in ("record", "bpf") \
                    and RECORD_LIBRARIES.match(found.group(1)):
                problems.add(f"{path}:{nr}: only record/ uses {found.group(1)}")
    check("folders include only what they may", problems)


def check_calls():
    problems = set()
    for path in sources():
        if path.split("/")[0] in ("cmd", "bpf"):
            continue
        for nr, line in enumerate(code_of(path), 1):
            found = FORBIDDEN.search(line)
            if found and not CHILD.search(line) and not line.startswith("#"):
                problems.add(f"{path}:{nr}: {found.group(1)}() outside cmd/")
    check("only cmd/ prints and exits", problems)


def check_names():
    seen = defaultdict(list)
    for path in sources():
        if path.endswith(".c"):
            seen[os.path.basename(path)].append(path)
    check("base names of sources are unique",
          {f"{name}: {', '.join(paths)}" for name, paths in seen.items() if len(paths) > 1})


def object_symbols(folder):
    """Yields (object, section, name) of what each object exports."""
    for path in sorted(glob.glob(f"{folder}/*.c")):
        obj = f"{BUILD}/{path[:-2]}.o"
        if not os.path.exists(obj):
            continue
        table = subprocess.run(["objdump", "-t", obj], capture_output=True, text=True,
                               check=True).stdout
        for line in table.split("\n"):
            found = re.match(r"[0-9a-f]+ (.{7}) (\S+)\t[0-9a-f]+ (?:\.hidden )?(\S+)$", line)
            if found and found.group(1)[0] in "gu!w" and found.group(2) != "*UND*":
                yield path, found.group(2), found.group(3)


def check_exports():
    variables, names = set(), set()
    nr = 0
    for folder in ("format", "report", "record", "cmd"):
        for path, section, name in object_symbols(folder):
            base = os.path.basename(path)[:-2]
            nr += 1
            # The sanitizers' and the compiler's own.
            if name.startswith(("__", ".")):
                continue
            if re.match(r"\.(t?data(?!\.rel\.ro)|t?bss)|\*COM\*", section):
                variables.add(f"{path}: {name} in {section}")
            # tasks_proc.c is a part of tasks.h: its names may start with tasks_, too.
            words = base.split("_")
            prefixes = tuple("_".join(words[:i]) + "_" for i in range(1, len(words) + 1)
                             if words[:i] != ["cmd"])
            prefixes += EXTRA_PREFIXES.get(path, ())
            # symbolize.c has symbolizer_open(), perfevent.c perfevents_open().
            if name != "main" and not name.startswith((base, *prefixes)):
                names.add(f"{path}: {name} does not start with {base}_")
    check("there are objects to look at", set() if nr > 20 else {f"{nr} symbols in {BUILD}"})
    check("no exported variables", variables)
    check("exported symbols start with the name of their file", names)


def check_sizes():
    """Files stay small enough to be read; 800 lines is where one is split."""
    problems = set()
    for path in sources():
        with open(path, encoding="utf-8") as f:
            nr = f.read().count("\n")
        if nr > 800:
            problems.add(f"{path}: {nr} lines")
    check("no file above 800 lines", problems)


check_includes()
check_calls()
check_names()
check_exports()
check_sizes()
print(f"1..{len(results)}")
for i, (name, problems) in enumerate(results, 1):
    print(f"{'not ' if problems else ''}ok {i} - {name}")
    for problem in problems:
        print(f"# {problem}")
sys.exit(any(problems for _, problems in results))
