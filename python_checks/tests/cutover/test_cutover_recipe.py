"""The codemod timing-new-only on differently written displays: run before and after, with the setting off and on."""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from python_checks.source.recipe import fix
from python_checks.source.timing_new_only import prove_timing_new_only
from python_checks.source.tree import Refusal

from .test_cutover_probe import NEW, OLD, UNCLEAR

ON = {"SHOW_TIMING_NEW_ONLY": "true"}
RUNNABLE = sorted(set(OLD) - {"columns of the stats file"})
ROW = {
    "old_dead_seconds": 90,
    "new_dead_seconds": 61,
    "old_dead": 90,
    "new_dead": 61,
    "old_time_dead": 90,
    "new_time_dead": 61,
}


class Player(dict[str, int]):
    """A row that is read by key or by attribute."""

    def __getattr__(self, name: str) -> int:
        return self[name]


def run(source: bytes, dual: bool, monkeypatch: pytest.MonkeyPatch, setting: str | None) -> str:
    """What the display says for one player."""
    if setting is None:
        monkeypatch.delenv("SHOW_TIMING_NEW_ONLY", raising=False)
    else:
        monkeypatch.setenv("SHOW_TIMING_NEW_ONLY", setting)
    names = {"fmt": str, "both": "O {} / N {}".format, "one": "{}".format}
    exec(compile(source, "display", "exec"), names)
    config, player = SimpleNamespace(show_timing_dual=dual), Player(ROW)
    caller = SimpleNamespace(config=config)
    function: Any = names.get("outer") or names["text"]
    wanted = function.__code__.co_varnames[: function.__code__.co_argcount]
    given = {"self": caller, "p": player, "config": config, "has_lua": True, "old_dead": 90, "new_dead": 61}
    return str(function(*(given[name] for name in wanted)))


def display(name: str) -> bytes:
    text = textwrap.dedent(OLD[name])
    return text.replace("\ndef render", "\ndef render").replace("    render(p,", "    render(p,").encode()


@pytest.mark.parametrize("name", RUNNABLE)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_it_shows_the_new_value_alone_and_only_when_asked(
    name: str, newline: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = display(name).replace(b"\n", newline.encode())
    fixed = fix(source, ["timing-new-only"])
    assert fixed.changed, fixed.refused_reason
    for dual in (True, False):
        for setting in (None, "false", "", "1"):
            assert run(fixed.output, dual, monkeypatch, setting) == run(source, dual, monkeypatch, setting)
        assert run(fixed.output, dual, monkeypatch, " TRUE ") == "61"
    assert not fix(fixed.output, ["timing-new-only"]).changed
    assert (b"\r\n" in fixed.output) == (newline == "\r\n") and fixed.output.count(b"\n") == fixed.output.count(
        newline.encode()
    )
    # Nothing of the file was taken away or changed in place, but for an if that became an elif.
    kept = [line for line in fixed.output.replace(b"elif ", b"if ").splitlines() if line]
    if name != "one expression":
        assert all(line in kept for line in source.splitlines() if line.strip())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (OLD["columns of the stats file"], "the new value beside time_dead_minutes"),
        *((text, "looked for") for text in UNCLEAR.values()),
        *((text, "old ones where it is off") for text in NEW.values()),
        ("x = 'SHOW_TIMING_NEW_ONLY'\n" + textwrap.dedent(OLD["one expression"]), "used for something else"),
        (OLD["one expression"] * 2, "one display"),
    ],
)
def test_what_it_does_not_know_is_refused(text: str, why: str) -> None:
    source = textwrap.dedent(text).encode()
    fixed = fix(source, ["timing-new-only"])
    assert why in fixed.refused_reason and fixed.output == source


@pytest.mark.parametrize(
    "mutant",
    [
        lambda text: text.replace(b'return f"dead {_clock(player.new', b'return f"dead {_clock(player.old'),
        lambda text: text.replace(b"if _timing_new_only():", b"if not _timing_new_only():"),
        lambda text: text.replace(b"SHOW_TIMING_NEW_ONLY", b"SHOW_TIMING_NEWONLY"),
        lambda text: text.replace(
            b"_pair(player.old_dead_seconds, player.new_dead_seconds)", b"_pair(player.new_dead_seconds, 0)"
        ),
    ],
)
def test_the_proof_refuses_wrong_patches(mutant: Callable[[bytes], bytes], cog: Path) -> None:
    source = cog.read_bytes()
    output = fix(source, ["timing-new-only"]).output
    assert prove_timing_new_only(source, output)
    assert mutant(output) != output
    with pytest.raises(Refusal):
        prove_timing_new_only(source, mutant(output))
    with pytest.raises(Refusal):
        prove_timing_new_only(source, source)


@pytest.fixture
def cog(root: Path) -> Path:
    return root / "molecule" / "world" / "slomix_vm" / "opt_slomix" / "bot" / "cogs" / "last_session_cog.py"


def test_the_worlds_cog_says_where_lua_is_missing(cog: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new display keeps the note: a player without Lua rows shows old values as new ones."""
    monkeypatch.syspath_prepend(str(root / "python_checks" / "tests" / "bot" / "packages"))
    monkeypatch.setenv("SHOW_TIMING_NEW_ONLY", "true")
    space: dict[str, Any] = {}
    exec(compile(fix(cog.read_bytes(), ["timing-new-only"]).output, "cog", "exec"), space)

    class Adapter:
        async def fetch_all(self, query: str, params: object = ()) -> list[dict[str, int]]:
            return [{"id": 1}]

    class Shadow:
        async def compare_session(self, round_ids: list[int]) -> Any:
            times = {"old_dead_seconds": 90, "new_dead_seconds": 61, "old_denied_seconds": 31, "new_denied_seconds": 34}
            players = [
                SimpleNamespace(name="Ana", note="", **times),
                SimpleNamespace(name="Bor", note=" (no-lua)", **times),
            ]
            return SimpleNamespace(players=players, rounds=1, lua_rounds=1)

    bot = SimpleNamespace(config=SimpleNamespace(show_timing_dual=False), db_adapter=Adapter())
    embed = asyncio.run(space["LastSessionCog"](bot, Shadow()).build_embed())
    assert embed.fields[0]["value"] == "Ana: dead 1:01, denied 0:34\nBor: dead 1:01, denied 0:34 (no-lua)"
