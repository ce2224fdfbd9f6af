/*
 * tests/e2e/advise_judge.c - made-up rows for the judge and the report of `shunt advise`; built by advise_judge.sh,
 * which looks at what it prints. Without a measurement: what must be said is known beforehand.
 *
 * Called with the name of a case: prints the report of that case. Called without: checks figures and verdicts alone.
 *
 * SPDX-License-Identifier: MIT
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advise/report.h"
#include "common/cli.h"

static int failed;

static void check(bool holds, const char *what, int line)
{
	if (holds)
		return;
	(void)fprintf(stderr, "FAIL: line %d: %s\n", line, what);
	failed = 1;
}
#define CHECK(x) check(x, #x, __LINE__)

static void set(struct advise_row *r, enum advise_metric m, double median, double share)
{
	static const double step[] = { -1, 1, -0.5, 0.5, 0 };

	for (size_t i = 0; i < 5; i++)
		r->value[m][i] = median * (1 + share * step[i]);
	r->figure[m] = (struct advise_figure){ median, median * (1 - share), median * (1 + share) };
}

/* Every figure of a row is `median`, 10 % up and down, but for the cpus. */
static struct advise_row row(uint32_t workers, enum advise_idle idle, bool pinned, double median, double cpus)
{
	struct advise_row r;

	(void)memset(&r, 0, sizeof(r));
	r.workers = workers;
	r.idle = idle;
	r.pinned = pinned;
	r.carried = true;
	r.rounds = 5;
	r.ran = 0x1f;
	for (int m = 0; m < ADVISE_METRICS; m++)
		set(&r, (enum advise_metric)m, median, 0.1);
	set(&r, ADVISE_CPU, cpus, 0.01);
	set(&r, ADVISE_LATE, 20, 0);
	return r;
}

static void test_figure(void)
{
	double odd[] = { 5, 1, 3 };
	double even[] = { 4, 1, 2, 9 };
	double many[] = { 3, 1000, 2, 4, 0 };
	double one[] = { 7 };
	struct advise_figure f = advise_figure(odd, 3);

	CHECK(f.median == 3 && f.low == 1 && f.high == 5);
	f = advise_figure(even, 4);
	CHECK(f.median == 3 && f.low == 1 && f.high == 9);
	f = advise_figure(many, 5); /* the lowest and the highest do not count */
	CHECK(f.median == 3 && f.low == 2 && f.high == 4);
	f = advise_figure(one, 1);
	CHECK(f.median == 7 && f.low == 7 && f.high == 7);
}

static void test_edges(void)
{
	struct advise_row rows[3] = { row(1, ADVISE_POLL, true, 100, 1), row(1, ADVISE_POLL, false, 200, 1),
				      row(2, ADVISE_PARK, true, 50, 1) };
	struct advise_verdict v;

	advise_judge(rows, 0, ADVISE_QUEUE_P99, &v);
	CHECK(v.best == ADVISE_NONE && v.chosen == ADVISE_NONE && v.next == ADVISE_NONE && v.tied == 0);
	CHECK(v.pinning == ADVISE_PINNING_UNKNOWN);
	rows[2].carried = false; /* the fastest one, but it does not carry the load */
	advise_judge(rows, 3, ADVISE_QUEUE_P99, &v);
	CHECK(v.best == 0 && v.chosen == 0 && v.next == 1 && v.tied == 1 && v.pinning == ADVISE_PINNED_BETTER);
	rows[2].carried = true;
	rows[2].rounds = 0; /* or it was never run */
	advise_judge(rows, 3, ADVISE_QUEUE_P99, &v);
	CHECK(v.best == 0);
	rows[1].carried = false;
	advise_judge(rows, 3, ADVISE_QUEUE_P99, &v);
	CHECK(v.best == 0 && v.next == ADVISE_NONE && v.pinning == ADVISE_PINNING_UNKNOWN);
}

/* The order of two rows of which the rounds are known. */
static int order(const double *x, const double *y, size_t n)
{
	struct advise_row a = row(1, ADVISE_POLL, true, 1, 1), b = a;

	a.ran = b.ran = (1u << n) - 1;
	(void)memcpy(a.value[ADVISE_QUEUE_P99], x, n * sizeof(*x));
	(void)memcpy(b.value[ADVISE_QUEUE_P99], y, n * sizeof(*y));
	CHECK(advise_compare(&a, &b, ADVISE_QUEUE_P99) == -advise_compare(&b, &a, ADVISE_QUEUE_P99));
	return advise_compare(&a, &b, ADVISE_QUEUE_P99);
}
#define ROUNDS(...) \
	(const double[]) { __VA_ARGS__ }
#define ORDER(...) order(ROUNDS(__VA_ARGS__), other, sizeof(ROUNDS(__VA_ARGS__)) / sizeof(double))

