"""A canary secret of each kind, forced through failures, must be nowhere: screen, logs, artifacts, evidence, report, process list.

Each step really reads its secret, or sends it, and then fails. What leaves a run is searched as bytes, and the process list is
read while it runs, for the `rollout` command and for plain ansible-playbook at -vvvv.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger, quake

from python_checks.report.model import collect
from python_checks.report.page import page
from python_checks.run import playbook
from python_checks.run.site import read_site
from python_checks.tests.conftest import Cluster
from python_checks.tests.ops.canaries import (
    ANSWERS,
    CANARIES,
    HOOK,
    RconServer,
    Steps,
    everything,
    failing,
    found_in,
    rcon_servers,
    secret,
    slow_door,
    watched_processes,
)
from python_checks.tests.ops.conftest import OpsSite

LOUD = (
    f"curl {HOOK}; PGPASSWORD={CANARIES['database password']} psql postgresql://u:{CANARIES['database password']}@h/d; "
    f"rcon {CANARIES['rcon password']} status; DISCORD_TOKEN: {CANARIES['bot token']}"
)
LOUD_VARIABLES = ("PGPASSWORD", "DISCORD_TOKEN", "ANSIBLE_BECOME_PASS")


@pytest.fixture
def servers() -> Iterator[dict[str, RconServer]]:
    with rcon_servers() as made:
        yield made


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    return folder


@pytest.fixture
def steps(secrets: Path, pg: Cluster, servers: dict[str, RconServer]) -> Steps:
    return Steps(secrets, pg, servers)


@pytest.fixture
def site(tmp_path: Path, root: Path, secrets: Path) -> Iterator[OpsSite]:
    """A site with one more host, whose key's path is a canary."""
    made = OpsSite(tmp_path / "site", root)
    hosts = yaml.safe_load(made.inventory.read_text())
    key = secrets / CANARIES["key path"] / "id_ed25519"
    key.parent.mkdir()
    far = {
        "ansible_connection": "ssh",
        "ansible_host": "127.0.0.1",
        "ansible_ssh_private_key_file": secret(key, "no key\n"),
    }
    with slow_door() as port:
        hosts["all"]["children"]["away"] = {"hosts": {"far": {**far, "ansible_port": port}}}
        made.inventory.write_text(yaml.safe_dump(hosts))
        yield made


REACH = {"name": "0.2 verify | far", "hosts": "away", "tasks": [{"name": "Reach", "ansible.builtin.ping": {}}]}


def names(tasks: list[dict[str, Any]]) -> set[str]:
    return {str(task["name"]) for task in tasks}


def check_what_stays(site: OpsSite, tried: set[str]) -> None:
    """Evidence, report and every screen that is made of them; each step must have been forced through its failure."""
    records = site.records()
    assert {str(record["name"]) for record in records} == tried
    assert all(record["result"].get("failed") for record in records)
    assert not [one for one in records if "nsupported parameters" in str(one["result"])]
    shown = [page(collect(site.evidence, datetime.now(UTC), site.plan))]
    for words in (
        ["log", "-n", "99"],
        ["status"],
        ["gate", "0"],
        *(["evidence", "show", str(one["seq"])] for one in records[:3]),
    ):
        done = site.rollout(*words, "--evidence", str(site.evidence))
        shown += [done.stdout, done.stderr]
    assert found_in("".join(shown).encode()) == []
    assert found_in(everything(site.evidence)) == []
    assert ledger.verify(str(site.evidence)).intact


def check_processes(seen: dict[str, set[bytes]], *environment: str) -> None:
    """No canary on a command line but the key's path on that of ssh; in environments only those that were put there."""
    assert len(seen["cmdline"]) > 5 and len(seen["environ"]) > 3, "the process list must have been seen"
    with_key = [line for line in seen["cmdline"] if "key path" in found_in(line)]
    assert with_key, "ssh must have been seen with its key"
    assert {Path(os.fsdecode(line.split(b"\0")[0])).name for line in with_key} == {"ssh"}
    assert found_in(b"\n".join(seen["cmdline"]), "key path") == []
    assert found_in(b"\n".join(seen["environ"]), *environment) == []


def check_the_password_was_used(servers: dict[str, RconServer]) -> None:
    """A canary that nobody read proves nothing."""
    for name, server in servers.items():
        sent = [packet for packet in server.heard if CANARIES["rcon password"].encode() in packet]
        assert sent, f"no rcon reached the server that answers {name!r}"


