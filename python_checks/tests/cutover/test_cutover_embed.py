"""An embed against Discord's limits and against the database: the right one passes, each wrong one is caught or proves nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.action.shown_values_info import ActionModule
from ansible_collections.slomix.timetracking.plugins.module_utils import embed_check
from ansible_collections.slomix.timetracking.plugins.module_utils.embed_check import check, sentence
from ansible_collections.slomix.timetracking.plugins.module_utils.stats_header import clock_text
from hypothesis import given
from hypothesis import strategies as st

Line = Callable[[str, int, int], str]


def rows(rank: int = 1, players: int = 6, shift: int = 0, lua: bool = True) -> list[dict[str, Any]]:
    """Two halves; old and new dead time differ by 7 s and more in each."""
    base = {
        "rank": rank,
        "session": str(80 - rank),
        "round_status": "completed",
        "is_bot": False,
        "duration_s": 420,
        "played_s": 420,
    }
    return [
        {**base, "round_id": 10 * rank + half, "player_guid": f"GUID{player:04d}", "name": f"player {player}"}
        | {"old_dead_s": 60.0 + 6 * player + shift, "new_dead_s": 67 + 7 * player + shift if lua else None}
        for half in (1, 2)
        for player in range(players)
    ]


def sums(some: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    """(name, old, new) of each player over the session, by hand."""
    names = sorted({row["name"] for row in some})
    mine = [[row for row in some if row["name"] == name] for name in names]
    return [
        (
            name,
            int(sum(r["old_dead_s"] for r in his)),
            int(sum(r["old_dead_s"] if r["new_dead_s"] is None else r["new_dead_s"] for r in his)),
        )
        for name, his in zip(names, mine, strict=True)
    ]


def new_only(name: str, _old: int, new: int) -> str:
    return f"{name}: dead {clock_text(new)}, denied 1:05"


def dual(name: str, old: int, new: int) -> str:
    return f"{name}: dead O {clock_text(old)} / N {clock_text(new)} (+{clock_text(abs(new - old))}), denied O 1:02 / N 1:05 (+0:03)"


def embed(some: list[dict[str, Any]], line: Line = new_only, **more: Any) -> dict[str, Any]:
    lines = [line(*one) for one in sums(some)]
    return {"title": "Last session (2 rounds)", "fields": [{"name": "Timing", "value": "\n".join(lines)}], **more}


def passes(sample: dict[str, Any]) -> bool:
    """As gate 5 judges it."""
    return (
        sample["embeds"] >= 1
        and not (sample["violation_count"] or sample["mark_count"] or sample["unequal"] or sample["fault"])
        and sample["session"] == "newest"
        and sample["compared"] >= 1
        and sample["shows"] == sample["wanted"] in ("new", "both")
    )


@pytest.mark.parametrize(("line", "wanted"), [(new_only, "new"), (dual, "both")])
def test_the_right_display_passes(line: Line, wanted: str) -> None:
    some = rows() + rows(2, shift=30)
    sample = check(embed(rows(), line), some, wanted)
    assert passes(sample), sample
    assert (sample["players"], sample["compared"], sample["telling"]) == (6, 6, 6) and "as it should" in sentence(
        sample
    )


def test_other_forms_of_a_display_are_read_too() -> None:
    bold: Line = lambda name, _old, new: f"`{1}.` **{name}** ☠ Dead: `{clock_text(new)}` | Denied: `0:12`"  # noqa: E731
    assert passes(check(embed(rows(), bold), rows(), "new"))
    ranked: Line = lambda name, _old, new: f"#{1 + int(name[-1])} {name} - {clock_text(new)} dead? {clock_text(new)}"  # noqa: E731
    assert passes(check(embed(rows(), ranked), rows(), "new"))
    fields = [{"name": name, "value": f"K 9 D 5 1:23\nTime dead {clock_text(new)}"} for name, _old, new in sums(rows())]
    assert passes(check({"messages": [{"content": "", "embeds": [{"title": "x", "fields": fields}]}]}, rows(), "new"))
    # A name that begins another one, and one with the marks of the chat in it.
    some = [
        {**row, "name": {"player 1": "play_er", "player 2": "play_er two"}.get(row["name"], row["name"])}
        for row in rows()
    ]
    assert check(embed(some, lambda n, o, w: new_only(n.replace("_", r"\_"), o, w)), some, "new")["compared"] == 6


WRONG: dict[str, Line] = {
    "old values": lambda name, old, new: new_only(name, old, old),
    "minutes for seconds": lambda name, old, new: new_only(name, old, new * 60),
    "milliseconds for seconds": lambda name, old, new: new_only(name, old, new * 1000),
    "somebody else's values": lambda name, old, new: new_only(name, old, new + 41),
    "old beside new": dual,
    "a mark of missing data": lambda name, old, new: f"{new_only(name, old, new)} (no-lua)",
    "no Lua data": lambda name, old, new: f"{new_only(name, old, new)} NO LUA DATA",
}


@pytest.mark.parametrize("wrong", WRONG, ids=list(WRONG))
def test_what_is_wrong_is_a_fault(wrong: str) -> None:
    sample = check(embed(rows(), WRONG[wrong]), rows() + rows(2, shift=30), "new")
    assert sample["fault"] and not passes(sample), sample
    assert sample["fault"] in sentence(sample) and "required" in sentence(sample)
    assert ("error of unit" in sample["fault"]) == wrong.startswith(("minutes", "milli"))


def test_a_mark_beside_a_namesake_without_lua_rows_is_the_namesakes() -> None:
    some = [{**row, "name": "ETPlayer"} if row["player_guid"] < "GUID0002" else row for row in rows()]
    some = [{**row, "new_dead_s": None} if row["player_guid"] == "GUID0001" else row for row in some]
    first, namesake = ([row for row in some if row["player_guid"] == guid] for guid in ("GUID0000", "GUID0001"))
    others = [dual(*one) for one in sums(some[2:6] + some[8:])]
    lines = [dual(*sums(first)[0]), f"{dual(*sums(namesake)[0])} no-lua"]

    def told(lines: list[str], some: list[dict[str, Any]] = some) -> dict[str, Any]:
        return check({"description": "\n".join(lines + others)}, some, "both")

    assert passes(told(lines)) and passes(told(lines[::-1])), told(lines)
    swapped = [f"{lines[0]} no-lua", lines[1].removesuffix(" no-lua")]
    both = [f"{lines[0]} no-lua", lines[1]]
    same_times = ["ETPlayer no-lua", "ETPlayer no-lua"]
    assert [told(wrong)["mark_count"] for wrong in (swapped, both, same_times)] == [1, 1, 1]
    with_lua = [{**row, "new_dead_s": 80} if row["player_guid"] == "GUID0001" else row for row in some]
    assert told(lines, with_lua)["mark_count"] == 2, "nobody of that name is without Lua rows"
    one = [row for row in with_lua if row["player_guid"] != "GUID0000"]
    assert told(lines[1:], one)["mark_count"] == 1


@pytest.mark.parametrize("factor", [60, 1000])
def test_a_dual_display_with_a_wrong_new_value(factor: int) -> None:
    sample = check(embed(rows(), lambda n, o, w: dual(n, o, w * factor)), rows(), "both")
    assert sample["shows"] == "old" and sample["fault"] and not passes(sample)


def test_one_line_that_still_shows_old() -> None:
    mixed: Line = lambda name, old, new: new_only(name, old, old if name == "player 3" else new)  # noqa: E731
    sample = check(embed(rows(), mixed), rows(), "new")
    assert sample["shows"] == "mixed" and sample["fault"] and not passes(sample)


@pytest.mark.parametrize("wanted", ["new", "both"])
def test_an_older_session_is_known_as_one(wanted: str) -> None:
    old = rows(2, shift=30)
    sample = check(embed(old, new_only if wanted == "new" else dual), rows() + old, wanted)
    assert (
        (sample["session"], sample["fault"]) == ("older", "")
        and not passes(sample)
        and "older session" in sentence(sample)
    )


OVER: dict[str, Any] = {
    "forty players in one field": embed(rows(players=40)),
    "an empty value": {"fields": [{"name": "Timing", "value": ""}]},
    "no value": {"fields": [{"name": "Timing"}]},
    "a long name": {"fields": [{"name": "n" * 257, "value": "v"}]},
    "no name": {"fields": [{"name": "", "value": "v"}]},
    "26 fields": {"fields": [{"name": "n", "value": "v"}] * 26},
    "a number": {"fields": [{"name": "n", "value": 7}]},
    "a long title": embed(rows(), title="t" * 257),
    "a long description": embed(rows(), description="d" * 4097),
    "a long footer": embed(rows(), footer={"text": "f" * 2049}),
    "whole over 6000": {"fields": [{"name": "n", "value": "v" * 1000}] * 6},
    "two embeds over 6000": {"embeds": [{"fields": [{"name": "n", "value": "v" * 1000}] * 3}] * 2},
    "no fields list": {"description": "x", "fields": "y"},
    "an embed that is none": {"embeds": ["x"]},
}


@pytest.mark.parametrize("what", OVER, ids=list(OVER))
def test_discords_limits(what: str) -> None:
    some = rows(players=40) if what.startswith("forty") else rows()
    sample = check(OVER[what], some, "new")
    assert sample["violation_count"] == 1 and sample["fault"] and not passes(sample), sample
    assert "allowed are" in sample["fault"] or "is no " in sample["fault"]


def test_at_the_limits_is_within_them() -> None:
    full = {"title": "t" * 256, "description": "d" * 594, "footer": {"text": "f" * 2}}
    fields = [{"name": "n" * 256, "value": "v" * 1024}] * 4 + [{"name": "\u200b", "value": "v"}] * 14
    document = {**full, "fields": fields}
    assert check(document, [], "new")["violation_count"] == 0
    document["footer"] = {"text": "f" * 3}
    assert check(document, [], "new")["violation_count"] == 1


@pytest.mark.parametrize(
    "nothing",
    [
        None,
        [],
        {},
        "text",
        7,
        {"embeds": []},
        {"description": "No session has been played yet."},
        embed([]),
        {"a": {"b": [{"c": 1}]}},
    ],
)
def test_nothing_to_see_proves_nothing(nothing: Any) -> None:
    for some in (rows(), []):
        sample = check(nothing, some, "new")
        assert not passes(sample) and sample["shows"] == "unknown" and sentence(sample), sample
    assert (
        not passes(embed_check.unread("new", "no answer"))
        and sentence(embed_check.unread("new", "no answer")) == "no answer"
    )


def test_without_lua_rows_new_only_cannot_be_told_from_old_and_the_mark_is_right() -> None:
    some = rows(lua=False)
    sample = check(
        embed(some, lambda n, o, w: f"{new_only(n, o, w)} (no-lua)", footer={"text": "Lua timing missing (N=O)"}),
        some,
        "new",
    )
    assert (sample["mark_count"], sample["fault"], sample["shows"], sample["telling"]) == (
        0,
        "",
        "unknown",
        0,
    ) and not passes(sample)
    assert passes(check(embed(some, dual), some, "both")), "both values are there to see"


def test_half_of_the_players_is_the_least() -> None:
    few = embed(rows(players=2))
    assert not passes(check(few, rows(players=6), "new")) and passes(check(few, rows(players=4), "new"))


def test_ten_that_fit_are_enough_of_many() -> None:
    many = rows(players=24)

    def told(
        line: Line = new_only, count: int = 10, more: str = "", some: list[dict[str, Any]] = many
    ) -> dict[str, Any]:
        shown = [line(*one) for one in sums(some)[:count]]
        return check({"description": "\n".join(shown), "footer": {"text": f"24 players{more}"}}, some, "new")

    assert passes(told()) and (told()["compared"], told()["players"]) == (10, 24)
    for less in (told(count=9), told(more="\nplayer 9 dead ?"), told(more="\nbest: player 9, 95:00")):
        assert (
            not passes(less)
            and not less["fault"]
            and "fewer players" in sentence(less)
            and "play a round" not in sentence(less)
        ), less
    one_off: Line = lambda name, old, new: new_only(name, old, new + 41 * (name == "player 1"))  # noqa: E731
    for wrong in (told(one_off), told(WRONG["old values"]), told(WRONG["minutes for seconds"]), told(one_off, 24)):
        assert wrong["fault"] and not passes(wrong), wrong
    unlinked = told(some=rows(players=24, lua=False))
    assert not passes(unlinked) and "play a round whose spawn data arrive" in sentence(unlinked)


def evening(players: int = 6) -> list[dict[str, Any]]:
    """Four halves in the order of their time; those of the newest have the smallest ids, since ids are no clock."""
    return [
        {**row, "round_id": 40 - half, "played_at": f"2026-02-20-21{half}000", "old_dead_s": row["old_dead_s"] + half}
        | {"new_dead_s": row["new_dead_s"] + 11 * half * (1 + int(row["name"][-1]) % 3)}
        for half in range(4)
        for row in rows(players=players)[:players]
    ]


def late(some: list[dict[str, Any]], *halves: int) -> list[dict[str, Any]]:
    """The rows as they were before the spawn data of these halves came."""
    return [{**row, "new_dead_s": None} if 40 - row["round_id"] in halves else row for row in some]


@pytest.mark.parametrize("halves", [(3,), (2, 3), (1, 2, 3)])
@pytest.mark.parametrize(("line", "wanted"), [(new_only, "new"), (dual, "both")])
def test_what_a_bot_compared_before_the_spawn_data_came_is_stale(
    line: Line, wanted: str, halves: tuple[int, ...]
) -> None:
    sample = check(embed(late(evening(), *halves), line), evening() + rows(2, shift=30), wanted)
    assert (sample["session"], sample["fault"], sample["late_rounds"]) == ("stale", "", len(halves)), sample
    assert not passes(sample) and "play one more round" in sentence(sample)
    assert passes(check(embed(evening(), line), evening(), wanted)), "and after it"


def two_kinds(some: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The players' late halves are not the same ones."""
    return [row for row in late(some, 3) if row["name"] < "player 3"] + [
        row for row in late(some, 2, 3) if row["name"] >= "player 3"
    ]


