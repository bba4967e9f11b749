"""The judge on situations of the field: each has one right verdict, and no missing or bad evidence opens a gate."""

from __future__ import annotations

import copy
import random
from datetime import timedelta
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import EXIT_CODES, OPENS, ORDER, judge, worst
from hypothesis import given
from hypothesis import strategies as st
from ledger_records import (
    DATABASE,
    GATE,
    NEW_LUA,
    NOW,
    OLD_LUA,
    OTHER_DATABASE,
    OTHER_LUA,
    deployed,
    gate,
    pair,
    pairs,
    step,
)


def verdict_of(records: list[dict[str, Any]], made: dict[str, Any] | None = None, **more: Any) -> str:
    return judge(GATE if made is None else made, records, now=NOW, **more).verdict


def waiver(
    seq: int, *, hours: float = 1, gate_name: str = "pairs", reason: str = "the season is over"
) -> dict[str, Any]:
    until = (NOW + timedelta(hours=hours)).isoformat()
    result = {"gate": gate_name, "reason": reason, "until": until}
    return {"kind": "waiver", "seq": seq, "check": False, "operator": "ana@desk", "result": result}


SITUATIONS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "one good pair": ("pass", [deployed(), pairs(2, pair())]),
    "nothing recorded": ("inconclusive", []),
    "deployed, nobody played": ("inconclusive", [deployed(), pairs(2)]),
    "R2 has no Lua row": ("fail", [deployed(), pairs(2, pair(r2_links=0))]),
    "R2 is linked twice": ("fail", [deployed(), pairs(2, pair(r2_links=2))]),
    "a good pair and one that lost R2": ("fail", [deployed(), pairs(2, pair(1), pair(2, r2_links=0))]),
    "the same pair good and bad": ("fail", [deployed(), pairs(2, pair(1), pair(1, r2_links=0))]),
    "R1 was a full hold": ("inconclusive", [deployed(), pairs(2, pair(r2_limit_fractional=False))]),
    "played before the load": ("inconclusive", [deployed(), pairs(2, pair(r1_start_unix=900))]),
    "the limit is not known": ("inconclusive", [deployed(), pairs(2, pair(r2_limit_fractional=None))]),
    "the start is not known": ("inconclusive", [deployed(), pairs(2, pair(r1_start_unix=None))]),
    "links are NULL": ("inconclusive", [deployed(), pairs(2, pair(r2_links=None))]),
    "links are NaN": ("inconclusive", [deployed(), pairs(2, pair(r2_links=float("nan")))]),
    "one good pair, one not yet linked": ("inconclusive", [deployed(), pairs(2, pair(1), pair(2, r2_links=None))]),
    "links are text": ("error", [deployed(), pairs(2, pair(r2_links="1"))]),
    "links are true": ("error", [deployed(), pairs(2, pair(r2_links=True))]),
    "a pair without identity": ("inconclusive", [deployed(), pairs(2, pair(r2_id=None) | {"r2_id": None})]),
    "rows are missing": ("inconclusive", [deployed(), step(2, "1.7/verify/pairs", {"loaded_unix": 900})]),
    "rows are null": ("inconclusive", [deployed(), step(2, "1.7/verify/pairs", {"loaded_unix": 900, "pairs": None})]),
    "rows are a text": ("error", [deployed(), step(2, "1.7/verify/pairs", {"loaded_unix": 900, "pairs": "[]"})]),
    "a row is a text": ("error", [deployed(), pairs(2, pair()) | {"result": {"loaded_unix": 900, "pairs": ["x"]}}]),
    "the load is not known": ("inconclusive", [deployed(), pairs(2, pair()) | {"result": {"pairs": [pair()]}}]),
    "the sample failed": ("error", [deployed(), step(2, "1.7/verify/pairs", {"failed": True, "msg": "no route"})]),
    "the host was unreachable": ("error", [deployed(), step(2, "1.7/verify/pairs", {"unreachable": True})]),
    "the sample was skipped": ("inconclusive", [deployed(), step(2, "1.7/verify/pairs", {"skipped": True})]),
    "a failure after a pass": (
        "error",
        [deployed(), pairs(2, pair()), step(3, "1.7/verify/pairs", {"failed": True, "msg": "timeout"})],
    ),
    "an unnamed leg failed after a pass": (
        "error",
        [deployed(), pairs(2, pair()), step(3, "1.7/verify", {"failed": True, "msg": "timeout"})],
    ),
    "a pass after a failure": ("pass", [deployed(), step(2, "1.7/verify/pairs", {"failed": True}), pairs(3, pair())]),
    "the result is no mapping": ("error", [deployed(), step(2, "1.7/verify/pairs", "ok")]),
    "the result is null": ("error", [deployed(), step(2, "1.7/verify/pairs", None)]),
    "only a check run": ("inconclusive", [deployed(), pairs(2, pair(), check=True)]),
    "a check run after a failure": ("fail", [deployed(), pairs(2, pair(r2_links=0)), pairs(3, pair(), check=True)]),
    "another step's record": ("inconclusive", [deployed(), step(2, "1.6/verify/pairs", {"pairs": [pair()]})]),
    "another leg's record": ("inconclusive", [deployed(), step(2, "1.7/action/pairs", {"pairs": [pair()]})]),
    "another sample's record": ("inconclusive", [deployed(), step(2, "1.7/verify/log", {"pairs": [pair()]})]),
    "13.9 days old": ("pass", [deployed(minutes_ago=20016), pairs(2, pair(), minutes_ago=20015)]),
    "14.1 days old": ("expired", [deployed(minutes_ago=20305), pairs(2, pair(), minutes_ago=20304)]),
    "failed 15 days ago, which age does not mend": (
        "fail",
        [deployed(minutes_ago=21601), pairs(2, pair(r2_links=0), minutes_ago=21600), waiver(3)],
    ),
    "ended in an error 15 days ago": (
        "error",
        [deployed(minutes_ago=21601), pairs(2, pair(r2_links="1"), minutes_ago=21600), waiver(3)],
    ),
    "skipped, with the rows of another time": (
        "inconclusive",
        [deployed(), step(2, "1.7/verify/pairs", {"skipped": True, "loaded_unix": 900, "pairs": [pair()]})],
    ),
    "the step itself was reverted": (
        "fail",
        [deployed(), pairs(2, pair()), step(3, "1.7/revert", {"changed": True}, digests={})],
    ),
    "reverted and waived": (
        "fail",
        [deployed(), pairs(2, pair()), step(3, "1.7/revert", {"changed": True}, digests={}), waiver(4)],
    ),
    "reverted and acted upon again": (
        "expired",
        [
            deployed(),
            pairs(2, pair()),
            step(3, "1.7/revert", {"changed": True}, digests={}),
            step(4, "1.7/action", {"changed": True}, digests={}),
        ],
    ),
    "a revert that found nothing to undo": (
        "pass",
        [deployed(), pairs(2, pair()), step(3, "1.7/revert", {"changed": False}, digests={})],
    ),
    "another host's act of the same step": (
        "pass",
        [deployed(), pairs(2, pair()), step(3, "1.7/action", {"changed": True}, host="second-vm", digests={})],
    ),
    "from the future": ("error", [deployed(), pairs(2, pair(), minutes_ago=-5)]),
    "within a clock's correction": ("pass", [deployed(), pairs(2, pair(), minutes_ago=-0.5)]),
    "without a time": ("error", [deployed(), pairs(2, pair(), at=None)]),
    "without the digest": ("inconclusive", [deployed(), pairs(2, pair(), digests={})]),
    "deployed again, the same file": ("expired", [deployed(), pairs(2, pair()), deployed(3, minutes_ago=5)]),
    "run again, nothing changed": ("pass", [deployed(), pairs(2, pair()), deployed(3, result={"changed": False})]),
    "an act that does not say whether it changed": ("expired", [deployed(), pairs(2, pair()), deployed(3, result={})]),
    "deployed anew, another file": (
        "expired",
        [deployed(), pairs(2, pair()), deployed(3, result={"changed": False}, digests={"webhook_lua": OTHER_LUA})],
    ),
    "rolled back": (
        "expired",
        [
            deployed(),
            pairs(2, pair()),
            step(3, "1.6/revert", {"changed": True}, host="et-server", digests={"webhook_lua": OLD_LUA}),
        ],
    ),
    "edited by hand": (
        "drift",
        [
            deployed(),
            pairs(2, pair()),
            step(3, "1.6/verify", {"changed": False}, host="et-server", digests={"webhook_lua": OTHER_LUA}),
        ],
    ),
    "edited by hand, then played": (
        "drift",
        [
            deployed(),
            step(2, "1.6/verify", {"changed": False}, host="et-server", digests={"webhook_lua": OTHER_LUA}),
            pairs(3, pair(), digests={"webhook_lua": OTHER_LUA}),
        ],
    ),
    "drift outweighs an error": (
        "drift",
        [
            deployed(),
            step(2, "1.6/verify", {}, host="et-server", digests={"webhook_lua": OTHER_LUA}),
            step(3, "1.7/verify/pairs", {"failed": True}),
        ],
    ),
    "another step saw the same database since": (
        "pass",
        [deployed(), pairs(2, pair()), step(3, "0.4/verify", {}, digests={"database": DATABASE})],
    ),
    "the database was restored since": (
        "expired",
        [deployed(), pairs(2, pair()), step(3, "0.4/verify", {}, digests={"database": OTHER_DATABASE})],
    ),
    "the database was restored and the pair measured again": (
        "pass",
        [
            deployed(),
            step(2, "0.4/verify", {}, digests={"database": OTHER_DATABASE}),
            pairs(3, pair()),
        ],
    ),
    "another host has another database": (
        "pass",
        [
            deployed(),
            pairs(2, pair()),
            step(3, "0.4/verify", {}, host="second-vm", digests={"database": OTHER_DATABASE}),
        ],
    ),
    "the database is not known": ("inconclusive", [deployed(), pairs(2, pair(), digests={"webhook_lua": NEW_LUA})]),
    "waived: nobody plays": ("waived", [deployed(), pairs(2), waiver(3)]),
    "waived: too old": ("waived", [deployed(minutes_ago=30001), pairs(2, pair(), minutes_ago=30000), waiver(3)]),
    "waived for another gate": ("inconclusive", [deployed(), pairs(2), waiver(3, gate_name="phase0")]),
    "the waiver has expired": ("inconclusive", [deployed(), pairs(2), waiver(3, hours=-1)]),
    "the waiver has no reason": ("inconclusive", [deployed(), pairs(2), waiver(3, reason=" ")]),
    "a failure cannot be waived": ("fail", [deployed(), pairs(2, pair(r2_links=0)), waiver(3)]),
    "an error cannot be waived": ("error", [deployed(), step(2, "1.7/verify/pairs", {"failed": True}), waiver(3)]),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_each_situation_has_its_verdict(name: str) -> None:
    expected, records = SITUATIONS[name]
    verdict = judge(GATE, records, now=NOW)
    assert verdict.verdict == expected, verdict
    assert verdict.exit_code == EXIT_CODES[expected]
    if expected not in OPENS:
        assert verdict.found and verdict.required and verdict.next, "a refusal says what was found, required, and next"


