#!/bin/sh
# Install PostgreSQL with PostGIS, without the server that Debian would start by itself.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
note=/etc/postgresql-common/createcluster.d/wangge.conf
if [ "$(id -u)" = 0 ]; then as=; else as="sudo -n"; fi
ours='create_main_cluster = false'
quiet=no
forget() { [ "$quiet" = no ] || $as rm -f "$note"; }
trap forget EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
if [ "$(cat "$note" 2>/dev/null || true)" = "$ours" ]; then
    quiet=yes # left by a run that was broken off
elif [ ! -e "$note" ] && $as mkdir -p "${note%/*}" 2>/dev/null; then
    # While the packages are installed, no cluster "main" is made. The note goes away afterwards.
    quiet=yes
    printf '%s\n' "$ours" | $as tee "$note" >/dev/null || quiet=no
fi
"$here/apt.sh" "PostgreSQL with PostGIS (the database), walls around delivered files" \
    '^postgresql-[0-9]+-postgis-3$' bubblewrap
