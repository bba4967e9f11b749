"""The report draws the timing comparison: points where they belong, honest about what is missing, unmoved by what is hostile."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger
from ansible_collections.slomix.timetracking.plugins.module_utils.plain import canonical, plain
from hypothesis import given, settings
from hypothesis import strategies as hs

from python_checks.report import shadow_figures as figures
from python_checks.report import shadow_page
from python_checks.report.model import collect
from python_checks.report.page import RECORDS_LISTED, page
from python_checks.report.shadow_model import Comparison, Plots, comparisons, read
from python_checks.report.style import STYLE
from python_checks.shadow import statistics as st
from python_checks.shadow.decision import decide
from python_checks.shadow.pairs import sample
from python_checks.tests.ops.conftest import OpsSite
from python_checks.tests.ops.shadow_pictures import Picture
from python_checks.tests.ops.test_ops_report import read as read_page
from python_checks.tests.shadow.helpers import rows

DIFFERENCES = [1.5, -4.0, 0.0, 7.25, -2.5, 3.0, -9.0, 0.5, 2.0, -1.0, 4.5, -6.0]
LOOKS = [
    {"rounds": 8, "estimate_s": 0.5, "low_s": None, "high_s": None},
    {"rounds": 12, "estimate_s": -0.75, "low_s": -4.5, "high_s": 3.5},
]
CANARY = "canary7f3a91"


def drawn(differences: list[Any], **more: Any) -> dict[str, Any]:
    """Recorded points of as many rounds; None is a round that is not compared."""
    rounds = [
        {
            "round_id": str(at + 1),
            "session": str(at // 4),
            "played_at": "2026-03-01-2045",
            "map": "supply",
            "round": at % 2 + 1,
            "not_compared": {"FALLBACK": 8} if value is None else {},
            "difference_s": value,
            "bad": False,
        }
        for at, value in enumerate(differences)
    ]
    return {"rounds": rounds, "bland_altman": [], "coverage": [], **more}


def rounds_picture(differences: list[Any], looks: Any = (), margin_s: float | None = 5.0) -> Picture:
    return Picture(figures.differences(read(drawn(differences)), list(looks), margin_s).svg)


def result_of(data: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """What step 5.1 records of the rows."""
    report = decide(sample(data))
    found = asdict(report)
    return {**found, "plots": canonical(plain(found["plots"])), "violation_count": len(report.violations), **more}


def only_section(site: OpsSite) -> str:
    (one,) = comparisons(site.records(), site.evidence)
    return shadow_page.section(one, datetime.now(UTC), True)


def lands(picture: Picture, differences: list[float]) -> None:
    """The claim of the first picture: each round at its place and value, zero in the middle, up is more."""
    marks = picture.points("dot")
    assert len(marks) == len(differences)
    for place, ((x, y), wanted) in enumerate(zip(marks, differences, strict=True), start=1):
        assert x == pytest.approx(place, abs=0.02) and y == pytest.approx(wanted, abs=0.05)
    ticks = picture.labels("tick-y", "y")
    assert [value for _, value in ticks] == sorted(value for _, value in ticks)
    assert [pixel for pixel, _ in ticks] == sorted((pixel for pixel, _ in ticks), reverse=True)
    across = [pixel for pixel, _ in picture.labels("tick-x", "x")]
    assert across == sorted(across)


def test_rounds_land_at_their_place_and_value() -> None:
    lands(rounds_picture(DIFFERENCES, LOOKS), DIFFERENCES)


MUTANTS: dict[str, Callable[[str], str]] = {
    "axes swapped": lambda svg: re.sub(r'cx="([\d.]+)" cy="([\d.]+)"', r'cx="\2" cy="\1"', svg),
    "a point missing": lambda svg: re.sub(r"<circle.*?</circle>", "", svg, count=1),
    "a point twice": lambda svg: re.sub(r"(<circle.*?</circle>)", r"\1\1", svg, count=1),
    "upside down": lambda svg: re.sub(r'cy="([\d.]+)"', lambda m: f'cy="{270 - float(m.group(1)):.1f}"', svg),
    "shifted by one": lambda svg: re.sub(r'cx="([\d.]+)"', lambda m: f'cx="{float(m.group(1)) + 26:.1f}"', svg),
    "mirrored": lambda svg: re.sub(r'cx="([\d.]+)"', lambda m: f'cx="{406 - float(m.group(1)):.1f}"', svg),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_picture_is_seen(name: str) -> None:
    svg = figures.differences(read(drawn(DIFFERENCES)), LOOKS, 5.0).svg
    changed = MUTANTS[name](svg)
    assert changed != svg
    with pytest.raises(AssertionError):
        lands(Picture(changed), DIFFERENCES)
    with pytest.raises(AssertionError):
        lands(Picture(svg), [-value for value in DIFFERENCES])


def test_the_margin_is_drawn_to_scale() -> None:
    picture = rounds_picture(DIFFERENCES, margin_s=3.0)
    ends = [y for _, y in picture.points("margin-end")]
    assert ends == [pytest.approx(3.0, abs=0.05), pytest.approx(-3.0, abs=0.05)]
    assert not rounds_picture(DIFFERENCES, margin_s=None).pixels("margin-end")


def test_a_look_stands_behind_the_round_it_ends_with() -> None:
    """Rounds that are not compared do not count, so the eighth compared one is the tenth of all."""
    values: list[Any] = [1.0, None, 2.0, 3.0, None, *[0.5] * 10]
    picture = rounds_picture(values, LOOKS)
    assert [x for x, _ in picture.points("look")] == [pytest.approx(10.5, abs=0.02), pytest.approx(14.5, abs=0.02)]
    assert [y for _, y in picture.points("estimate")] == [pytest.approx(0.5, abs=0.05), pytest.approx(-0.75, abs=0.05)]
    # The first look had no finite interval, so it has none in the picture.
    low, first_cap, second_cap = picture.points("interval")
    assert low[1] == first_cap[1] == pytest.approx(-4.5, abs=0.05) and second_cap[1] == pytest.approx(3.5, abs=0.05)
    assert not rounds_picture(values, [{**LOOKS[1], "high_s": None}]).pixels("interval")
    assert not rounds_picture(values, [{"rounds": 99}, {"rounds": 0}, {"rounds": None}, {}]).pixels("look")


def test_bad_rounds_and_left_out_ones_stand_apart() -> None:
    made = drawn([1.0, None, 3.0, None])
    made["rounds"][2]["bad"] = made["rounds"][3]["bad"] = True
    figure = figures.differences(read(made), [], 5.0)
    picture = Picture(figure.svg)
    assert picture.points("dot") == [(pytest.approx(1, abs=0.02), pytest.approx(1.0, abs=0.05))]
    used, aside = picture.points("bad")
    assert used == (pytest.approx(3, abs=0.02), pytest.approx(3.0, abs=0.05))
    lowest = picture.labels("tick-y", "y")[0][0]
    assert aside[0] == pytest.approx(4, abs=0.02) and picture.pixels("bad")[1][1] > lowest
    (crossed,) = picture.pixels("out")
    assert picture.value(crossed[0], "x") == pytest.approx(2, abs=0.02) and crossed[1] > lowest
    assert "FALLBACK 8" in picture.titles("out")[0] and "bad round" in picture.titles("bad")[0]
    assert "2 of 4 rounds are compared" in figure.about and "Bad: 2." in figure.about


def test_one_far_round_presses_no_others_flat() -> None:
    figure = figures.differences(read(drawn([*DIFFERENCES, 9000.0])), [], 5.0)
    picture = Picture(figure.svg)
    assert picture.labels("tick-y", "y")[-1][1] < 50
    assert "+9000.0 s" in picture.titles("dot")[-1] and "Beyond the axis: 1, the farthest +9000.0 s." in figure.about
    far = next(one for one in picture.root.iter("path") if one.attrib.get("class") == "dot")
    assert "l5 10h-10z" in far.attrib["d"], "a triangle that points up"
    assert picture.pixels("dot")[-1][1] == figures.TOP


def test_pairs_land_at_mean_and_difference() -> None:
    pairs = [(30.0, 2.0), (75.5, -4.0), (210.0, 6.5), (12.0, 0.0)]
    points = [{"round_id": "1", "mean_s": mean, "difference_s": value} for mean, value in pairs]
    numbers = {"row_mean_s": 1.125, "row_limits_low_s": -7.5, "row_limits_high_s": 9.75}
    figure = figures.agreement(read(drawn([], bland_altman=points)), numbers)
    picture = Picture(figure.svg)
    assert [(pytest.approx(x, abs=0.5), pytest.approx(y, abs=0.05)) for x, y in pairs] == picture.points("pairs")
    assert [y for _, y in picture.points("mean")] == [pytest.approx(1.125, abs=0.1)]
    assert [y for _, y in picture.points("limit")] == [pytest.approx(-7.5, abs=0.1), pytest.approx(9.75, abs=0.1)]
    assert "description only" in figure.title and "decide nothing" in figure.about
    without = figures.agreement(read(drawn([], bland_altman=points)), {})
    assert not Picture(without.svg).pixels("mean") and "mean and limits are not recorded" in without.about


def test_coverage_is_drawn_with_its_bound() -> None:
    evenings = [{"session": "7", "played_at": "2026-03-01-2000", "covered": 6, "rounds": 8, "lower": 0.4}]
    evenings += [{"session": str(number), "covered": 8, "rounds": 8, "lower": 0.6877} for number in (8, 9)]
    numbers = {"rounds": 24, "rounds_covered": 22, "coverage_lower": 0.7609}
    picture = Picture(figures.coverage(read(drawn([], coverage=evenings)), numbers).svg)
    tracks, bars = (
        [float(one.attrib["width"]) for one in picture.root.findall(f"rect[@class='{kind}']")]
        for kind in ("track", "bar")
    )
    assert [bar / track for bar, track in zip(bars, tracks, strict=True)] == pytest.approx(
        [0.75, 1, 1, 22 / 24], abs=0.005
    )
    start = float(picture.root.findall("rect[@class='track']")[0].attrib["x"])
    bounds = [(x - start) / tracks[0] for x, _ in picture.pixels("bound")]
    assert bounds == pytest.approx([0.4, 0.6877, 0.6877, 0.7609], abs=0.005)
    (need,) = picture.pixels("need")
    assert (need[0] - start) / tracks[0] == pytest.approx(st.COVERAGE, abs=0.005)
    said = [one.text for one in picture.root.findall("text")]
    assert {"2026-03-01", "evening 8", "6 of 8", "together", "22 of 24", "80%"} <= set(said)


def test_many_evenings_lose_none() -> None:
    evenings = [{"session": str(number), "covered": 3, "rounds": 4, "lower": 0.2} for number in range(250)]
    picture = Picture(figures.coverage(read(drawn([], coverage=evenings)), {}).svg)
    counts = [re.fullmatch(r"(\d+) of (\d+)", str(one.text)) for one in picture.root.findall("text")]
    *bars, whole = [(int(one[1]), int(one[2])) for one in counts if one]
    assert len(bars) == figures.EVENINGS_DRAWN and whole == (750, 1000)
    assert (sum(covered for covered, _ in bars), sum(many for _, many in bars)) == whole


@pytest.mark.parametrize("many", [0, 1, 2, 3, 12, 61, 500, 1000, 2500])
@pytest.mark.parametrize("kind", ["equal", "none", "spread"])
def test_any_number_of_rounds_fits(many: int, kind: str) -> None:
    value = {"equal": lambda at: 2.5, "none": lambda at: None, "spread": lambda at: (at * 37 % 41 - 20) / 2}[kind]
    differences = [value(at) for at in range(many)]
    pairs = [{"mean_s": 50.0, "difference_s": one} for one in differences if one is not None]
    plots = read(drawn(differences, bland_altman=pairs * 8))
    assert plots.unreadable == 0
    pictures = [figures.differences(plots, LOOKS, 5.0), figures.agreement(plots, {"row_mean_s": 2.5})]
    for figure in pictures:
        if figure.svg:
            inside(Picture(figure.svg))
    marks = sum(pictures[0].svg.count(f'class="{kind}"') for kind in ("dot", "out", "bad"))
    assert marks == min(many, figures.ROUNDS_DRAWN)
    assert ("newest 2000 of 2500" in pictures[0].about) == (many == 2500)
    assert len(pictures[0].svg) < 450_000 and len(pictures[1].svg) < 200_000


def inside(picture: Picture) -> None:
    """Nothing outside of the picture, nothing that is no number."""
    numbers = picture.numbers()
    assert all(math.isfinite(one) and abs(one) < 1000 for one in numbers)
    for kind in ("dot", "bad", "out", "pairs", "pairs-far", "look", "interval", "estimate", "mean", "limit", "bound"):
        assert all(0 <= x <= picture.width and 0 <= y <= picture.height for x, y in picture.pixels(kind))


NUMBERS = hs.none() | hs.booleans() | hs.integers() | hs.floats() | hs.floats(-1e6, 1e6) | hs.text(max_size=4)
THINGS = hs.recursive(
    NUMBERS, lambda one: hs.lists(one, max_size=3) | hs.dictionaries(hs.text(max_size=3), one, max_size=3), max_leaves=6
)


def entries(*names: str) -> hs.SearchStrategy[Any]:
    return hs.lists(hs.fixed_dictionaries({}, optional=dict.fromkeys(names, NUMBERS)) | THINGS, max_size=6) | THINGS


@settings(max_examples=200, deadline=None)
@given(
    hs.fixed_dictionaries(
        {},
        optional={
            "rounds": entries(
                "round_id", "session", "played_at", "map", "round", "not_compared", "difference_s", "bad"
            ),
            "bland_altman": entries("mean_s", "difference_s"),
            "coverage": entries("session", "played_at", "covered", "rounds", "lower"),
        },
    ),
    hs.dictionaries(
        hs.sampled_from(["numbers", "looks", "strata", "codes", "counts", "decision", "coverage", "violations"]), THINGS
    ),
    entries("rounds", "estimate_s", "low_s", "high_s"),
    hs.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("margin_s", "rounds", "rounds_covered", "coverage_lower", "row_mean_s", "row_limits_low_s"), NUMBERS
        ),
    ),
)
def test_no_record_breaks_the_page(recorded: dict[str, Any], found: dict[str, Any], looks: Any, numbers: Any) -> None:
    plots: Plots = read(recorded)
    one = Comparison(
        7, datetime.now(UTC), "vm", {"numbers": numbers, "looks": looks, **found, "verdict": "X"}, plots, "", ""
    )
    html = shadow_page.section(one, datetime.now(UTC), True)
    read_page(html)
    for svg in re.findall(r"<svg.*?</svg>", html, re.DOTALL):
        inside(Picture(re.sub(r"[^\x20-\x7e\u00a0-\ud7ff]", "?", svg)))


@pytest.mark.parametrize("margin_s", [-1.0, 0, 5e-324, 2.9, 1e308, 10**400, True, "5", None])
def test_a_margin_that_no_comparison_takes_is_not_drawn(margin_s: Any) -> None:
    found = {"verdict": "X", "numbers": {"margin_s": margin_s}}
    html = shadow_page.section(
        Comparison(1, datetime.now(UTC), "vm", found, read(drawn(DIFFERENCES)), "", ""), datetime.now(UTC), True
    )
    assert "margin not recorded" in html and "margin-end" not in html and html.count('<circle class="dot"') == 12


def test_numbers_that_are_none_are_counted_not_drawn() -> None:
    made = drawn([1.0, 2.0, "3", math.nan])
    made["bland_altman"] = [{"mean_s": 1.0, "difference_s": None}, {"mean_s": 1.0, "difference_s": 2.0}]
    made["coverage"] = [{"session": "1", "covered": 9, "rounds": 8}, {"session": "2", "covered": 1, "rounds": 1}]
    plots = read(made)
    assert (len(plots.rounds), len(plots.pairs), len(plots.evenings), plots.unreadable) == (2, 1, 1, 4)
    one = Comparison(1, datetime.now(UTC), "vm", {"verdict": "X"}, plots, "", "")
    assert "4 recorded points are no numbers" in shadow_page.section(one, datetime.now(UTC), True)


def test_the_record_of_step_5_1_is_drawn_on_the_page(site: OpsSite) -> None:
    """The points are set aside under raw/, named by their digest, and the page finds them there."""
    record = site.record("5.1", "verify", result_of(rows(16, covered=0.9)))
    assert (site.evidence / "raw" / record["result"]["plots"]["raw_sha256"]).is_file()
    html = page(collect(site.evidence, datetime.now(UTC), site.plan))
    reader = read_page(html)
    text = " ".join("".join(reader.text).split())
    assert html.count("<figure>") == html.count("<figcaption>") == 3 and reader.loads == []
    for words in (
        "Old and new timing, one",
        "What would settle it",
        "The decision table",
        "Applies now.",
        "description only",
    ):
        assert words in text
    for code in record["result"]["codes"]:
        assert code in text
    assert "15 of 16 rounds are compared" in text and "rows without a Lua value of their own" in text
    assert reader.targets <= reader.anchors and f"r{record['seq']}" in reader.targets


def test_every_picture_has_a_text_alternative_and_units(site: OpsSite) -> None:
    site.record("5.1", "verify", result_of(rows(16)))
    html = only_section(site)
    found = re.findall(r"<figure><h3>(.*?)</h3>(<svg.*?</svg>).*?<figcaption>(.*?)</figcaption>", html, re.DOTALL)
    assert len(found) == 3
    for title, svg, caption in found:
        assert f'role="img" aria-label="{title}"' in svg and f"<desc>{caption}</desc>" in svg and len(caption) > 40
    said = [re.findall(r"<text[^>]*>([^<]*)", svg) for _, svg, _ in found]
    assert {"NEW − OLD in seconds", "rounds in time order"} <= set(said[0])
    assert {"NEW − OLD in seconds", "mean of OLD and NEW in seconds"} <= set(said[1])
    assert {"share of the rounds", "0%", "100%"} <= set(said[2])


def test_names_are_no_markup(site: OpsSite) -> None:
    evil = "<script>alert(1)</script>&<img src=x onerror=y>'\"</title></svg></desc>]]>"
    data = rows(24, bias_s=12, map=evil, **{"class": "played"})
    for at, row in enumerate(data):
        row["session"] = f"{evil}{at // 80}"
        row["player_guid"] = f"<i>{at % 10}"
        row["round_id"] = f"{row['round_id']}{evil}"
        row["played_at"] = f"{row['round_id']}\x00\x1b[2J"
        if at % 7 == 0:
            row["new_dead_s"] = ""
    site.record("5.1", "verify", result_of(data, counts={evil: 3}), host=evil)
    html = page(collect(site.evidence, datetime.now(UTC), site.plan))
    reader = read_page(html)
    assert not reader.tags & {"script", "img"} and "<i>0" not in html and reader.loads == []
    assert evil in "".join(reader.text)


def test_no_secret_leaves_through_a_picture(site: OpsSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of a record that was written before a pattern was known."""
    monkeypatch.setattr(ledger, "redact", lambda value: value)
    monkeypatch.setattr(ledger, "redact_text", lambda text: text)
    hook = f"http://slomix-vm.example.invalid/api/webhooks/12/{CANARY}"
    data = rows(16)
    for row in data:
        row["map"], row["session"] = hook, f"token={CANARY}{row['session']}"
    record = site.record("5.1", "verify", result_of(data))
    raw = site.evidence / "raw" / record["result"]["plots"]["raw_sha256"]
    assert CANARY in raw.read_text(), "the canary must have been there to be hidden"
    html = page(collect(site.evidence, datetime.now(UTC), site.plan))
    assert CANARY not in html and html.count("<figure>") == 3
    assert CANARY not in repr([one.plots for one in comparisons(site.records(), site.evidence)])


