"""Phase 0 in the two-host world: real systemd, sudo, ssh, cron's start script, PostgreSQL and the running bot."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dotenv_cases import CASES

from python_checks.tests.world.outside import ROOT

pytestmark = [pytest.mark.world, pytest.mark.xdist_group("world-phase0")]

UNIT = "et-stats-webhook.service"
MONITOR = "/home/et/scripts/log_monitor.sh"
WEBHOOK = "luascripts/stats_discord_webhook.lua"
INSTALL = "/home/et/etlegacy-v2.83.1-x86_64/legacy"
HOME = "/home/et/.etlegacy/legacy"
ENV = "/opt/slomix/.env"
UnitRun = Callable[..., dict[str, Any]]

FOLDERS = "/home/et/.rollout /home/et/scripts /home/et/.etlegacy /etc/systemd"
LIST_STATE = "; ".join(
    [
        f"systemctl show -p UnitFileState,ActiveState,MainPID {UNIT}",
        "ps -u et -o pid=,lstart=,args= | grep log_monitor | grep -v grep",
        # The server writes its logs all the time; everything else must stay.
        f"find {FOLDERS} -printf '%p %m %u %s %T@\\n' | grep -v -e etconsole -e legacy3.log | sort",
    ]
)
# A unit file in /etc cannot be masked, so it moves to where a package would put it.
MASK = "; ".join(
    [
        f"mv /etc/systemd/system/{UNIT} /usr/lib/systemd/system/",
        f"systemctl disable --now {UNIT}",
        f"systemctl mask {UNIT}",
    ]
)


def changes(output: str) -> dict[str, int]:
    """Host to the number of changed tasks, from the recap."""
    return {host: int(count) for host, count in re.findall(r"^(\S+)\s+: ok=\d+\s+changed=(\d+)", output, re.M)}


def test_check_mode_predicts_the_real_run_and_touches_nothing(world: Any) -> None:
    before = world.shell("et-server", LIST_STATE)
    assert before.count(f"/bin/bash {MONITOR}") == 4, "two instances, two shells each: what pgrep would call four"
    check = world.playbook("phase0.yml", "--check", "--diff")
    assert check.returncode == 0, check.stdout + check.stderr
    assert world.shell("et-server", LIST_STATE) == before
    assert world.records() == []
    real = world.playbook("phase0.yml")
    assert real.returncode == 0, real.stdout + real.stderr
    assert changes(check.stdout) == changes(real.stdout) == {"et-server": 2, "slomix-vm": 0}
    assert "gate phase0: PASS" in real.stdout
    assert world.shell("et-server", f"systemctl is-enabled {UNIT}; systemctl is-active {UNIT}; true").split() == [
        "disabled",
        "inactive",
    ]
    # `et` may run only named commands as root: that the unit is off shows that the module kept to them.


def test_the_second_run_changes_nothing(world: Any) -> None:
    again = world.playbook("phase0.yml")
    assert (again.returncode, changes(again.stdout)) == (0, {"et-server": 0, "slomix-vm": 0})
    tags = ("--tags", "step:0.1,step:0.2")
    assert changes(world.playbook("phase0.yml", "--check", *tags).stdout)["et-server"] == 0


def test_no_secret_is_in_the_evidence_or_on_the_screen(world: Any) -> None:
    secrets = [
        world.root("et-server", "cat", "/home/et/.rollout/rcon_password").strip(),
        world.shell("slomix-vm", "sed -n 's/.*:\\(.*\\)$/\\1/p' /home/slomix/.pgpass").strip(),
        world.shell("slomix-vm", f"sed -n 's/^WEBHOOK_TOKEN=//p' {ENV}").strip(),
    ]
    screen = world.playbook("baseline.yml", "-vvv").stdout
    kept = "".join(p.read_text() for p in world.evidence.rglob("*") if p.is_file())
    for secret in secrets:
        assert len(secret) > 5 and secret not in screen and secret not in kept


def test_the_way_back_restores_the_recording_and_the_proof_then_fails(world: Any) -> None:
    check = world.playbook("revert/phase0.yml", "--check")
    real = world.playbook("revert/phase0.yml")
    assert (check.returncode, real.returncode) == (0, 0), real.stdout
    assert changes(check.stdout) == changes(real.stdout) == {"et-server": 2}
    assert world.shell("et-server", f"systemctl is-enabled {UNIT}; systemctl is-active {UNIT}").split() == [
        "enabled",
        "active",
    ]
    assert changes(world.playbook("revert/phase0.yml").stdout) == {"et-server": 0}
    proof = world.playbook("phase0.yml", "--tags", "verify")
    assert proof.returncode != 0 and "et-stats-webhook.service is loaded, enabled, active (running)" in proof.stdout
    assert "gate phase0: PASS" not in world.playbook("phase0.yml", "--tags", "gate").stdout


def holders(world: Any) -> list[str]:
    """The run that holds the game server and the VM; "" for none."""
    names = (("et-server", "et"), ("slomix-vm", "slomix"))
    marks = [json.loads(world.root(host, "cat", f"/home/{user}/.rollout/site/holder.json")) for host, user in names]
    return [mark["holder"]["name"] if mark["holder"] else "" for mark in marks]


def test_a_second_controller_keeps_off_and_a_kill_frees_the_hosts(world: Any, tmp_path: Path) -> None:
    """Over ssh: whoever waits for the end of a run opens the connection itself."""
    command = ["ansible-playbook", "-i", str(world.inventory), "playbooks/phase0.yml", "-e"]
    command.append(f"rollout_evidence_dir={world.evidence}")
    process = subprocess.Popen(
        command, cwd=ROOT, env=world.environment, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not all(holders(world)):
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGSTOP)
    second = world.playbook("phase0.yml", "-e", f"rollout_evidence_dir={tmp_path}/other")
    said = " ".join(second.stdout.split())
    assert second.returncode != 0 and "et-server is not taken: phase 0 of" in said and "is running" in said
    assert changes(second.stdout) == {"et-server": 0}
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    while any(holders(world)):
        assert time.monotonic() < until + 30, "the hosts were not freed"
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("prepare", "name", "state", "says"),
    [
        ("true", "et-stat-webhook.service", "misspelt", UNIT),
        ("true", "nothing-like-it.service", "missing", "not-found"),
        (MASK, UNIT, "masked", "unmask"),
        ("true", "emergency.service", "static", "TriggeredBy"),
    ],
)
def test_what_is_active_calls_inactive_is_told_apart(
    world: Any, unit: UnitRun, prepare: str, name: str, state: str, says: str
) -> None:
    world.shell("et-server", prepare)
    result = unit("retired", name)
    assert (result["state"], result["satisfied"], result["changed"], result["failed"]) == (state, False, False, True)
    assert says in result["msg"]
    accepted = unit("read", name, accepted_states=["missing", "masked"])
    assert accepted["satisfied"] is (state in ("missing", "masked"))


def test_a_failed_unit_is_told_apart(world: Any, unit: UnitRun) -> None:
    folder = f"/run/systemd/system/{UNIT}.d"
    world.shell(
        "et-server",
        f"mkdir -p {folder}; printf '[Service]\\nRestart=no\\nExecStart=\\nExecStart=/bin/false\\n' > {folder}/x.conf;"
        f"systemctl daemon-reload; systemctl restart {UNIT}; sleep 0.5",
    )
    refused = unit("retired")
    assert refused["failed"] and refused["before"]["active"] == "failed" and "reset-failed" in refused["msg"]
    assert (
        refused["before"]["enabled"] and world.shell("et-server", f"systemctl is-enabled {UNIT}").strip() == "enabled"
    )
    accepted = unit("retired", accepted_states=["failed"])
    assert accepted["satisfied"] and accepted["after"]["enabled"] is False


@pytest.mark.parametrize(
    ("prepare", "verb", "enabled", "running"),
    [
        (f"systemctl disable {UNIT}", "stop", False, True),
        (f"systemctl stop {UNIT}", "disable", True, False),
        ("true", "disable --now", True, True),
    ],
)
def test_each_way_to_be_in_use_is_retired_and_restored(
    world: Any, unit: UnitRun, prepare: str, verb: str, enabled: bool, running: bool
) -> None:
    world.shell("et-server", prepare)
    check = world.module(
        "et-server", "service_state", check=True, name=UNIT, state="retired", state_dir="/home/et/.rollout/test-state"
    )
    real = unit("retired")
    assert check["actions"] == real["actions"] and check["after"] == real["after"] and check["changed"]
    assert real["actions"][-1] == f"systemctl {verb} {UNIT}" and real["satisfied"]
    back = unit("restored")
    assert (back["after"]["enabled"], back["after"]["running"]) == (enabled, running)


def test_the_first_recording_survives_a_second_act(world: Any, unit: UnitRun) -> None:
    unit("retired")
    world.shell("et-server", f"systemctl start {UNIT}")
    second = unit("retired")
    assert second["changed"] and second["record"]["before"]["enabled"] is True
    back = unit("restored")
    assert (back["after"]["enabled"], back["after"]["running"]) == (True, True)


def monitors(world: Any) -> dict[str, Any]:
    return world.module("et-server", "process_singleton", script=MONITOR)  # type: ignore[no-any-return]


def test_none_running_starts_one_that_outlives_the_connection(world: Any) -> None:
    world.shell("et-server", f"pkill -KILL -f '^/bin/bash {MONITOR}'; pkill -KILL -x tail; true")
    assert monitors(world)["after"]["count"] == 0
    first = world.playbook("phase0.yml", "--tags", "step:0.2")
    assert first.returncode == 0, first.stdout
    time.sleep(1)
    found = monitors(world)
    assert found["satisfied"] and found["after"]["instances"][0]["user"] == "et"
    back = world.playbook("revert/phase0.yml", "--tags", "step:0.2")
    assert back.returncode == 0 and monitors(world)["after"]["count"] == 0, world.records()[-3:]


def test_the_boot_script_run_twice_makes_a_double_that_is_ended(world: Any) -> None:
    """The defect of the boot script: its guard looks for a process name that the shell does not carry."""
    for _ in range(2):
        world.shell("et-server", "runuser -u et -- env BOOT_DELAY=0 bash /home/et/start.sh")
    assert monitors(world)["after"]["count"] == 2
    assert world.playbook("phase0.yml", "--tags", "verify").returncode != 0
    assert world.playbook("phase0.yml", "--tags", "step:0.2").returncode == 0
    assert monitors(world)["satisfied"]


def inventory(world: Any) -> dict[str, Any]:
    return world.module(  # type: ignore[no-any-return]
        "et-server", "lua_inventory_info", home_dir="/home/et/.etlegacy", install_dir=INSTALL.rpartition("/")[0],
        rcon_password_file="/home/et/.rollout/rcon_password",
    )  # fmt: skip


def test_a_copy_in_the_homepath_shadows_and_is_no_proof_until_loaded(world: Any) -> None:
    sound = inventory(world)
    assert (
        sound["summary"]["loaded"] == sound["summary"]["in_lua_modules"] == 4 and sound["server"]["state"] == "answered"
    )
    world.shell(
        "et-server", f"install -d -o et {HOME}/luascripts; (cat {INSTALL}/{WEBHOOK}; echo '-- mine') > {HOME}/{WEBHOOK}"
    )
    try:
        found = inventory(world)
        copies = {f["root"]: f for f in found["files"] if f["name"] == WEBHOOK}
        assert copies["basepath"]["shadowed_by"] == f"{HOME}/{WEBHOOK}"
        assert (copies["homepath"]["loaded"], copies["basepath"]["loaded"], found["summary"]["strangers"]) == (
            False,
            False,
            1,
        )
    finally:
        world.shell("et-server", f"rm {HOME}/{WEBHOOK}")


def flag(world: Any) -> dict[str, Any]:
    return world.module(  # type: ignore[no-any-return]
        "slomix-vm", "env_flag_info", become=True, path=ENV, key="SHOW_TIMING_DUAL", unit="slomix-bot.service"
    )


def test_a_changed_file_is_not_what_the_bot_runs(world: Any) -> None:
    before = flag(world)
    assert (before["effective"], before["running_effective"], before["needs_restart"]) == (False, False, False)
    world.shell("slomix-vm", f"cp -p {ENV} /tmp/env.old; echo SHOW_TIMING_DUAL=true >> {ENV}")
    try:
        changed = flag(world)
        assert changed["duplicate"] and (changed["effective"], changed["running_effective"]) == (True, False)
        assert changed["needs_restart"] is True and changed["running_proof"] == "environ"
    finally:
        world.shell("slomix-vm", f"cp -p /tmp/env.old {ENV}")


SYSTEMD_READS = """
import json, subprocess, sys
show = "import os, json; print(json.dumps(os.environ.get('FLAG')))"
found = []
for text in json.loads(sys.argv[1]):
    open("/run/case.env", "w", newline="").write(text)
    run = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", "-p", "EnvironmentFile=/run/case.env", "/usr/bin/python3", "-c", show]
    found.append(json.loads(subprocess.run(run, capture_output=True, text=True, check=True).stdout))
print(json.dumps(found))
"""


def test_systemd_reads_every_case_as_stated(world: Any) -> None:
    found = json.loads(world.root("slomix-vm", "python3", "-c", SYSTEMD_READS, json.dumps([case[1] for case in CASES])))
    assert dict(zip([c[0] for c in CASES], found, strict=True)) == {c[0]: c[2] for c in CASES}
