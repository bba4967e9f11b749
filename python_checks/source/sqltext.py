"""Reading SQL texts in Python files: what each output column of a query is made of.

No SQL parser: only SELECT lists are taken apart (by commas outside of parentheses and quotes). What cannot be read is absent, and
its reader refuses.
"""

from __future__ import annotations

import functools
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_SELECT = re.compile(r"\bSELECT\b(?:\s+DISTINCT\b(?:\s+ON\s*\([^)]*\))?)?", re.IGNORECASE)
_FROM = re.compile(r"\bFROM\b", re.IGNORECASE)
_ALIAS = re.compile(r"(?is)^(?P<what>.*\S)\s+AS\s+\"?(?P<name>\w+)\"?$")
_LOOSE_ALIAS = re.compile(r"(?is)^(?P<what>.*\))\s+(?P<name>(?!END\b)\w+)$")
_BARE = re.compile(r"^(?:\w+\.)?\"?(?P<name>\w+)\"?$")
_AGGREGATE = re.compile(r"\b(SUM|AVG|COUNT|MIN|MAX)\s*\(", re.IGNORECASE)
_QUALIFIER = re.compile(r"\b[A-Za-z_]\w*\.(?=[A-Za-z_])")
_COMMENT = re.compile(r"--[^\n]*")
_BLANK = re.compile(r"(?:\s|--[^\n]*\n)+")
_CAST = re.compile(r"::\s*[A-Za-z_]+(\s*\(\s*\d+(\s*,\s*\d+)?\s*\))?")

NUMBERS = (
    "damage_given",
    "damage_received",
    "time_played_seconds",
    "time_dead_minutes",
    "time_played_minutes",
    "time_dead_ratio",
    "kills",
    "deaths",
    "headshot_kills",
    "headshots",
    "kill_assists",
    "gibs",
    "self_kills",
    "team_kills",
    "revives_given",
    "times_revived",
    "denied_playtime",
    "accuracy",
    "dpm",
    "xp",
    "bullets_fired",
    "team_damage_given",
    "team_damage_received",
    "full_selfkills",
    "team_gibs",
    "efficiency",
    "kd_ratio",
    "useless_kills",
    "most_useful_kills",
    "kill_steals",
    "constructions",
    "tank_meatshield",
    "objectives_stolen",
    "objectives_returned",
    "dynamites_planted",
    "dynamites_defused",
    "objectives_completed",
    "objectives_destroyed",
    "double_kills",
    "triple_kills",
    "quad_kills",
    "multi_kills",
    "mega_kills",
    "killing_spree_best",
    "death_spree_worst",
)
"""Numeric columns of player_comprehensive_stats (domain.md 5)."""


@dataclass(frozen=True)
class Item:
    """One output column: its name (empty when it has none) and the expression behind it."""

    name: str
    expression: str


def is_query(text: str) -> bool:
    """Whether a text holds a SELECT."""
    return bool(_SELECT.search(text) and re.search(r"\bFROM\b", text, re.IGNORECASE))


def selects(text: str) -> list[list[Item]]:
    """The SELECT lists of a text, subqueries too, in text order; the query's own list first."""
    return [[one for one, _, _ in found] for found in select_spans(text)]


@functools.lru_cache(maxsize=256)
def select_spans(text: str) -> list[list[tuple[Item, int, int]]]:
    """As ``selects``, each item with its start and end in the text, white space around it left out."""
    lists = []
    for match in _SELECT.finditer(text):
        found = list(_items(text, match.end()))
        if found:
            depth = text.count("(", 0, match.start()) - text.count(")", 0, match.start())
            lists.append((depth, found))
    # A CTE's list comes earlier in the text than the query's own, but deeper.
    return [found for _, found in sorted(lists, key=lambda one: one[0])]


def _items(text: str, start: int) -> Iterator[tuple[Item, int, int]]:
    depth, at, begun = 0, start, start
    while at < len(text):
        char = text[at]
        if char == "'":
            at = text.find("'", at + 1)
            if at < 0:
                return
        elif text.startswith("--", at):
            at = text.find("\n", at)
            if at < 0:
                return
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth < 0:
                return
        elif depth == 0 and (char == "," or _FROM.match(text, at)):
            lead = _BLANK.match(text, begun, at)
            first = lead.end() if lead else begun
            last = first + len(text[first:at].rstrip())
            yield _item(_COMMENT.sub("", text[first:last]).strip()), first, last
            begun = at + 1
            if char != ",":
                return
        at += 1


def _item(text: str) -> Item:
    match = _ALIAS.match(text) or _LOOSE_ALIAS.match(text)
    if match:
        return Item(match["name"], match["what"].strip())
    bare = _BARE.match(text)
    return Item(bare["name"] if bare else "", text)


def is_aggregate(expression: str) -> bool:
    """Whether an expression sums (or counts, ...) over rows."""
    return bool(_AGGREGATE.search(expression))


class Calculator:
    """Evaluates one SELECT expression over rows of player_comprehensive_stats, in memory."""

    def __init__(self) -> None:
        self._base = sqlite3.connect(":memory:", isolation_level=None)
        self._base.execute(f"CREATE TABLE rows ({', '.join(NUMBERS)}, round_number)")
        for name, function in (("LEAST", min), ("GREATEST", max)):
            self._base.create_function(name, -1, _ignoring_null(function))
        self._insert = f"INSERT INTO rows VALUES ({', '.join('?' * (len(NUMBERS) + 1))})"

    def value(self, expression: str, rows: Sequence[Mapping[str, float]]) -> float | None:
        """The value over ``rows``. Raises ValueError for what cannot be evaluated here."""
        text = _CAST.sub("", _QUALIFIER.sub("", expression))
        self._base.execute("DELETE FROM rows")
        self._base.executemany(self._insert, [[*(row.get(name, 0) for name in NUMBERS), 1] for row in rows])
        try:
            # Queries only name columns and arithmetic; a subquery on another table has no table here and fails.
            found = self._base.execute(f"SELECT {text} FROM rows").fetchone()
        except sqlite3.Error as problem:
            raise ValueError(f"{expression!r}: {problem}") from None
        return found[0] if found else None


def _ignoring_null(function):
    def of(*values: float | None) -> float | None:
        given = [value for value in values if value is not None]
        return function(given) if given else None

    return of
