"""Documentation of the action plugin ``rollout_gate``; it runs on the controller (plugins/action/rollout_gate.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_gate
short_description: Judge a gate on the recorded evidence and record the verdict
version_added: 0.1.0
extends_documentation_fragment: [slomix.timetracking.ledger]
description:
  - Runs on the controller, once (C(run_once), or on localhost).
  - Reads C(playbooks/plan/gates/<gate>.yml) and the ledger, calls the pure judge, shows the verdict and appends it.
  - It measures nothing. Run the steps' verify legs (C(playbooks/validate.yml)) before it to judge fresh evidence.
  - In check mode it judges what is on record and writes nothing.
options:
  gate:
    description: Name of the gate's file without C(.yml), for example C(phase1).
    type: str
    required: true
  require:
    description:
      - Fail the task unless the verdict opens (C(pass), or C(waived) by a recorded waiver).
      - Never fails in check mode.
    type: bool
    default: false
author: [The rollout founders (@rollout)]
attributes:
  check_mode:
    description: Judges what is on record, writes nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Judge gate 1
  slomix.timetracking.rollout_gate:
    gate: phase1
    require: true
"""

RETURN = r"""
verdict:
  description: pass, waived, inconclusive, expired, fail, error, drift or broken.
  returned: always
  type: str
exit_code:
  description: 0 pass, 1 fail, 2 error, 3 inconclusive or expired, 4 blocked (drift, broken ledger), 5 waived.
  returned: always
  type: int
found:
  description: What the deciding checks found.
  returned: unless it fails
  type: str
required:
  description: What they required.
  returned: unless it fails
  type: str
next:
  description: What would settle it.
  returned: unless it fails
  type: str
checks:
  description: Every check; CheckVerdict in module_utils/judge.py names the keys.
  returned: unless it fails
  type: list
  elements: dict
report:
  description: The verdict as the text that was shown, one element per line.
  returned: unless it fails
  type: list
  elements: str
"""
