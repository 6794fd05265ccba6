#!/usr/bin/env python3
"""Numbers against a workload whose truth is known, and against perf record."""
import math
import os
import re
import resource
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *
from story import stolen

SHARES = {"burn_10": 0.10, "burn_20": 0.20, "burn_30": 0.30, "burn_40": 0.40}
HZ = 1999


def children_cpu():
    u = resource.getrusage(resource.RUSAGE_CHILDREN)
    return u.ru_utime + u.ru_stime


def cpu_seconds_of(args):
    """CPU time of a command, as the kernel accounts it to its parent."""
    before = children_cpu()
    run_command(args)
    return children_cpu() - before


def shares_of(counts):
    total = sum(counts.values())
    return {name: counts.get(name, 0) / total for name in SHARES}


def check_shares(shares, n, what):
    for name, truth in SHARES.items():
        # Five standard deviations of a binomial share, and half a percent of
        # the work that the functions themselves cannot promise.
        allowed = 5 * math.sqrt(truth * (1 - truth) / n) + 0.005
        check(abs(shares[name] - truth) <= allowed, "%s: %s is %.4f, truth %.2f +- %.4f" % (
            what, name, shares[name], truth, allowed))


def leaf_counts(recs):
    counts = {}
    for r in recs:
        for frame in r["stack"]:
            if frame["symbol"] in SHARES:
                counts[frame["symbol"]] = counts.get(frame["symbol"], 0) + 1
                break
    return counts


def known_shares(folder):
    """functions that burn 10, 20, 30 and 40 % are shown with these shares"""
    t = folder + "/t.kymo"
    kymo("record", "-q", "-F", HZ, "-o", t, "--", *program("shares", 2))
    counts = leaf_counts(records(t))
    check_shares(shares_of(counts), sum(counts.values()), "script")
    rows = json.loads(kymo("report", "--json", "--by", "symbol", "-i", t))["rows"]
    table = {r["symbol"]: r["children_samples"] if "children_samples" in r else r["samples"]
             for r in rows}
    check_shares(shares_of(table), sum(counts.values()), "report")


def perf_leaves(data):
    """Leaf counts of a perf.data file, and its number of samples."""
    counts, samples = {}, 0
    r = run_command(["perf", "script", "-i", data, "-F", "ip,sym"])
    for stack in re.split(r"\n\n+", r.stdout.decode().strip()):
        samples += 1
        for name in re.findall(r"^\s*[0-9a-f]+ (\S+)", stack, re.M):
            if name in SHARES:
                counts[name] = counts.get(name, 0) + 1
                break
    if r.returncode < 0 or b"smashing" in r.stderr or b"assertion" in r.stderr:
        skip("perf script itself fell over: %r" % r.stderr[-100:])
    check(counts, "perf script shows none of the functions: %r" % r.stderr[-300:])
    return counts, samples


def agrees_with_perf(folder):
    """perf record on the same run sees the same shares and as many samples"""
    t, p = folder + "/t.kymo", folder + "/perf.data"
    if run_command(["perf", "--version"]).returncode:
        skip("no perf")
    def attempt():
        # Without BPF: some versions of perf fall over other people's BPF programs.
        kymo("record", "-q", "-F", HZ, "--transport", "perf", "-o", t, "--", "perf", "record",
             "-q", "-B", "-N", "-e", "cpu-clock", "-F", HZ, "-g", "-o", p, "--",
             *program("shares", 4))
        counts, samples = perf_leaves(p)
        ours = [r for r in records(t) if r["comm"] == "shares"]
        mine, theirs = shares_of(leaf_counts(ours)), shares_of(counts)
        for name, truth in SHARES.items():
            # Five standard deviations of the difference of two such shares.
            allowed = 5 * math.sqrt(2 * truth * (1 - truth) / samples)
            check(abs(mine[name] - theirs[name]) <= allowed, "%s: %.4f, perf %.4f +- %.4f" % (
                name, mine[name], theirs[name], allowed))
        check(abs(len(ours) - samples) <= 0.02 * samples + 20, "%d samples, perf %d" % (
            len(ours), samples))

    within_three(attempt)


def expected_samples(folder):
    """as many samples as frequency x CPU time, within 2 %, or counted as lost"""
    t = folder + "/t.kymo"
    def attempt():
        before, theft = children_cpu(), stolen()
        own = run_command([KYMO, "record", "--transport", transport, "-F", HZ, "-o", t, "--"] +
                          program("shares", 2))
        equal(own.returncode, 0, "exit status")
        told = own.stderr.decode()
        used_ms = float(re.search(r"recorder used ([0-9]+) ms", told).group(1))
        lost = int(re.search(r"([0-9]+) lost", told).group(1))
        wanted = (children_cpu() - before - used_ms / 1e3) * HZ
        got = len(records(t)) + lost
        # Time that a host takes away has no samples; whether it is CPU time depends on the host.
        bent = (stolen() - theft) / 1e9 * HZ
        check(abs(got - wanted) <= 0.02 * wanted + bent, "%s: %d samples and lost, wanted %d, "
              "give or take %d that were stolen" % (transport, got, wanted, bent))

    for transport in ("ringbuf", "perfbuf"):
        within_three(attempt)


def threads_and_children(folder):
    """children and threads are followed, with their own names and numbers"""
    t = folder + "/t.kymo"
    code = ("import threading, os, subprocess, sys\n"
            "def spin(n):\n"
            "    while n: n -= 1\n"
            "ts = [threading.Thread(target=spin, args=(3000000,)) for _ in range(3)]\n"
            "[x.start() for x in ts]; [x.join() for x in ts]\n"
            "if os.fork() == 0: spin(3000000); os._exit(0)\n"
            "os.wait()\n"
            "subprocess.run(['sh', '-c', 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'])\n")
    kymo("record", "-q", "-F", 999, "-o", t, "--", "python3", "-c", code)
    recs = records(t)
    pids = {r["pid"] for r in recs}
    tids = {r["tid"] for r in recs}
    check(len(pids) == 3, "processes: %s" % pids)
    check(len(tids) >= 6, "threads: %s" % tids)
    check({"sh"} <= {r["comm"] for r in recs}, "names: %s" % {r["comm"] for r in recs})


run([known_shares, agrees_with_perf, expected_samples, threads_and_children])
