"""What phases 0 and 1 promise, seen from outside the tool, and gate 1 on what is played."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from testinfra.host import Host

CONSOLE = "/home/et/.etlegacy/legacy/etconsole.log"
LUA = "/home/et/etlegacy-v2.83.1-x86_64/legacy/luascripts/stats_discord_webhook.lua"
URL = "http://slomix-vm:8089/api/webhooks/"


def test_the_watcher_is_off_and_stays_off(et: Host) -> None:
    unit = et.service("et-stats-webhook.service")
    assert not unit.is_enabled and not unit.is_running


def test_one_log_monitor_runs_as_et(et: Host) -> None:
    leaders = et.check_output("ps -eo ppid=,user=,args= | awk '$1 == 1' | grep '[l]og_monitor.sh'").splitlines()
    assert len(leaders) == 1 and leaders[0].split()[1] == "et"


def test_the_configured_url_is_still_there_and_nothing_lies_beside(et: Host) -> None:
    assert URL in et.file(LUA).content_string
    beside = et.file(str(Path(LUA).parent)).listdir()
    assert sorted(beside) == ["stats_discord_webhook.lua", "team-lock.lua"]


def test_secrets_are_not_in_the_evidence(evidence: Path, et: Host) -> None:
    url = next(word for word in et.file(LUA).content_string.split('"') if word.startswith(URL))
    rcon = et.check_output("cat /home/et/.rollout/rcon_password").strip()
    assert len(url) > len(URL) and len(rcon) >= 8
    everything = b"".join(path.read_bytes() for path in evidence.rglob("*") if path.is_file())
    assert url.encode() not in everything and rcon.encode() not in everything


def test_a_full_hold_proves_nothing(world: Callable[..., str], gate: Callable[[int], tuple[int, str]]) -> None:
    """R2 after a full hold has an integral limit: it never crashed, so it can't show that the crash is gone."""
    world("play", "full_hold", "--map", "radar")
    code, output = gate(1)
    assert code == 3, output
    assert "fractional" in output


def test_a_pair_with_a_fractional_limit_opens_gate_1(
    et: Host, world: Callable[..., str], rows: Callable[[str], dict[int, int]], gate: Callable[[int], tuple[int, str]]
) -> None:
    errors = et.file(CONSOLE).content_string.count("error running lua script")
    world("play", "completed", "--map", "supply")
    assert et.file(CONSOLE).content_string.count("error running lua script") == errors
    assert rows("supply") == {1: 1, 2: 1}
    code, output = gate(1)
    assert code == 0, output


def test_the_evidence_is_intact_and_names_the_pair(evidence: Path) -> None:
    lines = [json.loads(line) for line in (evidence / "ledger.jsonl").read_text().splitlines()]
    verdicts = [line for line in lines if line["kind"] == "verdict"]
    assert verdicts[-1]["result"]["verdict"] == "pass"
    assert not any(line["check"] for line in lines)
