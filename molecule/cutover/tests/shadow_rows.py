"""Evenings on which old and new timing agree, as SQL for the site's tables, and the ingestion of new ones switched on.

Composed, not played: three maps, four evenings of four matches, eight players, Lua rows for all of
them from a webhook whose spawn data is trusted, dead times that differ by less than old's step of 6 s.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from testinfra.host import Host

MAPS = ("supply", "te_escape2", "etl_adlernest")
EVENINGS = 4
MATCHES = 4
PLAYERS = 8
VERSION = "1.7.2"


def statements(evenings: int = EVENINGS) -> list[str]:
    """SQL statements; round ids start at 100001, and what is played afterwards gets higher ones, as on a living site."""
    spread = random.Random(7)
    found, round_id = list[str](), 100000
    for evening in range(evenings):
        start = datetime(2026, 3, 1, 20, 0, tzinfo=UTC) + timedelta(days=evening)
        for match in range(MATCHES):
            for half in (1, 2):
                round_id += 1
                begin = start + timedelta(minutes=18 * match + 8 * (half - 1))
                played = 400 + spread.randrange(60)
                end = begin + timedelta(seconds=played)
                name = MAPS[(match + evening) % len(MAPS)]
                stamp = f"{end:%Y-%m-%d-%H%M%S}"
                unix = (int(begin.timestamp()), int(end.timestamp()))
                found.append(
                    "INSERT INTO rounds (id, match_id, round_number, round_date, round_time, map_name, gaming_session_id,"
                    " round_start_unix, round_end_unix, actual_duration_seconds) VALUES"
                    f" ({round_id}, '{stamp}-{name}-round-{half}', {half}, '{end:%Y-%m-%d}', '{end:%H%M%S}', '{name}',"
                    f" {evening + 900}, {unix[0]}, {unix[1]}, {played})"
                )
                found.append(
                    "INSERT INTO lua_round_teams (match_id, round_number, round_id, map_name, round_start_unix, round_end_unix,"
                    f" actual_duration_seconds, end_reason, lua_version) VALUES ('{stamp}', {half}, {round_id}, '{name}',"
                    f" {unix[0]}, {unix[1]}, {played}, 'objective', '{VERSION}')"
                )
                for player in range(PLAYERS):
                    guid = f"C0FFEE{player:02d}"
                    dead = 40 + spread.randrange(80)
                    old_min = round((dead + spread.uniform(-1.5, 1.5)) / 6) / 10
                    # Played time is written in steps of 6 s, as old dead time is.
                    found.append(
                        "INSERT INTO player_comprehensive_stats (round_id, round_date, map_name, round_number, player_guid,"
                        " player_name, clean_name, team, kills, deaths, time_played_seconds, time_played_minutes,"
                        f" time_dead_minutes, denied_playtime) VALUES ({round_id}, '{end:%Y-%m-%d}', '{name}', {half}, '{guid}',"
                        f" 'player {player}', 'player {player}', {player % 2 + 1}, 9, 5, {played // 6 * 6}, {played // 6 / 10},"
                        f" {old_min}, 30)"
                    )
                    found.append(
                        "INSERT INTO lua_spawn_stats (match_id, round_number, round_id, map_name, round_end_unix, player_guid,"
                        f" player_name, spawn_count, death_count, dead_seconds) VALUES ('{stamp}', {half}, {round_id}, '{name}',"
                        f" {unix[1]}, '{guid}{'0' * 24}', 'player {player}', 6, 5, {dead})"
                    )
    return [*found, f"SELECT setval('rounds_id_seq', {round_id})"]


def prepare(vm: Host, evenings: int = EVENINGS) -> None:
    """Fill the tables, and let the bot take gametime files: the new timing of what is played next comes from them."""
    rows = statements(evenings)
    for at in range(0, len(rows), 100):
        part = ";\n".join(rows[at : at + 100])
        done = vm.run(
            f"psql -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -U etlegacy_user -d etlegacy <<'SQL' 2>&1\n{part};\nSQL"
        )
        assert done.rc == 0, done.stdout
    switch = "s/^GAMETIMES_NAME_ALLOWED=false$/GAMETIMES_NAME_ALLOWED=true/"
    vm.check_output(f"sudo sed -i '{switch}' /opt/slomix/.env && sudo systemctl restart slomix-bot.service")
    vm.check_output("timeout 30 sh -c 'until curl -sf http://127.0.0.1:8089/health | grep -q true; do sleep 0.3; done'")
