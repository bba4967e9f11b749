"""Phase 2: one production-ready stats writer out of one or two files, whichever of them is the base.

The base keeps its own code; what the plan's table takes from the other file is put in by the recipes, and so is what the plan forgot
(domain facts 2.4, 3.1 to 3.3). The other file shows that such a writer exists and is named in the result's first lines with its hash;
what only it has is listed, not taken.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from typing import Any

from python_checks.lua.edits import unified_diff
from python_checks.lua.fix import registry
from python_checks.lua.helpers import NothingFound
from python_checks.lua.interpreters import compile_errors
from python_checks.lua.recipe import CannotJudge, Plan, Refusal
from python_checks.lua.tree import LuaTree
from python_checks.lua.writer_text import find_header

#: In this order: what a later recipe looks for may be what an earlier one has put in.
RECIPES = (
    "portable", "pause", "maxclients", "reinforcements", "timetracking", "deadtime", "files", "integers",
)  # fmt: skip

#: Phase 2's table and what it forgot: the item, the names by which the plan knows it, and what stands for it in the result.
TABLE = (
    ("time-tracking variables", ("roundStart", "roundEnd", "pausedTime"), "section clock: roundStart, roundEnd, pausedTime"),
    ("start of the round", ("roundStart",), "section clock, openRound: once per half, at the first frame of play"),
    ("end of the round", ("roundEnd",), "section clock, closeRound: the last frame of play"),
    ("pauses", ("pausedTime",), "section clock, openPause and closePause: pausedTime[1], [2], [3]"),
    ("header field 9", ("roundEnd", "playtime"), "rollout_stats.playtime(): whole ms, never negative"),
    ("bit compatibility", ("ensure_bit_compat", "bit"), "the file's own, or sections bit and operators"),
    ("bit operations", ("rshift", "lshift", "band", "bor"), "calls that both interpreters have"),
    ("fallbacks", ("fallback_band", "fallback_bor"), "the file's own, or sections bit and operators"),
    ("safe number of slots", ("ensure_max_clients",), "section slots: ensure_max_clients, always 1 to 64"),
    ("safe integers", ("to_int",), "section integers: to_int in front of each %d that could meet another number"),
    ("forgotten: the pause mask", ("CS_SERVERTOGGLES",), "compared with 0 (recipe pause; isPaused in section clock)"),
    ("forgotten: a pause open at the round's end", (), "section clock: closeRound closes it"),
    ("forgotten: two pauses in one death", (), "rollout_stats.milliseconds() stands still in every pause"),
    ("forgotten: the save at shutdown", ("et_ShutdownGame",), "the round is closed first; rollout_stats.cvar gives its number"),
    ("forgotten: reset for each round", ("et_InitGame",), "section clock: reset in front of et_InitGame"),
    ("forgotten: reinforcement seeds modulo 8", ("CS_REINFSEEDS",), "section reinforcements"),
    ("forgotten: dead time counted once", ("et_ClientSpawn",), "the begin of a death moves on when its time is added"),
)  # fmt: skip

_FIRST = b"-- >>> rollout merge: the line below this block is the base file's first >>>"
_LAST = b"-- <<< rollout merge <<<"
_HEAD = re.compile(re.escape(_FIRST) + rb".*?" + re.escape(_LAST) + rb"\r?\n", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """One input: the name that is shown, and the bytes."""

    name: str
    content: bytes

    @property
    def sha256(self) -> str:
        """Of the bytes as they are."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Row:
    """One row of the plan's table: where its names stand in the sources (``file:line``), and what the result has for it."""

    item: str
    found: tuple[str, ...]
    result: str


