"""The probe as it runs on the host: the module as a process, its answers judged as the action plugin does."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.action.parser_probe_info import replay_sample
from ansible_collections.slomix.timetracking.plugins.module_utils.judge import judge
from ansible_collections.slomix.timetracking.plugins.module_utils.source_samples import probe_sample

from python_checks.source.recipe import fix
from python_checks.stats import probe, replay
from python_checks.stats.compose import Round

FEBRUARY = "molecule/world/slomix_vm/opt_slomix/bot/community_stats_parser.py"
RunModule = Callable[..., dict[str, Any]]


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


@functools.cache
def fixed(february: bytes) -> bytes:
    """The codemod's output; it proves itself, which takes its time."""
    return fix(february, ["parser-field9"], "p.py").output


class Site:
    """A deployed tree with a parser, a release store and stored stats files."""

    def __init__(self, folder: Path, run_module: RunModule, february: bytes) -> None:
        self.parser = folder / "tree" / "bot" / "community_stats_parser.py"
        self.store = folder / "store"
        self.stored = folder / "local_stats"
        self.february = february
        self.fixed = fixed(february)
        self.run_module = run_module
        for path in (self.parser.parent, self.stored, self.store):
            path.mkdir(parents=True)
        self.parser.write_bytes(february)

    def record(self, original: bytes) -> None:
        """A release store that knows ``original``."""
        digest = hashlib.sha256(original).hexdigest()
        (self.store / digest).mkdir()
        (self.store / digest / "file").write_bytes(original)
        (self.store / "journal.json").write_text(json.dumps({"original": digest}))

    def probe(self, candidate: bytes | None = None, **more: Any) -> dict[str, Any]:
        """The module's answer, judged."""
        raw = self.run_module(
            "parser_probe_info",
            {
                "parser": str(self.parser),
                "python": sys.executable,
                "store": str(self.store),
                "folders": [str(self.stored)],
                "runner_b64": text(replay.RUNNER.read_bytes()),
                "golden": [{"name": name, "content_b64": text(data)} for name, data in probe.golden()],
                **({"candidate_b64": text(candidate)} if candidate else {}),
                **more,
            },
            check=True,
        )
        if raw.get("failed"):
            return raw
        found = probe.verdict("p.py", replay.Run(raw["class"], tuple(raw["stand_ins"]), tuple(raw["lines"])))
        return {**found.as_dict(), "replay": replay_sample(raw)}


@pytest.fixture
def site(tmp_path: Path, run_module: RunModule, root: Path) -> Site:
    made = Site(tmp_path, run_module, (root / FEBRUARY).read_bytes())
    for hour in range(4):
        Round(round=1 + hour % 2).write(made.stored, f"2026-02-20-2{hour}1500")
    (made.stored / "2026-02-20-201500-supply-round-1-endstats.txt").write_text("not a round file\n")
    return made


def test_the_deployed_february_parser_misreads(site: Site) -> None:
    found = site.probe()
    assert found["reads"] == "seconds" and not found["right"]
    assert found["replay"]["same_parser"] is True, "nothing to compare with"


def test_the_candidate_is_tried_before_it_is_deployed(site: Site) -> None:
    found = site.probe(site.fixed)
    assert found["reads"] == "milliseconds" and found["right"]
    seen = found["replay"]
    assert (seen["compared"], seen["read"], seen["equal"], seen["refused"]) == (4, 4, 4, 0)
    assert seen["files"] == {"8": 4} and seen["same_parser"] is False
    assert site.parser.read_bytes() == site.february
    assert sorted(path.name for path in site.parser.parent.iterdir()) == [site.parser.name]


def test_the_deployed_fix_is_compared_with_the_recorded_original(site: Site) -> None:
    site.record(site.february)
    site.parser.write_bytes(site.fixed)
    found = site.probe()
    assert found["right"] and found["replay"]["same_parser"] is False and found["replay"]["equal"] == 4


def test_a_nine_field_file_may_differ_only_by_the_rules(site: Site) -> None:
    Round(playtime="441250").write(site.stored, "2026-02-21-201500")
    seen = site.probe(site.fixed)["replay"]
    assert (seen["files"], seen["differing"], seen["differing_other_than_9"], seen["refused"]) == (
        {"8": 4, "9": 1},
        1,
        0,
        0,
    )
    assert seen["differences"] and all(one["allowed"] for one in seen["differences"])


