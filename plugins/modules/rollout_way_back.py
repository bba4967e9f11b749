"""Documentation of the action plugin ``rollout_way_back``; it runs on the controller
(plugins/action/rollout_way_back.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_way_back
short_description: Name the phases that a rollback leads back, refuse what is not legal, and take the site's lock
version_added: 0.1.0
extends_documentation_fragment: [slomix.timetracking.ledger]
description:
  - Runs on the controller; first task of C(playbooks/rollback.yml). One of O(phase) and O(to) must be given.
  - Reads from the ledger which phases stand (an act is recorded that no later revert undid).
  - Refuses when another run has the site, and when the evidence ledger is broken.
  - The hosts are not touched, so C(changed) is false. In check mode no lock is taken.
options:
  phase:
    description:
      - The one phase to lead back, such as V(1). Refused while a phase that requires it stands, unless the plan
        says C(revert_alone) for it.
    type: str
  to:
    description:
      - The phase to go back to, such as V(phase0). Every phase after it that stands is led back, newest first.
      - V(start) leads back everything.
      - Refused when a later phase was begun and none of its acts is recorded, since a run may have been killed then.
    type: str
  break_lock:
    description: Name of a stale lock to break; see M(slomix.timetracking.rollout_lock).
    type: str
author: [The rollout founders (@rollout)]
attributes:
  check_mode:
    description: Names and refuses as a real run does, but takes no lock.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Find the way back
  slomix.timetracking.rollout_way_back:
    to: phase0
  run_once: true
  register: rollout_way_back
"""

RETURN = r"""
phases:
  description: Numbers of the phases to lead back, in order.
  returned: success
  type: list
  elements: int
acted:
  description: Step to hosts on which the ledger has it as done and not led back; there, a host without a recording is refused.
  returned: success
  type: dict
lock:
  description: Name of the lock that this run holds; empty in check mode.
  returned: success
  type: str
"""
