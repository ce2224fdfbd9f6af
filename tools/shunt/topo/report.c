/*
 * shunt/topo/report.c - see topo/report.h. The text names levels as place expressions do (numa 1 is
 * numa:1), draws a line per core with its workers to the right, and folds runs of cores without
 * workers.
 *
 * SPDX-License-Identifier: MIT
 */
#include "topo/report.h"

#include <inttypes.h>
#include <string.h>

#include "common/fmt.h"

#define COLUMNS 100u
#define LABEL 10      /* column where the text of the head lines begins */
#define PLAN_AT 42u   /* column where workers are drawn */
#define FOLD_MIN 3u   /* this many cores without worker become one line */
#define STEAL_SHOWN 16u
#define MATRIX_MAX 12u

/* ---- text ---- */

/* A label, then the text, broken after blanks and commas so that lines stay within the columns. */
static void print_wrapped(FILE *f, const char *label, const char *text)
{
	size_t column = LABEL;

	(void)fprintf(f, "%-*s", LABEL, label);
	while (*text) {
		size_t n = strcspn(text, " ,"), gap;

		n += text[n] == ',';
		if (column + n > COLUMNS && column > LABEL) {
			(void)fprintf(f, "\n%*s", LABEL, "");
			column = LABEL;
		}
		(void)fwrite(text, 1, n, f);
		column += n;
		text += n;
		gap = strspn(text, " ");
		text += gap;
		if (gap && *text && column + 1 + strcspn(text, " ,") + 1 <= COLUMNS) {
			(void)fputc(' ', f);
			column++;
		} else if (gap && *text) {
			(void)fprintf(f, "\n%*s", LABEL, "");
			column = LABEL;
		}
	}
	(void)fputc('\n', f);
}

static const struct shunt_topo_pu *cpu(const struct topo_report *r, uint32_t i)
{
	return shunt_topo_pu_at(r->topo, i);
}

static const struct shunt_topo_node *node_at(const struct topo_report *r, uint32_t i)
{
	return shunt_topo_node_at(r->topo, i);
}

static const struct shunt_plan_worker *seat(const struct topo_report *r, uint32_t worker)
{
	return shunt_plan_worker_at(r->plan, worker);
}

/* Number of distinct values of a field; equal ones are adjacent in machine order. */
static uint32_t count_ids(const struct topo_report *r, uint32_t (*id)(const struct shunt_topo_pu *))
{
	uint32_t n = shunt_topo_pu_count(r->topo), top = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (id(cpu(r, i)) != SHUNT_TOPO_NONE && id(cpu(r, i)) >= top)
			top = id(cpu(r, i)) + 1;
	}
	return top;
}

static uint32_t id_package(const struct shunt_topo_pu *pu)
{
	return pu->package;
}

static uint32_t id_l3(const struct shunt_topo_pu *pu)
{
	return pu->l3;
}

static uint32_t id_core(const struct shunt_topo_pu *pu)
{
	return pu->core;
}

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

static void print_head(const struct topo_report *r, FILE *f)
{
	uint32_t pus = shunt_topo_pu_count(r->topo), nodes = shunt_topo_node_count(r->topo);
	uint32_t workers = shunt_plan_worker_count(r->plan), packages = count_ids(r, id_package);
	uint32_t l3 = count_ids(r, id_l3), cores = count_ids(r, id_core), allowed = 0;
	char text[640];

	for (uint32_t i = 0; i < pus; i++)
		allowed += cpu(r, i)->allowed;
	(void)fprintf(f, "%-*s", LABEL, "machine");
	fmt_print_path(f, r->source);
	(void)fputc('\n', f);
	(void)snprintf(text, sizeof(text),
		       "%" PRIu32 " package%s, %" PRIu32 " NUMA node%s, %" PRIu32 " L3 cache%s, "
		       "%" PRIu32 " core%s, %" PRIu32 " cpu%s (%" PRIu32 " allowed)%s",
		       packages, plural(packages), nodes, plural(nodes), l3, plural(l3), cores, plural(cores),
		       pus, plural(pus), allowed,
		       shunt_topo_is_live(r->topo) ? "" : "; not this machine: nothing can be bound there");
	print_wrapped(f, "", text);
	print_wrapped(f, "allowed", r->allowed);
	(void)snprintf(text, sizeof(text), "%" PRIu32 " cpu%s; %s", r->budget.budget, plural(r->budget.budget),
		       r->budget.why);
	print_wrapped(f, "budget", text);
	(void)snprintf(text, sizeof(text), "%" PRIu32 " worker%s%s, policy %s, place %.300s", workers, plural(workers),
		       r->plan_free ? ", not pinned" : "", r->policy, r->place);
	print_wrapped(f, "plan", text);
	if (shunt_plan_note(r->plan)[0])
		print_wrapped(f, "note", shunt_plan_note(r->plan));
}

