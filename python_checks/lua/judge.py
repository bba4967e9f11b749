"""What a rehearsal requires. Pure: performances in, findings out.

Every script: it loads on the interpreter, no callback raises, modules behind it see what modules in front of it see, and it does
the same on both interpreters.

A writer in addition: see ``writer_judge``.

A webhook in addition: each half that was played to its end posts once, as JSON that Discord takes, with the right map, round,
teams, limit and score; a half that was broken off posts at most once; each post has its gametime file. When building or sending
fails once, the failure is logged, the gametime file is there, the busy flag is down, score and signature are as before, and the
next half posts.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from python_checks.lua.finding import Finding, short
from python_checks.lua.stage import FAULT_TEXT, Performance, Post, Written
from python_checks.lua.writer_judge import judge_writer

FIELD_LIMIT_CHARS = 1024
FIELDS_LIMIT = 25
#: Seconds by which a webhook's whole-second clock may differ from the frame clock.
CLOCK_TOLERANCE_S = 2
#: A half's start may be taken at the map load: the warm-up and its countdown then count as play.
WARMUP_ALLOWANCE_S = 60
#: A player list may be cut only when the next entry would not fit; no entry is longer than this.
LONGEST_ENTRY_CHARS = 32 + 6 * 36 + 30

_INT = r"-?\d+"
_SHAPES = {
    "Round": _INT, "Winner": _INT, "Defender": _INT, "Lua_Playtime": rf"{_INT} sec", "Lua_Pauses": rf"{_INT} \({_INT} sec\)",
    "Lua_Warmup": rf"{_INT} sec", "Lua_WarmupStart": _INT, "Lua_RoundStart": _INT, "Lua_RoundEnd": _INT, "Lua_SurrenderTeam": _INT,
    "Lua_AxisScore": _INT, "Lua_AlliesScore": _INT,
}  # fmt: skip
_WHOLE_META = (
    "round", "round_start_unix", "round_end_unix", "actual_duration_seconds", "warmup_seconds", "pause_seconds", "pause_count",
)  # fmt: skip
_LUA_ERROR = re.compile(
    r"Lua \d\.\d API: .*(error running lua script|syntax error during pre-compilation|VM start failed)"
)
_GAMETIME = re.compile(r"gametime-.*\.json$")
_COLOUR = re.compile(r"\^.")
#: The rosters of the Axis (team 1) and the Allies (2).
_TEAM_FIELDS = ("Axis_JSON", "Allies_JSON")


class StrictJson(ValueError):
    """A text that is no JSON in the strict sense."""


def strict_json(data: bytes) -> Any:
    """JSON without NaN, infinities, doubled names or bytes that are no UTF-8; raises StrictJson."""

    def refuse(name: str) -> Any:
        raise StrictJson(f"{name} is no JSON value")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in items]
        if len(set(names)) != len(names):
            raise StrictJson(f"a name occurs twice in {names}")
        return dict(items)

    try:
        return json.loads(data.decode("utf-8"), parse_constant=refuse, object_pairs_hook=pairs)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise StrictJson(str(error)) from error


def kind_of(source: bytes, performances: Iterable[Performance]) -> str:
    """``webhook``, ``writer`` or ``other``: by what the script put out, else by what it says that it would."""
    for performance in performances:
        if any(b"STATS_READY" in post.payload for post in performance.posts):
            return "webhook"
        if any(re.search(r"-round-\d\.txt$", f.path) for f in performance.files):
            return "writer"
    if b"STATS_READY" in source and re.search(rb"curl|os\.execute|io\.popen", source):
        return "webhook"
    return "writer" if b"gamestats" in source and b"endstats" not in source else "other"


class _Judge:
    """Collects the findings of one performance."""

    def __init__(self, file: str, module: str, performance: Performance) -> None:
        self.file = file
        self.module = module
        self.performance = performance
        self.findings: list[Finding] = []

    def add(self, half: str, code: str, found: str, required: str, *, is_remark: bool = False) -> None:
        play = self.performance
        self.findings.append(
            Finding(self.file, play.match, play.interpreter, half, play.fault, code, short(found), required, is_remark)
        )

    # --- every script

    def everyone(self) -> None:
        console = self.performance.console
        loaded = f"file '{self.module}' loaded into Lua VM"
        if not any(loaded in line for line in console):
            said = next(
                (line for line in console if self.module in line and "API" in line), "no line about it on the console"
            )
            self.add("", "not_loaded", said, "the interpreter loads the file")
        errors = [line for line in console if _LUA_ERROR.search(line) and FAULT_TEXT not in line]
        if errors:
            self.add(
                "", "lua_error", f"{len(errors)} error lines, the first: {errors[0]}", "no Lua error on the console"
            )
        first, last = (_witness(console, which) for which in ("first", "last"))
        if first != last:
            self.add(
                "",
                "stops_later_modules",
                f"et_Obituary and et_Damage reached the module in front {first} times, the one behind {last} times",
                "callbacks reach the modules behind it: et_Obituary returns nothing",
            )

    # --- webhooks

    def webhook(self) -> None:
        play = self.performance
        tally = [0, 0]
        for index, half in enumerate(play.halves):
            label = f"R{half['round']}" + (f" (half {index + 1})" if len(play.halves) > 2 else "")
            posts, files = self._of_half(index, play.posts), self._of_half(index, self._gametimes())
            winner = half["winner"]
            if half["completed"] and winner in (1, 2):
                tally[winner - 1] += 1
            is_hit = bool(play.fault) and index == 0
            if is_hit:
                self._after_fault(label, half, posts, files)
            elif half["completed"] and len(posts) != 1:
                code = "post_missing" if not posts else "post_repeated"
                self.add(label, code, f"{len(posts)} posts", "exactly one post for a half that was played to its end")
            elif len(posts) > 1:
                self.add(
                    label, "post_repeated", f"{len(posts)} posts", "at most one post for a half that was broken off"
                )
            for post in posts:
                self._post(label, half, post, tally)
            if (half["completed"] or posts) and not is_hit:
                self._gametime(label, half, files)

    def _gametimes(self) -> list[Written]:
        return [f for f in self.performance.files if _GAMETIME.search(f.path)]

    def _of_half(self, index: int, items: Sequence[Any]) -> list[Any]:
        """What was done from the half's beginning to the next one's."""
        halves = self.performance.halves
        begin = halves[index]["start_unix_ms"] if index else 0
        end = halves[index + 1]["start_unix_ms"] if index + 1 < len(halves) else math.inf
        return [item for item in items if begin <= item.unix_ms < end]

    def _post(self, label: str, half: dict[str, Any], post: Post, tally: list[int]) -> None:
        try:
            payload = strict_json(post.payload)
        except StrictJson as error:
            self.add(label, "post_invalid_json", str(error), "a payload that a strict JSON parser reads")
            return
        embeds = payload.get("embeds") if isinstance(payload, dict) else None
        fields = (
            embeds[0].get("fields") if isinstance(embeds, list) and embeds and isinstance(embeds[0], dict) else None
        )
        if not isinstance(payload, dict) or payload.get("content") != "STATS_READY" or not isinstance(fields, list):
            self.add(label, "post_content", "another shape", "content STATS_READY and one embed with fields")
            return
        values: dict[str, str] = {}
        for item in fields:
            if (
                not isinstance(item, dict)
                or not isinstance(item.get("name"), str)
                or isinstance(item.get("value"), (dict, list))
            ):
                self.add(label, "post_content", f"the field {item!r}", "fields of the form {name, value}")
                return
            values[item["name"]] = str(item.get("value"))
        self._sizes(label, values)
        self._fields(label, half, values)
        self._limit(label, half, values)
        self._score(label, half, values, tally)
        for side, name in enumerate(_TEAM_FIELDS, 1):
            self._names(label, half, values, side, name)

    def _sizes(self, label: str, values: dict[str, str]) -> None:
        if len(values) > FIELDS_LIMIT:
            self.add(
                label,
                "post_too_large",
                f"{len(values)} fields",
                f"at most {FIELDS_LIMIT} fields, or Discord answers 400",
            )
        for name, value in values.items():
            if len(value) > FIELD_LIMIT_CHARS:
                self.add(
                    label,
                    "post_too_large",
                    f"{len(value)} characters in {name}",
                    f"at most {FIELD_LIMIT_CHARS} characters in a field, or Discord answers 400 and the round is lost",
                )

    def _fields(self, label: str, half: dict[str, Any], values: dict[str, str]) -> None:
        wanted = {"Map": half["map"], "Round": str(half["round"])}
        if half["completed"]:
            wanted["Winner"] = str(half["winner"])
            wanted["Defender"] = str(half["defender"])
        for name, value in wanted.items():
            if name in ("Map", "Round") and name not in values:
                self.add(label, "post_field", f"no field {name}", f"a field {name}")
            elif name in values and values[name] != value:
                # In a half that was broken off g_currentRound is not turned over yet; webhooks up to 1.7 label it as the other round.
                is_remark = name == "Round" and not half["completed"]
                self.add(label, "post_field", f"{name} {values[name]}", f"{name} {value}", is_remark=is_remark)
        for name, shape in _SHAPES.items():
            if name in values and not re.fullmatch(shape, values[name]):
                self.add(label, "post_not_whole", f"{name} {values[name]!r}", "whole numbers")
        seconds = re.match(r"-?\d+", values.get("Lua_Playtime", ""))
        wall_s = (half["end_unix_ms"] - half["start_unix_ms"]) / 1000
        if seconds and not 0 <= int(seconds.group()) <= wall_s + WARMUP_ALLOWANCE_S:
            self.add(
                label, "post_field", f"Lua_Playtime {values['Lua_Playtime']}", f"between 0 and some {wall_s:.0f} sec"
            )
        end = values.get("Lua_RoundEnd", "")
        if (
            re.fullmatch(_INT, end)
            and half["completed"]
            and abs(int(end) - half["end_unix_ms"] / 1000) > CLOCK_TOLERANCE_S
        ):
            self.add(label, "post_field", f"Lua_RoundEnd {end}", f"about {half['end_unix_ms'] // 1000}, the half's end")

    def _limit(self, label: str, half: dict[str, Any], values: dict[str, str]) -> None:
        """The limit as a whole number of minutes (either way of rounding) or exact to three places."""
        shown = values.get("Lua_Timelimit")
        if shown is None:
            return
        exact = float(half["limit_min"] or 0)
        match = re.fullmatch(r"(\d+)(\.\d{1,3})? min", shown)
        is_right = match is not None and (
            abs(float(shown.split()[0]) - exact) <= 0.00051 if match.group(2) else abs(int(match.group(1)) - exact) < 1
        )
        if not is_right:
            self.add(
                label,
                "post_timelimit",
                f"Lua_Timelimit {shown!r}",
                f"{exact:g} as whole minutes or with up to 3 places, then ' min'",
            )

    def _score(self, label: str, half: dict[str, Any], values: dict[str, str], tally: list[int]) -> None:
        """A webhook's state dies with each load, so the score counts this half alone or, where it is kept, the match so far."""
        if not half["completed"] or "Lua_AxisScore" not in values or "Lua_AlliesScore" not in values:
            return
        found = (values["Lua_AxisScore"], values["Lua_AlliesScore"])
        alone = tuple(str(int(half["winner"] == side)) for side in (1, 2))
        so_far = tuple(str(count) for count in tally)
        if found not in (alone, so_far):
            self.add(
                label,
                "score_wrong",
                f"{found[0]}-{found[1]}",
                f"{alone[0]}-{alone[1]} (this half) or {so_far[0]}-{so_far[1]} (the match)",
            )

    def _names(self, label: str, half: dict[str, Any], values: dict[str, str], side: int, name: str) -> None:
        if name not in values:
            return
        try:
            listed = strict_json(values[name].encode("utf-8"))
            names = [_plain(str(entry["name"])) for entry in listed]
        except (StrictJson, TypeError, KeyError, UnicodeEncodeError) as error:
            self.add(label, "post_names", f"{name} is no list of players: {error!r}", "a JSON array of {guid, name}")
            return
        expected = [_plain(_shown(p["name"])) for p in half["players"] if p["team"] == side]
        strangers = sorted(set(names) - set(expected))
        if strangers or len(names) != len(set(names)):
            self.add(
                label, "post_names", f"{name} names {strangers or names}", f"each name once and as it is: {expected}"
            )
        elif (
            half["end"] != "empty_team_s"
            and len(names) < len(expected)
            and len(values[name]) + LONGEST_ENTRY_CHARS <= FIELD_LIMIT_CHARS
        ):
            self.add(
                label,
                "post_names",
                f"{name} names {len(names)} of {len(expected)} players",
                "all players that fit into the field",
            )

    def _gametime(self, label: str, half: dict[str, Any], files: list[Written]) -> None:
        if not files:
            self.add(
                label, "gametime_missing", "no gametime file", "one gametime-<map>-R<round>-<end>.json for each post"
            )
            return
        if len(files) > 1:
            self.add(label, "gametime_repeated", f"{len(files)} gametime files", "one for each half")
        for item in files:
            if item.content is None:
                self.add(
                    label,
                    "gametime_missing",
                    f"{item.path} outside of the game's folders",
                    "a file under the game's home folder",
                )
                continue
            try:
                content = strict_json(item.content)
            except StrictJson as error:
                self.add(label, "gametime_invalid_json", str(error), "a file that a strict JSON parser reads")
                continue
            self._meta(label, half, item, content)

    def _meta(self, label: str, half: dict[str, Any], item: Written, content: Any) -> None:
        meta = content.get("meta") if isinstance(content, dict) else None
        if not isinstance(meta, dict):
            self.add(label, "gametime_meta", "no meta", "an object with meta and payload")
            return
        broken_off = not half["completed"]
        for key, value in (("map", half["map"]), ("round", half["round"])):
            if meta.get(key) != value:
                is_remark = broken_off and key == "round"
                self.add(label, "gametime_meta", f"{key} {meta.get(key)!r}", f"{key} {value!r}", is_remark=is_remark)
        fractional = {k: meta[k] for k in _WHOLE_META if k in meta and not isinstance(meta[k], int)}
        if fractional:
            self.add(label, "gametime_meta", f"{fractional}", "whole numbers")
        cleaned = re.sub(r"[^\w-]", "_", str(half["map"]), flags=re.ASCII)
        if not re.search(rf"gametime-{re.escape(cleaned)}-R{half['round']}-\d+\.json$", item.path):
            wanted = f"gametime-{cleaned}-R{half['round']}-<end>.json"
            self.add(label, "gametime_meta", f"the name {item.path.rsplit('/', 1)[-1]}", wanted, is_remark=broken_off)

    # --- injected faults

    def _after_fault(self, label: str, half: dict[str, Any], posts: list[Post], files: list[Written]) -> None:
        console = self.performance.console
        if len(posts) > 1:
            self.add(label, "post_repeated", f"{len(posts)} posts", "at most one post after a failed attempt")
        if not any(FAULT_TEXT in line for line in console):
            self.add(label, "fault_swallowed", "no line with the error's text on the console", "the failure is logged")
        escaped = [line for line in console if FAULT_TEXT in line and _LUA_ERROR.search(line)]
        if escaped:
            self.add(
                label, "fault_unprotected", escaped[0], "build and send are protected; no error leaves the callback"
            )
        self._gametime(label, half, files)
        self._probe(label, half)

    def _probe(self, label: str, half: dict[str, Any]) -> None:
        """The script's own state at the end of the half with the fault: busy flag down, score and signature as at load."""
        lines = [line.split("rollout probe ", 1)[1] for line in self.performance.console if "rollout probe " in line]
        fired = next((n for n, line in enumerate(self.performance.console) if "rollout fault fired" in line), None)
        if fired is None:
            return
        before = [x.split("rollout probe ", 1)[1] for x in self.performance.console[:fired] if "rollout probe " in x]
        after = [x.split("rollout probe ", 1)[1] for x in self.performance.console[fired:] if "rollout probe " in x]
        if not lines or not before or not after:
            return
        was, now = _probed(before[-1]), _probed(after[0])
        if now.get("busy", "false") not in ("false", "nil"):
            self.add(
                label,
                "fault_flag_stuck",
                f"the busy flag is {now['busy']}",
                "the busy flag is down after a failed attempt",
            )
        changed = {k: (was.get(k), v) for k, v in now.items() if k != "busy" and was.get(k) != v}
        if changed and not self._of_half(0, self.performance.posts):
            shown = ", ".join(f"{k}: {a} -> {b}" for k, (a, b) in sorted(changed.items()))
            self.add(label, "fault_marks_kept", shown, "score and last signature as before the failed attempt")


