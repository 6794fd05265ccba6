#!/bin/bash
# What script and flamegraph print of the golden traces: one whose names are
# hostile, one of probes, one of spans, and one of nested calls; from the file and from a
# pipe.  A case is one line of views/cases, views/probe_cases, views/call_cases or
# views/graph_cases; what is expected stands in views/NAME.out.
# GOLDEN_WRITE=1 writes these files anew.
cd "$(dirname "$0")" || exit 1
case $KYMO in /*) ;; *) KYMO=../../$KYMO ;; esac
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
trace=first.kymo
n=0

result() { # status name
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		sed 's/^/# /' "$scratch/diff" | cut -c 1-300 | head -20
	fi
}

same() { # name expected got
	cmp -s "$2" "$3"
	local status=$?
	[ $status -eq 0 ] || diff -a "$2" "$3" >"$scratch/diff"
	result $status "$1"
}

# Standard output without the style sheet and the program of a picture, the exit
# status, and what was said on standard error.
answer() {
	"$KYMO" "$@" >"$scratch/out" 2>"$scratch/err"
	local status=$?
	sed -e '/^<style>$/,/^<\/style>$/d' -e '/^<script>/,/<\/script>$/d' "$scratch/out"
	echo "-- exit status $status"
	cat "$scratch/err"
}

cases() { # file trace
	while read -r name args; do
		case $name in '' | '#'*) continue ;; esac
		eval "set -- $args"
		answer "$@" -i "$trace" >"$scratch/got"
		[ -z "$GOLDEN_WRITE" ] || cp "$scratch/got" "views/$name.out"
		same "$name" "views/$name.out" "$scratch/got"
		case $name in *-file) continue ;; esac
		answer "$@" -i - <"$trace" >"$scratch/got"
		same "$name, from a pipe" "views/$name.out" "$scratch/got"
	done
}

trace=probes.kymo
cases <views/probe_cases
trace=calls.kymo
cases <views/call_cases
trace=graph.kymo
cases <views/graph_cases
trace=first.kymo
cases <views/cases

: >"$scratch/diff"
for file in first.kymo probes.kymo calls.kymo; do
	for args in script 'script --json' 'script --csv' 'flamegraph --folded' flamegraph; do
		"$KYMO" $args -i $file >"$scratch/out" 2>"$scratch/err"
		! LC_ALL=C grep -qaP '[\x00-\x08\x0b-\x1f\x7f]' "$scratch/out" "$scratch/err" &&
			iconv -f utf-8 -t utf-8 "$scratch/out" >/dev/null 2>"$scratch/diff"
		result $? "kymo $args of $file prints no control characters and valid UTF-8"
	done
done

# What other programs read is what was recorded.
"$KYMO" script --json --no-stack -i probes.kymo >"$scratch/json" 2>"$scratch/err"
"$KYMO" script --csv --no-stack -i probes.kymo >"$scratch/csv" 2>"$scratch/err"
python3 views/roundtrip.py "$scratch/json" "$scratch/csv" >"$scratch/diff" 2>&1
result $? "JSON Lines and CSV hold the same typed values"

# A picture that fails leaves an older one alone.
echo old >"$scratch/old.svg"
"$KYMO" flamegraph -i "$scratch/none.kymo" -o "$scratch/old.svg" 2>"$scratch/diff"
[ $? -eq 1 ] && [ "$(cat "$scratch/old.svg")" = old ]
result $? "a picture of no trace leaves the old picture alone"
"$KYMO" flamegraph -i $trace -o "$scratch/none/x.svg" 2>"$scratch/diff"
[ $? -eq 1 ] && grep -q "cannot write '.*/none/x.svg': No such file or directory" "$scratch/diff"
result $? "an output that cannot be written is told of"
"$KYMO" script -i $trace >/dev/full 2>"$scratch/diff"
[ $? -eq 1 ] && grep -q 'cannot write' "$scratch/diff"
result $? "a full disk is told of"
"$KYMO" flamegraph -i $trace -o "$scratch/new.svg" 2>/dev/null &&
	[ "$(ls "$scratch" | grep -c '\.tmp$')" -eq 0 ] && [ -s "$scratch/new.svg" ]
result $? "a picture is put in place whole"
head -c 8000 $trace >"$scratch/cut.kymo"
for args in script 'flamegraph --folded' flamegraph; do
	"$KYMO" $args -i "$scratch/cut.kymo" >"$scratch/out" 2>"$scratch/diff"
	[ $? -eq 3 ] && grep -q 'the file is cut' "$scratch/diff" && [ -s "$scratch/out" ]
	result $? "kymo $args of a cut file shows what is left, exit status 3"
done
echo "1..$n"
