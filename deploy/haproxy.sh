#!/usr/bin/env bash
# Other versions of HAProxy than the installed one, to test with. Each is taken with its
# libraries from a Debian suite into a cache directory, and runs from there; nothing is
# installed.
#
#   deploy/haproxy.sh 3.4    prints a directory whose program "haproxy" is of that branch
#   deploy/haproxy.sh list   prints the branches and the suites that have them
#
# The mirror is the one that apt of this machine is configured with; apt checks the
# signatures. What is in the cache is used without asking the network.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=deploy/setup.sh
. deploy/setup.sh

suites="3.0 trixie
3.2 forky
3.4 experimental"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/sluice-test
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# mirror prints the address of the Debian archive that apt is configured with.
mirror() {
	apt-get indextargets --format '$(ORIGIN) $(LABEL) $(REPO_URI)' 'Created-By: Packages' |
		awk '$1 == "Debian" && $2 == "Debian" && !found++ { print $3 }' # to the end: apt-get is not to die of a reader that leaves
}

# settings are those of an apt with sources, lists and packages of its own below $work. It
# knows of no installed package, so that it takes every library along.
settings() {
	cat <<-END
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear Acquire::IndexTargets::deb;
		Acquire::IndexTargets::deb::Packages { MetaKey "\$(COMPONENT)/binary-\$(ARCHITECTURE)/Packages"; flatMetaKey "Packages"; };
		Acquire::Languages "none";
		Acquire::Retries "2";
		Acquire::http::Timeout "20";
		APT::Install-Recommends "false";
		APT::Sandbox::User "$(id -un)";
		Dir::Cache "$work/cache";
		Dir::Etc::PreferencesParts "/dev/null";
		Dir::Etc::SourceList "$work/sources.list";
		Dir::Etc::SourceParts "/dev/null";
		Dir::State "$work/state";
		Dir::State::status "$work/status";
	END
}

# download gets the packages of a suite. A mirror that is just being updated fails now and then.
download() {
	apt-get -q -c "$work/apt.conf" -o APT::Update::Error-Mode=any update &&
		apt-get -q -c "$work/apt.conf" -t "$1" -y --download-only install haproxy
}

# fetch leaves the program of a suite and all that it links below $work/root.
fetch() {
	local suite=$1 from also=()
	from=$(mirror)
	[ -n "$from" ] || die "apt of this machine has no Debian archive" "Look at: apt-get indextargets"
	[ -r "$keyring" ] || die "$keyring is missing" "Install debian-archive-keyring"
	[ "$suite" != experimental ] || also=(sid) # which it builds upon
	mkdir -p "$work"/{state/lists/partial,cache/archives/partial,root}
	: >"$work/status"
	settings >"$work/apt.conf"
	printf "deb [signed-by=$keyring] $from %s main\n" "$suite" "${also[@]}" >"$work/sources.list"
	persist download "$suite" >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		die "HAProxy of the Debian suite $suite cannot be fetched from $from" "See what apt-get says above."
	}
	local package
	for package in "$work"/cache/archives/*.deb; do
		dpkg-deb --extract "$package" "$work/root"
	done
}

# wrap writes the program that starts HAProxy with its own loader and libraries. The loader
# goes by the name that the process shall have. A master executes its own name again at each
# reload, so that has to be the wrapper's.
wrap() {
	local loader libraries
	loader=$(find "$work/root/" -name 'ld-linux*.so.*' -printf '%P\n' | sed -n 1p)
	libraries=$(find "$work/root/" -name libc.so.6 -printf '%P\n' | sed -n 1p)
	mkdir "$work/loader"
	ln -s "../root/$loader" "$work/loader/haproxy"
	cat >"$work/haproxy" <<-END
		#!/bin/sh
		root=$directory/root
		exec "$directory/loader/haproxy" --argv0 "\$0" --library-path "\$root/${libraries%/*}" "\$root/usr/sbin/haproxy" "\$@"
	END
	chmod 755 "$work/haproxy"
}

branch=${1:-}
[ "$branch" != list ] || { say "$suites" && exit; }
suite=$(awk -v branch="$branch" '$1 == branch { print $2 }' <<<"$suites")
[ -n "$suite" ] || die "no branch \"$branch\"" "Give one of:" "$suites"
directory=$cache/haproxy-$branch
if [ ! -x "$directory/haproxy" ]; then
	say "=== fetching HAProxy $branch from Debian $suite (the first time only)" >&2
	mkdir -p "$cache"
	work=$(mktemp -d "$directory.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	fetch "$suite"
	wrap
	chmod 755 "$work"
	rm -rf "$work"/{state,cache,status,apt.conf,sources.list} "$work"/lock* "$directory"
	mv "$work" "$directory"
fi
has=$("$directory/haproxy" -v | sed -n 's/^HAProxy version \([0-9]*\.[0-9]*\).*/\1/p')
[ "$has" = "$branch" ] || die "$directory/haproxy is HAProxy ${has:-nothing}, not $branch" \
	"If $suite has another branch by now, change the table in deploy/haproxy.sh." "Remove the directory to fetch again."
say "$directory"
