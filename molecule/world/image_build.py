"""The world's images, each tagged with a digest of all it is made from: what did not change is not built again.

debian (mmdebstrap, or ROLLOUT_BASE_IMAGE) ◄ base (systemd, sshd) ◄ et-server and slomix-vm
(packages, system files, and the application's files last).
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from containers import Podman, WorldError
from layout import CACHE, HERE, ROOT

IMAGES = HERE / "images"
RELEASE = "bookworm"
SUITES = {RELEASE, f"{RELEASE}-updates", f"{RELEASE}-security"}
PREFIX = "localhost/rollout"
NOT_COPIED = shutil.ignore_patterns("__pycache__", "*.pyc")

INSTALL_DIR = "etlegacy-v2.83.1-x86_64"
# et_server/lua mirrors the mod dir; the time-tracking variant never was on the server.
NOT_DEPLOYED = shutil.ignore_patterns("c0rnp0rn-testluawithtimetracking.lua")
HOME_FOLDERS = (
    f"{INSTALL_DIR}/etmain",
    f"{INSTALL_DIR}/legacy/luascripts",
    ".etlegacy/legacy/gamestats",
    ".etlegacy/legacy/gametimes",
    ".etlegacy/legacy/proximity",
    "backups",
    "scripts/state",
)


def build_all(podman: Podman) -> dict[str, str]:
    """Build what is missing; returns host name -> image tag."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with _only_one_builder(), tempfile.TemporaryDirectory(prefix="rollout-build-", dir="/var/tmp") as temporary:
        folder = Path(temporary)
        debian = _debian(podman, folder)
        podman.probe(debian)
        base = _image(podman, "base", debian, _base_context(folder / "base"), folder)
        return {
            "et-server": _image(podman, "et-server", base, _game_context(folder / "et-server"), folder),
            "slomix-vm": _image(podman, "slomix-vm", base, _stats_context(folder / "slomix-vm"), folder),
        }


@contextmanager
def _only_one_builder() -> Iterator[None]:
    with (CACHE / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def names_in(path: Path) -> list[str]:
    """Names of a list file: one a line, ``#`` starts a comment."""
    return [name for line in path.read_text().splitlines() if (name := line.partition("#")[0].strip())]


def tree_digest(folder: Path) -> str:
    """SHA-256 over names, modes, link targets and contents of a tree (times do not count)."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        head = f"{path.relative_to(folder)}\0{path.lstat().st_mode:o}\0{len(content)}\0"
        digest.update(head.encode() + content)
    return digest.hexdigest()


def _ordinary_modes(folder: Path) -> None:
    """The modes that git knows, whatever the umask of the checkout: under 077 the game server could not read its own files."""
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _image(podman: Podman, name: str, base: str, context: Path, folder: Path) -> str:
    shutil.copy(IMAGES / name / "Containerfile", context / "Containerfile")
    _ordinary_modes(context)
    digest = hashlib.sha256(f"{base}\0{tree_digest(context)}".encode()).hexdigest()
    tag = f"{PREFIX}/{name}:{digest[:16]}"
    if podman.image_exists(tag):
        return tag
    print(f"world: building the image {name}", flush=True)
    podman.call(
        "build", "--quiet", "--network=host", *podman.limits, *_apt_mounts(folder),
        "--build-arg", f"FROM={base}", "--tag", tag, str(context),
    )  # fmt: skip
    _forget_old(podman, name, tag)
    return tag


def _forget_old(podman: Podman, name: str, tag: str) -> None:
    """Older images of the same name go, unless a container still uses them (podman then refuses)."""
    listed = podman.call(
        "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={PREFIX}/{name}", check=False
    )
    for old in set(listed.stdout.split()) - {tag}:
        podman.call("rmi", old, check=False)


# --- the root file system -------------------------------------------------------------------------------------------


def _debian(podman: Podman, folder: Path) -> str:
    named = os.environ.get("ROLLOUT_BASE_IMAGE")
    if named:
        if not podman.image_exists(named):
            print(f"world: fetching {named} (ROLLOUT_BASE_IMAGE)", flush=True)
            podman.call("pull", "--quiet", named)
        return named
    packages = names_in(IMAGES / "base" / "packages.txt")
    digest = hashlib.sha256(" ".join([RELEASE, *packages]).encode()).hexdigest()[:16]
    tag = f"{PREFIX}/debian:{digest}"
    if podman.image_exists(tag):
        return tag
    archive = CACHE / f"debian-{digest}.tar.zst"
    if not archive.exists():
        print("world: making the Debian root file system (once)", flush=True)
        _mmdebstrap(archive, packages, folder)
    podman.call("import", "--quiet", "--change", 'CMD ["/sbin/init"]', str(archive), tag)
    return tag


def _mmdebstrap(archive: Path, packages: list[str], folder: Path) -> None:
    """A minimal Debian from the mirror this machine uses itself; nothing of the mirror's name stays in the result."""
    if shutil.which("mmdebstrap") is None:
        raise WorldError(
            "mmdebstrap is not installed. Run `make setup`, or name an image of Debian 12 in ROLLOUT_BASE_IMAGE."
        )
    sources, options = _host_apt(folder)
    unfinished = archive.with_name(f"unfinished-{archive.name}")
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}", f"--aptopt={options}"]
    command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale")]
    command += [
        "--customize-hook=rm -f $1/etc/apt/sources.list $1/etc/apt/sources.list.d/* $1/etc/apt/apt.conf.d/99mmdebstrap"
    ]
    command += [RELEASE, str(unfinished), str(sources)]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    if _fit_for_a_file_system(Path("/dev/shm")):
        environment["TMPDIR"] = "/dev/shm"
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=environment
    )
    if done.returncode:
        unfinished.unlink(missing_ok=True)
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        raise WorldError(
            f"mmdebstrap could not make the root file system (exit code {done.returncode}):\n{said}\n"
            "Check that `apt-get update` works on this machine, or name an image of Debian 12 in ROLLOUT_BASE_IMAGE."
        )
    unfinished.rename(archive)


