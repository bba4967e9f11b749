"""The exact parts against brute force, against scipy, and against the table of needed rounds."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

from python_checks.shadow import statistics as st


@pytest.mark.parametrize("n", range(1, 11))
def test_signed_rank_counts_by_brute_force(n: int) -> None:
    counts = [0] * (n * (n + 1) // 2 + 1)
    for signs in itertools.product((0, 1), repeat=n):
        counts[sum(rank for rank, sign in zip(range(1, n + 1), signs, strict=True) if sign)] += 1
    assert list(st.signed_rank_counts(n)) == counts and sum(counts) == 2**n


@pytest.mark.parametrize(
    ("n", "alpha", "k"),
    [(8, 0.025, 3), (10, 0.025, 8), (12, 0.025, 13), (20, 0.025, 52), (24, 0.025, 81), (7, 0.0125, 0)],
)
def test_critical_ranks_are_the_published_ones(n: int, alpha: float, k: int) -> None:
    assert st.critical_rank(n, alpha) == k


@pytest.mark.parametrize(("alpha", "first"), [(0.05, 5), (0.025, 6), (0.0125, 7)])
def test_too_few_rounds_have_no_bounds(alpha: float, first: int) -> None:
    assert math.isinf(st.hodges_lehmann([1.0] * (first - 1), alpha).high)
    assert st.hodges_lehmann([1.0] * first, alpha).high == 1.0


@settings(max_examples=60, deadline=None)
@given(hs.lists(hs.integers(-60, 60), min_size=7, max_size=9), hs.sampled_from((0.0125, 0.025, 0.05)))
def test_interval_is_the_inverted_test(values: list[int], alpha: float) -> None:
    """A shift inside of the interval is not rejected by the exact test, one outside is: brute force over all sign patterns."""
    xs = [value + index * 1e-3 + index**2 * 1e-5 for index, value in enumerate(values)]
    interval = st.hodges_lehmann(xs, alpha)

    def rejected(shift: float) -> bool:
        centred = sorted((x - shift for x in xs), key=abs)
        plus = sum(rank for rank, x in enumerate(centred, start=1) if x > 0)
        n = len(xs)
        as_small = sum(
            1
            for signs in itertools.product((0, 1), repeat=n)
            if sum(rank for rank, sign in zip(range(1, n + 1), signs, strict=True) if sign) <= plus
        )
        return as_small <= alpha * 2**n

    assert rejected(interval.high + 1e-6) and not rejected(interval.high - 1e-6)


def test_walsh_averages_keep_zeros_and_ties() -> None:
    assert st.walsh_averages([0, 0, 2]) == [0, 0, 0, 1, 1, 2]
    assert st.hodges_lehmann([0, 0, 2]).estimate == 0.5


@settings(max_examples=60, deadline=None)
@given(hs.integers(1, 60).flatmap(lambda n: hs.tuples(hs.integers(0, n), hs.just(n))))
def test_bounds_agree_with_scipy(counts: tuple[int, int]) -> None:
    from scipy.stats import beta

    k, n = counts
    assert st.lower_bound(k, n) == pytest.approx(beta.ppf(0.05, k, n - k + 1) if k else 0.0, abs=1e-9)
    assert st.upper_bound(k, n) == pytest.approx(beta.ppf(0.95, k + 1, n - k) if k < n else 1.0, abs=1e-9)
    if k:
        assert st.binomial_tail(k, n, st.lower_bound(k, n)) == pytest.approx(0.05, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(hs.integers(1, 100_000), hs.floats(0.001, 0.999), hs.floats(-4, 4))
def test_many_rounds_have_tails_too(n: int, p: float, off: float) -> None:
    """Sums of powers of two break from about a thousand trials on; a site has more rounds, and more pairs."""
    from scipy.stats import binom

    k = min(n, max(0, round(n * p + off * math.sqrt(n * p * (1 - p)))))
    assert st.binomial_tail(k, n, p) == pytest.approx(binom.sf(k - 1, n, p), rel=1e-6)


def test_bounds_of_many_rounds() -> None:
    assert st.lower_bound(4200, 5000) == pytest.approx(0.8312, abs=0.0005)
    assert st.lower_bound(st.needed_rounds(900) - 900, st.needed_rounds(900)) > st.COVERAGE
    assert st.lower_bound(st.needed_rounds(900) - 901, st.needed_rounds(900) - 1) <= st.COVERAGE


def test_needed_rounds_are_the_table() -> None:
    table = [(n - missed, n) for missed in range(6) for n in [st.needed_rounds(missed)]]
    assert table == [(14, 14), (21, 22), (28, 30), (34, 37), (40, 44), (45, 50)]


@pytest.mark.parametrize(("k", "n", "low"), [(5, 6, 0.42), (9, 10, 0.61), (12, 12, 0.78)])
def test_a_good_share_of_few_rounds_proves_little(k: int, n: int, low: float) -> None:
    assert st.lower_bound(k, n) == pytest.approx(low, abs=0.005)


@pytest.mark.parametrize(("k", "n", "high"), [(0, 14, 0.193), (0, 29, 0.10), (0, 59, 0.05), (1, 46, 0.10)])
def test_tail_bounds(k: int, n: int, high: float) -> None:
    assert st.upper_bound(k, n) <= high and st.upper_bound(k, n) > high - 0.005


def test_icc_and_design_factor() -> None:
    evenings = [e for e in range(4) for _ in range(4)]
    alike = [float(10 * e) for e in evenings]
    assert st.intraclass_correlation(alike, evenings) == 1.0
    assert st.design_factor(alike, evenings) == pytest.approx(2.0)
    mixed = [float(i % 4) for i in range(16)]
    assert st.intraclass_correlation(mixed, evenings) == 0.0
    assert st.design_factor(mixed, evenings) == pytest.approx(math.sqrt(1 + 3 * 0.10))
    assert st.design_factor(mixed, list(range(16))) == 1.0
    assert st.intraclass_correlation(mixed, [0] * 16) == 1.0


def test_icc_by_hand() -> None:
    # Evenings {1, 3}, {5, 7}: MSB = 16, MSW = 2, m = 2.
    assert st.intraclass_correlation([1, 3, 5, 7], "aabb") == pytest.approx((16 - 2) / (16 + 2))


@pytest.mark.parametrize(
    ("alpha", "df", "t"),
    [(0.05, 1, 6.314), (0.05, 2, 2.920), (0.025, 3, 3.182), (0.01, 4, 3.747), (0.005, 7, 3.499), (0.025, 23, 2.069)],
)
def test_student_quantiles_are_the_published_ones(alpha: float, df: int, t: float) -> None:
    assert st.student_quantile(alpha, df) == pytest.approx(t, abs=0.0005)


@settings(max_examples=100, deadline=None)
@given(hs.integers(1, 40), hs.floats(0.0005, 0.49))
def test_student_quantiles_agree_with_scipy(df: int, alpha: float) -> None:
    from scipy.stats import t

    assert st.student_quantile(alpha, df) == pytest.approx(t.ppf(1 - alpha, df), rel=1e-9)
    assert st.student_tail(st.student_quantile(alpha, df), df) == pytest.approx(alpha, rel=1e-9)


@pytest.mark.parametrize(("alpha", "df"), [(0.0, 3), (0.5, 3), (0.05, 0)])
def test_no_student_quantile(alpha: float, df: int) -> None:
    with pytest.raises(ValueError, match="no quantile"):
        st.student_quantile(alpha, df)


def test_evenings_by_hand() -> None:
    # Means 1, 2 and 6 of unequal evenings: centre 3, deviation sqrt(7), t(0.05, 2) = 2.920.
    low, high = st.evening_interval([0, 2, 2, 5, 6, 7], "aabccc", 0.05)
    assert (low + high) / 2 == pytest.approx(3) and (high - low) / 2 == pytest.approx(
        2.920 * math.sqrt(7 / 3), rel=1e-3
    )
    assert st.evening_interval([1, 2, 3, 4], "aabb", 0.05) == (-math.inf, math.inf)


def test_two_evenings_decide_nothing() -> None:
    for value in (0.0, 60.0):
        values = [value + i / 100 for i in range(16)]
        for evenings, verdict in (
            ([0] * 16, st.INCONCLUSIVE),
            ([i // 8 for i in range(16)], st.INCONCLUSIVE),
            ([i // 6 for i in range(16)], st.DIFFERENT if value else st.EQUIVALENT),
        ):
            assert st.look_at(values, evenings, 16, 5).verdict == verdict


def test_few_evenings_undecide_what_f_lets_pass() -> None:
    """One long evening and two short ones: F holds the rounds for many, the evenings' means are three numbers."""
    evenings = [0] * 22 + [1, 2]
    values = [0.5 + (i % 5 - 2) / 2 for i in range(22)] + [3.5, -2.5]
    found = st.look_at(values, evenings, 24, 5)
    assert found.verdict == st.INCONCLUSIVE and found.high == found.evenings_high > 5
    raw = st.hodges_lehmann(values)
    assert raw.estimate + found.factor * (raw.high - raw.estimate) < 5