def judge(
    file: str, module: str, kind: str, performance: Performance, header_fields: int | None = None
) -> list[Finding]:
    """The findings of one performance; ``kind`` as from ``kind_of``, ``header_fields`` as for ``judge_writer``."""
    judging = _Judge(file, module, performance)
    judging.everyone()
    if kind == "webhook":
        judging.webhook()
    elif kind == "writer":
        judging.findings += judge_writer(file, performance, header_fields)
    return judging.findings


def fault_fired(performance: Performance) -> bool:
    """Whether the injected fault met anything to break."""
    return any("rollout fault fired" in line for line in performance.console)


def compare(file: str, one: Performance, other: Performance) -> list[Finding]:
    """Both interpreters must put out the same: posts and gametime files, in order, by meaning."""
    mine, theirs = _output(one), _output(other)
    if mine == theirs:
        return []
    where = next((k for k in sorted(set(mine) | set(theirs)) if mine.get(k) != theirs.get(k)), "")
    found = f"{where}: {one.interpreter} {_difference(mine.get(where), theirs.get(where))} {other.interpreter}"
    return [
        Finding(
            file,
            one.match,
            "both",
            "",
            one.fault,
            "interpreters_differ",
            short(found),
            "the same output on Lua 5.4 and LuaJIT",
        )
    ]


