#!/bin/sh
# Once, while the image is built: units, rights, et's crontab.
set -eu
chmod 0440 /etc/sudoers.d/et
visudo -cqf /etc/sudoers.d/et
systemctl enable --quiet world-seed.service world-incident.service et-stats-webhook.service
install -d /etc/world /var/lib/world
# The daily end of etlded at 20:00 is left out: a demo that runs then would lose its match.
grep -v 'pkill' /usr/local/lib/world/et.crontab | crontab -u et -
