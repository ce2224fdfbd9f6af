#!/usr/bin/env python3
"""What the documents name is in the tree. SPDX-License-Identifier: MIT

Reads README.md, docs/*.md, docs/decisions/*.md, bench/README.md and the comments of include/shunt/*.h, and looks up every
name in them by its kind:

  path     a file, folder or test: `sched/submit.c`, `lockfree/ring.[ch]`, `tools/bench`, `unit/ring_test`; a bare file name is
           looked for in the folders that its section names
  pair     `file:name`, "`name` in `file`", "`file` (`name`)": the file defines that function, macro, structure or field
  symbol   sh_*, shunt_*, SH_*, SHUNT_*, in text and code alike; `shunt_job_*` and `_self` behind a whole name are patterns
  name     any other identifier in a code span: of the code, or in pages about the inside a definition in runtime/
  key      `pools.*.workers`, `spin: auto`, first columns of tables of keys; whole YAML blocks are given to `shunt config`
  command  `shunt SUB --flag`, tools/x, .ci/run STAGE, programs of tests and benches: each flag is one of that program
  option   -DSHUNT_X is in a CMakeLists.txt
  label    labels of memory orders (LABEL in lib_docs.py) stand in a comment of runtime/
  state    words in capitals, such as PARKED, end the name of a constant

A page may name what is gone only where it says so: `<!-- gone: a, b -->` in a decision or a table of what was tried. A marker
for a name that is there, or that the page does not use, is a finding too. Each kind of page must yield a least number of names
of each kind (FLOOR), so that a pattern that breaks cannot pass; the self-test plants a wrong and a right name of each kind.

Environment: SRCDIR (the tree), SHUNT (the built command). Arguments: none, or pages of the tree to read in place of all.
"""
import glob
import os
import sys

sys.dont_write_bytecode = True
from lib_docs import FOREIGN, Page, Tree  # noqa: E402

# Least number of names of each kind on each page that matters for it; about two thirds of what is there.
FLOOR = {
    "README.md": {"command": 9, "symbol": 12, "flag": 4},
    "bench/README.md": {"command": 13, "flag": 13, "path": 7, "name": 20, "option": 1},
    "docs/API.md": {"symbol": 170, "name": 20, "path": 4},
    "docs/ARCHITECTURE.md": {"path": 110, "pair": 70, "symbol": 60, "name": 30},
    "docs/BENCHMARKS.md": {"command": 10, "flag": 10, "option": 1, "name": 9},
    "docs/CONCURRENCY.md": {"label": 16, "state": 12, "path": 20, "pair": 5, "name": 20},
    "docs/CONFIG.md": {"key": 45, "symbol": 25, "command": 2},
    "docs/FEATURES.md": {"path": 70, "command": 10},
    "docs/GLOSSARY.md": {"path": 20},
    "docs/METRICS.md": {"name": 50, "symbol": 14, "pair": 2},
    "docs/TESTING.md": {"command": 28, "flag": 20, "path": 55, "name": 38, "symbol": 12},
    "docs/TUNING.md": {"command": 28, "flag": 65, "key": 9, "name": 60, "word": 5},
    "docs/decisions": {"path": 6, "pair": 3, "state": 6, "symbol": 5, "name": 5},
    "include/shunt": {"symbol": 110, "name": 14},
}

