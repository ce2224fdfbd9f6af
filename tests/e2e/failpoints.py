#!/usr/bin/env python3
"""Every call of runtime/ that may fail can be made to fail. SPDX-License-Identifier: MIT

Looks through runtime/ for calls that take or give back memory, start threads, pin, wake, ask the kernel for something else,
or read and write files. Each must stand in a function that has an SH_FAIL point, or be in EXEMPT with the reason why a failure
there needs none. Then compares the names of the points with the table of tests/unit/inject_sweep_test.c, which makes each use
of each of them fail.
Environment: SRCDIR (the tree). Arguments: none.
"""
import os
import re
import sys

CALLS = re.compile(
    r"\b("
    r"sh_thread_start|sh_block_alloc|sh_heap_(?:alloc|resize)|[cm]alloc|realloc(?:array)?|strn?dup|v?asprintf|aligned_alloc|posix_memalign|memalign|mallocx|mallctl"
    r"|mmap|munmap|mremap|mprotect|madvise|mincore|mlock|mbind|set_mempolicy|move_pages"
    r"|hwloc_(?:topology_(?:init|dup|load|export\w*|set_\w+|restrict)|bitmap_(?:alloc\w*|dup|copy|set\w*|only|x?or|and\w*|not|clr\w*)"
    r"|set_\w+|alloc\w*|distances_(?:get|add)\w*|cpukinds_(?:get|register)\w*)"
    r"|ck_\w+_(?:init|put|set|grow|rebuild|gc|spmc_\w+)|(?:urcu|rcu)_\w*(?:register_thread|synchronize_rcu)"
    r"|pthread_(?:create|join|once|atfork|key_create|setspecific|\w+_init|setname_np|setaffinity_np|setsched\w+|sigmask)"
    r"|thrd_create|dlopen|dladdr"
    r"|f(?:d|re|mem)?open|open(?:at|dir|_memstream)?|tmpfile|mkstemp|readdir|fgets|getline|getdelim|getc|fgetc|f?scanf|fread|fwrite|fflush"
    r"|fclose|f?puts|f?putc|v?fprintf|printf|p?readv?|p?writev?|rename|unlink|f?stat|lstat|access|ftruncate|fsync|readlink|realpath"
    r"|pipe2?|dup[23]?|eventfd|epoll_\w+|timerfd_\w+|signalfd|socket|fork|vfork|execve?|posix_spawnp?"
    r"|syscall|prctl|ioctl|sched_(?:\w+affinity|getcpu|set\w+|yield)|getcpu|setpriority|[gs]etrlimit|getrusage"
    r"|getrandom|clock_(?:get\w+|settime|nanosleep)|nanosleep|sysconf"
    r"|compress2?|uncompress2?|deflate\w*|inflate(?:Init\w*|Back\w*|End|Reset\w*)?"
    r"|yaml_(?:parser_(?:initialize|parse|load|scan)|emitter_\w+|document_\w+|\w+_event_initialize)"
    r")\s*\(")

