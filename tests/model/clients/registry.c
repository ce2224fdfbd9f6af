/*
 * model/clients/registry.c - the client of the publication edge of lockfree/registry.[ch] (RP1, RP2). The rest of that
 * module is Concurrency Kit and liburcu, which are compiled elsewhere: not explored here. Linked with both.
 * Run by the explorer and by native.c.
 *
 * SPDX-License-Identifier: MIT
 */
#include "lockfree/registry.h"

#include "client.h"

struct version {
	uint32_t n; /* plain: const once published */
	uint32_t twice;
};

static struct version versions[3];
static sh_aptr current;
static struct version *before[2]; /* plain: what writer i replaced */

static void setup(void)
{
	uint32_t i;

	for (i = 0; i < 3; i++)
		versions[i] = (struct version){ 0 };
	sh_aptr_init(&current, &versions[0]);
}

static void publish(uint32_t i)
{
	versions[i].n = i;
	versions[i].twice = 2 * i;
	before[i - 1] = sh_rcu_publish(&current, &versions[i]);
	client_assert(before[i - 1]->twice == 2 * before[i - 1]->n); /* the writer frees it: it must see all of it */
}

static void writer_1(void) { publish(1); }
static void writer_2(void) { publish(2); }

static void reader(void)
{
	const struct version *v = sh_rcu_load(&current);

	client_assert(v->twice == 2 * v->n);
}

static void check(void)
{
	struct version *last = sh_rcu_load(&current);

	/* One of the two was replaced by the other, and the first version by the other one: none twice, none never. */
	client_assert(before[0] != before[1] && last != before[0] && last != before[1]);
}

const struct client clients[] = {
	{ .name = "registry.publish", .shows = "readers and the next writer see the whole version", .setup = setup, .thread = { writer_1, writer_2, reader }, .check = check, .bound = 0 },
	{ 0 },
};
