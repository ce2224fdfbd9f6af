#!/usr/bin/env python3
"""tools/perf-record without perf: the flame graph of folded stacks against a count of its own, and everything around a
recording with a substitute for perf (tests/e2e/perf_record_live.py has the real one). Environment: SRCDIR.
SPDX-License-Identifier: MIT"""
import os
import random
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

if os.environ.get("SHUNT_SANITIZE"):
    print("skipped: nothing here depends on the sanitizer")
    sys.exit(77)

TOOL = os.path.join(os.environ["SRCDIR"], "tools", "perf-record")
SVG = "{http://www.w3.org/2000/svg}"
seed = int(os.environ.get("SHUNT_SEED", "0")) or random.SystemRandom().getrandbits(32)
print(f"SHUNT_SEED={seed}")
rng = random.Random(seed)
scratch = tempfile.TemporaryDirectory()
os.chdir(scratch.name)

# A perf that answers as the real one does where there are no hardware counters. PERF_FAULT says what
# goes wrong.
FAKE_PERF = """#!/bin/bash
printf '%s\\n' "$*" >> perf.log
case $1 in
--version) echo 'perf version 6.1.0' ;;
stat) echo "${PERF_STAT-<not supported>,,cycles,0,100.00,,}" >&2 ;;
record)
	if [ "${PERF_FAULT-}" = refused ]; then
		printf 'Error:\\nAccess to performance monitoring and observability operations is limited.\\n' >&2
		exit 255
	fi
	while [ "$1" != -- ]; do
		[ "$1" = -o ] && data=$2
		shift
	done
	shift
	[ "${PERF_FAULT-}" = nodata ] || echo data > "$data"
	exec "$@" ;;
script)
	[ "${PERF_FAULT-}" = nosamples ] || cat script.txt ;;
esac
"""
FAKE_CMAKE = """#!/bin/bash
printf '%s\\n' "$*" >> cmake.log
if [ "$1" = --build ]; then
	[ -z "${CMAKE_FAULT-}" ] || { echo "[1/2] noise"; echo "a.c:1: error: no"; exit 1; }
	mkdir -p "$2/bin"
	printf '#!/bin/bash\\necho built program: "$@"\\n' > "$2/bin/victim"
	chmod +x "$2/bin/victim"
fi
"""
FAKE_NINJA = "#!/bin/bash\necho 'bin/victim: C_EXECUTABLE_LINKER__victim_RelWithDebInfo'\necho 'other: phony'\n"


def install(folder, **programs):
    os.makedirs(folder)
    for name, text in programs.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(os.path.join(folder, name), 0o755)
    return folder


