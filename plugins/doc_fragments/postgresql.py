"""Options of every module that logs in to PostgreSQL."""

from __future__ import annotations


class ModuleDocFragment:
    """Used as ``slomix.timetracking.postgresql``."""

    DOCUMENTATION = r"""
options:
  host:
    description: Address or socket folder of the server; the local socket when left out.
    type: str
  port:
    description: TCP port.
    type: int
    default: 5432
  dbname:
    description: Database.
    type: str
    required: true
  user:
    description: Role; the current user when left out. A migration's must own the table.
    type: str
  passfile:
    description: Password file in libpq's format, on this host, mode 0600. The only way to pass a password.
    type: path
  connect_timeout_s:
    description: Limit for the connection.
    type: int
    default: 5
  statement_timeout_ms:
    description: Limit for each statement.
    type: int
    default: 5000
"""
