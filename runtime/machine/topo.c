/* machine/topo.c - see topo.h. Only this file and bind.c use hwloc. SPDX-License-Identifier: MIT */
#include "machine/topo.h"

#include <errno.h>
#include <hwloc.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/inject.h"
#include "base/mem.h"
#include "base/opts.h"
#include "base/thread.h"
#include "machine/cgroup.h"

#define DISTANCE_LOCAL 10u
#define DISTANCE_REMOTE 20u
#define DISTANCES_MAX 8u
#define ONLINE_TEXT 256u
#define XML_BYTES_MAX (64u << 20) /* of a saved machine; the largest have some MiB */
#define FAST_PERCENT 75u          /* of the highest capacity: a core from there on is a performance core */
#define NO_XML "topology: xml_file: '%s' cannot be read; want a machine saved by `lstopo FILE.xml`"

static void *take(size_t n, size_t size)
{
	return SH_FAIL("topo.alloc") ? NULL : sh_heap_alloc(n, size);
}

/* Reads the file for hwloc, which would read whatever it is without a limit. */
static int set_xml(struct shunt_topo *t, const char *file)
{
	char why[SH_FILE_WHY_MAX];
	size_t len = 0;
	int rc = sh_file_read(file, XML_BYTES_MAX, &t->xml, &len, why);

	if (rc == SHUNT_EIO)
		return sh_error_set(rc, "topology: xml_file: '%s': %s", file, why);
	if (rc < 0)
		return rc;
	if (SH_FAIL("topo.xml") || hwloc_topology_set_xmlbuffer(t->hw, t->xml, (int)len + 1) < 0)
		return sh_error_set(SHUNT_EIO, NO_XML, file);
	return SHUNT_OK;
}

/* The file that hwloc will read by itself, because its variable says so: at least of a kind and size that ends. */
static int check_xml_variable(void)
{
	const char *file = getenv("HWLOC_XMLFILE");
	char why[SH_FILE_WHY_MAX];
	FILE *f;

	if (!file || !file[0])
		return SHUNT_OK;
	f = sh_file_open(file, XML_BYTES_MAX, why);
	if (!f)
		return sh_error_set(SHUNT_EIO, "topology: HWLOC_XMLFILE in the environment: '%s': %s", file, why);
	(void)fclose(f); /* was only looked at */
	return SHUNT_OK;
}

/* The variables of hwloc that put another machine, or another description of it, before the program. */
static void note_variables(struct shunt_topo *t)
{
	static const char *const names[] = { "HWLOC_XMLFILE", "HWLOC_SYNTHETIC", "HWLOC_FSROOT", "HWLOC_CPUID_PATH",
					     "HWLOC_COMPONENTS", "HWLOC_THISSYSTEM" };
	size_t used = 0;

	for (size_t i = 0; i < SH_COUNT(names) && used < sizeof(t->variables); i++)
		if (getenv(names[i]))
			used += (size_t)snprintf(t->variables + used, sizeof(t->variables) - used, "%s%s",
						 used ? ", " : "", names[i]);
}

/*
 * hwloc 2.9 does not look at all of its allocations, and writes through NULL: it begins only where there is enough. A
 * program with an allocator of its own is not asked for so much; hwloc does not use that one.
 */
#define LOAD_BYTES (16u << 20)

static bool memory_is_there(void)
{
	return !sh_mem_own_pages() || sh_mem_fits(LOAD_BYTES);
}

