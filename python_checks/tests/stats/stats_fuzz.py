"""How many cases a fuzz test tries: 2000, or ROLLOUT_FUZZ_EXAMPLES (the nightly run sets 20000)."""

from __future__ import annotations

import os

EXAMPLES = int(os.environ.get("ROLLOUT_FUZZ_EXAMPLES", "2000"))
