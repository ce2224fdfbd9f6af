"""Folded stacks: what `perf script` prints, counted by stack, and the text form "frame;frame;frame COUNT" that other
flame graph tools read and write too. Frames run from the outermost in; the first is the thread's name, kernel frames
end in KERNEL, functions that the compiler inlined into their caller in INLINED. Used by tools/perf-record.
SPDX-License-Identifier: MIT"""
import collections
import os
import re

KERNEL = "_[k]"
INLINED = "_[i]"
UNKNOWN = "[unknown]"
PERF_FIELDS = "comm,tid,ip,sym,dso"  # what read_script reads: perf script -F
ADDRESS_KERNEL = 1 << 63  # the upper half of the addresses, on x86-64 and aarch64

HEADER = re.compile(r"\s*(.*?)\s+-?\d+\s*$")
FRAME = re.compile(r"\s+([0-9a-f]+)\s+(.*)$")
VERSION = re.compile(r"@@?[A-Z]+[A-Z0-9]*_[\w.]+$")  # pthread_create@@GLIBC_2.34


def clean(name):
    """A frame must not hold what separates frames."""
    return re.sub(r"[;\r\n\t]", ":", name).strip() or UNKNOWN


def split_frame(rest):
    """'sym (dso)' -> (symbol, dso); both may hold parentheses: f(int) const (/tmp/a.so (deleted))"""
    cut = max(rest.rfind(" (/"), rest.rfind(" (["))
    cut = cut if cut >= 0 else rest.rfind(" (")
    symbol, dso = (rest[:cut], rest[cut + 2 :].removesuffix(")")) if cut >= 0 else (rest, UNKNOWN)
    return VERSION.sub("", symbol) or UNKNOWN, dso.removesuffix(" (deleted)")


def read_script(lines):
    """The output of `perf script -F PERF_FIELDS`, line by line -> Counter of (thread, frames), a frame being (address,
    symbol, dso) and the innermost the first"""
    samples = collections.Counter()
    comm, frames = None, []

    def end():
        if comm is not None:
            samples[(comm, tuple(frames))] += 1

    for line in lines:
        line = line.rstrip("\n")
        frame = FRAME.match(line) if line.startswith(("\t", " ")) else None
        if not line.strip():
            end()
            comm, frames = None, []
        elif frame and comm is not None:
            frames.append((int(frame.group(1), 16), *split_frame(frame.group(2))))
        else:
            end()
            header = HEADER.match(line)
            comm, frames = (header.group(1) if header else line), []
    end()
    return samples


def place(index, frame):
    """Where to look a frame up: callers are known by their return address, one behind the call"""
    return frame[2], frame[0] - (index > 0)


def name_frame(address, symbol, dso):
    """None: an address that is none"""
    kernel = address >= ADDRESS_KERNEL
    if symbol == UNKNOWN:
        if address == 0:
            return None
        symbol = "[kernel]" if kernel else "[" + os.path.basename(dso).strip("[]") + "]"
    return clean(symbol) + (KERNEL if kernel else "")


def fold(samples, inlined):
    """-> Counter of stacks; `inlined` maps a place to the functions that were inlined there, innermost first"""
    stacks = collections.Counter()
    for (comm, frames), count in samples.items():
        names = []
        for i, frame in enumerate(frames):
            name = name_frame(*frame)
            # a chain that perf could not follow ends in a row of unknown frames: one of them says it
            if name and not (name.startswith("[") and names and names[-1] == name):
                names += [clean(inner) + INLINED for inner in inlined.get(place(i, frame), ())]
                names.append(name)
        stacks[(clean(comm), *reversed(names))] += count
    return stacks


def write_folded(stacks):
    return "".join(f"{';'.join(stack)} {count}\n" for stack, count in sorted(stacks.items()))


def read_folded(text):
    """-> Counter of stacks; ValueError names the line that is wrong"""
    stacks = collections.Counter()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        stack, _, count = line.rstrip().rpartition(" ")
        if not stack.strip() or not re.fullmatch(r"[0-9]{1,15}", count):
            raise ValueError(f"{number}: '{line[:60]}': want frame;frame;... and a whole number of samples")
        if int(count) > 0:
            stacks[tuple(clean(frame) for frame in stack.split(";"))] += int(count)
    return stacks
