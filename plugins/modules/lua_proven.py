"""Documentation of the action plugin ``lua_proven``; it runs on the controller (plugins/action/lua_proven.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lua_proven
short_description: Find the Lua candidate that a step recorded
version_added: 0.1.0
extends_documentation_fragment: [slomix.timetracking.ledger]
author: [the etl-timetracking-rollout contributors]
description:
  - A candidate is built and proven in one phase and deployed in a later one. What is deployed are the very bytes that
    the gate between them judged, found by the digest in the ledger, not built anew.
options:
  step:
    description: The step whose newest action built it.
    type: str
    required: true
  digest:
    description: Name of the candidate's digest in that record.
    type: str
    required: true
  build_dir:
    description: Folder on the controller that keeps candidates.
    type: path
    required: true
  require:
    description: Fail when there is none.
    type: bool
    default: false
attributes:
  check_mode:
    description: The same; it only reads.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Find the candidate that gate 2 is about
  slomix.timetracking.lua_proven:
    step: "2.1"
    digest: writer_candidate
    build_dir: "{{ playbook_dir }}/../build/lua"
    require: true
"""

RETURN = r"""
found:
  description: Whether there is one whose bytes are still there.
  returned: always
  type: bool
candidate:
  description: What the step recorded (file, source, recipes and more), C(candidate.path) added; empty when not found.
  returned: always
  type: dict
seq:
  description: The record's number in the ledger.
  returned: when found
  type: int
"""
