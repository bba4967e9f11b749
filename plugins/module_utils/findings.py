"""What one record says to one check: is it sound enough to look at, and does it hold what the check requires? Pure.

judge.py describes checks, joins the findings of a check's hosts, and weighs the checks of a gate.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.slomix.timetracking.plugins.module_utils.conditions import (
    Missing,
    Outcome,
    ProbeError,
    evaluate,
    is_unknown,
    resolve,
)
from ansible_collections.slomix.timetracking.plugins.module_utils.samples import (
    Record,
    aged,
    drift,
    failed_step,
    names_of,
    overtaken,
    replanned,
    source,
    stands,
)

DEFAULT_UNIT = "r1r2_pair"
# Clocks of one machine do not run backwards by more than a correction of this size.
CLOCK_TOLERANCE_S = 60


@dataclass(frozen=True)
class Finding:
    """What one host's sample says: a verdict of judge.ORDER with its reason code; see CheckVerdict for the rest."""

    verdict: str
    code: str
    found: str
    required: str
    samples: int = 0
    excluded: Tuple[Tuple[str, str], ...] = ()
    advice: Tuple[str, ...] = ()
    seq: Optional[int] = None
    age_s: Optional[int] = None


def find(
    check: Mapping[str, Any],
    gate: Mapping[str, Any],
    record: Optional[Record],
    records: Sequence[Record],
    host: str,
    now: datetime,
    plans: Optional[Mapping[int, str]] = None,
) -> Finding:
    """Judge one host's newest ``record`` (None: there is none) for ``check`` of ``gate``; ``records`` is the ledger,
    ``plans`` the digest of each phase's plan and gate as they are now.

    Total: data or a gate of any shape gives a finding, at worst ``error``.
    """
    if record is None:
        return nothing(check, gate, records)
    try:
        age_s = int((now - datetime.fromisoformat(str(record.get("at")))).total_seconds())
        finding = _sound(check, record, records, host, age_s) or _decide(check, record)
        old, again = aged(check, gate, age_s), replanned(record, plans or {})
        if old and finding.verdict not in ("drift", "error", "fail"):
            # What failed stays failed however old it is: age alone must not make it something that can be waived.
            finding = replace(finding, verdict="expired", code="STALE", found=old, advice=(_again(check, record),))
        elif again and finding.verdict not in ("drift", "error", "fail"):
            todo = (
                f"run ansible-playbook playbooks/phase{record.get('phase')}.yml, which collects it under the new plan"
            )
            finding = replace(finding, verdict="expired", code="REPLANNED", found=again, advice=(todo,))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        return Finding("error", "PROBE_ERROR", str(error), required_of(check), seq=record.get("seq"))
    return replace(finding, seq=record.get("seq"), age_s=age_s)


def _sound(
    check: Mapping[str, Any], record: Record, records: Sequence[Record], host: str, age_s: int
) -> Optional[Finding]:
    """Reasons not to look into the sample at all, strongest first; None when it may be judged."""
    required = required_of(check)
    drifted = drift(check, records, host)
    if drifted:
        return Finding("drift", "DRIFT", drifted, "what runs is what was deployed", advice=_drift_advice(record))
    broken = failed_step(record, records)
    if broken:
        return Finding("error", "STEP_FAILED", broken, required, advice=(_mend(record),))
    if age_s < -CLOCK_TOLERANCE_S:
        return Finding(
            "error",
            "CLOCK_SKEW",
            f"the record lies {-age_s} s in the future",
            "the controller's clock",
            advice=("set the clock",),
        )
    result = record.get("result")
    if not isinstance(result, Mapping):
        return Finding(
            "error", "PROBE_ERROR", f"the recorded result is {result!r}", "a mapping", advice=(_again(check, record),)
        )
    if result.get("skipped") is True:
        return no_data(check, f"step {source(check)} was skipped", "NO_DATA")
    lacking = [name for name in names_of(check) if name not in (record.get("digests") or {})]
    if lacking:
        return no_data(check, f"the record does not say which {', '.join(lacking)} it is about", "NO_DIGEST")
    leg, later = overtaken(check, record, records, host)
    if leg == "revert":
        # What was led back is known not to hold, so unlike old evidence it cannot be waived.
        todo = f"run ansible-playbook playbooks/phase{record.get('phase')}.yml"
        return Finding("fail", "REVERTED", later, required, advice=(todo,))
    return Finding("expired", "STALE", later, required, advice=(_again(check, record),)) if later else None


