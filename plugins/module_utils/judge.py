"""The judge: one pure function from a gate and the ledger's records to a verdict; it reads no clock, file or host.

GATE FILE (playbooks/plan/gates/<gate>.yml), defaults in parentheses::

    gate: phase1                 # equal to the file's name; what rollout_gate and plan.yml call it
    phase: 1
    asks: Do second rounds reach the database again?
    evidence_ttl_d: 14           # (14) older evidence must be collected again; at most 30
    checks:
      - id: 1.7/pair             # unique; what stands before the slash is the step that `rollout status` shows it at
        asks: Is there one complete pair played after the load?
        severity: critical       # (critical) or observe: shown, never decides
        sample:                  # whose record is judged: the newest one of each host
          step: "1.7"
          leg: verify
          name: pairs            # only if rollout_record was given this name
          group: stats_hosts     # (none) then every host of this inventory group must have a record
        digests: [webhook_lua]   # ([]) names that the record must carry; see DIGESTS
        measured_on: [database]  # ([]) likewise; the sample counts only while its host shows the same one, see DIGESTS
        after: [1.6/action]      # ([]) the sample must be newer than what these legs last changed

        # Without rows, pass_if is judged once, on the recorded result itself. With rows, on each row of a list in it:
        rows: pairs              # path of the list; conditions see one row, and the whole result under $.
        distinct: [r1_id, r2_id] # needed with rows: what identifies one; the same one twice counts once, as the worse
        where:                   # ([]) a row is a sample only if all of these hold; else it is listed under the code
          - {path: r1_start_unix, op: gt, than: $.loaded_unix, code: BEFORE_LOAD, next: play a new pair}
          - {path: r2_fractional, op: eq, value: true, code: INTEGRAL_LIMIT, why: R1 took its whole time}
          # next: what settles it where that is not the check's own next; why: the reason, in front of the check's next
        min_samples: 1           # (1) good ones that are needed, after exclusions
        sample_unit: r1r2_pair   # (r1r2_pair) what a row is called in messages
        fail_limit: 0            # (0) counted rows that may miss pass_if; more only with fail_limit_reason
        settle: {field: captured_unix, s: 120}  # (none) a row younger than this when recorded is UNSETTLED

        # The decision; the language of conditions is described in conditions.py.
        pass_if: {all: [{path: r1_links, op: eq, value: 1}, {path: r2_links, op: eq, value: 1}]}
        fail_if: {path: r2_links, op: eq, value: 0}  # (not pass_if) with it, what is neither is inconclusive
        no_data: inconclusive    # (inconclusive) or fail, with no_data_reason; pass only where severity is observe
        required: both rows are linked one to one    # (generated from pass_if) one sentence
        next: play one R1 and R2 on the same map     # needed: what would settle it; commands whole, to be copied

        # The proof that the check can pass, and that it can fail.
        good:                    # needed: a result that passes
          loaded_unix: 100
          pairs: [{r1_id: 1, r2_id: 2, r1_start_unix: 110, r2_fractional: true, r1_links: 1, r2_links: 1}]
        mutants:                 # needed, one of them with expect: fail; each changes `good`
          - {name: R2 has no Lua row, set: {"pairs[0].r2_links": 0}, expect: fail}
          - {name: the limit is whole, set: {"pairs[0].r2_fractional": false}, expect: inconclusive}
          - {name: the field is gone, drop: ["pairs[0].r2_links"], expect: inconclusive}
          - {name: too old, age_d: 15, expect: expired}
          - {name: another file runs, digests: {webhook_lua: "00"}, expect: drift}
          - {name: the database was restored, measured_on: {database: "00"}, expect: expired}
          # also: result (in place of good), absent: true (no record at all)

RECORDS are the ledger's lines (ledger.py): a sample is the newest record of kind ``step`` with that step, leg and
name, one per host. Records of check runs are not seen. ``result.failed``/``unreachable`` is an error (a newer failing
record beats an older passing one), ``skipped`` is no data. An action that changed something, recorded later for the
same step and host (or named in ``after``), voids the sample: it must be collected again. A later revert makes it a
``fail``.

DIGESTS: records carry ``digests: {name: hex}``, what runs on their host. If on a host the newest record with a name
differs from the newest *action or revert* record with it, somebody else changed the host: ``drift``. If the sample
names another digest than the newest, it proves an older file: ``expired``. A sample of a host that was never deployed
to (a database host that judges rounds of a game host) is held against all hosts that were. What a sample was
``measured_on`` nobody deploys: if a newer record of its host names another one, the sample is ``expired``.

VERDICTS, weakest authority last: broken (ledger) > drift > error > fail > expired > inconclusive > waived > pass.
Only pass (or a recorded, unexpired waiver of what is merely inconclusive or expired) opens. A check with no sample,
no rows or an unknown value is inconclusive, never pass.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Dict, Iterable, Mapping, Optional, Sequence, Tuple

from ansible_collections.slomix.timetracking.plugins.module_utils.findings import Finding, find, nothing, required_of
from ansible_collections.slomix.timetracking.plugins.module_utils.samples import (
    Record,
    newest_per_host,
    seq_of,
)

ORDER = ("pass", "waived", "inconclusive", "expired", "fail", "error", "drift", "broken")
EXIT_CODES: Mapping[str, int] = {
    "pass": 0,
    "fail": 1,
    "error": 2,
    "inconclusive": 3,
    "expired": 3,
    "drift": 4,
    "broken": 4,
    "waived": 5,
}
WAIVABLE = ("inconclusive", "expired")
OPENS = ("pass", "waived")


@dataclass(frozen=True)
class CheckVerdict:
    """What one check of a gate says on the evidence: what was found, what was required, what to do next."""

    id: str
    asks: str
    verdict: str
    severity: str
    code: str
    found: str
    required: str
    next: str
    samples: int
    excluded: Tuple[Tuple[str, str], ...]
    """(row identity, code) of each row that did not count."""
    evidence: Tuple[int, ...]
    """seq of the ledger's records that were looked at."""
    age_s: Optional[int]
    """Age of the oldest of them in seconds; None without evidence."""


