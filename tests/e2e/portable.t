#!/usr/bin/env python3
"""A trace is whole: opened where nothing of the recorded machine is left, it says the same."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *

VIEWS = {
    "report": ["report"],
    "report by everything": ["report", "--by", "comm,pid,tid,cpu,module,symbol,cgroup,event,state"],
    "callers": ["report", "-g"],
    "report.json": ["report", "--json"],
    "script": ["script"],
    "script.json": ["script", "--json"],
    "folded": ["flamegraph", "--folded"],
    "svg": ["flamegraph"],
    "info": ["info"],
}


def bare_root(folder):
    """A root that holds kymo, the libraries it is linked with, and nothing else."""
    root = folder + "/root"
    for line in run_command(["ldd", KYMO]).stdout.decode().splitlines():
        path = next((w for w in line.split() if w.startswith("/")), None)
        if path:
            os.makedirs(root + os.path.dirname(path), exist_ok=True)
            shutil.copy(path, root + path)
    shutil.copy(KYMO, root + "/kymo")
    return root


def same_elsewhere(folder):
    """report, script, folded and SVG are byte-identical without binaries and /proc"""
    t, work = folder + "/t.kymo", folder + "/work"
    os.mkdir(work)
    mine = work + "/shares"
    shutil.copy(program("shares")[0], mine)
    kymo("record", "-q", "-a", "-F", 999, "-o", t, "--", mine, "1")
    here = {}
    for name, args in VIEWS.items():
        r = run_command([KYMO] + args + ["-i", "t.kymo"], cwd=folder)
        equal(r.returncode, 0, name)
        here[name] = r.stdout
    check(b"burn_40" in here["report"], "the recorded program is named")
    shutil.rmtree(work)
    root = bare_root(folder)
    shutil.copy(t, root + "/t.kymo")
    # Sanitizers cannot work without /proc: an empty folder has to do for them.
    there = [KYMO] if SANITIZED else ["chroot", root, "/kymo"]
    for name, args in VIEWS.items():
        r = run_command(there + args + ["-i", "t.kymo"], cwd=root)
        equal(r.returncode, 0, name + ": " + r.stderr.decode())
        check(r.stdout == here[name], "%s differs" % name)


def deleted_binary(folder):
    """a binary deleted while it runs still has its names"""
    t, mine = folder + "/t.kymo", folder + "/gone"
    shutil.copy(program("shares")[0], mine)
    kymo("record", "-q", "-F", 999, "-o", t, "--", "sh", "-c",
         "%s 1 & until [ /proc/$!/exe -ef %s ]; do sleep 0.01; done; rm %s; wait" % (
             mine, mine, mine))
    symbols = {f["symbol"] for r in records(t) for f in r["stack"]}
    check("burn_40" in symbols, "names: %s" % sorted(symbols)[:30])


def attached_later(folder):
    """a process that runs already, its binary replaced, is attached to and named"""
    t, mine = folder + "/t.kymo", folder + "/old"
    shutil.copy(program("shares")[0], mine)
    p = subprocess.Popen([mine, "60"], stdout=subprocess.DEVNULL)
    try:
        os.rename(mine, folder + "/moved")
        os.unlink(folder + "/moved")
        shutil.copy("/bin/true", mine)
        kymo("record", "-q", "-F", 999, "-p", p.pid, "--duration", 1, "-o", t)
    finally:
        p.kill()
        p.wait()
    symbols = {f["symbol"] for r in records(t) for f in r["stack"]}
    check("burn_40" in symbols, "names: %s" % sorted(symbols)[:30])


run([same_elsewhere, deleted_binary, attached_later])