/* Loads every cpu, also forbidden ones: `shunt topo` draws them. The allowed set is kept here. */
static int load(struct shunt_topo *t, const struct shunt_topo_opts *o)
{
	unsigned long flags = HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED;
	int rc = SHUNT_OK;

#if HWLOC_API_VERSION >= 0x00020500
	flags |= HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING;
#endif
	if (SH_FAIL("topo.alloc") || !memory_is_there() || hwloc_topology_init(&t->hw) < 0) {
		t->hw = NULL;
		return SHUNT_ENOMEM;
	}
	if (SH_FAIL("topo.load") || hwloc_topology_set_flags(t->hw, flags) < 0)
		return SHUNT_ESYS;
	if (o->xml_file)
		rc = set_xml(t, o->xml_file);
	else if (!o->synthetic)
		rc = check_xml_variable();
	if (rc != SHUNT_OK)
		return rc;
	if (o->synthetic && hwloc_topology_set_synthetic(t->hw, o->synthetic) < 0)
		return sh_error_set(SHUNT_EINVAL, "topology: synthetic: '%s'; want such as 'core:4'", o->synthetic);
	if (SH_FAIL("topo.load") || hwloc_topology_load(t->hw) < 0)
		return o->xml_file ? sh_error_set(SHUNT_EIO, NO_XML, o->xml_file) : SHUNT_ESYS;
	t->live = !o->xml_file && !o->synthetic && hwloc_topology_is_thissystem(t->hw);
	t->replaced = !o->xml_file && !o->synthetic && !t->live;
	t->whole = t->live && o->cpu_mask == SHUNT_MASK_MACHINE;
	if (!o->xml_file && !o->synthetic)
		note_variables(t);
	return SHUNT_OK;
}

/*
 * Nearest node of a cpu: of those that contain it, the one with the fewest cpus (memory-only nodes
 * contain none, or all).
 */
static uint32_t nearest_node(const struct shunt_topo *t, hwloc_obj_t pu)
{
	uint32_t best = SHUNT_TOPO_NONE;
	int best_weight = 0;

	for (uint32_t i = 0; i < t->nodes_n; i++) {
		hwloc_obj_t node = hwloc_get_obj_by_type(t->hw, HWLOC_OBJ_NUMANODE, i);
		int weight = hwloc_bitmap_weight(node->cpuset);

		if (!hwloc_bitmap_isset(node->cpuset, pu->os_index))
			continue;
		if (best == SHUNT_TOPO_NONE || weight < best_weight) {
			best = i;
			best_weight = weight;
		}
	}
	return best;
}

/*
 * Numbers of its own, because hwloc counts within a depth: a core that lost a thread may be at
 * another depth than the others, and then two cores share a logical index. The cpus below an object
 * are adjacent.
 */
struct numbering {
	hwloc_obj_t last;
	uint32_t n; /* numbers assigned */
};

static uint32_t ancestor(const struct shunt_topo *t, hwloc_obj_t pu, hwloc_obj_type_t type, struct numbering *num)
{
	hwloc_obj_t o = hwloc_get_ancestor_obj_by_type(t->hw, type, pu);

	if (!o)
		return SHUNT_TOPO_NONE;
	if (o != num->last)
		num->n++;
	num->last = o;
	return num->n - 1;
}

/* What hwloc knows of one kind of core; 0 = nothing. */
struct kind {
	uint64_t capacity, mhz;
	int rank;
	bool atom, core; /* Intel's two designs */
};

static void read_kind(const struct shunt_topo *t, unsigned index, struct kind *k)
{
	struct hwloc_info_s *infos = NULL;
	unsigned n = 0;

	memset(k, 0, sizeof(*k));
	k->rank = -1;
	if (hwloc_cpukinds_get_info(t->hw, index, NULL, &k->rank, &n, &infos, 0) < 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(infos[i].name, "LinuxCapacity") == 0)
			k->capacity = strtoull(infos[i].value, NULL, 10);
		if (strcmp(infos[i].name, "FrequencyMaxMHz") == 0)
			k->mhz = strtoull(infos[i].value, NULL, 10);
		if (strcmp(infos[i].name, "CoreType") == 0) {
			k->atom = strcmp(infos[i].value, "IntelAtom") == 0;
			k->core = strcmp(infos[i].value, "IntelCore") == 0;
		}
	}
}

/* Is a about as fast as the fastest? */
static bool near_top(uint64_t a, uint64_t top)
{
	return top <= UINT64_MAX / 100 && a <= UINT64_MAX / 100 ? a * 100 >= top * FAST_PERCENT : a == top;
}