@pytest.mark.parametrize("name", SITUATIONS)
def test_the_order_in_which_records_are_read_does_not_matter(name: str) -> None:
    """seq is the order; how a reader hands the records over is not."""
    expected, records = SITUATIONS[name]
    shuffled = list(records)
    for seed in range(4):
        random.Random(seed).shuffle(shuffled)
        assert verdict_of(shuffled) == expected


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_broken_ledger_outweighs_everything(name: str) -> None:
    assert verdict_of(SITUATIONS[name][1], ledger_fault="line 2 was changed") == "broken"


def test_inconclusive_says_what_to_play() -> None:
    verdict = judge(GATE, [deployed(), pairs(2, pair(r2_limit_fractional=False))], now=NOW)
    assert verdict.next == "play one more R2 with a fractional limit"
    assert verdict.checks[0].excluded == (("r1_id=1 r2_id=2", "INTEGRAL_LIMIT"),)


def test_min_samples_counts_distinct_good_rows() -> None:
    made = gate(min_samples=2)
    assert verdict_of([deployed(), pairs(2, pair(1), pair(1))], made) == "inconclusive"
    assert verdict_of([deployed(), pairs(2, pair(1), pair(2))], made) == "pass"


def test_fail_limit_tolerates_only_so_many() -> None:
    made = gate(fail_limit=1, fail_limit_reason="one lost round was looked into")
    assert verdict_of([deployed(), pairs(2, pair(1), pair(2, r2_links=0))], made) == "pass"
    assert verdict_of([deployed(), pairs(2, pair(1), pair(2, r2_links=0), pair(3, r2_links=0))], made) == "fail"


