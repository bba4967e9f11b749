"""The table that people read: nothing is lost silently, and its examples are true."""

from __future__ import annotations

import doctest

from ansible_collections.slomix.timetracking.plugins.filter import rows_table
from hypothesis import given
from hypothesis import strategies as st


def test_the_examples_in_the_code_hold() -> None:
    found = doctest.testmod(rows_table)
    assert found.attempted >= 3 and found.failed == 0


def test_no_rows_are_said() -> None:
    assert rows_table.rows_table([]) == ["(nothing)"]


names = st.text("abcdef", min_size=1, max_size=6)


@given(
    rows=st.lists(st.dictionaries(names, st.integers()), min_size=1, max_size=5),
    columns=st.lists(names, min_size=1, max_size=4),
)
def test_one_line_per_row_and_columns_start_alike(rows: list[dict[str, int]], columns: list[str]) -> None:
    lines = rows_table.rows_table(rows, columns)
    assert len(lines) == len(rows) + 1
    assert all(
        line.split() == [rows_table.cell(row.get(c)) for c in columns]
        for line, row in zip(lines[1:], rows, strict=True)
    )
