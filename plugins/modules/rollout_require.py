"""Documentation of the action plugin ``rollout_require``; it runs on the controller
(plugins/action/rollout_require.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_require
short_description: Take the site's lock, and refuse a phase whose required gates have no valid pass
version_added: 0.1.0
extends_documentation_fragment: [slomix.timetracking.ledger]
description:
  - Runs on the controller; first task of every phase. The ledger is not written unless a waiver is given.
  - One rollout at a time per site. The lock lies in the evidence folder, and is held until this C(ansible-playbook)
    ends, however it ends. A lock that a power cut left over is broken by name only; see C(break_lock).
  - The ledger must be unbroken.
  - Each gate that C(playbooks/plan/plan.yml) requires must have been judged, and its newest recorded verdict must open.
  - Judging it again now must open too, since evidence may have expired and a host may have drifted.
  - In check mode it warns instead of failing, so that a preview of a later phase is possible; C(blocked) tells.
options:
  phase:
    description: The phase about to run.
    type: int
    required: true
  waive:
    description:
      - Name of one required gate to waive, usually C({{ waive | default(omit) }}).
      - Only what is inconclusive or expired can be waived; a failed check, an error, drift or a broken ledger never.
    type: str
  reason:
    description: Why; at least 10 characters. Needed with C(waive), and recorded with operator and expiry.
    type: str
  waive_days:
    description: Days until the waiver expires, 1 to 14.
    type: int
    default: 1
  break_lock:
    description:
      - Name of a stale lock to break, as the refusal shows it, usually C({{ break_lock | default(omit) }}).
      - A lock whose holder still runs is never broken. What was broken is noted in the ledger.
    type: str
  override:
    description:
      - Names of required gates that this run passes by although they are closed, each such run recorded. Only for a
        phase that has a named override whose own gate cannot pass then.
    type: list
    elements: str
    default: []
author: [The rollout founders (@rollout)]
attributes:
  check_mode:
    description: Warns in place of refusing, records no waiver and takes no lock.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Require the gates before phase 1
  slomix.timetracking.rollout_require:
    phase: 1
    waive: "{{ waive | default(omit) }}"
    reason: "{{ reason | default(omit) }}"
    break_lock: "{{ break_lock | default(omit) }}"
  run_once: true
"""

RETURN = r"""
blocked:
  description: Whether the phase may not run (the task fails then, except in check mode).
  returned: always
  type: bool
overridden:
  description: Closed gates that were passed by.
  returned: always
  type: list
  elements: str
lock:
  description: Name of the lock that this run holds; empty in check mode.
  returned: always
  type: str
gates:
  description: Each required gate with recorded (newest recorded verdict), verdict (judged now), found, required, next.
  returned: unless it fails
  type: list
  elements: dict
"""
