#!/bin/sh
# Install Wangge from this bundle, without any network:   sh install.sh [FOLDER]
# FOLDER is /opt/wangge if nothing is said. Run it again from a later bundle to bring it up to date.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
target=${1:-/opt/wangge}
case $target in /*) ;; *) target=$PWD/$target ;; esac
if [ ! -f "$here/about" ]; then
    echo "This is for use inside a bundle: make bundle, unpack dist/wangge-*.tar.gz, run it there." >&2
    exit 2
fi
# shellcheck source=/dev/null
. "$here/about"

say() { printf '%s\n' "$*" >&2; }
address() { printf 'file://%s' "$1" | sed 's/%/%25/g; s/ /%20/g'; }
has_postgis() { ls /usr/share/postgresql/*/extension/postgis.control >/dev/null 2>&1; }
has_python() {
    for minor in $pythons; do
        "python$minor" -c 'import ensurepip, venv' 2>/dev/null && return 0
    done
    return 1
}
all_there() { has_postgis && has_python && command -v make >/dev/null 2>&1; }

say "Comparing the sums of the bundle."
(cd "$here" && sha256sum --check --quiet --strict SHA256SUMS) || {
    say "The bundle is damaged; nothing was installed."
    exit 1
}

machine=$(dpkg --print-architecture 2>/dev/null || uname -m)
if [ "$machine" != "$arch" ]; then
    say "This bundle is for $arch, and this machine is $machine."
    exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
mkdir -p "$work/source"
tar -C "$work/source" -xzf "$here/source.tar.gz"

if ! all_there; then
    ours=$(. /etc/os-release && echo "$ID ${VERSION_CODENAME:-}")
    if [ ! -d "$here/debian" ] || [ "$ours" != "$release" ]; then
        say "These system packages are missing, and the bundle has them for $release alone:"
        say "    PostgreSQL with PostGIS 3.3 or newer, Python $pythons with venv, make"
        exit 3
    fi
    if [ "$(id -u)" != 0 ]; then
        say "System packages are missing, and installing them takes an administrator:"
        say "    sudo sh $here/install.sh $target"
        exit 3
    fi
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/none"
    printf 'deb [trusted=yes] %s ./\n' "$(address "$here/debian" | sed 's,^file://,file:,')" \
        >"$work/sources.list"
    cat >"$work/apt.conf" <<END
Dir::Etc::sourcelist "$work/sources.list";
Dir::Etc::sourceparts "$work/none";
Dir::State::lists "$work/lists";
Dir::Cache "$work/cache";
APT::Sandbox::User "root";
END
    export APT_CONFIG="$work/apt.conf"
    sh "$work/source/wangge/setup/apt.sh" "Python and make" python3 python3-venv make tzdata ca-certificates
    has_postgis || sh "$work/source/wangge/setup/postgis.sh"
    unset APT_CONFIG
    all_there || {
        say "The system packages are installed, but something is still missing."
        exit 3
    }
fi

if [ -e "$target" ]; then
    if [ ! -f "$target/geo/cluster.py" ]; then
        say "$target is there and is no earlier installation; nothing was changed."
        exit 1
    fi
    if { command -v systemctl && systemctl is-active wangge wangge-database; } >/dev/null 2>&1 ||
        "$target/.venv/bin/wangge" db status >/dev/null 2>&1; then
        say "The earlier installation is in use. Stop it first (systemctl stop wangge wangge-database,"
        say "or: $target/.venv/bin/wangge db down), then run this again."
        exit 1
    fi
    before=$target.before
    say "The earlier program is kept in $before; its data stay with the new one."
    rm -rf "$before"
    mv "$target" "$before"
    mv "$work/source/wangge" "$target"
    [ ! -d "$before/.wangge" ] || mv "$before/.wangge" "$target/.wangge"
else
    mkdir -p "$(dirname -- "$target")"
    mv "$work/source/wangge" "$target"
fi
tar -C "$target/api/static" -xzf "$here/browser.tar.gz"
cd "$target"
PIP_CONFIG_FILE=/dev/null PIP_NO_INDEX=1 PIP_FIND_LINKS=$(address "$here/wheels") \
    PIP_DISABLE_PIP_VERSION_CHECK=1 sh setup/venv.sh run
sh setup/assets.sh # finds everything in place
say "Wangge $version ($commit) is in $target."
if [ -n "${before:-}" ]; then
    say "Next: cd $target && .venv/bin/wangge upgrade"
else
    say "Next: cd $target && make run        or, as a service: docs/operations.md"
fi