@dataclass(frozen=True)
class GateVerdict:
    """The verdict of a gate: the worst of its critical checks."""

    gate: str
    phase: Optional[int]
    asks: str
    verdict: str
    exit_code: int
    checks: Tuple[CheckVerdict, ...]
    found: str
    required: str
    next: str
    at: str

    def as_dict(self) -> Dict[str, Any]:
        """Plain data for the ledger and for Ansible."""
        return asdict(self)


def worst(verdicts: Iterable[str]) -> str:
    """The verdict with the most authority; of nothing it is ``inconclusive`` (an empty set proves nothing)."""
    seen = list(verdicts)
    return max(seen, key=ORDER.index) if seen else "inconclusive"


def judge(
    gate: Mapping[str, Any],
    records: Sequence[Record],
    *,
    now: datetime,
    hosts: Optional[Mapping[str, Sequence[str]]] = None,
    ledger_fault: str = "",
    plans: Optional[Mapping[int, str]] = None,
) -> GateVerdict:
    """Judge ``gate`` on ``records`` at ``now`` (aware datetime). Total: a malformed gate or record gives ``error``,
    never an exception.

    ``hosts`` maps inventory groups to host names: a check whose sample names a ``group`` needs a record of each host
    in it (and only those). ``ledger_fault`` is what ledger.verify found; anything but "" makes the verdict
    ``broken``, whatever the records say. ``plans`` holds the digest of each phase as it is planned now: a sample that
    was collected under another is ``expired`` (None: not compared).
    """
    checks = [_judge_check(check, gate, records, now, hosts or {}, plans or {}) for check in gate.get("checks") or []]
    checks = [_waive(check, str(gate.get("gate")), records, now) for check in checks]
    critical = [check for check in checks if check.severity == "critical"]
    if ledger_fault:
        verdict, found, required, advice = (
            "broken",
            ledger_fault,
            "an unbroken evidence ledger",
            "run: rollout evidence verify",
        )
    elif not critical:
        verdict, found = "error", f"the gate has {len(checks)} checks and none of them is critical"
        required, advice = "at least one critical check", "add one to the gate's file; observe-only gates prove nothing"
    else:
        verdict = worst(check.verdict for check in critical)
        deciding = [check for check in critical if check.verdict == verdict]
        found = "; ".join(f"{check.id}: {check.found}" for check in deciding)
        required = "; ".join(f"{check.id}: {check.required}" for check in deciding)
        sentences = [part for check in deciding for part in check.next.split("; ") if part]
        advice = "" if verdict == "pass" else "; ".join(dict.fromkeys(sentences))
    return GateVerdict(
        gate=str(gate.get("gate")),
        phase=gate.get("phase"),
        asks=str(gate.get("asks", "")),
        verdict=verdict,
        exit_code=EXIT_CODES[verdict],
        checks=tuple(checks),
        found=found,
        required=required,
        next=advice,
        at=now.isoformat(timespec="milliseconds"),
    )


