"""The documents of all modules: they parse, name the options that are taken with their types and defaults, and their examples use those."""

from __future__ import annotations

import importlib
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from python_checks.gates.action import LedgerAction

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = "ansible_collections.slomix.timetracking.plugins"
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
# What a module needs to get as far as the refusal of an unknown option.
NEEDED: dict[str, dict[str, Any]] = {
    "env_flag": {"value": "true"},
    "parser_probe_info": {"python": "x"},
    "shown_values_info": {"rows": []},
    "site_lock": {"dir": "x", "mark": {}},
}


@pytest.fixture(scope="module")
def documents() -> dict[str, Any]:
    """As Ansible shows them, fragments joined."""
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible-doc"),
            "-t",
            "module",
            "-j",
            *(f"slomix.timetracking.{name}" for name in MODULES),
        ],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return {name: found[f"slomix.timetracking.{name}"] for name in MODULES}


def specification(name: str) -> dict[str, Any]:
    """The options of a module that runs on the controller alone."""
    plugin = importlib.import_module(f"{PACKAGE}.action.{name}")
    if issubclass(plugin.ActionModule, LedgerAction):
        return {**plugin.ActionModule.SPEC, "evidence_dir": {"type": "path"}}
    found: dict[str, Any] = plugin._SPEC
    return found


def action_source(name: str) -> str:
    """The action plugin's text, with those of the classes it is made from; empty where there is none."""
    if not (ROOT / f"plugins/action/{name}.py").exists():
        return ""
    kinds = importlib.import_module(f"{PACKAGE}.action.{name}").ActionModule.__mro__
    return "".join(inspect.getsource(kind) for kind in kinds if kind.__module__.startswith((PACKAGE, "python_checks.")))


@pytest.mark.parametrize("name", MODULES)
def test_the_documents_are_those_of_the_module(
    documents: dict[str, Any], run_module: Callable[..., dict[str, Any]], name: str
) -> None:
    document = documents[name]
    options = document["doc"].get("options", {})
    assert document["doc"]["module"] == name and document["doc"]["attributes"]["check_mode"]["support"] == "full"
    if re.search(r"^def main\b", (ROOT / f"plugins/modules/{name}.py").read_text(), re.MULTILINE):
        required = {key: (one.get("choices") or ["x"])[0] for key, one in options.items() if one.get("required")}
        refusal = run_module(name, {**required, **NEEDED.get(name, {}), "no_such_option": 1})
        supported = re.search(r"Supported parameters include: (.*?)\.?$", refusal["msg"])
        assert supported, refusal["msg"]
        known = set(re.sub(r" \([^)]*\)", "", supported[1]).split(", "))
        # What the half on the controller takes out of the options, before the module sees them, is read there by name.
        taken_out = {key for key in set(options) - known if f'"{key}"' in action_source(name)}
        assert known | taken_out == set(options)
    else:
        taken = specification(name)
        assert set(taken) == set(options)
        for key, one in taken.items():
            said = options[key]
            assert said["type"] == one["type"] and bool(said.get("required")) == bool(one.get("required")), key
            assert said.get("default") == one.get("default") and said.get("choices") == one.get("choices"), key
    used = {
        key for task in yaml.safe_load(document["examples"]) for key in (task.get(f"slomix.timetracking.{name}") or {})
    }
    assert used <= set(options)
    assert all(one["description"] for one in (document["return"] or {}).values())