def _output(play: Performance) -> dict[str, Any]:
    outputs: dict[str, Any] = {f"post {n}": _loose(post.payload) for n, post in enumerate(play.posts, 1)}
    for item in play.files:
        if _GAMETIME.search(item.path) or item.path.endswith(".txt"):
            outputs[item.path.rsplit("/", 1)[-1]] = _loose(item.content or b"")
    return outputs


def _loose(data: bytes) -> Any:
    """JSON by meaning; other texts with the lines behind the first one sorted: a writer's players come in pairs() order."""
    try:
        return _in_any_order(strict_json(data))
    except StrictJson:
        first, *rest = data.decode("utf-8", "backslashreplace").split("\n")
        return [first, *sorted(rest)]


def _in_any_order(found: Any) -> Any:
    """A post or gametime file with its players sorted, in ``meta.spawn_stats`` and in the two team fields.

    They are sets: whoever keeps players by guid writes them in pairs() order, which is another one in each run. All other lists
    keep their order.
    """
    if isinstance(found, dict):
        meta, payload = found.get("meta"), found.get("payload")
        if isinstance(meta, dict) and isinstance(meta.get("spawn_stats"), list):
            found = {**found, "meta": {**meta, "spawn_stats": _sorted(meta["spawn_stats"])}}
        if isinstance(payload, dict):
            found = {**found, "payload": _in_any_order(payload)}
        if isinstance(found.get("embeds"), list):
            found = {**found, "embeds": [_embed_in_any_order(one) for one in found["embeds"]]}
    return found


