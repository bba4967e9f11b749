#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Retire a systemd unit, restore what was found before, or only read it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service_state
short_description: Retire a systemd unit and restore exactly what was recorded
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - Brings a unit to disabled B(and) inactive, and tells that apart from a unit that is missing, misspelt, masked,
    failed, static or broken, and from a host without systemd. C(systemctl is-active) cannot tell these apart and exits
    non-zero in the normal case.
  - What the unit was before is recorded on the host before anything is changed. The first recording wins, so a second
    run does not overwrite the original. O(state=restored) leads back to the recording, never to constants, and refuses
    when nothing is recorded.
  - Without root it calls C(sudo -n systemctl VERB UNIT), with no other verbs than C(disable --now), C(disable),
    C(stop), C(enable --now), C(enable) and C(start).
options:
  name:
    description: The unit with its suffix.
    type: str
    required: true
  state:
    description:
      - V(retired) disables and stops; fails in every state that is neither retired nor accepted.
      - V(restored) leads back to the recorded state.
      - V(read) changes nothing and never fails for what it finds; RV(satisfied) is the answer.
    type: str
    choices: [retired, restored, read]
    default: read
  state_dir:
    description: Folder on the host that keeps the recording, named after the unit. Needed by V(retired) and V(restored).
    type: path
  accepted_states:
    description: States that are good enough although they are not "disabled and inactive"; the unit must not run and not start at boot.
    type: list
    elements: str
    choices: [missing, masked, failed]
    default: []
  missing_ok:
    description: The step is known never to have acted here, so V(restored) with nothing recorded has nothing to undo and is no error.
    type: bool
    default: false
  sudo:
    description: Call systemctl through C(sudo -n) when the user is not root.
    type: bool
    default: true
  given:
    description: >-
      The predicted RV(after) of an earlier task. Under check mode it is judged in place of the host, so that a verify leg can be predicted;
      outside check mode it is ignored.
    type: dict
attributes:
  check_mode:
    support: full
    description: The same path; only the verbs and the recording are left out.
  diff_mode:
    support: full
    description: The unit's state before and after.
"""

EXAMPLES = r"""
- name: Retire the deprecated watcher
  slomix.timetracking.service_state:
    name: et-stats-webhook.service
    state: retired
    state_dir: /home/et/.rollout/state

- name: Read it from outside
  slomix.timetracking.service_state:
    name: et-stats-webhook.service
"""

RETURN = r"""
state:
  description: What was found at the end (predicted under check mode).
  type: str
  returned: always
  sample: retired
satisfied:
  description: Whether the unit is disabled and inactive, or in an accepted state.
  type: bool
  returned: always
guidance:
  description: What was found, what is required, what to do next.
  type: str
  returned: always
before:
  description: State and the four properties of systemd at the start.
  type: dict
  returned: always
after:
  description: The same at the end; predicted under check mode.
  type: dict
  returned: always
actions:
  description: What was done, or would be done.
  type: list
  elements: str
  returned: always
record:
  description: Path of the recorded state and what it holds.
  type: dict
  returned: always
predicted:
  description: Whether O(given) was judged in place of the host.
  type: bool
  returned: always
"""

import os
from typing import Any, Dict, List, NoReturn, Optional, Tuple

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import before_state, units

RUNTIME_MARK = "/run/systemd/system"
"""Exists exactly when systemd is PID 1 (sd_booted(3))."""

Found = Tuple[str, Optional[units.Facts], Optional[str]]
Record = Optional[Dict[str, Any]]


def refuse(module: AnsibleModule, msg: str, **facts: Any) -> NoReturn:
    """End the module as failed; typed as never returning, which AnsibleModule's own method is not."""
    module.fail_json(msg=msg, **facts)
    raise AssertionError(msg)


