/* core/rhythm.c - see rhythm.h. SPDX-License-Identifier: MIT */
#include "core/rhythm.h"

#define MEAN_SHIFT 3u
#define DEV_SHIFT 2u
#define DEVS 4u
#define MARGIN_PERCENT_MAX 8u

void sh_rhythm_arrival(struct sh_rhythm *r, uint64_t now_ns)
{
	uint64_t gap, off;

	if (r->last_ns == 0 || now_ns <= r->last_ns) { /* the first, or a clock that went back */
		*r = (struct sh_rhythm){ .last_ns = now_ns };
		return;
	}
	gap = now_ns - r->last_ns;
	off = gap > r->mean_ns ? gap - r->mean_ns : r->mean_ns - gap;
	r->last_ns = now_ns;
	if (r->mean_ns == 0 || off >= r->mean_ns / SH_RHYTHM_PART) {
		r->mean_ns = gap; /* perhaps the first gap of another rhythm */
		r->dev_ns = 0;
		r->regular = 0;
		return;
	}
	if (gap > r->mean_ns)
		r->mean_ns += off >> MEAN_SHIFT;
	else
		r->mean_ns -= off >> MEAN_SHIFT;
	if (off > r->dev_ns)
		r->dev_ns += (off - r->dev_ns) >> DEV_SHIFT;
	else
		r->dev_ns -= (r->dev_ns - off) >> DEV_SHIFT;
	if (r->regular < SH_RHYTHM_SURE)
		r->regular++;
}

void sh_rhythm_vain(struct sh_rhythm *r)
{
	r->regular = 0;
}

bool sh_rhythm_next(const struct sh_rhythm *r, uint64_t now_ns, uint64_t wake_ns, uint64_t *wake_at_ns, uint64_t *spin_until_ns)
{
	uint64_t margin = wake_ns + DEVS * r->dev_ns;
	uint64_t due = r->last_ns + r->mean_ns;

	if (!sh_rhythm_steady(r) || r->mean_ns >= SH_RHYTHM_GAP_NS_MAX || r->mean_ns / SH_RHYTHM_GAP_WAKES <= wake_ns)
		return false;
	if (margin > r->mean_ns * MARGIN_PERCENT_MAX / 100)
		margin = r->mean_ns * MARGIN_PERCENT_MAX / 100;
	if (now_ns >= due + margin || (due > now_ns && due - now_ns > 2 * r->mean_ns)) /* past; or its times are not of this clock */
		return false;
	*wake_at_ns = due - margin;
	*spin_until_ns = due + margin;
	return true;
}
