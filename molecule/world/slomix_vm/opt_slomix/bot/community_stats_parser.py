"""Parser for the stats files that the c0rnp0rn Lua writes at the end of every stopwatch half."""

import logging
import os
import re
from datetime import datetime, timedelta
from pathlib import Path

import discord

logger = logging.getLogger("bot.parser")

COLOR_CODE = re.compile(r"\^.")
STATS_NAME = re.compile(r"^(\d{4}-\d{2}-\d{2})-(\d{6})-(.+)-round-(\d+)\.txt$")

# Bit number in the weapon mask -> name, in the order in which the Lua walks its table.
WEAPON_NAMES = (
    "WS_KNIFE",
    "WS_KNIFE_KBAR",
    "WS_LUGER",
    "WS_COLT",
    "WS_MP40",
    "WS_THOMPSON",
    "WS_STEN",
    "WS_FG42",
    "WS_PANZERFAUST",
    "WS_BAZOOKA",
    "WS_FLAMETHROWER",
    "WS_GRENADE",
    "WS_MORTAR",
    "WS_MORTAR2",
    "WS_DYNAMITE",
    "WS_AIRSTRIKE",
    "WS_ARTILLERY",
    "WS_SATCHEL",
    "WS_GRENADELAUNCHER",
    "WS_LANDMINE",
    "WS_MG42",
    "WS_BROWNING",
    "WS_CARBINE",
    "WS_KAR98",
    "WS_GARAND",
    "WS_K43",
    "WS_MP34",
    "WS_SYRINGE",
)

# Tab fields of a player line, in file order. The flag says whether the number keeps growing over both halves.
TAB_FIELDS = (
    ("damage_given", int, True),
    ("damage_received", int, True),
    ("team_damage_given", int, True),
    ("team_damage_received", int, True),
    ("gibs", int, True),
    ("self_kills", int, True),
    ("team_kills", int, True),
    ("team_gibs", int, True),
    ("time_played_percent", float, False),
    ("xp", int, False),
    ("killing_spree", int, False),
    ("death_spree", int, False),
    ("kill_assists", int, False),
    ("kill_steals", int, False),
    ("headshot_kills", int, False),
    ("objectives_stolen", int, False),
    ("objectives_returned", int, False),
    ("dynamites_planted", int, False),
    ("dynamites_defused", int, False),
    ("times_revived", int, False),
    ("bullets_fired", int, True),
    ("dpm", float, False),
    ("time_played_minutes", float, True),
    ("tank_meatshield", float, False),
    ("time_dead_ratio", float, False),
    ("time_dead_minutes", float, False),
    ("kd_ratio", float, False),
    ("useful_kills", int, False),
    ("denied_playtime", int, False),
    ("multikill_2x", int, False),
    ("multikill_3x", int, False),
    ("multikill_4x", int, False),
    ("multikill_5x", int, False),
    ("multikill_6x", int, False),
    ("useless_kills", int, False),
    ("full_selfkills", int, False),
    ("constructions", int, False),
    ("revives_given", int, False),
)
CUMULATIVE_FIELDS = tuple(name for name, _, cumulative in TAB_FIELDS if cumulative)

FULLHOLD_TOLERANCE_SECONDS = 30
DEFAULT_ROUND_SECONDS = 300
RECONNECT_DROPPED_COUNTERS = 2


