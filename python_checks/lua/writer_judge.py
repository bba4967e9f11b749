"""What a rehearsal requires of a stats writer. Pure: one performance in, findings out.

Each half that was played to its end leaves one file that the reference parser reads whole; name and header say the right map, round,
sides and limits; field 9, where there is one, is the half's play time without pauses to 50 ms; the player lines fit each other and
the half. A half that a map change broke off leaves a file as well where the writer keeps time, with the number of that half.
"""

from __future__ import annotations

import math
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils.stats_checks import check_stats
from ansible_collections.slomix.timetracking.plugins.module_utils.stats_file import (
    HalfPlayer,
    Player,
    StatsFile,
    parse_stats,
    second_half,
)
from ansible_collections.slomix.timetracking.plugins.module_utils.stats_header import FIELDS_NEW, Header, limit_clock
from ansible_collections.slomix.timetracking.plugins.module_utils.stats_names import ROUND, Name, parse_name

from python_checks.lua.finding import Finding, short
from python_checks.lua.stage import Performance, Written

PLAYTIME_TOLERANCE_MS = 50
#: Times in a file are steps of 0.1 min, and a half's own are differences of two of them.
STEPS_MIN = 0.2
#: A dead time is held against the engine's own share of time in the field, a percentage of the time played so far.
#: Who joins a team waits for its next reinforcements without having died, which only the engine counts.
DEAD_TOLERANCE_MIN = 0.3
WAIT_MIN = 0.5
#: An intermission that is shorter than this may be over before a writer has saved (the deployed one waits 3 s).
SAVE_DELAY_MS = 4000
#: Rules about a file whose truth is not known; here it is, and is judged.
_NOT_JUDGED = (
    "playtime_not_field8",
    "playtime_over_limit",
    "playtime_unknown",
    "playtime_unit",
    "playtime_seconds",
    "name_disagrees",
)


def judge_writer(file: str, performance: Performance, header_fields: int | None = None) -> list[Finding]:
    """The findings of one play of a stats writer. ``header_fields`` (8 or 9) is what the site requires; None takes either."""
    return _WriterJudge(file, performance, header_fields).findings