def read(module: AnsibleModule, name: str) -> Found:
    """(state, facts or None, the unit probably meant or the reason why nothing is known)."""
    systemctl = module.get_bin_path("systemctl")
    if systemctl is None or not os.path.isdir(RUNTIME_MARK):
        return units.NO_SYSTEMD, None, None
    rc, out, err = module.run_command([systemctl, "show", "-p", ",".join(units.PROPERTIES), "--", name])
    if rc != 0:
        return units.explain_failure(err), None, err.strip()
    try:
        facts = units.parse_show(out)
    except ValueError as error:
        return units.UNREADABLE, None, str(error)
    state = units.classify(facts)
    if state == units.MISSING:
        rc, out, _err = module.run_command([systemctl, "list-unit-files", "--no-legend", "--no-pager"])
        guess = units.closest(name, [line.split()[0] for line in out.splitlines() if line.strip()]) if rc == 0 else None
        if guess is not None:
            return units.MISSPELT, facts, guess
    return state, facts, None


def view(state: str, facts: Optional[units.Facts]) -> Dict[str, Any]:
    """The shape of before and after."""
    return {"state": state, **(facts.as_dict() if facts is not None else {})}


def from_view(given: Dict[str, Any]) -> Found:
    """The reverse of ``view``, for a predicted state."""
    facts = units.Facts(*(given[key] for key in ("load", "unit_file", "active", "sub"))) if "load" in given else None
    return given["state"], facts, None


def run_verbs(module: AnsibleModule, name: str, verbs: List[str]) -> None:
    """Call systemctl for each verb; ends the module with what failed, since half a state must not look like a whole
    one."""
    prefix = ["sudo", "-n"] if module.params["sudo"] and os.geteuid() != 0 else []
    for verb in verbs:
        # sudo rules match the words as typed, so the order is fixed: verb, option, unit.
        command = [*prefix, "systemctl", *verb.split(), name]
        rc, _out, err = module.run_command(command)
        if rc != 0:
            refuse(
                module,
                f"found: `{' '.join(command)}` failed with {rc}: {err.strip()}; required: the right to run it; "
                f"next: allow exactly this command in sudoers, or run it by hand and start the step again",
            )


