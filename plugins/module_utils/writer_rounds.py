"""Shape a deployed writer's files, the database's rows and the bot's log into the samples that gate 4 judges; pure.

Three independent witnesses of one half are held against each other: field 9 of the stats file (the game's own clock),
the webhook's row (whole unix seconds, and no pause before webhook 1.6.3), and what the bot stored for the players. A
disagreement by a factor near 1000 or 60 is an error of unit and is named with its factor.

A half's ``code`` says why it is no evidence: HALF_WRITTEN, MIXED (R1 ran another writer than R2), BOT, STATUS (not a
completed round), NOT_STORED, UNSETTLED (too young to miss something); empty when it counts.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.slomix.timetracking.plugins.module_utils.stats_checks import TOLERANCE_S, unit_factor
from ansible_collections.slomix.timetracking.plugins.module_utils.webhook_version import sees_pauses

STORED_TOLERANCE_S = 12.0
"""A stored time may be the difference of two texts in 0.1 min: 6 s of each."""
LOG_WINDOW_S = 120.0
"""The parser's line is written in the run of the import that makes the round's row."""
_ZONES_H = 14
_FAILED = ("failed", "unreachable")


def failed(*parts: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """A failed result for the evidence when one of the modules' results is one; else None."""
    for part in parts:
        if any(part.get(key) for key in _FAILED):
            return {"failed": True, "msg": str(part.get("msg") or "file, log or database could not be read")}
    return None


def halves_wanted(files: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """What writer_halves.sql asks about: stamp, map, round and raw_guids of each file of stats_header_info."""
    return [{key: one.get(key) for key in ("stamp", "map", "round", "raw_guids")} for one in files.get("rounds") or []]


def file_sample(files: Mapping[str, Any], load: Mapping[str, Any], settle_s: float) -> Dict[str, Any]:
    """What step 4.2 records: the newest complete round file and every round file since the load.

    ``files`` is the result of stats_header_info with ``since`` (the load's local time), ``load`` that of
    lua_load_info.
    """
    if load.get("state") != "loaded" or not load.get("loaded_at_local"):
        # Without a load there is no window; the gate takes "skipped" for no data.
        return {"skipped": True, "load_state": load.get("state")}
    loaded = str(load["loaded_at_local"])
    return failed(files) or {
        "changed": False,
        "loaded_at_local": loaded,
        "loaded_at_unix": load.get("loaded_at_unix"),
        "newest": _newest(files, loaded),
        "halves": [_file(one, loaded, settle_s) for one in files.get("rounds") or []],
    }


def stored_sample(
    files: Mapping[str, Any],
    rows: Mapping[str, Any],
    log: Mapping[str, Any],
    load: Mapping[str, Any],
    settle_s: float,
) -> Dict[str, Any]:
    """What step 4.3 records: the same halves, as webhook, bot and database have them.

    ``rows`` is the result of pg_read_info with writer_halves.sql, ``log`` that of log_window_info over bot.log with the
    pattern ``source`` (groups at, source).
    """
    base = file_sample(files, load, settle_s)
    if base.get("skipped") or base.get("failed"):
        return base
    broken = failed(rows, log)
    if broken:
        return broken
    known = {_key(row): row for row in rows.get("rows") or []}
    lines = list((log.get("matches") or {}).get("source") or [])
    halves = [_stored(half, known.get(_key(half), {}), lines, settle_s) for half in base["halves"]]
    told = {key: log.get(key) for key in ("counts", "control_count", "gap", "window_empty", "window_state")}
    return {**base, "halves": halves, "log": told}


def _key(row: Mapping[str, Any]) -> Any:
    return row.get("stamp"), row.get("map"), row.get("round")


def _newest(files: Mapping[str, Any], loaded: str) -> Dict[str, Any]:
    """The newest complete round file, and why it is none of the deployed writer's (``code``)."""
    header = files.get("header") or {}
    code = "NO_FILE" if not files.get("found") else "" if str(files.get("stamp")) > loaded else "BEFORE_LOAD"
    return {
        "name": files.get("name"),
        "code": code,
        "fields": header.get("fields"),
        "playtime_ms": header.get("playtime_ms"),
        "skipped": files.get("skipped"),
        "counts": files.get("counts"),
        "doubts": files.get("doubts"),
    }


def _file(one: Mapping[str, Any], loaded: str, settle_s: float) -> Dict[str, Any]:
    header = one.get("header") or {}
    first = one.get("first_half") or {}
    young = one.get("age_s") is None or one["age_s"] < settle_s
    faults = [str(fault.get("text")) for fault in one.get("violations") or ()]
    if not one.get("complete"):
        faults.insert(0, str(one.get("why_incomplete")))
    code = ""
    if not one.get("complete") and young:
        code = "HALF_WRITTEN"
    elif first and (str(first.get("stamp")) <= loaded or first.get("fields") != header.get("fields")):
        code = "MIXED"
    return {
        "name": one.get("name"),
        "stamp": one.get("stamp"),
        "map": one.get("map"),
        "round": one.get("round"),
        "code": code,
        "young": young,
        "fields": header.get("fields"),
        "field9": header.get("playtime"),
        "playtime_ms": header.get("playtime_ms"),
        "players": one.get("players"),
        "longest_played_min": one.get("longest_played_min"),
        "fault": "; ".join(faults),
    }


def _stored(
    half: Mapping[str, Any], row: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], settle_s: float
) -> Dict[str, Any]:
    playtime_ms = half["playtime_ms"]
    played_s = None if playtime_ms is None else playtime_ms / 1000
    return {
        **half,
        "code": half["code"] or _code(half, row, settle_s),
        "round_id": row.get("round_id"),
        "rounds": row.get("rounds"),
        **_against_webhook(played_s, row),
        **_against_players(half, played_s, row),
        **_source(row, lines),
    }


