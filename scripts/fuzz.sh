#!/usr/bin/env bash
# Runs every fuzz target of the module for a number of inputs (3000x) or a time
# (30s) each.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-3000x}
go=${GO:-go}
total=0
while IFS=: read -r file target; do
	total=$((total + 1))
	$go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5x "./$(dirname "$file")" |
		grep -Ev '^(fuzz: elapsed|PASS|ok)' || [ "${PIPESTATUS[0]}" -eq 0 ] || { echo "fuzz target $target in $file failed" >&2; exit 1; }
done < <(git ls-files '*_test.go' | xargs grep -HoE '^func Fuzz[A-Za-z0-9_]*' | sed 's/func //')
echo "fuzz: $total targets, $time each, no failure"
