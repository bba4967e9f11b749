"""Filters of step 1.7: the patterns for the bot's log, and the sample made of database, log and load."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Sequence

from ansible_collections.slomix.timetracking.plugins.module_utils import pairs

DOCUMENTATION = r"""
name: pair_sample
short_description: Join database rows, log matches and the load into the sample of step 1.7
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - Pure; see module_utils/pairs.py for the shape.
options:
  _input:
    description: Rows of pairs_since_load.sql.
    type: list
    elements: dict
    required: true
  log:
    description: Result of log_window_info over webhook.log.
    type: dict
    required: true
  load:
    description: Result of lua_load_info.
    type: dict
    required: true
  settle_s:
    description: The seconds that the query gave incomplete pairs.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Make the sample
  ansible.builtin.set_fact:
    __sample: "{{ rows | slomix.timetracking.pair_sample(log_result, load_result, 30) }}"
"""

RETURN = r"""
_value:
  description: The sample.
  type: dict
"""


def pair_sample(
    rows: Sequence[Mapping[str, Any]], log: Mapping[str, Any], load: Mapping[str, Any], settle_s: int = 0
) -> Dict[str, Any]:
    """See module_utils/pairs.py ``sample``."""
    return pairs.sample(rows, log, load, int(settle_s))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Names to functions."""
        return {"pair_sample": pair_sample}
