/*
 * model/site.h - one atomic operation in the source, and the calls that atomic_model.h makes of it.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef MODEL_SITE_H
#define MODEL_SITE_H

#include <stdbool.h>
#include <stdint.h>

enum model_kind { MODEL_LOAD,
		  MODEL_STORE,
		  MODEL_XCHG,
		  MODEL_CAS,
		  MODEL_ADD,
		  MODEL_SUB,
		  MODEL_OR,
		  MODEL_AND,
		  MODEL_INIT };
enum model_order { MODEL_RLX,
		   MODEL_ACQ,
		   MODEL_REL,
		   MODEL_ACQ_REL,
		   MODEL_SC };

struct model_site {
	const char *file, *op; /* op: the end of the name, "cas_acq_rel" */
	int line;
	uint8_t kind, order, fail_order;
} __attribute__((aligned(32)));

uint64_t model_load(const struct model_site *site, void *addr, unsigned bytes);
void model_store(const struct model_site *site, void *addr, unsigned bytes, uint64_t x);
uint64_t model_rmw(const struct model_site *site, void *addr, unsigned bytes, uint64_t x);
bool model_cas(const struct model_site *site, void *addr, unsigned bytes, uint64_t *expected, uint64_t x);
/* pair[0] and pair[1] in one step. */
bool model_cas_pair(const struct model_site *site, uint64_t *pair, const uint64_t expected[2], const uint64_t x[2]);
void model_init(const struct model_site *site, void *addr, unsigned bytes, uint64_t x);

#endif
