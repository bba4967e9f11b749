"""Documentation of the action plugin ``migration_keys``; it runs on the controller (plugins/action/migration_keys.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_keys
short_description: Require the three keys of a migration, take an approval, or keep a run in the ledger
version_added: 0.1.0
extends_documentation_fragment: [slomix.timetracking.ledger]
description:
  - Runs on the controller. No migration may happen by accident, so three keys of three kinds are needed, and the refusal
    names each that is missing and the way to give it.
  - Key 1, the site allows it (O(allow), from the inventory; the default never means outline only). Key 2, this very SQL
    (O(enable) equals the id made of name, direction, database and both files). Key 3, a named person agreed (an
    approval of that id in the ledger, not older than O(approval_h), with no run in the other direction since).
  - In check mode it warns instead of failing, and shows the id.
options:
  name:
    description: Name of the migration; its files are C(plan/sql/migrations/NAME.forward.sql) and C(NAME.rollback.sql).
    type: str
    required: true
  direction:
    description: Which way.
    type: str
    choices: [forward, rollback]
    required: true
  database:
    description: Name of the database; part of the id.
    type: str
    required: true
  state:
    description: Require the keys, write an approval, or write down what a run did.
    type: str
    choices: [required, approved, recorded]
    default: required
  allow:
    description: Key 1, the migration that the site allows.
    type: str
    default: never
  enable:
    description: Key 2, the id that was read below the SQL.
    type: str
    default: ''
  approval_h:
    description: How many hours an approval lasts.
    type: int
    default: 24
  by:
    description: Who approves (state approved).
    type: str
    default: ''
  reason:
    description: Why; at least 10 characters (state approved).
    type: str
    default: ''
  result:
    description: What the module said (state recorded).
    type: dict
    default: {}
author: [The rollout founders (@rollout)]
attributes:
  check_mode:
    description: Warns in place of refusing and writes nothing.
    support: full
  diff_mode:
    description: There is nothing on the host to show.
    support: none
"""

EXAMPLES = r"""
- name: Require the three keys
  slomix.timetracking.migration_keys:
    name: player_times
    direction: forward
    database: etlegacy
    allow: "{{ migration_allow | default('never') }}"
    enable: "{{ migration_enable | default('') }}"
  run_once: true
"""

RETURN = r"""
blocked:
  description: Whether a key is missing (the task fails then, except in check mode).
  returned: state required
  type: bool
missing:
  description: A sentence for each missing key.
  returned: state required
  type: list
  elements: str
migration_id:
  description: The id; not shown by a refusal.
  returned: unless refused
  type: str
forward_sql:
  description: The forward file.
  returned: state required
  type: str
rollback_sql:
  description: The rollback file.
  returned: state required
  type: str
seq:
  description: Number of the record in the ledger.
  returned: when recorded
  type: int
"""
