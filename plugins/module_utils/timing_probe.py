"""What a bot shows for a value of SHOW_TIMING_DUAL, read from its source: nothing of it is imported or run.

The plan sets the flag to false to show the new timing only. In the bot of that day false shows the *old* values only
(domain.md 7, 10.25), so before the flag is touched the deployed code is asked. The setting is followed by name: from the
text of its key to the variables, attributes and parameters that hold it, and on to each branch that it decides. Of each
branch the timing values are collected that it uses: names with the word new or lua are the new ones, names with old or
the columns of the stats file the old ones. What cannot be told is ``unknown``, never a guess.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

OLD = "old"
NEW = "new"
UNKNOWN = "unknown"
DUAL_KEY = "SHOW_TIMING_DUAL"
NEW_ONLY_KEY = "SHOW_TIMING_NEW_ONLY"
NEW_ONLY_CALL = "_timing_new_only"

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_NEW_WORDS = {"new", "lua", "shadow"}
_OLD_WORDS = {"old", "legacy"}
_TIMING_WORDS = {"dead", "denied", "death", "alive", "timing", "time"}
_OLD_COLUMNS = {"time_dead_minutes", "time_dead_ratio", "denied_playtime", "time_dead", "time_denied"}
# Conditions about whether there is a value, and notes on coverage, say nothing about which one is shown.
_NEUTRAL = {"lua_version", "has_lua", "lua_rounds", "lua_coverage", "coverage", "lua_missing", "_timing_new_only"}


@dataclass(frozen=True)
class Branch:
    """One place that the setting decides: what is used where it is on, and where it is off."""

    file: str
    line: int
    on: Tuple[str, ...]
    off: Tuple[str, ...]
    on_names: Tuple[str, ...]
    off_names: Tuple[str, ...]

    def as_dict(self) -> Dict[str, object]:
        """For the result."""
        return {
            "file": self.file,
            "line": self.line,
            "on": list(self.on),
            "off": list(self.off),
            "on_names": list(self.on_names),
            "off_names": list(self.off_names),
        }


@dataclass(frozen=True)
class Found:
    """What a bot makes of one setting. ``off``/``on``: old, new, both or unknown; ``reason`` says why."""

    key: str
    read: bool
    off: str
    on: str
    branches: Tuple[Branch, ...]
    reason: str


def shows(files: Mapping[str, str], key: str = DUAL_KEY) -> Found:
    """Follow one setting through the files (path -> text)."""
    trees: Dict[str, ast.Module] = {}
    broken: List[str] = []
    for name, text in sorted(files.items()):
        try:
            trees[name] = ast.parse(text.lstrip("\ufeff"))
        except (SyntaxError, ValueError, RecursionError) as error:
            broken.append(f"{name} ({error})")
    holders = _holders(trees, key)
    branches: List[Branch] = []
    for name, tree in trees.items():
        branches += _branches(name, tree, holders, key)
    # A file that cannot be read may hold the display.
    if broken:
        return Found(key, bool(holders), UNKNOWN, UNKNOWN, tuple(branches), f"not readable here: {'; '.join(broken)}")
    if not holders and not branches:
        return Found(key, False, UNKNOWN, UNKNOWN, (), f"no file reads {key}")
    telling = [branch for branch in branches if branch.on or branch.off]
    if not telling:
        return Found(
            key, True, UNKNOWN, UNKNOWN, tuple(branches), f"{key} is read, but decides no display of timing values"
        )
    off, on = _verdict([b.off for b in telling]), _verdict([b.on for b in telling])
    places = ", ".join(f"{b.file}:{b.line}" for b in telling)
    return Found(key, True, off, on, tuple(branches), f"decided at {places}")


def _verdict(sides: Sequence[Tuple[str, ...]]) -> str:
    kinds = {side for side in sides if side}
    if len(kinds) != 1 or any(not side for side in sides):
        return UNKNOWN
    only = kinds.pop()
    return only[0] if len(only) == 1 else "both"


def _holders(trees: Mapping[str, ast.Module], key: str) -> Set[str]:
    """Names of variables, attributes and parameters that hold the setting's value."""
    names: Set[str] = set()
    while True:
        size = len(names)
        for tree in trees.values():
            for node in ast.walk(tree):
                names |= _held(node, names, key)
        if len(names) == size:
            return names


def _held(node: ast.AST, names: Set[str], key: str) -> Set[str]:
    targets: List[ast.expr] = []
    value: Optional[ast.expr] = None
    if isinstance(node, ast.Assign):
        targets, value = node.targets, node.value
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
        targets, value = [node.target], node.value
    elif isinstance(node, ast.keyword) and node.arg and _is_setting(node.value, names, key):
        return {node.arg}
    elif isinstance(node, ast.Dict):
        pairs = [(k.value, node.values[at]) for at, k in enumerate(node.keys) if isinstance(k, ast.Constant)]
        return {name for name, v in pairs if isinstance(name, str) and _is_setting(v, names, key)} - {key}
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        returned = [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]
        return {node.name} if len(returned) == 1 and _is_setting(returned[0], names, key) else set()
    if value is None or not (_mentions(value, key) or _is_setting(value, names, key)):
        return set()
    return {name for target in targets for name in [_last_name(target)] if name}


def _last_call(node: ast.AST) -> str:
    return _last_name(node.func) if isinstance(node, ast.Call) else ""


def _mentions(node: ast.AST, key: str) -> bool:
    """Whether a short expression names the key: a call of getenv or of a helper, a field's default factory."""
    return any(isinstance(n, ast.Constant) and n.value == key for n in ast.walk(node)) and not isinstance(
        node, (ast.Dict, ast.List, ast.Tuple, ast.Set)
    )


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return node.slice.value
    return ""


