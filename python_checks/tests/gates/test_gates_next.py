"""What to do next: whole commands that can be copied, said once, and the right one in each state that stops everything."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger, lock
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import judge

from python_checks.gates import advice, files, text
from python_checks.gates.status import Row, status
from python_checks.tests.gates.ledger_records import NOW, gate, pair, step
from python_checks.tests.gates.test_gates_command import prove
from python_checks.tests.gates.test_gates_ledger import torn as cut_line

GATES = files.gate_names()
PLAYING = ("phase1", "phase3", "phase4")
Rollout = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "evidence"


@pytest.fixture
def site(tmp_path: Path, folder: Path) -> Path:
    """An inventory that names the folder."""
    path = tmp_path / "hosts.yml"
    path.write_text(yaml.safe_dump({"all": {"hosts": {"one": {}}, "vars": {"rollout_evidence_dir": str(folder)}}}))
    return path


@pytest.fixture
def rollout(tmp_path: Path) -> Rollout:
    """``rollout("status", …)``: what the installed command prints; it must end with 0."""

    def run(*words: str) -> str:
        command = str(Path(sys.executable).parent / "rollout")
        done = subprocess.run(
            [command, *words],
            cwd=tmp_path,
            env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def first_next(screen: str) -> str:
    """The first `next:` with the lines that belong to it, as one text."""
    found = re.search(r"^ *next: .*\n(?: {14}.*\n)*", screen, re.MULTILINE)
    assert found, screen
    return " ".join(found[0].split())


def texts(value: Any, *keys: str) -> Iterator[str]:
    """Every text under one of ``keys``, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in keys and isinstance(inner, str):
                yield inner
            yield from texts(inner, *keys)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner, *keys)


@pytest.mark.parametrize("name", GATES)
def test_the_commands_of_a_gate_are_whole(name: str, root: Path) -> None:
    found = list(texts(files.load_gate(name)["checks"], "next", "next_fail", "why"))
    assert found
    for one in found:
        rest = advice.COMMAND.sub("", one)
        assert "playbooks/" not in rest and "-e " not in rest, f"half a command is left in: {one}"
        for playbook in re.findall(r"playbooks/\w+\.yml", one):
            assert (root / playbook).is_file(), one
        assert "..." not in "".join(advice.lines(one, text.WIDTH, 8))


def test_a_half_with_two_rows_of_the_webhook_is_not_played_away() -> None:
    """It stays in its session: more rounds of that session settle nothing."""
    phase5 = files.load_gate("phase5")
    check = next(one for one in phase5["checks"] if one["id"] == "5.3/session")
    two = {**check["good"]["rounds"][0], "round_id": 12, "lua_links": 2}
    record = {
        "kind": "step",
        "check": False,
        "phase": 5,
        "step": "5.3",
        "leg": "verify",
        "name": "rounds",
        "host": "vm",
    }
    record |= {"seq": 1, "at": (NOW - timedelta(hours=1)).isoformat(), "digests": {"database": "aa"}}
    for rounds, verdict in (([*check["good"]["rounds"], two], "fail"), (check["good"]["rounds"], "pass")):
        result = {**check["good"], "rounds": rounds}
        found = judge({**phase5, "checks": [check]}, [{**record, "result": result}], now=NOW).checks[0]
        assert found.verdict == verdict, found
        assert verdict == "pass" or ("lua_round_teams" in found.next and "next session" in found.next)


@pytest.mark.parametrize("name", PLAYING)
def test_what_is_to_be_played_is_one_sentence_in_plain_words(name: str) -> None:
    """Several checks are settled by the same evening, so they must not ask for it in several ways."""
    asked = {
        part for one in texts(files.load_gate(name)["checks"], "next") for part in advice.parts(one) if "play " in part
    }
    sentences = {one[one.index("with people") :] for one in asked if "with people" in one}
    assert len(sentences) == 1, sentences
    sentence = sentences.pop()
    assert "pause" in sentence and ("both halves" in sentence or "one half" in sentence)
    assert sentence.endswith(f"then run ansible-playbook playbooks/gate.yml -e phase={name[-1]}")
    assert not re.search(r"\bR[12]\b", sentence), "a newcomer does not know R1"


