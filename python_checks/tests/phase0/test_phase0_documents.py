"""The modules' documents: they parse, and they name the options that the module takes, no more and no less."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

MODULES = ["env_flag_info", "lua_inventory_info", "pg_read_info", "process_singleton", "service_state"]


@pytest.mark.parametrize("name", MODULES)
def test_the_documents_parse_and_match_the_options(
    run_module: Callable[..., dict[str, Any]], root: Path, name: str
) -> None:
    tree = ast.parse((root / "plugins" / "modules" / f"{name}.py").read_text())
    texts = {
        node.targets[0].id: yaml.safe_load(node.value.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        if node.targets[0].id in ("DOCUMENTATION", "EXAMPLES", "RETURN")
    }
    document = texts["DOCUMENTATION"]
    assert document["module"] == name and document["attributes"]["check_mode"]["support"] == "full"
    required = {option: "x" for option, entry in document["options"].items() if entry.get("required")}
    refusal = run_module(name, {**required, "no_such_option": 1})
    supported = re.search(r"Supported parameters include: (.*?)\.?$", refusal["msg"])
    assert supported, refusal["msg"]
    assert set(supported[1].split(", ")) == set(document["options"])
    used = {option for task in texts["EXAMPLES"] for option in task[f"slomix.timetracking.{name}"]}
    assert used <= set(document["options"])
    assert all(entry["description"] for entry in texts["RETURN"].values())
