"""ansible-runner's events as lines for people: one per play (a step's leg), what it did or why it stopped, no JSON.

Shape of an event, as far as it is read: ``event`` (its kind), ``stdout``, ``event_data`` with play, task, task_action,
host, res, ignore_errors.
"""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from ansible_collections.slomix.timetracking.plugins.module_utils.masking import mask
from ansible_collections.slomix.timetracking.plugins.module_utils.plain import REDACTED, redact_text

from python_checks.gates.text import WIDTH

_COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")
_WARNING = "[WARNING]:"
# How Ansible begins the lines that are not the rest of a warning.
_OTHER_LINE = re.compile(r"(?:ok|changed|skipping|failed|fatal|included): |(?:TASK|PLAY|RUNNING HANDLER) \[")
_RANK = ("skipped", "ok", "changed", "FAILED")
_PAINT = {"changed": "33", "FAILED": "31", "ok": "32"}
_REFUSERS = ("rollout_require", "rollout_lock", "rollout_way_back", "site_lock")
_LONGEST_MESSAGE_LINES = 12
_LONGEST_OUTPUT = 600


class Progress:
    """Feed it events (``handle``), then ask how it went. ``hidden`` are texts that are never shown."""

    def __init__(
        self,
        out: TextIO,
        *,
        hidden: Sequence[str] = (),
        diff: bool = False,
        quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out, self._hidden, self._diff, self._quiet, self._clock = out, hidden, diff, quiet, clock
        self._started = self._play_started = clock()
        self._live = out.isatty() and not quiet
        self._play = ""
        self._outcome = "skipped"
        self._tasks = 0
        self._details: list[str] = []
        self.log: list[str] = []
        self.changed: list[str] = []
        self.stopped: list[str] = []
        self.refused = False
        self.unreachable = False
        self.verdict = ""
        self.verdict_code: int | None = None
        self.events = 0

    def safe(self, text: str) -> str:
        """``text`` without secrets, colours and the operator's key paths."""
        for hidden in self._hidden:
            text = text.replace(hidden, REDACTED)
        return redact_text(mask(_COLOUR_CODES.sub("", text).replace("\r", "")))

    def handle(self, event: Mapping[str, Any]) -> None:
        """Take one event in; what is worth knowing is written at once."""
        self.events += 1
        kind, data = str(event.get("event")), event.get("event_data") or {}
        if kind == "playbook_on_play_start":
            self._close()
            self._open(str(data.get("play") or data.get("name") or "play"))
        elif kind == "playbook_on_task_start":
            self._tasks += 1
            self._current(str(data.get("task") or ""))
        elif kind in ("runner_on_ok", "runner_on_failed", "runner_on_unreachable"):
            # What a plugin on the controller warns of comes with its result more often than by itself.
            for text in _warnings(self.safe(str(event.get("stdout") or ""))):
                self._details += _wrapped("note: ", text)
            self._result(kind, data)
        elif kind == "playbook_on_stats":
            self._close()
        elif kind in ("verbose", "warning", "error", "system_warning", "deprecated"):
            self._spoken(kind, data, str(event.get("stdout") or ""))
        if self._diff and "diff" in kind:
            self._details += self.safe(str(event.get("stdout") or "")).strip("\n").split("\n")

    def end(self) -> None:
        """Finish a play that was left open (the run was killed or broke off)."""
        self._close()

    def elapsed_s(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._started

    def _spoken(self, kind: str, data: Mapping[str, Any], text: str) -> None:
        """Text that a plugin displayed: a gate's report as it is, a warning as a note; Ansible's own chatter is dropped."""
        if str(data.get("task_action") or "").endswith("rollout_gate") and kind == "verbose" and "ERROR" not in text:
            self._details += [line for line in self.safe(text).split("\n") if line.strip()]
        elif _WARNING in text:
            for warning in _warnings(self.safe(text)):
                self._details += _wrapped("note: ", warning)
        elif not self._play and text.strip():
            # Before the first play Ansible only speaks up when something is wrong.
            self._details += _wrapped("", self.safe(text).strip())

    def _result(self, kind: str, data: Mapping[str, Any]) -> None:
        res = data.get("res")
        result: Mapping[str, Any] = res if isinstance(res, Mapping) else {}
        action = str(data.get("task_action") or "").rpartition(".")[2]
        where = f"{data.get('host')}, {data.get('task')}"
        if action == "rollout_gate" and "verdict" in result:
            self.verdict, self.verdict_code = str(result["verdict"]), int(result.get("exit_code") or 0)
        if kind == "runner_on_ok":
            self._rank("changed" if result.get("changed") else "ok")
            if result.get("changed"):
                self.changed.append(where)
                done = result.get("actions") if isinstance(result.get("actions"), list) else []
                texts = [str(item) for item in done or [] if item] or [str(data.get("task"))]
                for text in texts:
                    self._details += _wrapped(f"{data.get('host')}: ", self.safe(text))
            return
        if data.get("ignore_errors"):
            return
        self._rank("FAILED")
        self.refused = self.refused or action in _REFUSERS
        self.unreachable = self.unreachable or kind == "runner_on_unreachable"
        # Cut after hiding: the half of a secret that is left is not recognised any more.
        heard = self.safe(str(result.get("stderr") or result.get("stdout") or "")).strip()[-_LONGEST_OUTPUT:]
        said = self.safe(str(result.get("msg") or "no message")) + (f": {heard}" if heard else "")
        self.stopped.append(f"{self.safe(where)}: {said}")
        self._details += _wrapped(f"{self.safe(where)}: ", said)

    def _rank(self, outcome: str) -> None:
        self._outcome = max(self._outcome, outcome, key=_RANK.index)

    def _open(self, name: str) -> None:
        self._play, self._outcome, self._play_started = self.safe(name), "skipped", self._clock()
        self._tasks = 0
        if self._live:
            self._out.write(self._head(self._play))
            self._out.flush()

    def _current(self, task: str) -> None:
        if self._live and self._play:
            self._out.write("\r\x1b[K" + self._head(f"{self._play} · {self.safe(task)}"))
            self._out.flush()

    def _head(self, text: str) -> str:
        minutes, seconds = divmod(int(self._play_started - self._started), 60)
        return f"{minutes:>3}:{seconds:02d}  {textwrap.shorten(text, WIDTH - 28, placeholder='…')} "

    def _close(self) -> None:
        if self._play and not self._tasks:
            # A play without tasks is a place-holder (rollback.yml has one for each phase that is not asked for).
            self._out.write("\r\x1b[K" if self._live else "")
        elif self._play:
            head = self._head(self._play)
            took = self._clock() - self._play_started
            line = f"{head.ljust(WIDTH - 20, '.')} {self._outcome:<8} {took:6.1f} s"
            code = _PAINT.get(self._outcome) if self._live else None
            shown = line.replace(self._outcome, f"\x1b[{code}m{self._outcome}\x1b[0m") if code else line
            self._write(("\r\x1b[K" if self._live else "") + shown, line)
        for detail in self._details:
            self._write(f"          {detail}", f"          {detail}")
        self._play, self._details = "", []

    def _write(self, shown: str, kept: str) -> None:
        self.log.append(kept)
        if not self._quiet:
            self._out.write(shown + "\n")
            self._out.flush()


def _warnings(text: str) -> list[str]:
    """The warnings in what Ansible printed, each as one line; it breaks them at the screen's width."""
    found: list[str] = []
    within = False
    for line in text.split("\n"):
        if _WARNING in line:
            found.append(line.partition(_WARNING)[2].strip())
            within = True
        elif within and line.strip() and not _OTHER_LINE.match(line):
            found[-1] = f"{found[-1]} {line.strip()}".strip()
        else:
            within = False
    return found


def _wrapped(head: str, text: str) -> list[str]:
    """``text`` in lines that fit; line breaks stay, and what is too long for a screen is cut and says so."""
    lines: list[str] = []
    for part in text.split("\n"):
        lines += textwrap.wrap(
            part,
            WIDTH - 12,
            initial_indent=head if not lines else "  ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    if len(lines) > _LONGEST_MESSAGE_LINES:
        rest = len(lines) - _LONGEST_MESSAGE_LINES
        lines = [*lines[:_LONGEST_MESSAGE_LINES], f"  ... {rest} more lines; the ledger has them (rollout log)"]
    return lines
