/* shunt/hist/log_shim.c - see hist/log_shim.h. SPDX-License-Identifier: MIT */
#include "hist/log_shim.h"

#include "metrics/hlog.h"

int hist_log_bucket(struct shunt_hlog_reader *r, struct shunt_hist_bucket *bucket)
{
	return sh_hlog_next_bucket(r, bucket);
}

uint64_t hist_log_rank(uint64_t count, double percentile)
{
	return sh_hist_rank(count, percentile);
}
