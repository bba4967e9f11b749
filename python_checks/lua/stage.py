"""One script on the stage: plays matches with it in the engine stand-in and hands back everything it did.

Runs as a process of its own (``python -m python_checks.lua.stage``, a job as JSON on stdin, the result as JSON on stdout), so that a file
nobody knows can neither hang nor fill the process that judges it. The engine runs in capture mode: no command is executed.
"""

from __future__ import annotations

import base64
import json
import re
import resource
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

EPOCH_S = 1_771_600_000
MEMORY_BYTES = 1536 * 1024 * 1024
FAULT_TEXT = "injected fault"
WITNESS_FIRST, WITNESS_LAST = "luascripts/rollout_first.lua", "luascripts/rollout_last.lua"


@dataclass(frozen=True)
class Job:
    """What to play: one script, one interpreter, matches by name, and the fault of each run (empty for a clean one)."""

    module: str
    source: bytes
    interpreter: str
    matches: tuple[str, ...]
    faults: tuple[str, ...] = ("",)
    probe: bytes = b""
    nominal_basepath: str = "/home/et/etlegacy-v2.83.1-x86_64"
    nominal_homepath: str = "/home/et/.etlegacy"


@dataclass
class Post:
    """One start of curl (or of another process) that carries a payload."""

    unix_ms: int
    payload: bytes


@dataclass
class Written:
    """One file that the script opened for writing; ``content`` is what it held at the end, None when it was outside of the sandbox."""

    path: str
    unix_ms: int
    content: bytes | None


@dataclass
class Performance:
    """Everything that one play of one match left. ``halves`` are the engine's own results."""

    match: str
    interpreter: str
    fault: str
    halves: list[dict[str, Any]] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    files: list[Written] = field(default_factory=list)
    problem: str = ""


def module_path(name: str) -> str:
    """A module's file as the engine calls it: no way out of the mod folder, ``.lua`` added when missing."""
    plain = re.sub(r"[^\w./-]", "_", name.replace("..", "_")).lstrip("/")
    return plain if plain.endswith(".lua") else f"{plain}.lua"


def play(job: Job, match: str, fault: str) -> Performance:
    """Play one match; ``problem`` says what kept the engine from finishing it."""
    from python_checks.engine import Server, VirtualClock

    result = Performance(Path(match).stem, job.interpreter, fault)
    folder = Path(tempfile.mkdtemp(prefix="rehearsal-"))
    try:
        base, home = folder / "base", folder / "home"
        module = _lay_out(job, base, home, fault)
        server = Server(
            base,
            home,
            interpreter=job.interpreter,
            lua_modules=f"{WITNESS_FIRST} {module} {WITNESS_LAST}",
            shell="capture",
            clock=VirtualClock(epoch_s=EPOCH_S),
            nominal_basepath=job.nominal_basepath,
            nominal_homepath=job.nominal_homepath,
        )
        server.set_cvar("rollout_fault", fault)
        opened = _note_openings(server)

        def after_first_half(running: Server) -> None:
            if running.director is not None and running.director.half_number > 0:
                running.set_cvar("rollout_fault", "")

        try:
            result.halves = [asdict(half) for half in server.play(match, after_first_half if fault else None).halves]
        except Exception as problem:  # whatever the engine cannot do is a reason, not a crash of the rehearsal
            result.problem = f"{type(problem).__name__}: {problem}"
        _collect(server, result, opened)
        server.quit()
        result.console = list(server.console)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return result


def _lua(name: str) -> bytes:
    return resources.files("python_checks.lua").joinpath(name).read_bytes()


def _folded(lua: bytes) -> bytes:
    """A chunk without its comments on one line."""
    return b" ".join(line.strip() for line in lua.splitlines() if not line.startswith(b"--")) + b" "


