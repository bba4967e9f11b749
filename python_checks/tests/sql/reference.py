"""What the plan's statements mean, written once more the plain and slow way: loops over all rows of a Site."""

from __future__ import annotations

import re
from collections.abc import Iterable

from python_checks.tests.sql.random_site import Row, Site

BOTS = re.compile(r"^\[BOT\]")
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}")
_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-[0-3]\d")


def is_dated(row: Row) -> bool:
    """Whether the round's date is an ISO date and nothing else."""
    return row["round_date"] is not None and _ISO.fullmatch(row["round_date"]) is not None


def newest(rows: Iterable[Row], count: int) -> list[Row]:
    """The rows with the highest ids."""
    return sorted(rows, key=lambda row: -row["id"])[:count]


def class_of(site: Site, one: Row) -> str:
    """played, bot, cancelled or other_status."""
    if one["round_status"] == "cancelled":
        return "cancelled"
    if one["round_status"] != "completed":
        return "other_status"
    names = [p["clean_name"] or p["player_name"] for p in site.players if p["round_id"] == one["id"]]
    return "bot" if one["is_bot_round"] or (names and all(BOTS.search(name) for name in names)) else "played"


def coverage(site: Site, newest_rounds: int, window_from: str) -> list[Row]:
    """coverage.sql; ``window_from`` is the first day of the window."""
    rounds, teams = newest(site.rounds, newest_rounds), newest(site.teams, newest_rounds)
    known = {row["id"]: row for row in site.rounds}

    def links(round_id: int | None) -> int:
        return sum(row["round_id"] == round_id for row in site.teams) if round_id is not None else 0

    told = []
    for number in {0, 1, 2} | {row["round_number"] for row in rounds} | {row["round_number"] for row in teams}:
        mine = [row for row in rounds if row["round_number"] == number]
        classes = [class_of(site, row) for row in mine]
        played = [row for row, kind in zip(mine, classes, strict=True) if kind == "played"]
        window = [row for row in played if is_dated(row) and row["round_date"] >= window_from]
        lua = [row for row in teams if row["round_number"] == number]
        told.append(
            {
                "round_number": number,
                "rounds": len(mine),
                "played": len(played),
                "bot": classes.count("bot"),
                "cancelled": classes.count("cancelled"),
                "other_status": classes.count("other_status"),
                "undated": sum(not is_dated(row) for row in mine),
                "with_lua": sum(links(row["id"]) > 0 for row in played),
                "without_lua": sum(links(row["id"]) == 0 for row in played),
                "linked_more_than_once": sum(links(row["id"]) > 1 for row in played),
                "window_played": len(window),
                "window_with_lua": sum(links(row["id"]) > 0 for row in window),
                "window_without_lua": sum(links(row["id"]) == 0 for row in window),
                "lua_rows": len(lua),
                "lua_unlinked": sum(row["round_id"] is None for row in lua),
                "lua_dangling": sum(row["round_id"] is not None and row["round_id"] not in known for row in lua),
                "lua_ambiguous": sum(links(row["round_id"]) > 1 for row in lua),
                "lua_crossed": sum(
                    row["round_id"] in known and known[row["round_id"]]["round_number"] != number for row in lua
                ),
                "counted_from_day": min((row["round_date"] for row in rounds if is_dated(row)), default=None),
                "is_all": len(rounds) == len(site.rounds) and len(teams) == len(site.teams),
            }
        )
    return told


def baseline(site: Site, newest_rows: int, since: str) -> list[Row]:
    """baseline.sql without the time of the newest row, which the database sets."""
    rounds, teams, spawns = (newest(rows, newest_rows) for rows in (site.rounds, site.teams, site.spawns))
    tables = {"rounds": site.rounds, "lua_round_teams": site.teams, "lua_spawn_stats": site.spawns}

    def of(rows: list[Row], number: int, day: str | None = None) -> int:
        return sum(
            row["round_number"] == number and (day is None or (is_dated(row) and row["round_date"] >= day))
            for row in rows
        )

    return [
        {
            "lua_round_teams": len(teams),
            "lua_round_teams_r1": of(teams, 1),
            "lua_round_teams_r2": of(teams, 2),
            "lua_round_teams_unlinked": sum(row["round_id"] is None for row in teams),
            "lua_spawn_stats": len(spawns),
            "lua_spawn_stats_unlinked": sum(row["round_id"] is None for row in spawns),
            "rounds_r1": of(rounds, 1),
            "rounds_r2": of(rounds, 2),
            "rounds_summary": of(rounds, 0),
            "rounds_since_r1": of(rounds, 1, since),
            "rounds_since_r2": of(rounds, 2, since),
            "rounds_undated": sum(not is_dated(row) for row in rounds),
            "newest_round_id": max((row["id"] for row in rounds), default=None),
            "counted_from_day": min((row["round_date"] for row in rounds if is_dated(row)), default=None),
            "left_out": ", ".join(name for name, rows in tables.items() if len(rows) > newest_rows),
        }
    ]


def is_bot(one: Row, player: Row) -> bool:
    """Whether a player appears as a bot in a round."""
    return bool(one["is_bot_round"]) or bool(BOTS.search(player["clean_name"] or player["player_name"]))


