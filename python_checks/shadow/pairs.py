"""Rows of the timing shadow: one per round and player, OLD and NEW dead time side by side, and which of them may be compared.

A row may be compared only when NEW is a raw, independent measurement: the bot shows NEW := OLD where Lua data is missing and clamps
NEW to the played time (domain.md 7), so agreement of such rows proves nothing. They are counted apart, by reason.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils.webhook_version import has_one_clock

from python_checks.shadow.independence import OLD_STEP_S, is_copied_round
from python_checks.shadow.statistics import median

UNKNOWN_SESSION = "unknown"
MEASURED = ("OLD_CLAMPED", "NEW_IMPOSSIBLE", "CAME_BACK")
"""Codes of rows that hold a Lua value of their own and are not compared all the same."""
MIN_PAIRS = 4
MIN_SHARE = 0.8

COLUMNS = {
    "round_id": "number of the round (rounds.id)",
    "player_guid": "first eight characters, any case",
    "session": "evening: gaming_session_id, or the date",
    "map": "map name",
    "round_number": "1 or 2",
    "played_at": "text or number that sorts by time; round_id when left out",
    "played_s": "time_played_seconds",
    "old_dead_s": "time_dead_minutes x 60, raw",
    "new_dead_s": "lua_spawn_stats.dead_seconds, raw; empty without a Lua row",
    "lua_rows": "Lua spawn rows that are linked to this round and player (1 is right)",
    "lua_version": "version of the webhook that wrote them",
    "fallback_reason": "the shadow's own note, when the row comes from its CSV",
    "end_reason": "surrender, objective, ...",
    "pause_s": "paused seconds of the round",
    "duration_s": "measured duration, without pauses",
    "span_s": "round end minus round start, unix seconds",
    "class": "played, bot, cancelled, other_status; played when left out",
    "reconnected": "the player left and came back, or joined late; also told from played_s and duration_s",
    "is_cut": "whether the window holds more halves than these rows; no when left out",
}
ALIASES = {
    "guid": "player_guid",
    "guid_prefix": "player_guid",
    "gaming_session_id": "session",
    "session_id": "session",
    "session_date": "session",
    "map_name": "map",
    "time_played_seconds": "played_s",
    "old_dead_seconds": "old_dead_s",
    "new_dead_seconds": "new_dead_s",
    "actual_duration_seconds": "duration_s",
    "total_pause_seconds": "pause_s",
    "fallback_reasons": "fallback_reason",
}
"""Names of the database and of the bot's own shadow files for the same things."""
REQUIRED = ("round_id", "player_guid", "played_s", "old_dead_s", "new_dead_s")


class InputError(Exception):
    """The input is no shadow data; the message says what was found and required."""


@dataclass(frozen=True)
class Pair:
    """One row. Times in seconds; None is unknown. ``code`` is empty for a comparable pair, else why it is not one."""

    round_id: str
    player: str
    played_s: float | None
    old_s: float | None
    new_s: float | None
    code: str = ""

    @property
    def both_s(self) -> tuple[float, float]:
        """OLD and NEW of a comparable pair."""
        if self.old_s is None or self.new_s is None:
            raise ValueError(f"no pair: {self.code}")
        return self.old_s, self.new_s

    @property
    def difference_s(self) -> float:
        """NEW minus OLD of a comparable pair."""
        old, new = self.both_s
        return new - old


@dataclass
class Round:
    """One half with its rows and what the strata ask for."""

    round_id: str
    order: tuple[Any, ...]
    session: str
    map: str
    number: int | None
    version: str
    end_reason: str
    paused: bool
    duration_s: float | None
    span_s: float | None
    pause_s: float
    rows: list[Pair] = field(default_factory=list)
    reconnected: bool = False
    """Somebody joined late or came back."""
    played_at: str = ""

    @property
    def pairs(self) -> list[Pair]:
        """The comparable rows."""
        return [row for row in self.rows if not row.code]

    @property
    def covered(self) -> int:
        """Players with a Lua row of their own, comparable or not."""
        return sum(1 for row in self.rows if row.code in ("", *MEASURED))

    @property
    def is_covered(self) -> bool:
        """At least 80 % of the players have Lua data."""
        return bool(self.rows) and self.covered >= MIN_SHARE * len(self.rows)

    @property
    def usable(self) -> bool:
        """Enough comparable pairs for the round to stand as one number."""
        return len(self.pairs) >= MIN_PAIRS and len(self.pairs) >= MIN_SHARE * len(self.rows)

    @property
    def difference_s(self) -> float:
        """The round's number: the median of its pairs' differences."""
        return median([pair.difference_s for pair in self.pairs])


