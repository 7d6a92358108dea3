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
trap clean_up EXIT

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
	have_postgres || install postgresql postgresql-contrib || true
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
	find_program mailpit ANDON_MAILPIT github.com/axllent/mailpit@latest
	find_program alertmanager ANDON_ALERTMANAGER github.com/prometheus/alertmanager/cmd/alertmanager@v0.31.1
	for program in redis-server sqlite3 patch zstd git; do
		command -v "$program" >/dev/null || install "$program" || missing "$program (apt-get install $program)"
	done
	# Isolation is tried in network namespaces, the console in a browser.
	command -v ip >/dev/null || install iproute2 || missing "ip (apt-get install iproute2)"
	command -v iptables >/dev/null || install iptables || missing "iptables (apt-get install iptables)"
	command -v nft >/dev/null || [ -x /usr/sbin/nft ] || install nftables || missing "nft (apt-get install nftables)"
	command -v promtool >/dev/null || install prometheus || missing "promtool (apt-get install prometheus)"
	command -v chromium >/dev/null || install chromium fonts-dejavu-core || missing "chromium (apt-get install chromium)"
	find_docker
}

# find_program NAME VARIABLE MODULE: finds or installs a server that tests start, and tells
# them by a variable where it is.
find_program() {
	local name=$1 variable=$2 module=$3 cache=${XDG_CACHE_HOME:-$HOME/.cache}/andon path
	path=$(command -v "$name") || path=$cache/$name
	[ -x "$path" ] || GOBIN=$cache timeout 900 go install "$module" >"$work/$name.log" 2>&1 || tail -n 5 "$work/$name.log"
	if [ -x "$path" ]; then
		export "$variable=$path"
		echo "$name: $path"
	else
		missing "$name (go install $module)"
	fi
}

# find_docker finds the engine, or starts one of Debian's that ends with this script.
find_docker() {
	docker_answers || start_docker || true
	if ! docker_answers; then
		missing "a Docker Engine that answers (apt-get install docker.io)"
		return 0
	fi
	echo "Docker Engine: $(timeout 20 docker version --format '{{.Server.Version}}')"
	docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null || install docker-compose ||
		missing "docker compose (apt-get install docker-compose)"
}

docker_answers() { command -v docker >/dev/null && timeout 20 docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# start_docker starts an engine whose files are all below $work.
start_docker() {
	[ "$(id -u)" = 0 ] || return 1
	command -v dockerd >/dev/null || install docker.io || return 1
	local dir=$work/docker
	mkdir -p "$dir"
	echo '{}' >"$dir/config.json" # not the machine's own
	dockerd --config-file "$dir/config.json" --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/pid" --host "unix://$dir/sock" \
		--storage-driver vfs --bridge none --iptables=false >"$dir/log" 2>&1 &
	docker_pid=$!
	export DOCKER_HOST=unix://$dir/sock
	for _ in $(seq 60); do
		docker_answers && return 0
		kill -0 "$docker_pid" 2>/dev/null || break
		sleep 1
	done
	echo "no engine could be started:"
	tail -n 5 "$dir/log"
	unset DOCKER_HOST
	return 1
}

# clean_up ends what was started and removes what was made.
clean_up() {
	if [ -n "${docker_pid:-}" ]; then
		kill "$docker_pid" 2>/dev/null
		wait "$docker_pid" 2>/dev/null
	fi
	rm -rf "$work"
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