# One wrong and one right name of each kind, put at the end of a copy of a page: kind, page, wrong, what is found, right.
PLANTED = [
    ("path", "docs/ARCHITECTURE.md", "`sched/no_such.c`", "sched/no_such.c", "`sched/submit.c`"),
    ("path", "docs/ARCHITECTURE.md", "`runtime/core/`", "runtime/core/", "`runtime/sched/`"),
    ("path", "docs/CONCURRENCY.md", "`lockfree/bell.[ch]`", "lockfree/bell.[ch]", "`lockfree/ring.[ch]`"),
    ("path", "docs/CONCURRENCY.md", "`lockfree/deque.[ch]`", "lockfree/deque.[ch]", "`lockfree/slab.[ch]`"),
    ("path", "docs/TESTING.md", "`stress/choas_stress`", "stress/choas_stress", "`stress/chaos_stress`"),
    ("path", "docs/FEATURES.md", "`sim/sim_no_such`", "sim/sim_no_such", "`sim/sim_same`"),
    ("path", "docs/FEATURES.md", "`guest/three-nodes`", "guest/three-nodes", "`guest/two-nodes`"),
    ("path", "docs/TESTING.md", "`tests/fuzz/`: `fuzz_no.c`", "fuzz_no.c", "`tests/fuzz/`: `fuzz_place.c`"),
    ("path", "docs/API.md", "[x](x) `docs/NOTHERE.md`", "docs/NOTHERE.md", "`docs/METRICS.md`"),
    ("pair", "docs/ARCHITECTURE.md", "`sched/submit.c:no_such`", "sched/submit.c:no_such", "`sched/submit.c:shunt_submit`"),
    ("pair", "docs/ARCHITECTURE.md", "`sched/push.c:shunt_submit`", "sched/push.c:shunt_submit", "`sched/submit.c:shunt_submit`"),
    ("pair", "docs/METRICS.md", "`SH_NO_SUCH` in\n`runtime/sched/job.h`", "runtime/sched/job.h:SH_NO_SUCH", "`sh_record` of `runtime/sched/job.h`"),
    ("pair", "docs/CONCURRENCY.md", "`tests/unit/ring_test.c` (`main`, `no_such`)", "tests/unit/ring_test.c:no_such", "`tests/unit/ring_test.c` (`main`)"),
    ("symbol", "docs/API.md", "`shunt_no_such()`", "shunt_no_such", "`shunt_submit()`"),
    ("symbol", "docs/API.md", "the code SHUNT_ENOSUCH", "SHUNT_ENOSUCH", "the code SHUNT_EFULL"),
    ("symbol", "docs/API.md", "`SHUNT_NOSUCH_*`", "SHUNT_NOSUCH_*", "`SHUNT_ON_FULL_*`"),
    ("symbol", "docs/API.md", "`SHUNT_..._NOSUCH`", "SHUNT_..._NOSUCH", "`SHUNT_..._OPTS_INIT`"),
    ("symbol", "docs/API.md", "`shunt_job_self`, `_no_such`", "_no_such", "`shunt_job_self`, `_level`"),
    ("symbol", "docs/CONCURRENCY.md", "`sh_no_such`", "sh_no_such", "`sh_ring_push`"),
    ("symbol", "include/shunt/job.h", "/* see shunt_no_such. */", "shunt_no_such", "/* see shunt_wait. */"),
    ("symbol", "docs/TESTING.md", "`SHUNT_CHAOS_MINUTES=1`", "SHUNT_CHAOS_MINUTES", "`SHUNT_CHAOS_SECONDS=1`"),
    ("name", "docs/ARCHITECTURE.md", "`idle_steps`", "idle_steps", "`guard_every`"),
    ("name", "docs/ARCHITECTURE.md", "`zubmit`", "zubmit", "`admit`"),
    ("name", "docs/TUNING.md", "`tracked_min`", "tracked_min", "`handles_max`"),
    ("name", "docs/TUNING.md", "`round-square`", "round-square", "`round-robin`"),
    ("name", "docs/TESTING.md", "`FUZZ_MINUTES=1`", "FUZZ_MINUTES", "`FUZZ_SECONDS=1`"),
    ("name", "docs/CONCURRENCY.md", "`ring.no_such`", "ring.no_such", "`ring.stale`"),
    ("name", "docs/METRICS.md", "`shunt_snapshot.no_such`", "shunt_snapshot.no_such", "`shunt_snapshot.allocator`"),
    ("key", "docs/TUNING.md", "`pools.*.spin_ns`", "pools.*.spin_ns", "`pools.*.workers`"),
    ("key", "docs/API.md", "`runtime.jobs_min`", "runtime.jobs_min", "`runtime.jobs_max`"),
    ("key", "docs/TUNING.md", "`idling: park`", "idling", "`idle: park`"),
    ("key", "docs/TUNING.md", "`idle: parked`", "idle: parked", "`idle: poll`"),
    ("key", "docs/TUNING.md", "| key |\n| --- |\n| `ring_size` |", "ring_size", "| key |\n| --- |\n| `ring_capacity` |"),
    ("key", "docs/API.md", "```yaml\nruntime: { jobs_min: 100 }\n```", "yaml", "```yaml\nruntime: { jobs_max: 100 }\n```"),
    ("command", "docs/TUNING.md", "`shunt lode --rate 1k`", "shunt lode", "`shunt load --rate 1k`"),
    ("command", "docs/TUNING.md", "    shunt load --rates 1k", "--rates", "    shunt load --rate 1k"),
    ("command", "docs/TUNING.md", "`shunt topo`: `--polcy x`", "--polcy", "`shunt topo`: `--policy x`"),
    ("command", "docs/TESTING.md", "`./tools/test --filters unit/`", "--filters", "`SHUNT_SEED=1 ./tools/test --filter unit/`"),
    ("command", "docs/TESTING.md", "`tools/tests`", "tools/tests", "`tools/lint`"),
    ("command", "docs/TESTING.md", "`.ci/run lint speed`", "speed", "`.ci/run lint [asan\\|tsan]`"),
    ("command", "docs/TESTING.md", "```\nbuild/test/tests/model/model_ring --weak x\n```", "--weak", "`edges.py --update`"),
    ("command", "docs/TESTING.md", "`build/test/tests/stress/no_stress --seeds 1`", "build/test/tests/stress/no_stress", "`mutants.py --check`"),
    ("command", "docs/TUNING.md", "    tools/perf-record --pid 1 -- subject_shunt --working B1", "--working", "    subject_shunt --work B1"),
    ("option", "docs/METRICS.md", "`-DSHUNT_METRIC=OFF`", "SHUNT_METRIC", "`-DSHUNT_METRICS=OFF`"),
    ("label", "docs/CONCURRENCY.md", "the look (Z99)", "Z99", ""),
    ("label", "docs/CONCURRENCY.md", "the look (handle.99)", "handle.99", ""),
    ("label", "docs/CONCURRENCY.md", "the look `handle.98`", "handle.98", ""),
    ("state", "docs/CONCURRENCY.md", "from PARKED to SNOOZING", "SNOOZING", "from PARKED to WAKING"),
    ("gone", "docs/decisions/001-queues.md", "<!-- gone: sh_ring_push --> `sh_ring_push`", "sh_ring_push", "<!-- gone: sh_rong --> `sh_rong`"),
    ("gone", "docs/API.md", "<!-- gone: sh_rong --> `sh_rong`", "sh_rong", ""),
]


