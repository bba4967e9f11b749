"""The plan as data: its lint, and which gates stand before a phase. Pure; python_checks/gates/files.py reads the
file.

Shape (playbooks/plan/plan.yml)::

    phases:
      - phase: 0                    # 0, 1, 2, ... in order
        title: Operational clean-up
        state: built                # built | planned; a planned phase has no playbook, gate and legs yet
        requires: []                # numbers of phases whose gates must have passed
        gate: phase0                # file under gates/
        playbook: phase0.yml        # file under playbooks/
        run_with: -e decision=x     # (none) options without which the playbook refuses, for `rollout status` to name
        revert_alone: false         # (false) whether it may be led back while phases that require it stand
        steps:
          - id: "0.1"               # phase.number, in order
            slug: deprecated_service
            title: The deprecated webhook watcher is disabled and stopped
            hosts: game_servers
            action: {role: deprecated_service, tasks: main}      # each leg: a task file of a role, or {none: reason}
            verify: {role: deprecated_service, tasks: verify}    # never none
            revert: {role: deprecated_service, tasks: revert}
"""

from __future__ import annotations

from typing import Any, Collection, Dict, List, Mapping, Optional, Sequence

STATES = ("built", "planned")
LEGS = ("action", "verify", "revert")
PHASE_KEYS = frozenset({"phase", "title", "state", "requires", "gate", "playbook", "run_with", "revert_alone", "steps"})
STEP_KEYS = frozenset({"id", "slug", "title", "hosts", *LEGS})


def phases(plan: Mapping[str, Any]) -> Dict[int, Mapping[str, Any]]:
    """The plan's phases by number."""
    return {item["phase"]: item for item in plan.get("phases") or []}


def required_gates(plan: Mapping[str, Any], number: int) -> List[str]:
    """Names of the gates that must have passed before phase ``number``. Raises KeyError for a phase that is not in
    the
    plan or not built."""
    known = phases(plan)
    if number not in known or known[number].get("state") != "built":
        built = ", ".join(str(one) for one, item in sorted(known.items()) if item.get("state") == "built")
        raise KeyError(f"phase {number} is not built; built are {built}")
    return [str(known[needed]["gate"]) for needed in known[number].get("requires") or []]


def lint_plan(
    plan: Any,
    *,
    gates: Optional[Collection[str]] = None,
    playbooks: Optional[Collection[str]] = None,
    task_files: Optional[Collection[str]] = None,
) -> List[str]:
    """Everything unsound in the plan, as sentences.

    ``gates`` are the names of gate files, ``playbooks`` the file names under playbooks/, ``task_files`` texts such as
    ``roles/a/tasks/main.yml``; each is compared only if given.
    """
    if not isinstance(plan, Mapping) or not isinstance(plan.get("phases"), list) or not plan["phases"]:
        return ["the plan needs a list of phases"]
    found: List[str] = []
    numbers = [item.get("phase") if isinstance(item, Mapping) else None for item in plan["phases"]]
    if numbers != list(range(len(numbers))):
        return [f"phases are numbered 0, 1, 2, ... in order, found {numbers}"]
    for item in plan["phases"]:
        found += _phase_problems(item, len(numbers))
    found += _cycle_problems(plan["phases"])
    if gates is not None:
        found += _pairing("gate", [str(item["gate"]) for item in plan["phases"] if item.get("gate")], gates)
    if playbooks is not None:
        named = [str(item["playbook"]) for item in plan["phases"] if item.get("playbook")]
        found += _pairing("playbook", named, [name for name in playbooks if name.startswith("phase")])
    if task_files is not None:
        found += [
            f"step {step['id']}: {leg} names {path}, which does not exist"
            for step, leg, path in _leg_files(plan["phases"])
            if path not in task_files
        ]
    return found


def _phase_problems(item: Mapping[str, Any], count: int) -> List[str]:
    label = f"phase {item['phase']}"
    found = [] if item.get("title") else [f"{label}: title is missing"]
    found += [f"{label}: unknown key {key!r}" for key in item if key not in PHASE_KEYS]
    state = item.get("state")
    if state not in STATES:
        found.append(f"{label}: state is built or planned, found {state!r}")
    if not isinstance(item.get("revert_alone", False), bool):
        found.append(f"{label}: revert_alone is true or false, found {item['revert_alone']!r}")
    if not isinstance(item.get("run_with", ""), str):
        found.append(f"{label}: run_with is one text of options, found {item['run_with']!r}")
    for needed in item.get("requires") or []:
        if isinstance(needed, bool) or not isinstance(needed, int) or not 0 <= needed < count:
            found.append(f"{label}: requires the phase {needed!r}, which is not in the plan")
    for key in ("gate", "playbook"):
        if state == "built" and not item.get(key):
            found.append(f"{label}: {key} is missing")
        if state == "planned" and item.get(key):
            found.append(f"{label}: it is only planned and yet names the {key} {item[key]}")
    steps = item.get("steps")
    if not isinstance(steps, list) or not steps:
        return [*found, f"{label}: steps are missing"]
    wanted = [f"{item['phase']}.{number}" for number in range(1, len(steps) + 1)]
    if [step.get("id") for step in steps] != wanted:
        found.append(
            f"{label}: step ids are {wanted[0]}, ... in order and quoted, found {[step.get('id') for step in steps]}"
        )
    for step in steps:
        found += _step_problems(step, state == "built")
    return found


def _step_problems(step: Mapping[str, Any], built: bool) -> List[str]:
    label = f"step {step.get('id')}"
    found = [
        f"{label}: {key} is missing" for key in ("slug", "title", *(("hosts",) if built else ())) if not step.get(key)
    ]
    found += [f"{label}: unknown key {key!r}" for key in step if key not in STEP_KEYS]
    for leg in LEGS if built else ():
        value = step.get(leg)
        if not isinstance(value, Mapping):
            found.append(f"{label}: the leg {leg} is missing; name role and tasks, or none with a reason")
        elif "none" in value:
            if leg == "verify":
                found.append(f"{label}: verify cannot be none; an act without a proof is not let through")
            elif not str(value["none"] or "").strip() or set(value) != {"none"}:
                found.append(f"{label}: {leg} none needs a reason and nothing else")
        elif set(value) != {"role", "tasks"} or not all(value.values()):
            found.append(f"{label}: the leg {leg} names role and tasks, found {dict(value)!r}")
    return found


def _cycle_problems(items: Sequence[Mapping[str, Any]]) -> List[str]:
    needs = {item["phase"]: [one for one in item.get("requires") or [] if isinstance(one, int)] for item in items}
    free: List[int] = []
    while True:
        ready = [number for number, needed in needs.items() if number not in free and set(needed) <= set(free)]
        if not ready:
            break
        free += ready
    stuck = sorted(set(needs) - set(free))
    known = all(one in needs for needed in needs.values() for one in needed)
    return [f"phases {stuck} require each other in a circle, so none of them can ever run"] if stuck and known else []


def _pairing(kind: str, named: Sequence[str], present: Collection[str]) -> List[str]:
    lost = [f"the plan names the {kind} {name}, which does not exist" for name in named if name not in present]
    orphans = [f"the {kind} {name} belongs to no phase of the plan" for name in sorted(present) if name not in named]
    return lost + orphans


def _leg_files(items: Sequence[Mapping[str, Any]]) -> List[Any]:
    return [
        (step, leg, f"roles/{step[leg]['role']}/tasks/{step[leg]['tasks']}.yml")
        for item in items
        for step in item.get("steps") or []
        for leg in LEGS
        if isinstance(step.get(leg), Mapping) and {"role", "tasks"} <= set(step[leg])
    ]
