"""Does the website, does the leaderboard show what the database says? Pure: answers and rows come in, a sample goes out.

What is shown is rounded; two values agree when the shown one is the expected one within half of its last decimal.
A site may leave cancelled halves or bots out. So an answer is read in each of a few ways to choose rows, and the one that fits best is
taken for the whole of it: never another one for each player, or a wrong formula could hide in a choice of rows.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils.embed_check import plain

from python_checks.formulas import PlayerRound, headshot_kill_rate, session_metrics

METRICS = ("frag_potential", "survival_rate", "damage_efficiency")
SHOWN = 20
STATUSES: dict[str, frozenset[str | None] | None] = {
    "all": None,
    "played": frozenset({"completed", "substitution", None}),
    "completed": frozenset({"completed", None}),
}
"""Which halves a site may count, by rounds.round_status; None stands for every status."""
READINGS = {
    name: (status, people)
    for people in (False, True)
    for status in STATUSES
    for name in [f"{status} halves{' of people' if people else ''}"]
}
"""Name -> (status, whether bots are left out); the first of those that fit equally well is taken."""
_LINE = re.compile(r"\*\*(?P<name>.+?)\*\*\D*?(?P<percent>\d+(?:\.\d+)?)\s*%")


def compare_graphs(rows: Sequence[Mapping[str, Any]], answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The session graphs of each day against the reference formulas.

    ``rows`` are those of session_players.sql, ``answers`` by day ``{status, body, error}``. A player of the database that
    is not shown, or is shown without a metric, is ``unmatched``. ``reading`` names which rows the answer is of, all days by one.
    """
    found: dict[tuple[int, ...], dict[str, Any]] = {}
    for name, (status, people) in READINGS.items():
        counted = tuple(number for number, row in enumerate(rows) if _is_counted(row, status, people))
        if counted not in found:
            found[counted] = _read_graphs(rows, frozenset(counted), answers) | {"reading": name}
    return min(
        found.values(), key=lambda one: [sum(day[key] for day in one["days"]) for key in ("unequal", "unmatched")]
    )


def _is_counted(row: Mapping[str, Any], status: str, people: bool) -> bool:
    statuses = STATUSES[status]
    return not (people and row.get("is_bot")) and (statuses is None or row.get("round_status") in statuses)


