#!/bin/bash
# Boot script, called by cron: @reboot /bin/bash /home/et/start.sh

set -u

BOOT_DELAY="${BOOT_DELAY:-5}"
SCRIPTS="${SCRIPTS:-/home/et/scripts}"

# give the network a moment
sleep "$BOOT_DELAY"

if ! pgrep -x log_monitor.sh >/dev/null; then
    nohup /bin/bash "$SCRIPTS/log_monitor.sh" >/dev/null 2>&1 &
fi

if ! pgrep -f "^/bin/bash $SCRIPTS/etdaemon.sh" >/dev/null; then
    nohup /bin/bash "$SCRIPTS/etdaemon.sh" >/dev/null 2>&1 &
fi
