"""What systemd says about one unit, told apart by name, and the verbs that lead from one state to another.

Facts: ``systemctl is-active`` prints ``inactive`` for a misspelt unit too and exits 3 in the normal case (domain.md
10.2, gates.md 3.13), so the state is read from ``systemctl show`` (LoadState, UnitFileState, ActiveState, SubState),
which always exits 0 for a well-formed name.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Dict, Iterable, List, Optional, Tuple

PROPERTIES = ("LoadState", "UnitFileState", "ActiveState", "SubState")

RETIRED = "retired"
IN_USE = "in_use"
FAILED = "failed"
MASKED = "masked"
STATIC = "static"
MISSING = "missing"
MISSPELT = "misspelt"
BROKEN = "broken"
NO_SYSTEMD = "no_systemd"
UNREADABLE = "unreadable"
STATES = (RETIRED, IN_USE, FAILED, MASKED, STATIC, MISSING, MISSPELT, BROKEN, NO_SYSTEMD, UNREADABLE)
ACCEPTABLE = (MISSING, MASKED, FAILED)
"""States that an operator may declare good enough; none is accepted by default."""

# systemd.unit(5): the characters of a unit name, and the suffixes that a service or its triggers can have.
_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]{1,240}\.(service|socket|timer|path|target|mount)")
_NOT_BOOTED = ("has not been booted with systemd", "host is down")
_CLOSE_ENOUGH = 0.8


@dataclass(frozen=True)
class Facts:
    """The four properties as systemd prints them; empty text where it prints none."""

    load: str
    unit_file: str
    active: str
    sub: str

    @property
    def enabled(self) -> bool:
        """Whether the unit starts by itself at boot (``enabled-runtime`` does not survive one, yet is not disabled
        either)."""
        return self.unit_file in ("enabled", "enabled-runtime", "alias", "linked", "linked-runtime", "generated")

    @property
    def running(self) -> bool:
        """Anything but ``inactive`` and ``failed``: ``activating`` covers a service that waits for its own restart."""
        return self.active not in ("inactive", "failed", "")

    def as_dict(self) -> Dict[str, object]:
        """The shape of ``before`` and ``after``: the four words, and the two answers that matter."""
        return {
            "load": self.load,
            "unit_file": self.unit_file,
            "active": self.active,
            "sub": self.sub,
            "enabled": self.enabled,
            "running": self.running,
        }


def well_formed(name: str) -> bool:
    """Whether systemd could know a unit of this name at all."""
    return bool(_NAME.fullmatch(name))


def parse_show(text: str) -> Facts:
    """Read the output of ``systemctl show -p ...``; raises ValueError when a property is missing (then nothing is
    known)."""
    values = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    absent = [name for name in PROPERTIES if name not in values]
    if absent:
        raise ValueError(f"systemctl show printed no {', '.join(absent)}")
    return Facts(*(values[name].strip() for name in PROPERTIES))


def explain_failure(stderr: str) -> str:
    """NO_SYSTEMD when systemctl says that systemd is not PID 1, else UNREADABLE."""
    return NO_SYSTEMD if any(text in stderr.lower() for text in _NOT_BOOTED) else UNREADABLE


def closest(name: str, known: Iterable[str]) -> Optional[str]:
    """The installed unit that ``name`` probably means, or None."""
    found = difflib.get_close_matches(name, [other for other in known if other != name], n=1, cutoff=_CLOSE_ENOUGH)
    return found[0] if found else None


def classify(facts: Facts) -> str:
    """One word for what was found (see STATES); MISSPELT needs the other units' names and is decided by the caller."""
    if facts.load == "not-found":
        return MISSING
    if facts.load == "masked":
        return MASKED
    if facts.load != "loaded":
        return BROKEN
    if facts.active == "failed":
        return FAILED
    if facts.running or facts.enabled:
        return IN_USE
    if facts.unit_file == "disabled":
        return RETIRED
    # static, indirect, transient: no install section of its own, so something else can start it again.
    return STATIC


