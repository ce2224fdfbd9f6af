/* machine/plan.c - see plan.h. SPDX-License-Identifier: MIT */
#include "machine/plan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <shunt/runtime.h>

#include "base/error.h"
#include "base/inject.h"
#include "base/mem.h"
#include "base/opts.h"
#include "base/thread.h"
#include "machine/pins.h"
#include "machine/place.h"

#define SIBLINGS_MAX 16u /* threads of one core; Linux machines have up to 8 */

static const char *const policy_names[] = {
	[SHUNT_PIN_DEFAULT] = "default",
	[SHUNT_PIN_COMPACT] = "compact",
	[SHUNT_PIN_SCATTER] = "scatter",
	[SHUNT_PIN_ONE_PER_CORE] = "one-per-core",
	[SHUNT_PIN_AVOID_CPU0] = "avoid-cpu0",
	[SHUNT_PIN_NONE] = "none",
	[SHUNT_PIN_EXPLICIT] = "explicit",
};

/* The cpus to use, in the order in which workers take them. */
struct seats {
	const struct shunt_topo *t;
	uint16_t *pu; /* capacity t->pus_n */
	uint32_t n;
};

/* A cpu with its sort key, compared from the left. qsort needs the key inside the element. */
struct ranked {
	uint64_t key[5];
	uint32_t value;
};

const char *shunt_pin_policy_name(enum shunt_pin_policy policy)
{
	return (size_t)policy < SH_COUNT(policy_names) ? policy_names[policy] : NULL;
}

int shunt_pin_policy_parse(const char *name, enum shunt_pin_policy *out)
{
	if (!name || !out)
		return SHUNT_EINVAL;
	for (size_t i = 0; i < SH_COUNT(policy_names); i++) {
		if (strcmp(name, policy_names[i]) == 0) {
			*out = (enum shunt_pin_policy)i;
			return SHUNT_OK;
		}
	}
	return SHUNT_EINVAL;
}

static void *take(size_t n, size_t size)
{
	return SH_FAIL("plan.alloc") ? NULL : sh_heap_alloc(n, size);
}

/* Adds what a user should know. */
static void note(struct shunt_plan *plan, const char *fmt, ...) SH_PRINTF(2, 3);
static void note(struct shunt_plan *plan, const char *fmt, ...)
{
	size_t at = strlen(plan->note);
	va_list ap;

	if (at > 0)
		at += (size_t)snprintf(plan->note + at, sizeof(plan->note) - at, "; ");
	if (at >= sizeof(plan->note))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(plan->note + at, sizeof(plan->note) - at, fmt, ap);
	va_end(ap);
}

static int by_key(const void *pa, const void *pb)
{
	const struct ranked *a = pa, *b = pb;

	for (size_t i = 0; i < SH_COUNT(a->key); i++) {
		if (a->key[i] != b->key[i])
			return a->key[i] < b->key[i] ? -1 : 1;
	}
	return a->value < b->value ? -1 : a->value > b->value;
}

static int by_index(const void *pa, const void *pb)
{
	const uint16_t *a = pa, *b = pb;

	return *a < *b ? -1 : *a > *b;
}

/*
 * Rank of seat i's child among the distinct children of its parent that have seats: the number of
 * rounds over the parents before scatter takes it. The columns are those of path[] below.
 */
static uint32_t rank_in_parent(const uint32_t (*path)[5], uint32_t n, uint32_t i, int parent)
{
	uint32_t rank = 0, last = SHUNT_TOPO_NONE;
	bool any = false;

	for (uint32_t j = 0; j < n; j++) {
		bool same = true;

		for (int c = 0; c <= parent; c++)
			same = same && path[j][c] == path[i][c];
		if (!same)
			continue;
		if (path[j][parent + 1] == path[i][parent + 1])
			return rank;
		if (!any || path[j][parent + 1] != last)
			rank++;
		any = true;
		last = path[j][parent + 1];
	}
	return rank;
}

