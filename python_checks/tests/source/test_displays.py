"""Displays of the timing written before the recipe was read: run before and after, for each value of both settings."""

from __future__ import annotations

import asyncio
import re
import textwrap
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


def early_return(source: bytes, dual: bool, players: dict[str, Any] | None = None) -> str:
    sent = list[str]()

    async def fetch_all(_: str) -> Any:
        return [("A", "Ana", 5, 90, 31), ("B", "Bor", 4, 90, 31)]

    async def send(embed: Embed) -> None:
        sent.append(embed.text())

    values = {"old_dead": 90, "new_dead": 61, "old_denied": 31, "new_denied": 34}
    known = {"A": SimpleNamespace(coverage=100, **values)} if players is None else players
    cog = loaded(source)["LastSession"](SimpleNamespace(db_adapter=SimpleNamespace(fetch_all=fetch_all)))
    cog.show_timing_dual = dual
    cog.comparer = Comparison(players=known, rounds_with_lua=1, rounds_total=2)
    asyncio.run(cog.last_session(SimpleNamespace(send=send)))
    return sent[0]


SHOWS: dict[str, Callable[[bytes, bool], str]] = {
    "embed_builder": embed_builder,
    "helpers": helpers,
    "config_class": config_class,
    "early_return": early_return,
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


@pytest.mark.parametrize("dual", [False, True])
def test_the_rest_of_the_condition_the_note_and_the_fetch(dual: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The edit once dropped `and cell is not None`, used the note in front of its assignment, and left the fetch to the old flag."""
    output = fix((DISPLAYS / "early_return.py.txt").read_bytes(), ["timing-new-only"]).output
    monkeypatch.setenv("SHOW_TIMING_NEW_ONLY", "true")
    times = {"old_dead": 90, "new_dead": 61, "old_denied": 31, "new_denied": 34}
    shown = early_return(output, dual, {"A": SimpleNamespace(coverage=50, **times)})
    assert "Ana: 5 kills dead 1:01 denied 0:34 no-lua\n" in shown
    # Without new values it is the old display, as it is with SHOW_TIMING_DUAL.
    assert "Bor: 4 kills dead 1:30 denied 0:31\n" in shown and "O " not in shown


FLAG = 'import os\nSHOW_TIMING_DUAL = os.getenv("SHOW_TIMING_DUAL") == "true"\n'
CELL = "    if SHOW_TIMING_DUAL and p is not None:\n        return f'{p.old_dead} / {p.new_dead}'\n    return f'{old_dead}'\n"
TEXT = "def text(p, old_dead):\n"
NOT_RIGHT = {
    "the new value under a further condition": (
        TEXT + "    if SHOW_TIMING_DUAL:\n        note = f'N {p.new_dead}' if p else ''\n"
        "        return f'{old_dead} {note}'\n    return f'{old_dead}'\n",
        "only under a further condition (line 5)",
    ),
    "behind a guard that leaves": (
        TEXT + "    if not SHOW_TIMING_DUAL:\n        return f'{old_dead}'\n    if p is None:\n        return ''\n"
        "    return f'{p.old_dead} / {p.new_dead}'\n",
        "only under a further condition (line 6)",
    ),
    "short-circuited": (
        TEXT + "    return f'{old_dead} {p and p.new_dead}' if SHOW_TIMING_DUAL else f'{old_dead}'\n",
        "only under a further condition",
    ),
    "a note put together": (
        TEXT
        + "    if SHOW_TIMING_DUAL:\n        note = ''\n        if p.coverage < 100:\n            note = ' no-lua'\n"
        "        return f'{p.old_dead} / {p.new_dead}{note}'\n    return f'{old_dead}'\n",
        "looked for note of the dual display's note",
    ),
    "a note in an expression": (
        TEXT
        + "    return f'{p.old_dead} / {p.new_dead}{(note := p.reason)}{note}' if SHOW_TIMING_DUAL else f'{old_dead}'\n",
        "set only inside of it",
    ),
    "fetched by the flag's value": (
        "def text(bot, old_dead):\n    p = SHOW_TIMING_DUAL and bot.fetch()\n" + CELL,
        "which is made of the flag",
    ),
    "fetched in a loop on the flag": (
        "def text(bot, old_dead):\n    p = None\n    while SHOW_TIMING_DUAL and p is None:\n        p = bot.fetch()\n"
        + CELL,
        "looked for new values that are fetched under an if on the flag",
    ),
    "fetched in the other display": (
        "def text(bot, p, old_dead):\n    if SHOW_TIMING_DUAL:\n        p = bot.fetch()\n        a = f'{p.old_dead} / {p.new_dead}'\n"
        "    else:\n        a = f'{old_dead}'\n" + CELL,
        "inside of",
    ),
    "another sense": (
        TEXT
        + "    if SHOW_TIMING_DUAL is False:\n        return f'{old_dead}'\n    return f'{p.old_dead} / {p.new_dead}'\n",
        "`flag and more`",
    ),
    "set from what changes": (
        "def text(p, row):\n    value = f'{row.old_dead}'\n    row = row.next\n    if SHOW_TIMING_DUAL:\n"
        "        value = f'{p.old_dead} / {p.new_dead}'\n    return value\n",
        "found it set anew",
    ),
}


NOT_RIGHT |= {
    "old values that no name tells": (
        "def text(p, dead):\n    if SHOW_TIMING_DUAL and p:\n        return f'{p.old_dead} / {p.new_dead}'\n    return f'{dead}'\n",
        "found dead, which is not known as old by name; rename",
    ),
    "nested": (
        TEXT
        + "    if SHOW_TIMING_DUAL:\n        if p:\n            return f'{p.old_dead} / {p.new_dead}'\n    return f'{old_dead}'\n",
        "line 4: looked for a dual display that leaves from the if on the flag, found one that leaves from a condition inside of it",
    ),
    "an inverted condition with more": (
        TEXT
        + "    if not SHOW_TIMING_DUAL or p is None:\n        return f'{old_dead}'\n    return f'{p.old_dead} / {p.new_dead}'\n",
        "found line 4: 'not SHOW_TIMING_DUAL or p is None'; write `if flag and more:`",
    ),
    "one of two displays is not read": (
        TEXT
        + CELL
        + "def more(p, old_dead):\n    if not SHOW_TIMING_DUAL or p is None:\n        return f'{old_dead}'\n"
        "    return f'{p.old_dead} / {p.new_dead}'\n",
        "found line 8: 'not SHOW_TIMING_DUAL or p is None'; write `if flag and more:`",
    ),
    "one of two displays has old values that no name tells": (
        TEXT
        + CELL
        + "def more(p, dead):\n    if SHOW_TIMING_DUAL and p:\n        return f'O {dead} / N {p.new_dead}'\n"
        "    return f'{dead}'\n",
        "looked for new values alone in more where nothing is None, found old ones",
    ),
}


@pytest.mark.parametrize("kind", NOT_RIGHT)
def test_what_would_not_be_right_is_refused(kind: str) -> None:
    text, why = NOT_RIGHT[kind]
    source = (FLAG + text).encode()
    fixed = fix(source, ["timing-new-only"])
    assert why in fixed.refused_reason and "by hand" in fixed.refused_reason and fixed.output == source


FETCHES = {
    "in an if": "    p = None\n    if SHOW_TIMING_DUAL:\n        p = bot.fetch()\n",
    "in an expression": "    p = bot.fetch() if SHOW_TIMING_DUAL else None\n",
    "in an inverted if": "    p = None\n    if not SHOW_TIMING_DUAL:\n        pass\n    else:\n        p = bot.fetch()\n",
    "over two names": "    q = [None]\n    if SHOW_TIMING_DUAL and bot:\n        q[0] = bot.fetch()\n    p = q[0]\n",
    "by a method": "    q = []\n    if SHOW_TIMING_DUAL:\n        q.append(bot.fetch())\n    p = q[0] if q else None\n",
    "by a function": "    p = fetched(bot)\n",
}


@pytest.mark.parametrize("kind", FETCHES)
def test_the_fetch_is_done_for_the_new_setting_too(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    helper = "def fetched(bot):\n    if not SHOW_TIMING_DUAL:\n        return None\n    return bot.fetch()\n"
    source = (FLAG + helper + "def text(bot, old_dead):\n" + FETCHES[kind] + CELL).encode()
    fixed = fix(source, ["timing-new-only"])
    assert fixed.changed, fixed.refused_reason
    cell = SimpleNamespace(old_dead=90, new_dead=61)
    for dual in ("true", "false"):
        monkeypatch.setenv("SHOW_TIMING_DUAL", dual)
        for found, alone in ((cell, "61"), (None, "90")):
            bot = SimpleNamespace(fetch=lambda found=found: found)
            monkeypatch.setenv("SHOW_TIMING_NEW_ONLY", "true")
            assert loaded(fixed.output)["text"](bot, 90) == alone
            monkeypatch.delenv("SHOW_TIMING_NEW_ONLY")
            assert loaded(fixed.output)["text"](bot, 90) == loaded(source)["text"](bot, 90)


def test_values_from_another_file_are_named() -> None:
    fixed = fix((FLAG + TEXT + CELL).encode(), ["timing-new-only"])
    assert any(one.startswith("p of text() comes from another file") for one in fixed.actions)
    fixed = fix(
        (FLAG + TEXT + CELL + "def all_of(bot):\n    return text(bot.fetch(), 1)\n").encode(), ["timing-new-only"]
    )
    assert fixed.changed and not any("p of text()" in one for one in fixed.actions)


def test_the_note_is_taken_along_or_missed_aloud() -> None:
    told = "is not in the new one; add it by hand"
    taken = TEXT + CELL.replace("{p.new_dead}", '{p.new_dead}{" no-lua" if p.missing else ""}')
    fixed = fix((FLAG + taken).encode(), ["timing-new-only"])
    assert b"""return f'{p.new_dead}{" no-lua" if p.missing else ""}'""" in fixed.output
    assert not any(told in one for one in fixed.actions)
    fixed = fix((DISPLAYS / "helpers.py.txt").read_bytes(), ["timing-new-only"])
    assert fixed.changed and any(told in one for one in fixed.actions)


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


RUN = [
    ("early_return", b"if _timing_new_only() and cell is not None:", b"if _timing_new_only():", "'coverage'"),
    (
        "early_return",
        b'note = "" if cell.coverage >= 100 else " no-lua"\n            return f"',
        b'return f"',
        "'note'",
    ),
    ("early_return", b"(self.show_timing_dual or _timing_new_only())", b"self.show_timing_dual", "found none"),
    ("early_return", b'f" dead {clock(cell.new_dead)}', b'f" dead {clock(time_dead_seconds)}', "found old ones"),
    ("early_return", b"if self.show_timing_dual and cell is", b"if self.show_timing_dual or cell is", "another result"),
    (
        "embed_builder",
        b"(self.show_timing_dual or _timing_new_only()) and self",
        b"self.show_timing_dual and self",
        "found none",
    ),
    (
        "embed_builder",
        b"(self.show_timing_dual or _timing_new_only()) and shadow",
        b"(self.show_timing_dual or _timing_new_only())",
        "another result",
    ),
    ("helpers", b"(self.dual or _timing_new_only())", b"self.dual", "found none"),
]


@pytest.mark.parametrize(("file", "old", "new", "why"), RUN)
def test_what_only_a_run_shows(file: str, old: bytes, new: bytes, why: str) -> None:
    """Names alone called the first three of them proven."""
    from python_checks.source.timing_run import prove_by_running
    from python_checks.source.tree import Refusal

    source = (DISPLAYS / f"{file}.py.txt").read_bytes()
    output = fix(source, ["timing-new-only"]).output
    assert "runs on stand-ins" in prove_by_running(source, output) and output.count(old) == 1
    with pytest.raises(Refusal) as refused:
        prove_by_running(source, output.replace(old, new, 1))
    assert why in str(refused.value) and "by hand" in str(refused.value)


NOT_RUN = {
    "raises on stand-ins": ("    assert p.kind() == 'known'\n" + CELL, "raised AssertionError"),
    "does not end": ("    while p:\n        pass\n" + CELL, "raised Stuck"),
}


@pytest.mark.parametrize(
    "text",
    [
        "if True:\n" + textwrap.indent(TEXT + CELL, "    "),
        "p, old_dead = make()\nif SHOW_TIMING_DUAL:\n    shown = f'{p.old_dead} / {p.new_dead}'\nelse:\n    shown = f'{old_dead}'\n",
        "class A:\n    class B:\n" + textwrap.indent(TEXT + CELL, "        "),
    ],
)
def test_a_display_that_no_run_reaches_is_not_called_proven(text: str) -> None:
    fixed = fix((FLAG + text).encode(), ["timing-new-only"])
    assert not fixed.changed and "elsewhere; give that place its third display by hand" in fixed.refused_reason


@pytest.mark.parametrize("kind", NOT_RUN)
def test_what_cannot_be_run_is_not_called_proven(kind: str) -> None:
    text, why = NOT_RUN[kind]
    fixed = fix((FLAG + TEXT + text).encode(), ["timing-new-only"])
    assert not fixed.changed and why in fixed.refused_reason and "by hand" in fixed.refused_reason


def test_a_run_does_not_reach_the_machine(tmp_path: Path) -> None:
    text = f"    open({str(tmp_path / 'left')!r}, 'w').write('')\n    os.mkdir({str(tmp_path / 'made')!r})\n"
    assert fix((FLAG + TEXT + text + CELL).encode(), ["timing-new-only"]).changed
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "why"),
    [(b"number = 9 ** 9 ** 9", "did not end"), (b"room = [0] * 10**9", "another result")],
)
def test_a_display_can_neither_hang_nor_fill_the_controller(
    line: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from python_checks.source import timing_run
    from python_checks.source.tree import Refusal

    monkeypatch.setattr(timing_run, "TIME_LIMIT_S", 5)
    source = (DISPLAYS / "early_return.py.txt").read_bytes()
    output = fix(source, ["timing-new-only"]).output
    at = output.index(b"        if _timing_new_only() and")
    with pytest.raises(Refusal) as refused:
        timing_run.prove_by_running(source, output[:at] + b"        " + line + b"\n" + output[at:])
    assert why in str(refused.value)
