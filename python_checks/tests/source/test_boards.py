"""Leaderboard cogs written before the recipe was read: each whole command runs on PostgreSQL before and after."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from python_checks.formulas import headshot_kill_rate
from python_checks.source.headshots import PLAYERS, WEAPONS, leaderboard_query, wrong_numbers
from python_checks.source.recipe import fix
from python_checks.tests.source.files import DATA, name
from python_checks.tests.source.running import shown

BOARDS = sorted((DATA / "boards").glob("*.txt"))
RIGHT = {"correct"}
REFUSED = {"two_queries": "SUM(kills) beside SUM(headshot_kills)", "template": "in a way that is not known"}
COMMANDS = {"cte_sqlround": "headshots", "subselect": "hs"}
PATCHED = [path for path in BOARDS if name(path) not in REFUSED and name(path) not in RIGHT]
League = tuple[str, dict[str, tuple[int, int]]]


def wrong(text: str, truth: dict[str, tuple[int, int]]) -> list[str]:
    """What is wrong with a shown board, as sentences."""
    told, rates = [], list[float]()
    for line in text.splitlines():
        found = re.search(r"\b[0-9A-F]{8}\b", line)
        if not found:
            if "kills" not in line.lower() and re.search(r"\bhits\b", line):
                told.append(f"speaks of hits: {line}")
            continue
        heads, kills = truth[found[0]]
        rate = headshot_kill_rate(heads, kills)
        numbers = {float(n.replace(",", "")) for n in re.findall(r"[\d,]*\d(?:\.\d+)?", line.replace(found[0], ""))}
        percent = re.search(r"([\d.]+)\*{0,2}%", line)
        if percent is None or abs(float(percent[1]) - rate) > 0.0501 or not {float(heads), float(kills)} <= numbers:
            told.append(f"required {rate:.1f}% ({heads}/{kills}): {line}")
        elif re.search(r"\bhits\b|accuracy", line, re.IGNORECASE):
            told.append(f"speaks of hits: {line}")
        rates.append(float(percent[1]) if percent else 0)
    best = sorted((headshot_kill_rate(*truth[guid]) for guid in list(truth)[:34]), reverse=True)[:10]
    if len(rates) < 10 or rates[:10] != sorted(rates[:10], reverse=True):
        told.append(f"not ten in order: {rates}")
    elif any(abs(a - b) > 0.0501 for a, b in zip(rates, best, strict=False)):
        told.append(f"not the best ten: {rates}, required {best}")
    return told


@pytest.mark.postgres
@pytest.mark.parametrize("path", PATCHED, ids=name)
def test_board_before_and_after(path: Path, league: League) -> None:
    dsn, truth = league
    source = path.read_bytes()
    command = COMMANDS.get(name(path), "leaderboard")
    assert wrong(shown(source, dsn, command), truth)
    result = fix(source, ["headshot-leaderboard"])
    assert result.changed, result.refused_reason
    assert wrong(shown(result.output, dsn, command), truth) == []


@pytest.mark.postgres
@pytest.mark.parametrize("path", [p for p in BOARDS if name(p) in RIGHT], ids=name)
def test_a_right_board_needs_nothing(path: Path, league: League) -> None:
    dsn, truth = league
    assert wrong(shown(path.read_bytes(), dsn, "leaderboard"), truth) == []
    result = fix(path.read_bytes(), ["headshot-leaderboard"])
    assert not result.changed and not result.refused_reason


@pytest.mark.parametrize("path", [p for p in BOARDS if name(p) in REFUSED], ids=name)
def test_refused_with_line_found_and_required(path: Path) -> None:
    reason = fix(path.read_bytes(), ["headshot-leaderboard"]).refused_reason
    assert re.search(r"line \d+: looked for .* found ", reason) and REFUSED[name(path)] in reason


WRONG = {
    "unit": (r"SUM\((\w+\.)?kills\)|\bpcs\.kills AS", lambda m: m[0].replace("kills", "bullets_fired")),
    "clamp": (r"SUM\((?:\w+\.)?headshot_kills\)", lambda m: f"LEAST(100, {m[0]})"),
    "fan-out": (
        rf"{PLAYERS}(\s+AS)?\s+(p|pcs)\b",
        lambda m: f"{m[0]} JOIN {WEAPONS} x ON x.round_id = {m[2]}.round_id AND x.player_guid = {m[2]}.player_guid",
    ),
    "column": (r"headshot_kills\b", lambda _: "headshots"),
}


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("path", PATCHED, ids=name)
def test_wrong_patches_are_caught(path: Path, kind: str, patched: dict[str, str]) -> None:
    right = patched[name(path)]
    assert wrong_numbers(right) == []
    pattern, replacement = WRONG[kind]
    wrong = re.sub(pattern, replacement, right)
    assert wrong != right and wrong_numbers(wrong)


@pytest.mark.parametrize("path", PATCHED, ids=name)
def test_the_unpatched_query_is_caught(path: Path) -> None:
    assert wrong_numbers(leaderboard_query(path.read_bytes()))


@pytest.fixture(scope="module")
def patched() -> dict[str, str]:
    return {name(p): leaderboard_query(fix(p.read_bytes(), ["headshot-leaderboard"]).output) for p in PATCHED}
