"""Filters of phases 3 and 6: what their steps record. The functions are in module_utils/source_samples.py."""

from __future__ import annotations

from typing import Any, Callable, Dict

from ansible_collections.slomix.timetracking.plugins.module_utils import source_samples


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Names to functions."""
        return {
            "match_moment": source_samples.match_moment,
            "source_sample": source_samples.source_sample,
            "logged_sample": source_samples.logged_sample,
            "probe_sample": source_samples.probe_sample,
            "probe_text": source_samples.probe_text,
        }
