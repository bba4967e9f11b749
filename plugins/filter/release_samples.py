"""Filters of phase 1: which file runs, and what its steps record. The functions are in module_utils/release_samples.py."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Sequence

from ansible.errors import AnsibleFilterError
from ansible_collections.slomix.timetracking.plugins.module_utils import release_samples


def effective_file(files: Sequence[Mapping[str, Any]], name: str) -> Dict[str, Any]:
    """The file that the engine opens for ``name``; fails with what was found when there is not exactly one."""
    try:
        return release_samples.effective_file(files, name)
    except release_samples.NoFile as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Names to functions."""
        return {
            "effective_file": effective_file,
            "edit_sample": release_samples.edit_sample,
            "rehearsal_sample": release_samples.rehearsal_sample,
            "load_sample": release_samples.load_sample,
        }