def _is_setting(node: ast.AST, names: Set[str], key: str) -> bool:
    """Whether an expression is the setting's value itself, plainly handed on."""
    if _last_name(node) in names or _last_name(node) == key:
        return True
    if isinstance(node, ast.Call):
        called = _last_name(node.func)
        if called in names:
            return True
        if called == "bool" and node.args:
            return _is_setting(node.args[0], names, key)
        if called in ("getattr", "get") and node.args:
            words = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            return any(word in names or word == key for word in words)
        return _mentions(node, key)
    return isinstance(node, ast.Compare) and _mentions(node, key)


def _sense(test: ast.expr, names: Set[str], key: str) -> Optional[bool]:
    """True for ``setting``, False for ``not setting``, None for anything that is not decided by the setting."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        inner = _sense(test.operand, names, key)
        return None if inner is None else not inner
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        # `setting and something`: the first side needs the setting; the other is taken when it is off.
        senses = [_sense(value, names, key) for value in test.values]
        return True if True in senses else None
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or) and _last_call(test.values[-1]) == NEW_ONLY_CALL:
        # What the codemod timing-new-only makes of `setting`.
        return _sense(test.values[0], names, key) if len(test.values) == 2 else None
    if isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.comparators[0], ast.Constant):
        right, op = test.comparators[0].value, test.ops[0]
        if isinstance(right, bool) and _is_setting(test.left, names, key):
            return right if isinstance(op, (ast.Is, ast.Eq)) else not right
    return True if _is_setting(test, names, key) else None


def _branches(file: str, tree: ast.Module, names: Set[str], key: str) -> Iterator[Branch]:
    for block in _blocks(tree):
        for at, statement in enumerate(block):
            if not isinstance(statement, ast.If):
                continue
            sense = _sense(statement.test, names, key)
            if sense is None:
                continue
            body: List[ast.stmt] = list(statement.body)
            other: List[ast.stmt] = list(statement.orelse)
            if _leaves(body):
                other += block[at + 1 :]
            elif not other:
                # `text = old` in front, replaced where the setting is on.
                other = _assigned_before(block[:at], body)
            yield _branch(file, statement.lineno, body, other, sense)
    for node in ast.walk(tree):
        if isinstance(node, ast.IfExp):
            sense = _sense(node.test, names, key)
            if sense is not None:
                yield _branch(file, node.lineno, [node.body], [node.orelse], sense)


def _blocks(tree: ast.Module) -> Iterator[List[ast.stmt]]:
    for node in ast.walk(tree):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                yield block


def _leaves(body: Sequence[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], (ast.Return, ast.Continue, ast.Raise, ast.Break))


def _assigned_before(block: Sequence[ast.stmt], body: Sequence[ast.stmt]) -> List[ast.stmt]:
    wanted = {_last_name(t) for s in body if isinstance(s, ast.Assign) for t in s.targets} - {""}
    return [s for s in block if isinstance(s, ast.Assign) and any(_last_name(t) in wanted for t in s.targets)]


def _branch(file: str, line: int, body: Sequence[ast.AST], other: Sequence[ast.AST], sense: bool) -> Branch:
    on, off = (body, other) if sense else (other, body)
    (on_kinds, on_names), (off_kinds, off_names) = _kinds(on), _kinds(off)
    return Branch(file, line, on_kinds, off_kinds, on_names, off_names)


def _kinds(nodes: Sequence[ast.AST]) -> Tuple[Tuple[str, ...], Tuple[str, ...]]:
    """(kinds of timing values, the names that say so) that some code shows."""
    kinds: Set[str] = set()
    names: Set[str] = set()
    for top in nodes:
        for node in ast.walk(top):
            name = ""
            if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and isinstance(
                getattr(node, "ctx", None), ast.Load
            ):
                name = _last_name(node)
            elif isinstance(node, ast.Call) and _last_name(node.func) == "get" and node.args:
                first = node.args[0]
                name = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
            kind = kind_of(name)
            if kind:
                kinds.add(kind)
                names.add(name)
    return tuple(sorted(kinds, reverse=True)), tuple(sorted(names))


def kind_of(name: str) -> str:
    """old, new, or "" for a name that is no timing value."""
    if not name or name.lower() in _NEUTRAL:
        return ""
    words = {word.lower() for word in _WORDS.findall(name)}
    if words & {"coverage", "rounds", "missing", "version", "reason"}:
        return ""
    timing = bool(words & _TIMING_WORDS)
    if words & _NEW_WORDS and (timing or words <= _NEW_WORDS):
        return NEW
    if words & _OLD_WORDS and (timing or words <= _OLD_WORDS):
        return OLD
    return OLD if name.lower() in _OLD_COLUMNS else ""


def probe(files: Mapping[str, str]) -> Dict[str, object]:
    """The answer for a cutover: ``shows_when_false`` (old, new or unknown), whether the bot has a NEW-only display of its
    own setting, and the setting and value that would show the new values only (None when none would)."""
    dual, only = shows(files, DUAL_KEY), shows(files, NEW_ONLY_KEY)
    when_false = dual.off if dual.off in (OLD, NEW) else UNKNOWN
    new_only = only.read and only.on == NEW
    way: Optional[Dict[str, str]] = None
    if new_only:
        way = {"key": NEW_ONLY_KEY, "value": "true"}
    elif when_false == NEW:
        way = {"key": DUAL_KEY, "value": "false"}
    return {
        "shows_when_false": when_false,
        "shows_when_true": dual.on,
        "new_only": new_only,
        "way": way,
        "reason": dual.reason,
        "new_only_reason": only.reason,
        "branches": [branch.as_dict() for branch in dual.branches + only.branches],
    }
