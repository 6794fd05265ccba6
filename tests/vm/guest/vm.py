"""What the tests inside virtual machines share, on top of tests/e2e/live.py."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../e2e"))
from live import *

KERNEL = os.environ["KYMO_VM_KERNEL"]
MACHINE = os.uname().machine
TRACING = "/sys/kernel/tracing"
# Tools that take minutes to start when emulated are for `make check-vm` alone.
THOROUGH = os.environ.get("KYMO_VM") == "all"
# The kernel's function behind a system call.
SYSCALL = {"x86_64": "__x64_sys_", "aarch64": "__arm64_sys_"}[MACHINE]


def text_of(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def record(trace, events, *command, options=(), recorder=(KYMO,), lossy=False, tries=5):
    """
    Records a command without stacks; nothing may be lost, unless `lossy` says so.  What the
    kernel leaves out while another program runs is counted: then the command runs again.
    """
    args = [x for event in events for x in (["-e"] + list(event) if isinstance(event, (tuple, list))
                                            else ["-e", event])]
    for _ in range(tries):
        told = run_command([*recorder, "record", "--no-stack", "-o", trace, *args, *options, "--",
                            *command])
        text = told.stderr.decode(errors="replace")
        equal(told.returncode, 0, "exit status; %s" % text)
        if lossy or " 0 lost" in text:
            return told.stdout.decode(errors="replace")
        check({loss["cause"] for loss in info(trace)["losses"]} == {"recursion"}, "lost: " + text)
    raise AssertionError("lost in each of %d recordings: %s" % (tries, text))


def of_event(trace, name):
    return [r for r in records(trace) if r["event"] == name]


def sent_again():
    """How many TCP segments this machine has sent again."""
    names, numbers = [line.split() for line in text_of("/proc/net/snmp").splitlines()
                      if line.startswith("Tcp:")]
    return int(numbers[names.index("RetransSegs")])


# Connects to one who never answers, and ends once so many segments were sent again.
UNANSWERED = """
import os, socket, sys, time
sys.path.insert(0, %r)
from vm import *
wanted = sent_again() + int(sys.argv[1])
s = socket.socket()
s.setblocking(False)
s.connect_ex(("10.9.0.2", 4242))
while sent_again() < wanted:
    time.sleep(0.05)
""" % os.path.dirname(os.path.abspath(__file__))


def silent_neighbour():
    """Whoever lives at 10.9.0.2, which segments get to, but no answer comes from."""
    script = ("ip netns add one; ip link add a0 type veth peer name b0 netns one;"
              "ip addr add 10.9.0.1/24 dev a0; ip link set a0 up; ip -n one link set b0 up;"
              "ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:77 dev a0 nud permanent")
    if run_command(["sh", "-ec", script]).returncode:
        skip("no veth or network namespaces")


def no_neighbour():
    run_command(["ip", "link", "del", "a0"])
    run_command(["ip", "netns", "del", "one"])


def no_function_trampolines():
    """fentry attaches by calling BPF from ftrace, which arm64 has since 6.4."""
    if KERNEL == "arm64":
        skip("Linux 6.1 on arm64 has no fentry")
