#!/usr/bin/env bash
# Runs every fuzz target of the module for the given time each.
set -euo pipefail

time=${1:?usage: fuzz.sh DURATION}
cd "$(dirname "$0")/.."
grep -rlE --include='*_test.go' '^func Fuzz[A-Z]' --exclude-dir=e2e . | xargs -r -n1 dirname | sort -u |
	while read -r package; do
		for target in $(grep -hoE '^func Fuzz\w+' "$package"/*_test.go | sed 's/^func //'); do
			echo "$package $target"
			go test -run='^$' -fuzz="^$target\$" -fuzztime="$time" "$package" </dev/null
		done
	done
