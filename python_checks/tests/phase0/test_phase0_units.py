"""Unit states told apart, and the verbs between them. Each state is one that `is-active` prints as `inactive` or fails on."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import units
from ansible_collections.slomix.timetracking.plugins.module_utils.units import Facts

BOOLS = (False, True)
ALL_WISHES = list(itertools.product(BOOLS, repeat=4))

FOUND = {
    units.RETIRED: Facts("loaded", "disabled", "inactive", "dead"),
    units.IN_USE: Facts("loaded", "enabled", "active", "running"),
    units.FAILED: Facts("loaded", "disabled", "failed", "failed"),
    units.MASKED: Facts("masked", "masked", "inactive", "dead"),
    units.STATIC: Facts("loaded", "static", "inactive", "dead"),
    units.MISSING: Facts("not-found", "", "inactive", "dead"),
    units.BROKEN: Facts("bad-setting", "disabled", "inactive", "dead"),
}


@pytest.mark.parametrize("state", FOUND)
def test_each_state_has_its_own_word(state: str) -> None:
    assert units.classify(FOUND[state]) == state


@pytest.mark.parametrize("state", FOUND)
def test_only_disabled_and_inactive_satisfies_by_default(state: str) -> None:
    assert units.satisfied(FOUND[state], state, []) is (state == units.RETIRED)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        (Facts("loaded", "enabled", "inactive", "dead"), "stopped, but the next boot starts it"),
        (Facts("loaded", "disabled", "active", "running"), "disabled, but still running"),
        (Facts("loaded", "disabled", "activating", "auto-restart"), "waits for its own restart"),
        (Facts("loaded", "enabled-runtime", "inactive", "dead"), "enabled until the next boot"),
    ],
)
def test_half_retired_is_in_use(facts: Facts, why: str) -> None:
    assert units.classify(facts) == units.IN_USE, why
    assert not units.satisfied(facts, units.IN_USE, units.ACCEPTABLE)


@pytest.mark.parametrize("state", units.ACCEPTABLE)
def test_an_accepted_state_satisfies_only_when_named(state: str) -> None:
    assert units.satisfied(FOUND[state], state, [state])
    assert not units.satisfied(FOUND[state], state, [other for other in units.ACCEPTABLE if other != state])


def test_an_accepted_mask_does_not_excuse_a_running_unit() -> None:
    running = Facts("masked", "masked", "active", "running")
    assert units.classify(running) == units.MASKED
    assert not units.satisfied(running, units.MASKED, [units.MASKED])


def test_an_accepted_failure_does_not_excuse_an_enabled_unit() -> None:
    enabled = Facts("loaded", "enabled", "failed", "failed")
    assert not units.satisfied(enabled, units.FAILED, [units.FAILED])


@pytest.mark.parametrize(("enabled", "running", "wish_enabled", "wish_running"), ALL_WISHES)
def test_applying_the_plan_gives_the_wish(enabled: bool, running: bool, wish_enabled: bool, wish_running: bool) -> None:
    verbs = units.plan(enabled, running, wish_enabled, wish_running)
    assert units.apply(enabled, running, verbs) == (wish_enabled, wish_running)
    assert units.plan(wish_enabled, wish_running, wish_enabled, wish_running) == []
    back = units.plan(wish_enabled, wish_running, enabled, running)
    assert units.apply(wish_enabled, wish_running, back) == (enabled, running)
    allowed = {"disable --now", "enable --now", "disable", "enable", "stop", "start"}
    assert set(verbs) <= allowed and len(verbs) <= 2


def test_the_usual_case_is_one_command() -> None:
    assert units.plan(True, True, False, False) == ["disable --now"]


def test_a_stop_does_not_clear_a_failure() -> None:
    enabled = Facts("loaded", "enabled", "failed", "failed")
    assert units.predict(enabled, units.plan(True, False, False, False)) == FOUND[units.FAILED]


def test_a_property_that_is_missing_is_no_answer() -> None:
    with pytest.raises(ValueError, match="UnitFileState"):
        units.parse_show("LoadState=loaded\nActiveState=inactive\nSubState=dead\n")


def test_parse_show_reads_what_systemctl_prints_for_an_unknown_unit() -> None:
    # Output of systemd 252 for a name that no unit has: it exits 0.
    facts = units.parse_show("LoadState=not-found\nActiveState=inactive\nSubState=dead\nUnitFileState=\n")
    assert units.classify(facts) == units.MISSING


def test_a_misspelt_name_finds_the_installed_one() -> None:
    known = ["ssh.service", "et-stats-webhook.service", "cron.service"]
    assert units.closest("et-stat-webhook.service", known) == "et-stats-webhook.service"
    assert units.closest("postgresql.service", known) is None


@pytest.mark.parametrize("name", ["", "webhook", "a b.service", "../x.service", "x.service; reboot", "x.exe"])
def test_what_is_no_unit_name_is_refused(name: str) -> None:
    assert not units.well_formed(name)


@pytest.mark.parametrize("state", units.STATES)
def test_guidance_says_found_required_next(state: str) -> None:
    facts = FOUND.get(state) or (FOUND[units.MISSING] if state == units.MISSPELT else None)
    text = units.guidance("x.service", state, facts, "y.service")
    if state != units.RETIRED:
        assert "found:" in text and "required:" in text and "next:" in text


@pytest.mark.parametrize(
    ("stderr", "state"),
    [
        ("System has not been booted with systemd as init system (PID 1). Can't operate.", units.NO_SYSTEMD),
        ("Failed to connect to bus: Permission denied", units.UNREADABLE),
    ],
)
def test_why_systemctl_gave_no_answer(stderr: str, state: str) -> None:
    assert units.explain_failure(stderr) == state
