#!/usr/bin/env python3
"""Boots one virtual machine with NUMA nodes and reads the checks that run inside. SPDX-License-Identifier: MIT

usage: guest.py MACHINE --init PROGRAM --cache FOLDER [--keep] [--limit SECONDS]

MACHINE is a key of MACHINES below. PROGRAM becomes the guest's first process; the command ($SHUNT) and all shared
libraries of both go with it into an initial file system that is written here, without root. The kernel is Debian's
cloud kernel: downloaded once into FOLDER and unpacked there, never installed; SHUNT_GUEST_KERNEL names another one.
qemu emulates the processors in software, so nothing depends on the machine that runs this. Exit: 0, 1, or 77 with
the reason where it cannot run. --keep prints the whole console.
"""
import argparse
import fcntl
import glob
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading

QEMU = "qemu-system-x86_64"
KERNEL_PACKAGE = "linux-image-cloud-amd64"
TAIL = 60  # lines of the console that a failure shows

# What qemu's arguments say, and so what every reading inside must give. Kernels number nodes with cpus first. A node
# with cpus has four times the memory that a test binds to it: a preferred node that is short of memory is passed over.
# threads: per core, cores: per socket, nodes: (first cpu, cpus, MiB); offline and allowed: as `shunt topo` meets them;
# near: the firmware says (ACPI HMAT) which node's cpus memory without cpus belongs to.
MACHINES = {
    "two-nodes": {
        "sockets": 2, "cores": 2, "threads": 2, "nodes": [(0, 4, 256), (4, 4, 256)],
        "distance": [[10, 20], [20, 10]], "offline": [], "allowed": "0-7",
    },
    "four-nodes": {
        "sockets": 3, "cores": 1, "threads": 2, "nodes": [(0, 2, 256), (2, 2, 256), (4, 2, 256), (6, 0, 64)],
        "distance": [[10, 30, 15, 40], [12, 10, 28, 35], [24, 16, 10, 17], [40, 35, 17, 10]],
        "offline": [], "allowed": "0-5", "near": 2,
    },
    "holes": {
        "sockets": 2, "cores": 2, "threads": 2, "nodes": [(0, 4, 256), (4, 4, 256)],
        "distance": [[10, 20], [20, 10]], "offline": [3], "allowed": "0,2,5-6",
    },
}


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


# ---- kernel ----


def output(*command, **more):
    """What the command printed, or None if it failed or is not there."""
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, timeout=120,
                              **more).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def download(cache):
    """Fetches and unpacks the kernel package that the meta package names. None, or why not."""
    depends = output("apt-cache", "depends", KERNEL_PACKAGE)
    found = re.search(r"Depends: (linux-image-\S+)", depends.decode()) if depends else None
    if not found:
        return f"apt-cache knows no {KERNEL_PACKAGE}"
    with tempfile.TemporaryDirectory(dir=cache) as tmp:
        # Without its sandbox user apt needs no folder that everybody may write.
        if output("apt-get", "-o", "APT::Sandbox::User=root", "download", found.group(1), cwd=tmp) is None:
            return f"{found.group(1)} could not be downloaded (apt-get download)"
        package = glob.glob(tmp + "/*.deb")
        if not package or output("dpkg-deb", "-x", package[0], tmp + "/x") is None:
            return f"{found.group(1)} could not be unpacked"
        os.replace(glob.glob(tmp + "/x/boot/vmlinuz-*")[0], cache + "/vmlinuz")
    return None


def kernel(cache):
    given = os.environ.get("SHUNT_GUEST_KERNEL")
    if given:
        return given
    os.makedirs(cache, exist_ok=True)
    with open(cache + "/lock", "w", encoding="ascii") as lock:  # the machines are tested side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(cache + "/vmlinuz"):
            why = download(cache)
            if why:
                skip("no kernel for the guest: " + why)
    return cache + "/vmlinuz"


# ---- initial file system ----


class Cpio:
    """Writes the "newc" archive that kernels unpack; device nodes need no root, they are only records here."""

    def __init__(self, path):
        self.out = open(path, "wb")
        self.inode = 0
        self.dirs = set()

    def record(self, name, mode, data=b"", device=(0, 0)):
        self.inode += 1
        path = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + path
        self.out.write(head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4))

    def folder(self, name):
        if name and name not in self.dirs:
            self.folder(os.path.dirname(name))
            self.dirs.add(name)
            self.record(name, 0o040755)

    def file(self, name, source):
        self.folder(os.path.dirname(name))
        with open(source, "rb") as f:
            self.record(name, 0o100755, f.read())

    def close(self):
        self.record("TRAILER!!!", 0)
        self.out.close()


