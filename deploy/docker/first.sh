#!/bin/sh
# Run once by the database's container: logins, roles, extensions (also in template1, from which a
# restoring makes its new database), and an empty database.
set -eu
owner=$(cat /run/secrets/owner_password)
app=$(cat /run/secrets/app_password)
psql -v ON_ERROR_STOP=1 -v owner="$owner" -v app="$app" -U postgres -d template1 <<'END'
CREATE EXTENSION IF NOT EXISTS postgis;
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE ROLE wangge_area NOLOGIN;
CREATE ROLE wangge_city NOLOGIN;
CREATE ROLE wangge_owner LOGIN CREATEDB PASSWORD :'owner';
CREATE ROLE wangge_app LOGIN NOINHERIT PASSWORD :'app';
GRANT wangge_area, wangge_city TO wangge_owner, wangge_app;
END
psql -v ON_ERROR_STOP=1 -U postgres -d postgres -c 'CREATE DATABASE wangge OWNER wangge_owner'