NOT_STALE: dict[str, Callable[[list[dict[str, Any]]], dict[str, Any]]] = {
    "all at old": lambda some: embed(late(some, 0, 1, 2, 3)),
    "the first half at old": lambda some: embed(late(some, 0)),
    "a half in between": lambda some: embed(late(some, 2)),
    "not the same halves for all": lambda some: embed(two_kinds(some)),
    "one player's only": lambda some: embed(
        [before if now["name"] == "player 1" else now for now, before in zip(some, late(some, 3), strict=True)]
    ),
    "a wrong value beside": lambda some: embed(late(some, 3), lambda n, o, w: new_only(n, o, w + 41 * (n == "player 2"))),
    "another unit": lambda some: embed(late(some, 3), lambda n, o, w: new_only(n, o, w * 60)),
    "old beside it": lambda some: embed(late(some, 3), dual),
    "a mark of missing data": lambda some: embed(late(some, 3), WRONG["a mark of missing data"]),
    "no Lua data": lambda some: embed(late(some, 3), WRONG["no Lua data"]),
    "a value over the limit": lambda some: embed(late(some, 3), title="t" * 257),
}  # fmt: skip


@pytest.mark.parametrize("what", NOT_STALE)
def test_what_is_wrong_does_not_pass_for_stale(what: str) -> None:
    sample = check(NOT_STALE[what](evening()), evening(), "new")
    assert sample["fault"] and not passes(sample), sample


