#!/usr/bin/env python3
"""Functions and static probes of programs and libraries: counts and values of known calls."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *

ROUNDS = 7
UPROBES = os.path.join(PROGRAMS, "uprobes")
CXX = os.path.join(PROGRAMS, "uprobes_cxx")
USDTS = os.path.join(PROGRAMS, "usdts")
GUARDED = os.path.join(PROGRAMS, "usdts_guarded")


def complaint_of(*args):
    """The one line of a kymo that must fail, be it of use or of what is there."""
    r = run_command([KYMO] + list(args))
    check(r.returncode in (1, 2), "exit status %d: %s" % (r.returncode, args))
    lines = r.stderr.decode().splitlines()
    equal(len(lines), 1, r.stderr.decode())
    return lines[0]


def has_uprobes():
    return os.path.exists("/sys/bus/event_source/devices/uprobe/type")


def record(folder, events, command, *options):
    """Records the events of a command: {event: [fields of each record, ...]}."""
    if not has_uprobes():
        skip("this kernel has no uprobes")
    trace = os.path.join(folder, "t.kymo")
    args = [a for e in events for a in ("-e", e)]
    kymo("record", "-q", "--no-stack", "-o", trace, *args, *options, "--", *command)
    return by_event(trace)


def by_event(trace):
    found = {}
    for r in records(trace):
        found.setdefault(r["event"], []).append(r.get("fields", {}))
    equal(info(trace)["losses"], [], "losses")
    return found


def method(folder, event):
    for key, value in info(os.path.join(folder, "t.kymo"))["host"].items():
        if key == "probe " + event:
            return value
    return None


def counts_and_values(folder):
    """every call is there, with numbers of every width and sign"""
    u, ur = "uprobe:%s:" % UPROBES, "uretprobe:%s:" % UPROBES
    got = record(folder, [u + f for f in ("count_me", "signs", "many", "text", "scale(k,n)",
                                          "nothing", "depth_of")] +
                 [ur + f for f in ("count_me", "fails", "small", "signs", "depth_of")],
                 [UPROBES, ROUNDS])
    n = range(ROUNDS)
    equal(got[u + "count_me"], [{"i": i} for i in n])
    equal(got[u + "signs"], [{"c": -1, "h": -300, "i": -70000, "l": -5000000000, "uc": 200,
                              "u": 4000000000}] * ROUNDS)
    equal(got[u + "many"], [dict(zip("abcdefgh", (1, 2, 3, 4, 5, 6, -7, 8)))] * ROUNDS)
    equal(got[u + "text"], [{"s": "hello", "t": "world"}] * ROUNDS)
    equal(got[u + "scale"], [{"k": i, "n": -i} for i in n])
    equal(got[u + "nothing"], [{"color": -2, "fn": "count_me"}] * ROUNDS)
    equal(got[u + "depth_of"], [{"n": 4 - i % 5} for i in range(5 * ROUNDS)])
    equal(got[ur + "count_me"], [{"retval": i & 7} for i in n])
    equal(got[ur + "fails"], [{"retval": -i - 1} for i in n])
    equal(got[ur + "small"], [{"retval": 200 + i} for i in n])
    equal(got[ur + "signs"],
          [{"retval": -1 - 300 - 70000 - 5000000000 + 200 + 4000000000}] * ROUNDS)
    equal(got[ur + "depth_of"], [{"retval": i % 5} for i in range(5 * ROUNDS)])


def members(folder):
    """members through pointers, bit fields, elements, structs in registers and memory"""
    u, ur = "uprobe:%s:" % UPROBES, "uretprobe:%s:" % UPROBES
    walk = ("req->method", "req->path", "req->sizes[1]", "req->kind", "req->level", "req->delta",
            "req->next->code", "req->at.y", "depth")
    got = record(folder, [u + "walk(%s)" % ",".join(walk),
                          u + "by_value(p.x,p.y,l.v[3],m.count,after)",
                          ur + "make_large(retval->v[2])", ur + "make_point(retval.y)"],
                 [UPROBES, ROUNDS])
    n = range(ROUNDS)
    equal(got[u + "walk"], [dict(zip(walk, ("GET", "/index.html", -20, 5, 99, -7, 41, -4, i)))
                            for i in n])
    equal(got[u + "by_value"], [{"p.x": i, "p.y": -i, "l.v[3]": i + 3, "m.count": i, "after": -i}
                                for i in n])
    equal(got[ur + "make_large"], [{"retval->v[2]": i + 2} for i in n])
    equal(got[ur + "make_point"], [{"retval.y": -i} for i in n])


def registers(folder):
    """arg0 to arg5, strings from them, registers at an offset, filters"""
    u = "uprobe:%s:" % UPROBES
    with open(UPROBES, "rb") as f:
        if f.read(20)[18] != 62:
            skip("names of registers are those of x86-64")
    got = record(folder, [u + "text(a=arg0:str,b=arg1:str)", u + "many(arg0,arg5:s32)",
                          u + "count_me+0x0(%rdi)"], [UPROBES, ROUNDS])
    equal(got[u + "text"], [{"a": "hello", "b": "world"}] * ROUNDS)
    equal(got[u + "many"], [{"arg0": 1, "arg5": 6}] * ROUNDS)
    trace = os.path.join(folder, "f.kymo")
    kymo("record", "-q", "--no-stack", "-o", trace, "-e", u + "count_me", "--filter", "i > 2 && i != 5",
         "-e", u + "text", "--filter", 's == "hello" && t ~ "w*"', "--", UPROBES, ROUNDS)
    got = by_event(trace)
    equal(got[u + "count_me"], [{"i": i} for i in range(ROUNDS) if i > 2 and i != 5])
    equal(len(got[u + "text"]), ROUNDS)


def symbol_table(path):
    return {f[2]: int(f[0], 16) for f in
            (line.split() for line in
             run_command(["nm", path]).stdout.decode().splitlines()) if len(f) == 3}


def file_offset(path, address):
    for line in run_command(["readelf", "-lW", path]).stdout.decode().splitlines():
        f = line.split()
        if f and f[0] == "LOAD":
            offset, start, size = int(f[1], 16), int(f[2], 16), int(f[4], 16)
            if start <= address < start + size:
                return address - start + offset
    raise AssertionError("no segment holds %#x" % address)


def offsets(folder):
    """a bare offset in the file, also of a stripped copy"""
    offset = file_offset(UPROBES, symbol_table(UPROBES)["count_me"])
    copy = os.path.join(folder, "stripped")
    check(run_command(["strip", "-o", copy, UPROBES]).returncode == 0, "strip failed")
    for path in (UPROBES, copy):
        event = "uprobe:%s:%#x" % (path, offset)
        got = record(folder, [event], [path, ROUNDS])
        equal(len(got[event]), ROUNDS, path)
    event = "uprobe:%s:count_me" % copy
    line = complaint_of("record", "-o", folder + "/x", "-e", event, "--", copy)
    check("is stripped" in line and "0x1234" in line, line)


def globs(folder):
    """a glob is one event that says which function it was"""
    u, ur = "uprobe:%s:" % UPROBES, "uretprobe:%s:" % UPROBES
    for ways in ([], ["--use", "uprobe,mapped"]):
        got = record(folder, [u + "make_*"], [UPROBES, ROUNDS], *ways)
        equal(got[u + "make_*"], [{"func": "make_large"}, {"func": "make_point"}] * ROUNDS)
    got = record(folder, [ur + "make_*"], [UPROBES, ROUNDS], "--use", "uprobe,mapped")
    equal({e: len(r) for e, r in got.items()},
          {ur + "make_large": ROUNDS, ur + "make_point": ROUNDS})
    got = record(folder, [ur + "make_*"], [UPROBES, ROUNDS])
    if "multi" in (method(folder, ur + "make_*") or ""):
        equal([r["func"] for r in got[ur + "make_*"]], ["make_large", "make_point"] * ROUNDS)
    else:
        equal(len(got), 2)


def cplusplus(folder):
    """C++: readable and mangled names, overloads, methods, references, objects"""
    u = "uprobe:%s:" % CXX
    got = record(folder, [u + "mill::grain::grind(this->weight,this->first,times)",
                          u + "mill::p*", u + "mill::weigh(g.weight,by_copy.id,after)",
                          u + "_ZN4mill4pourEi(n)", u + "mill::pour(arg0)"], [CXX, ROUNDS])
    n = range(ROUNDS)
    equal(got[u + "mill::grain::grind"], [{"this->weight": i + 1, "this->first": -9, "times": 3}
                                          for i in n])
    equal(got[u + "mill::weigh"], [{"g.weight": i + 1, "by_copy.id": i + 100, "after": -i}
                                   for i in n])
    equal(got[u + "_ZN4mill4pourEi"], [{"n": i} for i in n])
    equal([r["func"] for r in got[u + "mill::p*"]], ["mill::pour"] * 2 * ROUNDS)
    equal([r["arg0"] for r in got[u + "mill::pour"]][::2], list(n))


def ways(folder):
    """both ways of attaching see the same, and the file says which it was"""
    event, ret = "uprobe:%s:count_me" % UPROBES, "uretprobe:%s:count_me" % UPROBES
    for use, wanted in (("uprobe,mapped", "uprobe"), ("uprobe-multi,mapped", "uprobe-multi")):
        try:
            got = record(folder, [event, ret], [UPROBES, ROUNDS], "--use", use)
        except AssertionError as e:
            if "no uprobe-multi" in str(e):
                continue
            raise
        equal(got[event], [{"i": i} for i in range(ROUNDS)], use)
        equal(got[ret], [{"retval": i & 7} for i in range(ROUNDS)], use)
        equal(method(folder, event), wanted)


def usdt_values(folder):
    """USDT: arguments in registers, memory, constants, in several places"""
    e = "usdt:%s:kymotest:" % USDTS
    got = record(folder, [e + "forms(arg0,arg1:str,arg2)", e + "widths", e + "in_memory",
                          e + "floats", e + "begin", "usdt:%s:end" % USDTS], [USDTS, ROUNDS])
    wanted = []
    for i in range(ROUNDS):
        wanted += [{"arg0": i, "arg1": "text", "arg2": -1},
                   {"arg0": 100 * (1 + i % 4), "arg1": "constant", "arg2": -5},
                   {"arg0": 7, "arg1": "ext", "arg2": (i + 250) % 256}]
    for r, w in zip(got[e + "forms"][3:], wanted[3:]):
        equal(r, w)
    equal(len(got[e + "forms"]), 3 * ROUNDS)
    equal(got[e + "widths"], [dict(zip(("arg0", "arg1", "arg2", "arg3", "arg4", "arg5"),
                                       (-1, 255, -300, 65535, -70000, 4000000000)))] * ROUNDS)
    equal(got[e + "in_memory"], [{"arg0": 78 + i, "arg1": 300} for i in range(ROUNDS)])
    equal(got[e + "floats"], [{"arg1": i} for i in range(ROUNDS)])
    equal(got[e + "begin"], [{}])
    equal(got["usdt:%s:kymotest2:end" % USDTS], [{"arg0": ROUNDS}])


def usdt_globs(folder):
    """USDT: a glob gives an event for each probe"""
    got = record(folder, ["usdt:%s:*" % USDTS], [USDTS, ROUNDS])
    equal({e.split(":", 2)[2]: len(r) for e, r in got.items()},
          {"kymotest:begin": 1, "kymotest:forms": 3 * ROUNDS, "kymotest:widths": ROUNDS,
           "kymotest:in_memory": ROUNDS, "kymotest:floats": ROUNDS, "kymotest2:end": 1})


def usdt_semaphores(folder):
    """USDT: a semaphore is up while it is recorded, and down again after it"""
    trace = os.path.join(folder, "t.kymo")
    for use in ([], ["--use", "uprobe,mapped"]):
        out = kymo("record", "-q", "--no-stack", "-o", trace, "-e", "usdt:%s:guarded" % GUARDED,
                   *use, "--", GUARDED, ROUNDS)
        equal(out.split(), [str(ROUNDS), "0"])
        equal(by_event(trace), {"usdt:%s:kymotest:guarded" % GUARDED:
                                [{"arg0": i} for i in range(ROUNDS)]})
    equal(run_command([GUARDED, ROUNDS]).stdout.split(), [b"0", b"0"])


def python_probes(folder):
    """python3, looked up in PATH: collections counted, function__entry as bpftrace sees it"""
    python = shutil.which("python3", path="/usr/bin:/bin")
    if not python or run_command([KYMO, "list", "usdt:%s:*" % python]).returncode:
        skip("this python3 has no static probes")
    script = os.path.join(folder, "script.py")
    with open(script, "w") as f:
        f.write("import gc\ngc.disable()\nfor i in range(5): gc.collect(1)\n")
    trace = os.path.join(folder, "t.kymo")
    kymo("record", "-q", "--no-stack", "-o", trace, "-e", "usdt:python3:gc__start",
         "--filter", "arg0 == 1", "-e", "usdt:python3:function__entry(arg0:str,arg1:str,arg2)",
         "--", python, script, env={**os.environ, "PATH": "/usr/bin:/bin"})
    got = by_event(trace)
    equal(got["usdt:python3:python:gc__start"], [{"arg0": 1}] * 5)
    if not shutil.which("bpftrace"):
        skip("no bpftrace here")
    r = run_command(["bpftrace", "-q", "-e", 'usdt:%s:python:function__entry '
                     '{ printf("%%s|%%s|%%d\\n", str(arg0), str(arg1), arg2); }' % python,
                     "-c", "%s %s" % (python, script)],
                    env=dict(os.environ, BPFTRACE_PERF_RB_PAGES="512"))
    # What comes from several CPUs is not in order there.
    lines = sorted(l for l in r.stdout.decode().splitlines() if l.count("|") == 2)
    equal(sorted("%s|%s|%d" % (f["arg0"], f["arg1"], f["arg2"])
                 for f in got.get("usdt:python3:python:function__entry", [])), lines)


def library_by_name(folder):
    """libc's getaddrinfo, by the names of its arguments if they are known"""
    getent = shutil.which("getent")
    if not getent:
        skip("no getent here")
    for name in ("libc", "c", "libc.so.6"):
        got = record(folder, ["uprobe:%s:getaddrinfo(arg0:str)" % name],
                     [getent, "ahosts", "localhost"])
        equal(got["uprobe:%s:getaddrinfo" % name], [{"arg0": "localhost"}], name)
    listed = kymo("list", "-v", "uprobe:libc:getaddrinfo")
    if "service:" not in listed:
        skip("no debug information of libc here (libc6-dbg)")
    got = record(folder, ["uprobe:libc:getaddrinfo(name,hints->ai_family)"],
                 [getent, "ahosts", "localhost"])
    equal(got["uprobe:libc:getaddrinfo"], [{"name": "localhost", "hints->ai_family": 0}])


