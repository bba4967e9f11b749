"""The plain figures that people ask for. They are printed beside the verdict and decide nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from python_checks.shadow import statistics as st
from python_checks.shadow.pairs import Sample


def of(data: Sample) -> dict[str, Any]:
    """The plain figures that people ask for, and the Bland-Altman limits, which decide nothing."""
    usable = data.usable
    if not usable:
        return {}
    values = [one.difference_s for one in usable]
    rows = [pair.difference_s for pair in data.pairs]
    limits, row_limits = _limits(values), _limits(rows)
    return {
        **{f"{name}_s": round(value, 3) for name, value in st.centres(values).items()},
        "row_mean_s": round(math.fsum(rows) / len(rows), 3),
        "row_median_s": round(st.median(rows), 3),
        "limits_low_s": round(limits[0], 3),
        "limits_high_s": round(limits[1], 3),
        "row_limits_low_s": round(row_limits[0], 3),
        "row_limits_high_s": round(row_limits[1], 3),
        "sessions": len({one.session for one in usable}),
        "maps": len({one.map for one in usable}),
        **_matches(data),
    }


def _matches(data: Sample) -> dict[str, Any]:
    """The same comparison with the match as the unit: R1 and the R2 that follows it, both usable. In OLD many values of R2 are a
    difference to R1, so that their errors mirror each other; a dead time begins anew in each round (gates.md 4)."""
    values = [
        (first.difference_s + second.difference_s) / 2
        for first, second in pairwise(data.rounds)
        if (first.number, second.number) == (1, 2)
        and (first.map, first.session) == (second.map, second.session)
        and first.usable
        and second.usable
    ]
    if not values:
        return {"matches": 0}
    found = st.hodges_lehmann(values)
    return {
        "matches": len(values),
        "match_estimate_s": round(found.estimate, 3),
        "match_low_s": st.finite(found.low),
        "match_high_s": st.finite(found.high),
    }


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Bland-Altman limits: the mean, 1.96 standard deviations down and up. They assume normal and independent values."""
    mean = math.fsum(values) / len(values)
    sd = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1)) if len(values) > 1 else 0.0
    return mean - 1.96 * sd, mean + 1.96 * sd