def libraries(program):
    text = (output("ldd", program) or b"").decode()
    if "not found" in text:
        sys.exit(f"FAILED: {program}: a library is missing:\n{text}")
    return set(re.findall(r"(/\S+) \(0x", text))


def initramfs(path, init, command):
    archive = Cpio(path)
    for name in ("dev", "proc", "sys", "tmp"):
        archive.folder(name)
    archive.record("dev/console", 0o020600, device=(5, 1))
    archive.file("init", init)
    archive.file("bin/shunt", command)
    for library in sorted(libraries(init) | libraries(command)):
        archive.file(library.lstrip("/"), library)
    archive.close()


# ---- the machine ----


def qemu_arguments(m, machine, vmlinuz, initrd):
    cpus = m["sockets"] * m["cores"] * m["threads"]
    args = [QEMU, "-machine", "q35,hmat=on" if "near" in m else "q35", "-accel", "tcg,thread=single",
            "-cpu", "max,vendor=GenuineIntel,la57=off",
            "-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio", "-no-reboot",
            "-m", f"{sum(n[2] for n in m['nodes'])}M",
            "-smp", f"{cpus},sockets={m['sockets']},cores={m['cores']},threads={m['threads']}"]
    for i, (first, count, mib) in enumerate(m["nodes"]):
        node = f"node,nodeid={i},memdev=m{i}"
        if count:
            node += f",cpus={first}-{first + count - 1}"
        if "near" in m:
            node += f",initiator={i if count else m['near']}"
        args += ["-object", f"memory-backend-ram,id=m{i},size={mib}M", "-numa", node]
    for i, row in enumerate(m["distance"]):
        for k, value in enumerate(row):
            if i != k:
                args += ["-numa", f"dist,src={i},dst={k},val={value}"]
    return args + ["-kernel", vmlinuz, "-initrd", initrd,
                   "-append", f"console=ttyS0 quiet loglevel=3 panic=-1 -- {machine}"]


def boot(args, limit):
    """All lines of the console, and whether the time ran out."""
    lines, late = [], threading.Event()
    guest = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def stop():
        late.set()
        guest.kill()

    timer = threading.Timer(limit, stop)
    timer.start()
    try:
        for line in guest.stdout:
            lines.append(line.decode(errors="replace").rstrip("\r\n"))
    finally:
        timer.cancel()
        guest.kill()
        guest.wait()
    return lines, late.is_set()


# ---- what `shunt topo` said inside ----


def tagged(lines, tag):
    return [line[len(tag) + 2:] for line in lines if line.startswith(tag + "| ")]


def cpu_list(text):
    spans = [part.split("-") for part in text.split(",")]
    return [c for span in spans for c in range(int(span[0]), int(span[-1]) + 1)]


