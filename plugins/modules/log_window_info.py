#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Count patterns in what a log grew by since a cursor, or only take a cursor."""

from __future__ import annotations

DOCUMENTATION = r"""
module: log_window_info
short_description: Count patterns in what a log grew by since a cursor
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - Reads a log from a cursor on (device, inode, offset, digest of up to 4 KiB before it) and follows rotation and
    truncation.
  - That a pattern does not occur says something only if RV(control_count) is more than zero and RV(gap) is false. The
    module counts, the gate decides.
options:
  path:
    description: The log.
    type: path
    required: true
  cursor:
    description: Where the window begins; the file's beginning when left out.
    type: dict
  with_rotated:
    description: Without O(cursor), begin with the oldest rotated file (O(path) with .1, .2 and so on).
    type: bool
    default: false
  patterns:
    description: Named regular expressions (Python), searched anywhere in a line. Named groups are returned.
    type: dict
    default: {}
  control:
    description: A regular expression for lines that the program must have written in the window.
    type: str
  max_matches:
    description: How many matches of each pattern to return, the newest.
    type: int
    default: 20
attributes:
  check_mode:
    support: full
    description: Only reads, and reads under check mode too.
"""

EXAMPLES = r"""
- name: Look for Lua errors since the load
  slomix.timetracking.log_window_info:
    path: /home/et/.etlegacy/legacy/etconsole.log
    cursor: "{{ __round_pairs_load_result.load_cursor }}"
    patterns: {lua_error: error running lua script}
    control: ShutdownGame
"""

RETURN = r"""
counts:
  description: Lines per named pattern.
  type: dict
  returned: always
matches:
  description: Per pattern the newest matches; number (line in the window), line (credentials masked) and groups.
  type: dict
  returned: always
control_count:
  description: Lines that match O(control); null without one.
  type: int
  returned: always
window_empty:
  description: Whether the window holds no bytes.
  type: bool
  returned: always
window_state:
  description: continued, rotated, truncated, missing or whole.
  type: str
  returned: always
gap:
  description: Whether lines between cursor and window may be lost.
  type: bool
  returned: always
size_bytes:
  description: Bytes in the window.
  type: int
  returned: always
cursor:
  description: A cursor behind the last complete line; null when there is no log.
  type: dict
  returned: always
"""

from typing import Any, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import logwindow
from ansible_collections.slomix.timetracking.plugins.module_utils.masking import mask

CONTROL = "(control)"


def run(params: Dict[str, Any]) -> Dict[str, Any]:
    """Open the window and count."""
    cursor_now = logwindow.cursor_at(params["path"])
    window = logwindow.open_window(params["path"], params["cursor"], params["with_rotated"])
    patterns = dict(params["patterns"])
    if params["control"]:
        patterns[CONTROL] = params["control"]
    found = logwindow.scan(window, patterns, params["max_matches"])
    control = found.pop(CONTROL, None)
    return {
        "changed": False,
        "counts": {name: entry.count for name, entry in found.items()},
        "matches": {
            name: [{**match, "line": mask(match["line"])} for match in entry.matches] for name, entry in found.items()
        },
        "control_count": control.count if control else None,
        "window_empty": window.size == 0,
        "window_state": window.state,
        "gap": window.gap,
        "size_bytes": window.size,
        "cursor": cursor_now,
    }


def main() -> None:
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "cursor": {"type": "dict"},
            "with_rotated": {"type": "bool", "default": False},
            "patterns": {"type": "dict", "default": {}},
            "control": {"type": "str"},
            "max_matches": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module.params))
    except logwindow.re.error as error:
        module.fail_json(msg=f"a pattern is no regular expression: {error}; correct it")
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"the log {module.params['path']} cannot be judged: {error}")


if __name__ == "__main__":
    main()
