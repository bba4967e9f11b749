"""Rehearsal: whole matches with a script in the engine stand-in, on both interpreters, and a judgement of what came out.

What is judged, by kind (found out from the outputs, else from the file itself):

* every script: it loads, no callback raises, modules behind it are not cut off, both interpreters put out the same;
* ``webhook``: posts, gametime files, score, and its behaviour when building or sending fails once (see ``judge``);
* ``writer``: stats files (see ``writer_judge``); ``other``: what holds for every script.

A script that nobody knows is played in a process of its own with limits on time and memory; no command that it starts is executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils.leftovers import own_folder

from python_checks import own_process
from python_checks.lua.finding import Finding
from python_checks.lua.interpreters import INTERPRETERS, compile_errors
from python_checks.lua.judge import compare, fault_fired, judge, kind_of
from python_checks.lua.probe import probe_for
from python_checks.lua.stage import Job, Performance, from_json, module_path, performance, to_json

SIXTEEN_A_SIDE = str(Path(__file__).resolve().parent / "matches" / "sixteen_a_side.yml")
#: Phase 2: pauses (also open at the end, and inside a death), limits, broken-off halves, reconnects, hostile names, sv_fps.
WRITER_MATCHES = (
    "completed", "full_hold", "reached_limit_r2", "pauses_three", "pause_open_at_end", "pause_in_death", "surrender",
    "map_change_mid_round", "map_restart_mid_round", "reset_match", "reconnects", "spectator_who_played", "hostile_names",
    "players_0", "players_1", "players_16", "hostname_backslash", "empty_config", "sv_fps_20", "sv_fps_40", "midnight",
)  # fmt: skip
#: Phase 1: a fractional R2, a pause, a surrender, hostile names, 16 a side, a full hold. The first one also carries the injected faults.
WEBHOOK_MATCHES = ("completed", "pause_one", "surrender", "hostile_names", SIXTEEN_A_SIDE, "full_hold")
FAULTS = ("build", "send")
DEFAULT_TIMEOUT_S = 120.0
STAGE_PREFIX = "rollout-stage-"


@dataclass(frozen=True)
class RehearsalFile:
    """A script: its module name as in ``lua_modules`` (``luascripts/x.lua``) and its bytes."""

    name: str
    source: bytes


@dataclass(frozen=True)
class RehearsalReport:
    """The outcome. ``judged`` counts plays that were judged; ``unjudged`` says in sentences what could not be.

    ``digests`` are the SHA-256 of the files that were played; ``remarks`` are findings that fail nothing (see ``Finding.is_remark``).
    """

    passed: bool
    judged: int
    findings: tuple[Finding, ...]
    unjudged: tuple[str, ...] = ()
    remarks: tuple[Finding, ...] = ()
    kinds: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    matches: tuple[str, ...] = ()
    interpreters: tuple[str, ...] = ()
    duration_s: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON and for the evidence ledger; it holds no text of the script and no address."""
        return {
            "passed": self.passed,
            "judged": self.judged,
            "findings": [asdict(finding) for finding in self.findings],
            "unjudged": list(self.unjudged),
            "remarks": [asdict(finding) for finding in self.remarks],
            "kinds": dict(self.kinds),
            "sha256": dict(self.digests),
            "matches": list(self.matches),
            "interpreters": list(self.interpreters),
            "duration_s": round(self.duration_s, 2),
        }