/*
 * A machine has more kinds of cores than fast and slow ones: favoured cores, three sizes. A kind is performance if its
 * capacity, as the kernel gives it, is at least FAST_PERCENT of the highest. Where not every kind has one, Intel's two
 * designs decide, else the highest frequency in the same way, else hwloc's order alone.
 */
static bool is_fast(const struct shunt_topo *t, unsigned kinds, unsigned mine)
{
	struct kind me, k;
	uint64_t capacity = 0, mhz = 0;
	bool has_capacity = true, has_mhz = true, atom = false, core = false;

	for (unsigned i = 0; i < kinds; i++) {
		read_kind(t, i, &k);
		capacity = k.capacity > capacity ? k.capacity : capacity;
		mhz = k.mhz > mhz ? k.mhz : mhz;
		has_capacity = has_capacity && k.capacity > 0;
		has_mhz = has_mhz && k.mhz > 0;
		atom = atom || k.atom;
		core = core || k.core;
	}
	read_kind(t, mine, &me);
	if (has_capacity)
		return near_top(me.capacity, capacity);
	if (atom && core)
		return !me.atom;
	if (has_mhz)
		return near_top(me.mhz, mhz);
	return mine == kinds - 1 || me.rank < 0;
}

/* Cpus of an unknown kind, and all cpus of one kind, count as performance. */
static enum shunt_cpu_kind kind_of(const struct shunt_topo *t, hwloc_obj_t pu)
{
	int kinds = hwloc_cpukinds_get_nr(t->hw, 0);
	int mine = kinds > 1 ? hwloc_cpukinds_get_by_cpuset(t->hw, pu->cpuset, 0) : -1;

	return mine < 0 || is_fast(t, (unsigned)kinds, (unsigned)mine) ? SHUNT_CPU_PERFORMANCE : SHUNT_CPU_EFFICIENCY;
}

struct numberings {
	struct numbering core, package, l3;
};

static void add_online(struct shunt_topo *t, hwloc_obj_t obj, struct numberings *num)
{
	struct shunt_topo_pu *pu = &t->pus[t->pus_n];

	pu->os_cpu = obj->os_index;
	pu->core = ancestor(t, obj, HWLOC_OBJ_CORE, &num->core);
	if (pu->core == SHUNT_TOPO_NONE)
		/* some virtual machines report no cores: each cpu is one */
		pu->core = num->core.n++;
	pu->package = ancestor(t, obj, HWLOC_OBJ_PACKAGE, &num->package);
	if (pu->package == SHUNT_TOPO_NONE)
		pu->package = 0;
	pu->l3 = ancestor(t, obj, HWLOC_OBJ_L3CACHE, &num->l3);
	pu->node = nearest_node(t, obj);
	if (pu->node != SHUNT_TOPO_NONE)
		t->nodes[pu->node].cpus++;
	pu->kind = kind_of(t, obj);
	pu->online = true;
	sh_cpus_add(&t->online, obj->os_index);
	t->pu_of_cpu[obj->os_index] = (uint16_t)t->pus_n++;
}

static int read_nodes(struct shunt_topo *t)
{
	int n = hwloc_get_nbobjs_by_type(t->hw, HWLOC_OBJ_NUMANODE);

	t->nodes_n = n > 0 ? (uint32_t)n : 0;
	t->nodes = take(t->nodes_n, sizeof(*t->nodes));
	if (!t->nodes)
		return SHUNT_ENOMEM;
	for (uint32_t i = 0; i < t->nodes_n; i++) {
		hwloc_obj_t node = hwloc_get_obj_by_type(t->hw, HWLOC_OBJ_NUMANODE, i);

		t->nodes[i].os_node = node->os_index;
		t->nodes[i].memory_bytes = node->attr->numanode.local_memory;
	}
	return SHUNT_OK;
}

