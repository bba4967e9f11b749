"""RET, CLOCK, FILE, RAISE and FRAME: what a callback does to its neighbours, to its times, and to itself."""

from __future__ import annotations

from collections.abc import Iterator

from tree_sitter import Node

from python_checks.lua.scan.codes import CODES
from python_checks.lua.scan.notes import Note, shown
from python_checks.lua.scan.presence import Presence
from python_checks.lua.scan.script import Script, Site
from python_checks.lua.scan.values import BOOLEAN, CLOCKS, NIL, OTHER, Values
from python_checks.lua.tree import Function

_COMPARING = ("<", ">", "<=", ">=", "==", "~=")
_RAISING_ON_NIL = ("+", "-", "*", "/", "%", "^", "//", "<", ">", "<=", ">=", "..", "&", "|", "~", "<<", ">>")


def return_notes(script: Script, values: Values, presences: dict[str, Presence]) -> Iterator[Note]:
    """RET001."""
    for function in script.callbacks.get("et_Obituary", []):
        for statement in script.returns.get(function, []):
            returned = values.returned_values(statement)
            if not returned:
                continue
            value = values.of(returned[0])
            kinds = [name for name, _ in value.kinds]
            if kinds and all(kind in (NIL, BOOLEAN, OTHER) for kind in kinds):
                continue
            if (
                returned[0].type == "function_call"
                and script.callee(returned[0]).startswith("et.")
                and not value.has("whole", "text")
            ):
                continue
            targets = tuple(t for t, p in presences.items() if not p.is_dead(statement))
            if targets:
                text = shown(script.tree.text(returned[0]))
                why = f"et_Obituary returns {text}: a number (also 0) or a text keeps the engine from calling the modules behind it"
                yield Note(statement, "RET001", targets, why)


def clock_notes(script: Script, values: Values, presences: dict[str, Presence]) -> Iterator[Note]:
    """CLOCK001."""
    for node in script.binaries:
        operator = script.operator(node)
        if operator != "-" and operator not in _COMPARING:
            continue
        sides = script.sides(node)
        if sides is None:
            continue
        left, right = (values.of(side).clocks for side in sides)
        if len(left) == 1 and len(right) == 1 and left != right:
            first, second = CLOCKS[next(iter(left))], CLOCKS[next(iter(right))]
            verb = "subtracts" if operator == "-" else "compares"
            targets = tuple(t for t, p in presences.items() if not p.is_dead(node))
            if targets:
                why = f"{shown(script.tree.text(node))} {verb} times of {first} and of {second}, whose origins differ"
                yield Note(node, "CLOCK001", targets, why)


def file_notes(script: Script, presences: dict[str, Presence]) -> Iterator[Note]:
    """FILE001 and FILE002."""
    opened = {
        call.id: call for call in script.calls if script.callee(call) in ("io.open", "io.popen", "et.trap_FS_FOpenFile")
    }
    targets = tuple(presences)
    stored: dict[int, list[Site]] = {}
    for sites in [*script.sites.values(), *script.place_sites.values()]:
        for site in sites:
            call = site.call if site.call is not None else _inner_call(site.value)
            if call is not None and call.id in opened:
                stored.setdefault(call.id, []).append(site)
    for call in opened.values():
        is_engine = script.callee(call) == "et.trap_FS_FOpenFile"
        code = "FILE002" if is_engine else "FILE001"
        name = script.callee(call)
        if call.id in stored:
            if not any(_is_checked(script, site, is_engine) for site in stored[call.id]) and _is_used(
                script, stored[call.id]
            ):
                names = shown(script.tree.text(stored[call.id][0].node))
                yield Note(call, code, targets, f"{names} is used without a test whether {name} opened the file")
        elif _is_used_at_once(script, call):
            yield Note(call, code, targets, f"the result of {name} is used at once, whether the file was opened or not")
    for call in script.calls:
        if script.callee(call) == "io.lines" and script.tree.arguments(call) and script.protection(call) is None:
            yield Note(
                call,
                "FILE001",
                targets,
                "io.lines raises when the file cannot be opened",
                "use io.open and test the handle",
            )


def _inner_call(value: Node | None) -> Node | None:
    while value is not None and value.type == "parenthesized_expression":
        value = next((c for c in value.children if c.is_named), None)
    return value if value is not None and value.type == "function_call" else None


