"""The reference formulas of Phase 6: what the bot shows and the website should (domain.md 8).

A session's player is a sequence of rounds; sums run over its rounds 1 and 2. Dead time is capped to [0, played] in each round
before it is summed, since the recorded dead time is inflated (domain.md 2.3) and one bad round must not eat the others.
Everything here is total: zero, missing (None), Decimal and negative input give the values below, never an exception. The codemod
``web-formulas`` copies the functions into the website, so they use nothing but builtins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class PlayerRound:
    """One player in one half. Times carry their unit; damage and counts are whole numbers, None counts as 0."""

    damage_given: int | None = 0
    damage_received: int | None = 0
    time_played_s: float | None = 0
    time_dead_min: float | None = 0


@dataclass(frozen=True)
class Metrics:
    """Frag potential (damage per alive minute), survival rate (percent, 0 to 100), damage efficiency (a ratio)."""

    frag_potential: float
    survival_rate: float
    damage_efficiency: float


def dead_seconds(time_dead_s, time_played_s):
    """Dead time within [0, played], in seconds."""
    return min(max(float(time_dead_s or 0), 0.0), max(float(time_played_s or 0), 0.0))


def frag_potential(damage_given, time_played_s, time_dead_s):
    """Damage given per alive minute; 0 when nothing was played, and never less than one second alive."""
    if not time_played_s or time_played_s <= 0:
        return 0.0
    alive_s = float(time_played_s) - dead_seconds(time_dead_s, time_played_s)
    return 60 * float(damage_given or 0) / max(1.0, alive_s)


def survival_rate(time_played_s, time_dead_s):
    """Percent of the played time spent alive, 0 to 100; 0 when nothing was played."""
    if not time_played_s or time_played_s <= 0:
        return 0.0
    return 100 * (1 - dead_seconds(time_dead_s, time_played_s) / float(time_played_s))


def damage_efficiency(damage_given, damage_received):
    """Damage given over damage received: a ratio without upper bound, not a percentage; 0 when both are 0."""
    return float(damage_given or 0) / max(1.0, float(damage_received or 0))


def session_metrics(rounds: Iterable[PlayerRound]) -> Metrics:
    """The three values of one player over the rounds of one session."""
    given = received = 0
    played_s = dead_s = 0.0
    for one in rounds:
        given += one.damage_given or 0
        received += one.damage_received or 0
        played = max(0.0, one.time_played_s or 0)
        played_s += played
        dead_s += dead_seconds(60 * (one.time_dead_min or 0), played)
    return Metrics(
        frag_potential(given, played_s, dead_s), survival_rate(played_s, dead_s), damage_efficiency(given, received)
    )


def headshot_kill_rate(headshot_kills: int, kills: int) -> float:
    """Percent of the kills whose killing blow hit the head; 0 without kills. Not to be crossed with headshot_accuracy."""
    return 100 * headshot_kills / kills if kills > 0 else 0.0


def headshot_accuracy(head_hits: int, hits: int) -> float:
    """Percent of the hits that hit the head; 0 without hits. Not to be crossed with headshot_kill_rate."""
    return 100 * head_hits / hits if hits > 0 else 0.0