def _code(half: Mapping[str, Any], row: Mapping[str, Any], settle_s: float) -> str:
    if row.get("is_bot"):
        return "BOT"
    if row.get("round_id") is None:
        return "UNSETTLED" if half["young"] else "NOT_STORED"
    if row.get("round_status") not in ("completed", None):
        return "STATUS"
    age_s = row.get("age_s")
    return "UNSETTLED" if age_s is not None and age_s < settle_s and not row.get("lua_rows") else ""


def _against_webhook(played_s: Optional[float], row: Mapping[str, Any]) -> Dict[str, Any]:
    """Field 9 against end - start - pauses of the webhook's row. ``webhook_fault`` is a sentence where they cannot both
    be true. ``webhook_code`` says why the row is no witness: NO_WEBHOOK_ROW, TWO_WEBHOOK_ROWS, PAUSE_UNSEEN where it is
    longer (a webhook before 1.6.3 counts pauses as play, and after a restart also warm-up), or PAUSE_DOUBTFUL where only
    a pause makes it shorter that such a webhook cannot have seen (it takes a hitch of the server for one)."""
    start, end, pauses = (row.get(key) for key in ("lua_start_unix", "lua_end_unix", "lua_pauses_s"))
    result: Dict[str, Any] = {
        "lua_rows": row.get("lua_rows"),
        "lua_s": None,
        "lua_off_s": None,
        "webhook_fault": None,
        "webhook_code": "NO_WEBHOOK_ROW",
    }
    if (row.get("lua_rows") or 0) > 1:
        return {**result, "webhook_code": "TWO_WEBHOOK_ROWS"}
    if played_s is None or start is None or end is None or row.get("lua_rows") != 1:
        return result
    lua_s = float(end) - float(start) - float(pauses or 0)
    off_s = round(played_s - lua_s, 3)
    factor = unit_factor(played_s, lua_s)
    fault, code = "", ""
    if factor:
        fault = (
            f"unit error by a factor of {_named(factor)}: field 9 says {played_s:g} s, the webhook's row of the same half"
            f" {lua_s:g} s; field 9 is written in another unit than milliseconds"
        )
    elif (
        off_s >= TOLERANCE_S
        and off_s - float(pauses or 0) < TOLERANCE_S
        and not sees_pauses(str(row.get("lua_version")))
    ):
        code = "PAUSE_DOUBTFUL"
    elif off_s >= TOLERANCE_S:
        fault = f"field 9 says {played_s:g} s, {off_s:g} s more than the webhook's row of the same half ({lua_s:g} s)"
    elif off_s <= -TOLERANCE_S:
        code = "PAUSE_UNSEEN"
    return {**result, "lua_s": lua_s, "lua_off_s": off_s, "webhook_fault": fault, "webhook_code": code}