def test_tolerated_failures_do_not_count_as_good() -> None:
    made = gate(fail_limit=1, fail_limit_reason="one lost round was looked into", min_samples=2)
    assert verdict_of([deployed(), pairs(2, pair(1), pair(2, r2_links=0))], made) == "inconclusive"
    assert verdict_of([deployed(), pairs(2, pair(1), pair(2, r2_links=0), pair(3))], made) == "pass"


def test_an_unknown_fail_condition_holds_a_pass_back() -> None:
    """Nobody knows whether it failed, so it has not passed."""
    made = gate(fail_if={"path": "lost_rounds", "op": "gt", "value": 0})
    assert verdict_of([deployed(), pairs(2, pair(lost_rounds=0))], made) == "pass"
    assert verdict_of([deployed(), pairs(2, pair(lost_rounds=None))], made) == "inconclusive"
    assert verdict_of([deployed(), pairs(2, pair())], made) == "inconclusive"


def test_unknown_and_between_are_told_apart() -> None:
    """Only no data follows the no_data policy; a value between pass and fail is a value."""
    fail_if = {"path": "links", "op": "eq", "value": 0}
    check = {"id": "1.7/links", "sample": {"step": "1.7", "leg": "verify"}, "no_data": "fail", "fail_if": fail_if}
    made = {"gate": "x", "checks": [{**check, "pass_if": {"path": "links", "op": "eq", "value": 1}}]}
    assert verdict_of([step(1, "1.7/verify", {"links": 2})], made) == "inconclusive"
    assert verdict_of([step(1, "1.7/verify", {"links": None})], made) == "fail"


