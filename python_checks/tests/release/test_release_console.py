"""Console, log windows and the proof of load, on recorded consoles and on logs that rotate and shrink."""

from __future__ import annotations

import datetime
import hashlib
import os
import time
import zoneinfo
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import console, loadproof, logwindow, masking
from ansible_collections.slomix.timetracking.plugins.module_utils.quake import LuaModule
from hypothesis import given
from hypothesis import strategies as st

HOOK = "luascripts/stats_discord_webhook.lua"
RunModule = Callable[..., dict[str, Any]]


def recorded(data: Path, name: str) -> list[str]:
    return (data / "release" / f"{name}.log").read_text(errors="replace").splitlines()


@pytest.mark.parametrize("name", ["completed", "held"])
def test_inits_of_a_recorded_match(data: Path, name: str) -> None:
    inits = console.inits(recorded(data, f"webhook-crash-{name}"))
    assert len(inits) == 5
    assert {init.map for init in inits} == {"testmap"} and {init.lua for init in inits} == {"Lua 5.4"}
    assert all(init.loaded == ["luascripts/probe.lua", "c0rnp0rn7.lua", HOOK] for init in inits)
    assert all(init.signature_at_end(HOOK) in (None, "36F212F5A6D4B12C1C5634F31D85F87F1483F7E3") for init in inits)
    crashed = [init for init in inits if init.errors]
    assert all("bad argument #9 to 'format'" in init.errors[0].message for init in crashed) and crashed
    assert crashed[0].errors[0].file == HOOK


def test_init_time_is_its_own_not_that_of_the_shutdown(data: Path) -> None:
    inits = console.inits(recorded(data, "webhook-crash-completed"))
    assert [init.gametime[11:19] for init in inits] == ["06:30:30", "06:30:40", "06:30:50", "06:31:01", "06:31:11"]
    assert console.gametime_unix(inits[0].gametime, datetime.UTC) == 1795329030


@pytest.mark.parametrize(("log", "lua"), [("2.83.1-lua54", "Lua 5.4"), ("2.85.0-luajit", "Lua 5.1")])
def test_every_kind_of_failure_on_both_interpreters(data: Path, log: str, lua: str) -> None:
    lines = recorded(data, f"lua-errors-{log}")
    assert console.interpreter(lines) == lua
    found = {(event.kind, event.file) for event in console.events(lines)}
    assert {
        (console.SYNTAX, "luascripts/syn.lua"),
        (console.START_FAILED, "luascripts/load.lua"),
        (console.NO_FILE, "luascripts/nofile.lua"),
        (console.ERROR, "luascripts/errs.lua"),
    } <= found
    acl = f"Lua 5.4 API: ^$Lua module [luascripts/x.lua] [{'a' * 40}] disallowed by ACL"
    event = console.parse_line(acl)
    assert event is not None and (event.kind, event.detail) == (console.ACL, "A" * 40)


@pytest.mark.parametrize(
    "line",
    [
        "say: x: Lua 5.4 API: ^$file 'luascripts/x.lua' loaded into Lua VM",
        "    1500 say: y: ------- Game Initialization -------",
        "broadcast: print \"Lua 5.4 API: ^$file 'x' loaded into Lua VM\"",
    ],
)
def test_chat_cannot_forge_engine_lines(line: str) -> None:
    assert console.parse_line(line) is None


def test_a_failed_start_is_not_among_the_loaded() -> None:
    lines = [
        "------- Game Initialization -------",
        "Lua 5.4 API: ^$file 'a.lua' loaded into Lua VM",
        "Lua 5.4 API: ^$file 'b.lua' loaded into Lua VM",
        "Lua 5.4 API: ^$Lua VM start failed ( b.lua )",
    ]
    assert console.modules_loaded(lines) == ["a.lua"]
    assert console.modules_loaded([]) == [] and console.last_init([]) is None


