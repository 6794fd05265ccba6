#!/usr/bin/env python3
"""System calls: every call, argument, name and result is what strace and perf trace see.

strace, or perf, runs inside the recording, so that all of them see the very same calls.
"""
import collections
import glob
import json
import os
import re
import shutil

import live
from live import check, equal, kymo, program, run, skip

# What strace shows and kymo cannot: they replace the caller, or do not return.
GONE = {"execve", "execveat", "exit", "exit_group", "rt_sigreturn"}
# Not by the same name.
NAMES = {"pread": "pread64", "pwrite": "pwrite64", "prlimit": "prlimit64"}
SHELL = "ls -l / >/dev/null; cat /etc/passwd >list; rm list; test -d /none || echo no >/dev/null"


def need(tool):
    if not shutil.which(tool):
        skip("no %s here" % tool)


def record(folder, *command, events="syscall:*"):
    trace = os.path.join(folder, "trace.kymo")
    work = os.path.join(folder, "work")
    os.mkdir(work)
    r = live.run_command([live.KYMO, "record", "-o", trace, "-e", events, "--", *command],
                         cwd=work)
    check(b"0 lost" in r.stderr, r.stderr.decode(errors="replace"))
    return trace


def json_calls(trace, roots):
    """By thread, in their order; of the first one from the program's start."""
    found = collections.defaultdict(list)
    for line in kymo("script", "--json", "-i", trace).splitlines():
        r = json.loads(line)
        name = r["event"].split(":")[1]
        if name == "execve" and r["fields"]["ret"] == 0 and r["tid"] in roots:
            found[r["tid"]] = []
            roots = roots - {r["tid"]}
        elif name not in GONE:
            found[r["tid"]].append((name, r["fields"]))
    return found


def text_calls(trace, roots):
    """The same of text: name, arguments in order, result."""
    found = collections.defaultdict(list)
    for line in kymo("script", "-F", "tid,event,trace", "-i", trace).splitlines():
        m = re.fullmatch(r" *(\d+) (\w+)\((.*)\) = (.*) \([\d.]+ ms\)", line)
        check(m, "no call: %r" % line)
        tid, name, args, result = m.groups()
        if name == "execve" and result == "0" and int(tid) in roots:
            found[int(tid)] = []
            roots = roots - {int(tid)}
        elif name not in GONE:
            pairs = [a.split(": ", 1) for a in split(args)]
            found[int(tid)].append((name, dict(pairs), result))
    return found


def split(args):
    """At commas outside of quotes and brackets."""
    parts, depth, quoted, at = [""], 0, False, 0
    while at < len(args):
        c = args[at]
        if quoted and c == "\\":
            parts[-1] += c
            at += 1
            c = args[at]
        elif c == '"':
            quoted = not quoted
        elif not quoted and c in "([{":
            depth += 1
        elif not quoted and c in ")]}":
            depth -= 1
        if c == "," and not depth and not quoted:
            parts.append("")
        else:
            parts[-1] += c
        at += 1
    return [p.strip() for p in parts if p.strip()]


def strace_calls(folder):
    """By thread: name, arguments, result, as strace -ff wrote them; and the first thread."""
    found, roots = {}, set()
    for path in glob.glob(os.path.join(folder, "strace.*")):
        tid = int(path.rsplit(".", 1)[1])
        calls = found[tid] = []
        with open(path, encoding="utf-8", errors="surrogateescape") as f:
            for line in f:
                if not calls and line.startswith("execve("):
                    roots.add(tid)
                m = re.fullmatch(r"(\w+)\((.*)\) += (.*)\n", line)
                check(m, "strace: %r" % line)
                name = NAMES.get(m[1], m[1])
                if name not in GONE:
                    calls.append((name, split(m[2]), m[3]))
    return found, roots


def strace(folder, options, *command):
    need("strace")
    trace = record(folder, "strace", "-ff", "-qq", "-e", "signal=none", *options,
                   "-o", os.path.join(folder, "strace"), *command)
    theirs, roots = strace_calls(folder)
    if not theirs:
        skip("strace may not trace here")
    return trace, theirs, roots


