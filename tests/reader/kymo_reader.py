#!/usr/bin/env python3
"""A second reader of kymo traces, written from kymo-format(5) alone.

It exists to show that the document suffices, and prints everything in a trace
as text, as tests/dump.c does:

    kymo_reader.py [--parts] FILE

With --parts, records of a whole are followed by those of its parts.  It wants the
standard library and the zstd program.  Exit status 3 when the trace was cut or damaged,
1 when it cannot be read.
"""

import collections
import functools
import struct
import subprocess
import sys
import zlib

FILE_MAGIC = bytes.fromhex("894b594d4f0d0a1a")
SYNC = bytes.fromhex("b74b421a")
TRAILER_MAGIC = bytes.fromhex("b74b594d4f454e44")
FILE_HEADER_BYTES, BLOCK_HEADER_BYTES, TRAILER_BYTES = 32, 64, 24
MAX_PAYLOAD, MAX_ROWS, MAX_NUMBERS, MAX_TEXT = 16777216, 262144, 1048576, 8388608
MAX_ID, MAX_EVENT, MAX_EVENT_ROWS = 16777215, 65535, 65536
ID_SLACK = 65536
MASK = (1 << 64) - 1
UID_UNKNOWN = 4294967295

(HOST, CLOCK, EVENT, STRINGS, MODULES, FRAMES, STACKS, TASKS, MAPPINGS, SYMBOLS,
 LOSS, RECORDS, COST, INDEX) = range(1, 15)
TYPE_UNSIGNED, TYPE_BYTES = 1, 4
ROLE_TIME = 1


class Damage(Exception):
    pass


class Refused(Exception):
    pass


# --- bytes -------------------------------------------------------------------


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if n > len(self.data) - self.at:
            raise Damage("cut short")
        self.at += n
        return self.data[self.at - n:self.at]

    def u8(self):
        return self.take(1)[0]

    def varint(self):
        value = 0
        for i in range(10):
            byte = self.u8()
            value |= (byte & 0x7f) << (7 * i)
            if byte < 0x80:
                if value > MASK:
                    raise Damage("varint of more than 64 bits")
                return value
        raise Damage("varint of more than ten bytes")

    def left(self):
        return len(self.data) - self.at

    def done(self):
        if self.left():
            raise Damage("bytes left over")


def unzigzag(n):
    return (n >> 1) ^ -(n & 1)


def frame_content_size(frame):
    """RFC 8878, 3.1.1.1: what the header of a frame declares, or None."""
    if len(frame) < 6 or frame[:4] != b"\x28\xb5\x2f\xfd":
        return None
    descriptor = frame[4]
    single = descriptor >> 5 & 1
    if descriptor & 3:
        return None     # needs a dictionary
    size_bytes = (single, 2, 4, 8)[descriptor >> 6]
    at = 5 + (not single)
    field = frame[at:at + size_bytes]
    if not size_bytes or len(field) < size_bytes:
        return None
    return int.from_bytes(field, "little") + (256 if size_bytes == 2 else 0)


# Starting the program is what takes long: the tests read many files that have most in common.
@functools.lru_cache(maxsize=None)
def decompressed(frame):
    done = subprocess.run(["zstd", "-dcq"], input=frame, capture_output=True)
    return None if done.returncode else done.stdout


def unit(cursor, most):
    codec = cursor.u8()
    raw_bytes = cursor.varint()
    if codec == 0:
        data = cursor.take(raw_bytes)
    elif codec == 1:
        frame = cursor.take(cursor.varint())
        if raw_bytes > most or frame_content_size(frame) != raw_bytes:
            raise Damage("frame of another size")
        data = decompressed(bytes(frame))
        if data is None or len(data) != raw_bytes:
            raise Damage("zstd")
    else:
        raise Damage("unknown codec")
    if raw_bytes > most:
        raise Damage("too much")
    return data


# --- tables --------------------------------------------------------------------


