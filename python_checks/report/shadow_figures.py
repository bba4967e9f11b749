"""The three pictures of the timing comparison: differences of rounds in time order, Bland-Altman, coverage by evening.

Inline SVG, pure text from data. Every mark begins with its own point, so that a test reads what a person sees. Colour never says it
alone: a bad round is a diamond, one beyond the axis a triangle, one that is not compared a cross.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from python_checks.report.axis import Axis, around_zero, from_zero, places
from python_checks.report.markup import shown, svg
from python_checks.report.shadow_model import Evening, Plots, RoundDot, time_s
from python_checks.shadow import statistics as st
from python_checks.shadow.words import number, rows_of, seconds, share

WIDTH = 380
LEFT, RIGHT = 46, WIDTH - 20
TOP, BOTTOM = 30, 240
STRIP = 16
ROUNDS_DRAWN, PAIRS_DRAWN, EVENINGS_DRAWN = 2000, 8000, 24
_WITHOUT_MARGIN_S = 5.0
_LINES = (("mean", "row_mean_s"), ("limit", "row_limits_low_s"), ("limit", "row_limits_high_s"))


@dataclass(frozen=True)
class Figure:
    """A picture ("" when there is nothing to draw), its title, and in words what it shows."""

    title: str
    svg: str
    about: str


def differences(plots: Plots, looks: Any, margin_s: float | None) -> Figure:
    """Rounds in time order: the median of NEW − OLD of each, the margin, the planned looks, and the rounds that are not compared.
    ``margin_s`` (> 0) is None where it is not recorded."""
    title = "NEW − OLD of each round, in time order"
    rounds = plots.rounds[-ROUNDS_DRAWN:]
    if not rounds:
        return Figure(title, "", "No round is recorded.")
    first = rounds[0].place
    x = places(rounds[-1].place - first + 1, LEFT, RIGHT)
    used = [(one, one.difference_s) for one in rounds if one.difference_s is not None]
    values = [value for _, value in used]
    y = around_zero(values, 1.5 * (margin_s or _WITHOUT_MARGIN_S), BOTTOM, TOP)
    parts = [_margin(y, margin_s), *_evenings(rounds, x, first), *_value_lines(y, "NEW − OLD in seconds")]
    # All of the used ones, not only those drawn: a look is at the first so many of the window.
    whole = [one.place - first + 1 for one in plots.rounds if one.difference_s is not None]
    parts += _looks(rows_of(looks), whole, x, y)
    size = 4.0 if len(rounds) <= 60 else 3.0 if len(rounds) <= 200 else 1.8
    parts += [_dot(x.at(one.place - first + 1), value, y, one, size) for one, value in used]
    left_out = [one for one in rounds if one.difference_s is None]
    if left_out:
        parts.append(f'<rect class="track" x="{LEFT}" y="{BOTTOM + 6}" width="{RIGHT - LEFT}" height="{STRIP}"/>')
        parts += [_aside(x.at(one.place - first + 1), one) for one in left_out]
    low = BOTTOM + 6 + (STRIP if left_out else 0)
    parts += _bottom(x, low, "rounds in time order", first - 1)
    about = _about_rounds(plots, values, left_out, y, margin_s)
    return Figure(title, svg(WIDTH, low + 42, title, parts, about), about)


def agreement(plots: Plots, numbers: Any) -> Figure:
    """Bland-Altman: the mean of OLD and NEW of each player in each round against their difference."""
    title = "Bland-Altman, description only"
    if not plots.pairs:
        return Figure(title, "", "No pair of values is recorded.")
    every = -(-len(plots.pairs) // PAIRS_DRAWN)
    pairs = plots.pairs[::every]
    x = from_zero([mean for mean, _ in pairs], 10, LEFT, RIGHT)
    lines = [(kind, time_s(numbers, name)) for kind, name in _LINES]
    least = max([1.5 * _WITHOUT_MARGIN_S, *(1.1 * abs(value) for _, value in lines if value is not None)])
    y = around_zero([difference for _, difference in pairs], least, BOTTOM, TOP)
    parts = _value_lines(y, "NEW − OLD in seconds")
    # A line of no length with round ends is a dot, and thousands of them stay a small file.
    dots = "".join(f"M{x.at(mean):.1f} {y.at(value):.1f}h0" for mean, value in pairs if y.holds(value))
    parts.append(f'<path class="pairs" d="{dots}"/>')
    parts += [
        f'<path class="pairs-far" d="M{x.at(mean):.1f} {y.at(value):.1f}{_triangle(value, 3)}"/>'
        for mean, value in pairs
        if not y.holds(value)
    ]
    told = [f"{kind} {seconds(value)}" for kind, value in lines if value is not None]
    labelled: list[float] = []
    for kind, value in lines:
        if value is None:
            continue
        at = y.at(value)
        parts.append(f'<path class="{kind}" d="M{LEFT} {at:.1f}H{RIGHT}"/>')
        if all(abs(at - other) >= 14 for other in labelled):
            text = shown(f"{kind} {seconds(value)}")
            parts.append(f'<text class="halo" x="{RIGHT - 2}" y="{at - 4:.1f}" text-anchor="end">{text}</text>')
            labelled.append(at)
    parts += _bottom(x, BOTTOM, "mean of OLD and NEW in seconds", 0)
    far = [value for _, value in pairs if not y.holds(value)]
    about = (
        f"{len(plots.pairs)} pairs, one for each player in each compared round; {', '.join(told) or 'mean and limits are not recorded'}."
        " The limits (mean ± 1.96 standard deviations) describe and decide nothing: players of one round are not independent."
        f"{_beyond(far)}{f' Every {every}. pair is drawn.' if every > 1 else ''}"
    )
    return Figure(title, svg(WIDTH, BOTTOM + 42, title, parts, about), about)


def coverage(plots: Plots, numbers: Any) -> Figure:
    """Rounds with Lua data of each evening, with the lower bound of the share; the last bar is what is judged."""
    title = "Rounds with Lua data, by evening"
    if not plots.evenings:
        return Figure(title, "", "No evening is recorded.")
    cut = len(plots.evenings) - EVENINGS_DRAWN
    earlier = [_together(plots.evenings[: cut + 1], f"{cut + 1} before")] if cut > 0 else []
    bars = [*earlier, *plots.evenings[cut + 1 if cut > 0 else 0 :], _whole(numbers, plots.evenings)]
    x = Axis(0, 1, 92, WIDTH - 76, (0, 0.5, st.COVERAGE, 1))
    parts: list[str] = []
    for at, one in enumerate(bars):
        y = 8 + 26 * at
        strong = ' class="strong"' if at == len(bars) - 1 else ""
        parts.append(f'<text{strong} x="0" y="{y + 13}">{shown(_short(one.label, 11))}</text>')
        parts.append(f'<rect class="track" x="{x.start}" y="{y}" width="{x.end - x.start:.1f}" height="16"/>')
        parts.append(
            f'<rect class="bar" x="{x.start}" y="{y}" width="{x.at(one.covered / one.rounds) - x.start:.1f}" height="16"/>'
        )
        if one.lower is not None:
            parts.append(f'<path class="bound" d="M{x.at(one.lower):.1f} {y - 2}v20"/>')
        parts.append(f'<text{strong} x="{x.end + 8}" y="{y + 13}">{one.covered} of {one.rounds}</text>')
    low = 8 + 26 * len(bars)
    parts.append(f'<path class="need" d="M{x.at(st.COVERAGE):.1f} 2V{low}"/>')
    for tick in x.ticks:
        parts.append(f'<text class="cap" x="{x.at(tick):.1f}" y="{low + 15}" text-anchor="middle">{tick:.0%}</text>')
    parts.append(
        f'<text class="cap" x="{(x.start + x.end) / 2:.1f}" y="{low + 32}" text-anchor="middle">share of the rounds</text>'
    )
    total = bars[-1]
    about = (
        f"{total.covered} of {total.rounds} rounds on {len(plots.evenings)} evenings; the share's lower bound is {share(total.lower)},"
        f" required is more than {st.COVERAGE:.0%} (dashed). The short line in each bar is the one-sided 95% Clopper-Pearson bound: one"
        " evening alone proves little, so all evenings together are judged."
    )
    return Figure(title, svg(WIDTH, low + 38, title, parts, about), about)


def _margin(y: Axis, margin_s: float | None) -> str:
    if margin_s is None:
        return ""
    high, low = y.at(margin_s), y.at(-margin_s)
    return (
        f'<rect class="margin" x="{LEFT}" y="{high:.1f}" width="{RIGHT - LEFT}" height="{low - high:.1f}"/>'
        f'<path class="margin-end" d="M{LEFT} {high:.1f}H{RIGHT}M{LEFT} {low:.1f}H{RIGHT}"/>'
    )


def _evenings(rounds: Sequence[RoundDot], x: Axis, first: int) -> list[str]:
    """A faint line between two evenings, while there are few enough to see them."""
    starts = [
        (x.at(before.place - first + 1) + x.at(after.place - first + 1)) / 2
        for before, after in pairwise(rounds)
        if before.session != after.session
    ]
    return [f'<path class="evening" d="M{at:.1f} {TOP}V{BOTTOM}"/>' for at in starts] if len(starts) <= 60 else []


def _value_lines(y: Axis, label: str) -> list[str]:
    parts = [f'<text class="cap" x="0" y="12">{shown(label)}</text>']
    for tick in y.ticks:
        at = y.at(tick)
        kind = "zero" if tick == 0 else "grid"
        parts.append(f'<path class="{kind}" d="M{LEFT} {at:.1f}H{RIGHT}"/>')
        text = "0" if tick == 0 else f"{tick:+g}"
        parts.append(f'<text class="tick-y" x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{text}</text>')
    return parts


def _bottom(x: Axis, low: float, label: str, offset: int) -> list[str]:
    parts = [f'<path class="grid" d="M{LEFT} {low}H{RIGHT}"/>']
    for tick in x.ticks:
        text = f'<text class="tick-x" x="{x.at(tick):.1f}" y="{low + 16}" text-anchor="middle">{tick + offset:g}</text>'
        parts.append(text)
    middle = (LEFT + RIGHT) / 2
    parts.append(f'<text class="cap" x="{middle}" y="{low + 34}" text-anchor="middle">{shown(label)}</text>')
    return parts


def _looks(looks: Sequence[Mapping[str, Any]], used: Sequence[int], x: Axis, y: Axis) -> list[str]:
    """At each look the number of rounds it took, and the widened interval with its estimate."""
    parts: list[str] = []
    labelled = 0.0
    for look in looks:
        many = number(look, "rounds")
        if many is None or not 1 <= many <= len(used) or used[int(many) - 1] < 1:
            continue
        # Right of its last round, so that it hides none.
        at = x.at(used[int(many) - 1] + 0.5)
        parts.append(f'<path class="look" d="M{at:.1f} {TOP - 10}V{BOTTOM}"/>')
        if not labelled or at - labelled >= 18:
            parts.append(f'<text class="halo" x="{at:.1f}" y="{TOP - 3}" text-anchor="middle">{many:g}</text>')
            labelled = at
        low, high, middle = (time_s(look, name) for name in ("low_s", "high_s", "estimate_s"))
        if low is not None and high is not None:
            # An end has its cap only where it is: one beyond the axis runs out of the picture.
            caps = "".join(f"M{at - 4:.1f} {y.at(end):.1f}h8" for end in (low, high) if y.holds(end))
            parts.append(f'<path class="interval" d="M{at:.1f} {y.at(low):.1f}V{y.at(high):.1f}{caps}"/>')
        if middle is not None:
            parts.append(f'<path class="estimate" d="M{at - 5:.1f} {y.at(middle):.1f}h10"/>')
    return parts


def _dot(at: float, value: float, y: Axis, one: RoundDot, size: float) -> str:
    kind, told = "bad" if one.bad else "dot", f"<title>{shown(one.told)}</title>"
    if not y.holds(value):
        return f'<path class="{kind}" d="M{at:.1f} {y.at(value):.1f}{_triangle(value, size + 1)}">{told}</path>'
    if one.bad:
        return f'<path class="bad" d="M{at:.1f} {y.at(value):.1f}{_diamond(size + 2)}">{told}</path>'
    return f'<circle class="dot" cx="{at:.1f}" cy="{y.at(value):.1f}" r="{size:g}">{told}</circle>'


def _aside(at: float, one: RoundDot) -> str:
    middle, told = BOTTOM + 6 + STRIP / 2, f"<title>{shown(one.told)}</title>"
    if one.bad:
        return f'<path class="bad" d="M{at:.1f} {middle:g}{_diamond(6)}">{told}</path>'
    return f'<path class="out" d="M{at:.1f} {middle:g}m-4-4l8 8m0-8l-8 8">{told}</path>'


def _diamond(size: float) -> str:
    return f"m0-{size:g}l{size:g} {size:g}-{size:g} {size:g}-{size:g}-{size:g}z"


def _triangle(value: float, size: float) -> str:
    """Points to where the value lies."""
    tip = -size if value > 0 else size
    return f"m0 {tip:g}l{size:g} {-2 * tip:g}h{-2 * size:g}z"


def _about_rounds(
    plots: Plots, values: Sequence[float], left_out: Sequence[RoundDot], y: Axis, margin_s: float | None
) -> str:
    many = len(values) + len(left_out)
    parts = [f"{len(values)} of {many} rounds are compared, each by the median of its players"]
    if len(plots.rounds) > many:
        parts[0] += f"; drawn are the newest {many} of {len(plots.rounds)}"
    if values and margin_s is not None:
        inside = sum(abs(value) < margin_s for value in values)
        parts.append(f"Inside of the margin of ±{margin_s:g} s: {inside}")
    elif margin_s is None:
        parts.append("The margin is not recorded")
    parts.append(f"Bad: {sum(one.bad for one in plots.rounds) or 'none'}")
    return ". ".join(parts) + "." + _beyond([value for value in values if not y.holds(value)])


def _beyond(values: Sequence[float]) -> str:
    if not values:
        return ""
    return f" Beyond the axis: {len(values)}, the farthest {seconds(max(values, key=abs))}."


def _together(evenings: Sequence[Evening], label: str) -> Evening:
    covered, rounds = sum(one.covered for one in evenings), sum(one.rounds for one in evenings)
    return Evening(label, covered, rounds, st.lower_bound(covered, rounds))


def _whole(numbers: Any, evenings: Sequence[Evening]) -> Evening:
    """All evenings as they were judged; the sum of the bars where the record does not say."""
    covered, rounds = number(numbers, "rounds_covered"), number(numbers, "rounds")
    if covered is None or rounds is None or not 0 <= covered <= rounds or rounds < 1:
        return _together(evenings, "together")
    return Evening("together", int(covered), int(rounds), number(numbers, "coverage_lower"))


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
