"""What holds for every recipe: idempotent, byte-preserving, refusing with reasons, and the command around it."""

from __future__ import annotations

import ast
import difflib
import json
from pathlib import Path

import pytest

from python_checks.cli import main
from python_checks.source.recipe import fix
from python_checks.source.tree import CannotJudge
from python_checks.tests.source.files import ALL, DATA, FIRST, SITE, name


@pytest.mark.parametrize(("path", "recipe"), ALL, ids=name)
def test_once_and_never_again(path: Path, recipe: str) -> None:
    source = path.read_bytes()
    first = fix(source, [recipe])
    assert first.changed and not first.refused_reason
    ast.parse(first.output)
    again = fix(first.output, [recipe])
    assert not again.changed and not again.refused_reason and again.output == first.output
    # Lines that the diff does not name are the very same bytes.
    old, new = source.split(b"\n"), first.output.split(b"\n")
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    kept = sum(block.size for block in blocks)
    assert kept >= len(old) - 40


@pytest.mark.parametrize(("path", "recipe"), ALL, ids=name)
def test_line_endings_marks_and_letters_survive(path: Path, recipe: str) -> None:
    letters = b"# Gr\xc3\xbc\xc3\x9fe, p\xc3\xa5 norsk \xe2\x82\xac\n"
    plain = letters + path.read_bytes()
    wanted = fix(plain, [recipe]).output
    assert wanted.startswith(letters)
    hostile = b"\xef\xbb\xbf" + plain.replace(b"\n", b"\r\n")
    assert fix(hostile, [recipe]).output == b"\xef\xbb\xbf" + wanted.replace(b"\n", b"\r\n")


@pytest.mark.parametrize(("path", "recipe"), [ALL[0], ALL[1], ALL[2]], ids=name)
def test_a_missing_last_newline_stays_missing(path: Path, recipe: str) -> None:
    plain = path.read_bytes()
    assert fix(plain.rstrip(b"\n"), [recipe]).output == fix(plain, [recipe]).output.rstrip(b"\n")


def test_latin_1_stays_latin_1() -> None:
    source = b"# -*- coding: latin-1 -*-\n# \xe4\xf6\xfc\n" + (DATA / "web/unpacked.py.txt").read_bytes()
    result = fix(source, ["web-formulas"])
    assert result.changed and result.output.startswith(source[:35])


@pytest.mark.parametrize("recipe", ["web-formulas", "headshot-leaderboard", "parser-field9"])
@pytest.mark.parametrize("source", [b"", b"x = 1\n", b'"""Nothing here."""\n\n\ndef f():\n    return {"kills": 1}\n'])
def test_zero_targets_are_refused(recipe: str, source: bytes) -> None:
    result = fix(source, [recipe])
    assert result.refused_reason.startswith("looked for") and "found" in result.refused_reason
    assert not result.changed and result.output == source


@pytest.mark.parametrize(("path", "recipe"), FIRST, ids=name)
def test_two_targets_are_refused(path: Path, recipe: str) -> None:
    twice = path.read_bytes() + b"\n\n" + path.read_bytes()
    result = fix(twice, [recipe])
    assert "found 2" in result.refused_reason and result.output == twice


@pytest.mark.parametrize("source", [b"def f(:\n", b"\xff\xfe\x00", b"x = 'abc\n", b"# coding: nonsense\n"])
def test_no_python_cannot_be_judged(source: bytes) -> None:
    with pytest.raises(CannotJudge):
        fix(source, ["web-formulas"])


def test_helpers_edited_by_hand_are_refused() -> None:
    path = SITE / "bot/community_stats_parser.py"
    done = fix(path.read_bytes(), ["parser-field9"]).output
    edited = done.replace(b"int(text) / 1000", b"int(text) / 100")
    assert "edited by hand" in fix(edited, ["parser-field9"]).refused_reason
    api = SITE / "website/backend/api.py"
    done = fix(api.read_bytes(), ["web-formulas"]).output
    edited = done.replace(b"return 60 * float(damage_given or 0)", b"return 30 * float(damage_given or 0)")
    assert "edited the helpers by hand" in fix(edited, ["web-formulas"]).refused_reason


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "website"
    (folder / "backend").mkdir(parents=True)
    (folder / "js").mkdir()
    api = folder / "backend" / "api.py"
    api.write_bytes((SITE / "website/backend/api.py").read_bytes())
    (folder / "js" / "session-graphs.js").write_bytes((SITE / "website/js/session-graphs.js").read_bytes())
    before = api.read_bytes()

    assert main(["source", "fix", str(api), "--recipe", "web-formulas", "--check", "--diff"]) == 0
    shown = capsys.readouterr().out
    assert "nothing was written" in shown and "+++ b/api.py" in shown and api.read_bytes() == before
    assert "js/session-graphs.js:5: scale" in shown and "js/session-graphs.js:14: scale" in shown

    out = tmp_path / "out.py"
    assert main(["source", "fix", str(api), "--recipe", "web-formulas", "-o", str(out)]) == 0
    assert api.read_bytes() == before and out.read_bytes() != before
    api.chmod(0o640)
    assert main(["source", "fix", str(api), "--recipe", "web-formulas", "--in-place"]) == 0
    assert api.read_bytes() == out.read_bytes() and api.stat().st_mode & 0o777 == 0o640
    capsys.readouterr()
    assert main(["source", "fix", str(api), "--recipe", "web-formulas", "--in-place", "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert not answer["changed"] and answer["refused_reason"] == ""

    assert main(["source", "fix", str(api), "--recipe", "parser-field9"]) == 1
    assert "refused: looked for" in capsys.readouterr().err
    assert main(["source", "fix", str(api), "--recipe", "nonsense"]) == 2
    assert main(["source", "fix", str(tmp_path / "absent.py"), "--recipe", "web-formulas"]) == 2
    (tmp_path / "broken.py").write_text("def (\n")
    assert main(["source", "fix", str(tmp_path / "broken.py"), "--recipe", "web-formulas"]) == 2
