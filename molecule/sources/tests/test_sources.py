"""Parser, website and leaderboard from outside the tool: check mode, the real run, nothing left to do, the way back."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

TREE = "/opt/slomix"
PARSER = f"{TREE}/bot/community_stats_parser.py"
API = f"{TREE}/website/backend/api.py"
LEADERBOARD = f"{TREE}/bot/cogs/leaderboard_cog.py"
FILES = {3: (PARSER,), 6: (API, LEADERBOARD)}
BOT = "http://127.0.0.1:8089"
Playbook = Callable[..., Any]
Gate = Callable[[int], tuple[int, str]]


@pytest.fixture(scope="module", autouse=True)
def seeded(root: Path, vm: Host, world: Callable[..., str]) -> None:
    """A pair on record for gate 1 and for the replay, and players whose numbers are known."""
    world("play", "completed", "--map", "supply")
    sql = (root / "molecule/sources/tests/seed.sql").read_text()
    vm.check_output(f"psql -q -v ON_ERROR_STOP=1 -h 127.0.0.1 -U etlegacy_user -d etlegacy <<'SQL'\n{sql}\nSQL")


def state(vm: Host, phase: int) -> dict[str, str]:
    """Digest, mode and owner of the phase's files, and everything git sees; the index too, which check mode must not touch."""
    found = {path: f"{vm.file(path).sha256sum} {vm.file(path).mode:o} {vm.file(path).user}" for path in FILES[phase]}
    return {
        **found,
        "index": vm.check_output(f"sha256sum {TREE}/.git/index"),
        "head": vm.check_output(f"git -C {TREE} rev-parse HEAD"),
    }


def pids(vm: Host) -> str:
    return vm.check_output("systemctl show -p MainPID,NRestarts slomix-bot.service slomix-web.service")


def beside(vm: Host) -> str:
    return vm.check_output(f"find {TREE}/bot {TREE}/website -name '.*rollout*' -o -name '*.bak*' -o -name '*.orig'")


def original(root: Path, path: str) -> str:
    return hashlib.sha256(
        (root / "molecule/world/slomix_vm/opt_slomix" / Path(path).relative_to(TREE)).read_bytes()
    ).hexdigest()


def graphs(vm: Host, day: str) -> dict[str, dict[str, float]]:
    """Player -> metrics, as the website shows them."""
    body = json.loads(vm.check_output(f"curl -sf http://127.0.0.1:7000/api/sessions/{day}/graphs"))
    return {player["name"]: player["advanced_metrics"] for player in body["players"]}


def leaderboard(vm: Host) -> list[str]:
    body = json.loads(vm.check_output(f"curl -sf '{BOT}/commands/leaderboard?stat=headshots'"))
    return [line.split("**", 1)[1] for line in body["description"].splitlines()]


def test_phase_3_waits_for_gate_1(playbook: Playbook, gate: Gate) -> None:
    refused = playbook("phase3")
    assert refused.rc != 0 and "phase 3 is refused" in refused.output, refused.output
    code, output = gate(1)
    assert code == 0, output


def test_the_unpatched_world_shows_what_it_should_not(vm: Host, playbook: Playbook, gate: Gate) -> None:
    assert graphs(vm, "2026-01-11")["Ana"]["damage_efficiency"] > 50, "a percentage"
    assert " hits)" in leaderboard(vm)[0], "kills over hits, each counted once per weapon"
    for phase in (3, 6):
        code, output = gate(phase)
        assert code not in (0, 5), output
    assert playbook("validate", extravars={"phase": 3}).rc != 0


@pytest.mark.parametrize("phase", [3, 6])
def test_check_mode_then_the_real_run_then_nothing(phase: int, root: Path, vm: Host, playbook: Playbook) -> None:
    before, running = state(vm, phase), pids(vm)
    predicted = playbook(f"phase{phase}", check=True)
    assert predicted.rc == 0, predicted.output
    assert (state(vm, phase), pids(vm)) == (before, running)

    real = playbook(f"phase{phase}")
    assert real.rc == 0, real.output
    assert real.changed and predicted.changed == real.changed
    assert predicted.diffs == real.diffs
    after = state(vm, phase)
    for path in FILES[phase]:
        assert before[path].startswith(original(root, path))
        assert before[path].split()[0] != after[path].split()[0]
        assert before[path].split()[1:] == after[path].split()[1:]
    assert (before["head"], beside(vm)) == (after["head"], ""), "nothing is committed, nothing lies beside"
    assert pids(vm) != running

    running = pids(vm)
    for check in (True, False):
        again = playbook(f"phase{phase}", check=check)
        assert (again.rc, again.changed) == (0, set()), again.output
    assert (state(vm, phase), pids(vm)) == (after, running)


def test_gate_3_wants_a_half_that_was_played(vm: Host, world: Callable[..., str], gate: Gate) -> None:
    code, output = gate(3)
    assert code == 3 and "play one half" in output, output
    world("play", "completed", "--map", "radar")
    assert "Round time source: header" in vm.check_output(f"tail -n 200 {TREE}/logs/bot.log")
    code, output = gate(3)
    assert code == 0, output


def test_gate_6_and_the_values_by_hand(vm: Host, gate: Gate) -> None:
    shown = graphs(vm, "2026-01-11")
    # Twenty halves; Ana's dead time is capped to nine minutes in two of them: 10800 s played, 18 x 1.7 + 2 x 9 min dead.
    assert shown["Ana"]["survival_rate"] == pytest.approx(100 - 100 * (18 * 102 + 2 * 540) / 10800, abs=0.06)
    assert shown["Ana"]["damage_efficiency"] == pytest.approx(3100 / 2500, abs=0.06)
    assert shown["Ana"]["frag_potential"] == pytest.approx(60 * 62000 / (10800 - 18 * 102 - 2 * 540), abs=0.06)
    assert shown["Cene"]["damage_efficiency"] == 0
    assert [line.split(" (")[0] for line in leaderboard(vm)] == [
        "Bor** - 40.0% HS",
        "Ana** - 15.0% HS",
        "Cene** - 9.1% HS",
    ]
    code, output = gate(6)
    assert code == 0, output


