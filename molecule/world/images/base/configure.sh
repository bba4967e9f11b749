#!/bin/sh
# Makes a plain Debian root file system a host: installs packages.txt where something is missing, and silences what a container cannot run.
set -eu
here=$(dirname "$0")

cat >/etc/dpkg/dpkg.cfg.d/world <<'RULES'
path-exclude=/usr/share/man/*
path-exclude=/usr/share/doc/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/lib/postgresql/*/lib/bitcode/*
path-exclude=/usr/lib/*/libLLVM*
path-exclude=/usr/lib/llvm*
RULES

"$here/install.sh" "$here/packages.txt"
rm -f /etc/ssh/ssh_host_* /etc/machine-id
: >/etc/machine-id
systemctl mask --quiet apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    getty.target console-getty.service systemd-logind.service systemd-udev-trigger.service systemd-udevd.service \
    systemd-networkd-wait-online.service rc-local.service
systemctl set-default --quiet multi-user.target
systemctl enable --quiet ssh.service cron.service
