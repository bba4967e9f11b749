"""Documentation of the action plugin ``shadow_report``; it runs on the controller (plugins/action/shadow_report.py)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: shadow_report
short_description: Compare OLD and NEW dead time and say what that allows
version_added: 0.1.0
description:
  - Runs on the controller, with the same code as C(rollout shadow). Raw independent pairs only, rounds as clusters, at
    the planned numbers of rounds.
options:
  rows:
    description: Rows of C(plan/sql/shadow_pairs.sql), as M(slomix.timetracking.pg_read_info) gives them.
    type: list
    elements: dict
    required: true
  margin_s:
    description: Equivalence margin in seconds, chosen before looking.
    type: float
    default: 5.0
author: [the etl-timetracking-rollout contributors]
attributes:
  check_mode:
    description: Only computes.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Compare
  slomix.timetracking.shadow_report:
    rows: "{{ rows.rows }}"
"""

RETURN = r"""
verdict:
  description: EQUIVALENT, DIFFERENT or INCONCLUSIVE.
  returned: success
  type: str
decision:
  description: The line of the decision table that applies.
  returned: success
  type: str
exit_code:
  description: 0 NEW may be shown alone, 1 different, invalid or coverage too low, 3 inconclusive.
  returned: success
  type: int
codes:
  description: Why it is inconclusive, and what would settle it.
  returned: success
  type: dict
numbers:
  description: The figures.
  returned: success
  type: dict
plots:
  description: What C(rollout report) draws, as JSON text (C(rounds), C(bland_altman), C(coverage)).
  returned: success
  type: str
row_count:
  description: Number of rows looked at.
  returned: success
  type: int
"""
