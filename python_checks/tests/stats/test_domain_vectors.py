"""The format's test vectors, each through the code that handles it: library, recipes on both interpreters, parsers."""

from __future__ import annotations

import dataclasses
import json
from importlib import resources
from pathlib import Path
from typing import Any

import lupa.lua54
import lupa.luajit21
import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import stats_file, stats_header

from python_checks.lua.fix import fix
from python_checks.lua.merge import Source, merge
from python_checks.lua.stage import Job, Performance, play
from python_checks.source.recipe import fix as fix_source
from python_checks.stats.compose import Line, Round
from python_checks.stats.replay import run_parser

ROOT = Path(__file__).resolve().parents[3]
VECTORS = yaml.safe_load((ROOT / "python_checks/tests/data/stats/vectors.yml").read_text())
GOLDEN = yaml.safe_load((ROOT / "python_checks/tests/data/stats/golden.yml").read_text())
LUA = ROOT / "molecule/world/et_server/lua"
HOOK, WRITER = "luascripts/stats_discord_webhook.lua", "c0rnp0rn7.lua"
FEBRUARY = ROOT / "molecule/world/slomix_vm/opt_slomix/bot/community_stats_parser.py"
INTERPRETERS = {"lua54": lupa.lua54, "luajit": lupa.luajit21}
COUNTDOWN_S = 10.05
both = pytest.mark.parametrize("interpreter", INTERPRETERS)
ENGINE = b"""
toggles = "0"
et = { CS_SERVERTOGGLES = 32, GS_PLAYING = 0, G_Print = function() end, trap_Milliseconds = function() return 0 end,
 trap_Cvar_Get = function() return "" end, trap_GetConfigstring = function(index) return index == 32 and toggles or "" end }
-- Constants that only serve as keys or names.
setmetatable(et, { __index = function(_, name) return name end })
"""


@pytest.fixture(scope="module")
def hook() -> bytes:
    """The world's webhook as Phase 1 leaves it."""
    result = fix((LUA / HOOK).read_bytes(), ["webhook"], name=HOOK)
    assert not result.refused_reason, result.refused_reason
    return result.output


@pytest.fixture(scope="module")
def writer() -> bytes:
    """The world's writer as Phase 2 merges it."""
    result = merge(Source(WRITER, (LUA / WRITER).read_bytes()), None)
    assert not result.refused_reason, result.refused_reason
    return result.output


def perform(folder: Path, module: str, script: bytes, interpreter: str, **match: Any) -> Performance:
    """A match of two halves with the vectors' players; ``match`` replaces its keys."""
    teams = ("axis", "allies", "axis", "allies")
    players = [
        {"name": name, "guid": f"{at:032d}", "team": team}
        for at, (name, team) in enumerate(zip([*VECTORS["names"], "dave"], teams, strict=True))
    ]
    halves = [{"end": {"objective_s": 100}, "kills_per_min": 12}] * 2
    path = folder / "vector.yml"
    whole = {"about": "A vector.", "map": "supply", "timelimit_min": 12, "players": players, "halves": halves, **match}
    path.write_text(yaml.safe_dump(whole))
    done = play(Job(module, script, interpreter, (str(path),)), str(path), "")
    assert not done.problem and len(done.halves) == 2, done.problem
    assert not [line for line in done.console if "error running lua script" in line]
    return done


def posted(done: Performance) -> list[dict[str, str]]:
    """The fields of each post; the payload must be JSON."""
    embeds = [json.loads(post.payload)["embeds"][0] for post in done.posts]
    return [{field["name"]: field["value"] for field in embed["fields"]} for embed in embeds]


def patched_in(folder: Path) -> Path:
    """The site's parser as Phase 3 leaves it, in a file of its own."""
    result = fix_source(FEBRUARY.read_bytes(), ["parser-field9"])
    assert result.changed and not result.refused_reason, result.refused_reason
    path = folder / "parser.py"
    path.write_bytes(result.output)
    return path


def written(done: Performance) -> list[stats_file.StatsFile]:
    """Each round file of the writer, read by the library."""
    return [stats_file.parse_stats(file.content or b"") for file in done.files if "gamestats" in file.path]


