"""Each code finds its defect for exactly the interpreters it holds for, and guarded uses are no findings."""

from __future__ import annotations

from pathlib import Path

import pytest

from python_checks.lua.interpreters import INTERPRETERS, compile_error
from python_checks.lua.scan.codes import CODES
from python_checks.lua.scan.run import scan_source

DATA = Path(__file__).resolve().parents[1] / "data" / "lua_scan"
DEFECTS = [line.split("|", 1) for line in (DATA / "defects.txt").read_text(encoding="utf-8").splitlines()]
GUARDED = (DATA / "guarded.txt").read_text(encoding="utf-8").split("---\n")


@pytest.mark.parametrize(("wanted", "source"), DEFECTS, ids=[source for _, source in DEFECTS])
def test_a_defect_is_found_for_its_targets(wanted: str, source: str) -> None:
    """No more and no fewer interpreters than it holds for; each place names a line, a column and what to do."""
    code, targets = wanted.split(" ")
    report = scan_source(source.encode())
    found = [finding for finding in report.findings if finding.code == code]
    assert {target for finding in found for target in finding.targets} == set(targets.split(",")), report.findings
    assert not report.is_clean
    assert all(f.line >= 1 and f.column >= 1 and f.why and f.fix for f in report.findings)


@pytest.mark.parametrize("target", INTERPRETERS)
def test_one_target_hears_of_its_own_defects_only(target: str) -> None:
    """``--target`` leaves out what holds for the other interpreter."""
    for wanted, source in DEFECTS:
        code, targets = wanted.split(" ")
        found = {f.code for f in scan_source(source.encode(), targets=[target]).findings}
        if target not in targets.split(","):
            assert code not in found, source


def test_every_code_has_a_defect_that_shows_it() -> None:
    """A code that nothing can trigger would be a check that cannot fail."""
    shown = {wanted.split(" ")[0] for wanted, _ in DEFECTS} | {"LOAD002", "SLOT002"}
    assert shown == set(CODES)


@pytest.mark.parametrize("source", GUARDED)
def test_a_guarded_use_is_no_finding(source: str) -> None:
    """The guards of the field: if bit then, a or b, pcall(require, …), type(x) == "function", early exits, shims."""
    report = scan_source(source.encode())
    loads = all(not compile_error(source.encode(), target) for target in INTERPRETERS)
    assert (report.is_clean, report.findings) == (loads, ())


def test_a_slot_count_read_in_init_game_only() -> None:
    """lua_restart loads a script without et_InitGame: a count that starts at 64 is wrong until then."""
    read = b"count = tonumber(et.trap_Cvar_Get('sv_maxclients')) end\n"
    use = b"function et_RunFrame() for i = 0, count - 1 do print(et.gentity_get(i, 'pers.netname')) end end\n"
    only_there = b"local count = 64\nfunction et_InitGame() " + read + use
    assert {f.code for f in scan_source(only_there).findings} == {"SLOT002"}
    when_needed = b"local count\nlocal function need() if not count then " + read + b"end\n"
    used = use.replace(b"for i", b"need() for i")
    assert scan_source(when_needed + used).is_clean


def test_a_file_that_the_engine_would_cut() -> None:
    """1 MB is the engine's limit, whatever the compilers say."""
    report = scan_source(b"--" + b"x" * (1024 * 1024))
    assert [f.code for f in report.findings] == ["LOAD002"]


@pytest.mark.parametrize(
    "source", [b"", b"\xef\xbb\xbflocal x = 1", b"local s = 'a\0b'", b"\x1bLua", b"local n = 5LL print(n)"]
)
def test_the_compilers_have_the_last_word(source: bytes) -> None:
    """A byte order mark, a NUL, bytecode, a LuaJIT number: the report says what the interpreter says."""
    report = scan_source(source)
    for target in INTERPRETERS:
        message = compile_error(source, target)
        assert report.loads[target] == message
        assert any(f.code == "LOAD001" and target in f.targets for f in report.findings) == bool(message)


def test_columns_count_characters() -> None:
    """UTF-8 and Latin-1 in front of a place move it by one column a character."""
    for text in ("äöü€".encode(), "äöü".encode("latin-1") + b"x"):
        report = scan_source(b'print("' + text + b'", bit.band(1, 2))')
        assert [(f.code, f.column) for f in report.findings] == [("LIB001", 15)]


def test_a_walk_that_would_be_long_ends() -> None:
    """Long chains of writes, deep nesting and many functions are judged in time that grows with the file."""
    lines = [b"local a", *[b"a = a and a + 1 or 2"] * 1500, b'print(string.format("%d", a / 2))']
    assert {f.code for f in scan_source(b"\n".join(lines)).findings} == {"FMT001"}
