/* sim/sim.c - see sim.h. SPDX-License-Identifier: MIT */
#include "sim/sim.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/inject.h"

#define STACK_BYTES (256u * 1024u)
#define RELAX_GROW 16u /* relaxes in a row after which each takes twice as long */
#define IDLE_RELAXES 8u
#define START_NS 2000u   /* from pthread_create to the first step */
#define READS_MAX 10000u /* clock reads without a step: a loop that waits for the clock alone */
#define CLOCK_ZERO UINT64_C(1000000000)

const char *const sim_fault_names[SIM_FAULTS] = { "cpu taken away", "stopped", "clock stands", "late wake-up", "refused",
						  "slow job" };

enum where {
	OFF,    /* blocked, ended or unknown */
	ON_CPU, /* takes its next step at `at` */
	QUEUED, /* wants a cpu */
	HELD,   /* wants a cpu from `at` on: woken, preempted or stopped */
};

struct thread {
	enum where where;
	uint64_t at;
	uint64_t need;      /* time on a cpu before its next step */
	uint64_t slice_end; /* ON_CPU: from here on a waiting thread may have the cpu */
	uint64_t queued;    /* QUEUED: order of coming */
	uint32_t relaxes;   /* in a row */
	uint64_t woken_ns;  /* sync event: woken, to run from here on */
	bool woken;
	bool stoppable;
};

static struct {
	struct sim_opts opts;
	struct thread thread[VIRT_THREADS_MAX];
	struct sh_rng rng, fault_rng;
	uint64_t now;
	uint64_t work; /* the current thread asked for so much time */
	uint64_t off;  /* the current thread loses its cpu for so long */
	uint64_t frozen_from, frozen_to;
	uint64_t order;
	uint32_t busy; /* threads on a cpu */
	uint32_t waiting;
	uint32_t stopped;
	uint32_t reads;
	bool between; /* this step ends in the middle of things: sim_atomic */
	bool faults_on;
	bool failing;
	struct sim_stats stats;
} m;

/* ---- saying things ---- */

void sim_trace(const char *format, ...)
{
	va_list ap;

	if (!m.opts.trace)
		return;
	(void)fprintf(m.opts.trace, "%10llu %-12s ", (unsigned long long)m.now, virt_get(virt_self())->name);
	va_start(ap, format);
	(void)vfprintf(m.opts.trace, format, ap);
	va_end(ap);
	(void)fputc('\n', m.opts.trace);
}

static void say_threads(FILE *out)
{
	static const char *const states[] = { "free", "ready", "futex", "mutex", "join", "sleep", "ended" };
	static const char *const wheres[] = { "", ", on a cpu", ", waits for a cpu", ", held by the machine" };
	uint32_t i;

	for (i = 0; i < virt_threads(); i++) {
		const struct virt_thread *t = virt_get(i);

		(void)fprintf(out, "  thread %-3u %-12s %s%s", i, t->name, states[t->state], wheres[m.thread[i].where]);
		if ((t->state == VIRT_FUTEX || t->state == VIRT_SLEEP) && t->deadline_ns != VIRT_FOREVER)
			(void)fprintf(out, " until %llu", (unsigned long long)(t->deadline_ns - CLOCK_ZERO));
		if (m.thread[i].where == ON_CPU || m.thread[i].where == HELD)
			(void)fprintf(out, ", next step at %llu", (unsigned long long)m.thread[i].at);
		(void)fputc('\n', out);
	}
}