# ---------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize("limit", VECTORS["limits"], ids=[limit["text"] for limit in VECTORS["limits"]])
class TestLimit:
    def test_library(self, limit: dict[str, Any]) -> None:
        assert stats_header.limit_clock(limit["text"]) == limit["clock"]
        assert stats_header.limit_seconds(limit["text"]) == pytest.approx(limit["seconds"], abs=1e-9)

    @both
    def test_guard(self, interpreter: str, limit: dict[str, Any]) -> None:
        """%d takes the number; a script that shows it as a shortest text keeps its decimals."""
        guard = resources.files("python_checks.lua").joinpath("webhook_guard.lua").read_bytes()
        runtime = INTERPRETERS[interpreter].LuaRuntime(encoding="latin-1")
        call = runtime.execute(
            ENGINE + guard + b"return function(f, text) return rollout_guard.format(f, tonumber(text)) end"
        )
        assert call("%d min", limit["text"]) == f"{limit['whole']} min"
        assert call("%.4g", limit["text"]) == limit["shown"]

    @both
    def test_played(self, interpreter: str, limit: dict[str, Any], hook: bytes, writer: bytes, tmp_path: Path) -> None:
        minutes = {"timelimit_min": limit["text"]}
        post = posted(perform(tmp_path, HOOK, hook, interpreter, **minutes))[0]
        assert post["Lua_Timelimit"] == f"{limit['whole']} min"
        header = written(perform(tmp_path, WRITER, writer, interpreter, **minutes))[0].header
        assert header is not None and header.timelimit == limit["clock"]


# ---------------------------------------------------------------------------------------------------- pauses


def answers(interpreter: str, script: bytes) -> tuple[dict[int, bool], dict[int, bool]]:
    """What the writer's own pause test, and that of the clock which the merge adds, say to each toggle value."""
    runtime = INTERPRETERS[interpreter].LuaRuntime(encoding="latin-1")
    reached = script.replace(b"local function isPaused()", b"function isPaused()")
    assert reached != script
    own = runtime.execute(
        ENGINE + reached + b"\nreturn function(value) toggles = tostring(value) check_pause() return paused end"
    )
    clock = runtime.execute("return function(value) toggles = tostring(value) return isPaused() end")
    values = [value for values in VECTORS["toggles"].values() for value in values]
    return {value: own(value) for value in values}, {value: clock(value) for value in values}


@both
def test_toggles(interpreter: str, writer: bytes) -> None:
    """Both tests of the merged writer are right; the deployed comparison with 1, put back, sees no pause at all."""
    right = {value: kind == "paused" for kind, values in VECTORS["toggles"].items() for value in values}
    assert answers(interpreter, writer) == (right, right)
    unfixed = writer.replace(b"bit.band(toggles, PAUSE_BIT) ~= 0", b"bit.band(toggles, PAUSE_BIT) == 1")
    assert unfixed != writer and not any(answers(interpreter, unfixed)[0].values())


@both
@pytest.mark.parametrize("vector", VECTORS["pauses"], ids=[vector["shown"] for vector in VECTORS["pauses"]])
def test_pauses(interpreter: str, vector: dict[str, Any], writer: bytes, tmp_path: Path) -> None:
    events = [
        {"at_s": 100 * (at + 1), "pause": "referee", "for_s": round(pause_s - COUNTDOWN_S, 2)}
        for at, pause_s in enumerate(vector["pauses_s"])
    ]
    end = {"end": {"objective_s": vector["wall_s"]}, "kills_per_min": 6}
    done = perform(tmp_path, WRITER, writer, interpreter, halves=[{**end, "events": events}, end])
    assert [(stop - start) / 1000 for start, stop in done.halves[0]["pauses"]] == vector["pauses_s"]
    header = written(done)[0].header
    assert header is not None and header.playtime == vector["field9"]


@both
@pytest.mark.parametrize("vector", VECTORS["pauses"], ids=[vector["shown"] for vector in VECTORS["pauses"]])
def test_pauses_shown(interpreter: str, vector: dict[str, Any], hook: bytes) -> None:
    """The text of Lua_Pauses. Its sum is no whole number, which a bare %d refuses."""
    runtime = INTERPRETERS[interpreter].LuaRuntime(encoding="latin-1")
    guard = resources.files("python_checks.lua").joinpath("webhook_guard.lua").read_bytes()
    call = runtime.execute(ENGINE + guard + b"return rollout_guard.format")
    pauses = vector["pauses_s"]
    assert call("%d (%d sec)", len(pauses), sum(pauses) + 0.1) == vector["shown"]
    assert b'"%d (%d sec)"' in hook and b"rollout_guard.format" in hook


