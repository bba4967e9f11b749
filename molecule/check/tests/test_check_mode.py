"""Check mode tells the truth: nothing is written, and the prediction is what then happens, task by task, diff by diff.

Molecule's own `check` step has run before on the virgin world: it must have left no trace either.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

FOLDERS = ("/home/et", "/etc/systemd/system")


def catalog(vm: Host) -> str:
    """Every relation, column and row count of the database, and the checkout's state."""
    sql = (
        "SELECT string_agg(table_name || '.' || column_name || ' ' || data_type, ',' ORDER BY table_name, ordinal_position) "
        "FROM information_schema.columns WHERE table_schema = 'public'"
    )
    columns = vm.check_output(f'psql -h 127.0.0.1 -U etlegacy_user -d etlegacy -At -c "{sql}"')
    return columns + vm.check_output("sudo git -C /opt/slomix status --porcelain; sudo sha256sum /opt/slomix/.env")


def units(et: Host) -> str:
    """What systemd and the process table say that a phase could change."""
    unit = et.run("systemctl show -p UnitFileState,ActiveState,ExecMainPID et-stats-webhook.service").stdout
    return unit + et.check_output("ps -eo pid=,args= | grep '[l]og_monitor.sh' || true")


@pytest.mark.parametrize("phase", ["phase0", "phase1"])
def test_check_mode_changes_nothing_and_predicts_exactly(
    phase: str,
    et: Host,
    vm: Host,
    evidence: Path,
    playbook: Callable[..., Any],
    tree_digest: Callable[..., dict[str, str]],
) -> None:
    before = (tree_digest(et, *FOLDERS), catalog(vm), units(et))
    ledger = (evidence / "ledger.jsonl").read_bytes() if (evidence / "ledger.jsonl").exists() else b""

    predicted = playbook(phase, check=True)
    assert predicted.rc == 0, predicted.output
    after = (tree_digest(et, *FOLDERS), catalog(vm), units(et))
    assert after == before
    assert ((evidence / "ledger.jsonl").read_bytes() if (evidence / "ledger.jsonl").exists() else b"") == ledger

    real = playbook(phase)
    assert real.rc == 0, real.output
    assert real.changed, "a virgin world has something to change"
    assert predicted.changed == real.changed
    assert predicted.diffs == real.diffs

    again = playbook(phase, check=True)
    assert (again.rc, again.changed) == (0, set()), again.output
    assert playbook(phase).changed == set()


def test_the_diff_of_phase_1_is_a_unified_diff_without_the_url(
    et: Host, world: Callable[..., str], playbook: Callable[..., Any]
) -> None:
    world("reset")
    assert playbook("phase0").rc == 0
    shown = playbook("phase1", check=True)
    assert shown.rc == 0, shown.output
    assert "string.format" in shown.output and "pcall" in shown.output
    assert "demo-webhook-token" not in shown.output