/* Writes one word of the right column, on a new line if this one is full; *at = current column. */
static void print_right(FILE *f, size_t *at, bool *begun, const char *gap, const char *word)
{
	if (*begun && *at + strlen(gap) + strlen(word) <= COLUMNS) {
		*at += (size_t)fprintf(f, "%s%s", gap, word);
		return;
	}
	if (*begun || *at >= PLAN_AT) {
		(void)fputc('\n', f);
		*at = 0;
	}
	(void)fprintf(f, "%*s%s", (int)(PLAN_AT - *at), "", word);
	*at = PLAN_AT + strlen(word);
	*begun = true;
}

/* The workers on cpus [first, end), from column PLAN_AT on; `at` = current column. */
static void print_workers(const struct topo_report *r, FILE *f, uint32_t first,
			  uint32_t end, size_t at)
{
	uint32_t n = shunt_plan_worker_count(r->plan);
	bool begun = false;

	for (uint32_t i = first; i < end; i++) {
		bool named = false;

		for (uint32_t k = 0; k < n; k++) {
			char word[48];

			if (seat(r, k)->os_cpu != (int32_t)cpu(r, i)->os_cpu)
				continue;
			if (named)
				(void)snprintf(word, sizeof(word), "w%" PRIu32, k);
			else
				(void)snprintf(word, sizeof(word), "cpu %" PRIu32 ": w%" PRIu32, cpu(r, i)->os_cpu, k);
			print_right(f, &at, &begun, named ? " " : "   ", word);
			named = true;
		}
	}
	(void)fputc('\n', f);
}

static bool has_worker(const struct topo_report *r, const struct shunt_topo_pu *pu)
{
	uint32_t n = shunt_plan_worker_count(r->plan);

	for (uint32_t k = 0; k < n; k++) {
		if (seat(r, k)->os_cpu == (int32_t)pu->os_cpu)
			return true;
	}
	return false;
}

static bool same_parent(const struct shunt_topo_pu *a, const struct shunt_topo_pu *b)
{
	return b->online && a->package == b->package && a->node == b->node && a->l3 == b->l3;
}

/* End of the core that begins at `first`. */
static uint32_t core_end(const struct topo_report *r, uint32_t n, uint32_t first)
{
	uint32_t end = first + 1;

	while (end < n && cpu(r, end)->online && cpu(r, end)->core == cpu(r, first)->core)
		end++;
	return end;
}

/* End of the foldable cores from `first`: no worker, one parent, all allowed or all forbidden. */
static uint32_t fold_end(const struct topo_report *r, uint32_t n, uint32_t first,
			 uint32_t *cores)
{
	uint32_t end = first;

	*cores = 0;
	while (end < n && same_parent(cpu(r, first), cpu(r, end)) && cpu(r, end)->kind == cpu(r, first)->kind) {
		uint32_t next = core_end(r, n, end);

		for (uint32_t i = end; i < next; i++) {
			if (cpu(r, i)->allowed != cpu(r, first)->allowed || has_worker(r, cpu(r, i)))
				return end;
		}
		end = next;
		(*cores)++;
	}
	return end;
}

static void print_core(const struct topo_report *r, FILE *f, uint32_t first,
		       uint32_t end, int depth)
{
	int at = fprintf(f, "%*score %-3" PRIu32 " %scpu", depth * 2, "", cpu(r, first)->core,
			 cpu(r, first)->kind == SHUNT_CPU_EFFICIENCY ? "efficiency " : "");

	for (uint32_t i = first; i < end; i++)
		at += fprintf(f, " %" PRIu32 "%s", cpu(r, i)->os_cpu, cpu(r, i)->allowed ? "" : "x");
	print_workers(r, f, first, end, at > 0 ? (size_t)at : 0);
}

/* Heads of the levels that begin with this cpu; returns the depth of what is below them. */
static int print_parents(const struct topo_report *r, FILE *f, uint32_t i)
{
	const struct shunt_topo_pu *p = cpu(r, i);
	const struct shunt_topo_pu *last = i ? cpu(r, i - 1) : NULL;
	const struct shunt_topo_node *node = node_at(r, p->node);
	bool new_package = !last || last->package != p->package;
	bool new_node = new_package || last->node != p->node;
	bool new_l3 = new_node || last->l3 != p->l3;
	int depth = 1;

	if (new_package)
		(void)fprintf(f, "package %" PRIu32 "\n", p->package);
	if (node) {
		if (new_node)
			(void)fprintf(f, "%*snuma %" PRIu32 "  %s\n", depth * 2, "", node->os_node,
				      fmt_bytes((double)node->memory_bytes).s);
		depth++;
	}
	if (p->l3 != SHUNT_TOPO_NONE) {
		if (new_l3)
			(void)fprintf(f, "%*sl3 %" PRIu32 "\n", depth * 2, "", p->l3);
		depth++;
	}
	return depth;
}

