#!/bin/sh
# Once, while the image is built: /opt/slomix as the git checkout it is on the live VM, and its two units.
set -eu
for name in venv-bot venv-web; do
    # Packages come from Debian; only the interpreter's place is the live one.
    [ -e "/opt/slomix/$name/bin/python3" ] || python3 -m venv --system-site-packages --without-pip "/opt/slomix/$name"
done
install -d -o slomix_bot -g slomix -m 2775 /opt/slomix/logs
chown -R slomix:slomix /opt/slomix/venv-bot /opt/slomix/venv-web
runuser -u slomix -- sh -c '
    cd /opt/slomix
    git init -q -b main
    git config user.name slomix
    git config user.email slomix@slomix-vm.invalid
    git add -A
    git commit -q -m "the tree of 2026-02-20"'
systemctl enable --quiet slomix-bot.service slomix-web.service
