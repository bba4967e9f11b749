"""The world's own webhook, as it was (1.6.0) and as Phase 1 leaves it, and the reference scripts that are shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from python_checks.engine import Server, VirtualClock, match_names
from python_checks.lua.fix import fix
from python_checks.lua.rehearse import RehearsalFile, rehearse
from python_checks.lua.scan.run import scan_source

NAME = "luascripts/stats_discord_webhook.lua"
PLACEHOLDER = b"REPLACE_WITH_YOUR_WEBHOOK_URL"


@pytest.fixture(scope="module")
def original(root: Path) -> bytes:
    return (root / "molecule/world/et_server/lua" / NAME).read_bytes()


@pytest.fixture(scope="module")
def references(root: Path) -> Path:
    """The folder of the scripts that lua_release ships."""
    return root / "roles/lua_release/files"


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


@pytest.mark.parametrize("name", [NAME, "c0rnp0rn3.lua"])
def test_the_scan_finds_nothing_in_the_reference_scripts(name: str, references: Path) -> None:
    report = scan_source((references / name).read_bytes(), name)
    assert not report.findings, report.findings


def test_the_reference_webhook_is_fixed_and_holds_no_url(references: Path) -> None:
    reference = (references / NAME).read_bytes()
    assert PLACEHOLDER in reference
    assert b"://" not in reference
    fixed = fix(reference, ["webhook"], name=NAME)
    assert (fixed.changed, fixed.refused_reason) == (False, "")
    assert fixed.output == reference


def test_the_reference_webhook_passes_phase_1_with_a_url_put_in(references: Path) -> None:
    empty, filled = b'url = "' + PLACEHOLDER, b'url = "http://bot.example.invalid/api/webhooks/1/example'
    reference = (references / NAME).read_bytes()
    assert reference.count(empty) == 1
    made = reference.replace(empty, filled)
    report = rehearse([RehearsalFile(NAME, made)], timeout_s=300)
    assert report.passed, (report.findings, report.unjudged)
    assert report.kinds == {NAME: "webhook"}
    assert set(report.interpreters) == {"lua54", "luajit"}


@pytest.mark.parametrize("is_reference", [True, False])
def test_only_the_reference_asks_no_slot_that_the_server_lacks(
    is_reference: bool, original: bytes, references: Path, tmp_path: Path
) -> None:
    """After lua_restart, which loads a script without et_InitGame, on eight slots: the world's script takes them for 64."""
    script = tmp_path / "base/legacy" / NAME
    script.parent.mkdir(parents=True)
    script.write_bytes((references / NAME).read_bytes() if is_reference else original)
    server = Server(
        tmp_path / "base",
        tmp_path / "home",
        lua_modules=NAME,
        cvars={"sv_maxclients": "8"},
        clock=VirtualClock(epoch_s=1_790_000_000),
    )
    restarted: list[int] = []

    def restart_once(running: Server) -> None:
        if running.live and not restarted:
            running.execute_now("lua_restart")
            restarted.append(running.time)

    server.play("completed", restart_once)
    server.quit()
    assert restarted
    errors = [line for line in server.console if "error running" in line]
    assert bool(errors) != is_reference, errors[:1]
