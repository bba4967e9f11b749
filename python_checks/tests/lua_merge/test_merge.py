"""The merge: each row of phase 2's table and each thing that the plan forgot, with a mutant that shows that its test can fail."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from python_checks.cli import main
from python_checks.lua.fix import fix
from python_checks.lua.interpreters import INTERPRETERS, compile_errors
from python_checks.lua.judge import compare
from python_checks.lua.merge import RECIPES, TABLE, Source, merge
from python_checks.lua.recipe import CannotJudge
from python_checks.lua.rehearse import RehearsalFile, rehearse
from python_checks.lua.scan.run import scan_source
from python_checks.tests.lua_merge.writers import (
    NEW,
    OLD,
    OWN,
    WRITERS,
    codes,
    findings,
    merge_of,
    merged,
    mutate,
    perform,
    source,
)

HARD = ("pauses_three", "pause_in_death", "map_change_mid_round", "hostile_names")


def test_both_bases_rehearse_to_equal_results() -> None:
    """Whichever file is the base: the same stats files, on both interpreters."""
    for match in ("pause_in_death", "map_change_mid_round", "spectator_who_played"):
        for interpreter in INTERPRETERS:
            one = perform(merged(OLD, NEW), match, interpreter)
            other = perform(merged(NEW, OLD), match, interpreter)
            assert [len(one.files), compare("", one, other)] == [len(other.files), []]
            assert one.files


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_passes_after_the_merge(name: str) -> None:
    """Six differently written files, four hard matches, both interpreters, nine fields."""
    report = rehearse([RehearsalFile("writer.lua", merged(name))], HARD, header_fields=9)
    assert report.passed, [f.sentence() for f in report.findings] + list(report.unjudged)
    assert report.judged == 2 * len(HARD)


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_fails_before_the_merge(name: str) -> None:
    """Dead times counted several times over, and a wrong number after a map change; the one for LuaJIT does not load on 5.4."""
    found = codes(source(name), "pause_in_death", "luajit" if name in ("required_bit", "tabs_module") else "lua54")
    assert found & {"dead_time", "not_loaded"}
    assert codes(source(name), "map_change_mid_round") & {"header_round", "file_name", "file_missing"}


@pytest.mark.parametrize("name", WRITERS)
def test_the_result_loads_everywhere_and_a_second_run_changes_nothing(name: str) -> None:
    assert not any(compile_errors(merged(name)).values())
    again = merge(Source("again.lua", merged(name))).output
    assert again.split(b"<<< rollout merge <<<")[1] == merged(name).split(b"<<< rollout merge <<<")[1]
    assert again.count(b">>> rollout stats helpers") == 1 and again.count(b"= rollout_stats.watched(") == 1


@pytest.mark.parametrize("base", [(OLD, NEW), (NEW, OLD)])
def test_the_site_s_files_are_clean_in_the_scan_after_the_merge(base: tuple[str, str]) -> None:
    assert scan_source(merged(*base)).findings == ()


@pytest.mark.parametrize("name", OWN)
def test_crlf_and_latin_1_survive(name: str) -> None:
    """Line endings and bytes that are no UTF-8 stay, and the result does the same."""
    text = b"-- stra\xdfe \xe9\n" + source(name)
    plain = merge(Source("x.lua", text)).output
    crlf = merge(Source("x.lua", text.replace(b"\n", b"\r\n"))).output
    body, crlf_body = (x.split(b"<<< rollout merge <<<")[1] for x in (plain, crlf))
    assert crlf_body.replace(b"\r\n", b"\n") == body and b"\n" not in crlf_body.replace(b"\r\n", b"")
    assert b"stra\xdfe \xe9" in crlf


# --- the plan's table


def test_row_header_field_9_and_variables() -> None:
    assert codes(source(OLD), "completed", header_fields=9) >= {"header_fields"}
    for name in (OLD, NEW):
        assert codes(merged(name), "completed") == set()


@pytest.mark.parametrize(
    ("what", "old", "new", "match"),
    [
        ("round start", b"roundStart = start and start > 0 and start <= now and start or now", b"roundStart = 1", "completed"),
        ("round start once", b"if not roundStart or roundEnd then", b"if true then", "completed"),
        ("round end", b"roundEnd = lastFrame or roundStart", b"roundEnd = lastFrame + 3000", "completed"),
        ("pauses add up", b"pausedTime[3] + at - pausedTime[1]", b"at - pausedTime[1]", "pauses_three"),
        ("pause mask", b"% 2 ~= 0", b"% 2 * PAUSE_BIT == 1", "pauses_three"),
        ("open pause", b"        closePause(roundEnd)", b"        pausedTime[1] = nil", "pause_open_at_end"),
        ("milliseconds", b"local played = floor(last", b"local played = (1 / 1000) * floor(last", "completed"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", [OLD, NEW])
def test_rows_of_the_clock(name: str, what: str, old: bytes, new: bytes, match: str) -> None:
    """Without this part field 9 is wrong, and the rehearsal says so."""
    assert codes(merged(name), match) == set(), what
    assert codes(mutate(merged(name), old, new), match) & {"playtime_wrong", "lua_error"}, what


@pytest.mark.parametrize("name", ["required_bit", "tabs_module", "lua53_operators", NEW])
def test_row_bit_compatibility(name: str) -> None:
    """Written for one interpreter: the other one raises or does not load; after the merge both do the same."""
    before = [perform(source(name), "completed", i) for i in INTERPRETERS]
    bad = [any("error" in line and " API" in line for line in p.console) for p in before]
    assert any(bad) and not all(bad)
    one, other = (perform(merged(name), "completed", i) for i in INTERPRETERS)
    assert one.files and compare("", one, other) == []


def test_row_fallbacks() -> None:
    """The old writer's own fallbacks stay; the bit library of LuaJIT is not needed."""
    assert b"fallback_band" in merged(OLD) and b"fallback_bor" in merged(NEW)
    hidden = b"bit = nil\n" + merged(NEW)
    assert codes(hidden, "completed", "luajit") == set()


