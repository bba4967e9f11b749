"""Website backends written before the recipe was read: each whole endpoint runs on PostgreSQL before and after."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from python_checks import formulas
from python_checks.source.recipe import fix
from python_checks.source.tree import Refusal
from python_checks.source.web_formulas import prove_web_formulas
from python_checks.tests.source.files import DATA, name
from python_checks.tests.source.running import graphs, session

KEYS = ("frag_potential", "survival_rate", "damage_efficiency")
ENDPOINTS = sorted((DATA / "endpoints").glob("*.txt"))
REFUSED = {"nodead_selected": "time_dead_minutes", "compute_fn": "damage given"}
# Rows that are unpacked or converted as a whole have no room for one column more.
SHOWN_CAPPED = {"service_class", "local_helper_obj"}
PATCHED = [path for path in ENDPOINTS if name(path) not in REFUSED]
Truth = Mapping[str, tuple[formulas.PlayerRound, ...]]


@pytest.fixture(scope="module")
def played(pg: Any, root: Path) -> tuple[str, Truth]:
    """A session of 1200 players on PostgreSQL: (dsn, guid -> rounds)."""
    dsn = pg.dsn(pg.database())
    with psycopg.connect(dsn, autocommit=True) as connection, connection.transaction():
        connection.execute((root / "molecule/world/slomix_vm/schema.sql").read_text())
        return dsn, session(connection, 1200)


def wrong(found: Mapping[str, Mapping[str, Any]], truth: Truth) -> dict[str, str]:
    """key -> the first player whose value is not the reference's. Sums of REAL columns are good to about six digits."""
    told: dict[str, str] = {}
    for guid, rounds in truth.items():
        metrics = found[guid]["advanced_metrics"]
        for key in KEYS:
            goals = [getattr(formulas.session_metrics(_shifted(rounds, by)), key) for by in (-0.001, 0, 0.001)]
            slack = 0.0501 + 1e-6 * abs(goals[1])
            if not min(goals) - slack <= metrics[key] <= max(goals) + slack:
                told.setdefault(key, f"{guid}: found {metrics[key]}, required {goals[1]} for {rounds}")
    return told


def _shifted(rounds: tuple[formulas.PlayerRound, ...], by_min: float) -> list[formulas.PlayerRound]:
    return [
        formulas.PlayerRound(
            r.damage_given, r.damage_received, r.time_played_s, max(0.0, (r.time_dead_min or 0) + by_min)
        )
        for r in rounds
    ]


@pytest.mark.postgres
@pytest.mark.parametrize("path", PATCHED, ids=name)
def test_endpoint_before_and_after(path: Path, played: tuple[str, Truth]) -> None:
    dsn, truth = played
    source = path.read_bytes()
    before = graphs(source, dsn)
    assert set(wrong(before, truth)) == set(KEYS)
    result = fix(source, ["web-formulas"])
    assert result.changed, result.refused_reason
    after = graphs(result.output, dsn)
    assert wrong(after, truth) == {}
    assert list(before) == list(after)
    digits = {key: _digits(before, key) for key in KEYS}
    assert {key: _digits(after, key) for key in KEYS} == digits, "the response's rounding is kept"
    if name(path) in SHOWN_CAPPED:
        assert any("wherever it is shown" in one for one in result.actions)
        before, after = (_without_dead(players) for players in (before, after))
    for guid, player in after.items():
        assert _without_metrics(player) == _without_metrics(before[guid])


def _without_dead(players: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    keep = lambda metrics: {k: v for k, v in metrics.items() if k != "time_dead_raw_seconds"}  # noqa: E731
    return {guid: {**p, "advanced_metrics": keep(p["advanced_metrics"])} for guid, p in players.items()}


def _digits(players: Mapping[str, Mapping[str, Any]], key: str) -> int:
    texts = [repr(float(p["advanced_metrics"][key])) for p in players.values()]
    return max(len(text.partition(".")[2]) for text in texts if "e" not in text)


def _without_metrics(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_metrics(v) for k, v in value.items() if k not in (*KEYS, "survivability")}
    return [_without_metrics(v) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", [p for p in ENDPOINTS if name(p) in REFUSED], ids=name)
def test_refused_with_line_found_and_required(path: Path) -> None:
    reason = fix(path.read_bytes(), ["web-formulas"]).refused_reason
    assert re.search(r"line \d+: looked for .* found ", reason) and REFUSED[name(path)] in reason


EFFICIENCY = b"return float(damage_given or 0) / max(1.0, float(damage_received or 0))"
WRONG = {
    "unit": (
        rb"return 60 \* float\(|60\.0 \* SUM\(p\.damage_given",
        rb"return 6 * float(",
        rb"6.0 * SUM(p.damage_given",
    ),
    "clamp": (
        re.escape(EFFICIENCY) + rb"|GREATEST\(1, SUM\(p\.damage_received\)\)",
        EFFICIENCY.replace(b"float(damage_given or 0) /", b"min(1.0, float(damage_given or 0)) /"),
        b"GREATEST(5000, SUM(p.damage_received))",
    ),
}
# Where each file adds the damage up; counted twice, as a join with weapon rows would.
FAN_OUT = {
    "bigloop": b'ps["damage_given"] += row[4] or 0',
    "dataclass": b'self.dmg_given += r["damage_given"] or 0',
    "gensum": b"given = sum(r.damage_given for r in rounds)",
    "lambdas": b"p['damage_given'] += r[5]",
    "spread_timeline": b't["given"] += given or 0',
    "filtersum": b'given = _sum(mine, "damage_given")',
    "ratio": b'a["given"] = a["given"] + (row["damage_given"] or 0)',
    "local_helper_obj": b"p.dg += row[5]",
}


@pytest.mark.parametrize("kind", [*WRONG, "fan-out"])
@pytest.mark.parametrize("path", PATCHED, ids=name)
def test_wrong_patches_are_caught(path: Path, kind: str, patched: dict[str, bytes]) -> None:
    right = patched[name(path)]
    assert prove_web_formulas(path.read_bytes(), right)
    if kind in WRONG:
        pattern, python, sql = WRONG[kind]
        wrong = re.sub(pattern, lambda m: python if m[0].startswith(b"return") else sql, right)
    elif name(path) in FAN_OUT:
        adding = FAN_OUT[name(path)]
        head, _, value = adding.rpartition(b"=")
        wrong = right.replace(adding, head + b"= 2 * (" + value.strip() + b")")
    else:
        wrong = re.sub(rb"(?i)(\bSUM\((?:\w+\.)?damage_given)\)", rb"\1 * 2)", right)
    assert wrong != right
    with pytest.raises(Refusal):
        prove_web_formulas(path.read_bytes(), wrong)


@pytest.mark.parametrize("path", PATCHED, ids=name)
def test_the_unpatched_file_is_caught(path: Path) -> None:
    with pytest.raises(Refusal):
        prove_web_formulas(path.read_bytes(), path.read_bytes())


@pytest.fixture(scope="module")
def patched() -> dict[str, bytes]:
    return {name(path): fix(path.read_bytes(), ["web-formulas"]).output for path in PATCHED}
