/*
 * life/options.h - what a caller's options become: the sized struct is taken, every field is checked by the table of
 * options, and a field that is 0 gets the table's default. Also the errors of creation that name a key and an amount:
 * more memory or threads than the system gives. Called by the create and register calls, under the runtime's control
 * lock.
 *
 * A refusal names all invalid fields in one message (sh_refuse). Thread: any. Blocks: never.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SH_LIFE_OPTIONS_H
#define SH_LIFE_OPTIONS_H

#include "base/options.h"
#include "sched/world.h"

/* Fills opts, log, name and levels of `rt`. `given` NULL = defaults. 0 or SHUNT_EINVAL. */
int sh_opts_runtime(struct shunt_runtime *rt, const struct shunt_runtime_opts *given) SH_MUST_USE;
/* Fills `out`, whose strings are still the caller's. `workers` stays 0 for the cpu budget. 0 or SHUNT_EINVAL. */
int sh_opts_pool(const struct shunt_runtime *rt, const struct shunt_pool_opts *given, struct shunt_pool_opts *out)
	SH_MUST_USE;
/* Once the number of workers is known: a worker must be left for the last level. 0 or SHUNT_EINVAL. */
int sh_opts_pool_workers(const struct shunt_runtime *rt, const struct shunt_pool_opts *o) SH_MUST_USE;
/* Fills `out`, whose name is still the caller's; whether the pool exists is not looked at. 0 or SHUNT_EINVAL. */
int sh_opts_type(const struct shunt_runtime *rt, const struct shunt_type_opts *given, struct shunt_type_opts *out)
	SH_MUST_USE;

/* Memory for `n` of what a key counts was refused: names key and bytes. `item`: a pool or NULL. SHUNT_ENOMEM. */
SH_COLD int sh_opts_no_memory(const struct shunt_runtime *rt, enum sh_section section, const char *item,
			      const char *field, uint64_t n, uint64_t bytes);
/*
 * A thread was refused after the first `started` workers: names the key that is the likely reason, and the amount. `rc`
 * is that of sh_worker_start: SHUNT_ESYS (number of threads), SHUNT_ENOMEM or SHUNT_EINVAL (stack), SHUNT_ELIMIT (the
 * runtime has no more). Returns it.
 */
SH_COLD int sh_opts_no_thread(const struct sh_pool *p, uint32_t started, int rc);
/* The thread that starts spares could not be started (sh_starter_begin said rc). Returns rc. */
SH_COLD int sh_opts_no_starter(const struct sh_pool *p, int rc);

#endif