class Link:
    """What a column of transform 3 is predicted from."""

    def __init__(self, cursor, own, columns):
        self.mode, self.key, self.time = cursor.u8(), cursor.varint(), cursor.varint()
        nr = cursor.u8()
        if self.mode > 2 or not 1 <= nr <= 4:
            raise Damage("link")
        self.terms = []
        for _ in range(nr):
            place = cursor.u8()
            self.terms.append((place & ~16, -1 if place & 16 else 1, cursor.varint()))
        for place, sign, column in self.terms:
            alone = column == own and place == 1 and sign == 1 and nr == 1
            if place > 2 or (column not in columns and not alone):
                raise Damage("term")
        if self.key not in columns or self.time not in columns:
            raise Damage("key or time")

    def numbers(self, own, w, table):
        time, key = table.numbers(self.time), table.numbers(self.key)
        terms = [(place, sign, None if column == own else table.numbers(column))
                 for place, sign, column in self.terms]
        last, x = {}, list(w)
        for i in sorted(range(len(w)), key=lambda i: (time[i], i)):
            before = last.get(key[i])
            last[key[i]] = i
            p = 0
            for place, sign, column in terms:
                row = before if place else i
                if place == 2 and row is not None:
                    row = row + 1 if row + 1 < len(w) and time[row + 1] >= time[row] else None
                if row is None:
                    p = 0
                    break
                p += sign * (column or x)[row]
            if self.mode == 0:
                x[i] = (p + w[i]) & MASK
            elif self.mode == 1:
                x[i] = (p + unzigzag(w[i])) & MASK
            else:
                x[i] = w[i] - 1 if w[i] else p & MASK
        return x


def buckets(sub, symbols, bits):
    if not 2 <= sub <= 6:
        raise Damage("sub-bits")
    held, at, v = int.from_bytes(bits, "little"), 0, []
    for symbol in symbols:
        high, low = symbol >> sub, symbol & ((1 << sub) - 1)
        n = max(high - 1, 0)
        if symbol == 255:
            n, least = 64, 0
        elif not high:
            least = symbol
        else:
            least = ((1 << sub) + low) << n
        if symbol != 255 and n + sub + 1 > 64:
            raise Damage("symbol")
        v.append(least + (held >> at & ((1 << n) - 1)))
        at += n
    if (at + 7) // 8 != len(bits):
        raise Damage("bits")
    return v


class Column:
    def __init__(self, cursor, columns):
        self.id = cursor.varint()
        self.transform = cursor.u8()
        self.layout = cursor.u8()
        self.base = cursor.varint()
        self.first = cursor.varint() if self.transform in (1, 2, 4) else 0
        self.link = Link(cursor, self.id, columns) if self.transform == 3 else None
        self.key = cursor.varint() if self.transform == 5 else None
        if self.transform == 5 and self.key not in columns:
            raise Damage("key")
        self.data = cursor.take(cursor.varint())
        if self.id >= 1 << 32 or self.transform > 5 or (self.transform == 2 and self.base):
            raise Damage("column header")

    def values(self, n):
        """The numbers v of the layout."""
        c = Cursor(self.data)
        if self.layout == 0:
            v = [0] * n
        elif self.layout == 1:
            raw = Cursor(unit(c, 10 * n))
            v = [raw.varint() for _ in range(n)]
            raw.done()
        elif self.layout == 2:
            width = c.u8()
            if not 1 <= width <= 8:
                raise Damage("width")
            planes = [unit(c, n) for _ in range(width)]
            if any(len(p) != n for p in planes):
                raise Damage("plane")
            v = [int.from_bytes(bytes(b), "little") for b in zip(*planes)]
        elif self.layout == 3:
            raw = Cursor(unit(c, 20 * n))
            v = []
            while raw.left():
                value, run = raw.varint(), raw.varint()
                if not run or run > n - len(v):
                    raise Damage("run")
                v += [value] * run
            if len(v) != n:
                raise Damage("runs")
        elif self.layout == 5:
            sub, symbols = c.u8(), unit(c, n)
            if len(symbols) != n:
                raise Damage("symbols")
            v = buckets(sub, symbols, unit(c, 8 * n))
        else:
            raise Damage("unknown layout")
        c.done()
        return v

    def numbers(self, table):
        nr = table.nr
        if not nr:
            return []
        if self.transform in (0, 3):
            v = [(self.base + v) & MASK for v in self.values(nr)]
            return self.link.numbers(self.id, v, table) if self.link else v
        if self.transform == 2:
            return self.new_ids(nr)
        if self.transform == 5:
            return self.grouped(table.numbers(self.key))
        x = [self.first]
        for v in self.values(nr - 1):
            step = self.base + v if self.transform == 4 else unzigzag(self.base) + unzigzag(v)
            x.append((x[-1] + step) & MASK)
        return x

    def new_ids(self, nr):
        x, m = [], self.first
        for v in self.values(nr):
            x.append((m + 1 + v if v < 16 else v - 16) & MASK)
            m = max(m, x[-1])
        return x

    def grouped(self, key):
        x = [0] * len(key)
        for i, v in zip(sorted(range(len(key)), key=key.__getitem__), self.values(len(key))):
            x[i] = (self.base + v) & MASK
        return x

    def texts(self, nr):
        if self.layout != 4 or self.transform or self.base:
            raise Damage("not a column of bytes")
        c = Cursor(self.data)
        raw, text = Cursor(unit(c, 10 * nr)), Cursor(unit(c, MAX_TEXT))
        out = [text.take(raw.varint()) for _ in range(nr)]
        raw.done()
        text.done()
        c.done()
        return out


