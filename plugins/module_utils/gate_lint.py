"""Is a gate worth trusting? Lint of a gate's file and the run of its mutants: a check that cannot fail proves
nothing.

The schema is described in judge.py. Both functions are pure and return sentences; an empty list means sound.
"""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.slomix.timetracking.plugins.module_utils.conditions import Missing, ProbeError, parse_path
from ansible_collections.slomix.timetracking.plugins.module_utils.conditions import problems as condition_problems
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import ORDER, judge
from ansible_collections.slomix.timetracking.plugins.module_utils.samples import DEFAULT_TTL_D, names_of

GATE_KEYS = frozenset({"gate", "phase", "asks", "evidence_ttl_d", "checks"})
CHECK_KEYS = frozenset(
    {
        "id",
        "asks",
        "severity",
        "sample",
        "digests",
        "measured_on",
        "after",
        "rows",
        "distinct",
        "where",
        "min_samples",
        "sample_unit",
        "fail_limit",
        "fail_limit_reason",
        "settle",
        "pass_if",
        "fail_if",
        "no_data",
        "no_data_reason",
        "required",
        "next",
        "next_fail",
        "good",
        "mutants",
        "evidence_ttl_d",
    }
)
SAMPLE_KEYS = frozenset({"step", "leg", "name", "group"})
MUTANT_KEYS = frozenset({"name", "set", "drop", "result", "age_d", "digests", "measured_on", "absent", "expect"})
MUTANT_VERDICTS = ("inconclusive", "expired", "fail", "error", "drift")
MAX_TTL_D = 30
_NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
_SOUND_DIGEST = "d" * 64


def lint_gate(gate: Any) -> List[str]:
    """Everything that makes ``gate`` (a loaded gate file) unfit to judge with, as sentences."""
    if not isinstance(gate, Mapping):
        return ["a gate is a mapping with gate, phase, asks and checks"]
    name = str(gate.get("gate", "?"))
    found = [f"{name}: unknown keys {sorted(set(gate) - GATE_KEYS)}"] if set(gate) - GATE_KEYS else []
    found += [f"{name}: {key} is missing" for key in ("gate", "phase", "asks") if gate.get(key) in (None, "")]
    checks = gate.get("checks")
    if not isinstance(checks, list) or not checks or not all(isinstance(check, Mapping) for check in checks):
        return [*found, f"{name}: checks is a list of at least one check"]
    if all(check.get("severity") == "observe" for check in checks):
        found.append(f"{name}: every check is observe-only, so the gate can never refuse; make one critical")
    ids = [str(check.get("id")) for check in checks]
    found += [f"{name}: the id {twice} is used twice" for twice in sorted({one for one in ids if ids.count(one) > 1})]
    found += _ttl_problems(gate, name)
    for check in checks:
        found += _check_problems(check, f"{name} {check.get('id', '?')}")
    return found


def _check_problems(check: Mapping[str, Any], label: str) -> List[str]:
    found = [f"{label}: unknown keys {sorted(set(check) - CHECK_KEYS)}"] if set(check) - CHECK_KEYS else []
    found += [f"{label}: {key} is missing" for key in ("id", "asks", "next") if not check.get(key)]
    if not check.get("pass_if"):
        found.append(f"{label}: pass_if is missing; a check without it would pass always")
    if check.get("severity", "critical") not in ("critical", "observe"):
        found.append(f"{label}: severity is critical or observe, found {check['severity']!r}")
    for key in ("pass_if", "fail_if"):
        if check.get(key):
            found += condition_problems(check[key], f"{label} {key}")
    return [
        *found,
        *_sample_problems(check, label),
        *_rows_problems(check, label),
        *_policy_problems(check, label),
        *_ttl_problems(check, label),
        *_mutant_problems(check, label),
    ]