@pytest.mark.parametrize(
    ("text", "zone", "expected"),
    [
        ("Fri Feb 20 21:45:03 2026", "UTC", 1771623903),
        ("Fri Feb 20 21:45:03 2026", "Europe/Ljubljana", 1771620303),
        ("Sun Oct 25 02:30:00 2026", "Europe/Ljubljana", 1792891800),
        ("Thu Jan  1 00:00:07 2026", "UTC", 1767225607),
        ("Fri Foo 20 21:45:03 2026", "UTC", None),
        ("Fri Feb 31 21:45:03 2026", "UTC", None),
        ("nonsense", "UTC", None),
    ],
)
def test_gametime(text: str, zone: str, expected: int | None) -> None:
    assert console.gametime_unix(text, zoneinfo.ZoneInfo(zone)) == expected
    assert console.gametime_unix("gametime: " + text, zoneinfo.ZoneInfo(zone)) == expected


def test_the_hour_that_comes_twice_counts_as_the_later_one() -> None:
    zone = zoneinfo.ZoneInfo("Europe/Ljubljana")
    winter = datetime.datetime(2026, 10, 25, 1, 30, tzinfo=datetime.UTC).timestamp()
    assert console.gametime_unix("Sun Oct 25 02:30:00 2026", zone) == int(winter)


# --- log windows


def grow(path: Path, text: str) -> None:
    with path.open("a") as handle:
        handle.write(text)


