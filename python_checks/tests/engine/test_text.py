"""Texts, info strings, cvars, configuration files: pure parts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from python_checks.engine.config import ConfigError, read_config
from python_checks.engine.cvars import Cvars
from python_checks.engine.lua_host import split_modules
from python_checks.engine.text import clean, from_engine, info_remove, info_set, info_value, to_engine, tokenize

KEYS = st.text("abcXYZ_0123", min_size=1, max_size=8)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters='\\;"'), min_size=1, max_size=12)


@given(st.binary(max_size=60))
def test_bytes_survive(data: bytes) -> None:
    """Engine text holds any bytes, also through Unicode and back."""
    text = data.decode("latin-1")
    assert to_engine(from_engine(text)) == text


@given(st.dictionaries(KEYS, VALUES, max_size=6), KEYS, VALUES)
def test_info_strings(pairs: dict[str, str], key: str, value: str) -> None:
    """What was set is read, case does not matter, other keys stay, removal removes."""
    info = ""
    for name, text in pairs.items():
        info = info_set(info, name, text)
    changed = info_set(info, key, value)
    assert info_value(changed, key.upper()) == value
    for name in pairs:
        if name.lower() != key.lower():
            assert info_value(changed, name) == info_value(info, name)
    assert info_value(info_remove(changed, key), key) == ""
    assert info_set(info, key, "a\\b") == info


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_clean(text: str) -> None:
    """Nothing but printable ASCII is left, and cleaning a text without carets twice changes nothing."""
    once = clean(text)
    assert all(" " <= char <= "~" for char in once)
    if "^" not in text:
        assert clean(once) == once


@given(
    st.lists(
        st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters='"'), min_size=1, max_size=6),
        max_size=5,
    )
)
def test_tokens(words: list[str]) -> None:
    """Plain words come back, quoted ones too."""
    assert tokenize(" ".join(words)) == words
    assert tokenize(" ".join(f'"{word} x"' for word in words)) == [f"{word} x" for word in words]


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("a.lua b.lua", ["a.lua", "b.lua"]),
        ("a,b;c d", ["a", "b", "c", "d"]),
        ("a, b", ["a", "", "b"]),
        ("", []),
        ("a ", ["a"]),
    ],
)
def test_module_lists(value: str, names: list[str]) -> None:
    """Each separator ends a name (recorded: ``can not open file '.lua'`` after a comma and a blank)."""
    assert split_modules(value) == names


def test_cvars() -> None:
    """Case-insensitive, missing reads as nothing, integers by atoi, reads cut at 255 bytes."""
    cvars = Cvars({"A": "12x", "long": "y" * 300})
    assert cvars.get("a") == "12x" and cvars.integer("a") == 12 and cvars.get("none") == ""
    assert len(cvars.get("long")) == 255 and len(cvars.full("long")) == 300
    assert cvars.integer("none") == 0 and cvars.number("a") == 0.0
    found = cvars.find("gamestate")
    assert found is not None and found.default == "-1"


def test_config(tmp_path: Path) -> None:
    """set, seta, exec and bare lines; comments; later lines win; a missing exec file is named."""
    (tmp_path / "main.cfg").write_text('// head\nset a 1 // tail\nseta b "x // y"\nexec more.cfg\nsv_fps "40"\n')
    (tmp_path / "more.cfg").write_text('set a "2"\nset rconpassword "secret word"\n')
    assert read_config(tmp_path / "main.cfg", [tmp_path]) == {
        "a": "2",
        "b": "x // y",
        "rconpassword": "secret word",
        "sv_fps": "40",
    }
    (tmp_path / "bad.cfg").write_text("exec none.cfg\n")
    with pytest.raises(ConfigError, match=r"exec none\.cfg is in none of"):
        read_config(tmp_path / "bad.cfg", [tmp_path])
    (tmp_path / "loop.cfg").write_text("exec loop.cfg\n")
    with pytest.raises(ConfigError, match="deeper than"):
        read_config(tmp_path / "loop.cfg", [tmp_path])
