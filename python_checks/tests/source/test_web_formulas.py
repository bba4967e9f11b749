"""The reference formulas, and patched, unpatched and wrongly patched websites against them."""

from __future__ import annotations

import asyncio
import math
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as hs

from python_checks import formulas
from python_checks.source.recipe import fix
from python_checks.source.web_formulas import disagreements, generated_players
from python_checks.tests.source.files import DATA, SITE, WEB, name

API = SITE / "website/backend/api.py"


def test_the_example() -> None:
    one = formulas.PlayerRound(6000, 3000, 900, 3.0)
    assert formulas.session_metrics([one]) == formulas.Metrics(500.0, 80.0, 2.0)


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        ([], (0, 0, 0)),
        ([(0, 0, 0, 0)], (0, 0, 0)),
        ([(100, 0, 0, 5)], (0, 0, 100)),
        ([(None, None, None, None)], (0, 0, 0)),
        ([(300, 0, 60, 1)], (18000, 0, 300)),
        ([(300, 100, 60, 99)], (18000, 0, 3)),
        ([(300, 100, 60, -1)], (300, 100, 3)),
        ([(600, 100, 600, 0), (0, 100, 600, 573)], (60, 50, 3)),
    ],
)
def test_edges(rounds: list[tuple[Any, ...]], expected: tuple[float, ...]) -> None:
    found = formulas.session_metrics(formulas.PlayerRound(*one) for one in rounds)
    assert (found.frag_potential, found.survival_rate, found.damage_efficiency) == pytest.approx(expected)


@given(
    hs.lists(
        hs.tuples(hs.integers(0, 10**6), hs.integers(0, 10**6), hs.floats(0, 10**5), hs.floats(-10, 10**4)), max_size=6
    )
)
def test_total_and_bounded(rounds: list[tuple[int, int, float, float]]) -> None:
    found = formulas.session_metrics(formulas.PlayerRound(*one) for one in rounds)
    assert 0 <= found.survival_rate <= 100 + 1e-9 and found.frag_potential >= 0 and found.damage_efficiency >= 0
    assert all(map(math.isfinite, (found.frag_potential, found.survival_rate, found.damage_efficiency)))


def test_two_names_that_are_never_crossed() -> None:
    assert formulas.headshot_kill_rate(102, 510) == pytest.approx(20) and formulas.headshot_kill_rate(0, 0) == 0
    assert formulas.headshot_accuracy(5, 20) == 25 and formulas.headshot_accuracy(5, 0) == 0


@pytest.mark.parametrize("path", WEB, ids=name)
def test_unpatched_fails_and_patched_agrees(path: Path) -> None:
    source = path.read_bytes()
    assert {one.key for one in disagreements(source, 60)} == {"frag_potential", "survival_rate", "damage_efficiency"}
    assert disagreements(fix(source, ["web-formulas"]).output, 2400, seed=11) == []