def _is_used_at_once(script: Script, call: Node) -> bool:
    parent = script.tree.parent(call)
    while parent is not None and parent.type == "parenthesized_expression":
        call, parent = parent, script.tree.parent(parent)
    if parent is None:
        return False
    if parent.type.endswith("index_expression"):
        return parent.child_by_field_name("table") == call
    if parent.type == "arguments":
        outer = script.tree.parent(parent)
        return outer is not None and script.callee(outer).startswith(("et.trap_FS_", "io."))
    return False


def _reads(script: Script, site: Site) -> Iterator[Node]:
    """Where the place that a site writes is read behind it, in the same function (or anywhere for what outlives it)."""
    key = script.key(site.node)
    function = script.tree.function_of(site.node)
    binding = script.tree.binding(site.node) if site.node.type == "identifier" else None
    is_local = binding is not None and binding.function is function
    for node in [*script.tree.names, *script.indexes]:
        if node.type != site.node.type or node.id == site.node.id or key is None or script.key(node) != key:
            continue
        if not is_local or node.start_byte >= site.statement.end_byte:
            yield node


def _is_used(script: Script, sites: list[Site]) -> bool:
    """True when the handle is used here: a method on it, or handed to the engine's file functions."""
    for site in sites:
        for node in _reads(script, site):
            parent = script.tree.parent(node)
            if (
                parent is not None
                and parent.type.endswith("index_expression")
                and parent.child_by_field_name("table") == node
            ):
                return True
            call = script.tree.parent(parent) if parent is not None and parent.type == "arguments" else None
            if call is not None and script.callee(call).startswith(("et.trap_FS_", "io.")):
                return True
    return False


def _is_checked(script: Script, site: Site, is_engine: bool) -> bool:
    for node in _reads(script, site):
        if script.is_test(node):
            return True
        parent = script.tree.parent(node)
        if parent is None:
            continue
        if parent.type == "binary_expression" and script.operator(parent) in (*_COMPARING, "and", "or"):
            return True
        call = script.tree.parent(parent) if parent.type == "arguments" else None
        if call is None:
            continue
        if script.callee(call) in ("assert", "io.type", "type"):
            return True
        if is_engine and script.callee(call) == "et.trap_FS_Write" and _is_count_checked(script, call):
            return True
        # A function of the file that gets the handle may be the one that tests it.
        if any(_tests_parameter(script, f, script.arguments_for(call).index(node)) for f in script.callees(call)):
            return True
    return False


def _tests_parameter(script: Script, function: Function, index: int) -> bool:
    parameters = script.parameters(function)
    if index >= len(parameters):
        return False
    return any(
        script.tree.binding(node) is parameters[index] and script.is_test(node) for node in script.tree.names
    )  # fmt: skip


def _is_count_checked(script: Script, call: Node) -> bool:
    parent = script.tree.parent(call)
    return parent is not None and parent.type in ("expression_list", "binary_expression")


def nil_notes(script: Script, values: Values, presences: dict[str, Presence]) -> Iterator[Note]:
    """RAISE001."""
    for node in script.binaries:
        operator = script.operator(node)
        if operator not in _RAISING_ON_NIL:
            continue
        for side in script.sides(node) or ():
            reason = values.of(side).why(NIL)
            if reason is None:
                continue
            targets = tuple(t for t, p in presences.items() if not p.is_dead(node))
            if targets:
                yield Note(
                    node,
                    "RAISE001",
                    targets,
                    f"{shown(script.tree.text(side))} in {shown(script.tree.text(node))}: {reason}",
                )
                break


def frame_notes(script: Script, notes: list[Note]) -> Iterator[Note]:
    """FRAME001: one for et_RunFrame and each target, naming what it reaches unprotected."""
    frames = script.callbacks.get("et_RunFrame", [])
    if not frames:
        return
    causes: dict[str, list[Note]] = {}
    for note in notes:
        unit = script.graph.unit_of(note.node)
        if CODES[note.code].raises and unit in script.each_frame and script.protection(note.node) is None:
            for target in note.targets:
                causes.setdefault(target, []).append(note)
    groups: dict[tuple[Note, ...], list[str]] = {}
    for target, found in causes.items():
        groups.setdefault(tuple(found), []).append(target)
    for reached, targets in groups.items():
        places = list(
            dict.fromkeys((script.tree.line(n.node), n.code) for n in sorted(reached, key=lambda n: n.node.start_byte))
        )
        listed = ", ".join(f"{code} in line {line}" for line, code in places[:6])
        more = f" and {len(places) - 6} more" if len(places) > 6 else ""
        why = f"et_RunFrame reaches what can raise, with no pcall between them: {listed}{more}"
        yield Note(frames[0].node, "FRAME001", tuple(targets), why)