/* Packages in turn, in each its nodes in turn, then caches, cores, and threads of a core. */
static int order_scatter(struct seats *s)
{
	struct ranked *r = take(s->n, sizeof(*r));
	uint32_t(*path)[5] = take(s->n, sizeof(*path));
	int rc = SHUNT_ENOMEM;

	if (!r || !path)
		goto out;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct shunt_topo_pu *pu = &s->t->pus[s->pu[i]];

		path[i][0] = pu->package;
		path[i][1] = pu->node;
		path[i][2] = pu->l3;
		path[i][3] = pu->core;
		path[i][4] = s->pu[i];
	}
	for (uint32_t i = 0; i < s->n; i++) {
		r[i].value = s->pu[i];
		for (int parent = 3; parent >= 0; parent--)
			r[i].key[3 - parent] = rank_in_parent((const uint32_t(*)[5])path, s->n, i, parent);
		r[i].key[4] = path[i][0];
	}
	qsort(r, s->n, sizeof(*r), by_key);
	for (uint32_t i = 0; i < s->n; i++)
		s->pu[i] = (uint16_t)r[i].value;
	rc = SHUNT_OK;
out:
	sh_heap_free(path);
	sh_heap_free(r);
	return rc;
}

/* Keeps the first allowed cpu of each core. In machine order a core's threads are adjacent. */
static void order_one_per_core(struct seats *s)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		if (kept && s->t->pus[s->pu[i]].core == s->t->pus[s->pu[kept - 1]].core)
			continue;
		s->pu[kept++] = s->pu[i];
	}
	s->n = kept;
}

/* Drops cpu 0 and moves its siblings to the end. A plan on cpu 0 alone keeps it. */
static void order_avoid_cpu0(struct seats *s, struct shunt_plan *plan)
{
	const struct shunt_topo_pu *zero = sh_topo_pu_find(s->t, 0);
	uint16_t late[SIBLINGS_MAX];
	uint32_t kept = 0, late_n = 0, total = s->n;

	if (!zero)
		return;
	for (uint32_t i = 0; i < total; i++) {
		const struct shunt_topo_pu *pu = &s->t->pus[s->pu[i]];

		if (pu == zero) {
			if (total > 1)
				continue;
			note(plan, "cpu 0 could not be avoided: it is the only cpu");
		} else if (pu->core == zero->core && late_n < SH_COUNT(late)) {
			late[late_n++] = s->pu[i];
			continue;
		}
		s->pu[kept++] = s->pu[i];
	}
	for (uint32_t i = 0; i < late_n; i++)
		s->pu[kept++] = late[i];
	s->n = kept;
}

static int choose_seats(struct seats *s, enum shunt_pin_policy policy, struct shunt_plan *plan)
{
	if (policy == SHUNT_PIN_EXPLICIT)
		return SHUNT_OK;
	qsort(s->pu, s->n, sizeof(*s->pu), by_index);
	if (policy == SHUNT_PIN_SCATTER)
		return order_scatter(s);
	if (policy == SHUNT_PIN_ONE_PER_CORE)
		order_one_per_core(s);
	if (policy == SHUNT_PIN_AVOID_CPU0)
		order_avoid_cpu0(s, plan);
	return SHUNT_OK;
}

/*
 * Keeps n seats, as many in each package as in the others, in their order. What a package lacks the others have more.
 * Packages are numbered from 0 and are fewer than cpus.
 */
static int spread_over_packages(struct seats *s, uint32_t n, uint32_t *packages)
{
	struct {
		uint32_t seats, kept;
	} *of = take(s->t->pus_n, sizeof(*of));
	uint32_t left = n, out = 0;

	*packages = 0;
	if (!of)
		return SHUNT_ENOMEM;
	for (uint32_t i = 0; i < s->n; i++)
		of[s->t->pus[s->pu[i]].package].seats++;
	while (left > 0) {
		for (uint32_t p = 0; p < s->t->pus_n && left > 0; p++) {
			if (of[p].kept == of[p].seats)
				continue;
			*packages += of[p].kept == 0;
			of[p].kept++;
			left--;
		}
	}
	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t p = s->t->pus[s->pu[i]].package;

		if (of[p].kept == 0)
			continue;
		of[p].kept--;
		s->pu[out++] = s->pu[i];
	}
	assert(out == n);
	s->n = out;
	sh_heap_free(of);
	return SHUNT_OK;
}