void sim_fail(const char *format, ...)
{
	va_list ap;

	if (m.failing)
		_exit(SIM_FAILED);
	m.failing = true;
	(void)fprintf(stderr, "simulation failed at %llu ns: ", (unsigned long long)m.now);
	va_start(ap, format);
	(void)vfprintf(stderr, format, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
	say_threads(stderr);
	if (m.opts.report)
		m.opts.report(stderr);
	(void)fflush(NULL);
	_exit(SIM_FAILED);
}

static void broken(const char *what)
{
	sim_fail("%s", what);
}

/* ---- time ---- */

/* What the clock shows when the true time is t, and when it will show at least d. */
static uint64_t shown(uint64_t t)
{
	return CLOCK_ZERO + (t >= m.frozen_from && t < m.frozen_to ? m.frozen_from : t);
}

static uint64_t shows_at(uint64_t d)
{
	uint64_t t = d <= CLOCK_ZERO ? 0 : d - CLOCK_ZERO;

	return t > m.frozen_from && t < m.frozen_to ? m.frozen_to : t;
}

static uint64_t now_ns(void)
{
	if (++m.reads > READS_MAX)
		m.work += m.opts.relax_ns; /* nothing but reads: they take time too */
	return shown(m.now + (m.reads > READS_MAX ? m.work : 0));
}

uint64_t sim_now_ns(void)
{
	return m.now;
}

static void move_to(uint64_t t)
{
	if (t <= m.now)
		return;
	if (t > m.opts.time_max_ns)
		sim_fail("no end: the virtual clock reached its limit");
	if (m.opts.passed)
		m.opts.passed(m.now, t);
	m.now = t;
}

/* ---- cpus ---- */

static void leave_cpu(struct thread *t)
{
	if (t->where == ON_CPU)
		m.busy--;
	if (t->where == QUEUED)
		m.waiting--;
	t->where = OFF;
}

static void want_cpu(struct thread *t)
{
	t->where = QUEUED;
	t->queued = m.order++;
	m.waiting++;
}

static void hold_until(struct thread *t, uint64_t at)
{
	if (at <= m.now) {
		want_cpu(t);
		return;
	}
	t->where = HELD;
	t->at = at;
}

/* First come, first served. */
static void fill_cpus(void)
{
	while (m.waiting > 0 && (m.opts.cpus == 0 || m.busy < m.opts.cpus)) {
		struct thread *first = NULL;
		uint32_t i;

		for (i = 0; i < virt_threads(); i++)
			if (m.thread[i].where == QUEUED && (!first || m.thread[i].queued < first->queued))
				first = &m.thread[i];
		assert(first != NULL);
		leave_cpu(first);
		first->where = ON_CPU;
		first->at = m.now + first->need;
		first->slice_end = m.now + m.opts.slice_ns;
		first->need = 0;
		m.busy++;
	}
}

/* Threads that virt made ready since the last look: new, woken, joined, or with their mutex. */
static void adopt(void)
{
	uint32_t n = virt_threads();
	uint32_t i;

	for (i = 0; i < n; i++) {
		struct thread *t = &m.thread[i];

		if (t->where != OFF || !virt_ready(i))
			continue;
		hold_until(t, t->woken ? t->woken_ns : m.now);
		t->woken = false;
	}
}

static uint64_t relax_cost(struct thread *t)
{
	uint32_t doublings = t->relaxes / RELAX_GROW;
	uint64_t cost = m.opts.relax_ns;

	t->relaxes++;
	while (doublings-- > 0 && cost < m.opts.relax_ns_max)
		cost *= 2;
	cost = cost > m.opts.relax_ns_max ? m.opts.relax_ns_max : cost;
	return cost + sh_rng_next(&m.rng) % (cost / 2 + 1);
}

/* The current thread's step is over: how long until its next one. */
static void step_cost(uint32_t self, enum virt_why why)
{
	struct thread *t = &m.thread[self];
	uint64_t cost = m.work;

	m.work = 0;
	m.reads = 0;
	if (why == VIRT_RELAX)
		cost += relax_cost(t);
	else if (!m.between)
		t->relaxes = 0;
	m.between = false;
	if (why == VIRT_POINT)
		cost += m.opts.point_ns + sh_rng_next(&m.rng) % (m.opts.point_ns + 1);
	if (why == VIRT_BLOCKED || why == VIRT_EXIT) {
		leave_cpu(t);
		t->need = 0;
		return;
	}
	t->at = m.now + cost;
	if (m.off == 0)
		return;
	leave_cpu(t);
	t->need = cost;
	hold_until(t, m.now + m.off);
	m.off = 0;
}

struct next {
	uint64_t at;
	uint32_t id;
	uint32_t equal; /* so many steps at the same moment were seen */
	bool slice;     /* not a step: its slice of the cpu is over */
};

/* The earliest thing that a thread does by itself. Of several at one moment a random one. */
static struct next next_of_threads(void)
{
	struct next e = { UINT64_MAX, 0, 0, false };
	uint32_t i;

	for (i = 0; i < virt_threads(); i++) {
		const struct thread *t = &m.thread[i];
		bool slice = t->where == ON_CPU && m.waiting > 0 && t->slice_end < t->at;
		uint64_t at = slice ? t->slice_end : t->at;

		if (t->where != ON_CPU && t->where != HELD)
			continue;
		if (at < m.now)
			at = m.now;
		if (at > e.at)
			continue;
		e.equal = at < e.at ? 1 : e.equal + 1;
		if (e.equal > 1 && sh_rng_next(&m.rng) % e.equal != 0)
			continue;
		e.at = at;
		e.id = i;
		e.slice = slice;
	}
	return e;
}

static void expire(uint64_t deadline)
{
	uint32_t i;

	move_to(shows_at(deadline));
	for (i = 0; i < virt_threads(); i++) {
		const struct virt_thread *t = virt_get(i);

		if ((t->state == VIRT_FUTEX || t->state == VIRT_SLEEP) && t->deadline_ns <= shown(m.now))
			virt_expire(i);
	}
	adopt();
}

static uint32_t schedule(enum virt_why why)
{
	step_cost(virt_self(), why);
	m.stats.steps++;
	adopt();
	for (;;) {
		struct next e;
		uint64_t deadline = virt_next_deadline();
		struct thread *t;

		fill_cpus();
		e = next_of_threads();
		if (deadline != VIRT_FOREVER && shows_at(deadline) <= e.at) {
			expire(deadline);
			continue;
		}
		if (e.at == UINT64_MAX)
			sim_fail("nobody can ever run again: a lost wake-up or a deadlock");
		move_to(e.at);
		t = &m.thread[e.id];
		if (t->where == HELD) {
			leave_cpu(t);
			want_cpu(t);
			continue;
		}
		if (!e.slice)
			return e.id;
		t->need = t->at - m.now;
		leave_cpu(t);
		want_cpu(t);
	}
}

static void sync_seen(enum virt_sync what, const void *object, uint32_t id)
{
	struct thread *t = &m.thread[id];
	uint64_t late = 0;

	(void)object;
	if (what == VIRT_WAIT)
		sim_trace("goes to sleep");
	if (what == VIRT_CREATE) {
		memset(t, 0, sizeof(*t));
		t->woken = true;
		t->woken_ns = m.now + START_NS;
	}
	if (what != VIRT_WOKEN)
		return;
	if (sim_fault(SIM_WAKE))
		late = sim_between(&m.fault_rng, m.opts.wake_late_ns / 16, m.opts.wake_late_ns);
	sim_trace("wakes %s", virt_get(id)->name);
	t->woken = true;
	t->woken_ns = m.now + late + sim_between(&m.rng, m.opts.wake_ns, 2 * m.opts.wake_ns);
}

/* ---- faults ---- */

bool sim_fault(enum sim_fault f)
{
	uint64_t all = 0;
	uint32_t i;

	if (!m.faults_on || !sim_chance(&m.fault_rng, m.opts.one_in[f]))
		return false;
	for (i = 0; i < SIM_FAULTS; i++)
		all += m.stats.faults[i];
	if (all >= m.opts.faults_max)
		return false;
	m.stats.faults[f]++;
	sim_trace("fault: %s", sim_fault_names[f]);
	return true;
}

static bool may_fail(const char *name)
{
	static const char *const names[] = { "mem.", "pool.thread", "submitter.claim", "hist_alloc", "snapshot.alloc" };
	size_t i;

	for (i = 0; i < SH_COUNT(names); i++)
		if (strncmp(name, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static void loses_cpu(uint64_t ns)
{
	m.off = ns;
	virt_point();
}

/* A named point of the runtime (base/inject.h). A registry's reader must not be left inside its section: skipped. */
static int at_point(void *arg, const char *name)
{
	(void)arg;
	if (strncmp(name, "registry", 8) == 0)
		return 0;
	if (may_fail(name))
		return sim_fault(SIM_ALLOC) ? 1 : 0;
	if (m.thread[virt_self()].stoppable && m.stopped == 0 && sim_fault(SIM_STOP)) {
		sim_trace("stopped at %s", name);
		m.stopped++;
		loses_cpu(m.opts.stop_ns);
		m.stopped--;
	} else if (sim_fault(SIM_PREEMPT)) {
		loses_cpu(sim_between(&m.fault_rng, 100, 50000));
	} else {
		if (m.now >= m.frozen_to && sim_fault(SIM_CLOCK)) {
			m.frozen_from = m.now;
			m.frozen_to = m.now + sim_between(&m.fault_rng, 1000, 2000000);
		}
		virt_point();
	}
	return 0;
}

void sim_atomic(void)
{
	uint32_t one_in = m.opts.atomic_one_in;

	if (one_in == 0)
		return;
	if (m.thread[virt_self()].relaxes > IDLE_RELAXES) /* it spins and spins: nothing new to be seen */
		one_in *= 32;
	if (!sim_chance(&m.rng, one_in))
		return;
	m.between = true;
	if (sim_chance(&m.rng, 16))
		m.work += sh_rng_next(&m.rng) % 2000; /* now and then much happens in between */
	virt_point();
}

void sim_faults_on(bool on)
{
	m.faults_on = on;
}

void sim_stoppable(uint32_t id)
{
	m.thread[id].stoppable = true;
}

bool sim_held(uint32_t id)
{
	return m.thread[id].where == HELD || m.thread[id].where == QUEUED || m.thread[id].woken;
}

void sim_stats_get(struct sim_stats *out)
{
	*out = m.stats;
	out->time_ns = m.now;
}

/* ---- threads ---- */

uint32_t sim_thread(const char *name, void *(*fn)(void *), void *arg)
{
	return virt_start(name, fn, arg);
}

void sim_work(uint64_t ns)
{
	if (sim_fault(SIM_PREEMPT))
		loses_cpu(sim_between(&m.fault_rng, 1000, 500000));
	m.work += ns;
	virt_point();
}

void sim_sleep(uint64_t ns)
{
	virt_sleep_until(now_ns() + ns);
}

static const struct virt_tool tool = { schedule, now_ns, sync_seen, NULL, broken };

void sim_begin(const struct sim_opts *opts)
{
	memset(&m, 0, sizeof(m));
	m.opts = *opts;
	m.opts.point_ns = opts->point_ns ? opts->point_ns : 5;
	m.opts.relax_ns = opts->relax_ns ? opts->relax_ns : 30;
	m.opts.relax_ns_max = opts->relax_ns_max ? opts->relax_ns_max : 2000;
	m.opts.wake_ns = opts->wake_ns ? opts->wake_ns : 3000;
	m.opts.slice_ns = opts->slice_ns ? opts->slice_ns : 1000000;
	m.opts.time_max_ns = opts->time_max_ns ? opts->time_max_ns : UINT64_MAX / 2;
	m.rng = sim_stream(opts->seed, 1, 0);
	m.fault_rng = sim_stream(opts->seed, 2, 0);
	virt_set_stacks(NULL, STACK_BYTES);
	virt_begin(&tool);
	m.thread[0].where = ON_CPU;
	m.busy = 1;
	sh_inject_set(at_point, NULL);
}

void sim_end(void)
{
	sh_inject_set(NULL, NULL);
	m.opts.atomic_one_in = 0;
	virt_end();
}
