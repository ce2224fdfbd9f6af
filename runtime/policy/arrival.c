/* policy/arrival.c - see arrival.h. SPDX-License-Identifier: MIT */
#include "policy/arrival.h"

#define MEAN_SHIFT 3u
#define DEV_SHIFT 2u
#define DEVS 4u
#define MARGIN_PERCENT_MAX 8u

void sh_arrival_add(struct sh_arrival *r, uint64_t now_ns)
{
	uint64_t gap, off;

	/* the first arrival, or a clock that went back */
	if (r->last_ns == 0 || now_ns <= r->last_ns) {
		*r = (struct sh_arrival){ .last_ns = now_ns };
		return;
	}
	gap = now_ns - r->last_ns;
	off = gap > r->mean_ns ? gap - r->mean_ns : r->mean_ns - gap;
	r->last_ns = now_ns;
	if (r->mean_ns == 0 || off >= r->mean_ns / SH_RHYTHM_PART) {
		r->mean_ns = gap; /* may be the first gap of a new period */
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
	if (r->regular < SH_ARRIVAL_SURE)
		r->regular++;
}

void sh_arrival_missed(struct sh_arrival *r)
{
	r->regular = 0;
}

bool sh_arrival_next(const struct sh_arrival *r, uint64_t now_ns, uint64_t wake_ns, uint64_t *wake_at_ns, uint64_t *spin_until_ns)
{
	uint64_t margin = wake_ns + DEVS * r->dev_ns;
	uint64_t due = r->last_ns + r->mean_ns;

	if (!sh_arrival_steady(r) || r->mean_ns >= SH_RHYTHM_GAP_NS_MAX || r->mean_ns / SH_RHYTHM_GAP_WAKES <= wake_ns)
		return false;
	if (margin > r->mean_ns * MARGIN_PERCENT_MAX / 100)
		margin = r->mean_ns * MARGIN_PERCENT_MAX / 100;
	/* too late, or last_ns is of another clock */
	if (now_ns >= due + margin || (due > now_ns && due - now_ns > 2 * r->mean_ns))
		return false;
	*wake_at_ns = due - margin;
	*spin_until_ns = due + margin;
	return true;
}
