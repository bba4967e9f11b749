"""Merge, keep and find again through Ansible on this machine, and the samples of phases 2 and 4."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.slomix.timetracking.plugins.action.lua_candidate import unclean, why_not
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger, lua_files, writer_samples

FILE = "c0rnp0rn7.lua"
LUA = "molecule/world/et_server/lua"
Play = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def play(tmp_path: Path, root: Path) -> Play:
    """Run tasks on one local host; the registered results, those of a failed one too."""
    (tmp_path / FILE).write_bytes((root / LUA / FILE).read_bytes())

    def run(*tasks: dict[str, Any]) -> list[dict[str, Any]]:
        named = [{**task, "register": f"r{at}", "ignore_errors": True} for at, task in enumerate(tasks)]
        kept = "{{ [" + ", ".join(f"r{at}" for at in range(len(tasks))) + "] | to_json }}"
        named.append({"ansible.builtin.copy": {"content": kept, "dest": str(tmp_path / "results.json")}})
        (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "game", "gather_facts": False, "tasks": named}]))
        plan = {"rollout_evidence_dir": str(tmp_path / "evidence")}
        host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **plan}
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"game": host}}}))
        done = subprocess.run(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                *("-i", str(tmp_path / "hosts.yml"), str(tmp_path / "play.yml")),
            ],
            capture_output=True,
            text=True,
            cwd=root,
            env={**os.environ, "ANSIBLE_CONFIG": str(root / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
        )
        assert (tmp_path / "results.json").exists(), done.stdout + done.stderr
        results: list[dict[str, Any]] = json.loads((tmp_path / "results.json").read_text())
        return results

    return run


@pytest.fixture
def build(tmp_path: Path) -> dict[str, Any]:
    return {
        "slomix.timetracking.lua_candidate": {
            "file": FILE,
            "running": str(tmp_path / FILE),
            "merge": True,
            "matches": ["completed"],
            "header_fields": 9,
            "scan": True,
            "specimen": True,
            "build_dir": str(tmp_path / "build"),
        }
    }


@pytest.fixture
def find(tmp_path: Path) -> dict[str, Any]:
    options = {"step": "2.1", "digest": "writer_candidate", "build_dir": str(tmp_path / "build"), "require": True}
    return {"slomix.timetracking.lua_proven": options}


def test_merged_kept_and_found_by_its_digest(
    play: Play, build: dict[str, Any], find: dict[str, Any], tmp_path: Path
) -> None:
    built, lost = play(build, find)
    assert built["edited"] and built["scan"]["clean"] and built["rehearsal"]["candidate"]["passed"]
    assert built["rehearsal"]["unpatched"]["passed"] is False
    assert writer_samples.writer_faults(built) == []
    assert {(row["header"]["fields"], row["header"]["playtime_ms"]) for row in built["specimen"]["files"]} == {
        (9, 442450),
        (9, 400500),
    }
    assert lost["failed"] and "run ansible-playbook playbooks/phase2.yml" in lost["msg"]

    step = {"kind": "step", "check": False, "phase": 2, "step": "2.1", "leg": "action", "name": None, "host": "game"}
    digests = {"writer_candidate": built["candidate"]["sha256"]}
    sample = writer_samples.merge_sample(built)
    assert "path" not in sample["candidate"]
    ledger.append(str(tmp_path / "evidence"), {**step, "digests": digests, "result": sample})
    ledger.append(
        str(tmp_path / "evidence"), {**step, "check": True, "digests": {"writer_candidate": "00"}, "result": sample}
    )
    path = Path(built["candidate"]["path"])
    look = copy.deepcopy(build)
    look["slomix.timetracking.lua_candidate"].update(merge=False, source=str(path))
    found, seen = play(find, look)
    assert found["found"] and found["candidate"]["candidate"]["path"] == str(path)
    assert seen["candidate"]["sha256"] == built["candidate"]["sha256"] and seen["edited"] is False
    provenance = writer_samples.writer_sample(seen, "2.1", found)
    assert provenance["kept"] and provenance["current"]
    assert not writer_samples.writer_sample({**seen, "running": {"sha256": "ff"}}, "2.1", found)["current"]

    (tmp_path / FILE).write_bytes(path.read_bytes())
    assert play(build)[0]["edited"] is False, "a merged writer stays what it is"
    path.write_bytes(path.read_bytes() + b"-- by hand\n")
    changed = play(find)[0]
    assert changed["failed"] and "somebody changed the candidate" in changed["msg"]


def test_a_second_file_is_named_with_its_digest_and_must_keep_time(
    play: Play, build: dict[str, Any], root: Path, tmp_path: Path
) -> None:
    other = root / LUA / "c0rnp0rn-testluawithtimetracking.lua"
    options = build["slomix.timetracking.lua_candidate"]
    useless = copy.deepcopy(build)
    useless["slomix.timetracking.lua_candidate"]["timetracking"] = str(root / LUA / FILE)
    options["timetracking"] = str(other)
    built, refused = play(build, useless)
    digest = hashlib.sha256(other.read_bytes()).hexdigest()
    assert built["timetracking"] == {"name": other.name, "sha256": digest}
    assert writer_samples.writer_faults(built) == []
    assert digest in Path(built["candidate"]["path"]).read_text("latin-1")[:2000]
    assert len(built["merge"]["rows"]) >= 10 and all(row["result"] for row in built["merge"]["rows"])
    assert refused["failed"] and "looked for a writer with nine header fields" in refused["msg"]


def test_a_merge_may_find_a_source_that_is_good_already() -> None:
    good = {"passed": True, "judged": 4, "findings": [], "unjudged": []}
    both = {"candidate": good, "unpatched": good}
    assert "proves nothing" in why_not(both)
    assert why_not(both, source_must_fail=False) == ""
    assert why_not({**both, "candidate": {**good, "passed": False}}, source_must_fail=False) != ""


def test_a_file_that_is_no_writer_is_refused_and_nothing_is_kept(
    play: Play, build: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text("local x = 1\n")
    refused = play(build)[0]
    assert refused["failed"] and "refused" in refused["msg"]
    assert not (tmp_path / "build/candidates").exists()


SEEN: dict[str, Any] = {
    "candidate": {"sha256": "aa", "path": "/x"},
    "scan": {"clean": True, "loads": {}, "findings": [], "not_judged": ""},
    "rehearsal": {"candidate": {"passed": True, "findings": []}},
    "specimen": {
        "problem": "",
        "files": [
            {
                "interpreter": "lua54",
                "name": "a",
                "round": 1,
                "true_ms": 9000,
                "header": {"fields": 9, "playtime_ms": 9000},
            }
        ],
    },
}


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (("scan", "clean"), False, "the scan is not clean"),
        (("scan",), None, "the scan is not clean: not scanned"),
        (("rehearsal", "candidate", "passed"), False, "the rehearsal did not pass"),
        (("specimen", "files"), [], "no stats file was written"),
        (("specimen", "files", 0, "header", "fields"), 8, "8 fields"),
        (("specimen", "files", 0, "header", "playtime_ms"), None, "field 9 None"),
        (("specimen", "files", 0, "header", "playtime_ms"), 9051, "9051 ms"),
        (("specimen", "files", 0, "header", "playtime_ms"), 9, "its header is wrong"),
        (("candidate",), None, ""),
        (("failed",), True, "was not looked at"),
    ],
)
def test_every_fault_of_a_candidate_is_named(place: tuple[Any, ...], value: Any, words: str) -> None:
    assert writer_samples.writer_faults(SEEN) == []
    seen: Any = copy.deepcopy(SEEN)
    spot = seen
    for step in place[:-1]:
        spot = spot[step]
    spot[place[-1]] = value
    if words:
        assert words in " ".join(writer_samples.writer_faults(seen))


def test_a_scan_with_a_finding_stops_the_candidate() -> None:
    finding = {"line": 3, "code": "LJIT002", "why": "a shift"}
    assert unclean(None) == "" == unclean({"clean": True})
    assert "line 3 LJIT002: a shift" in unclean({"clean": False, "loads": {}, "findings": [finding], "not_judged": ""})


@pytest.mark.parametrize(
    ("probe", "forced", "expected"),
    [
        ({"reads": "milliseconds", "right": True}, False, {"right": True, "forced": False}),
        ({"reads": "milliseconds", "right": True}, True, {"right": True, "forced": False}),
        ({"reads": "seconds", "right": False}, True, {"right": False, "forced": True}),
        ({"reads": "milliseconds"}, False, {"right": False}),
        ({"msg": "no interpreter"}, True, {"failed": True, "forced": True}),
    ],
)
def test_a_force_is_recorded_where_it_overrode_something(
    probe: dict[str, Any], forced: bool, expected: dict[str, Any]
) -> None:
    sample = writer_samples.parser_sample(probe, forced)
    assert {key: sample[key] for key in expected} == expected


def test_a_second_writer_is_seen(root: Path) -> None:
    texts = {path.name: path.read_text("latin-1") for path in (root / LUA).rglob("*.lua")}
    writers = {name for name, text in texts.items() if lua_files.declared_writer(text)}
    assert writers == {FILE, "c0rnp0rn-testluawithtimetracking.lua"}
    rows = [
        {"name": name, "in_lua_modules": name != "c0rnp0rn-testluawithtimetracking.lua", "shadowed": False,
         "writes_stats": name in writers}
        for name in texts
    ]  # fmt: skip
    inventory: dict[str, Any] = {"files": rows, "lua_modules": {"modules": list(texts)}}
    assert writer_samples.writers_sample(inventory, FILE)["writers"] == [FILE]
    for row in rows:
        row["in_lua_modules"] = True
    found = writer_samples.writers_sample(inventory, FILE)
    assert found["known"] and len(found["writers"]) == 2
    assert writer_samples.writers_sample({"files": rows, "lua_modules": {"modules": None}}, FILE)["known"] is False
    assert writer_samples.writers_sample({"msg": "no route"}, FILE)["failed"]
