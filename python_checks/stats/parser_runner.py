"""Run a site's parser on stats files, in a process of its own: started by path, by the site's interpreter or ours.

Standard library only, Python 3.9 and later; nothing of this project is imported. On standard input it gets one JSON
object ``{"parser": path, "roots": [folder, ...], "files": [path, ...], "out": path}``; it writes one JSON line per file
to ``out``, and to ``out`` + ``.about`` what it ran (class, stand-ins, error).

The parser's file is the site's: it may import anything. So an audit hook, which no code can take off again, refuses
the network, other programs, and writing anywhere but into the working directory. A module that is missing and without
which the import fails (a Discord library, for instance) is replaced by an inert stand-in; a module that is there, or
whose absence the parser handles itself, is left alone.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import json
import logging
import os
import re
import sys
import types
from pathlib import Path
from typing import Any

METHOD = "parse_stats_file"
MOST_STAND_INS = 40
SOURCE_LINE = "Round time source"
_REFUSED = (
    "socket.connect",
    "socket.bind",
    "socket.getaddrinfo",
    "socket.gethostby",
    "socket.send",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.kill",
    "pty.spawn",
    "sqlite3.connect",
)
_WRITES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree")
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


class Refused(PermissionError):
    """The parser tried what it must not do here."""


class _InertMeta(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Inert

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        # Used as a decorator, an inert thing leaves what it decorates as it is.
        if cls is Inert and len(args) == 1 and not kwargs and (inspect.isfunction(args[0]) or inspect.isclass(args[0])):
            return args[0]
        return type.__call__(cls, *args, **kwargs)


class Inert(metaclass=_InertMeta):
    """Stands in for anything of a missing module: can be called, subclassed, used as a decorator; does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Inert

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return Inert(*args, **kwargs)


class _InertModule(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Inert


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules that were named missing, and what is below them; asked last."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """A spec for a stand-in, else None."""
        if any(fullname == name or fullname.startswith(name + ".") for name in self.names):
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        """The stand-in."""
        return _InertModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to execute."""


class Lines(logging.Handler):
    """Keeps the log lines that say where a round's time came from, with their level."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[list[str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a matching line."""
        if SOURCE_LINE in str(record.msg):
            self.found.append([record.levelname, record.getMessage()])


def confine(folder: Path) -> None:
    """Refuse network, programs, and writing outside ``folder``, from here on and for good."""
    root = str(folder.resolve()) + os.sep

    def below(path: Any) -> bool:
        if isinstance(path, int):
            return True
        return (os.path.realpath(os.fsdecode(path)) + os.sep).startswith(root) or os.fsdecode(path) == os.devnull

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event.startswith(_REFUSED):
            raise Refused(f"the parser wanted {event}, which it may not do while it is tried")
        if event == "open" and args[0] is not None:
            mode, flags = args[1], args[2]
            writes = any(c in mode for c in "wax+") if isinstance(mode, str) else flags & (os.O_WRONLY | os.O_RDWR)
            if writes and not below(args[0]):
                raise Refused(f"the parser wanted to write {args[0]!r} while it is tried")
        if event.startswith(_WRITES) and not all(
            below(part) for part in args if isinstance(part, (str, bytes, os.PathLike))
        ):
            raise Refused(f"the parser wanted {event} of {args[0]!r} while it is tried")

    sys.addaudithook(hook)


def load(path: Path, roots: list[str], stand_ins: StandIns) -> types.ModuleType:
    """Import the parser's file under the name it has in its package, missing modules replaced."""
    top = path.parent
    while (top / "__init__.py").exists():
        top = top.parent
    packages = path.parent.relative_to(top).parts
    name = ".".join([*packages, re.sub(r"\W", "_", path.name[:-3] if path.name.endswith(".py") else path.name)])
    # `from bot.x import y` works below the checkout's root, whether or not bot is a regular package.
    sys.path[:0] = [str(top), str(top.parent), *roots]
    sys.meta_path.append(stand_ins)
    own = set(sys.modules)
    while True:
        try:
            if packages:
                importlib.import_module(".".join(packages))
            loader = importlib.machinery.SourceFileLoader(name, str(path))
            module = importlib.util.module_from_spec(importlib.machinery.ModuleSpec(name, loader, origin=str(path)))
            module.__file__ = str(path)
            sys.modules[name] = module
            loader.exec_module(module)
            return module
        except ModuleNotFoundError as error:
            if not error.name or error.name in stand_ins.names or len(stand_ins.names) >= MOST_STAND_INS:
                raise
            stand_ins.names.append(error.name)
        for loaded in set(sys.modules) - own:
            del sys.modules[loaded]


_WRAPPED = (staticmethod, classmethod)


def find_parser(module: types.ModuleType) -> tuple[str, Any]:
    """``(name, what to call with a path)``: the one class with the method, or the one function of that name."""
    classes = [
        one
        for one in vars(module).values()
        if inspect.isclass(one)
        and one.__module__ == module.__name__
        and any(
            callable(vars(base).get(METHOD)) or isinstance(vars(base).get(METHOD), _WRAPPED) for base in one.__mro__
        )
    ]
    leaves = [one for one in classes if not any(other is not one and issubclass(other, one) for other in classes)]
    if len(set(leaves)) > 1:
        raise LookupError(f"several classes have {METHOD}: {', '.join(sorted({one.__name__ for one in leaves}))}")
    if leaves:
        return leaves[0].__name__, getattr(leaves[0](), METHOD)
    function = getattr(module, METHOD, None)
    if inspect.isfunction(function):
        return METHOD, function
    raise LookupError(f"no class and no function with {METHOD}")


def plain(value: Any, depth: int = 0) -> Any:
    """``value`` as JSON can say it: keys are text, sets are sorted, an object is its attributes."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if depth > 20:
        return "(too deep)"
    if isinstance(value, dict):
        return {str(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item, depth + 1) for item in value), key=repr)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "__dict__") and not isinstance(value, type):
        return {str(key): plain(item, depth + 1) for key, item in vars(value).items()}
    return _ADDRESS.sub("", repr(value))


def run_one(parse: Any, path: str) -> dict[str, Any]:
    """``{"result": ...}`` or ``{"error": text}`` of one file."""
    try:
        result = parse(path)
        if inspect.isawaitable(result):

            async def wait() -> Any:
                return await result

            result = asyncio.run(wait())
        return {"result": plain(result)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def main() -> None:
    """Read the order, run it, write the answers."""
    order = json.load(sys.stdin)
    out = Path(order["out"])
    sys.dont_write_bytecode = True
    about: dict[str, Any] = {"class": None, "stand_ins": [], "error": "", "python": sys.version.split()[0]}
    lines = Lines()
    confine(Path.cwd())
    stand_ins = StandIns()
    try:
        name, parse = find_parser(load(Path(order["parser"]).resolve(), order["roots"], stand_ins))
    except BaseException as error:
        about.update(error=f"{type(error).__name__}: {error}", stand_ins=stand_ins.names)
        Path(str(out) + ".about").write_text(json.dumps(about))
        return
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger().handlers[:] = [lines]
    with out.open("w") as handle:
        for path in order["files"]:
            lines.found = []
            answer = {**run_one(parse, path), "log": lines.found}
            handle.write(json.dumps(answer, sort_keys=True) + "\n")
    about.update({"class": name, "stand_ins": stand_ins.names})
    Path(str(out) + ".about").write_text(json.dumps(about))


if __name__ == "__main__":
    main()
