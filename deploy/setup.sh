# shellcheck shell=bash
# What run.sh and test.sh have in common: messages, the Go toolchain, missing packages.
# It is sourced, with the repository's root as working directory.

say() { printf '%s\n' "$*"; }

die() {
	printf '\n%s: %s\n' "${0##*/}" "$1" >&2
	shift
	[ $# -eq 0 ] || printf '  %s\n' "$@" >&2
	exit 1
}

# persist COMMAND… repeats what the network or another program's lock may keep from working, up to
# three times.
persist() {
	local n
	for n in 10 30; do
		if "$@"; then return; fi
		printf '%s: once more in %s s: %s\n' "${0##*/}" "$n" "$*" >&2
		sleep "$n"
	done
	"$@"
}

# need_go makes sure that a Go as new as go.mod asks for is in PATH. sudo resets PATH, so
# the usual place is looked at as well.
need_go() {
	local need have
	PATH=$PATH:/usr/local/go/bin
	need=$(awk '$1 == "go" { print $2; exit }' go.mod)
	command -v go >/dev/null ||
		die "Go is not installed or not in PATH" "Install Go $need or newer"
	have=$(go env GOVERSION) ||
		die "this Go cannot build the project" "Install Go $need or newer"
	have=${have#go}
	have=${have%%[ -]*}
	[ "$(printf '%s\n' "$need" "$have" | sort -V | sed -n 1p)" = "$need" ] ||
		die "Go $have is too old" "Install Go $need or newer"
}

# need_packages installs the Debian packages of those commands that are missing. Each
# argument is command=package; one package may come with several commands.
need_packages() {
	local pair missing=()
	PATH=$PATH:/usr/sbin:/sbin
	for pair in "$@"; do
		command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)

	local install="apt-get install -y --no-install-recommends ${missing[*]}"
	local as_root=()
	if [ "$(id -u)" -ne 0 ]; then
		command -v sudo >/dev/null ||
			die "missing: ${missing[*]}; neither root nor sudo is available to install it" "Run as root: $install"
		as_root=(sudo)
	fi
	command -v apt-get >/dev/null ||
		die "missing: ${missing[*]}; there is no apt-get on this machine" "Install it with the package manager you have."
	say "installing ${missing[*]} (needed and missing)"
	persist "${as_root[@]}" apt-get update -q >/dev/null ||
		die "apt-get update did not work" "Check the network, or install yourself: $install"
	# shellcheck disable=SC2086 # the words of the command
	persist "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $install -o DPkg::Lock::Timeout=300 >/dev/null ||
		die "this did not work: $install" "See what apt-get says above."
}
