#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Add the columns of a migration to a table, or drop those that it added."""

from __future__ import annotations

DOCUMENTATION = r"""
module: db_migration
short_description: Add the columns of a migration to a table, or drop those that it added
version_added: 0.1.0
extends_documentation_fragment: [slomix.timetracking.postgresql]
author: [the etl-timetracking-rollout contributors]
description:
  - Reads the catalogue, plans, and does everything in one transaction or nothing. A second run changes nothing.
  - Forward adds the missing columns and marks each with a comment, in the same transaction. A column that is there with
    another type, NOT NULL or a default is refused, and one of the right kind is left as somebody else's.
  - Rollback drops the columns that carry the mark, and no others. It refuses when they hold values, unless
    O(export_dir) is given, where they are saved under the lock first; it refuses what somebody built on them.
  - The lock is asked for in short tries, since everybody who comes behind a waiting one waits too.
options:
  name:
    description: Name of the migration.
    type: str
    required: true
  direction:
    description: Which way.
    type: str
    choices: [forward, rollback]
    required: true
  forward_sql:
    description: The forward file, one C(ALTER TABLE t ADD COLUMN c TYPE) for each column; pass C(lookup('file', ...)).
    type: str
    required: true
  rollback_sql:
    description: The rollback file, one C(ALTER TABLE t DROP COLUMN c RESTRICT) for each column.
    type: str
    required: true
  migration_id:
    description: The id that was approved. The module refuses when the files and the database do not make it.
    type: str
    required: true
  export_dir:
    description: Folder on this host where a rollback saves values before it drops them. Without it values are refused.
    type: path
  lock_timeout_ms:
    description: How long one try waits for the lock.
    type: int
    default: 500
  attempts:
    description: How often the lock is tried.
    type: int
    default: 5
  pause_s:
    description: Mean pause between tries; the real one is between half and one and a half of it.
    type: float
    default: 1.0
attributes:
  check_mode:
    support: full
    description: >-
      Asks the catalogue only, so it takes no lock on the table, and predicts statements, before and after. Whether
      columns hold values is not known then, because looking takes a lock.
  diff_mode:
    support: full
    description: The columns before and after.
"""

EXAMPLES = r"""
- name: Show what the migration would do
  slomix.timetracking.db_migration:
    name: player_times
    direction: forward
    forward_sql: "{{ lookup('file', 'plan/sql/migrations/player_times.forward.sql') }}"
    rollback_sql: "{{ lookup('file', 'plan/sql/migrations/player_times.rollback.sql') }}"
    migration_id: 0123456789abcdef
    dbname: etlegacy
  check_mode: true
"""

RETURN = r"""
before:
  description: The migration's columns as found, each with type and made_by_us, or null.
  type: dict
  returned: success
after:
  description: The same afterwards (predicted under check mode).
  type: dict
  returned: success
actions:
  description: What was or would be done, as sentences.
  type: list
  elements: str
  returned: success
statements:
  description: The exact SQL, in order.
  type: list
  elements: str
  returned: success
locks:
  description: The locks that it takes, as sentences.
  type: list
  elements: str
  returned: success
holders:
  description: Who holds a lock on the table now (check mode).
  type: list
  elements: dict
  returned: success
made:
  description: Columns that this run made, with their types.
  type: dict
  returned: success
dropped:
  description: Columns that this run dropped, with their types.
  type: dict
  returned: success
kept:
  description: Columns that were left alone, and why.
  type: list
  elements: str
  returned: success
values:
  description: Number of values in each dropped column; null when that was not looked at.
  type: dict
  returned: success
export:
  description: path, sha256 and rows of what was saved; null when nothing was.
  type: dict
  returned: success
attempts:
  description: Tries for the lock.
  type: int
  returned: success
table:
  description: The table with its schema.
  type: str
  returned: success
"""

import dataclasses
from typing import Any, Dict, List

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import migration, migration_db, pg


def actions(done: migration_db.Done, direction: str) -> List[str]:
    """What was or would be done."""
    plan = done.plan
    if not plan.statements:
        return []
    found = [f"lock {done.table.qualified} ({migration.LOCK_MODE})"]
    if done.export is not None:
        found.append(f"save {done.export.rows} rows with values in {done.export.path} (SHA-256 {done.export.sha256})")
    if direction == migration.FORWARD:
        return found + [f"add {column} ({type_}) and mark it as ours" for column, type_ in plan.made.items()]
    return found + [f"drop {column} ({type_}), which we made" for column, type_ in plan.dropped.items()]


def result(done: migration_db.Done, direction: str) -> Dict[str, Any]:
    """The module's answer."""
    plan = done.plan
    return {
        "changed": bool(plan.statements),
        "before": plan.before,
        "after": plan.after,
        "actions": actions(done, direction),
        "statements": list(plan.statements),
        "locks": migration.locks(plan, done.table),
        "holders": done.holders,
        "made": plan.made,
        "dropped": plan.dropped,
        "kept": list(plan.kept),
        "values": done.values,
        "export": dataclasses.asdict(done.export) if done.export is not None else None,
        "attempts": done.attempts,
        "table": done.table.qualified,
        "diff": {"before": plan.before, "after": plan.after},
    }


def main() -> None:
    """Module entry point."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "direction": {"type": "str", "required": True, "choices": [migration.FORWARD, migration.ROLLBACK]},
            "forward_sql": {"type": "str", "required": True},
            "rollback_sql": {"type": "str", "required": True},
            "migration_id": {"type": "str", "required": True},
            "export_dir": {"type": "path"},
            "host": {"type": "str"},
            "port": {"type": "int", "default": 5432},
            "dbname": {"type": "str", "required": True},
            "user": {"type": "str"},
            # The path of a secret is no secret; named so that Ansible does not warn.
            "passfile": {"type": "path", "no_log": False},
            "connect_timeout_s": {"type": "int", "default": 5},
            "statement_timeout_ms": {"type": "int", "default": 5000},
            "lock_timeout_ms": {"type": "int", "default": 500},
            "attempts": {"type": "int", "default": 5},
            "pause_s": {"type": "float", "default": 1.0},
        },
        supports_check_mode=True,
    )
    p = module.params
    for name in ("statement_timeout_ms", "lock_timeout_ms", "attempts"):
        if p[name] < 1:
            # PostgreSQL takes 0 as "no limit", which must not happen by a typing error.
            module.fail_json(msg=f"found: {name} {p[name]}; required: 1 or more; next: give a limit")
    direction = p["direction"]
    try:
        wish = migration.parse(p["name"], p["forward_sql"], p["rollback_sql"])
        made = migration.migration_id(p["name"], direction, p["forward_sql"], p["rollback_sql"], p["dbname"])
        if p["migration_id"] != made:
            raise migration.MigrationError(
                f"found: migration_id {p['migration_id']}; required: {made}, which these files make for {direction} of "
                f"{p['name']} on {p['dbname']}; next: read the SQL again and have it approved again; nothing was changed"
            )
        target = pg.Target(
            p["host"], p["port"], p["dbname"], p["user"], p["passfile"], p["connect_timeout_s"], "rollout:migration"
        )
        limits = migration_db.Limits(p["statement_timeout_ms"], p["lock_timeout_ms"], p["attempts"], p["pause_s"])
        if module.check_mode:
            done = migration_db.look(target, wish, direction, limits)
        else:
            done = migration_db.carry_out(target, wish, direction, limits, p["export_dir"])
    except (migration.MigrationError, pg.PgError) as error:
        module.fail_json(msg=str(error))
    for text in done.plan.kept:
        module.warn(text)
    module.exit_json(**result(done, direction))


if __name__ == "__main__":
    main()
