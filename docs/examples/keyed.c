/*
 * keyed.c - order per key. Changes to one account run one at a time and in submit order, so the handler needs no lock;
 * changes to different accounts run in parallel. Exit code 0 when no change came out of order or at the same time as
 * another one of its account.
 *
 * Build: cc keyed.c $(pkg-config --cflags --libs shunt)
 *
 * SPDX-License-Identifier: MIT
 */
#include <shunt/shunt.h>

#include <stdio.h>

#define ACCOUNTS 50
#define CHANGES 400 /* of each account */

struct account {
	int balance;
	int changes;
	int wrong;
};

struct change {
	struct account *account;
	int number; /* within its account, from 0 */
	int amount;
};

static struct account accounts[ACCOUNTS];
static struct change changes[CHANGES][ACCOUNTS];

static int apply(struct shunt_job_ctx *ctx, void *arg)
{
	struct change *c = arg;
	struct account *a = c->account;

	(void)ctx;
	if (a->changes != c->number)
		a->wrong++;
	a->changes++;
	a->balance += c->amount;
	return SHUNT_DONE;
}

static int submit_all(struct shunt_runtime *rt, struct shunt_type_id type, struct shunt_group_id group)
{
	for (int i = 0; i < CHANGES; i++)
		for (int k = 0; k < ACCOUNTS; k++) {
			struct shunt_job_spec job = { 0 };
			int rc;

			changes[i][k] = (struct change){ &accounts[k], i, i + k };
			job.type = type;
			job.arg = &changes[i][k];
			job.flags = SHUNT_JOB_KEYED;
			job.key = (uint64_t)k;
			job.group = group;
			rc = shunt_submit(rt, &job, NULL); /* no handle: the group is what we wait for */
			if (rc != 0)
				return rc;
		}
	return 0;
}

int main(void)
{
	struct shunt_pool_opts pool = SHUNT_POOL_OPTS_INIT;
	struct shunt_type_opts type = SHUNT_TYPE_OPTS_INIT;
	struct shunt_type_id type_id;
	struct shunt_group_id group;
	struct shunt_runtime *rt;
	int good = 0;

	pool.name = "ledger";
	pool.workers = 4; /* more than the cpus is allowed */
	type.name = "apply";
	type.handler = apply;
	if (shunt_runtime_create(&rt, NULL) != 0 || shunt_pool_create(rt, &pool, &type.pool) != 0 ||
	    shunt_type_create(rt, &type, &type_id) != 0 || shunt_group_create(rt, &group) != 0 ||
	    submit_all(rt, type_id, group) != 0 || shunt_group_wait(rt, group, SHUNT_FOREVER) != 0)
		return 1;
	for (int k = 0; k < ACCOUNTS; k++)
		good += accounts[k].wrong == 0 && accounts[k].changes == CHANGES &&
			accounts[k].balance == CHANGES * (CHANGES - 1) / 2 + CHANGES * k;
	printf("%d of %d accounts are right\n", good, ACCOUNTS);
	(void)shunt_group_destroy(rt, group); /* it is empty: it was waited for */
	return shunt_runtime_destroy(rt, NULL) != 0 || good != ACCOUNTS;
}
