"""Runs a display before and after the edit, on stand-ins for the bot, Discord and the database.

Names say what a display ought to show; only running it says that it does. Every name from outside of the file is a stand-in:
it can be called, awaited, read and counted with, and what it is given is written down. A value is known by its name as old or
new, so changing all old ones must leave the new display as it is, and changing the new ones must change it. Each name of a
function is None once, for displays fall over on the player without Lua rows. Nothing is imported, builtins that reach the
machine are missing, and it all happens in a process of its own, so that a file nobody knows can neither hang nor fill this one.
"""

from __future__ import annotations

import ast
import builtins
import json
import resource
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.slomix.timetracking.plugins.module_utils import timing_probe

from python_checks import own_process
from python_checks.source.timing_flow import held_names
from python_checks.source.tree import Refusal

_WITHHELD = "open input exec eval compile __import__ breakpoint exit quit help globals locals vars print"
_BUILTINS = {name: value for name, value in vars(builtins).items() if name not in _WITHHELD.split()}
_KEPT_DECORATORS = {"staticmethod", "classmethod", "property"}
_LOGGED = {"debug", "info", "warning", "error", "exception", "critical", "print"}
_STEPS = 20_000
TIME_LIMIT_S = 60
_MEMORY_BYTES = 1024 * 1024 * 1024
_BY_HAND = "; give that place its third display by hand"
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
Function = ast.FunctionDef | ast.AsyncFunctionDef


class _Stuck(BaseException):
    """A loop over stand-ins did not end."""


@dataclass
class _World:
    """One run: the flag's value, which names are None, and how far old and new values are moved."""

    held: frozenset[str]
    called: frozenset[str]
    dual: bool
    none: str = ""
    empty: bool = False
    moved: str = ""
    said: list[str] = field(default_factory=list)
    steps: int = 0

    def make(self, name: str) -> Any:
        """What a name from outside holds."""
        if name in self.held:
            return self.flag(name)
        return None if name == self.none else Stand(self, name)

    def flag(self, name: str) -> Any:
        """The setting: true or false, or a function that says so."""
        return (lambda *_, **__: self.dual) if name in self.called else self.dual

    def tick(self) -> None:
        """Called in each turn of a loop."""
        self.steps += 1
        if self.steps > _STEPS:
            raise _Stuck

    def row(self, value: Any, names: tuple[str, ...]) -> Any:
        """A stand-in that is unpacked: one value for each name."""
        return tuple(self.make(name) for name in names) if isinstance(value, Stand) else value

    def rows(self, value: Any, names: tuple[str, ...]) -> Any:
        """A stand-in that is looped over with unpacking: one row, or none."""
        return ([] if self.empty else [self.row(value, names)]) if isinstance(value, Stand) else value

    def say(self, value: Any) -> None:
        """A statement that is one call: what it was given is what it does."""
        self.said.append(rendered(value))

    def wait(self, value: Any) -> Any:
        """None where something is awaited that is None here."""
        return Stand(self, "", "", None) if value is None else value


def kind(name: str) -> str:
    """old, new or "" for a name, as the edit takes them: a dead or denied time that is not new is an old one."""
    words = {word.lower() for word in timing_probe._WORDS.findall(name)}
    found = timing_probe.kind_of(name)
    return found or (timing_probe.OLD if words & {"dead", "denied"} and not words & {"delta", "note"} else "")


class Stand:
    """Stands for anything from outside of the file: a module, a row, a number, something that is awaited."""

    def __init__(self, world: _World, name: str, text: str = "", awaited: Any = ...) -> None:
        self._world, self._name, self._awaited = world, name, awaited
        self._text = text or name
        self._kind = kind(name)

    def _number(self) -> int:
        place = zlib.crc32(self._text.encode()) % 50
        if not self._kind:
            return 0 if self._world.empty else 100 + place
        return place + (600 if self._kind == timing_probe.NEW else 300) + 137 * (self._world.moved == self._kind)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        called = {"get", *_LOGGED}
        return Stand(self._world, name) if name in called else self._world.make(name)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return self
        return self._world.make(key if isinstance(key, str) else "item")

    def __setitem__(self, key: Any, value: Any) -> None:
        self._world.said.append(rendered(value))

    def __call__(self, *given: Any, **named: Any) -> Any:
        if self._name == "get" and given and isinstance(given[0], str):
            return self._world.make(given[0])
        if self._name in ("items", "values", "keys"):
            key, value = Stand(self._world, "key"), Stand(self._world, "item")
            return [] if self._world.empty else [{"items": (key, value), "values": value, "keys": key}[self._name]]
        if self._name == self._world.none:
            return None
        said = [rendered(one) for one in (*given, *named.values())] if self._name not in _LOGGED else []
        return Stand(self._world, self._name, f"{self._name}({', '.join(said)})")

    def __await__(self) -> Generator[None, None, Any]:
        return self if self._awaited is ... else self._awaited
        yield

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: Any) -> None:
        return None

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def __iter__(self) -> Iterator[Any]:
        return iter([] if self._world.empty else [Stand(self._world, "item")])

    def __len__(self) -> int:
        return 0 if self._world.empty else 1

    def __contains__(self, _: Any) -> bool:
        return not self._world.empty

    def __bool__(self) -> bool:
        return bool(self._kind) or not self._world.empty

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Stand):
            return self._kind == other._kind and (not self._kind or self._number() == other._number())
        return isinstance(other, (int, float)) and self._number() == other

    def __hash__(self) -> int:
        return 1

    def __format__(self, spec: str) -> str:
        try:
            return format(self._number(), spec) if self._kind or spec else self._text
        except ValueError:
            return format(self._text, spec)

    def __str__(self) -> str:
        return format(self, "")

    __repr__ = __str__

    def __int__(self) -> int:
        return self._number()

    __index__ = __trunc__ = __int__

    def __float__(self) -> float:
        return float(self._number())


