"""The virtual clock: scripts see it through os.time, os.date and os.clock; it never sleeps and never runs backwards."""

from __future__ import annotations

import time


class VirtualClock:
    """Unix time in milliseconds that moves by game frames.

    Without ``epoch_s`` it starts at real time and :meth:`sync` lifts it to real time whenever it is behind, so a file deployed
    "now" is never younger than the next load. With ``epoch_s`` it is cut off from real time (repeatable tests).
    """

    def __init__(self, epoch_s: float | None = None) -> None:
        self.fixed = epoch_s is not None
        self.start_ms = int((time.time() if epoch_s is None else epoch_s) * 1000)
        self.now_ms = self.start_ms

    def advance(self, step_ms: int) -> None:
        """Move forward by ``step_ms`` (a frame, a map load)."""
        self.now_ms += step_ms

    def jump_to(self, time_of_day_s: int) -> None:
        """Go forward to the next time a local clock shows ``time_of_day_s`` (seconds after midnight); no server time passes.

        Raises ValueError when the clock follows real time: what is deployed "now" would then be judged by tomorrow's clock.
        """
        if not self.fixed:
            raise ValueError(
                "the clock follows real time; a start at a time of day requires a clock with its own epoch"
            )
        now = time.localtime(self.now_ms / 1000)
        ahead_s = (time_of_day_s - (now.tm_hour * 3600 + now.tm_min * 60 + now.tm_sec)) % 86400
        self.now_ms += ahead_s * 1000
        self.start_ms += ahead_s * 1000

    def sync(self) -> None:
        """Catch up with the real clock; stand still while the virtual clock is ahead."""
        if not self.fixed:
            self.now_ms = max(self.now_ms, int(time.time() * 1000))

    def ahead_s(self) -> float:
        """Seconds by which the virtual clock is ahead of the real one (0 for a fixed clock)."""
        return 0.0 if self.fixed else max(0.0, self.now_ms / 1000 - time.time())

    def uptime_ms(self) -> int:
        """Milliseconds since the process began: the origin of ``et.trap_Milliseconds``; map loads do not reset it."""
        return self.now_ms - self.start_ms
