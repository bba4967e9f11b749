"""Brings parsed stats files into PostgreSQL."""

import hashlib
import logging
import re
from datetime import datetime
from pathlib import Path

from bot.community_stats_parser import C0RNP0RN3StatsParser
from bot.core.round_linker import parse_round_datetime

logger = logging.getLogger("bot.importer")

ROUND_FILE = re.compile(r"^((?:202\d|203[0-5])-\d{2}-\d{2})-(\d{6})-([A-Za-z0-9_-]{1,50})-round-(\d{1,2})\.txt$")

END_REASONS = {"objective": "NORMAL", "time_expired": "NORMAL", "surrender": "SURRENDER"}
SURRENDER_FIX_SECONDS = 60

PLAYER_COLUMNS = (
    "round_id",
    "round_date",
    "map_name",
    "round_number",
    "player_guid",
    "player_name",
    "clean_name",
    "team",
    "kills",
    "deaths",
    "damage_given",
    "damage_received",
    "team_damage_given",
    "team_damage_received",
    "gibs",
    "self_kills",
    "full_selfkills",
    "team_kills",
    "team_gibs",
    "headshot_kills",
    "headshots",
    "time_played_seconds",
    "time_played_minutes",
    "time_dead_minutes",
    "time_dead_ratio",
    "xp",
    "kd_ratio",
    "dpm",
    "efficiency",
    "accuracy",
    "bullets_fired",
    "kill_assists",
    "objectives_stolen",
    "objectives_returned",
    "dynamites_planted",
    "dynamites_defused",
    "times_revived",
    "revives_given",
    "most_useful_kills",
    "useless_kills",
    "kill_steals",
    "denied_playtime",
    "constructions",
    "tank_meatshield",
    "double_kills",
    "triple_kills",
    "quad_kills",
    "multi_kills",
    "mega_kills",
    "killing_spree_best",
    "death_spree_worst",
)


class ImportFailed(Exception):
    """The file was read but cannot become rows."""


def split_round_file_name(name):
    """(date, time, map, round) of a round-stats file name, or None."""
    match = ROUND_FILE.match(name)
    if not match or not 1 <= int(match.group(4)) <= 10:
        return None
    return match.group(1), match.group(2), match.group(3), int(match.group(4))


def round_file_time(name):
    """Local time stamped into a round-stats or endstats file name, or None."""
    try:
        return datetime.strptime(name[:17], "%Y-%m-%d-%H%M%S")
    except ValueError:
        return None


