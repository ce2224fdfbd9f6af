/*
 * shunt/topo/cmd_topo.c - see cmd_topo.h. Order: arguments, machine, plan, budget, report. A plan
 * for another machine (--input, --synthetic) shows what would happen there before anything is
 * installed.
 *
 * SPDX-License-Identifier: MIT
 */
#include "topo/cmd_topo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <shunt/runtime.h>

#include "common/cli.h"
#include "topo/report.h"

#define ALLOWED_TEXT 49152u /* every second of 8192 cpus */

static const char topo_help[] =
	"usage: shunt topo [options]\n"
	"\n"
	"Draws the machine and, beside it, where each worker of a pool would run, the cpu budget and what\n"
	"decides it, and the order in which workers steal from each other.\n"
	"\n"
	"  --place EXPR     cpus of the pool (default all): 0-3,8  numa:1.core:*.pu:0  l3:0  all,!cpus:0\n"
	"                   kind:performance; levels from wide to narrow: package, numa, l3, kind, core, pu\n"
	"  --policy P       compact, scatter, one-per-core, avoid-cpu0, none, explicit (default: compact, or\n"
	"                   none under a cgroup quota without a cpuset and without a place)\n"
	"  --workers N      1 to 256 (default: the cpu budget, at most the cpus of the place)\n"
	"  --budget N       upper limit of the cpu budget, 1 to 8192\n"
	"  --allowed LIST   pretend that these cpus are allowed, such as 0-3,8\n"
	"  --cpu-mask MASK  caller: the cpus of this process's affinity (default); machine: all granted\n"
	"  --input FILE     a machine saved by `lstopo FILE.xml` in place of this one\n"
	"  --synthetic STR  a described machine, such as \"package:2 l3:1 core:16 pu:2\"\n"
	"  --json           JSON in place of the text\n"
	"  --help           this text\n"
	"\n"
	"Exit code: 0 ok, 1 the machine or the file cannot be read, 2 bad usage, place or input.\n";

enum {
	OPT_PLACE = 256,
	OPT_POLICY,
	OPT_WORKERS,
	OPT_BUDGET,
	OPT_ALLOWED,
	OPT_CPU_MASK,
	OPT_INPUT,
	OPT_SYNTHETIC,
	OPT_JSON
};

static const struct option options[] = {
	{ "place", required_argument, NULL, OPT_PLACE },
	{ "policy", required_argument, NULL, OPT_POLICY },
	{ "workers", required_argument, NULL, OPT_WORKERS },
	{ "budget", required_argument, NULL, OPT_BUDGET },
	{ "allowed", required_argument, NULL, OPT_ALLOWED },
	{ "cpu-mask", required_argument, NULL, OPT_CPU_MASK },
	{ "input", required_argument, NULL, OPT_INPUT },
	{ "synthetic", required_argument, NULL, OPT_SYNTHETIC },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, CLI_HELP },
	{ NULL, 0, NULL, 0 },
};

struct topo_args {
	struct shunt_topo_opts topo;
	struct shunt_plan_opts plan;
	bool json;
};

static int parse_policy(const char *text, enum shunt_pin_policy *out)
{
	static const char *const names[] = { "compact", "scatter", "one-per-core", "avoid-cpu0", "none", "explicit",
					     NULL };
	const char *near;

	if (shunt_pin_policy_parse(text, out) == SHUNT_OK)
		return CLI_GO_ON;
	near = cli_nearest(text, names);
	if (near)
		cli_error("--policy: '%s': no such policy; did you mean '%s'?", text, near);
	else
		cli_error("--policy: '%s': want compact, scatter, one-per-core, avoid-cpu0, none or explicit", text);
	return CLI_USAGE;
}

static int parse_mask(const char *text, enum shunt_cpu_mask *out)
{
	*out = strcmp(text, "machine") == 0 ? SHUNT_MASK_MACHINE : SHUNT_MASK_CALLER;
	if (*out == SHUNT_MASK_MACHINE || strcmp(text, "caller") == 0)
		return CLI_GO_ON;
	cli_error("--cpu-mask: '%s': want caller or machine", text);
	return CLI_USAGE;
}

static int take_number(const char *opt, uint32_t max, uint32_t *out)
{
	return cli_parse_count32(opt, optarg, 1, max, out) ? CLI_GO_ON : CLI_USAGE;
}

static int take_option(void *arg, int option)
{
	struct topo_args *a = arg;

	switch (option) {
	case OPT_PLACE: a->plan.place = optarg; return CLI_GO_ON;
	case OPT_POLICY: return parse_policy(optarg, &a->plan.policy);
	case OPT_WORKERS: return take_number("--workers", SHUNT_WORKERS_MAX, &a->plan.workers);
	case OPT_BUDGET: return take_number("--budget", SHUNT_TOPO_CPUS_MAX, &a->topo.cpu_budget_config);
	case OPT_ALLOWED: a->topo.allowed_cpus = optarg; return CLI_GO_ON;
	case OPT_CPU_MASK: return parse_mask(optarg, &a->topo.cpu_mask);
	case OPT_INPUT: a->topo.xml_file = optarg; return CLI_GO_ON;
	case OPT_SYNTHETIC: a->topo.synthetic = optarg; return CLI_GO_ON;
	case OPT_JSON: a->json = true; return CLI_GO_ON;
	default: return CLI_USAGE;
	}
}

static int parse(int argc, char **argv, struct topo_args *a)
{
	int code = cli_options(argc, argv, ":", options, topo_help, take_option, a);

	if (code != CLI_GO_ON)
		return code;
	if (a->topo.xml_file && a->topo.synthetic) {
		cli_error("--input and --synthetic: give one of them");
		return CLI_USAGE;
	}
	return cli_no_arguments(argc, argv);
}

