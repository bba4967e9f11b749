"""Counting instances on process tables made up here: what pgrep gets wrong, and what no table may break."""

from __future__ import annotations

import os

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import processes
from ansible_collections.slomix.timetracking.plugins.module_utils.processes import Action, Census, Instance, Process
from hypothesis import given
from hypothesis import strategies as st

SCRIPT = "/home/et/scripts/log_monitor.sh"
ME = 1000


def proc(
    pid: int, ppid: int, *argv: str, uid: int = ME, start: int | None = None, cwd: str | None = "/home/et"
) -> Process:
    return Process(pid, ppid, start if start is not None else pid, uid, argv, cwd)


def same(path: str) -> str:
    """No links in these tables."""
    return os.path.normpath(path)


def census(*table: Process, ignore: tuple[int, ...] = ()) -> Census:
    return processes.take_census(table, SCRIPT, ME, ignore, resolve=same)


def one_instance(root: int, parent: int = 1, **more: int) -> list[Process]:
    """A script with a `tail | while` pipeline: two processes with the same command line, as pgrep sees them."""
    return [
        proc(root, parent, "/bin/bash", SCRIPT, **more),
        proc(root + 1, root, "tail", "-F", "legacy3.log", **more),
        proc(root + 2, root, "/bin/bash", SCRIPT, **more),
    ]


def test_a_pipeline_is_one_instance() -> None:
    found = census(*one_instance(10))
    assert [i.root.pid for i in found.own] == [10]
    assert [p.pid for p in found.own[0].tree] == [10, 11, 12]
    assert processes.satisfied(found)


def test_two_instances_are_two_and_the_oldest_is_kept() -> None:
    late = [proc(20, 1, "/bin/bash", SCRIPT, start=900), proc(21, 20, "/bin/bash", SCRIPT, start=901)]
    table = [*one_instance(50), *late]
    found = census(*table)
    assert [i.root.pid for i in found.own] == [50, 20]
    assert not processes.satisfied(found)
    assert processes.plan(found) == [Action("end", found.own[1])]


@pytest.mark.parametrize(
    "argv",
    [
        ("vim", SCRIPT),
        ("tail", "-f", SCRIPT),
        ("grep", "-c", "voice", SCRIPT),
        ("pgrep", "-fc", "log_monitor.sh"),
        ("/bin/sh", "-c", f"pgrep -fc {SCRIPT}; sleep 60"),
        ("bash", "-lc", f"cat {SCRIPT}"),
        ("/bin/bash", "-n", SCRIPT),
        ("/bin/bash", "-s", SCRIPT),
        ("/bin/bash", "/home/et/start.sh", SCRIPT),
        ("/bin/bash", "/home/other/log_monitor.sh"),
        ("sudo", "-u", "et", "bash", SCRIPT),
        ("SCREEN", "-dmS", "mon", "/bin/bash", SCRIPT),
        ("python3", SCRIPT),
        (),
    ],
)
def test_what_only_mentions_the_script_is_no_instance(argv: tuple[str, ...]) -> None:
    found = census(proc(10, 1, *argv))
    assert (found.own, found.foreign, found.unsure) == ((), (), ())
    assert processes.plan(found) == [Action("start")]


@pytest.mark.parametrize(
    ("argv", "cwd"),
    [
        (("/bin/bash", SCRIPT), None),
        (("bash", "-x", SCRIPT), None),
        (("-bash", SCRIPT), None),
        (("sh", "-e", "--", SCRIPT), None),
        (("bash", "-o", "pipefail", SCRIPT, "arg"), None),
        (("bash", "--norc", SCRIPT), None),
        (("bash", "scripts/log_monitor.sh"), "/home/et"),
        (("bash", "./log_monitor.sh"), "/home/et/scripts"),
        (("bash", "../scripts/log_monitor.sh"), "/home/et/scripts"),
        (("bash", "log_monitor.sh"), "/home/et/scripts"),
    ],
)
def test_every_way_to_run_it_is_an_instance(argv: tuple[str, ...], cwd: str | None) -> None:
    assert len(census(proc(10, 1, *argv, cwd=cwd)).own) == 1