def tool(*args, path=None, code=0, **env):
    env = {**os.environ, "PATH": path or os.environ["PATH"], **env}
    command = [sys.executable, TOOL, *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
    return done


def save(name, text):
    with open(name, "wb") as f:
        f.write(text.encode() if isinstance(text, str) else text)
    return name


def load(name):
    with open(name, encoding="utf-8") as f:
        return f.read()


def wants(words, *args, code=2, **more):
    done = tool(*args, code=code, **more)
    assert words in done.stderr and not done.stdout, (args, words, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr


def frames_of(picture):
    """-> {(depth, start): (name, samples)} after checking that what is drawn is what the data says"""
    root = xml.fromstring(picture)
    frames = {}
    total, left, right = None, None, None
    for group in root.iter(SVG + "g"):
        start, samples, depth = (int(group.get("data-" + k)) for k in "xwd")
        title, rect = group.find(SVG + "title").text, group.find(SVG + "rect")
        name, said, percent = re.fullmatch(r"(.*) \(([0-9,]+) samples?, ([0-9.]+) %\)", title, re.S).groups()
        assert int(said.replace(",", "")) == samples, title
        x, width, y = (float(rect.get(k)) for k in ("x", "width", "y"))
        if total is None:
            assert (depth, start, name) == (0, 0, "all")
            total, left, right, bottom = samples, x, x + width, y
        assert abs(float(percent) - 100 * samples / total) < 0.006, title
        assert y < bottom or depth == 0
        assert abs(x - left - (right - left) * start / total) < 1, title
        assert abs(width - (right - left) * samples / total) < 1, title
        label = group.find(SVG + "text").text or ""
        assert name.startswith(label.removesuffix("…")) and len(label) * 6.5 <= width + 1, (label, width)
        assert (depth, start) not in frames
        frames[depth, start] = (name, samples)
    return frames


def check_against(frames, stacks):
    """Every prefix of a stack, counted on its own, is one frame; a frame lies inside its caller."""
    prefixes = {}
    for stack, count in stacks.items():
        for depth in range(len(stack) + 1):
            prefixes[stack[:depth]] = prefixes.get(stack[:depth], 0) + count
    drawn = {}
    for (depth, start), (name, samples) in sorted(frames.items()):
        above = ()
        if depth:
            end = start + samples
            above = next(p for p, (s, w) in drawn.items() if len(p) == depth - 1 and s <= start and end <= s + w)
            above += (name,)
        drawn[above] = (start, samples)
    assert {p: w for p, (_, w) in drawn.items()} == prefixes


def check_folded():
    stacks = {}
    names = ["main/0", "sh_worker_main", "run", "shunt_now_ns", "a<b>&\"c'", "f(int, char) const",
             "do_syscall_64_[k]", "[libc.so.6]"]
    for _ in range(60):
        stack = tuple(rng.choice(names) for _ in range(rng.randrange(1, 9)))
        stacks[stack] = stacks.get(stack, 0) + rng.randrange(1, 1000)
    lines = [f"{';'.join(s)} {n}" for s, n in stacks.items()]
    rng.shuffle(lines)
    save("a.folded", "\n".join(lines) + "\n\n")
    tool("--folded", "a.folded")
    picture = load("a.svg")
    check_against(frames_of(picture), stacks)
    save("b.folded", "\n".join(sorted(lines)))
    same = tool("--folded", "b.folded", "--output", "-", "--title", "a.folded").stdout
    assert same == picture, "the order of the lines changes the picture"
    # nothing is loaded from anywhere; the script finds what it looks for
    addresses = set(re.findall(r"https?://[^\"' ]*", picture))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}, addresses  # names, not links
    assert not re.search(r"(href|src|@import|url\()", picture)
    script = xml.fromstring(picture).find(SVG + "script").text
    for wanted in re.findall(r'querySelector\("#(\w+)"\)', script):
        assert f'id="{wanted}"' in picture, wanted
    tool("--folded", "a.folded", "-o", "c/d/e.svg", "--title", "<b>&")
    assert xml.fromstring(load("c/d/e.svg")).find(SVG + "title").text == "<b>&"


def check_folded_odd():
    evil = "]]></script><script>alert(1)</script>"
    save("odd.folded", b"t;" + evil.encode() + b";\xff\xfe\x01;x\xef\xbf\xbf 5\r\nt;space in it 1\nt 0\n")
    frames = frames_of(tool("--folded", "odd.folded", "-o", "-").stdout)
    assert frames[0, 0] == ("all", 6) and frames[2, 0] == (evil, 5) and frames[2, 5] == ("space in it", 1)
    save("deep.folded", ";".join(["f"] * 5000) + " 1\n")
    done = tool("--folded", "deep.folded", "-o", "-")
    assert len(frames_of(done.stdout)) == 401 and "1 stacks cut at 400 frames" in done.stdout
    save("wide.folded", "".join(f"t;f{i} 1\n" for i in range(100)) + "t;big 99999900\n")
    frames = frames_of(tool("--folded", "wide.folded", "-o", "-").stdout)
    assert len(frames) == 3, "frames that nobody can see are left out"


def check_usage():
    wants("want one of: -- COMMAND, --pid N, --folded FILE")
    wants("want one of", "--folded", "a.folded", "--", "ls")
    wants("want a command after it", "--")
    wants("'ls': put -- before the command", "ls")
    wants("'--pdi': no such option", "--pdi", "5")
    wants("--pid and --seconds: want both", "--pid", "1")
    wants("--seconds: only with --pid", "--seconds", "1", "--", "ls")
    wants("--seconds: 'soon': want seconds", "--pid", "1", "--seconds", "soon")
    wants("--seconds: '0': want seconds", "--pid", "1", "--seconds", "0")
    wants("--pid: '0': want a whole number from 1", "--pid", "0", "--seconds", "1")
    wants("--frequency: '0': want a whole number from 1 to 100000", "--frequency", "0", "--", "ls")
    wants("--output: 'x.png': want a name that ends in .svg", "-o", "x.png", "--", "ls")
    wants("--output: '-': want a name that ends in .svg", "-o", "-", "--", "ls")
    wants("'none': No such file or directory", "--folded", "none", code=1)
    save("bad.folded", "a 1\nb;c\n")
    wants("bad.folded:2: 'b;c': want frame;frame;... and a whole number", "--folded", "bad.folded", code=1)
    wants("minus.folded:1: 'a -1'", "--folded", save("minus.folded", "a -1\n"), code=1)
    wants("no samples in it", "--folded", save("empty.folded", "\n"), code=1)
    wants("no samples in it", "--folded", save("zero.folded", "a;b 0\n"), code=1)
    assert tool("--help").stdout.startswith("usage: tools/perf-record ")
    assert max(len(line) for line in tool("--help").stdout.splitlines()) <= 120


SCRIPT = """main/0 77 \t
\t    1234 inner (/tmp/x/my prog (deleted))
\t    2345 outer(int) const (/tmp/x/my prog (deleted))
\t   29f00 pthread_create@@GLIBC_2.34 (/usr/lib/libc.so.6)

main/0 77
\tffffffff81000130 entry_SYSCALL_64 ([kernel.kallsyms])
\tffffffffc0000130 [unknown] ([nf_tables])
\t     111 [unknown] (/usr/lib/libc.so.6)
\t     112 [unknown] (/usr/lib/libc.so.6)
\t       0 [unknown] ([unknown])

two words 78
\t    1234 semi;colon (/tmp/x/prog)

two words 78

"""
FOLDED = """main/0;[libc.so.6];[kernel]_[k];entry_SYSCALL_64_[k] 1
main/0;pthread_create;outer(int) const;inner 1
two words 1
two words;semi:colon 1
"""


def check_recording():
    save("script.txt", SCRIPT)
    path = install("fakes", perf=FAKE_PERF, cmake=FAKE_CMAKE, ninja=FAKE_NINJA) + ":" + os.environ["PATH"]
    # a command as it is
    done = tool("-o", "r/one.svg", "--", "/bin/echo", "--", "-o", path=path)
    assert done.stdout == "-- -o\n" and "cpu-clock (a timer" in done.stderr and "4 samples" in done.stderr, done
    assert load("r/one.folded") == FOLDED, load("r/one.folded")
    assert frames_of(load("r/one.svg"))[0, 0] == ("all", 4) and "cpu-clock, 997 a second" in load("r/one.svg")
    assert not os.path.exists("cmake.log")
    # what is asked for reaches perf; a hardware counter is taken where there is one
    done = tool("-o", "r/two.svg", "--call-graph", "dwarf", "--frequency", "50", "--", "/bin/true", path=path,
                PERF_STAT="1234,,cycles,1,100.00,,")
    assert "sampling cycles (hardware counter), 50 times" in done.stderr
    assert re.search(r"-e cycles -F 50 --call-graph dwarf,\d+ -o r/two.perf.data -- /bin/true$", load("perf.log"), re.M)
    tool("-o", "r/three.svg", "--pid", str(os.getpid()), "--seconds", "0.01", path=path)
    assert f" -p {os.getpid()} -- sleep 0.01\n" in load("perf.log")
    # a program of the tree is built with frame pointers and run from there; others come from PATH
    done = tool("--build-dir", "b", "--", "victim", "x", path=path)
    assert done.stdout == "built program: x\n" and os.path.exists("b/victim.svg"), done
    assert "-fno-omit-frame-pointer" in load("cmake.log") and "RelWithDebInfo" in load("cmake.log")
    assert tool("--build-dir", "b", "--", "echo", "hi", path=path).stdout == "hi\n"
    os.unlink("cmake.log")
    assert tool("--build-dir", "b", "--no-build", "--", "victim", path=path).stdout == "built program:\n"
    assert not os.path.exists("cmake.log")
    wants("'xyzzy': not a program of this tree, nor in PATH", "--build-dir", "b", "--", "xyzzy", path=path)
    wants("'./xyzzy': not there, or not executable", "--", "./xyzzy", path=path)
    wants("failed:\na.c:1: error: no\n", "--build-dir", "b", "--", "victim", path=path, code=1, CMAKE_FAULT="1")
    # what goes wrong
    done = tool("-o", "r/four.svg", "--", "/bin/false", path=path, code=1)
    assert "the command ended with exit code 1" in done.stderr and os.path.exists("r/four.svg")
    wants("no samples: the command used too little cpu time", "-o", "r/five.svg", "--", "/bin/true", path=path, code=1,
          PERF_FAULT="nosamples")
    assert not os.path.exists("r/five.svg")
    wants("perf wrote no r/six.perf.data", "-o", "r/six.svg", "--", "/bin/true", path=path, code=1, PERF_FAULT="nodata")
    has_events = os.path.exists("/proc/sys/kernel/perf_event_paranoid")
    refused = "not permitted: kernel.perf_event_paranoid is" if has_events else "no perf events"
    wants(refused, "-o", "r/seven.svg", "--", "/bin/true", path=path, code=1, PERF_FAULT="refused")
    wants("perf is not here: install it (Debian: apt install linux-perf)", "--", "/bin/true", path=os.path.abspath("r"),
          code=1)
    wants("no process 4194304", "--pid", "4194304", "--seconds", "1", path=path, code=1)
    wants("a.folded: ", "-o", "a.folded/x.svg", "--", "/bin/true", path=path, code=1)


check_folded()
check_folded_odd()
check_usage()
check_recording()
print("ok")
