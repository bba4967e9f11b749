"""gates.md 4's figures and the promise of issue 5, simulated with the code that decides: a bias of one margin is called EQUIVALENT in
at most 5 % of all experiments, over all looks, whatever an evening does to its rounds. Seeded; each bound has three standard errors."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist

import pytest

from python_checks.shadow import statistics as st
from python_checks.tests.shadow import simulated as sim

pytestmark = pytest.mark.slow
TRIALS = 1000
SDS = (1.5, 3.0, 5.0)
EVENINGS = {
    **{f"{size} an evening": sim.of_size(size) for size in (2, 3, 4, 6, 8)},
    "2 8 5 3 6": sim.of_sizes(2, 8, 5, 3, 6),
    "6 1 1 16": sim.of_sizes(6, 1, 1, 16),
    "22 1 1": sim.of_sizes(22, 1, 1),
}


@pytest.mark.parametrize(
    ("sd_s", "looks", "share"),
    [
        (1.5, (8,), 0.99),
        (3, (8,), 0.75),
        (3, (12,), 0.98),
        (5, (8,), 0.15),
        (5, (12,), 0.46),
        (5, (16,), 0.81),
        (5, (24,), 0.96),
    ],
)
def test_published_power(sd_s: float, looks: tuple[int, ...], share: float) -> None:
    """Without F and evenings. The published runs do not say their players' noise, so a few hundredths are allowed."""
    values = sim.experiments(TRIALS, bias_s=0, sd_s=sd_s, evening_sd_s=0, evenings=sim.of_size(1), seed=1)
    assert sim.without_evenings(values, looks) == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("sd_s", SDS)
def test_published_error(sd_s: float) -> None:
    values = sim.experiments(3 * TRIALS, bias_s=5, sd_s=sd_s, evening_sd_s=0, evenings=sim.of_size(1), seed=2)
    for look in st.LOOKS:
        assert sim.without_evenings(values, (look,)) <= sim.allowed(0.0125, len(values))
    assert sim.without_evenings(values) <= 0.05


def _no_evenings(values: Sequence[float], clusters: Sequence[Hashable], alpha: float) -> tuple[float, float]:
    """What was there before: three evenings are asked for, and then only F counts."""
    return (math.inf, -math.inf) if len(set(clusters)) >= st.MIN_EVENINGS else (-math.inf, math.inf)


def test_published_evenings(monkeypatch: pytest.MonkeyPatch) -> None:
    """An evening's effect as large as the rounds' noise, one look at 24 rounds: 15 % false without F, 3 to 5 % with F."""
    evenings = sim.of_size(8)
    values = sim.experiments(2000, bias_s=5, sd_s=3, evening_sd_s=3, evenings=evenings, seed=5)
    assert sim.without_evenings(values, (24,)) == pytest.approx(0.15, abs=0.03)
    monkeypatch.setattr(st, "evening_interval", _no_evenings)
    assert sim.verdicts(values, evenings, (24,))[st.EQUIVALENT] / 2000 == pytest.approx(0.04, abs=0.015)


@pytest.mark.parametrize("name", EVENINGS)
@pytest.mark.parametrize("ratio", [0, 0.5, 1, 2])
def test_false_verdicts_over_all_looks(name: str, ratio: float) -> None:
    """The bias is one margin: EQUIVALENT is wrong, and DIFFERENT is not proven either."""
    evenings = EVENINGS[name]
    for seed, sd_s in enumerate(SDS):
        values = sim.experiments(
            TRIALS, bias_s=5, sd_s=sd_s, evening_sd_s=ratio * sd_s, evenings=evenings, seed=100 + seed
        )
        ends = sim.verdicts(values, evenings)
        for verdict in (st.EQUIVALENT, st.DIFFERENT):
            assert ends[verdict] / TRIALS <= sim.allowed(0.05, TRIALS), (sd_s, verdict)


MUTANTS: dict[str, list[tuple[str, object]]] = {
    "only F": [("evening_interval", _no_evenings)],
    "F = 1": [("evening_interval", _no_evenings), ("design_factor", lambda values, clusters: 1.0)],
    "normal quantiles": [("student_quantile", lambda alpha, df: NormalDist().inv_cdf(1 - alpha))],
    "each look spends all": [("spendable_alpha", lambda clusters, look: 0.05)],
}


@pytest.mark.parametrize("name", MUTANTS)
def test_lesser_rules_break_the_promise(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    evenings = sim.of_size(4)
    values = sim.experiments(3000, bias_s=5, sd_s=1.5, evening_sd_s=3, evenings=evenings, seed=9)
    assert sim.verdicts(values, evenings)[st.EQUIVALENT] / len(values) <= 0.05
    for attribute, mutant in MUTANTS[name]:
        monkeypatch.setattr(st, attribute, mutant)
    assert sim.verdicts(values, evenings)[st.EQUIVALENT] / len(values) > sim.allowed(0.05, len(values))


@pytest.mark.parametrize(
    ("sd_s", "size", "looks", "share"),
    [
        (1.5, 4, (8, 12), 0.90),
        (1.5, 8, st.LOOKS, 0.99),
        (3, 3, (8, 12, 16), 0.95),
        (3, 4, (8, 12, 16), 0.87),
        (3, 4, st.LOOKS, 0.99),
        (3, 8, st.LOOKS, 0.97),
        (5, 3, st.LOOKS, 0.91),
        (5, 4, st.LOOKS, 0.85),
    ],
)
def test_power_without_an_evening_effect(sd_s: float, size: int, looks: tuple[int, ...], share: float) -> None:
    evenings = sim.of_size(size)
    values = sim.experiments(TRIALS, bias_s=0, sd_s=sd_s, evening_sd_s=0, evenings=evenings, seed=3)
    assert sim.verdicts(values, evenings, looks)[st.EQUIVALENT] / TRIALS >= share


def test_power_with_an_evening_effect() -> None:
    evenings = sim.of_size(4)
    values = sim.experiments(TRIALS, bias_s=0, sd_s=2, evening_sd_s=2, evenings=evenings, seed=4)
    assert sim.verdicts(values, evenings)[st.EQUIVALENT] / TRIALS >= 0.83
