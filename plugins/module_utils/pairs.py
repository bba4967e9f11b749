"""Join what the database and the bot's log say about the halves since a Lua load into one sample for the gate."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, List, Mapping, Optional, Sequence


def posts(matches: Mapping[str, Sequence[Mapping[str, Any]]]) -> List[Dict[str, Any]]:
    """The STATS_READY posts that were stored: ``{match_id, round, map}`` each.

    ``matches`` is what log_window_info found in webhook.log for the patterns ``summary`` (groups map, round) and
    ``stored`` (groups match_id, round) of the role round_pairs.
    The summary line has map and half but no time, the stored line has the half's end but no map; a stored line belongs
    to the nearest summary of its half before it.
    """
    summaries = sorted(matches.get("summary", ()), key=lambda match: match["number"])
    taken = set()
    found = []
    for stored in sorted(matches.get("stored", ()), key=lambda match: match["number"]):
        groups = stored["groups"]
        before = [
            number
            for number, summary in enumerate(summaries)
            if number not in taken
            and summary["number"] < stored["number"]
            and summary["groups"]["round"] == groups["round"]
        ]
        if before:
            taken.add(before[-1])
            summary = summaries[before[-1]]["groups"]
            found.append({"match_id": groups["match_id"], "round": int(groups["round"]), "map": summary["map"]})
    return found


def sample(
    rows: Sequence[Mapping[str, Any]], log: Mapping[str, Any], load: Mapping[str, Any], settle_s: int
) -> Dict[str, Any]:
    """The result that step 1.7 records.

    ``rows`` are those of pairs_since_load.sql, ``log`` the result of log_window_info over webhook.log, ``load`` that
    of lua_load_info. A pair gets ``r1_posted`` and ``r2_posted``: True when the log shows the post of that very half,
    False when it does not, None when the log is incomplete. ``post_code`` is UNPOSTED for a pair whose rows are there
    though the log does not show the post: rows also come by the gametime file, and a log forgets its oldest posts.
    """
    shown = posts(log.get("matches", {}))
    whole = not log.get("gap", True) and not log.get("window_empty", True) and bool(log.get("control_count"))
    pairs = [_pair(row, shown, whole) for row in rows if row.get("kind") == "pair"]
    open_r1 = [_half(row, shown, whole) for row in rows if row.get("kind") == "open_r1"]
    counts = next((row for row in rows if row.get("kind") == "counts"), {})
    excluded = Counter(pair["code"] for pair in pairs if pair["code"])
    for reason in ("link_code", "post_code"):
        excluded.update(pair[reason] for pair in pairs if pair[reason] and not pair["code"])
    excluded.update({"R2_MISSING": len(open_r1)} if open_r1 else {})
    for name, code in (("summaries", "ROUND_0"), ("cancelled", "CANCELLED"), ("captured_late", "BEFORE_LOAD")):
        if counts.get(name):
            excluded[code] += counts[name]
    good = [pair for pair in pairs if not pair["code"]]
    return {
        "loaded_at_unix": load.get("loaded_at_unix"),
        "loaded_at_local": load.get("loaded_at_local"),
        "load_state": load.get("state"),
        "settle_s": settle_s,
        "pairs": pairs,
        "open_r1": open_r1,
        "excluded": dict(sorted(excluded.items())),
        "missing": {
            "r1_lua_rows": sum(pair["r1_lua_rows"] == 0 for pair in good),
            "r2_lua_rows": sum(pair["r2_lua_rows"] == 0 for pair in good),
            "r1_links": sum(pair["r1_right_links"] == 0 for pair in good),
            "r2_links": sum(pair["r2_right_links"] == 0 for pair in good),
        },
        "lua_rows_without_round": counts.get("lua_unlinked"),
        "unreadable_times": counts.get("unreadable_times"),
        "posts": shown,
        "log": {key: log.get(key) for key in ("counts", "control_count", "gap", "window_empty", "window_state")},
    }


_PAIR_KEYS = (
    "map",
    "r1_id",
    "r2_id",
    "r1_saved",
    "r2_saved",
    "r1_start_unix",
    "r2_start_unix",
    "r1_lua_rows",
    "r2_lua_rows",
    "r1_links",
    "r2_links",
    "r1_right_links",
    "r2_right_links",
    "r1_lua_match_id",
    "r2_lua_match_id",
    "r1_time",
    "r2_limit_fractional",
    "code",
    "link_code",
)


def _pair(row: Mapping[str, Any], shown: Sequence[Mapping[str, Any]], whole: bool) -> Dict[str, Any]:
    pair = {key: row.get(key) for key in _PAIR_KEYS}
    for half in (1, 2):
        pair[f"r{half}_posted"] = _posted(row, half, shown, whole)
    rows_unposted = [pair[f"r{half}_lua_rows"] for half in (1, 2) if pair[f"r{half}_posted"] is False]
    return {**pair, "post_code": "UNPOSTED" if rows_unposted and all(rows_unposted) else ""}


def _half(row: Mapping[str, Any], shown: Sequence[Mapping[str, Any]], whole: bool) -> Dict[str, Any]:
    half = {key: row.get(key) for key in _PAIR_KEYS if key == "map" or key.startswith("r1_")}
    return {**half, "r1_posted": _posted(row, 1, shown, whole)}


def _posted(row: Mapping[str, Any], half: int, shown: Sequence[Mapping[str, Any]], whole: bool) -> Optional[bool]:
    match_id = row.get(f"r{half}_lua_match_id")
    wanted = {"match_id": match_id, "round": half, "map": row.get("map")}
    if match_id and wanted in shown:
        return True
    return False if whole else None
