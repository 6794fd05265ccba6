#!/usr/bin/env python3
"""Compares the records of a trace as JSON Lines with those as CSV, value by value."""
import csv
import json
import sys

with open(sys.argv[1]) as file:
    records = [json.loads(line) for line in file]
with open(sys.argv[2], newline="") as file:
    rows = list(csv.DictReader(file))

assert records and len(records) == len(rows), (len(records), len(rows))
types = {}
for record, row in zip(records, rows):
    fields = {name: value for name, value in record.items() if name != "fields"}
    for name, value in record.get("fields", {}).items():
        fields["fields." + name if name in record else name] = value
    for name, text in row.items():
        value = fields.pop(name, None)
        types.setdefault(name, set()).add(type(value))
        if value is None:
            assert text in ("", "nan", "inf", "-inf"), (name, text)
        elif isinstance(value, str):
            # Control characters are escaped in both, each in its own way.
            if value.isprintable():
                assert text == value, (name, text, value)
        else:
            assert type(value)(text) == value, (name, text, value)
    assert not fields, f"no column for {fields}"

numbers = ("pid", "tid", "cpu", "id", "args[0]", "ret", "retval", "next_pid", "prev_state", "took")
for name in numbers:
    assert types[name] <= {int, type(None)} and int in types[name], (name, types[name])
for name in ("comm", "next_comm", "caller", "op", "data", "daddr", "daddr6", "target"):
    assert types[name] <= {str, type(None)} and str in types[name], (name, types[name])
assert float in types["load"], types["load"]
assert max(r["fields"].get("args[5]", 0) for r in records) == 2**64 - 1
assert min(r["fields"].get("retval", 0) for r in records) < 0