@dataclass
class Sample:
    """All rounds of the window in time order; ``left_out`` counts rows and rounds that take no part, by reason."""

    rounds: list[Round]
    left_out: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    """Reasons of the rows inside of the window."""
    is_cut: bool = False
    """The window holds more than was given: as time goes on other rounds would be compared, not more of them."""

    @property
    def usable(self) -> list[Round]:
        """Rounds that stand as one number, in time order."""
        return [one for one in self.rounds if one.usable]

    @property
    def pairs(self) -> list[Pair]:
        """All comparable rows of usable rounds."""
        return [pair for one in self.usable for pair in one.pairs]


def read_csv(path: Path) -> list[dict[str, Any]]:
    """Rows of a CSV with a header line. Raises InputError and OSError."""
    with path.open(encoding="utf-8-sig", newline="") as handle:
        reader = csv.DictReader(handle)
        rows = list(reader)
        names = set(reader.fieldnames or ())
    return _checked(rows, names)


def read_json(path: Path) -> list[dict[str, Any]]:
    """Rows of a JSON list of objects, or of an object with such a list under ``rows``. Raises InputError and OSError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise InputError(f"found: no JSON in {path} ({problem}); required: a list of objects") from None
    rows = data.get("rows") if isinstance(data, dict) else data
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError(f"found: no list of objects in {path}; required: one object per round and player")
    return _checked(rows, set().union(*rows) if rows else set(REQUIRED))


def _checked(rows: list[dict[str, Any]], names: set[str]) -> list[dict[str, Any]]:
    for row in rows:
        for other, name in ALIASES.items():
            if other in row and name not in row:
                row[name] = row[other]
    names = names | {ALIASES[name] for name in names if name in ALIASES}
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InputError(
            f"found: columns {', '.join(sorted(map(str, names))) or 'none'}; required: also {', '.join(missing)}; "
            "next: see `rollout shadow --columns`"
        )
    return rows


def sample(rows: Iterable[Mapping[str, Any]]) -> Sample:
    """Sort the rows into rounds and say of each whether it may be compared. Raises InputError for unusable rows."""
    result = Sample([])
    rounds: dict[str, Round] = {}
    for number, row in enumerate(rows, start=1):
        result.is_cut = result.is_cut or _is_true(row, "is_cut")
        kind = _text(row, "class") or "played"
        if kind != "played":
            result.left_out[kind.upper()] += 1
            continue
        if _number(row, "round_number") == 0:
            result.left_out["SUMMARY"] += 1
            continue
        identity, player = _text(row, "round_id"), _text(row, "player_guid").lower()[:8]
        if not identity or not player:
            raise InputError(f"found: row {number} without round_id or player_guid; required: both")
        one = rounds.setdefault(identity, _round(identity, row))
        one.version = one.version or _text(row, "lua_version")
        if any(known.player == player for known in one.rows):
            one.rows = [replace(p, code="LINK_AMBIGUOUS") if p.player == player else p for p in one.rows]
            result.left_out["REPEATED_ROW"] += 1
            continue
        one.reconnected = one.reconnected or _is_true(row, "reconnected") or _is_late(row)
        one.rows.append(_pair(identity, player, row))
    for one in rounds.values():
        if is_copied_round(pair.both_s for pair in one.pairs):
            one.rows = [row if row.code else replace(row, code="COPIED") for row in one.rows]
    ordered = sorted(rounds.values(), key=lambda r: r.order)
    # The window begins with the first round of a webhook whose spawn data can be believed.
    begin = next((i for i, r in enumerate(ordered) if has_one_clock(r.version)), len(ordered))
    result.left_out["BEFORE_TRUSTED_VERSION"] += begin
    result.rounds = ordered[begin:]
    result.codes = Counter(row.code for one in result.rounds for row in one.rows if row.code)
    result.left_out += Counter()
    return result


def _round(identity: str, row: Mapping[str, Any]) -> Round:
    number = _number(row, "round_number")
    pause = _number(row, "pause_s") or 0.0
    when = row.get("played_at")
    sortable = float(identity) if re.fullmatch(r"\d{1,15}", identity) else math.inf
    time = _number(row, "played_at")
    order = (0, time, "") if time is not None else (1, 0.0, str(when or ""))
    return Round(
        identity,
        (*order, sortable, identity),
        _evening(row),
        _text(row, "map"),
        int(number) if number in (1, 2) else None,
        _text(row, "lua_version"),
        _text(row, "end_reason").lower(),
        pause > 0,
        _number(row, "duration_s"),
        _number(row, "span_s"),
        pause,
        played_at=_text(row, "played_at"),
    )


def _is_late(row: Mapping[str, Any]) -> bool:
    """Whether the player was there for less than the round, by more than a tenth of it and five of OLD's steps. No table says it."""
    played, duration = _number(row, "played_s"), _number(row, "duration_s")
    return played is not None and duration is not None and duration - played > max(0.1 * duration, 5 * OLD_STEP_S)


