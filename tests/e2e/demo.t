#!/bin/bash
# `make demo` records, draws, and tells the truth about what to type next.
set -u

nr=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

result() {
	local status=$?

	nr=$((nr + 1))
	if [ $status = 0 ]; then
		echo "ok $nr - $1"
	else
		echo "not ok $nr - $1"
		sed 's/^/# /' "$tmp/out" "$tmp/err"
	fi
}

if [ "$(id -u)" != 0 ]; then
	echo '1..0 # SKIP needs root to record the whole machine'
	exit
fi
BUILD=$tmp DEMO_SECONDS=1 scripts/demo.sh >"$tmp/out" 2>"$tmp/err"
result 'the demo runs'
grep -q '^kymo record: [1-9][0-9]* samples, ' "$tmp/err"
result 'it has recorded samples'
grep -q "The flame graph:  $tmp/demo/flamegraph.svg" "$tmp/out" &&
	grep -q '<svg ' "$tmp/demo/flamegraph.svg" &&
	grep -q 'is_prime' "$tmp/demo/flamegraph.svg"
result 'the flame graph is where it says, and shows the load'

# The lines "  COMMAND   # what it does".
sed -n 's/^  \(.*[^ ]\)  *# .*/\1/p' "$tmp/out" >"$tmp/commands"
while read -r command; do
	name=$(echo "what to type next: ${command#"$KYMO "}" | sed "s|$tmp|TMP|g")
	($command) >"$tmp/out" 2>"$tmp/err" </dev/null && [ -s "$tmp/out" ]
	result "$name"
done <"$tmp/commands"
[ "$nr" -ge 8 ]
result 'and there is something to type'
echo "1..$nr"
