#!/usr/bin/env python3
"""tests/vm/state.py MONITOR CONSOLE LOG: what a machine that stands still is doing.

Says of each CPU where it is, twice, by QEMU's monitor.  Then the guest's kernel is asked
for its CPUs and the tasks that are blocked: LOG has what it answers, if it does.
"""
import os
import re
import socket
import sys
import time

monitor, console, log = sys.argv[1:]


def connected(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(path)
    return s


def asked(command):
    """The monitor's answer"""
    s.sendall(command.encode() + b"\n")
    return until_prompt()


def until_prompt():
    text = b""
    while not text.endswith(b"(qemu) "):
        more = s.recv(65536)
        if not more:
            break
        text += more
    return text.decode(errors="replace").replace("\r", "")


def press(keys):
    """The system request key, as serial lines have it; each answer is waited for"""
    for key in keys:
        asked("chardev-send-break console")
        line.sendall(key.encode())
        size, until = -1, time.monotonic() + 15
        while size != os.path.getsize(log) and time.monotonic() < until:
            size = os.path.getsize(log)
            time.sleep(3)


s = connected(monitor)
line = connected(console)
until_prompt()
for _ in range(2):
    for found in re.finditer(r"CPU#\d+|\b[RE]?IP=\w+.*|PC=\w+", asked("info registers -a")):
        print(found.group(), flush=True)
    time.sleep(1)
# All that follows goes to the console; then backtraces of the CPUs, then of the blocked.
try:
    press("9lw")
except OSError as e:
    print("no answer: %s" % e)
