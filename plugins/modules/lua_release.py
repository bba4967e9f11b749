#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Deploy one Lua file as a content-addressed release, restore a recorded one, or only read what is deployed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lua_release
short_description: Deploy, restore or read one Lua file as a content-addressed release
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - Every release is kept under its SHA-256 with a manifest. The bytes found before the first change become a release
    too, the original.
  - "A switch: intent noted, staged beside the target under a name that no C(lua_modules) entry can reach, synced,
    digest
    verified, owner and mode as the original, renamed, folder synced, end noted. Killed anywhere, the next run goes on
    to
    the same end; the server only ever sees whole files."
  - Refuses when the target holds neither the recorded nor the wished bytes (a hand edit), when the moment is wrong
    (players in a match), and when owner or mode could not be kept. The target is then untouched.
  - A target that is a symbolic link is written through to the real file.
options:
  name:
    description: Name of the release line, the folder under O(store_dir).
    type: str
    required: true
  target:
    description: The file that really runs (a copy in the homepath shadows the one in the install directory).
    type: path
    required: true
  store_dir:
    description: Folder on the host that keeps the releases.
    type: path
    required: true
  state:
    description:
      - V(deployed) puts O(content_b64) in place.
      - V(restored) puts the recorded O(release) back, with its mode and owner.
      - V(read) changes nothing and refuses nothing; RV(drift) tells whether the bytes are the recorded ones.
    type: str
    choices: [deployed, restored, read]
    default: read
  content_b64:
    description: The file's bytes, base64. The file may hold a webhook URL, so the value is never shown.
    type: str
  content_path:
    description: >-
      A file on the controller in place of O(content_b64); an action plugin reads it, so every byte is carried.
    type: path
  sha256:
    description: The digest that the bytes of O(content_b64) must have.
    type: str
  made_from:
    description: SHA-256 of the file that the content was made from, for the manifest.
    type: str
    default: ""
  from_target:
    description: >-
      The content was made from the file at O(target), so it holds any hand edit made there; such an edit is refused.
    type: bool
    default: false
  recipes:
    description: The codemod recipes that made it, for the manifest.
    type: list
    elements: str
    default: []
  release:
    description: What V(restored) restores, V(original) or a SHA-256.
    type: str
    default: original
  missing_ok:
    description:
      - The step is known never to have acted here, so V(restored) with nothing recorded is no error. The file on disk is
        then recorded as the original, and left-overs of an interrupted run are removed.
    type: bool
    default: false
  given:
    description: >-
      The predicted RV(after) of an earlier task. Under check mode V(read) reports it in place of the host; otherwise it
      is ignored.
    type: dict
    default: {}
  keep:
    description: How many releases to keep; the current, the previous and the original one always stay.
    type: int
    default: 10
  console_log:
    description: >-
      The game console. A cursor behind its last line is taken right after the switch, so that later loads can be told
      from earlier ones.
    type: path
  moment:
    description: >-
      How to ask the game server whether now is a moment to replace the file. Needed by V(deployed) and V(restored).
    type: dict
    suboptions:
      host: {type: str, default: 127.0.0.1, description: Address of the game server as seen on the host.}
      port: {type: int, default: 27960, description: Its UDP port.}
      rcon_password_file: {type: path, required: true, description: File on the host with the rcon password.}
      timeout_s: {type: float, default: 2.0, description: How long to wait for one answer.}
      forced: {type: bool, default: false, description: Replace the file at a wrong moment too; this is recorded.}
attributes:
  check_mode:
    support: full
    description: >-
      The same path up to the first write. A wrong moment is a warning there, since the real run comes at another time.
  diff_mode:
    support: full
    description: The file before and after, with URLs and other credentials masked.
"""

EXAMPLES = r"""
- name: Deploy the candidate
  slomix.timetracking.lua_release:
    name: stats_discord_webhook.lua
    target: /home/et/etlegacy-v2.83.1-x86_64/legacy/luascripts/stats_discord_webhook.lua
    store_dir: /home/et/.rollout/releases
    state: deployed
    content_path: "{{ candidate.path }}"
    sha256: "{{ candidate.sha256 }}"
    console_log: /home/et/.etlegacy/legacy/etconsole.log
    moment: {rcon_password_file: /home/et/.rollout/rcon_password}

- name: Put the original back
  slomix.timetracking.lua_release:
    name: stats_discord_webhook.lua
    target: /home/et/etlegacy-v2.83.1-x86_64/legacy/luascripts/stats_discord_webhook.lua
    store_dir: /home/et/.rollout/releases
    state: restored
    moment: {rcon_password_file: /home/et/.rollout/rcon_password}
"""

RETURN = r"""
before:
  description: Target, digests, size, mode, owner, the recorded original, current and previous release, the stored ones.
  type: dict
  returned: always
after:
  description: The same afterwards; predicted under check mode.
  type: dict
  returned: always
actions:
  description: What was done, or would be done.
  type: list
  elements: str
  returned: always
replaces_target:
  description: Whether the file that the server reads is (or would be) replaced.
  type: bool
  returned: always
predicted:
  description: Whether O(given) was reported in place of the host.
  type: bool
  returned: always
drift:
  description: Why the bytes at the target are not the recorded ones; empty when they are.
  type: str
  returned: always
