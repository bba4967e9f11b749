#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Deploy one Python source of a service as a content-addressed release, restore a recorded one, or read what is there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: source_release
short_description: Deploy, restore or read one Python source of a running service
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - The file is released by the same store as M(slomix.timetracking.lua_release), so every switch is atomic, every
    release is kept under its SHA-256, a hand edit is refused and the way back is byte for byte.
  - The service is restarted when its process is older than the file. It is restarted only when it is idle and nobody is
    in a match, and only when it was healthy before. V(restored) may also rescue a service that is down.
  - If the service is not healthy afterwards, the file that was there before is put back, the service is restarted
    again, and the module fails with the end of the service's journal.
  - The deployed tree is a git checkout. The module commits nothing; it says what git makes of the change and whether the
    next pull would stop at it. A file that a pull or checkout replaced by the committed one is the new original.
options:
  name:
    description: Name of the release line, the folder under O(store_dir).
    type: str
    required: true
  target:
    description: The deployed file.
    type: path
    required: true
  store_dir:
    description: Folder on the host that keeps the releases.
    type: path
    required: true
  state:
    description:
      - V(deployed) puts O(content_b64) in place.
      - V(restored) puts the recorded O(release) back.
      - V(read) changes nothing and refuses nothing.
    type: str
    choices: [deployed, restored, read]
    default: read
  unit:
    description: The service that runs the file.
    type: str
    required: true
  python:
    description: The service's interpreter; what its unit starts when empty. The content must compile with it.
    type: str
    default: ""
  content_b64:
    description: The file's bytes, base64.
    type: str
  content_path:
    description: A file on the controller in place of O(content_b64); an action plugin reads it.
    type: path
  sha256:
    description: The digest that the bytes of O(content_b64) must have.
    type: str
  made_from:
    description: SHA-256 of the file that the content was made from, for the manifest.
    type: str
    default: ""
  from_target:
    description: The content was made from the file at O(target); a hand edit there is then refused.
    type: bool
    default: false
  source_variable:
    description: The playbook's variable that names another file to start from; named in the refusal of a hand edit.
    type: str
    default: source_release_source
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
    description: The predicted RV(after) of an earlier task; reported by V(read) under check mode in place of the host.
    type: dict
    default: {}
  keep:
    description: How many releases to keep; the current, the previous and the original one always stay.
    type: int
    default: 10
  log:
    description: >-
      A log of the service. A cursor behind its last line is taken right after the switch; its end is shown when the
      service does not come up.
    type: path
  health:
    description: How to tell that the service works. Without O(health.url) a process that stays up counts.
    type: dict
    default: {}
    suboptions:
      url: {type: str, default: "", description: Answers 200 when the service works.}
      answer_timeout_s: {type: float, default: 5.0, description: How long to wait for one answer.}
      timeout_s: {type: float, default: 60.0, description: How long the service may take after a restart.}
      settle_s: {type: float, default: 3.0, description: How long it must then stay up as one process.}
  idle:
    description: How to tell that now is a moment to restart the service.
    type: dict
    default: {}
    suboptions:
      url: {type: str, default: "", description: 'Answers JSON whose C(idle) says whether the bot is at rest.'}
      wait_s: {type: float, default: 30.0, description: How long to wait for it to come to rest.}
      match:
        type: dict
        default: {}
        description: The C(moment) of M(slomix.timetracking.game_server_info); nothing is known when empty.
      forced: {type: bool, default: false, description: Restart at a wrong moment too; this is recorded.}
attributes:
  check_mode:
    support: full
    description: The same path up to the first write. A wrong moment is a warning there.
  diff_mode:
    support: full
    description: The file before and after, with credentials masked.
"""

EXAMPLES = r"""
- name: Deploy the parser
  slomix.timetracking.source_release:
    name: community_stats_parser.py
    target: /opt/slomix/bot/community_stats_parser.py
    store_dir: /home/slomix/.rollout/releases
    state: deployed
    unit: slomix-bot.service
    content_path: "{{ candidate.path }}"
    health: {url: "http://127.0.0.1:8089/health"}
    idle: {url: "http://127.0.0.1:8089/health", match: "{{ seen.moment }}"}
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
  description: Whether the file is (or would be) replaced.
  type: bool
  returned: always
