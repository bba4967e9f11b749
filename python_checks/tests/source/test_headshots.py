"""The headshot leaderboard on PostgreSQL with thousands of generated rows, before and after."""

from __future__ import annotations

import asyncio
import re
import sys
import types
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from python_checks.formulas import headshot_kill_rate
from python_checks.source.headshots import leaderboard_query, wrong_numbers
from python_checks.source.querytext import queries
from python_checks.source.recipe import fix
from python_checks.source.tree import SourceTree
from python_checks.tests.source.files import DATA, HEADSHOTS, SITE, name

COG = SITE / "bot/cogs/leaderboard_cog.py"


def board(dsn: str, sql: str) -> list[tuple[str, float, float]]:
    """(guid, headshot kills, the number they are divided by) in the query's own order."""
    holes = re.compile(r"%s|\?|\$\d")
    values = iter((50, 500, 10)[3 - len(holes.findall(sql)) :])
    text = re.sub(r"\{[^}]*min_hits[^}]*\}", "500", holes.sub(lambda _: str(next(values)), sql))
    text = re.sub(r"\{[^}]*offset[^}]*\}", "0", re.sub(r"\{[^}]*page[^}]*\}", "10", text))
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        rows = connection.execute(text).fetchall()
    told = []
    for row in rows:
        numbers = [v for v in row.values() if isinstance(v, (int, Decimal)) and v == int(v)]
        guid = next(str(v) for v in row.values() if isinstance(v, str) and len(v) == 8)
        told.append((guid, float(numbers[0]), float(numbers[1])))
    return told


def right(truth: dict[str, tuple[int, int]], found: list[tuple[str, float, float]], by_rate: bool = True) -> bool:
    rates = [headshot_kill_rate(int(h), int(k)) for _, h, k in found]
    ordered = rates == sorted(rates, reverse=True) or not by_rate
    return bool(found) and all(truth[g] == (h, k) for g, h, k in found) and ordered


@pytest.mark.postgres
@pytest.mark.parametrize("path", HEADSHOTS, ids=name)
def test_board_before_and_after(path: Path, league: tuple[str, dict[str, tuple[int, int]]]) -> None:
    dsn, truth = league
    source = path.read_bytes()
    assert not right(truth, board(dsn, leaderboard_query(source)), by_rate=False)
    after = leaderboard_query(fix(source, ["headshot-leaderboard"]).output)
    found = board(dsn, after)
    assert len(found) == 10 and right(truth, found, by_rate="ORDER BY 2" not in after)
    best = sorted((g for g in list(truth)[:34]), key=lambda g: -truth[g][0] / truth[g][1])
    if "DISTINCT" in after and "ORDER BY 2" not in after:
        assert [g for g, _, _ in found] == best[:10]


@pytest.mark.parametrize("path", HEADSHOTS, ids=name)
def test_unpatched_fails(path: Path) -> None:
    assert "repeats" in wrong_numbers(leaderboard_query(path.read_bytes()))[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("SUM(p.kills)", "SUM(p.bullets_fired)"),  # unit: kills over shots
        ("SUM(p.headshot_kills)", "SUM(p.headshots)"),  # unit: head hits over kills
        (
            "SUM(p.headshot_kills) * 100.0 / NULLIF(SUM(p.kills), 0)",
            "LEAST(20, SUM(p.headshot_kills) * 100.0 / NULLIF(SUM(p.kills), 0))",
        ),  # clamp
        ("AND SUM(p.kills) > %s", "AND SUM(p.deaths) > %s"),  # threshold on something else
        (
            "FROM player_comprehensive_stats p",
            "FROM player_comprehensive_stats p JOIN weapon_comprehensive_stats w ON w.round_id = p.round_id",
        ),  # fan-out
        ("SUM(p.headshot_kills) AS", "SUM(p.headshot_kills * 3) AS"),  # fan-out by hand
    ],
)
def test_wrong_patches_are_caught(old: str, new: str) -> None:
    good = leaderboard_query(fix(COG.read_bytes(), ["headshot-leaderboard"]).output)
    assert wrong_numbers(good) == []
    wrong = good.replace(old, new)
    assert wrong != good and wrong_numbers(wrong)


def test_labels_thresholds_and_the_other_boards(tmp_path: Path) -> None:
    before, after = (SourceTree(s) for s in (COG.read_bytes(), fix(COG.read_bytes(), ["headshot-leaderboard"]).output))
    text = after.body.decode()
    assert "Headshot kill rate" in text and "HS / {row['kills']} kills)" in text and "(MIN_ROUNDS, 500, TOP)" in text
    assert [q.text for q in queries(before)][:4] == [q.text for q in queries(after)][:4]
    assert "SUM(w.hits) > %s" in text, "the accuracy board keeps its own threshold"


def test_other_weapon_columns_are_refused() -> None:
    source = COG.read_bytes().replace(
        b"SUM(w.hits) AS hits,\n                   SUM(p.headshot_kills) * 100",
        b"SUM(w.hits) AS hits, SUM(w.shots) AS s,\n                   SUM(p.headshot_kills) * 100",
    )
    assert "w.shots" in fix(source, ["headshot-leaderboard"]).refused_reason