static int read_pus(struct shunt_topo *t)
{
	hwloc_const_bitmap_t complete = hwloc_topology_get_complete_cpuset(t->hw);
	hwloc_const_bitmap_t present = hwloc_topology_get_topology_cpuset(t->hw);
	int all = hwloc_bitmap_weight(complete);
	struct numberings num = { { NULL, 0 }, { NULL, 0 }, { NULL, 0 } };

	if (all <= 0 || hwloc_bitmap_last(complete) >= (int)SH_CPUS_MAX)
		return all <= 0 ? SHUNT_EPLACE : SHUNT_ELIMIT;
	t->pus = take((size_t)all, sizeof(*t->pus));
	if (!t->pus)
		return SHUNT_ENOMEM;
	for (hwloc_obj_t o = NULL; (o = hwloc_get_next_obj_by_type(t->hw, HWLOC_OBJ_PU, o)) != NULL;)
		add_online(t, o, &num);
	for (int c = hwloc_bitmap_first(complete); c >= 0; c = hwloc_bitmap_next(complete, c)) {
		struct shunt_topo_pu *pu = &t->pus[t->pus_n];

		if (hwloc_bitmap_isset(present, (unsigned)c))
			continue;
		pu->os_cpu = (uint32_t)c;
		pu->core = pu->package = pu->node = pu->l3 = SHUNT_TOPO_NONE;
		t->pu_of_cpu[c] = (uint16_t)t->pus_n++;
	}
	for (uint32_t i = 0; i < t->nodes_n; i++)
		t->nodes[i].has_cpus = t->nodes[i].cpus > 0;
	return SHUNT_OK;
}

/* The matrix of this node set. hwloc may have several; the first is the firmware's. */
static void fill_distances(struct shunt_topo *t)
{
	struct hwloc_distances_s *found[DISTANCES_MAX];
	unsigned nr = DISTANCES_MAX;

	if (SH_FAIL("topo.distances")
	    || hwloc_distances_get_by_type(t->hw, HWLOC_OBJ_NUMANODE, &nr, found, HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) < 0)
		return;
	for (unsigned k = 0; k < nr && k < DISTANCES_MAX; k++) {
		struct hwloc_distances_s *d = found[k];

		for (unsigned i = 0; k == 0 && i < d->nbobjs; i++) {
			for (unsigned j = 0; j < d->nbobjs; j++) {
				uint64_t v = d->values[(size_t)i * d->nbobjs + j];
				size_t a = d->objs[i]->logical_index, b = d->objs[j]->logical_index;

				t->distance[a * t->nodes_n + b] = v < UINT32_MAX ? (uint32_t)v : UINT32_MAX - 1;
			}
		}
		hwloc_distances_release(t->hw, d);
	}
}

static int read_distances(struct shunt_topo *t)
{
	t->distance = take((size_t)t->nodes_n * t->nodes_n, sizeof(*t->distance));
	if (!t->distance)
		return SHUNT_ENOMEM;
	for (uint32_t a = 0; a < t->nodes_n; a++) {
		for (uint32_t b = 0; b < t->nodes_n; b++)
			t->distance[(size_t)a * t->nodes_n + b] = a == b ? DISTANCE_LOCAL : DISTANCE_REMOTE;
	}
	fill_distances(t);
	return SHUNT_OK;
}

int sh_topo_affinity(const struct shunt_topo *t, struct sh_cpus *out)
{
	struct sh_cpus more;
	char path[64];
	int rc;

	rc = sh_cpus_affinity(out, (int)getpid());
	if (rc < 0)
		memset(out, 0, sizeof(*out)); /* the main thread may have ended before others */
	(void)snprintf(path, sizeof(path), "/proc/self/task/%d", t->opener_tid);
	/* The number may be another process's by now: check that it is a thread of this one. */
	if (access(path, F_OK) == 0 && sh_cpus_affinity(&more, t->opener_tid) == SHUNT_OK) {
		sh_cpus_or(out, &more);
		rc = SHUNT_OK;
	}
	if (rc < 0 && sh_cpus_affinity(out, 0) < 0)
		return SHUNT_ESYS;
	sh_cpus_and(out, &t->online);
	return SHUNT_OK;
}

