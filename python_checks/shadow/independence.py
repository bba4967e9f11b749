"""Is NEW a measurement of its own, or was it taken from OLD? The bot shows NEW := OLD where Lua data is missing (gates.md 3.5).

OLD comes in steps of 6 s. A measurement of its own falls anywhere within a step, so no single difference NEW - OLD (whole seconds) is
met more often than one time in six; a copy, also one that is shifted by a constant, always meets the same one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from python_checks.shadow import statistics as st
from python_checks.shadow.pairs import OLD_STEP_S, Pair

INDEPENDENT, COPIED, UNKNOWN = "independent", "copied", "unknown"
CHANCE = 1 / OLD_STEP_S
CERTAINTY = 1e-5
"""So improbable by chance must the most frequent difference be: small, because the most frequent of several is looked at."""


def origin(pairs: Sequence[Pair]) -> str:
    """``copied``: one difference is too frequent for chance (from about one copy in eight on, given a few hundred pairs);
    ``independent``: proven not to be the rule (95 % upper bound below one half); ``unknown``: too few pairs to tell.

    Pairs in which OLD is 0 tell nothing: who was never dead is equal in both.
    """
    told = Counter(round(pair.difference_s) for pair in pairs if pair.old_s)
    n, most = sum(told.values()), max(told.values(), default=0)
    if st.binomial_tail(most, n, CHANCE) < CERTAINTY:
        return COPIED
    return INDEPENDENT if st.upper_bound(most, n) < 0.5 else UNKNOWN
