"""Conditions of a gate: a closed language of paths and operators over plain data, decided in three values.

A condition is a mapping of one of these shapes (there is no expression text, so it can be linted, explained and
tested):

* leaf: ``{path: a.b[*].c, op: OP, value: X}``, or ``than: PATH`` in place of ``value`` to compare with another place;
* count: ``{count: PATH, op: OP, value: N}`` compares how many elements PATH holds (an empty list is the number 0, a
  missing one is unknown);
* ``{all: [condition, ...]}`` and ``{any: [condition, ...]}``.

Leaf options: ``each: all|any`` (which elements of a ``[*]`` path must hold; ``all`` unless said), ``unit: count`` (a
negative or fractional number is unknown then), ``say`` (a sentence shown in place of the generated one), ``code`` and
``next`` (see judge.py, ``where``).

Paths: ``a.b``, ``a[0]``, ``a[*]`` (elements of a list, values of a mapping), ``.`` (the element itself); a leading
``$.`` starts at the root of the recorded result, anything else at the current row (which is the root where there are
no rows).

Operators: eq ne lt le gt ge in not_in between is_null contains lacks.

Unknown is its own value: NULL, NaN, inf, a missing path and an empty ``[*]`` are ``None`` (no data) before any
operator is applied; only ``is_null`` may look at a NULL. ``all``/``any`` follow Kleene: a False decides ``all``, a
True decides ``any``, else an unknown part makes the whole unknown. A value of the wrong type (text against a number,
True against 1) raises ``ProbeError``: it is a defect of the probe, not an answer.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Callable, Iterable, List, Mapping, Optional, Sequence, Tuple

ORDERED = ("lt", "le", "gt", "ge")
OPERATORS = ("eq", "ne", *ORDERED, "in", "not_in", "between", "is_null", "contains", "lacks")
LEAF_KEYS = frozenset({"path", "count", "op", "value", "than", "each", "unit", "say", "code", "why", "next"})
_WORDS = {
    "eq": "is",
    "ne": "is not",
    "lt": "is less than",
    "le": "is at most",
    "gt": "is more than",
    "ge": "is at least",
    "in": "is one of",
    "not_in": "is none of",
    "between": "lies within",
    "contains": "contains",
    "lacks": "does not contain",
}
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\*|\d+)\]")
_SHOWN_ELEMENTS = 3


class ProbeError(ValueError):
    """The recorded data (or the condition) has a shape that cannot be judged: wrong type, unknown operator, bad
    path."""


class Missing(LookupError):
    """A path leads nowhere; the message names the part that is missing."""


@dataclass(frozen=True)
class Outcome:
    """What one condition says: ``holds`` (None = no data), with what was found and what was required, each as a short
    sentence."""

    holds: Optional[bool]
    found: str
    required: str


def parse_path(path: str) -> Tuple[bool, List[str]]:
    """Split a path into (starts at the root?, steps); ``*`` stands for every element. Raises ProbeError for text that
    is no path."""
    text = path
    rooted = text == "$" or text.startswith("$.") or text.startswith("$[")
    if rooted:
        text = text[1:].lstrip(".")
    if text in ("", "."):
        return rooted, []
    steps: List[str] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise ProbeError(f"path {path!r} is not readable at character {at}; write it like pairs[*].r2_links")
        steps.append(match.group(1) if match.group(1) is not None else f"[{match.group(2)}]")
        at = match.end()
    return rooted, steps


def resolve(path: str, row: Any, root: Any) -> List[Any]:
    """All values that ``path`` leads to (one, unless it holds ``[*]``). Raises Missing when a part is absent,
    ProbeError on a bad path."""
    rooted, steps = parse_path(path)
    values = [root if rooted else row]
    for step in steps:
        values = [found for value in values for found in _descend(value, step, path)]
    return values


def _descend(value: Any, step: str, path: str) -> Iterable[Any]:
    if step == "[*]":
        if isinstance(value, Mapping):
            return list(value.values())
        if isinstance(value, (list, tuple)):
            return list(value)
        raise Missing(f"{path}: a list was expected at {step}")
    if step.startswith("["):
        index = int(step[1:-1])
        if not isinstance(value, (list, tuple)) or index >= len(value):
            raise Missing(f"{path}: there is no element {step}")
        return [value[index]]
    if not isinstance(value, Mapping) or step not in value:
        raise Missing(f"{path}: there is no {step}")
    return [value[step]]


def is_unknown(value: Any) -> bool:
    """NULL, NaN and the infinities say nothing."""
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "text"
    return "mapping" if isinstance(value, Mapping) else "list"


def _same_kind(found: Any, wanted: Any, op: str) -> None:
    if _kind(found) != _kind(wanted):
        raise ProbeError(f"{op} cannot compare the {_kind(found)} {found!r} with the {_kind(wanted)} {wanted!r}")


def _number(value: Any, op: str) -> float:
    if _kind(value) != "number":
        raise ProbeError(f"{op} needs a number, found the {_kind(value)} {value!r}")
    return value


def _member(found: Any, wanted: Any, op: str) -> bool:
    if not isinstance(wanted, (list, tuple)) or not wanted:
        raise ProbeError(f"{op} needs a non-empty list, the gate names {wanted!r}")
    alike = [item for item in wanted if _kind(item) == _kind(found)]
    if not alike:
        raise ProbeError(f"{op} cannot look for the {_kind(found)} {found!r} in {list(wanted)!r}")
    return found in alike


def _holds_item(found: Any, wanted: Any, op: str) -> bool:
    if isinstance(found, str):
        _same_kind(found, wanted, op)
        return wanted in found
    if not isinstance(found, (list, tuple, Mapping)):
        raise ProbeError(f"{op} needs a list or a text, found the {_kind(found)} {found!r}")
    return any(_kind(item) == _kind(wanted) and item == wanted for item in found)


def _equal(found: Any, wanted: Any, op: str) -> bool:
    _same_kind(found, wanted, op)
    return bool(found == wanted)


def _between(found: Any, wanted: Any, op: str) -> bool:
    if not isinstance(wanted, (list, tuple)) or len(wanted) != 2:
        raise ProbeError(f"{op} needs [lowest, highest], the gate names {wanted!r}")
    low, high = (_number(bound, op) for bound in wanted)
    return low <= _number(found, op) <= high


_COMPARE: Mapping[str, Callable[[Any, Any, str], bool]] = {
    "eq": _equal,
    "ne": lambda found, wanted, op: not _equal(found, wanted, op),
    "lt": lambda found, wanted, op: _number(found, op) < _number(wanted, op),
    "le": lambda found, wanted, op: _number(found, op) <= _number(wanted, op),
    "gt": lambda found, wanted, op: _number(found, op) > _number(wanted, op),
    "ge": lambda found, wanted, op: _number(found, op) >= _number(wanted, op),
    "in": _member,
    "not_in": lambda found, wanted, op: not _member(found, wanted, op),
    "between": _between,
    "contains": _holds_item,
    "lacks": lambda found, wanted, op: not _holds_item(found, wanted, op),
}


def compare(op: str, found: Any, wanted: Any) -> Optional[bool]:
    """One operator on one value: True, False or None (no data). Raises ProbeError for wrong types and unknown
    operators."""
    if op == "is_null":
        if found is not None and is_unknown(found):
            return None
        return (found is None) is bool(wanted)
    if op not in _COMPARE:
        raise ProbeError(f"operator {op!r} is not known; known are {', '.join(OPERATORS)}")
    if is_unknown(found) or is_unknown(wanted):
        return None
    return _COMPARE[op](found, wanted, op)


def every(values: Iterable[Optional[bool]]) -> Optional[bool]:
    """Kleene's and."""
    seen = list(values)
    if False in seen:
        return False
    return None if None in seen else True


