#!/usr/bin/env bash
# Bad usage of every command: exit code 2 and a message that says what is wrong; nothing on standard output.
# Environment: SHUNT (command). SPDX-License-Identifier: MIT
set -uo pipefail

shunt=${SHUNT:?SHUNT must name the command}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
bad=0

# wants CODE "words of the message" arguments...
wants() {
	local code=$1 words=$2 got=0
	shift 2
	timeout 60 "$shunt" "$@" > "$tmp/out" 2> "$tmp/err" < /dev/null || got=$?
	if [ "$got" != "$code" ]; then
		echo "cli_errors: shunt $*: exit code $got, want $code; it said: $(cat "$tmp/err")" >&2
		bad=1
	elif ! grep -qF -e "$words" "$tmp/err"; then
		echo "cli_errors: shunt $*: want '$words' in: $(cat "$tmp/err")" >&2
		bad=1
	elif [ -s "$tmp/out" ]; then
		echo "cli_errors: shunt $*: standard output is not empty: $(head -1 "$tmp/out")" >&2
		bad=1
	fi
}

wants 2 'usage: shunt COMMAND'
wants 2 "'rnu': no such command; did you mean 'run'?" rnu
wants 2 "'tpoo': no such command; did you mean 'topo'?" tpoo
wants 2 "'xyzzy': no such command; see shunt --help" xyzzy
wants 2 'no such command' --no-such-option

wants 2 'shunt run: --digets: no such option; did you mean --digests?' run --digets f
wants 2 'shunt run: --xyzzyx: no such option; see shunt run --help' run --xyzzyx
wants 2 'shunt run: -q: no such option' run -q
wants 2 'shunt run: --tree: needs a value' run --tree
wants 2 'shunt run: --quiet: takes no value' run --quiet=1
wants 2 "shunt run: 'stray': no argument is expected here" run stray
wants 2 "shunt run: --tree: '': want a directory" run --tree ''
wants 2 "shunt run: --tree: '$tmp/none': No such file or directory" run --tree "$tmp/none"
wants 2 "shunt run: --tree: '/dev/null': not a directory" run --tree /dev/null
wants 2 "shunt run: --sample: '5 apples': has an unknown unit; want a size" run --sample '5 apples'
wants 2 "shunt run: --sample: '-1': is negative; want a size" run --sample -1
wants 2 "shunt run: --sample: '64K': has an unknown unit; want a size" run --sample 64K
wants 2 "shunt run: --sample: '4096': has no unit; want a size" run --sample 4096
wants 2 "shunt run: --sample: '2TiB': is out of range; want a size such as 64KiB or 1MiB, from 1B to 1TiB" run --sample 2TiB
wants 2 "'$tmp/none'" run --sample 10MB --tree "$tmp/none" # a unit of the file is one of the flag
wants 2 'shunt run: --workers: ' run --workers 0
wants 2 'shunt run: --workers: ' run --workers many
wants 2 'shunt run: --pin: ' run --pin sideways
wants 2 'shunt run: --idle: ' run --idle never
wants 2 'shunt run: --strategy: ' run --strategy best
wants 2 'shunt run: --jobs-max: ' run --jobs-max 1
wants 2 "cpu" run --place cpus:7777 --tree "$tmp"
wants 2 "shunt run: $tmp/none.yaml" run --config "$tmp/none.yaml"
wants 2 "shunt run: --pool: 'x': no such pool; available: main" run --pool x --tree "$tmp"
wants 2 'both want standard output' run --json - --digests -
wants 1 "shunt run: --digests: '$tmp/no/f': No such file or directory" run --tree "$tmp" --digests "$tmp/no/f"
wants 1 "shunt run: --json: '$tmp/no/f': No such file or directory" run --tree "$tmp" --json "$tmp/no/f"
wants 1 "shunt run: --hist: '$tmp/no/f': No such file or directory" run --tree "$tmp" --hist "$tmp/no/f"
printf 'pools:\n  a: {wrokers: 3}\n' > "$tmp/bad.yaml"
wants 2 "shunt run: $tmp/bad.yaml:2: " run --config "$tmp/bad.yaml"
printf 'pools:\n  a: {}\ntypes:\n  unheard: {}\n' > "$tmp/unbound.yaml"
wants 2 'unheard' run --config "$tmp/unbound.yaml" --tree "$tmp"

