#!/usr/bin/env bash
# One Sluice node with a demo backend, all of it on 127.0.0.1, state below .sluice/.
#
#   deploy/run.sh            builds and starts, prints what to try, Ctrl-C stops
#
# Ports, all changeable:   PORT=8080           the API
#                          DEFAULT_PORTS=8000,8443:ssl   where HAProxy takes traffic
#                          DEMO_PORT=8090      the demo backend
#                          NATS_PORT=4222      the event log, for NATS clients
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/setup.sh
. deploy/setup.sh

PORT=${PORT:-8080}
DEFAULT_PORTS=${DEFAULT_PORTS:-8000,8443:ssl}
DEMO_PORT=${DEMO_PORT:-8090}
NATS_PORT=${NATS_PORT:-4222}

state=$PWD/.sluice
api=http://127.0.0.1:$PORT
children=() # "name pid", in the order of their start
stopping=

# entry_ports prints the port numbers of DEFAULT_PORTS, one a line, "ssl" behind TLS ones.
entry_ports() {
	local items item
	IFS=, read -ra items <<<"$DEFAULT_PORTS"
	for item in "${items[@]}"; do
		item=${item%% *}
		case $item in
		*:ssl) item=${item%:ssl} && printf '%s ssl\n' "${item##*:}" ;;
		*) printf '%s\n' "${item##*:}" ;;
		esac
	done
}

# free_port VARIABLE PORT ends the script if something answers there already.
free_port() {
	[[ $2 =~ ^[0-9]{1,5}$ ]] && [ "$2" -ge 1 ] && [ "$2" -le 65535 ] ||
		die "$1: $2 is not a port" "Give a number from 1 to 65535."
	[[ " ${taken[*]-} " != *" $2 "* ]] || die "$1: port $2 is given twice" "Choose another one for $1."
	taken+=("$2")
	if (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then
		die "port $2 is in use by another program" "Stop that program, or choose another port: $1=… deploy/run.sh"
	fi
}

check_ports() {
	local taken=() port
	free_port PORT "$PORT"
	while read -r port _; do free_port DEFAULT_PORTS "$port"; done < <(entry_ports)
	free_port DEMO_PORT "$DEMO_PORT"
	free_port NATS_PORT "$NATS_PORT"
}

build() {
	say "building (the first time takes a few minutes)"
	CGO_ENABLED=0 go build -o "$state/bin/" ./cmd/sluice ./deploy/demo
}

# start NAME COMMAND… runs it in a session of its own, so that Ctrl-C reaches this script
# only, which then stops its children in order; they end with it if it is killed.
start() {
	local name=$1
	shift
	setsid setpriv --pdeathsig TERM "$@" >"$state/log/$name.log" 2>&1 9>&- </dev/null &
	children+=("$name $!")
}

start_all() {
	start demo env DEMO_PORT="$DEMO_PORT" "$state/bin/demo"
	start sluice env DEFAULT_PORTS="$DEFAULT_PORTS" "$state/bin/sluice" run \
		--name local --api-addr "127.0.0.1:$PORT" --bind-addr 127.0.0.1 \
		--data-dir "$state/data" --cfg-dir "$state/cfg" --certs-dir "$state/certs" \
		--errorfiles-dir "$state/errorfiles" --secrets-dir "$state/secrets" \
		--nats-listen "127.0.0.1:$NATS_PORT"
}

# check_children ends the script when one of them is gone.
check_children() {
	local child name pid
	for child in "${children[@]}"; do
		read -r name pid <<<"$child"
		if ! kill -0 "$pid" 2>/dev/null; then
			local code=0
			wait "$pid" || code=$?
			say "" && say "$name ended (exit code $code). The end of $state/log/$name.log:"
			tail -n 20 "$state/log/$name.log" | sed 's/^/  /'
			exit 1
		fi
	done
}

# stop_all asks the children to stop, the last started first, and waits for them. SIGINT
# spares Sluice the seconds of draining that SIGTERM would mean: nobody balances load here.
stop_all() {
	local i name pid n
	for ((i = ${#children[@]} - 1; i >= 0; i--)); do
		read -r name pid <<<"${children[i]}"
		kill -INT "$pid" 2>/dev/null || continue
		for ((n = 0; n < 300; n++)); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1 || true
		done
		if kill -KILL "$pid" 2>/dev/null; then say "$name did not stop within 30 s: killed"; fi
		wait "$pid" 2>/dev/null || true
	done
	children=()
}

on_exit() {
	local code=$?
	trap '' INT TERM HUP # one stop is enough, and it takes a moment
	if [ ${#children[@]} -gt 0 ]; then
		say "" && say "stopping"
		stop_all
		say "stopped; the state is kept in $state"
	fi
	if [ -n "$stopping" ]; then code=0; fi
	exit "$code"
}

wait_ready() {
	local n
	for ((n = 0; n < 120; n++)); do
		check_children
		if curl -fsS -o /dev/null --max-time 2 "$api/readyz" 2>/dev/null; then
			say "" && return
		fi
		printf '.'
		sleep 0.5
	done
	say "" && say "the end of $state/log/sluice.log:"
	tail -n 20 "$state/log/sluice.log" | sed 's/^/  /'
	die "the node was not ready within 60 s" "See the log above."
}

explain() {
	local http
	http=$(entry_ports | awk '$2 != "ssl" && !found++ { print $1 }')
	cat <<END

Sluice is running. Try, in another terminal:

  1. route /demo to the demo backend
     curl "$api/v1/docker-flow-proxy/reconfigure?serviceName=go-demo&servicePath=/demo&port=$DEMO_PORT&outboundHostname=127.0.0.1"

  2. send a request through the proxy
     curl "http://127.0.0.1:${http:-8000}/demo/hello"

  3. read the state back
     curl "$api/v1/services"

Logs: $state/log/   configuration of HAProxy: $state/cfg/haproxy.cfg
Ctrl-C stops everything; the next start has the same state.
END
}

main() {
	need_go
	need_packages haproxy=haproxy curl=curl
	umask 077
	mkdir -p "$state"/{bin,log,data,cfg,certs,errorfiles,secrets} && [ -w "$state/lock" -o ! -e "$state/lock" ] ||
		die "$state belongs to another user" "Start with sudo, as before, or: sudo chown -R $(id -un) $state"
	exec 9>"$state/lock"
	flock -n 9 || die "another deploy/run.sh is running in this checkout" "Stop it first (Ctrl-C in its terminal)."
	check_ports
	build
	trap on_exit EXIT
	trap 'stopping=1; exit' INT TERM HUP
	say "starting on 127.0.0.1: API $PORT, traffic $DEFAULT_PORTS, demo backend $DEMO_PORT, log $NATS_PORT"
	start_all
	wait_ready
	explain
	while true; do
		check_children
		wait -n || true # until a child ends; a signal is handled at once
	done
}

main
