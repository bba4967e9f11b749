"""What a codemod is; fix.py applies them by name.

A recipe is a function ``(LuaTree) -> Plan``. It finds its targets by meaning and either plans byte edits or raises ``Refusal``
with what it looked for and what it found. Nothing is changed on a refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from python_checks.lua.edits import Edits
from python_checks.lua.tree import LuaTree


class Refusal(Exception):
    """A recipe's target is missing or not unique; the message says what was looked for and what was found."""


class CannotJudge(Exception):
    """The file is no Lua for either interpreter, or its syntax tree cannot be trusted."""


@dataclass
class Plan:
    """What a recipe wants to change in one file."""

    edits: Edits = field(default_factory=Edits)
    actions: list[str] = field(default_factory=list)


Recipe = Callable[[LuaTree], Plan]


@dataclass(frozen=True)
class FixResult:
    """The outcome of ``fix``. On a refusal ``output`` is the input and ``refused_reason`` says why."""

    changed: bool
    output: bytes
    diff: str
    actions: tuple[str, ...]
    refused_reason: str

    def as_dict(self) -> dict[str, Any]:
        """The result without the file's bytes, for JSON."""
        return {
            "changed": self.changed,
            "diff": self.diff,
            "actions": list(self.actions),
            "refused_reason": self.refused_reason,
        }