def _drift_advice(record: Record) -> Tuple[str, str]:
    phase = record.get("phase")
    return (
        "somebody changed what runs outside of the rollout, and the file and both ways out are named by "
        f"ansible-playbook playbooks/phase{phase}.yml --check",
        f"after that run ansible-playbook playbooks/gate.yml -e phase={phase}",
    )


def _mend(record: Record) -> str:
    return f"mend the cause, then run ansible-playbook playbooks/phase{record.get('phase')}.yml"


def _again(check: Mapping[str, Any], record: Record) -> str:
    return f"collect {source(check)} again: ansible-playbook playbooks/gate.yml -e phase={record.get('phase')}"


def _decide(check: Mapping[str, Any], record: Record) -> Finding:
    result = record["result"]
    if not check.get("pass_if"):
        raise ProbeError("the check has no pass_if")
    if check.get("rows"):
        return _decide_rows(check, record, result)
    state, outcome = _decide_sample(check, result, result)
    if state == "unknown":
        return no_data(check, outcome.found, "NO_DATA")
    if state == "between":
        return Finding("inconclusive", "BETWEEN", outcome.found, required_of(check, outcome), 1)
    advice = _after_fail(check) if state == "fail" else ()
    return Finding(
        state, "" if state == "pass" else "MISSED", outcome.found, required_of(check, outcome), 1, advice=advice
    )


def _after_fail(check: Mapping[str, Any]) -> Tuple[str, ...]:
    """What settles nothing once it has failed needs another advice than what was merely not seen yet."""
    return (str(check["next_fail"]),) if check.get("next_fail") else ()


def _decide_sample(check: Mapping[str, Any], row: Any, root: Any) -> Tuple[str, Outcome]:
    """(pass | fail | between | unknown, the outcome that tells why) for one sample. A certain failure outweighs an
    unknown."""
    good = evaluate(check["pass_if"], row, root)
    bad = evaluate(check["fail_if"], row, root) if check.get("fail_if") else None
    if bad is not None and bad.holds is True:
        return "fail", Outcome(True, bad.found, good.required)
    if bad is None and good.holds is False:
        return "fail", good
    if good.holds is None:
        return "unknown", good
    if bad is not None and bad.holds is None:
        return "unknown", bad
    return ("pass" if good.holds else "between"), good


def _decide_rows(check: Mapping[str, Any], record: Record, result: Mapping[str, Any]) -> Finding:
    try:
        rows = resolve(str(check["rows"]), result, result)[0]
    except Missing as gap:
        return no_data(check, str(gap), "NO_DATA")
    if is_unknown(rows):
        return no_data(check, f"{check['rows']} is empty", "NO_DATA")
    if not isinstance(rows, (list, tuple)):
        raise ProbeError(f"{check['rows']} is no list: {rows!r}")
    counted: Dict[str, List[Tuple[str, Outcome]]] = {}
    excluded: List[Tuple[str, str]] = []
    advice: List[str] = []
    again = str(check.get("next", ""))
    for number, row in enumerate(rows):
        name = _identity(check, row, number)
        condition = _exclusion(check, record, row, result) or (None if name else {"code": "NO_IDENTITY"})
        if condition is None:
            counted.setdefault(name, []).append(_decide_sample(check, row, result))
        else:
            excluded.append((name or f"row {number}", str(condition["code"])))
            advice += [str(condition["next"])] if condition.get("next") else [str(condition.get("why") or ""), again]
    rank = ("pass", "between", "unknown", "fail")
    final = {name: max(found, key=lambda item: rank.index(item[0])) for name, found in counted.items()}
    advice.sort(key=lambda text: text == again)
    return _weigh_rows(check, final, excluded, [text for text in dict.fromkeys(advice) if text])