def test_an_old_record_says_that_points_are_not_recorded(site: OpsSite) -> None:
    old = result_of(rows(16))
    del old["plots"]
    site.record("5.1", "verify", old)
    html = only_section(site)
    assert "<svg" not in html and "not recorded" in html and "validate.yml -e phase=5" in html
    assert "Applies now." in html, "what is recorded is said all the same"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("{", "no JSON object"),
        ("[]", "no JSON object"),
        ("[" * 100_000, "no JSON object"),
        (7, "missing or was changed"),
    ],
)
def test_damaged_points_are_not_guessed(site: OpsSite, value: Any, told: str) -> None:
    site.record("5.1", "verify", result_of(rows(16), plots=value))
    html = only_section(site)
    assert told in html and "<svg" not in html


def test_points_that_were_changed_are_not_drawn(site: OpsSite) -> None:
    record = site.record("5.1", "verify", result_of(rows(16)))
    raw = site.evidence / "raw" / record["result"]["plots"]["raw_sha256"]
    raw.write_text(raw.read_text().replace('"difference_s":', '"difference_s":1', 1))
    html = page(collect(site.evidence, datetime.now(UTC), site.plan))
    assert "The ledger is broken" in html and "missing or was changed" in html and "<figure>" not in html


def test_the_newest_run_counts_and_a_failed_one_is_not_hidden(site: OpsSite) -> None:
    site.record("5.1", "verify", result_of(rows(32)))
    assert '<span class="badge v-pass">EQUIVALENT</span>' in only_section(site)
    site.record("5.1", "verify", result_of(rows(6)))
    site.record("5.1", "verify", result_of(rows(32)), check=True)
    site.record("5.2", "verify", result_of(rows(32)))
    html = only_section(site)
    assert (
        '<h2>Old and new timing, one <span class="badge v-inconclusive">INCONCLUSIVE</span></h2>' in html
        and "record 2" in html
    )
    site.record("5.1", "verify", {"failed": True, "msg": "the pairs could not be read"})
    html = only_section(site)
    assert (
        "record 5 could not compare: the pairs could not be read" in html
        and "What follows is the run before it" in html
    )
    assert '<h2>Old and new timing, one <span class="badge v-error">no result</span></h2>' in html
    site.record("5.1", "verify", {"failed": True}, host="two")
    told = page(collect(site.evidence, datetime.now(UTC), site.plan))
    assert told.count("Old and new timing, ") == 2 and "no reason is recorded" in told


