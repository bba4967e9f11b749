"""Documentation of the action plugin ``rollout_lock``; it runs on the controller (plugins/action/rollout_lock.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_lock
short_description: Take the site's lock for an act that no gate stands before, such as a way back
version_added: 0.1.0
extends_documentation_fragment: [slomix.timetracking.ledger]
description:
  - Runs on the controller. One rollout at a time per site; phases take the lock by C(rollout_require).
  - The lock is held until this C(ansible-playbook) ends, however it ends; taking it twice in one run is one lock.
  - Refuses too when the evidence ledger is broken, since nothing done then could be recorded.
  - The hosts are not touched, so C(changed) is false. In check mode it warns in place of refusing and takes nothing.
options:
  purpose:
    description: What the run is about to do, for whoever finds the site taken.
    type: str
    required: true
  break_lock:
    description:
      - Name of a stale lock to break, as the refusal shows it, usually C({{ break_lock | default(omit) }}).
      - A lock whose holder still runs is never broken. What was broken is noted in the ledger.
    type: str
author: [The rollout founders (@rollout)]
attributes:
  check_mode:
    description: Warns in place of refusing and takes no lock.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Have the site alone
  slomix.timetracking.rollout_lock:
    purpose: rollback of phase 1
    break_lock: "{{ break_lock | default(omit) }}"
  run_once: true
"""

RETURN = r"""
lock:
  description: Name of the lock that this run holds; empty in check mode.
  returned: always
  type: str
blocked:
  description: Whether a real run would be refused (check mode only; a real run fails).
  returned: always
  type: bool
"""
