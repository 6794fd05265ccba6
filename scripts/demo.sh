#!/bin/sh
# Records this machine for a few seconds under a small load and draws a flame
# graph of it.  `make demo` calls it with KYMO, BUILD and CC set.
set -eu

seconds=3
folder=$BUILD/demo
trace=$folder/trace.kymo
svg=$folder/flamegraph.svg
mkdir -p "$folder"
$CC -O1 -g -fno-omit-frame-pointer -fno-optimize-sibling-calls -pthread \
	-o "$folder/demo-load" scripts/demo-load.c

as_root=
whole_machine=-a
if [ "$(id -u)" != 0 ]; then
	if command -v sudo >/dev/null && sudo -v; then
		as_root=sudo
	else
		echo "demo: neither root nor sudo: recording the load alone"
		whole_machine=
	fi
fi

echo "recording this machine for $seconds seconds"
# shellcheck disable=SC2086
$as_root "$KYMO" record $whole_machine -F 999 -o "$trace" -- "$folder/demo-load" $seconds
[ -z "$as_root" ] || sudo chown "$(id -u):$(id -g)" "$trace"

"$KYMO" flamegraph -i "$trace" -o "$svg" --title 'kymo: make demo'
echo
"$KYMO" report -i "$trace" --by comm,symbol | head -n 15
cat <<END

The flame graph: $svg  (open it in any browser: search, click to zoom)
The trace:       $trace  (all that is needed, also on another machine)

What to type next:
  $KYMO report -i $trace              where the time goes
  $KYMO report -i $trace -g           and who called it
  $KYMO report -i $trace --by comm    by program
  $KYMO script -i $trace | head -n 30 sample by sample
  $KYMO info -i $trace                what is in the trace
  $KYMO help record               how to record something else
END
