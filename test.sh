#!/usr/bin/env bash
# Everything that must hold before a change goes in. Sets up what it needs itself on
# Debian and Ubuntu (as root; otherwise it says what is missing), runs every check even
# when one fails, and exits 0 only if all of them passed.
#
#   ./test.sh              on a developer's machine: tests name what they skip
#   CI=true ./test.sh      a missing server or tool is a failure (.ci/run)
set -uo pipefail
cd "$(dirname "$0")" || exit 2

started=$SECONDS
failed=()
work=$(mktemp -d "${TMPDIR:-/tmp}/andon-test.XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT

say() { printf '\n== %s (%d s)\n' "$*" "$((SECONDS - started))"; }

# section NAME COMMAND...: runs one check and remembers its failure.
section() {
	local name=$1
	shift
	say "$name"
	"$@" || { printf -- '-- FAILED: %s\n' "$name"; failed+=("$name"); }
}

# missing WHAT: a failure under CI=true, else only said.
missing() {
	printf 'missing: %s\n' "$*"
	[ "${CI:-}" != true ] || failed+=("set-up: $*")
}

# install PACKAGE...: by apt, where that is possible.
install() {
	[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
	printf 'installing %s\n' "$*"
	{
		[ -n "${apt_updated:-}" ] || timeout 300 apt-get update -qq
		apt_updated=1
		DEBIAN_FRONTEND=noninteractive timeout 600 apt-get install -y -qq --no-install-recommends "$@"
	} >"$work/apt.log" 2>&1 || { tail -n 20 "$work/apt.log"; return 1; }
}

have_postgres() { command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }

set_up() {
	if ! command -v go >/dev/null; then
		echo "missing: Go 1.26 or newer (https://go.dev/dl)"
		exit 2
	fi
	go version
	have_postgres || install postgresql || true
	if have_postgres; then
		echo "PostgreSQL: $(command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' | tail -n 1)"
	else
		missing "PostgreSQL (apt-get install postgresql)"
	fi
	command -v gcc >/dev/null || install gcc libc6-dev || true
	if command -v gcc >/dev/null; then
		race=(-race)
	else
		missing "gcc, without which go test has no -race (apt-get install gcc libc6-dev)"
	fi
	find_mailpit
	if command -v docker >/dev/null && docker=$(timeout 20 docker version --format '{{.Server.Version}}' 2>/dev/null); then
		echo "Docker Engine: $docker"
	else
		echo "Docker Engine: none answers; nothing here needs one yet"
	fi
}

# find_mailpit finds or installs the mail server that e-mail is tried on.
find_mailpit() {
	local cache=${XDG_CACHE_HOME:-$HOME/.cache}/andon
	ANDON_MAILPIT=$(command -v mailpit) || ANDON_MAILPIT=$cache/mailpit
	[ -x "$ANDON_MAILPIT" ] || GOBIN=$cache timeout 600 go install github.com/axllent/mailpit@latest >"$work/mailpit.log" 2>&1 || tail -n 5 "$work/mailpit.log"
	if [ -x "$ANDON_MAILPIT" ]; then
		export ANDON_MAILPIT
		echo "mailpit: $ANDON_MAILPIT"
	else
		unset ANDON_MAILPIT
		missing "mailpit (go install github.com/axllent/mailpit@latest)"
	fi
}

# modules prints the folder of every module of the tree.
modules() { find . -name go.mod -not -path '*/testdata/*' -not -path '*/.*/*' -exec dirname {} \; | sort; }

# in_each COMMAND...: runs a command in every module that has packages.
in_each() {
	local dir status=0
	while read -r dir; do
		[ -n "$(cd "$dir" && go list ./... 2>/dev/null)" ] || [ "$dir" = . ] || continue
		[ "$dir" = . ] || printf '   module %s\n' "$dir"
		(cd "$dir" && "$@") || status=1
	done < <(modules)
	return $status
}

formatted() {
	local files
	files=$(gofmt -l .) || return 1
	[ -z "$files" ] || { printf 'not formatted (gofmt -w):\n%s\n' "$files"; return 1; }
}

static() {
	local bin=$work/staticcheck
	go build -modfile=internal/tools/go.mod -o "$bin" honnef.co/go/tools/cmd/staticcheck || return 1
	in_each "$bin" ./...
}

# paperbot NAME ARGS...: the example, piped, with everything it writes in a folder of that name.
paperbot() {
	local name=$1
	shift
	timeout 180 go run ./examples/paperbot -dir "$work/$name" "$@" 2>&1 | cat # pipefail keeps the bot's own status
}

main_job() { paperbot incident -operator test -window 1s; }

recorded_data() {
	local data=${ANDON_TEST_DATA:-../shared/data}/coinbase
	if [ ! -d "$data" ]; then
		missing "the recorded data, in ../shared/data or in the folder that ANDON_TEST_DATA names"
		return 0
	fi
	paperbot recorded -fills "$data/fills-pages.json" -orders "$data/orders-pages.json" &&
		paperbot corrupted -fills "$data/fills-pages.json" -orders "$data/orders-pages.json" -corrupt 3 -operator test
}

race=()
say "set-up"
set_up
section "gofmt" formatted
section "go vet" in_each go vet ./...
section "go fix" in_each go fix -diff ./...
section "staticcheck" static
section "tests" in_each go test ${race[@]+"${race[@]}"} -shuffle=on -timeout 15m ./...
section "the main job: a bot lives through an incident" main_job
section "the main job on recorded data" recorded_data

say "result"
if [ ${#failed[@]} -gt 0 ]; then
	printf 'FAILED: %s\n' "${failed[@]}"
	exit 1
fi
echo "all checks passed"
