"""Round metadata from the webhook Lua: reading its embed, keeping it until the stats file comes, storing it."""

import json
import logging
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from datetime import datetime

from psycopg.types.json import Jsonb

logger = logging.getLogger("bot.webhook")

PENDING_TTL_SECONDS = 3 * 3600
PENDING_PER_ROUND = 8
TEAM_LABELS = {1: "Axis", 2: "Allies"}


def _leading_int(text, default=0):
    """The whole number in front of "441 sec"; a number with decimals is none."""
    words = str(text or "").split()
    try:
        return int(words[0])
    except (IndexError, ValueError):
        return default


def _json_list(text):
    try:
        value = json.loads(text or "[]")
    except ValueError:
        logger.warning(f"Unreadable JSON field in Lua embed: {str(text)[:80]}")
        return []
    return value if isinstance(value, list) else []


@dataclass
class LuaRound:
    map_name: str
    round_number: int
    winner: int = 0
    defender: int = 0
    playtime_seconds: int = 0
    time_limit_minutes: int = 0
    pause_count: int = 0
    pause_seconds: int = 0
    end_reason: str = ""
    warmup_seconds: int = 0
    warmup_start_unix: int = 0
    start_unix: int = 0
    end_unix: int = 0
    surrender_team: int = 0
    surrender_caller_guid: str = ""
    surrender_caller_name: str = ""
    axis_score: int = 0
    allies_score: int = 0
    axis_players: list = field(default_factory=list)
    allies_players: list = field(default_factory=list)
    pause_events: list = field(default_factory=list)
    lua_version: str = ""

    @property
    def ended_at(self):
        return datetime.fromtimestamp(self.end_unix)

    @property
    def match_id(self):
        return self.ended_at.strftime("%Y-%m-%d-%H%M%S")

    def summary(self):
        surrender = ""
        if self.surrender_team in TEAM_LABELS:
            by = f" (by {self.surrender_caller_name})" if self.surrender_caller_name else ""
            surrender = f", surrender={TEAM_LABELS[self.surrender_team]}{by}"
        return (
            f"{self.map_name} R{self.round_number} (winner={self.winner}, playtime={self.playtime_seconds}s, "
            f"warmup={self.warmup_seconds}s, pauses={self.pause_count}{surrender}, "
            f"score={self.axis_score}-{self.allies_score})"
        )


def parse_embed(embed):
    """LuaRound of one embed; ValueError when map, round or end time are missing."""
    values = {entry.get("name", "").lower(): entry.get("value", "") for entry in embed.get("fields") or []}
    map_name = values.get("map", "").strip()
    round_number = _leading_int(values.get("round"))
    end_unix = _leading_int(values.get("lua_roundend"))
    if not map_name or round_number not in (1, 2) or end_unix <= 0:
        raise ValueError(
            f"embed without usable map, round or end (map={map_name!r}, round={round_number}, end={end_unix})"
        )

    pauses = values.get("lua_pauses", "0 (0 sec)")
    pause_count, _, pause_rest = pauses.partition("(")
    footer = (embed.get("footer") or {}).get("text", "")
    return LuaRound(
        map_name=map_name,
        round_number=round_number,
        winner=_leading_int(values.get("winner")),
        defender=_leading_int(values.get("defender")),
        playtime_seconds=_leading_int(values.get("lua_playtime")),
        time_limit_minutes=_leading_int(values.get("lua_timelimit")),
        pause_count=_leading_int(pause_count),
        pause_seconds=_leading_int(pause_rest),
        end_reason=values.get("lua_endreason", "").strip(),
        warmup_seconds=_leading_int(values.get("lua_warmup")),
        warmup_start_unix=_leading_int(values.get("lua_warmupstart")),
        start_unix=_leading_int(values.get("lua_roundstart")),
        end_unix=end_unix,
        surrender_team=_leading_int(values.get("lua_surrenderteam")),
        surrender_caller_guid=values.get("lua_surrendercaller", "").strip(),
        surrender_caller_name=values.get("lua_surrendercallername", "").strip(),
        axis_score=_leading_int(values.get("lua_axisscore")),
        allies_score=_leading_int(values.get("lua_alliesscore")),
        axis_players=_json_list(values.get("axis_json")),
        allies_players=_json_list(values.get("allies_json")),
        pause_events=_json_list(values.get("lua_pauses_json")),
        lua_version=footer.rpartition(" v")[2] if " v" in footer else "",
    )


