#!/usr/bin/env python3
"""`shunt hist` reads logs that other programs wrote: encodings V0, V1 (counts of 2, 4 and 8 bytes) and V2, zero to five
digits, lowest values of 1 to 20000, blanks, maxima in any unit, values of months. SPDX-License-Identifier: MIT

The logs are written here, by an encoder of its own. Each series must have the figures that this file's own model gives and
those that the Java reference (2.1.11) printed for the same logs, kept in hlog_foreign.expected. With Java and its
HdrHistogram at hand the reference is asked again.

Environment: SHUNT (command), SRCDIR; HDRHISTOGRAM_JAR. Arguments: --record writes the expected figures anew (by Java).
"""
import base64
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
EXPECTED = os.path.join(HERE, "hlog_foreign.expected")
PERCENTILES = ("p50_ns", 50.0), ("p90_ns", 90.0), ("p99_ns", 99.0), ("p99_9_ns", 99.9)
KEYS = ["count", *(k for k, _ in PERCENTILES), "max_ns"]
HEAD = ('#[Histogram log format version 1.2]\n#[StartTime: 1441812279.474 (seconds since epoch), Wed Sep 09 08:24:39 PDT 2015]\n'
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n')
TOP = 1 << 50


class Histogram:
    """The layout of the HdrHistogram project, by its definition: every cell is a dictionary entry."""

    def __init__(self, digits, lowest):
        self.digits, self.lowest = digits, lowest
        self.unit = lowest.bit_length() - 1
        self.bits = max(1, math.ceil(math.log2(2 * 10 ** digits)))  # log2 of the cells of the first two groups
        self.cells = {}

    def index(self, value):
        shift = max(0, (value >> self.unit).bit_length() - self.bits)
        return (shift << (self.bits - 1)) + (value >> self.unit >> shift)

    def borders(self, index):
        half = 1 << (self.bits - 1)
        shift = max(0, index // half - 1)
        low = (index - shift * half) << shift << self.unit
        return low, low + (1 << shift << self.unit) - 1

    def record(self, value, count=1):
        i = self.index(value)
        self.cells[i] = self.cells.get(i, 0) + count

    def encode(self, version, word, normalizing=0, ratio=1.0):
        """The compressed payload as text."""
        if version == 2:
            body, mark = leb128(self.cells), 0x10
        else:
            body, mark = bytearray((max(self.cells) + 1) * word), word << 4
            for i, count in self.cells.items():
                body[i * word:(i + 1) * word] = count.to_bytes(word, "big")
            body = bytes(body)
        if version == 0:
            plain = struct.pack(">IIQQQ", 0x1c849308 | mark, self.digits, self.lowest, TOP, sum(self.cells.values())) + body
            cookie = 0x1c849309 | mark
        else:
            plain = struct.pack(">IIiIQQd", (0x1c849301, 0x1c849303)[version - 1] | mark, len(body), normalizing, self.digits,
                                self.lowest, TOP, ratio) + body
            cookie = (0x1c849302, 0x1c849304)[version - 1] | mark
        stream = zlib.compress(plain)
        return base64.b64encode(struct.pack(">II", cookie, len(stream)) + stream).decode()


def leb128(cells):
    """The counts of V2: ZigZag numbers of seven bits a byte; an empty run of two or more is one negative number."""
    out, at = bytearray(), 0

    def put(number):
        bits = (number << 1 ^ number >> 63) & (1 << 64) - 1
        for _ in range(8):
            if bits < 0x80:
                break
            out.append(bits & 0x7f | 0x80)
            bits >>= 7
        out.append(bits)
    for i in sorted(cells):
        if i > at:
            put(0 if i == at + 1 else at - i)
        put(cells[i])
        at = i + 1
    if not cells:
        put(0)
    return bytes(out)


def figures(histograms):
    """What the sum of some histograms must report."""
    cells = {}
    for h in histograms:
        for i, count in h.cells.items():
            low, high = h.borders(i)
            cells[high, low] = cells.get((high, low), 0) + count
    order, total = sorted(cells), sum(cells.values())
    out = {"count": total, "max_ns": order[-1][0] if order else 0,
           "mean_ns": sum((low + (high - low + 1 >> 1)) * cells[high, low] for high, low in order) / max(1, total)}
    for key, p in PERCENTILES:
        rank, seen = max(1, math.ceil(math.nextafter(p, -math.inf) * total / 100)), 0
        out[key] = 0
        for high, low in order:
            seen += cells[high, low]
            if seen >= rank:
                out[key] = high
                break
    return out


class Random:
    """The same numbers everywhere."""

    def __init__(self, seed):
        self.state = seed

    def __call__(self, below):
        self.state = self.state * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        return (self.state >> 20) * below >> 44


def logs():
    """(name, text, {tag: histograms}, is it for the reference too)."""
    rnd = Random(42)
    out = []
    for digits in range(6):
        for lowest in (1, 2, 1000, 1024, 20000):
            forms = [(0, 8), (0, 8), (1, 2), (1, 4), (1, 8), (2, 0), (2, 0)]
            if digits == 5:  # large for words: few values and one width
                forms = [(0, 8), (1, 8), (2, 0)]
            lines, sums = [], {}
            for n, (version, word) in enumerate(forms):
                h = Histogram(digits, lowest)
                for _ in range(1 + rnd(300)):
                    h.record(rnd(1 << 4 + rnd(14 if digits == 5 and version < 2 else 45)),
                             1 + (rnd(1 << 40) if version == 2 else rnd(50)))
                lines.append(f"Tag=V{version},{n}.127,1.007,{n}.5,{h.encode(version, word)}\n")
                sums.setdefault(f"V{version}", []).append(h)
            out.append((f"digits{digits}_from{lowest}", HEAD + "".join(lines), sums, True))
    for word in (2, 4):  # the reference reads V0 of these widths only if every cell is written
        h = Histogram(3, 1)
        for _ in range(300):
            h.record(rnd(1 << 4 + rnd(16)))
        out.append((f"v0_word{word}", HEAD + "0.1,1.0,1.0," + h.encode(0, word) + "\n", {"": [h]}, False))
    h = Histogram(2, 1)
    h.record(1_000_000, 90)
    h.record(7_200_000_000_000, 10)  # two hours
    out.append(("hours", HEAD + "0.1,1.0,7200000.0," + h.encode(2, 0) + "\n", {"": [h]}, True))
    out.append(("other_max", HEAD + "0.1,1.0,4.2E21," + h.encode(2, 0) + "\n", {"": [h]}, True))
    out.append(("other_max_2", HEAD + "0.1,1.0,99999999999999.5," + h.encode(2, 0) + "\n", {"": [h]}, True))
    out.append(("other_max_3", HEAD + "0.1,1.0,-," + h.encode(2, 0) + "\n", {"": [h]}, False))
    out.append(("blank_behind", HEAD + "0.1,1.0,90.0," + h.encode(2, 0) + " \t\r\n", {"": [h]}, False))
    out.append(("blanks_between", HEAD + "Tag=a, 0.1, 1.0, 90.0, " + h.encode(2, 0) + "\n", {"a": [h]}, False))
    out.append(("shifted", HEAD + "0.1,1.0,9.0," + h.encode(2, 0, normalizing=-128, ratio=2.0) + "\n", {"": [h]}, True))
    top = Histogram(2, 1)
    top.record((1 << 63) - 1, 3)
    out.append(("top", HEAD + "0.1,1.0,1.0," + top.encode(2, 0) + "\n", {"": [top]}, False))
    mixed = [Histogram(3, 1), Histogram(1, 1000), Histogram(2, 20000)]
    for h in mixed:
        for _ in range(200):
            h.record(rnd(1 << 4 + rnd(45)), 1 + rnd(5))
    out.append(("mixed", HEAD + "".join("0.1,1.0,1.0," + h.encode(2, 0) + "\n" for h in mixed), {"": mixed}, False))
    wide = Histogram(5, 1)  # a line of more than 128 KiB
    for _ in range(40000):
        wide.record(rnd(1 << 10 + rnd(40)), 1 + rnd(1 << 40))
    out.append(("wide", HEAD + "0.1,1.0,1.0," + wide.encode(2, 0) + "\n", {"": [wide]}, True))
    return out


def same(a, b):
    return all(abs(a[k] - b[k]) <= 1e-9 * max(1, abs(b[k])) if k == "mean_ns" else a[k] == b[k] for k in b)


def reference(jar, paths):
    """{file: {tag: figures}} by Java, or None."""
    done = subprocess.run(["java", "-cp", jar, os.path.join(HERE, "HlogSums.java"), *paths], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=280, check=False, text=True)
    if done.returncode != 0:
        print("reference: skipped:", (done.stderr.splitlines() or ["java failed"])[0])
        return None
    out = {}
    for line in done.stdout.splitlines():
        name, tag, *numbers = line.split(" ")
        out.setdefault(name, {})[tag] = dict(zip(KEYS, map(int, numbers[:-1])), mean_ns=float(numbers[-1]))
    return out


def expected_read():
    out = {}
    with open(EXPECTED, encoding="ascii") as f:
        for line in f:
            if not line.startswith("#"):
                name, tag, *numbers = line.rstrip("\n").split(" ")
                out.setdefault(name, {})[tag] = dict(zip(KEYS, map(int, numbers[:-1])), mean_ns=float(numbers[-1]))
    return out


def expected_write(found):
    with open(EXPECTED, "w", encoding="ascii") as f:
        f.write("# What HdrHistogram 2.1.11 (Java) reports for the logs of hlog_foreign.py: file, tag, count, p50, p90, p99, p99.9,\n"
                "# maximum, mean. Written by hlog_foreign.py --record.\n")
        for name, tags in found.items():
            for tag, x in tags.items():
                f.write(f"{name} {tag} {x['count']} " + " ".join(str(x[k]) for k, _ in PERCENTILES) +
                        f" {x['max_ns']} {x['mean_ns']!r}\n")


def main():
    shunt = os.environ.get("SHUNT", "shunt")
    failed = checked = 0
    with tempfile.TemporaryDirectory() as tmp:
        made = logs()
        for name, text, _, _ in made:
            with open(os.path.join(tmp, name + ".hlog"), "w", encoding="ascii", newline="") as f:
                f.write(text)
        jar = os.environ.get("HDRHISTOGRAM_JAR") or "/usr/share/java/hdrhistogram.jar"
        asked = None
        if os.path.exists(jar) and shutil.which("java"):
            asked = reference(jar, [os.path.join(tmp, name + ".hlog") for name, _, _, both in made if both])
        if "--record" in sys.argv:
            if not asked:
                sys.exit("--record wants java and HDRHISTOGRAM_JAR")
            expected_write(asked)
        kept = expected_read()
        if asked and asked != kept:
            print("hlog_foreign: the reference does not report what hlog_foreign.expected says")
            failed += 1
        for name, text, sums, both in made:
            done = subprocess.run([shunt, "hist", "--json", os.path.join(tmp, name + ".hlog")], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=120, check=False, text=True)
            if done.returncode != 0 or done.stderr:
                print(f"{name}: exit code {done.returncode}: {done.stderr}")
                failed += 1
                continue
            got = {s["tag"]: s for s in json.loads(done.stdout)["series"]}
            if set(got) != set(sums):
                print(f"{name}: series {sorted(got)}, want {sorted(sums)}")
                failed += 1
            for tag, histograms in sums.items():
                wants = [("the model", figures(histograms))]
                if both:
                    wants.append(("the reference", kept[name][tag or "-"]))
                for who, want in wants:
                    checked += 1
                    if not same(got.get(tag, dict.fromkeys(want, -1)), want):
                        print(f"{name}: tag '{tag}': {({k: got.get(tag, {}).get(k) for k in want})}, but {who} says {want}")
                        failed += 1
    assert checked >= 190, checked
    print(f"{checked} series compared, the reference {'asked again' if asked else 'from its file'}; {failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
