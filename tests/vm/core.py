#!/usr/bin/env python3
"""tests/vm/core.py FILE...: where each thread of a program was when a signal ended it.

Frames are found by frame pointers: on x86-64 only those of programs that keep them.
"""
import struct
import sys

PRSTATUS, FILES, SIGINFO = 1, 0x46494C45, 0x53494749
# By the ELF machine: how many registers, and which are the program counter, the frame
# pointer and the link register.
MACHINES = {183: (34, 32, 29, 30), 62: (27, 16, 4, None)}


class Core:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = f.read()
        self.machine = struct.unpack_from("<H", self.data, 18)[0]
        self.loads, self.files, self.threads, self.signal = [], [], [], ""
        first, = struct.unpack_from("<Q", self.data, 32)
        size, nr = struct.unpack_from("<HH", self.data, 54)
        for i in range(nr):
            kind, _, offset, start, _, in_file, _ = struct.unpack_from(
                "<IIQQQQQ", self.data, first + i * size)
            if kind == 1:
                self.loads.append((start, start + in_file, offset))
            elif kind == 4:
                self.read_notes(offset, offset + in_file)

    def read_notes(self, at, end):
        while at + 12 <= end:
            name, size, kind = struct.unpack_from("<III", self.data, at)
            at += 12 + (name + 3 & ~3)
            self.read_note(kind, self.data[at:at + size])
            at += size + 3 & ~3

    def read_note(self, kind, note):
        if kind == PRSTATUS:
            nr = MACHINES[self.machine][0]
            self.threads.append((struct.unpack_from("<I", note, 32)[0],
                                 struct.unpack_from("<%dQ" % nr, note, 112)))
        elif kind == SIGINFO:
            self.signal = "signal %d, code %d, address %#x" % struct.unpack_from("<i4xi4xQ", note)
        elif kind == FILES:
            nr, page = struct.unpack_from("<QQ", note)
            names = note[16 + 24 * nr:].split(b"\0")
            for i in range(nr):
                start, end, offset = struct.unpack_from("<QQQ", note, 16 + 24 * i)
                self.files.append((start, end, offset * page, names[i].decode(errors="replace")))

    def word(self, address):
        for start, end, offset in self.loads:
            if start <= address <= end - 8:
                return struct.unpack_from("<Q", self.data, offset + address - start)[0]
        return 0

    def place(self, address):
        for start, end, offset, name in self.files:
            if start <= address < end:
                return "%s+%#x" % (name.rsplit("/", 1)[-1], address - start + offset)
        return "%#x" % address

    def frames(self, registers):
        _, counter, frame, link = MACHINES[self.machine]
        yield registers[counter]
        if link is not None:
            yield registers[link]
        at = registers[frame]
        for _ in range(30):
            to, before = self.word(at + 8), self.word(at)
            if not to:
                return
            yield to
            if before <= at:
                return
            at = before


def lines(path):
    core = Core(path)
    yield "%s: %s" % (path.rsplit("/", 1)[-1], core.signal)
    for tid, registers in core.threads:
        yield "thread %d: %s" % (tid, " ".join(map(core.place, core.frames(registers))))


if __name__ == "__main__":
    for path in sys.argv[1:]:
        print("\n".join(lines(path)))
