#!/usr/bin/env bash
# All tests, with what they need: HAProxy, curl, a C compiler for the race detector, a real
# Consul agent, which is built once into a cache directory, and a Docker Swarm of their own.
#
#   deploy/test.sh           the same as: deploy/test.sh all
#   deploy/test.sh lint      gofmt, go vet, staticcheck
#   deploy/test.sh unit      tests of all packages with the race detector
#   deploy/test.sh e2e       real processes: sluice, HAProxy, NATS, Consul
#   deploy/test.sh swarm     the image and deploy/stack.yml in a real Docker Swarm
#   deploy/test.sh versions  the tests that matter most with HAProxy 3.0 and 3.4
#   deploy/test.sh versions full       all tests of proxy and end to end with 3.0, 3.2 and 3.4
#   deploy/test.sh with BRANCH ARGS…   go test ARGS… with that HAProxy
#   deploy/test.sh bench     figures next to their targets, as a table at the end
#   deploy/test.sh vuln      known vulnerabilities in what is linked (needs the network)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/setup.sh
. deploy/setup.sh
# shellcheck source=deploy/docker.sh
. deploy/docker.sh

consul_version=v1.22.7
consul=$cache/consul-$consul_version
limit=40m # of the tests of one package: ends what hangs, not what a busy machine makes slow

# step HEADLINE COMMAND… runs it and says how long it took.
step() {
	local headline=$1 since=$SECONDS
	shift
	say ""
	say "=== $headline"
	"$@" || die "$headline: not passed after $((SECONDS - since)) s" "Run this step alone: deploy/test.sh $target"
	say "=== $headline: passed in $((SECONDS - since)) s"
}

tool() { go tool -modfile=deploy/tools/go.mod "$@"; }

check_format() {
	local files
	files=$(gofmt -l cmd crdt deploy events proxy)
	[ -z "$files" ] || { say "not formatted (gofmt -w repairs it):" "$files" && return 1; }
}

# build_consul leaves the agent in the cache; it is a module of its own, since Consul's
# requirements must not become the project's.
build_consul() {
	if [ ! -x "$consul" ]; then
		say "=== building Consul $consul_version (about 5 minutes, the first time only)"
		mkdir -p "${consul%/*}"
		(cd deploy/tools/consul && persist env CGO_ENABLED=0 go build -o "$consul.$$" github.com/hashicorp/consul)
		mv "$consul.$$" "$consul"
	fi
	export SLUICE_TEST_CONSUL=$consul
}

lint() {
	step "gofmt" check_format
	step "go vet" go vet ./...
	step "staticcheck" tool staticcheck ./...
}

unit() {
	local packages
	mapfile -t packages < <(go list ./... | grep -v -e '/deploy/e2e' -e '/events/sim$' -e '/proxy/haproxy$')
	# That one takes longest, so it begins. Three at once, since tests mostly wait for servers and programs.
	packages=(sluice/proxy/haproxy "${packages[@]}")
	step "unit tests with the race detector" go test -race -p 3 -timeout "$limit" "${packages[@]}"
	# One goroutine each: nothing to race, and four times as many seeds without the detector.
	step "simulation" go test -timeout "$limit" ./events/sim
}

e2e() { step "end-to-end tests" e2e_halves; }

# e2e_halves runs both halves of the alphabet side by side, since their tests mostly wait. The
# first is a shell of its own: of a mere pipe that has ended before, bash knows sed's status only.
e2e_halves() {
	local status=0
	(go test -count=1 -timeout "$limit" -v -run '^Test[A-M]' ./deploy/e2e 2>&1 | sed 's/^/A to M: /') &
	go test -count=1 -timeout "$limit" -v -skip '^Test[A-M]' ./deploy/e2e || status=1
	wait $! || status=1
	return $status
}

