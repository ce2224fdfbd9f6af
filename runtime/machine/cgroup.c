/*
 * machine/cgroup.c - see cgroup.h. Finds a cgroup as the kernel documents it: /proc/self/cgroup has
 * the group's path, /proc/self/mountinfo the mount point of its hierarchy. Every level from the
 * process's group up to the mount counts, because a parent's quota binds its children.
 *
 * SPDX-License-Identifier: MIT
 */

#include "machine/cgroup.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/inject.h"

#define LINE_BYTES (2u * PATH_MAX + 512u) /* of a mount: its root, its place, and what stands beside them */

/* One hierarchy: controller NULL is cgroup v2. */
struct group {
	const char *controller;
	char mount[PATH_MAX]; /* mount point, with the root prefix */
	char path[PATH_MAX];  /* the process's group below the mount, "" or "/a/b" */
};

/* Reads a small file, up to the buffer; -1 when it does not exist or cannot be read. */
static int read_small(const char *dir, const char *name, char *buf, size_t len)
{
	char path[PATH_MAX + 64];
	size_t n;
	FILE *f;
	bool bad;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path))
		return -1;
	f = SH_FAIL("budget.file") ? NULL : fopen(path, "re");
	if (!f)
		return -1;
	n = fread(buf, 1, len - 1, f);
	bad = SH_FAIL("budget.read") || ferror(f);
	(void)fclose(f);
	buf[n] = '\0';
	return bad ? -1 : 0; /* half a number would be a wrong number */
}

static bool has_word(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = list; *p; p += strcspn(p, ","), p += *p == ',') {
		if (strcspn(p, ",\n") == len && strncmp(p, word, len) == 0)
			return true;
	}
	return false;
}

/* Replaces mountinfo's escapes, such as \040 for a blank, in place. */
static void unescape(char *s)
{
	char *to = s;

	for (const char *p = s; *p; to++) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' && p[3] >= '0' &&
		    p[3] <= '7') {
			*to = (char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + (p[3] - '0'));
			p += 4;
		} else {
			*to = *p++;
		}
	}
	*to = '\0';
}

static FILE *open_proc(const struct shunt_topo *t, const char *name)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/proc/self/%s", t->root, name) >= sizeof(path))
		return NULL;
	return SH_FAIL("budget.file") ? NULL : fopen(path, "re");
}

/* The next line that fits. A longer one has no path that fits either, and is skipped. */
static bool read_line(FILE *f, char *line)
{
	bool whole = true; /* the last piece ended a line */

	while (!SH_FAIL("budget.read") && fgets(line, LINE_BYTES, f)) {
		bool ends = strchr(line, '\n') != NULL || feof(f) != 0;

		if (whole && ends)
			return true;
		whole = ends;
	}
	return false;
}

/* The process's path in one hierarchy, from lines such as "4:cpu,cpuacct:/a/b" and "0::/a/b". */
static int find_path(const struct shunt_topo *t, struct group *g)
{
	char line[LINE_BYTES];
	int rc = -1;
	FILE *f = open_proc(t, "cgroup");

	if (!f)
		return -1;
	while (rc < 0 && read_line(f, line)) {
		char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;

		if (!path)
			continue;
		*list++ = '\0';
		*path++ = '\0';
		path[strcspn(path, "\n")] = '\0';
		if (g->controller ? !has_word(list, g->controller) : (*list || strcmp(line, "0") != 0))
			continue;
		if ((size_t)snprintf(g->path, sizeof(g->path), "%s", strcmp(path, "/") ? path : "") < sizeof(g->path))
			rc = 0;
	}
	(void)fclose(f);
	return rc;
}

/* Splits a mountinfo line: root, mount point, and what follows " - ". False when malformed. */
static bool split_mount(char *line, char **root, char **point, char **type, char **options)
{
	char *save = NULL, *tail = strstr(line, " - "), *word;

	if (!tail)
		return false;
	*tail = '\0';
	*root = *point = NULL;
	word = strtok_r(line, " ", &save);
	for (int i = 0; word && i < 5; i++, word = strtok_r(NULL, " ", &save)) {
		if (i == 3)
			*root = word;
		if (i == 4)
			*point = word;
	}
	save = NULL;
	*type = strtok_r(tail + 3, " \n", &save);
	if (!*type || !strtok_r(NULL, " \n", &save))
		return false;
	*options = strtok_r(NULL, " \n", &save);
	return *root && *point && *options;
}

/* Length of the prefix of `path` that the mount's root covers; -1: the group is outside. */
static int covered(const char *path, const char *root)
{
	size_t n = strlen(root);

	if (strcmp(root, "/") == 0)
		return strncmp(path, "/..", 3) == 0 ? -1 : 0;
	if (strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == '\0'))
		return (int)n;
	return -1;
}

