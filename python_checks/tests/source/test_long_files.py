"""A file of ten thousand lines: read in part, patched as a short one, and in time."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from python_checks.source import tree
from python_checks.source.recipe import fix
from python_checks.source.tree import CannotJudge, SourceTree
from python_checks.tests.source.files import BOARDS, ENDPOINTS, HEADSHOTS, WEB, name

OTHER = b'''

@router.get("/records/%d")
async def records_%d(limit: int = 10, db=None) -> dict:
    """Another endpoint, with a formula of its own."""
    rows = await db.fetch_all("SELECT player_name, SUM(kills), SUM(deaths) FROM player_comprehensive_stats GROUP BY 1")
    result = []
    for row in rows:
        kd = row[1] / row[2] if row[2] else row[1]
        efficiency = row[1] / (row[1] + row[2]) * 100 if row[1] + row[2] > 0 else 50
        result.append({"name": row[0], "kd": round(kd, 2), "efficiency": round(efficiency, 1)})
    return {"records": result[:limit], "count": len(result)}
'''


def among_others(source: bytes, count: int) -> bytes:
    """The file with endpoints behind its imports and at its end."""
    others = [OTHER % (i, i) for i in range(count)]
    end = source.index(b"\n\n\n") + 1
    half = count // 2
    return source[:end] + b"".join(others[:half]) + source[end:] + b"".join(others[half:])


@pytest.mark.parametrize(
    ("path", "recipe"),
    [
        *((p, "web-formulas") for p in (*WEB[:1], *ENDPOINTS[::3])),
        *((p, "headshot-leaderboard") for p in (*HEADSHOTS[:1], *BOARDS[::3])),
    ],
    ids=name,
)
def test_reading_in_part_changes_nothing(path: Path, recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = path.read_bytes() + OTHER % (1, 1) + OTHER % (2, 2)
    tree.tree_of.cache_clear()
    whole = fix(source, [recipe])
    monkeypatch.setattr(tree, "LONG", 0)
    tree.tree_of.cache_clear()
    part = fix(source, [recipe])
    tree.tree_of.cache_clear()
    assert part.output == whole.output and part.actions == whole.actions and part.changed, part.refused_reason


def test_ten_thousand_lines_in_time() -> None:
    path = next(p for p in ENDPOINTS if name(p) == "bigloop")
    source = among_others(path.read_bytes(), 840)
    assert source.count(b"\n") > 10_000
    began = time.process_time()
    result = fix(source, ["web-formulas"])
    took_s = time.process_time() - began
    assert result.changed and took_s < 10, (result.refused_reason, took_s)
    plain = fix(path.read_bytes(), ["web-formulas"])
    edits = [line for line in result.diff.splitlines() if line[:1] in "+-"]
    assert edits == [line for line in plain.diff.splitlines() if line[:1] in "+-"]
    # Lines are told as they are in the whole file.
    line = source[: source.index(b"frag_potential = ((")].count(b"\n") + 1
    assert any(f"line {line} computes _frag_potential(" in action for action in result.actions)
    assert fix(result.output, ["web-formulas"]).changed is False


def test_newer_syntax_and_odd_line_ends_are_read_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "LONG", 0)
    about = re.compile("wanted")
    assert SourceTree(b"def a():\n    pass\n\n\ndef wanted():\n    pass\n", about).body.startswith(b"\n\ndef wanted")
    assert b"def a" in SourceTree(b"def a(): pass\rdef wanted(): pass\n", about).body
    assert b"def a" in SourceTree(b"def a[T](x: T): pass\ndef wanted(): pass\n", about).body
    with pytest.raises(CannotJudge):
        SourceTree(b"def a(:\n    pass\n", about)