def test_a_moved_row_is_refused(site: Site) -> None:
    mutant = site.fixed.replace(b'player["damage_given"] * 60', b'player["damage_given"] * 61')
    assert mutant != site.fixed
    seen = site.probe(mutant)["replay"]
    assert seen["refused"] >= 4 and seen["differences"][0]["allowed"] is False


def test_more_moved_files_than_are_sent_are_all_refused(site: Site) -> None:
    mutant = site.fixed.replace(b'player["damage_given"] * 60', b'player["damage_given"] * 61')
    for minute in range(50):
        Round().write(site.stored, f"2026-03-01-20{minute:02d}00")
    seen = site.probe(mutant)["replay"]
    assert seen["differing_other_than_9"] == 54 and seen["judged"] < 54 and seen["refused"] >= 54


def test_no_stored_file_compares_nothing(site: Site) -> None:
    seen = site.probe(site.fixed, folders=[])["replay"]
    assert (seen["compared"], seen["equal"], seen["refused"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"python": "/nowhere/python3"}, "cannot be started"),
        ({"folders": ["/nowhere"]}, "correct the path"),
        ({"parser": "/nowhere/p.py"}, "cannot be"),
        ({"golden": []}, "action plugin"),
    ],
)
def test_what_cannot_be_judged_is_said(site: Site, options: dict[str, Any], words: str) -> None:
    found = site.probe(None, **options)
    assert found["failed"] and words in found["msg"], found


# ---------------------------------------------------------------------------------------------------- gate 3

UNIT = (b"played = int(text) / 1000", b"played = int(text)")
NEGATIVE = (
    b"text.isdigit() and len(text) <= 12) or int(text) == 0",
    b"text.lstrip('-').isdigit() and len(text) <= 12)",
)
BACKSLASH = replace(Round(), server="My\\Server")
CUT = Round().data()[:-30]
NAME = "2026-02-21-201500-supply-round-1"
SHIFTED = (b'lines[0].strip().split("\\\\")', b'lines[0].strip().rsplit("\\\\", 7)')


@pytest.mark.parametrize(
    ("edit", "stored", "unit", "replayed"),
    [
        pytest.param(None, {f"{NAME}.txt": Round().data()}, "pass", "pass", id="right"),
        pytest.param(UNIT, {f"{NAME}.txt": Round().data()}, "fail", "pass", id="wrong unit"),
        pytest.param(NEGATIVE, {f"{NAME}.txt": Round().data()}, "fail", "pass", id="negative field 9"),
        pytest.param(None, {f"{NAME}.txt": CUT, f"{NAME[:-1]}2.txt": Round().data()}, "pass", "pass", id="truncated"),
        pytest.param(None, {f"{NAME}-endstats.txt": b"a\tb\n"}, "pass", "inconclusive", id="siblings only"),
        pytest.param(None, {f"{NAME}.txt": BACKSLASH.data()}, "pass", "pass", id="host name with backslash"),
        pytest.param(SHIFTED, {f"{NAME}.txt": BACKSLASH.data()}, "fail", "fail", id="the backslash is read otherwise"),
    ],
)
def test_gate_3_on_what_is_stored(
    edit: tuple[bytes, bytes] | None, stored: dict[str, bytes], unit: str, replayed: str, site: Site, root: Path
) -> None:
    """From files and a parser to gate 3's verdicts. An old file on top is one more file: each of them is compared."""
    for path in site.stored.iterdir():
        path.unlink()
    for name, data in stored.items():
        (site.stored / name).write_bytes(data)
    candidate = site.fixed.replace(*edit) if edit else site.fixed
    assert not edit or candidate != site.fixed
    site.record(site.february)
    site.parser.write_bytes(candidate)
    gate = yaml.safe_load((root / "playbooks/plan/gates/phase3.yml").read_text())
    base = {"kind": "step", "check": False, "phase": 3, "host": "vm", "digests": {"parser_py": "aa"}}
    now = datetime.now(UTC)
    base["at"] = now.isoformat()
    tried = probe_sample(site.probe(), False)
    records = [
        {**base, "seq": 1, "step": "3.1", "leg": "action", "result": {}},
        {**base, "seq": 2, "step": "3.2", "leg": "verify", "result": tried},
    ]
    found = {one.id: one for one in judge(gate, json.loads(json.dumps(records)), now=now).checks}
    assert (found["3.2/unit"].verdict, found["3.2/replay"].verdict) == (unit, replayed), found
