"""The old and new timing of a session, and what SHOW_TIMING_DUAL makes of it (domain.md 7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from bot.cogs.last_session_cog import LastSessionCog
from bot.services.session_timing_shadow import SessionTimingShadowService
from slomix_process import Bot, Database


def fill(database: Database, *, lua: bool = True, players: int = 3) -> None:
    """Two halves of one session; each player was dead 1.5 min by the stats file and 60 + n s by Lua, in the first half only."""
    with database.connect() as connection:
        for number in (1, 2, 0):
            connection.execute(
                "INSERT INTO rounds (match_id, round_number, gaming_session_id) VALUES (%s, %s, 7)",
                (f"m{number}", number),
            )
            connection.execute(
                "INSERT INTO player_comprehensive_stats (round_id, round_date, map_name, round_number, player_guid, player_name,"
                " clean_name, time_played_seconds, time_dead_minutes, denied_playtime)"
                " SELECT currval('rounds_id_seq'), '2026-02-20', 'supply', %s, 'GUID000' || n, 'p', 'player ' || n, 400, 1.5, 31"
                " FROM generate_series(1, %s) AS n",
                (number, players),
            )
        if lua:
            connection.execute(
                "INSERT INTO lua_spawn_stats (match_id, round_number, round_id, player_guid, dead_seconds)"
                " SELECT 'm1', 1, 1, 'guid000' || n || 'FFFF', 60 + n FROM generate_series(1, %s) AS n",
                (players,),
            )


def last_session(bot: Bot) -> dict[str, Any]:
    """The embed of !last_session."""
    status, embed, _ = bot.request("/commands/last_session")
    assert status == 200
    return embed


def test_dual_shows_both_and_the_difference(start_bot: Callable[..., Bot], database: Database) -> None:
    fill(database)
    embed = last_session(start_bot(SHOW_TIMING_DUAL="true"))
    assert embed["title"] == "Last session (2 rounds)"
    first = embed["fields"][0]["value"].splitlines()[0]
    assert first == "player 1: dead O 3:00 / N 2:31 (-0:29), denied O 1:02 / N 1:05 (+0:03) (partial)"


def test_false_shows_the_old_values_only(start_bot: Callable[..., Bot], database: Database) -> None:
    fill(database)
    embed = last_session(start_bot(SHOW_TIMING_DUAL="false"))
    assert embed["fields"][0]["value"].splitlines()[0] == "player 1: dead 3:00, denied 1:02"
    assert "2:31" not in str(embed)


def test_without_lua_new_is_old_and_that_is_said(start_bot: Callable[..., Bot], database: Database) -> None:
    fill(database, lua=False)
    first = last_session(start_bot(SHOW_TIMING_DUAL="true"))["fields"][0]["value"].splitlines()[0]
    assert first == "player 1: dead O 3:00 / N 3:00 (+0:00), denied O 1:02 / N 1:02 (+0:00) (no-lua)"


def test_fields_fit(start_bot: Callable[..., Bot], database: Database) -> None:
    fill(database, players=64)
    fields = last_session(start_bot(SHOW_TIMING_DUAL="true"))["fields"]
    assert len(fields) > 1 and all(0 < len(field["value"]) <= 1024 for field in fields)
    assert sum(len(field["value"].splitlines()) for field in fields) == 64


def test_no_session_and_no_such_command(start_bot: Callable[..., Bot]) -> None:
    bot = start_bot()
    assert bot.request("/commands/last_session")[0] == 400 and bot.request("/commands/other")[0] == 400
    assert bot.request("/commands/leaderboard?stat=kills")[0] == 200


CAPPED = {"lua_dead_capped_to_plausible_limit"}


class Rows:
    """A database that answers the service's three queries."""

    def __init__(self, stats: dict[str, Any], lua: int | None, duration: int | None = None) -> None:
        self.stats, self.lua, self.duration, self.asked = stats, lua, duration, 0

    async def fetch_all(self, query: str, params: object = ()) -> list[dict[str, Any]]:
        self.asked += 1
        if "player_comprehensive_stats" in query:
            return [
                {"round_id": 1, "player_guid": "ABCDEF01", "clean_name": "Ana", "denied_playtime": 40, **self.stats}
            ]
        if "lua_spawn_stats" in query:
            return [] if self.lua is None else [{"round_id": 1, "prefix": "abcdef01", "dead_seconds": self.lua}]
        return [] if self.duration is None else [{"round_id": 1, "seconds": self.duration}]


@pytest.mark.parametrize(
    ("stats", "lua", "duration", "dead", "denied", "reasons"),
    [
        ({"time_played_seconds": 400, "time_dead_minutes": 1.5}, 60, 380, (90, 60), (40, 44), set()),
        ({"time_played_seconds": 400, "time_dead_minutes": 1.5}, -5, 380, (90, 0), (40, 52), {"lua_dead_negative_clamped"}),
        ({"time_played_seconds": 400, "time_dead_minutes": 1.5}, 399, 380, (90, 380), (40, 3), CAPPED),
        ({"time_played_seconds": 400, "time_dead_minutes": 573.0}, 60, None, (400, 60), (40, 40), {"old_active_zero"}),
        ({"time_played_seconds": 0, "time_dead_minutes": 1.0}, 60, None, (0, 0), (0, 0), CAPPED | {"old_active_zero"}),
        ({"time_played_seconds": 400, "time_dead_minutes": 1.5}, None, None, (90, 90), (40, 40), {"lua_missing_for_round"}),
    ],
)  # fmt: skip
def test_rules(
    stats: dict[str, Any],
    lua: int | None,
    duration: int | None,
    dead: tuple[int, int],
    denied: tuple[int, int],
    reasons: set[str],
) -> None:
    rows = Rows(stats, lua, duration)
    service = SessionTimingShadowService(rows)
    player = asyncio.run(service.compare_session([1])).players[0]
    assert (player.old_dead_seconds, player.new_dead_seconds) == dead
    assert (player.old_denied_seconds, player.new_denied_seconds) == denied
    assert player.reasons == reasons
    asked = rows.asked
    asyncio.run(service.compare_session([1]))
    assert rows.asked == asked, "a second look is answered from memory"
    asyncio.run(service.compare_session([1], force_refresh=True))
    assert rows.asked > asked


def test_the_cog_needs_no_bot_for_its_text() -> None:
    assert LastSessionCog._pages(["x" * 2000]) == ["x" * 1024]
