"""Old and new timing of a session side by side: dead and denied time from the stats file, dead time from Lua."""

import logging
from dataclasses import dataclass, field

logger = logging.getLogger("bot.timing_shadow")

GUID_PREFIX = 8


@dataclass
class PlayerTiming:
    guid: str
    name: str = ""
    played_seconds: int = 0
    old_dead_seconds: int = 0
    new_dead_seconds: int = 0
    old_denied_seconds: int = 0
    new_denied_seconds: int = 0
    rounds: int = 0
    lua_rounds: int = 0
    reasons: set = field(default_factory=set)

    @property
    def note(self):
        if self.lua_rounds == self.rounds:
            return ""
        return " (partial)" if self.lua_rounds else " (no-lua)"


@dataclass
class SessionTiming:
    players: list
    rounds: int
    lua_rounds: int
    coverage_pct: float


def _clamp(value, upper):
    return max(0, min(value, upper))


class SessionTimingShadowService:
    """Compares on demand; results stay in memory until the bot restarts or a refresh is forced."""

    def __init__(self, db_adapter):
        self.db_adapter = db_adapter
        self._cache = {}

    async def compare_session(self, round_ids, force_refresh=False):
        key = tuple(sorted(round_ids))
        if force_refresh or key not in self._cache:
            self._cache[key] = await self._compare(list(key))
        return self._cache[key]

    async def _compare(self, round_ids):
        rows = await self.db_adapter.fetch_all(
            """
            SELECT round_id, player_guid, clean_name, time_played_seconds, time_dead_minutes, denied_playtime
            FROM player_comprehensive_stats
            WHERE round_id = ANY(%s) AND round_number IN (1, 2)
            ORDER BY round_id, player_guid
            """,
            (round_ids,),
        )
        lua_dead = await self._lua_dead(round_ids)
        durations = await self._durations(round_ids)
        covered_rounds = {round_id for round_id, _ in lua_dead}
        players, covered_rows = {}, 0
        for row in rows:
            player = players.setdefault(row["player_guid"], PlayerTiming(row["player_guid"]))
            covered_rows += self._add_round(player, row, lua_dead, covered_rounds, durations)
        coverage = round(100.0 * covered_rows / len(rows), 2) if rows else 0.0
        seen = {row["round_id"] for row in rows}
        with_lua = {r["round_id"] for r in rows if (r["round_id"], r["player_guid"].lower()[:GUID_PREFIX]) in lua_dead}
        logger.info(f"timing_shadow_session_complete rounds={len(seen)} coverage_pct={coverage}")
        ranked = sorted(players.values(), key=lambda player: -player.played_seconds)
        return SessionTiming(ranked, len(seen), len(with_lua), coverage)

    def _add_round(self, player, row, lua_dead, covered_rounds, durations):
        """Add one player's round; True when it has a Lua row."""
        played = row["time_played_seconds"] or 0
        old_dead = _clamp(round((row["time_dead_minutes"] or 0) * 60), played)
        old_denied = _clamp(row["denied_playtime"] or 0, played)
        raw = lua_dead.get((row["round_id"], row["player_guid"].lower()[:GUID_PREFIX]))
        if raw is None:
            known = row["round_id"] in covered_rounds
            player.reasons.add("lua_missing_for_guid_prefix" if known else "lua_missing_for_round")
            new_dead = old_dead
        else:
            limit = min(played, durations.get(row["round_id"]) or played)
            if raw < 0:
                player.reasons.add("lua_dead_negative_clamped")
            elif raw > limit:
                player.reasons.add("lua_dead_capped_to_plausible_limit")
            new_dead = _clamp(raw, limit)
        old_active = played - old_dead
        if old_active > 0:
            new_denied = _clamp(round(old_denied / old_active * (played - new_dead)), played)
        else:
            player.reasons.add("old_active_zero")
            new_denied = old_denied
        player.name = row["clean_name"] or player.name
        player.played_seconds += played
        player.old_dead_seconds += old_dead
        player.new_dead_seconds += new_dead
        player.old_denied_seconds += old_denied
        player.new_denied_seconds += new_denied
        player.rounds += 1
        player.lua_rounds += raw is not None
        return raw is not None

    async def _lua_dead(self, round_ids):
        """(round id, guid prefix) -> dead seconds measured by Lua; empty when the query fails."""
        try:
            rows = await self.db_adapter.fetch_all(
                """
                SELECT round_id, LOWER(LEFT(player_guid, 8)) AS prefix, SUM(dead_seconds) AS dead_seconds
                FROM lua_spawn_stats
                WHERE round_id = ANY(%s)
                GROUP BY round_id, LOWER(LEFT(player_guid, 8))
                """,
                (round_ids,),
            )
        except Exception:
            logger.exception("lua_query_failed")
            return {}
        return {(row["round_id"], row["prefix"]): int(row["dead_seconds"] or 0) for row in rows}

    async def _durations(self, round_ids):
        rows = await self.db_adapter.fetch_all(
            "SELECT round_id, MAX(actual_duration_seconds) AS seconds FROM lua_round_teams "
            "WHERE round_id = ANY(%s) GROUP BY round_id",
            (round_ids,),
        )
        return {row["round_id"]: row["seconds"] for row in rows}
