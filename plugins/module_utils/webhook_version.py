"""What a version of the webhook Lua can be believed; the number is all that its rows carry (domain.md 4.6)."""

from __future__ import annotations

import re
from typing import Tuple

SHIPPED = (1, 6, 0, 1)
"""The webhook that lua_release ships: 1.6.0 with its spawn data on one clock."""
ONE_CLOCK = (1, 6, 3)
"""First version with spawn data on one clock."""
SEES_PAUSES = (1, 6, 3)
"""First version that sees pauses; the ones before take a hitch of the server for one."""


def number(text: str) -> Tuple[int, ...]:
    """``1.6.3`` -> (1, 6, 3); empty when the text names no version, or more than one number like it."""
    found = re.findall(r"\d+(?:\.\d+)+", text)
    return tuple(int(part) for part in found[0].split(".")) if len(found) == 1 else ()


def has_one_clock(text: str) -> bool:
    """Whether spawn data of this version may be compared with other times."""
    return number(text) >= ONE_CLOCK or number(text) == SHIPPED


def sees_pauses(text: str) -> bool:
    """Whether pauses in rows of this version are pauses of the match."""
    return number(text) >= SEES_PAUSES
