"""Does the website, does the leaderboard show what the database says? Pure: answers and rows come in, a sample goes out.

What is shown is rounded; two values agree when the shown one is the expected one within half of its last decimal.
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
_LINE = re.compile(r"\*\*(?P<name>.+?)\*\*\D*?(?P<percent>\d+(?:\.\d+)?)\s*%")


def compare_graphs(rows: Sequence[Mapping[str, Any]], answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The session graphs of each day against the reference formulas.

    ``rows`` are those of session_players.sql, ``answers`` by day ``{status, body, error}``. A player of the database that
    is not shown, or is shown without a metric, is ``unmatched``.
    """
    players: dict[str, dict[str, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        players[str(row["day"])][str(row["guid"])].append(row)
    days, differences = [], []
    for day, here in sorted(players.items()):
        answer = answers.get(day, {})
        shown = list(_players(answer.get("body")))
        places = {key: _decimals(one.get(key) for one in shown) for key in METRICS}
        found = {"day": day, "status": answer.get("status"), "error": answer.get("error", ""), "players": len(here)}
        counts = {"compared": 0, "unequal": 0, "unmatched": 0}
        for guid, halves in sorted(here.items()):
            one = _find(shown, guid, {str(row["name"]) for row in halves})
            expected = _expected(halves)
            for key in METRICS:
                value = one.get(key) if one else None
                if isinstance(value, bool) or not isinstance(value, (int, float)):
                    counts["unmatched"] += 1
                    continue
                counts["compared"] += 1
                if not agrees(value, expected[key], places[key]):
                    counts["unequal"] += 1
                    differences.append(
                        {
                            "day": day,
                            "name": halves[-1]["name"],
                            "metric": key,
                            "shown": value,
                            "expected": round(expected[key], 3),
                        }
                    )
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
    and need not be known for that); ``all_players`` says whether everybody was summed, so that this means something.
    """
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
        fitting = [row for row in candidates if agrees(float(shown), _rate(row), decimals)]
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
    parts = [f"{compared} values of {len(days)} days compared, {unequal} differ"]
    parts += [f"{one['day']}: {one['error'] or 'a value is missing'}" for one in days if one["unmatched"]][:3]
    parts += [
        f"{one['day']} {one['name']} {one['metric']}: shown {one['shown']}, required {one['expected']}"
        for one in sample["differences"][:3]
    ]
    return "; ".join(parts)


def headshots_text(sample: Mapping[str, Any]) -> str:
    """The comparison as a sentence."""
    parts = [
        f"{sample['shown']} places of {sample['title'] or 'the leaderboard'!r} compared, {sample['unequal']} differ"
    ]
    if sample["unproven"]:
        parts.append(f"{sample['unproven']} have more rows than are summed, so they prove nothing")
    parts += [sample["error"]] if sample["error"] else []
    parts += [f"{name} is missing" for name in sample["missing"][:3]]
    parts += [
        f"{one['name']}: shown {one['shown']} %, required {one['expected']} %"
        for one in sample["places"]
        if not one["equal"] and not one["unproven"]
    ][:3]
    return "; ".join(parts)
