/* shunt/config/doc_shim.c - see config/doc_shim.h. SPDX-License-Identifier: MIT */
#include "config/doc_shim.h"

#include <string.h>

#include "base/options.h"

static const char head[] =
	"<!-- Written by `shunt config --markdown` from the options table. Do not edit: a test compares both. -->\n"
	"# Configuration\n\n"
	"One YAML file, the environment and flags set the same keys. `shunt config` shows every value and where it comes\n"
	"from; `shunt config --check FILE` checks a file and reports every problem at once, each as\n"
	"`FILE:LINE: key: what is wrong; what would be right`.\n\n"
	"```yaml\n"
	"runtime:\n"
	"  name: gateway\n"
	"  levels: [urgent, high, normal, batch]\n"
	"pools:\n"
	"  cpu:\n"
	"    place: numa:0\n"
	"    pin: one-per-core\n"
	"  io:\n"
	"    workers: 4\n"
	"    idle: park\n"
	"    level_mode: weighted\n"
	"    weights: { urgent: 8, batch: 1 }\n"
	"types:\n"
	"  resize: { pool: cpu, level: normal, expected: 250us }\n"
	"  upload: { pool: io, async: true }\n"
	"```\n\n"
	"## Where a value comes from\n\n"
	"A flag overrides the environment, the environment the file, and the file the default. Within one kind the\n"
	"last one wins; a key that is twice in one file is an error.\n\n"
	"- **File**: read by `shunt_config_load_file`, at most 1 MiB, UTF-8, one document. Anchors, aliases, tags and merge\n"
	"  keys are refused: the file says what it means where it says it.\n"
	"- **Environment**: `SHUNT_` and the path of the key, with capitals for letters and `_` for `.` and `-`:\n"
	"  `pools.io.queue_max` is `SHUNT_POOLS_IO_QUEUE_MAX`. It can change a pool or type but not add one. A variable that\n"
	"  begins with `SHUNT_` and fits no key is an error; an empty one counts as not set. `SHUNT_SEED`, `SHUNT_LONG` and\n"
	"  `SHUNT_SANITIZE` belong to the tests. What Kubernetes makes of a service whose name begins with `shunt`\n"
	"  (`SHUNT_SERVICE_HOST`, `SHUNT_SERVICE_PORT`, `SHUNT_PORT=tcp://...`, `SHUNT_PORT_80_TCP` and fields)\n"
	"  is passed over, which the log says. The tables name the variables that also work without the prefix.\n"
	"  `WORKER_CONCURRENCY` (1 to 1000) is the number of workers of each pool that the file does not give one.\n"
	"- **Flag**: `--set KEY=VALUE`, for example `--set pools.io.workers=4`. A list is written with commas.\n\n"
	"A configuration is read once, before the runtime starts: a change needs a restart. The C API takes the same\n"
	"options by the same table, and refuses in the same words.\n\n"
	"Without any declared pool there is one named `main`. A setting that has no effect, such as `spin: 5us` with\n"
	"`idle: park`, is an error, unless a stronger source has switched its mode off. `auto`, `false` and 0 are no such setting.\n\n"
	"## Values\n\n"
	"| kind | examples |\n"
	"| --- | --- |\n"
	"| integer | `4`, `1_000_000`: decimal, no leading zero |\n"
	"| duration | `250us`, `1.5ms`, `30s`: a unit is required, one of " SH_DURATION_UNITS " |\n"
	"| size | `64MiB`, `10MB`: a unit is required, one of " SH_SIZE_UNITS " |\n"
	"| percentage | `75%`, `12.5%` |\n"
	"| boolean | `true`, `false`; also yes, no, on, off |\n"
	"| name | 1 to 31 of `a-z 0-9 _ -` |\n"
	"| word | one of those listed; capitals do not matter |\n";

/* Escapes what would end a table cell. */
static void cell(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '|')
			(void)fputc('\\', f);
		(void)fputc(*s, f);
	}
}

static void section_head(FILE *f, enum sh_section section)
{
	static const char *const about[SH_SECTIONS] = {
		[SH_RUNTIME] = "The whole runtime.",
		[SH_POOLS] = "A mapping of names to pools, `pools: { io: { workers: 4 } }`. At most 64; 2048 worker threads in all of them, spares too.",
		[SH_TYPES] = "A mapping of names to job types, `types: { resize: { pool: cpu } }`. At most 1023.",
		[SH_LOG] = "What reaches the log hook of the program.",
	};

	(void)fprintf(f, "\n## %s\n\n%s\n\n", sh_section_name(section), about[section]);
	(void)fputs("| key | value | default | environment | meaning |\n| --- | --- | --- | --- | --- |\n", f);
}

static void key_row(FILE *f, const struct sh_key *key)
{
	char path[SH_KEY_PATH_MAX];
	char expect[256];
	char env[SH_KEY_PATH_MAX];
	size_t i;

	(void)sh_key_path(path, key, sh_section_named(key->section) ? "NAME" : NULL, key->per_level ? "LEVEL" : NULL);
	for (i = 0; path[i]; i++)
		env[i] = path[i] == '.' ? '_' : (char)(path[i] >= 'a' && path[i] <= 'z' ? path[i] - 'a' + 'A' : path[i]);
	env[i] = '\0';
	(void)fprintf(f, "| `%s` | ", path);
	cell(f, sh_key_expect(expect, sizeof(expect), key));
	if (key->unit && key->type != SH_KEY_NAMES)
		(void)fprintf(f, "; %s", key->unit);
	if (key->def[0] == '(')
		(void)fprintf(f, " | %.*s | ", (int)strlen(key->def) - 2, key->def + 1);
	else
		(void)fprintf(f, " | `%s` | ", key->def);
	(void)fprintf(f, "`SHUNT_%s`", env);
	if (key->env)
		(void)fprintf(f, ", `%s`", key->env);
	(void)fputs(" | ", f);
	cell(f, key->help);
	(void)fputs(" |\n", f);
}

void config_doc_print(FILE *f)
{
	uint32_t s;
	size_t i;

	(void)fputs(head, f);
	for (s = 0; s < SH_SECTIONS; s++) {
		size_t n = 0;
		const struct sh_key *keys = sh_section_keys((enum sh_section)s, &n);

		section_head(f, (enum sh_section)s);
		for (i = 0; i < n; i++)
			key_row(f, &keys[i]);
	}
}