def test_without_a_comparison_there_is_no_section(site: OpsSite) -> None:
    site.record("0.1", "verify")
    assert "Old and new timing" not in page(collect(site.evidence, datetime.now(UTC), site.plan))


def test_a_record_that_is_not_listed_is_not_linked(site: OpsSite) -> None:
    first = site.record("5.1", "verify", result_of(rows(8)))
    report = collect(site.evidence, datetime.now(UTC), site.plan)
    many = (first, *({**first, "step": "0.1", "seq": number} for number in range(2, RECORDS_LISTED + 3)))
    reader = read_page(page(type(report)(**{**vars(report), "records": many})))
    assert "r1" not in reader.targets and reader.targets <= reader.anchors


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_and_marks_stand_out(scheme: int) -> None:
    """4.5 to 1 for text, WCAG 2.2 AA, on page and card, light and dark; every mark's colour is one of these."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    assert len(blocks) == 2
    colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6})", blocks[scheme]))
    colours = {
        name: value if len(value) == 7 else "#" + "".join(one * 2 for one in value[1:])
        for name, value in colours.items()
    }
    for ground in ("bg", "card"):
        for name in ("ink", "dim", "good", "warn", "bad", "odd", "act"):
            light, dark = sorted((luminance(colours[name]), luminance(colours[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ground, scheme)


def test_the_playbooks_result_reaches_the_page(site: OpsSite, tmp_path: Path) -> None:
    """The action plugin's own result, through the ledger, into a file."""
    (site.folder / "rows.json").write_text(json.dumps(rows(14, players=4, map="{{ 1 + 1 }}")))
    read_rows = "{{ lookup('ansible.builtin.file', inventory_dir ~ '/rows.json') | from_json }}"
    tasks = [
        {"slomix.timetracking.shadow_report": {"rows": read_rows}, "register": "found"},
        {"slomix.timetracking.rollout_record": {"phase": 5, "step": "5.1", "leg": "verify", "result": "{{ found }}"}},
    ]
    code, out = site.play(site.playbook({"tasks": tasks}))
    assert code == 0, out
    target = tmp_path / "report.html"
    done = site.rollout("report", "-o", str(target), "--evidence", str(site.evidence))
    assert done.returncode == 0, done.stderr
    html = target.read_text(encoding="utf-8")
    read_page(html)
    assert html.count("<figure>") == 3 and "14 of 14 rounds are compared" in html and "{{ 1 + 1 }} R1" in html
