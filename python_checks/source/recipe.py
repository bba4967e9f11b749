"""``fix`` for Python files: recipes by name, each applied, tried again for idempotence, and proven on its own result."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from python_checks.lua.recipe import FixResult
from python_checks.source.tree import CannotJudge, Plan, Refusal, SourceTree, tree_of, unified_diff


class Unproven(Exception):
    """A recipe's result could neither be proven nor refuted here; the text says why."""


@dataclass(frozen=True)
class Recipe:
    """``apply`` finds the targets and gives the patched file and what was done. ``prove(before, after)`` raises Refusal when the
    patched file is not right and Unproven when it cannot tell, and says how it was proven."""

    apply: Callable[[SourceTree], tuple[bytes, list[str]]]
    prove: Callable[[bytes, bytes], list[str]]
    about: re.Pattern[str] | None = None
    """Which definitions of a long file it looks at; None for all."""


def registry() -> Mapping[str, Recipe]:
    """All recipes by name."""
    from python_checks.source.headshots import ABOUT as BOARDS
    from python_checks.source.headshots import plan_headshots, prove_headshots
    from python_checks.source.parser_field9 import plan_parser_field9, prove_parser_field9
    from python_checks.source.timing_new_only import plan_timing_new_only, prove_timing_new_only
    from python_checks.source.web_formulas import ABOUT, apply_web_formulas, prove_web_formulas

    return {
        "headshot-leaderboard": Recipe(_planned(plan_headshots), prove_headshots, BOARDS),
        "parser-field9": Recipe(_planned(plan_parser_field9), prove_parser_field9),
        "timing-new-only": Recipe(_planned(plan_timing_new_only), prove_timing_new_only),
        "web-formulas": Recipe(apply_web_formulas, prove_web_formulas, ABOUT),
    }


def _planned(plan: Callable[[SourceTree], Plan]) -> Callable[[SourceTree], tuple[bytes, list[str]]]:
    def apply(tree: SourceTree) -> tuple[bytes, list[str]]:
        planned = plan(tree)
        return tree.apply(planned.edits), planned.actions

    return apply


def fix(source: bytes, recipes: Sequence[str], name: str = "file.py", *, needs_proof: bool = False) -> FixResult:
    """Apply recipes in the order given; the result is proven before it is given away.

    ``source`` is the whole file in any encoding that Python knows. Raises CannotJudge when it is no Python, KeyError for an
    unknown recipe. What cannot be proven here (a file for a newer Python) is given away with an action that says so, since the
    roles try a candidate on the site's own Python before they deploy it; with ``needs_proof`` it raises CannotJudge.
    """
    known = registry()
    steps = [(recipe, known[recipe]) for recipe in recipes]
    output, actions = source, list[str]()
    try:
        for recipe, step in steps:
            before = output
            output, done = step.apply(tree_of(before, step.about))
            if output == before:
                continue
            try:
                proof = step.prove(before, output)
            except Unproven as unproven:
                if needs_proof:
                    raise CannotJudge(f"{recipe}: {unproven}") from None
                proof = [str(unproven)]
            if step.apply(tree_of(output, step.about))[0] != output:
                raise Refusal(f"{recipe}: looked for a second run without changes, found changes")
            actions += [*done, *proof]
    except Refusal as refusal:
        return FixResult(False, source, "", (), f"{refusal}; nothing was changed")
    return FixResult(output != source, output, unified_diff(source, output, name), tuple(actions), "")
