"""The action plugins in real ansible-playbook runs: what they write, refuse, and leave alone in check mode."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger

CANARY = "canary7f3a91"
GOOD = {"changed": False, "links": 1}


class Site:
    """A folder with its own plan, inventory and evidence; ``play`` runs tasks on its hosts."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.folder, self.root = folder, root
        self.evidence = folder / "evidence"
        self.plan = folder / "plan"
        (self.plan / "gates").mkdir(parents=True)
        legs = {leg: {"role": "a", "tasks": leg} for leg in ("action", "verify", "revert")}
        phases = [
            {
                "phase": 0,
                "title": "first",
                "state": "built",
                "requires": [],
                "gate": "phase0",
                "playbook": "phase0.yml",
            },
            {
                "phase": 1,
                "title": "next",
                "state": "built",
                "requires": [0],
                "gate": "phase1",
                "playbook": "phase1.yml",
            },
        ]
        for phase in phases:
            phase["steps"] = [{"id": f"{phase['phase']}.1", "slug": "a", "title": "b", "hosts": "all", **legs}]
        (self.plan / "plan.yml").write_text(yaml.safe_dump({"plan": "test", "version": "1", "phases": phases}))
        check = {
            "id": "0.1/links",
            "asks": "Is it linked once?",
            "sample": {"step": "0.1", "leg": "verify", "group": "site"},
            "pass_if": {"path": "links", "op": "eq", "value": 1},
            "next": "link it and verify again",
            "good": GOOD,
            "mutants": [{"name": "no link", "set": {"links": 0}, "expect": "fail"}],
        }
        for name, number in (("phase0", 0), ("phase1", 1)):
            made = {"gate": name, "phase": number, "asks": "Is all well?", "checks": [check]}
            (self.plan / "gates" / f"{name}.yml").write_text(yaml.safe_dump(made))
        hosts = {"one": {"ansible_connection": "local"}, "two": {"ansible_connection": "local"}}
        # As in a real inventory, where a folder is built from other variables.
        variables = {
            "base": str(folder),
            "rollout_evidence_dir": "{{ base }}/evidence",
            "rollout_plan_dir": "{{ base }}/plan",
        }
        inventory = {"all": {"vars": variables, "children": {"site": {"hosts": hosts}}}}
        (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))

    def play(self, *tasks: dict[str, Any], options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run the tasks on both hosts; output is YAML for people, as in use."""
        play = [{"name": "test", "hosts": "site", "gather_facts": False, "tasks": list(tasks)}]
        (self.folder / "play.yml").write_text(yaml.safe_dump(play, sort_keys=False))
        return subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                "-i",
                str(self.folder / "hosts.yml"),
                str(self.folder / "play.yml"),
                *options,
            ],
            cwd=self.root,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def records(self) -> list[dict[str, Any]]:
        return ledger.read(str(self.evidence))

    def prove(self, at: datetime | None = None, **changes: Any) -> None:
        """Evidence for both hosts, written without Ansible."""
        for host in ("one", "two"):
            body = {
                "kind": "step",
                "check": False,
                "phase": 0,
                "step": "0.1",
                "leg": "verify",
                "name": None,
                "host": host,
            }
            ledger.append(str(self.evidence), {**body, "digests": {}, "result": {**GOOD, **changes}}, at=at)


@pytest.fixture
def site(tmp_path: Path, root: Path) -> Site:
    return Site(tmp_path, root)


def record(**more: Any) -> dict[str, Any]:
    options = {"phase": 0, "step": "0.1", "leg": "verify", "result": GOOD, **more}
    return {"name": "Record", "slomix.timetracking.rollout_record": options}


def judge(**more: Any) -> dict[str, Any]:
    return {"name": "Judge", "run_once": True, "slomix.timetracking.rollout_gate": {"gate": "phase0", **more}}


def require(**more: Any) -> dict[str, Any]:
    return {"name": "Require", "run_once": True, "slomix.timetracking.rollout_require": {"phase": 1, **more}}


def test_a_record_says_who_what_when_and_on_which_plan(site: Site) -> None:
    done = site.play(record(digests={"webhook_lua": "a" * 64}), judge(require=True), require())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed=0" in done.stdout
    one, two, verdict = site.records()
    assert ledger.verify(str(site.evidence)).intact
    assert {one["host"], two["host"]} == {"one", "two"}
    assert one["run"] == two["run"] == verdict["run"], "one run, whichever worker wrote"
    assert one["operator"] == verdict["operator"] != ""
    assert one["result"] == GOOD, "Ansible's own keys are no evidence"
    assert one["digests"] == {"webhook_lua": "a" * 64}
    assert (one["phase"], one["step"], one["leg"], one["check"]) == (0, "0.1", "verify", False)
    assert len(one["plan_sha256"]) == 64 and len(one["git"]["commit"]) == 40
    assert verdict["kind"] == "verdict"
    assert verdict["result"]["verdict"] == "pass"
    assert verdict["result"]["hosts"]["site"] == ["one", "two"]
    assert "gate phase0: PASS" in done.stdout
    again = site.play(record())
    assert again.returncode == 0
    assert site.records()[-1]["run"] != one["run"]


def test_a_registered_result_is_recorded_without_invocation_and_secrets(site: Site) -> None:
    stat = {"name": "Look", "ansible.builtin.stat": {"path": f"/nowhere/.ssh/{CANARY}"}, "register": "seen"}
    loud = {
        "name": "Say",
        "ansible.builtin.set_fact": {"seen": "{{ seen | combine({'password': '" + CANARY + "', 'found': true}) }}"},
    }
    done = site.play(stat, loud, record(result="{{ seen }}"))
    assert done.returncode == 0, done.stdout + done.stderr
    recorded = site.records()[0]["result"]
    assert "invocation" not in recorded and not any(key.startswith("_ansible") for key in recorded)
    assert recorded["password"] == "[redacted]"
    assert CANARY not in (site.evidence / "ledger.jsonl").read_text()


def test_a_failed_step_is_recorded_and_makes_the_gate_an_error(site: Site) -> None:
    block = {
        "name": "Step",
        "block": [{"name": "Fail", "ansible.builtin.fail": {"msg": "no route"}, "register": "seen"}],
        "rescue": [record(result="{{ seen }}"), judge(require=True)],
    }
    done = site.play(block)
    assert done.returncode != 0
    assert site.records()[0]["result"]["failed"] is True
    assert site.records()[-1]["result"]["verdict"] == "error"
    assert "no route" in site.records()[-1]["result"]["found"]


def test_check_mode_writes_nothing(site: Site) -> None:
    done = site.play(record(), judge(require=True), require(), options=("--check",))
    assert done.returncode == 0, done.stdout + done.stderr
    assert not site.evidence.exists()
    assert "nothing was written" in done.stdout
    assert "a real run would stop here" in done.stderr
    site.prove()
    before = {path: path.read_bytes() for path in site.evidence.rglob("*") if path.is_file()}
    done = site.play(record(), judge(), require(waive="phase0", reason="a long enough reason"), options=("--check",))
    assert done.returncode == 0
    assert "gate phase0: PASS" in done.stdout, "check mode judges what is really on record"
    assert {path: path.read_bytes() for path in site.evidence.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("changes", "verdict"), [({"links": 0}, "fail"), ({"links": None}, "inconclusive"), ({"links": "1"}, "error")]
)
def test_only_pass_opens(site: Site, changes: dict[str, Any], verdict: str) -> None:
    site.prove(**changes)
    done = site.play(judge(require=True))
    assert done.returncode != 0
    assert f"gate phase0 is {verdict}" in done.stdout
    assert site.records()[-1]["result"]["verdict"] == verdict, "a refusal is evidence too"
    assert site.play(judge()).returncode == 0, "without require it only reports"
    refused = site.play(require())
    assert refused.returncode != 0
    for word in ("Found:", "Required:", "Next:"):
        assert word in refused.stdout


def test_every_host_of_the_group_must_be_proven(site: Site) -> None:
    done = site.play(record(), judge(require=True), options=("--limit", "one"))
    assert done.returncode != 0
    assert site.records()[-1]["result"]["verdict"] == "inconclusive"
    assert "two: nothing is recorded" in site.records()[-1]["result"]["found"]


def test_a_phase_needs_a_recorded_verdict_on_valid_evidence(site: Site) -> None:
    assert "inconclusive" in site.play(require()).stdout
    site.prove()
    unjudged = site.play(require())
    assert unjudged.returncode != 0
    assert "newest recorded verdict is none" in " ".join(unjudged.stdout.split())
    site.play(judge())
    assert site.play(require()).returncode == 0
    site.prove(links=0)
    changed = site.play(require())
    assert changed.returncode != 0, "the recorded pass is history, the evidence now says fail"
    assert "gate phase0 is fail" in " ".join(changed.stdout.split())


def test_expired_evidence_closes_a_gate_that_passed(site: Site) -> None:
    site.prove(at=datetime.now(UTC) - timedelta(days=15))
    ledger.append(
        str(site.evidence), {"kind": "verdict", "check": False, "result": {"gate": "phase0", "verdict": "pass"}}
    )
    done = site.play(require())
    assert done.returncode != 0
    assert "gate phase0 is expired" in " ".join(done.stdout.split())


def test_a_broken_ledger_blocks_every_phase_and_is_not_written_on(site: Site) -> None:
    site.prove()
    site.play(judge())
    path = site.evidence / "ledger.jsonl"
    path.write_text(path.read_text().replace('"links":1', '"links":2', 1))
    before = path.read_bytes()
    for task in (record(), judge(require=True), require(), require(waive="phase0", reason="a long enough reason")):
        done = site.play(task)
        assert done.returncode != 0
        assert "line 1 does not have the content" in " ".join(done.stdout.split()), done.stdout
    first_phase = site.play({**require(), "slomix.timetracking.rollout_require": {"phase": 0}})
    assert first_phase.returncode != 0, "phase 0 requires no gate, but an intact ledger"
    assert path.read_bytes() == before


def test_a_waiver_is_explicit_recorded_and_only_for_what_is_unproven(site: Site) -> None:
    reason = {"waive": "phase0", "reason": "nobody plays before the cup"}
    assert "needs a reason" in " ".join(site.play(require(waive="phase0", reason="x")).stdout.split())
    assert "to waive" in " ".join(site.play(require(**{**reason, "waive": "phase7"})).stdout.split())
    assert "1 to 14 days" in " ".join(site.play(require(**reason, waive_days=90)).stdout.split())
    assert site.records() == []
    done = site.play(require(**reason))
    assert done.returncode == 0, done.stdout
    waiver = site.records()[-1]
    assert waiver["kind"] == "waiver"
    assert waiver["operator"]
    assert waiver["result"]["reason"] == reason["reason"]
    until = datetime.fromisoformat(waiver["result"]["until"])
    assert timedelta(hours=23) < until - datetime.now(UTC) <= timedelta(days=1)
    assert site.play(require()).returncode == 0, "it holds until it expires"
    site.prove(links=0)
    failed = site.play(require(**reason))
    assert failed.returncode != 0
    assert "is fail, which cannot be waived" in " ".join(failed.stdout.split())
    assert len([one for one in site.records() if one["kind"] == "waiver"]) == 1


def test_an_override_passes_by_a_closed_gate_in_this_run_only(site: Site) -> None:
    """Unlike a waiver it also passes by a failed gate; nothing opens by it, and each use is on record."""
    site.prove(links=0)
    site.play(judge())
    override = {"slomix.timetracking.rollout_require": {"phase": 1, "override": ["phase0"]}, "run_once": True}
    done = site.play(override)
    assert done.returncode == 0, done.stdout
    assert "goes on by override although gate phase0 is fail" in " ".join(done.stderr.split())
    note = site.records()[-1]
    assert (note["kind"], note["result"]["gates"][0]["gate"]) == ("note", "phase0")
    assert site.play(require()).returncode != 0
    other = {"slomix.timetracking.rollout_require": {"phase": 1, "override": ["phase9"]}, "run_once": True}
    assert site.play(other).returncode != 0
    count = len(site.records())
    assert site.play(override, options=("--check",)).returncode == 0
    assert len(site.records()) == count


def test_a_gate_that_is_blind_to_its_mutant_is_an_error(site: Site) -> None:
    path = site.plan / "gates" / "phase0.yml"
    made = yaml.safe_load(path.read_text())
    made["checks"][0]["pass_if"] = {"path": "links", "op": "ge", "value": 0}
    path.write_text(yaml.safe_dump(made))
    site.prove()
    done = site.play(judge(require=True))
    assert done.returncode != 0
    assert site.records()[-1]["result"]["verdict"] == "error"
    path.unlink()
    assert "there is no phase0.yml" in " ".join(site.play(judge(require=True)).stdout.split())


def test_a_phase_that_is_not_built_is_refused(site: Site) -> None:
    done = site.play({**require(), "slomix.timetracking.rollout_require": {"phase": 4}})
    assert done.returncode != 0
    assert "phase 4 is not built; built are 0, 1" in " ".join(done.stdout.split())