def _embed_in_any_order(embed: Any) -> Any:
    if not (isinstance(embed, dict) and isinstance(embed.get("fields"), list)):
        return embed
    fields = []
    for item in embed["fields"]:
        if isinstance(item, dict) and item.get("name") in _TEAM_FIELDS and isinstance(item.get("value"), str):
            try:
                players = strict_json(item["value"].encode("utf-8", "surrogatepass"))
            except StrictJson:
                players = None
            if isinstance(players, list):
                item = {**item, "value": _sorted(players)}
        fields.append(item)
    return {**embed, "fields": fields}


def _sorted(items: list[Any]) -> list[Any]:
    return sorted(items, key=lambda item: json.dumps(item, sort_keys=True))


def _difference(mine: Any, theirs: Any) -> str:
    a, b = (json.dumps(v, sort_keys=True, default=repr) for v in (mine, theirs))
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return f"…{a[max(0, at - 20) : at + 40]}… against …{b[max(0, at - 20) : at + 40]}…"


def _witness(console: Sequence[str], which: str) -> list[str]:
    mark = f"rollout witness {which} "
    return [line.split(mark, 1)[1] for line in console if mark in line]


def _probed(line: str) -> dict[str, str]:
    return dict(re.findall(r"(\S+?)=<(.*?)>(?= \S+?=<|$)", line))


def _plain(name: str) -> str:
    """Without colour codes: a webhook may drop them."""
    return _COLOUR.sub("", name)


def _shown(name: str) -> str:
    """The engine's name as JSON can carry it: bytes that are no UTF-8 read as Latin-1."""
    return re.sub("[\udc80-\udcff]", lambda m: chr(ord(m.group()) - 0xDC00), name)
