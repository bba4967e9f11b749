"""The world's own webhook, as it was (1.6.0) and as Phase 1 leaves it, and the reference scripts that are shipped."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils.webhook_version import has_one_clock

from python_checks.engine import Match, Server, VirtualClock, match_names, parse_match
from python_checks.lua.fix import fix
from python_checks.lua.rehearse import RehearsalFile, rehearse
from python_checks.lua.scan.run import scan_source

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


def dead_by_name(
    content: bytes, match: Match | str, folder: Path, interpreter: str = "lua54"
) -> tuple[list[dict[str, Any]], dict[int, Counter[str]]]:
    """The gametime files of a match, and for each round and player the seconds between a death and the next spawn, or the leaving of
    team or server, by the engine's frames."""
    script = folder / "base/legacy" / NAME
    script.parent.mkdir(parents=True)
    gametimes = folder / "home/legacy/gametimes"
    gametimes.mkdir(parents=True)
    place = b'"/home/et/.etlegacy/legacy/gametimes'
    assert content.count(place) == 1
    script.write_bytes(content.replace(place, f'"{gametimes}'.encode()))
    clock = VirtualClock(epoch_s=1_790_000_000)
    server = Server(
        folder / "base", folder / "home", lua_modules=NAME, shell="capture", clock=clock, interpreter=interpreter
    )
    dead_s: dict[int, Counter[str]] = {1: Counter(), 2: Counter()}
    before: list[int] = []
    lived: set[str] = set()

    def count(running: Server) -> None:
        step = running.time - before[-1] if before and running.time > before[-1] else 0
        before.append(running.time)
        playing = running.roster.playing()
        lived.intersection_update({client.name for client in playing})
        lived.update(client.name for client in playing if client.alive)
        for client in playing:
            if running.gamestate == 0 and client.name in lived and not client.alive:
                dead_s[2 if running.cvars.integer("g_currentRound") else 1][client.name] += step / 1000

    server.play(match, count)
    server.quit()
    files = [json.loads(path.read_text()) for path in sorted(gametimes.glob("*.json"))]
    assert [one["meta"]["round"] for one in files] == [1, 2]
    return files, dead_s


@pytest.mark.parametrize("is_reference", [True, False])
def test_only_the_reference_counts_the_seconds_that_players_were_dead(
    is_reference: bool, original: bytes, references: Path, tmp_path: Path
) -> None:
    """Against the frames in which the engine had them dead; and the version that the bot gets says which of them may be compared."""
    fixed = fix(original, ["webhook"], name=NAME).output
    content = (references / NAME).read_bytes().replace(EMPTY, FILLED) if is_reference else fixed
    files, dead_s = dead_by_name(content, "full_hold", tmp_path)
    off_s = [
        abs(row["dead_seconds"] - dead_s[one["meta"]["round"]][row["name"]])
        for one in files
        for row in one["meta"]["spawn_stats"]
        if row["deaths"]
    ]
    assert len(off_s) >= 6
    versions = {one["payload"]["embeds"][0]["footer"]["text"].rpartition(" v")[2] for one in files}
    assert {has_one_clock(version) for version in versions} == {is_reference}
    assert (max(off_s) <= 2) == is_reference


