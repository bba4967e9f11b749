#!/usr/bin/python
# Copyright: the etl-timetracking-rollout contributors
# MIT licence (see LICENSE)
"""Exactly one running instance of a script, counted by process tree."""

from __future__ import annotations

DOCUMENTATION = r"""
module: process_singleton
short_description: Keep exactly one instance of a script running
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - Counts the instances of a script by process tree from C(/proc). A pipeline's subshells belong to their instance;
    editors, C(tail), C(grep), shells that only mention the name, and the module's own ancestors are no instances.
    C(pgrep -fc) gets all of these wrong.
  - Surplus instances of the wanted user are ended gently (SIGTERM to the whole tree, a wait, SIGKILL to what is left)
    and the oldest stays. When none runs, one is started detached as the user.
  - Instances of other users, and processes that cannot be judged, are named and never signalled; the module fails then,
    since one cannot be shown to run.
  - What was found is recorded on the host before anything is changed. O(state=restored) ends an instance that this
    module started; a duplicate that it ended is not started again, because a duplicate is a defect and not a state
    worth restoring.
options:
  script:
    description: Absolute path of the script.
    type: path
    required: true
  state:
    description:
      - V(single) leads to exactly one instance.
      - V(restored) undoes a start, and nothing else.
      - V(read) changes nothing and never fails for what it finds; RV(satisfied) is the answer.
    type: str
    choices: [single, restored, read]
    default: read
  user:
    description: Owner of the instance; the current user when left out. Another user than the current one needs root.
    type: str
  state_dir:
    description: Folder on the host for the recording and the lock. Needed by V(single) and V(restored).
    type: path
  interpreter:
    description: Shell that runs the script when one has to be started.
    type: path
    default: /bin/bash
  log:
    description: File that gets the output of a started instance. Next to the recording when left out.
    type: path
  term_wait_s:
    description: Seconds between SIGTERM and SIGKILL.
    type: float
    default: 5.0
  settle_s:
    description: Seconds that a started instance is watched before it counts, and after which the instances are counted again.
    type: float
    default: 1.0
  missing_ok:
    description: The step is known never to have acted here, so V(restored) with nothing recorded has nothing to undo and is no error.
    type: bool
    default: false
  given:
    description: >-
      The predicted RV(after) of an earlier task. Under check mode it is judged in place of the host; outside check mode it is ignored.
    type: dict
attributes:
  check_mode:
    support: full
    description: The same path; only signals, the start, the lock and the recording are left out.
  diff_mode:
    support: full
    description: The instances before and after.
"""

EXAMPLES = r"""
- name: Keep one log monitor
  slomix.timetracking.process_singleton:
    script: /home/et/scripts/log_monitor.sh
    state: single
    state_dir: /home/et/.rollout/state

- name: Count from outside
  slomix.timetracking.process_singleton:
    script: /home/et/scripts/log_monitor.sh
"""

RETURN = r"""
before:
  description: Instances (pid, started_unix, start_ticks, cmdline, user, tree), foreign ones, and processes that may be one, at the start.
  type: dict
  returned: always
after:
  description: The same at the end. Under check mode predicted; a start is shown as an instance without a pid.
  type: dict
  returned: always
satisfied:
  description: Whether exactly one instance runs and nothing else may be one.
  type: bool
  returned: always
guidance:
  description: What was found, what is required, what to do next.
  type: str
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
killed:
  description: Pids that did not heed SIGTERM.
  type: list
  elements: int
  returned: always
predicted:
  description: Whether O(given) was judged in place of the host.
  type: bool
  returned: always
"""

import contextlib
import fcntl
import functools
import os
import pwd
import time
from typing import Any, Callable, Dict, Iterator, List, NoReturn, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slomix.timetracking.plugins.module_utils import before_state, processes
from ansible_collections.slomix.timetracking.plugins.module_utils.processes import Action, Census, Instance

ROUNDS = 3
"""How often plan and act are repeated when another start came in between (the boot script, a second operator)."""
LOCK_WAIT_S = 20.0
# What cron gives its jobs, which is how the boot script starts the same program.
PATH = "/usr/local/bin:/usr/bin:/bin"


def refuse(module: AnsibleModule, msg: str, **facts: Any) -> NoReturn:
    """End the module as failed; typed as never returning, which AnsibleModule's own method is not."""
    module.fail_json(msg=msg, **facts)
    raise AssertionError(msg)


def view(census: Census) -> Dict[str, Any]:
    """The shape of before and after."""
    return {
        "count": len(census.own),
        "instances": [processes.describe(i) for i in census.own],
        "foreign": [processes.describe(i) for i in census.foreign],
        "unsure": [
            {"pid": p.pid, "cmdline": " ".join(p.argv), "user": processes.user_name(p.uid)} for p in census.unsure
        ],
        "others_hidden": processes.others_hidden(),
    }


def holds(seen: Dict[str, Any]) -> bool:
    """Exactly one, and nothing else that may be one; with other users' processes hidden the answer is no."""
    return bool(seen["count"] == 1 and not seen["foreign"] and not seen["unsure"] and not seen["others_hidden"])


