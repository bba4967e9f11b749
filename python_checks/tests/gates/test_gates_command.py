"""The command `rollout` as a process: its exit codes are an interface, its screen fits a terminal."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger, samples

from python_checks.gates import files, text
from python_checks.gates.status import Row

Rollout = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "evidence"


@pytest.fixture
def rollout(tmp_path: Path, folder: Path) -> Rollout:
    """Run the installed command from a foreign folder, with the evidence named by the environment."""

    def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "ROLLOUT_EVIDENCE_DIR": str(folder), **env}
        command = str(Path(sys.executable).parent / "rollout")
        return subprocess.run(
            [command, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )

    return run


def prove(folder: Path, gate: str) -> None:
    """Record the good sample of each check of a real gate, once per sample, for its one host."""
    seen: dict[tuple[Any, ...], dict[str, Any]] = {}
    for check in files.load_gate(gate)["checks"]:
        sample = check["sample"]
        key = (sample["step"], sample["leg"], sample.get("name"))
        record = seen.setdefault(key, {"result": {}, "digests": {}})
        record["result"] |= check["good"]
        record["digests"] |= {name: "a" * 64 for name in samples.names_of(check)}
    for (step, leg, name), record in seen.items():
        body = {"kind": "step", "check": False, "phase": int(step[0]), "step": step, "leg": leg, "name": name}
        ledger.append(str(folder), {**body, "host": "a-host", **record})


def test_status_of_a_virgin_site(rollout: Rollout, folder: Path) -> None:
    done = rollout("status")
    assert done.returncode == 0, done.stderr
    for phase in files.load_plan()["phases"]:
        for step in phase["steps"]:
            assert re.search(rf"^{re.escape(step['id'])} ", done.stdout, re.MULTILINE)
    assert ("not built yet" in done.stdout) is any(one["state"] == "planned" for one in files.load_plan()["phases"])
    assert "ansible-playbook playbooks/phase0.yml" in " ".join(done.stdout.split())
    assert "\033" not in done.stdout, "colour only on a terminal"
    assert max(len(line) for line in done.stdout.splitlines()[1:]) <= text.WIDTH
    assert len(done.stdout.splitlines()) <= 60, "one screen"
    assert not folder.exists(), "looking leaves nothing behind"


def test_status_follows_the_evidence(rollout: Rollout, folder: Path) -> None:
    prove(folder, "phase0")
    screen = rollout("status").stdout
    assert re.search(r"^0\.1 .* verified +pass ", screen, re.MULTILINE)
    assert re.search(r"^gate 0 .* open +pass ", screen, re.MULTILINE)
    assert "playbooks/gate.yml -e phase=0" in " ".join(screen.split())
    ledger.append(
        str(folder),
        {
            "kind": "step",
            "check": False,
            "phase": 0,
            "step": "0.1",
            "leg": "revert",
            "host": "a-host",
            "result": {"changed": True},
        },
    )
    screen = rollout("status").stdout
    assert re.search(r"^0\.1 .* reverted +fail ", screen, re.MULTILINE)
    ledger.append(
        str(folder),
        {
            "kind": "step",
            "check": False,
            "phase": 0,
            "step": "0.1",
            "leg": "action",
            "host": "a-host",
            "result": {"failed": True, "msg": "sudo"},
        },
    )
    screen = rollout("status").stdout
    assert re.search(r"^0\.1 .* action failed +error ", screen, re.MULTILINE)


@pytest.mark.parametrize("gate", files.gate_names())
def test_gate_on_good_evidence(rollout: Rollout, folder: Path, gate: str) -> None:
    number = str(files.load_gate(gate)["phase"])
    empty = rollout("gate", number)
    assert (empty.returncode, "INCONCLUSIVE" in empty.stdout) == (3, True), empty.stdout
    prove(folder, gate)
    done = rollout("gate", number)
    assert (done.returncode, f"gate {gate}: PASS" in done.stdout) == (0, True), done.stdout
    assert all(record["kind"] == "step" for record in ledger.read(str(folder))), "the command records nothing"


def test_exit_codes_of_gate(rollout: Rollout, folder: Path) -> None:
    first = files.load_gate("phase0")["checks"][0]
    step = {
        "kind": "step",
        "check": False,
        "phase": 0,
        "step": "0.1",
        "leg": "verify",
        "name": None,
        "host": "a-host",
        "digests": {},
    }
    prove(folder, "phase0")
    bad = next(mutant for mutant in first["mutants"] if mutant["expect"] == "fail" and "set" in mutant)
    from ansible_collections.slomix.timetracking.plugins.module_utils.gate_lint import mutate

    ledger.append(str(folder), {**step, "result": mutate(first["good"], bad)})
    done = rollout("gate", "0", "--json")
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (1, "fail")
    ledger.append(str(folder), {**step, "result": {"failed": True, "msg": "no route"}})
    assert rollout("gate", "0").returncode == 2
    done = rollout("gate", "9")
    assert (done.returncode, "has no gate" in done.stdout) == (2, True)
    path = folder / "ledger.jsonl"
    path.write_text(path.read_text().replace("no route", "no rouge"))
    done = rollout("gate", "0")
    assert (done.returncode, "BROKEN" in done.stdout) == (4, True)


def test_waived_has_its_own_exit_code(rollout: Rollout, folder: Path) -> None:
    until = "2999-01-01T00:00:00+00:00"
    waiver = {"gate": "phase0", "reason": "the season is over", "until": until}
    ledger.append(str(folder), {"kind": "waiver", "check": False, "operator": "ana@desk", "result": waiver})
    done = rollout("gate", "0")
    assert (done.returncode, "gate phase0: WAIVED" in done.stdout) == (5, True), done.stdout


def test_log(rollout: Rollout, folder: Path) -> None:
    assert "nothing is recorded" in rollout("log").stdout
    prove(folder, "phase0")
    lines = rollout("log", "-n", "2").stdout.splitlines()
    assert len(lines) == 3
    assert lines[-1].startswith(str(len(ledger.read(str(folder)))))
    assert rollout("log", "-n", "0").returncode == 2
    assert rollout("log", ROLLOUT_EVIDENCE_DIR=str(folder / "none")).returncode == 0


def test_evidence_verify_show_and_repair(rollout: Rollout, folder: Path) -> None:
    absent = rollout("evidence", "verify")
    assert (absent.returncode, "does not exist" in absent.stdout) == (2, True)
    prove(folder, "phase0")
    done = rollout("evidence", "verify")
    assert (done.returncode, done.stdout.startswith("intact: ")) == (0, True)
    assert json.loads(rollout("evidence", "show", "1").stdout)["seq"] == 1
    assert rollout("evidence", "show", "99").returncode == 1
    assert "no torn last line" in rollout("evidence", "repair").stdout
    path = folder / "ledger.jsonl"
    good = path.read_bytes()
    path.write_bytes(good.replace(b'"seq":2', b'"seq":7'))
    done = rollout("evidence", "verify")
    assert done.returncode == 1
    assert "BROKEN: line 2" in done.stdout
    assert "BROKEN" in rollout("status").stdout
    assert rollout("log").returncode == 1
    path.unlink()
    path.mkdir()
    done = rollout("evidence", "verify")
    assert (done.returncode, "cannot be judged" in done.stdout) == (2, True), done.stdout + done.stderr


def test_the_option_goes_before_the_environment(rollout: Rollout, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    ledger.append(str(other), {"kind": "note", "result": {"note": "here"}})
    assert "here" in rollout("log", "--evidence", str(other)).stdout


def test_colour_only_on_a_terminal() -> None:
    row = Row("0.1", "title", "verified", "pass", 60, "do this")
    assert "\033" not in "".join(text.status_lines([row]))
    assert "\033[32m" in "".join(text.status_lines([row], colour=True))


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "-"), (-3, "0 s"), (59, "59 s"), (60, "1 min"), (3599, "59 min"), (7200, "2 h"), (86400 * 9, "9 d")],
)
def test_age(seconds: float | None, shown: str) -> None:
    assert text.age(seconds) == shown


def test_output_cut_by_a_reader_is_no_error(folder: Path, root: Path) -> None:
    prove(folder, "phase0")
    command = f"{Path(sys.executable).parent / 'rollout'} status --evidence {folder} | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, cwd=root)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_signature_covers_the_chain_up_to_its_record(rollout: Rollout, folder: Path, tmp_path: Path) -> None:
    """A ledger written anew from its first line is intact as a chain; only the signature tells."""
    key, signers = tmp_path / "key", tmp_path / "signers"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    kind, public = key.with_suffix(".pub").read_text().split()[:2]
    signers.write_text(f"ana@desk {kind} {public}\n")
    assert "nothing to sign" in rollout("evidence", "sign", "--key", str(key)).stdout
    prove(folder, "phase0")
    unsigned = rollout("evidence", "verify", "--signers", str(signers))
    assert (unsigned.returncode, "no signature" in unsigned.stdout) == (1, True)
    assert rollout("evidence", "sign", "--key", str(key)).returncode == 0
    count = len(ledger.read(str(folder)))
    prove(folder, "phase0")
    done = rollout("evidence", "verify", "--signers", str(signers))
    assert (done.returncode, f"signed up to record {count} by ana@desk" in done.stdout) == (0, True)
    assert rollout("evidence", "verify", "--signers", str(tmp_path / "none")).returncode == 2
    other = tmp_path / "other"
    other.write_text(f"eve@desk {kind} {public[:-8]}AAAAAAAA\n")
    assert rollout("evidence", "verify", "--signers", str(other)).returncode == 1
    (folder / "ledger.jsonl").unlink()
    (folder / "head").unlink()
    prove(folder, "phase0")
    prove(folder, "phase0")
    assert rollout("evidence", "verify").returncode == 0
    forged = rollout("evidence", "verify", "--signers", str(signers))
    assert (forged.returncode, "rewritten" in forged.stdout) == (1, True), forged.stdout
    assert rollout("evidence", "sign", "--key", str(tmp_path / "no-key")).returncode == 1
