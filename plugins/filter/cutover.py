"""Filters of phase 5: the decision, and what the bot shows."""

from __future__ import annotations

from typing import Any, Callable, Dict

from ansible_collections.slomix.timetracking.plugins.module_utils import cutover, session_watch

DOCUMENTATION = r"""
name: cutover
short_description: Judge phase 5's decision
description:
  - C(cutover_decision) judges a decision on what the bot's source and the comparison say.
  - C(cutover_shown) says what the running bot shows.
  - C(watched_bot) and C(watched_rounds) make the samples of the session after it, C(watched_text) a sentence of the first.
author: [the etl-timetracking-rollout contributors]
"""


class FilterModule:
    """The filters by name."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Names as used in playbooks."""
        return {
            "cutover_decision": cutover.decide,
            "cutover_shown": cutover.shown,
            "watched_bot": session_watch.bot_sample,
            "watched_rounds": session_watch.rounds_sample,
            "watched_text": session_watch.bot_text,
        }
