#!/bin/bash
# Spans made of raw records give the answer of spans that were recorded as such, in
# every view: generated files hold the same reads and block I/O in both forms.
spangen=$BUILD/tests/spangen
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
read='syscalls:sys_enter_read..syscalls:sys_exit_read as read'
io='block:block_rq_issue..block:block_rq_complete@dev,sector as blockio'
n=0

result() { # status name
	n=$((n + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		sed 's/^/# /' problem | cut -c 1-200 | head -20
	fi
}

same() { # name one other
	diff -a "$2" "$3" >problem 2>&1
	result $? "$1"
}

has() { # name file pattern
	grep -Eq -- "$3" "$2"
	local status=$?
	[ $status -eq 0 ] || head -5 "$2" >problem
	result $status "$1"
}

answer() { # file args: output, then what was said
	local file=$1
	shift
	"$KYMO" "$@" -i "$file" >out 2>err
	echo "status $?" >>out
	sed 's/, [0-9.]* % of frames.*//' err >>out
	# What could not be paired when recording is known by the second, and of no CPU.
	case " $* " in
	*' --time '* | *' -C '*) sed -Ei 's/, [0-9,]+ (ends|starts) without an? (start|end)//g' out ;;
	esac
}

# One question to both files; -e names the events in a way that each understands.
ask() { # name args
	local name=$1
	shift
	answer spans.kymo "$@" -e read -e blockio
	mv out recorded
	answer raw.kymo "$@" -e "$read" -e "$io"
	mv out made
	same "$name" recorded made
	[ -s recorded ] || result 1 "$name: there is an answer"
}

"$spangen" 30000 spans.kymo --miss 100 --stacks --seed 5 || exit 1
"$spangen" 30000 raw.kymo --miss 100 --stacks --seed 5 --as raw || exit 1
"$spangen" 30000 both.kymo --miss 100 --stacks --seed 5 --as both || exit 1
"$spangen" 30000 tallies.kymo --miss 100 --seed 5 --as tallies || exit 1

ask 'script prints the same' script
ask 'script --json' script --json
ask 'a time range, with starts before it' script --time 5000.1,5000.2 --ns
ask 'from a time on' script --time +0.3,
ask 'one process' script --pid 1008
ask 'a thread by its name' script --comm cron
ask 'one CPU' script -C 2
ask 'a filter of the duration' script --filter 'duration > 1ms'
ask 'a filter of both sides' script --filter 'count >= 4096 && ret < 0'
ask 'the slowest' script --slowest 20
ask 'report' report --by comm
ask 'report of functions' report
ask 'folded stacks' flamegraph --folded
if "$KYMO" help hist >/dev/null 2>&1; then
	ask 'histograms' hist --by comm
	ask 'histograms by second' hist --every 1s
fi

"$KYMO" script -i raw.kymo -e "$read,$io" >file 2>file.err
"$KYMO" script -i - -e "$read,$io" <raw.kymo >pipe 2>pipe.err
cat file.err >>file
cat pipe.err >>pipe
same 'a pipe gives the same' file pipe
has 'what has no partner is told' file.err 'ends without a start, [0-9]+ starts without an end'

"$KYMO" script -i both.kymo -e read -G --json 2>/dev/null >recorded
"$KYMO" script -i both.kymo -e "${read% as*} as read" -G --json 2>/dev/null >made
same 'in one file with those that were recorded' recorded made
"$KYMO" script -i both.kymo -e "${read/as read/as derived},read,syscalls:*" -G \
	-F time,event --csv 2>/dev/null >all
sed 1d all | cut -d , -f 1 >times
sort -n times >sorted
same 'mixed with others, all come in the order of their times' sorted times
[ "$(grep -c ',derived$' all)" -gt 1000 ] &&
	[ "$(grep -c ',derived$' all)" -eq "$(grep -c ',read$' all)" ]
result $? 'both are there, and as many'

answer both.kymo script -e "$read" -e 'blockio,block:*' --limit 5000
grep -Eo ' [a-z_:]+\(' out | sort -u >events
printf ' block:block_rq_complete(\n block:block_rq_issue(\n blockio(\n read(\n' >expected
same 'only what is asked for is printed' expected events

# Words that cannot be understood.
refuse() { # pattern spec
	"$KYMO" script -i raw.kymo -e "$2" >/dev/null 2>said
	local status=$?
	[ $status -ne 0 ] && grep -q -- "$1" said
	local ok=$?
	cp said problem
	result $ok "refused: $2"
}
refuse "no event 'nothing' in the trace" 'block:block_rq_issue..nothing'
refuse "are 2 events of the trace" 'block:*..block:block_rq_complete'
refuse "'devs' of event 'block:block_rq_issue' cannot be a key of a span (these can: pid, tid, uid, comm, cgroup, cpu, dev," 'block:block_rq_issue..block:block_rq_complete@devs'
refuse 'one is text, the other a number' 'block:block_rq_issue..block:block_rq_complete@rwbs=dev'
refuse 'lacks the name of a key' 'block:block_rq_issue..block:block_rq_complete@'
"$KYMO" script -i raw.kymo -e 'block:*' --slowest 3 >/dev/null 2>said
has 'nothing is slowest without durations' said 'no record has a duration'
"$KYMO" script -i - -e 'block:block_rq_issue..nothing' <raw.kymo >/dev/null 2>said
has 'a pipe without the event' said "no event 'nothing' in the trace"

# Tallies have no task, but keys.
answer tallies.kymo script --comm cron --json
has 'hits are called so' out '^kymo script: [0-9,]+ hits, 0 lost'
sed '/^{/!d; s/.*"comm":"\([a-z]*\)".*/\1/' out | sort -u >comms
echo cron >expected
same 'a tally is chosen by its comm' expected comms
"$KYMO" script -i tallies.kymo --pid 5 >/dev/null 2>said
has 'what a tally does not tell is no choice' said 'cannot be chosen by pid'
"$KYMO" script -i tallies.kymo --filter 'uid == 0' >/dev/null 2>said
has '... nor a filter' said "no field 'uid'"

# The same in memory that does not grow.
"$spangen" 400000 - --as raw --cpus 16 --tasks 4000 >large.kymo
"$KYMO" script -i large.kymo -e "$read" -G --slowest 3 >first 2>first.err
# A sanitizer needs address space of its own.
([ -n "$SAN" ] || ulimit -v 300000; "$KYMO" script -i large.kymo -e "$read" -G --slowest 3) \
	>second 2>second.err
same 'many threads in bounded memory' first second

echo "1..$n"
