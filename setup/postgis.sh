#!/bin/sh
# Install PostgreSQL with PostGIS, without the server that Debian would start by itself.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
note=/etc/postgresql-common/createcluster.d/wangge.conf
if [ "$(id -u)" = 0 ]; then as=; else as="sudo -n"; fi
quiet=no
if [ ! -e "$note" ] && $as mkdir -p "${note%/*}" 2>/dev/null; then
    # While the packages are installed, no cluster "main" is made. The note goes away afterwards.
    printf 'create_main_cluster = false\n' | $as tee "$note" >/dev/null && quiet=yes
fi
rc=0
"$here/apt.sh" "PostgreSQL with PostGIS (the database)" '^postgresql-[0-9]+-postgis-3$' || rc=$?
[ "$quiet" = no ] || $as rm -f "$note"
exit "$rc"
