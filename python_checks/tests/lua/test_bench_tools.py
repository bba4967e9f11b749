"""What the bench measures is what its figures say."""

from __future__ import annotations

from python_checks.lua.scan.run import scan_source
from scripts import bench_tools


def test_a_script_has_the_lines_it_is_counted_for_and_loads() -> None:
    source = bench_tools.script(7)
    assert len(source.splitlines()) == bench_tools.LINES == 1000
    report = scan_source(source.encode(), "script.lua")
    assert not report.not_judged
    assert not [finding for finding in report.findings if finding.code.startswith("LOAD")]
    assert source != bench_tools.script(8)


def test_a_call_that_cannot_judge_shows_its_exit_code() -> None:
    seconds, code = bench_tools.measure(
        bench_tools.Figure("none", 1, 3, lambda folder: ["lua", "scan", f"{folder}/none.lua"])
    )
    assert (code, seconds > 0) == (2, True)