class C0RNP0RN3StatsParser:
    """Turns one stats file into a dictionary; second halves are reduced to what happened in that half."""

    def __init__(self, round_match_window_minutes=45):
        self.round_match_window_minutes = round_match_window_minutes
        self.bot_name_regex = re.compile(os.getenv("BOT_NAME_REGEX", r"^\[BOT\]"), re.IGNORECASE)

    # ------------------------------------------------------------------ helpers

    @staticmethod
    def strip_color_codes(text):
        return COLOR_CODE.sub("", text or "").strip()

    @staticmethod
    def parse_time_to_seconds(time_text):
        """Seconds of "7:22", "7.37" (minutes) or "442" (seconds); anything else is 0."""
        try:
            text = str(time_text).strip()
            if ":" in text:
                minutes, seconds = text.split(":")
                return int(minutes) * 60 + int(seconds)
            if "." in text:
                return int(float(text) * 60)
            return int(text)
        except (ValueError, TypeError):
            return 0

    @staticmethod
    def format_seconds(seconds):
        return f"{seconds // 60}:{seconds % 60:02d}"

    @staticmethod
    def is_round_2_file(path):
        return Path(path).name.endswith("-round-2.txt")

    def _is_bot_player(self, player):
        return bool(self.bot_name_regex.search(self.strip_color_codes(player["name"])))

    # ------------------------------------------------------------------ entry

    def parse_stats_file(self, file_path):
        try:
            if self.is_round_2_file(file_path):
                return self.parse_round_2_with_differential(file_path)
            return self.parse_regular_stats_file(file_path)
        except Exception as e:
            logger.error(f"Could not parse {Path(file_path).name}: {e}")
            return self._error_result(f"exception: {e}")

    @staticmethod
    def _error_result(reason):
        return {
            "success": False,
            "error": reason,
            "map_name": "Unknown",
            "round_num": 0,
            "players": [],
            "total_players": 0,
        }

    # ------------------------------------------------------------------ round 2

    def find_corresponding_round_1_file(self, round_2_path):
        """Nearest earlier first half of the same map inside the window; another day only when this day has none."""
        folder = Path(round_2_path).parent
        match = STATS_NAME.match(Path(round_2_path).name)
        if not match:
            return None
        round_2_time = datetime.strptime(match.group(1) + match.group(2), "%Y-%m-%d%H%M%S")
        window = timedelta(minutes=self.round_match_window_minutes)

        same_day, day_before = [], []
        for path in folder.iterdir():
            candidate = STATS_NAME.match(path.name)
            if not candidate or candidate.group(4) != "1" or candidate.group(3) != match.group(3):
                continue
            started = datetime.strptime(candidate.group(1) + candidate.group(2), "%Y-%m-%d%H%M%S")
            if started >= round_2_time or round_2_time - started > window:
                continue
            bucket = same_day if started.date() == round_2_time.date() else day_before
            bucket.append((round_2_time - started, path))

        candidates = same_day or day_before
        return min(candidates)[1] if candidates else None

    def parse_round_2_with_differential(self, round_2_path):
        round_2_name = Path(round_2_path).name
        round_1_path = self.find_corresponding_round_1_file(round_2_path)
        if round_1_path is None:
            logger.warning(f"No round 1 file for {round_2_name}: importing cumulative values")
            return self.parse_regular_stats_file(round_2_path)

        round_1 = self.parse_regular_stats_file(round_1_path)
        round_2 = self.parse_regular_stats_file(round_2_path)
        if not round_1["success"] or not round_2["success"]:
            return self._error_result("failed to parse round files")

        players = self.calculate_round_2_differential(round_1["players"], round_2["players"])
        summary = dict(round_2, round_num=0, is_match_summary=True)
        result = dict(round_2, players=players, mvp=self.calculate_mvp(players), total_players=len(players))
        result["differential_calculation"] = True
        result["r1_filename"] = round_1_path.name
        result["match_summary"] = summary
        logger.info(f"Differential of {round_2_name} against {result['r1_filename']}: {len(players)} players")
        return result

    def calculate_round_2_differential(self, round_1_players, round_2_players):
        first_half = {player["guid"]: player for player in round_1_players}
        result = []
        for player in round_2_players:
            before = first_half.get(player["guid"])
            result.append(player if before is None else self._player_differential(before, player))
        return result

    def _player_differential(self, before, after):
        stats_before, stats_after = before["objective_stats"], after["objective_stats"]
        name = after["clean_name"]

        dropped = [field for field in CUMULATIVE_FIELDS if stats_after[field] < stats_before[field]]
        reconnected = len(dropped) >= RECONNECT_DROPPED_COUNTERS
        if reconnected:
            logger.warning(f"[R2 RESET FALLBACK] {name}: counters restarted ({', '.join(dropped)}), using raw values")

        stats = dict(stats_after)
        if not reconnected:
            for field in CUMULATIVE_FIELDS:
                stats[field] = max(0, stats_after[field] - stats_before[field])

        weapons = {}
        for weapon, numbers in after["weapon_stats"].items():
            earlier = {} if reconnected else before["weapon_stats"].get(weapon, {})
            left = {key: max(0, value - earlier.get(key, 0)) for key, value in numbers.items()}
            if any(left.values()):
                weapons[weapon] = left

        player = dict(after, objective_stats=stats, weapon_stats=weapons)
        self._sum_weapons(player)

        minutes = stats["time_played_minutes"]
        seconds = int(minutes * 60)
        player["time_played_seconds"] = seconds
        player["time_display"] = self.format_seconds(seconds)
        player["damage_given"] = stats["damage_given"]
        player["damage_received"] = stats["damage_received"]
        player["dpm"] = stats["damage_given"] * 60 / seconds if seconds > 0 else 0.0
        dead_minutes = stats["time_dead_minutes"]
        stats["time_dead_ratio"] = dead_minutes / minutes * 100 if minutes > 0 else 0.0
        logger.info(
            f"[TIME DEBUG] {name} R2 DIFF: time_played_min={minutes:.2f}, "
            f"time_dead_ratio={stats['time_dead_ratio']:.1f}, time_dead_min={dead_minutes:.2f}, "
            f"denied_playtime_sec={stats['denied_playtime']}"
        )
        return player

    # ------------------------------------------------------------------ one file

    def parse_regular_stats_file(self, file_path):
        with Path(file_path).open(encoding="utf-8", errors="ignore") as f:
            lines = f.readlines()
        if len(lines) < 2:
            return self._error_result("insufficient lines")

        header_parts = lines[0].strip().split("\\")
        if len(header_parts) < 8:
            return self._error_result("invalid header format")

        map_name = header_parts[1]
        config = header_parts[2]
        round_num = int(header_parts[3]) if header_parts[3].isdigit() else 1
        sides = self._parse_sides(header_parts[4], header_parts[5])
        map_time = header_parts[6]
        actual_time = header_parts[7]

        # newer Lua appends the real playtime as a ninth field
        actual_playtime_seconds = None
        if len(header_parts) >= 9:
            try:
                actual_playtime_seconds = float(header_parts[8])
            except ValueError:
                actual_playtime_seconds = None

        if actual_playtime_seconds is not None:
            round_time_seconds = int(actual_playtime_seconds)
        else:
            round_time_seconds = self.parse_time_to_seconds(actual_time)
            if round_time_seconds == 0:
                round_time_seconds = DEFAULT_ROUND_SECONDS

        players = []
        for line in lines[1:]:
            if not line.strip():
                continue
            player = self.parse_player_line(line.rstrip("\n"))
            if player is not None:
                players.append(player)

        for player in players:
            player["time_played_seconds"] = round_time_seconds
            player["time_display"] = self.format_seconds(round_time_seconds)
            if round_time_seconds > 0:
                player["dpm"] = player["damage_given"] * 60 / round_time_seconds
            else:
                player["dpm"] = 0.0
            self._check_player_times(player)

        limit_seconds = self.parse_time_to_seconds(map_time)
        actual_seconds = self.parse_time_to_seconds(actual_time)
        humans = [player for player in players if not player["is_bot"]]
        return {
            "success": True,
            "server_name": self.strip_color_codes(header_parts[0]),
            "map_name": map_name,
            "config": config,
            "round_num": round_num,
            "defender_team": sides["defender"],
            "winner_team": sides["winner"],
            "map_time": map_time,
            "actual_time": actual_time,
            "round_outcome": self.determine_round_outcome(map_time, actual_time, round_num),
            "players": players,
            "mvp": self.calculate_mvp(players),
            "total_players": len(players),
            "is_bot_round": bool(players) and not humans,
            "bot_player_count": len(players) - len(humans),
            "human_player_count": len(humans),
            "round_stopwatch_state": self._stopwatch_state(round_num, limit_seconds, actual_seconds),
            "time_to_beat_seconds": actual_seconds if round_num == 1 else limit_seconds,
            "next_timelimit_minutes": actual_seconds / 60 if actual_seconds else None,
            "side_parse_diagnostics": sides["reasons"],
            "score_confidence": "low" if sides["reasons"] else "high",
        }

    def _parse_sides(self, defender_text, winner_text):
        reasons = []
        try:
            defender = int(defender_text)
        except ValueError:
            defender = None
        if defender not in (1, 2):
            reasons.append(f"defender_invalid:{defender_text!r}")
            defender = 1
        try:
            winner = int(winner_text)
        except ValueError:
            winner = None
        if winner not in (0, 1, 2):
            reasons.append(f"winner_invalid:{winner_text!r}")
            winner = 0
        if reasons:
            logger.warning(f"[SIDE DIAG] {', '.join(reasons)} -> defender={defender} winner={winner}")
        return {"defender": defender, "winner": winner, "reasons": reasons}

    def determine_round_outcome(self, map_time, actual_time, round_num):
        """A half within 30 s of its limit counts as held."""
        if round_num == 2 and actual_time == "0:00":
            return "Unknown"
        left = self.parse_time_to_seconds(map_time) - self.parse_time_to_seconds(actual_time)
        return "Fullhold" if left <= FULLHOLD_TOLERANCE_SECONDS else "Completed"

    @staticmethod
    def _stopwatch_state(round_num, limit_seconds, actual_seconds):
        if not limit_seconds or not actual_seconds:
            return "UNKNOWN"
        reached = actual_seconds < limit_seconds
        if round_num == 1:
            return "TIME_SET" if reached else "FULL_HOLD"
        return "TIME_BEATEN" if reached else "TIME_HELD"

    # ------------------------------------------------------------------ players

    def parse_player_line(self, line):
        """One player, or None when the line is not one."""
        parts = line.split("\\")
        if len(parts) < 5:
            return None
        guid, name, rounds, team = parts[:4]
        weapon_part, _, tab_part = "\\".join(parts[4:]).partition("\t")
        tokens = weapon_part.split()
        if len(tokens) < 6:
            logger.debug(f"Dropped player line of {name}: {len(tokens)} weapon tokens")
            return None

        try:
            weapon_stats = self._parse_weapons(tokens)
            player = {
                "guid": guid[:8],
                "name": name,
                "clean_name": self.strip_color_codes(name),
                "rounds": int(rounds),
                "team": int(team),
                "weapon_stats": weapon_stats,
                "objective_stats": self._parse_tab_fields(tab_part),
            }
        except ValueError as e:
            logger.warning(f"Dropped player line of {name}: {e}")
            return None

        player["is_bot"] = self._is_bot_player(player)
        stats = player["objective_stats"]
        player["damage_given"] = stats["damage_given"]
        player["damage_received"] = stats["damage_received"]
        player["dpm"] = stats["dpm"]
        self._sum_weapons(player)
        logger.info(
            f"[TIME DEBUG] {player['clean_name']} RAW from Lua: time_played_min={stats['time_played_minutes']}, "
            f"time_dead_ratio={stats['time_dead_ratio']}, time_dead_min={stats['time_dead_minutes']}, "
            f"denied_playtime_sec={stats['denied_playtime']}"
        )
        return player

    @staticmethod
    def _parse_weapons(tokens):
        mask = int(tokens[0])
        numbers = [int(token) for token in tokens[1:]]
        weapons, position = {}, 0
        for bit, weapon in enumerate(WEAPON_NAMES):
            if not mask & (1 << bit):
                continue
            if position + 5 > len(numbers):
                break
            hits, shots, kills, deaths, headshots = numbers[position : position + 5]
            position += 5
            weapons[weapon] = {
                "hits": hits,
                "shots": shots,
                "kills": kills,
                "deaths": deaths,
                "headshots": headshots,
            }
        return weapons

    @staticmethod
    def _parse_tab_fields(text):
        values = text.split("\t") if text else []
        stats = {}
        for index, (name, kind, _) in enumerate(TAB_FIELDS):
            raw = values[index].strip() if index < len(values) else ""
            try:
                stats[name] = kind(float(raw)) if raw else kind(0)
            except ValueError:
                stats[name] = kind(0)
        return stats

    @staticmethod
    def _sum_weapons(player):
        totals = {key: 0 for key in ("hits", "shots", "kills", "deaths", "headshots")}
        for numbers in player["weapon_stats"].values():
            for key in totals:
                totals[key] += numbers[key]
        kills, deaths, shots = totals["kills"], totals["deaths"], totals["shots"]
        player["kills"] = kills
        player["deaths"] = deaths
        player["headshots"] = totals["headshots"]
        player["hits"] = totals["hits"]
        player["shots"] = shots
        player["accuracy"] = totals["hits"] / shots * 100 if shots else 0.0
        player["kd_ratio"] = kills / deaths if deaths else float(kills)
        player["efficiency"] = kills / (kills + deaths) * 100 if kills + deaths else 0.0

    @staticmethod
    def _check_player_times(player):
        stats = player["objective_stats"]
        played = player["time_played_seconds"]
        if stats["time_dead_minutes"] * 60 > played:
            logger.warning(
                f"[TIME VALIDATION] {player['clean_name']}: time_dead={stats['time_dead_minutes']:.1f}min "
                f"exceeds time_played={played}s"
            )

    @staticmethod
    def calculate_mvp(players):
        if not players:
            return None
        best = max(players, key=lambda player: (player["kills"], player["damage_given"]))
        return best["clean_name"]


def build_round_embed(result):
    """Round summary for the stats channel."""
    embed = discord.Embed(
        title=f"{result['map_name']} - Round {result['round_num']}",
        description=f"{result['round_outcome']} in {result['actual_time']} (limit {result['map_time']})",
        color=0x3498DB,
    )
    ranked = sorted(result["players"], key=lambda player: player["damage_given"], reverse=True)
    for rank, player in enumerate(ranked[:10], start=1):
        headshot_kills = player["objective_stats"]["headshot_kills"]
        hs_rate = headshot_kills / player["hits"] * 100 if player["hits"] else 0.0
        embed.add_field(
            name=f"{rank}. {player['clean_name'] or player['guid']}",
            value=(
                f"K/D {player['kills']}/{player['deaths']} | DMG {player['damage_given']} | "
                f"DPM {player['dpm']:.0f} | ACC {player['accuracy']:.1f}% | HS {hs_rate:.1f}% | "
                f"{player['time_display']}"
            ),
            inline=False,
        )
    embed.set_footer(text=f"MVP: {result['mvp'] or '-'}")
    return embed
