"""Does a session's embed keep Discord's limits, and does it show the timing that the site is set to show? Pure.

What is shown is held against the database: dead time from the stats file (OLD, clamped to the time played) and from Lua (NEW, clamped
to it and to the measured round; OLD stands in where a round has no Lua row), summed over the session (domain.md 7). The display of a
site is its own, so only this is asked of it: a player's line begins with the name, perhaps after a rank, and times read m:ss. What
cannot be read that way is not compared, and what is not compared proves nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from ansible_collections.slomix.timetracking.plugins.module_utils.stats_checks import unit_factor
from ansible_collections.slomix.timetracking.plugins.module_utils.stats_header import clock_text

FIELDS, NAME, VALUE, TITLE, DESCRIPTION, FOOTER, WHOLE = 25, 256, 1024, 256, 4096, 2048, 6000
"""Discord's limits: fields of an embed, characters of its parts, and of all embeds of a message together."""

TOLERANCE_S = 1
NEW, BOTH, OLD, SAME, OTHER, UNKNOWN = "new", "both", "old", "same", "other", "unknown"
NEWEST, OLDER, STALE = "newest", "older", "stale"
ENOUGH = 10
"""So many values that fit are a session's, whoever else played: as a board of the first ten shows them."""
STALE_PLAYERS = 2
"""Of so many players at least must a value be shown that the same late rounds explain, and neither old nor new: one may fit by chance."""
_SHOWN = 20
_DEPTH = 8

_CLOCK = re.compile(r"(?<![\d:.])(\d{1,7}):([0-5]\d)(?::([0-5]\d))?(?![\d:])")
_ASIDE = re.compile(r"\([^)]*\)")
_DEAD = re.compile(r"dead", re.IGNORECASE)
_NEXT_LABEL = re.compile(r"[,;\n]|denied|alive|played", re.IGNORECASE)
_LEAD = r"^[^\w\n]*(?:\d{1,3}(?:[.):]|\s)\s*[^\w\n]*)?"
_NO_LUA = re.compile(r"no[- _]?lua", re.IGNORECASE)
_NO_DATA = re.compile(r"no lua data|lua timing missing", re.IGNORECASE)


@dataclass
class Player:
    """What the database holds of one player in a session; seconds."""

    names: Set[str] = field(default_factory=set)
    old_s: int = 0
    new_s: int = 0
    rounds: int = 0
    lua_rounds: int = 0


def plain(text: str) -> str:
    """A name or a line without the marks that a chat escapes or formats with."""
    return re.sub(r"[\\*_`~|]", "", text).strip()


def messages(document: Any, depth: int = 0) -> Iterator[List[Any]]:
    """The embeds of each message in a JSON document: an embed, a message, an export of many."""
    if depth > _DEPTH:
        return
    if isinstance(document, list):
        for item in document:
            yield from messages(item, depth + 1)
    elif isinstance(document, dict):
        if isinstance(document.get("embeds"), list):
            if document["embeds"]:
                yield list(document["embeds"])
        elif isinstance(document.get("fields"), list) or "description" in document:
            yield [document]
        else:
            for item in document.values():
                yield from messages(item, depth + 1)


def form_faults(embeds: Sequence[Any]) -> List[str]:
    """What Discord would refuse in the embeds of one message, one sentence each."""
    faults: List[str] = []
    total = 0

    def length(what: str, value: Any, most: int, least: int = 0) -> None:
        nonlocal total
        if value is None and not least:
            return
        if not isinstance(value, str):
            faults.append(f"{what} is no text ({value!r:.40})")
            return
        total += len(value)
        if not least <= len(value) <= most:
            faults.append(f"{what} has {len(value)} characters, allowed are {least} to {most}")

    for number, embed in enumerate(embeds, start=1):
        if not isinstance(embed, dict):
            faults.append(f"embed {number} is no object")
            continue
        length("the title", embed.get("title"), TITLE)
        length("the description", embed.get("description"), DESCRIPTION)
        footer = embed.get("footer")
        length("the footer", footer.get("text") if isinstance(footer, dict) else None, FOOTER)
        fields = embed.get("fields") or []
        if not isinstance(fields, list) or len(fields) > FIELDS:
            count = len(fields) if isinstance(fields, list) else "no list of"
            faults.append(f"embed {number} has {count} fields, allowed are {FIELDS}")
        for at, entry in enumerate(fields if isinstance(fields, list) else [], start=1):
            one: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
            length(f"the name of field {at}", one.get("name"), NAME, 1)
            length(f"the value of field {at}", one.get("value"), VALUE, 1)
    if total > WHOLE:
        faults.append(f"the embeds of a message have {total} characters, allowed are {WHOLE}")
    return faults


