"""What a migration's files may say, and the plan on tables as found; no database."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import migration
from ansible_collections.slomix.timetracking.plugins.module_utils.migration import Column, MigrationError, Table
from hypothesis import given
from hypothesis import strategies as st

from .conftest import FORWARD, ROLLBACK

ADD = "ALTER TABLE t ADD COLUMN c INTEGER;"
DROP = "ALTER TABLE t DROP COLUMN c RESTRICT;"


def test_the_shipped_files_are_read() -> None:
    read = migration.parse("player_times", FORWARD, ROLLBACK)
    assert read.table == "player_comprehensive_stats"
    assert [(wish.column, wish.type) for wish in read.wishes][1] == ("avg_respawn_seconds", "DOUBLE PRECISION")
    assert all(wish.column in wish.add and wish.column in wish.drop for wish in read.wishes)


@pytest.mark.parametrize(
    ("forward", "rollback"),
    [
        ("ALTER TABLE t ADD COLUMN IF NOT EXISTS c INTEGER", DROP),
        (ADD, "ALTER TABLE t DROP COLUMN IF EXISTS c"),
        (ADD, "ALTER TABLE t DROP COLUMN c CASCADE"),
        (ADD, "ALTER TABLE t DROP COLUMN d RESTRICT"),
        (ADD, "ALTER TABLE u DROP COLUMN c RESTRICT"),
        (ADD + ADD, DROP + DROP),
        (ADD + "DROP TABLE t;", DROP),
        ("ALTER TABLE t ADD COLUMN c INTEGER NOT NULL", DROP),
        ("ALTER TABLE t ADD COLUMN c INTEGER DEFAULT 0", DROP),
        ("ALTER TABLE t ADD COLUMN c INTEGER, ADD COLUMN d TEXT", DROP),
        ("ALTER TABLE t ADD COLUMN c VARCHAR(10)", DROP),
        ("ALTER TABLE t ADD COLUMN c INTEGER REFERENCES u", DROP),
        ("", DROP),
        (ADD, ""),
        ('ALTER TABLE t ADD COLUMN "c" INTEGER', DROP),
    ],
)
def test_anything_but_the_one_form_is_refused(forward: str, rollback: str) -> None:
    with pytest.raises(MigrationError, match="found: "):
        migration.parse("m", forward, rollback)


def table(**columns: Column) -> Table:
    return Table("public", "t", "r", True, False, False, columns, {"INTEGER": "integer", "TEXT": "text"})


WISH = migration.parse("m", ADD + "ALTER TABLE t ADD COLUMN d TEXT", DROP + "ALTER TABLE t DROP COLUMN d RESTRICT")


@given(st.fixed_dictionaries({}, optional={name: st.sampled_from(["ours", "foreign"]) for name in ("c", "d")}))
def test_forward_then_rollback_gives_back_what_was_there(found: dict[str, str]) -> None:
    types = {"c": "integer", "d": "text"}

    def column(name: str, ours: bool) -> Column:
        return Column(name, 1, types[name], comment=migration.mark("m", name, types[name]) if ours else "somebody's")

    before = table(**{name: column(name, kind == "ours") for name, kind in found.items()})
    forward = migration.plan(WISH, before, "forward")
    assert set(forward.made) == set(types) - set(found)
    between = table(**{**before.columns, **{name: column(name, True) for name in forward.made}})
    assert migration.plan(WISH, between, "forward").before == forward.after
    assert not migration.plan(WISH, between, "forward").statements
    back = migration.plan(WISH, between, "rollback")
    assert set(back.dropped) == {name for name in types if found.get(name) != "foreign"}
    assert [name for name, value in back.after.items() if value] == [
        name for name in types if found.get(name) == "foreign"
    ]


@pytest.mark.parametrize(
    "comment",
    ["", "x", "[1]", "{}", '{"type": 3}', migration.mark("other", "c", "integer"), migration.mark("m", "d", "integer")],
)
def test_what_is_no_mark(comment: str) -> None:
    assert migration.marked_type("m", Column("c", 1, "integer", comment=comment)) is None


@pytest.mark.parametrize(
    "change", [{"standby": True}, {"kind": "v"}, {"kind": "p"}, {"has_children": True}, {"owned": False}, {"types": {}}]
)
def test_tables_that_are_left_alone(change: dict[str, Any]) -> None:
    for direction in ("forward", "rollback"):
        with pytest.raises(MigrationError):
            migration.plan(WISH, Table(**{**vars(table()), **change}), direction)


@given(st.lists(st.none() | st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"])), min_size=1))
def test_csv_is_read_back_by_others(values: list[str | None]) -> None:
    row = next(csv.reader(io.StringIO(migration.csv_row(values), newline="")), [""])
    assert row == [value or "" for value in values] or row == [] == [value for value in values if value]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_literal_is_one_token(text: str) -> None:
    from ansible_collections.slomix.timetracking.plugins.module_utils.pg import statements

    assert len(statements(f"COMMENT ON COLUMN t.c IS {migration.literal(text)}")) == 1
