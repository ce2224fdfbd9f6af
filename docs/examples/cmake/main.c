/* main.c - says which shunt it was built with and which it runs with. SPDX-License-Identifier: MIT */
#include <shunt/shunt.h>

#include <stdio.h>
#include <string.h>

int main(void)
{
	struct shunt_runtime *rt;
	int rc = shunt_runtime_create(&rt, NULL);

	if (rc != 0) {
		fprintf(stderr, "example: %s: %s\n", shunt_strerror(rc), shunt_error_detail());
		return 1;
	}
	printf("built with shunt %s, runs with shunt %s\n", SHUNT_VERSION_STRING, shunt_version());
	return shunt_runtime_destroy(rt, NULL) != 0 || strcmp(shunt_version(), SHUNT_VERSION_STRING) != 0;
}