def check(document: Any, rows: Sequence[Mapping[str, Any]], wanted: str) -> Dict[str, Any]:
    """One embed against the database.

    ``rows`` are those of session_display.sql (a row per player and half of the newest sessions, ``rank`` 1 the newest), ``wanted`` is
    what the bot is set to show (new, both). Returns counts, the first differences, ``shows`` (new, both, old, mixed, unknown),
    ``session`` (newest, older, stale, unknown) and ``fault``, a sentence when what is shown is wrong; unknown is no fault and no pass.
    """
    groups = list(messages(document))
    embeds = [embed for group in groups for embed in group if isinstance(embed, dict)]
    faults = [fault for group in groups for fault in form_faults(group)]
    ranks = sorted({int(row["rank"]) for row in rows})
    fits = {rank: _compare(embeds, [row for row in rows if row["rank"] == rank]) for rank in ranks}
    newest = fits.get(1) or _compare(embeds, [])
    older = [rank for rank in ranks if rank != 1 and _fits(fits[rank])]
    session = NEWEST if _fits(newest) else OLDER if older else UNKNOWN
    if session == UNKNOWN or (session == NEWEST and newest["shows"] != wanted):
        stale = _stale(embeds, [row for row in rows if row["rank"] == 1], wanted)
        newest, session = (stale, STALE) if stale else (newest, session)
    text = "\n".join(_everything(embeds))
    lua_rows = sum(1 for row in rows if row["rank"] == 1 and row.get("new_dead_s") is not None)
    marks = list(newest["marks"])
    if lua_rows and _NO_DATA.search(text):
        marks.append(f"{_NO_DATA.search(text).group(0)!r}, though {lua_rows} Lua rows are linked")  # type: ignore[union-attr]
    first = next((row for row in rows if row["rank"] == 1), {})
    sample: Dict[str, Any] = {
        "changed": False,
        "wanted": wanted,
        "embeds": len(embeds),
        "fields": sum(len(embed.get("fields") or []) for embed in embeds if isinstance(embed.get("fields"), list)),
        "violations": faults[:_SHOWN],
        "violation_count": len(faults),
        "marks": marks[:_SHOWN],
        "mark_count": len(marks),
        "session": session,
        "session_id": first.get("session"),
        "shows": newest["shows"],
        **{key: newest[key] for key in ("players", "named", "compared", "telling", "unequal")},
        "late_rounds": newest.get("late_rounds", 0),
        "lua_rows": lua_rows,
        "table": newest["table"][:_SHOWN],
    }
    return {**sample, "fault": _fault(sample)}


def unread(wanted: str, problem: str) -> Dict[str, Any]:
    """The sample where there is no embed to look at."""
    return {**check(None, [], wanted), "problem": problem}


def sentence(sample: Mapping[str, Any]) -> str:
    """The sample in one sentence, with what to do next where it proves nothing."""
    if sample.get("problem"):
        return str(sample["problem"])
    if sample["fault"]:
        return f"found: {sample['fault']}; required: the {sample['wanted']} values of the newest session in a form that Discord takes"
    if sample["session"] == OLDER:
        return "the embed is of an older session; ask the bot for its newest one and check again"
    if sample["session"] == STALE:
        return (
            f"the embed shows the old dead time for the last {sample['late_rounds']} rounds and the new one before, as a bot does that "
            "compared them before their spawn data came; play one more round, wait for its spawn data, then ask the bot again"
        )
    said = f"{sample['compared']} of {sample['players']} players compared, {sample['telling']} with values that differ"
    if sample["shows"] == sample["wanted"] and sample["session"] == NEWEST:
        return f"the embed shows {sample['shows']} as it should ({said})"
    if not sample["players"]:
        return "the database holds no session; play one"
    if sample["telling"] and not sample["unequal"] and sample["shows"] == sample["wanted"]:
        return (
            f"what is shown fits, but too little of it ({said}, {sample['named']} named); required are names and m:ss of half the players, "
            f"or of {ENOUGH} and nobody named without: save the bot's whole answer with all its embeds, or check a session of fewer players"
        )
    return (
        f"what the embed shows cannot be told ({said}); required are names and m:ss of half the players at least, and somebody whose "
        "old and new dead time differ: play a round whose spawn data arrive, then ask again"
    )


