"""One flag of an environment file: read by two rules, never showing another key."""

from __future__ import annotations

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import dotenv
from dotenv_cases import CASES
from hypothesis import given
from hypothesis import strategies as st

KEY = "FLAG"


@pytest.mark.parametrize(("name", "text", "systemd", "python"), CASES, ids=[c[0] for c in CASES])
def test_both_readers(name: str, text: str, systemd: str | None, python: str | None) -> None:
    found = dotenv.inspect(text, KEY)
    assert (found["systemd_value"], found["dotenv_value"]) == (systemd, python)
    assert found["state"] == (
        "set" if systemd is not None or python is not None else "commented" if "#" in text else "unset"
    )


@pytest.mark.parametrize(
    ("value", "enabled"),
    [("true", True), ("True", True), ("TRUE", True), ("1", False), ("yes", False), ("on", False), (" true", False),
     ("true # on", False), ("", False), (None, False)],
)  # fmt: skip
def test_only_the_word_enables(value: str | None, enabled: bool) -> None:
    assert dotenv.means_true(value) is enabled


def test_a_comment_is_commented_and_not_set() -> None:
    found = dotenv.inspect("A=1\n# SHOW=true\n  ;export SHOW = false\n", "SHOW")
    assert found["state"] == "commented"
    assert found["commented"] == [{"value": "true", "line": 2}, {"value": "false", "line": 3}]


def test_set_beats_commented() -> None:
    assert dotenv.inspect("#SHOW=true\nSHOW=false\n", "SHOW")["state"] == "set"


def test_doubles_are_named_with_their_lines() -> None:
    found = dotenv.inspect("SHOW=true\nA=1\nSHOW=false\n", "SHOW")
    assert found["duplicate"] and found["lines"] == [1, 3] and "lines 1, 3" in found["doubts"][0]


@pytest.mark.parametrize(
    ("text", "by_systemd", "unit_value", "expected"),
    [
        ("SHOW=true\n", True, None, True),
        ("SHOW=false\n", True, None, False),
        ("", True, None, False),
        ("", True, "true", True),
        ("SHOW=false\n", True, "true", False),
        ("SHOW=true # on\n", True, None, False),
        ("export SHOW=true\n", True, None, None),
        ("export SHOW=false\n", True, None, False),
        ("export SHOW=true\n", False, None, True),
        ("export SHOW=true\n", False, "false", False),
        ("SHOW=true # on\n", None, None, None),
        ("SHOW=true\n", None, None, True),
        ("#SHOW=true\n", None, None, False),
    ],
)
def test_what_the_bot_makes_of_it(
    text: str, by_systemd: bool | None, unit_value: str | None, expected: bool | None
) -> None:
    effective, reason = dotenv.effective(dotenv.inspect(text, "SHOW"), by_systemd, unit_value)
    assert effective is expected and reason


words = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="=#;'\"\\$`"), min_size=1, max_size=8
)


@given(value=words, before=st.lists(st.tuples(words, words), max_size=4))
def test_a_plain_line_is_read_alike_by_both(value: str, before: list[tuple[str, str]]) -> None:
    text = "".join(f"X{key}={other}\n" for key, other in before) + f"{KEY}={value}\n"
    found = dotenv.inspect(text, KEY)
    assert found["systemd_value"] == found["dotenv_value"] == value
    assert found["lines"] == [len(before) + 1]


@given(text=st.text(alphabet="FLAG=\"'#;\\ \n\rtrue$x", max_size=60))
def test_no_text_breaks_the_readers(text: str) -> None:
    found = dotenv.inspect(text, KEY)
    assert found["state"] in ("set", "unset", "commented")


@given(secret=words, flag=words)
def test_other_keys_values_stay_inside(secret: str, flag: str) -> None:
    canary = "canary" + secret
    found = dotenv.inspect(f"TOKEN={canary}\n#TOKEN={canary}\n{KEY}={flag}\nexport PASS='{canary}'\n", KEY)
    assert canary not in repr(found)
