"""One axis of a picture: where a value lies, and the round numbers at which it is labelled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """``low`` to ``high`` in the data's unit, drawn from ``start`` to ``end`` in the picture's."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Where ``value`` lies; beyond the ends it stays at the edge."""
        inside = min(max(value, self.low), self.high)
        return self.start + (inside - self.low) / (self.high - self.low) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether ``value`` lies on the axis, not beyond its ends."""
        return self.low <= value <= self.high


def step_of(span: float, parts: int) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that cuts ``span`` (> 0) into at most ``parts``."""
    size = 10.0 ** math.floor(math.log10(span / parts))
    return next(size * factor for factor in (1, 2, 5, 10, 20) if span / (size * factor) <= parts)


def around_zero(values: Sequence[float], least: float, start: float, end: float) -> Axis:
    """An axis with 0 in its middle that reaches ``least`` (> 0) and all ``values``; a few that lie more than twice as far as nine of
    ten do stay beyond it, because they would press the others flat."""
    far = sorted(abs(value) for value in values)
    usual = max(least, 1.3 * far[int(0.9 * (len(far) - 1))]) if far else least
    reach = max(usual, 1.05 * far[-1]) if far and far[-1] <= 2 * usual else usual
    step = step_of(2 * reach, 8)
    ends = math.ceil(reach / step - 1e-9)
    ticks = tuple(step * number for number in range(-ends, ends + 1))
    return Axis(-ends * step, ends * step, start, end, ticks)


def from_zero(values: Sequence[float], least: float, start: float, end: float) -> Axis:
    """An axis from 0, or from the lowest value below it, to the highest one, ``least`` (> 0) long or longer."""
    low, high = min([0.0, *values]), max([least, *values])
    step = step_of(high - low, 6)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return Axis(first * step, last * step, start, end, tuple(step * number for number in range(first, last + 1)))


def places(many: int, start: float, end: float) -> Axis:
    """An axis for ``many`` (1 or more) things in a row, counted from 1."""
    step = max(1, int(step_of(many, 8)))
    return Axis(0.5, many + 0.5, start, end, tuple(float(number) for number in range(step, many + 1, step)))