def _fault(sample: Mapping[str, Any]) -> str:
    if sample["violation_count"]:
        return "; ".join(sample["violations"][:3])
    if sample["session"] == OLDER:
        return ""
    if sample["mark_count"]:
        return "; ".join(sample["marks"][:3])
    if sample["session"] == STALE:
        return ""
    if sample["unequal"]:
        return "; ".join(
            f"{one['name']}: {one['shown']} is shown, old is {clock_text(one['old_s'])}, new {clock_text(one['new_s'])}"
            f"{', an error of unit by ' + one['unit'] if one['unit'] else ''}"
            for one in sample["table"]
            if one["kind"] == OTHER
        )
    if sample["shows"] not in (UNKNOWN, sample["wanted"]) and sample["wanted"] in (NEW, BOTH, OLD):
        return f"the embed shows {sample['shows']}"
    return ""


def _fits(found: Mapping[str, Any]) -> bool:
    """Whether values, old or new, are those of a session: none that is neither, and enough of them. That is half of its players, or ten,
    one of them telling, where nobody else is named: who is named without a time that can be read may be shown wrongly."""
    is_board = found["compared"] >= ENOUGH and found["compared"] == found["named"] and found["telling"]
    return (
        bool(found["compared"]) and not found["unequal"] and bool(found["compared"] * 2 >= found["players"] or is_board)
    )


def _readings(rows: Sequence[Mapping[str, Any]]) -> List[Sequence[Mapping[str, Any]]]:
    """A site may or may not count rounds that were not completed."""
    played = [row for row in rows if row.get("round_status") == "completed" and not row.get("is_bot")]
    return [rows, played] if played else [rows]


def _compare(embeds: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> Dict[str, Any]:
    """The embeds against one session; the better reading counts."""
    readings = [_read(embeds, _players(some)) for some in _readings(rows)]
    return min(readings, key=lambda found: (found["unequal"], -found["compared"]))


def _stale(
    embeds: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]], wanted: str
) -> Optional[Dict[str, Any]]:
    """The embeds as a bot shows them that compared the last rounds before their spawn data came (domain.md 7): OLD for these, the same ones
    for every player, NEW before them. All rounds at OLD is no such thing: that is what a display of OLD shows."""
    for some in _readings(rows):
        now = {sorted(one.names)[0]: one.new_s for one in _players(some).values() if one.names}
        ordered = sorted(some, key=lambda row: (str(row.get("played_at") or ""), int(row["round_id"])))
        rounds = list(dict.fromkeys(row["round_id"] for row in ordered))
        for count in range(1, len(rounds)):
            late = set(rounds[-count:])
            then = [{**row, "new_dead_s": None} if row["round_id"] in late else row for row in some]
            found = _read(embeds, _players(then))
            proof = [
                one
                for one in found["table"]
                if min(abs(one["new_s"] - other) for other in (one["old_s"], now[one["name"]])) > 2 * TOLERANCE_S
            ]
            if _fits(found) and found["shows"] == wanted and len(proof) >= STALE_PLAYERS:
                return {**found, "late_rounds": count}
    return None


def _players(rows: Sequence[Mapping[str, Any]]) -> Dict[str, Player]:
    found: Dict[str, Player] = {}
    for row in rows:
        if not row.get("player_guid"):
            continue
        player = found.setdefault(str(row["player_guid"]), Player())
        played = int(row.get("played_s") or 0)
        old = _clamp(round(float(row.get("old_dead_s") or 0)), played)
        new = row.get("new_dead_s")
        player.names.add(plain(str(row.get("name") or "")))
        player.old_s += old
        player.new_s += old if new is None else _clamp(int(new), min(played, int(row.get("duration_s") or played)))
        player.rounds += 1
        player.lua_rounds += new is not None
    for player in found.values():
        player.names.discard("")
    return found


def _clamp(value: int, most: int) -> int:
    return max(0, min(value, most))


def _read(embeds: Sequence[Mapping[str, Any]], players: Mapping[str, Player]) -> Dict[str, Any]:
    table: List[Dict[str, Any]] = []
    marks: List[str] = []
    named = 0
    timed = [plain(line) for text in _everything(embeds) for line in text.split("\n") if _CLOCK.search(line)]
    parts = _parts(embeds, {name for player in players.values() for name in player.names})
    for player in players.values():
        mine = [part for name in player.names for part in parts.get(name, [])]
        if not mine:
            named += any(_mentions(name, timed) for name in player.names)
            continue
        named += 1
        name = sorted(player.names)[0]
        if player.lua_rounds and any(_is_marked(player, one, players, parts) for one in player.names):
            marks.append(f"{name} is marked as without Lua data, but {player.lua_rounds} Lua rows are linked")
        # Two players of one name cannot be told apart: the line that fits counts.
        judged = [(kind_of(times, player), times) for part in mine for times in [dead_times(part)] if times]
        if not judged:
            continue
        kind, times = min(judged, key=lambda one: (BOTH, NEW, SAME, OLD, OTHER).index(one[0]))
        factors = [unit_factor(one, player.new_s) for one in times] if kind in (OLD, OTHER) else []
        table.append(
            {
                "name": name,
                "old_s": player.old_s,
                "new_s": player.new_s,
                "shown": " / ".join(map(clock_text, times)),
                "kind": kind,
                "unit": next((f"{factor:g}" for factor in factors if factor), ""),
            }
        )
    telling = [one["kind"] for one in table if abs(one["old_s"] - one["new_s"]) > 2 * TOLERANCE_S]
    kinds = set(telling) if telling else {one["kind"] for one in table}
    only = kinds.pop() if len(kinds) == 1 else "mixed" if kinds else UNKNOWN
    return {
        "players": len(players),
        "named": named,
        "compared": len(table),
        "telling": len(telling),
        "unequal": sum(1 for one in table if one["kind"] == OTHER),
        "shows": UNKNOWN if only in (SAME, OTHER) else only,
        "marks": marks,
        # What is wrong comes first: the table is cut.
        "table": sorted(table, key=lambda one: (one["kind"] != OTHER, one["kind"] != OLD, one["name"])),
    }


