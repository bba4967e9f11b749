"""What the recipe ``webhook`` looks for in a file, by meaning: payload, send, the function around both, its busy flag, its marks."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass

from tree_sitter import Node

from python_checks.lua.graph import CallGraph
from python_checks.lua.recipe import Plan, Refusal
from python_checks.lua.tree import Binding, Function, Key, LuaTree

GUARD = b"rollout_guard"
BLOCK = re.compile(rb"-- >>> rollout webhook guard:.*?-- <<< rollout webhook guard <<<\r?\n?", re.DOTALL)
_ATTEMPT = re.compile(rb"attempt|retr|tries|fail|err", re.IGNORECASE)
_BUSY = re.compile(rb"busy|progress|sending|lock|flight", re.IGNORECASE)
_CURL = re.compile(rb"\bcurl\s")
_SCORE = re.compile(rb"score|wins|points", re.IGNORECASE)
_LOGGER = re.compile(rb"(^|[._:])(log\w*|print\w*|debug\w*|G_Print|G_LogPrint|warn\w*|say)$", re.IGNORECASE)
PLACES = ("identifier", "dot_index_expression", "bracket_index_expression")


@dataclass(frozen=True)
class Flag:
    """A place that is true while a send is under way."""

    text: bytes
    key: Key
    down: bytes


class Targets:
    """The findings in one file. Raises Refusal where a target is missing or not unique."""

    def __init__(self, tree: LuaTree) -> None:
        block = BLOCK.search(tree.source)
        self.block = (block.start(), block.end()) if block else None
        if block is not None:
            blank = re.sub(rb"[^\n]", b" ", block.group())
            inner = LuaTree(tree.source[: block.start()] + blank + tree.source[block.end() :])
            inner.source = tree.source
            tree = inner
        self.tree = tree
        self.graph = CallGraph(tree)
        self.result = Plan()
        self.work: list[Node] = []
        self.has_receiver = False
        self.printers = self.console_printers()
        self.eol = b"\r\n" if tree.source.count(b"\r\n") * 2 > tree.source.count(b"\n") else b"\n"

    def payload(self) -> tuple[Function, Node]:
        """The one function that builds the payload, and the place in it that holds the text STATS_READY."""
        sites: list[Node] = []
        for node in self.tree.strings:
            if b"STATS_READY" in (self.tree.constant(node) or b"") and not self.is_logged(node):
                sites += [node] if self.graph.unit_of(node) else self.uses_of(node)
        found: dict[Function, Node] = {}
        for site in sites:
            unit = self.graph.unit_of(site)
            if unit is not None and not self.is_compared(site):
                found.setdefault(unit, site)
        if len(found) != 1:
            where = ", ".join(f"{name_of(f)} (line {self.tree.line(n)})" for f, n in found.items()) or "none"
            raise Refusal(
                f"looked for the one function that builds the payload with the text STATS_READY, found {where}"
            )
        builder, site = next(iter(found.items()))
        self.work = [site, *self.sends()]
        return builder, site

    def uses_of(self, constant: Node, depth: int = 4) -> list[Node]:
        """Where a file-level text is used: the references to the local, global or field that holds it."""
        for assignment in self.tree.assignments:
            value = assignment.value
            if value is None or not depth or not value.start_byte <= constant.start_byte < value.end_byte:
                continue
            key = self.tree.key(assignment.target)
            if key is None:
                return []
            if value.type == "table_constructor":
                steps = [self.tree.field_name(a) for a in self.tree.ancestors(constant) if a.type == "field"]
                key = (*key, *reversed([s for s in steps if s is not None]))
            uses: list[Node] = []
            for name in [*self.tree.names, *self.tree.indexes]:
                if name != assignment.target and self.tree.key(name) == key:
                    uses += [name] if self.graph.unit_of(name) else self.uses_of(name, depth - 1)
            return uses
        return []

    def is_logged(self, node: Node) -> bool:
        for ancestor in self.tree.ancestors(node):
            if ancestor.type == "function_call":
                name = ancestor.child_by_field_name("name")
                if name is not None and (
                    _LOGGER.search(self.tree.text(name)) or self.unit_called(ancestor) in self.printers
                ):
                    return True
            if ancestor.type == "block":
                return False
        return False

    def console_printers(self) -> set[Function]:
        """Functions that hand one of their own parameters to the console: loggers, whatever their names."""
        found: set[Function] = set()
        for call in self.tree.calls:
            name, unit = call.child_by_field_name("name"), self.graph.unit_of(call)
            if name is None or unit is None or self.tree.api(name) not in ("et.G_Print", "et.G_LogPrint", "print"):
                continue
            roots = [self.tree.binding(n) for n in self.tree.descendants(call) if n.type == "identifier"]
            if any(b is not None and b.is_parameter and b.function is unit for b in roots) or b"..." in self.tree.text(
                call
            ):
                found.add(unit)
        return found

    def is_compared(self, node: Node) -> bool:
        parent = self.tree.parent(node)
        return parent is not None and parent in self.tree.comparisons

    def sends(self) -> list[Node]:
        """Where curl is started; where no text says curl, where any process is started."""
        texts = [s for s in self.tree.strings if _CURL.search(self.tree.constant(s) or b"") and not self.is_logged(s)]
        nodes = [n for s in texts for n in ([s] if self.graph.unit_of(s) else self.uses_of(s))]
        if nodes:
            return nodes
        names = [(c, c.child_by_field_name("name")) for c in self.tree.calls if self.graph.unit_of(c) is not None]
        return [c for c, name in names if name is not None and self.tree.api(name) in ("os.execute", "io.popen")]

    def senders(self) -> set[Function]:
        return {unit for node in self.sends() if (unit := self.graph.unit_of(node)) is not None}

    def protected_function(self, builder: Function) -> Function:
        """The smallest function that reaches both the payload and the send, widened to the one that holds the busy flag."""
        senders = self.senders()
        if not senders:
            raise Refusal("looked for the send (curl, os.execute or io.popen), found none")
        both = self.graph.reaching([builder]) & self.graph.reaching(senders)
        both = {f for f in both if not self.graph.is_callback(f)}
        smallest = {f for f in both if not (self.graph.reach(f) - {f}) & both}
        if len(smallest) != 1:
            where = ", ".join(sorted(name_of(f) for f in smallest)) or "none outside of the engine's callbacks"
            raise Refusal(f"looked for the one function that builds the payload and sends it, found {where}")
        target = smallest.pop()
        wider = [f for f in both if f is not target and target in self.graph.reach(f) and self.busy_flags(f)]
        return max(wider, key=lambda f: len(self.graph.reach(f)), default=target)

    def busy_flags(self, unit: Function) -> list[Flag]:
        """Places that are up exactly while this function works.

        Asked first, raised in front of the work (payload, send, or a call that leads there) in a block that holds the work, and
        lowered behind it in the same block; where the name itself says busy, lowered anywhere.
        """
        work = sorted(n.start_byte for n in self.work_of(unit))
        changes = self.changes(unit)
        asked = [(self.tree.key(n), n.start_byte) for n in self.asked(self.helpers(unit) | {unit})]
        found: dict[Key, Flag] = {}
        for key, text, down, raised in changes:
            block = self.tree.parent(raised)
            held = [w for w in work if block is not None and raised.end_byte <= w < block.end_byte]
            if down or not held or not any(k == key for k, _ in asked):
                continue
            lowered = [
                (d, self.tree.parent(at)) for k, _, d, at in changes if k == key and d and at.start_byte > held[0]
            ]
            is_kept = any(b is not None and b.start_byte <= raised.start_byte < b.end_byte for _, b in lowered)
            if is_kept or (lowered and _BUSY.search(text)):
                found[key] = Flag(self.source_of(key, text), key, lowered[-1][0])
        return list(found.values())

    def work_of(self, unit: Function) -> list[Node]:
        """Where a function builds the payload, starts a process, or calls what does."""
        nodes = [n for n in self.work if self.graph.unit_of(n) is unit]
        leading = self.graph.reaching({u for n in self.work if (u := self.graph.unit_of(n)) is not None}) - {unit}
        keys = {u.key for u in leading}
        return nodes + [
            n
            for n in [*self.tree.names, *self.tree.indexes]
            if self.graph.unit_of(n) is unit and self.tree.key(n) in keys
        ]

    def helpers(self, unit: Function) -> set[Function]:
        """Functions that a function calls and that do not lead to the work: they may raise or lower its flag for it."""
        leading = self.graph.reaching({u for n in self.work if (u := self.graph.unit_of(n)) is not None})
        called = {self.unit_called(c) for c in self.tree.calls if self.graph.unit_of(c) is unit}
        return {h for h in called if h is not None and h not in leading}

    def changes(self, unit: Function) -> list[tuple[Key, bytes, bytes, Node]]:
        """``(place, its text, value that lowers it or empty, statement)`` for what a function switches itself or through a helper."""
        own = [
            (a, self.tree.statement_of(a.target)) for a in self.tree.assignments if self.graph.unit_of(a.target) is unit
        ]
        helpers = self.helpers(unit)
        for call in self.tree.calls:
            helper = self.unit_called(call) if self.graph.unit_of(call) is unit else None
            if helper in helpers:
                at = self.tree.statement_of(call)
                own += [(a, at) for a in self.tree.assignments if self.graph.unit_of(a.target) is helper]
        changes: list[tuple[Key, bytes, bytes, Node]] = []
        for assignment, statement in own:
            key, value, text = self.tree.key(assignment.target), assignment.value, self.tree.text(assignment.target)
            if assignment.is_declaration or value is None or key is None:
                continue
            is_named = _BUSY.search(text) is not None
            if value.type in ("false", "nil") or (is_named and self.tree.text(value) == b"0"):
                changes.append((key, text, self.tree.text(value), statement))
            elif value.type == "true" or is_named:
                changes.append((key, text, b"", statement))
        return changes

    def asked(self, units: Set[Function]) -> list[Node]:
        nodes: list[Node] = []
        for condition in self.tree.conditions:
            if self.graph.unit_of(condition) in units:
                nodes += [n for n in self.tree.descendants(condition) if n.type in PLACES]
        return nodes

    def is_own_local(self, key: Key, units: Set[Function]) -> bool:
        """True for locals and parameters of these functions: they are gone when the call ends."""
        function = key[0].function if isinstance(key[0], Binding) else None
        while function is not None:
            if function in units:
                return True
            function = function.parent
        return False

    def flags(self, target: Function) -> list[Flag]:
        """The busy flags of the function to protect and of all that it reaches."""
        units = self.graph.reach(target)
        found = {f.key: f for unit in units for f in self.busy_flags(unit)}
        return sorted((f for f in found.values() if self.outlives(f.key, units)), key=lambda f: f.text)

    def outlives(self, key: Key, units: Set[Function]) -> bool:
        """False for a local that a function makes for itself; a parameter's field belongs to the caller."""
        is_parameters_field = isinstance(key[0], Binding) and key[0].is_parameter and len(key) > 1
        return is_parameters_field or not self.is_own_local(key, units)

    def marks(self, units: Set[Function], at: int) -> list[bytes]:
        """What a failed attempt must take back: counted scores, and remembered values that are compared with later ones."""
        asked = {self.tree.key(n) for n in self.asked(units)}
        for comparison in self.tree.comparisons:
            if self.graph.unit_of(comparison) in units:
                asked |= {self.tree.key(n) for n in self.tree.descendants(comparison) if n.type in PLACES}
        found: dict[Key, bytes] = {}
        for assignment in self.tree.assignments:
            if (
                assignment.is_declaration
                or self.graph.unit_of(assignment.statement) not in units
                or assignment.value is None
            ):
                continue
            target, value = assignment.target, assignment.value
            key = self.tree.key(target)
            is_table = False
            if key is None and target.type == "bracket_index_expression":
                table = target.child_by_field_name("table")
                target = table if table is not None else target
                key, is_table = self.tree.key(target), True
            if key is None or self.is_own_local(key, units):
                continue
            text = self.tree.text(target)
            is_switch = value.type in ("true", "false", "nil")
            if self.is_count(assignment.target, value):
                is_mark = _ATTEMPT.search(text) is None
            elif key in asked:
                is_mark = is_table or not (is_switch or value.type == "number")
            else:
                is_mark = _SCORE.search(text) is not None and not is_switch
            if is_mark:
                found[key] = self.source_of(key, text)
        return sorted(text for key, text in found.items() if self.sees_key(key, at))

    def source_of(self, key: Key, text: bytes) -> bytes:
        """The place's text through its owner: ``state.axis`` for ``local s = state; s.axis``.

        A method's own ``self`` stays: there may be many objects, and the guard hands on the one that was called.
        """
        if self.has_receiver and text.startswith(b"self."):
            return text
        root = key[0].name if isinstance(key[0], Binding) else key[0]
        if isinstance(root, bytes) and all(isinstance(k, bytes) and re.fullmatch(rb"[A-Za-z_]\w*", k) for k in key[1:]):
            return b".".join([root, *[k for k in key[1:] if isinstance(k, bytes)]])
        return text

    def is_count(self, target: Node, value: Node) -> bool:
        """``x = x + 1`` in any order, also ``x = (x or 0) + 1``."""
        operator = value.child_by_field_name("operator")
        if value.type != "binary_expression" or operator is None or operator.type != "+":
            return False
        text = self.tree.text(target)
        return any(self.tree.text(n) == text for n in self.tree.descendants(value) if n.type in PLACES)

    def unit_called(self, call: Node) -> Function | None:
        name = call.child_by_field_name("name")
        key = self.tree.key(name) if name is not None else None
        return next((u for u in self.graph.units if key is not None and u.key == key), None)

    def sees_key(self, key: Key, at: int) -> bool:
        """True when a place's name means the same at a position: its root is in sight there, or global and not hidden."""
        root = key[0]
        if isinstance(root, Binding):
            return self.tree.visible(root.name, at) is root
        return isinstance(root, bytes) and self.tree.visible(root, at) is None

    def watched(self) -> tuple[list[bytes], list[bytes]]:
        """See ``watched_state``."""
        builder, _ = self.payload()
        target = self.protected_function(builder)
        units = self.graph.reach(target)
        at = len(self.tree.source)
        flags = [f.text for f in self.flags(target) if self.sees_key(f.key, at)]
        return flags, [m for m in self.marks(units, at) if m not in flags]

    def gametimes(self, at: int) -> tuple[bytes, bytes]:
        """``(folder, enabled)`` as expressions: the setting that holds the folder's text, and its switch beside it."""
        for assignment in self.tree.assignments:
            value = assignment.value
            if value is None:
                continue
            owner, key = self.tree.text(assignment.target), self.tree.key(assignment.target)
            if key is None or not self.sees_key(key, at):
                continue
            if value.type == "table_constructor":
                found = self.gametimes_in(owner, value)
                if found[0]:
                    return found
            elif self.is_folder(value, owner):
                return owner, b""
        return b"", b""

    def gametimes_in(self, owner: bytes, table: Node) -> tuple[bytes, bytes]:
        folder = enabled = b""
        for item in (c for c in table.children if c.type == "field"):
            name, value = self.tree.field_name(item), item.child_by_field_name("value")
            if name is None or value is None or not re.fullmatch(rb"[A-Za-z_]\w*", name):
                continue
            path = owner + b"." + name
            if value.type == "table_constructor":
                inner = self.gametimes_in(path, value)
                folder, enabled = folder or inner[0], enabled or inner[1]
            elif self.is_folder(value, name):
                folder = path
            elif value.type in ("true", "false") and b"gametime" in path.lower() and b"failure" not in name.lower():
                enabled = path
        return folder, enabled

    def is_folder(self, value: Node, name: bytes) -> bool:
        text = self.tree.constant(value)
        if text is None:
            return False
        is_named = b"gametime" in name.lower() and re.search(rb"dir|path|folder", name.lower()) is not None
        return is_named or re.search(rb"[/\\]gametimes[/\\]?$", text) is not None or text.strip(b"/\\") == b"gametimes"


def name_of(function: Function) -> str:
    return function.name.decode("latin-1") or "an unnamed function"


def watched_state(tree: LuaTree) -> tuple[list[bytes], list[bytes]]:
    """``(busy flags, marks)`` of a webhook as expressions that are valid at the end of the file.

    Marks are what a failed attempt must take back: score and last signature. Raises Refusal like the recipe.
    """
    return Targets(tree).watched()
