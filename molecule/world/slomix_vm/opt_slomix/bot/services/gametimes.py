"""Gametime files: the webhook's payload on disk, plus spawn statistics that exist nowhere else."""

import json
import logging
from datetime import datetime
from pathlib import Path

from bot.services.lua_metadata import parse_embed

logger = logging.getLogger("bot.gametimes")


def _whole(value):
    try:
        return int(float(value))
    except (TypeError, ValueError, OverflowError):
        return 0


class GametimeIngester:
    def __init__(self, database, linker, lua_store, pending):
        self.database = database
        self.linker = linker
        self.lua_store = lua_store
        self.pending = pending

    async def ingest(self, path):
        """Store what one file holds; ValueError when it is not a gametime file."""
        content = json.loads(Path(path).read_text(encoding="utf-8", errors="replace"))
        meta = content.get("meta") or {}
        embeds = (content.get("payload") or {}).get("embeds") or []
        if not embeds or not meta.get("map"):
            raise ValueError("no meta or no payload in the file")

        lua_round = parse_embed(embeds[0])
        logger.info(
            f"GAMETIME: {lua_round.map_name} R{lua_round.round_number} (winner={lua_round.winner}, "
            f"playtime={lua_round.playtime_seconds}s, warmup={lua_round.warmup_seconds}s, "
            f"pauses={lua_round.pause_count})"
        )
        known = await self.database.fetch_one(
            "SELECT id FROM lua_round_teams WHERE match_id = %s AND round_number = %s",
            (lua_round.match_id, lua_round.round_number),
        )
        round_id = await self.lua_store.save(lua_round)
        if known is None and round_id is None:
            self.pending.put(lua_round)
        await self._store_spawns(lua_round, content.get("spawn_stats") or meta.get("spawn_stats") or [], round_id)

    async def _store_spawns(self, lua_round, spawns, round_id):
        stored = 0
        for spawn in spawns:
            guid = str(spawn.get("guid") or "")
            if not guid:
                continue
            await self.database.execute(
                """
                INSERT INTO lua_spawn_stats (
                    match_id, round_number, round_id, map_name, round_end_unix, player_guid, player_name,
                    spawn_count, death_count, dead_seconds, avg_respawn_seconds, max_respawn_seconds
                ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
                ON CONFLICT (match_id, round_number, player_guid) DO UPDATE SET
                    spawn_count = EXCLUDED.spawn_count,
                    death_count = EXCLUDED.death_count,
                    dead_seconds = EXCLUDED.dead_seconds,
                    avg_respawn_seconds = EXCLUDED.avg_respawn_seconds,
                    max_respawn_seconds = EXCLUDED.max_respawn_seconds,
                    captured_at = now()
                """,
                (
                    lua_round.match_id,
                    lua_round.round_number,
                    round_id,
                    lua_round.map_name[:64],
                    lua_round.end_unix,
                    guid[:32],
                    str(spawn.get("name") or "")[:64],
                    _whole(spawn.get("spawns")),
                    _whole(spawn.get("deaths")),
                    _whole(spawn.get("dead_seconds")),
                    _whole(spawn.get("avg_respawn")),
                    _whole(spawn.get("max_respawn")),
                ),
            )
            stored += 1
        logger.info(f"Stored Lua spawn stats: {lua_round.match_id} R{lua_round.round_number} (players: {stored})")


def gametime_end(name):
    """Local end time in a name like gametime-supply-R2-1771624703.json, or None."""
    try:
        return datetime.fromtimestamp(int(name.rsplit("-", 1)[1].removesuffix(".json")))
    except (IndexError, ValueError, OverflowError, OSError):
        return None