restarts:
  description: Whether the service is (or would be) restarted.
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
renewed:
  description: Whether a pull or checkout has replaced the released file by the committed one.
  type: bool
  returned: always
deployment:
  description: When the current release was put in place (unix seconds) and the log's cursor taken then.
  type: dict
  returned: when something is recorded
unit:
  description: name, load, active, running, pid, started_unix, restarts, python and loaded (started after the switch).
  type: dict
  returned: always
health:
  description: url, ok, idle and problem.
  type: dict
  returned: always
checkout:
  description: root, head, branch, upstream, path, dirty files, and pull (stops and text) for the file afterwards.
  type: dict
  returned: always
moment:
  description: Whether the moment was safe, whether that is known, why, what to do next, and whether it was forced.
  type: dict
  returned: when the service is restarted
journal:
  description: The end of the service's journal and of O(log), credentials masked.
  type: list
  elements: str
  returned: when the service did not come back healthy
reverted:
  description: Whether the file that was there before is back, and the service healthy with it.
  type: bool
  returned: when the service did not come back healthy
"""

import os
import time
from dataclasses import replace
from typing import Any, Dict, List, NoReturn, Optional, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import checkout, release, service_unit, units
from ansible_collections.slomix.timetracking.plugins.module_utils.masking import mask
from ansible_collections.slomix.timetracking.plugins.module_utils.release_store import (
    Host,
    digests,
    left_at,
    lock,
    masked_diff,
    stamp,
    wished_content,
)

# Nothing of the content is run: compile() only reads it. Without the optimiser's cache nothing is written either.
COMPILE = (
    "import sys; data = sys.stdin.buffer.read(); compile(data, sys.argv[1], 'exec', dont_inherit=True);"
    " print(sys.version.split()[0])"
)


class Service:
    """The unit that runs the target: what it does, whether it may be restarted, and how it comes back."""

    def __init__(self, module: AnsibleModule, target: str) -> None:
        self.module = module
        self.target = target
        self.name: str = module.params["unit"]
        self.wish = module.params["health"]
        self.idle = module.params["idle"]

    def read(self) -> Dict[str, Any]:
        """Facts of the unit."""
        return service_unit.read(self.module.run_command, self.name, self.target)

    def health(self) -> Dict[str, Any]:
        """One answer of the service."""
        return service_unit.health(self.wish["url"], self.wish["answer_timeout_s"])

    def observe(self) -> Tuple[Dict[str, Any], Dict[str, Any]]:
        """Unit and health together; the service is not asked while it does not run."""
        unit = self.read()
        down = {"url": self.wish["url"], "ok": False, "idle": None, "problem": f"{self.name} does not run"}
        return unit, self.health() if unit["running"] else down

    def command(self, *words: str) -> Tuple[int, str, str]:
        """A command as root; the connected user may use sudo without a password on this host."""
        prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
        rc, out, err = self.module.run_command([*prefix, *words])
        return rc, out, err

    def restart(self, old_pid: Optional[int]) -> str:
        """Restart and wait; "" when healthy, else what is missing."""
        rc, _out, err = self.command("systemctl", "restart", "--", self.name)
        if rc != 0:
            return f"`systemctl restart {self.name}` ended with {rc}: {err.strip()}"
        return service_unit.settled(self.observe, old_pid, self.wish["timeout_s"], self.wish["settle_s"])

    def journal(self) -> List[str]:
        """The end of the unit's journal and of its log (a unit may write to a file), with credentials masked."""
        lines = str(service_unit.JOURNAL_LINES)
        rc, out, err = self.command("journalctl", "-u", self.name, "-n", lines, "--no-pager", "-o", "short-iso")
        told = mask(out if rc == 0 else f"the journal cannot be read: {err}").splitlines()
        log = self.module.params["log"]
        if log and os.path.exists(log):
            rc, out, err = self.module.run_command(["tail", "-n", lines, "--", log])
            told += [f"{log}:", *mask(out or err).splitlines()]
        return told

    def moment(self, wait_s: float) -> Dict[str, Any]:
        """Whether now is a moment to restart: nobody in a match, and the bot at rest."""
        match = self.idle["match"]
        found = {"forced": False, "players": match.get("players"), "map": match.get("map")}
        if not match or match.get("safe") is not True:
            reason = match.get("reason") or "whether anybody is in a match is not known"
            nxt = match.get("next") or "let the game server be asked (its inventory variables)"
            return {**found, "safe": False, "known": bool(match.get("known")), "reason": reason, "next": nxt}
        deadline = time.monotonic() + wait_s
        while True:
            state = service_unit.health(self.idle["url"], self.wish["answer_timeout_s"])
            if state["idle"] or time.monotonic() >= deadline:
                break
            time.sleep(service_unit.POLL_S)
        if state["idle"]:
            return {
                **found,
                "safe": True,
                "known": True,
                "reason": f"{match['reason']}; the bot is at rest",
                "next": "",
            }
        if state["idle"] is False:
            reason, nxt = f"the bot is at work for {wait_s:g} s or more", "wait until it has imported what was played"
        else:
            reason = f"whether the bot is at rest is not known: {state['problem'] or 'its answer does not say'}"
            nxt = "name the bot's health URL (bot_health_url)"
        return {**found, "safe": False, "known": state["idle"] is not None, "reason": reason, "next": nxt}


