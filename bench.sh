#!/usr/bin/env bash
# What takes longer than ./test.sh: planted bugs, kills at random instants, benchmarks,
# and the peers beside our gate. Exits 0 only if every bug was caught, every campaign
# held and every benchmark ran.
#
#   ./bench.sh                      all of it
#   ./bench.sh mutants kills        some of it: mutants, kills, fleets, benchmarks, peers
#   ANDON_MUTANTS=safety_ ./bench.sh mutants      the planted bugs with such names
set -uo pipefail
cd "$(dirname "$0")" || exit 2

started=$SECONDS
failed=()

# The servers that ./test.sh has installed, which some planted bugs and benchmarks need.
for program in mailpit alertmanager; do
	path=${XDG_CACHE_HOME:-$HOME/.cache}/andon/$program
	[ ! -x "$path" ] || export "ANDON_${program^^}=$path"
done

# part NAME TITLE COMMAND...
part() {
	local name=$1 title=$2
	shift 2
	[[ " $wanted " == *" $name "* ]] || return 0
	printf '\n== %s (%d s)\n' "$title" "$((SECONDS - started))"
	"$@" || { printf -- '-- FAILED: %s\n' "$title"; failed+=("$title"); }
}

mutants() {
	ANDON_MUTANTS=${ANDON_MUTANTS:-1} go test ./internal/mutants -run EveryMutantIsKilled -count=1 -v -timeout 2h | grep -v '^=== '
}

# packages_with FUNCTION-PREFIX...: the packages whose tests have such a call or function.
packages_with() {
	grep -rlE "$1" --include='*_test.go' --exclude-dir=bench . | xargs -rn1 dirname | sort -u
}

# Packages one after another, so that none steals the other's processor.
kills() {
	local dir names status=0
	for dir in $(packages_with 'crashtest\.RunRandom\(' | grep -v '^./internal/crashtest$'); do
		names=$(awk '/^func Test/ { sub(/^func /, ""); sub(/\(.*/, ""); name = $0 } /crashtest\.RunRandom\(/ { print name }' "$dir"/*_test.go | sort -u | paste -sd '|')
		echo "$dir: ${ANDON_KILLS:-1000} kills in each of $names"
		ANDON_KILLS=${ANDON_KILLS:-1000} go test "$dir" -run "^($names)\$" -count=1 -timeout 1h || status=1
	done
	return $status
}

# Random fleets in one process, and fleets of processes on real servers.
fleets() {
	local status=0
	ANDON_RUNS=${ANDON_RUNS:-2000} go test ./safety/fleet -run RandomFleets -count=1 -timeout 1h || status=1
	ANDON_DRILLS=${ANDON_DRILLS:-100} go test ./safety/fleet/pgfleet -run InAFleetOfProcesses -count=1 -timeout 1h || status=1
	(cd safety/fleet/etcdfleet && ANDON_DRILLS=${ANDON_DRILLS:-100} go test . -run InAFleetOfProcesses -count=1 -timeout 1h) || status=1
	return $status
}

# pgbackup's are of five million trades, about 1 GB, unless ANDON_TRADES says otherwise.
benchmarks() {
	local status=0
	# shellcheck disable=SC2046 # a list of folders without spaces
	ANDON_TRADES=${ANDON_TRADES:-5000000} go test -run '^$' -bench . -benchmem -p 1 -timeout 2h $(packages_with '^func Benchmark' | grep -v '^./safety/fleet/etcdfleet$') || status=1
	(cd safety/fleet/etcdfleet && go test -run '^$' -bench . -benchmem -timeout 1h .) || status=1
	return $status
}

peers() { (cd internal/bench && go test -run '^$' -bench . -benchmem -timeout 1h ./...); }

wanted=${*:-mutants kills fleets benchmarks peers}
for w in $wanted; do
	case $w in
	mutants | kills | fleets | benchmarks | peers) ;;
	*)
		echo "bench.sh: unknown part \"$w\", want mutants, kills, fleets, benchmarks or peers" >&2
		exit 2
		;;
	esac
done

part mutants "planted bugs, each of which its test must catch" mutants
part kills "kills at random instants" kills
part fleets "fleets, each judged for linearizability" fleets
part benchmarks "benchmarks" benchmarks
part peers "peers beside our gate, in one run" peers

printf '\n== result (%d s)\n' "$((SECONDS - started))"
if [ ${#failed[@]} -gt 0 ]; then
	printf 'FAILED: %s\n' "${failed[@]}"
	exit 1
fi
echo "all of it held"
