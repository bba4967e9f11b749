"""Phase 5's comparison on the page: the decision in plain words, the pictures, what they rest on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from python_checks.gates import text
from python_checks.report import shadow_figures
from python_checks.report.markup import badge, shown
from python_checks.report.shadow_figures import Figure
from python_checks.report.shadow_model import Comparison, time_s
from python_checks.shadow import decision, words
from python_checks.shadow import statistics as st

# The comparison's own words in the colours of verdicts.
_COLOURS = {
    decision.OK: "pass",
    decision.BAD: "fail",
    st.EQUIVALENT: "pass",
    st.DIFFERENT: "fail",
    st.INCONCLUSIVE: "inconclusive",
    words.UNKNOWN: "none",
}
_KEYS = (
    ("dot", "●", "compared round", '<circle class="dot"'),
    ("bad", "◆", "bad round", '<path class="bad"'),
    ("out", "×", "not compared", '<path class="out"'),
    ("dot", "▲", "beyond the axis", '<path class="dot"'),
    ("look", "┊ 8", "planned look, with its interval", '<path class="look"'),
    ("margin", "■", "margin", '<rect class="margin"'),
)
"""Explained below the first picture when they are in it: colour, sign, meaning, and the mark."""


def section(one: Comparison, now: datetime, linked: bool) -> str:
    """One host's comparison. Old, damaged and hostile records give text, never an error. ``linked``: the page lists the record."""
    head = f"<h2>Old and new timing, {shown(one.host)}"
    failed = ""
    if one.failed:
        # The verdict of an earlier run must not stand where the newest one's would.
        head += f" {badge('error', 'no result')}"
        before = " What follows is the run before it." if one.at else ""
        failed = f'<p class="alarm">The newest run of step 5.1 has no result: {shown(one.failed)}.{before}</p>'
    if one.at is None:
        return f"<section>{head}</h2>{failed}</section>"
    found = one.found
    verdict = "" if one.failed else f" {_badge(found.get('verdict'))}"
    age = text.age((now - one.at).total_seconds())
    record = f'<a href="#r{one.seq}">record {one.seq}</a>' if linked else f"record {one.seq}"
    return (
        f'<section class="shadow">{head}{verdict}</h2>{failed}'
        f'<p class="sub">Dead time of each player: OLD from the stats file, NEW from the webhook. Compared on {one.at:%Y-%m-%d %H:%M} UTC'
        f" ({shown(age)} ago), {record}; margin {_margin(found.get('numbers'))}, chosen before looking.</p>"
        f"{_decision(found)}{_settles(found)}{_pictures(one)}{_table_told(found)}{_answers(found)}{_figures(found)}"
        f"{_left_out(found)}</section>"
    )


def _badge(verdict: Any) -> str:
    name = verdict if isinstance(verdict, str) else words.UNKNOWN
    return badge(_COLOURS.get(name, name), name)


def _margin_s(numbers: Any) -> float | None:
    """The margin; one that no comparison takes is damage."""
    value = time_s(numbers, "margin_s")
    return value if value is not None and value >= decision.MIN_MARGIN_S else None


def _margin(numbers: Any) -> str:
    value = _margin_s(numbers)
    return "not recorded" if value is None else f"±{value:g} s"


def _decision(found: Any) -> str:
    hit = next((row for row in _table(found) if row[""]), None)
    said = words.outcome(hit) if hit else f"a decision that this version does not know: {found.get('decision')}"
    return f'<p class="sum">{shown(said[0].upper() + said[1:])}.</p>'


def _table(found: Any) -> list[dict[str, str]]:
    return decision.table(str(found.get("decision")), str(found.get("coverage")))


def _table_told(found: Any) -> str:
    """The decision table as sentences; the row that applies is marked in words too."""
    rows = "".join(
        f'<li class="applies"><b>Applies now.</b> {_row(row)}</li>' if row[""] else f"<li>{_row(row)}</li>"
        for row in _table(found)
    )
    return f"<h3>The decision table</h3><ol class='table'>{rows}</ol>"


def _row(row: dict[str, str]) -> str:
    return f"When {shown(words.condition(row))}: <strong>{shown(words.outcome(row))}</strong>."


def _settles(found: Any) -> str:
    codes = words.settles(found)
    if not codes:
        return ""
    told = "".join(f"<dt><code>{shown(code)}</code></dt><dd>{shown(way)}</dd>" for code, way in codes)
    return f"<h3>What would settle it</h3><dl class='codes'>{told}</dl>"


def _pictures(one: Comparison) -> str:
    if one.plots is None:
        return f'<p class="none">{shown(one.missing)}</p>'
    numbers = one.found.get("numbers")
    lost = one.plots.unreadable
    note = f'<p class="alarm">{lost} recorded points are no numbers and are not drawn.</p>' if lost else ""
    first = shadow_figures.differences(one.plots, one.found.get("looks"), _margin_s(numbers))
    keys = "".join(
        f'<span><i class="k-{kind}">{sign}</i> {label}</span>' for kind, sign, label, mark in _KEYS if mark in first.svg
    )
    figures = (
        _picture(first, f"<p class='sub legend'>{keys}</p>"),
        _picture(shadow_figures.agreement(one.plots, numbers)),
        _picture(shadow_figures.coverage(one.plots, numbers)),
    )
    return f'{note}<div class="figures">{"".join(figures)}</div>'


def _picture(figure: Figure, legend: str = "") -> str:
    drawn = f"{figure.svg}{legend}" if figure.svg else ""
    return f"<figure><h3>{shown(figure.title)}</h3>{drawn}<figcaption>{shown(figure.about)}</figcaption></figure>"


def _answers(found: Any) -> str:
    items = "".join(
        f"<li>{_badge(one.verdict)} <strong>{shown(one.asks)}</strong>"
        f"<ul>{''.join(f'<li>{shown(sentence)}</li>' for sentence in one.told)}</ul></li>"
        for one in words.answers(found)
    )
    return f"<h3>What it rests on</h3><ul class='checks'>{items}</ul>"


def _figures(found: Any) -> str:
    told = "".join(f"<dt>{shown(name)}</dt><dd>{shown(value)}</dd>" for name, value in words.figures(found))
    return f"<h3>Plain figures, which decide nothing</h3><dl>{told}</dl>"


def _left_out(found: Any) -> str:
    told = "".join(
        f"<dt><code>{shown(reason)}</code></dt><dd>{shown(many)} {shown(meaning)}</dd>"
        for reason, many, meaning in words.not_compared(found)
    )
    return f"<h3>Not compared</h3><dl class='codes'>{told}</dl>" if told else ""
