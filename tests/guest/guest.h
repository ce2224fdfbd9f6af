/*
 * tests/guest/guest.h - what the files of the guest program share: the checks' counter, what the kernel itself says
 * about the machine (truth.c, read without hwloc and without the library), small helpers, and the groups of checks.
 * The program is the first process of a virtual machine; guest.py starts that and reads its serial console.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef TEST_GUEST_H
#define TEST_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <shunt/shunt.h>

#define TRUTH_CPUS 64u
#define TRUTH_NODES 8u
#define GUEST_LONG_NS (UINT64_C(60) * 1000000000u) /* never reached when all is well */
#define GUEST_PRINTF(at, from) __attribute__((format(printf, at, from)))

/* ---- checks (guest_main.c) ---- */

/*
 * Prints "ok n - text" or "not ok n - text # file:line: condition", and counts. Is the condition. The condition is
 * evaluated before the text's arguments, so they may show what it found. One thread a process makes checks.
 */
#define CHECK(cond, ...) (guest_holds = (cond), guest_check(__FILE__, __LINE__, #cond, __VA_ARGS__))

extern bool guest_holds;
bool guest_check(const char *file, int line, const char *cond, const char *fmt, ...) GUEST_PRINTF(4, 5);

/* ---- the kernel's own view (truth.c) ---- */

struct truth_cpu {
	bool online;
	uint32_t node;
	uint64_t siblings, l3, package; /* masks of online cpus, this one included; l3 is 0 where there is none */
};

struct truth_node {
	bool there;
	uint64_t cpus; /* mask of online cpus */
	uint64_t memory_bytes;
	uint32_t distance[TRUTH_NODES];
};

struct truth {
	uint32_t cpus, nodes; /* numbers in use are below these */
	uint64_t online;
	struct truth_cpu cpu[TRUTH_CPUS];
	struct truth_node node[TRUTH_NODES];
};

/* Reads /sys; false when it cannot be. */
bool truth_read(struct truth *m);
/* Text of a small file without its final newline, "" when it cannot be read. */
const char *truth_text(char *buf, size_t len, const char *fmt, ...) GUEST_PRINTF(3, 4);
/* Writes text to a file of /sys or /proc. */
bool truth_write(const char *text, const char *fmt, ...) GUEST_PRINTF(2, 3);
bool truth_cpu_online(uint32_t cpu, bool online);
/* "0-3,8" to a mask and back. */
uint64_t truth_mask(const char *list);
const char *truth_list(uint64_t mask, char *buf, size_t len);
/* Node of the page at p as the kernel has it, or a negative errno (-ENOENT: not touched yet). */
int truth_page_node(const void *p);
/* Pages of [p, p + len) that are on another node than `node`; untouched ones are left out and counted in *untouched. */
uint32_t truth_pages_elsewhere(const void *p, size_t len, uint32_t node, uint32_t *untouched);
/* The calling thread's mask, without the library. */
uint64_t truth_affinity(void);
bool truth_affinity_set(uint64_t mask);
/* How far cpu b is from cpu a: the same, same core, same L3, same node, then 1000 and the distance of the nodes. */
uint32_t truth_far(const struct truth *m, uint32_t a, uint32_t b);

/* ---- a runtime to look at (world.c) ---- */

struct world {
	struct shunt_runtime *rt;
	struct shunt_pool_id pool;
	struct shunt_type_id type, gate; /* gate jobs hold their worker until it is let go */
	struct sh_pool *in;              /* the pool's inside */
	char log[4096];                  /* every line that the runtime said */
};

struct seen { /* what a job saw of the thread that ran it */
	uint64_t mask;
	int cpu;
	uint32_t node, worker;
	uint32_t turn; /* 1, 2, ... in the order in which jobs of this world ran; 0 = not yet */
};

/* One runtime with one pool, sleeping when idle; `extra` may be NULL. 0 or the error of the call that failed. */
int world_open(struct world *w, const char *place, enum shunt_pin_policy pin, uint32_t workers,
	       const struct shunt_pool_opts *extra);
void world_close(struct world *w);
/* Queues a job that fills *seen; flags as in struct shunt_job_spec. */
int world_submit(struct world *w, struct seen *seen, uint16_t flags, uint32_t where);
/* The same, and waits for it. */
int world_run(struct world *w, struct seen *seen, uint16_t flags, uint32_t where);
/* Every worker runs a gate job and is held in it. */
bool world_hold(struct world *w);
void world_release(struct world *w, uint32_t worker);
void world_release_all(struct world *w);
/* Waits until n jobs that fill a struct seen have run. */
bool world_ran(struct world *w, uint32_t n);
/* Jobs in the worker's rings of all levels. */
uint32_t world_queued(const struct world *w, uint32_t worker);

/* ---- groups of checks ---- */

/* The topology that the library reads is the kernel's. */
void check_topology(const struct truth *m);
/* Workers of one policy sit where the plan says, by the kernel's word; places and pin policies. */
void check_masks(const struct truth *m);
void check_policies(const struct truth *m);
void check_places(const struct truth *m);
void check_steal_order(const struct truth *m);
/* One worker a node: who is free takes from the nearest node first. */
void check_steal_nearest(const struct truth *m);
void check_node_submit(const struct truth *m);
void check_locality(const struct truth *m);
/* Queues, job arenas, histograms, spawned jobs and memory bound by hand. */
void check_queue_memory(const struct truth *m);
void check_arena_memory(const struct truth *m);
void check_descriptor_node(const struct truth *m);
void check_bind_memory(const struct truth *m);
/* Holes: an offline cpu, an affinity hole, cgroups, what the kernel refuses. */
void check_offline(const struct truth *m);
void check_affinity_hole(const struct truth *m);
void check_cpuset(const struct truth *m);
void check_mems(const struct truth *m);
void check_quota(const struct truth *m);
void check_pin_refused(const struct truth *m);
void check_unplug(const struct truth *m);
/* Place expressions: `expr` selects exactly the list `cpus`; or is refused with a message that contains `what`. */
void check_place(const struct shunt_topo *t, const char *expr, const char *cpus);
void check_refused(const struct shunt_topo *t, const char *expr, const char *what);

#endif
