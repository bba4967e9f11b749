"""`rollout run`: what is shown, inherited, kept, and with which code it ends; real ansible-runner runs."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from python_checks.run import environment, playbook
from python_checks.run.progress import Progress
from python_checks.run.site import SiteError, read_site
from python_checks.run.waiting import until_decided
from python_checks.tests.ops.conftest import GOOD, OpsSite

RECORD = {
    "name": "Record",
    "slomix.timetracking.rollout_record": {"phase": 0, "step": "0.1", "leg": "verify", "result": GOOD},
}
JUDGE = {
    "name": "Judge",
    "run_once": True,
    "slomix.timetracking.rollout_gate": {"gate": "phase0", "require": True},
}
ENV = {"name": "Show", "ansible.builtin.command": {"cmd": "env"}, "register": "shown", "changed_when": False}
SAY = {"name": "Say", "ansible.builtin.fail": {"msg": "{{ shown.stdout }}"}}
TOUCH = {"name": "Make the file", "ansible.builtin.copy": {"content": "x", "dest": "{{ inventory_dir }}/made"}}


def run(site: OpsSite, *plays: dict[str, Any], **options: Any) -> tuple[playbook.Outcome, str]:
    """The outcome and the screen."""
    out = io.StringIO()
    outcome = playbook.run(
        site.playbook(*plays),
        read_site([str(site.inventory)]),
        inventory=[str(site.inventory)],
        out=out,
        root=site.root,
        logs=site.folder / "logs",
        **options,
    )
    return outcome, out.getvalue()


def test_steps_show_as_they_happen_with_what_they_did(site: OpsSite) -> None:
    outcome, screen = run(site, {"name": "0.1 action | do it", "tasks": [TOUCH]}, {"tasks": [RECORD, JUDGE]})
    assert outcome.code == playbook.DONE, screen
    lines = screen.splitlines()
    assert lines[0].startswith("  0:0") and "0.1 action | do it ..." in lines[0] and " changed " in lines[0]
    assert lines[0].endswith(" s") and lines[1].strip() == "one: Make the file"
    assert "gate phase0: PASS" in screen and "TASK [" not in screen and "{" not in screen
    assert outcome.progress.verdict == "pass"
    assert outcome.log.read_text() == screen
    assert oct(outcome.log.stat().st_mode)[-3:] == "600"


def test_check_mode_predicts(site: OpsSite) -> None:
    outcome, _ = run(site, {"tasks": [TOUCH]}, check=True, diff=True)
    assert outcome.code == playbook.DONE and len(outcome.progress.changed) == 1
    assert not (site.folder / "made").exists()
    assert any(line.strip().startswith("+x") for line in outcome.progress.log)


@pytest.mark.parametrize(
    ("tasks", "code", "word"),
    [
        ([{"name": "Stop", "ansible.builtin.fail": {"msg": "no such unit"}}], 1, "no such unit"),
        ([{"name": "Away", "ansible.builtin.ping": {}, "vars": {"ansible_connection": "nonsense"}}], None, ""),
        ([{"name": "R", "slomix.timetracking.rollout_require": {"phase": 1}, "run_once": True}], 4, "gate phase0"),
        ([JUDGE], 3, "inconclusive"),
        ([{"name": "Bad", "no.such.module": {}}], None, "no.such.module"),
    ],
    ids=["failed", "no connection", "refused", "gate", "no module"],
)
def test_the_exit_code_says_why(site: OpsSite, tasks: list[Any], code: int | None, word: str) -> None:
    outcome, screen = run(site, {"tasks": tasks})
    assert outcome.code != playbook.DONE
    assert code is None or outcome.code == code, screen
    assert word in outcome.found + screen


def test_an_unreachable_host_is_an_error_and_not_a_failure(tmp_path: Path, root: Path) -> None:
    site = OpsSite(
        tmp_path, root, ansible_connection="ssh", ansible_host="127.0.0.1", ansible_port=1, ansible_ssh_retries=0
    )
    outcome, _ = run(site, {"tasks": [{"name": "Ping", "ansible.builtin.ping": {}}]})
    assert outcome.code == playbook.ERROR and "one, Ping" in outcome.found


def test_the_playbook_inherits_an_allow_list(site: OpsSite, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGPASSWORD", "DISCORD_TOKEN", "AWS_SECRET_ACCESS_KEY", "ANSIBLE_BECOME_PASS", "LD_PRELOAD_X"):
        monkeypatch.setenv(name, "canary7f3a91")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/tmp/agent")
    outcome, screen = run(site, {"tasks": [ENV, SAY]})
    assert "canary7f3a91" not in screen and outcome.code == playbook.FAILED
    assert os.environ["PGPASSWORD"] == "canary7f3a91", "the operator's own shell keeps what it had"
    kept = environment.scrubbed(os.environ, site.root)
    assert set(kept) <= {*environment.ALLOWED, "PATH", "ANSIBLE_CONFIG"}
    assert kept["SSH_AUTH_SOCK"] == "/tmp/agent"
    assert kept["PATH"].startswith(str(Path(sys.executable).parent))


def artifacts(root: Path) -> set[Path]:
    return set((root / "build" / "run").glob("by-*"))


def test_artifacts_are_removed_also_those_of_a_killed_run(site: OpsSite) -> None:
    left = site.root / "build" / "run" / "by-1-1-left"
    (left / "artifacts").mkdir(parents=True, exist_ok=True)
    alive = artifacts(site.root) - {left}
    run(site, {"tasks": [ENV, SAY]})
    assert not left.exists()
    assert not artifacts(site.root) - alive


def test_variables_travel_by_file_and_reach_the_playbook(site: OpsSite) -> None:
    task = {"name": "Say", "ansible.builtin.fail": {"msg": "{{ reason }} {{ rollout_evidence_dir }}"}}
    outcome, _ = run(site, {"tasks": [task]}, variables={"reason": "nobody plays before the cup"})
    assert f"nobody plays before the cup {site.evidence}" in outcome.found


def test_ctrl_c_ends_the_playbook_and_frees_the_site(site: OpsSite, background: Callable[..., Any]) -> None:
    from ansible_collections.slomix.timetracking.plugins.module_utils import lock

    plays = {
        "tasks": [
            {"name": "L", "slomix.timetracking.rollout_lock": {"purpose": "a test"}, "run_once": True},
            {"name": "Act", "ansible.builtin.command": {"cmd": "sleep 30"}},
        ]
    }
    code = (
        "import sys; from pathlib import Path; from python_checks.run import playbook, site\n"
        "made = site.read_site([sys.argv[1]])\n"
        "outcome = playbook.run(Path(sys.argv[2]), made, inventory=[sys.argv[1]], logs=Path(sys.argv[1]).parent)\n"
        "print(outcome.found); sys.exit(outcome.code)"
    )
    process = background(
        subprocess.Popen(
            [sys.executable, "-c", code, str(site.inventory), str(site.playbook(plays))],
            cwd=site.root,
            env={**site.environment(), "PYTHONPATH": f"{site.root}:{site.root / '.collections'}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    )
    until = time.monotonic() + 20
    while lock.look(str(site.evidence)) is None:
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == playbook.INTERRUPTED, out
    assert "interrupted" in out
    until = time.monotonic() + 5
    while lock.look(str(site.evidence)) is not None:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_site_is_read_from_its_inventory(tmp_path: Path, root: Path) -> None:
    site = OpsSite(tmp_path, root, ansible_ssh_private_key_file="{{ inventory_dir }}/id_canary")
    seen = read_site([str(site.inventory)])
    assert seen.evidence == site.evidence
    assert seen.hidden == (str(tmp_path / "id_canary"),)
    assert read_site([str(site.inventory)], tmp_path / "other").evidence == tmp_path / "other"
    with pytest.raises(SiteError, match="there is no inventory"):
        read_site([str(tmp_path / "lost.yml")])
    (tmp_path / "bare.yml").write_text("all: {hosts: {one: {}}}\n")
    with pytest.raises(SiteError, match="names none as evidence folder"):
        read_site([str(tmp_path / "bare.yml")])


def test_the_command_refuses_what_it_cannot_run(site: OpsSite) -> None:
    for words, found in (
        (("run", "6"), "not built yet"),
        (("run", "cleanup"), "no phase of the plan"),
        (("run", "0", "-i", "/nowhere/hosts"), "there is no inventory"),
    ):
        done = site.rollout(*words)
        if words[1] == "6" and "not built yet" not in done.stderr:
            continue  # phase 6 is built meanwhile
        assert done.returncode == 2 and found in done.stderr


def test_the_live_line_of_a_terminal_is_rewritten() -> None:
    class Terminal(io.StringIO):
        """A screen."""

        def isatty(self) -> bool:
            return True

    screen = Terminal()
    shown = Progress(screen, clock=iter(range(100)).__next__)
    shown.handle({"event": "playbook_on_play_start", "event_data": {"play": "0.1 action | do it"}})
    shown.handle({"event": "playbook_on_task_start", "event_data": {"task": "Make the file"}})
    assert screen.getvalue().endswith("0.1 action | do it · Make the file ")
    shown.end()
    assert shown.log == [line for line in shown.log if "\x1b" not in line]


def test_a_warning_that_comes_with_a_result_is_shown() -> None:
    """As runner hands it over: broken at the screen's width, each line in colour, the result's own line behind it."""
    told = [
        "\r\nTASK [Require] ****\r\n\x1b[1;35m[WARNING]: check mode goes on, a real run\x1b[0m\r\n",
        "\x1b[1;35mwould stop here: phase 4 is refused\x1b[0m\r\n\x1b[1;35m[WARNING]: another\x1b[0m\r\n",
        "\x1b[0;32mok: [one] => \x1b[0m\r\n    msg: x",
    ]
    shown = Progress(io.StringIO())
    shown.handle({"event": "playbook_on_play_start", "event_data": {"play": "4 require | it"}})
    shown.handle({"event": "playbook_on_task_start", "event_data": {"task": "Require"}})
    shown.handle({"event": "runner_on_ok", "stdout": "".join(told), "event_data": {"host": "one", "res": {}}})
    shown.end()
    notes = [line.strip() for line in shown.log[1:]]
    assert notes == ["note: check mode goes on, a real run would stop here: phase 4 is refused", "note: another"]


def test_an_odd_event_is_no_crash() -> None:
    shown = Progress(io.StringIO())
    for kind in ("runner_on_ok", "runner_on_failed", "verbose", "playbook_on_stats", "x", None):
        for data in (None, {}, {"res": None}, {"res": "text"}, {"res": {"actions": 3, "changed": True}}):
            shown.handle({"event": kind, "event_data": data})
    shown.end()


def measured(*verdicts: str) -> tuple[str, list[str], list[float]]:
    """until_decided on a scripted row of verdicts: (result, what was said, how long it slept)."""
    row, now, said, slept = iter(verdicts), [0.0], list[str](), list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    result = until_decided(
        lambda: (next(row), ""), minutes=3, every_s=60, say=said.append, clock=lambda: now[0], sleep=sleep
    )
    return result, said, slept


@pytest.mark.parametrize("verdict", ["pass", "waived", "fail", "drift", "broken"])
def test_waiting_ends_when_it_is_decided(verdict: str) -> None:
    result, said, slept = measured("inconclusive", "expired", verdict)
    assert (result, len(said), slept) == (verdict, 3, [60, 60])


def test_waiting_ends_with_its_time_and_stays_undecided() -> None:
    assert measured(*["inconclusive"] * 9)[0] == "inconclusive"
    assert sum(measured(*["inconclusive"] * 9)[2]) == 180


def test_errors_are_retried_four_times_in_a_row_and_never_pass() -> None:
    assert measured("error", "", "error", "pass")[0] == "pass"
    result, said, slept = measured("error", "error", "", "", "pass")
    assert (result, len(said), slept) == ("unmeasured", 4, [10, 10, 10])
    assert measured("", "", "", "error")[0] == "error"
    assert measured("error", "inconclusive", "error", "error", "inconclusive", "pass")[0] == "pass"
