"""Phase 5 from outside the tool: refused where it would hide the new values, done with a display of their own, taken back to the byte."""

from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

ENV = "/opt/slomix/.env"
COG = "/opt/slomix/bot/cogs/last_session_cog.py"
DECIDE = "../molecule/cutover/decide"
Playbook = Callable[..., Any]


def state(vm: Host) -> str:
    """Bytes, mode and owner of what phase 5 may change, and the bot's process."""
    files = vm.check_output(f"sudo sha256sum {ENV} {COG}; sudo stat -c '%a %U %G' {ENV} {COG}")
    return f"{files}\n{vm.check_output('systemctl show -p MainPID slomix-bot.service')}"


def files(vm: Host) -> list[str]:
    return state(vm).splitlines()[:-1]


def shown(vm: Host) -> str:
    embed = json.loads(vm.check_output("curl -sf http://127.0.0.1:8089/commands/last_session"))
    assert all(0 < len(field["value"]) <= 1024 for field in embed["fields"]) and "NO LUA DATA" not in str(embed)
    return str(embed["fields"][0]["value"])


def flat(run: Any) -> str:
    return " ".join(run.output.split())


def test_phase_5_waits_for_the_gates_before_it(playbook: Playbook, vm: Host) -> None:
    before = state(vm)
    refused = playbook("phase5", extravars={"decision": "keep_dual"})
    assert refused.rc != 0 and "gate phase4" in refused.output and state(vm) == before


def test_without_evidence_no_cutover(playbook: Playbook, vm: Host) -> None:
    before = state(vm)
    refused = playbook(DECIDE, extravars={"decision": "cutover", "cutover_new_only": "true"})
    assert refused.rc != 0 and "NO_DATA" in flat(refused) and "keep_dual" in flat(refused) and state(vm) == before
    assert playbook(DECIDE).rc != 0, "there is no default decision"


@pytest.fixture(scope="module")
def evenings(root: Path, vm: Host) -> None:
    """Rounds on which old and new agree."""
    rows = runpy.run_path(str(root / "molecule/cutover/tests/shadow_rows.py"))["statements"]()
    for at in range(0, len(rows), 100):
        part = ";\n".join(rows[at : at + 100])
        done = vm.run(
            f"psql -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -U etlegacy_user -d etlegacy <<'SQL' 2>&1\n{part};\nSQL"
        )
        assert done.rc == 0, done.stdout


def test_the_plans_flag_would_hide_the_new_values(playbook: Playbook, vm: Host, evenings: None) -> None:
    before = state(vm)
    refused = playbook(DECIDE, extravars={"decision": "cutover"})
    assert refused.rc != 0 and state(vm) == before
    for text in (
        "EQUIVALENT",
        "SHOW_TIMING_DUAL=false shows the old values only",
        "last_session_cog.py",
        "cutover_new_only=true",
    ):
        assert text in flat(refused), text


@pytest.mark.parametrize(
    ("decision", "key", "text"),
    [
        ({"decision": "keep_dual"}, "SHOW_TIMING_DUAL=true", " / N "),
        ({"decision": "cutover", "cutover_new_only": "true"}, "SHOW_TIMING_NEW_ONLY=true", "player 0: dead "),
    ],
)
def test_decide_again_and_take_it_back(
    playbook: Playbook, vm: Host, evenings: None, decision: dict[str, str], key: str, text: str
) -> None:
    before, old = state(vm), shown(vm)
    preview = playbook(DECIDE, check=True, extravars=decision)
    assert preview.rc == 0 and state(vm) == before
    done = playbook(DECIDE, extravars=decision)
    assert done.rc == 0 and done.changed == preview.changed, done.output
    assert vm.run(f"sudo grep -qx {key} {ENV}").rc == 0 and text in shown(vm) and shown(vm) != old
    after = state(vm)
    again = playbook(DECIDE, extravars=decision)
    assert again.rc == 0 and not again.changed and state(vm) == after
    assert playbook("revert/phase5", check=True).changed and state(vm) == after
    assert playbook("revert/phase5").rc == 0
    assert files(vm) == before.splitlines()[:-1] and shown(vm) == old
    assert not playbook("revert/phase5").changed
    # With the flag back at the plan's value the new values are hidden, and verify says so.
    assert playbook("verify/phase5").rc != 0


def test_the_migration_asks_for_its_keys_on_the_vm(playbook: Playbook, vm: Host) -> None:
    sql = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'time_alive_seconds'"
    count = f'psql -h 127.0.0.1 -U etlegacy_user -d etlegacy -At -c "{sql}"'
    assert playbook("migrate").rc != 0 and vm.check_output(count) == "0"
    preview = playbook("migrate", check=True)
    assert (
        preview.rc == 0
        and "ALTER TABLE player_comprehensive_stats ADD COLUMN" in flat(preview)
        and vm.check_output(count) == "0"
    )