class Refusing:
    """Ends the module with what is known so far."""

    def __init__(self, module: AnsibleModule, result: Dict[str, Any]) -> None:
        self.module = module
        self.result = result

    def __call__(self, msg: str, **facts: Any) -> NoReturn:
        """Fail; typed as never returning, which AnsibleModule's own method is not."""
        self.module.fail_json(msg=msg, **{**self.result, "changed": False, **facts})
        raise AssertionError(msg)


def run(module: AnsibleModule) -> Dict[str, Any]:
    """Read, plan, judge, apply, prove."""
    params = module.params
    host = Host(params["name"], params["target"], params["store_dir"], params["log"], params["source_variable"])
    service = Service(module, host.target)
    changing = params["state"] != "read"
    held = lock(host.store) if changing and not module.check_mode and os.path.exists(host.target) else None
    world = host.read()
    tree = checkout.read(host.target)
    came = bool(world.on_disk and world.journal and release.drift(world)) and (
        world.on_disk is not None and world.on_disk.sha256 == tree["head_sha256"]
    )
    unit, state = service.observe()
    result: Dict[str, Any] = {
        "changed": False,
        "predicted": False,
        "before": release.view(world),
        "after": release.view(world),
        "actions": [],
        "replaces_target": False,
        "restarts": False,
        "drift": "",
        "renewed": came,
        "unit": unit,
        "health": state,
        "checkout": in_git(tree, world),
    }
    if not changing:
        if module.check_mode and params["given"]:
            given = params["given"]
            tree = {**tree, "pull": checkout.pull(tree, given.get("sha256", ""))}
            return {**result, "before": given, "after": given, "checkout": tree, "predicted": True}
        result["drift"] = release.drift(world) if world.journal and world.on_disk else ""
        if came:
            result["drift"] = f"{host.target} is as committed: a pull or checkout took the release away; run the phase"
        return {**result, **stamp(host)}
    if came:
        world = release.renewed(world)
        result["actions"].append(f"take {world.on_disk.sha256} of the checkout as the new original")  # type: ignore[union-attr]
    content = wished_content(params) if params["state"] == "deployed" else b""
    plan = planned(params, world, content)
    # The way back of a run that was killed before it could see that the service does not come up with the new file.
    rescues = params["state"] == "restored" and unit["load"] == "loaded" and is_ill(unit, state)
    restarts = plan.replaces_target or unit["loaded"] is False or (rescues and unit["active"] != "inactive")
    result.update(
        changed=bool(plan.steps) or restarts,
        after=release.view(plan.after),
        actions=result["actions"] + list(plan.actions),
        replaces_target=plan.replaces_target,
        restarts=restarts,
        checkout=in_git(tree, plan.after),
    )
    if plan.replaces_target:
        new = content or host.bytes_of(plan.after.on_disk.sha256)  # type: ignore[union-attr]
        with open(host.target, "rb") as handle:
            old = handle.read()
        result["diff"] = masked_diff(host.target, old, new)
        if content:
            check_compiles(module, unit, content, host.target)
    refuse = Refusing(module, result)
    if restarts:
        why = "the file is replaced" if plan.replaces_target else "its process is older than the file"
        why = why if plan.replaces_target or not rescues else "it is not healthy"
        result["actions"].append(f"restart {service.name}, since {why}, and see it healthy")
        if rescues:
            result["moment"] = {
                "safe": True,
                "known": True,
                "forced": False,
                "reason": f"{service.name} is down",
                "next": "",
            }
        else:
            judge(module, service, unit, state, result, refuse)
    if module.check_mode:
        return {**result, **(stamp(host) if not plan.steps else {})}
    for step in plan.steps:
        host.perform(step, content)
    if restarts:
        problem = service.restart(unit["pid"])
        if problem and rescues:
            refuse(
                f"{host.target} is as recorded again, and {service.name} is as ill as it was before: {problem}; required is a"
                " healthy service; look at the journal below",
                journal=service.journal(),
                reverted=False,
                after=release.view(host.read()),
            )
        if problem:
            failed(host, service, world, problem, refuse)
    result["after"] = release.view(host.read())
    result["unit"], result["health"] = service.observe()
    result.update(stamp(host))
    if held is not None:
        os.close(held)
    return result


