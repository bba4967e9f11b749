"""Documentation of the action plugin ``rollout_record``; it runs on the controller
(plugins/action/rollout_record.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_record
short_description: Append what a leg of a step found or did to the evidence ledger
version_added: 0.1.0
extends_documentation_fragment: [slomix.timetracking.ledger]
description:
  - Runs on the controller. Appends one hash-chained record to C(<evidence_dir>/ledger.jsonl).
  - The hosts are not touched, so C(changed) is false.
  - Every leg of every step (action, verify, revert) ends in it, once per host.
  - Secrets are redacted before anything is written. Long texts go to C(raw/<sha256>) and are replaced by a reference.
  - In check mode nothing is written; the answer says what would have been recorded.
  - A failed step is recorded too (call it from C(always) or C(rescue)). A gate then says C(error).
options:
  phase:
    description: Phase of the plan, 0 to 6.
    type: int
    required: true
  step:
    description: Step of the plan, quoted so that YAML keeps it a text.
    type: str
    required: true
  leg:
    description: Which leg of the step.
    type: str
    required: true
    choices: [action, verify, revert]
  name:
    description: Name of the sample, needed only when one leg records several (the gate's C(sample.name)).
    type: str
  result:
    description:
      - The registered result of the step's module.
      - C(invocation), C(ansible_facts) and Ansible's own keys are dropped.
    type: dict
    required: true
  digests:
    description:
      - What runs or lies on this host now, by name, as hex text (for example C(webhook_lua)).
      - From an action or a revert it says what was deployed; a later, different value from a verify is drift.
    type: dict
    default: {}
author: [The rollout founders (@rollout)]
attributes:
  check_mode:
    description: Writes nothing and says what it would record.
    support: full
  diff_mode:
    description: There is nothing on the host to show.
    support: none
"""

EXAMPLES = r"""
- name: Record the proof of the deprecated service
  slomix.timetracking.rollout_record:
    phase: 0
    step: "0.1"
    leg: verify
    result: "{{ __deprecated_service_verify_result }}"

- name: Record the deployed webhook
  slomix.timetracking.rollout_record:
    phase: 1
    step: "1.6"
    leg: action
    result: "{{ __lua_release_deploy_result }}"
    digests:
      webhook_lua: "{{ __lua_release_deploy_result.after.sha256 }}"
"""

RETURN = r"""
recorded:
  description: Whether a record was written (false in check mode).
  returned: always
  type: bool
seq:
  description: Number of the record in the ledger.
  returned: when recorded
  type: int
hash:
  description: Hash of the record, which the next one names.
  returned: when recorded
  type: str
"""
