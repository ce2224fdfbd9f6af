#!/usr/bin/env python3
"""tools/perf-record with the machine's own perf, on a program whose time is known: two functions of which one calls the
other, and an inlined one inside. Skipped where perf is missing or not permitted. Environment: SRCDIR, CC, BUILDDIR,
SHUNT (command). SPDX-License-Identifier: MIT"""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile

if os.environ.get("SHUNT_SANITIZE"):
    print("skipped: nothing here depends on the sanitizer")
    sys.exit(77)

TOOL = os.path.join(os.environ["SRCDIR"], "tools", "perf-record")
PROGRAM = """
#include <stdio.h>
#include <time.h>
static inline __attribute__((always_inline)) void grind(volatile unsigned long *sink)
{
	for (int i = 0; i < 1000; i++)
		*sink += (unsigned long)i;
}
__attribute__((noinline)) void callee(void)
{
	volatile unsigned long sink = 0; /* on the stack: gcc gives a leaf that needs no stack no frame */
	for (int i = 0; i < 100; i++)
		grind(&sink);
}
__attribute__((noinline)) void caller(double seconds)
{
	struct timespec now;
	do {
		for (int i = 0; i < 20; i++)
			callee();
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	} while ((double)now.tv_sec + (double)now.tv_nsec / 1e9 < seconds);
}
int main(int argc, char **argv)
{
	(void)argv;
	caller(0.5);
	puts("half a second");
	fflush(stdout);
	if (argc > 1)
		caller(600);
	return argc > 1;
}
"""


def tool(*args, code=0):
    done = subprocess.run([sys.executable, TOOL, *args], capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
    return done.stderr


def stacks(path):
    """-> (samples, samples below main;caller;callee, those inside the inlined function)"""
    total = expected = inlined = 0
    with open(path, encoding="utf-8") as f:
        for line in f:
            stack, count = line.rstrip("\n").rsplit(" ", 1)
            total += int(count)
            expected += int(count) if ";main;caller;callee" in stack else 0
            inlined += int(count) if ";main;caller;callee;grind_[i]" in stack else 0
    return total, expected, inlined


def check(base):
    total, expected, inlined = stacks(base + ".folded")
    print(f"{base}: {total} samples, {expected} in callee, {inlined} of them inlined")
    assert total >= 20 and expected > total * 0.7, "the program's time is elsewhere"
    assert inlined > expected * 0.7, "the inlined function is not seen"
    with open(base + ".svg", encoding="utf-8") as f:
        picture = f.read()
    assert "<title>callee (" in picture and "<title>grind_[i] (" in picture
    assert os.path.getsize(base + ".perf.data") > 0


scratch = tempfile.TemporaryDirectory()
os.chdir(scratch.name)
if not shutil.which("perf"):
    print("skipped: perf is not here (Debian: linux-perf)")
    sys.exit(77)
tried = subprocess.run(["perf", "record", "-q", "-g", "-e", "cpu-clock", "-o", "try.data", "true"], capture_output=True,
                       text=True, check=False)
if tried.returncode != 0:
    print("skipped: perf may not record here: " + " ".join(tried.stderr.split())[:200])
    sys.exit(77)

with open("busy.c", "w", encoding="utf-8") as f:
    f.write(PROGRAM)
subprocess.run([os.environ["CC"], "-O2", "-g", "-fno-omit-frame-pointer", "-mno-omit-leaf-frame-pointer", "-o", "busy",
                "busy.c"], check=True)

said = tool("-o", "out/own.svg", "--", "./busy")
assert "sampling cycles (hardware counter)" in said or "sampling cpu-clock (a timer" in said, said
check("out/own")
tool("-o", "out/flat.svg", "--no-inline", "--", "./busy")
assert stacks("out/flat.folded")[2] == 0

with subprocess.Popen(["./busy", "long"], stdout=subprocess.DEVNULL) as running:
    try:
        tool("-o", "out/attached.svg", "--pid", str(running.pid), "--seconds", "0.7")
    finally:
        running.kill()
check("out/attached")

# Ctrl-C ends the recording, and the picture is drawn nevertheless.
with subprocess.Popen([sys.executable, TOOL, "-o", "out/stopped.svg", "--", "./busy", "long"], stdout=subprocess.PIPE,
                      start_new_session=True) as p:
    try:
        assert p.stdout.readline() == b"half a second\n"
        os.killpg(p.pid, signal.SIGINT)
        assert p.wait(timeout=120) == 0
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(p.pid, signal.SIGKILL)  # with perf and the program under it
        raise
check("out/stopped")

if os.environ.get("SHUNT"):
    tool("-o", "out/shunt.svg", "--build-dir", os.environ["BUILDDIR"], "--no-build", "--", "shunt", "load",
         "--rate", "20k", "--duration", "1s", "--quiet")
    with open("out/shunt.folded", encoding="utf-8") as f:
        assert any(line.startswith("main/0;") and ";sh_worker_main" in line for line in f), "no worker in the picture"
print("ok")
