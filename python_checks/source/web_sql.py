"""The three formulas where a website's query computes them itself: columns of a SELECT that are named as the response's keys."""

from __future__ import annotations

import math
import re

from python_checks import formulas
from python_checks.source import sqltext
from python_checks.source.players import as_round, generated_players
from python_checks.source.querytext import Query, queries
from python_checks.source.sinks import ABOUT, KEYS
from python_checks.source.tree import Plan, Refusal, SourceTree, tree_of

_NUMERIC = re.compile(r"\bROUND\s*\(", re.IGNORECASE)
_DIGITS = re.compile(r",\s*(\d+)\s*\)")
_TRIALS = 400


def capped_dead(alias: str, unit: str) -> str:
    """One row's dead time within [0, played], in minutes (``min``) or seconds (``s``). CASE and not LEAST: it is standard SQL, and
    a NULL counts as 0 in both columns."""
    played, dead = f"{alias}time_played_seconds", f"{alias}time_dead_minutes"
    whole, part = (f"{played} / 60.0", dead) if unit == "min" else (played, f"{dead} * 60")
    return f"CASE WHEN {dead} * 60 > {played} THEN {whole} WHEN {dead} > 0 THEN {part} ELSE 0 END"


def web_queries(tree: SourceTree) -> list[Query]:
    """The queries that compute all three columns."""
    return [q for q in queries(tree) if any(set(KEYS) <= {i.name for i in items} for items in sqltext.selects(q.text))]


def plan_web_queries(tree: SourceTree) -> Plan:
    """Plan the edits of the one query that computes the values. Raises Refusal."""
    found = web_queries(tree)
    if len(found) != 1:
        lines = ", ".join(str(tree.line(q.node)) for q in found)
        raise Refusal(f"looked for one query with the columns {', '.join(KEYS)}, found {len(found)} (lines {lines})")
    query, plan = found[0], Plan()
    line = tree.line(query.node)
    wrong = wrong_columns(query.text)
    if not wrong:
        return plan
    for items in sqltext.select_spans(query.text):
        for item, start, end in items:
            if item.name in KEYS and item.name in wrong:
                text = _column(item, line)
                # Its name stays as it was written.
                named = re.search(rf"\s+(?:AS\s+)?\"?{item.name}\"?$", query.text[start:end], re.IGNORECASE)
                query.edit(plan.edits, start, start + named.start() if named else end, text)
                plan.actions.append(f"{item.name}: the query in line {line} computes {text}")
    plan.actions.append(
        "damage_efficiency is a ratio from now on, not a percentage, and frag_potential is damage per alive minute: labels, axis "
        "limits and thresholds in the front end must follow"
    )
    return plan


def _column(item: sqltext.Item, line: int) -> str:
    """The reference formula in SQL, rounded as the column was."""
    alias = re.search(r"\b(\w+\.)?(?:time_played_seconds|damage_given)\b", item.expression, re.IGNORECASE)
    if alias is None or not sqltext.is_aggregate(item.expression):
        raise Refusal(
            f"line {line}: looked for {item.name} as sums of player_comprehensive_stats' own columns, found {item.expression!r}; put "
            "the reference formula there by hand"
        )
    dot = alias[1] or ""
    given, received, played = (
        f"SUM({dot}{name})" for name in ("damage_given", "damage_received", "time_played_seconds")
    )
    dead = f"SUM({capped_dead(dot, 's')})"
    text = {
        "frag_potential": f"CASE WHEN {played} > 0 THEN 60.0 * {given} / GREATEST(1, {played} - {dead}) ELSE 0 END",
        "survival_rate": f"CASE WHEN {played} > 0 THEN 100.0 - 100.0 * {dead} / {played} ELSE 0 END",
        "damage_efficiency": f"1.0 * {given} / GREATEST(1, {received})",
    }[item.name]
    rounded = _digits(item)
    return text if rounded is None else f"ROUND(({text})::numeric, {rounded})"


def _digits(item: sqltext.Item) -> int | None:
    if not _NUMERIC.search(item.expression):
        return None
    found = _DIGITS.findall(item.expression)
    return int(found[-1]) if found else 0


def wrong_columns(text: str) -> dict[str, str]:
    """key -> how its column differs from the reference for a generated player; a column that cannot be evaluated differs."""
    calculator = sqltext.Calculator()
    wrong: dict[str, str] = {}
    columns = {i.name: i for items in sqltext.selects(text) for i in items if i.name in KEYS}
    for rounds in generated_players(_TRIALS, seed=1):
        goal = formulas.session_metrics(as_round(one) for one in rounds)
        for key, item in columns.items():
            if key in wrong:
                continue
            try:
                value = calculator.value(item.expression, rounds)
            except ValueError as problem:
                wrong[key] = str(problem)
                continue
            required, digits = getattr(goal, key), _digits(item)
            slack = 1e-6 * max(1.0, abs(required)) + (0 if digits is None else 0.5000001 * 10**-digits)
            if not isinstance(value, (int, float)) or not math.isclose(value, required, rel_tol=0, abs_tol=slack):
                wrong[key] = f"{key}: found {value}, required {required:g}"
    return wrong


def prove_web_queries(after: bytes) -> list[str]:
    """Raise Refusal unless the patched query agrees with the reference."""
    texts = [q.text for q in web_queries(tree_of(after, ABOUT))]
    wrong = [sentence for text in texts for sentence in wrong_columns(text).values()]
    if wrong or not texts:
        raise Refusal("the patched query was evaluated and is not right: " + ("; ".join(wrong) or "it is not there"))
    return [f"evaluated for {_TRIALS} generated players: the query's columns are equal to the reference formulas"]
