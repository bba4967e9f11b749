"""The UDP client on a real socket, and the judgement of the moment."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import moment, quake
from hypothesis import given
from hypothesis import strategies as st

HOST = "127.0.0.1"
SHA = "A" * 40


def table(count: int) -> str:
    head = f"Lua 5.4 API: ^$showing lua information ( {count} modules loaded )\nVM Modname  Signature  Filename\n"
    return head + "".join(f"{i:2d} {'':24s} {i:040X} luascripts/m{i}.lua\n" for i in range(count))


def test_getstatus_reads_info_and_players_and_survives_a_lost_datagram(game: Any) -> None:
    game.match(players=2, gamestate=0, current_round=0)
    game.drop = 1
    status = quake.getstatus(HOST, game.port, 1.5)
    assert status.info["mapname"] == "supply"
    assert [(p.ping_ms, p.name) for p in status.players] == [(48, "^1p0"), (48, "^1p1")]
    assert [quake.strip_colours(p.name) for p in status.players] == ["p0", "p1"]


def test_an_answer_to_another_challenge_is_not_taken(game: Any) -> None:
    game.info["challenge"] = "somebody-elses"
    game.echo_challenge = False
    with pytest.raises(quake.NoAnswer):
        quake.getstatus(HOST, game.port, 0.3)


def test_silence_and_a_closed_port_are_no_answer(free_port: int, game: Any) -> None:
    for port, drop in ((free_port, 0), (game.port, 99)):
        game.drop = drop
        with pytest.raises(quake.NoAnswer, match=str(port)):
            quake.getstatus(HOST, port, 0.2)
        with pytest.raises(quake.NoAnswer):
            quake.rcon(HOST, port, "x", "status", 0.2)


def test_rcon_joins_datagrams_even_inside_a_character_and_sends_the_command_once(game: Any) -> None:
    game.lua_status = table(20) + "Žž" * 30
    game.chunk = 37
    assert quake.rcon(HOST, game.port, game.password, "lua_status", 1).endswith("Žž" * 30)
    assert len(game.requests) == 1


def test_a_refused_password_is_told_apart_and_never_shown(game: Any) -> None:
    with pytest.raises(quake.RconRefused) as caught:
        quake.rcon(HOST, game.port, "wrong-canary", "status", 1)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("password", ["", "pass canary", 'canary"b', "canary;b", "canary\nb"])
def test_a_password_that_rcon_cannot_carry_is_refused_unshown(password: str) -> None:
    with pytest.raises(quake.QuakeError) as caught:
        quake.rcon(HOST, 1, password, "status")
    assert "canary" not in str(caught.value)


def test_lua_status_rows_and_a_shortened_table() -> None:
    modules = quake.parse_lua_status(table(2))
    assert modules[1] == quake.LuaModule(1, "", f"{1:040X}", "luascripts/m1.lua")
    assert quake.parse_lua_status("Lua 5.4 API: ^$no scripts loaded.") == []
    with pytest.raises(quake.QuakeError, match="announced 3"):
        quake.parse_lua_status(table(3).rsplit("\n", 2)[0])
    with pytest.raises(quake.QuakeError, match="not an answer"):
        quake.parse_lua_status("Bad rconpassword.")


def test_lua_status_as_recorded(data: Path) -> None:
    lines = (data / "release" / "lua-errors-2.83.1-lua54.log").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if "showing lua information" in line)
    modules = quake.parse_lua_status("\n".join(line[9:] for line in lines[start : start + 4]))
    assert [(m.vm, m.modname, m.filename) for m in modules] == [
        (0, "errs", "luascripts/errs.lua"),
        (1, "probe", "luascripts/probe.lua"),
    ]


def test_cvar_answers() -> None:
    assert quake.parse_cvar('"gamestate" is:"0^7" default:"0^7"', "gamestate") == "0"
    assert quake.parse_cvar('"g_x" is:"^1a^7", the default', "g_x") == "^1a"
    assert quake.parse_cvar('"x" is:"^7" default:"^7"', "x") == ""
    assert quake.parse_cvar('unknown cmd gamestate\n"other" is:"3^7"', "gamestate") is None


def test_status_table_tells_bots_from_people_also_with_blanks_in_names(game: Any) -> None:
    game.match(players=1, gamestate=0, current_round=0, bots=1)
    game.players.append(("two words", False))
    clients = quake.parse_clients(quake.rcon(HOST, game.port, game.password, "status", 1))
    assert clients is not None
    assert [(c.name, c.bot) for c in clients] == [("p0", False), ("[BOT]b0", True), ("two words", False)]
    assert quake.parse_clients("no table here") is None


@given(st.text(max_size=200))
def test_parsers_never_raise_anything_but_their_own_error(text: str) -> None:
    quake.parse_clients(text)
    quake.parse_cvar(text, "x")
    for parse in (quake.parse_lua_status, quake.parse_status_response):
        with contextlib.suppress(quake.QuakeError):
            parse(text)


SAFE, UNSAFE, UNKNOWN = (True, True), (False, True), (False, False)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (moment.Facts(False, False), SAFE),
        (moment.Facts(False, True), UNKNOWN),
        (moment.Facts(False, None), UNKNOWN),
        (moment.Facts(True, True, "m", 0), SAFE),
        (moment.Facts(True, True, "m", None), UNKNOWN),
        (moment.Facts(True, True, "m", 3, 0, 0, 1), SAFE),
        (moment.Facts(True, True, "m", 3, 3, 3, 0), SAFE),
        (moment.Facts(True, True, "m", 3, None, 3, 0), SAFE),
        (moment.Facts(True, True, "m", 3, 3, 3, 1), UNSAFE),
        (moment.Facts(True, True, "m", 3, 3, 0, 0), UNSAFE),
        (moment.Facts(True, True, "m", 3, 3, 0, 1), UNSAFE),
        (moment.Facts(True, True, "m", 3, 3, 2, 0), UNSAFE),
        (moment.Facts(True, True, "m", 3, 3, 1, 1), UNSAFE),
        (moment.Facts(True, True, "m", 3, 3, 4, 0), UNSAFE),
        (moment.Facts(True, True, "m", 3, 3, 99, 0), UNSAFE),
        (moment.Facts(True, True, "m", 3, 3, None, 0), UNKNOWN),
        (moment.Facts(True, True, "m", 3, 3, 3, None), UNKNOWN),
    ],
)
def test_moment(facts: moment.Facts, expected: tuple[bool, bool]) -> None:
    judged = moment.judge_moment(facts)
    assert (judged.safe, judged.known) == expected
    assert judged.reason and bool(judged.next) == (not judged.safe)


@given(
    st.builds(
        moment.Facts,
        st.booleans(),
        st.sampled_from([None, True, False]),
        st.just("m"),
        st.one_of(st.none(), st.integers(0, 64)),
        st.one_of(st.none(), st.integers(0, 64)),
        st.one_of(st.none(), st.integers(-1, 6)),
        st.one_of(st.none(), st.integers(0, 1)),
    )
)
def test_what_is_unknown_is_never_safe_and_play_with_people_never_is(facts: moment.Facts) -> None:
    judged = moment.judge_moment(facts)
    assert not judged.safe or judged.known
    if facts.answered and facts.players and facts.humans != 0 and facts.gamestate != 3:
        assert not judged.safe


def observe(game: Any, password_file: Path | None = None) -> moment.Facts:
    return moment.observe(HOST, game.port, str(password_file or game.password_file), 0.5)


def test_observing_a_match_and_its_intermissions(game: Any) -> None:
    game.match(players=4, gamestate=0, current_round=1, bots=2)
    facts = observe(game)
    assert (facts.players, facts.humans, facts.gamestate, facts.current_round, facts.map) == (6, 4, 0, 1, "supply")
    game.match(players=4, gamestate=3, current_round=0)
    assert moment.judge_moment(observe(game)).safe
    game.match(players=0, gamestate=0, current_round=1, bots=3)
    assert moment.judge_moment(observe(game)).safe


def test_an_empty_server_needs_no_password(game: Any, tmp_path: Path) -> None:
    assert moment.judge_moment(observe(game, tmp_path / "none")).safe


def test_players_without_a_working_rcon_are_unknown_and_the_reason_is_told(game: Any, tmp_path: Path) -> None:
    game.match(players=4, gamestate=3, current_round=0)
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong-canary")
    for password_file, words in ((tmp_path / "none", "cannot be read"), (wrong, "refused")):
        judged = moment.judge_moment(observe(game, password_file))
        assert (judged.safe, judged.known) == UNKNOWN and words in judged.reason and "canary" not in judged.reason
    game.rcon_answers = False
    assert not moment.judge_moment(observe(game)).known


def test_the_module_reports_without_changing(game: Any, run_module: Callable[..., dict[str, Any]]) -> None:
    game.match(players=2, gamestate=3, current_round=1)
    options = {"port": game.port, "rcon_password_file": str(game.password_file), "timeout_s": 1}
    seen = run_module("game_server_info", options, check=True)
    assert seen["changed"] is False and seen["moment"]["safe"] is False
    assert (seen["server"]["humans"], seen["server"]["current_round"]) == (2, 1)


def test_the_server_process_is_found_by_its_own_name_only(tmp_path: Path) -> None:
    for number, arguments in (
        ("10", ["/bin/bash", "/home/et/etdaemon.sh"]),
        ("11", ["vi", "/home/et/etlded.x86_64"]),
        ("12", ["SCREEN", "-dmS", "vektor", "./etlded.x86_64"]),
    ):
        (tmp_path / number).mkdir()
        (tmp_path / number / "cmdline").write_bytes(b"\0".join(word.encode() for word in arguments) + b"\0")
    assert moment.server_process_running(str(tmp_path)) is False
    (tmp_path / "13").mkdir()
    for line in (["./etlded.x86_64", "+exec"], ["/usr/bin/python3", "-u", "/home/et/etlegacy/etlded.x86_64"]):
        (tmp_path / "13" / "cmdline").write_bytes(b"\0".join(word.encode() for word in line))
        assert moment.server_process_running(str(tmp_path)) is True
    assert moment.server_process_running(str(tmp_path / "none")) is None


def test_a_running_but_silent_server_refuses(tmp_path: Path) -> None:
    """A real process of that name, and a port that does not answer."""
    program = tmp_path / "etlded.x86_64"
    program.write_text("import time; time.sleep(30)")
    process = subprocess.Popen([sys.executable, str(program)])
    try:
        cmdline = Path(f"/proc/{process.pid}/cmdline")
        while b"etlded" not in cmdline.read_bytes():
            time.sleep(0.01)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind((HOST, 0))
            facts = moment.observe(HOST, silent.getsockname()[1], "/none", 0.2)
        assert facts.process_running is True
        assert not moment.judge_moment(facts).safe
    finally:
        process.kill()
        process.wait()
