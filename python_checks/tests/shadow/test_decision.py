"""Verdicts on generated data with known truth, and each way in which data could only look right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils.webhook_version import has_one_clock
from hypothesis import given, settings
from hypothesis import strategies as hs

from python_checks.cli import main
from python_checks.shadow import decision as d
from python_checks.shadow import statistics as st
from python_checks.shadow.pairs import InputError, read_csv, sample
from python_checks.tests.shadow.helpers import rows


def judge(data: list[dict[str, Any]], **options: Any) -> d.Report:
    return d.decide(sample(data), **options)


def test_good_data_may_switch() -> None:
    report = judge(rows(16))
    assert (report.verdict, report.decision, report.validity, report.coverage) == (
        st.EQUIVALENT,
        d.MAY_SWITCH,
        "ok",
        "pass",
    )
    assert report.exit_code == 0 and report.looks[-1]["rounds"] == 12 and not report.violations


@pytest.mark.parametrize("told", [True, "t", "true", 1])
def test_a_cut_window_is_never_equivalent(told: Any) -> None:
    """The newest of more rounds are others at every look, so the planned looks would not be the first ones in time."""
    data = rows(16)
    report = judge([*data[:-1], {**data[-1], "is_cut": told}])
    assert (report.verdict, report.decision) == (st.INCONCLUSIVE, d.KEEP_DUAL) and "later" in report.codes["WINDOW_CUT"]
    assert judge([{**row, "is_cut": False} for row in data]).verdict == st.EQUIVALENT


def test_much_good_data_may_delete() -> None:
    assert judge(rows(32)).decision == d.MAY_DELETE


def test_bias_is_different() -> None:
    report = judge(rows(16, bias_s=12))
    assert (report.verdict, report.decision, report.exit_code) == (st.DIFFERENT, d.EXPLAIN, 1)


def test_few_rounds_are_inconclusive_and_say_what_to_play() -> None:
    report = judge(rows(6))
    assert (report.verdict, report.decision, report.exit_code) == (st.INCONCLUSIVE, d.KEEP_DUAL, 3)
    assert "play 2 more" in report.codes["TOO_FEW_ROUNDS"] and "play 8 more" in report.codes["COVERAGE_UNSURE"]


def test_eight_good_rounds_are_not_enough_coverage() -> None:
    report = judge(rows(8, per_session=2))
    assert report.bias == st.EQUIVALENT and report.verdict == st.INCONCLUSIVE and report.decision == d.KEEP_DUAL


def test_nothing_is_no_data() -> None:
    report = judge([])
    assert report.verdict == st.INCONCLUSIVE and "NO_DATA" in report.codes and report.exit_code == 3


@pytest.mark.parametrize("covered", [0.0, 0.3, 0.5, 0.6, 0.7])
@pytest.mark.parametrize("bias", [0.0, 10.0])
@pytest.mark.parametrize("count", [16, 40])
def test_copies_of_old_are_never_equivalent(covered: float, bias: float, count: int) -> None:
    report = judge(rows(count, covered=covered, copy=True, bias_s=bias))
    assert report.verdict != st.EQUIVALENT and report.exit_code != 0
    assert report.counts["FALLBACK"] > 0 if covered else report.verdict == st.INCONCLUSIVE


@pytest.mark.parametrize("share", [0.6, 1.0])
def test_unmarked_copies_are_recognised(share: float) -> None:
    data = rows(24)
    for index, row in enumerate(data):
        if index % 10 < share * 10:
            row["new_dead_s"] = row["old_dead_s"]
    report = judge(data)
    assert report.verdict == st.INCONCLUSIVE and "NOT_INDEPENDENT" in report.codes


def test_low_coverage_investigates() -> None:
    report = judge(rows(40, covered=0.5))
    assert (report.coverage, report.decision, report.exit_code) == ("fail", d.INVESTIGATE, 1)
    assert report.numbers["coverage_plain"] == pytest.approx(0.5)


def test_old_webhook_versions_do_not_count() -> None:
    for version in ("1.6.0", "1.6.2", "", "unknown"):
        report = judge(rows(24, version=version))
        assert report.verdict == st.INCONCLUSIVE and "NO_DATA" in report.codes, version
    assert has_one_clock("1.6.3") and has_one_clock("Slomix Lua Webhook v1.10.0") and not has_one_clock("1.6")


def test_window_begins_with_the_trusted_webhook() -> None:
    data = rows(24)
    for row in data[:80]:
        row["lua_version"] = "1.6.2"
    report = judge(data)
    assert report.numbers["rounds"] == 16 and report.counts["left out: BEFORE_TRUSTED_VERSION"] == 8


def test_mixed_versions_are_named() -> None:
    data = rows(16)
    for row in data[100:]:
        row["lua_version"] = "1.7.1"
    report = judge(data)
    assert report.verdict == st.INCONCLUSIVE and "1.7.0, 1.7.1" in report.codes["MIXED_VERSION"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"new_dead_s": -1}, "-1 s dead"),
        ({"new_dead_s": 5000}, "5000 s dead"),
        ({"fallback_reason": "lua_dead_capped_to_plausible_limit"}, "dead in"),
        ({"duration_s": 0}, "measured duration 0 s"),
        ({"duration_s": 850}, "850 s against 901 s"),
    ],
)
def test_one_impossible_value_stops_everything(change: dict[str, Any], told: str) -> None:
    data = rows(24)
    data[0].update(change)
    report = judge(data)
    assert report.validity == "bad" and report.decision == d.ROLL_BACK and report.exit_code == 1
    assert report.verdict != st.EQUIVALENT and told in report.violations[0]


@pytest.mark.parametrize("factor", [60, 1 / 60, 1000, 1 / 1000, 60000])
def test_wrong_units_are_named(factor: float) -> None:
    data = rows(24)
    for row in data:
        row["new_dead_s"] = row["old_dead_s"] * factor
    report = judge(data)
    assert "UNIT_SUSPECT" in report.codes and report.decision == d.ROLL_BACK


def test_a_median_does_not_hide_tails() -> None:
    data = rows(24)
    for row in data[:60]:
        if int(row["player_guid"], 16) % 100 < 3:
            row["new_dead_s"], row["played_s"] = row["old_dead_s"] + 400, 2000
    report = judge(data)
    assert len(report.numbers["bad_rounds"]) == 6 and report.decision == d.KEEP_DUAL
    assert report.verdict == st.INCONCLUSIVE and "TAIL_UNSURE" in report.codes


def test_a_stratum_outside_blocks_and_is_named() -> None:
    data = rows(24)
    for row in data:
        if row["round_id"] in (2, 7, 12, 17, 21):
            row["end_reason"] = "surrender"
            row["new_dead_s"] += 14
            row["played_s"] += 100
    report = judge(data)
    assert report.verdict != st.EQUIVALENT and "end surrender" in report.codes["STRATUM_OUTSIDE"]


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"session": "one evening"}, "TOO_FEW_SESSIONS"),
        ({"map": "supply"}, "STRATUM_GAP"),
        ({"round_number": 1}, "STRATUM_GAP"),
    ],
)
def test_narrow_samples_are_not_equivalent(columns: dict[str, Any], code: str) -> None:
    report = judge(rows(24, **columns))
    assert report.verdict == st.INCONCLUSIVE and code in report.codes


def test_one_player_cannot_carry_the_sample() -> None:
    """A usable round has four players or more, so nobody is in more than a quarter of the pairs (30 % are allowed)."""
    everywhere = [dict(row, player_guid=f"{i % 4:08x}") for i, row in enumerate(rows(24, players=4))]
    report = judge(everywhere)
    assert report.verdict == st.EQUIVALENT and report.numbers["pairs"] == 96
    assert "TOO_FEW_ROUNDS" in judge(rows(24, players=3)).codes


def test_ambiguous_links_do_not_count() -> None:
    report = judge(rows(24, lua_rows=2))
    assert report.coverage == "fail" and report.counts["LINK_AMBIGUOUS"] == 240


def test_summaries_bots_and_cancelled_rounds_take_no_part() -> None:
    extra = rows(4, seed=9, **{"class": "bot"}) + rows(4, seed=9, **{"class": "cancelled"}) + rows(2, round_number=0)
    report = judge(rows(16) + extra)
    assert (
        report.numbers["rounds"] == 16
        and report.counts["left out: BOT"] == 40
        and report.counts["left out: SUMMARY"] == 20
    )


def test_looks_take_the_first_rounds_in_time_order() -> None:
    data = rows(16, per_session=2)
    for row in data[80:]:
        row["new_dead_s"] += 60
        row["played_s"] += 300
    assert judge(data).looks[-1]["rounds"] == 8 and judge(data).looks[-1]["verdict"] == st.EQUIVALENT
    assert judge(list(reversed(data))).looks == judge(data).looks


def test_after_the_last_look_it_ends() -> None:
    report = judge(rows(30, sd_s=12, seed=4))
    assert report.looks[-1]["rounds"] == 24 and "new experiment" in report.codes["LOOKS_SPENT"]


def test_margin_below_half_a_step_is_refused() -> None:
    with pytest.raises(ValueError, match="below 3 s"):
        judge(rows(16), margin_s=2)


@settings(max_examples=30, deadline=None)
@given(
    hs.integers(0, 1000),
    hs.sampled_from(
        [
            *({"new_dead_s": value} for value in (99999, "", -5)),
            {"lua_rows": 3},
            {"played_s": 60, "new_dead_s": 95},
        ]
    ),
)
def test_a_bad_row_never_improves_the_decision(seed: int, change: dict[str, Any]) -> None:
    rank = [d.ROLL_BACK, d.INVESTIGATE, d.KEEP_DUAL, d.EXPLAIN, d.MAY_SWITCH, d.MAY_DELETE]
    data = rows(16, seed=seed)
    before = judge(data)
    data[seed % len(data)].update(change)
    after = judge(data)
    if before.decision != d.EXPLAIN:
        assert rank.index(after.decision) <= rank.index(before.decision)


def write_csv(path: Path, data: list[dict[str, Any]]) -> Path:
    names = list(data[0])
    path.write_text("\n".join([",".join(names), *(",".join(str(row[n]) for n in names) for row in data)]) + "\n")
    return path


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_csv(tmp_path / "shadow.csv", rows(16))
    assert main(["shadow", "--csv", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "verdict   EQUIVALENT" in shown and "> " in shown and "Bland-Altman" in shown
    assert main(["shadow", "--csv", str(path), "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["decision"] == d.MAY_SWITCH and len(answer["plots"]["coverage"]) == 4
    other = tmp_path / "shadow.json"
    other.write_text(json.dumps({"rows": rows(16, bias_s=12)}))
    assert main(["shadow", "--json", str(other)]) == 1
    other.write_text(json.dumps([dict(row, lua_version="") for row in rows(16)]))
    assert main(["shadow", "--json", str(other)]) == 3
    assert main(["shadow", "--json", str(other), "--lua-version", "1.7.0"]) == 0
    assert main(["shadow", "--columns"]) == 0


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", "\x00\x01", "round_id,player_guid,played_s,old_dead_s,new_dead_s\n,,1,2,3\n"]
)
def test_no_shadow_data_is_an_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "shadow.csv"
    path.write_text(text)
    assert main(["shadow", "--csv", str(path)]) == 2
    assert main(["shadow", "--json", str(path)]) == 2
    assert main(["shadow", "--csv", str(tmp_path / "absent")]) == 2


def test_names_of_the_database_are_known(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "a.csv",
        [{"round_id": 1, "guid": "AB", "time_played_seconds": 9, "old_dead_seconds": 1, "new_dead_seconds": 2}],
    )
    assert read_csv(path)[0]["played_s"] == "9"
    with pytest.raises(InputError, match="required: also"):
        read_csv(write_csv(tmp_path / "b.csv", [{"round_id": 1}]))