@pytest.mark.parametrize(
    ("said", "commands"),
    [
        (
            "run ansible-playbook playbooks/gate.yml -e phase=1, then play",
            ["ansible-playbook playbooks/gate.yml -e phase=1"],
        ),
        ("by ansible-playbook playbooks/phase1.yml --check; then", ["ansible-playbook playbooks/phase1.yml --check"]),
        ("(see rollout gate 4) and so on", ["rollout gate 4"]),
        ("a crash cut it; set it aside with: rollout evidence repair", ["rollout evidence repair"]),
        (
            "ansible-playbook playbooks/phase5.yml -e decision=keep_dual.",
            ["ansible-playbook playbooks/phase5.yml -e decision=keep_dual"],
        ),
        ("run playbooks/phase1.yml", []),
        ("the rollout goes on", []),
    ],
)
def test_commands_are_found_in_sentences(said: str, commands: list[str]) -> None:
    assert advice.COMMAND.findall(said) == commands
    placed = advice.placed(said, advice.Place(("inventory/my site",), lock="run-1"))
    for command in advice.COMMAND.findall(placed):
        assert "-i 'inventory/my site'" in command
        assert ("-e break_lock=run-1" in command) is ("playbooks/phase" in command), "gate.yml takes no lock"
        assert sum(line.strip().removeprefix("next: ") == command for line in advice.lines(placed, 40, 8)) == 1, (
            "on one line"
        )


def test_a_long_advice_is_never_cut() -> None:
    said = "; ".join(f"sentence {number} has its own words" for number in range(9)) + "; run rollout gate 1"
    lines = advice.lines(said, 60, 8)
    assert " ".join(" ".join(lines).split()) == f"next: {said.removesuffix('rollout gate 1')}rollout gate 1"
    assert lines[-1] == " " * 14 + "rollout gate 1" and max(map(len, lines)) <= 60


def test_the_same_sentence_is_said_once_and_only_the_first_few() -> None:
    plan = {
        "phases": [
            {
                "phase": 0,
                "title": "t",
                "state": "built",
                "requires": [],
                "gate": "phase0",
                "playbook": "phase0.yml",
                "steps": [{"id": f"0.{n}", "title": "s", "verify": {"tasks": str(n)}} for n in (1, 2)],
            }
        ]
    }
    checks = [
        {
            **gate()["checks"][0],
            "id": f"0.{n}/x",
            "sample": {"step": f"0.{n}", "leg": "verify"},
            "next": said,
            "after": [],
        }
        for n, said in ((1, "play; wait"), (2, "play; look; ask; write; read"))
    ]
    records = [step(n, f"0.{n}/verify", {"pairs": []}) for n in (1, 2)]
    rows = status(plan, {"phase0": {"gate": "phase0", "phase": 0, "checks": checks}}, records, now=NOW)
    assert [row.next for row in rows] == ["play; wait", "look; ask; write; and what is shown by rollout gate 0", ""]


def test_why_a_row_does_not_count_stands_in_front_of_what_to_do() -> None:
    reasons = [
        {
            "path": "r1_start_unix",
            "op": "gt",
            "than": "$.loaded_unix",
            "code": "BEFORE",
            "why": "it began before the load",
        },
        {"path": "r2_limit_fractional", "op": "eq", "value": True, "code": "YOUNG", "next": "wait a minute"},
    ]
    rows = [pair(1, r1_start_unix=1), pair(2, r2_limit_fractional=False), pair(3, r1_start_unix=2)]
    found = judge(gate(where=reasons), [step(1, "1.7/verify/pairs", {"loaded_unix": 900, "pairs": rows})], now=NOW)
    assert found.next == "it began before the load; wait a minute; play one R1 and R2 on the same map"
    only = judge(gate(where=reasons), [step(1, "1.7/verify/pairs", {"loaded_unix": 900, "pairs": rows[1:2]})], now=NOW)
    assert only.next == "wait a minute", "what settles itself needs no play"
    two = judge(
        gate(where=reasons, min_samples=2),
        [step(1, "1.7/verify/pairs", {"loaded_unix": 900, "pairs": [pair(1)]})],
        now=NOW,
    )
    assert two.next.startswith("1 more") is False and two.next == "play one R1 and R2 on the same map"


