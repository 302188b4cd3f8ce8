#!/bin/sh
# Make or mend the virtual environment .venv from the lock files; nothing to do the second time.
#   setup/venv.sh run|dev|bench      dev adds what tests, checks and documentation need, bench the peers
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
set_name=$1
MIN_MINOR=11

case $set_name in
run) lock=requirements.lock ;;
dev) lock=requirements-dev.lock ;;
bench) lock=requirements-bench.lock ;;
*)
    echo "usage: setup/venv.sh run|dev|bench" >&2
    exit 2
    ;;
esac

fingerprint() { sha256sum | cut -c 1-24; }
inside=.venv/bin/python
packages=$({ cat requirements.lock requirements-dev.lock requirements-bench.lock; pwd -P; } | fingerprint)
project=$(fingerprint <pyproject.toml)

works() { # the environment is whole, and its interpreter is still on the machine
    [ ! -e .venv/.half ] && [ -f .venv/pyvenv.cfg ] && "$inside" -c 'import pip' 2>/dev/null
}

has_packages() {
    stamp=$(cat .venv/.packages 2>/dev/null || true)
    case "$stamp" in
    "$set_name $packages" | "bench $packages") return 0 ;;
    "dev $packages") [ "$set_name" = run ] ;;
    *) return 1 ;;
    esac
}

wider_set() { # an environment with more packages keeps them
    stamp=$(cat .venv/.packages 2>/dev/null || true)
    case "$set_name $stamp" in
    run\ dev* | dev\ dev*) set_name=dev lock=requirements-dev.lock ;;
    *\ bench*) set_name=bench lock=requirements-bench.lock ;;
    esac
}

has_project() { [ "$(cat .venv/.project 2>/dev/null || true)" = "$project" ]; }

new_enough() {
    "$1" -c "import sys; sys.exit(sys.version_info[:2] < (3, $MIN_MINOR))" 2>/dev/null
}

find_python() {
    for candidate in "${PYTHON:-python3}" python3.11 python3.12 python3.13 python3.14 /usr/bin/python3; do
        if new_enough "$candidate"; then
            "$candidate" -c 'import sys; print(sys._base_executable)' # not an environment's own
            return 0
        fi
    done
    echo "Python 3.$MIN_MINOR or newer is needed and was not found. Install it, or say PYTHON=/path/to/python3." >&2
    return 1
}

make_environment() {
    if [ -e .venv ] && [ ! -O .venv ]; then
        echo ".venv belongs to another user and does not work for you. Remove it, or use a copy of this folder of your own." >&2
        return 1
    fi
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        setup/apt.sh "virtual environments of Python $version" "python$version-venv"
    fi
    echo "Making the virtual environment .venv with $("$python" --version)."
    rm -rf .venv
    mkdir .venv
    touch .venv/.half # --clear is not used: it would take the mark away
    "$python" -m venv .venv
    rm .venv/.half
}

if works && has_packages && has_project; then exit 0; fi

mkdir -p .wangge
if command -v flock >/dev/null 2>&1; then
    exec 9>>.wangge/setup.lock
    flock -n 9 || {
        echo "Another set-up of this folder is running; waiting for it."
        flock 9
    }
fi

works || make_environment
wider_set
if ! has_packages; then
    "$inside" setup/install.py "$lock"
    echo "$set_name $packages" >.venv/.packages
    rm -f .venv/.project
fi
if ! has_project; then
    "$inside" -m pip install -q --no-deps --no-build-isolation --no-index -e .
    echo "$project" >.venv/.project
fi
