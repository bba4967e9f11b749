#!/bin/bash
# Keeps the game server up: looks every minute, starts it when it is gone.
# The server's terminal is the screen session vektor.

set -u

INSTALL_DIR="${INSTALL_DIR:-/home/et/etlegacy-v2.83.1-x86_64}"
SERVER="${SERVER:-etlded.x86_64}"
CONFIG="${CONFIG:-vektor.cfg}"
SESSION="${SESSION:-vektor}"
CHECK_INTERVAL="${CHECK_INTERVAL:-60}"

cd "$INSTALL_DIR" || exit 1

while true; do
    if ! pgrep -f "^$SERVER " >/dev/null; then
        screen -dmS "$SESSION" "./$SERVER" +exec "$CONFIG"
    fi
    sleep "$CHECK_INTERVAL"
done
