#!/usr/bin/env python3
"""The kernel's function graph: the same calls as others see, and nothing left behind."""
import signal
import statistics
import time
from graphlaw import *

DEPTH = 3
NR_OPENS = 40
NOTE = "/run/kymo-graph"
# Where all is emulated and the host is busy, turning the tracer on or off takes a minute.
LIMIT_S = 240
# What nothing but an interrupt, or another thread that has its turn, calls in a root.
BETWEEN = re.compile(r"irq_|sysvec|interrupt|timer|tick_|exc_page_fault|pick_|rq_clock|_switch")
SETTINGS = ("available_tracers current_tracer set_graph_function set_graph_notrace "
            "max_graph_depth set_ftrace_pid set_ftrace_notrace_pid tracing_on tracing_cpumask "
            "trace_clock tracing_thresh options/function-fork options/overwrite "
            "options/sleep-time options/funcgraph-irqs").split()


def settings():
    state = {name: text_of(os.path.join(TRACING, name)) for name in SETTINGS
             if os.path.exists(os.path.join(TRACING, name))}
    # The first use of the rings makes them larger, for good.
    if os.path.exists(TRACING + "/buffer_size_kb"):
        state["large rings"] = int(re.search(r"(\d+)\)?$", text_of(
            TRACING + "/buffer_size_kb").strip()).group(1)) > 2048
    state["instances"] = os.listdir(TRACING + "/instances")
    state["note"] = os.path.exists(NOTE)
    return state


def wait_for(condition, text):
    end = time.monotonic() + LIMIT_S
    while not condition():
        check(time.monotonic() < end, text())
        time.sleep(0.05)


def gone(before):
    wait_for(lambda: settings() == before, lambda: "left: %s" % {
        k: (v, before[k]) for k, v in settings().items() if v != before[k]})


def opens(folder):
    """A command that opens so many files, which are there."""
    files = folder + "/files"
    os.makedirs(files, exist_ok=True)
    command = program("calls", "opens", files, NR_OPENS)
    run_command(command)
    return command


def graph(trace, command, *options, depth=DEPTH):
    told = run_command([KYMO, "record", "-o", trace, "--graph", ROOT_FUNCTION, "--depth", depth]
                       + list(options) + ["--"] + list(command))
    text = told.stderr.decode(errors="replace")
    equal(told.returncode, 0, "exit status; %s" % text)
    check(" 0 lost" in text, "lost: %s" % text)


