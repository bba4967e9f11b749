"""Command decorators that leave the function as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Cog:
    """Base of command groups."""


def command(**_: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Accept a command's options."""
    return lambda function: function