class Table:
    def __init__(self, payload, nr):
        self.nr = nr
        self.columns, self.missing, self.read = {}, {}, {}
        c = Cursor(payload)
        nr_columns = c.varint()
        if nr_columns > 256:
            raise Damage("too many columns")
        for _ in range(nr_columns):
            column = Column(c, self.columns)
            self.columns.setdefault(column.id, column)
        c.done()

    def numbers(self, column):
        c = self.columns.get(column)
        if not c:
            return [self.missing.get(column, 0)] * self.nr
        if column not in self.read:
            self.read[column] = c.numbers(self)
        return self.read[column]

    def texts(self, column):
        c = self.columns.get(column)
        return c.texts(self.nr) if c else [b""] * self.nr

    def rows(self, nr_columns):
        """Tuples of the columns 1 to nr_columns."""
        return list(zip(*(self.numbers(i + 1) for i in range(nr_columns))))


# --- blocks ----------------------------------------------------------------------


class Block:
    FIELDS = struct.Struct("<HHIIIQQQII")

    def __init__(self, data, at):
        header = data[at:at + BLOCK_HEADER_BYTES]
        if len(header) < BLOCK_HEADER_BYTES or header[:4] != SYNC:
            raise Damage("no sync word")
        if zlib.crc32(header[:60]) != int.from_bytes(header[60:], "little"):
            raise Damage("header checksum")
        (self.type, reserved, self.payload_bytes, self.nr, self.event, self.first,
         self.last, self.safe, self.seq, self.crc) = self.FIELDS.unpack_from(header, 4)
        if (reserved or self.payload_bytes > MAX_PAYLOAD or self.nr > MAX_ROWS or
                self.first > self.last):
            raise Damage("header limits")
        self.at = at
        self.end = at + BLOCK_HEADER_BYTES + self.payload_bytes
        self.payload = data[at + BLOCK_HEADER_BYTES:self.end]

    def good(self):
        return zlib.crc32(self.payload) == self.crc

    def said(self):
        return (self.at, self.type, self.payload_bytes, self.nr, self.event, self.first,
                self.last, self.safe)


def block_at(data, at):
    """The block there if its header is good and all of it in the file."""
    try:
        block = Block(data, at)
    except Damage:
        return None
    return block if block.end <= len(data) else None


def trailer_at(data, at):
    t = data[at:at + TRAILER_BYTES]
    if (at < 0 or len(t) < TRAILER_BYTES or t[16:] != TRAILER_MAGIC or
            zlib.crc32(t[:12]) != int.from_bytes(t[12:16], "little")):
        return None
    return int.from_bytes(t[:8], "little")


class Health:
    def __init__(self):
        self.cut = False
        self.damaged_blocks = self.damaged_bytes = 0
        self.missing_blocks = self.missing_records = 0