def _lay_out(job: Job, base: Path, home: Path, fault: str) -> str:
    """Put the script, the witnesses and the folders of a real server in place; returns the module's name."""
    module = module_path(job.module)
    for name in ("luascripts", "lualibs"):
        (base / "legacy" / name).mkdir(parents=True)
    for name in ("gamestats", "gametimes", "proximity"):
        (home / "legacy" / name).mkdir(parents=True)
    for name, label in ((WITNESS_FIRST, b"first"), (WITNESS_LAST, b"last")):
        (base / "legacy" / name).write_bytes(_lua("witness.lua").replace(b"@LABEL@", label))
    target = base / "legacy" / module
    target.parent.mkdir(parents=True, exist_ok=True)
    source = _with_probe(job.source, job.probe) if job.probe else job.source
    fault_lua = _folded(_lua("fault.lua").replace(b"@TEXT@", FAULT_TEXT.encode())) if fault else b""
    target.write_bytes(fault_lua + source)
    return module


def _with_probe(source: bytes, probe: bytes) -> bytes:
    """The probe stands behind the last statement, in front of a ``return`` that ends the file."""
    from python_checks.lua.tree import LuaTree

    tree = LuaTree(source)
    last = [n for n in tree.root.children if n.is_named and n.type != "comment"][-1:]
    at = last[0].start_byte if last and last[0].type == "return_statement" else len(source)
    return source[:at] + b"\n" + probe + b"\n" + source[at:]


def _note_openings(server: Any) -> dict[str, int]:
    """When a file was opened for writing by the game's own calls (ms since 1970), by its last name; filled while the match is played."""
    opened: dict[str, int] = {}
    native: Callable[[str, int], tuple[int, int]] = server.files.open

    def noting(name: str, mode: int) -> tuple[int, int]:
        if mode != 0:
            opened[re.split(r"[\\/]", name)[-1]] = server.clock.now_ms
        return native(name, mode)

    server.files.open = noting
    return opened


def _collect(server: Any, result: Performance, opened: dict[str, int]) -> None:
    for call in server.shell_calls:
        payloads = [data for data in call.payloads.values() if data is not None]
        inline = re.search(r"(?:-d|--data\S*)[ =](?P<q>['\"])(?P<data>\{.*\})(?P=q)", call.command, re.DOTALL)
        if inline:
            payloads.append(inline["data"].encode("utf-8", "surrogateescape"))
        result.posts += [
            Post(call.unix_ms, data) for data in payloads if b"STATS_READY" in data or "curl" in call.command
        ]
    names: dict[str, Written] = {}
    for touch in server.files_written:
        if touch.mode == "remove":
            continue
        content = touch.real.read_bytes() if touch.real is not None and touch.real.is_file() else None
        names[touch.path] = Written(touch.path, touch.unix_ms, content)
    for path in sorted(server.files.home.rglob("*")):
        if path.is_file() and path.name != "etconsole.log" and not any(Path(n).name == path.name for n in names):
            when = opened.get(path.name, 0)
            names[str(path)] = Written(str(path.relative_to(server.files.home)), when, path.read_bytes())
    result.files = list(names.values())


def run(job: Job) -> list[Performance]:
    """All matches clean, then the first of them once for each fault."""
    clean = [play(job, match, "") for match in job.matches if "" in job.faults]
    return clean + [play(job, job.matches[0], fault) for fault in job.faults if fault]


def to_json(value: Any) -> Any:
    """Bytes as base64, dataclasses as mappings."""
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if hasattr(value, "__dataclass_fields__"):
        return {name: to_json(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    return [to_json(item) for item in value] if isinstance(value, (list, tuple)) else value


def from_json(value: Any) -> Any:
    """The reverse of ``to_json``, as plain mappings."""
    if isinstance(value, dict):
        if set(value) == {"b64"}:
            return base64.b64decode(value["b64"])
        return {key: from_json(item) for key, item in value.items()}
    return [from_json(item) for item in value] if isinstance(value, list) else value


def performance(raw: dict[str, Any]) -> Performance:
    """A Performance from ``from_json``."""
    raw = dict(raw)
    raw["posts"] = [Post(**post) for post in raw["posts"]]
    raw["files"] = [Written(**item) for item in raw["files"]]
    return Performance(**raw)


def main() -> int:
    """Job in, performances out."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    raw = from_json(json.load(sys.stdin))
    job = Job(**{**raw, "matches": tuple(raw["matches"]), "faults": tuple(raw["faults"])})
    answer = sys.stdout
    sys.stdout = sys.stderr  # nothing that the engine prints may stand in the answer
    try:
        json.dump(to_json(run(job)), answer, ensure_ascii=True)
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
