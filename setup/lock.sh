#!/bin/sh
# Pin what pyproject.toml asks for, with hashes and without addresses; pins that still fit are kept.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${PYTHON:-python3}" -m venv "$tools" && "$tools/bin/pip" install -q uv

pin() { # pin FILE OPTION...
    file=$1
    shift
    "$tools/bin/uv" pip compile -q --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-header --no-emit-index-url -o "$file" "$@" pyproject.toml
}

pin requirements.lock
pin requirements-dev.lock --constraint requirements.lock --extra dev
pin requirements-bench.lock --constraint requirements-dev.lock --extra dev --extra bench
