#!/usr/bin/env python3
"""Reads a Counterfoil data folder by docs/format.md alone, recomputes every root, compares it with the newest checkpoints.

Usage: read_log.py FOLDER     (the folder that holds FORMAT). Plain Python 3; sealed bodies need a zstd: the module
compression.zstd (3.14), the module zstandard, or the program `zstd`. Signatures are not checked here, only heads.
Exit status: 0 all heads reached, 1 one is not, 3 sealed bodies cannot be decompressed here.
"""
import base64, hashlib, pathlib, struct, subprocess, sys


def decompressor():
    try:
        from compression import zstd
        return zstd.decompress
    except ImportError:
        pass
    try:
        import zstandard
        return lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)
    except ImportError:
        pass
    try:
        subprocess.run(["zstd", "--version"], check=True, capture_output=True)
        return lambda data: subprocess.run(["zstd", "-dc"], input=data, check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError):
        print("no zstd here: sealed bodies cannot be read", file=sys.stderr)
        sys.exit(3)


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def frames(data, magic, end):
    at = 32
    while at + 32 <= end and data[at:at + 4] == magic:
        length, count = struct.unpack(">II", data[at + 12:at + 20])
        yield count, data[at + 32:at + 32 + length]
        at += 32 + length


def leaf(kind, index, time, id_, salt, body):
    committed = kind in (1, 5) or len(body) > 60000
    payload = sha256(b"\x02", salt, body) if committed else body
    header = struct.pack(">BBBBIQQQ", 1, kind, int(committed), 0, len(body), index, index + 1, time) + id_
    return sha256(b"\x00", header, payload)


def read_commit(data):
    """Yields (log, index, leaf recomputed, leaf stored)."""
    for _, payload in frames(data, b"cfGR", len(data)):
        (runs,) = struct.unpack(">I", payload[:4])
        at = 4
        for _ in range(runs):
            log = payload[at:at + 16]
            first, count, length = struct.unpack(">QII", payload[at + 16:at + 32])
            at += 32
            leaves = at + length
            for place in range(count):
                kind, _, _, size, time = struct.unpack(">BBHIQ", payload[at:at + 16])
                id_, salt, body = payload[at + 16:at + 32], payload[at + 32:at + 48], payload[at + 48:at + 48 + size]
                stored = payload[leaves + 32 * place:leaves + 32 * place + 32]
                yield log, first + place, leaf(kind, first + place, time, id_, salt, body), stored
                at += 48 + size
            at = leaves + 32 * count


def directory(data):
    runs, _, at, _ = struct.unpack(">IIQQ", data[-40:-16])
    rows = [data[at + 56 * i:at + 56 * i + 56] for i in range(runs)]
    return at, [(row[:16],) + struct.unpack(">QIIQQQ", row[16:]) for row in rows]


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def read_block(payload, count, decompress):
    (raw_length,) = struct.unpack(">I", payload[:4])
    raw = decompress(payload[4 + 16 * count:])
    assert len(raw) == raw_length
    at, time, times, lengths = 2 * count, 0, [], []
    for _ in range(count):
        coded, at = varint(raw, at)
        time = (time + ((coded >> 1) ^ -(coded & 1))) % 2**64
        times.append(time)
    for _ in range(count):
        length, at = varint(raw, at)
        lengths.append(length)
    body_at = at + 16 * count
    for i in range(count):
        salt = payload[4 + 16 * i:20 + 16 * i]
        yield raw[i], times[i], raw[at + 16 * i:at + 16 * i + 16], salt, raw[body_at:body_at + lengths[i]]
        body_at += lengths[i]


def read_segment(bodies, leaves, decompress):
    end, runs = directory(bodies)
    assert directory(leaves)[1] == runs, "the two files of a segment have one directory"
    places = [(run[0], run[1] + i, run[5] + 32 * i) for run in runs for i in range(run[2])]
    ordinal = 0
    for count, payload in frames(bodies, b"cfBK", end):
        for kind, time, id_, salt, body in read_block(payload, count, decompress):
            log, index, at = places[ordinal]
            ordinal += 1
            yield log, index, leaf(kind, index, time, id_, salt, body), leaves[at:at + 32]
    assert ordinal == len(places), "every entry of the directory is in a block"


def newest_checkpoints(data):
    heads = {}
    for count, payload in frames(data, b"cfCK", len(data)):
        at = 0
        for _ in range(count):
            kind, log, size, length = struct.unpack(">B16sQH", payload[at:at + 27])
            text = payload[at + 27:at + 27 + length].decode()
            at += 27 + length
            if kind == 1:
                lines = text.split("\n")
                heads[log] = (int(lines[1]), base64.b64decode(lines[2]))
    return heads


def push(peaks, node):
    """peaks: [(height, hash)], largest first."""
    height = 0
    while peaks and peaks[-1][0] == height:
        node = sha256(b"\x01", peaks.pop()[1], node)
        height += 1
    peaks.append((height, node))


def root(peaks):
    node = peaks[-1][1]
    for _, left in reversed(peaks[:-1]):
        node = sha256(b"\x01", left, node)
    return node


def main():
    folder = pathlib.Path(sys.argv[1])
    assert (folder / "FORMAT").read_text().split("\n")[0] == "counterfoil log v1"
    heads = newest_checkpoints((folder / "checkpoint/newest").read_bytes())
    numbers = {int(path.name[:10]) for kind in ("commit", "segment") for path in (folder / kind).iterdir()}
    trees, reached, good = {}, {}, True
    for number in sorted(numbers):
        commit = folder / f"commit/{number:010}.commit"
        if commit.exists():
            entries = read_commit(commit.read_bytes())
        else:
            pair = [(folder / f"segment/{number:010}.{part}").read_bytes() for part in ("bodies", "leaves")]
            entries = read_segment(*pair, decompressor())
        for log, index, recomputed, stored in entries:
            peaks = trees.setdefault(log, [])
            if recomputed != stored or sum(1 << height for height, _ in peaks) != index:
                print(f"{log.hex()} number {index + 1} is not as it was committed")
                good = False
            push(peaks, recomputed)
            if heads.get(log, (0,))[0] == index + 1:
                reached[log] = root(peaks)
    for log, (size, expected) in sorted(heads.items()):
        agrees = reached.get(log) == expected
        good &= agrees
        print(f"{log.hex()} {size} entries, root {'as signed' if agrees else 'DIFFERS'}")
    sys.exit(0 if good else 1)


main()