def some(values: Iterable[Optional[bool]]) -> Optional[bool]:
    """Kleene's or."""
    seen = list(values)
    if True in seen:
        return True
    return None if None in seen else False


def evaluate(condition: Mapping[str, Any], row: Any, root: Any) -> Outcome:
    """Decide ``condition`` on ``row`` (``$`` paths on ``root``). Raises ProbeError when it cannot be decided for its
    shape or types."""
    if "all" in condition or "any" in condition:
        joint = "all" if "all" in condition else "any"
        return _combine(joint, [evaluate(part, row, root) for part in condition[joint]])
    return _leaf(condition, row, root)


def _combine(joint: str, parts: Sequence[Outcome]) -> Outcome:
    if not parts:
        raise ProbeError(f"{joint} without parts decides nothing; name at least one condition")
    holds = (every if joint == "all" else some)(part.holds for part in parts)
    if joint == "all":
        # What matters of a conjunction is what broke it; where nothing did, all of it.
        shown = [part for part in parts if part.holds is holds] if holds is not True else list(parts)
        return Outcome(holds, "; ".join(part.found for part in shown), "; ".join(part.required for part in shown))
    shown = [part for part in parts if part.holds is holds]
    return Outcome(holds, "; ".join(part.found for part in shown), " or ".join(part.required for part in parts))


