"""The world as the kills need it: what the two hosts and the controller hold, whether it is whole, and the agent on a host."""

from __future__ import annotations

import hashlib
import json
import select
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils import ledger, lock
from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[3]
# The world's own modules: a folder beside the collection, not a package of it.
sys.path.insert(0, str(ROOT / "molecule" / "world"))

GAME = "/home/et/etlegacy-v2.83.1-x86_64"
TARGETS = {
    1: ("et-server", f"{GAME}/legacy/luascripts/stats_discord_webhook.lua"),
    3: ("slomix-vm", "/opt/slomix/bot/community_stats_parser.py"),
    4: ("et-server", f"{GAME}/legacy/c0rnp0rn7.lua"),
}
# Where a phase writes on its host, for the agent to watch.
WRITES = {
    0: ("/home/et/.rollout",),
    1: ("/home/et/.rollout", f"{GAME}/legacy/luascripts"),
    2: (),
    3: ("/home/slomix/.rollout", "/opt/slomix/bot"),
    4: ("/home/et/.rollout", f"{GAME}/legacy"),
}
# All that must stay as it is but for the targets.
KEPT = {
    "et-server": (
        f"find {GAME} /home/et/scripts /home/et/start.sh /etc/systemd/system -path /home/et/scripts/state -prune"
        " -o -type f -exec sha256sum {} +"
    ),
    "slomix-vm": (
        "sudo find /opt/slomix /etc/systemd/system \\( -name __pycache__ -o -path /opt/slomix/logs -o -path /opt/slomix/.git"
        " -o -name 'venv-*' -o -name 'local_*' \\) -prune -o -type f -exec sha256sum {} +"
    ),
}
# What an interrupted write could leave: stages, half-made releases, journals and records that never came to their place,
# the folders of the parser's probe.
_LITTER = "\\( -name '.*rollout-*' -o -name '.new*' -o -name '*.new' -o -name 'rollout-*' \\) -print"
LITTER = {
    "et-server": f"find /home/et /tmp {_LITTER}",
    "slomix-vm": f"sudo find /opt/slomix /home/slomix /tmp -path '/opt/slomix/[.v]*' -prune -o {_LITTER}",
}
ROWS = "pg_dump -h 127.0.0.1 -U etlegacy_user --data-only --inserts etlegacy | grep -v '^.\\(un\\)\\?restrict '"


@dataclass(frozen=True)
class Picture:
    """What must be the same before and after: file -> SHA-256 on each host, without the targets, and the rows' SHA-256."""

    files: Mapping[str, Mapping[str, str]]
    rows: str


class Scene:
    """Both hosts, the evidence and the build folder of one world."""

    def __init__(self, name: str, hosts: dict[str, Host], evidence: Path, build: Path) -> None:
        self.name = name
        self.hosts = hosts
        self.evidence = evidence
        self.build = build

    def picture(self) -> Picture:
        """Read it from both hosts."""
        mine = {path for _, path in TARGETS.values()}
        files = {}
        for host, command in KEPT.items():
            lines = (line.split(maxsplit=1) for line in self.hosts[host].check_output(command).splitlines())
            files[host] = {path: digest for digest, path in lines if path not in mine}
            assert len(files[host]) > 5, f"{host}: nothing much is found, which proves nothing"
        rows = self.hosts["slomix-vm"].check_output(ROWS)
        assert "INSERT INTO" in rows, "no row is found, which proves nothing"
        return Picture(files, hashlib.sha256(rows.encode()).hexdigest())

    def digest(self, phase: int) -> str:
        """SHA-256 of the phase's target; empty for a phase that has none."""
        if phase not in TARGETS:
            return ""
        host, path = TARGETS[phase]
        return str(self.hosts[host].file(path).sha256sum)

    def litter(self, scratch: bool = True) -> list[str]:
        """What lies about on the hosts, in the evidence folder and, with ``scratch``, in the folders for scratch files.

        Scratch files lie in the build folder and in /tmp, beside nothing; the next run that needs such a folder removes
        those of killed ones, and a rollback needs none.
        """
        found = [
            f"{host}: {line}"
            for host, command in LITTER.items()
            for line in self.hosts[host].check_output(command).splitlines()
            if scratch or not line.startswith("/tmp/")
        ]
        for folder in (self.evidence, self.build) if scratch else (self.evidence,):
            found += [str(path) for path in folder.rglob(".*")]
        return found

    def half_built(self) -> list[str]:
        """Candidates whose bytes are not those of their name, and rehearsals that are no JSON."""
        wrong = []
        for path in self.build.glob("**/candidates/*/*"):
            if not path.name.startswith(".") and hashlib.sha256(path.read_bytes()).hexdigest() != path.parent.name:
                wrong.append(str(path))
        for path in self.build.glob("**/rehearsals/[!.]*"):
            try:
                json.loads(path.read_text())
            except ValueError:
                wrong.append(str(path))
        return wrong

    def ledger_fault(self) -> str:
        """What `rollout evidence verify` would say; empty when the ledger is intact."""
        return ledger.verify(str(self.evidence)).fault

    def lock_holder(self) -> Any:
        """Who has the site."""
        return lock.look(str(self.evidence))

    def marked(self) -> list[str]:
        """Hosts that are marked as held by a run."""
        held = []
        for name, host in self.hosts.items():
            mark = host.run("cat .rollout/site/holder.json").stdout
            if mark and json.loads(mark)["holder"]:
                held.append(name)
        return held

    def busy(self) -> bool:
        """Whether a module is still at work on a host, or a file of a release is held."""
        return any(host.run("pgrep -xf /usr/bin/python3").rc == 0 for host in self.hosts.values())

    def ill(self) -> list[str]:
        """Services that are not what they should be: bot and website healthy, the game server up, one monitor at least."""
        vm, game = self.hosts["slomix-vm"], self.hosts["et-server"]
        checks = {
            "bot": vm.run("curl -sf --max-time 5 http://127.0.0.1:8089/health").rc == 0,
            "website": vm.run("curl -sf --max-time 5 http://127.0.0.1:7000/health").rc == 0,
            "game server": game.run("pgrep -u et -f '[e]tlded'").rc == 0,
            "log monitor": game.run("pgrep -u et -f '[l]og_monitor.sh'").rc == 0,
        }
        return [name for name, well in checks.items() if not well]

    def agent(self, host: str, options: dict[str, Any]) -> Agent:
        """The agent on a host, ready."""
        return Agent(self.name, host, options)


class Agent:
    """``host_agent.py`` on a host, over ssh."""

    def __init__(self, world: str, host: str, options: dict[str, Any]) -> None:
        from layout import load_world
        from lifecycle import ssh_command

        code = Path(__file__).with_name("host_agent.py").read_text()
        command = " ".join(shlex.quote(word) for word in ("python3", "-c", code, json.dumps(options)))
        self.process = subprocess.Popen(
            ssh_command(load_world(world), host, command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        ready = self.process.stdout.readline()
        assert "ready" in ready, f"the agent on {host} did not start: {ready}"

    def killed(self, timeout_s: float = 0.05) -> list[str]:
        """What it has killed, if it has by now."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], timeout_s)[0]:
            return []
        line = self.process.stdout.readline()
        return list(json.loads(line)["killed"]) if line else []

    def end(self) -> dict[str, Any]:
        """Stop it; what it saw."""
        out, _ = self.process.communicate(timeout=20)
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found
