#!/bin/bash
# Runs at every boot before anything else of the world: places the keys, passwords and time zone of this world.
set -euo pipefail
seed=/etc/world-seed
password=$(<"$seed/postgres_password")

zone=$(<"$seed/zone")
ln -sf "/usr/share/zoneinfo/$zone" /etc/localtime
echo "$zone" >/etc/timezone
echo "timezone = '$zone'" >/etc/postgresql/15/main/conf.d/zone.conf
install -m 0600 "$seed/ssh_host_ed25519_key" /etc/ssh/ssh_host_ed25519_key
install -d -m 0700 -o slomix -g slomix /home/slomix/.ssh
install -m 0600 -o slomix -g slomix "$seed/authorized_keys" /home/slomix/.ssh/authorized_keys
install -d -m 0700 -o slomix_bot -g slomix_bot /home/slomix_bot/.ssh
install -m 0600 -o slomix_bot -g slomix_bot "$seed/etlegacy_bot" /home/slomix_bot/.ssh/etlegacy_bot
install -m 0644 -o slomix_bot -g slomix_bot "$seed/bot_known_hosts" /home/slomix_bot/.ssh/known_hosts
install -d /run/world
(umask 0077 && printf "ALTER ROLE etlegacy_user PASSWORD '%s';\n" "$password" >/run/world/password.sql)
chown postgres:postgres /run/world/password.sql

[[ -e /var/lib/world/seeded ]] && exit 0
install -m 0600 -o slomix -g slomix /dev/null /home/slomix/.pgpass
printf '127.0.0.1:5432:etlegacy:etlegacy_user:%s\n' "$password" >/home/slomix/.pgpass
# .env is readable for the bot and the website (group slomix), not for the world.
install -m 0640 -o slomix -g slomix "$seed/env" /opt/slomix/.env
install -d /var/lib/world
touch /var/lib/world/seeded
