"""The exact statistics of the timing shadow (gates.md 4): small samples, so no normal approximation anywhere.

Everything is pure: numbers in, numbers out. Tests hold it against brute force.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache

LOOKS = (8, 12, 16, 24)
"""Numbers of rounds at which the data may be looked at, and no others."""
ALPHA = 0.05 / len(LOOKS)
"""Error of one look on one side: all looks together stay within 5 %."""
COVERAGE = 0.80
CONFIDENCE = 0.95
MIN_ICC = 0.10
"""Rounds of one evening are alike; less than this is not believed on a few evenings."""
MIN_EVENINGS = 3
EVENING_SHARES = (0.005, 0.010, 0.015, 0.020)
"""The looks' parts of 5 % for the evenings' interval, the larger the more evenings there can be. See ``evening_interval``."""

EQUIVALENT = "EQUIVALENT"
DIFFERENT = "DIFFERENT"
INCONCLUSIVE = "INCONCLUSIVE"


@lru_cache(maxsize=64)
def signed_rank_counts(n: int) -> tuple[int, ...]:
    """How many of the 2**n sign patterns give each W+ from 0 to n(n+1)/2."""
    counts = [1]
    for rank in range(1, n + 1):
        wider = [0] * (len(counts) + rank)
        for total, number in enumerate(counts):
            wider[total] += number
            wider[total + rank] += number
        counts = wider
    return tuple(counts)


def critical_rank(n: int, alpha: float) -> int:
    """The largest k with P(W+ <= k) <= alpha, exactly; -1 when even k = 0 is too likely."""
    limit, total = alpha * 2**n, 0
    for k, number in enumerate(signed_rank_counts(n)):
        total += number
        if total > limit:
            return k - 1
    return n * (n + 1) // 2


def walsh_averages(values: Sequence[float]) -> list[float]:
    """All (a+b)/2 with a before or equal to b, sorted. Zeros and ties stay in."""
    return sorted((a + b) / 2 for i, a in enumerate(values) for b in values[i:])


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two in the middle. Raises ValueError for nothing."""
    if not values:
        raise ValueError("no values")
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


@dataclass(frozen=True)
class Interval:
    """Hodges-Lehmann estimate with its exact one-sided bounds (each at ``alpha``); infinite when n is too small."""

    estimate: float
    low: float
    high: float


def hodges_lehmann(values: Sequence[float], alpha: float = ALPHA) -> Interval:
    """The median of the Walsh averages and its exact interval by the signed rank test."""
    averages = walsh_averages(values)
    k = critical_rank(len(values), alpha)
    if k < 0:
        return Interval(median(averages), -math.inf, math.inf)
    return Interval(median(averages), averages[k], averages[len(averages) - k - 1])