def same_number(got, wanted):
    """Of as many bits as the argument has."""
    return any((got - wanted) % (1 << bits) == 0 for bits in (64, 32, 16))


def check_numbers(folder, *command):
    trace, theirs, roots = strace(folder, ["-e", "raw=all"], *command)
    ours = json_calls(trace, roots)
    numbers = 0
    for tid, calls in theirs.items():
        equal([c[0] for c in ours[tid]], [c[0] for c in calls], "calls of %d" % tid)
        for (name, fields), (_, args, result) in zip(ours[tid], calls):
            what = "%s%s = %s is %s" % (name, args, result, fields)
            values = [v for k, v in fields.items() if k not in ("duration", "ret")]
            check(len(values) >= len(args), what)
            for value, arg in zip(values, args):
                if isinstance(value, int):
                    numbers += 1
                    check(same_number(value, int(arg, 16)), what)
            if result.startswith("-1 E"):
                check(-4096 < fields["ret"] < 0, what)
            elif not result.startswith("?"):
                check(same_number(fields["ret"], int(result.split()[0], 16)), what)
    check(numbers > 300, "only %d numbers" % numbers)


def test_numbers(folder):
    """every number of every call of a program, its thread and its child is strace's"""
    check_numbers(folder, *program("callmix"))


def test_shell(folder):
    """and of a shell with ls and cat"""
    check_numbers(folder, "sh", "-c", SHELL)


# --- names ----------------------------------------------------------------------------

def unquote(text):
    return text[1:-1].encode("latin-1", "surrogateescape").decode("unicode_escape")


def is_name(ours, theirs):
    return theirs.endswith(ours) or theirs == ours + "_OK"


def same_names(ours, theirs):
    if theirs.startswith("FUTEX_"):
        theirs = theirs.replace("_PRIVATE", "|FUTEX_PRIVATE")
    left = [t for t in theirs.split("|") if t != "AT_STATX_SYNC_AS_STAT"]
    for part in ours.split("|"):
        match = [t for t in left if is_name(part, t)]
        if not match:
            return False
        left.remove(match[0])
    return not left


# Numbers whose meaning depends on another argument, and what strace adds or decodes.
UNNAMED = {("fcntl", 2), ("futex", 4), ("setsockopt", 2), ("getsockopt", 2), ("socket", 2),
           ("socketpair", 2), ("prctl", 1)}


def check_argument(name, i, ours, theirs, what):
    """Whether there was a name or a string to compare."""
    if re.fullmatch(r'"(\\.|[^"\\])*"', theirs):
        return False
    if theirs == "NULL":
        check(ours in ("0x0", "?"), what)
        return False
    if re.fullmatch(r"[A-Z][A-Z0-9_]*(\|[A-Z0-9_]+)*", theirs):
        if (name, i) in UNNAMED or theirs.startswith("SIGRT"):
            return False
        check(same_names(ours, theirs), what)
        return True
    if re.fullmatch(r"-?\d+|0x[0-9a-f]+", theirs) and re.fullmatch(r"-?\d+|0x[0-9a-f]+", ours):
        check(same_number(int(ours, 0 if "x" in ours else 8 if ours[0] == "0" else 10),
                          int(theirs, 0 if "x" in theirs else 8 if theirs[0] == "0" else 10)),
              what)
    return False


def check_names(folder, least, *command):
    trace, theirs, roots = strace(folder, ["-s", "4096"], *command)
    texts, fields_of = text_calls(trace, roots), json_calls(trace, roots)
    names = strings = errors = 0
    for tid, calls in theirs.items():
        equal([c[0] for c in texts[tid]], [c[0] for c in calls], "calls of %d" % tid)
        for (name, ours, result), (_, fields), (_, args, wanted) in zip(
                texts[tid], fields_of[tid], calls):
            what = "%s%s = %s is %s = %s" % (name, args, wanted, ours, result)
            if wanted.startswith("-1 E"):
                errors += 1
                equal(result, wanted, what)
            if name in ("clone", "clone3"):		# with names of arguments
                continue
            for i, (key, theirs_text) in enumerate(zip(
                    [k for k in fields if k not in ("duration", "ret")], args)):
                if isinstance(fields[key], str) and theirs_text.startswith('"'):
                    strings += 1
                    equal(fields[key], unquote(theirs_text), what)
                elif key in ours:
                    names += check_argument(name, i, ours[key], theirs_text, what)
    check(names >= least and strings >= 20 and errors >= 5,
          "%d names, %d strings, %d errors" % (names, strings, errors))


