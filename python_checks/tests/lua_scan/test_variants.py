"""No false «clean», and no defect that hides behind another spelling, over generated variants of the scripts at hand."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from python_checks.lua.interpreters import INTERPRETERS, compile_errors
from python_checks.lua.scan.run import scan_source
from python_checks.tests.lua_scan.variants import BREAKING, SAME

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = {
    path.name: path.read_bytes()
    for folder in ("molecule/world/et_server/lua", "python_checks/tests/lua/fixtures")
    for path in sorted((ROOT / folder).rglob("*.lua"))
}
CORPUS = [(name, how) for name in SCRIPTS for how in SAME]


@cache
def codes(name: str) -> Counter[str]:
    """How often each code is found in a script as it is."""
    return Counter(f.code for f in scan_source(SCRIPTS[name]).findings)


def test_the_corpus_is_large_enough() -> None:
    """At least 60 variants, each of them different from its origin or the same on purpose."""
    assert len(CORPUS) >= 60


@pytest.mark.parametrize(("name", "how"), CORPUS)
def test_another_spelling_has_the_same_defects(name: str, how: str) -> None:
    """The codes found are the same, the compilers' verdict is passed on as it is, and nothing is left unjudged."""
    variant = SAME[how](SCRIPTS[name])
    report = scan_source(variant)
    assert report.loads == compile_errors(variant)
    assert not report.not_judged
    assert Counter(f.code for f in report.findings) == codes(name)


@pytest.mark.parametrize("addition", BREAKING)
@pytest.mark.parametrize("name", ["team-lock.lua", "c0rnp0rn7.lua", "encoder.lua"])
def test_what_does_not_compile_is_never_clean(name: str, addition: bytes) -> None:
    """For exactly the interpreters that refuse the file, LOAD001 is told."""
    report = scan_source(SCRIPTS[name] + addition)
    assert {t for f in report.findings if f.code == "LOAD001" for t in f.targets} == BREAKING[addition]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_mutilated_scripts_are_judged_by_the_compilers(data: st.DataObject) -> None:
    """Cut out or double any piece: the scan never raises, and says clean only where both compilers accept."""
    source = SCRIPTS[data.draw(st.sampled_from(["team-lock.lua", "oneliners.lua", "placeholders.lua"]))]
    start = data.draw(st.integers(0, len(source) - 1))
    piece = source[start : start + data.draw(st.integers(1, 40))]
    variant = source[:start] + piece * data.draw(st.sampled_from([0, 2])) + source[start + len(piece) :]
    report = scan_source(variant)
    assert report.loads == compile_errors(variant)
    if report.is_clean:
        assert not any(report.loads.values())
    for target in INTERPRETERS:
        told = any(f.code == "LOAD001" and target in f.targets for f in report.findings)
        assert told == bool(report.loads[target])
