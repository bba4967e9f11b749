"""Scanning: one file's bytes, or files and folders in as many processes as help."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tree_sitter import Node

from python_checks.lua.interpreters import INTERPRETERS, compile_error
from python_checks.lua.scan.codes import CODES
from python_checks.lua.scan.formats import format_notes, mask_notes
from python_checks.lua.scan.hazards import clock_notes, file_notes, frame_notes, nil_notes, return_notes
from python_checks.lua.scan.libraries import engine_notes, library_notes
from python_checks.lua.scan.notes import Note
from python_checks.lua.scan.presence import Presence
from python_checks.lua.scan.report import FileReport, Finding, Report
from python_checks.lua.scan.script import Script
from python_checks.lua.scan.slots import slot_notes
from python_checks.lua.scan.syntax import SIZE_LIMIT_BYTES, load_line, syntax_notes
from python_checks.lua.scan.values import Values

_FILES_PER_PROCESS = 6
_RECURSION_LIMIT = 20_000


def scan_paths(paths: Sequence[Path], root: Path | None, targets: Sequence[str]) -> Report:
    """Scan files, and every ``*.lua`` below folders (``root`` is a folder whose files are named relative to it).

    What cannot be read, and a folder without a Lua file, is a problem of the report, never left out.
    """
    problems: list[str] = []
    files: dict[str, Path] = {}
    for path in paths:
        if path.is_dir():
            files.update(_below(path, str(path), problems))
        else:
            files[str(path)] = path
    if root is not None:
        files.update(_below(root, "", problems))
    reports: list[FileReport] = []
    work = partial(_scan_file, targets=tuple(targets))
    processes = min(os.cpu_count() or 1, len(files) // _FILES_PER_PROCESS)
    if processes > 1:
        with ProcessPoolExecutor(processes) as pool:
            reports = list(pool.map(work, files, files.values(), chunksize=4))
    else:
        reports = [work(name, path) for name, path in files.items()]
    return Report(tuple(targets), tuple(reports), tuple(problems))


def _below(folder: Path, shown_as: str, problems: list[str]) -> dict[str, Path]:
    if not folder.is_dir():
        problems.append(f"{folder}: found no folder, a folder with Lua files was required")
        return {}
    found = {
        (Path(shown_as) / path.relative_to(folder)).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() == ".lua" and not path.is_dir()
    }
    if not found:
        problems.append(f"{folder}: found no *.lua file in it or below it; name the files, or another folder")
    return found


def _scan_file(name: str, path: Path, targets: tuple[str, ...]) -> FileReport:
    try:
        source = path.read_bytes()
    except OSError as problem:
        return FileReport(_printable(name), "", {}, (), f"cannot be read: {problem.strerror or problem}")
    return scan_source(source, _printable(name), targets)


def _printable(name: str) -> str:
    """A file name whose bytes are no UTF-8, as a text that can be printed."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def scan_source(source: bytes, name: str = "file.lua", targets: Sequence[str] = INTERPRETERS) -> FileReport:
    """Judge one file for the target interpreters. Never raises for what is in the file.

    The verdict on loading is the interpreters' own. A rule that cannot judge is told in ``not_judged``, and the file is then not clean.
    """
    loads = {target: compile_error(source, target) for target in targets}
    digest = hashlib.sha256(source).hexdigest()
    lines = source.split(b"\n")
    findings = [_load_finding(name, target, message) for target, message in loads.items() if message]
    if len(source) > SIZE_LIMIT_BYTES:
        why = f"{len(source)} bytes; the engine loads {SIZE_LIMIT_BYTES} at most"
        findings.append(Finding(name, 1, 1, "LOAD002", tuple(targets), why, CODES["LOAD002"].fix))
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _RECURSION_LIMIT))
    not_judged = ""
    try:
        script = Script(source)
        if script.tree.has_errors and not all(loads.values()):
            not_judged = f"its syntax could not be read near line {_broken_line(script)}; only loading was judged"
        notes = _judge(script, loads)
        findings += [_finding(name, note, lines) for note in notes]
    except RecursionError:
        not_judged = "its expressions are nested too deep; only loading was judged"
    finally:
        sys.setrecursionlimit(limit)
    return FileReport(name, digest, loads, tuple(_merged(findings)), not_judged)


def _judge(script: Script, loads: dict[str, str]) -> list[Note]:
    notes = [note for note in syntax_notes(script, loads) if not _is_broken(script, note.node)]
    if script.tree.has_errors:
        return notes
    # A target that does not load the file has no further behaviour to judge; the other findings hold for the mended file too.
    presences = {target: Presence(script, target) for target in loads}
    values = Values(script)
    notes += library_notes(script, presences)
    notes += engine_notes(script, presences)
    notes += format_notes(script, values, presences)
    notes += mask_notes(script, values, presences)
    notes += return_notes(script, values, presences)
    notes += slot_notes(script, values, presences)
    notes += clock_notes(script, values, presences)
    notes += file_notes(script, presences)
    notes += nil_notes(script, values, presences)
    notes += frame_notes(script, notes)
    return notes


def _is_broken(script: Script, node: Node) -> bool:
    return node.has_error or any(ancestor.is_error for ancestor in script.tree.ancestors(node))


def _broken_line(script: Script) -> int:
    tree = script.tree
    return next((tree.line(n) for n in tree.descendants(tree.root) if n.is_error or n.is_missing), 1)


def _load_finding(name: str, target: str, message: str) -> Finding:
    line, words = load_line(message)
    return Finding(name, line, 1, "LOAD001", (target,), f"does not compile: {words}", CODES["LOAD001"].fix)


def _finding(name: str, note: Note, lines: list[bytes]) -> Finding:
    row, offset = note.node.start_point
    before = lines[row][:offset] if row < len(lines) else b""
    column = len(before.decode("utf-8", "replace")) + 1
    return Finding(name, row + 1, column, note.code, note.targets, note.why, note.fix or CODES[note.code].fix)


def _merged(findings: Iterable[Finding]) -> list[Finding]:
    """In order of place; what holds for several targets is one finding."""
    merged: dict[tuple[int, int, str, str, str], set[str]] = {}
    names: dict[tuple[int, int, str, str, str], str] = {}
    for finding in findings:
        key = (finding.line, finding.column, finding.code, finding.why, finding.fix)
        merged.setdefault(key, set()).update(finding.targets)
        names[key] = finding.file
    return sorted(
        Finding(names[key], key[0], key[1], key[2], tuple(t for t in INTERPRETERS if t in targets), key[3], key[4])
        for key, targets in merged.items()
    )