class Shell:
    """One that runs a command when told so, in a child, and waits before and after."""

    def __init__(self, command):
        self.process = subprocess.Popen(
            ["sh", "-c", 'echo ready; read go; "$@"; echo done; read end', "sh"] + command,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.wait_for(b"ready")

    def wait_for(self, word):
        for line in self.process.stdout:
            if line.strip() == word:
                return
        check(False, "the shell has ended")

    def go(self):
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        self.wait_for(b"done")

    def end(self):
        self.process.kill()
        self.process.communicate()


def recorder_of(trace, pid, depth):
    """A recorder of a process, and the folder where it has turned the tracer on."""
    recorder = subprocess.Popen([str(x) for x in (
        KYMO, "record", "-q", "-o", trace, "--graph", ROOT_FUNCTION, "--depth", depth,
        "-p", pid)])
    instance = "%s/instances/kymo-%d" % (TRACING, recorder.pid)
    folders = [instance, TRACING]

    def begun(folder):
        try:
            return (text_of(folder + "/current_tracer") == "function_graph\n" and
                    text_of(folder + "/tracing_on") == "1\n")
        except OSError:
            return False

    def any_begun():
        check(recorder.poll() is None, "kymo has ended: %s" % recorder.returncode)
        return any(begun(folder) for folder in folders)

    wait_for(any_begun, lambda: "it does not begin")
    return recorder, next(folder for folder in folders if begun(folder))


def calls_of(text):
    """(functions from the root inwards, us) of each call in the layout of the tracer."""
    calls, open_calls = [], []
    for line in text.splitlines():
        m = re.search(r"([0-9.]+) us +\|  ( *)(.*)$", line) or re.search(r"()\|  ( *)(.*)$", line)
        if not m:
            continue
        us, depth, what = m.group(1), len(m.group(2)) // 2, m.group(3).split(" /*")[0].strip()
        name = re.match(r"([\w.]+)\(\)", what)
        if what.endswith("{"):
            del open_calls[depth:]
            open_calls.append(name.group(1))
        elif what.endswith(";"):
            calls.append((tuple(open_calls[:depth]) + (name.group(1),), float(us)))
        elif what == "}" and len(open_calls) > depth:
            calls.append((tuple(open_calls[:depth + 1]), float(us)))
    return calls


def roots_of(text):
    """The calls of each root, however deep the graph is; None: interrupted."""
    calls, roots = [], []
    for path, us in calls_of(text):
        if len(path) <= DEPTH:
            calls.append((path, us))
        if path == (ROOT_FUNCTION,):
            interrupted = any(BETWEEN.search(name) for path, _ in calls for name in path)
            roots.append(None if interrupted else calls)
            calls = []
    return roots


def same_calls(ours, theirs):
    """
    Of each root that both have without an interrupt.  A machine that stands still is
    interrupted as often in fewer instructions: what remains are a few of the same calls.
    """
    nr = max(len(ours), len(theirs))
    check(nr >= NR_OPENS, "%d roots" % nr)
    shapes = [collections.Counter(frozenset(collections.Counter(path for path, _ in root).items())
                                  for root in roots if root) for roots in (ours, theirs)]
    print("# not interrupted: %s of %d roots" % ([of.total() for of in shapes], nr))
    usual = [of.most_common(1) for of in shapes]
    check(all(most and most[0][1] >= 3 for most in usual), "of few: %s" % usual)
    equal(usual[0][0][0], usual[1][0][0], "the usual calls")
    for got, wanted in (shapes, shapes[::-1]):
        check((got - wanted).total() <= nr - wanted.total(), "%s, which others have not, but %s" % (
            got - wanted, wanted - got))
    times = [collections.defaultdict(list), collections.defaultdict(list)]
    for to, roots in zip(times, (ours, theirs)):
        for path, us in [call for root in roots if root for call in root]:
            to[path].append(us)
    for path in times[0].keys() & times[1].keys():
        ours_us, theirs_us = (statistics.median(of[path]) for of in times)
        check(theirs_us / 10 < ours_us < theirs_us * 10, "%s: %s us, others: %s" % (
            path, ours_us, theirs_us))


def as_trace_cmd(folder):
    """the same calls as trace-cmd record -p function_graph, in the same layout"""
    if not shutil.which("trace-cmd"):
        skip("no trace-cmd")
    if KERNEL == "5.10":
        skip("trace-cmd's way to set the tracer up stalls an emulated Linux 5.10")
    command = opens(folder)
    graph(folder + "/t.kymo", command)
    ours = kymo("script", "-i", folder + "/t.kymo")
    run_command(["trace-cmd", "record", "-o", folder + "/t.dat", "-p", "function_graph", "-g",
                 ROOT_FUNCTION, "--max-graph-depth", DEPTH, "-F"] + command)
    theirs = run_command(["trace-cmd", "report", "-i", folder + "/t.dat"]).stdout.decode()
    run_command(["trace-cmd", "reset"])
    same_calls(roots_of(ours), roots_of(theirs))
    shape = re.compile(r"^ *\S+-\d+ +\[\d{3}\] +\d+\.\d{6}: funcgraph_(entry:      |exit:       )"
                       r"([ +!#*@$] +[\d.]+ us +|             )\|  ")
    for name, text in (("kymo", ours), ("trace-cmd", theirs)):
        odd = [line for line in text.splitlines() if "funcgraph" in line and
               not shape.match(line)]
        check(not odd, "%s: %s" % (name, odd[:3]))


def sums(folder):
    """own times add up to the duration of each outermost call, in every view, till Ctrl-C"""
    t = folder + "/t.kymo"
    before = settings()
    shell = Shell(opens(folder))
    try:
        recorder, _ = recorder_of(t, shell.process.pid, 6)
        check(settings() != before, "it changes nothing")
        text = complaint("record", "-q", "-o", folder + "/second.kymo", "--graph",
                         ROOT_FUNCTION, "--", "true")
        check("another kymo" in text, text)
        run_command(["head", "-c0", "/dev/null"])
        shell.go()
        recorder.send_signal(signal.SIGINT)
        equal(recorder.wait(LIMIT_S), 0, "exit status")
    finally:
        shell.end()
    equal(settings(), before, "the settings")
    shutil.copy(t, OPENS)
    equal({r["comm"] for r in records(t)} - {"sh"}, {"calls"}, "who is recorded")
    total, nr_roots = add_up(t)
    check(nr_roots >= NR_OPENS, "%d roots" % nr_roots)
    folded = kymo("flamegraph", "--folded", "--of", "self", "-i", t).splitlines()
    equal(sum(int(line.rsplit(" ", 1)[1]) for line in folded), total, "the flame graph")
    check(any(";%s;do_" % ROOT_FUNCTION in line for line in folded), folded[:3])
    rows = kymo("report", "--csv", "--by", "symbol", "-i", t)
    check(ROOT_FUNCTION in rows, rows)


def as_tracer(folder):
    """the same calls as the tracer's own text, once recorder and guard are killed, too"""
    before = settings()
    shell = Shell(opens(folder))
    try:
        recorder, tracer = recorder_of(folder + "/killed.kymo", shell.process.pid, DEPTH)
        children = text_of("/proc/%d/task/%d/children" % (recorder.pid, recorder.pid)).split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        recorder.kill()
        recorder.wait()
        check(settings() != before and os.path.exists(NOTE), "nothing is left already")
        # Nobody empties its rings now.
        shell.go()
        write(tracer + "/tracing_on", "0")
        text = text_of(tracer + "/trace")
    finally:
        shell.end()
    # The next recorder puts things right.
    overload(folder)
    equal(settings(), before, "the settings")
    same_calls(roots_of(kymo("script", "-i", OPENS)), roots_of(text))


def whom(folder):
    """a process and its children, and nobody else"""
    t = folder + "/t.kymo"
    busy = subprocess.Popen(["sh", "-c", "while :; do cat /dev/null; done"])
    other = subprocess.Popen(["sh", "-c", "while :; do head -c0 /dev/null; done"])
    try:
        kymo("record", "-q", "-o", t, "--graph", ROOT_FUNCTION, "--depth", 1, "-p", busy.pid,
             "--duration", 3)
    finally:
        busy.kill()
        other.kill()
        busy.wait()
        other.wait()
    names = {r["comm"] for r in records(t)}
    check("cat" in names and "head" not in names and "kymo" not in names, names)
    equal({r["fields"]["depth"] for r in records(t)}, {0}, "--depth 1")


def machine(folder):
    """the whole of one CPU, without the recorder; several functions by glob"""
    t = folder + "/t.kymo"
    kymo("record", "-q", "-o", t, "--graph", "do_sys_open*,ksys_read", "--depth", 2, "-C", "0",
         "--", *opens(folder))
    recs = records(t)
    equal({r["cpu"] for r in recs}, {0}, "CPUs")
    names = {r["fields"]["function"] for r in recs if r["fields"]["depth"] == 0}
    check({ROOT_FUNCTION, "ksys_read"} <= names, names)
    check("kymo" not in {r["comm"] for r in recs}, "the recorder in its own trace")


def overload(folder):
    """With rings that are too small, losses are told, and no duration is wrong."""
    t = folder + "/t.kymo"
    command = opens(folder)[:-1] + [5 * NR_OPENS]
    begin = time.monotonic()
    told = run_command([KYMO, "record", "-o", t, "-m", "8K", "--graph", ROOT_FUNCTION, "--"] +
                       command)
    took_ns = (time.monotonic() - begin) * 1e9
    text = told.stderr.decode()
    equal(told.returncode, 0, text)
    causes = collections.Counter()
    for loss in info(t)["losses"]:
        causes[loss["cause"]] += loss["count"]
    check(causes["ring"] > 100, "%s; %s" % (causes, text))
    for r in records(t):
        f = r["fields"]
        check(r["period"] <= f["duration"] < took_ns, r)
        check(len(r["stack"]) <= f["depth"] + 2, r)
    check("without" in kymo_told("script", "-i", t), "the quality line")


def kymo_told(*args):
    """What it says on stderr."""
    return run_command([KYMO] + list(args)).stderr.decode()


def refused(folder):
    """what cannot be traced, in one line; nothing is changed by it"""
    t = folder + "/t.kymo"
    before = settings()

    def words(*args, status=1):
        text = complaint("record", "-q", "-o", t, *args, "--", "true", status=status)
        check(not os.path.exists(t), "a file is left")
        gone(before)
        return text

    text = words("--graph", "do_sys_openat2,no_such_function")
    check("no_such_function" in text, text)
    text = words("--graph", "do_sys_openad2")
    check("did you mean 'do_sys_openat2'" in text, text)
    text = words("--graph", "no_such_*")
    check("no_such_*" in text, text)
    text = words("--graph", "a b", status=2)
    check("'a b'" in text, text)
    if shutil.which("setpriv"):
        os.chmod(folder, 0o777)
        told = run_command(["setpriv", "--reuid=65534", "--clear-groups", KYMO, "record", "-q",
                            "-o", t, "--graph", ROOT_FUNCTION, "--", "true"])
        check(told.returncode == 1 and b"root" in told.stderr, told.stderr)


def busy_tracer(folder):
    """a tracer that somebody else uses is left alone"""
    t = folder + "/t.kymo"
    own_instance = "function_graph" in instance_tracers()
    write(TRACING + "/max_graph_depth", "3")
    try:
        text = complaint("record", "-q", "-o", t, "--graph", ROOT_FUNCTION, "--", "true")
        check("somebody else" in text and "max_graph_depth" in text, text)
        equal(text_of(TRACING + "/max_graph_depth"), "3\n", "max_graph_depth")
    finally:
        write(TRACING + "/max_graph_depth", "0")
    write(TRACING + "/events/sched/sched_process_exit/enable", "1")
    try:
        if own_instance:
            graph(t, opens(folder))
        else:
            text = complaint("record", "-q", "-o", t, "--graph", ROOT_FUNCTION, "--", "true")
            check("events/enable" in text, text)
        equal(text_of(TRACING + "/events/sched/sched_process_exit/enable"), "1\n", "the event")
    finally:
        write(TRACING + "/events/sched/sched_process_exit/enable", "0")


def instance_tracers():
    path = TRACING + "/instances/test"
    os.mkdir(path)
    try:
        return text_of(path + "/available_tracers")
    finally:
        os.rmdir(path)


def recording(trace):
    """A recorder of the whole machine, of which something is in the file."""
    recorder = subprocess.Popen([KYMO, "record", "-q", "-a", "-o", trace, "--graph",
                                 ROOT_FUNCTION, "--depth", "2"])

    def begun():
        check(recorder.poll() is None, "kymo has ended: %s" % recorder.returncode)
        run_command(["true"])
        return os.path.exists(trace) and os.path.getsize(trace) > 2048

    wait_for(begun, lambda: "nothing in the file")
    return recorder


def killed(folder):
    """nothing is left after kill -9"""
    before = settings()
    recorder = recording(folder + "/t.kymo")
    recorder.kill()
    recorder.wait()
    gone(before)
    check(records(folder + "/t.kymo", status=3), "records")


if not os.path.exists(TRACING + "/set_graph_function"):
    print("1..0 # SKIP this kernel has no function_graph tracer")
    sys.exit(0)
# Turning the tracer on or off takes ten seconds and more where all is emulated: tests
# share what is recorded.
with tempfile.TemporaryDirectory() as shared:
    OPENS = shared + "/opens.kymo"
    tests = [sums, as_tracer] + [killed] * THOROUGH
    # A matter of the instance: of all on 6.1 and before, of our own on newer kernels.
    if KERNEL in ("6.1", "newest"):
        tests += [refused] + [as_trace_cmd, machine, busy_tracer, whom] * THOROUGH
    run(tests)
