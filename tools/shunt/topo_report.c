/*
 * shunt/topo_report.c - see topo_report.h. The text names levels as place expressions do (numa 1 is numa:1), draws a
 * line for each core with its workers to the right of it, and folds runs of cores without workers.
 * SPDX-License-Identifier: MIT
 */
#include "topo_report.h"

#include <inttypes.h>
#include <string.h>

#include "fmt.h"

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

/* Different values of a field; those of one group stand together in the order of the machine. */
static uint32_t count_ids(const struct topo_report *r, uint32_t (*id)(const struct shunt_topo_pu *))
{
	uint32_t n = 0, top = 0;
	const struct shunt_topo_pu *pu = shunt_topo_pus(r->topo, &n);

	for (uint32_t i = 0; i < n; i++) {
		if (id(&pu[i]) != SHUNT_TOPO_NONE && id(&pu[i]) >= top)
			top = id(&pu[i]) + 1;
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
	uint32_t pus = 0, nodes = 0, workers = 0, packages = count_ids(r, id_package), l3 = count_ids(r, id_l3);
	uint32_t cores = count_ids(r, id_core), allowed = 0;
	const struct shunt_topo_pu *pu = shunt_topo_pus(r->topo, &pus);
	char text[512];

	(void)shunt_topo_nodes(r->topo, &nodes);
	(void)shunt_plan_workers(r->plan, &workers);
	for (uint32_t i = 0; i < pus; i++)
		allowed += pu[i].allowed;
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

/* Writes one word of the right column, on a new line if this one is full; *at is the present column. */
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

/* The workers on cpus [first, end), from column PLAN_AT on; `at` = present column. */
static void print_workers(const struct topo_report *r, FILE *f, const struct shunt_topo_pu *pu, uint32_t first,
			  uint32_t end, size_t at)
{
	uint32_t n = 0;
	const struct shunt_plan_worker *w = shunt_plan_workers(r->plan, &n);
	bool begun = false;

	for (uint32_t i = first; i < end; i++) {
		bool named = false;

		for (uint32_t k = 0; k < n; k++) {
			char word[48];

			if (w[k].os_cpu != (int32_t)pu[i].os_cpu)
				continue;
			if (named)
				(void)snprintf(word, sizeof(word), "w%" PRIu32, k);
			else
				(void)snprintf(word, sizeof(word), "cpu %" PRIu32 ": w%" PRIu32, pu[i].os_cpu, k);
			print_right(f, &at, &begun, named ? " " : "   ", word);
			named = true;
		}
	}
	(void)fputc('\n', f);
}

static bool has_worker(const struct topo_report *r, const struct shunt_topo_pu *pu)
{
	uint32_t n = 0;
	const struct shunt_plan_worker *w = shunt_plan_workers(r->plan, &n);

	for (uint32_t k = 0; k < n; k++) {
		if (w[k].os_cpu == (int32_t)pu->os_cpu)
			return true;
	}
	return false;
}

static bool same_parent(const struct shunt_topo_pu *a, const struct shunt_topo_pu *b)
{
	return b->online && a->package == b->package && a->node == b->node && a->l3 == b->l3;
}

/* Where the core that begins at `first` ends. */
static uint32_t core_end(const struct shunt_topo_pu *pu, uint32_t n, uint32_t first)
{
	uint32_t end = first + 1;

	while (end < n && pu[end].online && pu[end].core == pu[first].core)
		end++;
	return end;
}

/* Where a run of foldable cores that begins at `first` ends: no worker, one parent, all allowed or all forbidden. */
static uint32_t fold_end(const struct topo_report *r, const struct shunt_topo_pu *pu, uint32_t n, uint32_t first,
			 uint32_t *cores)
{
	uint32_t end = first;

	*cores = 0;
	while (end < n && same_parent(&pu[first], &pu[end]) && pu[end].kind == pu[first].kind) {
		uint32_t next = core_end(pu, n, end);

		for (uint32_t i = end; i < next; i++) {
			if (pu[i].allowed != pu[first].allowed || has_worker(r, &pu[i]))
				return end;
		}
		end = next;
		(*cores)++;
	}
	return end;
}

static void print_core(const struct topo_report *r, FILE *f, const struct shunt_topo_pu *pu, uint32_t first,
		       uint32_t end, int depth)
{
	int at = fprintf(f, "%*score %-3" PRIu32 " %scpu", depth * 2, "", pu[first].core,
			 pu[first].kind == SHUNT_CPU_EFFICIENCY ? "efficiency " : "");

	for (uint32_t i = first; i < end; i++)
		at += fprintf(f, " %" PRIu32 "%s", pu[i].os_cpu, pu[i].allowed ? "" : "x");
	print_workers(r, f, pu, first, end, at > 0 ? (size_t)at : 0);
}

/* Heads of the levels that begin with this cpu; returns the depth of what is below them. */
static int print_parents(const struct topo_report *r, FILE *f, const struct shunt_topo_pu *pu, uint32_t i)
{
	const struct shunt_topo_pu *last = i ? &pu[i - 1] : NULL;
	bool new_package = !last || last->package != pu[i].package;
	bool new_node = new_package || last->node != pu[i].node;
	bool new_l3 = new_node || last->l3 != pu[i].l3;
	uint32_t nodes_n = 0;
	const struct shunt_topo_node *nodes = shunt_topo_nodes(r->topo, &nodes_n);
	int depth = 1;

	if (new_package)
		(void)fprintf(f, "package %" PRIu32 "\n", pu[i].package);
	if (pu[i].node < nodes_n) {
		if (new_node)
			(void)fprintf(f, "%*snuma %" PRIu32 "  %s\n", depth * 2, "", nodes[pu[i].node].os_node,
				      fmt_bytes((double)nodes[pu[i].node].memory_bytes).s);
		depth++;
	}
	if (pu[i].l3 != SHUNT_TOPO_NONE) {
		if (new_l3)
			(void)fprintf(f, "%*sl3 %" PRIu32 "\n", depth * 2, "", pu[i].l3);
		depth++;
	}
	return depth;
}

static void print_machine(const struct topo_report *r, FILE *f)
{
	uint32_t n = 0, i = 0;
	const struct shunt_topo_pu *pu = shunt_topo_pus(r->topo, &n);

	(void)fprintf(f, "\n%-*s%s\n", (int)PLAN_AT, "machine (x = not allowed)", "workers");
	while (i < n && pu[i].online) {
		uint32_t cores = 0, end = fold_end(r, pu, n, i, &cores);
		int depth = print_parents(r, f, pu, i);

		if (cores >= FOLD_MIN) {
			(void)fprintf(f, "%*score %" PRIu32 "-%" PRIu32 "  %s%" PRIu32 " cpus%s\n", depth * 2, "",
				      pu[i].core, pu[end - 1].core,
				      pu[i].kind == SHUNT_CPU_EFFICIENCY ? "efficiency " : "", end - i,
				      pu[i].allowed ? "" : " x");
		} else {
			end = core_end(pu, n, i);
			print_core(r, f, pu, i, end, depth);
		}
		i = end;
	}
	for (; i < n; i++)
		(void)fprintf(f, "cpu %" PRIu32 "  offline\n", pu[i].os_cpu);
}

static void print_nodes(const struct topo_report *r, FILE *f)
{
	uint32_t n = 0;
	const struct shunt_topo_node *node = shunt_topo_nodes(r->topo, &n);

	for (uint32_t i = 0; i < n; i++) {
		if (!node[i].has_cpus)
			(void)fprintf(f, "numa %" PRIu32 "  %s, no cpus\n", node[i].os_node,
				      fmt_bytes((double)node[i].memory_bytes).s);
	}
	if (n < 2 || n > MATRIX_MAX)
		return;
	(void)fprintf(f, "\ndistance");
	for (uint32_t i = 0; i < n; i++)
		(void)fprintf(f, " %5" PRIu32, node[i].os_node);
	(void)fputc('\n', f);
	for (uint32_t i = 0; i < n; i++) {
		(void)fprintf(f, "numa %-3" PRIu32, node[i].os_node);
		for (uint32_t j = 0; j < n; j++)
			(void)fprintf(f, " %5" PRIu32, shunt_topo_distance(r->topo, i, j));
		(void)fputc('\n', f);
	}
}

static void print_steals(const struct topo_report *r, FILE *f)
{
	uint32_t n = 0, m = 0;

	(void)shunt_plan_workers(r->plan, &n);
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
	uint32_t n = 0;
	const struct shunt_topo_node *node = shunt_topo_nodes(r->topo, &n);

	return index < n ? node[index].os_node : SHUNT_TOPO_NONE;
}

static void append(json_t *array, json_t *value, bool *bad)
{
	if (json_array_append_new(array, value) < 0)
		*bad = true;
}

static json_t *json_cpus(const struct topo_report *r, bool *bad)
{
	json_t *list = json_array();
	uint32_t n = 0;
	const struct shunt_topo_pu *pu = shunt_topo_pus(r->topo, &n);

	for (uint32_t i = 0; i < n; i++) {
		json_t *o = json_object();

		fmt_json_set_u64(o, "cpu", pu[i].os_cpu, bad);
		fmt_json_set(o, "core", json_index(pu[i].core), bad);
		fmt_json_set(o, "package", json_index(pu[i].package), bad);
		fmt_json_set(o, "node", json_index(os_node(r, pu[i].node)), bad);
		fmt_json_set(o, "l3", json_index(pu[i].l3), bad);
		fmt_json_set(o, "kind",
			     json_string(pu[i].kind == SHUNT_CPU_EFFICIENCY ? "efficiency" : "performance"), bad);
		fmt_json_set(o, "allowed", json_boolean(pu[i].allowed), bad);
		fmt_json_set(o, "online", json_boolean(pu[i].online), bad);
		append(list, o, bad);
	}
	return list;
}

static json_t *json_nodes(const struct topo_report *r, bool *bad)
{
	json_t *list = json_array();
	uint32_t n = 0;
	const struct shunt_topo_node *node = shunt_topo_nodes(r->topo, &n);

	for (uint32_t i = 0; i < n; i++) {
		json_t *o = json_object(), *row = json_array();

		for (uint32_t j = 0; j < n; j++)
			append(row, json_integer((json_int_t)shunt_topo_distance(r->topo, i, j)), bad);
		fmt_json_set_u64(o, "node", node[i].os_node, bad);
		fmt_json_set_u64(o, "cpus", node[i].cpus, bad);
		fmt_json_set_u64(o, "memory_bytes", node[i].memory_bytes, bad);
		fmt_json_set(o, "has_cpus", json_boolean(node[i].has_cpus), bad);
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
	uint32_t n = 0, m = 0;
	const struct shunt_plan_worker *w = shunt_plan_workers(r->plan, &n);

	for (uint32_t i = 0; i < n; i++) {
		json_t *o = json_object(), *steal = json_array();
		const uint32_t *order = shunt_plan_steal_order(r->plan, i, &m);

		for (uint32_t k = 0; k < m; k++)
			append(steal, json_integer((json_int_t)order[k]), bad);
		fmt_json_set_u64(o, "worker", w[i].worker, bad);
		fmt_json_set(o, "cpu", w[i].os_cpu < 0 ? json_null() : json_integer(w[i].os_cpu), bad);
		fmt_json_set(o, "core", json_index(w[i].core), bad);
		fmt_json_set(o, "l3", json_index(w[i].l3), bad);
		fmt_json_set(o, "node", json_index(os_node(r, w[i].node)), bad);
		fmt_json_set(o, "package", json_index(w[i].package), bad);
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
