#!/usr/bin/env python3
"""-e sched beside perf sched timehist, runqlat and offcputime, which watch the same load."""
from peers import *

# A peer that misses a switch, or is held up in one, is out by more than 1 %.
TRIES = 6


def beside_timehist(folder):
    """perf sched timehist: wait time, delay and run time of each thread, within 1 %"""
    data = folder + "/perf.data"
    if not shutil.which("perf"):
        skip("no perf")

    def attempt():
        names, found, _ = watched(folder + "/t.kymo", file_to_read(folder), [
            ["perf", "sched", "record", "-B", "-m", "16M", "-o", data]], "--no-stack")
        compare_timehist(data, names, found)
    unless_busy(attempt, TRIES)


def beside_runqlat(folder):
    """runqlat: the same histogram, give or take a row"""
    def attempt():
        _, found, said = watched(folder + "/t.kymo", file_to_read(folder), [
            ["runqlat", "-p", "PID"]], "--no-stack")
        compare_runqlat(said[0], found)
    unless_busy(attempt, TRIES)


def beside_offcputime(folder):
    """offcputime: the time off CPUs of each thread, within 1 %"""
    def attempt():
        names, found, said = watched(folder + "/t.kymo", file_to_read(folder), [
            ["offcputime", "-p", "PID", "--stack-storage-size", "8192"]], "--no-stack")
        compare_offcputime(said[0], names, found)
    unless_busy(attempt, TRIES)


def least(folder):
    """offcputime -m 1000 and --min 1ms: the same waits, within 1 %, and none that is shorter"""
    def attempt():
        names, found, said = watched(folder + "/t.kymo", file_to_read(folder), [
            ["offcputime", "-m", "1000", "-p", "PID", "--stack-storage-size", "8192"]],
            "--no-stack", "--min", "1ms")
        sums = offcputime_sums(said[0])
        short = 0
        for tid, name in names.items():
            # It does not see what a thread waits for before its first time on a CPU.
            waits = [r.off for r in found[tid] if (r.on or r.skipped) and not r.edge]
            check(all(ns >= MS for ns in waits), "%s: shorter: %d ns" % (name, min(waits)))
            # What is as long as that, give or take what lies between two looks at a clock, one
            # of the two has and the other one has not.
            alike = sum(1 for ns in waits if ns < MS + MS // 20)
            # Short waits, or one that began with a switch which the kernel did not show.
            hidden = sum(r.skipped for r in found[tid] if r.skipped >= MS)
            near(sum(waits), sums.get(name, 0), name + " off CPUs",
                 hidden + 2 * alike * MS + len(waits) * 2000, 0.01, 2 * MS)
            short += sum(r.skipped for r in found[tid])
        check(short > 0, "no wait was shorter")
    unless_busy(attempt, TRIES)


run([beside_timehist, beside_runqlat, beside_offcputime, least])
