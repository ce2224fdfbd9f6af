/* base/futex.c - see futex.h. SPDX-License-Identifier: MIT */
#include "base/futex.h"

#include <shunt/error.h>

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/inject.h"

int sh_futex_wait(sh_a32 *word, uint32_t expected, uint64_t timeout_ns)
{
	struct timespec ts;
	struct timespec *tp = NULL;
	long rc;

	if (timeout_ns != SH_FOREVER) {
		ts.tv_sec = (time_t)(timeout_ns / UINT64_C(1000000000));
		ts.tv_nsec = (long)(timeout_ns % UINT64_C(1000000000));
		tp = &ts;
	}
	if (SH_FAIL("futex.wait"))
		return 0; /* as after a signal: without a wake-up */
	rc = syscall(SYS_futex, &word->v, FUTEX_WAIT_PRIVATE, expected, tp, NULL, 0);
	if (rc == -1 && errno == ETIMEDOUT)
		return SHUNT_ETIMEDOUT;
	/* woken, EAGAIN (value differs) or EINTR: the caller reads the word again */
	return 0;
}

int sh_futex_wake(sh_a32 *word, int n)
{
	long rc;

	SH_POINT("futex.waking"); /* a test may delay the wake-up */
	rc = syscall(SYS_futex, &word->v, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
	if (SH_FAIL("futex.wake"))
		return 0; /* as if the kernel did not report how many woke */
	return rc > 0 ? (int)rc : 0;
}
