"""Filters of phases 2 and 4: what their steps record. The functions are in module_utils/writer_samples.py."""

from __future__ import annotations

from typing import Any, Callable, Dict

from ansible_collections.slomix.timetracking.plugins.module_utils import writer_samples


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Names to functions."""
        return {
            "merge_sample": writer_samples.merge_sample,
            "writer_sample": writer_samples.writer_sample,
            "writer_faults": writer_samples.writer_faults,
            "parser_sample": writer_samples.parser_sample,
            "writers_sample": writer_samples.writers_sample,
        }
