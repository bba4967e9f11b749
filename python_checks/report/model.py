"""What a report says, collected from plan, gates and ledger. No HTML here; everything is redacted once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils import ledger
from ansible_collections.slomix.timetracking.plugins.module_utils.gate_lint import lint_gate, run_mutants
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import GateVerdict
from ansible_collections.slomix.timetracking.plugins.module_utils.plain import redact

from python_checks.gates import files
from python_checks.gates.evaluate import judge_gate
from python_checks.gates.evidence import fault
from python_checks.gates.locking import standing
from python_checks.gates.status import Row, status
from python_checks.report.shadow_model import Comparison, comparisons

Record = Mapping[str, Any]


@dataclass(frozen=True)
class GateFacts:
    """A gate judged now, and how its own test went: ``mutants`` planted faults, ``blind`` sentences on what it misses."""

    verdict: GateVerdict
    mutants: int
    blind: tuple[str, ...]


@dataclass(frozen=True)
class Phase:
    """One phase of the plan with its rows of the status screen (the last one is its gate's, if it is built)."""

    number: int
    title: str
    built: bool
    requires: tuple[int, ...]
    rows: tuple[Row, ...]
    gate: GateFacts | None


@dataclass(frozen=True)
class Bar:
    """Rounds of one half in one sample: ``with_lua`` of ``total`` (played ones, without bots and cancelled ones)."""

    half: str
    with_lua: int
    total: int


@dataclass(frozen=True)
class Coverage:
    """One recorded sample of the coverage of both halves."""

    seq: int
    at: datetime
    host: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Report:
    """Everything the page shows. ``fault`` is "" for an intact ledger, ``lock`` is "" when nobody acts."""

    plan: str
    version: str
    folder: str
    now: datetime
    fault: str
    head: str
    lock: str
    phases: tuple[Phase, ...]
    coverage: tuple[Coverage, ...]
    records: tuple[Record, ...]
    shadow: tuple[Comparison, ...] = ()


def collect(folder: Path, now: datetime, plan_dir: Path = files.PLAN_DIR) -> Report:
    """The report on the ledger in ``folder`` at ``now`` (aware). Of a broken ledger it shows what stands before the
    break, and says so. Raises files.PlanError."""
    plan = files.load_plan(plan_dir)
    gates = {name: files.load_gate(name, plan_dir) for name in files.gate_names(plan_dir)}
    broken = fault(folder)
    records = [redact(record) for record in ledger.read(str(folder))]
    rows = status(plan, gates, records, now=now, ledger_fault=broken)
    phases = []
    for item in plan["phases"]:
        names = {str(step["id"]) for step in item["steps"]} | {f"gate {item['phase']}"}
        built = item["state"] == "built"
        phases.append(
            Phase(
                number=item["phase"],
                title=item["title"],
                built=built,
                requires=tuple(item["requires"]),
                rows=tuple(row for row in rows if row.step in names),
                gate=_gate(item["gate"], gates, records, now, broken, plan_dir) if built else None,
            )
        )
    return Report(
        plan=str(plan["plan"]),
        version=str(plan["version"]),
        folder=str(folder),
        now=now,
        fault=broken,
        head=str(records[-1]["hash"]) if records else "",
        lock=standing(folder),
        phases=tuple(phases),
        coverage=coverage(records),
        records=tuple(records),
        shadow=comparisons(records, folder),
    )


def _gate(
    name: str,
    gates: Mapping[str, Mapping[str, Any]],
    records: Sequence[Record],
    now: datetime,
    broken: str,
    plan_dir: Path,
) -> GateFacts:
    gate = gates.get(name) or {}
    verdict = judge_gate(name, records, now=now, ledger_fault=broken, folder=plan_dir)
    blind = lint_gate(gate) or run_mutants(gate)
    return GateFacts(verdict, sum(len(check.get("mutants") or []) for check in gate.get("checks") or []), tuple(blind))


def coverage(records: Sequence[Record]) -> tuple[Coverage, ...]:
    """Recorded samples that count rounds with and without Lua data by round number, oldest first; found by that shape.

    A sample in which a count is missing or is no whole number is left out: a bar of it would be made up.
    """
    found = []
    for record in records:
        result = record.get("result")
        rows = result.get("rows") if isinstance(result, Mapping) else None
        if record.get("kind") != "step" or not isinstance(rows, list):
            continue
        bars = [_bar(row) for row in rows if isinstance(row, Mapping) and row.get("round_number") in (1, 2)]
        if bars and all(bars):
            moment = datetime.fromisoformat(str(record["at"]))
            found.append(Coverage(record["seq"], moment, str(record.get("host")), tuple(bar for bar in bars if bar)))
    return tuple(found)


def _bar(row: Mapping[str, Any]) -> Bar | None:
    counts = [row.get("with_lua"), row.get("without_lua")]
    if any(isinstance(count, bool) or not isinstance(count, int) or count < 0 for count in counts):
        return None
    return Bar(f"R{row['round_number']}", int(counts[0] or 0), int(counts[0] or 0) + int(counts[1] or 0))
