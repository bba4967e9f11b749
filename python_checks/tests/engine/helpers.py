"""Small servers for tests: write scripts, boot, look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from python_checks.engine import Server, VirtualClock

EPOCH_S = 1771600000
NOMINAL_BASE, NOMINAL_HOME = "/home/et/etlegacy-v2.83.1-x86_64", "/home/et/.etlegacy"


def boot(folder: Path, interpreter: str, scripts: dict[str, str], **options: Any) -> Server:
    """A booted server whose modules are ``scripts`` (name -> source) in ``luascripts/``."""
    base, home = folder / "base", folder / "home"
    (base / "legacy/luascripts").mkdir(parents=True, exist_ok=True)
    (home / "legacy").mkdir(parents=True, exist_ok=True)
    for name, source in scripts.items():
        (base / f"legacy/luascripts/{name}.lua").write_text(source, encoding="utf-8")
    options.setdefault("lua_modules", " ".join(f"luascripts/{name}.lua" for name in scripts))
    options.setdefault("clock", VirtualClock(epoch_s=EPOCH_S))
    options.setdefault("nominal_basepath", NOMINAL_BASE)
    options.setdefault("nominal_homepath", NOMINAL_HOME)
    server = Server(base, home, interpreter=interpreter, **options)
    server.boot("supply")
    return server


def lua(folder: Path, interpreter: str, code: str, **options: Any) -> Any:
    """Run code inside a module of a booted server (line 2 of ``luascripts/t.lua``) and return its first value."""
    server = boot(folder, interpreter, {"t": f"function et_IPCReceive()\n{code}\nend"}, **options)
    result = server.lua.vms[0].call("et_IPCReceive", 0, "")
    server.quit()
    assert result is not None
    if isinstance(result, tuple):
        assert result[0] is True, result[1]
        return result[1]
    return None
