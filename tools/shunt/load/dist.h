/*
 * shunt/load/dist.h - the random values of `shunt load`: gaps between arrivals and service times,
 * from a seeded generator.
 * Called by load/flags.c (parse) and load/gen.c (draw).
 *
 *   service  fixed:5us | exp:10us | bimodal:1us,100us,0.5% (the second with that share)
 *            | file:PATH (one duration per line) | hlog:PATH (run times of an interval log)
 *   arrivals poisson | constant | burst:N (N at one instant, exponential gaps between bursts)
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_LOAD_DIST_H
#define SHUNT_LOAD_DIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/file.h"
#include "base/rng.h"

#define LOAD_SERVICE_MAX_NS 60e9 /* one job */
#define LOAD_FILE_MAX 10000000u  /* lines, empty ones too */
#define LOAD_FILE_BYTES_MAX (UINT64_C(1) << 30)

enum load_service_kind { LOAD_FIXED, LOAD_EXP, LOAD_BIMODAL, LOAD_FILE, LOAD_HLOG };

struct load_service {
	enum load_service_kind kind;
	double a_ns, b_ns; /* b: the rare one of bimodal */
	double share_b;
	double *value_ns; /* of a file, drawn with equal chances; freed by load_service_fini */
	uint64_t *up_to;  /* of a log: number of values up to value_ns[i]; likewise */
	size_t values;
	double mean_ns;
};

enum load_arrivals_kind { LOAD_POISSON, LOAD_CONSTANT, LOAD_BURST };

struct load_arrivals {
	enum load_arrivals_kind kind;
	uint32_t burst; /* jobs at one instant; 1 except for LOAD_BURST */
};

/* False after a message that names the option. */
bool load_service_parse(const char *text, struct load_service *out);
void load_service_fini(struct load_service *s);
uint64_t load_service_draw(const struct load_service *s, struct sh_rng *rng);

bool load_arrivals_parse(const char *text, struct load_arrivals *out);
/* Time to the next arrival (or burst), ns, at a rate of `rate_per_s` jobs a second. */
double load_arrivals_draw(const struct load_arrivals *a, double rate_per_s, struct sh_rng *rng);

#endif
