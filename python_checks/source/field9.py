"""The functions that ``parser-field9`` puts into a site's parser; kept here so that they can be tested by themselves.

They say the same as ``plugins/module_utils/stats_header.py``: whole digits are milliseconds, except where the number is field 8 in
seconds (or one more), which is how the whole-second files of an early writer look.
"""

from __future__ import annotations


def _field9_seconds(header_parts):
    """Seconds of header field 9 (whole milliseconds), or None when it is absent, not positive, unreadable or against the limit."""
    text = header_parts[8].strip() if len(header_parts) > 8 else ""
    if not (text.isascii() and text.isdigit() and len(text) <= 12) or int(text) == 0:
        return None
    clocks = []
    for clock in header_parts[6:8]:
        clock = clock.strip()
        minutes, colon, seconds = clock.partition(":")
        known = bool(colon) and clock.isascii() and minutes.isdigit() and seconds.isdigit()
        clocks.append(int(minutes) * 60 + int(seconds) if known else 0)
    limit, target = clocks
    if target > 0 and int(text) - target in (0, 1):
        return float(text)  # an early writer's whole seconds: field 8 again
    played = int(text) / 1000
    if played > (limit + 60 if limit > 0 else 86400):
        return None
    return played


def _field9_whole_seconds(header_parts):
    """As _field9_seconds, cut to whole seconds."""
    seconds = _field9_seconds(header_parts)
    return None if seconds is None else int(seconds)


def _field9_text(header_parts):
    """As _field9_seconds, whole seconds as digits: for code that makes the number somewhere else."""
    seconds = _field9_seconds(header_parts)
    return None if seconds is None else str(int(seconds))


def _own_seconds(minutes, round_seconds):
    """Whole seconds of a player's own minutes (tab field 22, without pauses) when known, else the round's."""
    return round(minutes * 60) if minutes and minutes > 0 else round_seconds
