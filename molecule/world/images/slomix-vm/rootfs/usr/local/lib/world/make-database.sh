#!/bin/sh
# Once, while the image is built: the role and the empty schema. The password comes at boot.
set -eu
cat >/etc/postgresql/15/main/conf.d/world.conf <<'CONF'
# A throw-away world: safe from crashes of the machine it need not be.
fsync = off
full_page_writes = off
jit = off
CONF
pg_ctlcluster 15 main start
trap 'pg_ctlcluster 15 main stop -m fast' EXIT
cd /
runuser -u postgres -- psql -q -v ON_ERROR_STOP=1 -c 'CREATE ROLE etlegacy_user LOGIN' -c 'CREATE DATABASE etlegacy OWNER etlegacy_user'
runuser -u postgres -- psql -q -v ON_ERROR_STOP=1 -d etlegacy -c 'SET ROLE etlegacy_user' -f /usr/local/lib/world/schema.sql
