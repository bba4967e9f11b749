"""`rollout report`: one file that needs nothing else, says what the ledger says, and shows nothing that is secret."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger

from python_checks.report import drawing
from python_checks.report.model import collect, coverage
from python_checks.report.page import RECORDS_LISTED, page
from python_checks.tests.ops.conftest import OpsSite

CANARY = "canary7f3a91"


class Reader(HTMLParser):
    """Tags that must be closed, attributes that could load something, and the visible text."""

    VOID = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.targets: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.anchors.add(str(value))
            if name == "href" and str(value).startswith("#"):
                self.targets.add(str(value)[1:])
            elif name in ("src", "href", "action", "data", "srcset", "style") or name.startswith("on"):
                self.loads.append(f"{tag} {name}={value}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes <{self.open[-1:]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def sample(*counts: tuple[Any, Any]) -> dict[str, Any]:
    rows = [
        {"round_number": number, "with_lua": with_lua, "without_lua": without}
        for number, (with_lua, without) in enumerate(counts)
    ]
    return {"changed": False, "rows": rows}


def told(site: OpsSite, later: timedelta = timedelta(0)) -> str:
    # Read when the test runs: records are stamped with the real clock, and one from the future is no evidence.
    return page(collect(site.evidence, datetime.now(UTC) + later, site.plan))


def test_it_is_one_file_and_runs_nothing(site: OpsSite) -> None:
    site.record("0.1", "verify")
    site.record("0.1", "verify", sample((0, 0), (9, 1), (0, 10)))
    html = told(site)
    reader = read(html)
    assert reader.loads == []
    assert not reader.tags & {"script", "iframe", "img", "link", "form", "object"}
    assert "url(" not in html and "@import" not in html
    assert "default-src 'none'" in html and 'name="viewport"' in html
    assert reader.targets <= reader.anchors, "every link leads to a record that is listed"
    assert reader.targets


def test_it_says_what_the_ledger_says(site: OpsSite) -> None:
    site.record("0.1", "verify")
    text = " ".join("".join(read(told(site)).text).split())
    assert "Ledger intact: 1 records" in text
    assert "1 of 3 gates pass" in text
    assert "tried on 1 planted faults just now, and named every one" in text
    assert "next: ansible-playbook playbooks/phase1.yml" not in text.split("Phase 0")[0]
    site.record("0.1", "verify", {"links": 0})
    text = " ".join("".join(read(told(site)).text).split())
    assert "0 of 3 gates pass" in text and "link it and verify again" in text


def test_age_counts_from_the_time_it_is_written(site: OpsSite) -> None:
    site.record("0.1", "verify")
    later = told(site, timedelta(days=20, hours=1))
    assert "20 d old" in later and "v-expired" in later


def test_a_gate_that_misses_its_mutant_is_named(site: OpsSite) -> None:
    path = site.plan / "gates" / "phase0.yml"
    made = yaml.safe_load(path.read_text())
    made["checks"][0]["pass_if"] = {"path": "links", "op": "ge", "value": 0}
    path.write_text(yaml.safe_dump(made))
    site.record("0.1", "verify")
    html = told(site)
    assert "It is unsound" in html and "0 of 3</strong> gates pass" in html


def test_a_broken_ledger_is_the_first_thing_said(site: OpsSite) -> None:
    site.record("0.1", "verify")
    path = site.evidence / "ledger.jsonl"
    path.write_text(path.read_text().replace('"links":1', '"links":2'))
    html = told(site)
    assert "The ledger is broken" in html.split("Phase 0")[0]
    assert "0 of 3</strong> gates pass" in html


def test_texts_of_hosts_are_no_markup(site: OpsSite) -> None:
    evil = "<script>alert(1)</script>&<img src=x onerror=y>'\"</pre></main>"
    site.record("0.1", "verify", {"links": 1, "msg": evil, "failed": True, "rows": evil}, host=evil, operator=evil)
    reader = read(told(site))
    assert "script" not in reader.tags and "img" not in reader.tags
    assert evil in "".join(reader.text)


def test_no_secret_even_where_the_ledger_holds_one(site: OpsSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidence written before a pattern was known must not leak through the report."""
    monkeypatch.setattr(ledger, "redact", lambda value: value)
    hook = f"http://slomix-vm.example.invalid/api/webhooks/12/{CANARY}"
    site.record("0.1", "verify", {"links": 1, "password": CANARY, "msg": f"post to {hook}", "failed": True})
    site.record("0.1", "action", {"actions": [f"PGPASSWORD={CANARY} psql"], "changed": True})
    assert CANARY in (site.evidence / "ledger.jsonl").read_text(), "the canary must have been there to be hidden"
    assert CANARY not in told(site)


def test_coverage_is_drawn_to_scale(site: OpsSite) -> None:
    site.record("0.1", "verify", sample((0, 0), (9, 1), (0, 10)))
    drawn = drawing.coverage_bars(coverage(site.records()))
    root = ElementTree.fromstring(drawn)
    track = [float(one.attrib["width"]) for one in root.findall("rect[@class='track']")]
    fill = [float(one.attrib["width"]) for one in root.findall("rect[@class='fill']")]
    assert len(track) == 2 and fill == [pytest.approx(track[0] * 0.9, abs=0.1)]
    assert "9 of 10 (90%)" in drawn and "0 of 10 (0%)" in drawn


@pytest.mark.parametrize("count", [None, "9", 1.5, -1, True])
def test_an_unknown_count_draws_no_bar(site: OpsSite, count: Any) -> None:
    site.record("0.1", "verify", sample((0, 0), (count, 1), (0, 1)))
    assert coverage(site.records()) == ()
    assert drawing.coverage_bars(()) == ""


def test_no_round_is_no_percentage(site: OpsSite) -> None:
    site.record("0.1", "verify", sample((0, 0), (0, 0), (0, 0)))
    assert "no round played" in drawing.coverage_bars(coverage(site.records()))


def test_a_long_ledger_stays_a_page(site: OpsSite) -> None:
    template = site.record("0.1", "verify")
    report = collect(site.evidence, datetime.now(UTC), site.plan)
    many = tuple({**template, "seq": number} for number in range(1, 3001))
    html = page(type(report)(**{**vars(report), "records": many}))
    assert f"The oldest {3000 - RECORDS_LISTED} are only in the ledger" in html
    assert len(html) < 3_000_000
    read(html)


def test_a_dot_is_green_only_for_a_verdict(site: OpsSite) -> None:
    site.record("0.1", "verify")
    site.record("0.1", "action")
    ledger.append(str(site.evidence), {"kind": "verdict", "result": {"gate": "phase0", "verdict": "pass"}})
    drawn = drawing.timeline(site.records())
    assert re.findall(r'circle class="([^"]+)"', drawn) == ["v-seen", "v-act", "v-pass"]
    ElementTree.fromstring(drawn)


def test_the_command_writes_the_file_or_says_why_not(site: OpsSite, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    refused = site.rollout("report", "-o", str(target), "--evidence", str(tmp_path / "nowhere"))
    assert refused.returncode == 2 and "does not exist" in refused.stderr and not target.exists()
    site.record("0.1", "verify")
    done = site.rollout("report", "-o", str(target), "--evidence", str(site.evidence))
    assert done.returncode == 0, done.stderr
    read(target.read_text(encoding="utf-8"))
    assert list(tmp_path.glob(".report-*")) == []
    lost = site.rollout("report", "-o", str(tmp_path / "no" / "r.html"), "--evidence", str(site.evidence))
    assert lost.returncode == 2
