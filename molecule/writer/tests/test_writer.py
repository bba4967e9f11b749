"""The writer from outside the tool: what phase 2 builds, what the forced order does to the database, the way back, the right order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

WRITER = "/home/et/etlegacy-v2.83.1-x86_64/legacy/c0rnp0rn7.lua"
CONSOLE = "/home/et/.etlegacy/legacy/etconsole.log"
STATS = "/home/et/.etlegacy/legacy/gamestats"
FORCED = {"phase": 4, "writer_force_before_parser": "true"}
Playbook = Callable[..., Any]
Gate = Callable[[int], tuple[int, str]]


@pytest.fixture(scope="module", autouse=True)
def proven(world: Callable[..., str], gate: Gate) -> None:
    """Gate 1 is open: phase 2 may begin."""
    world("play", "completed", "--map", "supply")
    code, output = gate(1)
    assert code == 0, output


def state(et: Host) -> tuple[str, int, str]:
    file = et.file(WRITER)
    return file.sha256sum, file.mode, file.user


def records(evidence: Path, step: str, leg: str, name: str | None = None) -> list[dict[str, Any]]:
    """The results recorded of a leg, oldest first."""
    lines = [json.loads(line) for line in (evidence / "ledger.jsonl").read_text().splitlines()]
    wanted = (step, leg, name)
    return [one["result"] for one in lines if (one.get("step"), one.get("leg"), one.get("name")) == wanted]


def fields(et: Host, map_name: str) -> dict[str, int]:
    """Half -> fields of the header of the newest round file of a map, counted by hand."""
    names = et.check_output(f"ls {STATS} | grep -E -- '-{map_name}-round-[12].txt$' | sort").split()
    newest = {name[-5]: name for name in names}
    return {half: et.check_output(f"head -1 '{STATS}/{name}'").count("\\") + 1 for half, name in newest.items()}


def played(vm: Host, map_name: str) -> dict[int, int]:
    """Round number -> longest stored time in seconds of the newest round of a map."""
    sql = (
        "SELECT r.round_number, max(p.time_played_seconds) FROM rounds r JOIN player_comprehensive_stats p ON p.round_id = r.id "
        f"WHERE r.map_name = '{map_name}' GROUP BY r.id, r.round_number ORDER BY r.id"
    )
    out = vm.check_output(f'psql -h 127.0.0.1 -U etlegacy_user -d etlegacy -AtF " " -c "{sql}"')
    return {int(number): int(longest) for number, longest in (line.split() for line in out.splitlines())}


def test_phase_2_builds_and_touches_no_host(
    et: Host, root: Path, evidence: Path, playbook: Playbook, gate: Gate, tree_digest: Callable[..., dict[str, str]]
) -> None:
    before = tree_digest(et, "/home/et")
    built = playbook("phase2")
    assert (built.rc, built.changed) == (0, set()), built.output
    assert tree_digest(et, "/home/et") == before
    code, output = gate(2)
    assert code == 0, output
    candidate = records(evidence, "2.1", "action")[-1]["candidate"]
    kept = root / "build/lua/candidates" / candidate["sha256"] / "c0rnp0rn7.lua"
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == candidate["sha256"]
    assert et.file(WRITER).sha256sum in kept.read_text("latin-1")[:2000], "its first lines name the hash of its source"
    assert playbook("phase2").changed == set()
    assert records(evidence, "2.1", "action")[-1]["candidate"]["sha256"] == candidate["sha256"]


def test_phase_4_refuses_in_front_of_the_parser(et: Host, playbook: Playbook) -> None:
    before = state(et)
    preview = playbook("phase4", check=True)
    assert preview.rc == 0 and "a real run would stop here: step 4.1 is refused" in " ".join(preview.output.split())
    refused = playbook("phase4")
    assert refused.rc != 0 and "gate phase3" in refused.output
    assert state(et) == before


def test_the_forced_order_fails_gate_4_with_the_unit_error(
    et: Host, vm: Host, world: Callable[..., str], playbook: Playbook, gate: Gate, evidence: Path
) -> None:
    forced = playbook("phase4", extravars=FORCED)
    assert forced.rc == 0, forced.output
    assert records(evidence, "4.1", "verify", "parser")[-1]["forced"] is True
    world("play", "completed", "--map", "radar")
    world("play", "completed", "--map", "goldrush")
    assert fields(et, "goldrush") == {"1": 9, "2": 9}
    assert played(vm, "goldrush")[1] > 100_000, "the error itself: milliseconds stored as seconds"
    code, output = gate(4)
    assert code == 1, output
    assert "unit error by a factor of 1000, milliseconds read as seconds" in " ".join(output.split())
    assert "reads = seconds" in output


def test_the_way_back_is_exact(et: Host, root: Path, playbook: Playbook, gate: Gate, world: Callable[..., str]) -> None:
    original = hashlib.sha256((root / "molecule/world/et_server/lua/c0rnp0rn7.lua").read_bytes()).hexdigest()
    deployed, mode, owner = state(et)
    predicted = playbook("rollback", check=True, extravars={"phase": 4})
    assert predicted.rc == 0 and predicted.changed, predicted.output
    assert state(et) == (deployed, mode, owner)
    back = playbook("rollback", extravars={"phase": 4})
    assert back.rc == 0 and back.changed == predicted.changed, back.output
    assert state(et) == (original, mode, owner)
    assert playbook("rollback", extravars={"phase": 4}).changed == set()
    code, output = gate(4)
    assert code not in (0, 5), output
    world("play", "completed", "--map", "etl_adlernest")
    assert fields(et, "etl_adlernest") == {"1": 8, "2": 8}


def test_the_right_order_passes_gate_4(
    et: Host, vm: Host, world: Callable[..., str], playbook: Playbook, gate: Gate, evidence: Path
) -> None:
    mended = playbook("phase3")
    assert mended.rc == 0, mended.output
    world("play", "completed", "--map", "frostbite")
    code, output = gate(3)
    assert code == 0, output

    predicted = playbook("phase4", check=True)
    assert predicted.rc == 0 and predicted.changed, predicted.output
    deployed = playbook("phase4")
    assert deployed.rc == 0 and deployed.changed == predicted.changed, deployed.output
    assert playbook("phase4").changed == set()
    assert records(evidence, "4.1", "verify", "parser")[-1]["forced"] is False
    code, output = gate(4)
    assert code == 3, f"nothing was played since the load:\n{output}"

    errors = et.file(CONSOLE).content_string.count("error running lua script")
    world("play", "pauses_three", "--map", "goldrush")
    code, output = gate(4)
    assert code == 3 and "PAUSE_UNSEEN" in output, output
    world("play", "completed", "--map", "supply")
    world("play", "completed", "--map", "radar")
    assert et.file(CONSOLE).content_string.count("error running lua script") == errors
    assert fields(et, "radar") == {"1": 9, "2": 9}
    assert 300 < played(vm, "radar")[1] < 460
    code, output = gate(4)
    assert code == 0, output


def test_phase_2_stays_proven_beside_its_own_work(playbook: Playbook, gate: Gate, evidence: Path) -> None:
    """What runs now is the candidate itself: building again changes nothing and the gate stays open."""
    before = records(evidence, "2.1", "action")[-1]["candidate"]["sha256"]
    assert playbook("phase2").rc == 0
    again = records(evidence, "2.1", "action")[-1]
    assert (again["candidate"]["sha256"], again["edited"]) == (before, False)
    code, output = gate(2)
    assert code == 0, output
