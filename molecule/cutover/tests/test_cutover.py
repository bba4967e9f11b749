"""Phase 5 from outside the tool: refused where it would hide the new values, done with a display of their own, taken back to the byte."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

ENV = "/opt/slomix/.env"
COG = "/opt/slomix/bot/cogs/last_session_cog.py"
LAST_SESSION = "curl -sf http://127.0.0.1:8089/commands/last_session"
DECIDE = "../molecule/cutover/decide"
Playbook = Callable[..., Any]
Gate = Callable[[int], tuple[int, str]]


def state(vm: Host) -> str:
    """Bytes, mode and owner of what phase 5 may change, and the bot's process."""
    files = vm.check_output(f"sudo sha256sum {ENV} {COG}; sudo stat -c '%a %U %G' {ENV} {COG}")
    return f"{files}\n{vm.check_output('systemctl show -p MainPID slomix-bot.service')}"


def files(vm: Host) -> list[str]:
    return state(vm).splitlines()[:-1]


def shown(vm: Host) -> str:
    embed = json.loads(vm.check_output(LAST_SESSION))
    assert all(0 < len(field["value"]) <= 1024 for field in embed["fields"]) and "NO LUA DATA" not in str(embed)
    return str(embed["fields"][0]["value"])


def flat_text(text: str) -> str:
    return " ".join(text.split())


def flat(run: Any) -> str:
    return flat_text(run.output)


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
    runpy.run_path(str(root / "molecule/cutover/tests/shadow_rows.py"))["prepare"](vm)


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


def test_keep_dual_a_session_and_back(
    playbook: Playbook, vm: Host, gate: Gate, world: Callable[..., str], evenings: None
) -> None:
    before = state(vm)
    done = playbook(DECIDE, extravars={"decision": "keep_dual"})
    assert done.rc == 0 and vm.run(f"sudo grep -qx SHOW_TIMING_DUAL=true {ENV}").rc == 0 and " / N " in shown(vm)
    world("play", "completed", "--map", "radar")
    code, output = gate(5)
    assert code == 0, output
    assert playbook("revert/phase5").rc == 0
    assert files(vm) == before.splitlines()[:-1] and " / N " not in shown(vm)
    assert not playbook("revert/phase5").changed


def test_cutover_a_session_and_back(
    playbook: Playbook, vm: Host, gate: Gate, world: Callable[..., str], tmp_path: Path, evenings: None
) -> None:
    cutover = {"decision": "cutover", "cutover_new_only": "true"}
    before, old = state(vm), shown(vm)
    preview = playbook(DECIDE, check=True, extravars=cutover)
    assert preview.rc == 0 and state(vm) == before
    done = playbook(DECIDE, extravars=cutover)
    assert done.rc == 0 and done.changed == preview.changed, done.output
    assert vm.run(f"sudo grep -qx SHOW_TIMING_NEW_ONLY=true {ENV}").rc == 0 and shown(vm) != old
    after = state(vm)
    again = playbook(DECIDE, extravars=cutover)
    assert again.rc == 0 and not again.changed and state(vm) == after

    code, output = gate(5)
    assert code == 3 and "play both halves of a map" in flat_text(output), f"nothing was played since:\n{output}"
    world("play", "completed", "--map", "goldrush")
    code, output = gate(5)
    assert code == 0, output
    # What somebody exported counts like what the bot says: here a field for forty players.
    embed = json.loads(vm.check_output(LAST_SESSION))
    lines = "\n".join(f"player {number}: dead 12:34, denied 0:56" for number in range(40))
    message = tmp_path / "message.json"
    message.write_text(json.dumps({"embeds": [{**embed, "fields": [{"name": "Timing", "value": lines}]}]}))
    long = playbook("gate", extravars={"phase": 5, "session_embed": message})
    assert long.rc != 0 and "characters, allowed are 1 to 1024" in flat(long), long.output

    predicted = playbook("revert/phase5", check=True)
    assert predicted.changed and state(vm) == after
    back = playbook("revert/phase5")
    assert back.rc == 0 and back.changed == predicted.changed, back.output
    assert files(vm) == before.splitlines()[:-1]
    # With the flag back at the plan's value the new values are hidden, and verify says so.
    assert playbook("verify/phase5").rc != 0


COUNT = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'time_alive_seconds'"


def ask(vm: Host, sql: str) -> str:
    return vm.check_output(f'psql -h 127.0.0.1 -U etlegacy_user -d etlegacy -At -c "{sql}"')


def approved(playbook: Playbook, direction: str, name: str) -> dict[str, str]:
    """The id below the SQL of a preview, approved; what opens the run."""
    preview = playbook(name, check=True)
    made = re.search(r"migration_enable: '?([0-9a-f]{16})", preview.output)
    assert preview.rc == 0 and made, preview.output
    given = {
        "direction": direction,
        "migration_enable": made[1],
        "approved_by": "Ana",
        "reason": "agreed-in-the-meeting",
    }
    assert playbook("migrate_approve", extravars=given).rc == 0
    return {"migration_allow": "player_times", "migration_enable": made[1]}


def test_the_migration_forward_and_back_under_a_living_bot(
    playbook: Playbook, vm: Host, world: Callable[..., str]
) -> None:
    assert playbook("migrate").rc != 0 and ask(vm, COUNT) == "0"
    keys = approved(playbook, "forward", "migrate")
    assert ask(vm, COUNT) == "0", "neither preview nor approval touch the database"
    done = playbook("migrate", extravars=keys)
    assert done.rc == 0 and done.changed and ask(vm, COUNT) == "1", done.output
    players = ask(vm, "SELECT count(*) FROM player_comprehensive_stats")
    world("play", "completed", "--map", "etl_adlernest")
    assert int(ask(vm, "SELECT count(*) FROM player_comprehensive_stats")) > int(players), "the bot writes on"

    ask(
        vm,
        "UPDATE player_comprehensive_stats SET time_alive_seconds = 300 WHERE id = (SELECT max(id) FROM player_comprehensive_stats)",
    )
    keys = approved(playbook, "rollback", "migrate_rollback")
    refused = playbook("migrate_rollback", extravars=keys)
    assert refused.rc != 0 and "1 in time_alive_seconds" in flat(refused) and ask(vm, COUNT) == "1", refused.output
    back = playbook("migrate_rollback", extravars={**keys, "migration_export": "true"})
    assert back.rc == 0 and ask(vm, COUNT) == "0", back.output
    exported = vm.check_output("cat /home/slomix/.rollout/exports/*")
    assert "300" in exported and ask(vm, "SELECT count(*) FROM player_comprehensive_stats WHERE kills IS NULL") == "0"