class _WriterJudge:
    def __init__(self, file: str, performance: Performance, header_fields: int | None) -> None:
        self.file = file
        self.play = performance
        self.findings: list[Finding] = []
        rounds = [(parse_name(_last(item.path)), item) for item in performance.files]
        self.files = [(name, item) for name, item in rounds if name.kind == ROUND]
        parsed = [parse_stats(item.content or b"") for _, item in self.files]
        self.keeps_time = any(p.header is not None and p.header.fields == FIELDS_NEW for p in parsed)
        self.header_fields = header_fields or (FIELDS_NEW if self.keeps_time else None)
        first: StatsFile | None = None
        for index, half in enumerate(performance.halves):
            found = self._of_half(index)
            label = f"R{half['round']}" + (f" (half {index + 1})" if len(performance.halves) > 2 else "")
            self._number_of_files(label, half, index, len(found))
            stats: StatsFile | None = None
            for name, item in found:
                stats = self._file(label, half, name, item, first)
            first = stats if half["round"] == 1 and half["completed"] else None

    def _add(self, half: str, code: str, found: str, required: str, *, is_remark: bool = False) -> None:
        play = self.play
        self.findings.append(
            Finding(self.file, play.match, play.interpreter, half, play.fault, code, short(found), required, is_remark)
        )

    def _of_half(self, index: int) -> list[tuple[Name, Written]]:
        halves = self.play.halves
        begin = halves[index]["start_unix_ms"] if index else 0
        end = halves[index + 1]["start_unix_ms"] if index + 1 < len(halves) else math.inf
        return [(name, item) for name, item in self.files if begin <= item.unix_ms < end]

    def _number_of_files(self, label: str, half: dict[str, Any], index: int, count: int) -> None:
        if count > 1:
            self._add(label, "file_repeated", f"{count} files", "one file for each half")
        if count or not half["players"]:
            return
        if half["completed"]:
            self._add(label, "file_missing", "no file", "one file for a half that was played to its end")
        elif half["end"] == "map_s":
            self._add(
                label,
                "file_missing",
                "no file for a half that a map change broke off",
                "a save at shutdown, so that the half is not lost",
                is_remark=not self.keeps_time,
            )

    # --- one file

    def _file(self, label: str, half: dict[str, Any], name: Name, item: Written, first: StatsFile | None) -> StatsFile:
        stats = parse_stats(item.content or b"")
        if stats.header is None or not stats.complete:
            self._add(
                label, "file_unreadable", stats.why_incomplete, "a whole stats file: a header and one line per player"
            )
            return stats
        if name.map != half["map"] or name.round != half["round"]:
            self._add(
                label,
                "file_name",
                f"the name {name.name}",
                f"…-{half['map']}-round-{half['round']}.txt, the half that was played",
            )
        self._header(label, half, stats.header)
        is_pair = half["round"] == 2 and first is not None
        for violation in check_stats(name.name, stats, first if is_pair else None).violations:
            if violation.rule not in _NOT_JUDGED:
                self._add(label, f"file_{violation.rule}", violation.text, "what holds for every stats file")
        self._players(label, half, stats, first if is_pair else None)
        return stats

    def _header(self, label: str, half: dict[str, Any], header: Header) -> None:
        wanted: dict[str, Any] = {"map": half["map"], "round": half["round"]}
        wanted["timelimit"] = limit_clock(half["limit_min"])
        if half["completed"]:
            wanted["defender"] = half["defender"]
            wanted["winner"] = half["winner"]
            wanted["next_timelimit"] = limit_clock(half["next_limit_min"])
        for field, value in wanted.items():
            found = getattr(header, field)
            if found != value:
                self._add(label, f"header_{field}", f"{field} {found}", f"{field} {value}")
        if self.header_fields not in (None, header.fields):
            self._add(label, "header_fields", f"{header.fields} header fields", f"{self.header_fields} header fields")
        if header.fields == FIELDS_NEW:
            self._playtime(label, half["play_ms"], header.playtime or "")

    def _playtime(self, label: str, play_ms: int, text: str) -> None:
        digits = text.lstrip("-")
        played_ms = int(text) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None
        if played_ms is None or played_ms < 0 or abs(played_ms - play_ms) > PLAYTIME_TOLERANCE_MS:
            self._add(
                label,
                "playtime_wrong",
                f"field 9 {text!r}",
                f"{play_ms} ms, the time played without pauses, to {PLAYTIME_TOLERANCE_MS} ms",
            )

    # --- player lines

    def _players(self, label: str, half: dict[str, Any], stats: StatsFile, first: StatsFile | None) -> None:
        lines = [(player.guid, player.name) for player in stats.players]
        for guid, name in sorted({line for line in lines if lines.count(line) > 1}):
            self._add(label, "player_repeated", f"{lines.count((guid, name))} lines of {guid}", "one line per player")
        for player in stats.players:
            if player.totals.attempts != player.fields["bullets_fired"]:
                found = (
                    f"bullets_fired {player.fields['bullets_fired']}, the weapons' attempts {player.totals.attempts}"
                )
                self._add(label, "player_shots", f"{_who(player)}: {found}", "the sum of the weapons' attempts")
        for part in _parts(stats, first):
            self._times(label, half, part, _line_of(part.player, first))

    def _times(self, label: str, half: dict[str, Any], part: HalfPlayer, before: Player | None) -> None:
        played, dead = part.fields["time_played_minutes"], part.fields["time_dead_minutes"]
        if played is None or dead is None:
            return
        if played > half["play_ms"] / 60000 + STEPS_MIN:
            found = f"{_who(part.player)}: played {played:.1f} min"
            self._add(label, "player_time", found, f"at most {half['play_ms'] / 60000:.1f} min, the half's play time")
        out, out_before = _out_of_field_min(part.player), _out_of_field_min(before) if before else 0.0
        if out is None or out_before is None:
            return
        true_dead = max(0.0, out - out_before)
        if not -WAIT_MIN - DEAD_TOLERANCE_MIN <= dead - true_dead <= DEAD_TOLERANCE_MIN:
            found = f"{_who(part.player)}: dead {dead:.1f} min"
            self._add(
                label,
                "dead_time",
                found,
                f"about {true_dead:.1f} min, the team time that the engine did not count as time in the field",
            )


def _parts(stats: StatsFile, first: StatsFile | None) -> list[HalfPlayer]:
    """What each player did in this half alone, as far as that can be told: who has no line in R1 may have been there all the same."""
    if first is not None:
        return [part for part in second_half(first, stats) if part.how == "difference"]
    if stats.header is None or stats.header.round != 1:
        return []
    return second_half(StatsFile(None, ""), stats)


def _line_of(player: Player, first: StatsFile | None) -> Player | None:
    lines = [one for one in first.players if one.guid == player.guid] if first is not None else []
    return next((one for one in lines if len(lines) == 1 or one.name == player.name), None)


def _out_of_field_min(player: Player) -> float | None:
    """Minutes of team time that a player was not in the field, by the engine's own counters."""
    minutes, percent = player.fields["time_played_minutes"], player.fields["time_played_percent"]
    return None if minutes is None or percent is None else minutes * (100 - percent) / 100


def _who(player: Player) -> str:
    return f"line {player.line} ({player.guid})"


def _last(path: str) -> str:
    return path.replace("\\", "/").rsplit("/", 1)[-1]
