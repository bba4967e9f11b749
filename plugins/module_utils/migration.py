"""A migration that adds nullable columns to one table: what its files say, and what is to be done to a table as found.

Pure. Which columns a run made is kept as a comment on the column itself, written in the transaction that makes it: it is
there exactly if the column is, it goes with the column, and a dump takes both along. A file or a table of ours could say
something else than the table after a kill or a restored backup. The ledger keeps the history beside it.

The statements have the one form that this reads: ``ALTER TABLE t ADD COLUMN c TYPE`` and ``ALTER TABLE t DROP COLUMN c
RESTRICT``. ``IF [NOT] EXISTS`` is refused: it hides a column of another type and a misspelt name (gates.md 3.12).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.slomix.timetracking.plugins.module_utils.pg import statements

FORWARD = "forward"
ROLLBACK = "rollback"
LOCK_MODE = "ACCESS EXCLUSIVE"

_NAME = r"[a-z_][a-z0-9_]{0,62}"
_ADD = re.compile(rf"ALTER TABLE ({_NAME}) ADD COLUMN ({_NAME}) ([A-Za-z][A-Za-z0-9 ]*)")
_DROP = re.compile(rf"ALTER TABLE ({_NAME}) DROP COLUMN ({_NAME}) RESTRICT")
_MIGRATION = re.compile(_NAME)
_CONSTRAINT = re.compile(r"\b(NOT|NULL|DEFAULT|UNIQUE|PRIMARY|REFERENCES|CHECK|GENERATED|COLLATE|CONSTRAINT)\b", re.I)


class MigrationError(Exception):
    """The migration cannot be carried out as things stand; nothing was changed. The text is meant for people."""


@dataclass(frozen=True)
class Wish:
    """One column that the migration adds: the type as written in the file, and both statements verbatim."""

    column: str
    type: str
    add: str
    drop: str


@dataclass(frozen=True)
class Migration:
    """Both files of a migration, in the order of the forward file."""

    name: str
    table: str
    wishes: Tuple[Wish, ...]


@dataclass(frozen=True)
class Column:
    """A column as the catalogue shows it. ``number`` is pg_attribute.attnum, never used twice in a table."""

    name: str
    number: int
    type: str
    not_null: bool = False
    has_default: bool = False
    comment: Optional[str] = None
    dependents: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """What the catalogue says about the table and about who asks."""

    schema: str
    name: str
    kind: str
    owned: bool
    has_children: bool
    standby: bool
    columns: Mapping[str, Column]
    types: Mapping[str, str]
    """Type as written in the file -> the server's own name of it; a type that it does not know is missing."""

    @property
    def qualified(self) -> str:
        """Schema and table."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True)
class Plan:
    """What one direction does to the table as found. ``made``/``dropped``: column -> type by this run; ``kept``: reasons."""

    direction: str
    statements: Tuple[str, ...]
    made: Mapping[str, str]
    dropped: Mapping[str, str]
    kept: Tuple[str, ...]
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def parse(name: str, forward: str, rollback: str) -> Migration:
    """Read both files. Raises MigrationError for anything but the one form, or when the files do not mirror each other."""
    if not _MIGRATION.fullmatch(name):
        raise MigrationError(f"found: the migration's name {name!r}; required: lower-case letters, digits and _")
    adds = [_read(_ADD, text, "forward", "ALTER TABLE t ADD COLUMN c TYPE") for text in _texts(forward, "forward")]
    drops = [
        _read(_DROP, text, "rollback", "ALTER TABLE t DROP COLUMN c RESTRICT") for text in _texts(rollback, "rollback")
    ]
    tables = {match.group(1) for match, _ in adds + drops}
    if len(tables) != 1:
        raise MigrationError(f"found: statements on {', '.join(sorted(tables))}; required: one table per migration")
    by_column = {match.group(2): text for match, text in drops}
    columns = [match.group(2) for match, _ in adds]
    if len(set(columns)) != len(columns) or sorted(columns) != sorted(match.group(2) for match, _ in drops):
        raise MigrationError(
            f"found: forward adds {', '.join(columns)}, rollback drops {', '.join(m.group(2) for m, _ in drops)}; "
            f"required: the same columns, each once; next: correct the two files of {name}"
        )
    wishes = []
    for match, text in adds:
        if _CONSTRAINT.search(match.group(3)):
            raise MigrationError(
                f"found: `{text}`; required: a nullable column without default (anything else rewrites or scans the "
                f"table under its lock); next: write the type only"
            )
        wishes.append(Wish(match.group(2), " ".join(match.group(3).split()), text, by_column[match.group(2)]))
    return Migration(name, tables.pop(), tuple(wishes))


def _texts(sql: str, which: str) -> List[str]:
    found = [" ".join(text.split()) for text in statements(sql)]
    if not found:
        raise MigrationError(f"found: no statement in the {which} file; required: one per column")
    return found


def _read(pattern: "re.Pattern[str]", text: str, which: str, form: str) -> "Tuple[re.Match[str], str]":
    match = pattern.fullmatch(text)
    if match is None:
        raise MigrationError(
            f"found: `{text}` in the {which} file; required: `{form}`, nothing else (no IF EXISTS, no second action); "
            f"next: correct the file"
        )
    return match, text


def migration_id(name: str, direction: str, forward: str, rollback: str, database: str) -> str:
    """The id that an operator repeats to switch the migration on: 16 hex digits over name, direction, database and both
    files byte by byte. It changes with any of them, so what was approved is what runs."""
    if direction not in (FORWARD, ROLLBACK):
        raise MigrationError(f"found: the direction {direction!r}; required: {FORWARD} or {ROLLBACK}")
    parts = [name, direction, database, forward, rollback]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()[:16]


def mark(migration: str, column: str, type_: str) -> str:
    """The comment that says that this migration made the column, and with which type."""
    made = {"made_by": "rollout", "migration": migration, "column": column, "type": type_}
    return json.dumps(made, sort_keys=True)


def marked_type(migration: str, column: Column) -> Optional[str]:
    """The type with which this migration made the column; None when it did not make it (or the mark was changed)."""
    try:
        read = json.loads(column.comment or "")
    except ValueError:
        return None
    if not isinstance(read, dict) or not isinstance(read.get("type"), str):
        return None
    return read["type"] if column.comment == mark(migration, column.name, read["type"]) else None


def plan(migration: Migration, table: Table, direction: str) -> Plan:
    """What is to be done. Raises MigrationError when the table is not as it must be; nothing is done by halves."""
    _check_table(migration, table)
    return _forward(migration, table) if direction == FORWARD else _rollback(migration, table)


def _check_table(migration: Migration, table: Table) -> None:
    unknown = [wish.type for wish in migration.wishes if wish.type not in table.types]
    problem = ""
    if table.standby:
        problem = "the server is a standby; required: the primary; next: name the primary in stats_db_host"
    elif table.kind != "r":
        problem = f"{table.qualified} is no ordinary table (relkind {table.kind}); required: one; next: look at it"
    elif table.has_children:
        problem = f"{table.qualified} has child tables; required: one table by itself; next: plan that lock by hand"
    elif not table.owned:
        problem = f"the role does not own {table.qualified}; required: its owner, only it may alter it; next: set stats_db_user"
    elif unknown:
        problem = (
            f"the server knows no type {', '.join(unknown)}; required: types it knows; next: correct the forward file"
        )
    if problem:
        raise MigrationError(f"found: {problem}")


def _unfit(wish: Wish, column: Column, wanted: str) -> str:
    """Why a column that is there is not the one wished for; "" when it is."""
    if column.type != wanted:
        return f"{column.name} is {column.type}, required is {wanted}"
    if column.not_null:
        return f"{column.name} is NOT NULL, required is a nullable column"
    if column.has_default:
        return f"{column.name} has a default or is generated, required is neither"
    return ""


def _forward(migration: Migration, table: Table) -> Plan:
    unfit = [
        text
        for wish in migration.wishes
        if wish.column in table.columns and (text := _unfit(wish, table.columns[wish.column], table.types[wish.type]))
    ]
    if unfit:
        raise MigrationError(
            f"found: {'; '.join(unfit)}; required: the columns of {migration.name} in {table.qualified}, or none of that name; "
            f"next: find out who made them and what for; nothing was changed"
        )
    steps: List[str] = []
    made: Dict[str, str] = {}
    kept: List[str] = []
    for wish in migration.wishes:
        if wish.column not in table.columns:
            type_ = table.types[wish.type]
            text = mark(migration.name, wish.column, type_)
            steps += [wish.add, f"COMMENT ON COLUMN {migration.table}.{wish.column} IS {literal(text)}"]
            made[wish.column] = type_
        elif marked_type(migration.name, table.columns[wish.column]) is None:
            kept.append(f"{wish.column} was there already and is not ours; a rollback will leave it")
    before = _view(migration, table)
    after = {**before, **{name: {"type": type_, "made_by_us": True} for name, type_ in made.items()}}
    return Plan(FORWARD, tuple(steps), made, {}, tuple(kept), before, after)


def _rollback(migration: Migration, table: Table) -> Plan:
    steps: List[str] = []
    dropped: Dict[str, str] = {}
    kept: List[str] = []
    changed: List[str] = []
    for wish in reversed(migration.wishes):
        column = table.columns.get(wish.column)
        if column is None:
            continue
        type_ = marked_type(migration.name, column)
        if type_ is None:
            kept.append(f"{wish.column} is there, but carries no mark of {migration.name}, so it is left")
        elif type_ != column.type:
            changed.append(f"{wish.column} was made as {type_} and is {column.type} now")
        elif column.dependents:
            changed.append(f"{wish.column} is used by {', '.join(column.dependents)}")
        else:
            steps.append(wish.drop)
            dropped[wish.column] = type_
    if changed:
        raise MigrationError(
            f"found: {'; '.join(changed)}; required: the columns as {migration.name} made them, with nothing built on them; "
            f"next: undo that by hand first; nothing was changed"
        )
    before = _view(migration, table)
    after = {**before, **{name: None for name in dropped}}
    return Plan(ROLLBACK, tuple(steps), {}, dropped, tuple(kept), before, after)


def _view(migration: Migration, table: Table) -> Dict[str, Any]:
    """column -> {type, made_by_us} or None; the shape of before and after."""
    view: Dict[str, Any] = {}
    for wish in migration.wishes:
        column = table.columns.get(wish.column)
        ours = column is not None and marked_type(migration.name, column) is not None
        view[wish.column] = None if column is None else {"type": column.type, "made_by_us": ours}
    return view


def locks(planned: Plan, table: Table) -> List[str]:
    """The locks that the statements take, as sentences; none when there is nothing to do."""
    if not planned.statements:
        return []
    return [
        f"{LOCK_MODE} on {table.qualified}: nobody reads or writes it until the transaction ends (a change of the catalogue; "
        f"the table is not rewritten)"
    ]


def literal(text: str) -> str:
    """An SQL literal; COMMENT takes no bound parameter. E'' so that it means the same under both string settings."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def csv_row(values: Sequence[Optional[str]]) -> str:
    """One line that PostgreSQL's COPY ... CSV reads back exactly: NULL is empty and unquoted, every text is quoted."""
    return ",".join("" if value is None else '"' + value.replace('"', '""') + '"' for value in values) + "\n"