def test_a_fail_that_playing_does_not_settle_says_so() -> None:
    lost = {"loaded_unix": 900, "pairs": [pair(1, r2_links=0)]}
    for fields, wanted in (({}, "play one R1 and R2 on the same map"), ({"next_fail": "lead it back"}, "lead it back")):
        found = judge(gate(**fields), [step(1, "1.7/verify/pairs", lost)], now=NOW)
        assert (found.verdict, found.next) == ("fail", wanted)
        seen = judge(gate(**fields), [step(1, "1.7/verify/pairs", {"loaded_unix": 900, "pairs": []})], now=NOW)
        assert (seen.verdict, seen.next) == ("inconclusive", "play one R1 and R2 on the same map")


def test_nothing_recorded_leads_to_the_phase_or_to_play() -> None:
    """Behind the deployment the evidence is missing because nobody played, in front of it because nobody deployed."""
    deployed = step(1, "1.6/action", {"changed": True})
    play, run = "play one R1 and R2 on the same map", "run ansible-playbook playbooks/phase1.yml"
    assert judge(gate(), [], now=NOW).next == run
    assert judge(gate(), [deployed], now=NOW).next == play
    assert judge(gate(), [deployed, step(2, "1.6/revert", {"changed": True})], now=NOW).next == run
    assert judge(gate(), [step(1, "1.6/action", {"failed": True, "msg": "no"})], now=NOW).next == run
    assert judge(gate(after=None), [deployed], now=NOW).next == run


def test_a_step_without_a_check_shows_the_verdict_of_the_one_that_proves_it() -> None:
    plan, gates = files.load_plan(), {name: files.load_gate(name) for name in GATES}
    rehearsed = next(check for check in gates["phase1"]["checks"] if check["id"] == "1.5/rehearsed")
    for result, verdict in ((rehearsed["good"], "pass"), ({**rehearsed["good"], "passed": False}, "fail")):
        records = [step(n, f"1.{n}/verify", result) for n in range(1, 6)]
        rows = {row.step: row for row in status(plan, gates, records, now=NOW)}
        assert [rows[f"1.{n}"].verdict for n in range(1, 6)] == [verdict] * 5
        assert rows["1.1"].state.endswith("by 1.5") and rows["1.5"].state in ("verified", "measured")
        assert rows["1.1"].next == "", "the step that is judged says what to do"
    virgin = {row.step: row for row in status(plan, gates, [], now=NOW)}
    assert (virgin["1.1"].verdict, virgin["1.1"].state) == ("-", "open")


def test_a_waiting_gate_names_what_it_waits_for() -> None:
    rows = {row.step: row for row in status(files.load_plan(), {n: files.load_gate(n) for n in GATES}, [], now=NOW)}
    assert rows["gate 4"].state == "waits for 2, 3" and rows["gate 4"].next == ""
    lines = text.status_lines([replace(row, age_s=86400.0 * 30) for row in rows.values()])
    assert max(map(len, lines)) <= text.WIDTH


def test_the_inventory_names_evidence_and_commands(rollout: Rollout, site: Path, folder: Path, tmp_path: Path) -> None:
    prove(folder, "phase0")
    screen = rollout("status", "-i", str(site))
    assert f"evidence in {folder}" in screen
    record = f"next: record it: ansible-playbook -i {site} playbooks/gate.yml -e phase=0"
    assert first_next(screen) == record
    assert f"-i {site} playbooks/phase5.yml" not in screen, "phase 5 waits"
    assert "playbooks/gate.yml" not in rollout("status", "-i", str(site), "--evidence", str(tmp_path / "other"))
    assert "0.1 verify" in rollout("log", "-i", str(site))