static void print_machine(const struct topo_report *r, FILE *f)
{
	uint32_t n = shunt_topo_pu_count(r->topo), i = 0;

	(void)fprintf(f, "\n%-*s%s\n", (int)PLAN_AT, "machine (x = not allowed)", "workers");
	while (i < n && cpu(r, i)->online) {
		uint32_t cores = 0, end = fold_end(r, n, i, &cores);
		int depth = print_parents(r, f, i);

		if (cores >= FOLD_MIN) {
			(void)fprintf(f, "%*score %" PRIu32 "-%" PRIu32 "  %s%" PRIu32 " cpus%s\n", depth * 2, "",
				      cpu(r, i)->core, cpu(r, end - 1)->core,
				      cpu(r, i)->kind == SHUNT_CPU_EFFICIENCY ? "efficiency " : "", end - i,
				      cpu(r, i)->allowed ? "" : " x");
		} else {
			end = core_end(r, n, i);
			print_core(r, f, i, end, depth);
		}
		i = end;
	}
	for (; i < n; i++)
		(void)fprintf(f, "cpu %" PRIu32 "  offline\n", cpu(r, i)->os_cpu);
}

static void print_nodes(const struct topo_report *r, FILE *f)
{
	uint32_t n = shunt_topo_node_count(r->topo);

	for (uint32_t i = 0; i < n; i++) {
		if (!node_at(r, i)->has_cpus)
			(void)fprintf(f, "numa %" PRIu32 "  %s, no cpus\n", node_at(r, i)->os_node,
				      fmt_bytes((double)node_at(r, i)->memory_bytes).s);
	}
	if (n < 2 || n > MATRIX_MAX)
		return;
	(void)fprintf(f, "\ndistance");
	for (uint32_t i = 0; i < n; i++)
		(void)fprintf(f, " %5" PRIu32, node_at(r, i)->os_node);
	(void)fputc('\n', f);
	for (uint32_t i = 0; i < n; i++) {
		(void)fprintf(f, "numa %-3" PRIu32, node_at(r, i)->os_node);
		for (uint32_t j = 0; j < n; j++)
			(void)fprintf(f, " %5" PRIu32, shunt_topo_distance(r->topo, i, j));
		(void)fputc('\n', f);
	}
}

static void print_steals(const struct topo_report *r, FILE *f)
{
	uint32_t n = shunt_plan_worker_count(r->plan), m = 0;

	if (n < 2)
		return;
	(void)fprintf(f, "\nsteal order, nearest first\n");
	for (uint32_t w = 0; w < n && w < STEAL_SHOWN; w++) {
		const uint32_t *order = shunt_plan_steal_order(r->plan, w, &m);
		size_t at = (size_t)fprintf(f, "w%-4" PRIu32 " from", w);

		for (uint32_t i = 0; i < m; i++) {
			if (at + 5 + 4 > COLUMNS) {
				(void)fputs(" ...", f);
				break;
			}
			at += (size_t)fprintf(f, " %" PRIu32, order[i]);
		}
		(void)fputc('\n', f);
	}
	if (n > STEAL_SHOWN)
		(void)fprintf(f, "... and %" PRIu32 " more workers; --json has all\n", n - STEAL_SHOWN);
}

void topo_report_text(const struct topo_report *r, FILE *f)
{
	print_head(r, f);
	print_machine(r, f);
	print_nodes(r, f);
	print_steals(r, f);
}

/* ---- JSON ---- */

static json_t *json_index(uint32_t v)
{
	return v == SHUNT_TOPO_NONE ? json_null() : json_integer((json_int_t)v);
}

static uint32_t os_node(const struct topo_report *r, uint32_t index)
{
	const struct shunt_topo_node *node = node_at(r, index);

	return node ? node->os_node : SHUNT_TOPO_NONE;
}

static void append(json_t *array, json_t *value, bool *bad)
{
	if (json_array_append_new(array, value) < 0)
		*bad = true;
}

