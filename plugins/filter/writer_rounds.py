"""Filters of phase 4's samples; see module_utils/writer_rounds.py for the shapes."""

from __future__ import annotations

from typing import Any, Callable, Dict

from ansible_collections.slomix.timetracking.plugins.module_utils import writer_rounds


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Names to functions."""
        return {
            "writer_halves_wanted": writer_rounds.halves_wanted,
            "writer_file_sample": writer_rounds.file_sample,
            "writer_stored_sample": writer_rounds.stored_sample,
        }
