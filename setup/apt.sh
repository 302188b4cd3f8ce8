#!/bin/sh
# Install system packages on Debian or Ubuntu, or print the one line to type.
#   setup/apt.sh "what they are for" package...      a name that begins with ^ is a pattern
set -eu
purpose=$1
shift
WAIT_S=300

newest() { # the newest package that a pattern names, or the name itself
    case $1 in
    ^*) apt-cache search --names-only "$1" 2>/dev/null | cut -d ' ' -f 1 | sort -V | tail -n 1 ;;
    *) printf '%s\n' "$1" ;;
    esac
}

names() {
    for wanted; do
        found=$(newest "$wanted")
        printf '%s ' "${found:-\'$wanted\'}"
    done
}

if ! command -v apt-get >/dev/null 2>&1; then
    echo "Missing: $purpose. This system has no apt-get: install the like of these: $*" >&2
    exit 3
fi
if [ "$(id -u)" = 0 ]; then
    as=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    as="sudo -n"
else
    echo "Missing: $purpose. Installing it takes an administrator; please type this line, then try again:" >&2
    echo "    sudo apt-get update && sudo apt-get install -y --no-install-recommends $(names "$@")" >&2
    exit 3
fi

log=$(mktemp)
trap 'rm -f "$log" "$log.rc"' EXIT
trap 'exit 130' INT # a broken-off refresh of the lists is not followed by an installation
trap 'exit 143' TERM

apt() { # run apt-get; while another one holds a lock, wait for it
    waited=0
    while :; do
        {
            # shellcheck disable=SC2086
            $as env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=$WAIT_S "$@" </dev/null && rc=0 || rc=$?
            echo "$rc" >"$log.rc"
        } 2>&1 | tee "$log"
        rc=$(cat "$log.rc")
        rm -f "$log.rc"
        [ "$rc" = 0 ] && return 0
        grep -qE 'Could not get lock|Unable to (acquire|lock)' "$log" || return "$rc"
        [ "$waited" -lt "$WAIT_S" ] || return "$rc"
        [ "$waited" -gt 0 ] || echo "Another package installation is running; waiting for it (at most $WAIT_S s)."
        sleep 3
        waited=$((waited + 3))
    done
}

echo "Installing system packages for: $purpose"
apt update -q || echo "The package lists could not be refreshed; trying with those at hand."
packages=
for wanted; do
    found=$(newest "$wanted")
    if [ -z "$found" ]; then
        echo "No package fits $wanted on this system." >&2
        exit 3
    fi
    packages="$packages $found"
done
# shellcheck disable=SC2086
apt install -y --no-install-recommends $packages