def test_an_unknown_row_is_excluded_under_its_own_code() -> None:
    verdict = judge(GATE, [deployed(), pairs(2, pair(r1_start_unix=None))], now=NOW)
    assert verdict.checks[0].excluded == (("r1_id=1 r2_id=2", "BEFORE_LOAD_UNKNOWN"),)


def test_between_pass_and_fail_is_inconclusive() -> None:
    made = gate(fail_if={"path": "r2_links", "op": "eq", "value": 0})
    assert verdict_of([deployed(), pairs(2, pair(r2_links=2))], made) == "inconclusive"
    assert verdict_of([deployed(), pairs(2, pair(r2_links=0))], made) == "fail"
    both = gate(fail_if={"path": "r2_links", "op": "eq", "value": 1})
    assert verdict_of([deployed(), pairs(2, pair())], both) == "fail", "where both hold, failure wins"


def test_a_row_younger_than_the_settle_time_does_not_count() -> None:
    made = gate(settle={"field": "captured_unix", "s": 120})
    recorded = (NOW - timedelta(minutes=10)).timestamp()
    assert verdict_of([deployed(), pairs(2, pair(captured_unix=recorded - 121))], made) == "pass"
    assert verdict_of([deployed(), pairs(2, pair(captured_unix=recorded - 119))], made) == "inconclusive"
    assert verdict_of([deployed(), pairs(2, pair(captured_unix=recorded + 60))], made) == "inconclusive"
    assert verdict_of([deployed(), pairs(2, pair(captured_unix=None))], made) == "inconclusive"


def test_every_host_of_the_group_must_answer() -> None:
    made = gate(sample={**GATE["checks"][0]["sample"], "group": "stats_hosts"})
    records = [deployed(), pairs(2, pair())]
    assert verdict_of(records, made, hosts={"stats_hosts": ["slomix-vm"]}) == "pass"
    assert verdict_of(records, made, hosts={"stats_hosts": ["slomix-vm", "second-vm"]}) == "inconclusive"
    assert verdict_of(records, made, hosts={"stats_hosts": []}) == "inconclusive"
    both = [*records, pairs(3, pair(r2_links=0), host="second-vm")]
    assert verdict_of(both, made, hosts={"stats_hosts": ["slomix-vm", "second-vm"]}) == "fail"
    assert verdict_of(both, made, hosts={"stats_hosts": ["slomix-vm"]}) == "pass", (
        "a host that left the site is history"
    )
    assert verdict_of(records, made, hosts={"stat_hosts": ["slomix-vm"]}) == "error", (
        "a misspelt group is no weaker gate"
    )
    assert verdict_of(both, made) == "fail", "without an inventory every recorded host counts"


def test_observe_checks_never_decide() -> None:
    observed = {**copy.deepcopy(GATE["checks"][0]), "id": "1.7/watched", "severity": "observe"}
    records = [deployed(), pairs(2, pair())]
    bad = {**observed, "pass_if": {"path": "r1_links", "op": "gt", "value": 5}}
    assert verdict_of(records, {**GATE, "checks": [*GATE["checks"], bad]}) == "pass"
    assert verdict_of(records, {**GATE, "checks": [observed]}) == "error", "a gate that cannot refuse is none"