@pytest.mark.postgres
def test_the_cog_itself(league: tuple[str, dict[str, tuple[int, int]]]) -> None:
    """The patched method runs and says what the reference says."""
    dsn, truth = league
    discord = types.ModuleType("discord")
    ext, commands = types.ModuleType("discord.ext"), types.ModuleType("discord.ext.commands")
    vars(commands).update(Cog=object, command=lambda **_: lambda f: f)
    vars(ext).update(commands=commands)
    vars(discord).update(ext=ext)
    stubs = {"discord": discord, "discord.ext": ext, "discord.ext.commands": commands}
    before = {key: sys.modules.get(key) for key in stubs}
    sys.modules.update(stubs)
    try:
        space: dict[str, Any] = {}
        exec(compile(fix(COG.read_bytes(), ["headshot-leaderboard"]).output, "cog.py", "exec"), space)
    finally:
        for key, module in before.items():
            sys.modules.pop(key) if module is None else sys.modules.update({key: module})

    class Adapter:
        async def fetch_all(self, query: str, params: Any) -> list[dict[str, Any]]:
            with psycopg.connect(dsn, row_factory=dict_row) as connection:
                return connection.execute(query, params).fetchall()

    cog = space["LeaderboardCog"](types.SimpleNamespace(db_adapter=Adapter()))
    title, lines = asyncio.run(cog._headshots())
    assert title == "Headshot kill rate" and len(lines) == 10
    for line in lines:
        guid, rate, heads, kills = re.search(r"\*\*(\w+)\*\* - ([\d.]+)% HS \((\d+) HS / (\d+) kills\)", line).groups()  # type: ignore[union-attr]
        assert truth[guid] == (int(heads), int(kills)) and float(rate) == pytest.approx(
            headshot_kill_rate(int(heads), int(kills)), abs=0.05
        )


def test_composed_files_are_what_the_readme_says() -> None:
    assert len(list((DATA / "headshots").glob("*.txt"))) >= 3


SMALL = b'''
PLAYERS = "player_comprehensive_stats"
WEAPONS = "weapon_comprehensive_stats"
TITLES = {"headshots": "Kopf", "accuracy": "Genauigkeit"}


def best(min_hits=1000):
    return f"""
        SELECT MAX(p.player_name), SUM(p.headshot_kills) hs, SUM(w.hits) hits,
               100.0 * SUM(p.headshot_kills) / NULLIF(SUM(w.hits), 0) AS percent
          FROM {WEAPONS} w, {PLAYERS} p
         WHERE p.round_id = w.round_id AND p.player_guid = w.player_guid AND p.round_number > 0
         GROUP BY p.player_guid
        HAVING COUNT(DISTINCT p.round_id) > 50 AND SUM(w.hits) > {min_hits}
         ORDER BY percent DESC LIMIT 10"""


class Board:
    async def board(self, stat):
        """Accuracy and hits are words here that nobody is shown."""
        lines = []
        for name, hs, hits, percent in await self.db.fetch_all(best()):
            lines.append(f"{name}: {percent}% headshot accuracy ({hs} bei {hits} Treffern)")
        if stat == "accuracy":
            lines.append("Genauigkeit aller Waffen")
        return "Headshot accuracy", lines
'''


def line_of(text: bytes) -> int:
    return SMALL[: SMALL.index(text)].count(b"\n") + 1


def told(source: bytes) -> tuple[str, list[str]]:
    result = fix(source, ["headshot-leaderboard"])
    assert result.changed, result.refused_reason
    return result.output.decode(), [one for one in result.actions if "read the label" in one]


def test_labels_that_cross_the_two_names_are_rewritten_or_named() -> None:
    """The value is a kill rate, and no text keeps saying accuracy or hits without a line of output about it."""
    text, named = told(SMALL)
    assert "Headshot kill rate" in text and "% headshot kill rate (" in text and "headshot accuracy" not in text.lower()
    assert len(named) == 1 and "Treffern" in named[0]
    assert named[0].startswith(f"line {line_of(b'Treffern')}: ")


def test_accuracy_is_only_named_where_another_query_may_mean_it() -> None:
    other = b"""

async def aim(db):
    return await db.fetch_all("SELECT SUM(headshots) * 100.0 / SUM(hits) FROM weapon_comprehensive_stats")
"""
    text, named = told(SMALL + other)
    assert "headshot accuracy" in text and '"Headshot accuracy"' in text
    assert [one.split(":")[0] for one in named] == [
        f"line {line_of(said)}" for said in (b"Treffern", b'"Headshot accuracy"')
    ]


def test_a_modules_constant_is_never_emptied() -> None:
    """Another module may import it; its name goes from the query instead."""
    text, _ = told(SMALL)
    assert 'WEAPONS = "weapon_comprehensive_stats"' in text and "{WEAPONS}" not in text and "{PLAYERS} p" in text
    assert wrong_numbers(leaderboard_query(text.encode())) == []