def file_hash(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


class StatsImporter:
    def __init__(self, database, linker, pending, config):
        self.database = database
        self.linker = linker
        self.pending = pending
        self.session_gap_seconds = config.session_gap_minutes * 60
        self.parser = C0RNP0RN3StatsParser(round_match_window_minutes=config.round_match_window_minutes)

    # ------------------------------------------------------------ bookkeeping

    async def processed_names(self):
        rows = await self.database.fetch_all(
            "SELECT filename FROM processed_files WHERE success "
            "UNION SELECT filename FROM processed_endstats_files WHERE success"
        )
        return {row["filename"] for row in rows}

    async def mark_processed(self, name, digest, error=None):
        await self.database.execute(
            """
            INSERT INTO processed_files (filename, file_hash, success, error_message) VALUES (%s, %s, %s, %s)
            ON CONFLICT (filename) DO UPDATE SET
                file_hash = EXCLUDED.file_hash, success = EXCLUDED.success,
                error_message = EXCLUDED.error_message, processed_at = CURRENT_TIMESTAMP
            """,
            (name, digest, error is None, error),
        )

    # ------------------------------------------------------------ round files

    async def import_round_file(self, path):
        """Import one local round file and return (round id, parser result)."""
        path = Path(path)
        digest = file_hash(path)
        try:
            parts = split_round_file_name(path.name)
            if parts is None:
                raise ImportFailed("file name is not a round stats name")
            result = self.parser.parse_stats_file(str(path))
            if not result["success"]:
                raise ImportFailed(result["error"])
            round_id = await self._store(path.stem, parts, result)
        except Exception as e:
            await self.mark_processed(path.name, digest, str(e))
            raise
        await self.mark_processed(path.name, digest)
        return round_id, result

    async def _store(self, match_id, parts, result):
        round_date, round_time, map_name, round_number = parts
        file_time = parse_round_datetime(round_date, round_time)
        session_id = await self._session_for(file_time)
        metadata = self.pending.take(map_name, round_number, file_time.timestamp())
        try:
            round_id = await self._store_rows(match_id, parts, result, session_id, metadata)
        except Exception:
            if metadata is not None:
                self.pending.put(metadata)
            raise

        logger.info(
            f"Imported {match_id}: round_id={round_id} players={len(result['players'])} "
            f"session={session_id} metadata={'lua' if metadata else 'none'}"
        )
        if metadata is not None:
            await self.linker.link_after_import(round_id, map_name, round_number, int(file_time.timestamp()))
        return round_id

    async def _store_rows(self, match_id, parts, result, session_id, metadata):
        """The round, its players and, after a second half, the match summary: all or nothing."""
        round_date, _, map_name, round_number = parts
        async with self.database.transaction() as connection:
            round_id = await self._upsert_round(connection, match_id, parts, round_number, result, session_id, metadata)
            await self._replace_players(connection, round_id, round_date, map_name, round_number, result["players"])
            summary = result.get("match_summary")
            if summary:
                summary_id = await self._upsert_round(connection, match_id, parts, 0, summary, session_id, None)
                await self._replace_players(connection, summary_id, round_date, map_name, 0, summary["players"])
        return round_id

    async def _session_for(self, file_time):
        """Id of the gaming session that a round at this time belongs to; a long gap starts a new one."""
        rows = await self.database.fetch_all(
            "SELECT gaming_session_id, round_date, round_time FROM rounds WHERE gaming_session_id IS NOT NULL "
            "ORDER BY round_date DESC, round_time DESC LIMIT 200"
        )
        for row in rows:
            when = parse_round_datetime(row["round_date"], row["round_time"])
            if when is not None and abs((file_time - when).total_seconds()) <= self.session_gap_seconds:
                return row["gaming_session_id"]
        return max((row["gaming_session_id"] for row in rows), default=0) + 1

    async def _upsert_round(self, connection, match_id, parts, round_number, result, session_id, metadata):
        round_date, round_time, map_name, _ = parts
        winner = result["winner_team"]
        timing = {
            "round_start_unix": None,
            "round_end_unix": None,
            "actual_duration_seconds": None,
            "total_pause_seconds": 0,
            "pause_count": 0,
            "end_reason": None,
        }
        if metadata is not None:
            timing = {
                "round_start_unix": metadata.start_unix,
                "round_end_unix": metadata.end_unix,
                "actual_duration_seconds": metadata.playtime_seconds,
                "total_pause_seconds": metadata.pause_seconds,
                "pause_count": metadata.pause_count,
                "end_reason": END_REASONS.get(metadata.end_reason),
            }
            clock = self.parser.parse_time_to_seconds(result["actual_time"])
            if abs(metadata.playtime_seconds - clock) > SURRENDER_FIX_SECONDS:
                logger.info(f"Lua override {match_id}: {clock}s -> {metadata.playtime_seconds}s (surrender fix)")
            if metadata.winner in (1, 2):
                winner = metadata.winner

        values = {
            "match_id": match_id,
            "round_number": round_number,
            "round_date": round_date,
            "round_time": round_time,
            "map_name": map_name,
            "time_limit": str(result.get("time_limit", 0)),
            "actual_time": result["actual_time"],
            "defender_team": result["defender_team"],
            "winner_team": winner,
            "round_outcome": result["round_outcome"],
            "gaming_session_id": session_id,
            **timing,
        }
        columns = ", ".join(values)
        marks = ", ".join(f"%({name})s" for name in values)
        row = await (
            await connection.execute(
                f"""
                INSERT INTO rounds ({columns}) VALUES ({marks})
                ON CONFLICT (match_id, round_number) DO UPDATE SET
                    round_date = EXCLUDED.round_date,
                    round_time = EXCLUDED.round_time,
                    defender_team = EXCLUDED.defender_team,
                    winner_team = EXCLUDED.winner_team,
                    round_start_unix = COALESCE(EXCLUDED.round_start_unix, rounds.round_start_unix),
                    round_end_unix = COALESCE(EXCLUDED.round_end_unix, rounds.round_end_unix),
                    actual_duration_seconds =
                        COALESCE(EXCLUDED.actual_duration_seconds, rounds.actual_duration_seconds),
                    end_reason = COALESCE(EXCLUDED.end_reason, rounds.end_reason)
                RETURNING id
                """,
                values,
            )
        ).fetchone()
        return row["id"]

    async def _replace_players(self, connection, round_id, round_date, map_name, round_number, players):
        await connection.execute("DELETE FROM player_comprehensive_stats WHERE round_id = %s", (round_id,))
        await connection.execute("DELETE FROM weapon_comprehensive_stats WHERE round_id = %s", (round_id,))
        base = {"round_id": round_id, "round_date": round_date, "map_name": map_name, "round_number": round_number}
        insert_player = (
            f"INSERT INTO player_comprehensive_stats ({', '.join(PLAYER_COLUMNS)}) "
            f"VALUES ({', '.join(f'%({name})s' for name in PLAYER_COLUMNS)}) "
            "ON CONFLICT (round_id, player_guid) DO NOTHING"
        )
        for player in players:
            await connection.execute(insert_player, {**base, **self._player_row(player)})
            for weapon, numbers in player["weapon_stats"].items():
                await connection.execute(
                    """
                    INSERT INTO weapon_comprehensive_stats (
                        round_id, round_date, map_name, round_number, player_guid, player_name, weapon_name,
                        kills, deaths, headshots, shots, hits, accuracy
                    ) VALUES (
                        %(round_id)s, %(round_date)s, %(map_name)s, %(round_number)s, %(guid)s, %(name)s, %(weapon)s,
                        %(kills)s, %(deaths)s, %(headshots)s, %(shots)s, %(hits)s, %(accuracy)s
                    ) ON CONFLICT (round_id, player_guid, weapon_name) DO NOTHING
                    """,
                    {
                        **base,
                        **numbers,
                        "guid": player["guid"],
                        "name": player["clean_name"],
                        "weapon": weapon,
                        "accuracy": numbers["hits"] / numbers["shots"] * 100 if numbers["shots"] else 0.0,
                    },
                )

    @staticmethod
    def _player_row(player):
        stats = player["objective_stats"]
        kills = player["kills"]
        played_minutes = player["time_played_seconds"] / 60
        if player["dpm"] > 1000:
            logger.warning(f"Implausible dpm {player['dpm']:.0f} for {player['clean_name']}")
        return {
            "player_guid": player["guid"],
            "player_name": player["name"],
            "clean_name": player["clean_name"],
            "team": player["team"],
            "kills": kills,
            "deaths": player["deaths"],
            "damage_given": stats["damage_given"],
            "damage_received": stats["damage_received"],
            "team_damage_given": stats["team_damage_given"],
            "team_damage_received": stats["team_damage_received"],
            "gibs": stats["gibs"],
            "self_kills": stats["self_kills"],
            "full_selfkills": stats["full_selfkills"],
            "team_kills": min(stats["team_kills"], kills),
            "team_gibs": stats["team_gibs"],
            "headshot_kills": min(stats["headshot_kills"], kills),
            "headshots": player["headshots"],
            "time_played_seconds": player["time_played_seconds"],
            "time_played_minutes": played_minutes,
            "time_dead_minutes": min(stats["time_dead_minutes"], played_minutes),
            "time_dead_ratio": stats["time_dead_ratio"],
            "xp": stats["xp"],
            "kd_ratio": player["kd_ratio"],
            "dpm": player["dpm"],
            "efficiency": player["efficiency"],
            "accuracy": min(100.0, max(0.0, player["accuracy"])),
            "bullets_fired": stats["bullets_fired"],
            "kill_assists": stats["kill_assists"],
            "objectives_stolen": stats["objectives_stolen"],
            "objectives_returned": stats["objectives_returned"],
            "dynamites_planted": stats["dynamites_planted"],
            "dynamites_defused": stats["dynamites_defused"],
            "times_revived": stats["times_revived"],
            "revives_given": stats["revives_given"],
            "most_useful_kills": stats["useful_kills"],
            "useless_kills": stats["useless_kills"],
            "kill_steals": stats["kill_steals"],
            "denied_playtime": stats["denied_playtime"],
            "constructions": stats["constructions"],
            "tank_meatshield": int(stats["tank_meatshield"]),
            "double_kills": stats["multikill_2x"],
            "triple_kills": stats["multikill_3x"],
            "quad_kills": stats["multikill_4x"],
            "multi_kills": stats["multikill_5x"],
            "mega_kills": stats["multikill_6x"],
            "killing_spree_best": stats["killing_spree"],
            "death_spree_worst": stats["death_spree"],
        }

    # ------------------------------------------------------------ endstats

    async def import_endstats_file(self, path):
        """Book an awards file and tie it to its round; the award texts themselves are posted, not stored."""
        path = Path(path)
        parts = split_round_file_name(path.name.replace("-endstats.txt", ".txt"))
        if parts is None:
            raise ImportFailed("file name is not an endstats name")
        lines = [line for line in path.read_text(encoding="utf-8", errors="ignore").splitlines() if line.strip()]
        awards = sum(1 for line in lines if line.count("\t") >= 1)
        round_id = await self.linker.resolve(
            parts[2], parts[3], target_time=parse_round_datetime(parts[0], parts[1]), round_date=parts[0]
        )
        await self.database.execute(
            """
            INSERT INTO processed_endstats_files (filename, round_id, success) VALUES (%s, %s, TRUE)
            ON CONFLICT (filename) DO UPDATE SET round_id = EXCLUDED.round_id, processed_at = CURRENT_TIMESTAMP
            """,
            (path.name, round_id),
        )
        logger.info(f"Endstats {path.name}: {awards} lines, round_id={round_id}")