def test_a_large_table_asks_for_indexes_and_is_then_proven_in_part(vm: Host, playbook: Playbook) -> None:
    """A hundred rows stand for more than can be summed; nothing is created but by hand, with the words of the refusal."""
    extravars = {"phase": 6, "leaderboard_source_max_player_rows": 100}
    refused = playbook("validate", extravars=extravars)
    statements = [part for _, _, told in refused.failed for part in re.findall(r"CREATE INDEX CONCURRENTLY[^;]+", told)]
    assert refused.rc != 0 and len(statements) == 2, refused.output
    for statement in statements:
        vm.check_output(f'psql -q -h 127.0.0.1 -U etlegacy_user -d etlegacy -c "{statement}"')
    proven = playbook("validate", extravars=extravars)
    words = " ".join(re.sub(r"\x1b\[[\d;]*m", "", proven.output).split())
    assert proven.rc == 0 and "3 places" in words and "2 have more rows than are summed" in words, proven.output


def test_a_candidate_that_breaks_the_service_is_taken_back(
    root: Path, tmp_path: Path, vm: Host, playbook: Playbook
) -> None:
    """It compiles and passes every proof on the controller, but the service cannot start with it."""
    before = state(vm, 6)
    broken = tmp_path / "api.py"
    broken.write_bytes(
        (root / "molecule/world/slomix_vm/opt_slomix/website/backend/api.py")
        .read_bytes()
        .replace(b"APIRouter()", b"APIRouter(no_such=1)")
    )
    run = playbook("phase6", extravars={"web_source_source": broken, "source_release_health_timeout_s": 20})
    assert run.rc != 0
    assert (
        "was not healthy after the change" in run.output
        and "is back in place and the service is healthy with it" in run.output
    )
    assert "unexpected keyword argument" in run.output, "the end of the service's log is shown"
    assert state(vm, 6)[API] == before[API]
    assert graphs(vm, "2026-01-11")
    assert playbook("phase6").rc == 0


def test_nothing_is_restarted_when_nobody_knows_whether_the_bot_rests(vm: Host, playbook: Playbook) -> None:
    before, running = state(vm, 6), pids(vm)
    refused = playbook(
        "rollback",
        extravars={"phase": 6, "source_release_idle_url": f"{BOT}/nothing-here", "source_release_idle_wait_s": 1},
    )
    assert refused.rc != 0 and "at rest is not known" in refused.output, refused.output
    assert (state(vm, 6), pids(vm)) == (before, running)


def test_a_pull_that_brings_the_file_anew_is_patched_anew(vm: Host, playbook: Playbook, gate: Gate) -> None:
    """As after `git checkout -- FILE; git pull`: the committed file is the new original, and the codemod fits it too."""
    vm.check_output(
        f"cd {TREE} && cp bot/cogs/leaderboard_cog.py /tmp/patched && git checkout -q -- bot/cogs/leaderboard_cog.py"
        " && printf '\\n# a later version\\n' >> bot/cogs/leaderboard_cog.py"
        " && git -c user.name=x -c user.email=x@example.invalid commit -q -m later -- bot/cogs/leaderboard_cog.py"
    )
    pulled = vm.file(LEADERBOARD).sha256sum
    code, output = gate(6)
    assert code not in (0, 5) and "as committed" in output, output
    run = playbook("phase6")
    assert run.rc == 0, run.output
    assert "# a later version" in vm.file(LEADERBOARD).content_string and vm.file(LEADERBOARD).sha256sum != pulled
    code, output = gate(6)
    assert code == 0, output
    assert playbook("rollback", extravars={"phase": 6}).rc == 0
    assert vm.file(LEADERBOARD).sha256sum == pulled
    assert playbook("phase6").rc == 0


@pytest.mark.parametrize("phase", [6, 3])
def test_the_way_back_is_to_the_byte(phase: int, root: Path, vm: Host, playbook: Playbook, gate: Gate) -> None:
    patched = state(vm, phase)
    predicted = playbook("rollback", check=True, extravars={"phase": phase})
    assert predicted.rc == 0 and state(vm, phase) == patched, predicted.output
    back = playbook("rollback", extravars={"phase": phase})
    assert back.rc == 0 and back.changed == predicted.changed, back.output
    assert back.diffs == predicted.diffs
    for path in FILES[phase]:
        if path != LEADERBOARD:
            assert vm.file(path).sha256sum == original(root, path)
    assert vm.check_output(f"git -C {TREE} status --porcelain --untracked-files=no") in (
        "",
        " M bot/community_stats_parser.py",
    )
    assert playbook("rollback", extravars={"phase": phase}).changed == set()
    assert playbook("validate", extravars={"phase": phase}).rc != 0, "verify fails when the old file is back"
    code, output = gate(phase)
    assert code not in (0, 5), output


def test_a_hand_edit_is_refused(vm: Host, playbook: Playbook) -> None:
    assert playbook("phase3").rc == 0
    vm.check_output(f"printf '# by hand\\n' >> {PARSER}")
    edited = vm.file(PARSER).sha256sum
    for name, extravars in (("phase3", {}), ("rollback", {"phase": 3})):
        refused = playbook(name, extravars=extravars)
        assert refused.rc != 0 and "by hand" in refused.output, refused.output
        assert vm.file(PARSER).sha256sum == edited
