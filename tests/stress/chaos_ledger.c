/* stress/chaos_ledger.c - see chaos_ledger.h. SPDX-License-Identifier: MIT */
#include "chaos_ledger.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define NAMED_MAX 5u

struct chaos_ledger *chaos_ledger;

int chaos_ledger_create(void)
{
	int fd = memfd_create("chaos", 0);

	if (fd < 0)
		return -1;
	if (ftruncate(fd, (off_t)sizeof(struct chaos_ledger)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

bool chaos_ledger_map(int fd)
{
	void *p = mmap(NULL, sizeof(struct chaos_ledger), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return false;
	chaos_ledger = p;
	return true;
}

void chaos_ledger_unmap(void)
{
	(void)munmap(chaos_ledger, sizeof(*chaos_ledger));
	chaos_ledger = NULL;
}

struct chaos_job *chaos_ledger_take(void)
{
	uint32_t i;

	if (sh_a32_load_rlx(&chaos_ledger->jobs) >= CHAOS_JOBS)
		return NULL;
	i = sh_a32_add_rlx(&chaos_ledger->jobs, 1);
	return i < CHAOS_JOBS ? &chaos_ledger->job[i] : NULL;
}

void chaos_tick(void)
{
	(void)sh_a64_add_rlx(&chaos_ledger->progress, 1);
	stress_progress();
}

void chaos_at(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(chaos_ledger->at, sizeof(chaos_ledger->at), format, args);
	va_end(args);
	stress_at(chaos_ledger->at);
	chaos_tick();
}

static const char *live_fault(const struct chaos_job *j)
{
	uint32_t entered = sh_a32_load_sc(&j->entered);
	uint32_t ended = sh_a32_load_sc(&j->ended);
	uint32_t cancelled = sh_a32_load_sc(&j->cancelled);

	if (entered > 1)
		return "was entered twice";
	if (ended > 1 || cancelled > 1 || sh_a32_load_sc(&j->callbacks) > 1)
		return "ended twice";
	if (ended > entered)
		return "ended, never entered";
	if (entered + cancelled > 1)
		return "ran and was cancelled";
	if (entered + ended + cancelled > 0 && !(sh_a32_load_sc(&j->flags) & CHAOS_KNOWN))
		return "ran, but nobody submitted it";
	return NULL;
}

static const char *quiesced_fault(const struct chaos_job *j)
{
	const char *fault = live_fault(j);
	uint32_t ends = sh_a32_load_sc(&j->ended) + sh_a32_load_sc(&j->cancelled);
	bool callback = (sh_a32_load_sc(&j->flags) & CHAOS_CALLBACK) != 0;

	if (fault)
		return fault;
	if (sh_a32_load_sc(&j->accepted) == 0)
		return ends + sh_a32_load_sc(&j->entered) + sh_a32_load_sc(&j->callbacks) ? "was refused, and ran" : NULL;
	if (ends == 0)
		return sh_a32_load_sc(&j->entered) ? "was entered and never ended" : "is lost";
	if (sh_a32_load_sc(&j->callbacks) != (callback ? 1 : 0))
		return callback ? "ended without its done callback" : "was called back unasked";
	return NULL;
}

static uint64_t check(const char *who, const char *(*fault_of)(const struct chaos_job *j))
{
	uint32_t n = sh_a32_load_sc(&chaos_ledger->jobs);
	uint64_t wrong = 0;
	uint32_t i;

	for (i = 0; i < n && i < CHAOS_JOBS; i++) {
		const struct chaos_job *j = &chaos_ledger->job[i];
		const char *fault = fault_of(j);

		if (!fault)
			continue;
		if (wrong++ < NAMED_MAX)
			(void)fprintf(stderr,
				      "%s: job %u %s (kind %u flags %x key %d: accepted %u entered %u ended %u callbacks %u "
				      "cancelled %u)\n",
				      who, i, fault, j->kind, sh_a32_load_sc(&j->flags), (int)j->key,
				      sh_a32_load_sc(&j->accepted), sh_a32_load_sc(&j->entered), sh_a32_load_sc(&j->ended),
				      sh_a32_load_sc(&j->callbacks), sh_a32_load_sc(&j->cancelled));
	}
	if (wrong > NAMED_MAX)
		(void)fprintf(stderr, "%s: and %llu more\n", who, (unsigned long long)(wrong - NAMED_MAX));
	return wrong;
}

uint64_t chaos_ledger_check_live(const char *who)
{
	return check(who, live_fault);
}

uint64_t chaos_ledger_check_quiesced(const char *who)
{
	return check(who, quiesced_fault);
}

struct chaos_sums chaos_ledger_sums(void)
{
	struct chaos_sums s = { 0, 0, 0, 0, 0 };
	uint32_t n = sh_a32_load_sc(&chaos_ledger->jobs);
	uint32_t i;

	for (i = 0; i < n && i < CHAOS_JOBS; i++) {
		const struct chaos_job *j = &chaos_ledger->job[i];
		uint32_t flags = sh_a32_load_sc(&j->flags);

		if (!(flags & CHAOS_KNOWN))
			continue;
		if (sh_a32_load_sc(&j->accepted) == 0) {
			s.refused++;
			continue;
		}
		s.accepted++;
		s.cancelled += sh_a32_load_sc(&j->cancelled);
		if (sh_a32_load_sc(&j->ended))
			*(flags & CHAOS_FAILS ? &s.failed : &s.done) += 1;
	}
	return s;
}
