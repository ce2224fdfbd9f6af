#!/usr/bin/env bash
# `shunt config` shows where each value comes from, as a table and as JSON, and reports bad variables and flags.
# SPDX-License-Identifier: MIT
set -euo pipefail

: "${SHUNT:?the command}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
cd "$work"
printf 'log:\n  level: info\npools:\n  io:\n    workers: 4\n    queue_max: 100\n  cpu:\n' > f.yaml

# clean COMMAND...: without the variables of the caller's environment
clean() {
	env -i PATH="$PATH" ${ASAN_OPTIONS:+ASAN_OPTIONS="$ASAN_OPTIONS"} "$@"
}

# want KEY VALUE ORIGIN: a line of the table in file `out`
want() {
	if ! awk -v k="$1" -v v="$2" -v o="$3" '$1 == k && $2 == v { l = $0; sub(/^[^ ]+ +[^ ]+ +/, "", l); f = l == o } END { exit !f }' out; then
		echo "FAIL: want $1 = $2 from $3, got: $(grep "^$1 " out || echo nothing)"
		failed=1
	fi
}

# bad CODE TEXT COMMAND...: exits so and says so
bad() {
	local code=0

	clean "${@:3}" > out 2> err || code=$?
	if [ "$code" != "$1" ] || ! grep -qF -- "$2" err; then
		echo "FAIL: ${*:3}: exit code $code: $(cat err)"
		failed=1
	fi
}

clean SHUNT_POOLS_IO_QUEUE_MAX=200 WORKER_CONCURRENCY=20 LOG_LEVEL=debug WORKER_PRIORITIES=urgent,lazy \
	"$SHUNT" config --config f.yaml --set pools.io.key_slots=2048 --set log.level=error > out
want pools.io.workers 4 f.yaml:5
want pools.io.queue_max 200 'env SHUNT_POOLS_IO_QUEUE_MAX'
want pools.io.key_slots 2048 --set
want pools.cpu.workers 20 'env WORKER_CONCURRENCY'
want pools.cpu.idle adaptive default
want log.level error --set
want runtime.levels urgent,lazy 'env WORKER_PRIORITIES'

clean "$SHUNT" config --config f.yaml --json > out.json
python3 - <<'END' || failed=1
import json
rows = {r["key"]: r for r in json.load(open("out.json"))["config"]}
assert rows["pools.io.workers"]["value"] == "4" and rows["pools.io.workers"]["origin"] == "f.yaml:5", rows
assert rows["log.level"]["origin"] == "f.yaml:2" and all(r["help"] for r in rows.values())
END

bad 2 "env SHUNT_POOLS_OI_WORKERS: no pool 'oi'; did you mean 'io'?" SHUNT_POOLS_OI_WORKERS=4 "$SHUNT" config --config f.yaml
bad 2 'env SHUNT_RUNTIME_JOB_MAX: unknown variable; did you mean SHUNT_RUNTIME_JOBS_MAX?' SHUNT_RUNTIME_JOB_MAX=9 "$SHUNT" config
bad 2 "env WORKER_CONCURRENCY: '3000' is out of range; want an integer from 1 to 1000" WORKER_CONCURRENCY=3000 "$SHUNT" config
bad 2 "--set: pools.io.worker: unknown key; did you mean 'workers'?" "$SHUNT" config --set pools.io.worker=4
bad 2 "--set: 'pools' is no assignment; want KEY=VALUE" "$SHUNT" config --set pools
bad 2 'shunt config: ' "$SHUNT" config --no-such-option
bad 2 'shunt config: --markdown: stands alone' "$SHUNT" config --markdown --json
clean "$SHUNT" config --help | grep -q '^usage: shunt config' || failed=1
if [ -e /dev/full ]; then
	bad 1 '' bash -c '"$0" config > /dev/full' "$SHUNT"
fi
[ "$failed" = 0 ]