def _leaf(condition: Mapping[str, Any], row: Any, root: Any) -> Outcome:
    op = str(condition.get("op", ""))
    place = str(condition["count"] if "count" in condition else condition.get("path", ""))
    if not place or not op:
        raise ProbeError(f"a condition needs path (or count) and op, the gate says {dict(condition)!r}")
    label = f"number of {place}" if "count" in condition else place
    required = str(condition.get("say") or _required(label, op, condition))
    try:
        values = _values(condition, place, row, root)
        wanted = resolve(str(condition["than"]), row, root)[0] if "than" in condition else condition.get("value")
    except Missing as gap:
        return Outcome(None, str(gap), required)
    if not values:
        return Outcome(None, f"{place} is empty", required)
    results = [(value, None if _bad_count(condition, value) else compare(op, value, wanted)) for value in values]
    holds = (some if condition.get("each") == "any" else every)(result for _, result in results)
    telling = [value for value, result in results if result is holds]
    more = f" (and {len(telling) - _SHOWN_ELEMENTS} more)" if len(telling) > _SHOWN_ELEMENTS else ""
    shown = ", ".join(_show(value) for value in telling[:_SHOWN_ELEMENTS])
    against = f" against {condition['than']} = {_show(wanted)}" if "than" in condition else ""
    return Outcome(holds, f"{label} = {shown}{more}{against}", required)


def _values(condition: Mapping[str, Any], place: str, row: Any, root: Any) -> List[Any]:
    values = resolve(place, row, root)
    if "count" not in condition:
        return values
    if "[*]" in place:
        return [len(values)]
    if is_unknown(values[0]):
        return [None]
    if not isinstance(values[0], (list, tuple, Mapping)):
        raise ProbeError(f"count needs a list at {place}, found the {_kind(values[0])} {values[0]!r}")
    return [len(values[0])]


def _bad_count(condition: Mapping[str, Any], value: Any) -> bool:
    if condition.get("unit") != "count" or is_unknown(value) or _kind(value) != "number":
        return False
    return bool(value < 0 or value != int(value))


def _required(label: str, op: str, condition: Mapping[str, Any]) -> str:
    if op == "is_null":
        return f"{label} is {'empty' if condition.get('value') else 'known'}"
    wanted = condition["than"] if "than" in condition else _show(condition.get("value"))
    return f"{label} {_WORDS.get(op, op)} {wanted}"


def _show(value: Any) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)
    return shown if len(shown) <= 120 else shown[:117] + "..."


def problems(condition: Any, where: str) -> List[str]:
    """Lint one condition without data: sentences naming ``where``, empty when it is sound."""
    if not isinstance(condition, Mapping):
        return [f"{where}: a condition is a mapping with path, op and value, found {condition!r}"]
    for joint in ("all", "any"):
        if joint in condition:
            parts = condition[joint]
            if set(condition) - {joint, "say", "code", "next"}:
                return [f"{where}: {joint} stands alone, found also {sorted(set(condition) - {joint})}"]
            if not isinstance(parts, list) or not parts:
                return [f"{where}: {joint} needs a list of at least one condition"]
            return [
                found for number, part in enumerate(parts) for found in problems(part, f"{where}.{joint}[{number}]")
            ]
    return _leaf_problems(condition, where)


def _leaf_problems(condition: Mapping[str, Any], where: str) -> List[str]:
    found: List[str] = []
    extra = sorted(set(condition) - LEAF_KEYS)
    if extra:
        found.append(f"{where}: unknown keys {extra}; known are {sorted(LEAF_KEYS)}")
    if ("path" in condition) == ("count" in condition):
        found.append(f"{where}: exactly one of path and count is needed")
    op = condition.get("op")
    if op not in OPERATORS:
        found.append(f"{where}: unknown operator {op!r}; known are {', '.join(OPERATORS)}")
    if ("value" in condition) == ("than" in condition):
        found.append(f"{where}: exactly one of value and than is needed")
    if "value" in condition and op in OPERATORS:
        found.extend(f"{where}: {text}" for text in _value_problems(str(op), condition["value"]))
    if condition.get("each", "all") not in ("all", "any"):
        found.append(f"{where}: each is all or any, found {condition['each']!r}")
    for key in ("path", "count", "than"):
        if key in condition:
            try:
                parse_path(str(condition[key]))
            except ProbeError as error:
                found.append(f"{where}: {error}")
    return found


def _value_problems(op: str, value: Any) -> List[str]:
    if op == "is_null":
        return [] if isinstance(value, bool) else [f"is_null takes true or false, found {value!r}"]
    if is_unknown(value):
        return [f"{op} cannot compare with {value!r}; use is_null"]
    if op in ORDERED and _kind(value) != "number":
        return [f"{op} needs a number, found {value!r}"]
    if op == "between":
        ok = (
            isinstance(value, list)
            and len(value) == 2
            and all(_kind(bound) == "number" for bound in value)
            and value[0] <= value[1]
        )
        return [] if ok else [f"between needs [lowest, highest], found {value!r}"]
    if op in ("in", "not_in") and (not isinstance(value, list) or not value):
        return [f"{op} needs a non-empty list, found {value!r}"]
    return []
