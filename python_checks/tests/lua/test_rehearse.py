"""The rehearsal as a whole: files in, verdict out, in processes of their own, within its limits."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from python_checks.cli import main
from python_checks.lua.rehearse import FAULTS, WEBHOOK_MATCHES, RehearsalFile, rehearse
from python_checks.tests.lua.conftest import FIXTURES, WEBHOOKS, fixed, original

ROOT = Path(__file__).resolve().parents[3]
WRITER = b"""local saved
function et_RunFrame()
  if et.trap_Cvar_Get("gamestate") == "3" and not saved then
    saved = true
    local round = et.trap_Cvar_Get("g_currentRound") == "0" and 2 or 1
    local name = "gamestats\\\\2026-02-20-214503-supply-round-" .. round .. ".txt"
    local handle = et.trap_FS_FOpenFile(name, et.FS_WRITE)
    local limits = round == 1 and "12:00\\\\7:22" or "7:22\\\\6:40"
    local text = "Demo\\\\supply\\\\\\\\" .. round .. "\\\\1\\\\2\\\\" .. limits .. "\\n"
    et.trap_FS_Write(text, #text, handle)
    et.trap_FS_FCloseFile(handle)
  end
end
"""


@pytest.mark.slow
def test_phase_1_set() -> None:
    """Unpatched the file fails, patched it passes the same rehearsal on both interpreters, in time."""
    before, after = (
        RehearsalFile(f"luascripts/{n}.lua", s)
        for n, s in (("old", original("inner_pcall")), ("new", fixed("inner_pcall")))
    )
    report = rehearse([before, after])
    assert {f.file for f in report.findings} == {before.name}, [
        f.sentence() for f in report.findings if f.file == after.name
    ]
    assert not report.passed and not report.unjudged and set(report.kinds.values()) == {"webhook"}
    assert report.judged == 2 * 2 * (len(WEBHOOK_MATCHES) + len(FAULTS))


@pytest.mark.slow
def test_all_styles_patched_and_unpatched() -> None:
    """Every fixture: hostile names and both injected faults, which the unpatched ones do not survive."""
    old = [RehearsalFile(f"luascripts/{name}.lua", original(name)) for name in WEBHOOKS]
    new = [RehearsalFile(f"luascripts/{name}_fixed.lua", fixed(name)) for name in WEBHOOKS]
    report = rehearse([*old, *new], ["hostile_names"])
    assert {f.file for f in report.findings} == {f.name for f in old}, [
        f.sentence() for f in report.findings if "_fixed" in f.file
    ]
    assert not report.unjudged


def test_a_passing_report() -> None:
    report = rehearse([RehearsalFile("luascripts/x.lua", fixed("oneliners"))], ["completed"])
    assert report.passed and report.judged == 2 * (1 + len(FAULTS))
    shown = json.loads(json.dumps(report.as_dict()))
    assert shown["passed"] is True and shown["findings"] == [] and shown["kinds"] == {"luascripts/x.lua": "webhook"}
    assert shown["sha256"] == {"luascripts/x.lua": hashlib.sha256(fixed("oneliners")).hexdigest()}
    assert shown["matches"] == ["completed"] and shown["interpreters"] == ["lua54", "luajit"]


def test_nothing_judged_is_not_passed() -> None:
    assert not rehearse([], ["completed"]).passed
    assert rehearse([], ["completed"]).judged == 0


def test_a_file_that_hangs_is_ended_and_not_passed() -> None:
    hanging = b"local s = ('a'):rep(40) while true do s:find(('.-'):rep(20) .. 'b') end"
    report = rehearse([RehearsalFile("luascripts/x.lua", hanging)], ["completed"], ["luajit"], timeout_s=4)
    assert not report.passed and (report.unjudged or report.findings)


@pytest.mark.slow
def test_a_file_that_eats_memory_is_ended_and_not_passed() -> None:
    greedy = b"local t = {} while true do t[#t + 1] = ('x'):rep(1e6) .. #t end"
    report = rehearse([RehearsalFile("luascripts/x.lua", greedy)], ["completed"], timeout_s=20)
    assert not report.passed and (report.unjudged or report.findings)


def test_writers_and_others_get_the_general_judgement() -> None:
    report = rehearse(
        [RehearsalFile("c0rnp0rn.lua", WRITER), RehearsalFile("luascripts/quiet", b"function et_RunFrame() end")],
        ["completed"],
    )
    assert report.passed, report.as_dict()
    assert report.kinds == {"c0rnp0rn.lua": "writer", "luascripts/quiet": "other"} and report.judged == 4
    broken = rehearse(
        [RehearsalFile("c0rnp0rn.lua", WRITER.replace(b"saved = true", b"saved = true error('x')", 1))], ["completed"]
    )
    assert {f.code for f in broken.findings} == {"lua_error", "file_missing"}


def test_a_file_for_one_interpreter_fails_on_the_other() -> None:
    report = rehearse([RehearsalFile("x.lua", b"local m = 1 << 4")], ["completed"])
    assert {(f.interpreter, f.code) for f in report.findings} == {("luajit", "not_loaded"), ("luajit", "lua_error")}
    assert rehearse([RehearsalFile("x.lua", b"local m = 1 << 4")], ["completed"], ["lua54"]).passed


def test_a_protection_that_no_fault_met_is_unproven() -> None:
    """A payload put together by ``..`` alone and sent without curl gives the faults nothing to break."""
    source = b"""local function send() local name = os.tmpname() local f = io.open(name, 'w')
    f:write('{"content":"STATS_READY","embeds":[{"fields":[{"name":"Map","value":"supply"}]}]}') f:close() os.execute('post @' .. name) end
    function et_RunFrame() if et.trap_Cvar_Get('gamestate') == '3' and not sent then sent = true send() end end"""
    report = rehearse([RehearsalFile("x.lua", source)], ["completed"], ["lua54"])
    assert not report.passed and "unproven" in report.unjudged[0]


def test_unknown_names_are_errors() -> None:
    from python_checks.engine import MatchError

    with pytest.raises(MatchError, match="nope"):
        rehearse([], ["nope"])
    with pytest.raises(ValueError, match="lua51"):
        rehearse([], ["completed"], ["lua51"])


# --- the command


def test_command_fix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit codes, check mode, in place with the mode kept, output file, and a second run that finds nothing."""
    path = tmp_path / "hook.lua"
    path.write_bytes(original("oneliners"))
    path.chmod(0o640)
    assert main(["lua", "fix", str(path), "--recipe", "webhook", "--check", "--in-place", "--diff"]) == 0
    assert path.read_bytes() == original("oneliners") and "+++ b/hook.lua" in capsys.readouterr().out
    assert main(["lua", "fix", str(path), "--recipe", "webhook", "-o", str(tmp_path / "out.lua")]) == 0
    assert (tmp_path / "out.lua").read_bytes() == fixed("oneliners") and path.read_bytes() == original("oneliners")
    assert main(["lua", "fix", str(path), "--recipe", "webhook", "--in-place"]) == 0
    assert path.read_bytes() == fixed("oneliners") and path.stat().st_mode & 0o777 == 0o640
    capsys.readouterr()
    before = path.stat().st_mtime_ns
    assert main(["lua", "fix", str(path), "--recipe", "webhook", "--in-place", "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["changed"] is False and shown["diff"] == "" and path.stat().st_mtime_ns == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["hook.lua", "out.lua"]


def test_command_fix_refuses_and_cannot_judge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.lua"
    path.write_bytes(b"return 1\n")
    assert main(["lua", "fix", str(path), "--recipe", "webhook", "--in-place"]) == 1
    assert "looked for" in capsys.readouterr().err and path.read_bytes() == b"return 1\n"
    assert main(["lua", "fix", str(path), "--recipe", "nonsense"]) == 2
    assert main(["lua", "fix", str(tmp_path / "absent"), "--recipe", "webhook"]) == 2
    path.write_bytes(b"x = = 1")
    capsys.readouterr()
    assert main(["lua", "fix", str(path), "--recipe", "webhook", "--format", "json"]) == 2
    shown = capsys.readouterr()
    assert "neither interpreter" in json.loads(shown.out)["error"] and "could not judge" in shown.err


def test_command_rehearse(tmp_path: Path) -> None:
    """As an admin types it: the exit code is the verdict."""
    good, bad = tmp_path / "good.lua", FIXTURES / "split_templates.lua"
    good.write_bytes(fixed("split_templates"))

    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "python_checks.cli", "lua", "rehearse", *argv],
            capture_output=True,
            text=True,
            check=False,
        )

    passed = run(str(good), "--match", "completed", "--interpreter", "lua54")
    assert passed.returncode == 0 and "passed: 3 plays judged" in passed.stdout, passed.stdout + passed.stderr
    failed = run(str(bad), "--match", "completed", "--format", "json")
    assert failed.returncode == 1 and json.loads(failed.stdout)["findings"]
    assert run(str(tmp_path / "absent.lua")).returncode == 2
    assert run(str(good), "--match", "nope").returncode == 2


def test_a_match_file_may_be_named_from_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yml").write_bytes((ROOT / "python_checks/engine/matches/completed.yml").read_bytes())
    monkeypatch.chdir(tmp_path)
    report = rehearse([RehearsalFile("luascripts/w.lua", fixed("inner_pcall"))], ["mine.yml"], ["lua54"])
    assert report.passed and report.matches == ("mine",), report.as_dict()
