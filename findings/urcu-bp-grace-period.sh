#!/usr/bin/env bash
# The "bulletproof" flavour of the userspace RCU library waits for readers in steps of 10 ms. SPDX-License-Identifier: MIT
#
# Guess before: synchronize_rcu() of liburcu-bp returns within some tens of microseconds after the last reader has left, as
#   that of the default flavour does (which sleeps on a futex that the reader wakes).
# Seen: liburcu 0.13.2-1 (Debian 12, amd64). A reader leaves after 3 ms. The default flavour returns 10 to 60 us later, the
#   bulletproof one about 7 ms later: it sleeps 10 ms between two looks at its readers, whatever they do. A lock that is
#   held over it is held as long.
# Where shunt meets it: names of pools and types are in tables whose old versions are freed after such a grace period.
#
# usage: findings/urcu-bp-grace-period.sh      needs gcc, apt-get and dpkg-deb; changes nothing outside a temporary folder
# Exit code: 0 as seen, 1 it behaves otherwise now, 2 the packages cannot be had.
set -euo pipefail

version=0.13.2-1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

for package in liburcu8 liburcu-dev; do
	apt-get download -qq "$package=$version" 2> error.txt || { echo "no $package $version here: $(head -1 error.txt)" >&2 && exit 2; }
	dpkg-deb -x "$package"_*.deb root
done
lib=$(dirname "$(find root -name liburcu-bp.so | head -1)")

cat > wait.c << 'C'
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include FLAVOUR

#define ROUNDS 21

static atomic_int inside;
static long left_at;

static long now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void *reader(void *arg)
{
	const struct timespec while_inside = { 0, 3000000 };

	rcu_register_thread();
	rcu_read_lock();
	atomic_store(&inside, 1);
	(void)nanosleep(&while_inside, NULL);
	left_at = now_ns();
	rcu_read_unlock();
	rcu_unregister_thread();
	return arg;
}

static int by_value(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/* Prints the median time from the reader's end to the end of the wait, us. */
int main(void)
{
	long late[ROUNDS];

	rcu_register_thread();
	for (int i = 0; i < ROUNDS; i++) {
		pthread_t thread;
		long end;

		atomic_store(&inside, 0);
		if (pthread_create(&thread, NULL, reader, NULL) != 0)
			return 1;
		while (!atomic_load(&inside))
			;
		synchronize_rcu();
		end = now_ns();
		(void)pthread_join(thread, NULL);
		late[i] = end - left_at;
	}
	qsort(late, ROUNDS, sizeof(late[0]), by_value);
	printf("%ld\n", late[ROUNDS / 2] / 1000);
	rcu_unregister_thread();
	return 0;
}
C
measure() { # HEADER LIBRARY
	gcc -O2 -DFLAVOUR="<$1>" -Iroot/usr/include -I"root/usr/include/$(gcc -dumpmachine)" wait.c -o "wait-$2" -L"$lib" -l"$2" -lpthread
	LD_LIBRARY_PATH=$lib "./wait-$2"
}
default=$(measure urcu.h urcu) bulletproof=$(measure urcu-bp.h urcu-bp)
echo "liburcu $version: from the reader's end to the end of synchronize_rcu, median of 21: default $default us, bulletproof $bulletproof us"
if [ "$bulletproof" -lt 2000 ] || [ "$bulletproof" -lt $((10 * default)) ]; then
	echo "it behaves otherwise now: the bulletproof flavour no longer waits in steps of milliseconds" >&2
	exit 1
fi