class Topo:
    """Compares the command's drawing and JSON with qemu's arguments."""

    def __init__(self, m, text, doc):
        self.m, self.text, self.doc = m, text, doc
        self.done, self.wrong = 0, []

    def same(self, what, want, got):
        self.done += 1
        if want != got:
            self.wrong.append(f"shunt topo: {what}: want {want}, found {got}")

    def drawn(self, pattern):
        self.done += 1
        if not any(re.search(pattern, line) for line in self.text):
            self.wrong.append(f"shunt topo: no line like {pattern!r}")

    def cpus(self):
        allowed, cores, core_no = cpu_list(self.m["allowed"]), {}, {}
        self.same("cpus", sum(n[1] for n in self.m["nodes"]), len(self.doc["cpus"]))
        for c in sorted(self.doc["cpus"], key=lambda c: c["cpu"]):
            n = c["cpu"]
            node = [i for i, (first, count, _) in enumerate(self.m["nodes"]) if first <= n < first + count][0]
            self.same(f"cpu {n} allowed", n in allowed, c["allowed"])
            if n in self.m["offline"]:
                self.same(f"cpu {n}", (False, None, None), (c["online"], c["node"], c["core"]))
                self.drawn(rf"^cpu {n}  offline$")
                continue
            core = core_no.setdefault(n // self.m["threads"], len(core_no))
            self.same(f"cpu {n}", (True, node, core, n // (self.m["cores"] * self.m["threads"])),
                      (c["online"], c["node"], c["core"], c["package"]))
            cores.setdefault((node, core), []).append(f"{n}" + ("" if n in allowed else "x"))
        for (_, core), names in cores.items():
            self.drawn(rf"^ *core {core} +cpu {' '.join(names)}( |$)")

    def nodes(self):
        self.same("nodes", len(self.m["nodes"]), len(self.doc["nodes"]))
        for i, (node, (first, count, mib)) in enumerate(zip(self.doc["nodes"], self.m["nodes"])):
            online = count - sum(1 for c in self.m["offline"] if first <= c < first + count)
            self.same(f"node {i}", (i, online, count > 0, self.m["distance"][i]),
                      (node["node"], node["cpus"], node["has_cpus"], node["distances"]))
            # The kernel keeps some memory for itself before it tells what a node has.
            self.same(f"node {i} has about {mib} MiB", True, 0.6 * mib < node["memory_bytes"] / 2**20 <= mib)
            self.drawn(rf"^ *numa {i}  [\d.]+ MiB" + ("$" if count else ", no cpus$"))
            self.drawn(rf"^numa {i} +" + " +".join(map(str, self.m["distance"][i])) + "$")

    def plan(self):
        allowed = cpu_list(self.m["allowed"])
        workers = self.doc["plan"]["workers"]
        self.same("plan", allowed, sorted(w["cpu"] for w in workers))
        self.same("allowed", self.m["allowed"], self.doc["allowed"])
        self.same("budget", len(allowed), self.doc["budget"]["cpus"])
        self.same("live", True, self.doc["live"])
        for w in workers:
            order = [workers[o]["node"] for o in w["steal_order"]]
            far = [self.m["distance"][w["node"]][n] for n in order]
            self.same(f"steal order of worker {w['worker']}", sorted(far), far)
            self.drawn(rf"^w{w['worker']} +from " + " ".join(map(str, w["steal_order"])) + "$")
            self.drawn(rf" cpu {w['cpu']}: w{w['worker']}( |$)")


def check_topo(machine, lines):
    """(checks made, what was wrong)"""
    try:
        doc = json.loads("\n".join(tagged(lines, "JSON")))
    except ValueError as e:
        return 1, [f"shunt topo --json: {e}"]
    topo = Topo(MACHINES[machine], tagged(lines, "TEXT"), doc)
    topo.cpus()
    topo.nodes()
    topo.plan()
    return topo.done, topo.wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("machine", choices=MACHINES)
    parser.add_argument("--init", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--limit", type=float, default=280)
    a = parser.parse_args()
    command = os.environ.get("SHUNT", "")
    if platform.machine() != "x86_64":
        skip("the guest is an x86-64 machine and runs the programs of this build")
    if os.environ.get("SHUNT_SANITIZE"):
        skip("the guest runs the plain build; sanitizers need more memory and time than it has")
    if not command:
        skip("the command was not built (SHUNT_BUILD_TOOLS)")
    if not shutil.which(QEMU):
        skip(QEMU + " is not installed (package qemu-system-x86)")
    vmlinuz = kernel(a.cache)
    with tempfile.TemporaryDirectory() as tmp:
        initramfs(tmp + "/initrd", a.init, command)
        lines, late = boot(qemu_arguments(MACHINES[a.machine], a.machine, vmlinuz, tmp + "/initrd"), a.limit)
    passed = [m for m in (re.fullmatch(r"GUEST OK (\d+) checks", line) for line in lines) if m]
    wrong = [line for line in lines if line.startswith("not ok")]
    checks = 0
    if not passed:
        wrong.append(f"no end within {a.limit:.0f} s" if late else "the guest did not say that all is well")
    else:
        checks, more = check_topo(a.machine, lines)
        wrong += more
    if wrong or a.keep:
        print("\n".join(lines if a.keep else lines[-TAIL:]))
    if wrong:
        print("\n".join(["", f"FAILED: {a.machine}"] + wrong))
        return 1
    print(f"{a.machine}: {passed[0].group(1)} checks inside, {checks} on what `shunt topo` said there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