# (file, function, call): why no point is needed there
EXEMPT = {
    ("base/clock.c", "sh_clock_monotonic_ns", "clock_gettime"): "cannot fail for this clock with a valid pointer",
    ("base/clock.c", "sh_clock_setup", "pthread_once"): "cannot fail with a valid control",
    ("base/error.c", "forked_child", "pthread_mutex_init"): "a mutex without attributes cannot fail",
    ("base/error.c", "sh_error_detail_clear", "pthread_setspecific"): "sets a key back to NULL, which needs no room",
    ("base/error.c", "text_get", "pthread_once"): "cannot fail with a valid control",
    ("base/file.c", "sh_file_read", "fclose"): "nothing was written",
    ("base/mem.c", "mem_arena_purge", "mallctl"): "then nothing is given back; a trim promises no amount",
    ("base/mem.c", "mem_arena_destroy", "mallctl"): "nobody to tell at the end of a pool; its memory was given back before",
    ("base/mem.c", "mem_je_alloc", "mallocx"): "sh_mem_alloc, its only caller, has the point",
    ("base/mem.c", "mem_je_bytes", "mallctl"): "a number for people; without it less is shown",
    ("base/mem.c", "libc_alloc", "calloc"): "the callers of sh_block_alloc have the points",
    ("base/mem.c", "libc_alloc", "posix_memalign"): "the callers of sh_block_alloc have the points",
    ("base/mem.c", "sh_heap_alloc", "sh_block_alloc"): "its callers have the points",
    ("base/mem.c", "sh_heap_resize", "sh_heap_alloc"): "its callers have the points",
    ("base/mem.c", "sh_mem_page", "sysconf"): "cannot fail for the size of a page",
    ("base/mem.c", "pages_alloc", "mmap"): "sh_mem_map, its only caller, has the point",
    ("base/mem.c", "pages_free", "munmap"): "nobody to tell; the address space stays behind",
    ("base/mem.c", "sh_mem_fits", "mmap"): "its failure is the answer; unit/thread_refused_test has the system refuse",
    ("base/mem.c", "sh_mem_fits", "munmap"): "as of mmap",
    ("base/thread.c", "sh_thread_start", "pthread_attr_init"): "fails for no set of ours; the callers' points stand for it, too",
    ("base/thread.c", "sh_thread_start", "pthread_create"): "its callers have the points",
    ("base/thread.c", "sh_thread_start", "pthread_sigmask"): "cannot fail with valid arguments",
    ("base/thread.c", "sh_thread_stack", "pthread_attr_init"): "fails for no set of ours",
    ("base/thread.c", "sh_thread_stack", "sysconf"): "cannot fail for the size of a page",
    ("machine/cgroup.c", "find_mount", "fclose"): "nothing was written",
    ("machine/cgroup.c", "find_path", "fclose"): "nothing was written",
    ("machine/wake_cost.c", "sh_calibrate_wake_ns", "pthread_once"): "cannot fail with a valid control",
    ("job/cq.c", "notify", "write"): "the counter of an eventfd cannot overflow here; an interrupted one is repeated",
    ("job/cq.c", "fetch", "read"): "fails while the write is still to come: the reader looks again when it has come",
    ("job/cq.c", "shunt_cq_destroy", "nanosleep"): "a shorter pause; the loop looks again",
    ("life/pool.c", "sh_pool_create", "pthread_mutex_init"): "a mutex without attributes needs nothing and cannot fail",
    ("life/pool.c", "sh_pool_free", "pthread_join"): "fails only for threads that are not there",
    ("sched/starter.c", "sh_starter_join", "pthread_join"): "fails only for threads that are not there",
    ("sched/starter.c", "spare_start", "pthread_join"): "fails only for threads that are not there",
    ("sched/starter.c", "starter_main", "pthread_setname_np"): "a name for people; nothing depends on it",
    ("life/runtime.c", "pools_stop", "nanosleep"): "a shorter pause; the loop looks again",
    ("life/runtime.c", "calls_end", "nanosleep"): "a shorter pause; the loop looks again",
    ("job/cq.c", "sh_cq_wake_all", "write"): "a full counter is readable anyhow",
    ("life/pool_stop.c", "sh_pool_wait_stopped", "nanosleep"): "a shorter pause; the loop looks again",
    ("life/runtime.c", "shunt_runtime_create", "pthread_mutex_init"): "a mutex without attributes cannot fail",
    ("life/grace.c", "sh_grace_wait", "nanosleep"): "a shorter pause; the loop looks again",
    ("life/drain.c", "sh_drain_wait", "nanosleep"): "a shorter pause; the loop looks again",
    ("sched/inherit.c", "sh_boosts_forked", "pthread_mutex_init"): "a mutex without attributes cannot fail",
    ("sched/deadlock.c", "sh_sleepers_forked", "pthread_mutex_init"): "a mutex without attributes cannot fail",
    ("sched/submitter.c", "forked_child", "pthread_mutex_init"): "a mutex without attributes cannot fail",
    ("sched/submitter.c", "submitter_home", "getcpu"): "a thread without a known node is one of no node",
    ("machine/topo.c", "check_xml_variable", "fclose"): "nothing was written",
    ("machine/topo.c", "kind_of", "hwloc_cpukinds_get_by_cpuset"): "a cpu of unknown kind is a performance cpu",
    ("machine/topo.c", "kind_of", "hwloc_cpukinds_get_nr"): "a cpu of unknown kind is a performance cpu",
    ("machine/topo.c", "read_kind", "hwloc_cpukinds_get_info"): "a cpu of unknown kind is a performance cpu",
    ("machine/topo.c", "sh_topo_affinity", "access"): "a thread that cannot be seen counts as gone; point cpus.affinity is behind it",
    ("sched/idle.c", "sh_idle_step", "sched_yield"): "cannot fail on Linux; an offer of the cpu that nobody need take",
    ("sched/worker.c", "thread_begin", "pthread_setname_np"): "a name for people; nothing depends on it",
    ("sched/worker.c", "worker_continue", "pthread_join"): "the thread has ended or is about to; joined once",
    ("sched/worker.c", "worker_continue", "nanosleep"): "a shorter pause; the loop looks again",
    ("sched/pin.c", "sh_worker_pin", "prctl"): "timers are later then; a worker learns how late, and sleeps so much shorter",
    ("lockfree/registry.c", "synchronize", "urcu_bp_synchronize_rcu"): "returns nothing",
    ("lockfree/registry.c", "sh_registry_create", "ck_hs_init"): "takes memory by table_alloc, which has the point",
    ("lockfree/registry.c", "sh_registry_put", "ck_hs_put"): "takes memory by table_alloc, which has the point",
    ("lockfree/registry.c", "sh_registry_remove", "ck_hs_rebuild"): "takes memory by table_alloc, which has the point",
    ("metrics/hlog.c", "zlib_alloc", "sh_heap_alloc"): "deflate_all and inflate_all, which start the streams, have the point",
    ("metrics/hlog.c", "shunt_hlog_reader_close", "fclose"): "nothing was written",
    ("metrics/hlog.c", "skip_line", "getc"): "the stream remembers; read_line, which calls it, sees it at its next line",
    ("metrics/hlog.c", "write_header", "fprintf"): "the stream remembers; shunt_hlog_write asks it, at point hlog_write",
    ("metrics/hlog.c", "write_header", "fputs"): "the stream remembers; shunt_hlog_write asks it, at point hlog_write",
}

