"""The names of discord.py that the bot uses, for a controller without it; the world's VM has the real package."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class Embed:
    """Title, description, fields and footer, and the dictionary form of them."""

    def __init__(self, *, title: str | None = None, description: str | None = None, color: int | None = None) -> None:
        self.title, self.description, self.color = title, description, color
        self.fields: list[dict[str, Any]] = []
        self.footer = SimpleNamespace(text=None)

    def add_field(self, *, name: str, value: str, inline: bool = True) -> None:
        """Append one field."""
        self.fields.append({"name": name, "value": value, "inline": inline})

    def set_footer(self, *, text: str) -> None:
        """Set the footer's text."""
        self.footer.text = text

    def to_dict(self) -> dict[str, Any]:
        """The form that is sent."""
        return {"title": self.title, "description": self.description, "fields": self.fields}