wants 2 'shunt load: --rat3: no such option; did you mean --rate?' load --rat3 5
wants 2 "shunt load: --rate: 'fast': want a whole number" load --rate fast
wants 2 "shunt load: --rate: '0': want a whole number" load --rate 0
wants 2 '--rate and --utilisation: want one of them' load --rate 1k --utilisation 10%
wants 2 "shunt load: --utilisation: '0': want a share" load --utilisation 0
wants 2 'say --overload' load --utilisation 100%
wants 2 "shunt load: --arrivals: 'weekly': want poisson, constant or burst:N" load --arrivals weekly
wants 2 "shunt load: --arrivals: burst: '0': want a whole number" load --arrivals burst:0
wants 2 "shunt load: --service: 'fixed:5': want fixed:5us" load --service fixed:5
wants 2 "shunt load: --service: 'exp:0': the mean must be at least 1ns" load --service exp:0
wants 2 "shunt load: --service: 'bimodal:1us,2us': want" load --service bimodal:1us,2us
wants 2 "shunt load: --service: '$tmp/none': No such file or directory" load --service "file:$tmp/none"
printf '1us\nsoon\n' > "$tmp/times"
wants 2 "$tmp/times:2: 'soon': want one duration a line" load --service "file:$tmp/times"
printf '# nothing\n' > "$tmp/times"
wants 2 'no durations in it' load --service "file:$tmp/times"
wants 2 "shunt load: --levels: 'a=50%': the shares add up to 50%; want 100%" load --levels a=50%
wants 2 "'a' is there twice" load --levels a=50%,a=50%
wants 2 "shunt load: --levels: 'A=1': want up to" load --levels A=1
wants 2 "shunt load: --duration: '5': has no unit; want a duration" load --duration 5
wants 2 "shunt load: --duration: '1m': has an unclear unit (min or ms?); want a duration" load --duration 1m
wants 2 "shunt load: --duration: '1ms': out of range; want 10ms to 24h" load --duration 1ms
wants 2 "shunt load: --rate: '0': want a whole number" load --duration 1min --warmup 0.5h --rate 0
wants 2 "shunt load: --rate: '5K': want a whole number" load --rate 5K
wants 2 'shunt load: --seed: is there twice; want it once' load --seed 1 --seed 1
wants 2 'shunt run: --quiet: is there twice; want it once' run --quiet --quiet
wants 2 'shunt hist: --tag: is there twice; want it once' hist --tag a --tag a x
wants 2 'shunt topo: --workers: is there twice; want it once' topo --workers 1 --workers=2
wants 2 'shunt config: --json: is there twice; want it once' config -j --json
wants 2 "shunt config: --set: 'runtime.name' is also in --set; want it once" config --set runtime.name=a --set runtime.name=b
wants 2 "shunt run: --set: 'runtime.name' is also in --set; want it once" run --set runtime.name=a --set runtime.name=b
wants 2 "shunt run: --workers: 'pools.main.workers' is also in --set; want it once" run --workers 1 --set pools.main.workers=1
wants 2 "shunt run: --set: runtime.nmae" run --set runtime.nmae=a
wants 2 "shunt advise: --set: no such option" advise --set pools.main.idle=park
wants 2 "shunt load: --submitters: '65': want a whole number from 1 to 64" load --submitters 65
wants 2 "shunt load: --seed: 'x': want a whole number" load --seed x
printf 'runtime: {levels: [one, two]}\npools:\n  a: {}\n' > "$tmp/levels.yaml"
wants 2 "shunt load: --levels: 'high': the configuration has no such level" load --config "$tmp/levels.yaml"

for command in topo config hist; do
	wants 2 "shunt $command: " "$command" --no-such-option
done
wants 2 'shunt hist: want one FILE.hlog' hist
wants 1 "shunt hist: $tmp/none.hlog: No such file or directory" hist "$tmp/none.hlog"

# Help and version are no errors.
for args in --help -h help 'run --help' 'load --help' 'topo --help' 'config --help' 'hist --help'; do
	# shellcheck disable=SC2086
	if ! timeout 60 "$shunt" $args > "$tmp/out" 2> "$tmp/err" || ! grep -q '^usage: shunt' "$tmp/out" || [ -s "$tmp/err" ]; then
		echo "cli_errors: shunt $args: no help: $(cat "$tmp/out" "$tmp/err" | head -2)" >&2
		bad=1
	elif [ "$(awk '{ if (length($0) > m) m = length($0) } END { print m }' "$tmp/out")" -gt 120 ]; then
		echo "cli_errors: shunt $args: a line is longer than 120 columns" >&2
		bad=1
	fi
done
[[ $("$shunt" --version) =~ ^shunt\ [0-9]+\.[0-9]+\.[0-9]+$ ]] || { echo "cli_errors: --version: $("$shunt" --version)" >&2 && bad=1; }
if "$shunt" --help > /dev/full 2> /dev/null; then
	echo "cli_errors: a full disk goes unnoticed" >&2
	bad=1
fi
[ "$bad" = 0 ] && echo ok
exit "$bad"
