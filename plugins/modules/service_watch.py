#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Watch one start of a service: remember the process and the ends of its logs, and say later whether it is still the same one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_watch
short_description: Watch one start of a service from now on, or say what became of it
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - A change of settings is proven by what the service does afterwards. V(begun) records which start of the unit runs now
    (systemd's invocation id), how often systemd restarted it, where its logs end, and the time; V(read) says whether the same
    start still runs; V(ended) closes the watch.
  - A watch of the same O(subject) and the same start goes on; another subject or start begins a new one.
options:
  name:
    description: The unit.
    type: str
    required: true
  state:
    description: Begin the watch, only read it, or end it.
    type: str
    choices: [begun, read, ended]
    default: read
  path:
    description: The file on this host that holds the watch.
    type: path
    required: true
  subject:
    description: What is watched, such as a decision and the digests of the files that carry it. Required for V(begun).
    type: str
  logs:
    description: Paths of the logs by name.
    type: dict
    default: {}
  cursors:
    description: Where the logs' windows begin (RV(now) of an earlier call), by name; now, when left out.
    type: dict
    default: {}
  anew:
    description: Begin a new watch although one of this subject and start goes on.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Same path; predicts whether a watch begins or ends.
"""

EXAMPLES = r"""
- name: Watch the bot from its restart on
  slomix.timetracking.service_watch:
    name: slomix-bot.service
    path: /var/lib/rollout/state/watch-slomix-bot.service.json
    state: begun
    subject: keep_dual
    logs: {bot: /opt/slomix/logs/bot.log}
  become: true
"""

RETURN = r"""
before:
  description: watching, subject.
  type: dict
  returned: success
after:
  description: The same afterwards, predicted under check mode.
  type: dict
  returned: success
actions:
  description: What was or would be done.
  type: list
  elements: str
  returned: success
watch:
  description: The watch that goes on - subject, since_unix (whole seconds), invocation, restarts, cursors by name; empty without one.
  type: dict
  returned: success
unit:
  description: The unit now; running, pid, invocation, started_unix, restarts.
  type: dict
  returned: success
same_start:
  description: Whether the start that is watched still runs; null without a watch, or where systemd does not tell.
  type: bool
  returned: success
restarts:
  description: How often systemd restarted it by itself since the watch began; null without a watch.
  type: int
  returned: success
now:
  description: Cursors at the ends of the logs by name, null for a log that does not exist.
  type: dict
  returned: success
"""

import math
import time
from typing import Any, Dict, List

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import (
    before_state,
    logwindow,
    service_unit,
    session_watch,
)


def main() -> None:
    """Module entry point."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["begun", "read", "ended"], "default": "read"},
            "path": {"type": "path", "required": True},
            "subject": {"type": "str"},
            "logs": {"type": "dict", "default": {}},
            "cursors": {"type": "dict", "default": {}},
            "anew": {"type": "bool", "default": False},
        },
        required_if=[("state", "begun", ["subject"])],
        supports_check_mode=True,
    )
    params: Dict[str, Any] = module.params
    try:
        record = before_state.read_record(params["path"])
        unit = service_unit.read(module.run_command, params["name"], params["path"])
        now = {name: logwindow.cursor_at(str(path)) for name, path in sorted(params["logs"].items())}
        actions: List[str] = session_watch.plan(record, unit, params["state"], params["subject"], params["anew"])
        before = session_watch.view(record)
        if params["state"] == "begun" and not unit["running"] and not module.check_mode:
            module.fail_json(
                msg=f"found: {params['name']} is {unit['active'] or unit['problem']}; required: a running service to watch; "
                "next: look at its journal"
            )
        if actions and params["state"] == "ended" and record is not None:
            record = before_state.restored(record)
        elif actions:
            seen = {
                # Rounds that begin in the second of this call do not count.
                "since_unix": math.ceil(time.time()),
                "invocation": unit["invocation"],
                "restarts": unit["restarts"],
                "cursors": {**now, **params["cursors"]},
            }
            record = before_state.new_record(seen, unit=params["name"], subject=params["subject"])
        if actions and not module.check_mode and record is not None:
            before_state.write_record(params["path"], record)
    except before_state.RecordError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"found: {error.filename}: {error.strerror}; required: logs and {params['path']}; next: run with become"
        )
    after = session_watch.view(record)
    module.exit_json(
        changed=bool(actions),
        before=before,
        after=after,
        actions=actions,
        diff={"before": before, "after": after},
        watch=session_watch.going_on(record),
        unit={key: unit[key] for key in ("name", "running", "pid", "invocation", "started_unix", "restarts", "active")},
        same_start=session_watch.same_start(record, unit),
        restarts=session_watch.restarts_since(record, unit),
        now=now,
    )


if __name__ == "__main__":
    main()