def _sample_problems(check: Mapping[str, Any], label: str) -> List[str]:
    sample = check.get("sample")
    if not isinstance(sample, Mapping):
        return [f"{label}: sample names the step and the leg whose record is judged"]
    found = (
        [f"{label}: sample has unknown keys {sorted(set(sample) - SAMPLE_KEYS)}"] if set(sample) - SAMPLE_KEYS else []
    )
    if not isinstance(sample.get("step"), str):
        found.append(f'{label}: sample.step is a quoted text such as "0.1", found {sample.get("step")!r}')
    if sample.get("leg") not in ("action", "verify", "revert"):
        found.append(f"{label}: sample.leg is action, verify or revert, found {sample.get('leg')!r}")
    for act in check.get("after") or []:
        if not isinstance(act, str) or act.split("/")[-1] not in ("action", "revert") or "/" not in act:
            found.append(f'{label}: after takes texts such as "1.6/action", found {act!r}')
    return found


def _rows_problems(check: Mapping[str, Any], label: str) -> List[str]:
    if not check.get("rows"):
        only = [
            key for key in ("distinct", "where", "min_samples", "sample_unit", "fail_limit", "settle") if key in check
        ]
        return [f"{label}: {', '.join(only)} make sense only with rows"] if only else []
    found = []
    try:
        parse_path(str(check["rows"]))
    except ProbeError as error:
        found.append(f"{label} rows: {error}")
    if not check.get("distinct"):
        found.append(f"{label}: rows needs distinct, else one row read twice counts as two samples")
    for number, condition in enumerate(check.get("where") or []):
        found += condition_problems(condition, f"{label} where[{number}]")
        if isinstance(condition, Mapping) and not condition.get("code"):
            found.append(f"{label} where[{number}]: code is missing; an excluded row is listed under it")
    least = check.get("min_samples", 1)
    if isinstance(least, bool) or not isinstance(least, int) or least < 1:
        found.append(f"{label}: min_samples is a whole number from 1, found {least!r}")
    limit = check.get("fail_limit", 0)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        found.append(f"{label}: fail_limit is a whole number from 0, found {limit!r}")
    elif limit > 0 and not check.get("fail_limit_reason"):
        found.append(f"{label}: fail_limit above 0 needs fail_limit_reason")
    settle = check.get("settle")
    if settle is not None and not (isinstance(settle, Mapping) and settle.get("field") and "s" in settle):
        found.append(f"{label}: settle takes field (unix seconds in the row) and s, found {settle!r}")
    return found


def _policy_problems(check: Mapping[str, Any], label: str) -> List[str]:
    policy = check.get("no_data", "inconclusive")
    if policy not in ("inconclusive", "fail", "pass"):
        return [f"{label}: no_data is inconclusive, fail or pass, found {policy!r}"]
    found = []
    if policy != "inconclusive" and not check.get("no_data_reason"):
        found.append(f"{label}: no_data {policy} needs no_data_reason")
    if policy == "pass" and check.get("severity", "critical") == "critical":
        found.append(f"{label}: a critical check cannot pass on no data")
    return found


def _ttl_problems(item: Mapping[str, Any], label: str) -> List[str]:
    days = item.get("evidence_ttl_d", DEFAULT_TTL_D)
    if isinstance(days, bool) or not isinstance(days, (int, float)) or not 0 < days <= MAX_TTL_D:
        return [f"{label}: evidence_ttl_d is above 0 and at most {MAX_TTL_D} days, found {days!r}"]
    return []


def _mutant_problems(check: Mapping[str, Any], label: str) -> List[str]:
    found = []
    if not isinstance(check.get("good"), Mapping):
        found.append(f"{label}: good is missing; a check that cannot pass is a defect as well")
    mutants = check.get("mutants")
    if not isinstance(mutants, list) or not mutants:
        return [*found, f"{label}: a check needs at least one mutant that it must catch"]
    for number, mutant in enumerate(mutants):
        if not isinstance(mutant, Mapping) or set(mutant) - MUTANT_KEYS or not mutant.get("name"):
            found.append(f"{label} mutants[{number}]: a mutant has a name and of {sorted(MUTANT_KEYS)} what it changes")
        elif mutant.get("expect") not in MUTANT_VERDICTS:
            found.append(f"{label} mutant {mutant['name']}: expect is one of {', '.join(MUTANT_VERDICTS)}")
    if not any(isinstance(mutant, Mapping) and mutant.get("expect") == "fail" for mutant in mutants):
        found.append(f"{label}: no mutant is expected to fail; show one defect that the check refuses")
    return found