def _counted(name: str) -> Callable[..., Any]:
    def apply(self: Stand, *others: Any) -> Any:
        numbers = [other._number() if isinstance(other, Stand) else other for other in others]
        return getattr(float if any(isinstance(n, float) for n in numbers) else int, name)(
            float(self._number()) if any(isinstance(n, float) for n in numbers) else self._number(), *numbers
        )

    return apply


_OPERATIONS = "add sub mul truediv floordiv mod divmod pow radd rsub rmul rtruediv rfloordiv rmod rdivmod lt le gt ge neg pos abs round"
for _operation in _OPERATIONS.split():
    setattr(Stand, f"__{_operation}__", _counted(f"__{_operation}__"))


def rendered(value: Any) -> str:
    """What a value says to somebody who reads it."""
    if isinstance(value, (list, tuple, set)):
        return " ".join(rendered(one) for one in value)
    if isinstance(value, dict):
        return " ".join(f"{rendered(key)}: {rendered(one)}" for key, one in value.items())
    return str(value) if value is None or isinstance(value, (str, int, float, Stand)) else type(value).__name__


class _Own:
    """An object of one of the file's classes whose attributes all come from outside."""

    _world: _World

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._world.make(name)


class _Prepared(ast.NodeTransformer):
    """The file's functions without what they import, are annotated or decorated with."""

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> Any:
        names = [(one.asname or one.name).partition(".")[0] for one in node.names]
        return [_parsed(f"{name} = _world.make({name!r})") for name in names if name != "*"] or ast.Pass()

    visit_ImportFrom = visit_Import

    def visit_FunctionDef(self, node: Any) -> Any:
        self.generic_visit(node)
        node.decorator_list = [one for one in node.decorator_list if _last(one) in _KEPT_DECORATORS]
        node.returns = None
        for one in ast.walk(node.args):
            if isinstance(one, ast.arg):
                one.annotation = None
        return node

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        self.generic_visit(node)
        record = any("dataclass" in ast.dump(one) for one in node.decorator_list)
        node.bases, node.keywords = [ast.Name("_Own", ast.Load())], []
        node.decorator_list = [ast.Name("_record", ast.Load())] if record else []
        kept = (*_FUNCTIONS, ast.AnnAssign) if record else _FUNCTIONS
        node.body = [one for one in node.body if isinstance(one, kept) or _is_literal(one)] or [ast.Pass()]
        for one in node.body:
            if isinstance(one, ast.AnnAssign):
                one.annotation = ast.Constant("object")
        return node

    def visit_Await(self, node: ast.Await) -> Any:
        self.generic_visit(node)
        node.value = _call("wait", node.value)
        return node

    def visit_Expr(self, node: ast.Expr) -> Any:
        self.generic_visit(node)
        if isinstance(node.value, (ast.Call, ast.Await)):
            node.value = _call("say", node.value)
        return node

    def visit_Assign(self, node: ast.Assign) -> Any:
        self.generic_visit(node)
        names = _names(node.targets[0])
        if names:
            node.value = _call("row", node.value, names)
        return node

    def visit_For(self, node: Any) -> Any:
        self.generic_visit(node)
        names = _names(node.target)
        if names:
            node.iter = _call("rows", node.iter, names)
        node.body.insert(0, _parsed("_world.tick()"))
        return node

    def visit_While(self, node: ast.While) -> Any:
        self.generic_visit(node)
        node.body.insert(0, _parsed("_world.tick()"))
        return node

    def visit_comprehension(self, node: ast.comprehension) -> Any:
        self.generic_visit(node)
        names = _names(node.target)
        if names:
            node.iter = _call("rows", node.iter, names)
        return node


