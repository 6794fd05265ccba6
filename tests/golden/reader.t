#!/usr/bin/env python3
"""The reader and the one written from kymo-format(5) alone say the same.

Both read every golden file, whole and damaged, and the example of the manual.
first.kymo holds samples (tests/tracegen), probes.kymo events of every other
kind (tests/probegen 400), calls.kymo spans and names of values (tests/callgen), parts.kymo
an event with parts (tests/partgen); none is ever written anew.
"""

import contextlib
import io
import os
import random
import re
import subprocess
import sys
import tempfile
import zlib

sys.path.insert(0, "tests/reader")
sys.dont_write_bytecode = True

import kymo_reader  # noqa: E402
from tap import check, finish  # noqa: E402

DUMP = os.path.join(os.environ["BUILD"], "tests/dump")
GOLDEN = ["tests/golden/" + name for name in ("first", "probes", "calls", "parts")]
HEADER_BYTES, BLOCK_BYTES, TRAILER_BYTES = 32, 64, 24
RECORDS, INDEX = 12, 14
CHANGES = 3                     # of each block


def run(*command, **more):
    done = subprocess.run(command, capture_output=True, **more)
    return done.returncode, done.stdout


def second(path):
    """What the second reader says, and its exit status."""
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")
    try:
        with contextlib.redirect_stdout(said):
            status = kymo_reader.print_trace(kymo_reader.Trace(read(path)), False)
    except kymo_reader.Refused:
        status = 1
    said.flush()
    return status, said.buffer.getvalue()


def first_difference(a, b):
    for n, (x, y) in enumerate(zip(a[1].split(b"\n"), b[1].split(b"\n")), 1):
        if x != y:
            return f"line {n}: {x[:100]!r} and {y[:100]!r}"
    return f"status {a[0]} and {b[0]}, {len(a[1])} and {len(b[1])} bytes"


def check_same(name, path):
    one, two = run(DUMP, path), second(path)
    check(name, one == two, first_difference(one, two))


def read(path):
    with open(path, "rb") as f:
        return f.read()


def manual_example():
    """The bytes of the hex dump in the manual page, checking its offsets."""
    data = b""
    with open("Documentation/kymo-format.5", encoding="utf-8") as f:
        for line in f:
            found = re.fullmatch(r"([0-9a-f]{8}):((?: [0-9a-f]{2})+)\n", line)
            if found:
                assert int(found[1], 16) == len(data), line
                data += bytes.fromhex(found[2])
    return data


def block_offsets(data):
    at = HEADER_BYTES
    while at < len(data) - TRAILER_BYTES:
        yield at
        at += BLOCK_BYTES + int.from_bytes(data[at + 8:at + 12], "little")


def check_golden(name):
    """The file as a whole; its text was written together with it."""
    golden = read(name + ".kymo")
    expected = (0, read(name + ".txt"))
    short = os.path.basename(name)
    dumped = run(DUMP, name + ".kymo")
    check(f"{short} reads as it always did", dumped == expected,
          first_difference(dumped, expected))
    piped = run(DUMP, "-", input=golden)
    check(f"{short} also through a pipe", piped == expected, first_difference(piped, expected))
    check_same(f"{short}: the second reader agrees", name + ".kymo")
    return golden


def check_damage(short, golden, with_bytes):
    """Both readers on pieces of the file and with bytes changed."""
    blocks = list(block_offsets(golden))
    for at in range(1, 8):
        with_bytes(f"{short}: both agree on a file cut at {at} eighths",
                   golden[:len(golden) * at // 8])
    with_bytes(f"{short}: without the trailer", golden[:-TRAILER_BYTES])
    damaged = bytearray(golden)
    damaged[12] ^= 1
    with_bytes(f"{short}: with a damaged file header", damaged)
    for n in range(2, len(blocks), 5):
        for name, at in ("header", 20), ("payload", BLOCK_BYTES + 3):
            damaged = bytearray(golden)
            damaged[blocks[n] + at] ^= 0x55
            with_bytes(f"{short}: with a damaged {name} of block {n}", damaged)
            with_bytes("the same without the trailer", damaged[:-TRAILER_BYTES])
    middle = blocks[len(blocks) // 2] + BLOCK_BYTES + 10
    with_bytes(f"{short}: with bytes missing", golden[:middle] + golden[middle + 7:])


def resealed(golden, at, place, byte):
    """The file with a byte of the payload of the block there changed, and good checksums."""
    data = bytearray(golden)
    end = at + BLOCK_BYTES + int.from_bytes(data[at + 8:at + 12], "little")
    data[at + BLOCK_BYTES + place] = byte
    data[at + 48:at + 52] = zlib.crc32(data[at + BLOCK_BYTES:end]).to_bytes(4, "little")
    data[at + 60:at + 64] = zlib.crc32(data[at:at + 60]).to_bytes(4, "little")
    return data


def check_dictionaries(short, golden, same):
    """What is damage is the same to both where no checksum tells."""
    lot = random.Random(7)
    wrong = []
    for at in block_offsets(golden):
        kind, size = (int.from_bytes(golden[at + i:at + j], "little")
                      for i, j in ((4, 6), (8, 12)))
        for _ in range(CHANGES if kind not in (RECORDS, INDEX) else 0):
            place, byte = lot.randrange(size), lot.randrange(256)
            difference = same(resealed(golden, at, place, byte))
            if difference:
                wrong.append(f"block at {at}, type {kind}, byte {place} is {byte}: {difference}")
    check(f"{short}: both agree on dictionaries that are wrong", not wrong, *wrong)


def main():
    files = {os.path.basename(name): check_golden(name) for name in GOLDEN}

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "x.kymo")

        def with_bytes(name, data):
            with open(path, "wb") as f:
                f.write(data)
            check_same(name, path)

        example = manual_example()
        with_bytes("both read the example of the manual", example)
        check("which has three records", run(DUMP, path)[1].count(b"record\t") == 3)

        def same(data):
            with open(path, "wb") as f:
                f.write(data)
            one, two = run(DUMP, path), second(path)
            return one != two and first_difference(one, two)

        for short, golden in files.items():
            check_damage(short, golden, with_bytes)
            check_dictionaries(short, golden, same)

    finish()


main()
