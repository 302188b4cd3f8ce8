#!/bin/sh
# Give the program its two addresses; the passwords stand in files, never in the environment of the
# container's definition.
set -eu
address() { # login, file of its password
    password=$(python -c 'import sys, urllib.parse; print(urllib.parse.quote(open(sys.argv[1]).read().strip(), safe=""))' "$2")
    printf 'postgresql://%s:%s@%s/%s' "$1" "$password" "${DATABASE_HOST:-db}" "${DATABASE_NAME:-wangge}"
}
DATABASE_URL=$(address wangge_app /run/secrets/app_password)
DATABASE_OWNER_URL=$(address wangge_owner /run/secrets/owner_password)
export DATABASE_URL DATABASE_OWNER_URL
exec wangge "$@"
