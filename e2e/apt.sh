#!/usr/bin/env bash
# Installs the Debian packages of the named commands if they are missing and that is possible. Else it
# says which are missing: what needs them is skipped, or fails with E2E_REQUIRE=1. A command whose package
# has another name is written command=package.
set -euo pipefail

missing=()
for tool in "$@"; do
	command -v "${tool%=*}" >/dev/null || missing+=("${tool#*=}")
done
# What cgo, and with it go test -race, needs beside the compiler.
[[ " ${missing[*]} " != *" gcc "* ]] || missing+=(libc6-dev)
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	export DEBIAN_FRONTEND=noninteractive
	# What counts is whether the commands are there: a package may fail to start a service that nobody needs.
	apt-get update -q && apt-get install -qy --no-install-recommends "${missing[@]}" || true
fi
still=()
for tool in "$@"; do
	command -v "${tool%=*}" >/dev/null || still+=("${tool%=*}")
done
[ ${#still[@]} -gt 0 ] || exit 0
echo "missing, what needs them is skipped or fails: ${still[*]}" >&2
[ "${E2E_REQUIRE:-}" != 1 ]