def _judge_check(
    check: Mapping[str, Any],
    gate: Mapping[str, Any],
    records: Sequence[Record],
    now: datetime,
    hosts: Mapping[str, Sequence[str]],
    plans: Mapping[int, str],
) -> CheckVerdict:
    newest = newest_per_host(check, records)
    group = str((check.get("sample") or {}).get("group") or "")
    expected = list(hosts[group]) if group in hosts else sorted(newest)
    findings = {host: find(check, gate, newest.get(host), records, host, now, plans) for host in expected}
    if group and hosts and group not in hosts:
        # Falling back to whatever was recorded would make a misspelt group a weaker gate.
        lost = f"the inventory has no group {group}"
        findings = {"": Finding("error", "NO_GROUP", lost, required_of(check), advice=("name the group as it is",))}
    if not findings:
        findings = {"": nothing(check, gate, records)}
    verdict = worst(finding.verdict for finding in findings.values())
    deciding = {host: finding for host, finding in findings.items() if finding.verdict == verdict}
    named = len(findings) > 1
    ages = [finding.age_s for finding in findings.values() if finding.age_s is not None]
    advice = [text for finding in deciding.values() for text in finding.advice] or [str(check.get("next", ""))]
    return CheckVerdict(
        id=str(check.get("id")),
        asks=str(check.get("asks", "")),
        verdict=verdict,
        severity="observe" if check.get("severity") == "observe" else "critical",
        code=next(iter(deciding.values())).code,
        found="; ".join(f"{host}: {finding.found}" if named else finding.found for host, finding in deciding.items()),
        required="; ".join(dict.fromkeys(finding.required for finding in deciding.values())),
        next="" if verdict == "pass" else "; ".join(dict.fromkeys(advice)),
        samples=sum(finding.samples for finding in findings.values()),
        excluded=tuple(row for finding in findings.values() for row in finding.excluded),
        evidence=tuple(sorted(finding.seq for finding in findings.values() if finding.seq is not None)),
        age_s=max(ages) if ages else None,
    )


def _waive(check: CheckVerdict, gate: str, records: Sequence[Record], now: datetime) -> CheckVerdict:
    """A recorded waiver of the gate turns what is merely inconclusive or expired into ``waived``, until it expires."""
    if check.verdict not in WAIVABLE:
        return check
    for record in sorted(records, key=seq_of, reverse=True):
        waiver = record.get("result")
        if (
            record.get("kind") != "waiver"
            or record.get("check")
            or not isinstance(waiver, Mapping)
            or waiver.get("gate") != gate
        ):
            continue
        try:
            until = datetime.fromisoformat(str(waiver.get("until")))
            valid = until > now and bool(str(waiver.get("reason") or "").strip())
        except (ValueError, TypeError):
            valid = False
        if valid:
            terms = f"until {until.isoformat(timespec='minutes')} by {record.get('operator')}: {waiver.get('reason')}"
            return replace(check, verdict="waived", found=f"{check.found}; waived {terms}")
    return check
