"""Finds the functions that the compiler inlined at the places of a profile, from the debug information and with
addr2line, one run for each file: perf does it only for some kinds of stacks. Used by tools/perf-record.
SPDX-License-Identifier: MIT"""
import collections
import os
import re
import subprocess

from fold import ADDRESS_KERNEL, UNKNOWN, place


def ask(dso, addresses):
    """-> {address: functions, innermost first, the one that is no inlined one the last}"""
    asked = "".join(f"{address:#x}\n" for address in addresses)
    done = subprocess.run(["addr2line", "-a", "-f", "-i", "-C", "-e", dso], input=asked, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, errors="replace", check=False)
    functions, address, expect_name = {}, None, True
    for line in done.stdout.splitlines():  # 0xADDRESS, then FUNCTION and FILE:LINE by turns
        if re.fullmatch("0x[0-9a-f]+", line):
            address, expect_name = int(line, 16), True
            functions[address] = []
        elif address is not None:
            if expect_name:
                functions[address].append(line)
            expect_name = not expect_name
    return functions


def same_function(found, symbol):
    """The symbol may carry what the compiler or the demangler adds: f.isra.0, f(int)"""
    return found == symbol or re.split(r"[.(]", symbol)[0] == re.split(r"[.(]", found)[0]


def find(samples):
    """Of fold.read_script() -> {place: inlined functions, innermost first}. A place whose function is not the one that
    perf named (a file that was replaced, another layout) has none."""
    symbols = collections.defaultdict(dict)  # dso -> {address: symbol}
    for _, frames in samples:
        for i, frame in enumerate(frames):
            dso, address = place(i, frame)
            if frame[1] != UNKNOWN and address < ADDRESS_KERNEL and os.path.isfile(dso):
                symbols[dso][address] = frame[1]
    inlined = {}
    for dso, named in symbols.items():
        for address, functions in ask(dso, sorted(named)).items():
            if len(functions) > 1 and same_function(functions[-1], named.get(address, UNKNOWN)):
                inlined[(dso, address)] = functions[:-1]
    return inlined
