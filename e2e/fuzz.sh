#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time each.
set -euo pipefail

time=${1:?usage: fuzz.sh DURATION}
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fuzz() {
	go test -run='^$' -fuzz="^$2\$" -fuzztime="$time" "$1" </dev/null 2>&1 | tee "$log"
}

grep -rlE --include='*_test.go' '^func Fuzz[A-Z]' --exclude-dir=e2e . | xargs -r -n1 dirname | sort -u |
	while read -r package; do
		for target in $(grep -hoE '^func Fuzz\w+' "$package"/*_test.go | sed 's/^func //'); do
			echo "$package $target"
			fuzz "$package" "$target" || {
				# The time ran out while a worker was at it, which the go command takes for a failure on a
				# busy machine. A finding says "Failing input written".
				if grep -q 'Failing input' "$log" || ! grep -q 'context deadline exceeded' "$log"; then
					exit 1
				fi
				fuzz "$package" "$target"
			}
		done
	done
