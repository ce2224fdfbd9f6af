/*
 * config_embed.c - runtime, pool and types from a YAML file; the program only binds its handlers to the names in it.
 * The environment and one flag may change values; flag > environment > file > default.
 *
 * Build: cc config_embed.c $(pkg-config --cflags --libs shunt)
 * Run:   ./a.out config_embed.yaml [pools.cpu.workers=4]      Exit code 0 when both jobs ran at their levels.
 *
 * SPDX-License-Identifier: MIT
 */
#include <shunt/shunt.h>

#include <stdio.h>

/* Each handler leaves the level at which it ran. */
static int thumbnail(struct shunt_job_ctx *ctx, void *arg)
{
	*(unsigned *)arg = shunt_job_level(ctx);
	return SHUNT_DONE;
}

static int rescan(struct shunt_job_ctx *ctx, void *arg)
{
	*(unsigned *)arg = shunt_job_level(ctx);
	return SHUNT_DONE;
}

static void log_line(void *arg, enum shunt_log_level level, const char *message)
{
	(void)arg;
	(void)level;
	fprintf(stderr, "%s\n", message);
}

/* The runtime of the file, or NULL after messages. */
static struct shunt_runtime *start(const char *path, const char *assignment)
{
	struct shunt_runtime *rt = NULL;
	struct shunt_config *config;
	int rc = shunt_config_create(&config);

	if (rc != 0)
		return NULL;
	rc = shunt_config_load_file(config, path);
	if (rc == 0)
		rc = shunt_config_load_env(config, NULL);
	if (rc == 0 && assignment)
		rc = shunt_config_set(config, "argument 2", assignment);
	if (rc == 0)
		rc = shunt_config_bind(config, "thumbnail", thumbnail);
	if (rc == 0)
		rc = shunt_config_bind(config, "rescan_library", rescan);
	if (rc == 0)
		rc = shunt_config_runtime(config, log_line, NULL, &rt);
	if (rc != 0)
		fprintf(stderr, "config_embed: %s\n%s", shunt_strerror(rc), shunt_error_detail());
	shunt_config_destroy(config); /* the runtime needs it no longer */
	return rc == 0 ? rt : NULL;
}

/* Runs one job of a type of the file; the level at which it ran, or 99. */
static unsigned run_one(struct shunt_runtime *rt, const char *type)
{
	struct shunt_job_spec job = { 0 };
	struct shunt_job_id id;
	unsigned level = 99;

	job.arg = &level;
	if (shunt_type_find(rt, type, &job.type) != 0 || shunt_submit(rt, &job, &id) != 0 ||
	    shunt_wait(rt, id, SHUNT_FOREVER, NULL) != 0)
		return 99;
	return level;
}

int main(int argc, char **argv)
{
	struct shunt_runtime *rt = start(argc > 1 ? argv[1] : "config_embed.yaml", argc > 2 ? argv[2] : NULL);
	unsigned first, last;

	if (!rt)
		return 1;
	first = run_one(rt, "thumbnail");
	last = run_one(rt, "rescan");
	printf("thumbnail ran at level %u, rescan at level %u\n", first, last);
	return shunt_runtime_destroy(rt, NULL) != 0 || first != 0 || last != 2;
}