/* More cpus are granted than a pool can have workers. Scatter and explicit have their order already. */
static int cut_count(struct seats *s, enum shunt_pin_policy policy, struct shunt_plan *plan)
{
	const uint32_t most = SHUNT_WORKERS_MAX;
	uint32_t cpus = plan->workers_n, packages = 0;
	int rc = SHUNT_OK;

	plan->workers_n = most;
	if (policy != SHUNT_PIN_SCATTER && policy != SHUNT_PIN_EXPLICIT && policy != SHUNT_PIN_NONE)
		rc = spread_over_packages(s, most, &packages);
	note(plan, "%" PRIu32 " cpus, but a pool has at most %" PRIu32 " workers", cpus, most);
	if (packages > 1)
		note(plan, "they are spread over %" PRIu32 " packages", packages);
	return rc;
}

static int choose_count(struct seats *s, const struct shunt_plan_opts *o, struct shunt_plan *plan)
{
	struct shunt_cpu_budget b;
	int rc;

	plan->workers_n = o->workers;
	if (!o->workers) {
		rc = shunt_topo_budget(s->t, &b, sizeof(b));
		if (rc < 0)
			return rc;
		plan->workers_n = b.budget < s->n ? b.budget : s->n;
		if (plan->workers_n > SHUNT_WORKERS_MAX)
			return cut_count(s, o->policy, plan);
	}
	if ((o->policy == SHUNT_PIN_ONE_PER_CORE || o->policy == SHUNT_PIN_EXPLICIT) && plan->workers_n > s->n) {
		return sh_error_set(SHUNT_EPLACE, "%" PRIu32 " workers, but policy %s has %" PRIu32 " %s%s here",
				    plan->workers_n, shunt_pin_policy_name(o->policy), s->n,
				    o->policy == SHUNT_PIN_ONE_PER_CORE ? "core" : "cpu", s->n == 1 ? "" : "s");
	}
	return SHUNT_OK;
}

/* Workers of this process that are bound to the seat: to its cpu, or for one-per-core to its core. */
static uint32_t pins_at(const struct seats *s, uint32_t seat, enum shunt_pin_policy policy)
{
	const struct shunt_topo_pu *pu = &s->t->pus[s->pu[seat]];
	uint32_t n = 0;

	if (policy != SHUNT_PIN_ONE_PER_CORE)
		return sh_pins_count(pu->os_cpu);
	for (uint32_t i = 0; i < s->t->pus_n; i++)
		n += s->t->pus[i].core == pu->core ? sh_pins_count(s->t->pus[i].os_cpu) : 0;
	return n;
}

/*
 * The seat of each worker: in turn, starting over when there are more workers than seats. A plan that counts takes of
 * the seats with the fewest workers of this process the first one. Explicit is what the user wrote.
 */
static int choose_of_seats(const struct shunt_plan *plan, const struct seats *s, enum shunt_pin_policy policy,
			   bool count, uint32_t *seat)
{
	uint32_t *pins = take(s->n, sizeof(*pins));

	if (!pins)
		return SHUNT_ENOMEM;
	count = count && policy != SHUNT_PIN_EXPLICIT && policy != SHUNT_PIN_NONE;
	for (uint32_t i = 0; count && i < s->n; i++)
		pins[i] = pins_at(s, i, policy);
	for (uint32_t w = 0; w < plan->workers_n; w++) {
		uint32_t best = count ? 0 : w % s->n;

		for (uint32_t i = 1; count && i < s->n; i++)
			if (pins[i] < pins[best])
				best = i;
		pins[best]++;
		seat[w] = best;
	}
	sh_heap_free(pins);
	return SHUNT_OK;
}

static void seat_worker(struct shunt_plan_worker *x, uint32_t worker, const struct shunt_topo_pu *pu)
{
	x->worker = worker;
	x->os_cpu = -1;
	x->node = x->l3 = x->core = x->package = SHUNT_TOPO_NONE;
	if (!pu)
		return;
	x->os_cpu = (int32_t)pu->os_cpu;
	x->node = pu->node;
	x->l3 = pu->l3;
	x->core = pu->core;
	x->package = pu->package;
}

