#!/bin/sh
# Records this machine for a few seconds under a small load and draws a flame
# graph of it.  `make demo` calls it with KYMO, BUILD and CC set.
set -eu

seconds=${DEMO_SECONDS:-3}
folder=$BUILD/demo
trace=$folder/trace.kymo
svg=$folder/flamegraph.svg
mkdir -p "$folder"
# What only gives more names may be missing.
scripts/install-packages.sh scripts/packages/demo.txt ||
	echo "demo: going on without: some functions will have no name"
# Unoptimised: every function has a frame, and every caller is seen.
$CC -O0 -g -pthread -o "$folder/demo-load" scripts/demo-load.c

as_root=
whole_machine=-a
if [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null && sudo -v; then
		as_root=sudo
	else
		echo "demo: neither root nor sudo: the load alone, not this machine"
		whole_machine=
	fi
fi

echo "recording ${whole_machine:+this machine and }a small load for $seconds seconds"
# shellcheck disable=SC2086
$as_root "$KYMO" record $whole_machine -F 999 -o "$trace" -- "$folder/demo-load" $seconds
[ -z "$as_root" ] || sudo chown "$(id -u):$(id -g)" "$trace"

"$KYMO" flamegraph -i "$trace" -o "$svg" --title 'kymo: make demo'
echo
"$KYMO" report -i "$trace" --by comm,symbol --no-children --max-rows 10
echo
echo "The flame graph:  $svg  (open it in any browser; click to zoom, Ctrl-F to search)"
echo "The trace:        $trace  (all that is needed, also on another machine)"
echo
echo "What to type next:"
while IFS='|' read -r command what; do
	printf '  %-67s # %s\n' "$KYMO $command" "$what"
done <<END
report -i $trace|where the time goes
report -i $trace -g|and what was called there
report -i $trace --by comm|by program
script -i $trace|sample by sample
info -i $trace|what is in the trace
help record|how to record something else
END