def satisfied(facts: Facts, state: str, accepted: Iterable[str]) -> bool:
    """Whether the unit is disabled **and** inactive, or in a state that the operator accepts and that neither runs nor
    starts at boot."""
    if state == RETIRED:
        return True
    return state in ACCEPTABLE and state in set(accepted) and not facts.running and not facts.enabled


def plan(enabled: bool, running: bool, wish_enabled: bool, wish_running: bool) -> List[str]:
    """The fewest systemctl verbs from (enabled, running) to the wish; no verb when nothing differs.

    Only verbs that the game server's sudo allows: ``disable --now``, ``enable --now``, ``disable``, ``enable``,
    ``stop``, ``start``.
    """
    boot = None if enabled == wish_enabled else ("enable" if wish_enabled else "disable")
    now = None if running == wish_running else ("start" if wish_running else "stop")
    if (boot, now) in (("enable", "start"), ("disable", "stop")):
        return [f"{boot} --now"]
    return [verb for verb in (boot, now) if verb is not None]


def apply(enabled: bool, running: bool, verbs: Iterable[str]) -> Tuple[bool, bool]:
    """What ``verbs`` make of (enabled, running); the model behind the predicted ``after``."""
    for verb in verbs:
        if verb.startswith(("enable", "disable")):
            enabled = verb.startswith("enable")
            if verb.endswith("--now"):
                running = enabled
        else:
            running = verb == "start"
    return enabled, running


def predict(facts: Facts, verbs: Iterable[str]) -> Facts:
    """The four words that systemd will print after ``verbs``; a stop does not clear ``failed``."""
    verbs = list(verbs)
    if not verbs:
        return facts
    enabled, running = apply(facts.enabled, facts.running, verbs)
    unit_file = facts.unit_file if enabled == facts.enabled else ("enabled" if enabled else "disabled")
    if running == facts.running:
        return Facts(facts.load, unit_file, facts.active, facts.sub)
    return Facts(facts.load, unit_file, *(("active", "running") if running else ("inactive", "dead")))


def guidance(name: str, state: str, facts: Optional[Facts], guess: Optional[str] = None) -> str:
    """One sentence: what was found, what is required, what to do next."""
    required = "required: disabled and inactive"
    accept = "or accept it with deprecated_service_accepted_states"
    if state == RETIRED:
        return f"{name} is disabled and inactive"
    if state == MISSPELT:
        return (
            f"found: no unit {name}, but there is {guess}; {required}; next: correct the name (deprecated_service_name)"
        )
    if state == NO_SYSTEMD:
        return (
            f"found: systemd does not run this host; {required}, which nothing here can show; "
            f"next: find out what starts {name} on this host, this step cannot judge it"
        )
    if state == MISSING:
        return (
            f"found: no unit {name} (LoadState not-found); {required}; next: check the name and the host, {accept} "
            f"['missing']"
        )
    if facts is None:
        return (
            f"found: systemctl could not be asked about {name}; {required}; next: run `systemctl show {name}` on "
            f"the host"
        )
    unit_file = facts.unit_file or "without a unit file state"
    found = f"found: {name} is {facts.load}, {unit_file}, {facts.active} ({facts.sub})"
    if state == MASKED:
        return f"{found}; {required}; next: a mask is stronger than disabled: unmask it as root, {accept} ['masked']"
    if state == FAILED:
        return (
            f"{found}; {required}; next: `systemctl reset-failed {name}` as root, {accept} ['failed'] once it is "
            f"disabled"
        )
    if state == STATIC:
        return (
            f"{found}; {required}; next: it has no install section, find what pulls it in (`systemctl show -p "
            f"TriggeredBy -p WantedBy {name}`)"
        )
    if state == BROKEN:
        return f"{found}; {required}; next: repair the unit file (`systemctl cat {name}`)"
    return f"{found}; {required}; next: run ansible-playbook playbooks/phase0.yml"
