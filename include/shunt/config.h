/*
 * shunt/config.h - one YAML file, the environment and flags, with the origin of every value kept.
 * Precedence: flag > environment > file > default. Every problem of a file is reported in one go.
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

/* Starts from the defaults. 0 or SHUNT_ENOMEM. */
SHUNT_API int shunt_config_create(struct shunt_config **out);
SHUNT_API void shunt_config_destroy(struct shunt_config *c);
/* Reads a YAML file. 0, SHUNT_EIO (cannot read), SHUNT_ECONFIG: shunt_config_errors has a line for each problem. */
SHUNT_API int shunt_config_load_file(struct shunt_config *c, const char *path);
/* The same from memory; `name` stands for the file in messages. */
SHUNT_API int shunt_config_load_text(struct shunt_config *c, const char *name, const char *text, size_t len);
/* Reads the environment variables of the key table from `env` ("K=V" strings, NULL-terminated; NULL = the process's). */
SHUNT_API int shunt_config_load_env(struct shunt_config *c, const char *const *env);
/* Sets one key from a flag: "pools.io.workers=4". `origin` names the flag in messages and explanations. */
SHUNT_API int shunt_config_set(struct shunt_config *c, const char *origin, const char *assignment);
/* Checks references between keys after everything was loaded; the other loads check single values. */
SHUNT_API int shunt_config_check(struct shunt_config *c);
/* All problems so far, one "file:line: key: what; what would be right" per line; "" if none. Owned by c. */
SHUNT_API const char *shunt_config_errors(const struct shunt_config *c);

/* Calls fn for every effective key in file order: path, value as text, origin ("default", "env SHUNT_X", "file:12", "--flag"), help. */
typedef int (*shunt_config_visit_fn)(void *arg, const char *key, const char *value, const char *origin, const char *help);
SHUNT_API int shunt_config_visit(const struct shunt_config *c, shunt_config_visit_fn fn, void *arg);

/* Binds a handler to the name that types in the file use. Call before apply. The name is copied. */
SHUNT_API int shunt_config_bind(struct shunt_config *c, const char *handler_name, shunt_handler_fn handler);
/*
 * Creates the runtime with all its pools and types. Types whose handler is not bound are an error that names them
 * all. On error nothing is left behind and shunt_config_errors says why.
 */
SHUNT_API int shunt_config_runtime(struct shunt_config *c, shunt_log_fn log, void *log_arg, struct shunt_runtime **out);

#ifdef __cplusplus
}
#endif
#endif
