"""Stats files and webhook posts composed after the format facts, for tests."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

TAB_COUNT = 38


def player_line(
    guid: str = "AABBCCDD",
    name: str = "^1Ana",
    team: int = 1,
    *,
    mp40: tuple[int, int, int, int, int] = (40, 120, 6, 3, 9),
    tabs: dict[int, object] | None = None,
) -> str:
    """One player with an MP40 (hits, attempts, kills, deaths, headshots); ``tabs`` sets tab fields by index."""
    fields: list[object] = [0] * TAB_COUNT
    fields[0], fields[1], fields[20] = 3000, 1500, mp40[1]
    fields[22], fields[25] = "7.4", "1.2"
    for index, value in (tabs or {}).items():
        fields[index] = value
    weapons = " ".join(str(number) for number in mp40)
    return f"{guid}\\{name}\\1\\{team}\\16 {weapons} \t" + "\t".join(str(field) for field in fields)


def header(
    *,
    map_name: str = "supply",
    round_number: int = 1,
    defender: str = "2",
    winner: str = "1",
    limit: str = "12:00",
    clock: str = "7:22",
    field9: str | None = None,
    server: str = "^4Demo ^7Server",
) -> str:
    """The first line; ``field9`` adds the new writer's ninth field."""
    parts = [server, map_name, "legacy3", str(round_number), defender, winner, limit, clock]
    return "\\".join(parts if field9 is None else [*parts, field9])


def stats_file(*players: str, **header_parts: Any) -> str:
    """A whole file; without players one default player is in it."""
    return "\n".join([header(**header_parts), *(players or (player_line(),))]) + "\n"


def unix(stamp: str) -> int:
    """Unix seconds of a UTC stamp like 2026-02-20-214503."""
    return int(datetime.strptime(stamp, "%Y-%m-%d-%H%M%S").replace(tzinfo=UTC).timestamp())


def stats_ready(
    stamp: str,
    *,
    map_name: str = "supply",
    round_number: int = 1,
    winner: int = 1,
    limit: str = "12 min",
    playtime: int = 442,
    pauses: str = "0 (0 sec)",
    reason: str = "objective",
    username: str = "ET:Legacy Stats",
    extra_fields: list[dict[str, str]] | None = None,
) -> dict[str, Any]:
    """The post of the webhook Lua for a half that ended at ``stamp`` (UTC)."""
    end = unix(stamp)
    axis = [{"guid": "AABBCCDD" * 4, "name": "Ana"}]
    allies = [{"guid": "11223344" * 4, "name": "Bor"}]
    values = {
        "Map": map_name,
        "Round": str(round_number),
        "Winner": str(winner),
        "Defender": "2",
        "Lua_Playtime": f"{playtime} sec",
        "Lua_Timelimit": limit,
        "Lua_Pauses": pauses,
        "Lua_EndReason": reason,
        "Lua_Warmup": "31 sec",
        "Lua_WarmupStart": str(end - playtime - 31),
        "Lua_RoundStart": str(end - playtime),
        "Lua_RoundEnd": str(end),
        "Lua_SurrenderTeam": "0",
        "Lua_SurrenderCaller": "",
        "Lua_SurrenderCallerName": "",
        "Lua_AxisScore": "1",
        "Lua_AlliesScore": "0",
        "Axis_JSON": json.dumps(axis),
        "Allies_JSON": json.dumps(allies),
        "Lua_Pauses_JSON": "[]",
        "Lua_SpawnSummary": "Players:2 | Spawns:9 | AvgRespawn:12s | MaxRespawn:20s",
    }
    return {
        "username": username,
        "content": "STATS_READY",
        "embeds": [
            {
                "title": f"Round Complete: {map_name} R{round_number}",
                "description": "Lua timing",
                "color": 3447003,
                "footer": {"text": "Slomix Lua Webhook v1.6.0"},
                "fields": [{"name": k, "value": v} for k, v in values.items()] + (extra_fields or []),
            }
        ],
    }