@pytest.mark.parametrize("size", range(1, 25))
def test_looks_spend_five_percent_in_all(size: int) -> None:
    """What a look may spend at three evenings or more adds up to 5 % however long the evenings are, and never to more."""
    evenings = [i // size for i in range(24)]
    spent = [st.spendable_alpha(evenings, n) for n in st.LOOKS if len(set(evenings[:n])) >= st.MIN_EVENINGS]
    assert math.fsum(spent) == pytest.approx(0.05 if spent else 0)


def test_unspent_error_passes_on() -> None:
    told = [st.spendable_alpha([i // 5 for i in range(24)], n) for n in st.LOOKS]
    assert told == pytest.approx([0.005, 0.015, 0.015, 0.020])
    with pytest.raises(ValueError, match="looks are at 8, 12, 16, 24"):
        st.spendable_alpha(range(24), 10)


def test_equal_differences_have_no_width() -> None:
    assert st.equivalence([0.0] * 13, range(13), 5).verdict == st.INCONCLUSIVE
    assert st.equivalence([0.0] * 14, range(14), 5).verdict == st.EQUIVALENT
    assert st.equivalence([0.0] * 14, range(14), 5, independent=False).verdict == st.INCONCLUSIVE
    assert st.equivalence([9.0] * 8, range(8), 5).verdict == st.DIFFERENT
    most = [0.0] * 12 + [0.5]
    assert st.hodges_lehmann(most).high == 0 and st.equivalence(most, range(13), 5).verdict == st.INCONCLUSIVE


@settings(max_examples=100, deadline=None)
@given(hs.lists(hs.floats(-30, 30, allow_nan=False), min_size=8, max_size=16), hs.integers(1, 4))
def test_widening_never_helps(values: list[float], size: int) -> None:
    evenings = [index // size for index in range(len(values))]
    plain, wide = (st.equivalence(values, evenings, 5, widen=w) for w in (False, True))
    assert wide.low <= plain.low + 1e-9 and wide.high >= plain.high - 1e-9
    if wide.verdict != st.INCONCLUSIVE:
        assert plain.verdict == wide.verdict


def test_margin_is_open_at_both_ends() -> None:
    values = [5.0, 4.9, 5.1, 5.0, 4.95, 5.05, 5.0, 5.0]
    assert st.equivalence(values, range(8), 5).verdict == st.INCONCLUSIVE
    for sign in (1, -1):
        assert st.equivalence([sign * (v + 1) for v in values], range(8), 5).verdict == st.DIFFERENT
