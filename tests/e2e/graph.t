#!/usr/bin/env python3
"""--graph where it cannot be had: one clear line, and no file."""
from live import *

TRACING = "/sys/kernel/tracing"


def tracers():
    """None: not to be read."""
    try:
        with open(TRACING + "/available_tracers", encoding="utf-8") as f:
            return f.read().split()
    except OSError:
        return None


def refused(folder, *args, status=1):
    trace = folder + "/t.kymo"
    text = complaint("record", "-q", "-o", trace, *args, status=status)
    check(not os.path.exists(trace), "a file is left")
    return text


def no_tracer(folder):
    """a kernel without the tracer is told of, and another way"""
    if tracers() is None:
        skip("tracefs is not mounted")
    if "function_graph" in tracers():
        skip("this kernel has the tracer")
    text = refused(folder, "--graph", "do_sys_openat2", "--", "true")
    check("function_graph" in text and "func:" in text, text)


def no_rights(folder):
    """so are missing rights"""
    if not shutil.which("setpriv"):
        skip("no setpriv")
    os.chmod(folder, 0o777)
    told = run_command(["setpriv", "--reuid=65534", "--clear-groups", KYMO, "record", "-q", "-o",
                        folder + "/t.kymo", "--graph", "do_sys_openat2", "--", "true"])
    text = told.stderr.decode()
    equal(told.returncode, 1, text)
    equal(len(text.splitlines()), 1, text)
    check("root" in text or "function_graph" in text, text)


def nonsense(folder):
    """options that make no sense"""
    check("--graph" in refused(folder, "--depth", 3, "--", "true", status=2))
    check("twice" in refused(folder, "--graph", "a", "--graph", "b", "--", "true", status=2))
    for depth in ("0", "x", "-1", "1001"):
        check("depth" in refused(folder, "--graph", "a", "--depth", depth, "--", "true",
                                 status=2), depth)


def no_cgroup(folder):
    """the tracer knows no cgroups"""
    if not os.path.exists("/sys/fs/cgroup"):
        skip("no cgroups")
    told = run_command([KYMO, "record", "-q", "-o", folder + "/t.kymo", "--graph",
                        "do_sys_openat2", "-G", "/", "--duration", 1])
    check(told.returncode in (1, 2) and b"cgroup" in told.stderr, told.stderr)


run([no_tracer, no_rights, nonsense, no_cgroup])