def scan(data, health):
    blocks, at, after_trailer, expected = [], FILE_HEADER_BYTES, False, 0
    while at < len(data):
        if blocks and blocks[-1].type == INDEX and trailer_at(data, at) is not None:
            at += TRAILER_BYTES
            after_trailer = True
            continue
        after_trailer = False
        block = block_at(data, at)
        if block:
            blocks.append(block)
            health.missing_blocks += max(0, block.seq - expected)
            expected = block.seq + 1
            at = block.end
            continue
        start = at + 1
        if blocks and blocks[-1].end == at and not blocks[-1].good():
            start = blocks[-1].at + BLOCK_HEADER_BYTES
        found = data.find(SYNC, start)
        while found >= 0 and not block_at(data, found):
            found = data.find(SYNC, found + 1)
        if found < 0:
            break
        health.damaged_bytes += max(0, found - at)
        at = found
    health.cut = not after_trailer
    return blocks


class Named:
    """A block that the index names; its own header is looked at when it is read."""

    def __init__(self, row):
        (self.at, self.type, self.payload_bytes, self.nr, self.event, self.first, self.last,
         self.safe) = row


def read_index(data):
    """Blocks by the index, or None if anything about it is not right."""
    end = len(data) - TRAILER_BYTES
    at = trailer_at(data, end)
    if at is None or not FILE_HEADER_BYTES <= at < end:
        return None
    start, rows = at, []
    while at < end:
        block = block_at(data, at)
        if not block or block.type != INDEX or not block.good():
            return None
        try:
            rows += Table(block.payload, block.nr).rows(8)
        except Damage:
            return None
        at = block.end
    if at != end:
        return None
    floor = FILE_HEADER_BYTES
    for row in rows:
        if row[0] < floor or row[2] > MAX_PAYLOAD or row[3] > MAX_ROWS or row[5] > row[6]:
            return None
        floor = row[0] + BLOCK_HEADER_BYTES + row[2]
    return [Named(row) for row in rows] if floor <= start else None


# --- the trace ---------------------------------------------------------------------


def narrowed(rows, wide):
    """Numbers but for those of columns that have 64 bits, from 1 on."""
    return [tuple(v if i in wide else min(v, (1 << 32) - 1) for i, v in enumerate(row, 1))
            for row in rows]


class Field:
    def __init__(self, row, text):
        self.column = row[2]
        self.name, self.unit, self.values, self.source = (text(row[i]) for i in (3, 6, 10, 13))
        self.type, self.role, self.hint, self.privacy = (min(row[i], 255) for i in (4, 5, 7, 8))


class Event:
    def __init__(self, rows, text):
        self.name, self.format, self.condition = (text(rows[0][i]) for i in (1, 9, 12))
        self.whole = rows[0][11]
        self.fields = [Field(row, text) for row in rows]