def is_ill(unit: Dict[str, Any], state: Dict[str, Any]) -> bool:
    """Whether the service does not run, or runs and says that it is not well."""
    return not unit["running"] or state["ok"] is False


def planned(params: Dict[str, Any], world: release.World, content: bytes) -> release.Plan:
    """The plan for the wished state."""
    if params["state"] == "restored":
        return release.plan_restore(world, params["release"], params["keep"], params["missing_ok"])
    sha256, sha1 = digests(content)
    wish = release.FileState(sha256, sha1, len(content), 0, 0, 0)
    origin = (params["made_from"], tuple(params["recipes"]))
    return release.plan_deploy(world, wish, *origin, params["keep"], params["from_target"])


def in_git(tree: Dict[str, Any], world: release.World) -> Dict[str, Any]:
    """The checkout's facts, and what a pull makes of the file as ``world`` has it."""
    return {**tree, "pull": checkout.pull(tree, world.on_disk.sha256 if world.on_disk else "")}


def check_compiles(module: AnsibleModule, unit: Dict[str, Any], content: bytes, target: str) -> None:
    """Refuse what the service's own interpreter cannot compile."""
    python = module.params["python"] or unit["python"]
    if not python:
        raise release.Refused(
            f"which interpreter {unit['name']} uses cannot be seen in its unit; required is one to compile the file with;"
            " name it (option python)"
        )
    if not os.access(python, os.X_OK):
        raise release.Refused(
            f"the interpreter {python} cannot be started here; name the service's own (option python)"
        )
    rc, out, err = module.run_command([python, "-I", "-c", COMPILE, target], data=content, binary_data=True)
    if rc != 0:
        last = mask((err.strip() or out.strip() or "no message").splitlines()[-1])
        raise release.Refused(f"the candidate does not compile with {python}: {last}; nothing was changed")