def test_row_safe_number_of_slots() -> None:
    """64 until et_InitGame: after lua_restart, which does not call it, every frame raises."""
    restarted = b"do local f = et_InitGame; et_InitGame = nil end\n"
    forgetful = source(NEW) + restarted
    assert "lua_error" in codes(forgetful, "completed", header_fields=None)
    fixed = fix(forgetful, ["maxclients"])
    assert not fixed.refused_reason and "lua_error" not in codes(fixed.output, "completed", header_fields=None)
    assert codes(merged(NEW) + restarted, "completed", header_fields=None) == set()


def test_row_safe_integers() -> None:
    script = mutate(source(OLD), b"player.life_damage = player.life_damage + damage", b"player.assists = 0.5") + (
        b"\nlocal g = et_RunFrame\nfunction et_RunFrame(t) g(t); x = string.format('%d', t / 3) end\n"
    )
    assert "lua_error" in codes(script, "completed", header_fields=None)
    fixed = fix(script, ["integers"])
    assert "lua_error" not in codes(fixed.output, "completed", header_fields=None)


# --- what the plan forgot


def test_forgotten_pause_mask_in_the_script() -> None:
    for name in WRITERS:
        assert [n for n in scan_source(source(name)).findings if n.code.startswith("MASK")], name
        assert not [n for n in scan_source(merged(name)).findings if n.code.startswith("MASK")], name


@pytest.mark.parametrize("name", [OLD, NEW, "tabs_module"])
def test_forgotten_two_pauses_in_one_death(name: str) -> None:
    """With a clock that goes on in pauses, the script's own correction covers one of them at best."""
    assert codes(merged(name), "pause_in_death") == set()
    running = mutate(merged(name), b"return (frozenAt or milliseconds()) - frozenSum", b"return milliseconds()")
    assert "dead_time" in codes(running, "pause_in_death")


def test_forgotten_save_at_shutdown() -> None:
    """Before: no file (nil), or a negative field 9, and the other half's number. After: the half, its number, its time."""
    assert codes(source("dense"), "map_change_mid_round") >= {"lua_error", "file_missing"}
    assert codes(source(NEW), "map_change_mid_round") >= {"playtime_wrong", "header_round", "file_name"}
    for name in WRITERS:
        assert codes(merged(name), "map_change_mid_round") == set()
        unturned = mutate(merged(name), b"isBrokenOff = roundStart ~= nil and roundEnd == nil", b"isBrokenOff = false")
        assert codes(unturned, "map_change_mid_round") == {"header_round", "file_name"}


