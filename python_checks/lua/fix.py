"""Codemods for Lua files: ``fix`` applies recipes by name and holds the result against both interpreters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from python_checks.lua.checked_files import plan_files
from python_checks.lua.deadtime import plan_deadtime
from python_checks.lua.edits import unified_diff
from python_checks.lua.integers import plan_integers
from python_checks.lua.interpreters import compile_errors
from python_checks.lua.maxclients import plan_maxclients
from python_checks.lua.pause import plan_pause
from python_checks.lua.portable import plan_portable
from python_checks.lua.recipe import CannotJudge, FixResult, Recipe, Refusal
from python_checks.lua.reinforcements import plan_reinforcements
from python_checks.lua.timetracking import plan_timetracking
from python_checks.lua.tree import LuaTree
from python_checks.lua.webhook import plan_webhook


def registry() -> Mapping[str, Recipe]:
    """All recipes by name."""
    return {
        "webhook": plan_webhook,
        "portable": plan_portable,
        "timetracking": plan_timetracking,
        "pause": plan_pause,
        "maxclients": plan_maxclients,
        "deadtime": plan_deadtime,
        "reinforcements": plan_reinforcements,
        "integers": plan_integers,
        "files": plan_files,
    }


def fix(source: bytes, recipes: Sequence[str], name: str = "file.lua") -> FixResult:
    """Apply recipes in the order given.

    ``source`` is the whole file, any encoding, any line endings; ``name`` is only shown in the diff. The result compiles wherever
    the input compiled, and applying the same recipes to it changes nothing.

    Raises CannotJudge when neither interpreter loads the input or its syntax tree is broken, KeyError for an unknown recipe.
    """
    known = registry()
    steps = [(recipe, known[recipe]) for recipe in recipes]
    before = compile_errors(source)
    if all(before.values()):
        raise CannotJudge("neither interpreter loads the file: " + "; ".join(f"{k}: {v}" for k, v in before.items()))
    output, actions = source, list[str]()
    try:
        for recipe, step in steps:
            output, done = _apply(output, recipe, step)
            actions += done
            again, _ = _apply(output, recipe, step)
            if again != output:
                raise Refusal(f"{recipe}: looked for a second run without changes, found changes; nothing was written")
        after = compile_errors(output)
        worse = {k: v for k, v in after.items() if v and not before[k]}
        if worse:
            raise Refusal(
                "the edited file would not load any more ("
                + "; ".join(f"{k}: {v}" for k, v in worse.items())
                + "); nothing was changed"
            )
    except Refusal as refusal:
        return FixResult(False, source, "", (), str(refusal))
    return FixResult(output != source, output, unified_diff(source, output, name), tuple(actions), "")


def _apply(source: bytes, recipe: str, step: Recipe) -> tuple[bytes, list[str]]:
    tree = LuaTree(source)
    if tree.has_errors:
        raise CannotJudge(f"{recipe}: the syntax tree of the file has errors near line {_error_line(tree)}")
    plan = step(tree)
    output = plan.edits.apply(source)
    return output, plan.actions if output != source else []


def _error_line(tree: LuaTree) -> int:
    broken = next((n for n in tree.descendants(tree.root) if n.is_error or n.is_missing), tree.root)
    return tree.line(broken)
