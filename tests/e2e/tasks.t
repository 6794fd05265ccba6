#!/usr/bin/env python3
"""Who was there: tasks, command lines, cgroups, parents and mappings in the file."""
import collections
import os
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *

Task = collections.namedtuple("Task", "id time pid tid ppid nspid comm cmdline cgroup flags exit previous")


def unescape(text):
    return re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m.group(1), 16)), text)


def dump(trace):
    """All tasks, and per process the paths and build-ids of its mappings."""
    tasks, modules, maps = [], {}, collections.defaultdict(list)
    for line in run_command([BUILD + "/tests/dump", trace]).stdout.decode().split("\n"):
        f = line.split("\t")
        if f[0] == "task":
            n = [int(x) for x in f[1:7]]
            tasks.append(Task(*n, *map(unescape, f[7:10]), *[int(x) for x in f[10:13]]))
        elif f[0] == "module":
            modules[int(f[1])] = (int(f[2]), unescape(f[3]), unescape(f[4]))
        elif f[0] == "mapping":
            maps[int(f[2])].append(modules[int(f[6])])
    return tasks, maps


def while_recording(folder, work, *options):
    """Runs work() in the middle of a system-wide recording; returns the trace."""
    t = folder + "/t.kymo"
    p = subprocess.Popen([KYMO, "record", "-q", "-a", *options, "-o", t], stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 100
    while not os.path.exists(t) or os.path.getsize(t) < 1000:
        check(time.monotonic() < deadline, "nothing is written")
        time.sleep(0.02)
    result = work()
    p.send_signal(2)
    equal(p.wait(timeout=100), 0, "exit status")
    return t, result


def own_cgroup(pid="self"):
    """As kymo chooses it: v2 unless that is the root, else the longest path of v1."""
    paths = {}
    with open("/proc/%s/cgroup" % pid) as f:
        for line in f.read().splitlines():
            number, _, path = line.split(":", 2)
            paths[number] = path
    v2 = paths.pop("0", "/")
    return v2 if v2 != "/" or not paths else max(paths.values(), key=len)


def short_lived(folder):
    """processes of 20 ms and of less in the middle of the run are described in full"""
    script = folder + "/brief"
    with open(script, "w") as f:
        f.write("#!/bin/sh\nsleep 0.02\n")
    os.chmod(script, 0o755)

    def work():
        pids = {}
        for name, args in (("sleep", ["sleep", "0.02"]), ("true", ["true", "a b", "", "c"]),
                           ("brief", [script, "with", "arguments"])):
            child = subprocess.Popen(args)
            pids[child.pid] = (name, args)
            child.wait()
        return pids

    t, pids = while_recording(folder, work)
    tasks, maps = dump(t)
    for pid, (name, args) in pids.items():
        mine = [k for k in tasks if k.pid == pid and k.comm == name]
        check(mine, "no task %s" % name)
        k = mine[-1]
        wanted = args if name != "brief" else ["/bin/sh"] + args
        equal(k.cmdline, "".join(a + "\0" for a in wanted), name + ": command line")
        equal(k.ppid, os.getpid(), name + ": parent")
        equal(k.nspid, pid, name + ": pid in its namespace")
        equal(k.cgroup, own_cgroup(), name + ": cgroup")
        check(k.exit > k.time > 0, name + ": lived from %d to %d" % (k.time, k.exit))
        files = [m for m in maps[pid] if m[0] == 4]
        check(any("libc" in path for _, path, _ in files), "%s: mappings %s" % (name, files))
        check(all(len(build_id) == 20 for _, _, build_id in files),
              "%s: build-ids of %s" % (name, files))


def there_before(folder):
    """every process and thread that existed at the start is described"""
    code = ("import threading, time, ctypes\n"
            "ev = threading.Event()\n"
            "def run():\n"
            "    ctypes.CDLL(None).prctl(15, b'worker thread')\n"
            "    ev.wait()\n"
            "t = threading.Thread(target=run, daemon=True); t.start()\n"
            "print('ready', flush=True); time.sleep(60)\n")
    p = subprocess.Popen([sys.executable, "-c", code, "x y"], stdout=subprocess.PIPE)
    try:
        p.stdout.readline()
        t, _ = while_recording(folder, lambda: None)
        with open("/proc/%d/maps" % p.pid) as f:
            truth = sorted({line.split(None, 5)[5].strip() for line in f
                            if "x" in line.split()[1] and line.count(" ") > 5 and "/" in line})
    finally:
        p.kill()
        p.wait()
    tasks, maps = dump(t)
    mine = [k for k in tasks if k.pid == p.pid]
    equal(len(mine), 2, "threads")
    check("worker thread" in [k.comm for k in mine], "names %s" % [k.comm for k in mine])
    for k in mine:
        equal(k.cmdline, "".join(a + "\0" for a in (sys.executable, "-c", code, "x y")), "command line")
        equal((k.ppid, k.nspid, k.cgroup), (os.getpid(), p.pid, own_cgroup()), "parent, ns pid, cgroup")
        check(k.flags & 4, "flags %d" % k.flags)
    equal(sorted({path for kind, path, _ in maps[p.pid] if kind == 4}), truth, "mappings")
    check(all(len(b) == 20 for kind, _, b in maps[p.pid] if kind == 4), "build-ids")
    check(any(k.pid == 1 for k in tasks), "process 1")
    check(any(k.pid == 2 and k.flags & 1 for k in tasks), "kernel threads")


def namespaces(folder):
    """a process in a pid namespace has both numbers"""
    if run_command(["unshare", "-p", "-f", "--mount-proc", "true"]).returncode:
        skip("no pid namespaces")
    t, _ = while_recording(folder, lambda: run_command(
        ["unshare", "-p", "-f", "--mount-proc", "sh", "-c", "sleep 0.02; true"]))
    tasks, _ = dump(t)
    mine = [k for k in tasks if k.comm == "sh" and "sleep 0.02" in k.cmdline]
    check(mine, "no such task")
    equal(mine[0].nspid, 1, "pid in its namespace")
    check(mine[0].pid > 1, "pid outside")


def exec_by_thread(folder):
    """a thread that runs exec becomes its process"""
    code = "import os,threading,time\n" \
           "threading.Thread(target=lambda: os.execvp('sleep', ['sleep', '0.05'])).start()\n" \
           "time.sleep(60)"
    t, p = while_recording(folder, lambda: run_command([sys.executable, "-c", code]))
    equal(p.returncode, 0, "exit status")
    tasks, _ = dump(t)
    mine = [k for k in tasks if k.comm == "sleep" and k.cmdline.startswith("sleep\x000.05")]
    check(mine, "no such task")
    equal({k.pid - k.tid for k in mine}, {0}, "its number")
    check(mine[-1].exit >= mine[-1].time + 50000000, "it ends when it ends")
    last = {k.tid: k for k in tasks if k.pid == mine[0].pid}
    equal([k.tid for k in last.values() if not k.exit], [], "threads left over")


def fork_without_exec(folder):
    """a child that never execs has its parent's name, mappings and its own times"""
    def work():
        pid = os.fork()
        if pid == 0:
            time.sleep(0.02)
            os._exit(0)
        os.waitpid(pid, 0)
        return pid

    t, pid = while_recording(folder, work)
    tasks, maps = dump(t)
    mine = [k for k in tasks if k.pid == pid]
    equal(len(mine), 1, "entries")
    with open("/proc/self/comm") as f:
        equal(mine[0].comm, f.read().strip(), "name")
    check("tasks.t" in mine[0].cmdline, "command line")
    equal((mine[0].ppid, mine[0].nspid), (os.getpid(), pid), "parent, ns pid")
    check(any("python" in path or "libc" in path for _, path, _ in maps[pid]), "mappings")


def renamed(folder):
    """a task that changes its name appears under both"""
    turns = 200000 if EMULATED else 3000000
    code = ("import ctypes\n"
            "def spin(n):\n    while n: n -= 1\n"
            "ctypes.CDLL(None).prctl(15, b'first'); spin(%d)\n"
            "ctypes.CDLL(None).prctl(15, b'second'); spin(%d)\n" % (turns, turns))
    t = folder + "/t.kymo"
    kymo("record", "-q", "-F", "999", "-o", t, "--", "python3", "-c", code)
    names = [r["comm"] for r in records(t)]
    check("first" in names and "second" in names, "names %s" % set(names))
    check(names.index("second") > names.index("first"), "order")
    check("first" not in names[names.index("second"):], "the old name comes back")


def exec_in_time(folder):
    """around an exec each sample is named with the mappings of its moment"""
    t = folder + "/t.kymo"
    one, two = program("shares")[0], program("shares_nopie")[0]
    kymo("record", "-q", "-F", "4999", "-o", t, "--", "sh", "-c",
         "i=0; while [ $i -lt 25 ]; do i=$((i+1)); (exec %s 0.01); (exec %s 0.01); done" % (one, two),
         stdout=subprocess.DEVNULL)
    seen = collections.Counter()
    for r in records(t):
        modules = {f["module"] for f in r["stack"]}
        seen[r["comm"]] += 1
        if r["comm"] == "sh":
            check(not modules & {one, two}, "sh runs %s" % modules)
        elif r["comm"] == "shares":
            check(two not in modules and "/usr/bin/dash" not in modules, "shares runs %s" % modules)
        elif r["comm"] == "shares_nopie":
            check(one not in modules and "/usr/bin/dash" not in modules,
                  "shares_nopie runs %s" % modules)
    check(seen["shares"] > 100 and seen["shares_nopie"] > 100 and seen["sh"] > 0, "seen: %s" % seen)


run([exec_by_thread, exec_in_time, short_lived, there_before, namespaces, fork_without_exec, renamed])
