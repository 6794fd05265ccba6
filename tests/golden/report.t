#!/bin/bash
# What report and info print of the golden trace, from the file and from a pipe.
# A case is one line of report/cases: a name and the arguments; what is expected
# stands in report/NAME.out.  GOLDEN_WRITE=1 writes these files anew.
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
		sed 's/^/# /' "$scratch/diff" | head -20
	fi
}

same() { # name expected got
	cmp -s "$2" "$3"
	local status=$?
	[ $status -eq 0 ] || diff "$2" "$3" >"$scratch/diff"
	result $status "$1"
}

# Standard output, then the exit status and what was said on standard error.
answer() {
	"$KYMO" "$@" >"$scratch/out" 2>"$scratch/err"
	local status=$?
	cat "$scratch/out"
	echo "-- exit status $status"
	cat "$scratch/err"
}

while read -r name args; do
	case $name in '' | '#'*) continue ;; esac
	eval "set -- $args"
	if [ -n "$GOLDEN_WRITE" ]; then
		answer "$@" -i $trace >"report/$name.out"
	fi
	answer "$@" -i $trace >"$scratch/got"
	same "$name" "report/$name.out" "$scratch/got"
	case $name in *-file) continue ;; esac
	answer "$@" -i - <$trace >"$scratch/got"
	same "$name, from a pipe" "report/$name.out" "$scratch/got"
done <report/cases

# A file that was cut is told of, and what is left is shown.
head -c 8000 $trace >"$scratch/cut.kymo"
answer report -i "$scratch/cut.kymo" >"$scratch/cut"
answer report -i - <"$scratch/cut.kymo" >"$scratch/piped"
same "a cut file reads the same from a pipe" "$scratch/cut" "$scratch/piped"
grep -q -- '-- exit status 3' "$scratch/cut" && grep -q 'kymo report: .*the file is cut' "$scratch/cut"
result $? "a cut file is told of"

for what in missing empty text; do
	case $what in
	missing) file=$scratch/none.kymo want="cannot open.*record one with" ;;
	empty) file=$scratch/empty.kymo want="empty"; : >"$file" ;;
	text) file=report/cases want="not a kymo trace" ;;
	esac
	answer report -i "$file" >"$scratch/diff"
	grep -q -- '-- exit status 1' "$scratch/diff" && tail -n +2 "$scratch/diff" | grep -q "$want" &&
		[ "$(wc -l <"$scratch/diff")" -eq 2 ]
	result $? "one line about a file that is $what"
done
echo "1..$n"
