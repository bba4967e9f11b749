"""Step 3.3 from a bot's log to gate 3's verdicts, with the patterns of the role itself."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import judge
from ansible_collections.slomix.timetracking.plugins.module_utils.logwindow import cursor_at
from ansible_collections.slomix.timetracking.plugins.module_utils.source_samples import logged_sample

BEFORE = "2026-02-21 20:00:00 | INFO     | bot.core                  | ready\n"
SOURCE = "2026-02-21 21:40:00 | INFO     | bot.parser                | Round time source: header (442 s)\n"
RECONNECT = """2026-02-21 21:50:01 | ERROR    | discord.client            | Attempting a reconnect in 1.04s
Traceback (most recent call last):
  File "/opt/slomix/venv-bot/lib/python3.13/site-packages/discord/client.py", line 704, in connect
    await self.ws.poll_event()
discord.errors.ConnectionClosed: Shard ID None WebSocket closed with 1000
"""
SSH_ENDS = """2026-02-21 21:30:00 | ERROR    | bot.poller                | monitoring error
Traceback (most recent call last):
  File "/opt/slomix/bot/automation/ssh_handler.py", line 88, in list_files
    data = self.transport.read(4)
EOFError
"""
IMPORT = """2026-02-21 21:50:01 | ERROR    | bot.importer              | Import failed
Traceback (most recent call last):
  File "/opt/slomix/bot/services/stats_importer.py", line 204, in _replace_players
    await connection.executemany(INSERT_PLAYER, rows)
asyncpg.exceptions.DataError: invalid input for query argument $9: 441.25 ('float' object cannot be interpreted as an integer)
"""
CAUGHT = "2026-02-21 21:50:01 | ERROR    | bot.parser                | Could not parse 2026-02-21-214900-supply-round-2.txt: x\n"


def raised(name: str, error: str) -> str:
    """What logging makes of an exception that a module of this file name raises."""
    namespace: dict[str, Any] = {}
    exec(compile(f"def parse_stats_file(path):\n    raise {error}", f"/opt/slomix/bot/{name}", "exec"), namespace)
    try:
        namespace["parse_stats_file"]("x")
    except Exception as problem:
        record = logging.LogRecord("bot.x", 40, "", 0, "failed", None, (type(problem), problem, problem.__traceback__))
        return "2026-02-21 21:50:01 | ERROR    | " + logging.Formatter("bot.x | %(message)s").format(record) + "\n"
    raise AssertionError("nothing was raised")


PARSER_RAISES = raised("community_stats_parser.py", "ValueError('x')")


@pytest.fixture
def found(root: Path, tmp_path: Path, run_module: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    role = root / "roles" / "bot_source"
    task = yaml.safe_load((role / "tasks" / "logged.yml").read_text())[0]["block"][1]
    asked = task["slomix.timetracking.log_window_info"]
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text())
    templar = Templar(DataLoader(), variables=defaults)
    patterns = {name: templar.template(trust_as_template(text)) for name, text in asked["patterns"].items()}
    gate = yaml.safe_load((root / "playbooks/plan/gates/phase3.yml").read_text())
    log = tmp_path / "bot.log"

    def measure(later: str, before: str | None = BEFORE, deployed_at: int | None = 1) -> dict[str, Any]:
        if before is not None:
            log.write_text(before)
        cursor = cursor_at(str(log))
        with log.open("a") as handle:
            handle.write(later)
        options = {"path": str(log), "with_rotated": asked["with_rotated"], "control": asked["control"]}
        window = run_module("log_window_info", {**options, "patterns": patterns, "cursor": cursor})
        sample = json.loads(json.dumps(logged_sample(window, {"at_unix": deployed_at, "cursor": cursor})))
        now = datetime.now(UTC)
        base = {"kind": "step", "check": False, "phase": 3, "host": "vm", "digests": {"parser_py": "a" * 64}}
        records = [
            {**base, "seq": 1, "step": "3.1", "leg": "action", "at": now.isoformat(), "result": {}},
            {**base, "seq": 2, "step": "3.3", "leg": "verify", "at": now.isoformat(), "result": sample},
        ]
        return {one.id.removeprefix("3.3/"): one.verdict for one in judge(gate, records, now=now).checks}

    return measure


@pytest.mark.parametrize(
    ("later", "no_traceback", "observed"),
    [
        (SOURCE, "pass", {"traceback": "pass", "parser_error": "pass"}),
        (SOURCE + RECONNECT + SSH_ENDS, "pass", {"traceback": "fail", "parser_error": "pass"}),
        (SOURCE + PARSER_RAISES, "fail", {"traceback": "fail"}),
        (SOURCE + RECONNECT + PARSER_RAISES, "fail", {}),
        (SOURCE + raised("community_stats_parser.py", "TimeoutError('x')"), "fail", {}),
        (SOURCE + IMPORT, "inconclusive", {"traceback": "fail"}),
        (SOURCE + RECONNECT + SSH_ENDS + IMPORT, "inconclusive", {}),
        (SOURCE + raised("another_parser.py", "ValueError('x')"), "inconclusive", {}),
        (SOURCE + raised("x.py", "OSError(28, 'No space left on device')"), "inconclusive", {}),
        (SOURCE + raised("x.py", "OSError(113, 'No route to host')"), "pass", {}),
        (SOURCE + CAUGHT, "pass", {"traceback": "pass", "parser_error": "fail"}),
    ],
)
def test_whose_traceback_it_is_decides(
    found: Callable[..., dict[str, Any]], later: str, no_traceback: str, observed: dict[str, str]
) -> None:
    """A lost connection never closes the gate, the parser's traceback always does, and of the rest nothing is claimed."""
    verdicts = found(later)
    assert (verdicts["no_traceback"], verdicts["logged"]) == (no_traceback, "pass")
    assert {name: verdicts[name] for name in observed} == observed


@pytest.mark.parametrize(
    ("later", "deployed_at", "logged"), [(SOURCE, 1, "pass"), (BEFORE, 1, "inconclusive"), (SOURCE, None, "fail")]
)
def test_a_log_that_began_after_the_deployment(
    found: Callable[..., dict[str, Any]], later: str, deployed_at: int | None, logged: str
) -> None:
    """There was no cursor to take. All of the log came since; without any deployment it still proves nothing."""
    assert found(later, before=None, deployed_at=deployed_at)["logged"] == logged


def test_a_log_that_began_after_the_deployment_keeps_what_was_rotated_away(
    found: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "bot.log.1").write_text(SOURCE + PARSER_RAISES)
    assert found(SOURCE, before=None)["no_traceback"] == "fail"
