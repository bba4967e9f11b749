#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Read what the website, the leaderboard or the session shows, and compare it with what the database says."""

from __future__ import annotations

DOCUMENTATION = r"""
module: shown_values_info
short_description: Compare what the website, the leaderboard or the session shows with what the database says
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - Reads JSON over HTTP on the host and compares it, on the controller, with rows of the database and the reference formulas.
  - With O(shows=graphs) the metrics of each player of each day, with O(shows=headshots) the places of the headshot
    leaderboard. Values agree within half of the last decimal shown. A site may leave cancelled halves or bots out - the whole
    answer is read in each of a few such ways, and the one that fits best is told (RV(reading)).
  - With O(shows=session) the embed of the newest session is held against Discord's limits and against both dead times of
    each player. Discord's own copy of it, saved as O(file), may stand for an address.
options:
  shows:
    description: What is read.
    type: str
    choices: [graphs, headshots, session]
    required: true
  url:
    description: Where; C(DAY) in it stands for a day of O(rows). Empty only with O(shows=session), where it names none.
    type: str
    required: true
  file:
    description: For O(shows=session), a message as JSON on the controller, with its C(embeds); read in place of O(url).
    type: str
    default: ''
  wanted:
    description: For O(shows=session), what the bot is set to show (new, both).
    type: str
    default: ''
  rows:
    description: Rows of session_players.sql, headshot_kills.sql or session_display.sql.
    type: list
    elements: dict
    required: true
  timeout_s:
    description: How long to wait for one answer.
    type: float
    default: 20.0
  urls:
    description: The addresses to read, by key; set by the action plugin.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Only reads, and reads under check mode too.
"""

EXAMPLES = r"""
- name: Compare the session graphs with the database
  slomix.timetracking.shown_values_info:
    shows: graphs
    url: http://127.0.0.1:7000/api/sessions/DAY/graphs
    rows: "{{ players.rows }}"

- name: Hold an exported message against the database
  slomix.timetracking.shown_values_info:
    shows: session
    url: ""
    file: message.json
    wanted: both
    rows: "{{ session.rows }}"
"""

RETURN = r"""
days:
  description: Per day its status, players, and how many values were compared, unequal and unmatched.
  returned: for graphs
  type: list
  elements: dict
differences:
  description: The first values that differ (day, name, metric, shown, expected).
  returned: for graphs
  type: list
  elements: dict
places:
  description: Per place the name, the percentage shown and expected, equal and known.
  returned: for headshots
  type: list
  elements: dict
shown:
  description: Places shown; unequal, unmatched and unordered count what is wrong with them, missing names who is left out.
  returned: for headshots
  type: int
reading:
  description: Which halves the whole answer is compared with - all, played (not cancelled) or completed ones, and whether of people only.
  returned: for graphs and headshots
  type: str
source:
  description: url, file or none.
  returned: for session
  type: str
fault:
  description: What is wrong with the embed; empty where nothing is, or where that is not known.
  returned: for session
  type: str
shows:
  description: new, both, old, mixed or unknown; with violation_count, mark_count, unequal, compared, telling, players and table.
  returned: for session
  type: str
session:
  description: Whose the values are - newest, older, stale (the newest one's before the last rounds' spawn data came) or unknown.
  returned: for session
  type: str
text:
  description: The comparison as a sentence.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils.http_read import get_json


def main() -> None:
    """Run as an Ansible module: only the reading; the action plugin compares."""
    module = AnsibleModule(
        argument_spec={
            "shows": {"type": "str", "choices": ["graphs", "headshots", "session"], "required": True},
            "url": {"type": "str", "required": True},
            "file": {"type": "str", "default": ""},
            "wanted": {"type": "str", "default": ""},
            "rows": {"type": "list", "elements": "dict", "required": True},
            "timeout_s": {"type": "float", "default": 20.0},
            "urls": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    answers = {key: get_json(url, module.params["timeout_s"]) for key, url in sorted(module.params["urls"].items())}
    module.exit_json(changed=False, answers=answers)


if __name__ == "__main__":
    main()
