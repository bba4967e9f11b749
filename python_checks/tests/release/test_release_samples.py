"""What phase 1's steps record, and which file counts as the one that runs."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import release_samples as samples

NAME = "luascripts/hook.lua"
BASE: dict[str, Any] = {"name": NAME, "path": "/base/hook.lua", "shadowed": True, "container": None}
HOME: dict[str, Any] = {"name": NAME, "path": "/home/hook.lua", "shadowed": False, "container": None}


def test_the_copy_that_shadows_is_the_one_that_runs() -> None:
    row = samples.effective_file([{"name": "other.lua"}, BASE, HOME], NAME)
    assert row["path"] == "/home/hook.lua" and row["hides"] == ["/base/hook.lua"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ([], "none"),
        ([BASE], "/base/hook.lua"),
        ([HOME, {**HOME, "path": "/third"}], "/home/hook.lua, /third"),
        ([{**HOME, "container": "/home/z.pk3"}], "archive"),
    ],
)
def test_no_single_plain_file_is_an_error(files: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(samples.NoFile, match=words):
        samples.effective_file(files, NAME)


CANDIDATE: dict[str, Any] = {
    "file": NAME,
    "source": {"kind": "running", "sha256": "s"},
    "candidate": {"path": "/secret/place", "sha256": "c", "sha1": "d", "size": 3},
    "edited": True,
    "edits": ["1.1 made whole", "1.2 protected", "cut a list", "1.3 said"],
    "unified_diff": "-a\n+b\n",
    "rehearsal": {"candidate": {"passed": True}, "unpatched": {"passed": False}},
}


def test_each_edit_step_gets_its_own_sentences_and_its_siblings_go_to_the_first() -> None:
    found = {step: samples.edit_sample(CANDIDATE, step) for step in samples.EDIT_STEPS}
    assert found["1.1"]["edits"] == ["1.1 made whole", "cut a list"] and found["1.1"]["unified_diff"]
    assert found["1.2"]["edits"] == ["1.2 protected"]
    assert found["1.4"]["edits"] == [] and found["1.4"]["already_there"] is True
    assert "path" not in found["1.1"]["candidate"]


def test_a_refusal_and_a_build_that_never_was_are_recorded_as_failures() -> None:
    assert samples.edit_sample({**CANDIDATE, "failed": True, "msg": "refused"}, "1.1")["failed"] is True
    for function in (lambda c: samples.edit_sample(c, "1.1"), samples.rehearsal_sample):
        assert function({})["failed"] is True
        assert function({"failed": True, "msg": "no"})["msg"] == "no"


def test_the_rehearsal_counts_only_if_the_source_failed_it() -> None:
    good = samples.rehearsal_sample(CANDIDATE)
    assert (good["passed"], good["unpatched_failed"]) == (True, True)
    kept = {**CANDIDATE, "rehearsal": {"candidate": {"passed": True}, "unpatched": None}}
    assert samples.rehearsal_sample(kept)["unpatched_failed"] is None
    easy = {**CANDIDATE, "rehearsal": {"candidate": {"passed": True}, "unpatched": {"passed": True}}}
    assert samples.rehearsal_sample(easy)["unpatched_failed"] is False


SEEN: dict[str, Any] = {
    "after": {"target": "/home/hook.lua", "sha256": "c", "sha1": "d", "wish": "deployed"},
    "drift": "",
    "predicted": False,
}
LOAD: dict[str, Any] = {"state": "pending", "reason": "no load", "next": "play", "changed": False}


def test_deployed_and_waiting_is_told_with_what_to_do() -> None:
    found = samples.load_sample(SEEN, LOAD)
    assert found["deployed"] is True and found["guidance"].endswith("; play")
    assert found["load"] == {"state": "pending", "reason": "no load", "next": "play"}


@pytest.mark.parametrize(
    "seen",
    [
        {**SEEN, "drift": "edited by hand"},
        {**SEEN, "after": {**SEEN["after"], "wish": "restored"}},
        {**SEEN, "after": {**SEEN["after"], "wish": ""}},
        {**SEEN, "after": {**SEEN["after"], "sha256": ""}},
    ],
)
def test_drift_a_revert_and_nothing_recorded_are_not_deployed(seen: dict[str, Any]) -> None:
    found = samples.load_sample(seen, LOAD)
    assert found["deployed"] is False
    assert ("by hand" if seen["drift"] else "phase1.yml") in found["guidance"]


def test_a_prediction_says_so() -> None:
    found = samples.load_sample({**SEEN, "predicted": True}, LOAD)
    assert found["predicted"] is True and "would hold" in found["guidance"]


def test_what_could_not_be_read_is_a_failure() -> None:
    assert samples.load_sample({"failed": True, "msg": "gone"}, LOAD) == {"failed": True, "msg": "gone"}
    assert samples.load_sample(SEEN, {"failed": True})["failed"] is True
    assert samples.load_sample({"msg": "skipped"}, LOAD)["failed"] is True