class PendingMetadata:
    """Metadata waiting for its stats file, per map and half."""

    def __init__(self):
        self._waiting = defaultdict(lambda: deque(maxlen=PENDING_PER_ROUND))

    def __len__(self):
        return sum(len(queue) for queue in self._waiting.values())

    def put(self, lua_round):
        self._waiting[lua_round.map_name, lua_round.round_number].append((time.monotonic(), lua_round))

    def take(self, map_name, round_number, target_unix):
        """The waiting entry nearest to the file's time, or None."""
        queue = self._waiting[map_name, round_number]
        expired = time.monotonic() - PENDING_TTL_SECONDS
        while queue and queue[0][0] < expired:
            queue.popleft()
        if not queue:
            return None
        entry = min(queue, key=lambda item: abs(item[1].end_unix - target_unix))
        queue.remove(entry)
        return entry[1]


class LuaRoundStore:
    def __init__(self, database, linker):
        self.database = database
        self.linker = linker

    async def save(self, lua_round):
        """Insert or refresh the row of one half; the link to rounds is looked up right here."""
        round_id = await self.linker.resolve(
            lua_round.map_name,
            lua_round.round_number,
            target_time=lua_round.ended_at,
            round_date=lua_round.ended_at.strftime("%Y-%m-%d"),
        )
        await self.database.execute(
            """
            INSERT INTO lua_round_teams (
                match_id, round_number, axis_players, allies_players, round_start_unix, round_end_unix,
                actual_duration_seconds, total_pause_seconds, pause_count, end_reason, winner_team, defender_team,
                map_name, time_limit_minutes, lua_version, lua_warmup_seconds, lua_warmup_start_unix, lua_pause_events,
                surrender_caller_guid, surrender_caller_name, surrender_team, axis_score, allies_score, round_id
            ) VALUES (
                %(match_id)s, %(round_number)s, %(axis)s, %(allies)s, %(start)s, %(end)s,
                %(playtime)s, %(pause_seconds)s, %(pause_count)s, %(end_reason)s, %(winner)s, %(defender)s,
                %(map)s, %(limit)s, %(version)s, %(warmup)s, %(warmup_start)s, %(pause_events)s,
                %(caller_guid)s, %(caller_name)s, %(surrender_team)s, %(axis_score)s, %(allies_score)s, %(round_id)s
            )
            ON CONFLICT (match_id, round_number) DO UPDATE SET
                axis_players = EXCLUDED.axis_players,
                allies_players = EXCLUDED.allies_players,
                actual_duration_seconds = EXCLUDED.actual_duration_seconds,
                total_pause_seconds = EXCLUDED.total_pause_seconds,
                pause_count = EXCLUDED.pause_count,
                end_reason = EXCLUDED.end_reason,
                winner_team = EXCLUDED.winner_team,
                lua_version = EXCLUDED.lua_version,
                round_id = COALESCE(EXCLUDED.round_id, lua_round_teams.round_id),
                captured_at = now()
            """,
            {
                "match_id": lua_round.match_id,
                "round_number": lua_round.round_number,
                "axis": Jsonb(lua_round.axis_players),
                "allies": Jsonb(lua_round.allies_players),
                "start": lua_round.start_unix,
                "end": lua_round.end_unix,
                "playtime": lua_round.playtime_seconds,
                "pause_seconds": lua_round.pause_seconds,
                "pause_count": lua_round.pause_count,
                "end_reason": lua_round.end_reason[:20],
                "winner": lua_round.winner,
                "defender": lua_round.defender,
                "map": lua_round.map_name[:64],
                "limit": lua_round.time_limit_minutes,
                "version": lua_round.lua_version[:16],
                "warmup": lua_round.warmup_seconds,
                "warmup_start": lua_round.warmup_start_unix,
                "pause_events": Jsonb(lua_round.pause_events),
                "caller_guid": lua_round.surrender_caller_guid[:64],
                "caller_name": lua_round.surrender_caller_name[:64],
                "surrender_team": lua_round.surrender_team,
                "axis_score": lua_round.axis_score,
                "allies_score": lua_round.allies_score,
                "round_id": round_id,
            },
        )
        logger.info(
            f"Stored Lua round data: {lua_round.match_id} R{lua_round.round_number} "
            f"(Axis: {len(lua_round.axis_players)}, Allies: {len(lua_round.allies_players)})"
        )
        return round_id
