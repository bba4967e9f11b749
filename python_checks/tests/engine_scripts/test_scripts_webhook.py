"""The webhook as it was (1.6.0) on the engine stand-in: the crash, what still works, and its other defects."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from python_checks.engine import Server, ShellCall

from .conftest import EPOCH_S, WEBHOOK, Play, Played
from .matches_of_record import COMPLETED, FULL_HOLD, HELD

CRASH = "bad argument #9 to 'format' (number has no integer representation)"
FIELDS = [
    "Map",
    "Round",
    "Winner",
    "Defender",
    "Lua_Playtime",
    "Lua_Timelimit",
    "Lua_Pauses",
    "Lua_EndReason",
    "Lua_Warmup",
    "Lua_WarmupStart",
    "Lua_RoundStart",
    "Lua_RoundEnd",
    "Lua_SurrenderTeam",
    "Lua_SurrenderCaller",
    "Lua_SurrenderCallerName",
    "Lua_AxisScore",
    "Lua_AlliesScore",
    "Axis_JSON",
    "Allies_JSON",
    "Lua_Pauses_JSON",
    "Lua_SpawnSummary",
]


def comparable(lines: list[str]) -> list[str]:
    """Lines of the two scripts without what differs from run to run: server time, clock, durations, checksums."""
    wanted = re.compile(r'\[stats_discord_webhook\]|stats_discord_webhook.lua"\]|LUA event')
    kept = (re.sub(r"^ *\d+ ", "", line) for line in lines if wanted.search(line))
    return [re.sub(r"\b1[78]\d{8}\b", "UNIX", re.sub(r"\d+ sec\b", "N sec", line)) for line in kept]


def fields(post: bytes) -> dict[str, str]:
    """The embed's fields of one post."""
    return {field["name"]: field["value"] for field in json.loads(post)["embeds"][0]["fields"]}


@pytest.fixture(scope="module")
def held_post(play: Play) -> Played:
    """A match with an integral limit in both rounds."""
    return play(FULL_HOLD)


@pytest.mark.parametrize(("match", "name"), [(COMPLETED, "completed"), (HELD, "held")], ids=["completed", "held"])
def test_console_equals_the_recorded_one(play: Play, recorded: Path, match: dict[str, Any], name: str) -> None:
    """Every line of the webhook and the writer, in the recorded order and wording; the crash in line 804 included."""
    lines = (recorded / f"console-{name}.log").read_text().splitlines()
    assert sum(CRASH in line for line in lines) == 2
    assert comparable(play(match).console) == comparable(lines)


def test_fractional_second_round_is_lost_on_lua54(play: Play) -> None:
    """R1 with its whole limit is posted; R2 dies, leaves no post and no gametime file, and the next frame skips."""
    match = {"map": "supply", "timelimit_min": "1", "halves": [{"end": {"objective_s": 20.05}}] * 2}
    played = play(match)
    assert [fields(post)["Round"] for post in played.posts] == ["1"]
    assert [path.name[:20] for path in played.files("gametimes/*.json")] == ["gametime-supply-R1-1"]
    crash = next(n for n, line in enumerate(played.console) if CRASH in line)
    after = [line for line in played.console[crash + 1 :] if "[stats_discord_webhook]" in line]
    assert after[4] == "[stats_discord_webhook] Webhook send already in progress, skipping"
    assert sum("Score: " in line for line in played.console) == 2, "the score was counted before the crash"


def test_full_hold_is_posted_twice(held_post: Played) -> None:
    """The plan's blind spot: after a held R1 nothing crashes, so such a pair proves nothing."""
    assert [fields(post)["Round"] for post in held_post.posts] == ["1", "2"]
    assert [fields(post)["Lua_Timelimit"] for post in held_post.posts] == ["1 min", "1 min"]
    assert not held_post.errors()
    assert len(held_post.files("gametimes/*.json")) == 2


def test_luajit_truncates_where_lua54_raises(play: Play) -> None:
    played = play(COMPLETED, interpreter="luajit")
    assert [fields(post)["Lua_Timelimit"] for post in played.posts] == ["0 min", "0 min"]
    assert not played.errors()


def test_payload_has_the_fields_the_bot_reads(held_post: Played) -> None:
    payload = json.loads(held_post.posts[0])
    embed = payload["embeds"][0]
    assert (payload["username"], payload["content"]) == ("ET:Legacy Stats", "STATS_READY")
    assert (embed["title"], embed["color"]) == ("Round Complete: supply R1", 3447003)
    assert embed["footer"]["text"] == "Slomix Lua Webhook v1.6.0"
    assert [field["name"] for field in embed["fields"]] == FIELDS
    values = fields(held_post.posts[0])
    assert (values["Winner"], values["Defender"], values["Lua_EndReason"]) == ("1", "1", "time_expired")
    assert json.loads(values["Axis_JSON"]) == [{"guid": "0000000000000000000000ABCDEF0001", "name": "fake1"}]
    assert int(values["Lua_RoundEnd"]) - int(values["Lua_RoundStart"]) == int(values["Lua_Playtime"].split()[0])
    assert int(values["Lua_RoundStart"]) > EPOCH_S


