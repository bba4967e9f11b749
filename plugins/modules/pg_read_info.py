#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Read from PostgreSQL with one statement in a read-only transaction."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_read_info
short_description: Read from PostgreSQL with one statement in a read-only transaction
version_added: 0.1.0
extends_documentation_fragment: [slomix.timetracking.postgresql]
author: [the etl-timetracking-rollout contributors]
description:
  - Runs one statement with bound parameters in a C(READ ONLY) C(REPEATABLE READ) transaction, under
    C(statement_timeout) and C(lock_timeout), and gives its rows. A write is refused by the server, more than one
    statement before anything is sent.
  - An answer is whole or it is an error; more rows than O(max_rows) are an error too.
  - Uses psycopg (3) or psycopg2, whichever the host's Python has.
options:
  sql:
    description: >-
      The statement; keep it in a file and pass C(lookup('file', ...)). With O(params) it names them C(%(name)s) and doubles other percent
      signs.
    type: str
    required: true
  params:
    description: Values bound to the statement's names. Never shown in an error.
    type: dict
    default: {}
  lock_timeout_ms:
    description: Limit for each wait on a lock.
    type: int
    default: 1000
  max_rows:
    description: More rows than this are an error.
    type: int
    default: 10000
  application_name:
    description: What the server's activity view shows.
    type: str
    default: rollout
attributes:
  check_mode:
    support: full
    description: Only reads, and reads under check mode too.
"""

EXAMPLES = r"""
- name: Count rounds
  slomix.timetracking.pg_read_info:
    dbname: etlegacy
    sql: SELECT count(*) AS rounds FROM rounds WHERE round_number IN (1, 2)
"""

RETURN = r"""
rows:
  description: One dict per row. Whole numerics are int, others float; times are ISO 8601.
  type: list
  elements: dict
  returned: success
columns:
  description: Name and type of each column.
  type: list
  elements: dict
  returned: success
row_count:
  description: Number of rows.
  type: int
  returned: success
database:
  description: >-
    id (changes when the database is another or a restored one), name, user, server_version, system_identifier (null when
    not permitted), now (ISO 8601), now_unix, standby, read_only.
  type: dict
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import pg


def main() -> None:
    """Module entry point."""
    module = AnsibleModule(
        argument_spec={
            "sql": {"type": "str", "required": True},
            "params": {"type": "dict", "default": {}},
            "host": {"type": "str"},
            "port": {"type": "int", "default": 5432},
            "dbname": {"type": "str", "required": True},
            "user": {"type": "str"},
            # The path of a secret is no secret; named so that Ansible does not warn.
            "passfile": {"type": "path", "no_log": False},
            "connect_timeout_s": {"type": "int", "default": 5},
            "statement_timeout_ms": {"type": "int", "default": 5000},
            "lock_timeout_ms": {"type": "int", "default": 1000},
            "max_rows": {"type": "int", "default": 10000},
            "application_name": {"type": "str", "default": "rollout"},
        },
        supports_check_mode=True,
    )
    p = module.params
    target = pg.Target(
        p["host"], p["port"], p["dbname"], p["user"], p["passfile"], p["connect_timeout_s"], p["application_name"]
    )
    try:
        found = pg.read(
            target,
            p["sql"],
            p["params"],
            statement_timeout_ms=p["statement_timeout_ms"],
            lock_timeout_ms=p["lock_timeout_ms"],
            max_rows=p["max_rows"],
        )
    except pg.PgError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
