/*
 * shunt/config.h - one YAML file, the environment and flags, with the origin of every value kept.
 * Precedence: flag > environment > file > default. Every problem of a file is reported in one go: a call that fails
 * leaves shunt_error_detail() with the object's problems, one a line, as many as it holds, then "and N more".
 * shunt_config_errors() has all of them, those of calls that failed before too, and keeps them as long as the object.
 *
 * SPDX-License-Identifier: MIT
 */
#ifndef SHUNT_CONFIG_H
#define SHUNT_CONFIG_H

#include <shunt/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shunt_config;

/* Starts from the defaults. 0 or SHUNT_ENOMEM. Detail. */
SHUNT_MUST_USE SHUNT_API int shunt_config_create(struct shunt_config **out);
SHUNT_API void shunt_config_destroy(struct shunt_config *c);
/* Reads a YAML file. 0, SHUNT_EIO (cannot read), SHUNT_ECONFIG (there is a problem), SHUNT_ENOMEM. Detail. */
SHUNT_MUST_USE SHUNT_API int shunt_config_load_file(struct shunt_config *c, const char *path);
/* The same from memory; `name` stands for the file in messages. Detail. */
SHUNT_MUST_USE SHUNT_API int shunt_config_load_text(struct shunt_config *c, const char *name, const char *text,
						    size_t len);
/*
 * Reads the environment variables of the table of options (docs/CONFIG.md) from `env` ("K=V" strings, NULL-terminated;
 * NULL = the process's). Detail.
 */
SHUNT_MUST_USE SHUNT_API int shunt_config_load_env(struct shunt_config *c, const char *const *env);
/* Sets one key from a flag: "pools.io.workers=4". `origin` names the flag in messages and explanations. Detail. */
SHUNT_MUST_USE SHUNT_API int shunt_config_set(struct shunt_config *c, const char *origin, const char *assignment);
/* Checks references between keys after everything was loaded; the other loads check single values. Detail. */
SHUNT_MUST_USE SHUNT_API int shunt_config_check(struct shunt_config *c);
/*
 * All problems so far, one "file:line: key: what; what would be right" per line; "" if none. Owned by c, until its next
 * call.
 */
SHUNT_API const char *shunt_config_errors(const struct shunt_config *c);

/*
 * Calls fn for every effective key in file order: path, value as text, origin ("default", "env SHUNT_X", "file:12",
 * "--flag"), help. Detail.
 */
typedef int (*shunt_config_visit_fn)(void *arg, const char *key, const char *value, const char *origin, const char *help);
SHUNT_MUST_USE SHUNT_API int shunt_config_visit(const struct shunt_config *c, shunt_config_visit_fn fn, void *arg);

/* Binds a handler to the name that types in the file use, before shunt_config_runtime. The name is copied. Detail. */
SHUNT_MUST_USE SHUNT_API int shunt_config_bind(struct shunt_config *c, const char *handler_name,
					       shunt_handler_fn handler);
/*
 * Creates the runtime with all its pools and types. Types whose handler is not bound are an error that names them
 * all. log NULL = quiet, and log_arg is NULL then. On error nothing is left behind. Detail.
 */
SHUNT_MUST_USE SHUNT_API int shunt_config_runtime(struct shunt_config *c, shunt_log_fn log, void *log_arg,
						  struct shunt_runtime **out);

#ifdef __cplusplus
}
#endif
#endif