def session_players(site: Site, days: int) -> list[Row]:
    """session_players.sql."""
    rounds = {row["id"]: row for row in site.rounds}
    halves = {
        row["id"]: row["round_date"][:10]
        for row in site.rounds
        if row["round_number"] in (1, 2) and _DAY.match(row["round_date"] or "")
    }
    rows = [(halves[row["round_id"]], row) for row in site.players if row["round_id"] in halves]
    wanted = sorted({day for day, _ in rows})[-days:]
    given = ("round_id", "damage_given", "damage_received", "time_played_seconds", "time_dead_minutes")
    return [
        {
            "day": day,
            "guid": row["player_guid"],
            "name": row["clean_name"],
            "round_status": rounds[row["round_id"]]["round_status"],
            "is_bot": is_bot(rounds[row["round_id"]], row),
            **{key: row[key] for key in given},
        }
        for day, row in rows
        if day in wanted
    ]


def shadow_pairs(site: Site, since: str, newest_halves: int) -> list[Row]:
    """shadow_pairs.sql."""

    def hms(row: Row) -> str | None:
        return row["round_time"] and row["round_time"].replace(":", "")

    halves = [
        row for row in site.rounds if row["round_number"] in (1, 2) and is_dated(row) and row["round_date"] >= since
    ]
    # An unknown time counts as the last of its day.
    ordered = sorted(halves, key=lambda row: (row["round_date"], hms(row) is None, hms(row) or "", row["id"]))
    told = []
    for half in ordered[-newest_halves:]:
        teams = [row for row in site.teams if row["round_id"] == half["id"]]
        versions = {row["lua_version"] for row in teams}
        lengths = [row["actual_duration_seconds"] for row in teams if row["actual_duration_seconds"] is not None]
        for player in (row for row in site.players if row["round_id"] == half["id"]):
            guid = player["player_guid"][:8].lower()
            spawns = [
                row for row in site.spawns if row["round_id"] == half["id"] and row["player_guid"][:8].lower() == guid
            ]
            told.append(
                {
                    "round_id": half["id"],
                    "session": str(half["gaming_session_id"] or half["round_date"]),
                    "map": half["map_name"],
                    "round_number": half["round_number"],
                    "played_at": f"{half['round_date']}-{hms(half) or ''}",
                    "class": class_of(site, half),
                    "player_guid": guid,
                    "played_s": player["time_played_seconds"],
                    "old_dead_s": round(player["time_dead_minutes"] * 60, 1),
                    "new_dead_s": min((row["dead_seconds"] for row in spawns), default=None),
                    "lua_rows": len(teams) if len(teams) > 1 else len(spawns),
                    "lua_version": min(versions) if len(versions) == 1 else None,
                    "end_reason": min((row["end_reason"] for row in teams if row["end_reason"]), default=None),
                    "pause_s": min((row["total_pause_seconds"] for row in teams), default=0),
                    "duration_s": min(lengths, default=None),
                    "span_s": min((row["round_end_unix"] - row["round_start_unix"] for row in teams), default=None),
                    "is_cut": len(halves) > newest_halves,
                }
            )
    return told


def headshot_kills(site: Site, shown: list[str], max_player_rows: int) -> list[Row]:
    """headshot_kills.sql; ``names`` as a set."""
    rounds = {row["id"]: row for row in site.rounds}
    readings = {"played": ("completed", "substitution", None), "completed": ("completed", None)}

    def by_status(guid: str) -> Row:
        """The sums of the other readings, and whether he is a bot."""
        halves = [row for row in site.players if row["player_guid"] == guid and row["round_number"] in (1, 2)]
        told: Row = {"is_bot": all(is_bot(rounds[row["round_id"]], row) for row in halves)}
        for reading, statuses in readings.items():
            counted = [row for row in halves if rounds[row["round_id"]]["round_status"] in statuses]
            told |= {f"{reading}_{key}": sum(row[key] for row in counted) for key in ("headshot_kills", "kills")}
            told[f"{reading}_rounds"] = len(counted)
        return told

    def summed(guid: str) -> Row:
        halves = [row for row in site.players if row["player_guid"] == guid and row["round_number"] in (1, 2)]
        sums = {key: sum(row[key] for row in halves) for key in ("headshot_kills", "kills")}
        names = {row["clean_name"] for row in halves if row["clean_name"] is not None}
        return {"guid": guid, "names": names, **sums, "rounds": len(halves)}

    guids = sorted({row["player_guid"] for row in site.players})
    if len(site.players) <= max_player_rows:
        return [{**summed(guid), **by_status(guid), "is_all": True} for guid in guids if summed(guid)["kills"] > 0]
    asked = set(shown) | {re.sub(r"\\(.)", r"\1", name) for name in shown}
    bearers = {
        guid: {row["clean_name"] for row in site.players if row["player_guid"] == guid} & asked for guid in guids
    }
    size = {guid: sum(row["player_guid"] == guid for row in site.players) for guid in guids}
    unread = dict.fromkeys(f"{one}_{key}" for one in readings for key in ("headshot_kills", "kills", "rounds"))
    rest = {**unread, "is_bot": False, "is_all": False}
    told, left = [], max_player_rows
    for guid in sorted((g for g in guids if bearers[g]), key=lambda g: (min(size[g], max_player_rows // 10), g)):
        left -= min(size[guid], max(left, 0) + 1)
        unknown = {"headshot_kills": None, "kills": None, "rounds": None}
        if left < 0:
            told.append({"guid": guid, "names": bearers[guid], **unknown, **rest})
        elif summed(guid)["kills"] > 0:
            told.append({**summed(guid), **rest})
    return told