def running_process(folder, start, wait, pid_of=lambda p: p.pid):
    """Attaches to a process that waits, lets it go on, and returns what it did."""
    trace = os.path.join(folder, "t.kymo")
    with subprocess.Popen(start, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        try:
            equal(p.stdout.readline(), b"ready\n")
            with subprocess.Popen([KYMO, "record", "--no-stack", "-o", trace, "-p",
                                   str(pid_of(p))] + wait, stderr=subprocess.PIPE) as r:
                try:
                    wait_until_attached(r, trace)
                    p.stdin.write(b"go\n")
                    p.stdin.close()
                    p.wait(timeout=60)
                    _, err = r.communicate(timeout=60)
                    equal(r.returncode, 0, err.decode())
                finally:
                    r.kill()
        finally:
            p.kill()
    return by_event(trace)


def wait_until_attached(recorder, trace):
    """The file is made before, and its first block written after everything is attached."""
    import time
    for _ in range(600):
        if recorder.poll() is not None:
            raise AssertionError(recorder.stderr.read().decode())
        if os.path.exists(trace) and os.path.getsize(trace):
            return
        time.sleep(0.05)
    raise AssertionError("kymo record never began")


def by_process(folder):
    """-p: only that process, while another one calls the same"""
    event = "uprobe:%s:count_me" % UPROBES
    got = running_process(folder, [UPROBES, str(ROUNDS), "wait"], ["-e", event])
    equal(got, {event: [{"i": i} for i in range(ROUNDS)]})


def mount_namespace(folder):
    """-p: the file that the process sees at that path, not ours"""
    ours, theirs = os.path.join(folder, "ours"), os.path.join(folder, "theirs")
    shutil.copy(USDTS, ours)
    shutil.copy(UPROBES, theirs)
    unshare = ["unshare", "-m", "--propagation", "private"]
    if run_command(unshare + ["true"]).returncode:
        skip("no mount namespaces here")
    event = "uprobe:%s:count_me" % ours
    inside = "mount --bind '%s' '%s' && exec '%s' %d wait" % (theirs, ours, ours, ROUNDS)
    got = running_process(folder, unshare + ["sh", "-c", inside], ["-e", event])
    equal(got, {event: [{"i": i} for i in range(ROUNDS)]})
    line = complaint_of("record", "-o", folder + "/x", "-e", event, "--", "true")
    check("has no function 'count_me'" in line, line)


def bpftrace_agrees(folder):
    """bpftrace counts and sees the same"""
    if not shutil.which("bpftrace"):
        skip("no bpftrace here")
    script = ('uprobe:%s:signs { printf("%%d %%d\\n", (int8)arg0, (int32)arg2); } '
              'uretprobe:%s:fails { printf("%%d\\n", (int32)retval); }' % (UPROBES, UPROBES))
    r = run_command(["bpftrace", "-q", "-e", script, "-c", "%s %d" % (UPROBES, ROUNDS)])
    if r.returncode:
        skip("bpftrace cannot run here: " + r.stderr.decode()[:100])
    lines = r.stdout.decode().splitlines()
    u, ur = "uprobe:%s:signs" % UPROBES, "uretprobe:%s:fails" % UPROBES
    got = record(folder, [u + "(c,i)", ur], [UPROBES, ROUNDS])
    equal(sorted(l for l in lines if re.fullmatch(r"-?\d+ -?\d+", l)),
          sorted("%d %d" % (f["c"], f["i"]) for f in got[u]))
    equal(sorted(l for l in lines if re.fullmatch(r"-\d+", l) and len(l) < 4),
          sorted("%d" % f["retval"] for f in got[ur]))


def complaints(folder):
    """one clear line for what cannot be done"""
    text = os.path.join(folder, "text")
    with open(text, "w") as f:
        f.write("#!/bin/sh\n")
    foreign = os.path.join(folder, "foreign")
    with open(UPROBES, "rb") as f:
        elf = bytearray(f.read())
    elf[18] = 22
    with open(foreign, "wb") as f:
        f.write(elf)
    libc = kymo("list", "uprobe:libc:getaddrinfo").split()
    equal(libc, ["uprobe:libc:getaddrinfo"])
    for event, words in {
            "uprobe:%s:cuont_me" % UPROBES: ["no function 'cuont_me'", "'count_me'"],
            "uprobe:%s:zz*" % UPROBES: ["no function 'zz*'"],
            "uprobe:%s:0x7fffffff" % UPROBES: ["0x7fffffff", "not in its code"],
            "uprobe:%s:count_me+0x7fffffff" % UPROBES: ["not in its code"],
            "uprobe:%s:0xzz" % UPROBES: ["'0xzz' is no offset"],
            "uprobe:%s:strlen" % UPROBES: ["'strlen'", "library"],
            "uprobe:libc:memcpy": ["IFUNC"],
            "uprobe:%s:f" % text: ["no program or library"],
            "uprobe:%s:count_me" % foreign: ["another architecture"],
            "uprobe:/nonexistent/x:f": ["/nonexistent/x"],
            "uprobe:no-such-library:f": ["no-such-library"],
            "uprobe:%s" % UPROBES: ["FILE:FUNCTION"],
            "uprobe:/%s:f" % ("x" * 5000): ["too long"],
            "uprobe:%s:count_me(j)" % UPROBES: ["no field 'j'", "i, arg0"],
            "uprobe:%s:walk(req->metod)" % UPROBES: ["no member 'metod'", "method, path"],
            "uprobe:%s:walk(req->at)" % UPROBES: ["is a struct", "x, y"],
            "uprobe:%s:walk(req->sizes[3])" % UPROBES: ["outside of the array"],
            "uprobe:%s:walk(depth->x)" % UPROBES: ["no struct"],
            "uprobe:%s:scale(x)" % UPROBES: ["floating-point"],
            "uprobe:%s:count_me+0x1(i)" % UPROBES: ["only where a function begins"],
            "uretprobe:%s:count_me(i)" % UPROBES: ["'i'"],
            "uretprobe:%s:count_me(arg0)" % UPROBES: ["gone when a function returns"],
            "uretprobe:%s:nothing(retval)" % UPROBES: ["returns nothing"],
            "usdt:%s:x:y" % UPROBES: ["no static probes"],
            "usdt:%s:kymotest:form" % USDTS: ["no static probe 'kymotest:form'", "'forms'"],
            "usdt:%s:floats(arg0)" % USDTS: ["floating-point"],
            "usdt:%s:forms(arg3)" % USDTS: ["no field 'arg3'", "arg0, arg1, arg2"],
    }.items():
        line = complaint_of("record", "-o", folder + "/x", "-e", event, "--", "true")
        for word in words:
            check(word in line, "%s: %r is not in: %s" % (event, word, line))


def bad_semaphore(folder):
    """a semaphore in memory that cannot be written"""
    out = run_command(["readelf", "-lW", GUARDED]).stdout.decode()
    copy = os.path.join(folder, "guarded")
    with open(GUARDED, "rb") as f:
        elf = bytearray(f.read())
    # Takes PF_W off every segment.
    offset, size, nr = int.from_bytes(elf[32:40], "little"), 56, elf[56]
    check("LOAD" in out and nr, "program headers")
    for i in range(nr):
        at = offset + i * size
        if int.from_bytes(elf[at:at + 4], "little") == 1:
            elf[at + 4] &= ~2
    with open(copy, "wb") as f:
        f.write(elf)
    line = complaint_of("record", "-o", folder + "/x", "-e", "usdt:%s:guarded" % copy, "--", "true")
    check("semaphore" in line and "cannot be written" in line, line)


def listing(folder):
    """kymo list shows the functions and static probes of a named file"""
    lines = kymo("list", "uprobe:%s:count_*" % UPROBES).splitlines()
    equal(lines, ["uprobe:%s:count_me" % UPROBES])
    text = kymo("list", "-v", "uprobe:%s:signs" % UPROBES)
    check("c:signed char" in text and "l:long int" in text, text)
    lines = kymo("list", "usdt:%s:*" % USDTS).splitlines()
    equal([l.split(":", 2)[2] for l in lines],
          ["kymotest:begin", "kymotest:floats", "kymotest:forms", "kymotest:in_memory",
           "kymotest:widths", "kymotest2:end"])


# Those that ask most of the kernel: kymo itself finds names and values, which it does alike
# everywhere.
OF_THE_KERNEL = [counts_and_values, registers, offsets, ways, usdt_values, usdt_semaphores,
                 by_process, mount_namespace]

run(OF_THE_KERNEL if EMULATED else
    [counts_and_values, members, registers, offsets, globs, cplusplus, ways, usdt_values,
     usdt_globs, usdt_semaphores, python_probes, library_by_name, by_process,
     mount_namespace, bpftrace_agrees, complaints, bad_semaphore, listing])
