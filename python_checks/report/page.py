"""The report as one HTML file: no script, no outside file, no font; a policy in the page itself forbids them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from python_checks.gates import text
from python_checks.report import drawing, shadow_page
from python_checks.report.markup import badge, shown
from python_checks.report.model import Phase, Report
from python_checks.report.style import STYLE

RECORDS_LISTED = 400
RECORDS_WHOLE = 120
_LONGEST_JSON = 4000
# Green is for verdicts only: that something was measured proves nothing yet.
_DOTS = (
    ("act", "action"),
    ("seen", "measured"),
    ("pass", "verdict pass"),
    ("inconclusive", "inconclusive"),
    ("fail", "failed"),
    ("drift", "reverted, drift"),
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def page(report: Report) -> str:
    """The whole file."""
    listed_after = len(report.records) - RECORDS_LISTED
    body = [
        _header(report),
        *(_phase(phase, report) for phase in report.phases),
        *(shadow_page.section(one, report.now, one.seq > listed_after) for one in report.shadow),
        _coverage(report),
        _timeline(report),
        _decisions(report),
        _records(report),
    ]
    made = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{shown(report.plan)}</title><style>{STYLE}</style></head>\n<body><main>\n"
        + "\n".join(part for part in body if part)
        + "\n</main></body></html>\n"
    )
    # Half of a surrogate pair, as a file name in no encoding leaves it, cannot be written.
    return made.encode("utf-8", "replace").decode("utf-8")


def _header(report: Report) -> str:
    built = [phase for phase in report.phases if phase.gate is not None]
    passed = sum(phase.gate is not None and phase.gate.verdict.verdict == "pass" for phase in built)
    if report.fault:
        chain = (
            f'<p class="alarm">The ledger is broken: {shown(report.fault)}. Every phase is blocked; '
            "only what stands before the break is shown.</p>"
        )
    elif report.records:
        chain = f"<p>Ledger intact: {len(report.records)} records, head <code>{shown(report.head[:16])}</code></p>"
    else:
        chain = "<p>Nothing is recorded yet.</p>"
    lock = f'<p class="alarm">{shown(report.lock)}</p>' if report.lock else ""
    return (
        f"<header><h1>{shown(report.plan)}</h1>"
        f"<p>Plan {shown(report.version)}. Written {report.now:%Y-%m-%d %H:%M} UTC from {shown(report.folder)}. "
        f"Ages and verdicts are of that moment.</p>"
        f'<p class="sum"><strong>{passed} of {len(built)}</strong> gates pass '
        f"({len(report.phases)} phases in the plan)</p>{chain}{lock}</header>"
    )


def _phase(phase: Phase, report: Report) -> str:
    needs = f" · after gate {', '.join(str(one) for one in phase.requires)}" if phase.requires else ""
    verdict = phase.gate.verdict.verdict if phase.gate else "-"
    head = f"<h2>Phase {phase.number}: {shown(phase.title)} {badge(verdict) if phase.built else ''}</h2>"
    rows = "".join(
        f'<li><span class="id">{shown(row.step)}</span><span class="what">{shown(row.title)}'
        + (f'<small class="next">next: {shown(row.next)}</small>' if row.next else "")
        + f'</span><span class="state">{shown(row.state) if phase.built else ""}</span>{badge(row.verdict) if phase.built else ""}'
        f'<span class="age">{shown(text.age(row.age_s)) if phase.built else ""}</span></li>'
        for row in phase.rows
    )
    about = "" if phase.built else " · not built yet"
    return (
        f'<section class="phase">{head}<p class="sub">{len(phase.rows) - bool(phase.gate)} steps{needs}{about}</p>'
        f'<ol class="steps">{rows}</ol>{_gate(phase)}</section>'
    )


def _gate(phase: Phase) -> str:
    if phase.gate is None:
        return ""
    facts, verdict = phase.gate, phase.gate.verdict
    tested = (
        f'<span class="alarm">It is unsound: {shown("; ".join(facts.blind))}</span>'
        if facts.blind
        else f"It was tried on {facts.mutants} planted faults just now, and named every one."
    )
    checks = "".join(_check(check) for check in verdict.as_dict()["checks"])
    lost = "" if verdict.checks else f"<p>{shown(verdict.found)}. Required: {shown(verdict.required)}.</p>"
    opened = " open" if verdict.verdict not in ("pass", "inconclusive") else ""
    return (
        f"<details{opened}><summary>Gate {phase.number}: {shown(verdict.asks)} {badge(verdict.verdict)}</summary>"
        f"<p>{tested}</p>{lost}<ul class='checks'>{checks}</ul></details>"
    )


def _check(check: Mapping[str, Any]) -> str:
    seen = ", ".join(f'<a href="#r{seq}">{seq}</a>' for seq in check["evidence"]) or "none"
    aside = " (observed only)" if check["severity"] == "observe" else ""
    lines = [("found", check["found"]), ("required", check["required"] if check["verdict"] != "pass" else "")]
    lines += [("next", check["next"]), *((code, row) for row, code in check["excluded"])]
    told = "".join(f"<dt>{shown(name)}</dt><dd>{shown(value)}</dd>" for name, value in lines if value)
    return (
        f"<li>{badge(check['verdict'])} <strong>{shown(check['asks'])}</strong>{aside}"
        f"<dl>{told}<dt>evidence</dt><dd>record {seen}, {shown(text.age(check['age_s']))} old</dd></dl></li>"
    )


def _coverage(report: Report) -> str:
    drawn = drawing.coverage_bars(report.coverage)
    if not drawn:
        return ""
    hidden = len(report.coverage) - 6
    more = f" The newest 6 of {len(report.coverage)} samples." if hidden > 0 else ""
    return (
        "<section><h2>Coverage</h2><p class='sub'>Played rounds that have Lua data, as recorded; bots and cancelled"
        f" rounds are not counted.{more}</p>{drawn}</section>"
    )


def _timeline(report: Report) -> str:
    drawn = drawing.timeline(report.records)
    if not drawn:
        return ""
    keys = "".join(f'<span><i class="v-{name}"></i>{label}</span>' for name, label in _DOTS)
    return f"<section><h2>Time</h2><p class='sub legend'>{keys}</p>{drawn}</section>"


def _decisions(report: Report) -> str:
    """Waivers and notes: what people decided rather than measured."""
    kept = [record for record in report.records if record.get("kind") in ("waiver", "note")]
    if not kept:
        return ""
    rows = "".join(
        f'<li><a href="#r{record["seq"]}">{record["seq"]}</a> {shown(str(record["at"])[:16].replace("T", " "))} '
        f"{shown(record.get('operator') or '')}: {shown(_decision(record))}</li>"
        for record in kept
    )
    return f"<section><h2>Waivers and notes</h2><ul>{rows}</ul></section>"


def _decision(record: Mapping[str, Any]) -> str:
    result = record.get("result")
    if not isinstance(result, Mapping):
        return "unreadable"
    if record.get("kind") == "note":
        return str(result.get("note"))
    return (
        f"gate {result.get('gate')} waived until {str(result.get('until'))[:16]}: {result.get('reason')}"
        f" (found: {result.get('found')})"
    )


def _records(report: Report) -> str:
    listed: Sequence[Mapping[str, Any]] = list(reversed(report.records))[:RECORDS_LISTED]
    if not listed:
        return ""
    lines = text.log_cells(listed)
    items = []
    for number, (record, cells) in enumerate(zip(listed, lines, strict=True)):
        seq, moment, who, what, ending = (shown(cell) for cell in cells)
        body = _body(record) if number < RECORDS_WHOLE else ""
        line = f'<span class="id">{seq}</span><span class="what">{what}<small>{moment} · {who}</small></span>'
        line += f'<span class="ending">{ending}</span>'
        items.append(
            f'<li id="r{seq}"><details><summary>{line}</summary>{body}</details></li>'
            if body
            else f'<li id="r{seq}"><div class="plain">{line}</div></li>'
        )
    left = len(report.records) - len(listed)
    more = f" The oldest {left} are only in the ledger." if left > 0 else ""
    return (
        f"<section><h2>Evidence</h2><p class='sub'>Newest first; a tap opens a record.{more} "
        f"`rollout evidence verify` proves the chain, `rollout evidence show SEQ` prints one.</p>"
        f'<ol class="records">{"".join(items)}</ol></section>'
    )


def _body(record: Mapping[str, Any]) -> str:
    told = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False)
    cut = f"\n… {len(told) - _LONGEST_JSON} more characters" if len(told) > _LONGEST_JSON else ""
    return f"<pre>{shown(told[:_LONGEST_JSON])}{shown(cut)}</pre>"