static json_t *json_cpus(const struct topo_report *r, bool *bad)
{
	json_t *list = json_array();
	uint32_t n = shunt_topo_pu_count(r->topo);

	for (uint32_t i = 0; i < n; i++) {
		const struct shunt_topo_pu *pu = cpu(r, i);
		json_t *o = json_object();

		fmt_json_set_u64(o, "cpu", pu->os_cpu, bad);
		fmt_json_set(o, "core", json_index(pu->core), bad);
		fmt_json_set(o, "package", json_index(pu->package), bad);
		fmt_json_set(o, "node", json_index(os_node(r, pu->node)), bad);
		fmt_json_set(o, "l3", json_index(pu->l3), bad);
		fmt_json_set(o, "kind",
			     json_string(pu->kind == SHUNT_CPU_EFFICIENCY ? "efficiency" : "performance"), bad);
		fmt_json_set(o, "allowed", json_boolean(pu->allowed), bad);
		fmt_json_set(o, "online", json_boolean(pu->online), bad);
		append(list, o, bad);
	}
	return list;
}

static json_t *json_nodes(const struct topo_report *r, bool *bad)
{
	json_t *list = json_array();
	uint32_t n = shunt_topo_node_count(r->topo);

	for (uint32_t i = 0; i < n; i++) {
		const struct shunt_topo_node *node = node_at(r, i);
		json_t *o = json_object(), *row = json_array();

		for (uint32_t j = 0; j < n; j++)
			append(row, json_integer((json_int_t)shunt_topo_distance(r->topo, i, j)), bad);
		fmt_json_set_u64(o, "node", node->os_node, bad);
		fmt_json_set_u64(o, "cpus", node->cpus, bad);
		fmt_json_set_u64(o, "memory_bytes", node->memory_bytes, bad);
		fmt_json_set(o, "has_cpus", json_boolean(node->has_cpus), bad);
		fmt_json_set(o, "distances", row, bad);
		append(list, o, bad);
	}
	return list;
}

static json_t *json_budget(const struct shunt_cpu_budget *b, bool *bad)
{
	json_t *o = json_object();

	fmt_json_set_u64(o, "cpus", b->budget, bad);
	fmt_json_set_u64(o, "affinity", b->affinity, bad);
	fmt_json_set(o, "cpuset", b->cpuset ? json_integer((json_int_t)b->cpuset) : json_null(), bad);
	fmt_json_set(o, "quota_milli", b->quota_milli ? json_integer((json_int_t)b->quota_milli) : json_null(), bad);
	fmt_json_set(o, "config", b->config ? json_integer((json_int_t)b->config) : json_null(), bad);
	fmt_json_set_u64(o, "throttled_periods", b->throttled_periods, bad);
	fmt_json_set(o, "why", fmt_json_text(b->why), bad);
	return o;
}

static json_t *json_plan(const struct topo_report *r, bool *bad)
{
	json_t *plan = json_object(), *list = json_array();
	uint32_t n = shunt_plan_worker_count(r->plan), m = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct shunt_plan_worker *w = seat(r, i);
		json_t *o = json_object(), *steal = json_array();
		const uint32_t *order = shunt_plan_steal_order(r->plan, i, &m);

		for (uint32_t k = 0; k < m; k++)
			append(steal, json_integer((json_int_t)order[k]), bad);
		fmt_json_set_u64(o, "worker", w->worker, bad);
		fmt_json_set(o, "cpu", w->os_cpu < 0 ? json_null() : json_integer(w->os_cpu), bad);
		fmt_json_set(o, "core", json_index(w->core), bad);
		fmt_json_set(o, "l3", json_index(w->l3), bad);
		fmt_json_set(o, "node", json_index(os_node(r, w->node)), bad);
		fmt_json_set(o, "package", json_index(w->package), bad);
		fmt_json_set(o, "steal_order", steal, bad);
		append(list, o, bad);
	}
	fmt_json_set(plan, "place", fmt_json_text(r->place), bad);
	fmt_json_set(plan, "policy", fmt_json_text(r->policy), bad);
	fmt_json_set(plan, "note", fmt_json_text(shunt_plan_note(r->plan)), bad);
	fmt_json_set(plan, "workers", list, bad);
	return plan;
}

bool topo_report_json(const struct topo_report *r, FILE *f)
{
	json_t *root = json_object();
	bool bad = root == NULL, ok;

	fmt_json_set(root, "machine", fmt_json_text(r->source), &bad);
	fmt_json_set(root, "live", json_boolean(shunt_topo_is_live(r->topo)), &bad);
	fmt_json_set(root, "allowed", fmt_json_text(r->allowed), &bad);
	fmt_json_set(root, "budget", json_budget(&r->budget, &bad), &bad);
	fmt_json_set(root, "nodes", json_nodes(r, &bad), &bad);
	fmt_json_set(root, "cpus", json_cpus(r, &bad), &bad);
	fmt_json_set(root, "plan", json_plan(r, &bad), &bad);
	ok = !bad && fmt_json_write(root, f);
	json_decref(root);
	return ok;
}
