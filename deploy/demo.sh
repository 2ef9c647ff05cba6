#!/usr/bin/env bash
# The whole story on the Docker of this machine: a stack of three proxies, one change that
# reaches all of them, more proxies, lost proxies, a lost log, labels. Everything it starts has a
# name of its own and is removed at the end; it does not begin if one of these names is taken.
#
#   deploy/demo.sh            builds the images, plays, tidies up (about five minutes)
#   deploy/demo.sh --keep     leaves the stack running
#   deploy/demo.sh --remove   removes what --keep left
#
# SLUICE_IMAGE, DEMO_IMAGE    images that are there already, instead of building them
# CONSUL_IMAGE                Consul's, hashicorp/consul:1.22 if not given
# No port of the machine is used: a container on the stack's network asks, as CI would.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/setup.sh
. deploy/setup.sh

stack=sluice-demo
client=$stack-client
services=(go-demo shop)
volumes=("${stack}_broker" "${stack}_consul")
secrets=("${stack}_tokens" "${stack}_watch_token" "${stack}_nats_token" "${stack}_cluster_key")
keep=
ours= # the names above are free or the demo's
made_swarm=
api=/v1/docker-flow-proxy

title() { say "" && say "== $*"; }
show() { say "   $*"; }

# quietly COMMAND… shows what the command says only if it does not work.
quietly() {
	local out
	out=$("$@" 2>&1) || die "this did not work: $*" "$out"
}

# await SECONDS WHAT COMMAND… repeats the command until it works.
await() {
	local seconds=$1 what=$2 since=$SECONDS
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ $((SECONDS - since)) -lt "$seconds" ] || die "$what: not within $seconds s" "Look at: docker service ps ${stack}_proxy; docker service logs ${stack}_proxy"
		sleep 0.5
	done
	show "$what (after $((SECONDS - since)) s)"
}

# ask HOST PORT PATH is what curl would print, from a container on the network of the proxies.
# shellcheck disable=SC2016  # the container's shell expands it
ask() {
	docker exec -e TOKEN="$token" "$client" bash -c '
		exec 3<>"/dev/tcp/$0/$1"
		printf "GET %s HTTP/1.0\r\nHost: $0\r\nAuthorization: Bearer $TOKEN\r\n\r\n" "$2" >&3
		while IFS= read -r line <&3; do line=${line%$'"'\r'"'}; [ -n "$line" ] || break; done
		cat <&3' "$@"
}

# addresses are those of the proxies that take traffic.
addresses() { docker exec "$client" getent ahostsv4 tasks.proxy | awk '{ print $1 }' | sort -u; }

proxies() { docker ps -q --filter "label=com.docker.swarm.service.name=${stack}_proxy" --filter health=healthy; }

are_healthy() { [ "$(proxies | wc -l)" -eq "$1" ] && [ "$(addresses | wc -l)" -eq "$1" ]; }

# all_answer PATH WANT is true if every proxy answers so. Grep reads to the end: nobody is to die of
# a reader that leaves early.
all_answer() {
	local address
	for address in $(addresses); do ask "$address" 80 "$1" | grep "$2" >/dev/null || return 1; done
}

# same_config is true if all proxies have one configuration.
same_config() { [ "$(for c in $(proxies); do docker exec "$c" cat /cfg/haproxy.cfg | cksum; done | sort -u | wc -l)" -eq 1 ]; }

tidy() {
	local code=$?
	trap '' INT TERM EXIT
	if [ -n "$keep" ] && [ $code -eq 0 ]; then
		say "" && say "The stack is left running. To remove it: deploy/demo.sh --remove"
		exit 0
	fi
	[ -z "$ours" ] || remove
	[ -z "$made_swarm" ] || docker swarm leave --force >/dev/null 2>&1 || true
	exit $code
}

remove() {
	title "tidying up"
	docker rm -f "$client" >/dev/null 2>&1 || true
	# By label: the names may be somebody else's by now.
	docker service ls -q --filter label=$stack | xargs -r docker service rm >/dev/null 2>&1 || true
	docker stack rm $stack >/dev/null 2>&1 || true
	gone
	docker volume rm "${volumes[@]}" >/dev/null 2>&1 || true
	docker secret rm "${secrets[@]}" >/dev/null 2>&1 || true
}

