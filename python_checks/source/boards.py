"""Runs a headshot leaderboard's whole query on generated players, their rounds and weapon rows, in memory.

The players are chosen so that each mistake shows: several weapons a round (fan-out), many hits with few kills and the reverse (a
threshold on the wrong thing), head hits far above headshot kills (the wrong column).
"""

from __future__ import annotations

import functools
import random
import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from python_checks.formulas import headshot_kill_rate
from python_checks.source import sqltext

_ROUNDS = 60
_HOLE = re.compile(r"%s|\?|\$\d+|%\(\w+\)s|(?<!:):[A-Za-z_]\w*|\{[^{}]*\}")
_CAST = re.compile(r"::\s*[A-Za-z_]+(?:\s+precision)?(\s*\(\s*\d+(\s*,\s*\d+)?\s*\))?", re.IGNORECASE)
_LATEST = re.compile(r"\(\s*array_agg\s*\(\s*([\w.]+)[^()]*\)\s*\)\s*\[\s*1\s*\]", re.IGNORECASE)


@dataclass(frozen=True)
class Truth:
    """One generated player: what a board may say of him, and whether he has kills enough to be on it."""

    heads: int
    kills: int
    hits: int
    weapon_rows: int
    listed: bool

    @property
    def rate(self) -> float:
        """Headshot kills in percent of the kills."""
        return headshot_kill_rate(self.heads, self.kills)


# (kills a round, headshot share, hits a weapon row)
_SHAPES = ((20, 0.1, 40), (16, 0.3, 30), (25, 0.05, 60), (12, 0.45, 35), (11, 0.2, 3), (4, 0.5, 200))


@functools.lru_cache(maxsize=1)
def _league() -> tuple[sqlite3.Connection, dict[str, Truth]]:
    base = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    numbers = [n for n in sqltext.NUMBERS if n != "round_number"]
    shared = "round_id, round_date, map_name, round_number, player_guid, player_name, clean_name"
    base.execute(
        "CREATE TABLE rounds (id, round_date, round_number, map_name, round_status, gaming_session_id, is_bot_round)"
    )
    base.execute(f"CREATE TABLE player_comprehensive_stats (id, team, {shared}, {', '.join(numbers)})")
    base.execute(
        f"CREATE TABLE weapon_comprehensive_stats (id, {shared}, weapon_name, kills, deaths, headshots, shots, hits, accuracy)"
    )
    for name, pick in (("LEAST", min), ("GREATEST", max)):
        base.create_function(name, -1, _of_known(pick))
    draw, truth = random.Random(5), dict[str, Truth]()
    for number in range(_ROUNDS):
        half = number % 2 + 1
        base.execute("INSERT INTO rounds VALUES (?, '2026-02-20', ?, 'supply', 'completed', 1, 0)", (number, half))
    for index, (kills, share, hits) in enumerate(_SHAPES):
        guid = f"PLAYER{index:02d}"
        total = {"heads": 0, "kills": 0, "hits": 0, "weapon_rows": 0}
        for number in range(_ROUNDS):
            own = kills + draw.randint(-2, 2)
            heads = sum(draw.random() < share for _ in range(own))
            common = (number, "2026-02-20", "supply", number % 2 + 1, guid, guid, guid)
            row = {name: draw.randint(0, 9) for name in numbers}
            row |= {"kills": own, "headshot_kills": heads, "headshots": heads * 3 + draw.randint(0, 5)}
            base.execute(
                f"INSERT INTO player_comprehensive_stats VALUES ({', '.join('?' * (9 + len(numbers)))})",
                (number, 1, *common, *row.values()),
            )
            for weapon in range(draw.randint(1, 4)):
                one = max(1, hits + draw.randint(-3, 3))
                base.execute(
                    "INSERT INTO weapon_comprehensive_stats VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 1, 1, ?, ?, 30.0)",
                    (number, *common, f"WS_{weapon}", one * 3, one),
                )
                total["hits"] += one
                total["weapon_rows"] += 1
            total["heads"] += heads
            total["kills"] += own
        truth[guid] = Truth(**total, listed=total["kills"] > 500)
    return base, truth


def _of_known(pick: Callable[..., float]) -> Callable[..., float | None]:
    def of(*values: float | None) -> float | None:
        given = [value for value in values if value is not None]
        return pick(given) if given else None

    return of


def run_board(text: str) -> list[tuple[Truth, list[Any]]] | None:
    """The query's rows, each with its player; None when it cannot be run here (then nothing is known).

    Placeholders get what a board gives them: 50 rounds, 500 kills, no limit.
    """
    base, truth = _league()
    text = _LATEST.sub(r"MAX(\1)", _CAST.sub("", text.replace("%%", "%")))
    text = re.sub(r"\bILIKE\b", "LIKE", text, flags=re.IGNORECASE)
    made, at = "", 0
    for hole in _HOLE.finditer(text):
        made += text[at : hole.start()] + _value_for(text[: hole.start()])
        at = hole.end()
    try:
        # In memory, on generated rows only; a statement that is no SELECT finds nothing to keep.
        rows = base.execute(made + text[at:]).fetchall()
    except sqlite3.Error:
        return None
    found = []
    for row in rows:
        named = next((truth[v] for v in row if isinstance(v, str) and v in truth), None)
        if named is None:
            return None
        found.append((named, [v for v in row if isinstance(v, (int, float))]))
    return found


def _value_for(before: str) -> str:
    if re.search(r"\bLIMIT\s*$", before, re.IGNORECASE):
        return "1000"
    if re.search(r"\bOFFSET\s*$", before, re.IGNORECASE):
        return "0"
    return "50" if re.search(r"\bCOUNT\s*\([^()]*\)\s*>=?\s*$", before, re.IGNORECASE) else "500"


def wrong_board(rows: Sequence[tuple[Truth, list[Any]]]) -> list[str]:
    """What is wrong with a board's rows, as sentences."""
    _, truth = _league()
    listed, missing = [one for one, _ in rows], [t for t in truth.values() if t.listed]
    wrong = []
    if any(not one.listed for one in listed) or any(one not in listed for one in missing):
        few = sorted((one.kills for one in listed if not one.listed), reverse=True)
        told = (
            f"it lists players with {few} kills"
            if few
            else f"it lists {len(listed)} of {len(missing)} players with enough kills"
        )
        wrong.append(f"its threshold does not look at kills: {told}")
    if len(set(map(id, listed))) != len(listed):
        wrong.append("it lists a player more than once")
    for columns in zip(*(numbers for _, numbers in rows), strict=False):
        pairs = list(zip(listed, columns, strict=True))
        for what, value in _WRONG.items():
            if all(abs(found - value(one)) <= 0.051 + 1e-9 * abs(found) for one, found in pairs):
                wrong.append(f"one of its columns is {what}")
    if listed and not any(
        all(abs(found - value(one)) <= slack for one, found in zip(listed, columns, strict=True))
        for columns in zip(*(numbers for _, numbers in rows), strict=False)
        for value, slack in ((lambda t: t.heads, 0.001), (lambda t: t.rate, 0.51), (lambda t: t.rate / 100, 0.0051))
    ):
        wrong.append("none of its columns is headshot kills or their share of the kills")
    return wrong


_WRONG: dict[str, Callable[[Truth], float]] = {
    "the weapons' hits": lambda t: t.hits,
    "headshot kills in percent of the hits": lambda t: 100 * t.heads / t.hits,
    "kills in percent of the hits": lambda t: 100 * t.kills / t.hits,
}
