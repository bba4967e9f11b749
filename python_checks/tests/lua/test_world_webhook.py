"""The world's own webhook, as it was (1.6.0) and as Phase 1 leaves it, and the reference scripts that are shipped."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from python_checks.engine import Server, VirtualClock, match_names
from python_checks.lua.fix import fix
from python_checks.lua.rehearse import RehearsalFile, rehearse
from python_checks.lua.scan.run import scan_source
from python_checks.shadow.pairs import is_trusted

NAME = "luascripts/stats_discord_webhook.lua"
PLACEHOLDER = b"REPLACE_WITH_YOUR_WEBHOOK_URL"
EMPTY, FILLED = b'url = "' + PLACEHOLDER, b'url = "http://bot.example.invalid/api/webhooks/1/example'


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
    reference = (references / NAME).read_bytes()
    assert reference.count(EMPTY) == 1
    made = reference.replace(EMPTY, FILLED)
    report = rehearse([RehearsalFile(NAME, made)], timeout_s=300)
    assert report.passed, (report.findings, report.unjudged)
    assert report.kinds == {NAME: "webhook"}
    assert set(report.interpreters) == {"lua54", "luajit"}


@pytest.mark.parametrize("is_reference", [True, False])
def test_only_the_reference_counts_the_seconds_that_players_were_dead(
    is_reference: bool, original: bytes, references: Path, tmp_path: Path
) -> None:
    """Against the frames in which the engine had them dead; and the version that the bot gets says which of them may be compared."""
    script = tmp_path / "base/legacy" / NAME
    script.parent.mkdir(parents=True)
    fixed = fix(original, ["webhook"], name=NAME).output
    content = (references / NAME).read_bytes().replace(EMPTY, FILLED) if is_reference else fixed
    gametimes = tmp_path / "home/legacy/gametimes"
    gametimes.mkdir(parents=True)
    folder = b'"/home/et/.etlegacy/legacy/gametimes'
    assert content.count(folder) == 1
    script.write_bytes(content.replace(folder, f'"{gametimes}'.encode()))
    clock = VirtualClock(epoch_s=1_790_000_000)
    server = Server(tmp_path / "base", tmp_path / "home", lua_modules=NAME, shell="capture", clock=clock)
    dead_ms: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    before: list[int] = []

    def count(running: Server) -> None:
        step = running.time - before[-1] if before and running.time > before[-1] else 0
        before.append(running.time)
        for client in running.roster.connected():
            if running.gamestate == 0 and client.team in (1, 2) and not client.alive:
                dead_ms[running.cvars.integer("g_currentRound") == 1][client.name] += step

    server.play("full_hold", count)
    server.quit()
    files = [json.loads(path.read_text()) for path in sorted(gametimes.glob("*.json"))]
    assert len(files) == 2
    off_s = [
        abs(row["dead_seconds"] - dead_ms[one["meta"]["round"] == 2][row["name"]] / 1000)
        for one in files
        for row in one["meta"]["spawn_stats"]
        if row["deaths"]
    ]
    assert len(off_s) >= 6
    versions = {one["payload"]["embeds"][0]["footer"]["text"].rpartition(" v")[2] for one in files}
    assert {is_trusted(version) for version in versions} == {is_reference}
    assert (max(off_s) <= 2) == is_reference


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