def test_one_value_alone_may_be_old_for_some_rounds_by_chance() -> None:
    assert check(embed(late(evening(1), 3)), evening(1), "new")["fault"]


def test_clamps_are_the_bots() -> None:
    """NEW is clamped to the time played and to the measured round, OLD to the time played; OLD stands in for a missing row."""
    some = rows(players=4)
    some[0] |= {"new_dead_s": 999}
    some[1] |= {"new_dead_s": 500, "duration_s": 300}
    some[2] |= {"new_dead_s": None}
    some[3] |= {"new_dead_s": -5, "old_dead_s": 9000.0}
    second = {row["name"]: row for row in some[4:]}
    news = {"player 0": 420, "player 1": 300, "player 2": int(some[2]["old_dead_s"]), "player 3": 0}
    lines = "\n".join(new_only(name, 0, first + second[name]["new_dead_s"]) for name, first in news.items())
    assert passes(check({"fields": [{"name": "t", "value": lines}]}, some, "new"))


def test_a_site_may_leave_cancelled_rounds_out() -> None:
    cancelled = [{**row, "round_id": 99, "round_status": "cancelled"} for row in rows()[:6]]
    for shown in (rows(), rows() + cancelled):
        assert passes(check(embed(shown), rows() + cancelled, "new"))