def test_gametime_file_holds_meta_and_the_post(held_post: Played) -> None:
    for path, post in zip(held_post.files("gametimes/*.json"), held_post.posts, strict=True):
        content = json.loads(path.read_text())
        meta = content["meta"]
        assert content["payload"] == json.loads(post)
        assert path.name == f"gametime-supply-R{meta['round']}-{meta['round_end_unix']}.json"
        assert meta["match_id"] == str(meta["round_end_unix"])
        assert set(meta["spawn_stats"][0]) == set(
            ["guid", "name", "spawns", "deaths", "dead_seconds", "avg_respawn", "max_respawn"]
        )


def test_gametime_file_comes_after_curl_and_in_spite_of_it(play: Play) -> None:
    def refuse_curl(call: ShellCall) -> int:
        return 127 if call.command.startswith("curl ") else 0

    played = play(FULL_HOLD, on_shell=refuse_curl)
    order = [call.command.split()[0] for call in played.shell_calls]
    assert order[:3] == ["curl", "(sleep", "mkdir"]
    assert len(played.files("gametimes/*.json")) == 2
    assert sum("Could not start curl" in line for line in played.console) == 2


def test_pauses_are_never_seen(play: Play) -> None:
    """domain.md 4.6: the frame-gap heuristic sees no pause, so the playtime includes it."""
    events = [{"at_s": 10, "pause": "referee", "for_s": 5}]
    match = {"map": "supply", "timelimit_min": "1", "halves": [{"end": "time_limit", "events": events}]}
    played = play(match)
    half = played.result.halves[0]
    values = fields(played.posts[0])
    assert half.pause_ms > 14000
    assert values["Lua_Pauses"] == "0 (0 sec)"
    assert abs(int(values["Lua_Playtime"].split()[0]) - (half.play_ms + half.pause_ms) / 1000) <= 1.5


@pytest.mark.parametrize(("hitch_ms", "crashes"), [(2025, True), (2950, False)])
def test_a_hitch_taken_for_a_pause_loses_the_round(play: Play, hitch_ms: int, crashes: bool) -> None:
    """domain.md 4.2 b and c: a frame comes late, and the seconds of that "pause" are a fraction in every format."""
    hitches = [hitch_ms]

    def hang(server: Server) -> None:
        if hitches and server.live and server.time > 30000:
            server.time += hitches.pop()

    match = {"map": "supply", "timelimit_min": "1", "halves": [{"end": "time_limit"}]}
    played = play(match, on_frame=hang)
    if crashes:
        at_pause, at_end = played.errors()
        assert "bad argument #3 to 'format' (number has no integer representation)" in at_pause
        assert re.search(r"bad argument #\d to 'format' \(number has no integer representation\)", at_end)
        assert played.posts == []
    else:
        assert not played.errors()
        assert fields(played.posts[0])["Lua_Pauses"] == "1 (3 sec)"


def test_a_called_surrender_vote_counts_even_when_it_fails(play: Play) -> None:
    vote = [{"at_s": 5, "callvote": "fake1", "vote": "surrender", "passes": False}]
    match = {"map": "supply", "timelimit_min": "1", "halves": [{"end": "time_limit", "events": vote}]}
    values = fields(play(match).posts[0])
    assert (values["Lua_EndReason"], values["Lua_SurrenderTeam"]) == ("surrender", "1")
    assert (values["Lua_SurrenderCaller"], values["Lua_SurrenderCallerName"]) == (
        "0000000000000000000000ABCDEF0001",
        "fake1",
    )


@pytest.mark.parametrize(("name", "valid"), [("plain", True), ('a"b', False), ("esc\x1b", False)])
def test_hostile_names_break_the_json(play: Play, name: str, valid: bool) -> None:
    """domain.md 4.3: only quotes of the nested JSON are escaped, control characters never."""
    players = [{"name": name, "guid": "A" * 32, "team": "axis"}]
    match = {"map": "supply", "timelimit_min": "1", "players": players, "halves": [{"end": "time_limit"}]}
    (post,) = play(match, modules=WEBHOOK).posts
    if valid:
        assert name in fields(post)["Axis_JSON"]
    else:
        with pytest.raises(ValueError, match=r"Expecting|Invalid control"):
            fields(post)


def test_a_map_change_in_the_middle_is_sent_from_shutdown(play: Play) -> None:
    """The fallback reads g_currentRound before the engine has flipped it: a first round is called the second."""
    match = {"map": "supply", "timelimit_min": "1", "halves": [{"end": {"map_s": 15, "to": "radar"}}]}
    played = play(match, modules=WEBHOOK)
    (post,) = played.posts
    assert fields(post)["Round"] == "2"
    assert "[stats_discord_webhook] Round was not sent yet, sending from shutdown" in played.console