# gone waits until no container of the stack is left: volumes and networks in use stay.
gone() {
	local n
	for ((n = 0; n < 120; n++)); do
		[ -n "$(docker ps -aq --filter "label=com.docker.stack.namespace=$stack")$(docker network ls -q --filter "label=com.docker.stack.namespace=$stack")" ] || return 0
		sleep 0.5
	done
}

check_docker() {
	docker version >/dev/null 2>&1 || die "no Docker answers" "Install and start it: apt-get install docker.io"
	if [ "$(docker info -f '{{.Swarm.LocalNodeState}}')" = inactive ]; then
		docker swarm init --advertise-addr 127.0.0.1 >/dev/null
		made_swarm=1
	fi
	[ "$(docker info -f '{{.Swarm.ControlAvailable}}')" = true ] || die "this node is no manager of its Swarm" "Run the demo on a manager."
}

# check_names makes sure that nothing of somebody else's is disturbed or removed.
check_names() {
	local name
	for name in "${services[@]}"; do is_free service "$name"; done
	for name in "${volumes[@]}"; do is_free volume "$name"; done
	for name in "${secrets[@]}"; do is_free secret "$name"; done
	is_free container "$client"
	is_free network "${stack}_proxy"
	ours=1
}

# is_free KIND NAME
is_free() {
	if docker "$1" inspect "$2" >/dev/null 2>&1; then
		die "there is a $1 called $2 already" "If deploy/demo.sh --keep left it: deploy/demo.sh --remove" \
			"Else run the demo on another Docker: it would take the $1 for its own."
	fi
}

build_images() {
	title "images"
	if [ -z "${SLUICE_IMAGE:-}" ]; then
		export SLUICE_IMAGE=sluice:latest
		show "docker build -t sluice . (a few minutes)"
		quietly docker build -q -t sluice .
	fi
	if [ -z "${DEMO_IMAGE:-}" ]; then
		DEMO_IMAGE=go-demo:latest
		show "docker build -t go-demo -f deploy/demo/Dockerfile ."
		quietly docker build -q -t go-demo -f deploy/demo/Dockerfile .
	fi
}

make_secrets() {
	local watch=$1
	printf 'demo:%s\nwatch:%s\n' "$token" "$watch" | docker secret create "${secrets[0]}" - >/dev/null
	printf '%s' "$watch" | docker secret create "${secrets[1]}" - >/dev/null
	random | docker secret create "${secrets[2]}" - >/dev/null
	random | docker secret create "${secrets[3]}" - >/dev/null
}

random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

