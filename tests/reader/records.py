"""The records of a trace as the second reader prints them, for tests that count anew."""

import collections
import os
import subprocess
import sys

READER = [sys.executable, "-B", os.path.join(os.path.dirname(__file__), "kymo_reader.py")]


def _value(kind, cell):
    """The reader prints signed fields, too, as the 64 bits that they are."""
    if kind == "2":
        return int(cell) - (1 << 64) * (int(cell) >= 1 << 63)
    return int(cell) if kind == "1" else cell


def read(path, parts=False):
    """{event: [{field: number or text, "comm": text}]}, those of parts if asked for"""
    names, fields, comms = {}, collections.defaultdict(list), {}
    records = collections.defaultdict(list)
    command = READER + ["--parts"] * parts + [path]
    printed = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    lines = [line.split("\t") for line in printed.split("\n")]
    for word, *cells in lines:
        if word == "event":
            last = int(cells[0])
            names[last] = cells[1]
        elif word == "field":
            fields[last].append((cells[1], cells[2]))
        elif word == "task":
            comms[int(cells[0])] = cells[6]
    for word, *cells in lines:
        if word == "record":
            event = int(cells[0])
            r = {name: _value(kind, v) for (name, kind), v in zip(fields[event], cells[1:])}
            r["comm"] = comms.get(int(r.get("task", 0)), "[unknown]")
            records[names[event]].append(r)
    return records