def test_another_users_instance_is_named_and_stops_the_plan() -> None:
    found = census(*one_instance(10), *one_instance(20, uid=0))
    assert ([i.root.pid for i in found.own], [i.root.pid for i in found.foreign]) == ([10], [20])
    assert not processes.satisfied(found)
    assert processes.plan(found) == []


def test_nothing_is_started_beside_another_users_instance() -> None:
    assert processes.plan(census(*one_instance(20, uid=0))) == []


@pytest.mark.parametrize("word", ["scripts/log_monitor.sh", "log_monitor.sh"])
def test_a_relative_path_from_an_unknown_place_is_unsure(word: str) -> None:
    found = census(proc(10, 1, "bash", word, uid=0, cwd=None))
    assert [p.pid for p in found.unsure] == [10]
    assert not processes.satisfied(found) and processes.plan(found) == []


def test_a_bare_name_found_through_path_is_unsure() -> None:
    assert [p.pid for p in census(proc(10, 1, "bash", "log_monitor.sh", cwd="/tmp")).unsure] == [10]


def test_the_observers_own_line_does_not_count() -> None:
    found = census(proc(10, 1, "/bin/bash", SCRIPT), proc(11, 10, "python3"), ignore=(11, 10))
    assert found.own == ()


def test_an_instance_started_by_a_counted_ancestor_through_others_is_the_same_instance() -> None:
    found = census(proc(10, 1, "bash", SCRIPT), proc(11, 10, "setsid"), proc(12, 11, "bash", SCRIPT))
    assert [i.root.pid for i in found.own] == [10]


def test_a_loop_in_the_table_ends() -> None:
    """Read over a moment, a process table may be inconsistent."""
    assert len(census(proc(10, 11, "bash"), proc(11, 10, "bash", SCRIPT)).own) == 1


NEWCOMER = Instance(proc(99, 1, "/bin/bash", SCRIPT), ())


@given(count=st.integers(min_value=0, max_value=6), order=st.randoms())
def test_applying_the_plan_leaves_exactly_one(count: int, order: object) -> None:
    table = [p for number in range(count) for p in one_instance(10 * (number + 1))]
    order.shuffle(table)  # type: ignore[attr-defined]
    found = census(*table)
    left = processes.apply(found.own, processes.plan(found), NEWCOMER)
    assert len(left) == 1
    assert left == ([found.own[0]] if count else [NEWCOMER])
    again = Census(own=tuple(left))
    assert processes.plan(again) == []


table_strategy = st.lists(
    st.builds(
        proc,
        st.integers(min_value=2, max_value=12),
        st.integers(min_value=1, max_value=12),
        st.sampled_from(["/bin/bash", "vim", "sh"]),
        st.sampled_from([SCRIPT, "log_monitor.sh", "-c", "x"]),
        uid=st.sampled_from([0, ME]),
        start=st.integers(min_value=1, max_value=5),
        cwd=st.sampled_from([None, "/home/et/scripts", "/"]),
    ),
    max_size=12,
    unique_by=lambda p: p.pid,
)


@given(table=table_strategy)
def test_no_process_is_in_two_instances_and_every_match_is_in_one(table: list[Process]) -> None:
    found = census(*table)
    roots = [i.root.pid for i in found.own + found.foreign]
    assert len(roots) == len(set(roots))
    assert all(i.root.uid == ME for i in found.own) and all(i.root.uid != ME for i in found.foreign)
    for action in processes.plan(found):
        assert action.instance is None or action.instance in found.own
    if processes.satisfied(found):
        assert len(roots) == 1 and processes.plan(found) == []


@given(table=table_strategy)
def test_ignoring_processes_never_makes_more_instances_certain_than_matches(table: list[Process]) -> None:
    found = census(*table, ignore=tuple(p.pid for p in table))
    assert (found.own, found.foreign, found.unsure) == ((), (), ())