/* What to add if the beginning of the file says which version of hwloc XML it is, "" if it does not, or is a pipe. */
static void xml_version(const char *path, char *said, size_t size)
{
	static const char mark[] = "<topology version=\"";
	char text[1024];
	struct stat st;
	FILE *f = stat(path, &st) == 0 && S_ISREG(st.st_mode) ? fopen(path, "re") : NULL;
	const char *at;

	if (!f)
		return;
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	(void)fclose(f);
	at = strstr(text, mark);
	if (at)
		(void)snprintf(said, size, " that the hwloc of this program can read (version %.*s)",
			       (int)strspn(at + sizeof(mark) - 1, "0123456789."), at + sizeof(mark) - 1);
}

/* Reports why the machine could not be opened, with the option that caused it. */
static int open_failed(const struct shunt_topo_opts *o, int rc)
{
	const char *why = shunt_error_detail();
	char said[128] = "";

	if (rc == SHUNT_EIO && !o->xml_file) {
		cli_error("%s", why);
		return CLI_FAILED;
	}
	if (rc == SHUNT_EIO) {
		if (!strstr(why, "cannot be read; want a machine")) { /* no machine in it; else it could not be read at all */
			cli_error("--input: '%s': %s", o->xml_file, cli_detail());
			return strstr(why, "; want") ? CLI_USAGE : CLI_FAILED;
		}
		xml_version(o->xml_file, said, sizeof(said));
		cli_error("--input: '%s': not an hwloc XML file%s; make one with `lstopo machine.xml`", o->xml_file,
			  said);
		return CLI_USAGE;
	}
	if (rc == SHUNT_EPLACE) {
		cli_error("%sno cpu is allowed", o->allowed_cpus ? "--allowed: " : "");
		return o->allowed_cpus ? CLI_USAGE : CLI_FAILED;
	}
	if (rc == SHUNT_EINVAL) {
		struct shunt_topo_opts bare = *o;
		struct shunt_topo *topo = NULL;

		bare.allowed_cpus = NULL; /* which of the two options is the cause? */
		if (shunt_topo_open(&topo, &bare) != SHUNT_OK)
			cli_error("--synthetic: '%s': want levels with counts, such as \"package:2 l3:1 core:16 pu:2\"",
				  o->synthetic);
		else
			cli_error("--allowed: '%s': want a list of this machine's cpus, such as 0-3,8",
				  o->allowed_cpus);
		shunt_topo_close(topo);
		return CLI_USAGE;
	}
	cli_error("the machine cannot be read: %s", shunt_strerror(rc));
	return CLI_FAILED;
}

static int report(const struct topo_args *a, struct topo_report *r)
{
	int rc = shunt_topo_budget(r->topo, &r->budget, sizeof(r->budget));

	if (rc != SHUNT_OK) {
		cli_error("the cpu budget cannot be read: %s", shunt_strerror(rc));
		return CLI_FAILED;
	}
	r->source = a->topo.xml_file ? a->topo.xml_file : a->topo.synthetic;
	if (!r->source)
		r->source = shunt_topo_is_live(r->topo) ? "this machine" : "as hwloc's variables in the environment describe it";
	r->place = a->plan.place ? a->plan.place : "all";
	r->plan_free = shunt_plan_worker_at(r->plan, 0)->os_cpu < 0;
	r->policy = shunt_pin_policy_name(a->plan.policy);
	if (a->plan.policy == SHUNT_PIN_DEFAULT)
		r->policy = r->plan_free ? "none" : "compact";
	if (!a->json)
		topo_report_text(r, stdout);
	else if (!topo_report_json(r, stdout)) {
		cli_error("--json: out of memory");
		return CLI_FAILED;
	}
	return cli_stdout_flush();
}

int cmd_topo(int argc, char **argv)
{
	struct topo_args a = { SHUNT_TOPO_OPTS_INIT, SHUNT_PLAN_OPTS_INIT, false };
	struct shunt_topo *topo = NULL;
	struct shunt_plan *plan = NULL;
	struct topo_report r;
	char *allowed = NULL;
	int rc;

	cli_begin("topo");
	rc = parse(argc, argv, &a);
	if (rc != CLI_GO_ON)
		return rc;
	rc = shunt_topo_open(&topo, &a.topo);
	if (rc != SHUNT_OK)
		return open_failed(&a.topo, rc);
	rc = shunt_plan_create(topo, &a.plan, &plan);
	if (rc != SHUNT_OK) {
		if (rc != SHUNT_EPLACE)
			cli_error("plan: %s", shunt_error_detail());
		else /* a message about the place quotes it; the others are about the number of seats */
			cli_error("%s: %s", shunt_error_detail()[0] == '\'' ? "--place" : "--workers",
				  shunt_error_detail());
		rc = rc == SHUNT_EPLACE ? CLI_USAGE : CLI_FAILED;
		goto out;
	}
	allowed = calloc(1, ALLOWED_TEXT);
	if (!allowed || shunt_topo_allowed(topo, allowed, ALLOWED_TEXT) < 0) {
		cli_error("%s", shunt_strerror(SHUNT_ENOMEM));
		rc = CLI_FAILED;
		goto out;
	}
	memset(&r, 0, sizeof(r));
	r.topo = topo;
	r.plan = plan;
	r.allowed = allowed;
	rc = report(&a, &r);
out:
	free(allowed);
	shunt_plan_destroy(plan);
	shunt_topo_close(topo);
	return rc;
}
