#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Mark this host as taken by one rollout, or say who has it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_lock
short_description: Mark a host as taken by this rollout, so that another controller's rollout keeps off
version_added: 0.1.0
extends_documentation_fragment: [slomix.timetracking.ledger]
author: [the etl-timetracking-rollout contributors]
description:
  - The site's lock in the evidence folder (M(slomix.timetracking.rollout_lock)) keeps the runs of one controller apart.
    This one keeps controllers apart. C(playbooks/guard/hosts.yml) takes it on every host before the first act.
  - The action plugin of this name runs on the controller first. It takes operator, purpose and run from the site's lock,
    which this run must hold, and sees to it that the host is freed when C(ansible-playbook) ends, however it ends. That
    needs a connection by ssh with a key, or a local one.
  - A mark that was left over (the controller lost its power, or the way to the host) makes way for the same controller's
    next run by itself. For everybody else it is broken by name only, whatever its age.
  - Says too when the run before this one was recorded in evidence that this controller does not have.
  - C(changed) is false, since a mark is no change of the site. The folder stays on the host.
options:
  dir:
    description:
      - The lock's folder on the host, the same for everybody who runs the rollout there. The action plugin fills in
        the variable C(rollout_lock_dir) or, without it, C(~/.rollout/site) of the ssh user.
    type: path
  break_lock:
    description:
      - Name of a holder to push aside, as the refusal shows it, usually C({{ break_lock | default(omit) }}).
      - A holder that is seen to run is never pushed aside. What was broken is noted in the ledger.
    type: str
    default: ''
  mark:
    description: What is known of this run; filled in by the action plugin.
    type: dict
attributes:
  check_mode:
    description: Says who holds the host and whether a real run could take it; writes nothing and warns in place of failing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Hold this host until the run ends
  slomix.timetracking.site_lock:
    break_lock: "{{ break_lock | default(omit) }}"
"""

RETURN = r"""
state:
  description: V(taken) (under check mode it could be), V(mine) (this run has it already) or V(held) by another.
  type: str
  returned: success
way:
  description: Why an earlier holder made way, V(ended) (the same controller's) or V(broken) (by name); else empty.
  type: str
  returned: success
holder:
  description: The mark found on the host (name, operator, purpose, since, evidence, head); null when it was free.
  type: dict
  returned: success
previous:
  description: The mark of the run before this one; null when this is the first.
  type: dict
  returned: success
held_s:
  description: Seconds that the holder has had the host, by the host's clock.
  type: float
  returned: success
unknown:
  description: What this controller's ledger does not know of; empty when it knows the run before this one.
  type: str
  returned: success
blocked:
  description: Whether a real run would be refused (check mode only; a real run fails).
  type: bool
  returned: success
"""

import os
import sys

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import host_lock


def main() -> None:
    """Module entry point."""
    module = AnsibleModule(
        argument_spec={
            "dir": {"type": "path", "required": True},
            "mark": {"type": "dict", "required": True},
            "break_lock": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params = module.params
    folder = os.path.abspath(params["dir"])
    try:
        found = host_lock.take(folder, params["mark"], break_lock=params["break_lock"], check=module.check_mode)
    except host_lock.HostLockError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, dir=folder, python=sys.executable or "python3", **found)


if __name__ == "__main__":
    main()
