"""Read the candidate's bytes on the controller and hand them to the module (plugins/modules/source_release.py)."""

from __future__ import annotations

from ansible_collections.slomix.timetracking.plugins.action.lua_release import ActionModule as _Release


class ActionModule(_Release):
    """As lua_release: ``content_path`` (controller) becomes ``content_b64``."""

    _module = "slomix.timetracking.source_release"