@pytest.mark.parametrize("name", WRITERS)
def test_forgotten_dead_time_counted_once(name: str) -> None:
    """The line that moves a death's begin on is what makes the difference."""
    added = next(a for a in merge_of(name).actions if a.startswith("deadtime:"))
    begin = added.split("once: ")[1].split(" moves")[0].encode()
    lines = merged(name).split(b"\n")
    moved = [
        n
        for n, line in enumerate(lines)
        if line.split(b";")[-2:][0].strip().startswith(begin + b" = rollout_stats.milli")
    ]
    moved += [
        n
        for n, line in enumerate(lines)
        if line.strip() in (begin + b" = ms()", begin + b" = now", begin + b" = now()")
    ]
    moved += [n for n, line in enumerate(lines) if b"; " + begin + b" = rollout_stats.milliseconds();" in line]
    assert moved, added
    line = lines[moved[0]]
    cut = line.replace(b"; " + begin + b" = rollout_stats.milliseconds();", b";")
    without = [*lines[: moved[0]], cut if cut != line else b"", *lines[moved[0] + 1 :]]
    assert "dead_time" in codes(b"\n".join(without), "completed")
    assert codes(merged(name), "completed") == set()


# --- refusals, provenance, command


def test_the_head_names_the_sources_with_their_hashes() -> None:
    text = merged(OLD, NEW)
    head = text.split(b"<<< rollout merge <<<")[0]
    for name in (OLD, NEW):
        assert hashlib.sha256(source(name)).hexdigest().encode() in head and f"{name}.lua".encode() in head
    assert (
        merge_of(OLD, NEW).output == merge(Source(f"{OLD}.lua", source(OLD)), Source(f"{NEW}.lua", source(NEW))).output
    )


def test_the_table_is_reported_with_places() -> None:
    rows = {row.item: row for row in merge_of(OLD, NEW).rows}
    assert len(rows) == len(TABLE) == 17
    assert f"{NEW}.lua:135" in rows["time-tracking variables"].found
    assert any(place.startswith(OLD) for place in rows["safe number of slots"].found)
    assert "only in" in " ".join(merge_of(OLD, NEW).notes)


def test_two_writers_without_time_tracking_are_refused() -> None:
    result = merge(Source("a.lua", source(OLD)), Source("b.lua", source("tabs_module")))
    assert "nine header fields" in result.refused_reason and not result.output and not result.actions


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (b"function et_RunFrame() end\n", "found none"),
        (b'local h = a .. "\\\\" .. b .. "\\\\" .. c\nh = h .. "\\\\" .. d\n', "found none"),
        (source("dense").replace(b"return true", b"") + b"\n" + source("dense").replace(b"local f,", b"local f2 = 1; local f,"), "found 2"),
        (b"local rollout_stats = 1\n" + source("dense"), "rollout_stats"),
    ],
)  # fmt: skip
def test_refusals_change_nothing_and_say_why(script: bytes, why: str) -> None:
    result = merge(Source("x.lua", script))
    assert why in result.refused_reason and result.output == b"" and result.diff == ""


def test_what_is_no_lua_is_not_judged() -> None:
    with pytest.raises(CannotJudge, match=r"x\.lua: neither interpreter"):
        merge(Source("x.lua", b"function ("))


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, out = tmp_path / "a.lua", tmp_path / "b.lua", tmp_path / "out.lua"
    a.write_bytes(source(OLD))
    b.write_bytes(source(NEW))
    assert main(["lua", "merge", "--writer", str(a), "--timetracking", str(b), "--check"]) == 0
    assert not out.exists() and "header field 9" in capsys.readouterr().out
    arguments = ["lua", "merge", "--writer", str(a), "--timetracking", str(b), "-o", str(out), "--format", "json"]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest() and len(told["rows"]) == len(TABLE)
    a.write_bytes(b"x = 1\n")
    before = out.read_bytes()
    assert main(["lua", "merge", "--writer", str(a), "-o", str(out)]) == 1
    assert "refused" in capsys.readouterr().err and out.read_bytes() == before
    a.write_bytes(b"x = = 1\n")
    assert main(["lua", "merge", "--writer", str(a), "-o", str(out)]) == 2
    assert main(["lua", "merge", "--writer", str(b)]) == 2


def test_recipes_of_the_merge_are_known_to_fix() -> None:
    for name in RECIPES:
        result = fix(merged(OLD), [name])
        assert not result.changed and not result.refused_reason, (name, result.actions)


def test_no_finding_is_a_remark_after_the_merge() -> None:
    assert findings(merged(OLD), "map_change_mid_round") == []
