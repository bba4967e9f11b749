"""Text, badges and pictures for the page: the one place where foreign text becomes markup."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils.masking import mask
from ansible_collections.slomix.timetracking.plugins.module_utils.plain import redact_text


def shown(value: Any) -> str:
    """Text for the page: without secrets, then escaped."""
    return escape(redact_text(mask(str(value))))


def badge(verdict: str, word: str = "") -> str:
    """A verdict in its colour; ``word`` is what it reads where that is another one."""
    name = verdict if verdict.isalpha() else "none"
    return f'<span class="badge v-{shown(name)}">{shown(word or (verdict if name != "none" else "not judged"))}</span>'


def svg(width: float, height: float, title: str, parts: Sequence[str], about: str = "") -> str:
    """One picture. A screen reader says ``title`` and ``about`` in its place."""
    told = f"<desc>{shown(about)}</desc>" if about else ""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{shown(title)}">{told}{"".join(parts)}</svg>'
    )