def guidance(script: str, seen: Dict[str, Any]) -> str:
    """One sentence: found, required, next."""
    if holds(seen):
        return f"exactly one instance of {script} runs"
    required = f"required: exactly one instance of {script}"
    if seen["others_hidden"]:
        return (
            f"found: /proc hides other users' processes; {required}; next: count as root, or mount /proc without "
            f"hidepid"
        )
    named = [f"pid {p['pid']} of {p['user']} ({p['cmdline']})" for p in seen["foreign"] + seen["unsure"]]
    if named:
        return (
            f"found: {seen['count']} own, and {', '.join(named)}; {required}; next: have the owner end it, it is "
            f"not ours to end"
        )
    pids = ", ".join(str(i["pid"]) for i in seen["instances"]) or "none"
    return f"found: {seen['count']} ({pids}); {required}; next: run ansible-playbook playbooks/phase0.yml"


@contextlib.contextmanager
def locked(module: AnsibleModule, path: str) -> Iterator[None]:
    """Keep a second run out; under check mode nothing is created, so nothing is locked."""
    if module.check_mode:
        yield
        return
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with open(path, "a", encoding="utf-8") as handle:
        deadline = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > deadline:
                    refuse(
                        module,
                        f"found: {path} is locked by another run for {LOCK_WAIT_S:g} s; required: one run at a "
                        f"time; next: run again when it ended",
                    )
                time.sleep(0.1)
        yield


