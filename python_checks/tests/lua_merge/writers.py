"""Helpers: the writers of the tests, merged once, and one quick play with its judgement."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from python_checks.lua.finding import Finding
from python_checks.lua.judge import judge
from python_checks.lua.merge import MergeResult, Source, merge
from python_checks.lua.stage import Job, Performance, play

ROOT = Path(__file__).resolve().parents[3]
WORLD = ROOT / "molecule" / "world" / "et_server" / "lua"
FIXTURES = Path(__file__).resolve().parent / "fixtures"
OLD, NEW = "c0rnp0rn7", "c0rnp0rn-testluawithtimetracking"
OWN = tuple(sorted(path.stem for path in FIXTURES.glob("*.lua")))
WRITERS = (OLD, NEW, *OWN)
MODULE = "writer.lua"


@cache
def source(name: str) -> bytes:
    """A writer as it is."""
    folder = WORLD if name in (OLD, NEW) else FIXTURES
    return (folder / f"{name}.lua").read_bytes()


@cache
def merged(name: str, other: str = "") -> bytes:
    """A writer after the merge."""
    result = merge_of(name, other)
    assert not result.refused_reason, result.refused_reason
    return result.output


@cache
def merge_of(name: str, other: str = "") -> MergeResult:
    """The merge of one writer, or of two."""
    second = Source(f"{other}.lua", source(other)) if other else None
    return merge(Source(f"{name}.lua", source(name)), second)


def perform(script: bytes, match: str, interpreter: str = "lua54") -> Performance:
    """Play one match in this process."""
    performance = play(Job(MODULE, script, interpreter, (match,)), match, "")
    assert not performance.problem, performance.problem
    return performance


@cache
def perform_once(script: bytes, match: str, interpreter: str) -> Performance:
    """``perform`` for what several tests look at."""
    return perform(script, match, interpreter)


def findings(script: bytes, match: str, interpreter: str = "lua54", header_fields: int | None = 9) -> list[Finding]:
    """What the rehearsal says about a writer in one match."""
    return judge(MODULE, MODULE, "writer", perform_once(script, match, interpreter), header_fields)


def codes(script: bytes, match: str, interpreter: str = "lua54", header_fields: int | None = 9) -> set[str]:
    """The codes of what fails."""
    return {f.code for f in findings(script, match, interpreter, header_fields) if not f.is_remark}


def mutate(script: bytes, old: bytes, new: bytes) -> bytes:
    """The script with every occurrence replaced; there must be one."""
    assert old in script, old
    return script.replace(old, new)
