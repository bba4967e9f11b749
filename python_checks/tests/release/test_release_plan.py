"""The release plan as laws: any wish is reached, a second plan is empty, an interruption anywhere changes neither."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import release
from hypothesis import given
from hypothesis import strategies as st

TARGET = "/srv/legacy/luascripts/webhook.lua"


def file_of(text: str, mode: int = 0o644) -> release.FileState:
    data = text.encode()
    return release.FileState(hashlib.sha256(data).hexdigest(), hashlib.sha1(data).hexdigest(), len(data), mode, 7, 8)


OLD, NEW, OTHER = file_of("old"), file_of("new"), file_of("other")


def deploy(world: release.World, file: release.FileState, keep: int = 10) -> release.Plan:
    return release.plan_deploy(world, file, "", (), keep)


def after(world: release.World, file: release.FileState) -> release.World:
    return deploy(world, file).after


def test_first_deploy_adopts_the_bytes_it_replaces_and_names_them_original() -> None:
    done = after(release.World(TARGET, OLD), NEW)
    assert done.journal == release.Journal(TARGET, OLD.sha256, NEW.sha256, release.DEPLOYED, OLD.sha256)
    assert set(done.releases) == {OLD.sha256, NEW.sha256}
    assert done.releases[OLD.sha256].origin == release.ADOPTED
    assert done.on_disk == NEW and not done.litter


def test_nothing_is_switched_before_the_old_bytes_are_safe() -> None:
    steps = [type(step).__name__ for step in deploy(release.World(TARGET, OLD), NEW).steps]
    assert steps == ["StoreRelease", "StoreRelease", "WriteJournal", "Stage", "Switch", "WriteJournal"]


def test_a_file_that_is_right_already_is_adopted_once_and_then_left_alone() -> None:
    first = deploy(release.World(TARGET, NEW), NEW)
    assert not first.replaces_target and first.actions
    assert deploy(first.after, NEW).steps == ()


def test_owner_and_mode_are_those_of_the_file_replaced() -> None:
    odd = replace(OLD, mode=0o600, uid=3, gid=4)
    assert after(release.World(TARGET, odd), replace(NEW, mode=0, uid=0, gid=0)).on_disk == replace(
        NEW, mode=0o600, uid=3, gid=4
    )


def test_restore_brings_bytes_mode_and_owner_of_the_original_back() -> None:
    odd = replace(OLD, mode=0o600, uid=3, gid=4)
    deployed = after(release.World(TARGET, odd), NEW)
    assert deployed.on_disk is not None
    chmodded = replace(deployed, on_disk=replace(deployed.on_disk, mode=0o755))
    plan = release.plan_restore(chmodded, "original", 10)
    assert plan.after.on_disk == odd
    assert plan.after.journal is not None and plan.after.journal.current == OLD.sha256
    assert release.plan_restore(plan.after, "original", 10).steps == ()


def test_restore_repairs_a_mode_changed_by_hand_even_if_the_bytes_are_right() -> None:
    deployed = after(release.World(TARGET, OLD), NEW)
    restored = release.plan_restore(deployed, "original", 10).after
    assert (
        release.plan_restore(replace(restored, on_disk=replace(OLD, mode=0o777)), "original", 10).after.on_disk == OLD
    )


@pytest.mark.parametrize("wish", ["deploy", "restore"])
def test_a_hand_edit_is_refused_with_both_digests(wish: str) -> None:
    edited = replace(after(release.World(TARGET, OLD), NEW), on_disk=OTHER)
    with pytest.raises(release.Refused) as caught:
        deploy(edited, OLD) if wish == "deploy" else release.plan_restore(edited, "original", 10)
    assert OTHER.sha256 in str(caught.value) and NEW.sha256 in str(caught.value)


def test_bytes_put_there_by_hand_that_are_the_wished_ones_are_recorded() -> None:
    edited = replace(after(release.World(TARGET, OLD), NEW), on_disk=OTHER)
    plan = deploy(edited, OTHER)
    assert not plan.replaces_target
    assert plan.after.journal is not None and plan.after.journal.current == OTHER.sha256


def test_a_hand_edit_is_not_adopted_by_building_on_it() -> None:
    """The candidate made from an edited file is that very file; nobody decided that."""
    edited = replace(after(release.World(TARGET, OLD), NEW), on_disk=OTHER)
    with pytest.raises(release.Refused, match="by hand"):
        release.plan_deploy(edited, OTHER, OTHER.sha256, (), 10, from_target=True)
    clean = release.plan_deploy(release.World(TARGET, OTHER), OTHER, OTHER.sha256, (), 10, from_target=True)
    assert clean.after.journal is not None and clean.after.journal.original == OTHER.sha256


@pytest.mark.parametrize(
    ("world", "words"),
    [
        (release.World(TARGET, None), "no regular file"),
        (release.World(TARGET, OLD, obstacle="read-only folder"), "read-only"),
        (release.World(TARGET, OLD, release.Journal("/elsewhere", OLD.sha256, OLD.sha256)), "/elsewhere"),
    ],
)
def test_what_cannot_be_done_safely_is_refused(world: release.World, words: str) -> None:
    with pytest.raises(release.Refused, match=words):
        deploy(world, NEW)


def test_an_obstacle_does_not_matter_when_nothing_is_replaced() -> None:
    world = replace(after(release.World(TARGET, OLD), NEW), obstacle="read-only folder")
    assert deploy(world, NEW).steps == ()


@pytest.mark.parametrize("size", [0, release.ENGINE_FILE_LIMIT_BYTES + 1])
def test_a_file_the_engine_would_not_load_is_refused(size: int) -> None:
    with pytest.raises(release.Refused, match="bytes"):
        deploy(release.World(TARGET, OLD), replace(NEW, size=size))


def test_restoring_without_a_record_or_from_damaged_bytes_is_refused() -> None:
    with pytest.raises(release.Refused, match="nothing is recorded"):
        release.plan_restore(release.World(TARGET, OLD), "original", 10)
    deployed = after(release.World(TARGET, OLD), NEW)
    kept = {name: kept for name, kept in deployed.releases.items() if name != OLD.sha256}
    with pytest.raises(release.Refused, match="no longer match"):
        release.plan_restore(replace(deployed, releases=kept, damaged=(OLD.sha256,)), "original", 10)
    with pytest.raises(release.Refused, match="not stored"):
        release.plan_restore(deployed, "0" * 64, 10)


def test_restoring_what_was_never_deployed_records_what_is_there_as_the_original() -> None:
    """Killed before the journal: the way back must not need a deployment first."""
    world = release.World(TARGET, OLD, litter=("stage", ".new-x"))
    plan = release.plan_restore(world, "original", 10, missing_ok=True)
    assert not plan.replaces_target and plan.after.on_disk == OLD and plan.after.litter == ()
    assert plan.after.journal == release.Journal(TARGET, OLD.sha256, OLD.sha256, wish=release.RESTORED)
    assert release.plan_restore(plan.after, "original", 10).steps == ()
    with pytest.raises(release.Refused, match="nothing is recorded"):
        release.plan_restore(world, NEW.sha256, 10, missing_ok=True)


def test_retention_never_takes_original_current_or_previous_and_goes_by_recorded_time() -> None:
    world = release.World(TARGET, OLD)
    for number in range(6):
        world = after(world, file_of(f"v{number}"))
        stamped = {
            name: replace(kept, stored_at_unix=kept.stored_at_unix or number + 1)
            for name, kept in world.releases.items()
        }
        world = replace(world, releases=stamped)
    pruned = deploy(world, NEW, keep=4).after
    assert set(pruned.releases) == {file_of(text).sha256 for text in ("old", "v4", "v5", "new")}
    assert set(deploy(world, NEW, keep=0).after.releases) == {file_of(text).sha256 for text in ("old", "v5", "new")}


def test_restoring_what_was_right_already_is_still_a_step_back() -> None:
    """Nothing is replaced, but the record must not go on saying "deployed"."""
    deployed = after(release.World(TARGET, NEW), NEW)
    plan = release.plan_restore(deployed, "original", 10)
    assert not plan.replaces_target and release.view(plan.after)["wish"] == release.RESTORED


WISHES = st.lists(st.sampled_from(["a", "b", "c", "restore"]), min_size=1, max_size=5)


START = deploy(release.World(TARGET, OLD), OLD).after


def plan_for(world: release.World, wish: str) -> release.Plan:
    if wish == "restore":
        return release.plan_restore(world, "original", 3)
    return deploy(world, file_of(wish), keep=3)


@given(WISHES)
def test_every_wish_is_reached_and_then_nothing_is_left_to_do(wishes: list[str]) -> None:
    world = START
    for wish in wishes:
        plan = plan_for(world, wish)
        world = plan.after
        assert plan_for(world, wish).steps == ()
        assert world.journal is not None and world.on_disk is not None
        assert world.journal.current == world.on_disk.sha256
        assert not world.journal.pending_release
        assert {world.journal.current, world.journal.original} <= set(world.releases)
        assert not release.drift(world)


@given(WISHES, st.data())
def test_interrupted_after_any_step_the_next_run_reaches_the_same_end(wishes: list[str], data: st.DataObject) -> None:
    world = START
    for wish in wishes[:-1]:
        world = plan_for(world, wish).after
    whole = plan_for(world, wishes[-1])
    done = data.draw(st.integers(0, len(whole.steps)))
    cut = world
    for step in whole.steps[:done]:
        cut = release.apply(cut, step)
    assert cut.on_disk in (world.on_disk, whole.after.on_disk)
    assert release.view(plan_for(cut, wishes[-1]).after) == release.view(whole.after)


@given(WISHES, st.sampled_from(["a", "b", "c"]), st.data())
def test_interrupted_and_then_wished_otherwise_the_new_wish_is_reached(
    wishes: list[str], other: str, data: st.DataObject
) -> None:
    world = START
    for wish in wishes[:-1]:
        world = plan_for(world, wish).after
    whole = plan_for(world, wishes[-1])
    for step in whole.steps[: data.draw(st.integers(0, len(whole.steps)))]:
        world = release.apply(world, step)
    assert plan_for(world, other).after.on_disk == replace(file_of(other), mode=OLD.mode)


def test_journal_and_manifest_survive_the_way_to_disk_and_a_broken_journal_is_not_an_empty_one() -> None:
    journal = release.Journal(TARGET, "o", "c", release.RESTORED, "p", "r", "f")
    assert release.journal_from_data(release.journal_to_data(journal)) == journal
    stored = release.Release(OLD, release.CANDIDATE, 5, "m", ("webhook",))
    assert release.manifest_from_data(release.manifest_to_data("n", TARGET, stored)) == stored
    with pytest.raises(release.Refused):
        release.journal_from_data({"target": TARGET})
    with pytest.raises(ValueError):
        release.manifest_from_data({"sha256": "x"})
