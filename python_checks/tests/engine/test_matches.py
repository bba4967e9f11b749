"""The shipped matches: what each promises in its first line, what modules see of it, and that it plays the same twice."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from python_checks.engine import MatchError, MatchResult, Server, VirtualClock, load_match, match_names, parse_match

from .helpers import boot

SET = [
    "completed",
    "empty_config",
    "fractional_limit",
    "full_hold",
    "hostile_names",
    "hostname_backslash",
    "map_change_mid_round",
    "map_restart_mid_round",
    "midnight",
    "no_warmup",
    "pause_in_death",
    "pause_one",
    "pause_open_at_end",
    "pauses_three",
    "players_0",
    "players_1",
    "players_16",
    "players_64",
    "reached_limit_r2",
    "reconnects",
    "reset_match",
    "spectator_who_played",
    "surrender",
    "sv_fps_20",
    "sv_fps_40",
    "team_leaves",
    "warmup",
]

# Logs the counters of all players at the first frame of each intermission.
SCOREBOARD = """
local done
function et_RunFrame()
    if tonumber(et.trap_Cvar_Get("gamestate")) ~= et.GS_INTERMISSION or done then return end
    done = true
    for slot = 0, tonumber(et.trap_Cvar_Get("sv_maxclients")) - 1 do
        if et.gentity_get(slot, "pers.connected") == 2 then
            local hits = 0
            for weapon = 0, 27 do hits = hits + et.gentity_get(slot, "sess.aWeaponStats", weapon)[4] end
            local row = { et.trap_Cvar_Get("g_currentRound"), slot }
            for _, field in ipairs({ "sessionTeam", "kills", "deaths", "time_axis", "time_allies", "time_played" }) do
                row[#row + 1] = et.gentity_get(slot, "sess." .. field)
            end
            row[#row + 1], row[#row + 2] = hits, et.gentity_get(slot, "sess.damage_given")
            row[#row + 1] = et.gentity_get(slot, "pers.netname")
            et.G_Print("SCORE " .. table.concat(row, "|") .. "\\n")
        end
    end
end
"""
COLUMNS = ("round", "slot", "team", "kills", "deaths", "time_axis", "time_allies", "time_played", "hits", "damage")


def play(
    name: Any, folder: Path, interpreter: str = "lua54", scripts: dict[str, str] | None = None
) -> tuple[MatchResult, Server]:
    server = boot(folder, interpreter, {"score": SCOREBOARD} if scripts is None else scripts)
    result = server.play(name)
    server.quit()
    return result, server


Played = Callable[[str, str], tuple[MatchResult, Server]]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """Each match of the set with the scoreboard module, played once for all tests that only look at the outcome."""
    done: dict[tuple[str, str], tuple[MatchResult, Server]] = {}

    def get(name: str, interpreter: str) -> tuple[MatchResult, Server]:
        if (name, interpreter) not in done:
            done[name, interpreter] = play(name, tmp_path_factory.mktemp(name), interpreter)
        return done[name, interpreter]

    return get


def scores(server: Server) -> dict[tuple[str, str], dict[str, int]]:
    """(round just played, name) -> counters."""
    found = {}
    for line in server.console:
        if line.startswith("SCORE "):
            *numbers, name = line[6:].split("|", 10)
            row = dict(zip(COLUMNS, map(int, numbers), strict=True))
            row["team_time"] = row["time_axis"] + row["time_allies"]
            found["R1" if row["round"] else "R2", name] = row
    return found


def test_the_set_is_complete() -> None:
    """Every match of the list exists, and each says in a sentence what it is for."""
    assert match_names() == sorted(SET)
    for name in SET:
        assert len(load_match(name).about) > 25


@pytest.mark.parametrize("interpreter", ["lua54", "luajit"])
@pytest.mark.parametrize("name", SET)
def test_plays_on_both_interpreters(name: str, interpreter: str, played: Played) -> None:
    """Each match plays to its end without a Lua error; completed halves are measured without pauses; nobody stays."""
    result, server = played(name, interpreter)
    assert not [line for line in server.console if "error running" in line]
    assert not server.roster.connected()
    for half in result.halves:
        assert half.play_ms == half.end_level_ms - half.start_level_ms - half.pause_ms
        if half.completed:
            limit_ms = float(half.limit_min) * 60000
            assert 0 < half.play_ms <= limit_ms + server.frame_ms
            held = half.winner == half.defender
            wanted = float(half.limit_min) if held else half.play_ms / 60000
            assert abs(float(half.next_limit_min) - wanted) < 1e-6


def is_fractional(text: str) -> bool:
    return float(text) != int(float(text))


def test_promises(played: Played) -> None:
    """What the names say."""
    found = {name: played(name, "lua54")[0].halves for name in SET}
    for name in ("completed", "fractional_limit", "reached_limit_r2", "surrender", "warmup", "no_warmup", "players_16"):
        first, second = found[name]
        assert (first.round, second.round) == (1, 2)
        assert is_fractional(second.limit_min), name
        assert second.limit_min == first.next_limit_min
    first, second = found["full_hold"]
    assert (first.winner, first.defender) == (1, 1) and not is_fractional(second.limit_min)
    second = found["reached_limit_r2"][1]
    assert second.end == "time_limit" and second.play_ms >= float(second.limit_min) * 60000 - 50
    assert [len(half.pauses) for half in found["pause_one"]] == [1, 0]
    assert found["pause_one"][0].pause_ms == 30050
    assert [len(half.pauses) for half in found["pauses_three"]] == [3, 3]
    for half in found["pause_open_at_end"]:
        assert half.pauses[-1][1] == half.end_level_ms
    surrendered = found["surrender"][1]
    assert (surrendered.end, surrendered.winner, surrendered.next_limit_min) == (
        "surrender_s",
        1,
        surrendered.limit_min,
    )
    assert [half.map for half in found["map_change_mid_round"]] == ["supply", "supply", "radar", "radar"]
    assert [(half.round, half.completed) for half in found["map_change_mid_round"]] == [
        (1, True),
        (2, False),
        (1, True),
        (2, True),
    ]
    assert [(half.round, half.completed) for half in found["map_restart_mid_round"]] == [
        (1, False),
        (1, True),
        (2, False),
        (2, True),
    ]
    assert [(half.round, half.completed) for half in found["reset_match"]] == [
        (1, True),
        (2, False),
        (1, True),
        (2, True),
    ]
    assert [(half.round, half.completed) for half in found["team_leaves"]] == [(1, True), (2, False)]
    for name, count in (("players_0", 0), ("players_1", 1), ("players_16", 16), ("players_64", 64)):
        assert {len(half.players) for half in found[name]} == {count}


def test_midnight_falls_into_the_second_round(played: Played) -> None:
    """R1 begins and ends on one day, R2 begins on it and ends on the next; server time and play time do not jump."""
    result, server = played("midnight", "lua54")
    days = [
        time.localtime(ms / 1000).tm_yday for half in result.halves for ms in (half.start_unix_ms, half.end_unix_ms)
    ]
    assert days[0] == days[1] == days[2] != days[3]
    assert [round(half.play_ms / 1000) for half in result.halves] == [120, 81]
    for half in result.halves:
        unix_ms, level_ms = half.end_unix_ms - half.start_unix_ms, half.end_level_ms - half.start_level_ms
        assert abs(unix_ms - level_ms) <= 700  # the settling frames take no real time
    assert server.clock.uptime_ms() < 3600_000


def test_a_time_of_day_needs_a_clock_of_its_own(tmp_path: Path) -> None:
    server = boot(tmp_path, "lua54", {}, clock=VirtualClock())
    with pytest.raises(MatchError, match="follows real time"):
        server.play("midnight")
    server.quit()


@pytest.mark.parametrize(
    ("name", "cvar", "value"),
    [
        ("empty_config", "g_customConfig", ""),
        ("hostname_backslash", "sv_hostname", '^4De\\mo\\\\ ^7"Server"\\'),
        ("sv_fps_20", "sv_fps", "20"),
        ("sv_fps_40", "sv_fps", "40"),
    ],
)
def test_modules_see_the_match_s_cvars(name: str, cvar: str, value: str, tmp_path: Path) -> None:
    """As set, on a server that had something else, which it has again afterwards."""
    code = f'function et_RunFrame() et.G_Print("SEEN <" .. et.trap_Cvar_Get("{cvar}") .. ">\\n") end'
    server = boot(tmp_path, "lua54", {"a": code}, cvars={"g_customConfig": "other", "sv_fps": "125"})
    before = server.cvars.full(cvar)
    assert before != value
    loaded = len(server.console)
    server.play(name)
    assert server.cvars.full(cvar) == before
    server.quit()
    assert f"SEEN <{value}>" in server.console[loaded:]


def test_restarts_reload_the_modules(tmp_path: Path) -> None:
    """R1, countdown, R2 and the map's end each have their own VM; warm-up has as many loads as none, a mid-round restart one more."""
    counts = {}
    for name in ("no_warmup", "warmup", "map_restart_mid_round"):
        counts[name] = play(
            name, tmp_path / name, scripts={"a": "function et_InitGame(t, s, r) et.G_Print('INIT ' .. r .. '\\n') end"}
        )[1].console.count("INIT 1")
    assert counts == {"no_warmup": 4, "warmup": 4, "map_restart_mid_round": 6}


def test_counters_are_cumulative(played: Played) -> None:
    """R2 counters go on from R1's, the time of play is pause-free, and the other team's clock runs after the change of sides."""
    result, server = played("pauses_three", "lua54")
    table = scores(server)
    first, second = result.halves
    for name in ("alice", "bob", "carol", "dave"):
        one, two = table["R1", name], table["R2", name]
        assert two["kills"] >= one["kills"] and two["damage"] >= one["damage"] and two["hits"] >= one["hits"]
        assert two["team"] == 3 - one["team"]
        assert 0 < one["time_played"] <= one["team_time"] and (
            one["deaths"] > 0 or one["time_played"] == one["team_time"]
        )
        # Frames before the first one and the settling frames of 700 ms do not count for a player.
        assert 0 <= first.play_ms - one["team_time"] <= 800
        assert 0 <= first.play_ms + second.play_ms - two["team_time"] <= 1600
    kills = sum(table["R2", name]["kills"] for name in ("alice", "bob", "carol", "dave"))
    assert kills == sum(table["R2", name]["deaths"] for name in ("alice", "bob", "carol", "dave")) > 20


def test_reconnect_resets(played: Played) -> None:
    """A player who reconnects starts at zero; one who left is gone; a latecomer is there."""
    result, server = played("reconnects", "lua54")
    table = scores(server)
    first, second = result.halves
    assert table["R1", "alice"]["team_time"] <= first.play_ms - 60_000 - 8_000
    assert table["R1", "dave"]["team_time"] > first.play_ms - 1_000
    assert table["R2", "carol"]["team_time"] < second.play_ms
    assert ("R2", "dave") not in table and ("R1", "erin") in table


def test_spectator(played: Played) -> None:
    """Who went to the spectators keeps what he did and gets no more time; the watcher has none."""
    result, server = played("spectator_who_played", "lua54")
    table = scores(server)
    carol = table["R2", "carol"]
    assert carol["team"] == 3 and carol["kills"] >= 1 and 88_000 < carol["team_time"] < 91_000
    assert table["R2", "watcher"]["time_played"] == 0
    assert result.halves[1].players[4]["team"] == 3


def test_hostile_names_reach_modules(tmp_path: Path) -> None:
    """Every byte of a name reaches pers.netname; the guid stays readable in the userinfo."""
    code = """
        function et_ClientBegin(slot)
            et.trap_Cvar_Set("n" .. slot, et.gentity_get(slot, "pers.netname"))
            et.trap_Cvar_Set("g" .. slot, et.Info_ValueForKey(et.trap_GetUserinfo(slot), "cl_guid"))
        end
    """
    match = load_match("hostile_names")
    _, server = play("hostile_names", tmp_path, scripts={"a": code})
    for slot, player in enumerate(match.players):
        assert server.cvars.get(f"n{slot}").encode("latin-1") == player.name.encode("utf-8")
        assert server.cvars.get(f"g{slot}") == player.guid
    assert max(len(player.name) for player in match.players) == 36


def test_death_spans_pauses(tmp_path: Path) -> None:
    """pause_in_death: the victim lies dead over both pauses and returns with a wave."""
    code = """
        local paused, mark = false, 0
        function et_Obituary(v) et.G_Print("DIED " .. v .. "\\n") end
        function et_ClientSpawn(s, revived, team, health) if team == 0 then et.G_Print("BACK " .. s .. "\\n") end end
        function et_RunFrame()
            local now = et.isBitSet(16, tonumber(et.trap_GetConfigstring(et.CS_SERVERTOGGLES)))
            if now ~= paused then paused = now et.G_Print(now and "PAUSE\\n" or "RESUME\\n") end
        end
    """
    _, server = play("pause_in_death", tmp_path, scripts={"a": code})
    words = [line for line in server.console if re.match(r"DIED|BACK|PAUSE|RESUME", line)]
    start = words.index("DIED 1")
    assert words[start : start + 6] == ["DIED 1", "PAUSE", "RESUME", "PAUSE", "RESUME", "BACK 1"]


def test_fractional_limit_breaks_the_old_format(tmp_path: Path) -> None:
    """The defect of webhook 1.6.0 appears with the recorded text, only where the limit is fractional, only on Lua 5.4."""
    code = """
        local done
        function et_RunFrame()
            if tonumber(et.trap_Cvar_Get("gamestate")) == 3 and not done then
                done = true
                local limit = tonumber(et.trap_Cvar_Get("timelimit"))
                et.G_Print(string.format("%s %d %s %d %d %d %d %d\\n", "map", 1, "map", 1, 1, 1, 60, limit))
            end
        end
    """
    wanted = """'[string "luascripts/a.lua"]:7: bad argument #9 to 'format' (number has no integer representation)'"""
    for interpreter, name, count in (("lua54", "completed", 1), ("lua54", "full_hold", 0), ("luajit", "completed", 0)):
        console = play(name, tmp_path / f"{interpreter}{name}", interpreter, {"a": code})[1].console
        assert sum(line.endswith(f"et_RunFrame error running lua script: {wanted}") for line in console) == count, (
            interpreter,
            name,
        )


@pytest.mark.parametrize("name", ["completed", "reconnects"])
def test_same_content_same_result(name: str, tmp_path: Path) -> None:
    """Two plays of one match give the same result and the same console; another seed does not."""
    first, one = play(name, tmp_path / "1")
    second, two = play(name, tmp_path / "2")
    assert first == second and one.console == two.console
    match = load_match(name)
    other = play(match.__class__(**{**match.__dict__, "seed": match.seed + 1}), tmp_path / "3")[1]
    assert other.console != one.console


def test_speed(tmp_path: Path) -> None:
    """A match of half an hour with 16 players, 40 frames a second and three modules takes seconds."""
    watch = """
        local t = {}
        function et_RunFrame()
            t.state = tonumber(et.trap_Cvar_Get("gamestate"))
            for slot = 0, 15 do t[slot] = et.gentity_get(slot, "health") end
        end
    """
    began = time.monotonic()
    play("players_16", tmp_path, scripts={"a": watch, "b": watch, "c": SCOREBOARD})
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"players": [{"name": "a", "team": "red"}]}, "team 'red' is none of axis, allies, spectator"),
        ({"players": [{"name": "a", "team": "axis"}] * 2}, "all different"),
        ({"crowd": 65}, "at most 64"),
        ({"halves": [{"end": "never"}]}, "end is one of"),
        ({"halves": [{"end": {"objective_s": None}}]}, "needs its number"),
        ({"halves": [{"end": {"surrender_s": 3}}]}, "missing ['by']"),
        (
            {"halves": [{"end": "time_limit", "events": [{"at_s": 1, "kill": "nobody", "by": "a"}]}]},
            "there is no player 'nobody'",
        ),
        (
            {"halves": [{"end": "time_limit", "events": [{"at_s": 1, "kill": "a", "by": "a", "weapon": "spoon"}]}]},
            "weapon 'spoon' is unknown",
        ),
        (
            {"halves": [{"end": "time_limit", "events": [{"at_s": 1, "pause": "a"}]}]},
            "pause is by referee, axis or allies",
        ),
        ({"halves": [{"end": "time_limit", "events": [{"at_s": 1, "dance": "a"}]}]}, "is required, found"),
        ({"colour": "red"}, "unknown ['colour']"),
        ({"starts_at": 86190}, "a time of day in quotes is required"),
        ({"starts_at": "24:00:00"}, "a time of day in quotes is required"),
    ],
)
def test_bad_matches_are_refused(change: dict[str, Any], message: str) -> None:
    """A mistake in a match file is named, never played around."""
    good = {
        "about": "x",
        "map": "m",
        "timelimit_min": 1,
        "players": [{"name": "a", "team": "axis"}],
        "halves": [{"end": "time_limit"}],
    }
    parse_match(good, "good")
    with pytest.raises(MatchError, match=re.escape(message)):
        parse_match({**good, **change}, "bad")


def test_unknown_match() -> None:
    """The error lists what there is."""
    with pytest.raises(MatchError, match="shipped are completed"):
        load_match("nothing")
