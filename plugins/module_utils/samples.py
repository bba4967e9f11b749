"""Which record of the ledger a check looks at, and whether that record may still be believed. Pure; see judge.py."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

DEFAULT_TTL_D = 14
ACTS = ("action", "revert")

Record = Mapping[str, Any]


def source(check: Mapping[str, Any]) -> str:
    """The words for a check's sample: step, leg and the sample's name."""
    sample = check.get("sample") or {}
    name = f" ({sample['name']})" if sample.get("name") else ""
    return f"{sample.get('step')} {sample.get('leg')}{name}"


def names_of(check: Mapping[str, Any]) -> List[str]:
    """What the record of a check must carry under ``digests``: what was deployed, and what it was measured on."""
    return [*(check.get("digests") or []), *(check.get("measured_on") or [])]


def seq_of(record: Record) -> int:
    """The record's number in the ledger; 0 where it has none."""
    return int(record.get("seq") or 0)


def real_steps(records: Sequence[Record]) -> List[Record]:
    """Step records of real runs in the ledger's order; a check run's prediction is no evidence."""
    return sorted(
        (record for record in records if record.get("kind") == "step" and not record.get("check")), key=seq_of
    )


def newest_per_host(check: Mapping[str, Any], records: Sequence[Record]) -> Dict[str, Record]:
    """The newest record of the check's step, leg and name, by host."""
    sample = check.get("sample") or {}
    wanted = (str(sample.get("step")), sample.get("leg"), sample.get("name"))
    return {str(record.get("host")): record for record in real_steps(records) if _place(record) == wanted}


def failed_step(record: Record, records: Sequence[Record]) -> str:
    """A sentence if the sample, or a later leg of the same step on the same host, ended in failure."""
    newest = {_place(other): other for other in real_steps(records) if _same_step(other, record)}
    for other in newest.values():
        if _failed(other) and seq_of(other) >= seq_of(record):
            text = str(other["result"].get("msg") or "no message")
            return f"{other.get('step')} {other.get('leg')} failed (ledger line {other.get('seq')}): {text}"
    return ""


def aged(check: Mapping[str, Any], gate: Mapping[str, Any], age_s: int) -> str:
    """A sentence if the sample is older than the check (or its gate) allows."""
    ttl = timedelta(days=float(check.get("evidence_ttl_d", gate.get("evidence_ttl_d", DEFAULT_TTL_D))))
    if age_s <= ttl.total_seconds():
        return ""
    return f"the evidence is {age_s / 86400:.1f} d old, valid are {ttl.total_seconds() / 86400:g} d"


def replanned(record: Record, plans: Mapping[int, str]) -> str:
    """A sentence if the sample was collected under another plan or gate of its phase than the one in force.

    ``plans`` holds the digest of each phase as it is now; what it does not hold is not compared, nor is a record that
    was written without a plan (the key is absent).
    """
    phase = record.get("phase")
    if not isinstance(phase, int) or phase not in plans or "plan_sha256" not in record:
        return ""
    then = record["plan_sha256"]
    if then == plans[phase]:
        return ""
    return f"the plan or gate of phase {phase} was {str(then)[:12] if then else 'unreadable'} then, is {plans[phase][:12]} now"


def overtaken(check: Mapping[str, Any], record: Record, records: Sequence[Record], host: str) -> Tuple[str, str]:
    """(leg, sentence) if an act came after the sample; ("", sentence) if it is about another file than the one that runs.

    Two empty texts when the sample is still about what is there. Of several acts the newest tells.
    """
    named = {str(act) for act in check.get("after") or []}
    for other in reversed(real_steps(records)):
        act = f"{other.get('step')}/{other.get('leg')}"
        own = _same_step(other, record) and other.get("leg") in ACTS
        if seq_of(other) > seq_of(record) and (own or act in named) and _changed(other):
            text = (
                f"{act} changed {other.get('host')} after the evidence was collected (ledger line {other.get('seq')})"
            )
            return str(other.get("leg")), text
    for name in check.get("digests") or []:
        mine = str(record["digests"][name])
        for holder in _holders(name, records, host):
            seq, live = _newest_digest(name, records, holder) or (0, mine)
            if live != mine:
                return "", f"the evidence is about {name} {mine[:12]}, on {holder} is {live[:12]} (ledger line {seq})"
    for name in check.get("measured_on") or []:
        mine = str(record["digests"][name])
        seq, live = _newest_digest(name, records, host) or (0, mine)
        if live != mine:
            return "", f"the {name} of {host} is another one since ledger line {seq}: replaced, or restored from a copy"
    return "", ""


def drift(check: Mapping[str, Any], records: Sequence[Record], host: str) -> str:
    """A sentence if a file the check is about is not the one that the rollout deployed last."""
    for name in check.get("digests") or []:
        for holder in _holders(name, records, host):
            live = _newest_digest(name, records, holder)
            deployed = _newest_digest(name, records, holder, ACTS)
            if live and deployed and live[1] != deployed[1]:
                now, then = f"{live[1][:12]} (ledger line {live[0]})", f"{deployed[1][:12]} (line {deployed[0]})"
                return f"{name} on {holder} is {now}, deployed was {then}"
    return ""


def stands(act: str, records: Sequence[Record]) -> bool:
    """Whether ``act`` ("1.6/action") was carried out and not led back: the newest act of its step is this one, whole."""
    step = act.split("/")[0]
    acts = [record for record in real_steps(records) if record.get("step") == step and record.get("leg") in ACTS]
    return bool(acts) and acts[-1].get("leg") == "action" and not _failed(acts[-1])


def _place(record: Record) -> Tuple[str, Any, Any]:
    return str(record.get("step")), record.get("leg"), record.get("name")


def _same_step(one: Record, other: Record) -> bool:
    return (str(one.get("step")), one.get("host")) == (str(other.get("step")), other.get("host"))


def _failed(record: Record) -> bool:
    result = record.get("result")
    return isinstance(result, Mapping) and bool(result.get("failed") or result.get("unreachable"))


def _changed(record: Record) -> bool:
    """Whether an act changed its host; one that does not say counts as a change."""
    result = record.get("result")
    return not isinstance(result, Mapping) or bool(result.get("changed", True))


def _holders(name: str, records: Sequence[Record], host: str) -> List[str]:
    """Hosts whose ``name`` a sample of ``host`` is about: the host itself if it was deployed to, else all that were."""
    acts = [record for record in real_steps(records) if record.get("leg") in ACTS]
    deployed = sorted({str(record.get("host")) for record in acts if name in (record.get("digests") or {})})
    return [host] if host in deployed or not deployed else deployed


def _newest_digest(
    name: str, records: Sequence[Record], host: str, legs: Optional[Tuple[str, ...]] = None
) -> Optional[Tuple[int, str]]:
    """(seq, digest) of the newest record of ``host`` that carries ``name``, of any leg or of ``legs`` only."""
    for record in reversed(real_steps(records)):
        digests = record.get("digests") or {}
        if record.get("host") == host and name in digests and (legs is None or record.get("leg") in legs):
            return seq_of(record), str(digests[name])
    return None
