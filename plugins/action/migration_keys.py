"""Require the three keys of a migration, take an approval or keep a run, on the controller. Documented in
plugins/modules/migration_keys.py."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger, migration

from python_checks.gates.action import LedgerAction
from python_checks.gates.identity import body

_SPEC = {
    "name": {"type": "str", "required": True},
    "direction": {"type": "str", "required": True, "choices": [migration.FORWARD, migration.ROLLBACK]},
    "database": {"type": "str", "required": True},
    "state": {"type": "str", "default": "required", "choices": ["required", "approved", "recorded"]},
    "allow": {"type": "str", "default": "never"},
    "enable": {"type": "str", "default": ""},
    "approval_h": {"type": "int", "default": 24},
    "by": {"type": "str", "default": ""},
    "reason": {"type": "str", "default": ""},
    "result": {"type": "dict", "default": {}},
}
SHORTEST_REASON = 10
PLAYBOOKS = {migration.FORWARD: "migrate.yml", migration.ROLLBACK: "migrate_rollback.yml"}


class ActionModule(LedgerAction):
    """One migration, one direction, one database."""

    SPEC = _SPEC

    def act(
        self, options: dict[str, Any], variables: dict[str, Any], folder: Path, plan_folder: Path
    ) -> dict[str, Any]:
        """The task's result; see RETURN."""
        texts = _files(plan_folder, options["name"])
        made = migration.migration_id(options["name"], options["direction"], *texts, options["database"])
        base = {"migration": options["name"], "direction": options["direction"], "database": options["database"]}
        if options["state"] == "required":
            return self._require(options, folder, made, texts)
        result = {**base, "migration_id": made}
        if options["state"] == "approved":
            result |= _approval(options, made)
        else:
            done = "done" if options["result"].get("changed") else "without effect"
            outcome = "refused or failed" if options["result"].get("failed") else done
            result |= {"event": "run", "note": f"migration {options['name']} {options['direction']}: {outcome}"}
            result["run"] = options["result"]
        if self._task.check_mode:
            return {"changed": False, "recorded": False, "migration_id": made, "msg": f"check mode: {result['note']}"}
        record = body("note", None, result, plan_folder, host=variables["inventory_hostname"])
        try:
            kept = ledger.append(str(folder), record)
        except (ledger.LedgerError, OSError) as error:
            raise AnsibleActionFail(f"{result['note']}: it could not be recorded in {folder}: {error}") from error
        return {"changed": False, "recorded": True, "migration_id": made, "seq": kept["seq"], "msg": result["note"]}

    def _require(self, options: dict[str, Any], folder: Path, made: str, texts: Sequence[str]) -> dict[str, Any]:
        missing = missing_keys(options, made, ledger.read(str(folder)), datetime.now(UTC))
        what = f"migration {options['name']} ({options['direction']})"
        text = f"{what} is refused, {len(missing)} of 3 keys missing. " + " ".join(missing)
        if missing and self._task.check_mode:
            self._display.warning(f"check mode goes on, a real run would stop here: {text}")
        return {
            "changed": False,
            "failed": bool(missing) and not self._task.check_mode,
            "blocked": bool(missing),
            "missing": missing,
            # Named only to whoever looks first: the id is to be read together with the SQL.
            **({"migration_id": made} if self._task.check_mode or not missing else {}),
            "forward_sql": texts[0],
            "rollback_sql": texts[1],
            "msg": text if missing else f"{what} has its three keys",
        }


def missing_keys(options: dict[str, Any], made: str, records: list[dict[str, Any]], now: datetime) -> list[str]:
    """A sentence for each key that is not there, with the way to give it; none when all three are."""
    name, playbook = options["name"], PLAYBOOKS[options["direction"]]
    missing = []
    if options["allow"] != name:
        missing.append(
            f"KEY 1 (the site allows it): found migration_allow {options['allow']!r}, required {name!r}; next: set "
            f"`migration_allow: {name}` in the inventory's group_vars of stats_hosts."
        )
    if options["enable"] != made:
        found = (
            f"{options['enable']!r}, which is not the id of these files on this database"
            if options["enable"]
            else "none"
        )
        missing.append(
            f"KEY 2 (this very SQL): found migration_enable {found}; required the id that stands below the SQL; next: run "
            f"`ansible-playbook playbooks/{playbook} --check`, read the SQL, then add -e migration_enable=<id>."
        )
    problem = _approval_problem(options, made, records, now)
    if problem:
        missing.append(
            f"KEY 3 (a named person agreed): found {problem}; required an approval in the ledger, at most "
            f"{options['approval_h']} h old; next: run `ansible-playbook playbooks/migrate_approve.yml -e "
            f"direction={options['direction']} -e migration_enable=<id> -e approved_by=NAME -e reason='...'`."
        )
    return missing


def _approval_problem(options: dict[str, Any], made: str, records: list[dict[str, Any]], now: datetime) -> str:
    """Why no approval counts; "" when one does. A change in the other direction uses the approvals before it up."""
    notes = [record for record in records if record.get("kind") == "note" and isinstance(record.get("result"), dict)]
    mine = [one for one in notes if one["result"].get("migration") == options["name"]]
    approvals = [
        one for one in mine if one["result"].get("event") == "approval" and one["result"].get("migration_id") == made
    ]
    if not approvals:
        return "no approval of this id"
    newest = approvals[-1]
    age = now - datetime.fromisoformat(newest["at"])
    if not timedelta(minutes=-5) <= age <= timedelta(hours=options["approval_h"]):
        return f"an approval by {newest['result'].get('by')} of {newest['at']}"
    other = [
        one
        for one in mine
        if one["seq"] > newest["seq"]
        and one["result"].get("event") == "run"
        and one["result"].get("direction") != options["direction"]
        and (one["result"].get("run") or {}).get("changed") is True
    ]
    return f"an approval (record {newest['seq']}) from before the other direction ran" if other else ""


def _approval(options: dict[str, Any], made: str) -> dict[str, Any]:
    by, reason = options["by"].strip(), options["reason"].strip()
    if options["enable"] != made:
        raise AnsibleActionFail(
            f"found: migration_enable {options['enable']!r}, which is not the id of these files on this database; required: the "
            f"id that playbooks/{PLAYBOOKS[options['direction']]} --check shows below the SQL; next: read that SQL, then approve"
        )
    if not by or len(reason) < SHORTEST_REASON:
        raise AnsibleActionFail(
            f"found: approved_by {by!r} and a reason of {len(reason)} characters; required: a person's name and a reason of "
            f"{SHORTEST_REASON} characters or more; next: -e approved_by=NAME -e reason='...'"
        )
    note = f"migration {options['name']} ({options['direction']}, {made}) approved by {by}: {reason}"
    return {"event": "approval", "by": by, "reason": reason, "note": note}


def _files(plan_folder: Path, name: str) -> tuple[str, str]:
    folder = plan_folder / "sql" / "migrations"
    try:
        return tuple((folder / f"{name}.{way}.sql").read_text(encoding="utf-8") for way in PLAYBOOKS)  # type: ignore[return-value]
    except OSError as error:
        known = sorted({path.name.split(".")[0] for path in folder.glob("*.sql")})
        raise AnsibleActionFail(
            f"found: no migration {name} ({error.strerror}); required: one of {', '.join(known)}; next: -e migration=NAME"
        ) from error
