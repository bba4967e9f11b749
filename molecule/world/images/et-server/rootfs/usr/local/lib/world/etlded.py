"""The engine stand-in under the dedicated server's name and command line: ``etlded.x86_64 +exec vektor.cfg``."""

from __future__ import annotations

import sys
from pathlib import Path

ENGINE = "/opt/engine"
NAME = "etlded.x86_64"
HOMEPATH = "/home/et/.etlegacy"
SETTINGS = Path("/etc/world/engine.env")


def main() -> int:
    """Read the world's choice of interpreter and serve until killed."""
    sys.dont_write_bytecode = True
    sys.path.insert(0, ENGINE)
    from python_checks.engine.__main__ import main as engine

    # Process tools show this name (at most 15 characters).
    Path("/proc/self/comm").write_text(NAME)
    arguments = sys.argv[1:]
    config = arguments[arguments.index("+exec") + 1]
    settings = dict(line.split("=", 1) for line in SETTINGS.read_text().split())
    options = ["--basepath", str(Path.cwd()), "--homepath", HOMEPATH, "--config", config]
    # Scripts read "." in fs_basepath, as on a server that is started after a cd.
    options += ["--nominal-basepath", ".", "--interpreter", settings["ET_LUA_INTERPRETER"]]
    return engine(["serve", *options])


if __name__ == "__main__":
    sys.exit(main())