def texts(window: logwindow.Window) -> list[str]:
    return [text for _, _, text in logwindow.lines(window)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "etconsole.log"
    path.write_text("old 1\nold 2\n")
    return path


def cursor_of(path: Path) -> dict[str, Any]:
    cursor = logwindow.cursor_at(str(path))
    assert cursor is not None
    return cursor


def test_a_growing_log_continues(log: Path) -> None:
    cursor = cursor_of(log)
    assert logwindow.open_window(str(log), cursor).size == 0
    grow(log, "new 1\nnew 2")
    window = logwindow.open_window(str(log), cursor)
    assert (window.state, window.gap, texts(window)) == ("continued", False, ["new 1", "new 2"])


def test_a_cursor_never_cuts_a_line(log: Path) -> None:
    grow(log, "half a li")
    cursor = cursor_of(log)
    grow(log, "ne\n")
    assert texts(logwindow.open_window(str(log), cursor)) == ["half a line"]


def test_rotation_is_followed_through_the_old_files(log: Path) -> None:
    cursor = cursor_of(log)
    grow(log, "late in the old file\n")
    log.rename(log.with_name("etconsole.log.1"))
    log.write_text("second file\n")
    window = logwindow.open_window(str(log), cursor)
    assert (window.state, window.gap) == ("rotated", False)
    assert texts(window) == ["late in the old file", "second file"]
    log.with_name("etconsole.log.1").rename(log.with_name("etconsole.log.2"))
    log.rename(log.with_name("etconsole.log.1"))
    log.write_text("third file\n")
    assert texts(logwindow.open_window(str(log), cursor)) == ["late in the old file", "second file", "third file"]


def test_rotation_without_the_old_file_is_a_gap(log: Path) -> None:
    cursor = cursor_of(log)
    log.unlink()
    log.write_text("new file that is longer than the old one was\n")
    window = logwindow.open_window(str(log), cursor)
    assert window.gap and texts(window) == ["new file that is longer than the old one was"]


def test_truncation_in_place_is_seen_even_when_the_file_grew_past_the_cursor(log: Path) -> None:
    cursor = cursor_of(log)
    with log.open("r+") as handle:
        handle.truncate(0)
    grow(log, "rewritten\n")
    for _ in range(2):
        window = logwindow.open_window(str(log), cursor)
        assert (window.state, window.gap) == ("truncated", True)
        assert texts(window)[0] == "rewritten"
        grow(log, "and longer than before\n")


def test_copy_then_truncate_loses_nothing(log: Path) -> None:
    cursor = cursor_of(log)
    grow(log, "before the copy\n")
    log.with_name("etconsole.log.1").write_bytes(log.read_bytes())
    with log.open("r+") as handle:
        handle.truncate(0)
    grow(log, "after\n")
    window = logwindow.open_window(str(log), cursor)
    assert (window.gap, texts(window)) == (False, ["before the copy", "after"])


def test_a_missing_log_is_a_gap_and_a_missing_cursor_reads_all(log: Path, tmp_path: Path) -> None:
    cursor = cursor_of(log)
    log.unlink()
    assert logwindow.open_window(str(log), cursor) == logwindow.Window("missing", True)
    assert logwindow.cursor_at(str(log)) is None
    log.write_text("a\n")
    assert texts(logwindow.open_window(str(log), None)) == ["a"]


@pytest.mark.parametrize("broken", [{}, {"inode": 1, "offset": "3", "sha256": "x"}])
def test_a_broken_cursor_is_an_error_not_the_whole_file(log: Path, broken: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a log cursor"):
        logwindow.open_window(str(log), broken)


@given(st.lists(st.binary(max_size=30), max_size=6), st.lists(st.binary(max_size=30), max_size=6))
def test_whatever_is_appended_is_what_the_window_holds(before: list[bytes], after: list[bytes]) -> None:
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"rollout-window-{os.getpid()}.log"
    try:
        head = b"".join(line.replace(b"\n", b"") + b"\n" for line in before)
        path.write_bytes(head)
        cursor = cursor_of(path)
        tail = b"".join(line.replace(b"\n", b"") + b"\n" for line in after)
        with path.open("ab") as handle:
            handle.write(tail)
        window = logwindow.open_window(str(path), cursor)
        assert window.size == len(tail) and not window.gap
        assert len(texts(window)) == len(after)
    finally:
        path.unlink()


def test_the_module_counts_with_a_control_and_masks(log: Path, run_module: RunModule) -> None:
    cursor = cursor_of(log)
    grow(log, "glued textLua 5.4 API: ^$et_RunFrame error running lua script: 'x'\n")
    grow(log, "==== ShutdownGame (1 - m) ====\nposted to https://example.invalid/api/webhooks/1/canary\n")
    options = {
        "path": str(log),
        "cursor": cursor,
        "patterns": {"error": "error running lua script", "post": r"posted to (?P<where>\w+)", "none": "absent"},
        "control": "ShutdownGame",
    }
    found = run_module("log_window_info", options, check=True)
    assert found["counts"] == {"error": 1, "post": 1, "none": 0}
    assert (found["control_count"], found["window_empty"], found["gap"]) == (1, False, False)
    assert found["matches"]["post"][0]["groups"] == {"where": "https"} and "canary" not in str(found)
    again = run_module("log_window_info", {**options, "cursor": found["cursor"]})
    assert (again["counts"]["error"], again["control_count"], again["window_empty"]) == (0, 0, True)
    assert "regular expression" in run_module("log_window_info", {"path": str(log), "patterns": {"x": "("}})["msg"]


def test_newest_matches_are_kept(log: Path) -> None:
    grow(log, "".join(f"hit {i}\n" for i in range(9)))
    found = logwindow.scan(logwindow.open_window(str(log), None), {"hit": r"hit (?P<n>\d)"}, limit=2)["hit"]
    assert found.count == 9 and [match["groups"]["n"] for match in found.matches] == ["7", "8"]


# --- proof of load

OLD_SHA, NEW_SHA = "1" * 40, "2" * 40


def init(*loaded: str, unloaded: str = "", extra: str = "", time: str = "21:45:03") -> str:
    text = f"------- Game Initialization -------\nmap: supply\ngametime: Fri Feb 20 {time} 2026\n"
    text += "".join(f"Lua 5.4 API: ^$file '{name}' loaded into Lua VM\n" for name in loaded) + extra
    if unloaded:
        text += f"Lua 5.4 API: ^$Lua module [{HOOK}] [{unloaded}] unloaded.\n"
    return text + "==== ShutdownGame (1 - supply) ====\ngametime: Fri Feb 20 23:59:59 2026\n"


def running(sha: str, name: str = HOOK) -> list[LuaModule]:
    return [LuaModule(0, "hook", sha, name)]


def judge(text: str, modules: list[LuaModule] | None) -> loadproof.Proof:
    return loadproof.prove(console.inits(text.splitlines()), HOOK, NEW_SHA.lower(), modules, "no rcon")


SYNTAX = f"Lua 5.4 API: ^$syntax error during pre-compilation: [string \"{HOOK}\"]:1: unexpected symbol near '='\n"
START = (
    f"Lua 5.4 API: ^$G_LuaStartVM error running lua script: '[string \"{HOOK}\"]:2: nil'\n"
    f"Lua 5.4 API: ^$Lua VM start failed ( {HOOK} )\n"
)
GONE = f"Lua 5.4 API: ^$can not open file '{HOOK}'\n"
ACL = f"Lua 5.4 API: ^$Lua module [{HOOK}] [{NEW_SHA}] disallowed by ACL\n"


@pytest.mark.parametrize(
    ("text", "modules", "state", "first"),
    [
        ("", running(OLD_SHA), "pending", None),
        ("", running(NEW_SHA), "pending", None),
        ("", None, "pending", None),
        (init(HOOK), running(NEW_SHA), "loaded", 0),
        (init(HOOK) + init(HOOK), running(NEW_SHA), "loaded", 0),
        (init(HOOK, unloaded=OLD_SHA) + init(HOOK), running(NEW_SHA), "loaded", 1),
        (init("other.lua") + init(HOOK), running(NEW_SHA), "loaded", 1),
        (init(HOOK), running(OLD_SHA), "failed", None),
        (init(HOOK), [], "failed", None),
        (init(HOOK), running(NEW_SHA, "luascripts/other.lua"), "failed", None),
        (init("other.lua"), running(NEW_SHA), "failed", None),
        (init("other.lua", extra=SYNTAX), running(NEW_SHA), "failed", None),
        (init(extra=START), None, "failed", None),
        (init(extra=GONE), None, "failed", None),
        (init(extra=ACL), None, "failed", None),
        (init(HOOK) + init(extra=SYNTAX), running(NEW_SHA), "failed", None),
        (init(HOOK, unloaded=OLD_SHA), running(NEW_SHA), "failed", None),
        (init(HOOK), None, "unknown", None),
        (init(HOOK, unloaded=NEW_SHA) + init(HOOK), None, "loaded", 0),
    ],
)
def test_proof_of_load(text: str, modules: list[LuaModule] | None, state: str, first: int | None) -> None:
    proof = judge(text, modules)
    assert (proof.state, proof.init) == (state, first)
    assert proof.reason and bool(proof.next) == (state != "loaded")


def test_a_recorded_load_is_over_when_the_server_says_so(data: Path, log: Path) -> None:
    lines = recorded(data, "webhook-crash-completed")
    begins = [number for number, line in enumerate(lines) if "- Game Initialization -" in line]
    ends = [number for number, line in enumerate(lines) if "Game Initialization completed" in line]
    assert len(begins) == len(ends) == 5
    for begin, end in zip(begins, ends, strict=True):
        for cut in range(begin, end + 1):
            log.write_text("\n".join(lines[: cut + 1]) + "\n")
            over = loadproof.read_inits(logwindow.open_window(str(log), None))[2]
            assert over is (cut == end), lines[cut]


COMPLETED = "Game Initialization completed in 0.05 seconds\n"
BEGUN = init().partition("====")[0]


@pytest.mark.parametrize(
    ("text", "silent_s", "state"),
    [
        (BEGUN, 0, "pending"),
        (BEGUN + "Lua 5.4 API: ^$file 'other.lua' loaded into Lua VM\n", 0, "pending"),
        (init(HOOK) + COMPLETED + BEGUN, 0, "pending"),
        (BEGUN + COMPLETED, 0, "failed"),
        (BEGUN + "Lua 5.4 API: ^$file 'other.lua' loaded into Lua VM\n       0 " + COMPLETED, 0, "failed"),
        (BEGUN + "glued" + COMPLETED, 0, "failed"),
        (init(), 0, "failed"),
        (BEGUN, 11, "failed"),
        (BEGUN + SYNTAX, 0, "failed"),
    ],
)
def test_a_map_that_is_loading_is_no_failed_load(
    text: str, silent_s: float, state: str, log: Path, run_module: RunModule
) -> None:
    """Only while the server writes the newest init's lines, and has not said that it completed."""
    log.write_text(init(HOOK))
    cursor = cursor_of(log)
    grow(log, text)
    os.utime(log, (time.time() - silent_s,) * 2)
    found = run_module("lua_load_info", {"file": HOOK, "sha1": NEW_SHA, "console_log": str(log), "cursor": cursor})
    assert found["state"] == state, found["reason"]
    assert (state == "pending") == ("a map is loading" in found["reason"])


def test_an_error_at_run_time_is_no_failed_load_here() -> None:
    """It is the console window's business: the file did load."""
    text = init(HOOK, extra=f"Lua 5.4 API: ^$et_RunFrame error running lua script: '[string \"{HOOK}\"]:9: nil'\n")
    assert judge(text, running(NEW_SHA)).state == "loaded"


def test_the_module_proves_a_load_behind_the_cursor(log: Path, game: Any, run_module: RunModule) -> None:
    content_sha = hashlib.sha1(b"content").hexdigest()
    log.write_text(init(HOOK, time="20:00:00"))
    cursor = cursor_of(log)
    game.lua_status = (
        "Lua 5.4 API: ^$showing lua information ( 1 module loaded )\nVM Modname Signature Filename\n"
        f" 0 hook                     {content_sha.upper()} {HOOK}\n"
    )
    options = {
        "file": HOOK,
        "sha1": content_sha,
        "console_log": str(log),
        "cursor": cursor,
        "port": game.port,
        "rcon_password_file": str(game.password_file),
        "timeout_s": 1,
    }
    pending = run_module("lua_load_info", options)
    assert (pending["state"], pending["loaded_at_unix"], pending["map_loads"]) == ("pending", None, 0)
    grow(log, init(HOOK))
    loaded = run_module("lua_load_info", options, env={"TZ": "UTC"}, check=True)
    assert (loaded["state"], loaded["source"], loaded["changed"]) == ("loaded", "lua_status", False)
    assert (loaded["loaded_at_unix"], loaded["loaded_at_local"]) == (1771623903, "2026-02-20-214503")
    assert (loaded["loaded_map"], loaded["interpreter"]) == ("supply", "Lua 5.4")
    window = logwindow.open_window(str(log), loaded["load_cursor"])
    assert texts(window)[0].startswith("------- Game Initialization")
    for missing in ({"cursor": None}, {"console_log": str(log) + "x"}):
        assert run_module("lua_load_info", {**options, **missing})["state"] == "unknown"
    log.write_text(log.read_text().replace("gametime: Fri Feb 20 21", "gametime: ??? Feb 20 21"))
    log_cursor = {**options, "cursor": cursor}
    assert run_module("lua_load_info", log_cursor)["state"] == "unknown"


# --- masking


@pytest.mark.parametrize(
    "text",
    [
        'discord_webhook_url = "https://example.invalid/api/webhooks/12/canary"',
        "curl https://example.invalid/api/webhooks/12/canary -d x",
        'discord_webhook_urls = { "https://example.invalid/api/webhooks/1/canary", "http://u:canary@h/x" }',
        "rcon_password = 'canary'",
        '["webhook_url"]: "canary"',
        "token='canary'",
        "https://example.invalid/hooks/canaryAAAAAAAAAAAAAAAAAAA",
    ],
)
def test_secrets_are_masked_and_a_second_time_changes_nothing(text: str) -> None:
    masked = masking.mask(text)
    assert "canary" not in masked and "<masked " in masked
    assert masking.mask(masked) == masked


@pytest.mark.parametrize("text", ["local x = 7 -- https://example.invalid/docs/page", 'map = "supply"', "a = b"])
def test_ordinary_text_stays(text: str) -> None:
    assert masking.mask(text) == text


def test_different_secrets_stay_different() -> None:
    one, two = (masking.mask(f'webhook_url = "https://example.invalid/api/webhooks/{n}/x"') for n in (1, 2))
    assert one != two