def _fit_for_a_file_system(folder: Path) -> bool:
    """Whether a folder in memory has room, and allows device files and programs (a Debian tree needs both)."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return False
    forbidden = os.ST_NODEV | os.ST_NOEXEC
    return not status.f_flag & forbidden and status.f_bavail * status.f_frsize > 2 * 1024**3


def _host_apt(folder: Path) -> tuple[Path, Path]:
    """This machine's own apt sources of the release, and its settings for fetching, as two files."""
    sources, options = folder / "debian.sources", folder / "90host"
    if not sources.exists():
        stanzas = debian_stanzas(
            [*Path("/etc/apt").glob("sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
        )
        if not stanzas:
            raise WorldError(
                f"no source of Debian {RELEASE} (main) is configured under /etc/apt; the root file system comes "
                "from there. Add one, or name an image of Debian 12 in ROLLOUT_BASE_IMAGE."
            )
        sources.write_text("\n\n".join(stanzas) + "\n")
        dumped = subprocess.run(
            ["apt-config", "dump", "--no-empty", "Acquire"], capture_output=True, text=True, check=True
        )
        options.write_text("".join(f"{line}\n" for line in dumped.stdout.splitlines() if '"' in line))
    return sources, options


def debian_stanzas(files: list[Path]) -> list[str]:
    """Debian's own sources of the release among apt's source files, all in deb822 style."""
    stanzas = []
    for path in files:
        if path.suffix == ".sources":
            found = [block for block in re.split(r"\n\s*\n", path.read_text()) if block.strip()]
        elif path.suffix == ".list":
            found = [stanza for line in path.read_text().splitlines() if (stanza := _from_one_line(line))]
        else:
            continue
        stanzas += [block.strip() for block in found if _is_debians(block)]
    return stanzas


def _from_one_line(line: str) -> str | None:
    match = re.match(
        r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>[^#]+)", line.strip()
    )
    if match is None:
        return None
    lines = [
        "Types: deb",
        f"URIs: {match['uri']}",
        f"Suites: {match['suite']}",
        f"Components: {match['components'].strip()}",
    ]
    for option in (match["options"] or "").split():
        key, _, value = option.partition("=")
        lines.append(f"{key.title()}: {value.replace(',', ' ')}")
    return "\n".join(lines)


def _is_debians(stanza: str) -> bool:
    fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, flags=re.MULTILINE))
    fields = {key.lower(): value.split() for key, value in fields.items()}
    return (
        "deb" in fields.get("types", [])
        and set(fields.get("suites", [])) <= SUITES
        and "main" in fields.get("components", [])
        and fields.get("enabled", ["yes"]) != ["no"]
    )


def _apt_mounts(folder: Path) -> list[str]:
    """While an image is built it sees this machine's apt sources; an image from a registry has its own."""
    if os.environ.get("ROLLOUT_BASE_IMAGE"):
        return []
    sources, options = _host_apt(folder)
    return [
        "--volume", f"{sources}:/etc/apt/sources.list.d/host.sources:ro",
        "--volume", f"{options}:/etc/apt/apt.conf.d/90host:ro",
    ]  # fmt: skip


# --- build contexts -------------------------------------------------------------------------------------------------


def _base_context(context: Path) -> Path:
    shutil.copytree(IMAGES / "base", context / "base", ignore=shutil.ignore_patterns("Containerfile"))
    return context


def _game_context(context: Path) -> Path:
    """System files, Lua interpreters, the engine, and et's home."""
    shutil.copytree(IMAGES / "et-server" / "rootfs", context / "rootfs", ignore=NOT_COPIED)
    shutil.copy(IMAGES / "et-server" / "packages.txt", context / "packages.txt")
    _copy_lupa(context / "lupa")
    package = context / "engine" / "python_checks"
    shutil.copytree(ROOT / "python_checks" / "engine", package / "engine", ignore=NOT_COPIED)
    shutil.copy(ROOT / "python_checks" / "__init__.py", package / "__init__.py")
    home = context / "home"
    for name in HOME_FOLDERS:
        (home / name).mkdir(parents=True)
    shutil.copytree(HERE / "et_server" / "lua", home / INSTALL_DIR / "legacy", ignore=NOT_DEPLOYED, dirs_exist_ok=True)
    shutil.copy(IMAGES / "et-server" / "etlded.x86_64", home / INSTALL_DIR)
    _place_scripts(HERE / "et_server" / "scripts", context)
    return context


def _place_scripts(source: Path, context: Path) -> None:
    """start.sh lies in et's home, configuration in the install dir, the rest in scripts/."""
    home = context / "home"
    places = {
        "start.sh": home / "start.sh",
        "crontab": context / "rootfs" / "usr" / "local" / "lib" / "world" / "et.crontab",
        "et-stats-webhook.service": context / "rootfs" / "etc" / "systemd" / "system" / "et-stats-webhook.service",
    }
    for path in sorted(path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        name = path.relative_to(source)
        target = places.get(str(name)) or (home / INSTALL_DIR if name.parts[0] == "etmain" else home / "scripts") / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def _copy_lupa(target: Path) -> None:
    """The Lua interpreters of the controller's environment: the containers have no package index."""
    found = importlib.util.find_spec("lupa")
    if found is None or found.origin is None:
        raise WorldError(
            "the Python package lupa is missing in this environment. Run `make setup`, then use .venv/bin/python."
        )
    shutil.copytree(Path(found.origin).parent, target / "lupa", ignore=NOT_COPIED)


def _stats_context(context: Path) -> Path:
    """System files, the database's schema, and the bot's tree."""
    shutil.copytree(IMAGES / "slomix-vm" / "rootfs", context / "rootfs", ignore=NOT_COPIED)
    content = HERE / "slomix_vm"
    shutil.copy(content / "debian-packages.txt", context / "packages.txt")
    shutil.copy(content / "schema.sql", context / "schema.sql")
    shutil.copytree(
        content / "opt_slomix",
        context / "opt_slomix",
        ignore=shutil.ignore_patterns("__pycache__", "*.pyc", "venv-*"),
        symlinks=True,
    )
    shutil.copytree(content / "units", context / "units", ignore=NOT_COPIED)
    return context