static int seat_workers(struct shunt_plan *plan, const struct seats *s, enum shunt_pin_policy policy, bool count)
{
	uint32_t *seat = take(plan->workers_n, sizeof(*seat));
	int rc = seat ? choose_of_seats(plan, s, policy, count, seat) : SHUNT_ENOMEM;

	for (uint32_t w = 0; rc == SHUNT_OK && w < plan->workers_n; w++)
		seat_worker(&plan->workers[w], w, policy == SHUNT_PIN_NONE ? NULL : &s->t->pus[s->pu[seat[w]]]);
	if (rc == SHUNT_OK && plan->workers_n > s->n)
		note(plan, "%" PRIu32 " workers share %" PRIu32 " cpu%s", plan->workers_n, s->n, s->n == 1 ? "" : "s");
	sh_heap_free(seat);
	return rc;
}

static bool same(uint32_t a, uint32_t b)
{
	return a != SHUNT_TOPO_NONE && a == b;
}

/* How far b is from a: the closest level they share, then the distance of their nodes. */
static void distance_key(const struct shunt_topo *t, const struct shunt_plan_worker *a,
			 const struct shunt_plan_worker *b, uint64_t *key)
{
	key[0] = 4;
	if (a->os_cpu >= 0 && a->os_cpu == b->os_cpu)
		key[0] = 0;
	else if (same(a->core, b->core))
		key[0] = 1;
	else if (same(a->l3, b->l3))
		key[0] = 2;
	else if (same(a->node, b->node))
		key[0] = 3;
	key[1] = key[0] == 4 ? shunt_topo_distance(t, a->node, b->node) : 0;
	key[2] = !same(a->package, b->package);
}

static int order_steals(const struct shunt_topo *t, struct shunt_plan *plan)
{
	uint32_t n = plan->workers_n;
	struct ranked *r;

	if (n < 2)
		return SHUNT_OK;
	plan->steal = take((size_t)n * (n - 1), sizeof(*plan->steal));
	r = take(n, sizeof(*r));
	if (!plan->steal || !r) {
		sh_heap_free(r);
		return SHUNT_ENOMEM;
	}
	for (uint32_t w = 0; w < n; w++) {
		for (uint32_t i = 1; i < n; i++) {
			struct ranked *x = &r[i - 1];

			x->value = (w + i) % n;
			distance_key(t, &plan->workers[w], &plan->workers[x->value], x->key);
			x->key[3] = i; /* ring order among equals */
			x->key[4] = 0;
		}
		qsort(r, n - 1, sizeof(*r), by_key);
		for (uint32_t i = 0; i < n - 1; i++)
			plan->steal[(size_t)w * (n - 1) + i] = r[i].value;
	}
	sh_heap_free(r);
	return SHUNT_OK;
}

static int check_opts(struct shunt_plan_opts *o, const struct shunt_plan_opts *given)
{
	if (given && sh_opts_take(o, sizeof(*o), given, given->size) < 0)
		return sh_error_set(SHUNT_EINVAL, SH_OPTS_WRONG);
	if (!shunt_pin_policy_name(o->policy))
		return sh_error_set(SHUNT_EINVAL, "unknown pin policy %d", (int)o->policy);
	if (o->workers > SHUNT_PLAN_WORKERS_MAX)
		return sh_error_set(SHUNT_EINVAL, "%" PRIu32 " workers; allowed: 1-%u", o->workers,
				    SHUNT_PLAN_WORKERS_MAX);
	return SHUNT_OK;
}

/*
 * What nobody asked for otherwise. Under a quota without a cpuset the process has a share of cpus that it cannot name:
 * each container of the machine would bind its workers to the same first ones. A place says which cpus are meant.
 */
static enum shunt_pin_policy default_policy(const struct shunt_topo *t, const char *place, struct shunt_plan *plan)
{
	struct shunt_cpu_budget b = { 0 };

	if ((place && strcmp(place, "all") != 0) || shunt_topo_budget(t, &b, sizeof(b)) < 0)
		return SHUNT_PIN_COMPACT;
	if (b.quota_milli == 0 || b.quota_milli / 1000 >= b.affinity)
		return SHUNT_PIN_COMPACT;
	if (b.cpuset && b.cpuset < sh_cpus_count(&t->online))
		return SHUNT_PIN_COMPACT;
	note(plan,
	     "not pinned: the quota is %" PRIu32 ".%02" PRIu32 " of %" PRIu32
	     " cpus and no cpuset says which; a pin policy or a place pins",
	     b.quota_milli / 1000, b.quota_milli % 1000 / 10, b.affinity);
	return SHUNT_PIN_NONE;
}