def _read_graphs(
    rows: Sequence[Mapping[str, Any]], counted: frozenset[int], answers: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """One reading. A value that is shown of a player without a row that counts is unequal: this reading cannot have made it."""
    players: dict[str, dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        players[str(row["day"])][str(row["guid"])].append(row)
    kept: dict[str, dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for number in sorted(counted):
        kept[str(rows[number]["day"])][str(rows[number]["guid"])].append(rows[number])
    days, differences = [], []
    for day, everybody in sorted(players.items()):
        answer = answers.get(day, {})
        shown = list(_players(answer.get("body")))
        places = {key: _decimals(one.get(key) for one in shown) for key in METRICS}
        here = kept[day]
        found = {"day": day, "status": answer.get("status"), "error": answer.get("error", ""), "players": len(here)}
        counts = {"compared": 0, "unequal": 0, "unmatched": 0}
        for guid, halves in sorted(everybody.items()):
            one = _find(shown, guid, {str(row["name"]) for row in halves})
            expected = _expected(here[guid]) if guid in here else None
            for key in METRICS:
                value = one.get(key) if one else None
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    counts["unmatched"] += expected is not None
                    continue
                counts["compared"] += 1
                if expected is None or not agrees(value, expected[key], places[key]):
                    counts["unequal"] += 1
                    required = round(expected[key], 3) if expected else None
                    name = halves[-1]["name"]
                    differences.append({"day": day, "name": name, "metric": key, "shown": value, "expected": required})
        # A day of which nothing counts and nothing is shown is none; an error on it is told all the same.
        if here or counts["compared"] or answer.get("status") not in (200, 404):
            days.append({**found, **counts})
    return {"changed": False, "days": days, "differences": differences[:SHOWN], "decimals_min": 1}


def _expected(halves: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    metrics = session_metrics(
        PlayerRound(row["damage_given"], row["damage_received"], row["time_played_seconds"], row["time_dead_minutes"])
        for row in halves
    )
    return {key: getattr(metrics, key) for key in METRICS}


def agrees(shown: float, expected: float, decimals: int) -> bool:
    """Whether ``shown`` is ``expected`` rounded to ``decimals`` (REAL columns carry seven digits)."""
    return abs(shown - expected) <= 0.5 * 10**-decimals + 1e-6 * max(1.0, abs(expected))


def _decimals(values: Iterable[Any]) -> int:
    """Decimals that a metric is shown with, at least one: a ratio rounded to whole numbers would agree with anything."""
    texts = [repr(value) for value in values if isinstance(value, float)]
    return max([1, *(len(text.partition(".")[2]) for text in texts if "e" not in text)])


def _players(body: Any) -> Iterator[dict[str, Any]]:
    """Every dictionary in the answer that has a guid or a name, with all numbers below it by their keys."""
    if isinstance(body, list):
        for item in body:
            yield from _players(item)
    elif isinstance(body, dict):
        flat = dict(_flat(body))
        if ("guid" in body or "player_guid" in body or "name" in body) and any(key in flat for key in METRICS):
            identity = {
                "guid": str(body.get("guid") or body.get("player_guid") or ""),
                "name": str(body.get("name", "")),
            }
            yield {**flat, **identity}
            return
        for item in body.values():
            yield from _players(item)


def _flat(value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _flat(item)
        else:
            yield key, item


def _find(shown: Sequence[Mapping[str, Any]], guid: str, names: set[str]) -> Mapping[str, Any] | None:
    """The one entry of a player: by guid, else by a name that is his alone."""
    by_guid = [one for one in shown if one["guid"] == guid]
    found = by_guid or [one for one in shown if not one["guid"] and one["name"] in names]
    return found[0] if len(found) == 1 else None


def compare_headshots(rows: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> dict[str, Any]:
    """The headshot leaderboard's embed against headshot kills / kills.

    ``rows`` are those of headshot_kills.sql; a player whose sums are None was not summed, and a place that may be his and
    fits nobody else is ``unproven``. Besides the values: the places go down, and nobody is left out who has a higher rate
    than the last one shown with at least as many rounds and kills as somebody shown has (the threshold is the site's own
    and need not be known for that); ``all_players`` says whether everybody was summed, so that this means something. ``reading``
    names which halves the board is of, all places by one; of a table that is not summed whole, only all halves are known.
    """
    found = [_read_headshots(_counted(rows, *READINGS[name]), answer) | {"reading": name} for name in _known(rows)]
    return min(found, key=lambda one: one["unequal"] + one["missing_count"])


def _known(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The readings whose sums the rows hold."""
    summed = [row for row in rows if row["kills"] is not None]
    return [
        name
        for name, (status, _) in READINGS.items()
        if STATUSES[status] is None or all(row.get(f"{status}_kills") is not None for row in summed)
    ]


def _counted(rows: Sequence[Mapping[str, Any]], status: str, people: bool) -> list[dict[str, Any]]:
    """The rows with the sums of one reading; who is left out has none, and stays known by name."""
    prefix = "" if STATUSES[status] is None else f"{status}_"
    sums = ("headshot_kills", "kills", "rounds")
    return [
        {**row, **{key: 0 if people and row.get("is_bot") else row[f"{prefix}{key}"] for key in sums}}
        if row["kills"] is not None
        else dict(row)
        for row in rows
    ]


def _read_headshots(rows: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> dict[str, Any]:
    """One reading."""
    sample: dict[str, Any] = {"changed": False, "status": answer.get("status"), "error": answer.get("error", "")}
    body = answer.get("body")
    text = str(body.get("description") or "") if isinstance(body, dict) else ""
    lines = [match for line in text.splitlines() if (match := _LINE.search(line))]
    by_name: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        for name in str(row["names"] or "").split("\n"):
            by_name[plain(name)].append(row)
    places: list[dict[str, Any]] = []
    listed: list[Mapping[str, Any]] = []
    for number, match in enumerate(lines, start=1):
        shown = match["percent"]
        decimals = max(1, len(shown.partition(".")[2]))
        bearers = by_name.get(plain(match["name"]), [])
        candidates = [row for row in bearers if row["kills"] is not None]
        fitting = [row for row in candidates if row["kills"] > 0 and agrees(float(shown), _rate(row), decimals)]
        listed += fitting or candidates
        places.append(
            {
                "place": number,
                "name": match["name"],
                "shown": float(shown),
                "expected": round(_rate((fitting or candidates)[0]), 3) if candidates else None,
                "equal": bool(fitting),
                "known": bool(bearers),
                "unproven": not fitting and len(candidates) < len(bearers),
            }
        )
    percents = [one["shown"] for one in places]
    missing = _missing(rows, listed, min(percents)) if places and listed else []
    return {
        **sample,
        "title": str(body.get("title", "")) if isinstance(body, dict) else "",
        "shown": len(places),
        "names": [one["name"] for one in places],
        "proven": sum(one["equal"] for one in places),
        "unproven": sum(one["unproven"] for one in places),
        "all_players": all(row.get("is_all", True) for row in rows),
        "unequal": sum(one["known"] and not one["equal"] and not one["unproven"] for one in places),
        "unmatched": sum(not one["known"] for one in places),
        "unordered": sum(after > before for before, after in itertools.pairwise(percents)),
        "missing": missing[:SHOWN],
        "missing_count": len(missing),
        "places": places[:SHOWN],
    }


def _missing(rows: Sequence[Mapping[str, Any]], listed: Sequence[Mapping[str, Any]], last: float) -> list[str]:
    shown = {row["guid"] for row in listed}
    return [
        str(row["names"]).partition("\n")[0]
        for row in rows
        if row["guid"] not in shown
        and row["kills"] is not None
        and _rate(row) > last + 0.1
        and any(row["rounds"] >= one["rounds"] and row["kills"] >= one["kills"] for one in listed)
    ]


def _rate(row: Mapping[str, Any]) -> float:
    return headshot_kill_rate(row["headshot_kills"], row["kills"])


def graphs_text(sample: Mapping[str, Any]) -> str:
    """The comparison as a sentence."""
    days = sample["days"]
    compared, unequal = sum(one["compared"] for one in days), sum(one["unequal"] for one in days)
    parts = [f"{compared} values of {len(days)} days compared, {unequal} differ (read as {sample['reading']})"]
    parts += [f"{one['day']}: {one['error'] or 'a value is missing'}" for one in days if one["unmatched"]][:3]
    parts += [
        f"{one['day']} {one['name']} {one['metric']}: shown {one['shown']}, required {one['expected']}"
        for one in sample["differences"][:3]
    ]
    return "; ".join(parts)


def headshots_text(sample: Mapping[str, Any]) -> str:
    """The comparison as a sentence."""
    board = sample["title"] or "the leaderboard"
    parts = [
        f"{sample['shown']} places of {board!r} compared, {sample['unequal']} differ (read as {sample['reading']})"
    ]
    if sample["unproven"]:
        parts.append(f"{sample['unproven']} have more rows than are summed, so they prove nothing")
    if sample["unequal"] and not sample["all_players"]:
        parts.append(
            "of so large a table only all halves are known, unless leaderboard_source_max_player_rows is above its rows"
        )
    parts += [sample["error"]] if sample["error"] else []
    parts += [f"{name} is missing" for name in sample["missing"][:3]]
    parts += [
        f"{one['name']}: shown {one['shown']} %, required {one['expected']} %"
        for one in sample["places"]
        if not one["equal"] and not one["unproven"]
    ][:3]
    return "; ".join(parts)
