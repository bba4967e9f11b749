"""Inline SVG: bars of coverage and the times at which evidence was collected. Pure text from data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from python_checks.report.markup import svg
from python_checks.report.model import Coverage

WIDTH = 420  # so that 14 px stay readable on a phone
_SHOWN_SAMPLES = 6
_BAR = 230


def coverage_bars(samples: Sequence[Coverage]) -> str:
    """R1 and R2 of the newest samples, newest first; "" without samples."""
    shown = list(reversed(samples))[:_SHOWN_SAMPLES]
    if not shown:
        return ""
    parts: list[str] = []
    y = 0
    for sample in shown:
        when = f"{sample.at:%Y-%m-%d %H:%M} UTC, {sample.host}, record {sample.seq}"
        parts.append(f'<text class="cap" x="0" y="{y + 16}">{escape(when)}</text>')
        y += 24
        for bar in sample.bars:
            share = bar.with_lua / bar.total if bar.total else 0.0
            told = f"{bar.with_lua} of {bar.total} ({share:.0%})" if bar.total else "no round played"
            parts.append(f'<text x="0" y="{y + 17}">{escape(bar.half)}</text>')
            parts.append(f'<rect class="track" x="34" y="{y}" width="{_BAR}" height="24" rx="4"/>')
            if bar.with_lua:
                parts.append(f'<rect class="fill" x="34" y="{y}" width="{_BAR * share:.1f}" height="24" rx="4"/>')
            parts.append(f'<text x="{_BAR + 44}" y="{y + 17}">{escape(told)}</text>')
            y += 30
        y += 8
    return svg(WIDTH, y, "Rounds with Lua data, by half", parts)


def timeline(records: Sequence[Mapping[str, Any]]) -> str:
    """A dot for each record: its step across, its time along; "" with fewer than two records."""
    dots = [(datetime.fromisoformat(str(one["at"])), _row_of(one), _kind_of(one), one) for one in records]
    if len(dots) < 2:
        return ""
    rows = sorted({row for _, row, _, _ in dots}, key=_order)
    first, last = min(dots, key=lambda dot: dot[0])[0], max(dots, key=lambda dot: dot[0])[0]
    span_s = max((last - first).total_seconds(), 1.0)
    parts: list[str] = []
    for number, row in enumerate(rows):
        y = 14 + number * 24
        parts.append(f'<text x="0" y="{y + 5}">{escape(row)}</text>')
        parts.append(f'<line class="grid" x1="64" y1="{y}" x2="{WIDTH - 10}" y2="{y}"/>')
    for moment, row, kind, record in dots:
        x = 72 + (WIDTH - 90) * (moment - first).total_seconds() / span_s
        title = escape(f"record {record['seq']}: {moment:%Y-%m-%d %H:%M:%S} UTC")
        y = 14 + rows.index(row) * 24
        parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y}" r="5"><title>{title}</title></circle>')
    bottom = 14 + len(rows) * 24
    parts.append(f'<text class="cap" x="64" y="{bottom + 8}">{first:%Y-%m-%d %H:%M}</text>')
    parts.append(
        f'<text class="cap" x="{WIDTH - 10}" y="{bottom + 8}" text-anchor="end">{last:%Y-%m-%d %H:%M} UTC</text>'
    )
    return svg(WIDTH, bottom + 16, "When evidence was recorded, by step", parts)


def _row_of(record: Mapping[str, Any]) -> str:
    if record.get("kind") == "step":
        return str(record.get("step"))
    result = record.get("result")
    gate = result.get("gate") if isinstance(result, Mapping) else None
    return str(gate or record.get("kind"))


def _order(row: str) -> tuple[int, list[int], str]:
    digits = row.split(".")
    return (0, [int(digit) for digit in digits], "") if all(part.isdigit() for part in digits) else (1, [], row)


def _kind_of(record: Mapping[str, Any]) -> str:
    """The dot's class: what the record says, by the names of verdicts."""
    result = record.get("result")
    if not isinstance(result, Mapping) or result.get("failed"):
        return "v-fail"
    if record.get("kind") == "verdict":
        return f"v-{str(result.get('verdict')) if str(result.get('verdict')).isalpha() else 'error'}"
    return {"revert": "v-drift", "action": "v-act"}.get(str(record.get("leg")), "v-seen")
