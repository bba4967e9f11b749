"""The way back is as proven as the way forward: the bytes, the unit and the load, and then forward again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testinfra.host import Host

LUA = "/home/et/etlegacy-v2.83.1-x86_64/legacy/luascripts/stats_discord_webhook.lua"
CONSOLE = "/home/et/.etlegacy/legacy/etconsole.log"


def loaded_sha1(et: Host) -> str:
    """The SHA-1 of the webhook that the server says it runs, from lua_status."""
    status = et.check_output(
        "cd /opt/engine && python3 -m python_checks.engine rcon --password-file /home/et/.rollout/rcon_password lua_status"
    )
    row = next(line for line in status.splitlines() if "stats_discord_webhook.lua" in line)
    return next(word for word in row.split() if len(word) == 40).lower()


def test_there_is_no_default_target(playbook: Callable[..., Any]) -> None:
    refused = playbook("rollback")
    assert refused.rc != 0 and "phase" in refused.output


def test_phase_1_goes_back_to_the_byte_and_forward_again(
    root: Path,
    et: Host,
    world: Callable[..., str],
    playbook: Callable[..., Any],
    gate: Callable[[int], tuple[int, str]],
) -> None:
    original = hashlib.sha256(
        (root / "molecule/world/et_server/lua/luascripts" / Path(LUA).name).read_bytes()
    ).hexdigest()
    deployed = et.file(LUA).sha256sum
    mode, owner = et.file(LUA).mode, et.file(LUA).user

    predicted = playbook("rollback", check=True, extravars={"phase": 1})
    assert predicted.rc == 0 and predicted.changed, predicted.output
    assert et.file(LUA).sha256sum == deployed

    back = playbook("rollback", extravars={"phase": 1})
    assert back.rc == 0 and back.changed == predicted.changed, back.output
    assert et.file(LUA).sha256sum == original
    assert (et.file(LUA).mode, et.file(LUA).user) == (mode, owner)
    assert playbook("rollback", extravars={"phase": 1}).changed == set()

    code, output = gate(1)
    assert code not in (0, 5), f"gate 1 must not be open after the rollback:\n{output}"

    world("play", "completed", "--map", "goldrush")
    assert loaded_sha1(et) == et.check_output(f"sha1sum {LUA}").split()[0]
    assert "bad argument #9 to 'format'" in et.file(CONSOLE).content_string, "the old defect is back with the old file"

    again = playbook("phase1")
    assert again.rc == 0, again.output
    assert et.file(LUA).sha256sum == deployed
    world("play", "completed", "--map", "supply")
    assert loaded_sha1(et) == et.check_output(f"sha1sum {LUA}").split()[0]
    code, output = gate(1)
    assert code == 0, output


def test_a_hand_edit_is_reported_and_not_overwritten(et: Host, playbook: Callable[..., Any]) -> None:
    et.check_output(f"printf -- '-- by hand\\n' >> {LUA}")
    edited = et.file(LUA).sha256sum
    back = playbook("rollback", extravars={"phase": 1})
    assert back.rc != 0 and "hand" in back.output, back.output
    assert et.file(LUA).sha256sum == edited


def test_phase_0_goes_back_to_what_was_recorded(et: Host, playbook: Callable[..., Any]) -> None:
    back = playbook("rollback", extravars={"phase": 0})
    assert back.rc == 0, back.output
    unit = et.service("et-stats-webhook.service")
    assert unit.is_enabled and unit.is_running
    leaders = et.check_output("ps -eo ppid=,args= | awk '$1 == 1' | grep -c '[l]og_monitor.sh'")
    assert leaders == "1", "a double is a defect, so the way back does not start one"
