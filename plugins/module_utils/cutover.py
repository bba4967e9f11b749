"""Phase 5's decision: whether the evidence and the deployed bot allow it, which setting carries it, and what is shown then.

Pure. ``shadow`` is the report of the comparison (python_checks/shadow): ``exit_code`` 0 means that NEW may be shown alone.
``probe`` is what the bot's source says (timing_probe.py).
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from ansible_collections.slomix.timetracking.plugins.module_utils import timing_probe

CUTOVER = "cutover"
KEEP_DUAL = "keep_dual"
DECISIONS = (CUTOVER, KEEP_DUAL)
_KEEP = "-e decision=keep_dual shows both side by side and is always right"
_CODEMOD = "-e decision=cutover -e cutover_new_only=true first gives the bot a display of the new timing behind a setting of its own"


def decide(
    decision: Any, probe: Mapping[str, Any], shadow: Mapping[str, Any], new_only: bool = False
) -> Dict[str, Any]:
    """``{decision, accepted, key, value, codemod, refusal, offers, shadow_verdict, shows_when_false}``.

    ``codemod``: the bot must get its NEW-only display first. Only a report that says so opens a cutover: no report, an
    inconclusive or a failed one does not.
    """
    answer: Dict[str, Any] = {
        "decision": decision,
        "accepted": False,
        "key": None,
        "value": None,
        "codemod": False,
        "refusal": "",
        "offers": [],
        "shadow_verdict": shadow.get("verdict") or "no report",
        "shows_when_false": probe.get("shows_when_false") or timing_probe.UNKNOWN,
    }
    if decision not in DECISIONS:
        return _refused(
            answer, f"found: decision {decision!r}; required: {' or '.join(DECISIONS)}", [_KEEP, "-e decision=cutover"]
        )
    if decision == KEEP_DUAL:
        if probe.get("shows_when_true") != "both":
            text = f"found: the bot shows {probe.get('shows_when_true') or 'unknown'} where {timing_probe.DUAL_KEY} is true"
            return _refused(answer, f"{text} ({probe.get('reason')}); required: both", ["look at the bot's display"])
        return {**answer, "accepted": True, "key": timing_probe.DUAL_KEY, "value": "true"}
    if shadow.get("exit_code") != 0 or isinstance(shadow.get("exit_code"), bool):
        codes = "; ".join(f"{code}: {text}" for code, text in (shadow.get("codes") or {}).items())
        return _refused(
            answer,
            f"found: the comparison says {answer['shadow_verdict']} ({shadow.get('decision') or 'nothing was compared'}"
            f"{'; ' + codes if codes else ''}); required: evidence that NEW may be shown alone",
            [_KEEP],
        )
    way: Optional[Mapping[str, str]] = probe.get("way")
    if way:
        return {**answer, "accepted": True, "key": way["key"], "value": way["value"]}
    if new_only:
        return {**answer, "accepted": True, "key": timing_probe.NEW_ONLY_KEY, "value": "true", "codemod": True}
    if answer["shows_when_false"] == timing_probe.OLD:
        text = f"{timing_probe.DUAL_KEY}=false shows the old values only on this site, so the cutover would hide the new ones"
    else:
        text = f"what {timing_probe.DUAL_KEY}=false shows on this site cannot be told"
    return _refused(
        answer, f"found: {text} ({probe.get('reason')}); required: a display of the new values alone", [_KEEP, _CODEMOD]
    )


def _refused(answer: Dict[str, Any], text: str, offers: Any) -> Dict[str, Any]:
    return {**answer, "refusal": f"{text}; next: {'; or '.join(offers)}; nothing was changed", "offers": list(offers)}


def shown(probe: Mapping[str, Any], dual: Any, new_only: Any) -> str:
    """What the running bot shows: new, both, old or unknown. ``dual`` and ``new_only`` are what it was started with, or
    None when that is not known."""
    if probe.get("new_only") and new_only is not False:
        return timing_probe.NEW if new_only is True else timing_probe.UNKNOWN
    if not isinstance(dual, bool):
        return timing_probe.UNKNOWN
    return str(probe.get("shows_when_true" if dual else "shows_when_false") or timing_probe.UNKNOWN)
