"""``rollout lua scan`` from outside: exit codes, formats, folders, speed."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from python_checks.cli import main
from python_checks.lua.scan.codes import CODES
from python_checks.lua.scan.run import scan_paths, scan_source

CLEAN = b'function et_InitGame() et.RegisterModname("x") end\n'
WRONG = b"print(bit.band(1, 2))\n"


def _files(folder: Path, **contents: bytes) -> Path:
    for name, content in contents.items():
        path = folder / f"{name.replace('__', '/')}.lua"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 clean, 1 findings, 2 could not judge; findings weigh more than what could not be judged."""
    _files(tmp_path, good=CLEAN, bad=WRONG)
    assert main(["lua", "scan", str(tmp_path / "good.lua")]) == 0
    assert main(["lua", "scan", str(tmp_path / "bad.lua")]) == 1
    assert main(["lua", "scan", str(tmp_path / "bad.lua"), "--target", "luajit"]) == 0
    assert main(["lua", "scan", str(tmp_path / "none.lua")]) == 2
    assert main(["lua", "scan", str(tmp_path / "none.lua"), str(tmp_path / "bad.lua")]) == 1
    assert main(["lua", "scan"]) == 2
    (tmp_path / "empty").mkdir()
    assert main(["lua", "scan", "--root", str(tmp_path / "empty")]) == 2
    assert main(["lua", "scan", "--root", str(tmp_path / "missing")]) == 2
    assert "could not judge" in capsys.readouterr().out


def test_root_names_files_relative_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every *.lua below the folder, whatever the case of its ending; nothing else."""
    _files(tmp_path, luascripts__deep__bad=WRONG, good=CLEAN)
    (tmp_path / "OLD.LUA").write_bytes(CLEAN)
    (tmp_path / "notes.txt").write_bytes(WRONG)
    assert main(["lua", "scan", "--root", str(tmp_path), "--format", "json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert {f["file"]: f["clean"] for f in said["files"]} == {
        "OLD.LUA": True,
        "good.lua": True,
        "luascripts/deep/bad.lua": False,
    }
    (finding,) = next(f["findings"] for f in said["files"] if not f["clean"])
    assert finding["code"] == "LIB001" and finding["targets"] == ["lua54"]
    assert (finding["line"], finding["column"]) == (1, 7)


def test_a_file_name_that_is_no_utf8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Old servers have Latin-1 names; they are shown with the byte's number."""
    (tmp_path / os.fsdecode(b"gr\xfcn.lua")).write_bytes(WRONG)
    assert main(["lua", "scan", "--root", str(tmp_path)]) == 1
    assert "gr\\xfcn.lua:1:7: LIB001" in capsys.readouterr().out


def test_sarif(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rules, levels and places as SARIF 2.1.0 wants them; what cannot be judged is a notification."""
    _files(tmp_path, bad=WRONG + b"local x <const> = 1\n")
    main(["lua", "scan", "--root", str(tmp_path), str(tmp_path / "none.lua"), "--format", "sarif"])
    said = json.loads(capsys.readouterr().out)
    assert said["version"] == "2.1.0"
    (run,) = said["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert {result["ruleId"] for result in run["results"]} == set(rules) == {"LIB001", "LOAD001", "LJIT102"}
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] == CODES[result["ruleId"]].level
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "bad.lua" and place["region"]["startLine"] >= 1
    assert run["invocations"][0]["executionSuccessful"] is False


def test_many_files_are_judged_in_processes_and_in_order(tmp_path: Path) -> None:
    """The same report as one by one."""
    _files(tmp_path, **{f"f{i:02}": WRONG if i % 3 else CLEAN for i in range(30)})
    report = scan_paths([], tmp_path, ["lua54"])
    assert [f.file for f in report.files] == [f"f{i:02}.lua" for i in range(30)]
    assert [f.is_clean for f in report.files] == [i % 3 == 0 for i in range(30)]


def test_a_thousand_lines_cost_less_than_a_tenth_of_a_second() -> None:
    """100 files of 1000 lines in 10 s on one core; CPU time, so that a busy machine does not fail it."""
    world = Path(__file__).resolve().parents[3] / "molecule" / "world" / "et_server" / "lua"
    source = (world / "c0rnp0rn7.lua").read_bytes() + (world / "luascripts/team-lock.lua").read_bytes()
    assert source.count(b"\n") >= 1000
    scan_source(source)
    started_s = time.process_time()
    for _ in range(10):
        scan_source(source)
    assert time.process_time() - started_s < 1.0
