#!/bin/bash
# What `kymo` says about itself, and how it refuses what it does not know.
set -u

nr=0
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# result NAME: of the command before.
result() {
	local status=$?

	nr=$((nr + 1))
	if [ $status = 0 ]; then
		echo "ok $nr - $1"
	else
		echo "not ok $nr - $1"
		sed 's/^/# stdout: /' "$tmp/out"
		sed 's/^/# stderr: /' "$tmp/err"
	fi
}

# run STATUS ARGS...: true if kymo leaves with that status.
run() {
	local expected=$1 status

	shift
	"$KYMO" "$@" >"$tmp/out" 2>"$tmp/err" </dev/null
	status=$?
	[ $status = "$expected" ] || { echo "# status $status, not $expected: kymo $*"; false; }
}

out_has() { grep -q -- "$1" "$tmp/out"; }
err_is() { [ "$(cat "$tmp/err")" = "$1" ]; }
quiet() { [ ! -s "$tmp/err" ]; }
one_line() { [ "$(wc -l <"$tmp/err")" = 1 ]; }

commands=$("$KYMO" help | sed -n 's/^  \([a-z]*\)  .*/\1/p')

run 0 --version && out_has "^kymo $(cat VERSION)" && out_has '^file format: 1, zstd ' && quiet
result 'version'
if [ "${RECORD:-1}" = 1 ]; then
	out_has '^recorder: yes, libbpf .* libelf '
else
	out_has '^recorder: no'
fi
result 'version tells of the recorder'
run 0 help && out_has '^  report ' && out_has '^usage: kymo COMMAND' && quiet
result 'help lists the commands'
cp "$tmp/out" "$tmp/overview"
run 0 --help && cmp -s "$tmp/out" "$tmp/overview"
result '--help is the same'
run 2 && cmp -s "$tmp/err" "$tmp/overview" && [ ! -s "$tmp/out" ]
result 'no command: the same on stderr, status 2'
run 2 reprot && err_is "kymo: no command 'reprot' (did you mean report?)"
result 'a mistyped command'
run 2 zzz && err_is "kymo: no command 'zzz' (see: kymo help)"
result 'an unknown command'
run 2 --frob && err_is "kymo: unknown option '--frob' (see: kymo help)"
result 'an unknown option before the command'
run 2 help fromat && one_line && grep -q 'did you mean format' "$tmp/err"
result 'help: a mistyped topic'
run 0 help format && out_has '^KYMO-FORMAT(5)' && ! out_has $'\b'
result 'help format: the page, without overstriking when not on a terminal'

for command in $commands; do
	run 0 "$command" --help && out_has "^usage: kymo $command " && quiet
	result "$command --help"
	run 2 "$command" --no-such-option && one_line &&
		grep -q "^kymo $command: unknown option '--no-such-option'" "$tmp/err"
	result "$command: an unknown option is status 2 and one line"
	run 0 help "$command" && out_has '^KYMO.*(1) ' && out_has '^NAME$' && quiet
	result "help $command"
done

for command in report script flamegraph hist info; do
	run 2 "$command" --time && one_line && grep -q 'option --time needs an argument' "$tmp/err"
	result "$command: an option without its argument"
	run 1 "$command" -i "$tmp/none.kymo" && one_line && grep -q "none.kymo" "$tmp/err"
	result "$command: no such file"
	echo 'this is no trace, but it is long enough to look at' >"$tmp/text"
	run 1 "$command" -i "$tmp/text" && one_line && grep -q "text" "$tmp/err"
	result "$command: not a kymo file"
	: >"$tmp/empty"
	run 1 "$command" -i "$tmp/empty" && one_line && grep -q "empty" "$tmp/err"
	result "$command: an empty file"
	run 2 "$command" surplus && one_line && grep -q "surplus" "$tmp/err"
	result "$command: a surplus argument"
done

"$KYMO" help >/dev/full 2>"$tmp/err"
[ $? = 1 ] && err_is 'kymo: cannot write standard output: No space left on device'
result 'a full disk behind stdout is told'
("$KYMO" help kymo; echo $? >"$tmp/status") 2>"$tmp/err" | true
[ ! -s "$tmp/err" ]
result 'a closed pipe is silent'
"$KYMO" help >&- 2>"$tmp/err" 3<&-
quiet
result 'stdout closed by the caller does no harm'

# script(1) gives it a terminal.
PAGER='sed s/^/paged:/' script -q -e -c "$KYMO help kymo" /dev/null >"$tmp/out" 2>"$tmp/err" </dev/null
out_has 'paged:'
result 'a terminal gets a pager'
KYMO_PAGER= script -q -e -c "$KYMO help kymo" /dev/null >"$tmp/out" 2>"$tmp/err" </dev/null
out_has '^NAME' && ! out_has $'\b'
result 'an empty KYMO_PAGER means none'

echo "1..$nr"