/* Round by round: spreads that overlap do not hide that one is lower each time; one round that does not fit may. */
static void test_pairs(void)
{
	static const double other[] = { 1000, 650, 130, 760, 120, 1000, 1000 };
	struct advise_row a = row(1, ADVISE_POLL, true, 100, 1), b = row(1, ADVISE_POLL, true, 200, 1);

	CHECK(ORDER(100, 600, 120, 700, 110) < 0);
	CHECK(ORDER(100, 600, 120) < 0); /* all that three rounds can say */
	CHECK(ORDER(100, 600) == 0);
	CHECK(ORDER(100, 600, 131) == 0);
	CHECK(ORDER(100, 600, 120, 700, 121) < 0);  /* the smallest difference the other way */
	CHECK(ORDER(999, 649, 129, 759, 900) == 0); /* the largest one */
	CHECK(ORDER(100, 100, 100, 100, 900) == 0);
	CHECK(ORDER(100, 100, 100, 100, 110, 100, 1200) < 0);
	CHECK(ORDER(990, 643, 128, 755, 119, 990, 990) == 0); /* less than 5 % each time */
	CHECK(ORDER(1000, 650, 130, 760, 120) == 0);
	CHECK(ORDER(0, 0, 0, 0, 0) < 0);
	CHECK(advise_compare(&a, &b, ADVISE_QUEUE_P99) < 0);
	b.ran = 0x3; /* two rounds in common */
	CHECK(advise_compare(&a, &b, ADVISE_QUEUE_P99) == 0);
}

/* Among equals: least cpu, then fewest workers, then adaptive, then pinned. */
static void test_choice(void)
{
	struct advise_row rows[5] = { row(2, ADVISE_POLL, false, 100, 2.0), row(2, ADVISE_PARK, false, 101, 0.5),
				      row(1, ADVISE_PARK, false, 102, 0.51), row(1, ADVISE_ADAPTIVE, false, 103, 0.5),
				      row(1, ADVISE_ADAPTIVE, true, 104, 0.5) };
	struct advise_verdict v;

	for (size_t n = 1; n <= 5; n++) {
		advise_judge(rows, n, ADVISE_QUEUE_P99, &v);
		CHECK(v.best == 0 && v.tied == n && v.chosen == n - 1);
	}
	set(&rows[4], ADVISE_QUEUE_P99, 1000, 0); /* not among the equals any more */
	advise_judge(rows, 5, ADVISE_QUEUE_P99, &v);
	CHECK(v.tied == 4 && v.chosen == 3);
	set(&rows[3], ADVISE_QUEUE_P99, 10, 0.1);
	advise_judge(rows, 4, ADVISE_CPU, &v); /* equal in cpu: the shortest queue */
	CHECK(v.chosen == 3 && v.tied == 3);
}

static int print_case(const char *name)
{
	struct advise_row rows[4] = { row(2, ADVISE_ADAPTIVE, true, 2000, 0.5),
				      row(2, ADVISE_ADAPTIVE, false, 2050, 0.4),
				      row(2, ADVISE_PARK, false, 9000, 0.3), row(1, ADVISE_POLL, true, 0, 1) };
	static const char levels[][SHUNT_NAME_MAX] = { "high", "low" };
	struct setup_flags flags;
	struct advise_result r;
	bool good;

	(void)memset(&flags, 0, sizeof(flags));
	(void)memset(&r, 0, sizeof(r));
	rows[0].figure[ADVISE_LATE].median = 1500;
	rows[3].carried = false;
	rows[3].rounds = 0;
	if (strcmp(name, "unpinned") == 0)
		rows[1] = row(2, ADVISE_ADAPTIVE, false, 1000, 0.4);
	else if (strcmp(name, "pinned") == 0)
		rows[1] = row(2, ADVISE_ADAPTIVE, false, 4000, 0.4);
	else if (strcmp(name, "noise") != 0)
		return 2;
	r.row = rows;
	r.rows = 4;
	r.judged = true;
	r.by = ADVISE_QUEUE_P99;
	r.rounds = 5;
	r.workers = r.cpus = 2;
	r.submitters = 1;
	r.rate_per_s = 50000;
	r.capacity_per_s = 200000;
	r.mean_ns = 10000;
	r.duration_ns = 1000000000;
	r.arrivals = "poisson";
	r.service = "exp:10us";
	r.pin = "compact";
	r.pins = true;
	r.pool = "main";
	r.level_name = levels;
	r.levels = 2;
	r.flags = &flags;
	advise_judge(rows, 4, r.by, &r.verdict);
	r.yaml = advise_report_yaml(&r);
	advise_report_print(&r, stdout);
	(void)puts("---");
	good = r.yaml && advise_report_json(&r, stdout);
	free((void *)(uintptr_t)r.yaml);
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	cli_begin("advise_judge");
	if (argc > 1)
		return print_case(argv[1]);
	test_figure();
	test_edges();
	test_pairs();
	test_choice();
	return failed;
}