deployment:
  description: When the current release was put in place (unix seconds of the host) and the console cursor taken then.
  type: dict
  returned: when something is recorded
moment:
  description: Whether the moment was safe, whether that is known, why, what to do next, and whether it was forced.
  type: dict
  returned: when the target is replaced
"""

import os
from typing import Any, Callable, Dict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import moment as moments
from ansible_collections.slomix.timetracking.plugins.module_utils import release
from ansible_collections.slomix.timetracking.plugins.module_utils.release_store import (
    Host,
    digests,
    left_at,
    lock,
    masked_diff,
    stamp,
    wished_content,
)


def judge(options: Dict[str, Any]) -> Dict[str, Any]:
    """Ask the server and judge the moment."""
    facts = moments.observe(options["host"], options["port"], options["rcon_password_file"], options["timeout_s"])
    found = moments.judge_moment(facts)
    return {
        "safe": found.safe,
        "known": found.known,
        "reason": found.reason,
        "next": found.next,
        "forced": options["forced"] and not found.safe,
        "map": facts.map,
        "players": facts.players,
        "gamestate": facts.gamestate,
        "current_round": facts.current_round,
    }


def run(module: AnsibleModule, fail: Callable[..., None]) -> Dict[str, Any]:
    """Read, plan, judge, apply."""
    params = module.params
    host = Host(params["name"], params["target"], params["store_dir"], params["console_log"])
    changing = params["state"] != "read"
    held = lock(host.store) if changing and not module.check_mode and os.path.exists(host.target) else None
    world = host.read()
    result: Dict[str, Any] = {
        "changed": False,
        "predicted": False,
        "before": release.view(world),
        "after": release.view(world),
        "actions": [],
        "replaces_target": False,
        "drift": "",
    }
    if not changing and module.check_mode and params["given"]:
        return {**result, "before": params["given"], "after": params["given"], "predicted": True}
    if not changing:
        result["drift"] = release.drift(world) if world.journal and world.on_disk else ""
        return {**result, **stamp(host)}
    content = b""
    if params["state"] == "deployed":
        content = wished_content(params)
        sha256, sha1 = digests(content)
        wish = release.FileState(sha256, sha1, len(content), 0, 0, 0)
        origin = (params["made_from"], tuple(params["recipes"]))
        plan = release.plan_deploy(world, wish, *origin, params["keep"], params["from_target"])
    else:
        plan = release.plan_restore(world, params["release"], params["keep"], params["missing_ok"])
    result.update(
        changed=bool(plan.steps),
        after=release.view(plan.after),
        actions=list(plan.actions),
        replaces_target=plan.replaces_target,
    )
    if plan.replaces_target:
        new = content or host.bytes_of(plan.after.on_disk.sha256)  # type: ignore[union-attr]
        with open(host.target, "rb") as handle:
            result["diff"] = masked_diff(host.target, handle.read(), new)
        result["moment"] = judge(params["moment"])
        if not result["moment"]["safe"]:
            refuse_or_warn(module, result, fail)
    if not module.check_mode:
        for step in plan.steps:
            host.perform(step, content)
        result["after"] = release.view(host.read())
        result.update(stamp(host))
        if held is not None:
            os.close(held)
    elif not plan.steps:
        result.update(stamp(host))
    return result


def refuse_or_warn(module: AnsibleModule, result: Dict[str, Any], fail: Callable[..., None]) -> None:
    """A wrong moment stops a real run unless it is forced; check mode only tells."""
    found = result["moment"]
    text = f"not now: {found['reason']}; required is a moment when no match can run half old, half new; {found['next']}"
    if found["forced"]:
        module.warn(f"the moment was forced although {found['reason']}")
    elif module.check_mode:
        module.warn(f"a real run would be refused at this moment: {text}")
    else:
        fail(msg=text, moment=found)


def main() -> None:
    """Run as an Ansible module."""
    options = {
        "host": {"type": "str", "default": "127.0.0.1"},
        "port": {"type": "int", "default": 27960},
        "rcon_password_file": {"type": "path", "required": True, "no_log": False},
        "timeout_s": {"type": "float", "default": 2.0},
        "forced": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "target": {"type": "path", "required": True},
            "store_dir": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["deployed", "restored", "read"], "default": "read"},
            "content_b64": {"type": "str", "no_log": True},
            "sha256": {"type": "str"},
            "made_from": {"type": "str", "default": ""},
            "from_target": {"type": "bool", "default": False},
            "recipes": {"type": "list", "elements": "str", "default": []},
            "release": {"type": "str", "default": "original"},
            "missing_ok": {"type": "bool", "default": False},
            "given": {"type": "dict", "default": {}},
            "keep": {"type": "int", "default": 10},
            "console_log": {"type": "path"},
            "moment": {"type": "dict", "options": options},
        },
        required_if=[("state", "deployed", ("content_b64", "moment")), ("state", "restored", ("moment",))],
        supports_check_mode=True,
    )
    name: str = module.params["name"]
    if os.sep in name or name.startswith("."):
        module.fail_json(msg=f"name is {name!r}; required is a plain file name, since it becomes a folder of the store")
    try:
        result = run(module, module.fail_json)
    except release.Refused as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error}; {left_at(module.params['target'])}; remove the cause and run again")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
