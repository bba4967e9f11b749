#!/bin/bash
# Runs at every boot before anything else of the world: places the keys, passwords and time zone of this world.
set -euo pipefail
seed=/etc/world-seed
install_dir=/home/et/etlegacy-v2.83.1-x86_64

zone=$(<"$seed/zone")
ln -sf "/usr/share/zoneinfo/$zone" /etc/localtime
echo "$zone" >/etc/timezone
install -m 0600 "$seed/ssh_host_ed25519_key" /etc/ssh/ssh_host_ed25519_key
install -d -m 0700 -o et -g et /home/et/.ssh /home/et/.rollout
install -m 0600 -o et -g et "$seed/authorized_keys" /home/et/.ssh/authorized_keys

[[ -e /var/lib/world/seeded ]] && exit 0
install -m 0600 -o et -g et "$seed/rcon_password" /home/et/.rollout/rcon_password
install -m 0600 -o et -g et "$seed/rcon.cfg" "$install_dir/etmain/rcon.cfg"
install -m 0600 -o et -g et "$seed/stats_webhook.env" /home/et/scripts/stats_webhook.env
install -m 0644 "$seed/engine.env" /etc/world/engine.env
if [[ -e $seed/shadow ]]; then
    # The homepath wins over the install dir: this copy is the one that runs.
    folder=/home/et/.etlegacy/legacy/luascripts
    install -d -o et -g et "$folder"
    install -m 0644 -o et -g et "$install_dir/legacy/luascripts/stats_discord_webhook.lua" "$folder/stats_discord_webhook.lua"
fi
install -d /var/lib/world
touch /var/lib/world/seeded
