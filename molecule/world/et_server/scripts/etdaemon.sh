#!/bin/bash
# Keeps the game server up: looks every minute, starts it when it is gone.

set -u

INSTALL_DIR="${INSTALL_DIR:-/home/et/etlegacy-v2.83.1-x86_64}"
SERVER="${SERVER:-etlded.x86_64}"
CONFIG="${CONFIG:-vektor.cfg}"
CHECK_INTERVAL="${CHECK_INTERVAL:-60}"

cd "$INSTALL_DIR" || exit 1

while true; do
    if ! pgrep -f "^$SERVER " >/dev/null; then
        echo "$(date '+%F %T') starting $SERVER"
        "./$SERVER" +exec "$CONFIG" </dev/null >/dev/null &
    fi
    sleep "$CHECK_INTERVAL"
done
