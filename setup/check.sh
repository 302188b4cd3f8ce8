#!/bin/sh
# All that a change must pass, each step with its time; a failed step does not hide the next ones.
set -u
CDPATH='' cd -- "$(dirname -- "$0")/.."
summary=$(mktemp)
trap 'rm -f "$summary"' EXIT
failed=0
begin_all=$(date +%s)

step() {
    name=$1
    shift
    printf '\n== %s\n' "$name"
    begin=$(date +%s%N)
    if "$@"; then result=passed; else result=FAILED failed=1; fi
    took=$((($(date +%s%N) - begin) / 100000000))
    printf '  %-12s %-7s %4d.%d s\n' "$name" "$result" $((took / 10)) $((took % 10)) >>"$summary"
}

step format .venv/bin/ruff format --check .
step lint .venv/bin/ruff check .
step types .venv/bin/mypy geo maps api
step arrows .venv/bin/lint-imports
step migrations make -s migrations
step tests make -s test
step docs make -s docs

printf '\n== check: %d s\n' $(($(date +%s) - begin_all))
cat "$summary"
exit "$failed"
