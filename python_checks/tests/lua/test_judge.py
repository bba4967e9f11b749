# ruff: noqa: E501 - lines of Lua are kept whole
"""Every requirement of the rehearsal has a script with exactly that defect, and finds it."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from python_checks.lua import judge as judging
from python_checks.lua.finding import Finding
from python_checks.lua.judge import StrictJson, compare, strict_json
from python_checks.lua.rehearse import SIXTEEN_A_SIDE
from python_checks.lua.stage import Performance, Post, Written
from python_checks.tests.lua.conftest import MODULE, fixed, perform

Change = tuple[bytes, bytes]
HANDLED: Change = (b"        send_webhook()\n        round_handled = true", b"        round_handled = true")
LOST_AFTER_FAILURE: Change = (
    b"function guard.failed(problem)",
    b"function guard.failed(problem) et.trap_Cvar_Set('x_lock', '1')",
)

#: code -> (what is wrong, match, injected fault, changes of a fixed webhook)
MUTANTS: list[tuple[str, str, str, str, list[Change]]] = [
    ("not_loaded", "does not compile", "completed", "", [(b'local version = "1.6.0"', b"local version = = 1")]),
    ("lua_error", "raises each frame", "completed", "", [(b"function et_RunFrame(levelTime)", b"function et_RunFrame(levelTime) local _ = levelTime.x")]),
    ("stops_later_modules", "returns 0 from et_Obituary", "completed", "", [(b"function et_InitGame", b"function et_Obituary() return 0 end function et_InitGame")]),
    ("stops_later_modules", "returns 1 from et_Damage", "completed", "", [(b"function et_InitGame", b"function et_Damage() return 1 end function et_InitGame")]),
    ("post_missing", "never sends", "completed", "", [HANDLED]),
    ("post_missing", "the next round is lost after a failure", "completed", "build", [
        LOST_AFTER_FAILURE, (b"    if not configuration.enabled then", b'    if et.trap_Cvar_Get("x_lock") == "1" then')]),
    ("post_repeated", "sends twice", "completed", "", [(b"send_curl(payload)\n    local written", b"send_curl(payload) send_curl(payload)\n    local written")]),
    ("post_repeated", "sends a broken-off half twice", "map_change_mid_round", "", [(b"        capture_teams()\n        send_webhook()\n    end", b"        capture_teams()\n        send_webhook() last_sent_signature = nil send_webhook()\n    end")]),
    ("post_repeated", "sends again and again after a failure", "completed", "send", [(b"    local curl_started = send_curl(payload)", b"    local curl_started = pcall(send_curl, payload) send_curl(payload) send_curl(payload)")]),
    ("post_invalid_json", "a comma too many", "completed", "", [(b'"color":3447003,', b'"color":3447003,,')]),
    ("post_invalid_json", "nested quotes only", "hostile_names", "", [(b"rollout_guard.quote(axis_json)", b"axis_json:gsub('\"', '\\\\\"')")]),
    ("post_names", "raw control bytes", "hostile_names", "", [(b"json_escape = rollout_guard.escaper(json_escape)", b"")]),
    ("post_invalid_json", "NaN", "completed", "", [(b'"color":3447003', b'"color":NaN')]),
    ("post_invalid_json", "a name twice", "completed", "", [(b'"color":3447003', b'"color":3,"color":3')]),
    ("post_content", "another content", "completed", "", [(b'STATS_READY","embeds":[{"title":"Round Complete: %s', b'STATS_READY!","embeds":[{"title":"Round Complete: %s')]),
    ("post_content", "fields without names", "completed", "", [(b'{"name":"Map","value"', b'{"title":"Map","value"')]),
    ("post_field", "another map", "completed", "", [(b"map, round, map, round, winner", b'map, round, "other", round, winner')]),
    ("post_field", "no round", "completed", "", [(b'{"name":"Round"', b'{"name":"Half"')]),
    ("post_field", "rounds the wrong way round", "completed", "", [(b"== 0 and 2 or 1", b"== 0 and 1 or 2")]),
    ("post_field", "winner counted from 0", "completed", "", [(b"value and value + 1 or 0", b"value or 0")]),
    ("post_field", "negative playtime", "completed", "", [(b"winner, defender, duration, time_limit", b"winner, defender, -duration, time_limit")]),
    ("post_field", "playtime in ms", "completed", "", [(b"winner, defender, duration, time_limit", b"winner, defender, duration * 1000, time_limit")]),
    ("post_field", "another end", "completed", "", [(b"round_start_unix, round_end_unix,\n        surrender", b"round_start_unix, round_end_unix + 90,\n        surrender")]),
    ("post_not_whole", "playtime with a fraction", "completed", "", [(b'"Lua_Playtime","value":"%d sec"', b'"Lua_Playtime","value":"%.1f sec"')]),
    ("post_timelimit", "six places", "completed", "", [(b'"Lua_Timelimit","value":"%d min"', b'"Lua_Timelimit","value":"%f min"')]),
    ("post_timelimit", "another limit", "completed", "", [(b"duration, time_limit, #pause_events", b"duration, time_limit + 1, #pause_events")]),
    ("post_too_large", "a list over 1024", SIXTEEN_A_SIDE, "", [(b"rollout_guard.fit(axis_escaped)", b"axis_escaped")]),
    ("post_too_large", "too many fields", "completed", "", [(b'{"name":"Winner"', b'{"name":"a","value":"1"},{"name":"b","value":"1"},{"name":"c","value":"1"},{"name":"d","value":"1"},'
        b'{"name":"e","value":"1"},{"name":"f","value":"1"},{"name":"g","value":"1"},{"name":"Winner"')]),
    ("post_names", "teams exchanged", "completed", "", [(b"if team == 1 then", b"if team == 2 then"), (b"elseif team == 2 then", b"elseif team == 1 then")]),
    ("post_names", "a player lost", "completed", "", [(b"for _, player in ipairs(players) do", b"for _, player in ipairs({ players[1] }) do")]),
    ("post_names", "names changed", "hostile_names", "", [(b'text = text:gsub("\\\\", "\\\\\\\\")', b'text = text:gsub("\\\\", "/")')]),
    ("post_names", "no list", "completed", "", [(b"rollout_guard.fit(axis_escaped)", b'"none"')]),
    ("score_wrong", "counted twice", "completed", "", [(b"    update_score(map, winner)", b"    update_score(map, winner) update_score(map, winner)")]),
    ("gametime_missing", "switched off", "completed", "", [(b"gametimes_enabled = true", b"gametimes_enabled = false")]),
    ("gametime_missing", "outside of the game's folders", "completed", "", [(b'"/home/et/.etlegacy/legacy/gametimes"', b'"/srv/gametimes"')]),
    ("gametime_missing", "not written after a failed build", "completed", "build", [(b"pcall(write_gametime, hooks, facts)", b"true")]),
    ("gametime_missing", "not written after a failed send", "completed", "send", [(b"pcall(write_gametime, hooks, facts)", b"true")]),
    ("gametime_invalid_json", "cut off", "completed", "", [(b'"payload":%s}\',', b'"payload":%s\',')]),
    ("gametime_invalid_json", "cut off after a failure", "completed", "build", [(b'},"payload":\' .. payload .. "}\\n"', b'},"payload":\' .. payload')]),
    ("gametime_meta", "no meta", "completed", "", [(b"'{\"meta\":{\"map\"", b"'{\"head\":{\"map\"")]),
    ("gametime_meta", "another round", "completed", "", [(b"json_escape(map), round, round_start_unix", b"json_escape(map), 3, round_start_unix")]),
    ("gametime_meta", "a fraction", "completed", "", [(b'"pause_seconds":%d', b'"pause_seconds":%.2f')]),
    ("gametime_meta", "another name", "completed", "", [(b'"-R" .. round .. "-"', b'"-R9-"')]),
    ("gametime_repeated", "two files", "completed", "", [(b"        last_sent_signature = signature", b"        round_end_unix = round_end_unix + 1 write_gametime(map, round, duration, pause_seconds, payload) last_sent_signature = signature")]),
    ("fault_swallowed", "says nothing", "completed", "build", [(b'say("webhook build or send failed: " .. tostring(problem))', b"")]),
    ("fault_unprotected", "no pcall", "completed", "send", [(b"return finish(outer, hooks, arguments, pcall(send, ...))", b"return finish(outer, hooks, arguments, true, send(...))")]),
    ("fault_flag_stuck", "flag not cleared", "completed", "build", [(b"    idle = function() send_in_progress = false end,\n", b"")]),
    ("fault_marks_kept", "score counted by a failed attempt", "completed", "build", [(b"pcall(take_back, hooks, attempt.before)", b"")]),
    ("fault_marks_kept", "signature remembered by a failed attempt", "completed", "send", [
        (b"pcall(take_back, hooks, attempt.before)", b""), (b"    update_score(map, winner)", b""), (b"    local curl_started", b"    last_sent_signature = signature local curl_started")]),
]  # fmt: skip


def mutate(changes: list[Change]) -> bytes:
    """The fixed large webhook with changes; each must be there to be changed."""
    source = fixed("big_format")
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    return source


@pytest.mark.parametrize(
    ("code", "defect", "match", "fault", "changes"), MUTANTS, ids=[f"{m[0]}-{m[1].replace(' ', '_')}" for m in MUTANTS]
)
def test_mutant_is_caught(
    findings: Callable[..., list[Finding]], code: str, defect: str, match: str, fault: str, changes: list[Change]
) -> None:
    found = findings(mutate(changes), match, "lua54", fault)
    assert code in {f.code for f in found if not f.is_remark}, [f.sentence() for f in found]


@pytest.mark.parametrize(
    "match",
    ["completed", "hostile_names", SIXTEEN_A_SIDE, "map_change_mid_round", "players_0", "team_leaves", "warmup"],
)
@pytest.mark.parametrize("interpreter", ["lua54", "luajit"])
def test_the_unchanged_one_is_clean(findings: Callable[..., list[Finding]], match: str, interpreter: str) -> None:
    """What the mutants are made from has no finding, so each finding above comes from its defect."""
    assert [f.sentence() for f in findings(fixed("big_format"), match, interpreter) if not f.is_remark] == []


@pytest.mark.parametrize("fault", ["build", "send"])
def test_the_unchanged_one_survives_faults(findings: Callable[..., list[Finding]], fault: str) -> None:
    assert [f.sentence() for f in findings(fixed("big_format"), "completed", "luajit", fault)] == []


def test_every_code_has_a_mutant() -> None:
    """No requirement without a script that fails it."""
    codes = set(
        re.findall(r'"((?:post|gametime|fault|score|lua|not|stops|interpreters)_\w+)"', inspect.getsource(judging))
    )
    assert codes - {"interpreters_differ"} == {m[0] for m in MUTANTS}


def test_a_broken_off_halfs_round_is_a_remark(findings: Callable[..., list[Finding]]) -> None:
    found = findings(fixed("big_format"), "map_restart_mid_round")
    assert {f.code for f in found} == {"post_field", "gametime_meta"} and all(f.is_remark for f in found)


def test_interpreters_that_differ_are_told() -> None:
    source = mutate([(b"surrender.team, json_escape(surrender.guid)", b"surrender.team, json_escape(_VERSION)")])
    plays = [perform(source, "completed", name) for name in ("lua54", "luajit")]
    (finding, *_) = compare(MODULE, *plays)
    assert finding.code == "interpreters_differ" and "Lua 5.4" in finding.found and "Lua 5.1" in finding.found
    same = [perform(fixed("big_format"), "completed", name) for name in ("lua54", "luajit")]
    assert compare(MODULE, *same) == []


SPAWNS = [{"guid": "A" * 32, "name": "a", "dead_seconds": 4}, {"guid": "B" * 32, "name": "b", "dead_seconds": 9}]
TEAM = [{"guid": "A" * 32, "name": "a"}, {"guid": "B" * 32, "name": "b"}]


def left_by(
    interpreter: str, spawns: list[dict[str, Any]], team: list[dict[str, Any]], pauses: str = "[1,2]"
) -> Performance:
    """What one half leaves: a post and its gametime file."""
    fields = [{"name": "Axis_JSON", "value": json.dumps(team)}, {"name": "Lua_Pauses_JSON", "value": pauses}]
    payload = {"content": "STATS_READY", "embeds": [{"fields": fields}]}
    content = json.dumps({"meta": {"spawn_stats": spawns}, "payload": payload}).encode()
    post = Post(0, json.dumps(payload).encode())
    return Performance("m", interpreter, "", posts=[post], files=[Written("gametime-m-R1-1.json", 0, content)])


def test_players_in_another_order_are_no_difference() -> None:
    """pairs() gives players kept by guid in another order in each run, on each interpreter."""
    assert compare(MODULE, left_by("lua54", SPAWNS, TEAM), left_by("luajit", SPAWNS[::-1], TEAM[::-1])) == []


@pytest.mark.parametrize(
    ("spawns", "team", "pauses"),
    [
        pytest.param([{**SPAWNS[1], "dead_seconds": 5}, SPAWNS[0]], TEAM, "[1,2]", id="another value"),
        pytest.param(
            [{**SPAWNS[0], "dead_seconds": 9}, {**SPAWNS[1], "dead_seconds": 4}], TEAM, "[1,2]", id="values swapped"
        ),
        pytest.param(SPAWNS[:1], TEAM, "[1,2]", id="one missing"),
        pytest.param([*SPAWNS, SPAWNS[0]], TEAM, "[1,2]", id="one twice"),
        pytest.param(SPAWNS, TEAM[1:], "[1,2]", id="another team"),
        pytest.param(SPAWNS, [{**TEAM[0], "name": "x"}, TEAM[1]], "[1,2]", id="another name"),
        pytest.param(SPAWNS, TEAM, "[2,1]", id="pauses in another order"),
    ],
)
def test_players_with_other_values_are_a_difference(
    spawns: list[dict[str, Any]], team: list[dict[str, Any]], pauses: str
) -> None:
    (finding, *_) = compare(MODULE, left_by("lua54", SPAWNS, TEAM), left_by("luajit", spawns, team, pauses))
    assert finding.code == "interpreters_differ"


def test_findings_show_no_address() -> None:
    """The address of a hook is a secret; it must not reach a report."""
    source = mutate(
        [
            (
                b'STATS_READY","embeds":[{"title":"Round Complete: %s',
                b'STATS_READY http://hooks.example.invalid/api/1/secret","embeds":[{"title":"Round Complete: %s',
            )
        ]
    )
    plays = [perform(source + b"\n-- ", "completed", name) for name in ("lua54", "luajit")]
    broken = perform(
        mutate(
            [
                (
                    b"function et_RunFrame(levelTime)",
                    b"function et_RunFrame(levelTime) error(configuration.discord_webhook_url)",
                )
            ]
        )
    )
    found = [f for play in [*plays, broken] for f in judging.judge(MODULE, MODULE, "webhook", play)]
    assert found and "local-secret" not in repr(found) and "api/1/secret" not in repr(found)


@pytest.mark.parametrize(
    "text", [b'{"a":NaN}', b'{"a":Infinity}', b'{"a":1,"a":2}', b'"\xe9"', b'{"a":1,}', b'"\x1b"', b"", b"{} {}"]
)
def test_strict_json_refuses(text: bytes) -> None:
    with pytest.raises(StrictJson):
        strict_json(text)


def test_strict_json_reads() -> None:
    assert strict_json('{"a":["é",1.5,null]}'.encode()) == {"a": ["é", 1.5, None]}