deploy_stack() {
	title "a stack of three proxies, their log, Consul and the watcher of labels"
	show "docker stack deploy -c deploy/stack.yml -c deploy/stack.consul.yml $stack"
	make_secrets "$(random)"
	local socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
	HTTP_PORT=0 HTTPS_PORT=0 PUBLISH_MODE=host DOCKER_SOCKET=${socket#unix://} quietly docker stack deploy --resolve-image never \
		-c deploy/stack.yml -c deploy/stack.consul.yml -c deploy/e2e/swarm/override.yml -c deploy/demo/stack.yml $stack
	docker service create -d --no-resolve-image --name go-demo --label $stack= --network ${stack}_proxy --endpoint-mode dnsrr "$DEMO_IMAGE" >/dev/null
	docker run -d --name $client --network ${stack}_proxy --entrypoint sleep "$SLUICE_IMAGE" infinity >/dev/null
	docker network connect ${stack}_control "$client"
	await 300 "three proxies are ready" are_healthy 3
}

one_change() {
	local path="$api/reconfigure?serviceName=go-demo&servicePath=/demo&port=8080&distribute=true"
	title "one change, sent to any proxy, is live on all of them when it is answered"
	show "curl \"http://proxy:8080$path\""
	show "$(ask proxy 8080 "$path" | cut -c 1-90)…"
	await 30 "/demo/hello through every proxy" all_answer /demo/hello "hello from go-demo"
	show "curl http://consul:8500/v1/kv/docker-flow?recurse"
	await 60 "Consul has docker-flow/go-demo/path and docker-flow/go-demo/port" in_consul
}

in_consul() {
	local keys
	keys=$(ask consul 8500 "/v1/kv/docker-flow?keys")
	grep -q docker-flow/go-demo/path <<<"$keys" && grep -q docker-flow/go-demo/port <<<"$keys"
}

more_proxies() {
	title "six proxies: the new ones have the state before they take traffic"
	show "docker service scale ${stack}_proxy=6"
	docker service scale -d ${stack}_proxy=6 >/dev/null
	await 300 "six proxies are ready" are_healthy 6
	show "docker exec <the sixth> cat /cfg/haproxy.cfg:"
	docker exec "$(proxies | sed -n 1p)" cat /cfg/haproxy.cfg | grep -E '^frontend services|^backend go-demo-be8080_0|server go-demo go-demo:8080' | sed 's/^/      /'
	await 60 "all six have the same file" same_config
}

lost_proxy() {
	title "a proxy is lost: its replacement has the same configuration"
	show "docker rm -f <one proxy>"
	docker rm -f "$(proxies | sed -n 1p)" >/dev/null
	await 300 "six proxies again" are_healthy 6
	await 60 "all six have the same file" same_config
}

lost_broker() {
	title "the log is lost for good: the proxies serve on, and write what they hold into a new one"
	show "docker service scale ${stack}_broker=0; docker volume rm ${stack}_broker; docker service scale ${stack}_broker=1"
	docker service scale -d ${stack}_broker=0 >/dev/null
	await 120 "no broker" no_broker
	all_answer /demo/hello "hello from go-demo" || die "a proxy does not serve without the log" "docker service logs ${stack}_proxy"
	show "every proxy serves without it"
	docker ps -aq --filter "label=com.docker.swarm.service.name=${stack}_broker" | xargs -r docker rm >/dev/null
	docker volume rm ${stack}_broker >/dev/null
	docker service scale -d ${stack}_broker=1 >/dev/null
	await 300 "a change is taken again, and live on all" changed
	await 30 "/demo/hello through every proxy" all_answer /demo/hello "hello from go-demo"
}

no_broker() { [ -z "$(docker ps -q --filter "label=com.docker.swarm.service.name=${stack}_broker")" ]; }

changed() { ask proxy 8080 "$api/reconfigure?serviceName=again&servicePath=/again&port=8080&outboundHostname=go-demo&distribute=true" | grep '"Status":"OK"' >/dev/null; }

labels() {
	title "a service with labels needs no request at all"
	show "docker service create --name shop --network proxy --label com.df.notify=true --label com.df.servicePath=/shop --label com.df.port=8080 …"
	docker service create -d --no-resolve-image --name shop --label $stack= --network ${stack}_proxy --endpoint-mode dnsrr --label com.df.notify=true \
		--label com.df.servicePath=/shop --label com.df.port=8080 "$DEMO_IMAGE" >/dev/null
	await 120 "/shop/hello through every proxy" all_answer /shop/hello "hello from go-demo"
	show "docker service rm shop"
	docker service rm shop >/dev/null
	await 60 "/shop/hello is gone from every proxy" all_answer /shop/hello "503 Service Unavailable"
}

main() {
	case ${1:-} in
	--keep) keep=1 ;;
	--remove) remove && exit ;;
	"") ;;
	*) die "$1: not known" "deploy/demo.sh [--keep|--remove]" ;;
	esac
	need_packages docker=docker.io
	token=$(random)
	trap tidy EXIT
	trap 'exit 130' INT TERM
	check_docker
	check_names
	build_images
	deploy_stack
	one_change
	more_proxies
	lost_proxy
	lost_broker
	labels
	say "" && say "deploy/demo.sh: all of it worked, in $SECONDS s"
}

main "$@"