# swarm does not start the Swarm as a step: there, bash would go on after an error.
swarm() {
	local since=$SECONDS
	say "" && say "=== images and a Docker of our own"
	make_images
	say "=== images and a Docker of our own: ready in $((SECONDS - since)) s"
	SLUICE_TEST_DOCKER=$DOCKER_HOST step "a plain Docker host" go test -count=1 -timeout "$limit" ./events/swarm ./deploy/e2e/host
	start_swarm
	SLUICE_TEST_DOCKER=$DOCKER_HOST step "the watcher's Docker" go test -count=1 -timeout "$limit" ./events/swarm
	SLUICE_IMAGE=sluice:latest DEMO_IMAGE=sluice-demo:latest CONSUL_IMAGE=sluice-consul:latest step "the demo" deploy/demo.sh
	step "tests in the Swarm" go test -count=1 -timeout "$limit" -v ./deploy/e2e/swarm
	remove_docker
}

# about_haproxy are the end-to-end tests in which the version of HAProxy matters most. All cases
# of conformance take most of their time; between the installed version and 3.4, 3.0 goes without.
about_haproxy='TestLoadsCostNoRequest|TestRuntimeChangesCostNoRequest|TestWebSocketsSurvive|TestKilledHAProxyComesBack'

# with_haproxy BRANCH ARGUMENTS… is go test with another HAProxy than the installed one, which
# is fetched into the cache first and comes first in PATH.
with_haproxy() {
	local branch=$1 directory
	directory=$(deploy/haproxy.sh "$branch") || return
	shift
	"$directory/haproxy" -v | sed -n 1p # not head, which may leave before haproxy has told all
	PATH=$directory:$PATH go test -count=1 -timeout "$limit" "$@" 2>&1 | sed "s/^/$branch: /"
}

# versions tests the package that drives HAProxy with both at once, since it mostly waits; the
# end-to-end tests do not.
versions() {
	local branch
	for branch in 3.0 3.4; do # before two at once need them
		deploy/haproxy.sh "$branch" >/dev/null || exit
	done
	step "HAProxy 3.0 and 3.4: tests of proxy" xargs -P 2 -I '{}' deploy/test.sh with '{}' ./proxy/... < <(printf '%s\n' 3.0 3.4)
	step "HAProxy 3.0: end-to-end tests" with_haproxy 3.0 -run "^($about_haproxy)\$" ./deploy/e2e
	step "HAProxy 3.4: end-to-end tests" with_haproxy 3.4 -run "^($about_haproxy|TestConformance)\$" ./deploy/e2e
}

versions_full() {
	local branch
	for branch in 3.0 3.2 3.4; do
		step "HAProxy $branch: all tests" with_haproxy "$branch" -p 1 ./proxy/... ./deploy/e2e
	done
}

bench() { step "benchmarks" go test -run '^$' -bench . -benchtime 1x -timeout 60m ./deploy/e2e; }

prepare() {
	need_go
	need_packages haproxy=haproxy curl=curl gcc=gcc cc=libc6-dev ps=procps ss=iproute2
	build_consul
}

prepare_swarm() {
	need_go
	need_packages dockerd=docker.io iptables=iptables debootstrap=debootstrap unshare=util-linux ip=iproute2
	need_packages docker=docker-cli # part of docker.io on older systems
	need_packages docker-compose=docker-compose
	build_consul
}

prepare_bench() { need_go && need_packages haproxy=haproxy; }

target=${1:-all}
since=$SECONDS
# One after the other: && would let bash go on after an error within one of them.
case $target in
all) prepare; prepare_swarm; lint; unit; e2e; versions; swarm ;;
lint) need_go; lint ;;
unit) prepare; unit ;;
e2e) prepare; e2e ;;
versions) prepare; if [ "${2:-}" = full ]; then versions_full; else versions; fi ;;
with)
	[ $# -gt 2 ] || die "with what?" "deploy/test.sh with 3.4 ./proxy/..."
	prepare
	with_haproxy "${@:2}"
	exit
	;;
swarm) prepare_swarm; swarm ;;
bench) prepare_bench; bench ;;
vuln) need_go; step "govulncheck" tool govulncheck ./... ;;
*) die "no target \"$target\"" "Give one of: all lint unit e2e versions with swarm bench vuln" ;;
esac
say ""
say "deploy/test.sh $target: all passed in $((SECONDS - since)) s"