COMERS_AND_GOERS = """
about: In R2 players go to the spectators, leave, come back in other slots and are replaced; most of them while they are dead.
map: supply
timelimit_min: 4
cvars: {g_redlimbotime: 30000, g_bluelimbotime: 30000}
players:
  - {name: steady, team: axis}
  - {name: shooter, team: allies}
  - {name: leaver, team: axis}
  - {name: nameless, team: axis, later: true}
  - {name: watcher, team: allies}
  - {name: wanderer, team: allies}
  - {name: stand_in, team: axis, later: true}
  - {name: extra, team: axis, later: true}
  - {name: nobody, team: axis, later: true}
halves:
  - {end: {objective_s: 200}, events: [{at_s: 20, kill: watcher, by: steady}]}
  - end: time_limit
    events:
      - {at_s: 12, kill: leaver, by: shooter}        # dead when he leaves, for good; his slot is used again
      - {at_s: 15, leave: leaver}
      - {at_s: 16, join: stand_in}
      - {at_s: 18, join: nameless}
      - {at_s: 30, kill: wanderer, by: steady}       # dead when he leaves; back in another slot, and dead again
      - {at_s: 33, leave: wanderer}
      - {at_s: 34, join: extra}
      - {at_s: 40, join: wanderer}
      - {at_s: 61, kill: watcher, by: steady}        # dead when he goes to watch; stays there to the end
      - {at_s: 64, team: watcher, to: spectator}
      - {at_s: 75, kill: stand_in, by: shooter}
      - {at_s: 76, kill: nameless, by: shooter}
      - {at_s: 100, kill: wanderer, by: steady}
      - {at_s: 131, kill: steady, by: shooter}
      - {at_s: 132, kill: extra, by: shooter}        # dead when he goes to watch; back for the next wave
      - {at_s: 134, team: extra, to: spectator}
      - {at_s: 150, team: extra, to: allies}
      - {at_s: 150, leave: nameless}
      - {at_s: 151, join: nobody}
      - {at_s: 185, kill: nobody, by: shooter}
      - {at_s: 190, kill: stand_in, by: shooter}     # dead at the round's end
"""
NAMELESS = ("nameless", "nobody")
FORGETS = (b"    forget_spawn_client(slot)\nend\n\nfunction et_ClientCommand", b"end\n\nfunction et_ClientCommand")
BY_SLOT = (b"if entry ~= nil and known and entry.guid ~= guid then", b"if false then")
RETURNS = (b"if known and earlier.guid == guid and", b"if false and")
DEFECTS: dict[str, tuple[list[tuple[bytes, bytes]], set[str]]] = {
    "": ([], set()),
    "counts on for who watches": ([(b"end_death(spawn_stats[slot], level_time)", b"")], {"watcher", "extra"}),
    "a row for a slot": ([FORGETS, BY_SLOT], {"leaver", "stand_in", "wanderer", "extra", *NAMELESS}),
    "does not see who leaves": ([FORGETS], set(NAMELESS)),
    "drops a leaver's last death": (
        [(b"end_death(entry, last_frame_time)\n        entry", b"entry.death_time = 0\n        entry")],
        {"leaver", "wanderer"},
    ),
    "a row for each stay": ([RETURNS], {"wanderer"}),
}


@pytest.mark.parametrize("interpreter", ["lua54", "luajit"])
@pytest.mark.parametrize("defect", DEFECTS)
def test_dead_seconds_are_a_persons_and_end_when_he_leaves_the_team(
    defect: str, interpreter: str, references: Path, tmp_path: Path
) -> None:
    """Each player's row against the engine's frames, as shipped ("") and with one defect, which only its own players' rows show."""
    content = (references / NAME).read_bytes().replace(EMPTY, FILLED)
    changes, wrong = DEFECTS[defect]
    for old, new in changes:
        assert content.count(old) == 1, old
        content = content.replace(old, new)
    match = parse_match(yaml.safe_load(COMERS_AND_GOERS), "comers_and_goers")
    match = replace(match, players=tuple(replace(p, guid="") if p.name in NAMELESS else p for p in match.players))
    files, dead_s = dead_by_name(content, match, tmp_path, interpreter)
    rows = files[1]["meta"]["spawn_stats"]
    found = set()
    for player in match.players:
        own = [row for row in rows if row["name"] == player.name and row["guid"] == (player.guid or "unknown")]
        deaths = sum(event.verb == "kill" and event.who == player.name for event in match.halves[1].events)
        if [row["deaths"] for row in own] != [deaths] or abs(own[0]["dead_seconds"] - dead_s[2][player.name]) > 2:
            found.add(player.name)
    assert found == wrong


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
