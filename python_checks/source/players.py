"""Generated players: what every check of a formula is tried on."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping, Sequence

from python_checks import formulas
from python_checks.source import sqltext

Round = Mapping[str, float]
"""The numeric columns of one player's row."""


@functools.lru_cache(maxsize=16)
def generated_players(count: int, seed: int = 1) -> Sequence[tuple[Round, ...]]:
    """Players with one to four rounds: ordinary ones, and those at the edges (nothing played, dead all the time, inflated dead
    time in one round, no damage)."""
    draw = random.Random(seed)
    players = []
    for number in range(count):
        kind = number % 6
        rounds = []
        for index in range(1 if kind == 1 else draw.randint(1, 4)):
            played = draw.randint(60, 1200)
            dead = round(draw.uniform(0, 0.6) * played / 60, 1)
            one = {name: float(draw.randint(0, 90)) for name in sqltext.NUMBERS}
            one |= {"damage_given": draw.randint(1, 9000), "damage_received": draw.randint(1, 9000)}
            one |= {"time_played_seconds": played, "time_dead_minutes": dead}
            if kind == 1:
                one |= {"time_played_seconds": 0, "time_dead_minutes": 0.0}
            if kind == 2:
                one |= {"damage_given": draw.choice((0, 5)), "damage_received": 0}
            if kind == 3 and index == 0:
                one["time_dead_minutes"] = round(played / 60 * draw.uniform(1.2, 80), 1)
            if kind == 4:
                one["time_dead_minutes"] = played / 60
            one["time_played_minutes"] = one["time_played_seconds"] / 60
            one["time_dead_ratio"] = 100 * one["time_dead_minutes"] / max(1e-9, one["time_played_minutes"])
            rounds.append(one)
        players.append(tuple(rounds))
    return tuple(players)


def as_round(one: Round) -> formulas.PlayerRound:
    """A generated round as the reference takes it."""
    return formulas.PlayerRound(
        int(one["damage_given"]), int(one["damage_received"]), one["time_played_seconds"], one["time_dead_minutes"]
    )