@dataclass(frozen=True)
class MergeResult:
    """The outcome. On a refusal ``output`` is empty and ``refused_reason`` says why; ``notes`` are for a person to read."""

    output: bytes
    sources: tuple[Source, ...]
    rows: tuple[Row, ...]
    actions: tuple[str, ...]
    notes: tuple[str, ...]
    refused_reason: str = ""

    @property
    def diff(self) -> str:
        """Against the base."""
        return unified_diff(self.sources[0].content, self.output, self.sources[0].name) if self.output else ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON and for the evidence ledger: hashes, no file contents."""
        return {
            "sources": [{"name": s.name, "sha256": s.sha256} for s in self.sources],
            "sha256": hashlib.sha256(self.output).hexdigest() if self.output else None,
            "rows": [asdict(row) for row in self.rows],
            "actions": list(self.actions),
            "notes": list(self.notes),
            "refused_reason": self.refused_reason,
        }


def merge(writer: Source, timetracking: Source | None = None) -> MergeResult:
    """Make the merged writer on the base ``writer``.

    Raises CannotJudge when an input is no Lua for either interpreter; refuses when an input is no stats writer, or when something that
    the table asks for cannot be put in for sure.
    """
    sources = (writer, timetracking) if timetracking is not None else (writer,)
    trees = [_tree(source) for source in sources]
    rows = tuple(_row(item, names, result, sources, trees) for item, names, result in TABLE)
    try:
        fields = [find_header(tree).fields for tree in trees]
        if len(sources) == 2 and 9 not in fields:
            raise Refusal(
                f"looked for a writer with nine header fields, found eight in {sources[0].name} and in {sources[1].name}; "
                "leave --timetracking out to have the time tracking put in all the same"
            )
        output, actions, notes = _run_recipes(_HEAD.sub(b"", writer.content))
        notes += _only_in_other(trees, sources)
        broken = {k: v for k, v in compile_errors(output).items() if v}
        if broken:
            raise Refusal("the merged file would not load: " + "; ".join(f"{k}: {v}" for k, v in broken.items()))
    except Refusal as refusal:
        return MergeResult(b"", sources, rows, (), (), str(refusal))
    return MergeResult(_headed(output, sources), sources, rows, tuple(actions), tuple(notes))


def _tree(source: Source) -> LuaTree:
    errors = compile_errors(source.content)
    if all(errors.values()):
        raise CannotJudge(
            f"{source.name}: neither interpreter loads the file: " + "; ".join(f"{k}: {v}" for k, v in errors.items())
        )
    tree = LuaTree(source.content)
    if tree.has_errors:
        raise CannotJudge(f"{source.name}: the syntax tree of the file has errors")
    return tree


def _run_recipes(source: bytes) -> tuple[bytes, list[str], list[str]]:
    known = registry()
    output, actions, notes = source, list[str](), list[str]()
    for name in RECIPES:
        try:
            plan: Plan = known[name](LuaTree(output))
        except NothingFound as nothing:
            notes.append(f"{name}: {nothing}; nothing to mend there")
            continue
        except Refusal as refusal:
            raise Refusal(f"{name}: {refusal}") from refusal
        changed = plan.edits.apply(output)
        actions += [f"{name}: {sentence}" for sentence in plan.actions] if changed != output else []
        output = changed
    return output, actions, notes


def _only_in_other(trees: list[LuaTree], sources: tuple[Source, ...]) -> list[str]:
    """Named functions of the second file that the base lacks: a person decides about them."""
    if len(trees) < 2:
        return []
    have = {f.name for f in trees[0].functions}
    lacking = [
        f"{f.name.decode('latin-1')} (line {trees[1].line(f.node)})" for f in trees[1].functions if f.name not in have
    ]
    return [f"only in {sources[1].name}, not taken: {', '.join(lacking)}"] if lacking else []


def _row(item: str, names: tuple[str, ...], result: str, sources: tuple[Source, ...], trees: list[LuaTree]) -> Row:
    wanted = {name.encode() for name in names}
    found = []
    for source, tree in zip(sources, trees, strict=True):
        nodes = [n for n in tree.descendants(tree.root) if n.type == "identifier" and tree.text(n) in wanted]
        found += [f"{source.name}:{number}" for number in sorted({tree.line(n) for n in nodes})]
    return Row(item, tuple(found), result)


def _headed(output: bytes, sources: tuple[Source, ...]) -> bytes:
    """The result with its first lines: what it was made from. The same inputs always give the same bytes."""
    eol = b"\r\n" if b"\r\n" in output else b"\n"
    width = max(len(s.name) for s in sources)
    kinds = ("base:         ", "time tracking:")
    lines = [
        _FIRST,
        b"-- Stats writer made by `rollout lua merge`. Change the sources and merge again rather than this file.",
    ]
    for kind, source in zip(kinds, sources, strict=False):
        shown = re.sub(r"[^\x20-\x7e]", "?", source.name).ljust(width)
        lines.append(f"-- {kind} {shown}  sha256 {source.sha256}".encode())
    lines += [b"-- recipes:       " + ", ".join(RECIPES).encode(), _LAST]
    start = re.match(rb"(\xef\xbb\xbf)?(#[^\n]*\n)?", output)
    at = start.end() if start else 0
    return output[:at] + eol.join(lines) + eol + output[at:]
