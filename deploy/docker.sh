# shellcheck shell=bash
# A Docker of the tests' own, and the base images that the Dockerfile names, made on this
# machine. Sourced by test.sh after setup.sh. Nothing of a Docker that already runs here is
# touched: this one has its own directory, socket and network namespace.

cache=${XDG_CACHE_HOME:-$HOME/.cache}/sluice-test
docker_dir=

as_root() {
	if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -- "$@"; fi
}

# start_docker MODE starts the daemon and waits until it answers. "build": in the machine's
# network, so that builds reach package mirrors, and without a firewall of its own. "swarm": in
# a network namespace of its own, where its ports, bridges and rules disturb nobody.
start_docker() {
	local mode=$1 n
	local daemon=(dockerd --data-root "$docker_dir/data" --exec-root "$docker_dir/run"
		-H "unix://$docker_dir/docker.sock" -p "$docker_dir/pid" -G "$(id -gn)")
	case $mode in
	build) daemon+=(--bridge none --iptables=false --ip-forward=false) ;;
	swarm) daemon=(unshare --net -- sh -c 'ip link set lo up && exec "$@"' sh "${daemon[@]}") ;;
	esac
	export DOCKER_HOST=unix://$docker_dir/docker.sock DOCKER_BUILDKIT=0
	# The files are opened here, so that they belong to whoever runs this.
	as_root setsid "${daemon[@]}" >>"$docker_dir/dockerd.log" 2>&1 </dev/null &
	for ((n = 0; n < 240; n++)); do
		if docker version >/dev/null 2>&1; then return; fi
		sleep 0.5
	done
	tail -n 20 "$docker_dir/dockerd.log" | cut -c 1-300
	die "dockerd did not start within two minutes" "See its last messages above."
}

# stop_docker ends the daemon with all its containers, by its own pid file.
stop_docker() {
	local pid n
	pid=$(cat "$docker_dir/pid" 2>/dev/null) || return 0
	as_root kill -TERM "$pid" 2>/dev/null || return 0
	for ((n = 0; n < 600; n++)); do
		[ -d "/proc/$pid" ] || return 0
		sleep 0.1
	done
	say "dockerd did not stop within 60 s: killed"
	as_root kill -KILL "$pid" 2>/dev/null || true
}

# remove_docker stops it and removes all that it has left.
remove_docker() {
	[ -n "$docker_dir" ] || return 0
	stop_docker
	awk -v dir="$docker_dir/" 'index($2, dir) == 1 { print $2 }' /proc/mounts | sort -r |
		while read -r mount; do as_root umount -l "$mount" || true; done
	as_root rm -rf "$docker_dir" || say "could not remove $docker_dir"
	docker_dir=
}

# bootstrap begins anew each time: debootstrap does not go on with what it has left.
bootstrap() {
	as_root rm -rf "$1"
	as_root debootstrap --variant=minbase trixie "$1"
}

# base_tar leaves a Debian in the cache.
base_tar() {
	local tree=$cache/trixie.$$
	[ ! -e "$cache/trixie.tar" ] || return 0
	say "=== making a Debian for the test images (less than a minute, the first time only)"
	mkdir -p "$cache"
	persist bootstrap "$tree" >"$cache/debootstrap.log" 2>&1 || {
		tail -n 20 "$cache/debootstrap.log"
		as_root rm -rf "$tree"
		die "debootstrap did not work" "See its last messages above; it needs the network."
	}
	as_root tar -cf "$cache/trixie.tar.$$" --exclude='./var/cache/apt/*' --exclude='./usr/share/doc/*' \
		--exclude='./usr/share/locale/*' --exclude='./usr/share/man/*' --exclude='./dev/*' -C "$tree" .
	as_root rm -rf "$tree"
	mv "$cache/trixie.tar.$$" "$cache/trixie.tar"
}

