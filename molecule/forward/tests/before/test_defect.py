"""The world as it was found: what Phase 0 retires is there, and a fractional second round is lost."""

from __future__ import annotations

from collections.abc import Callable

from testinfra.host import Host

CRASH = "bad argument #9 to 'format' (number has no integer representation)"


def test_the_noise_is_there(et: Host) -> None:
    unit = et.service("et-stats-webhook.service")
    assert unit.is_enabled and unit.is_running
    leaders = et.check_output("ps -eo ppid=,args= | awk '$1 == 1' | grep -c '[l]og_monitor.sh'")
    assert leaders == "2"


def test_a_fractional_second_round_is_lost(
    et: Host, rows: Callable[[str], dict[int, int]], world: Callable[..., str]
) -> None:
    """The recorded crash, word for word, and no row of R2; the row of R1 is there, so the way to the database is open."""
    world("play", "completed", "--map", "etl_adlernest")
    console = et.file("/home/et/.etlegacy/legacy/etconsole.log").content_string
    assert CRASH in console
    assert "Webhook send already in progress, skipping" in console
    assert rows("etl_adlernest") == {1: 1}