# ---------------------------------------------------------------------------------------------------- names


@both
def test_names_of_a_payload(interpreter: str, hook: bytes, tmp_path: Path) -> None:
    for fields in posted(perform(tmp_path, HOOK, hook, interpreter)):
        lists = [json.loads(fields[name]) for name in ("Axis_JSON", "Allies_JSON")]
        assert {player["name"] for players in lists for player in players} == {*VECTORS["names"], "dave"}


@both
def test_names_of_a_stats_file(interpreter: str, writer: bytes, tmp_path: Path) -> None:
    files = written(perform(tmp_path, WRITER, writer, interpreter))
    assert len(files) == 2
    for file in files:
        assert file.complete and {player.name for player in file.players} == {*VECTORS["names"], "dave"}


def test_names_of_february(tmp_path: Path) -> None:
    """The site's parser splits a player's line from the left, so a backslash in a name costs it that player."""
    players = tuple(Line(f"{at:08d}", name) for at, name in enumerate(VECTORS["names"]))
    path = Round(players=players).write(tmp_path, "2026-02-20-200000")
    assert [player.name for player in stats_file.parse_stats(path.read_bytes()).players] == VECTORS["names"]
    (answer,) = run_parser(FEBRUARY, [path]).answers()
    read = [player["name"] for player in answer["result"]["players"]]
    assert read == [name for name in VECTORS["names"] if "\\" not in name]


# ---------------------------------------------------------------------------------------------------- TAB[22]


@pytest.mark.parametrize("playtimes", [(None, None), ("441250", "440000")], ids=["8 fields", "9 fields"])
@pytest.mark.parametrize("patched", [False, True], ids=["february", "patched"])
@pytest.mark.parametrize("vector", VECTORS["minutes"], ids=[str(vector["time_s"]) for vector in VECTORS["minutes"]])
def test_time_of_r2(
    vector: dict[str, Any], patched: bool, playtimes: tuple[str | None, str | None], tmp_path: Path
) -> None:
    """The library, the site's parser and the patched one agree, whatever field 9 says of the whole half."""
    parser = patched_in(tmp_path) if patched else FEBRUARY
    lines = [Line(fields={"time_played_minutes": vector[key], "damage_given": 100}) for key in ("after_r1", "after_r2")]
    first = Round(playtime=playtimes[0], players=lines[:1])
    second = dataclasses.replace(first, round=2, playtime=playtimes[1], players=lines[1:])
    pair = [first.write(tmp_path, "2026-02-20-200000"), second.write(tmp_path, "2026-02-20-201000")]
    read = [stats_file.parse_stats(path.read_bytes()) for path in pair]
    halves = stats_file.second_half(read[0], read[1])
    assert [half.time_played_s for half in halves] == [vector["time_s"]]
    answer = run_parser(parser, pair).answers()[1]
    assert [row["time_played_seconds"] for row in answer["result"]["players"]] == [vector["time_s"]]


# ---------------------------------------------------------------------------------------------------- golden payloads


@pytest.mark.parametrize("golden", GOLDEN, ids=[golden["case"] for golden in GOLDEN])
def test_golden_payload_through_the_sites_parser(golden: dict[str, Any], tmp_path: Path) -> None:
    """The plan's five steps: February's answer shows the defect, the patched one's is what the file expects."""
    path = tmp_path / golden["name"]
    path.write_bytes(golden["text"].encode())
    expected = golden["site"]
    for name, parser in (("february", FEBRUARY), ("patched", patched_in(tmp_path))):
        (answer,) = run_parser(parser, [path]).answers()
        players = answer["result"]["players"]
        assert [player["time_played_seconds"] for player in players] == expected[name], name
    said = [line for line in answer["log"] if "Round time source" in json.dumps(line)]
    assert said and expected["source"] in json.dumps(said)