def test_names(folder):
    """names of flags, strings and errors are strace's"""
    check_names(folder, 40, *program("callmix"))


def test_shell_names(folder):
    """and of a shell with ls and cat"""
    check_names(folder, 40, "sh", "-c", SHELL)


def test_exec(folder):
    """what is executed is told, though nothing is left of the caller"""
    trace = record(folder, "sh", "-c", "ls / >/dev/null; /none/such; true",
                   events="syscall:execve")
    calls = [(r["fields"]["filename"], r["fields"]["ret"]) for r in live.records(trace)]
    ls = [path for path, ret in calls if ret == 0 and path.endswith("/ls")]
    equal(len(ls), 1, calls)
    check(("/none/such", -2) in calls, calls)


# --- perf trace -----------------------------------------------------------------------

def perf_table(path):
    """perf trace -s: by thread and call, calls and errors."""
    found, tid = collections.defaultdict(dict), None
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            m = re.match(r" .* \((\d+)\), \d+ events,", line)
            if m:
                tid = int(m[1])
            m = re.match(r"   ([a-z_0-9]+) +(\d+) +(\d+) +[\d.]+ +[\d.]+ ", line)
            if m and tid:
                found[tid][m[1]] = int(m[2]), int(m[3])
    return found


def run_perf(folder, *command):
    out, work = os.path.join(folder, "perf.txt"), os.path.join(folder, "perf")
    os.mkdir(work)
    # With room for all of it: perf may not run until the program has ended.
    live.run_command(["perf", "trace", "-m", "2048", "-s", "-o", out, *command], cwd=work)
    theirs = perf_table(out) if os.path.exists(out) else {}
    if not theirs:
        skip("perf trace does not work here")
    return theirs


def most_calls(threads):
    return max(threads, key=lambda calls: sum(c for c, _ in calls.values()))


def test_perf_summary(folder):
    """calls and errors of the program's first thread are those of perf trace -s"""
    need("perf")
    # One after the other, for perf 6.1 fails where other BPF programs are loaded.  It
    # leaves threads of few calls out now and then.
    theirs = most_calls(run_perf(folder, *program("callmix")).values())
    trace = record(folder, *program("callmix"))
    summary = json.loads(kymo("script", "--summary", "--json", "-i", trace))
    ours = most_calls({c["name"]: (c["calls"], c["errors"]) for c in t["calls"]}
                      for t in summary["threads"])
    # Who joins a thread that has ended already need not wait for it.
    differ = {n: (ours.get(n), theirs.get(n)) for n in ours.keys() | theirs.keys()
              if ours.get(n) != theirs.get(n) and n not in GONE | {"futex"}}
    equal(differ, {}, "calls and errors, here and there")
    check(len(theirs) > 60, "perf saw little: %r" % theirs)


def test_summary(folder):
    """--summary of a recording is that of its records"""
    trace = record(folder, "sh", "-c", SHELL)
    summary = json.loads(kymo("script", "--summary", "--json", "-i", trace))
    records = [json.loads(line)
               for line in kymo("script", "--json", "-i", trace).splitlines()]
    equal(summary["spans"], len(records), "spans")
    for thread in summary["threads"]:
        own = [r for r in records if r["tid"] == thread["tid"]]
        equal({c["event"]: (c["calls"], c["errors"], c["total_ns"]) for c in thread["calls"]},
              {e: (len(f), sum(-4096 < x["ret"] < 0 for x in f), sum(x["duration"] for x in f))
               for e in {r["event"] for r in own}
               for f in [[r["fields"] for r in own if r["event"] == e]]},
              "thread %d" % thread["tid"])
    text = kymo("script", "--summary", "-i", trace)
    check(re.search(r"\n ls \(\d+\), \d+ spans, [\d.]+ %\n", text), text)


run([test_numbers, test_shell, test_names, test_shell_names, test_exec, test_perf_summary,
     test_summary])
