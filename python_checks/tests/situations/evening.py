"""One evening after phase 1's deployment, as its gate sees it: real database, logs and ledger, read by the real probes.

Every situation starts from a good evening (one pair, won before the limit, posted, stored and linked) that would pass,
and changes what the field changes. Times are seconds after the load.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils import ledger, logwindow, pairs, pg
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import GateVerdict, judge
from ansible_collections.slomix.timetracking.plugins.module_utils.release_samples import load_sample
from ansible_collections.slomix.timetracking.plugins.modules import log_window_info, lua_load_info

from python_checks.tests.halves import HOOK, LOADED, MAP, ROUND_PAIRS, Statistics, console_patterns, local

OLD_SHA1, SHA1, OTHER_SHA1 = "1" * 40, "2" * 40, "3" * 40
SHA256, OTHER_SHA256 = "b" * 64, "c" * 64
DATABASE, RESTORED = "e" * 64, "f" * 64
R1_S, R2_S = 460, 1000
MEASURED = datetime.fromtimestamp(LOADED, UTC) + timedelta(hours=2)
API = "Lua 5.4 API: ^$"
BAD_ARGUMENT = f"{API}et_RunFrame error running lua script: '[string \"{HOOK}\"]:804: bad argument #9 to 'format'"
"""The crash of webhook 1.6.0 as the console of 2.83.1 prints it."""


def init(*loaded: str, at: int = LOADED, named: str = "", extra: str = "") -> str:
    """A game init of the console; ``named`` is the SHA-1 that unloading the file prints."""
    text = f"------- Game Initialization -------\nmap: {MAP}\ngametime: {local(at):%a %b %e %H:%M:%S %Y}\n"
    text += "".join(f"{API}file '{name}' loaded into Lua VM\n" for name in loaded) + extra
    text += f"{API}Lua module [{HOOK}] [{named}] unloaded.\n" if named else ""
    return text + f"==== ShutdownGame (1 - {MAP}) ====\n"


@dataclass
class Post:
    """One STATS_READY post in the bot's log."""

    number: int
    end: int
    map_name: str = MAP

    def lines(self) -> str:
        head = f"{local(self.end):%Y-%m-%d %H:%M:%S} | INFO     | bot.webhook               | "
        return (
            f"{head}Received STATS_READY webhook with metadata\n"
            f"{head}📊 STATS_READY: {self.map_name} R{self.number} (winner=2, playtime=300s, warmup=0s, pauses=0, score=0-1)\n"
            f"{head}Stored Lua round data: {local(self.end):%Y-%m-%d-%H%M%S} R{self.number} (Axis: 3, Allies: 3)\n"
        )


