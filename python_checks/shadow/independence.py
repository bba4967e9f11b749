"""Is NEW a measurement of its own, or was it taken from OLD? The bot shows NEW := OLD where Lua data is missing (gates.md 3.5).

OLD comes in steps of 6 s. A measurement of its own falls anywhere within a step, so no single difference NEW - OLD (whole seconds) is
met more often than one time in six; a copy, also one that is shifted by a constant, always meets the same one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from python_checks.shadow import statistics as st

OLD_STEP_S = 6.0
"""OLD dead time comes in steps of 0.1 minutes, and so does the played time."""
CHANCE = 1 / OLD_STEP_S
INDEPENDENT, COPIED, UNKNOWN = "independent", "copied", "unknown"
SAMPLE_LEVEL = 1e-5
"""So improbable by chance is the most frequent difference of a copied sample: small, because the most frequent of several is taken."""
ROUND_LEVEL = 1e-3
"""The same for one round. Four equal differences of four are enough; by chance that befalls one such round in two hundred, which then
counts as not covered."""


def origin(values: Iterable[tuple[float, float]]) -> str:
    """Of a sample's (OLD, NEW) pairs: ``copied``, one difference is too frequent for chance (from about one copy in eight on, given a few
    hundred pairs); ``independent``, proven not to be the rule (95 % upper bound below one half); ``unknown``, too few to tell."""
    n, most = _most_frequent(values)
    if st.binomial_tail(most, n, CHANCE) < SAMPLE_LEVEL:
        return COPIED
    return INDEPENDENT if st.upper_bound(most, n) < 0.5 else UNKNOWN


def is_copied_round(values: Iterable[tuple[float, float]]) -> bool:
    """Whether the (OLD, NEW) pairs of one round were copied: Lua data gets lost for all players of a round at once."""
    n, most = _most_frequent(values)
    return st.binomial_tail(most, n, CHANCE) < ROUND_LEVEL


def _most_frequent(values: Iterable[tuple[float, float]]) -> tuple[int, int]:
    """How many pairs tell something, and how many of them share the most frequent difference. Who was never dead is equal in both."""
    told = Counter(round(new - old) for old, new in values if old)
    return sum(told.values()), max(told.values(), default=0)
