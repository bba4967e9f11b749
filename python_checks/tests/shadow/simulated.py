"""Experiments with known truth for the comparison's error rates, judged by the code that decides."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from python_checks.shadow import statistics as st

MARGIN_S = 5.0
PLAYERS = 10
PLAYER_SD_S = 2.0
LAST = st.LOOKS[-1]


def experiments(
    trials: int, *, bias_s: float, sd_s: float, evening_sd_s: float, evenings: Sequence[int], seed: int
) -> NDArray[np.float64]:
    """The rounds' numbers (seconds) of so many experiments of 24 rounds: bias, a normal effect of the evening, normal noise of the
    round, and the median of ten players with t(4) noise. ``evenings`` says to which evening each round belongs."""
    draw = np.random.default_rng(seed)
    effects = draw.normal(0, 1, (trials, max(evenings) + 1)) * evening_sd_s
    players = PLAYER_SD_S * draw.standard_t(4, (trials, LAST, PLAYERS))
    noise = draw.normal(0, sd_s, (trials, LAST)) + np.median(players, axis=2)
    found: NDArray[np.float64] = bias_s + effects[:, np.asarray(evenings)] + noise
    return found


def of_size(size: int) -> list[int]:
    """The evening of each of 24 rounds, so many an evening."""
    return [number // size for number in range(LAST)]


def of_sizes(*sizes: int) -> list[int]:
    """The evening of each of 24 rounds, when evenings have these lengths."""
    told = [evening for evening, size in enumerate(sizes) for _ in range(size)]
    assert len(told) == LAST
    return told


def verdicts(values: NDArray[np.float64], evenings: Sequence[int], looks: Sequence[int] = st.LOOKS) -> Counter[str]:
    """How the experiments end that look as planned and stop at the first verdict."""
    ends: Counter[str] = Counter()
    for rounds in values.tolist():
        told = (st.look_at(rounds, evenings, look, MARGIN_S).verdict for look in looks)
        ends[next((verdict for verdict in told if verdict != st.INCONCLUSIVE), st.INCONCLUSIVE)] += 1
    return ends


def without_evenings(values: NDArray[np.float64], looks: Sequence[int] = st.LOOKS) -> float:
    """The share EQUIVALENT of the published method without F: each round an evening of its own."""
    hits = sum(
        any(st.equivalence(rounds[:n], range(n), MARGIN_S, widen=False).verdict == st.EQUIVALENT for n in looks)
        for rounds in values.tolist()
    )
    return hits / len(values)


def allowed(share: float, trials: int) -> float:
    """The largest share that so many trials may show when the true one is ``share``: three standard errors above."""
    return share + 3 * math.sqrt(share * (1 - share) / trials)