class Trace:
    def __init__(self, data):
        self.data = data
        self.health = Health()
        self.id = self.read_file_header()
        self.strings, self.modules, self.frames, self.stacks = {}, {}, {}, {}
        self.tasks, self.events, self.symbols = {}, {}, {}
        self.seen = collections.Counter()
        self.hosts, self.clocks, self.mappings, self.losses, self.costs = [], [], [], [], []
        self.blocks = read_index(data)
        if self.blocks is None:
            self.blocks = scan(data, self.health)
        for block in self.blocks:
            if block.type != RECORDS and block.type != INDEX:
                self.careful(block, self.load)

    def read_file_header(self):
        h = self.data[:FILE_HEADER_BYTES]
        if len(h) < FILE_HEADER_BYTES or h[:8] != FILE_MAGIC:
            raise Refused("not a kymo trace")
        version, size, incompatible, _, trace_id, crc = struct.unpack_from("<HHIIQI", h, 8)
        if zlib.crc32(h[:28]) == crc and (version > 1 or incompatible):
            raise Refused("written by a newer program")
        if zlib.crc32(h[:28]) == crc and version == 1 and size == FILE_HEADER_BYTES:
            return trace_id
        if not block_at(self.data, FILE_HEADER_BYTES):
            raise Refused("damaged file header")
        self.health.damaged_bytes += FILE_HEADER_BYTES
        return 0

    def careful(self, named, what):
        """Does that with a block; damage is counted."""
        try:
            block = block_at(self.data, named.at)
            if not block or not block.good() or block.said()[:5] != (
                    named.at, named.type, named.payload_bytes, named.nr, named.event):
                raise Damage("block")
            return what(block)
        except Damage:
            self.health.damaged_blocks += 1
            if named.type == RECORDS:
                self.health.missing_records += named.nr
            return None

    def load(self, block):
        # With the columns of 64 bits; the others have 32.
        simple = {MODULES: (self.modules, 6, (5,)), FRAMES: (self.frames, 3, (3,)),
                  TASKS: (self.tasks, 13, (2, 11)), STACKS: (self.stacks, 3, (2,))}
        lists = {HOST: (self.hosts, 2, ()), CLOCK: (self.clocks, 3, (1, 2, 3)),
                 MAPPINGS: (self.mappings, 7, (1, 3, 4, 5)),
                 LOSS: (self.losses, 6, (1, 2, 6)), COST: (self.costs, 4, (1, 2, 3, 4))}
        if block.type not in (EVENT, STRINGS, SYMBOLS, *simple, *lists):
            return
        table = Table(block.payload, block.nr)
        if block.type == STRINGS:
            rows = zip(table.numbers(1), table.numbers(2), table.texts(3))
            self.add_entries(STRINGS, self.strings, ((i, min(c, 255), x) for i, c, x in rows))
        elif block.type == SYMBOLS:
            for module, start, size, name in narrowed(table.rows(4), (2, 3)):
                self.symbols.setdefault(module, {})[start] = (size, name)
        elif block.type == EVENT:
            if block.nr > MAX_EVENT_ROWS:
                raise Damage("events")
            self.load_events(table.rows(14))
        elif block.type in simple:
            entries, nr_columns, wide = simple[block.type]
            if block.type == TASKS:
                table.missing[13] = UID_UNKNOWN
            rows = narrowed(table.rows(nr_columns), (1, *wide))
            self.add_entries(block.type, entries, rows)
        else:
            rows, nr_columns, wide = lists[block.type]
            rows += narrowed(table.rows(nr_columns), wide)

    def add_entries(self, kind, entries, rows):
        """By id; rows that are damage are left out."""
        damaged = False
        for row in rows:
            if (not 0 < row[0] <= MAX_ID or (kind == STACKS and row[1] >= row[0]) or
                    row[0] > self.seen[kind] + ID_SLACK + len(self.data)):
                damaged = True
                continue
            self.seen[kind] += 1
            entries[row[0]] = row[1:]
        if damaged:
            raise Damage("row")

    def load_events(self, rows):
        at, damaged = 0, False
        while at < len(rows):
            event = rows[at][0]
            end = at
            while end < len(rows) and rows[end][0] == event:
                end += 1
            new = Event(rows[at:end], lambda i: text_of(self.string(i)))
            columns = [f.column for f in new.fields]
            at = end
            if (not 0 < event <= MAX_EVENT or columns != list(range(1, len(columns) + 1)) or
                    len(columns) > 255 or ROLE_TIME not in [f.role for f in new.fields] or
                    new.whole == event):
                damaged = True
                continue
            try:
                if new.whole:
                    self.part_sources(new)
                self.events[event] = new
            except Damage:
                damaged = True
        if damaged:
            raise Damage("event")

    def part_sources(self, part):
        """Of the condition, then of the fields: places in records of the whole."""
        whole = self.events.get(part.whole)
        if not whole or whole.whole:
            raise Damage("part of nothing")
        places = {}
        for place, f in enumerate(whole.fields):
            places.setdefault(f.name, (place, f.type))

        def source(text, wanted):
            a, minus, b = text.partition(b"-")
            if text in places:
                place, found = places[text]
                if text == b"" or found != (wanted or found) or not wanted and found == TYPE_BYTES:
                    raise Damage("part of another type")
                return (place,)
            if not minus or a not in places or b not in places:
                raise Damage("part of an unknown field")
            if {places[a][1], places[b][1], wanted or TYPE_UNSIGNED} != {TYPE_UNSIGNED}:
                raise Damage("difference of what is no number")
            return (places[a][0], places[b][0])

        return (source(part.condition, 0) if part.condition else None,
                [source(f.source, f.type) for f in part.fields])

    def part_records(self, part, records):
        """The part's records of those of a block of the whole."""
        condition, sources = self.part_sources(part)

        def value(record, source):
            return record[source[0]] if len(source) < 2 else max(
                0, record[source[0]] - record[source[1]])

        return [[value(r, s) for s in sources] for r in records
                if not condition or value(r, condition)]

    def string(self, i):
        return self.strings.get(i, (0, b""))[1]

    def symbol(self, module, offset):
        """(start, bytes, name) of the symbol that covers the offset, or zeros."""
        symbols = self.symbols.get(module, {})
        starts = sorted(symbols)
        for i in range(len(starts) - 1, -1, -1):
            start = starts[i]
            size, name = symbols[start]
            reach = start + size if size else (starts[i + 1] if i + 1 < len(starts) else 1 << 64)
            if start <= offset < reach:
                return start, size, name
        return 0, 0, 0

    def records(self, block):
        if block.event not in self.events or self.events[block.event].whole:
            raise Damage("unknown event")
        fields = self.events[block.event].fields
        if block.nr * len(fields) > MAX_NUMBERS:
            raise Damage("too many numbers")
        table = Table(block.payload, block.nr)
        if sum(len(x) for f in fields if f.type == TYPE_BYTES
               for x in table.texts(f.column)) > MAX_TEXT:
            raise Damage("too much text")
        return list(zip(*(table.texts(f.column) if f.type == TYPE_BYTES
                          else table.numbers(f.column) for f in fields)))