def _is_asked(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _last(node.func) == timing_probe.NEW_ONLY_CALL


def _parsed(text: str) -> ast.stmt:
    return ast.parse(text).body[0]


def _last(node: ast.expr) -> str:
    return timing_probe._last_name(node)


def _call(method: str, value: ast.expr, names: tuple[str, ...] | None = None) -> ast.expr:
    function = ast.Attribute(ast.Name("_world", ast.Load()), method, ast.Load())
    given = [value, *([] if names is None else [ast.Tuple([ast.Constant(one) for one in names], ast.Load())])]
    return ast.Call(function, given, [])


def _names(target: ast.expr) -> tuple[str, ...]:
    """The names of an unpacking; () for anything else."""
    plain = isinstance(target, (ast.Tuple, ast.List)) and not any(isinstance(one, ast.Starred) for one in target.elts)
    return tuple(_last(one) or "item" for one in target.elts) if plain else ()  # type: ignore[attr-defined]


def _is_literal(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign) and all(
        isinstance(
            one, (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context)
        )
        for one in ast.walk(node.value)
    )


class Program:
    """One version of the file, ready to run."""

    def __init__(self, text: str, held: frozenset[str]) -> None:
        module = ast.parse(text)
        self.held = held
        self.functions: dict[str, Function] = {}
        for node in module.body:
            inner = [(f"{node.name}.", one) for one in node.body] if isinstance(node, ast.ClassDef) else [("", node)]
            self.functions |= {prefix + one.name: one for prefix, one in inner if isinstance(one, _FUNCTIONS)}
        self.functions.pop(timing_probe.NEW_ONLY_CALL, None)
        self.mentioned = {name: {_word(one) for one in ast.walk(node)} - {""} for name, node in self.functions.items()}
        names = {one.id for one in ast.walk(module) if isinstance(one, ast.Name)} - set(_BUILTINS)
        kept = [one for one in module.body if isinstance(one, (*_FUNCTIONS, ast.ClassDef)) or _is_literal(one)]
        self.asked = sum(_is_asked(one) for one in ast.walk(module))
        self.runnable = sum(_is_asked(one) for node in self.functions.values() for one in ast.walk(node))
        self.called = frozenset(_last(one.func) for one in ast.walk(module) if isinstance(one, ast.Call))
        self.imported = names | {
            (one.asname or one.name).partition(".")[0]
            for node in ast.walk(module)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for one in node.names
        }
        kept = [one for one in kept if getattr(one, "name", "") != timing_probe.NEW_ONLY_CALL]
        prepared = _Prepared().visit(ast.Module(kept, []))
        self._code = compile(ast.fix_missing_locations(prepared), "display", "exec")

    def run(self, function: str, world: _World, only: bool) -> tuple[str, list[str]]:
        """("" or the error's name, what it gave back and handed on)."""
        space: dict[str, Any] = {"__builtins__": {**_BUILTINS, "__build_class__": builtins.__build_class__}}
        space |= {
            "__name__": "display",
            "_world": world,
            "_record": dataclass,
            "_Own": type("_Own", (_Own,), {"_world": world}),
        }
        space |= {name: world.make(name) for name in self.imported if name not in space}
        try:
            exec(self._code, space)
        except Exception as problem:
            return type(problem).__name__, [str(problem)]
        space |= {name: world.flag(name) for name in self.held & set(space) if name not in self.functions}
        space[timing_probe.NEW_ONLY_CALL] = lambda: only
        holder, _, name = function.rpartition(".")
        node = self.functions[function]
        arguments = node.args
        bare = {_last(one) for one in node.decorator_list}
        wanted = [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
        given = [world.make(one) for one in wanted]
        target = space[name] if not holder else vars(space[holder])[name]
        target = getattr(target, "fget", None) or getattr(target, "__func__", target)
        if holder and "staticmethod" not in bare and given:
            own = space[holder]
            given[0] = own if "classmethod" in bare else own.__new__(own)
        try:
            answer = target(*given, **{one.arg: world.make(one.arg) for one in arguments.kwonlyargs})
            if isinstance(node, ast.AsyncFunctionDef):
                try:
                    answer.send(None)
                    return "Waiting", []
                except StopIteration as end:
                    answer = end.value
        except _Stuck:
            return "Stuck", []
        except (Exception, SystemExit) as problem:  # whatever the file raises is its answer
            return type(problem).__name__, [str(problem)]
        return "", [*world.said, rendered(answer)]


def _word(node: ast.AST) -> str:
    if isinstance(node, ast.arg):
        return node.arg
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) and node.value.isidentifier() else ""
    return _last(node) if isinstance(node, (ast.Name, ast.Attribute)) else ""


def prove_by_running(before: bytes, after: bytes) -> str:
    """How many runs showed that the patched displays are right. Raises Refusal at the first that is not, or cannot be run."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "python_checks.source.timing_run"],
            input=json.dumps([before.decode("utf-8"), after.decode("utf-8")]),
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT_S,
            cwd=own_process.ROOT,
            env=own_process.environment(),
            check=False,
        )
    except subprocess.TimeoutExpired as slow:
        raise Refusal(f"the patched display did not end on stand-ins within {TIME_LIMIT_S} s{_BY_HAND}") from slow
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Refusal(f"the patched display could not be run on stand-ins ({last}){_BY_HAND}")
    answer = json.loads(done.stdout)
    if answer["refused"]:
        raise Refusal(answer["refused"])
    return str(answer["proven"])


def main() -> int:
    """The process: both versions in, what was found out."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    before, after = json.load(sys.stdin)
    answer, sys.stdout = sys.stdout, sys.stderr
    try:
        found = {"proven": _run_all(before, after), "refused": ""}
    except Refusal as refusal:
        found = {"proven": "", "refused": str(refusal)}
    json.dump(found, answer)
    return 0


def _run_all(before: str, after: str) -> str:
    held = held_names(before.encode())
    old, new = Program(before, held), Program(after, held)
    reached = {name for name, words in new.mentioned.items() if timing_probe.NEW_ONLY_CALL in words or words & held}
    displays = [name for name in reached if _shows(old, name)]
    if not displays or new.asked != new.runnable:
        raise Refusal(
            f"looked for the display in functions and methods of the file's top level, which can be run to see that it is right, found it "
            f"elsewhere{_BY_HAND}"
        )
    size = 0
    while len(reached) > size:
        # Who calls them shows what they show.
        size, short = len(reached), {one.rpartition(".")[2] for one in reached}
        reached |= {name for name, words in new.mentioned.items() if words & short}
    count = 0
    with warnings.catch_warnings():
        # A coroutine that a stand-in was given is awaited by nobody.
        warnings.simplefilter("ignore", RuntimeWarning)
        for name in sorted(reached):
            scenes: list[tuple[str, bool]] = [("", False), ("", True)]
            scenes += [(word, False) for word in sorted(new.mentioned[name] - held - {"self", "cls"})]
            for none, empty in scenes:
                count += _judge(old, new, name, none, empty, name in displays)
    return f"{count} runs on stand-ins, each name None once"


def _shows(program: Program, name: str) -> bool:
    return {timing_probe.OLD, timing_probe.NEW} <= {kind(word) for word in program.mentioned.get(name, ())}


def _judge(old: Program, new: Program, name: str, none: str, empty: bool, display: bool) -> int:
    def run(program: Program, dual: bool, only: bool, moved: str = "") -> tuple[str, list[str]]:
        return program.run(name, _World(old.held, old.called, dual, none, empty, moved), only)

    where = f"{name} where {none or 'nothing'} is None" + (" and everything else empty" if empty else "")
    both, alone = run(old, True, False), run(old, False, False)
    for dual, was in ((True, both), (False, alone)):
        if run(new, dual, False) != was:
            raise Refusal(f"looked for {where} as it was with SHOW_TIMING_DUAL {dual}, found another result{_BY_HAND}")
    telling = not both[0] and run(old, True, False, timing_probe.NEW) != both
    plain = not none and not empty
    if display and plain and not telling:
        problem = f"raised {': '.join((both[0], *both[1]))}" if both[0] else "shows no new value"
        raise Refusal(
            f"looked for a display that can be run to see that it is right, found that {name} {problem} on stand-ins; give it its third "
            "display by hand"
        )
    if both[0] or alone[0]:
        return 3
    for dual in (True, False):
        only = run(new, dual, True)
        if only[0]:
            raise Refusal(f"looked for {where} with the new display, found {only[0]} ({'; '.join(only[1])}){_BY_HAND}")
        if telling and run(new, dual, True, timing_probe.NEW) == only:
            raise Refusal(f"looked for new values in {where} with SHOW_TIMING_DUAL {dual}, found none{_BY_HAND}")
        if telling and display and run(new, dual, True, timing_probe.OLD) != only:
            raise Refusal(f"looked for new values alone in {where}, found old ones{_BY_HAND}")
    return 9 if telling else 5


if __name__ == "__main__":
    sys.exit(main())
