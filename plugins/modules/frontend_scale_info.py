#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""List the lines of the website's front end that know the old scale of the metrics."""

from __future__ import annotations

DOCUMENTATION = r"""
module: frontend_scale_info
short_description: List the lines of the website's front end that know the old scale of the metrics
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - Damage efficiency becomes a ratio and frag potential damage per alive minute. Labels, axis limits, thresholds and a
    percent sign in scripts and pages must follow. Their lines are found and listed; nothing is changed.
  - A missing folder is said, not an error, since a front end may lie on another host.
options:
  root:
    description: Folder of the front end, such as C(/opt/slomix/website).
    type: path
    required: true
attributes:
  check_mode:
    support: full
    description: Only reads, and reads under check mode too.
"""

EXAMPLES = r"""
- name: List what the front end knows of the old scale
  slomix.timetracking.frontend_scale_info:
    root: /opt/slomix/website
"""

RETURN = r"""
looked_at:
  description: Whether the folder is there.
  type: bool
  returned: success
places:
  description: >-
    Lines that name a metric or stand beside one. C(kind) is scale (a label, limit or threshold), near (one beside it) use
    (the value is handed on) or unread (a file or folder that cannot be read).
  type: list
  elements: dict
  returned: success
  sample: [{path: js/graphs.js, line: 13, text: "{ label: 'Damage Efficiency %' }", kind: scale}]
to_look_at:
  description: How many of them are scale or near.
  type: int
  returned: success
text:
  description: The same in a sentence.
  type: str
  returned: success
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils.frontend_scale import places


def main() -> None:
    """Module entry point."""
    module = AnsibleModule(argument_spec={"root": {"type": "path", "required": True}}, supports_check_mode=True)
    root = Path(module.params["root"])
    if not root.is_dir():
        text = f"the front end was not looked at: found no folder {root}; name it with web_source_frontend"
        module.exit_json(changed=False, looked_at=False, places=[], to_look_at=0, text=text)
    found = places(root)
    count = sum(place.scale for place in found)
    text = f"{count} lines below {root} know a scale of the metrics, {len(found) - count} hand a value on; none was changed"
    module.exit_json(
        changed=False, looked_at=True, places=[place.as_dict() for place in found], to_look_at=count, text=text
    )


if __name__ == "__main__":
    main()