SWEEP = "tests/unit/inject_sweep_test.c"


def blank(text):
    """The text without comments, strings and preprocessor lines, its line numbers kept."""
    token = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    text = re.sub(token, lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.S)
    return re.sub(r"^[ \t]*#(?:\\\n|[^\n])*", lambda m: re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.M)


def functions(text):
    """(name, first line, body) of each function: a brace in the first column opens and closes it, also behind static inline."""
    code = blank(text)
    for m in re.finditer(r"^[A-Za-z_][^;{}]*?\b(\w+)\s*\([^;{}]*\)\s*(?:__attribute__\(\(.*?\)\)\s*)?\{\n.*?^\}", code, flags=re.S | re.M):
        first = code.count("\n", 0, m.start())
        yield m.group(1), first, m.group(0)


def look(path, text, used):
    """Lines that say which call has no point; notes in `used` what an exemption was needed for."""
    found = []
    for name, first, body in functions(text):
        if "SH_FAIL" in body:
            continue
        brace = body.index("{")
        for m in CALLS.finditer(body, brace):
            key = (path, name, m.group(1))
            if key in EXEMPT:
                used.add(key)
                continue
            line = first + body.count("\n", 0, m.start()) + 1
            found.append(f"runtime/{path}:{line}: {name}: {m.group(1)}() may fail, and the function has no SH_FAIL point")
    return found


def selftest():
    """The look finds what it is for, and only that."""
    bad = 'int one(void)\n{\n\tvoid *p = malloc(3);\n\treturn !p;\n}\n\nstatic inline void *two(void)\n{\n\treturn calloc(1, 2); /* x */\n}\n'
    good = 'int one(void)\n{\n\tvoid *p = SH_FAIL("x") ? NULL : malloc(3);\n\t/* malloc( */\n\treturn !p;\n}\n'
    assert len(look("x.c", bad, set())) == 2, look("x.c", bad, set())
    assert look("x.c", good, set()) == []
    for call in ("prctl", "sched_yield", "madvise", "munmap", "mincore", "getcpu", "clock_gettime", "clock_nanosleep"):
        assert CALLS.search(call + "(") and not CALLS.search("sh_" + call + "("), call
    assert "x.c:3: one: malloc" in look("x.c", bad, set())[0]


def main():
    root = os.environ.get("SRCDIR", ".")
    found, used, points, lates, calls = [], set(), set(), set(), 0
    selftest()
    for folder, dirs, names in os.walk(os.path.join(root, "runtime")):
        dirs.sort()
        for name in sorted(names):
            if not name.endswith((".c", ".h")):
                continue
            full = os.path.join(folder, name)
            with open(full, encoding="utf-8") as f:
                text = f.read()
            path = os.path.relpath(full, os.path.join(root, "runtime"))
            calls += len(CALLS.findall(blank(text)))
            found += look(path, text, used)
            if name not in ("inject.c", "inject.h"):
                points.update(re.findall(r'\bSH_FAIL\("([^"]+)"\)', text))
                lates.update(re.findall(r'\bSH_POINT\("([^"]+)"\)', text))
    for key in sorted(set(EXEMPT) - used):
        found.append(f"tests/e2e/failpoints.py: the exemption of {'/'.join(key)} is not needed any more")
    with open(os.path.join(root, SWEEP), encoding="utf-8") as f:
        table = dict(re.findall(r'^\t\{ "([^"]+)", [^\n]*?, ([A-Z0-9 |]+) \},', f.read(), flags=re.M))
    for name in sorted(points - set(table)):
        found.append(f"{SWEEP}: point {name} of runtime/ is not in the table")
    for name in sorted(set(table) - points - {"any allocation", "allocator"}):
        if "LATE" not in table[name] or name not in lates:
            found.append(f"{SWEEP}: runtime/ has no point {name}")
    for line in found:
        print(line)
    if not found:
        print(f"{calls} calls that may fail, {len(points)} points, {len(EXEMPT)} exemptions")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