def self_test(tree):
    """Each wrong name is found, once and at its line; each right one is none."""
    failed = 0
    before = {}
    for kind, path, wrong, name, right in PLANTED:
        text = tree.text(path)
        if path not in before:
            before[path] = check_page(tree, path, text).findings
        for planted, want in ((wrong, [(kind, name)]), (right, [])):
            page = check_page(tree, path, text + "\n\n" + ("" if path.endswith(".h") else "## Planted\n\n") + planted + "\n")
            new = [f for f in page.findings if f not in before[path]]
            at = text.count("\n") + 1
            found = [(f[2], f[3]) for f in new]
            if not set(want) <= set(found) or len(found) > 2 * len(want) or any(f[1] <= at for f in new):
                print(f"FAIL: planted in {path}: {planted!r}: wanted {want}, got {new}")
                failed += 1
    print(f"planted {len(PLANTED)} wrong names and as many right ones")
    return failed


def check_page(tree, path, text):
    page = Page(tree, path, text)
    page.check()
    return page


def pages_of(root):
    out = ["README.md", "bench/README.md"]
    for pattern in ("docs/*.md", "docs/decisions/*.md", "include/shunt/*.h"):
        out += sorted(os.path.relpath(p, root) for p in glob.glob(os.path.join(root, pattern)))
    return out


def main():
    root = os.path.abspath(os.environ["SRCDIR"])
    if os.environ.get("SHUNT_SANITIZE"):
        print("skipped: nothing here depends on the sanitizer")
        return 77
    tree = Tree(root, os.environ["SHUNT"])
    pages = sys.argv[1:] or pages_of(root)
    failed, seen, used = 0, {}, set()
    for path in pages:
        page = check_page(tree, path, tree.text(path))
        failed += len(page.findings)
        page.report()
        used |= page.used
        counts = seen.setdefault(path if path in FLOOR else os.path.dirname(path), {})
        for kind, names in page.seen.items():
            counts[kind] = counts.get(kind, 0) + len(names)
    for page, counts in sorted(seen.items()):
        print(f"{page}: " + ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())))
        for kind, least in FLOOR.get(page, {}).items():
            if counts.get(kind, 0) < least:
                print(f"FAIL: {page}: {counts.get(kind, 0)} names of kind {kind} were found, at least {least} should be")
                failed += 1
    if not sys.argv[1:]:
        for name in sorted(set(FOREIGN) - used):
            print(f"FAIL: FOREIGN: no page names {name} any more")
            failed += 1
        failed += self_test(tree)
    print(f"{sum(sum(c.values()) for c in seen.values())} names in {len(pages)} pages, {failed} failures")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