/* Allowed = hwloc's set, affinity and cpuset together. The caller's own list replaces them all. */
static int read_allowed(struct shunt_topo *t, const struct shunt_topo_opts *o)
{
	const char *list = o->allowed_cpus;
	hwloc_const_bitmap_t hw = hwloc_topology_get_allowed_cpuset(t->hw);
	struct sh_cpus set;

	t->limit = t->online;
	if (list) {
		if (sh_cpus_parse(&t->limit, list) < 0)
			return sh_error_set(SHUNT_EINVAL, "topology: allowed_cpus: '%s'; want such as 0-3,8", list);
		t->allowed = t->limit;
		sh_cpus_and(&t->allowed, &t->online);
		if (sh_cpus_count(&t->allowed) != sh_cpus_count(&t->limit)) {
			char have[ONLINE_TEXT];

			(void)sh_cpus_format(&t->online, have, sizeof(have));
			return sh_error_set(SHUNT_EINVAL, "topology: allowed_cpus: '%s'; the machine has %s",
					    list, have);
		}
	} else {
		for (int c = hwloc_bitmap_first(hw); c >= 0 && c < (int)SH_CPUS_MAX; c = hwloc_bitmap_next(hw, c))
			sh_cpus_add(&t->allowed, (uint32_t)c);
		sh_cpus_and(&t->allowed, &t->online);
		if (t->cgroups && sh_cgroup_cpuset(t, &set) > 0)
			sh_cpus_and(&t->allowed, &set);
		t->granted = t->allowed;
		if (t->live && !t->whole && sh_topo_affinity(t, &set) == SHUNT_OK)
			sh_cpus_and(&t->allowed, &set);
	}
	if (list || o->cpu_mask != SHUNT_MASK_DEFAULT)
		t->granted = t->allowed;
	for (uint32_t i = 0; i < t->pus_n; i++)
		t->pus[i].allowed = sh_cpus_has(&t->allowed, t->pus[i].os_cpu);
	return sh_cpus_count(&t->allowed) ? SHUNT_OK : sh_error_set(SHUNT_EPLACE, "topology: no cpu is allowed");
}

void sh_topo_report(const struct shunt_topo *t, const struct sh_log *log, const char *runtime)
{
	uint32_t allowed = sh_cpus_count(&t->allowed), granted = sh_cpus_count(&t->granted);
	char list[ONLINE_TEXT];

	if (t->replaced)
		sh_log_write(log, SHUNT_LOG_WARN,
			     "runtime %s: %s in the environment replaces the machine's topology: no thread is pinned,"
			     " and this machine's cpus limit the budget",
			     runtime, t->variables[0] ? t->variables : "hwloc");
	else if (t->variables[0])
		sh_log_write(log, SHUNT_LOG_WARN,
			     "runtime %s: %s in the environment says what the machine looks like; only this machine's"
			     " cpus are used",
			     runtime, t->variables);
	if (allowed < granted) {
		(void)sh_cpus_format(&t->allowed, list, sizeof(list));
		sh_log_write(log, SHUNT_LOG_WARN,
			     "runtime %s: the affinity of the main and of this thread allows %" PRIu32
			     " of the machine's %" PRIu32 " cpus (%s): the workers use no others; want runtime.cpu_mask"
			     " machine to use all, or caller if this is meant",
			     runtime, allowed, granted, list);
	}
}

static int keep_root(struct shunt_topo *t, const char *root)
{
	size_t len = root ? strlen(root) : 0;

	while (len && root[len - 1] == '/')
		len--;
	t->root = take(len + 1, 1);
	if (!t->root)
		return SHUNT_ENOMEM;
	if (len)
		memcpy(t->root, root, len);
	return SHUNT_OK;
}