def test_no_canary_leaves_a_run_that_fails(
    tmp_path: Path,
    root: Path,
    site: OpsSite,
    steps: Steps,
    servers: dict[str, RconServer],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in LOUD_VARIABLES:
        monkeypatch.setenv(name, CANARIES["environment"])
    loud = {
        "cmd": f"sh {secret(steps.folder / 'loud.sh', f'cat <<EOT{chr(10)}{LOUD}{chr(10)}EOT{chr(10)}exit 1{chr(10)}')}"
    }
    tasks = [
        *steps.database(),
        *steps.game(),
        *steps.files(),
        *steps.crashes(),
        failing("loud", {"ansible.builtin.command": loud}),
    ]
    key = steps.folder / CANARIES["key path"] / "id_ed25519"
    loud_key = {"name": "Say", "ansible.builtin.fail": {"msg": f"Load key {key}: invalid format"}}
    plays = [
        {"tasks": [*tasks, {"name": "Stop", "ansible.builtin.command": loud}]},
        {"name": "0.3 | key", "tasks": [loud_key]},
    ]
    screen = io.StringIO()
    stops = []
    with watched_processes() as seen:
        for chosen in ([plays[0]], [plays[1]], [REACH]):
            outcome = playbook.run(
                site.playbook(*chosen),
                read_site([str(site.inventory)]),
                inventory=[str(site.inventory)],
                diff=True,
                out=screen,
                logs=site.folder / "logs",
                root=root,
                variables={"reason": "see " + HOOK},
            )
            stops.append(outcome.found)
            assert outcome.code != playbook.DONE

    assert "[redacted]" in screen.getvalue() and "[redacted]" in (site.evidence / "ledger.jsonl").read_text()
    deployed = next(one for one in site.records() if one["name"] == "deploy")
    assert "+function et_RunFrame()" in str(deployed["result"]["diff"]), "the diff must have been recorded"
    assert found_in(screen.getvalue().encode() + " ".join(stops).encode()) == []
    assert found_in(everything(site.folder / "logs")) == []
    assert not [left for left in (root / "build" / "run").glob("by-*") if found_in(everything(left))]
    check_what_stays(site, names(tasks))
    check_the_password_was_used(servers)
    check_processes(seen)


def test_no_canary_leaves_a_plain_playbook_at_vvvv(site: OpsSite, steps: Steps, servers: dict[str, RconServer]) -> None:
    """What the modules say is all there is between them and the screen: no filter of ours sees this run."""
    tasks = [*steps.database()[:2], *steps.game(), *steps.files(), *steps.crashes()]
    (site.folder / "home").mkdir()
    environment = {
        **site.environment(),
        **dict.fromkeys(LOUD_VARIABLES, CANARIES["environment"]),
        "HOME": str(site.folder / "home"),
        "ANSIBLE_DISPLAY_TRACEBACK": "always",
    }
    site.environment = lambda: environment  # type: ignore[method-assign]
    with watched_processes() as seen:
        foretold = site.play(site.playbook({"tasks": steps.files()}, name="files.yml"), "-vvvv", "--diff", "--check")
        assert site.records() == [], "check mode writes nothing"
        done = site.play(site.playbook({"tasks": tasks}), "-vvvv", "--diff")
        away = site.play(site.playbook(REACH, name="away.yml"))
    for code, output in (foretold, done):
        assert code == 0, output[-2000:]
        assert "module_args" in output and "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in output, (
            "options must have been shown"
        )
        assert "+function et_RunFrame()" in output and "<masked " in output, (
            "the hunk with the webhook's line must have been shown"
        )
        assert "SHOW: b" in output, "the flag's diff must have been shown"
        assert found_in(output.encode()) == []
    assert "Traceback" in done[1] and "RuntimeError: no difference" in done[1], "a module must have crashed"
    assert away[0] != 0
    assert found_in(away[1].encode(), "key path") == []
    left = everything(site.folder / "home", site.evidence)
    assert found_in(left, "key path") == [], "nothing stays in temporary folders or a cache of facts"
    check_what_stays(site, names(tasks))
    check_the_password_was_used(servers)
    check_processes(seen, "environment")


def test_facts_are_kept_nowhere(root: Path) -> None:
    """ansible.cfg caches no facts, logs to no file, and keeps no module on a host."""
    command = [str(Path(sys.executable).with_name("ansible-config")), "dump", "--format", "json"]
    dumped = subprocess.run(
        command,
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    )
    settings = {one["name"]: one["value"] for one in yaml.safe_load(dumped.stdout) if "name" in one}
    assert settings["CACHE_PLUGIN"] == "memory"
    assert not settings["DEFAULT_LOG_PATH"] and not settings["DEFAULT_KEEP_REMOTE_FILES"]


@pytest.mark.parametrize("answer", list(ANSWERS))
def test_what_rcon_says_of_a_failure_holds_no_password(answer: str, servers: dict[str, RconServer]) -> None:
    password = CANARIES["rcon password"]
    said = ""
    try:
        said = quake.rcon("127.0.0.1", servers[answer].port, password, "lua_status", 0.2)
        quake.parse_lua_status(said)
    except quake.QuakeError as error:
        said += str(error)
    assert said and password not in said
    assert any(password.encode() in packet for packet in servers[answer].heard)


def test_a_short_password_does_not_eat_the_answer(servers: dict[str, RconServer]) -> None:
    """The letters of a password may be the name of a map: only what repeats the command is covered."""
    assert (
        quake.rcon("127.0.0.1", servers["echo"].port, "un", "lua_status", 0.2)
        == "unknown command: rcon <password> lua_status\n"
    )


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """The test's own mutants: a canary that did leave is found, in a file, on a command line and in an environment."""
    (tmp_path / "log").write_text(f"posting to {HOOK}")
    assert found_in(everything(tmp_path)) == ["webhook url"]
    code, environment = "import time; time.sleep(0.3)", {"X": CANARIES["environment"]}
    with watched_processes() as seen:
        subprocess.run([sys.executable, "-c", code, CANARIES["bot token"]], env=environment, check=True)
    assert found_in(b"".join(seen["cmdline"])) == ["bot token"]
    assert found_in(b"".join(seen["environ"])) == ["environment"]
