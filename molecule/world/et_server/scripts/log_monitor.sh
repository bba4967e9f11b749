#!/bin/bash
# Tells the bot about voice commands that players type in the game chat.
#
# Follows the game logs (legacy*.log), picks the voice lines and posts them to
# the bot: voice_common, voice_teams, voice_set_teams.
# Started once by start.sh at boot; not a systemd unit.

set -u

LOG_DIR="${LOG_DIR:-/home/et/.etlegacy/legacy}"
BOT_URL="${BOT_URL:-http://slomix-vm:8089}"

# quote a text for JSON
json() {
    local text="${1//\\/\\\\}"
    printf '"%s"' "${text//\"/\\\"}"
}

post() {
    curl -s -X POST --connect-timeout 2 --max-time 5 \
        -H 'Content-Type: application/json' \
        --data-binary "$2" "$BOT_URL/$1" >/dev/null 2>&1
}

shopt -s nullglob
logs=("$LOG_DIR"/legacy*.log)
if [ "${#logs[@]}" -eq 0 ]; then
    logs=("$LOG_DIR/legacy3.log")
fi

tail -q -n 0 -F "${logs[@]}" 2>/dev/null | grep --line-buffered -E 'say: .*!voice_(common|teams|set_teams)' | while IFS= read -r line; do
    case "$line" in
        *'!voice_common'*) post voice_common "{\"line\": $(json "$line")}" ;;
        *'!voice_teams'*) post voice_teams "{\"line\": $(json "$line")}" ;;
        *'!voice_set_teams'*) post voice_set_teams "{\"teams\": $(json "${line##*!voice_set_teams }")}" ;;
    esac
done
