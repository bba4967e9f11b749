"""A canary of each kind of secret, forced through failures, must be nowhere: screen, logs, artifacts, evidence, report,
process list.

Each step below really reads its secret and then fails. What leaves the run is searched as bytes, and the process list
is read while it runs. (A key's path is what ssh needs on its own command line, so there only the other kinds count.)
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger

from python_checks.report.model import collect
from python_checks.report.page import page
from python_checks.run import playbook
from python_checks.run.site import read_site
from python_checks.tests.conftest import Cluster
from python_checks.tests.ops.conftest import OpsSite

CANARIES = {
    "database password": "canarydb7f3a91x",
    "webhook url": "canaryhook7f3a91x",
    "rcon password": "canaryrcon7f3a91x",
    "bot token": "canarytoken7f3a91x",
    "environment": "canaryenv7f3a91x",
    "key path": "canarykey7f3a91x",
}
HOOK = f"http://slomix-vm.example.invalid:8080/api/webhooks/77/{CANARIES['webhook url']}"
LUA = f'local configuration = {{\n  discord_webhook_url = "{HOOK}",\n}}\nfunction et_InitGame()\nend\n'


def failing(name: str, module: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A step that fails and is recorded, the way the roles do it; the play goes on to the next."""
    record = {"phase": 0, "step": "0.1", "leg": "verify", "name": name, "result": "{{ seen }}"}
    return {
        "name": name,
        "block": [{"name": f"Try {name}", **module, "register": "seen", **more}],
        "rescue": [
            {"name": f"Record {name}", "slomix.timetracking.rollout_record": record},
            {"name": f"Tell {name}", "ansible.builtin.debug": {"var": "seen"}},
        ],
    }


def secret(path: Path, content: str) -> str:
    path.write_text(content)
    path.chmod(0o600)
    return str(path)


def steps(folder: Path, pg: Cluster) -> list[dict[str, Any]]:
    """One failing step per kind, with the file that holds its canary."""
    database, token = CANARIES["database password"], CANARIES["bot token"]
    passfile = secret(folder / "pgpass", f"*:*:*:*:{database}\n")
    open_passfile = secret(folder / "pgpass_open", f"*:*:*:*:{database}\n")
    Path(open_passfile).chmod(0o644)
    rcon = {
        "rcon_password_file": secret(folder / "rcon_password", CANARIES["rcon password"] + "\n"),
        "port": 1,
        "timeout_s": 0.2,
    }
    lua = secret(folder / "stats_discord_webhook.lua", LUA)
    dotenv = secret(
        folder / "env", f"DISCORD_TOKEN={token}\nDATABASE_URL=postgresql://u:{database}@h/d\nSHOW=a\nSHOW=b\n"
    )
    loud = (
        f"curl {HOOK}; PGPASSWORD={database} psql postgresql://u:{database}@h/d; "
        f"rcon {CANARIES['rcon password']} status; DISCORD_TOKEN: {token}"
    )
    shell = {"cmd": f"sh {secret(folder / 'loud.sh', f'cat <<EOT{chr(10)}{loud}{chr(10)}EOT{chr(10)}exit 1{chr(10)}')}"}
    ask = {
        "sql": "SELECT no_such_column",
        "dbname": "postgres",
        "user": "postgres",
        "host": "127.0.0.1",
        "port": pg.port,
        "passfile": passfile,
    }
    load = {"file": "a.lua", "sha1": "a" * 40, "console_log": lua, "host": "127.0.0.1", **rcon}
    build = {"file": "luascripts/x.lua", "running": lua, "recipes": ["webhook"], "build_dir": str(folder / "made")}
    deploy = {
        "name": "w",
        "target": lua,
        "store_dir": str(folder / "store"),
        "state": "deployed",
        "content_path": secret(folder / "candidate.lua", LUA.replace("et_InitGame", "et_RunFrame")),
        "console_log": str(folder / "console.log"),
        "moment": {"host": "127.0.0.1", **rcon, "forced": True},
    }
    return [
        failing("database", {"slomix.timetracking.pg_read_info": ask}),
        failing("no database", {"slomix.timetracking.pg_read_info": {**ask, "port": 1}}),
        failing("no role", {"slomix.timetracking.pg_read_info": {**ask, "user": "nobody2"}}),
        failing("open passfile", {"slomix.timetracking.pg_read_info": {**ask, "passfile": open_passfile}}),
        failing("rcon", {"slomix.timetracking.game_server_info": rcon}, failed_when=True),
        failing("load", {"slomix.timetracking.lua_load_info": load}, failed_when=True),
        failing("webhook", {"slomix.timetracking.lua_candidate": build}),
        failing("deploy", {"slomix.timetracking.lua_release": deploy}, failed_when=True),
        failing("flag", {"slomix.timetracking.env_flag_info": {"path": dotenv, "key": "SHOW"}}, failed_when=True),
        failing("loud", {"ansible.builtin.command": shell}),
        {"name": "Stop", "ansible.builtin.command": shell},
    ]


