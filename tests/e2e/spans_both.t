#!/usr/bin/env python3
"""Spans paired in the kernel beside those that a view makes of raw events of the same run."""
import collections
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from live import *

NR = 200 if EMULATED else 3000
READ = "syscalls:sys_enter_pread64..syscalls:sys_exit_pread64"
SIGNAL = "signal:signal_generate..signal:signal_deliver"
BY_TARGET = "@pid=tid,sig"

# One process sends signals to the other, which answers each.
SIGNALS = """
import os, signal, sys
n = int(sys.argv[1])
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
there, back = os.pipe(), os.pipe()
pid = os.fork()
if not pid:
    signal.signal(signal.SIGUSR1, lambda *args: os.write(back[1], b"x"))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
    os.write(back[1], b"x")
    # A call that waits could miss a signal that comes just before it.
    while True:
        pass
os.read(back[0], 1)
for i in range(n):
    os.kill(pid, signal.SIGUSR1)
    os.read(back[0], 1)
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
print(os.getpid(), pid, flush=True)
"""


def recorded(folder, command, *args):
    trace = os.path.join(folder, "t.kymo")
    out = kymo("record", "-q", "-o", trace, *args, "--", *command)
    return trace, [int(word) for word in out.split() if word.isdigit()]


def is_there(folder, event):
    """Skips where the kernel has no such tracepoint."""
    if not kymo("list", event, status=None).strip():
        skip("no tracepoint '%s'" % event)


def spans(trace, event):
    """What a view says of them: records, and its line of quality."""
    r = run_command([KYMO, "script", "--json", "--ns", "-i", trace, "-e", event])
    check(r.returncode == 0, r.stderr.decode())
    return [json.loads(line) for line in r.stdout.splitlines()], r.stderr.decode()


def both(trace, spec):
    kernel, said = spans(trace, "kernel")
    made, said_of_made = spans(trace, spec + " as made")
    return kernel, made, said, said_of_made


def unpaired(said):
    """Ends without a start, starts without an end."""
    found = [0, 0]
    for part in said.split(", "):
        words = part.split()
        if "without" in words:
            found["end" == words[-1]] = int(words[0].replace(",", ""))
    return found


def ns(seconds):
    return round(seconds * 1e9)


def begin_of(r):
    return ns(r["time"]) - r["fields"]["duration"]


def facts(r):
    """
    All but times and CPU: two programs at one event do not read the clock at once, and
    between them a task may move, since kernels allow that within system calls' tracepoints.
    """
    fields = {k: v for k, v in r["fields"].items() if k != "duration"}
    return r["tid"], r["comm"], tuple(sorted(fields.items()))


def same_facts(kernel, made):
    got, wanted = collections.Counter(map(facts, made)), collections.Counter(map(facts, kernel))
    equal(sorted((wanted - got).elements()), [], "only in the kernel")
    equal(sorted((got - wanted).elements()), [], "only in the view")


def between(kernel, made):
    """Of one thread: each side of a span lies between the raw events next to it."""
    for i, (k, m) in enumerate(zip(kernel, made)):
        equal(facts(k), facts(m), "record %d" % i)
        check(begin_of(k) < ns(m["time"]), "record %d begins after its end" % i)
        check(ns(k["time"]) > begin_of(m), "record %d ends before its start" % i)
        if i:
            check(begin_of(k) > ns(made[i - 1]["time"]), "record %d begins too early" % i)
        if i + 1 < len(made):
            check(ns(k["time"]) < begin_of(made[i + 1]), "record %d ends too late" % i)


def reads_by_thread(folder):
    """by thread: the same spans, each between the raw events of its neighbours"""
    is_there(folder, "syscalls:sys_enter_pread64")
    data = os.path.join(folder, "data")
    with open(data, "wb") as f:
        f.write(b"x" * 65536)
    trace, pids = recorded(folder, program("reads", data, NR), "-e", READ + " as kernel", "-e",
                           READ.replace("..", ","))
    kernel, made, said, said_of_made = both(trace, READ)
    check(len(kernel) >= NR, "%d spans of %d reads" % (len(kernel), NR))
    equal(len(made), len(kernel), "spans")
    between(kernel, made)
    equal(unpaired(said_of_made), unpaired(said), "what has no partner")
    sizes = [r["fields"]["ret"] for r in kernel if r["pid"] == pids[0]]
    equal(sizes[-NR:], list(range(1, NR + 1)), "what was read")