def judge(
    module: AnsibleModule,
    service: Service,
    unit: Dict[str, Any],
    state: Dict[str, Any],
    result: Dict[str, Any],
    refuse: Refusing,
) -> None:
    """Refuse a restart of what is ill already or in use; check mode only tells."""
    if not unit["running"]:
        refuse(
            f"{service.name} is {unit['load'] or 'unknown'}, {unit['active'] or 'unknown'} {unit['problem']}; required is"
            " a running service, since its health is the proof of the change; start it or name the right unit"
        )
    if state["ok"] is False:
        refuse(
            f"{service.name} is not healthy before the change: {state['problem']}; required is a healthy one, else nobody"
            " can tell what broke it; look at its journal",
            journal=service.journal(),
        )
    moment = service.moment(0.0 if module.check_mode else service.idle["wait_s"])
    moment["forced"] = bool(service.idle["forced"]) and not moment["safe"]
    result["moment"] = moment
    if moment["safe"]:
        return
    text = f"not now: {moment['reason']}; required is a moment when nothing is played or imported; {moment['next']}"
    if moment["forced"]:
        module.warn(f"the moment was forced although {moment['reason']}")
    elif module.check_mode:
        module.warn(f"a real run would be refused at this moment: {text}")
    else:
        refuse(text)


def failed(host: Host, service: Service, before: release.World, problem: str, refuse: Refusing) -> NoReturn:
    """The service did not come back: put the bytes back that were there before, restart it again, and fail."""
    journal = service.journal()
    found = host.read()
    assert before.on_disk is not None
    told = f"{service.name} was not healthy after the change: {problem}"
    if found.on_disk is None or found.on_disk.sha256 == before.on_disk.sha256:
        refuse(
            f"{told}; the file was not changed by this run; look at the journal below", journal=journal, reverted=False
        )
    plan = release.plan_restore(replace(found, obstacle=""), before.on_disk.sha256, len(found.releases))
    for step in plan.steps:
        host.perform(step, b"")
    still = service.restart(service.read()["pid"])
    end = "the service is healthy with it" if not still else f"yet {still}"
    refuse(
        f"{told}; {before.on_disk.sha256} is back in place and {end}; look at the journal below",
        journal=journal,
        reverted=not still,
        changed=False,
        after=release.view(host.read()),
        unit=service.read(),
    )


def main() -> None:
    """Run as an Ansible module."""
    health = {
        "url": {"type": "str", "default": ""},
        "answer_timeout_s": {"type": "float", "default": 5.0},
        "timeout_s": {"type": "float", "default": 60.0},
        "settle_s": {"type": "float", "default": 3.0},
    }
    idle = {
        "url": {"type": "str", "default": ""},
        "wait_s": {"type": "float", "default": 30.0},
        "match": {"type": "dict", "default": {}},
        "forced": {"type": "bool", "default": False},
    }
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "target": {"type": "path", "required": True},
            "store_dir": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["deployed", "restored", "read"], "default": "read"},
            "unit": {"type": "str", "required": True},
            "python": {"type": "str", "default": ""},
            "content_b64": {"type": "str", "no_log": True},
            "sha256": {"type": "str"},
            "made_from": {"type": "str", "default": ""},
            "from_target": {"type": "bool", "default": False},
            "source_variable": {"type": "str", "default": "source_release_source"},
            "recipes": {"type": "list", "elements": "str", "default": []},
            "release": {"type": "str", "default": "original"},
            "missing_ok": {"type": "bool", "default": False},
            "given": {"type": "dict", "default": {}},
            "keep": {"type": "int", "default": 10},
            "log": {"type": "path"},
            "health": {"type": "dict", "default": {}, "apply_defaults": True, "options": health},
            "idle": {"type": "dict", "default": {}, "apply_defaults": True, "options": idle},
        },
        required_if=[("state", "deployed", ("content_b64",))],
        supports_check_mode=True,
    )
    name, unit = module.params["name"], module.params["unit"]
    if os.sep in name or name.startswith("."):
        module.fail_json(msg=f"name is {name!r}; required is a plain file name, since it becomes a folder of the store")
    if not units.well_formed(unit):
        module.fail_json(msg=f"unit is {unit!r}; required is a name with its suffix, like example.service")
    try:
        result = run(module)
    except release.Refused as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error}; {left_at(module.params['target'])}; remove the cause and run again")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