def main() -> None:
    """Module entry point."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["retired", "restored", "read"], "default": "read"},
            "state_dir": {"type": "path"},
            "accepted_states": {"type": "list", "elements": "str", "choices": list(units.ACCEPTABLE), "default": []},
            "missing_ok": {"type": "bool", "default": False},
            "sudo": {"type": "bool", "default": True},
            "given": {"type": "dict"},
        },
        required_if=[("state", "retired", ["state_dir"]), ("state", "restored", ["state_dir"])],
        supports_check_mode=True,
    )
    name, wish = module.params["name"], module.params["state"]
    if not units.well_formed(name):
        refuse(
            module,
            f"found: {name!r} is no unit name; required: a name with its suffix; next: write it like example.service",
        )
    path = os.path.join(module.params["state_dir"], f"{name}.json") if module.params["state_dir"] else None
    predicted = bool(module.check_mode and wish == "read" and module.params["given"])
    found = from_view(module.params["given"]) if predicted else read(module, name)
    if path and wish != "read" and not module.check_mode:
        before_state.sweep(path)
    try:
        record = before_state.read_record(path) if path else None
    except before_state.RecordError as error:
        refuse(module, str(error))

    result: Dict[str, Any] = {"changed": False, "before": view(*found[:2]), "actions": [], "predicted": predicted}
    after, kept = found, record
    if wish == "retired":
        after, kept = retire(module, name, str(path), record, found, result)
    elif wish == "restored":
        after, kept = restore(module, name, str(path), record, found, result)
    result.update(finish(name, after, module.params["accepted_states"]))
    result["record"] = {"path": path, "before": (kept or {}).get("before")}
    result["diff"] = {"before": result["before"], "after": result["after"]}
    module.exit_json(**result)


def expected(found: Found, verbs: List[str]) -> Found:
    """What ``read`` will find after the verbs."""
    state, facts, hint = found
    if facts is None or not verbs:
        return state, facts, hint
    facts = units.predict(facts, verbs)
    return units.classify(facts), facts, None


def retire(
    module: AnsibleModule, name: str, path: str, record: Record, found: Found, result: Dict[str, Any]
) -> Tuple[Found, Record]:
    """Record what was found (the first recording wins), then lead to disabled and inactive."""
    state, facts, _hint = found
    present = facts is not None and state not in (units.MISSING, units.MISSPELT, units.BROKEN)
    verbs = units.plan(facts.enabled, facts.running, False, False) if facts is not None and present else []
    after = expected(found, verbs)
    # A step that cannot reach its aim must not act at all, so it refuses on the prediction, for real as in check mode.
    refuse_unsatisfied(module, name, after, result)
    if not before_state.is_open(record):
        record = before_state.new_record(result["before"])
        result["actions"].append(f"record the state before in {path}")
        if not module.check_mode:
            before_state.write_record(path, record)
    result["actions"] += [f"systemctl {verb} {name}" for verb in verbs]
    result["changed"] = bool(result["actions"])
    if verbs and not module.check_mode:
        run_verbs(module, name, verbs)
        after = read(module, name)
        refuse_unsatisfied(module, name, after, result)
    return after, record


def restore(
    module: AnsibleModule, name: str, path: str, record: Record, found: Found, result: Dict[str, Any]
) -> Tuple[Found, Record]:
    """Lead back to the recording, then mark it as restored."""
    verbs, marked = way_back(module, name, path, record, found[1], result)
    after = expected(found, verbs)
    if marked is None:
        return after, record
    result["actions"] = [f"systemctl {verb} {name}" for verb in verbs] + [
        f"mark the state before in {path} as restored"
    ]
    result["changed"] = True
    if not module.check_mode:
        run_verbs(module, name, verbs)
        after = read(module, name) if verbs else after
        refuse_half_restored(module, name, after, path, marked["before"], result)
        before_state.write_record(path, marked)
    return after, marked


def refuse_unsatisfied(module: AnsibleModule, name: str, after: Found, result: Dict[str, Any]) -> None:
    """End the module with guidance when the unit is, or would be, neither retired nor in an accepted state."""
    end = finish(name, after, module.params["accepted_states"])
    if not end["satisfied"]:
        refuse(module, end["guidance"], **{**result, **end})


def refuse_half_restored(
    module: AnsibleModule, name: str, after: Found, path: str, wish: Dict[str, Any], result: Dict[str, Any]
) -> None:
    """End the module when the verbs ran but the unit is not what the recording says."""
    facts = after[1]
    if "enabled" not in wish or wish.get("load") == "not-found":
        return
    if facts is None or (facts.enabled, facts.running) != (wish["enabled"], wish["running"]):
        refuse(
            module,
            f"found: {name} is {view(after[0], facts)} after {result['actions']}; required: what {path} recorded, "
            f"{wish}; "
            f"next: look at `systemctl status {name}`, then run the revert again",
            **result,
        )


def finish(name: str, after: Found, accepted: List[str]) -> Dict[str, Any]:
    """The part of the result that speaks about the end."""
    state, facts, hint = after
    return {
        "after": view(state, facts),
        "state": state,
        "satisfied": facts is not None and units.satisfied(facts, state, accepted),
        "guidance": units.guidance(name, state, facts, hint)
        + (f" ({hint})" if hint and state == units.UNREADABLE else ""),
    }


def way_back(
    module: AnsibleModule,
    name: str,
    path: str,
    record: Record,
    facts: Optional[units.Facts],
    result: Dict[str, Any],
) -> Tuple[List[str], Record]:
    """(verbs, the recording marked as restored or None when that is done already)."""
    if record is None and module.params["missing_ok"]:
        return [], None
    if record is None:
        refuse(
            module,
            f"found: nothing is recorded in {path}; required: the state that the step found before it acted; "
            f"next: nothing to undo if playbooks/phase0.yml never acted here, else decide by hand (`systemctl status "
            f"{name}`)",
            **result,
        )
    if not before_state.is_open(record):
        return [], None
    before = record["before"]
    if "enabled" not in before or before.get("load") == "not-found":
        return [], before_state.restored(record)
    if facts is None or facts.load == "not-found":
        refuse(
            module,
            f"found: {name} cannot be read or is gone; required: the unit that was there when {path} was recorded; "
            f"next: install the unit again, then run the revert again",
            **result,
        )
    return units.plan(facts.enabled, facts.running, before["enabled"], before["running"]), before_state.restored(record)


if __name__ == "__main__":
    main()