def _against_players(half: Mapping[str, Any], played_s: Optional[float], row: Mapping[str, Any]) -> Dict[str, Any]:
    """Field 9 against the longest time that the bot stored for a player of the half (and of the match summary).
    ``stored_code`` says why that time is no witness: NO_TIMES, NOT_WHOLE where nobody played the whole half, ORPHAN
    where the bot had no R1 at hand and stored an R2 as its file says it, both halves together."""
    longest, summary = row.get("longest_s"), row.get("summary_longest_s")
    result: Dict[str, Any] = {
        "stored_players": row.get("players"),
        "stored_longest_s": longest,
        "summary_longest_s": summary,
        "stored_off_s": None,
        "stored_fault": None,
        "stored_code": "NO_TIMES",
    }
    if played_s is None or longest is None:
        return result
    off_s = round(float(longest) - played_s, 3)
    fault, code, factor = "", "", unit_factor(float(longest), played_s)
    if factor == 1 / 60 or (factor == 60 and _orphan(half, row)):
        factor = None  # a half that everybody left early looks like that, and one that is short beside the first
    where = f"the bot stored {longest:g} s for a player, field 9 says {played_s:g} s"
    # The summary is R2's field 9 in an unmended parser, at most the sum of both halves in a mended one: a short R2 may well be
    # a sixtieth of it.
    of_summary = None if summary is None else unit_factor(float(summary), played_s)
    if factor is None and of_summary in (1000, 1 / 1000):
        factor = of_summary
        where = f"the bot stored {summary:g} s for a player in the match summary, field 9 of R2 says {played_s:g} s"
    if factor is not None:
        reading = "milliseconds read as seconds" if factor == 1000 else "not read as milliseconds"
        fault = f"unit error by a factor of {_named(factor)}, {reading}: {where}; mend the parser first (phase 3)"
    elif off_s > STORED_TOLERANCE_S and _orphan(half, row):
        code = "ORPHAN"
    elif off_s > STORED_TOLERANCE_S:
        fault = f"{where}: {off_s:g} s more, allowed are {STORED_TOLERANCE_S:g} s"
    elif off_s < -STORED_TOLERANCE_S:
        code = "NOT_WHOLE"
    return {**result, "stored_off_s": off_s, "stored_fault": fault, "stored_code": code}


def _orphan(half: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Whether an R2 was imported without its R1: no match summary came with it, and the longest stored time is the one
    that its file has for both halves together (to the second: the importer multiplies that number)."""
    both_min = half.get("longest_played_min")
    if half.get("round") != 2 or row.get("summary_longest_s") is not None or both_min is None:
        return False
    return abs(float(row["longest_s"]) - float(both_min) * 60) <= 1


def _named(factor: float) -> str:
    return f"{factor:g}" if factor >= 1 else f"1/{1 / factor:g}"


def _source(row: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    """``source``: ``field9`` or ``header``, what the parser said that it used when this half's row was made; None when it
    said nothing then. A line names no file and the import of an R2 reads its R1 too: where the lines nearest to it
    disagree, which is which cannot be told (``both``). ``log_off_h``: whole hours by which the nearest line is off, when
    it is not near: log and database then keep different time zones."""
    created = _moment(row.get("created_at"))
    told: Dict[str, Any] = {"source": None, "log_off_h": None}
    if created is None:
        return told
    said = [(line.get("groups") or {}) for line in lines]
    near = [
        ((at - created).total_seconds(), str(groups.get("source")))
        for groups in said
        for at in [_moment(groups.get("at"))]
        if at is not None
    ]
    closest_s = min((abs(off_s) for off_s, _ in near), default=None)
    if closest_s is None:
        return told
    if closest_s > LOG_WINDOW_S:
        hours = {round(off_s / 3600) for off_s, _ in near if abs(off_s - 3600 * round(off_s / 3600)) <= 1}
        off_h = min((one for one in hours if 0 < abs(one) <= _ZONES_H), key=abs, default=None)
        return {**told, "log_off_h": off_h}
    sources = {source for off_s, source in near if abs(off_s) <= closest_s + 1}
    return {**told, "source": sources.pop() if len(sources) == 1 else "both"}


def _moment(text: Any) -> Optional[datetime]:
    try:
        return datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None
