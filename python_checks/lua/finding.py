"""What a judge of the rehearsal did not find as it must be."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One requirement that was not met. ``half`` is like ``R2`` (empty for the whole match), ``fault`` names an injected fault.

    A ``is_remark`` is worth knowing and fails nothing: it is outside of what the plan asks of this script.
    """

    file: str
    match: str
    interpreter: str
    half: str
    fault: str
    code: str
    found: str
    required: str
    is_remark: bool = False

    def sentence(self) -> str:
        """The finding for people."""
        where = " ".join(
            p for p in (self.match, self.interpreter, self.half, f"(fault: {self.fault})" if self.fault else "") if p
        )
        return f"{self.file}: {where}: {self.code}: found {self.found}; required: {self.required}"


def short(text: str, limit: int = 300) -> str:
    """Cut, and free of control characters and of anything that looks like the address of a hook."""
    text = re.sub(r"https?://\S+", "<address>", text)
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
