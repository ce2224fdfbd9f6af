/* life/control.c - see control.h. SPDX-License-Identifier: MIT */

#include "life/control.h"

#include "base/error.h"
#include "base/thread.h"
#include "lockfree/registry.h"
#include "sched/submitter.h"

int sh_control_outside(struct shunt_runtime *rt)
{
	sh_error_detail_clear();
	if (!rt)
		return sh_error_set(SHUNT_EINVAL, "runtime: " SH_NO_ARGUMENT);
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	if (sh_current_ctx(rt))
		return sh_error_set(SHUNT_EDEADLK, "runtime %s: called inside its job; want another thread", rt->name);
	if (sh_thread.worker && sh_thread.worker->pool->rt == rt)
		return sh_error_set(SHUNT_EDEADLK, "runtime %s: called in its worker's hook; want another thread",
				    rt->name);
	return 0;
}

int sh_control_enter(struct shunt_runtime *rt, struct sh_control *c)
{
	bool closed;

	if (!rt)
		return sh_error_set(SHUNT_EINVAL, "runtime: " SH_NO_ARGUMENT);
	if (sh_runtime_forked(rt))
		return SHUNT_EFORKED;
	c->cancel = sh_cancel_off();
	c->call = sh_call_begin(rt);
	(void)pthread_mutex_lock(&rt->control);
	closed = sh_runtime_closed(rt);
	if (!closed) {
		sh_log_hold(&c->held, c->text, sizeof(c->text));
		return 0;
	}
	(void)pthread_mutex_unlock(&rt->control);
	sh_call_end(rt, c->call);
	sh_cancel_back(&c->cancel);
	return SHUNT_ESTOPPED;
}

void sh_control_leave(struct shunt_runtime *rt, struct sh_control *c)
{
	void *pool_names = sh_registry_take_retired(rt->pool_names);
	void *type_names = sh_registry_take_retired(rt->type_names);

	(void)pthread_mutex_unlock(&rt->control);
	sh_registry_free_retired(pool_names);
	sh_registry_free_retired(type_names);
	sh_log_pass(&c->held);
	sh_call_end(rt, c->call);
	sh_cancel_back(&c->cancel);
}

/* Removes a name from its registry. A failure would be a bug; it is logged. */
void sh_control_drop_name(struct shunt_runtime *rt, struct sh_registry *names, const char *name)
{
	int rc = sh_registry_remove(names, name);

	if (rc != 0)
		sh_log_write(&rt->log, SHUNT_LOG_ERROR, "runtime %s: name %s: %s", rt->name, name, shunt_strerror(rc));
}
