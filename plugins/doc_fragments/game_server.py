"""Options of every module that asks the game server itself."""

from __future__ import annotations


class ModuleDocFragment:
    """Used as ``slomix.timetracking.game_server``."""

    DOCUMENTATION = r"""
options:
  host:
    description: Address of the game server as seen from this host.
    type: str
    default: 127.0.0.1
  port:
    description: Its UDP port.
    type: int
    default: 27960
  timeout_s:
    description: How long to wait for one answer.
    type: float
    default: 2.0
"""