def test_an_inventory_without_evidence_is_no_virgin_site(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.yml"
    hosts.write_text(yaml.safe_dump({"all": {"hosts": {"one": {}}}}))
    command = str(Path(sys.executable).parent / "rollout")
    for words in (["status"], ["gate", "0"], ["log"], ["report", "-o", "x.html"]):
        done = subprocess.run([command, *words, "-i", str(hosts)], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 2 and "rollout_evidence_dir" in done.stderr and not done.stdout, words


def test_a_broken_ledger_says_what_to_do_and_nothing_else(rollout: Rollout, site: Path, folder: Path) -> None:
    prove(folder, "phase0")
    lines = folder / "ledger.jsonl"
    cut_line(folder, 50)
    torn = rollout("status", "-i", str(site))
    assert torn.count("next: ") == 1 and first_next(torn).endswith(f"rollout evidence repair -i {site}")
    rollout("evidence", "repair", "-i", str(site))
    assert "BROKEN" not in rollout("status", "-i", str(site)), "following it helps"
    lines.write_bytes(lines.read_bytes().replace(b'"running":false', b'"running":true ', 1))
    edited = rollout("status", "-i", str(site))
    assert edited.count("next: ") == 1 and "Restore the folder from a copy" in first_next(edited)
    assert first_next(edited).endswith(f"rollout evidence verify -i {site}")
    # A command stands whole on its line, however long the site's path is.
    assert all(len(line) <= text.WIDTH or "rollout evidence verify" in line for line in edited.splitlines()[1:])
    assert re.search(r"^gate 0 .* blocked +broken ", edited, re.MULTILINE)


def test_a_held_site_says_who_and_since_when(rollout: Rollout, site: Path, folder: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        since = (datetime.now(UTC) - timedelta(minutes=7)).isoformat(timespec="seconds")
        ticks = lock.process_ticks(process.pid)
        lock.acquire(str(folder), lock.Holder("run-1", "ana@desk", "phase 1", since, process.pid, ticks, lock.place()))
        held = rollout("status", "-i", str(site))
        assert "phase 1 by ana@desk" in held and since in held and "7 min" in held
        assert held.count("next: ") == 1 and first_next(held).endswith(f"rollout status -i {site}")
    finally:
        process.kill()
        process.wait()
    left = json.loads((folder / "rollout.lock").read_text() or "{}")
    assert not left or left["name"] == "run-1"


def test_a_lock_that_was_left_over_is_named_in_the_next_command(rollout: Rollout, site: Path, folder: Path) -> None:
    folder.mkdir()
    gone = lock.Holder("run-1", "ana@desk", "phase 0", "2026-02-21T20:00:00+00:00", 2**22, 1, lock.place())
    (folder / "rollout.lock").write_text(
        json.dumps({**gone.__dict__, "place": gone.place.__dict__, "keeper": 2**22, "keeper_ticks": 1})
    )
    screen = rollout("status", "-i", str(site))
    assert "stale" in screen and "ana@desk" in screen
    assert first_next(screen).endswith(
        f"rollout log -i {site} what is to be done below names the lock, which pushes it aside"
    )
    assert f"ansible-playbook -i {site} playbooks/phase0.yml -e break_lock=run-1\n" in screen
    assert max(len(line) for line in screen.splitlines()[1:] if "ansible-playbook" not in line) <= text.WIDTH


def test_a_phase_that_must_be_told_something_is_named_with_it(folder: Path) -> None:
    plan, gates = files.load_plan(), {name: files.load_gate(name) for name in GATES}
    for number in range(5):
        prove(folder, f"phase{number}")
    records: list[Any] = list(ledger.read(str(folder)))
    rows = {row.step: row for row in status(plan, gates, records, now=datetime.now(UTC))}
    assert rows["gate 4"].verdict == "pass"
    assert rows["5.1"].next == "ansible-playbook playbooks/phase5.yml -e decision=keep_dual"


def test_rows_without_advice_have_no_line() -> None:
    assert text.status_lines([Row("0.1", "t", "open", "-", None, "")])[1:] == ["0.1   t      open   -        -"]