WRONG = {
    "unit: minutes for seconds": (
        b'_dead_seconds(\n            60 * (row["time_dead_minutes"] or 0)',
        b'_dead_seconds(\n            (row["time_dead_minutes"] or 0)',
    ),
    "unit: milliseconds for seconds": (
        b"_frag_potential(damage_given, time_played,",
        b"_frag_potential(damage_given, time_played * 1000,",
    ),
    "unit: percent for ratio": (
        b"= _damage_efficiency(damage_given, damage_received)",
        b"= 100 * _damage_efficiency(damage_given, damage_received)",
    ),
    "clamp: none": (
        b"return min(max(float(time_dead_s or 0), 0.0), max(float(time_played_s or 0), 0.0))",
        b"return float(time_dead_s or 0)",
    ),
    "clamp: on the sum only": (b'player["time_dead_capped_seconds"])', b'player["time_dead_minutes"] * 60)'),
    "clamp: ratio at 1": (
        b"return float(damage_given or 0) / max(1.0, float(damage_received or 0))",
        b"return min(1.0, float(damage_given or 0) / max(1.0, float(damage_received or 0)))",
    ),
    "fan-out: damage once more per weapon": (
        b'player["damage_given"] += row["damage_given"]',
        b'player["damage_given"] += row["damage_given"] * 2',
    ),
    "fan-out: dead time added twice": (
        b'player["time_dead_capped_seconds"] = player.get("time_dead_capped_seconds", 0.0) + _dead',
        b'player["time_dead_capped_seconds"] = player.get("time_dead_capped_seconds", 0.0) + 2 * _dead',
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_patches_are_caught(case: str) -> None:
    right = fix(API.read_bytes(), ["web-formulas"]).output
    old, new = WRONG[case]
    wrong = right.replace(old, new)
    assert wrong != right and disagreements(wrong, 600), case


def test_a_right_file_needs_nothing() -> None:
    source = b"""
def graphs(rows):
    out = []
    for row in rows:
        played, dead = row["time_played_seconds"], 60 * row["time_dead_minutes"]
        dead = min(max(0, dead), played)
        fp = 60 * row["damage_given"] / max(1, played - dead) if played > 0 else 0
        sr = 100 - 100 * dead / played if played > 0 else 0
        out.append({"frag_potential": fp, "survival_rate": sr, "damage_efficiency": row["damage_given"] / max(1, row["damage_received"])})
    return out
"""
    result = fix(source, ["web-formulas"])
    assert not result.changed and not result.refused_reason


def test_missing_dead_time_is_refused() -> None:
    source = (DATA / "web/unpacked.py.txt").read_bytes().replace(b"time_dead_minutes", b"accuracy")
    assert "dead time" in fix(source, ["web-formulas"]).refused_reason


def endpoint(source: bytes, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run the world's whole endpoint on rows, with FastAPI's names inert."""

    class Router:
        def get(self, _path: str) -> Any:
            return lambda function: function

    class Database:
        async def fetch_all(self, _query: str, _params: Any = ()) -> list[dict[str, Any]]:
            return rows

    stubs = {
        "fastapi": types.ModuleType("fastapi"),
        "backend": types.ModuleType("backend"),
        "backend.db": types.ModuleType("backend.db"),
    }
    vars(stubs["fastapi"]).update(
        APIRouter=Router, Depends=lambda f: f, Query=lambda *a, **k: a[0], HTTPException=Exception
    )
    vars(stubs["backend.db"]).update(get_db=None)
    before = {key: sys.modules.get(key) for key in stubs}
    sys.modules.update(stubs)
    try:
        space: dict[str, Any] = {}
        exec(compile(source, "api.py", "exec"), space)
        answer: dict[str, Any] = asyncio.run(space["get_session_graphs"]("2026-02-20", None, Database()))
    finally:
        for key, module in before.items():
            if module is None:
                del sys.modules[key]
            else:
                sys.modules[key] = module
    players: list[dict[str, Any]] = answer["players"]
    return players


def test_the_whole_endpoint_keeps_everything_else() -> None:
    rows, wanted = [], {}
    for number, player in enumerate(generated_players(1200, seed=5)):
        guid = f"{number:08X}"
        wanted[guid] = formulas.session_metrics(
            formulas.PlayerRound(
                int(r["damage_given"]), int(r["damage_received"]), r["time_played_seconds"], r["time_dead_minutes"]
            )
            for r in player
        )
        rows += [
            {**r, "guid": guid, "name": guid, "round_id": i, "map_name": "supply", "round_number": 1}
            for i, r in enumerate(player)
        ]
    old = {p["guid"]: p for p in endpoint(API.read_bytes(), rows)}
    new = {p["guid"]: p for p in endpoint(fix(API.read_bytes(), ["web-formulas"]).output, rows)}
    assert list(old) == list(new)
    for guid, player in new.items():
        metrics, before = dict(player["advanced_metrics"]), dict(old[guid]["advanced_metrics"])
        goal = wanted[guid]
        for key in ("frag_potential", "survival_rate", "damage_efficiency"):
            before.pop(key)
            assert metrics.pop(key) == pytest.approx(getattr(goal, key), abs=0.0501), (guid, key)
        assert metrics == before
        assert {k: v for k, v in player.items() if k != "advanced_metrics"} == {
            k: v for k, v in old[guid].items() if k != "advanced_metrics"
        }


def test_the_same_key_elsewhere_is_left_alone_and_told() -> None:
    """A page of one weapon, and one that hands on what a table holds."""
    other = b"""

async def weapons(db):
    out = []
    for row in await db.fetch_all("SELECT weapon_name, SUM(kills), SUM(hits), SUM(shots) FROM weapon_comprehensive_stats GROUP BY 1"):
        out.append({"weapon": row[0], "damage_efficiency": round(row[2] / max(1, row[3]) * 100, 1)})
    return out


async def records(db):
    rows = await db.fetch_all("SELECT name, fp, sr, de FROM player_records")
    return [{"frag_potential": r[1] or 0, "survival_rate": round(r[2], 1), "damage_efficiency": r[3]} for r in rows]
"""
    source = API.read_bytes()
    plain, result = fix(source, ["web-formulas"]), fix(source + other, ["web-formulas"])
    assert result.changed and result.output == plain.output + other
    line = (source + other)[: (source + other).index(b"round(row[2] /")].count(b"\n") + 1
    assert f"line {line}: damage_efficiency is computed there too" in " ".join(result.actions)
    assert not fix(result.output, ["web-formulas"]).changed


OWN = DATA / "web/own_rounding.py.txt"


def test_a_sites_own_rounding_is_kept() -> None:
    """``tenths`` stood inside a helper, around a call and at an assignment; the new calls stand in it."""
    result = fix(OWN.read_bytes(), ["web-formulas"])
    text = result.output.decode()
    for key in ("frag_potential", "damage_efficiency", "survival_rate"):
        assert f"tenths(_{key}(" in text, key
    assert "round(" not in text and disagreements(result.output, 600) == []
    told = " ".join(result.actions)
    assert "nothing in this file uses potential any more" in told and "uses efficiency any more" in told
    assert "uses tenths any more" not in told
    right = b'tenths(_frag_potential(row["given"], row["secs"], row["dead_secs"]))'
    assert right in result.output
    for wrong in (
        right.replace(b'row["given"],', b'row["given"] * 60,'),
        right.replace(b'row["dead_secs"]', b"0"),
        right.replace(b"tenths(_f", b"tenths(2 * _f"),
    ):
        assert disagreements(result.output.replace(right, wrong), 600), wrong


@pytest.mark.parametrize(
    "returns",
    [
        b"float(Decimal(str(min(100, value))).quantize(step, rounding=ROUND_HALF_UP))",
        b"float(Decimal(str(value)).quantize(step, rounding='ROUND_DOWN'))",
        b"float(Decimal(str(value / 60)).quantize(step, rounding=ROUND_HALF_UP))",
    ],
    ids=["clamp", "down", "minutes"],
)
def test_what_does_more_than_round_is_not_kept_and_told(returns: bytes) -> None:
    old = b"float(Decimal(str(value)).quantize(step, rounding=ROUND_HALF_UP))"
    source = OWN.read_bytes().replace(old, returns)
    assert source != OWN.read_bytes()
    result = fix(source, ["web-formulas"])
    assert result.changed and b"tenths(_" not in result.output
    assert sum("put it around the new call" in one for one in result.actions) == 3


def test_a_rounding_from_elsewhere_is_told() -> None:
    source = OWN.read_bytes().replace(b"tenths(efficiency(row))", b"shown.one_place(efficiency(row))")
    result = fix(source, ["web-formulas"])
    assert any("'shown.one_place(efficiency(row))' gave damage_efficiency" in one for one in result.actions)


def test_comments_on_the_old_values_are_named() -> None:
    source = OWN.read_bytes()
    told = [one for one in fix(source, ["web-formulas"]).actions if "was written about the old" in one]
    lines = source.decode().split("\n")
    wanted = [lines.index("        # ten minutes between two deaths are 100") + 1]
    wanted.append(wanted[0] + 1)
    assert [int(one.split()[1].strip(":")) for one in told] == wanted
    assert all("survival_rate" in one for one in told)


SHOWN = DATA / "web/shown_properties.py.txt"


@pytest.mark.parametrize("named", [b"push", b"frag_potential"], ids=["own names", "one is named as the key"])
def test_properties_are_found_by_what_the_response_shows(named: bytes) -> None:
    """A property that bears the key's name is no rival of two that do not."""
    source = SHOWN.read_bytes().replace(b"push", named)
    result = fix(source, ["web-formulas"])
    assert result.changed, result.refused_reason
    for call in (
        b"return _frag_potential(self.dealt",
        b"return _damage_efficiency(self.dealt",
        b"return _survival_rate(",
    ):
        assert call in result.output
    told = " ".join(result.actions)
    assert '\'"""Ten minutes between two deaths are 100."""\' was written about the old survival_rate' in told
    assert "is shown (time_dead_raw_seconds), it stays as recorded" in told
    wrong = result.output.replace(
        b"_frag_potential(self.dealt, self.seconds", b"_frag_potential(self.dealt, self.seconds / 60"
    )
    assert wrong != result.output and {one.key for one in disagreements(wrong, 600)} == {"frag_potential"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"p.kills, p.deaths,", b"p.kills, p.deaths, p.kills AS push,"),
        (b'    name: str = ""\n', b'    name: str = ""\n    alive: float = 0\n'),
        (b"Line()).add(row)", b"Other()).add(row)"),
        (
            b"    for guid, line in",
            b"    for guid, other in lines.items():\n        other.share = 1\n    for guid, line in",
        ),
    ],
    ids=["a column", "a field", "another class", "assigned"],
)
def test_properties_that_may_not_be_what_is_shown_are_refused(old: bytes, new: bytes) -> None:
    source = SHOWN.read_bytes().replace(old, new)
    assert source != SHOWN.read_bytes() and fix(source, ["web-formulas"]).refused_reason


def test_a_refusal_says_what_could_not_be_followed() -> None:
    """The damage is in scope as ``line.dealt``; saying that there is none would send people to the wrong place."""
    source = SHOWN.read_bytes().replace(b"round(line.share, 2)", b"round(line.dealt / (line.dealt + line.taken), 2)")
    for old, new in ((b"line.push", b"line.kills * 10"), (b"line.alive", b"line.deaths * 10")):
        source = source.replace(old, new)
    reason = fix(source, ["web-formulas"]).refused_reason
    assert "looked for the damage given" in reason and "line.dealt" in reason and "cannot be followed" in reason