def intraclass_correlation(values: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """How alike rounds of one evening are: (MSB - MSW) / (MSB + (m-1) MSW), not below 0. One evening alone: 1, the worst."""
    groups: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        groups.setdefault(cluster, []).append(value)
    n, k = len(values), len(groups)
    if k < 2:
        return 1.0
    if n == k:
        return 0.0
    mean = math.fsum(values) / n
    means = {c: math.fsum(g) / len(g) for c, g in groups.items()}
    between = math.fsum(len(g) * (means[c] - mean) ** 2 for c, g in groups.items()) / (k - 1)
    within = math.fsum((x - means[c]) ** 2 for c, g in groups.items() for x in g) / (n - k)
    size = n / k
    spread = between + (size - 1) * within
    return max(0.0, (between - within) / spread) if spread > 0 else 0.0


def design_factor(values: Sequence[float], clusters: Sequence[Hashable]) -> float:
    """F: how much an interval widens because rounds come in evenings; 1 when each evening gave one round."""
    size = len(values) / max(1, len(set(clusters)))
    return math.sqrt(1 + (size - 1) * max(MIN_ICC, intraclass_correlation(values, clusters)))


def student_tail(t: float, df: int) -> float:
    """P(T >= t) of Student's distribution for t >= 0 and whole degrees of freedom: the finite sums, so exact."""
    angle = math.atan2(t, math.sqrt(df))
    sine, cosine = math.sin(angle), math.cos(angle)
    term, total = (cosine, 0.0) if df % 2 else (1.0, 0.0)
    for step in range(df % 2 + 2, df + 1, 2):
        total += term
        term *= cosine**2 * (step - 1) / step
    inside = 2 / math.pi * (angle + sine * total) if df % 2 else sine * total
    return (1 - inside) / 2


@lru_cache(maxsize=256)
def student_quantile(alpha: float, df: int) -> float:
    """The t that is exceeded with probability ``alpha``, one side. Raises ValueError outside of 0 < alpha < 0.5 and df >= 1."""
    if not 0 < alpha < 0.5 or df < 1:
        raise ValueError(f"no quantile for alpha {alpha} and {df} degrees of freedom")
    return math.tan(math.pi / 2 * _root(lambda x: alpha - student_tail(math.tan(math.pi / 2 * x), df)))


def evening_interval(values: Sequence[float], clusters: Sequence[Hashable], alpha: float) -> tuple[float, float]:
    """Student's interval of the evenings' means, each bound at ``alpha``; infinite for fewer than three evenings.

    F alone promises too much: the ICC of a few evenings is a guess. With evenings as different as the rounds (equal deviations) it
    called a bias of one margin EQUIVALENT in 4 to 7 % of all experiments (3 to 10 rounds an evening), with twice that in 9 %, with one
    long evening and two short ones in 18 and 28 %. Here 4 to 5 % is the most: means of evenings are independent of each other
    whatever an evening does to its rounds, and unequal lengths make the test conservative (a t test with unequal variances is, at
    these levels: Bakirov and Szekely 2005, Ibragimov and Mueller 2010). Without an evening effect it costs about one look. It assumes
    evenings that are off to both sides alike; with one-sided ones (exponential) up to 8 % are left where F alone has up to 19 %.
    """
    groups: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        groups.setdefault(cluster, []).append(value)
    k = len(groups)
    if k < MIN_EVENINGS:
        return -math.inf, math.inf
    means = [math.fsum(group) / len(group) for group in groups.values()]
    centre = math.fsum(means) / k
    deviation = math.sqrt(math.fsum((mean - centre) ** 2 for mean in means) / (k - 1))
    half = student_quantile(alpha, k - 1) * deviation / math.sqrt(k)
    return centre - half, centre + half


def spendable_alpha(clusters: Sequence[Hashable], look: int) -> float:
    """The error that the evenings' interval may spend at this look: its share, and those of earlier looks that could not use theirs
    because they had fewer than three evenings. That depends on when was played, not on what was measured, so it adds up to 5 %."""
    saved = 0.0
    for planned, share in zip(LOOKS, EVENING_SHARES, strict=True):
        saved += share
        if planned == look:
            return saved
        if len(set(clusters[:planned])) >= MIN_EVENINGS:
            saved = 0.0
    raise ValueError(f"{look} rounds are no planned look; looks are at {', '.join(map(str, LOOKS))}")


@dataclass(frozen=True)
class Equivalence:
    """One look: estimate, the bounds that count (the wider of the two intervals), verdict. Seconds."""

    n: int
    estimate: float
    low: float
    high: float
    factor: float
    """F, by which the rounds' interval was widened."""
    evenings: int
    evenings_low: float
    evenings_high: float
    verdict: str
    flat: bool
    """The rounds' interval has no width (all or most rounds gave the same number), so it says nothing about noise."""


def equivalence(
    values: Sequence[float],
    clusters: Sequence[Hashable],
    margin: float,
    alpha: float = ALPHA,
    evening_alpha: float = ALPHA,
    widen: bool = True,
    independent: bool = True,
) -> Equivalence:
    """Whether the rounds' differences (seconds, one per round) are within ±margin, beyond it, or undecided.

    Two intervals have to agree: that of the rounds, widened by F, and that of the evenings' means. ``widen=False`` leaves the rounds
    as if each were an evening of its own (the published figures without F). ``independent`` says that NEW is proven not to be a copy
    of OLD; equal differences count only then, and from 14 rounds on.
    """
    raw = hodges_lehmann(values, alpha)
    factor = design_factor(values, clusters) if widen else 1.0
    by_evening = evening_interval(values, clusters, evening_alpha) if widen else (raw.low, raw.high)
    low = min(raw.estimate - factor * (raw.estimate - raw.low), by_evening[0])
    high = max(raw.estimate + factor * (raw.high - raw.estimate), by_evening[1])
    flat = raw.low == raw.high
    verdict = INCONCLUSIVE
    if -margin < low and high < margin:
        verdict = EQUIVALENT if not flat or (len(values) >= 14 and independent) else INCONCLUSIVE
    elif low >= margin or high <= -margin:
        verdict = DIFFERENT
    return Equivalence(len(values), raw.estimate, low, high, factor, len(set(clusters)), *by_evening, verdict, flat)


def look_at(
    values: Sequence[float], clusters: Sequence[Hashable], look: int, margin: float, independent: bool = True
) -> Equivalence:
    """The planned look at the first ``look`` rounds of those that are there, in time order. Raises ValueError for any other number."""
    spend = spendable_alpha(clusters, look)
    return equivalence(values[:look], clusters[:look], margin, evening_alpha=spend, independent=independent)


def binomial_tail(k: int, n: int, p: float) -> float:
    """P(X >= k) for n trials with probability p, also where 2**n is no float. Summed away from the middle, largest term first."""
    if k <= 0 or p >= 1:
        return 1.0
    if k > n or p <= 0:
        return 0.0
    upward = k > n * p
    at = k if upward else k - 1
    log = (
        math.lgamma(n + 1)
        - math.lgamma(at + 1)
        - math.lgamma(n - at + 1)
        + at * math.log(p)
        + (n - at) * math.log1p(-p)
    )
    term, total = math.exp(log), 0.0
    while term > 1e-17 * total:
        total += term
        term *= (n - at) / (at + 1) * p / (1 - p) if upward else at / (n - at + 1) * (1 - p) / p
        at += 1 if upward else -1
    return min(1.0, total) if upward else max(0.0, 1 - total)


def lower_bound(k: int, n: int, confidence: float = CONFIDENCE) -> float:
    """One-sided Clopper-Pearson lower bound of a proportion: the p at which k or more of n has probability 1 - confidence."""
    _counts(k, n)
    if k == 0:
        return 0.0
    return _root(lambda p: binomial_tail(k, n, p) - (1 - confidence))


def upper_bound(k: int, n: int, confidence: float = CONFIDENCE) -> float:
    """One-sided Clopper-Pearson upper bound; 1 for no trials."""
    _counts(k, n)
    return 1 - lower_bound(n - k, n, confidence) if n else 1.0


def needed_rounds(missed: int, share: float = COVERAGE, confidence: float = CONFIDENCE) -> int:
    """The fewest rounds with which so many missed ones still leave the lower bound above ``share``."""

    def proves(n: int) -> bool:
        return lower_bound(n - missed, n, confidence) > share

    low, high = missed, 2 * missed + 1
    while not proves(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if proves(middle) else (middle, high)
    return high


def trimmed_mean(values: Sequence[float], share: float = 0.1) -> float:
    """The mean without the lowest and highest ``share``. Raises ValueError for nothing."""
    cut = int(len(values) * share)
    kept = sorted(values)[cut : len(values) - cut]
    if not kept:
        raise ValueError("no values")
    return math.fsum(kept) / len(kept)


def centres(values: Sequence[float]) -> dict[str, float]:
    """Mean, median and trimmed mean. Raises ValueError for nothing."""
    return {"median": median(values), "mean": math.fsum(values) / len(values), "trimmed_mean": trimmed_mean(values)}


def is_skewed(values: Sequence[float], margin: float) -> bool:
    """Whether they lie more than half of the margin apart: then the Hodges-Lehmann estimate does not stand for the mean shift."""
    told = centres(values).values()
    return max(told) - min(told) > margin / 2


def finite(value: float) -> float | None:
    """For a report: to the millisecond, None for infinite."""
    return round(value, 3) if math.isfinite(value) else None


def _counts(k: int, n: int) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no count")


def _root(function: Callable[[float], float]) -> float:
    """Where a rising function on [0, 1] crosses 0, to the last bit that matters."""
    low, high = 0.0, 1.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return low