def _weigh_rows(
    check: Mapping[str, Any],
    final: Mapping[str, Tuple[str, Outcome]],
    excluded: List[Tuple[str, str]],
    advice: List[str],
) -> Finding:
    unit = str(check.get("sample_unit", DEFAULT_UNIT))
    needed = int(check.get("min_samples", 1))
    tally = Counter(state for state, _ in final.values())
    failed = [f"{name}: {outcome.found}" for name, (state, outcome) in final.items() if state == "fail"]
    unsure = [f"{name}: {outcome.found}" for name, (state, outcome) in final.items() if state in ("unknown", "between")]
    found = _count_sentence(unit, len(final), tally["pass"], excluded)
    missing = needed - tally["pass"]
    required = f"{needed} {unit} with: {required_of(check, next((outcome for _, outcome in final.values()), None))}"
    extra = tuple(excluded)
    if tally["fail"] > int(check.get("fail_limit", 0)):
        return Finding("fail", "MISSED", f"{found}; {failed[0]}", required, len(final), extra, _after_fail(check))
    if unsure:
        return _policy(check, Finding("inconclusive", "NO_DATA", f"{found}; {unsure[0]}", required, len(final), extra))
    if missing > 0:
        wanted = advice or [str(check.get("next", ""))]
        return _policy(
            check,
            Finding(
                "inconclusive",
                "TOO_FEW",
                found,
                required,
                len(final),
                extra,
                (*([f"{missing} more are needed ({unit})"] if missing > 1 else []), *wanted),
            ),
        )
    return Finding("pass", "", found, required, len(final), extra)


def _count_sentence(unit: str, counted: int, passed: int, excluded: Sequence[Tuple[str, str]]) -> str:
    codes = Counter(code for _, code in excluded)
    aside = (
        f", {len(excluded)} not counted ({', '.join(f'{code} x{times}' for code, times in sorted(codes.items()))})"
        if codes
        else ""
    )
    return f"{counted} {unit} counted, {passed} good{aside}"


def _identity(check: Mapping[str, Any], row: Any, number: int) -> str:
    """A row's name by its ``distinct`` fields; "" when one of them is unknown (it could be any row, so it is none)."""
    fields = check.get("distinct") or []
    if not isinstance(row, Mapping):
        raise ProbeError(f"row {number} is no mapping: {row!r}")
    if any(is_unknown(row.get(field)) for field in fields):
        return ""
    return " ".join(f"{field}={row[field]}" for field in fields)


def _exclusion(check: Mapping[str, Any], record: Record, row: Any, root: Any) -> Optional[Mapping[str, Any]]:
    """The first reason for which ``row`` is no sample, or None."""
    for condition in check.get("where") or []:
        holds = evaluate(condition, row, root).holds
        if holds is None:
            return {**condition, "code": f"{condition.get('code', 'EXCLUDED')}_UNKNOWN"}
        if not holds:
            return {**condition, "code": condition.get("code", "EXCLUDED")}
    settle = check.get("settle")
    if settle is not None:
        since = row.get(settle["field"])
        recorded = datetime.fromisoformat(str(record.get("at"))).timestamp()
        if is_unknown(since) or recorded - float(since) < float(settle["s"]):
            return {"code": "UNSETTLED", "next": f"wait {settle['s']} s after the round and collect it again"}
    return None


def nothing(check: Mapping[str, Any], gate: Mapping[str, Any], records: Sequence[Record] = ()) -> Finding:
    """The finding where the ledger holds no record for the check: the phase is to be run, or, where the acts that the
    sample comes ``after`` stand already, what the check itself asks for."""
    acts = [str(act) for act in check.get("after") or [] if str(act).endswith("/action")]
    done = bool(acts) and all(stands(act, records) for act in acts)
    todo = str(check.get("next", "")) if done else f"run ansible-playbook playbooks/phase{gate.get('phase')}.yml"
    return replace(no_data(check, f"nothing is recorded of step {source(check)}", "NO_DATA"), advice=(todo,))


def no_data(check: Mapping[str, Any], found: str, code: str) -> Finding:
    """The finding for a sample that says nothing, by the check's no_data policy."""
    return _policy(check, Finding("inconclusive", code, found, required_of(check)))


def _policy(check: Mapping[str, Any], finding: Finding) -> Finding:
    """Apply the check's no_data policy; pass is honoured only where the check does not decide anything."""
    policy = check.get("no_data", "inconclusive")
    if policy == "fail" or (policy == "pass" and check.get("severity") == "observe"):
        return replace(finding, verdict=policy)
    return finding


def required_of(check: Mapping[str, Any], outcome: Optional[Outcome] = None) -> str:
    """The sentence for what ``check`` requires: its own, else the one of ``outcome``, else generated from pass_if."""
    if check.get("required"):
        return str(check["required"])
    if outcome is not None:
        return outcome.required
    try:
        return evaluate(check["pass_if"], {}, {}).required
    except (ProbeError, KeyError, TypeError):
        return "a readable pass_if"
