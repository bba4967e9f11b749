#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Restart a service whose process is older than a file that it reads at its start, in a quiet moment."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_restart
short_description: Restart a service whose process is older than a file that it reads at its start
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - A changed environment file acts only after a restart. Restarts the unit when its process started before O(file) came
    to its place, waits for a quiet moment first, and for a healthy process that stays up afterwards.
  - Call it with become, or as a user with sudo.
options:
  name:
    description: The unit.
    type: str
    required: true
  file:
    description: The file that the service reads at its start.
    type: path
    required: true
  file_changes:
    description: Under check mode, whether an earlier task would have replaced the file.
    type: bool
    default: false
  health_url:
    description: Answers 200 while the service works, and says C(idle). Without it only systemd is asked.
    type: str
    default: ''
  match:
    description: Whether anybody is in a match (safe, reason, next), from the game server.
    type: dict
    default: {}
  forced:
    description: Restart although somebody plays or the service is at work.
    type: bool
    default: false
  idle_wait_s:
    description: How long to wait for rest.
    type: float
    default: 60
  timeout_s:
    description: How long to wait for health after the restart.
    type: float
    default: 60
  settle_s:
    description: How long one process must stay up.
    type: float
    default: 6
attributes:
  check_mode:
    support: full
    description: Same path; predicts whether it restarts, and refuses a bad moment.
"""

EXAMPLES = r"""
- name: Let the bot read its settings
  slomix.timetracking.service_restart:
    name: slomix-bot.service
    file: /opt/slomix/.env
    health_url: http://127.0.0.1:8089/health
    match: {safe: true, reason: nobody plays}
"""

RETURN = r"""
before:
  description: The unit's pid and whether its process is younger than the file.
  type: dict
  returned: success
after:
  description: The same afterwards; pid null where it is only predicted.
  type: dict
  returned: success
actions:
  description: What was or would be done.
  type: list
  elements: str
  returned: success
journal:
  description: End of the unit's journal, credentials masked.
  type: list
  elements: str
  returned: when it did not come back healthy
"""

import os
import time
from typing import Any, Dict, List, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import service_unit
from ansible_collections.slomix.timetracking.plugins.module_utils.masking import mask

ANSWER_S = 5.0


class Service:
    """The unit and its health."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params: Dict[str, Any] = module.params
        self.name: str = module.params["name"]

    def command(self, *words: str) -> Tuple[int, str, str]:
        """A command as root."""
        prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
        rc, out, err = self.module.run_command([*prefix, *words])
        return rc, out, err

    def observe(self) -> Tuple[Dict[str, Any], Dict[str, Any]]:
        """Unit and health together."""
        unit = service_unit.read(self.module.run_command, self.name, self.params["file"])
        down = {"url": "", "ok": False, "idle": None, "problem": f"{self.name} does not run"}
        return unit, service_unit.health(self.params["health_url"], ANSWER_S) if unit["running"] else down

    def bad_moment(self) -> str:
        """Why now is no moment for a restart; "" when it is one."""
        match = self.params["match"]
        if match.get("safe") is not True:
            return str(match.get("reason") or "whether anybody is in a match is not known")
        deadline = time.monotonic() + self.params["idle_wait_s"]
        while True:
            state = service_unit.health(self.params["health_url"], ANSWER_S)
            if state["idle"]:
                return ""
            if time.monotonic() >= deadline or not self.params["health_url"]:
                return f"the service is not at rest or does not say so ({state['problem'] or state['idle']})"
            time.sleep(service_unit.POLL_S)

    def journal(self) -> List[str]:
        """The end of the unit's journal."""
        lines = str(service_unit.JOURNAL_LINES)
        rc, out, err = self.command("journalctl", "-u", self.name, "-n", lines, "--no-pager", "-o", "short-iso")
        return mask(out if rc == 0 else f"the journal cannot be read: {err}").splitlines()


def main() -> None:
    """Module entry point."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "file": {"type": "path", "required": True},
            "file_changes": {"type": "bool", "default": False},
            "health_url": {"type": "str", "default": ""},
            "match": {"type": "dict", "default": {}},
            "forced": {"type": "bool", "default": False},
            "idle_wait_s": {"type": "float", "default": 60},
            "timeout_s": {"type": "float", "default": 60},
            "settle_s": {"type": "float", "default": 6},
        },
        supports_check_mode=True,
    )
    service = Service(module)
    unit, _state = service.observe()
    before = {"pid": unit["pid"], "running": unit["running"], "loaded": unit["loaded"]}
    if unit["load"] != "loaded":
        module.fail_json(
            msg=f"found: no unit {service.name} ({unit['problem'] or unit['load']}); required: the bot's; next: name it"
        )
    stale = unit["loaded"] is not True or (module.check_mode and module.params["file_changes"])
    if not stale:
        module.exit_json(changed=False, before=before, after=before, actions=[])
    problem = "" if module.params["forced"] or not unit["running"] else service.bad_moment()
    if problem:
        module.fail_json(
            msg=f"found: {problem}; required: a quiet moment to restart {service.name}; next: run again when nobody plays; "
            f"it runs on with the settings of before",
            before=before,
        )
    actions = [f"restart {service.name}, which started before {module.params['file']} came to its place"]
    after = {"pid": None, "running": True, "loaded": True}
    if not module.check_mode:
        rc, _out, err = service.command("systemctl", "restart", "--", service.name)
        limits = (module.params["timeout_s"], module.params["settle_s"])
        problem = err.strip() if rc != 0 else service_unit.settled(service.observe, unit["pid"], *limits)
        if problem:
            module.fail_json(
                msg=f"found: {problem}; required: {service.name} healthy with its new settings; next: look at its journal below, "
                f"or take the settings back (playbooks/rollback.yml)",
                changed=True,
                before=before,
                journal=service.journal(),
            )
        unit, _state = service.observe()
        after = {"pid": unit["pid"], "running": unit["running"], "loaded": unit["loaded"]}
    module.exit_json(changed=True, before=before, after=after, actions=actions)


if __name__ == "__main__":
    main()