@pytest.mark.parametrize(
    ("policy", "severity", "expected"),
    [("inconclusive", "critical", "inconclusive"), ("fail", "critical", "fail"), ("pass", "critical", "inconclusive")],
)
def test_no_data_policy(policy: str, severity: str, expected: str) -> None:
    made = gate(no_data=policy, severity=severity)
    assert verdict_of([deployed(), pairs(2)], made) == expected
    assert verdict_of([], made) == expected


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"gate": "x", "checks": []},
        {"gate": "x", "checks": [{}]},
        gate(pass_if=None),
        gate(pass_if={"path": "r1_links", "op": "like", "value": 1}),
        gate(pass_if={"path": "r1_links[", "op": "eq", "value": 1}),
        gate(pass_if={"all": []}),
        gate(pass_if={"op": "eq", "value": 1}),
        gate(settle={}),
        gate(settle={"field": "captured_unix", "s": "soon"}),
        gate(min_samples="many"),
        gate(where=[{}]),
        gate(rows=["pairs"]),
        gate(evidence_ttl_d="long"),
    ],
)
def test_a_malformed_gate_never_opens_and_never_raises(broken: dict[str, Any]) -> None:
    assert verdict_of([deployed(), pairs(2, pair())], broken) in ("error", "inconclusive")


# --- laws ------------------------------------------------------------------------------------------------------------

LINKS = st.sampled_from([0, 1, 2, None])
ROWS = st.lists(
    st.builds(
        pair,
        number=st.integers(1, 4),
        r2_links=LINKS,
        r1_links=LINKS,
        r2_limit_fractional=st.sampled_from([True, True, False, None]),
        r1_start_unix=st.sampled_from([1000, 1000, 899, None]),
    ),
    max_size=6,
)
BAD_ROW = st.one_of(
    st.builds(pair, number=st.integers(1, 6), r2_links=st.sampled_from([0, 2])),
    st.builds(pair, number=st.integers(1, 6), r2_links=st.none()),
    st.builds(pair, number=st.integers(1, 6), r2_limit_fractional=st.just(False)),
)


@given(rows=ROWS, bad=BAD_ROW, at=st.integers(0, 6), least=st.integers(1, 3))
def test_adding_a_bad_sample_never_improves_a_verdict(
    rows: list[dict[str, Any]], bad: dict[str, Any], at: int, least: int
) -> None:
    made = gate(min_samples=least)
    before = verdict_of([deployed(), pairs(2, *rows)], made)
    after = verdict_of([deployed(), pairs(2, *rows[:at], bad, *rows[at:])], made)
    assert ORDER.index(after) >= ORDER.index(before)


@given(rows=ROWS, seed=st.integers(0, 1000))
def test_the_order_of_rows_does_not_matter(rows: list[dict[str, Any]], seed: int) -> None:
    shuffled = list(rows)
    random.Random(seed).shuffle(shuffled)
    assert verdict_of([deployed(), pairs(2, *rows)]) == verdict_of([deployed(), pairs(2, *shuffled)])


@given(rows=ROWS)
def test_pass_means_that_a_counted_pair_is_good_and_none_is_bad(rows: list[dict[str, Any]]) -> None:
    def counted(row: dict[str, Any]) -> bool:
        return row["r2_limit_fractional"] is True and (row["r1_start_unix"] or 0) > 900

    good = [row for row in rows if counted(row) and row["r1_links"] == 1 and row["r2_links"] == 1]
    bad = [row for row in rows if counted(row) and row not in good]
    assert (verdict_of([deployed(), pairs(2, *rows)]) == "pass") == (bool(good) and not bad)


VERDICT = st.sampled_from(ORDER)


@given(one=st.lists(VERDICT, min_size=1), two=st.lists(VERDICT, min_size=1), three=st.lists(VERDICT, min_size=1))
def test_the_worst_of_a_set_is_free_of_order_and_grouping(one: list[str], two: list[str], three: list[str]) -> None:
    assert worst([*one, *two]) == worst([*two, *one]) == worst([worst(one), worst(two)])
    assert worst([worst([*one, *two]), *three]) == worst([*one, worst([*two, *three])])
    assert worst([]) == "inconclusive"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["pairs", "loaded_unix", "failed", "r1_id"]), inner, max_size=3)
        ),
    )
)
def test_whatever_is_recorded_the_judge_answers_and_does_not_pass(result: Any) -> None:
    """No shape of a result without a good pair opens the gate, and none makes the judge raise."""
    assert verdict_of([deployed(), step(2, "1.7/verify/pairs", result)]) not in OPENS