class Step:
    """One run of the module: reads, plans and acts for one script and user."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        p = module.params
        self.script = os.path.realpath(p["script"])
        try:
            entry = pwd.getpwnam(p["user"]) if p["user"] else pwd.getpwuid(os.geteuid())
        except KeyError:
            refuse(module, f"found: no user {p['user']}; required: an existing one; next: correct the name")
        self.uid, self.home, self.user = entry.pw_uid, entry.pw_dir, entry.pw_name
        if self.uid != os.geteuid() and os.geteuid() != 0:
            refuse(
                module,
                f"found: running as another user than {self.user}; required: {self.user} or root; next: connect as "
                f"{self.user}",
            )
        base = os.path.join(p["state_dir"], os.path.basename(p["script"])) if p["state_dir"] else None
        self.path = f"{base}.json" if base else None
        self.log = p["log"] or (f"{base}.log" if base else None)
        self.command = [p["interpreter"], p["script"]]
        self.killed: List[int] = []

    def census(self) -> Census:
        """What runs now, without this module and its ancestors."""
        return processes.take_census(processes.snapshot(), self.script, self.uid, ignore=processes.own_line())

    def sentence(self, action: Action) -> str:
        """An action in words; the same before and after it was done."""
        if action.verb == "start":
            return f"start {' '.join(self.command)} as {self.user}, detached"
        assert action.instance is not None
        root = action.instance.root
        return f"end the instance with pid {root.pid} ({' '.join(root.argv)})"

    def predict(self, seen: Dict[str, Any], census: Census, actions: List[Action]) -> Dict[str, Any]:
        """``after`` as the actions will make it; a process that does not exist yet has no pid."""
        newcomer = Instance(processes.Process(0, 0, 0, self.uid, tuple(self.command)), ())
        left = processes.apply(census.own, actions, newcomer)
        shown = [
            {"pid": None, "cmdline": " ".join(self.command), "user": self.user}
            if i is newcomer
            else processes.describe(i)
            for i in left
        ]
        return {**seen, "count": len(left), "instances": shown}

    def do(self, actions: List[Action], note: Callable[[processes.Process], None] = lambda started: None) -> None:
        """Carry actions out; ``note`` is told of a process as soon as it was started."""
        surplus = [a.instance for a in actions if a.verb == "end" and a.instance is not None]
        if surplus:
            outcome = processes.end_instances(surplus, self.module.params["term_wait_s"])
            self.killed += outcome.killed
            if outcome.alive:
                refuse(
                    self.module,
                    f"found: pids {outcome.alive} live on after SIGKILL; required: they end; next: look at `ps -o "
                    f"stat,wchan -p` of them",
                )
        if any(a.verb == "start" for a in actions):
            self.start(note)

    def start(self, note: Callable[[processes.Process], None]) -> None:
        """Start one, and watch it for a moment: a script that ends at once is no instance."""
        if not os.access(self.module.params["script"], os.R_OK):
            refuse(
                self.module,
                f"found: {self.module.params['script']} is missing or not readable; required: the script; next: "
                f"correct the path or install it",
            )
        environment = {"PATH": PATH, "HOME": self.home, "USER": self.user, "LOGNAME": self.user, "SHELL": "/bin/bash"}
        try:
            pid = processes.start_detached(self.command, str(self.log), self.home, self.uid, environment)
        except OSError as error:
            refuse(
                self.module,
                f"found: {' '.join(self.command)} cannot be started: {error}; required: a running instance; next: "
                f"start it by hand to see why",
            )
        process = processes.read_process(pid)
        if process is not None:
            # Before anything else: a run that is killed while it watches must not forget what it started.
            note(process)
        time.sleep(self.module.params["settle_s"])
        process = processes.read_process(pid)
        if process is None or not process.argv:
            refuse(
                self.module,
                f"found: {' '.join(self.command)} ended within {self.module.params['settle_s']:g} s; required: it "
                f"keeps running; "
                f"next: read the end of {self.log}",
            )

    def converge(self, result: Dict[str, Any]) -> None:
        """Lead to exactly one; repeated when someone else started one meanwhile: the count decides, not the
        intention."""
        census = self.census()
        result["before"] = result["after"] = view(census)
        actions = self.plan(census, result["before"])
        if not holds(self.predict(result["before"], census, actions)):
            refuse(self.module, guidance(self.script, result["before"]), **{**result, "satisfied": False})
        record = read_record(self)
        if record is None or not before_state.is_open(record):
            record = before_state.new_record(result["before"], started=None)
            result["actions"].append(f"record the state before in {self.path}")
            if not self.module.check_mode:
                before_state.write_record(str(self.path), record)
        result["record"] = {"path": self.path, "before": record["before"]}
        for _ in range(ROUNDS):
            result["actions"] += [self.sentence(action) for action in actions]
            result["after"] = self.predict(result["after"], census, actions)
            if not actions or self.module.check_mode:
                break
            self.do(actions, functools.partial(self.note_start, record))
            census = self.census()
            result["after"] = view(census)
            actions = self.plan(census, result["after"])
        if not holds(result["after"]):
            refuse(self.module, guidance(self.script, result["after"]), **{**result, "satisfied": False})

    def note_start(self, record: Dict[str, Any], started: processes.Process) -> None:
        """Keep in the recording what this module started, for the way back."""
        mine = {"pid": started.pid, "start_ticks": started.start_ticks}
        record["started"] = {**mine, "boot_id": processes.boot_id()}
        before_state.write_record(str(self.path), record)

    def plan(self, census: Census, seen: Dict[str, Any]) -> List[Action]:
        """The actions for what is seen; none while other users' processes are hidden, since the count is unknown
        then."""
        return [] if seen["others_hidden"] else processes.plan(census)

    def way_back(self, result: Dict[str, Any]) -> None:
        """End what this module started, if it still runs; nothing else is undone."""
        census = self.census()
        seen = result["before"] = result["after"] = view(census)
        record = read_record(self)
        if record is None and self.module.params["missing_ok"]:
            return
        if record is None:
            refuse(
                self.module,
                f"found: nothing is recorded in {self.path}; required: what the step found before it acted; "
                f"next: nothing to undo if playbooks/phase0.yml never acted here",
                **result,
            )
        result["record"] = {"path": self.path, "before": record["before"]}
        if not before_state.is_open(record):
            return
        mine = record.get("started") or {}
        same_boot = mine.get("boot_id") == processes.boot_id()
        actions = [
            Action("end", i)
            for i in census.own
            if same_boot and i.root.key == (mine.get("pid"), mine.get("start_ticks"))
        ]
        result["actions"] += [self.sentence(a) for a in actions] + [f"mark the state before in {self.path} as restored"]
        result["after"] = self.predict(seen, census, actions)
        if not self.module.check_mode:
            self.do(actions)
            before_state.write_record(str(self.path), before_state.restored(record))
            result["after"] = view(self.census())


def read_record(step: Step) -> Optional[Dict[str, Any]]:
    """The recording, or None; ends the module when it cannot be understood."""
    try:
        return before_state.read_record(str(step.path))
    except before_state.RecordError as error:
        refuse(step.module, str(error))
    return None


def main() -> None:
    """Module entry point."""
    module = AnsibleModule(
        argument_spec={
            "script": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["single", "restored", "read"], "default": "read"},
            "user": {"type": "str"},
            "state_dir": {"type": "path"},
            "interpreter": {"type": "path", "default": "/bin/bash"},
            "log": {"type": "path"},
            "term_wait_s": {"type": "float", "default": 5.0},
            "settle_s": {"type": "float", "default": 1.0},
            "missing_ok": {"type": "bool", "default": False},
            "given": {"type": "dict"},
        },
        required_if=[("state", "single", ["state_dir"]), ("state", "restored", ["state_dir"])],
        supports_check_mode=True,
    )
    if not os.path.isabs(module.params["script"]):
        refuse(module, f"found: {module.params['script']}; required: an absolute path; next: write it from the root on")
    step = Step(module)
    wish = module.params["state"]
    result: Dict[str, Any] = {"actions": [], "predicted": False, "record": {"path": step.path, "before": None}}
    if wish == "read":
        given = (module.params["given"] or None) if module.check_mode else None
        result["before"] = result["after"] = given or view(step.census())
        result["predicted"] = given is not None
    else:
        with locked(module, os.path.join(module.params["state_dir"], os.path.basename(step.script) + ".lock")):
            if not module.check_mode:
                before_state.sweep(str(step.path))
            (step.converge if wish == "single" else step.way_back)(result)
    result["changed"] = bool(result["actions"])
    result["satisfied"] = holds(result["after"])
    result["guidance"] = guidance(step.script, result["after"])
    result["killed"] = step.killed
    result["diff"] = {"before": result["before"], "after": result["after"]}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
