"""The patterns that the role round_pairs counts on the console, on recorded consoles and on lines made to fool them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import logwindow

from python_checks.tests.halves import HOOK, console_patterns

API = "Lua 5.4 API: ^$et_RunFrame error running lua script: "


@pytest.fixture(scope="module")
def patterns() -> dict[str, str]:
    return console_patterns()


def counts(patterns: dict[str, str], path: Path) -> dict[str, int]:
    found = logwindow.scan(logwindow.open_window(str(path), None), patterns)
    return {name: entry.count for name, entry in found.items() if entry.count}


@pytest.mark.parametrize("name", ["completed", "held"])
def test_the_recorded_crash_is_seen(patterns: dict[str, str], data: Path, name: str) -> None:
    found = counts(patterns, data / "release" / f"webhook-crash-{name}.log")
    assert set(found) == {"lua_error", "bad_argument", "crashed"} and found["lua_error"] == found["bad_argument"] > 0


@pytest.mark.parametrize("name", ["2.83.1-lua54", "2.85.0-luajit"])
def test_other_files_errors_are_counted_apart_and_nameless_ones_count(
    patterns: dict[str, str], data: Path, name: str
) -> None:
    found = counts(patterns, data / "release" / f"lua-errors-{name}.log")
    assert found["other_lua_error"] > 0 and found["other_load_failed"] > 0
    assert found["lua_error"] == 2, "the two errors whose text names no file may be the webhook's"
    assert "bad_argument" not in found and "load_failed" not in found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"{API}'[string \"{HOOK}\"]:804: bad argument #9 to 'format'", {"lua_error", "bad_argument"}),
        (f'type=number{API}\'[string "{HOOK}"]:804: x', {"lua_error"}),
        (f"{API}'plain string'", {"lua_error"}),
        (f"{API}'[string \"c0rnp0rn7.lua\"]:9: bad argument #1 to 'x'", {"other_lua_error"}),
        (
            "[stats_discord_webhook] webhook build or send failed: x:1: bad argument #2 to 'y'",
            {"crashed"},
        ),
        ("[stats_discord_webhook] gametime file from sanitised metadata written: /x", {"crashed"}),
        ("[stats_discord_webhook] Webhook payload/send crashed: x", {"crashed"}),
        (f"Lua 5.1 API: ^$Lua VM start failed ( {HOOK} )", {"load_failed"}),
        (f"glued textLua 5.4 API: ^$Lua module [{HOOK}] [00] disallowed by ACL", {"load_failed"}),
        (f"Lua 5.4 API: ^$syntax error during pre-compilation: [string \"{HOOK}\"]:9: '=' expected", {"load_failed"}),
        ("Lua 5.4 API: ^$syntax error during pre-compilation: it names no file", {"load_failed"}),
        ("Lua 5.1 API: ^$Lua VM start failed ( luascripts/x.lua )", {"other_load_failed"}),
        ("Lua 5.4 API: ^$Lua module [luascripts/x.lua] [00] disallowed by ACL", {"other_load_failed"}),
        ("Lua 5.4 API: ^$Lua module [luascripts/x.lua] [00] unloaded.", set()),
        (f"Lua 5.4 API: ^$Lua module [{HOOK}] [00] unloaded.", set()),
        (
            "Lua 5.4 API: ^$syntax error during pre-compilation: [string \"luascripts/x.lua\"]:1: '='",
            {"other_load_failed"},
        ),
        (f"{API}'[string \"{HOOK}\"]:1: Lua module [x.lua] is missing'", {"lua_error"}),
        ("say: ana: was that the bad argument #9 again?", set()),
        ("say: ana: error running lua script: bad argument #9", set()),
        ("[stats_discord_webhook] Axis player: webhook crashed (00000000)", set()),
        ("[stats_discord_webhook] timelimit=7.374583 type=number", set()),
        ("[stats_discord_webhook] Webhook sent for supply R2", set()),
    ],
)
def test_single_lines(patterns: dict[str, str], line: str, expected: set[str]) -> None:
    assert {name for name, pattern in patterns.items() if re.search(pattern, line)} == expected
