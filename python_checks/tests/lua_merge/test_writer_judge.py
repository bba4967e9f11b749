"""The judgement of stats writers: the reference writer passes everything; each requirement has a mutant of it that it catches."""

from __future__ import annotations

from pathlib import Path

import pytest

from python_checks.engine import match_names
from python_checks.lua.interpreters import INTERPRETERS
from python_checks.lua.rehearse import WEBHOOK_MATCHES, WRITER_MATCHES, RehearsalFile, default_matches, rehearse
from python_checks.lua.scan.run import scan_source
from python_checks.tests.lua_merge.writers import OLD, ROOT, codes, findings, mutate, perform, source

REFERENCE = (ROOT / "roles" / "lua_release" / "files" / "c0rnp0rn3.lua").read_bytes()


def test_the_reference_writer_passes_every_match_on_both_interpreters() -> None:
    report = rehearse([RehearsalFile("c0rnp0rn3.lua", REFERENCE)], match_names(), header_fields=9)
    assert report.passed, [f.sentence() for f in report.findings] + list(report.unjudged)
    assert report.judged == len(INTERPRETERS) * len(match_names()) and not report.remarks
    assert scan_source(REFERENCE).findings == ()


@pytest.mark.parametrize(
    ("code", "match", "old", "new"),
    [
        ("header_fields", "completed", b"\\\\%s\\\\%d\\n", b"\\\\%s\\n"),
        ("header_map", "completed", b"map, roundNumber())\n", b'map, roundNumber()) map = "x"\n'),
        ("header_round", "completed", b"plain(et.trap_Cvar_Get(\"g_customConfig\")), roundNumber()", b'"", 1'),
        ("header_round", "map_change_mid_round", b"isBrokenOff = roundEnd == nil", b"isBrokenOff = false"),
        ("file_name", "completed", b"map, roundNumber())\n", b"map, 3 - roundNumber())\n"),
        ("header_winner", "completed", b"whole(winner) + 1", b"whole(winner)"),
        ("header_defender", "completed", b"whole(defender) + 1", b"whole(defender) + 2"),
        ("header_timelimit", "completed", b'limitText("timelimit"), following', b'"1:00", following'),
        ("header_next_timelimit", "completed", b"0) * 60000)", b"0) * 60000 + 1000)"),
        ("playtime_wrong", "pauses_three", b"- pausedTime[3]))", b"))"),
        ("playtime_wrong", "completed", b"following, playtime())", b"following, whole(playtime() / 1000))"),
        ("playtime_wrong", "completed", b"following, playtime())", b"following, -playtime())"),
        ("playtime_wrong", "pause_open_at_end", b"closePause(roundEnd)", b"pausedTime[1] = nil"),
        ("file_missing", "completed", b"time >= saveAt and", b"false and"),
        ("file_missing", "map_change_mid_round", b"if restart == 0", b"if restart == 2"),
        ("file_repeated", "completed", b"    isSaved = true\n", b"    saveAt = saveAt + 2000 isSaved = saveAt > 460000\n"),
        ("file_unreadable", "completed", b"string.len(all)", b"string.len(all) - 3"),
        ("file_malformed", "completed", b"tenths(perMinute)", b'"nan"'),
        ("player_repeated", "reconnects", b'lines[guid ~= "" and guid or slot]', b'lines[slot .. "x" .. number(slot, "pers.enterTime")]'),
        ("player_shots", "completed", b"        attempts, --  ", b"        attempts + 1, --  "),
        ("player_time", "completed", b"tenths(teamTime / 60000)", b"tenths(teamTime / 50000)"),
        ("dead_time", "completed", b"tenths(dead / 60000)", b"tenths(dead / 30000)"),
        ("dead_time", "pause_in_death", b"return (frozenAt or et.trap_Milliseconds()) - frozenSum", b"return et.trap_Milliseconds()"),
        ("lua_error", "completed", b"local function save()\n", b"local function save()\n    local x = nil + 1\n"),
        ("stops_later_modules", "completed", b"    onDeath(victim)\n", b"    onDeath(victim)\n    do return 0 end\n"),
    ],
)  # fmt: skip
def test_each_requirement_catches_its_mutant(code: str, match: str, old: bytes, new: bytes) -> None:
    found = codes(mutate(REFERENCE, old, new), match)
    assert code in found, found


def test_interpreters_that_differ_are_found() -> None:
    odd = mutate(REFERENCE, b"tenths(perMinute)", b"tenths(jit and perMinute or 0)")
    report = rehearse([RehearsalFile("x.lua", odd)], ["completed"])
    assert {f.code for f in report.findings} == {"interpreters_differ"}


def test_eight_fields_are_a_finding_only_where_nine_are_required() -> None:
    eight = mutate(mutate(REFERENCE, b"\\\\%s\\\\%d\\n", b"\\\\%s\\n"), b"following, playtime())", b"following)")
    assert codes(eight, "completed", header_fields=None) == set() == codes(eight, "completed", header_fields=8)
    assert codes(eight, "completed", header_fields=9) == {"header_fields"}


def test_a_writer_of_eight_fields_need_not_save_at_a_map_change() -> None:
    """What the plan does not ask of the old writer is a remark."""
    quiet = mutate(source(OLD), b"if restart == 0 and", b"if restart == 2 and")
    missing = [f for f in findings(quiet, "map_change_mid_round", header_fields=None) if f.code == "file_missing"]
    assert missing and all(f.is_remark for f in missing)


def test_the_kinds_of_files_choose_the_matches() -> None:
    writer, other = RehearsalFile("a.lua", REFERENCE), RehearsalFile("b.lua", b"x = 1")
    assert default_matches([writer]) == WRITER_MATCHES
    assert default_matches([other]) == WEBHOOK_MATCHES
    assert set(default_matches([other, writer])) == {*WEBHOOK_MATCHES, *WRITER_MATCHES}


def test_across_midnight_each_file_carries_the_day_on_which_it_was_saved() -> None:
    """R1's name is of one day and R2's of the next; neither is a finding, nor is R2's play time, which spans both."""
    played = perform(REFERENCE, "midnight")
    names = sorted(Path(written.path).name for written in played.files)
    assert [name[11:13] for name in names] == ["23", "00"]
    assert names[0][:10] < names[1][:10]
    assert codes(REFERENCE, "midnight") == set()


def test_a_backslash_in_the_host_name_and_an_empty_config_shift_no_field() -> None:
    """The reference writer leaves the backslash out; who passes it on is read from the right."""
    raw = mutate(REFERENCE, b'plain(et.trap_Cvar_Get("sv_hostname"))', b'et.trap_Cvar_Get("sv_hostname")')
    for writer, count in ((REFERENCE, 8), (raw, 12)):
        for match in ("hostname_backslash", "empty_config"):
            lines = [(f.content or b"").split(b"\n")[0] for f in perform(writer, match).files]
            assert {line.count(b"\\") for line in lines} == {count if match == "hostname_backslash" else 8}
            assert codes(writer, match) == set()