# go_tar FILE packs this machine's Go on top of the Debian, with the modules and a warm build
# cache: the build in the image then takes seconds and no download.
go_tar() {
	local tar=$1
	[ -d "$cache/go-build" ] || say "=== compiling for the image (2 to 3 minutes, the first time only)"
	(
		export GOMODCACHE=$cache/mod GOCACHE=$cache/go-build CGO_ENABLED=0 GOFLAGS=-modcacherw
		GOPROXY=file://$modules/cache/download,$(go env GOPROXY) persist go mod download
		go build -trimpath -buildvcs=false -o /dev/null ./cmd/sluice
	)
	cp "$cache/trixie.tar" "$tar"
	tar -rf "$tar" --exclude=./test --exclude=testdata --exclude=./doc --exclude=./api \
		--transform 's,^\.,./usr/local/go,' -C "$(go env GOROOT)" .
	tar -rf "$tar" --transform 's,^\.,./go/pkg/mod,' -C "$cache/mod" .
	tar -rf "$tar" --transform 's,^\.,./root/.cache/go-build,' -C "$cache/go-build" .
}

# build_images makes everything that the tests run: the bases under the names of the
# Dockerfile, and Sluice by that very Dockerfile.
build_images() {
	local base go_image modules path
	base=$(sed -n 's/^ARG BASE_IMAGE=//p' Dockerfile) go_image=$(sed -n 's/^ARG GO_IMAGE=//p' Dockerfile)
	modules=$(go env GOMODCACHE)
	path=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	base_tar
	docker import "$cache/trixie.tar" "$base" >/dev/null
	go_tar "$docker_dir/go.tar"
	docker import --change "ENV PATH=$path GOPATH=/go GOTOOLCHAIN=local" "$docker_dir/go.tar" "$go_image" >/dev/null
	rm "$docker_dir/go.tar"
	# host: a network of the build's own would need the firewall.
	build sluice --network host --build-arg VERSION=v0.0.0-test .
	build sluice-demo -f deploy/demo/Dockerfile .
	build_tools "$base"
}

# build NAME ARGUMENT… builds an image and shows the end of the log if that does not work.
build() {
	local name=$1
	shift
	docker build -t "$name:latest" "$@" >"$docker_dir/build.log" 2>&1 || {
		tail -n 30 "$docker_dir/build.log"
		die "the image $name cannot be built" "See above."
	}
}

# build_tools makes the load client and Consul: one program each on the base.
build_tools() {
	local base=$1 context=$docker_dir/context
	mkdir -p "$context"
	# With the cache and the flags of go_tar the standard library is there already.
	GOCACHE=$cache/go-build CGO_ENABLED=0 go build -trimpath -o "$context/" ./deploy/e2e/swarm/load
	cp "$consul" "$context/consul"
	printf 'FROM %s\nCOPY load /usr/local/bin/\nENTRYPOINT ["load"]\n' "$base" |
		build sluice-load -f - "$context"
	printf 'FROM %s\nCOPY consul /usr/local/bin/\nRUN mkdir -p /consul/data\nENTRYPOINT ["consul"]\n' "$base" |
		build sluice-consul -f - "$context"
	rm -rf "$context"
}

# make_images starts a Docker, makes the images and leaves it in a network of its own. It ends
# with the script.
make_images() {
	docker_dir=$(mktemp -d "${TMPDIR:-/tmp}/sluice-docker.XXXXXX")
	trap remove_docker EXIT
	trap 'exit 143' INT TERM HUP
	start_docker build
	build_images
	stop_docker
	start_docker swarm
}

is_manager() { [ "$(docker info -f '{{.Swarm.ControlAvailable}}')" = true ]; }

# start_swarm makes a Swarm of that one node. On a slow disk the command gives up waiting, and the
# node goes on becoming a manager.
start_swarm() {
	docker swarm init --advertise-addr 127.0.0.1 >/dev/null || persist is_manager ||
		die "this Docker does not become a Swarm" "See what docker says above."
	export SLUICE_TEST_SWARM=1
}