def _is_marked(player: Player, name: str, players: Mapping[str, Player], parts: Mapping[str, Sequence[str]]) -> bool:
    """Whether a player with Lua rows is marked as one without. A namesake without any may be marked: then only a marked line counts whose
    times are not the namesake's, or that all of them are shown and every line is marked."""
    bearers = [one for one in players.values() if name in one.names]
    unlinked = [one for one in bearers if not one.lua_rounds]
    mine = parts.get(name, [])
    marked = [part for part in mine if _NO_LUA.search(part)]
    if not unlinked:
        return bool(marked)
    his = [times for part in marked for times in [dead_times(part)] if times and kind_of(times, player) != OTHER]
    return any(all(kind_of(times, one) == OTHER for one in unlinked) for times in his) or len(marked) == len(
        mine
    ) >= len(bearers)


def _mentions(name: str, lines: Sequence[str]) -> bool:
    """Whether a name stands anywhere in one of these lines, as a word."""
    return any(name in line and re.search(f"(?<!\\w){re.escape(name)}(?!\\w)", line) for line in lines)


def kind_of(times_s: Sequence[int], player: Player) -> str:
    """Which of a player's two dead times some shown times are: new, both, old, same (they do not differ), other."""
    new = [one for one in times_s if abs(one - player.new_s) <= TOLERANCE_S]
    old = [one for one in times_s if abs(one - player.old_s) <= TOLERANCE_S]
    if abs(player.old_s - player.new_s) <= 2 * TOLERANCE_S:
        return (BOTH if len(set(new) | set(old)) > 1 or len(new) > 1 else SAME) if new and old else OTHER
    return BOTH if new and old else NEW if new else OLD if old else OTHER


def dead_times(part: str) -> List[int]:
    """The times of a player's part that stand for the dead time, in seconds: those behind the word, else of the first line."""
    text = _ASIDE.sub(" ", part)
    label = _DEAD.search(text)
    text = _NEXT_LABEL.split(text[label.end() :], maxsplit=1)[0] if label else text.partition("\n")[0]
    return [_seconds(*match.groups()) for match in _CLOCK.finditer(text)]


def _seconds(first: str, second: str, third: Optional[str]) -> int:
    total = int(first) * 60 + int(second)
    return total if third is None else total * 60 + int(third)


def _everything(embeds: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """All texts of the embeds in the order in which they are read."""
    for embed in embeds:
        yield from (str(embed[key]) for key in ("title", "description") if isinstance(embed.get(key), str))
        fields = embed.get("fields")
        for entry in fields if isinstance(fields, list) else []:
            if isinstance(entry, dict):
                yield f"{entry.get('name', '')}\n{entry.get('value', '')}"
        footer = embed.get("footer")
        if isinstance(footer, dict):
            yield str(footer.get("text", ""))


def _parts(embeds: Sequence[Mapping[str, Any]], names: Set[str]) -> Dict[str, List[str]]:
    """Name -> the texts behind it, up to the next line that begins with a name."""
    found: Dict[str, List[str]] = {}
    if not names:
        return found
    longest_first = sorted(names, key=lambda name: (-len(name), name))
    leading = re.compile(f"{_LEAD}({'|'.join(map(re.escape, longest_first))})(?!\\w)")
    here: Optional[Tuple[str, int]] = None
    for line in (line for text in _everything(embeds) for line in text.split("\n")):
        bare = plain(line)
        match = leading.match(bare)
        if match:
            parts = found.setdefault(match.group(1), [])
            parts.append(bare[match.end() :])
            here = (match.group(1), len(parts) - 1)
        elif here:
            name, at = here
            found[name][at] += f"\n{bare}"
    return found