@contextmanager
def watched_processes() -> Iterator[set[bytes]]:
    """Command lines and environments of all processes but this one, while the body runs."""
    seen: set[bytes] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    try:
                        seen.add((entry / "cmdline").read_bytes())
                    except OSError:
                        continue
            done.wait(0.05)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def everything(*folders: Path) -> bytes:
    return b"".join(path.read_bytes() for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())


def found_in(data: bytes, *but: str) -> list[str]:
    return [kind for kind, canary in CANARIES.items() if canary.encode() in data and kind not in but]


def test_no_canary_leaves_a_run_that_fails(
    tmp_path: Path, root: Path, pg: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    site = OpsSite(tmp_path / "site", root)
    key = secrets / CANARIES["key path"] / "id_ed25519"
    hosts = yaml.safe_load(site.inventory.read_text())
    away = {
        "ansible_connection": "ssh",
        "ansible_host": "127.0.0.1",
        "ansible_port": 1,
        "ansible_ssh_private_key_file": str(key),
    }
    hosts["all"]["children"]["away"] = {"hosts": {"far": away}}
    site.inventory.write_text(yaml.safe_dump(hosts))
    for name in ("PGPASSWORD", "DISCORD_TOKEN", "ANSIBLE_BECOME_PASS"):
        monkeypatch.setenv(name, CANARIES["environment"])
    far = {"name": "0.2 verify | far", "hosts": "away", "tasks": [{"name": "Reach", "ansible.builtin.ping": {}}]}
    loud_key = {"name": "Say", "ansible.builtin.fail": {"msg": f"Load key {key}: invalid format"}}
    plays = [{"tasks": steps(secrets, pg)}, {"name": "0.3 | key", "tasks": [loud_key]}]
    screen = io.StringIO()
    stops = []
    with watched_processes() as seen:
        for chosen in ([plays[0]], [plays[1]], [far]):
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

    records = site.records()
    tried = {str(record["name"]) for record in records}
    expected = {"database", "no database", "no role", "open passfile", "rcon", "load"}
    expected |= {"webhook", "deploy", "flag", "loud"}
    assert tried == expected, "every kind must have been forced through its failure"
    assert all(record["result"].get("failed") for record in records)
    assert "et_RunFrame" in str(next(one for one in records if one["name"] == "deploy")), "the diff must be recorded"
    assert not [one for one in records if "nsupported parameters" in str(one["result"]) or "MODULE FAILURE" in str(one)]
    assert "[redacted]" in screen.getvalue() and "[redacted]" in (site.evidence / "ledger.jsonl").read_text()

    assert found_in(screen.getvalue().encode() + " ".join(stops).encode()) == []
    assert found_in(everything(site.evidence, site.folder / "logs")) == []
    assert found_in(page(collect(site.evidence, datetime.now(UTC), site.plan)).encode()) == []
    assert found_in(b"\n".join(seen), "key path") == []
    assert len(seen) > 5, "the process list must have been seen"
    assert not [left for left in (root / "build" / "run").glob("by-*") if found_in(everything(left))]
    assert ledger.verify(str(site.evidence)).intact


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """The test's own mutant: a canary that did leave is found."""
    (tmp_path / "log").write_text(f"posting to {HOOK}")
    assert found_in(everything(tmp_path)) == ["webhook url"]
