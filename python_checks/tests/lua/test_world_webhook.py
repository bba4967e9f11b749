"""The world's own webhook, as it was (1.6.0) and as Phase 1 leaves it, through the whole match set on both interpreters."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from python_checks.engine import match_names
from python_checks.lua.recipe import fix
from python_checks.lua.rehearse import RehearsalFile, rehearse

NAME = "luascripts/stats_discord_webhook.lua"


@pytest.fixture(scope="module")
def original(root: Path) -> bytes:
    return (root / "molecule/world/et_server/lua" / NAME).read_bytes()


def test_as_it_was_it_fails_where_the_limit_is_fractional(original: bytes) -> None:
    report = rehearse([RehearsalFile(NAME, original)], matches=["completed"], interpreters=["lua54"])
    assert not report.passed
    assert {("completed", "R2")} == {(f.match, f.half) for f in report.findings if f.code == "post_missing"}


@pytest.mark.slow
def test_fixed_it_plays_the_whole_match_set(original: bytes) -> None:
    """Valid JSON, one post a round, no error line, the same on Lua 5.4 and LuaJIT."""
    fixed = fix(original, ["webhook"], name=NAME)
    assert fixed.changed and not fixed.refused_reason
    matches = sorted(match_names())
    assert len(matches) >= 22
    report = rehearse([RehearsalFile(NAME, fixed.output)], matches=matches, timeout_s=300)
    assert report.passed, report.findings
    assert report.judged >= 2 * len(matches)


def test_the_reference_is_the_fixed_script_without_a_url(original: bytes, root: Path) -> None:
    """The script that lua_release ships is made by the recipe, so it cannot fall behind it, and holds nobody's URL."""
    url = re.search(rb'https?://[^"]+/webhooks/[^"]+', original)
    assert url is not None
    made = fix(original.replace(url.group(), b"REPLACE_WITH_YOUR_WEBHOOK_URL"), ["webhook"], name=NAME)
    reference = (root / "roles/lua_release/files" / NAME).read_bytes()
    assert reference == made.output, "run the recipe on the world's webhook again and keep its output as the reference"
    assert b"/webhooks/" not in reference
    assert not fix(reference, ["webhook"], name=NAME).changed