@given(st.integers(-400, 400))
def test_any_other_value_is_caught(off: int) -> None:
    sample = check(embed(rows(players=1), lambda n, o, w: new_only(n, o, max(0, w + off))), rows(players=1), "new")
    assert passes(sample) == (abs(off) <= embed_check.TOLERANCE_S)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["embeds", "fields", "name", "value", "description", "footer", "text", "title"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_gives_an_answer_and_never_a_pass(document: Any) -> None:
    sample = check(document, rows(), "new")
    assert not passes(sample) and sentence(sample)


def test_an_exported_message_is_read_and_a_bad_one_says_so(tmp_path: Path) -> None:
    path = tmp_path / "message.json"
    path.write_text(json.dumps({"id": "1", "embeds": [embed(rows())]}))
    exported = ActionModule._exported(str(path))
    found = ActionModule._session(rows(), {"wanted": "new"}, exported)
    assert found["source"] == "file" and passes(found)
    path.write_text("<html>")
    for file, word in (
        (str(path), "save it again"),
        (str(tmp_path / "none.json"), "cannot be read"),
        ("", "session_embed=FILE"),
    ):
        bad = ActionModule._session(rows(), {"wanted": "new"}, ActionModule._exported(file))
        assert not passes(bad) and bad["embeds"] == 0 and word in bad["text"]
