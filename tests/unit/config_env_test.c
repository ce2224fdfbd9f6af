/*
 * The environment as a source of settings: variables that the environment brings by itself are passed over, and nothing
 * that only looks like them.
 * SPDX-License-Identifier: MIT
 */
#include "testutil.h"

#include <shunt/config.h>
#include <shunt/error.h>

static int load_one(const char *variable)
{
	const char *const env[] = { variable, NULL };
	struct shunt_config *c = NULL;
	int rc;

	assert_int_equal(shunt_config_create(&c), 0);
	rc = shunt_config_load_env(c, env);
	shunt_config_destroy(c);
	return rc;
}

/* What Kubernetes makes of services called "shunt" and "shunt-runtime", in every pod of their namespace. */
static void test_service_links(void **state)
{
	static const char *const links[] = {
		"SHUNT_SERVICE_HOST=10.0.0.7",
		"SHUNT_SERVICE_PORT=80",
		"SHUNT_SERVICE_PORT_HTTP=80",
		"SHUNT_PORT=tcp://10.0.0.7:80",
		"SHUNT_PORT_80_TCP=tcp://10.0.0.7:80",
		"SHUNT_PORT_80_TCP_PROTO=tcp",
		"SHUNT_PORT_80_TCP_PORT=80",
		"SHUNT_PORT_80_TCP_ADDR=10.0.0.7",
		"SHUNT_PORT_53_UDP_ADDR=fd00::7",
		"SHUNT_RUNTIME_SERVICE_HOST=10.0.0.7",
		"SHUNT_RUNTIME_PORT=tcp://10.0.0.7:80",
		"SHUNT_POOLS_SERVICE_PORT=80",
	};
	static const char *const others[] = {
		"SHUNT_PORT=8080",
		"SHUNT_SERVICE_HOSTS=10.0.0.7",
		"SHUNT_SERVICE_PORT=http",
		"SHUNT_PORT_80_TCP_NAME=x",
		"SHUNT_PORT_TCP=tcp://10.0.0.7:80",
		"SHUNT_RUNTIME_PORTS=tcp://10.0.0.7:80",
		"SHUNT_RUNTIME_JOB_MAX=64",
	};
	uint32_t i;

	(void)state;
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (load_one(links[i]) != 0)
			fail_msg("%s: %s", links[i], shunt_error_detail());
	for (i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (load_one(others[i]) != SHUNT_ECONFIG)
			fail_msg("%s: accepted", others[i]);
}

struct seen {
	unsigned warned;
	char text[512];
};

static void note(void *arg, enum shunt_log_level level, const char *message)
{
	struct seen *s = arg;

	if (level != SHUNT_LOG_WARN || !strstr(message, "Kubernetes"))
		return;
	s->warned++;
	(void)snprintf(s->text, sizeof(s->text), "%s", message);
}

/* What was passed over is in the log once, with its names; a load without such variables says nothing. */
static void test_links_in_the_log(void **state)
{
	static const char *const env[] = { "SHUNT_SERVICE_HOST=10.0.0.7", "PATH=/bin",
					   "SHUNT_PORT=tcp://10.0.0.7:80", NULL };
	static const char *const none[] = { "PATH=/bin", NULL };
	struct seen seen = { 0, "" };
	struct shunt_config *c = NULL;
	struct shunt_runtime *rt = NULL;

	(void)state;
	assert_int_equal(shunt_config_create(&c), 0);
	assert_int_equal(shunt_config_set(c, "test", "pools.main.workers=1"), 0);
	assert_int_equal(shunt_config_load_env(c, env), 0);
	assert_int_equal(shunt_config_runtime(c, note, &seen, &rt), 0);
	tu_destroy(rt, 0);
	assert_int_equal(seen.warned, 1);
	assert_string_equal(seen.text,
			    "runtime shunt: passed over, as the variables of a Kubernetes service: SHUNT_SERVICE_HOST,"
			    " SHUNT_PORT; a service of another name, or enableServiceLinks: false, keeps them away");
	assert_int_equal(shunt_config_load_env(c, none), 0);
	assert_int_equal(shunt_config_runtime(c, note, &seen, &rt), 0);
	tu_destroy(rt, 0);
	assert_int_equal(seen.warned, 1);
	shunt_config_destroy(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_service_links),
		cmocka_unit_test(test_links_in_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
