"""Generated shadow data with known truth."""

from __future__ import annotations

import random
from typing import Any


def rows(
    rounds: int = 16,
    *,
    bias_s: float = 0.0,
    sd_s: float = 1.5,
    players: int = 10,
    covered: float = 1.0,
    copy: bool = False,
    seed: int = 1,
    per_session: int = 4,
    version: str = "1.7.0",
    **columns: Any,
) -> list[dict[str, Any]]:
    """One row per round and player. OLD comes in 6 s steps, NEW in whole seconds; the first ``covered`` of every ten rounds have Lua
    data. ``copy`` fills the others with OLD's value, as the bot's display does."""
    draw = random.Random(seed)
    made = []
    for number in range(rounds):
        shift = draw.gauss(bias_s, sd_s)
        has_lua = number % 10 < round(covered * 10)
        for player in range(players):
            played = draw.randint(300, 900)
            true = draw.uniform(20, 0.4 * played)
            old = 6 * round(true / 6)
            new: Any = max(0, round(true + shift + draw.gauss(0, 2)))
            reason = ""
            if not has_lua:
                new, reason = (old, "lua_missing_for_round") if copy else ("", "")
            made.append(
                {
                    "round_id": number + 1,
                    "player_guid": f"{player + (number % 3) * 100:08X}",
                    "session": f"evening {number // per_session}",
                    "map": ("supply", "goldrush", "radar", "braundorf_b4")[number // 2 % 4],
                    "round_number": number % 2 + 1,
                    "played_at": number,
                    "played_s": played,
                    "old_dead_s": old,
                    "new_dead_s": new,
                    "lua_rows": 1 if has_lua else 0,
                    "lua_version": version if has_lua else "",
                    "fallback_reason": reason,
                    "end_reason": "objective",
                    "pause_s": 0,
                    "duration_s": 900,
                    "span_s": 901,
                    **columns,
                }
            )
    return made