static int build(struct shunt_plan *plan, struct seats *s, struct shunt_plan_opts *o, bool count)
{
	int rc = sh_place_parse(s->t, o->place, s->pu, &s->n);

	if (rc == SHUNT_OK && o->policy == SHUNT_PIN_DEFAULT)
		o->policy = default_policy(s->t, o->place, plan);

	if (rc == SHUNT_OK)
		rc = choose_seats(s, o->policy, plan);
	if (rc == SHUNT_OK)
		rc = choose_count(s, o, plan);
	if (rc < 0)
		return rc;
	plan->workers = take(plan->workers_n, sizeof(*plan->workers));
	if (!plan->workers)
		return SHUNT_ENOMEM;
	rc = seat_workers(plan, s, o->policy, count);
	return rc == SHUNT_OK ? order_steals(s->t, plan) : rc;
}

int sh_plan_create(const struct shunt_topo *t, const struct shunt_plan_opts *opts, bool count, struct shunt_plan **out)
{
	SH_NO_CANCEL;
	struct shunt_plan_opts o = SHUNT_PLAN_OPTS_INIT;
	struct seats s = { t, NULL, 0 };
	struct shunt_plan *plan = NULL;
	int rc;

	sh_error_detail_clear();
	if (!t || !out)
		return sh_error_set(SHUNT_EINVAL, "plan: " SH_NO_ARGUMENT);
	*out = NULL;
	rc = check_opts(&o, opts);
	if (rc < 0)
		return rc;
	if (count)
		sh_pins_begin();
	plan = take(1, sizeof(*plan));
	s.pu = take(t->pus_n, sizeof(*s.pu));
	rc = plan && s.pu ? build(plan, &s, &o, count) : SHUNT_ENOMEM;
	if (rc == SHUNT_ENOMEM)
		sh_error_detail("%s", shunt_strerror(rc));
	if (rc < 0) {
		shunt_plan_destroy(plan);
		plan = NULL;
	}
	for (uint32_t w = 0; plan && count && w < plan->workers_n; w++)
		if (plan->workers[w].os_cpu >= 0)
			sh_pins_add((uint32_t)plan->workers[w].os_cpu);
	sh_heap_free(s.pu);
	*out = plan;
	return rc;
}

int shunt_plan_create(const struct shunt_topo *t, const struct shunt_plan_opts *opts, struct shunt_plan **out)
{
	return sh_plan_create(t, opts, false, out);
}

void sh_plan_uncount(const struct shunt_plan *plan)
{
	for (uint32_t w = 0; plan && w < plan->workers_n; w++)
		if (plan->workers[w].os_cpu >= 0)
			sh_pins_drop((uint32_t)plan->workers[w].os_cpu);
}

void shunt_plan_destroy(struct shunt_plan *plan)
{
	if (!plan)
		return;
	sh_heap_free(plan->workers);
	sh_heap_free(plan->steal);
	sh_heap_free(plan);
}

uint32_t shunt_plan_worker_count(const struct shunt_plan *plan)
{
	assert(plan != NULL);
	return plan->workers_n;
}

const struct shunt_plan_worker *shunt_plan_worker_at(const struct shunt_plan *plan, uint32_t i)
{
	assert(plan != NULL);
	return i < plan->workers_n ? &plan->workers[i] : NULL;
}

const uint32_t *shunt_plan_steal_order(const struct shunt_plan *plan, uint32_t worker, uint32_t *n)
{
	assert(plan != NULL && n != NULL);
	*n = 0;
	if (worker >= plan->workers_n || plan->workers_n < 2)
		return NULL;
	*n = plan->workers_n - 1;
	return plan->steal + (size_t)worker * *n;
}

const char *shunt_plan_note(const struct shunt_plan *plan)
{
	assert(plan != NULL);
	return plan->note;
}