def rehearse(
    files: Sequence[RehearsalFile],
    matches: Sequence[str] = WEBHOOK_MATCHES,
    interpreters: Sequence[str] = INTERPRETERS,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    header_fields: int | None = None,
) -> RehearsalReport:
    """Play every match with every file on every interpreter and judge the outcome.

    ``matches`` are names of the engine's match set (``all`` for the whole set) or paths of match files. ``timeout_s`` limits each file on
    each interpreter; ``header_fields`` is what a stats writer's header must have (8 or 9; None takes either). The report passes when at
    least one play was judged, nothing was left unjudged and nothing was found.
    Raises ``python_checks.engine.MatchError`` for a match that does not exist and ValueError for an unknown interpreter.
    """
    from python_checks.engine import load_match, match_names

    begun = time.monotonic()
    unknown = set(interpreters) - set(INTERPRETERS)
    if unknown:
        raise ValueError(f"unknown interpreter {', '.join(sorted(unknown))}; known are {', '.join(INTERPRETERS)}")
    # The stage runs in a folder of its own, so a match file is named by its whole path.
    given = tuple(str(Path(m).resolve()) if Path(m).suffix else m for m in matches)
    names = (*match_names(), SIXTEEN_A_SIDE) if list(matches) == ["all"] else given
    for name in names:
        load_match(name)
    jobs = [(file, interpreter) for file in files for interpreter in interpreters]
    with ThreadPoolExecutor(max_workers=max(1, min(len(jobs), os.cpu_count() or 1))) as pool:
        played = list(pool.map(lambda job: _stage(job[0], job[1], names, timeout_s), jobs))
    findings: list[Finding] = []
    unjudged: list[str] = []
    kinds: dict[str, str] = {}
    judged = 0
    for file in files:
        mine = [answer for (owner, _), answer in zip(jobs, played, strict=True) if owner is file]
        performances = [p for answer in mine for p in answer.performances]
        unjudged += [f"{file.name}: {answer.problem}" for answer in mine if answer.problem]
        unjudged += [f"{file.name}: {p.match} on {p.interpreter}: {p.problem}" for p in performances if p.problem]
        whole = [p for p in performances if not p.problem]
        kinds[file.name] = kind_of(file.source, whole)
        if kinds[file.name] != "webhook":
            whole = [p for p in whole if not p.fault]
        for one in whole:
            if one.fault and not fault_fired(one):
                continue
            findings += judge(file.name, module_path(file.name), kinds[file.name], one, header_fields)
            judged += 1
        findings += _differences(file.name, whole)
        if kinds[file.name] == "webhook":
            unjudged += _without_fault(file.name, whole)
    required = tuple(f for f in findings if not f.is_remark)
    return RehearsalReport(
        passed=judged > 0 and not required and not unjudged,
        judged=judged,
        findings=required,
        unjudged=tuple(unjudged),
        remarks=tuple(f for f in findings if f.is_remark),
        kinds=kinds,
        digests={file.name: hashlib.sha256(file.source).hexdigest() for file in files},
        matches=tuple(Path(name).stem for name in names),
        interpreters=tuple(interpreters),
        duration_s=time.monotonic() - begun,
    )


def default_matches(files: Sequence[RehearsalFile]) -> tuple[str, ...]:
    """The matches that the files' kinds ask for: phase 1's set, phase 2's for stats writers, both for a mixture."""
    kinds = [kind_of(file.source, ()) for file in files]
    webhook = WEBHOOK_MATCHES if any(kind != "writer" for kind in kinds) else ()
    writer = WRITER_MATCHES if "writer" in kinds else ()
    return tuple(dict.fromkeys((*webhook, *writer)))


def _differences(file: str, performances: Sequence[Performance]) -> list[Finding]:
    """Pairs of plays of one match on both interpreters."""
    found: list[Finding] = []
    for one in performances:
        if one.interpreter == INTERPRETERS[0]:
            pair = [
                p
                for p in performances
                if p.interpreter != one.interpreter and (p.match, p.fault) == (one.match, one.fault)
            ]
            found += [finding for other in pair for finding in compare(file, one, other)]
    return found


def _without_fault(file: str, performances: Sequence[Performance]) -> list[str]:
    """Interpreters on which no injected fault met anything to break: the protection is then unproven."""
    faulty = [p for p in performances if p.fault]
    fired = {p.interpreter for p in faulty if fault_fired(p)}
    return [
        f"{file}: {name}: no injected fault was met; the protection is unproven"
        for name in sorted({p.interpreter for p in faulty} - fired)
    ]


@dataclass(frozen=True)
class _Answer:
    performances: tuple[Performance, ...]
    problem: str = ""


def _stage(file: RehearsalFile, interpreter: str, matches: tuple[str, ...], timeout_s: float) -> _Answer:
    """Run the stage as a process; a process that does not come back in time is ended."""
    faults = ("", *FAULTS) if kind_of(file.source, ()) == "webhook" else ("",)
    probe = probe_for(file.source) if not all(compile_errors(file.source).values()) else b""
    job = Job(file.name, file.source, interpreter, matches, faults, probe)
    try:
        # A killed stage cannot tidy up, and what it plays may hold a webhook's URL.
        with own_folder(tempfile.gettempdir(), STAGE_PREFIX) as folder:
            done = subprocess.run(
                [sys.executable, "-m", "python_checks.lua.stage"],
                input=json.dumps(to_json(job)).encode(),
                capture_output=True,
                timeout=timeout_s,
                cwd=own_process.ROOT,
                env={**own_process.environment(), "TMPDIR": folder},
                check=False,
            )
    except subprocess.TimeoutExpired:
        return _Answer((), f"{interpreter}: not finished after {timeout_s:.0f} s; the process was ended")
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no message"]
        return _Answer((), f"{interpreter}: the stage ended with {done.returncode}: {last[0]}")
    return _Answer(tuple(performance(raw) for raw in from_json(json.loads(done.stdout))))
