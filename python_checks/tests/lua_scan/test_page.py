"""The page lists the codes as they are."""

from __future__ import annotations

from pathlib import Path

from python_checks.lua.scan.codes import CODES

PAGE = Path(__file__).resolve().parents[3] / "docs" / "lua-workshop.md"


def test_the_page_lists_every_code() -> None:
    """Code, level and title, so that a finding can be looked up."""
    rows = [tuple(line.split(" | ")[:3]) for line in PAGE.read_text(encoding="utf-8").splitlines()]
    assert [row for row in rows if row[0].strip("| `") in CODES] == [
        (f"| `{c.code}`", c.level, c.title) for c in CODES.values()
    ]
