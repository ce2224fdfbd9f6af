/* stress/conserve_world.c - see conserve_world.h. SPDX-License-Identifier: MIT */
#include "conserve_world.h"

#include <string.h>

struct world world;

struct totals conserve_totals(void)
{
	struct totals t = { 0, 0, 0, 0, 0, 0 };
	uint32_t i;

	for (i = 0; i < SUBMITTERS; i++) {
		const struct submitter *s = &world.submitter[i];

		t.accepted += s->accepted;
		t.bulk += s->bulk_count;
		t.hash += s->bulk_hash;
		t.recorded += s->recorded;
		t.cancelled += s->cancelled;
		t.refused += s->refused_full;
	}
	t.bulk += sh_a64_load_sc(&world.spawned) + sh_a64_load_sc(&world.churn.accepted);
	t.hash += sh_a64_load_sc(&world.spawned_hash) + sh_a64_load_sc(&world.churn.hash);
	t.accepted += sh_a64_load_sc(&world.spawned) + sh_a64_load_sc(&world.churn.accepted);
	return t;
}

static void ran_bulk(uint64_t *count, uint64_t *hash)
{
	uint32_t i;

	*count = 0;
	*hash = 0;
	for (i = 0; i < SHARDS; i++) {
		*count += sh_a64_load_sc(&world.shard[i].count);
		*hash += sh_a64_load_sc(&world.shard[i].hash);
	}
}

/* Everything quiesced: the snapshot's counters against the oracle. */
static void check_snapshot(const struct totals *t)
{
	struct shunt_snapshot *s = NULL;
	uint64_t done = 0, failed = 0, cancelled = 0;
	uint64_t count, hash;
	size_t i;

	ran_bulk(&count, &hash);
	STRESS_CHECK(shunt_snapshot_create(world.rt, &s) == 0, "snapshot");
	for (i = 0; i < shunt_snapshot_series_count(s); i++) {
		if (strcmp(shunt_snapshot_series_at(s, i)->pool, "main") != 0)
			continue;
		done += shunt_snapshot_series_at(s, i)->done;
		failed += shunt_snapshot_series_at(s, i)->failed;
		cancelled += shunt_snapshot_series_at(s, i)->cancelled;
	}
	for (i = 0; i < shunt_snapshot_pool_count(s); i++) {
		const struct shunt_pool_info *p = shunt_snapshot_pool_at(s, i);

		if (strcmp(p->name, "main") != 0)
			continue;
		STRESS_CHECK(p->finished == t->accepted && p->submitted == t->accepted,
			"pool: submitted %llu finished %llu, accepted %llu", (unsigned long long)p->submitted,
			(unsigned long long)p->finished, (unsigned long long)t->accepted);
		STRESS_CHECK(p->async_in_flight == 0 && p->blocked == 0, "async %u blocked %u after the drain",
			p->async_in_flight, p->blocked);
		STRESS_CHECK(p->rejected_full >= t->refused, "rejected %llu, refused %llu",
			(unsigned long long)p->rejected_full, (unsigned long long)t->refused);
	}
	STRESS_CHECK(done == count + sh_a64_load_sc(&world.done) && failed == sh_a64_load_sc(&world.failed) &&
			     cancelled == t->cancelled + sh_a64_load_sc(&world.cancelled_cb),
		"series: done %llu failed %llu cancelled %llu; oracle: %llu %llu %llu", (unsigned long long)done,
		(unsigned long long)failed, (unsigned long long)cancelled,
		(unsigned long long)(count + sh_a64_load_sc(&world.done)),
		(unsigned long long)sh_a64_load_sc(&world.failed),
		(unsigned long long)(t->cancelled + sh_a64_load_sc(&world.cancelled_cb)));
	shunt_snapshot_destroy(s);
}

void conserve_check_quiesced(void)
{
	struct totals t = conserve_totals();
	uint64_t count, hash;
	uint32_t i, k;

	ran_bulk(&count, &hash);
	STRESS_CHECK(count == t.bulk && hash == t.hash, "bulk: accepted %llu, ran %llu%s", (unsigned long long)t.bulk,
		(unsigned long long)count, hash == t.hash ? "" : ", not the same ones");
	for (i = 0; i < SUBMITTERS; i++)
		for (k = 0; k < RECORDS; k++)
			STRESS_CHECK(sh_a32_load_sc(&world.submitter[i].record[k].busy) == 0,
				"a recorded job of submitter %u never ended", i);
	STRESS_CHECK(t.recorded == sh_a64_load_sc(&world.done) + sh_a64_load_sc(&world.failed) + t.cancelled +
					   sh_a64_load_sc(&world.cancelled_cb),
		"recorded jobs do not add up");
	STRESS_CHECK(sh_a64_load_sc(&world.churn.pool_accepted) == sh_a64_load_sc(&world.churn.pool_ran),
		"removed pool: accepted %llu, ran %llu", (unsigned long long)sh_a64_load_sc(&world.churn.pool_accepted),
		(unsigned long long)sh_a64_load_sc(&world.churn.pool_ran));
	check_snapshot(&t);
}

void conserve_check_destroyed(uint64_t by_destroy)
{
	struct totals t = conserve_totals();
	uint64_t count, hash;
	uint64_t ended, by_hand;
	uint32_t i, k;

	ran_bulk(&count, &hash);
	by_hand = t.cancelled;
	for (i = 0; i < SUBMITTERS; i++)
		for (k = 0; k < RECORDS; k++)
			STRESS_CHECK(
				sh_a32_load_sc(&world.submitter[i].record[k].entered) <= 1, "a job was entered twice");
	ended = count + sh_a64_load_sc(&world.done) + sh_a64_load_sc(&world.failed);
	/* A callback's record does not tell who cancelled: between the two bounds. */
	STRESS_CHECK(ended + by_hand + (uint64_t)by_destroy <= t.accepted &&
			     ended + by_hand + (uint64_t)by_destroy + sh_a64_load_sc(&world.cancelled_cb) >= t.accepted,
		"accepted %llu, ended %llu, cancelled %llu (+ up to %llu), by destroy %lld",
		(unsigned long long)t.accepted, (unsigned long long)ended, (unsigned long long)by_hand,
		(unsigned long long)sh_a64_load_sc(&world.cancelled_cb), (long long)by_destroy);
}