def chosen_sides(folder):
    """conditions, fields and a filter mean the same"""
    is_there(folder, "syscalls:sys_enter_pread64")
    data = os.path.join(folder, "data")
    with open(data, "wb") as f:
        f.write(b"x" * 65536)
    chosen = ("syscalls:sys_enter_pread64(size=count,fd){count > 50}.."
              "syscalls:sys_exit_pread64(ret){ret < 150}@tid")
    trace, _ = recorded(folder, program("reads", data, NR), "-e", chosen + " as kernel", "-e",
                        READ.replace("..", ","))
    kernel, made, said, said_of_made = both(trace, chosen)
    equal([r["fields"]["size"] for r in kernel if r["fields"]["fd"] == 3][-99:],
          list(range(51, 150)), "sizes")
    same_facts(kernel, made)
    equal(unpaired(said_of_made), unpaired(said), "what has no partner")
    few, _ = spans(trace, chosen + " as few")
    equal(sum(r["fields"]["size"] > 100 for r in few),
          len(records(trace, "-e", chosen + " as few", "--filter", "size > 100")), "a filter")


def unwanted_starts(folder):
    """a start that a filter turns down comes in the place of the one before, in both"""
    is_there(folder, "syscalls:sys_enter_pread64")
    data = os.path.join(folder, "data")
    with open(data, "wb") as f:
        f.write(b"x" * 65536)
    # Of all sizes only the last is followed by the write.
    spec = "syscalls:sys_enter_pread64(size=count)..syscalls:sys_exit_write@tid"
    for keys, wanted, found in (("", NR - 1, 0), ("", NR, 1), (",pid", NR - 1, 0)):
        sized = "size == %d" % wanted
        trace, pids = recorded(folder, program("reads", data, NR),
                               "-e", spec + keys + " as kernel", "--filter", sized,
                               "-e", "syscalls:sys_enter_pread64,syscalls:sys_exit_write")
        made = records(trace, "-e", spec + keys + " as made", "--filter", sized)
        kernel = records(trace, "-e", "kernel")
        equal(len(made), found, "spans in the view")
        equal(len(kernel), found, "spans in the kernel")
        equal([facts(r) for r in kernel], [facts(r) for r in made], sized)


def signals_between_processes(folder):
    """by a field of the start and the thread of the end: signals, from CPU to CPU"""
    is_there(folder, "signal:signal_generate")
    trace, pids = recorded(folder, [sys.executable, "-c", SIGNALS, str(NR // 10)],
                           "-e", SIGNAL + BY_TARGET + " as kernel", "-e",
                           SIGNAL.replace("..", ","))
    kernel, made, said, said_of_made = both(trace, SIGNAL + BY_TARGET)
    equal(len([r for r in kernel if r["fields"]["sig"] == 10]), NR // 10, "signals")
    same_facts(kernel, made)
    equal(unpaired(said_of_made), unpaired(said), "what has no partner")
    check({r["pid"] for r in kernel if r["fields"]["sig"] == 10} == {pids[0]}, "the senders")


def ends_that_never_come(folder):
    """calls that never return are starts without an end, in both"""
    is_there(folder, "syscalls:sys_enter_exit_group")
    leave = "syscalls:sys_enter_exit_group..syscalls:sys_exit_exit_group"
    trace, _ = recorded(folder, ["sh", "-c", "(exit 1); (exit 2); (exit 3); exit 0"],
                        "-e", leave + " as kernel", "-e", leave.replace("..", ","))
    kernel, made, said, said_of_made = both(trace, leave)
    equal([kernel, made], [[], []], "records")
    equal(unpaired(said), [0, 4], said)
    equal(unpaired(said_of_made), [0, 4], said_of_made)


def stacks_and_tasks(folder):
    """the stack and the task are of the side that is usual, or asked for"""
    is_there(folder, "signal:signal_generate")
    for spec in (SIGNAL, "signal:signal_generate..signal:signal_deliver(stack)",
                 "signal:signal_generate(sig)..signal:signal_deliver(task)",
                 "signal:signal_generate..signal:signal_deliver(task,stack,code)"):
        trace, pids = recorded(folder, [sys.executable, "-c", SIGNALS, "20"], "-g",
                               "-e", spec + BY_TARGET + " as kernel", "-e",
                               SIGNAL.replace("..", ","))
        kernel, made, _, _ = both(trace, spec + BY_TARGET)

        def told(recs):
            return [(r["pid"], [f.get("symbol") for f in r["stack"]][-3:]) for r in recs
                    if r["fields"]["sig"] == 10]

        equal(len(told(kernel)), 20, "signals")
        equal({r["pid"] for r in kernel if r["fields"]["sig"] == 10},
              {pids["(task" in spec]}, "whose they are")
        check(all(stack for _, stack in told(kernel)), "no stacks: %s" % told(kernel))
        equal(told(made), told(kernel), spec)


if __name__ == "__main__":
    run([reads_by_thread, chosen_sides, unwanted_starts, signals_between_processes,
         ends_that_never_come, stacks_and_tasks])