int shunt_topo_open(struct shunt_topo **out, const struct shunt_topo_opts *opts)
{
	SH_NO_CANCEL;
	struct shunt_topo_opts o = SHUNT_TOPO_OPTS_INIT;
	struct shunt_topo *t;
	int rc;

	sh_error_detail_clear();
	if (!out)
		return sh_error_set(SHUNT_EINVAL, "topology: " SH_NO_ARGUMENT);
	*out = NULL;
	if (opts && sh_opts_take(&o, sizeof(o), opts, opts->size) < 0)
		return sh_error_set(SHUNT_EINVAL, "topology: " SH_OPTS_WRONG);
	if (o.xml_file && o.synthetic)
		return sh_error_set(SHUNT_EINVAL, "topology: xml_file and synthetic are both given; want one");
	if (o.cpu_mask > SHUNT_MASK_MACHINE)
		return sh_error_set(SHUNT_EINVAL, "topology: cpu_mask: %d; want caller or machine", (int)o.cpu_mask);
	t = take(1, sizeof(*t));
	if (!t)
		return SHUNT_ENOMEM;
	memset(t->pu_of_cpu, 0xff, sizeof(t->pu_of_cpu));
	t->opener_tid = (int)gettid();
	t->budget_config = o.cpu_budget_config;
	rc = keep_root(t, o.sysfs_root);
	if (rc == SHUNT_OK)
		rc = load(t, &o);
	t->cgroups = t->live || o.sysfs_root;
	if (rc == SHUNT_OK)
		rc = read_nodes(t);
	if (rc == SHUNT_OK)
		rc = read_pus(t);
	if (rc == SHUNT_OK)
		rc = read_distances(t);
	if (rc == SHUNT_OK)
		rc = read_allowed(t, &o);
	if (rc != SHUNT_OK)
		goto fail;
	*out = t;
	return SHUNT_OK;
fail:
	if (!shunt_error_detail()[0])
		sh_error_detail("topology: the machine cannot be read: %s", shunt_strerror(rc));
	shunt_topo_close(t);
	return rc;
}

void shunt_topo_close(struct shunt_topo *t)
{
	if (!t)
		return;
	if (t->hw)
		hwloc_topology_destroy(t->hw);
	sh_heap_free(t->xml);
	sh_heap_free(t->pus);
	sh_heap_free(t->nodes);
	sh_heap_free(t->distance);
	sh_heap_free(t->root);
	sh_heap_free(t);
}

uint32_t shunt_topo_pu_count(const struct shunt_topo *t)
{
	assert(t != NULL);
	return t->pus_n;
}

const struct shunt_topo_pu *shunt_topo_pu_at(const struct shunt_topo *t, uint32_t i)
{
	assert(t != NULL);
	return i < t->pus_n ? &t->pus[i] : NULL;
}

uint32_t shunt_topo_node_count(const struct shunt_topo *t)
{
	assert(t != NULL);
	return t->nodes_n;
}

const struct shunt_topo_node *shunt_topo_node_at(const struct shunt_topo *t, uint32_t i)
{
	assert(t != NULL);
	return i < t->nodes_n ? &t->nodes[i] : NULL;
}

uint32_t shunt_topo_distance(const struct shunt_topo *t, uint32_t a, uint32_t b)
{
	assert(t != NULL);
	if (a >= t->nodes_n || b >= t->nodes_n)
		return UINT32_MAX;
	return t->distance[(size_t)a * t->nodes_n + b];
}

int shunt_topo_is_live(const struct shunt_topo *t)
{
	assert(t != NULL);
	return t->live;
}

int shunt_topo_allowed(const struct shunt_topo *t, char *buf, size_t len)
{
	assert(t != NULL);
	if (!buf || !len)
		return SHUNT_EINVAL;
	return (int)sh_cpus_format(&t->allowed, buf, len);
}

uint32_t sh_topo_node_find(const struct shunt_topo *t, uint32_t os_node)
{
	for (uint32_t i = 0; i < t->nodes_n; i++) {
		if (t->nodes[i].os_node == os_node)
			return i;
	}
	return SHUNT_TOPO_NONE;
}