def _evening(row: Mapping[str, Any]) -> str:
    """The session. Where the day stands for it, what is played before six in the morning belongs to the evening before."""
    session = _text(row, "session") or UNKNOWN_SESSION
    match = re.match(r"(\d{4}-\d\d-\d\d)\D(\d\d)", _text(row, "played_at"))
    if match is None or session != match[1] or int(match[2]) >= 6:
        return session
    try:
        return (date.fromisoformat(session) - timedelta(days=1)).isoformat()
    except ValueError:
        return session


def _pair(identity: str, player: str, row: Mapping[str, Any]) -> Pair:
    played, old, new = (_number(row, name) for name in ("played_s", "old_dead_s", "new_dead_s"))
    reason = _text(row, "fallback_reason").lower()
    links = _number(row, "lua_rows")
    code = ""
    if links is not None and links > 1:
        code = "LINK_AMBIGUOUS"
    elif new is None or "missing" in reason or "query_failed" in reason or links == 0:
        code = "FALLBACK"
    elif not has_one_clock(_text(row, "lua_version")):
        code = "DOUBTFUL_VERSION"
    elif played is None or played <= 0:
        code = "NOT_PLAYED"
    elif new < 0 or new > _there_s(row, played) + OLD_STEP_S or "clamped" in reason or "capped" in reason:
        code = "NEW_IMPOSSIBLE"
    elif new > played + OLD_STEP_S:
        # Who reconnects has played from there on (sess.* begins at 0), while NEW is of the whole round by guid.
        code = "CAME_BACK"
    elif old is None or old < 0 or old >= played:
        # The bot's files hold OLD cut down to the played time, without a note; nobody is dead all the time.
        code = "OLD_CLAMPED"
    return Pair(identity, player, played, old, new, code)


def _there_s(row: Mapping[str, Any], played_s: float) -> float:
    """How long the player may have been there, in seconds: for the round, if he has not played all of it, since he may have come back."""
    duration = _number(row, "duration_s")
    return duration if duration is not None and _is_late(row) else played_s


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value).strip()


def _is_true(row: Mapping[str, Any], name: str) -> bool:
    return _text(row, name).lower() in ("1", "t", "true", "yes")


def _number(row: Mapping[str, Any], name: str) -> float | None:
    """A finite number, or None for empty, text, NaN and infinities."""
    try:
        value = float(_text(row, name))
    except ValueError:
        return None
    return value if math.isfinite(value) else None