/* Finds the mount point and makes g->path relative to it. The last fitting mount counts. */
static int find_mount(const struct shunt_topo *t, struct group *g)
{
	char line[LINE_BYTES];
	char *root, *point, *type, *options;
	int best = -2, rel;
	FILE *f = open_proc(t, "mountinfo");

	if (!f)
		return -1;
	while (read_line(f, line)) {
		if (!split_mount(line, &root, &point, &type, &options))
			continue;
		if (strcmp(type, g->controller ? "cgroup" : "cgroup2") != 0)
			continue;
		if (g->controller && !has_word(options, g->controller))
			continue;
		unescape(root);
		unescape(point);
		rel = covered(g->path, root);
		if (rel < best ||
		    (size_t)snprintf(g->mount, sizeof(g->mount), "%s%s", t->root, point) >= sizeof(g->mount))
			continue;
		best = rel;
	}
	(void)fclose(f);
	if (best == -2)
		return -1;
	if (best == -1)
		g->path[0] = '\0';
	else
		memmove(g->path, g->path + best, strlen(g->path + best) + 1);
	return 0;
}

static int find_group(const struct shunt_topo *t, struct group *g, const char *controller)
{
	g->controller = controller;
	return find_path(t, g) == 0 ? find_mount(t, g) : -1;
}

/* Directory of the group, then of its parents up to the mount. False: none left. Cuts g->path. */
static bool next_level(struct group *g, char *dir, size_t len, bool first)
{
	if (!first) {
		char *slash = strrchr(g->path, '/');

		if (!slash)
			return false;
		*slash = '\0';
	}
	return (size_t)snprintf(dir, len, "%s%s", g->mount, g->path) < len;
}

/* 0 = none: a quota that is malformed, or larger than any machine. */
static uint32_t to_milli(uint64_t quota_us, uint64_t period_us)
{
	uint64_t milli;

	if (!period_us || quota_us >= UINT64_MAX / 1000)
		return 0;
	milli = quota_us * 1000 / period_us;
	if (milli >= UINT32_MAX)
		return 0;
	return milli ? (uint32_t)milli : 1;
}

/* Quota of one level in 1/1000 cpu, 0 = none. */
static uint32_t level_quota(const struct group *g, const char *dir)
{
	char text[64], more[64];
	uint64_t quota, period;

	if (g->controller) {
		if (read_small(dir, "cpu.cfs_quota_us", text, sizeof(text)) < 0 || text[0] == '-' ||
		    read_small(dir, "cpu.cfs_period_us", more, sizeof(more)) < 0)
			return 0;
		if (sscanf(text, "%" SCNu64, &quota) != 1 || sscanf(more, "%" SCNu64, &period) != 1)
			return 0;
		return to_milli(quota, period);
	}
	if (read_small(dir, "cpu.max", text, sizeof(text)) < 0 ||
	    sscanf(text, "%" SCNu64 " %" SCNu64, &quota, &period) != 2)
		return 0;
	return to_milli(quota, period);
}

static uint64_t level_throttled(const char *dir)
{
	char text[1024];
	const char *at;
	uint64_t n = 0;

	if (read_small(dir, "cpu.stat", text, sizeof(text)) < 0)
		return 0;
	at = strstr(text, "nr_throttled ");
	if (!at || sscanf(at, "nr_throttled %" SCNu64, &n) != 1)
		return 0;
	return n;
}

void sh_cgroup_quota(const struct shunt_topo *t, const char *controller, struct sh_quota *q)
{
	struct group g;
	char dir[PATH_MAX];

	if (find_group(t, &g, controller) < 0)
		return;
	for (bool first = true; next_level(&g, dir, sizeof(dir), first); first = false) {
		uint32_t milli = level_quota(&g, dir);

		q->throttled += level_throttled(dir);
		if (!milli || (q->milli && milli >= q->milli))
			continue;
		q->milli = milli;
		(void)snprintf(q->where, sizeof(q->where), "%.80s", g.path[0] ? g.path : "/");
	}
}

/* The first level with a non-empty list, from the process's group upwards. */
static uint32_t read_cpuset(const struct shunt_topo *t, const char *controller, struct sh_cpus *out)
{
	static const char *const v1[] = { "cpuset.effective_cpus", "cpuset.cpus" };
	static const char *const v2[] = { "cpuset.cpus.effective", "cpuset.cpus" };
	const char *const *names = controller ? v1 : v2;
	char dir[PATH_MAX], text[4096];
	struct group g;

	if (find_group(t, &g, controller) < 0)
		return 0;
	for (bool first = true; next_level(&g, dir, sizeof(dir), first); first = false) {
		for (int i = 0; i < 2; i++) {
			if (read_small(dir, names[i], text, sizeof(text)) < 0 || sh_cpus_parse(out, text) < 0)
				continue;
			sh_cpus_and(out, &t->online);
			if (sh_cpus_count(out))
				return sh_cpus_count(out);
		}
	}
	return 0;
}

uint32_t sh_cgroup_cpuset(const struct shunt_topo *t, struct sh_cpus *out)
{
	struct sh_cpus v1;
	uint32_t n1, n2;

	if (t->cgroups) {
		n2 = read_cpuset(t, NULL, out);
		n1 = read_cpuset(t, "cpuset", &v1);
		if (n1 && n2)
			sh_cpus_and(out, &v1);
		else if (n1)
			*out = v1;
		if (n1 || n2)
			return sh_cpus_count(out);
	}
	memset(out, 0, sizeof(*out));
	return 0;
}