# --- printing --------------------------------------------------------------------


def shown(value):
    if isinstance(value, int):
        return str(value)
    return "".join(chr(b) if 0x20 <= b <= 0x7e and b != 0x5c else f"\\x{b:02x}" for b in value)


def line(word, *values):
    print(word, *map(shown, values), sep="\t")


def text_of(value):
    """What a C program sees of it."""
    return value.split(b"\0")[0]


def print_records(t, with_parts):
    for block in t.blocks:
        if block.type != RECORDS:
            continue
        records = t.careful(block, t.records) or []
        for record in records:
            line("record", block.event, *record)
        for event, e in t.events.items() if with_parts else ():
            if e.whole == block.event:
                for record in t.part_records(e, records):
                    line("record", event, *record)


def print_trace(t, with_parts):
    print_records(t, with_parts)
    print("trace", f"{t.id:016x}", sep="\t")
    for key, value in t.hosts:
        line("host", text_of(t.string(key)), text_of(t.string(value)))
    for event, e in t.events.items():
        line("event", event, e.name, e.format)
        for f in e.fields:
            line("field", f.column, f.name, f.type, f.role, f.hint, f.privacy, f.unit,
                 *filter(None, [f.values]))
        if e.whole:
            line("part", e.whole, e.condition, *(f.source for f in e.fields))
    for i, row in sorted(t.tasks.items()):
        uid = row[11:] if row[11] < UID_UNKNOWN else ()
        line("task", i, *row[:5], *map(t.string, row[5:8]), *row[8:11], *uid)
    for i, (kind, path, build_id, bias, pid) in sorted(t.modules.items()):
        line("module", i, kind, t.string(path), t.string(build_id), bias, pid)
    for row in t.mappings:
        line("mapping", *row)
    for i, (module, offset) in sorted(t.frames.items()):
        start, size, name = t.symbol(module, offset)
        line("frame", i, module, offset, start, size, t.string(name))
    for i, row in sorted(t.stacks.items()):
        line("stack", i, *row)
    for word, rows in ("clock", t.clocks), ("loss", t.losses), ("cost", t.costs):
        for row in rows:
            line(word, *row)
    h = t.health
    line("health", int(h.cut), h.damaged_blocks, h.damaged_bytes, h.missing_blocks,
         h.missing_records)
    return 3 if h.cut or h.damaged_blocks or h.damaged_bytes or h.missing_blocks else 0


def main():
    with_parts = sys.argv[1:2] == ["--parts"]
    if len(sys.argv) != 2 + with_parts:
        sys.exit("usage: kymo_reader.py [--parts] FILE")
    with open(sys.argv[-1], "rb") as f:
        data = f.read()
    try:
        sys.exit(print_trace(Trace(data), with_parts))
    except Refused as e:
        sys.exit(f"kymo_reader.py: cannot read '{sys.argv[-1]}': {e}")


if __name__ == "__main__":
    main()