class Evening:
    """What happened, by method; ``verdict`` measures and judges it the way ``playbooks/gate.yml -e phase=1`` does."""

    def __init__(self, folder: Path, stats: Statistics, gate: dict[str, Any]) -> None:
        self.stats, self.gate = stats, gate
        self.console, self.webhook = folder / "etconsole.log", folder / "webhook.log"
        self.evidence = str(folder / "evidence")
        # A line of before the deployment that looks like the defect: the console is never cut.
        self.console.write_text(f"{BAD_ARGUMENT}\n{init(HOOK, at=LOADED - 5000, named=OLD_SHA1)}")
        self.cursor: dict[str, Any] | None = logwindow.cursor_at(str(self.console))
        self.after = init(HOOK, named=SHA1) + init(HOOK, at=LOADED + 2000)
        self.webhook.write_text("")
        self.database = DATABASE
        self.seen: dict[str, Any] = {
            "after": {"target": "hook.lua", "sha256": SHA256, "sha1": SHA1.lower(), "wish": "deployed"}
        }
        self.rows_fault: dict[str, Any] = {}
        self.check = False
        self.later: list[Callable[[Evening], None]] = []
        self.age = timedelta(minutes=1)
        self.plans: dict[int, str] | None = None

    # --- what happens

    def half(self, number: int, at_s: int, *, posted: bool = True, map_name: str = MAP, **more: Any) -> int:
        """A half that ends ``at_s`` after the load."""
        end = LOADED + at_s
        if posted:
            self.post(number, at_s, map_name)
        return self.stats.half(number, end, map_name=map_name, **more)

    def post(self, number: int, at_s: int, map_name: str = MAP) -> None:
        with self.webhook.open("a") as log:
            log.write(Post(number, LOADED + at_s, map_name).lines())

    def pair(
        self, at_s: int = 0, *, r1: dict[str, Any] | None = None, r2: dict[str, Any] | None = None
    ) -> tuple[int, int]:
        """R1 and R2 of one map; R1 is won by the attackers after 7:22."""
        return self.half(1, R1_S + at_s, **(r1 or {})), self.half(2, R2_S + at_s, **(r2 or {}))

    def later_record(self, where: str, result: Any, host: str, **more: Any) -> None:
        """A record of a later run, a minute after the measurement."""
        self.later.append(
            lambda evening: evening._record(where, result, host, at=MEASURED + timedelta(minutes=1), **more)
        )

    def waive(self, hours: float) -> None:
        waiver = {
            "gate": "phase1",
            "reason": "the season is over",
            "until": (self.now + timedelta(hours=hours)).isoformat(),
        }
        body = {"kind": "waiver", "check": False, "operator": "ana@desk", "phase": 1, "result": waiver}
        self.later.append(lambda evening: ledger.append(evening.evidence, body, at=MEASURED) and None)

    # --- what is measured

    @property
    def now(self) -> datetime:
        return MEASURED + self.age

    def verdict(self) -> GateVerdict:
        with self.console.open("a") as log:
            log.write(self.after)
        load = lua_load_info.run(
            {
                "file": HOOK, "sha1": SHA1, "console_log": str(self.console), "cursor": self.cursor,
                "host": "127.0.0.1", "port": 1, "rcon_password_file": None, "timeout_s": 0.1,
            }
        )  # fmt: skip
        self._record(
            "1.6/action", {"changed": True}, "game", at=MEASURED - timedelta(hours=3), digests={"webhook_lua": SHA256}
        )
        self._record("1.5/verify", self.gate["checks"][0]["good"], "game")
        live = {"webhook_lua": self.seen["after"]["sha256"]}
        self._record("1.6/verify", load_sample(self.seen, load), "game", digests=live)
        self._record("1.7/verify/console", self._console(load), "game", digests=live)
        self._record("1.7/verify/pairs", self._pairs(load), "vm", digests={**live, "database": self.database})
        for act in self.later:
            act(self)
        checked = ledger.verify(self.evidence)
        records = ledger.read(self.evidence) if checked.intact else []
        hosts = {"game_servers": ["game"], "stats_hosts": ["vm"]}
        fault = "" if checked.intact else checked.fault
        return judge(self.gate, records, now=self.now, hosts=hosts, ledger_fault=fault, plans=self.plans)

    def _console(self, load: dict[str, Any]) -> dict[str, Any]:
        if load["state"] != "loaded":
            return {"skipped": True}
        options = {
            "path": str(self.console), "cursor": load["load_cursor"], "with_rotated": False,
            "patterns": console_patterns(), "control": ROUND_PAIRS["round_pairs_console_control"], "max_matches": 20,
        }  # fmt: skip
        return log_window_info.run(options)

    def _pairs(self, load: dict[str, Any]) -> dict[str, Any]:
        if self.rows_fault:
            return self.rows_fault
        if load["state"] != "loaded":
            return pairs.sample([], {}, load, self.stats.settle_s)
        log = log_window_info.run(
            {
                "path": str(self.webhook), "cursor": None, "with_rotated": True, "max_matches": 500,
                "patterns": ROUND_PAIRS["round_pairs_webhook_patterns"], "control": ROUND_PAIRS["round_pairs_webhook_control"],
            }
        )  # fmt: skip
        rows = [pg.json_safe(row) for row in self.stats.rows(load["loaded_at_unix"])]
        return pairs.sample(rows, log, load, self.stats.settle_s)

    def _record(
        self, where: str, result: Any, host: str, *, at: datetime = MEASURED, digests: dict[str, str] | None = None
    ) -> None:
        step, leg, *name = where.split("/")
        body = {
            "kind": "step", "check": self.check, "phase": int(step[0]), "step": step, "leg": leg, "name": (name or [None])[0],
            "host": host, "operator": "ana@desk", "result": result,
            "digests": {key: value for key, value in (digests or {}).items() if value}, "plan_sha256": "a" * 64,
        }  # fmt: skip
        ledger.append(self.evidence, body, at=at)
