"""The filter ``rows_table``: rows (dicts) as the lines of an aligned table, for people."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

DOCUMENTATION = r"""
name: rows_table
short_description: Show rows as an aligned table
version_added: 0.1.0
author: [the etl-timetracking-rollout contributors]
description:
  - One line of headings and one line per row. A missing or null value is shown as a dash, a checksum is cut to ten characters. One row
    without named columns is shown upright, one line per column.
options:
  _input:
    description: The rows.
    type: list
    elements: dict
    required: true
  columns:
    description: Names of the columns in order; those of the first row when left out.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Show the counts
  ansible.builtin.debug:
    msg: "{{ result.rows | slomix.timetracking.rows_table(['round_number', 'rounds']) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

_SHORT = 10
_CHECKSUM_LENGTHS = (40, 64)


def cell(value: Any) -> str:
    """One value in a few characters.

    >>> [cell(v) for v in (None, True, [1, 2], "a" * 40, 7.5)]
    ['-', 'yes', '1,2', 'aaaaaaaaaa', '7.5']
    """
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ",".join(cell(item) for item in value)
    text = str(value)
    is_checksum = len(text) in _CHECKSUM_LENGTHS and all(c in "0123456789abcdef" for c in text)
    return text[:_SHORT] if is_checksum else text


def _value(row: Mapping[str, Any], column: str) -> Any:
    # A Lua file may declare several versions; the table shows what they claim, the evidence holds all of it.
    if column == "version" and "versions" in row:
        return [version["value"] for version in row["versions"]]
    return row.get(column)


def rows_table(rows: Sequence[Mapping[str, Any]], columns: Optional[Sequence[str]] = None) -> List[str]:
    """Aligned lines.

    >>> rows_table([{"n": 1, "map": "supply"}, {"n": 12}], ["n", "map"])
    ['n   map', '1   supply', '12  -']
    >>> rows_table([{"rounds": 3, "newest": None}])
    ['rounds  3', 'newest  -']
    """
    if not rows:
        return ["(nothing)"]
    if columns is None and len(rows) == 1:
        table = [[name, cell(value)] for name, value in rows[0].items()]
    else:
        names = list(columns if columns is not None else rows[0])
        table = [names] + [[cell(_value(row, name)) for name in names] for row in rows]
    widths = [max(len(line[at]) for line in table) for at in range(len(table[0]))]
    return ["  ".join(text.ljust(widths[at]) for at, text in enumerate(line)).rstrip() for line in table]


class FilterModule:
    """Ansible's way in."""

    def filters(self) -> Dict[str, Callable[..., List[str]]]:
        """Name to function."""
        return {"rows_table": rows_table}
