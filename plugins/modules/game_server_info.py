#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""See whether the game server runs, who is on it, and whether now is a moment to replace a Lua file."""

from __future__ import annotations

DOCUMENTATION = r"""
module: game_server_info
short_description: See who is on the game server and whether now is a moment to replace a Lua file
version_added: 0.1.0
extends_documentation_fragment: [slomix.timetracking.game_server]
author: [the etl-timetracking-rollout contributors]
description:
  - Asks C(getstatus) over UDP and, when somebody is connected, C(gamestate), C(g_currentRound) and the clients over
    rcon.
  - Safe is a server that does not run, one without human players, or the intermission after R2. What cannot be known
    is not safe.
options:
  rcon_password_file:
    description: File on this host with the rcon password.
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Only reads, and reads under check mode too.
"""

EXAMPLES = r"""
- name: See who plays
  slomix.timetracking.game_server_info:
    rcon_password_file: /home/et/.rollout/rcon_password
"""

RETURN = r"""
moment:
  description: safe, known, reason and next.
  type: dict
  returned: always
server:
  description: >-
    answered, process_running, map, players, humans (null when not known), gamestate, current_round, problem.
  type: dict
  returned: always
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import moment


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "host": {"type": "str", "default": "127.0.0.1"},
            "port": {"type": "int", "default": 27960},
            "rcon_password_file": {"type": "path", "required": True, "no_log": False},
            "timeout_s": {"type": "float", "default": 2.0},
        },
        supports_check_mode=True,
    )
    p = module.params
    facts = moment.observe(p["host"], p["port"], p["rcon_password_file"], p["timeout_s"])
    module.exit_json(changed=False, server=asdict(facts), moment=asdict(moment.judge_moment(facts)))


if __name__ == "__main__":
    main()
