#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Read from the deployed bot's source what SHOW_TIMING_DUAL=false would show."""

from __future__ import annotations

DOCUMENTATION = r"""
module: timing_display_info
short_description: Read from the deployed bot's source what SHOW_TIMING_DUAL=false would show
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - Reads the Python files below O(root), follows the setting to the branches that it decides, and says which timing
    values each side uses. Nothing of the bot is imported or run.
  - What cannot be told is V(unknown), with the reason; a file that cannot be parsed makes it unknown, since it may hold
    the display.
options:
  root:
    description: Folder of the bot's package, such as C(/opt/slomix/bot).
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Only reads, and reads under check mode too.
"""

EXAMPLES = r"""
- name: Ask the deployed bot what the flag would do
  slomix.timetracking.timing_display_info:
    root: /opt/slomix/bot
"""

RETURN = r"""
shows_when_false:
  description: old, new or unknown.
  type: str
  returned: success
shows_when_true:
  description: old, new, both or unknown.
  type: str
  returned: success
new_only:
  description: Whether the bot has a NEW-only display behind SHOW_TIMING_NEW_ONLY.
  type: bool
  returned: success
way:
  description: key and value of the setting that shows the new values only; null when none does.
  type: dict
  returned: success
reason:
  description: Where the flag decides the display, or why that is not known.
  type: str
  returned: success
new_only_reason:
  description: The same for SHOW_TIMING_NEW_ONLY.
  type: str
  returned: success
branches:
  description: Each place that a setting decides, with the timing values of both sides.
  type: list
  elements: dict
  returned: success
files:
  description: Number of files read.
  type: int
  returned: success
sha256:
  description: Digest over all files read, path and content.
  type: str
  returned: success
"""

import hashlib
import os
from typing import Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import timing_probe

SKIPPED = {"__pycache__", "tests", "test", "node_modules", ".git", "venv", ".venv"}
MOST_FILES = 2000


def read_tree(root: str) -> Dict[str, bytes]:
    """Relative path -> content of every Python file that belongs to the program."""
    found: Dict[str, bytes] = {}
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if name not in SKIPPED and not name.startswith("venv"))
        for name in sorted(names):
            if name.endswith(".py") and not name.startswith("test_"):
                path = os.path.join(folder, name)
                with open(path, "rb") as handle:
                    found[os.path.relpath(path, root)] = handle.read()
    return found


def main() -> None:
    """Module entry point."""
    module = AnsibleModule(argument_spec={"root": {"type": "path", "required": True}}, supports_check_mode=True)
    root = module.params["root"]
    try:
        files = read_tree(root)
    except OSError as error:
        module.fail_json(
            msg=f"found: {error.filename} cannot be read ({error.strerror}); required: the bot's source; next: run with become"
        )
    if not 0 < len(files) <= MOST_FILES:
        module.fail_json(
            msg=f"found: {len(files)} Python files below {root}; required: the folder of the bot's package; next: name it (bot_root)"
        )
    digest = hashlib.sha256(b"".join(name.encode() + b"\0" + files[name] + b"\0" for name in sorted(files))).hexdigest()
    answer = timing_probe.probe({name: data.decode("utf-8", "replace") for name, data in files.items()})
    module.exit_json(changed=False, files=len(files), sha256=digest, **answer)


if __name__ == "__main__":
    main()
