"""Displays of the timing written before the recipe was read: run before and after, for each value of both settings."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from python_checks.source.recipe import fix
from python_checks.tests.source.files import DATA, name
from python_checks.tests.source.running import Embed, foreign, loaded

DISPLAYS = DATA / "displays"
TIMES = {
    "old_dead_seconds": 90,
    "new_dead_seconds": 61,
    "old_denied_seconds": 31,
    "new_denied_seconds": 34,
    "fallback_reason": "",
    "player_guid": "A",
}
REFUSED = {
    "graphs": "known only inside of the dual display",
    "conf_module": "known only inside of the dual display",
    "guard_return": "decides no display of timing values",
}


class Comparison(SimpleNamespace):
    """The shadow service: Ana has Lua rows, Bor has none."""

    async def compare_session(self, *_: Any, **__: Any) -> Any:
        return self


def embed_builder(source: bytes, dual: bool) -> str:
    shadow = Comparison(players={"A": SimpleNamespace(**TIMES)}, covered_rounds=1, total_rounds=2)
    builder = loaded(source)["SessionEmbedBuilder"](timing_shadow_service=shadow)
    builder.show_timing_dual = dual
    people = [{"guid": g, "name": n, "time_dead": 90, "denied": 31} for g, n in (("A", "Ana"), ("B", "Bor"))]
    embed: Embed = asyncio.run(builder.build(people, [1, 2]))
    return embed.text()


def helpers(source: bytes, dual: bool) -> str:
    async def latest() -> Any:
        return [1, 2], [("A", "Ana", 90, 31), ("B", "Bor", 90, 31)]

    sent = list[str]()

    async def send(embed: Embed) -> None:
        sent.append(embed.text())

    bot = SimpleNamespace(
        config=SimpleNamespace(show_timing_dual=dual),
        session_data=SimpleNamespace(latest=latest),
        timing_shadow=Comparison(players=[SimpleNamespace(**TIMES)]),
    )
    asyncio.run(loaded(source)["LastSessionCog"](bot).last_session(SimpleNamespace(send=send)))
    return sent[0]


def config_class(source: bytes, dual: bool) -> str:
    space = loaded(source)
    space["SHOW_TIMING_DUAL"] = dual
    values = {"old_dead": 90, "new_dead": 61, "old_denied": 31, "new_denied": 34}
    shadow = Comparison(per_player={"a": values}, rounds_with_lua=1, rounds_total=2)
    people = [{"guid": g, "name": n, "dead": 90, "denied": 31} for g, n in (("A", "Ana"), ("B", "Bor"))]
    return "\n".join(asyncio.run(space["SessionViewHandlers"](shadow).time_view([1, 2], people)))


SHOWS: dict[str, Callable[[bytes, bool], str]] = {
    "embed_builder": embed_builder,
    "helpers": helpers,
    "config_class": config_class,
}


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
@pytest.mark.parametrize("kind", SHOWS)
def test_new_alone_and_only_when_asked(kind: str, newline: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (DISPLAYS / f"{kind}.py.txt").read_bytes().replace(b"\n", newline)
    fixed = fix(source, ["timing-new-only"])
    assert fixed.changed, fixed.refused_reason
    show = SHOWS[kind]
    with foreign():
        for dual in (False, True):
            monkeypatch.delenv("SHOW_TIMING_NEW_ONLY", raising=False)
            plain = show(source, dual)
            for setting in (None, "false", "1"):
                if setting is not None:
                    monkeypatch.setenv("SHOW_TIMING_NEW_ONLY", setting)
                assert show(fixed.output, dual) == plain
            monkeypatch.setenv("SHOW_TIMING_NEW_ONLY", "true")
            ana = next(line for line in show(fixed.output, dual).splitlines() if "Ana" in line)
            assert re.findall(r"\d:\d\d", ana) == ["1:01", "0:34"] and " / " not in ana
            if not dual:
                # The words of the display are those of the old one.
                old = next(line for line in plain.splitlines() if "Ana" in line)
                assert re.sub(r"\d:\d\d", "", ana) == re.sub(r"\d:\d\d", "", old)
    again = fix(fixed.output, ["timing-new-only"])
    assert not again.changed and not again.refused_reason


@pytest.mark.parametrize("path", [p for p in sorted(DISPLAYS.glob("*.txt")) if name(p) in REFUSED], ids=name)
def test_refused_with_what_to_do(path: Path) -> None:
    fixed = fix(path.read_bytes(), ["timing-new-only"])
    assert REFUSED[name(path)] in fixed.refused_reason and "by hand" in fixed.refused_reason
    assert fixed.output == path.read_bytes()


MUTANTS = [
    (b"entry.new_denied_seconds)} denied", b"entry.old_denied_seconds)} denied"),
    (b" if _timing_new_only() else (", b" if not _timing_new_only() else ("),
    (b'get("SHOW_TIMING_NEW_ONLY"', b'get("SHOW_TIMING_DUAL"'),
]


@pytest.mark.parametrize(("old", "new"), MUTANTS)
def test_wrong_patches_are_caught(old: bytes, new: bytes) -> None:
    from python_checks.source.timing_new_only import prove_timing_new_only
    from python_checks.source.tree import Refusal

    source = (DISPLAYS / "embed_builder.py.txt").read_bytes()
    output = fix(source, ["timing-new-only"]).output
    assert prove_timing_new_only(source, output) and old in output
    with pytest.raises(Refusal):
        prove_timing_new_only(source, output.replace(old, new))