def run_mutants(gate: Mapping[str, Any]) -> List[str]:
    """Judge each check of a linted gate on its good sample, on nothing, on an empty result and on each mutant; the
    surprises as sentences."""
    return [text for check in gate.get("checks") or [] for text in _run_check(gate, check)]


def _run_check(gate: Mapping[str, Any], check: Mapping[str, Any]) -> List[str]:
    label = f"{gate.get('gate')} {check.get('id')}"
    found = []
    good = _verdict(gate, check, check["good"], {})
    if good.verdict != "pass":
        found.append(f"{label}: the good sample gives {good.verdict} ({good.found}), required is pass")
    for name, verdict in (
        ("no record", _verdict(gate, check, None, {})),
        ("an empty result", _verdict(gate, check, {}, {})),
    ):
        if ORDER.index(verdict.verdict) < ORDER.index("inconclusive"):
            found.append(f"{label}: {name} gives {verdict.verdict}; no data must never open a gate")
    for mutant in check["mutants"]:
        try:
            result = None if mutant.get("absent") else mutate(check["good"], mutant)
        except (Missing, ProbeError) as error:
            found.append(f"{label}: the mutant {mutant['name']!r} changes nothing: {error}")
            continue
        verdict = _verdict(gate, check, result, mutant)
        if verdict.verdict != mutant["expect"]:
            given = f"gives {verdict.verdict} ({verdict.found})"
            found.append(f"{label}: the mutant {mutant['name']!r} {given}, required is {mutant['expect']}")
    return found


def _verdict(
    gate: Mapping[str, Any], check: Mapping[str, Any], result: Optional[Any], mutant: Mapping[str, Any]
) -> Any:
    """The one check's verdict on a made record, as if it were critical and alone in the gate."""
    sample = check["sample"]
    at = _NOW - timedelta(days=float(mutant.get("age_d", 0)))
    names = names_of(check)
    common = {"kind": "step", "check": False, "host": "a-host", "phase": gate.get("phase")}
    deployed = {
        **common,
        "seq": 1,
        "at": at.isoformat(),
        "step": "deployed",
        "leg": "action",
        "result": {"changed": True},
        "digests": {name: _SOUND_DIGEST for name in check.get("digests") or []},
    }
    record = {
        **common,
        "seq": 2,
        "at": at.isoformat(),
        "step": sample["step"],
        "leg": sample["leg"],
        "name": sample.get("name"),
        "result": result,
        "digests": {**{name: _SOUND_DIGEST for name in names}, **(mutant.get("digests") or {})},
    }
    later = {**record, "seq": 3, "step": "later", "result": {}, "digests": mutant.get("measured_on") or {}}
    alone = {**gate, "checks": [{**check, "severity": "critical"}]}
    return judge(alone, [deployed] if result is None else [deployed, record, later], now=_NOW)


def mutate(good: Mapping[str, Any], mutant: Mapping[str, Any]) -> Any:
    """``good`` changed as ``mutant`` says: ``result`` in its place, then ``set`` and ``drop`` by path. Raises Missing
    for a path not in it."""
    result: Dict[str, Any] = copy.deepcopy(dict(mutant.get("result", good)))
    for path, value in (mutant.get("set") or {}).items():
        holder, key = _place(result, str(path), must_exist=False)
        holder[key] = copy.deepcopy(value)
    for path in mutant.get("drop") or []:
        holder, key = _place(result, str(path), must_exist=True)
        del holder[key]
    return result


def _place(result: Any, path: str, must_exist: bool) -> Any:
    steps = parse_path(path)[1]
    holder = result
    for number, step in enumerate(steps):
        key: Any = int(step[1:-1]) if step.startswith("[") else step
        last = number == len(steps) - 1
        present = key in holder if isinstance(holder, dict) else isinstance(key, int) and key < len(holder)
        if last and (present or (isinstance(holder, dict) and not must_exist)):
            return holder, key
        if not present:
            raise Missing(f"{path}: there is no {step}")
        holder = holder[key]
    raise Missing(f"{path} names nothing")
