"""Documentation of the action plugin ``integration_proof``; it runs on the controller (plugins/action/integration_proof.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: integration_proof
short_description: Answer the six items of the plan's integration proof
version_added: 0.1.0
extends_documentation_fragment: [slomix.timetracking.ledger]
description:
  - Runs on the controller, once (C(run_once), or on localhost).
  - Judges the gates of phases 1, 4, 5 and 6 on what is recorded and answers each item of the plan, with what was found and what to do next.
  - Two items ask for what the system does not have; the answer says so and what stands in its place.
  - It measures and writes nothing. C(playbooks/integration_proof.yml) measures before it.
author: [The rollout founders (@rollout)]
attributes:
  check_mode:
    description: Answers from what is on record.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Answer the integration proof
  slomix.timetracking.integration_proof:
  run_once: true
"""

RETURN = r"""
verdict:
  description: The worst of the six verdicts, or broken for a ledger that is not intact.
  returned: always
  type: str
answers:
  description: item, asks, verdict, found, next and instead of each item.
  returned: always
  type: list
  elements: dict
report:
  description: The answers as the text that was shown, one element per line.
  returned: always
  type: list
  elements: str
"""
