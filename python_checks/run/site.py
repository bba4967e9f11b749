"""What the command line must know of a site's inventory: where its evidence lies, and which key paths not to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from python_checks.gates.files import ROOT

_KEY_VARIABLES = ("ansible_ssh_private_key_file", "ansible_private_key_file")


class SiteError(RuntimeError):
    """The inventory cannot be read or does not name one site; the message says what to do."""


@dataclass(frozen=True)
class Site:
    """``evidence`` is the ledger's folder; ``hidden`` are texts (key paths) that no output shows."""

    evidence: Path
    hidden: tuple[str, ...]


def read_site(inventory: Sequence[str], evidence: Path | None = None, root: Path = ROOT) -> Site:
    """The site of ``inventory`` (paths). ``evidence`` goes before what the inventory names. Raises SiteError."""
    from ansible.errors import AnsibleError
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.template import Templar
    from ansible.vars.manager import VariableManager

    lost = [path for path in inventory if not Path(path).exists()]
    if lost:
        raise SiteError(f"there is no inventory {', '.join(lost)}; name one with -i")
    try:
        loader: Any = DataLoader()
        manager = InventoryManager(loader=loader, sources=list(inventory))
        variables = VariableManager(loader=loader, inventory=manager)
        folders: set[str] = set()
        hidden: set[str] = set()
        for host in manager.get_hosts():
            known = variables.get_vars(host=host)
            templar = Templar(loader=loader, variables=known)
            if known.get("rollout_evidence_dir"):
                folders.add(str(templar.template(known["rollout_evidence_dir"])))
            hidden |= {str(templar.template(known[name])) for name in _KEY_VARIABLES if known.get(name)}
    except (AnsibleError, OSError) as error:
        raise SiteError(f"the inventory {', '.join(inventory)} cannot be read: {error}") from error
    if evidence is None and len(folders) != 1:
        found = ", ".join(sorted(folders)) or "none"
        raise SiteError(
            f"the inventory {', '.join(inventory)} names {found} as evidence folder, required is one:"
            " set rollout_evidence_dir for all hosts, or name the folder with --evidence"
        )
    # As in the action plugins, a relative folder starts at the playbooks.
    folder = evidence.absolute() if evidence is not None else Path(root / "playbooks", folders.pop()).expanduser()
    return Site(evidence=Path(folder).resolve(), hidden=tuple(sorted(hidden, key=len, reverse=True)))
