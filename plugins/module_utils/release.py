"""Plan the deployment and the restoration of one file as content-addressed releases; pure: what is on disk comes in,
steps go out.

On the host, ``<store>/<name>/`` holds ``<sha256>/{file,manifest.json}`` per release and ``journal.json``: the target,
the original (the bytes found before the first change), the current and the previous release, and an intent while a
switch is under way. A switch is: note the intent, stage beside the target, rename, note the end. Wherever it is
interrupted, the next plan sees either the old or the new bytes at the target and goes on from there. Bytes that are
neither recorded nor wished are a hand edit: refused, never overwritten. A release is chosen by its digest, never by a
file's time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple, Union

DEPLOYED = "deployed"
RESTORED = "restored"
ADOPTED = "adopted"
CANDIDATE = "candidate"
ENGINE_FILE_LIMIT_BYTES = 1024 * 1024
"""The engine loads no Lua file larger than this (engine.md)."""


class Refused(Exception):
    """The plan would do harm or cannot know; the message says what was found, what is required and what to do next."""


@dataclass(frozen=True)
class FileState:
    """One regular file: digests in lower-case hex, ``mode`` the permission bits."""

    sha256: str
    sha1: str
    size: int
    mode: int
    uid: int
    gid: int


@dataclass(frozen=True)
class Release:
    """A stored file with its manifest. ``stored_at_unix`` orders releases for retention only."""

    file: FileState
    origin: str
    stored_at_unix: int = 0
    made_from: str = ""
    recipes: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Journal:
    """What the rollout knows about the target; references are SHA-256 digests, ``wish`` is the last one fulfilled.

    The wish matters where the original was right already: deployed and restored are then the same bytes.
    """

    target: str
    original: str
    current: str
    wish: str = DEPLOYED
    previous: str = ""
    pending_release: str = ""
    pending_from: str = ""


@dataclass(frozen=True)
class World:
    """What is on the host. ``litter``: stage files and half-made releases; ``damaged``: releases whose bytes do not
    match."""

    target: str
    on_disk: Optional[FileState]
    journal: Optional[Journal] = None
    releases: Mapping[str, Release] = field(default_factory=dict)
    litter: Tuple[str, ...] = ()
    damaged: Tuple[str, ...] = ()
    obstacle: str = ""
    """Why the target cannot be replaced with owner and mode kept; empty when it can."""
    source_variable: str = "lua_release_source"
    """The playbook's variable that names a file to deploy in place of the target's own bytes."""


@dataclass(frozen=True)
class RemoveLitter:
    """Remove one leftover of an interrupted run."""

    path: str


@dataclass(frozen=True)
class StoreRelease:
    """Store a release; its bytes come from the target (adopted) or from the controller (candidate)."""

    release: Release


@dataclass(frozen=True)
class WriteJournal:
    """Replace the journal; ``stamped`` adds the time and the console's cursor (the switch is over)."""

    journal: Journal
    stamped: bool


@dataclass(frozen=True)
class Stage:
    """Write a stored release beside the target, synced, verified, with mode and owner."""

    file: FileState


@dataclass(frozen=True)
class Switch:
    """Rename the staged file onto the target, if the target still holds ``expected``."""

    expected: str
    file: FileState


@dataclass(frozen=True)
class Prune:
    """Remove a release that nothing refers to."""

    sha256: str


Step = Union[RemoveLitter, StoreRelease, WriteJournal, Stage, Switch, Prune]


@dataclass(frozen=True)
class Plan:
    """The steps in order, their sentences, the world afterwards, and whether the target's file is replaced."""

    steps: Tuple[Step, ...]
    actions: Tuple[str, ...]
    after: World
    replaces_target: bool


def plan_deploy(
    world: World, content: FileState, made_from: str, recipes: Tuple[str, ...], keep: int, from_target: bool = False
) -> Plan:
    """Make ``content`` (digests and size; mode and owner are taken from the target) the file at the target.

    ``from_target``: the content was made from the target's own bytes. It then holds any hand edit and would always be
    what is wished, so an edit is refused here as well.
    """
    disk = _required_on_disk(world)
    if content.size == 0 or content.size > ENGINE_FILE_LIMIT_BYTES:
        raise Refused(
            f"the candidate has {content.size} bytes; required are 1 to {ENGINE_FILE_LIMIT_BYTES} (the engine loads no"
            " larger file); look at how it was built"
        )
    if from_target and world.journal is not None and drift(world):
        raise Refused(drift(world))
    file = replace(content, mode=disk.mode, uid=disk.uid, gid=disk.gid)
    wish = world.releases.get(content.sha256) or Release(file, CANDIDATE, 0, made_from, tuple(recipes))
    return _plan(world, disk, replace(wish, file=file), DEPLOYED, keep)


def plan_restore(world: World, which: str, keep: int, missing_ok: bool = False) -> Plan:
    """Make the recorded release ``which`` (a SHA-256 or ``original``) the file at the target, with its mode and
    owner.

    ``missing_ok``: the step is known never to have acted here (a run may have been killed before it did). What is on
    disk is then the original; it is recorded as such, and left-overs are removed.
    """
    disk = _required_on_disk(world)
    if world.journal is None and missing_ok and which == "original":
        return _plan(world, disk, Release(disk, ADOPTED), RESTORED, keep)
    if world.journal is None:
        raise Refused(f"nothing is recorded for {world.target}, so there is nothing to restore; deploy first")
    sha256 = world.journal.original if which == "original" else which
    if sha256 in world.damaged:
        raise Refused(f"the bytes of release {sha256} no longer match its digest; name another of {_known(world)}")
    if sha256 not in world.releases and sha256 == disk.sha256:
        # On disk already, as after ``renewed``: it only has to be stored.
        return _plan(world, disk, Release(disk, ADOPTED), RESTORED, keep)
    if sha256 not in world.releases:
        raise Refused(f"release {which} is not stored for {world.target}; stored are {_known(world)}")
    return _plan(world, disk, world.releases[sha256], RESTORED, keep)


def _required_on_disk(world: World) -> FileState:
    if world.on_disk is None:
        raise Refused(
            f"there is no regular file at {world.target}, required is the file that the server runs; name the right"
            " path (a copy in the homepath shadows the one in the install directory)"
        )
    return world.on_disk


def _known(world: World) -> str:
    return ", ".join(sorted(world.releases)) or "none"


def settled(world: World) -> Journal:
    """The journal with an interrupted switch decided by what is on disk; without a journal, the disk is the
    original."""
    disk = _required_on_disk(world)
    journal = world.journal
    if journal is None:
        return Journal(world.target, disk.sha256, disk.sha256)
    if journal.target != world.target:
        raise Refused(
            f"the recorded releases belong to {journal.target}, but the file that runs is {world.target}; roll back"
            " there first, or remove the copy that appeared"
        )
    if journal.pending_release and disk.sha256 == journal.pending_release:
        return _moved(journal, journal.pending_release)
    return replace(journal, pending_release="", pending_from="")


def _moved(journal: Journal, sha256: str) -> Journal:
    previous = journal.previous if journal.current == sha256 else journal.current
    return replace(journal, current=sha256, previous=previous, pending_release="", pending_from="")


def drift(world: World) -> str:
    """Why the bytes at the target are not the recorded ones; empty when they are (or when nothing is recorded yet)."""
    disk = _required_on_disk(world)
    recorded = settled(world).current
    if disk.sha256 == recorded:
        return ""
    return (
        f"{world.target} holds {disk.sha256}, recorded is {recorded}: somebody changed it by hand; put the recorded"
        " bytes back (they are in the release store), or, to keep the edit, copy the edited"
        f" file to the controller and name it with -e {world.source_variable}=FILE"
    )


def renewed(world: World) -> World:
    """The world in which the bytes on disk are the original: for a file that a newer version legitimately replaced.

    What was recorded about the older version ends there; its releases stay in the store.
    """
    disk = _required_on_disk(world)
    if world.journal is None:
        return world
    return replace(world, journal=Journal(world.target, disk.sha256, disk.sha256, previous=settled(world).current))


def _plan(world: World, disk: FileState, wish: Release, kind: str, keep: int) -> Plan:
    settled_journal = settled(world)
    same = disk.sha256 == wish.file.sha256
    if not same and drift(world):
        raise Refused(drift(world))
    replaces = disk != wish.file
    if replaces and world.obstacle:
        raise Refused(world.obstacle)
    steps: List[Step] = [RemoveLitter(path) for path in world.litter]
    if disk.sha256 not in world.releases:
        steps.append(StoreRelease(Release(disk, ADOPTED)))
    if not same and wish.file.sha256 not in world.releases:
        steps.append(StoreRelease(wish))
    final = replace(_moved(settled_journal, wish.file.sha256), wish=kind)
    if replaces:
        intent = replace(settled_journal, pending_release=wish.file.sha256, pending_from=disk.sha256)
        if intent != world.journal:
            steps.append(WriteJournal(intent, stamped=False))
        steps += [Stage(wish.file), Switch(disk.sha256, wish.file), WriteJournal(final, stamped=True)]
    elif final != world.journal:
        # Only an intent that never came to its switch leaves the recorded time and cursor valid.
        moved = world.journal is None or world.journal.current != final.current
        steps.append(WriteJournal(final, stamped=moved))
    after = world
    for step in steps:
        after = apply(after, step)
    for sha256 in surplus(after, keep):
        steps.append(Prune(sha256))
        after = apply(after, steps[-1])
    return Plan(tuple(steps), tuple(sentence(step, world) for step in steps), after, replaces)


def surplus(world: World, keep: int) -> List[str]:
    """The releases beyond ``keep``, oldest first; never the current, the previous or the original one."""
    if world.journal is None:
        return []
    journal = world.journal
    pinned = {journal.current, journal.previous, journal.original, journal.pending_release, journal.pending_from}
    free = [sha256 for sha256 in world.releases if sha256 not in pinned]
    free.sort(key=lambda sha256: (world.releases[sha256].stored_at_unix, sha256))
    room = max(0, keep - len(pinned & set(world.releases)))
    return free[: max(0, len(free) - room)]


def apply(world: World, step: Step) -> World:
    """The world after ``step``: the prediction that check mode reports."""
    if isinstance(step, RemoveLitter):
        return replace(world, litter=tuple(path for path in world.litter if path != step.path))
    if isinstance(step, StoreRelease):
        sha256 = step.release.file.sha256
        return replace(
            world,
            releases={**world.releases, sha256: step.release},
            damaged=tuple(name for name in world.damaged if name != sha256),
        )
    if isinstance(step, WriteJournal):
        return replace(world, journal=step.journal)
    if isinstance(step, Stage):
        return replace(world, litter=(*world.litter, "stage"))
    if isinstance(step, Switch):
        return replace(world, on_disk=step.file, litter=tuple(path for path in world.litter if path != "stage"))
    return replace(world, releases={name: kept for name, kept in world.releases.items() if name != step.sha256})


def sentence(step: Step, world: World) -> str:
    """What ``step`` does, as a sentence."""
    if isinstance(step, RemoveLitter):
        return f"remove the leftover {step.path} of an interrupted run"
    if isinstance(step, StoreRelease):
        kind = "the bytes found at the target" if step.release.origin == ADOPTED else "the candidate"
        return f"store {kind} as release {step.release.file.sha256}"
    if isinstance(step, WriteJournal):
        if step.journal.pending_release:
            return f"note the intent to put release {step.journal.pending_release} in place"
        return f"record release {step.journal.current} as current"
    if isinstance(step, Stage):
        return f"stage release {step.file.sha256} beside {world.target}"
    if isinstance(step, Switch):
        return f"rename the staged release {step.file.sha256} onto {world.target}"
    return f"remove the old release {step.sha256}"


def view(world: World) -> Dict[str, Any]:
    """The shape of ``before`` and ``after``: comparable between a prediction and a reading, so without times."""
    disk, journal = world.on_disk, world.journal
    return {
        "target": world.target,
        "sha256": disk.sha256 if disk else "",
        "sha1": disk.sha1 if disk else "",
        "size": disk.size if disk else 0,
        "mode": f"{disk.mode:04o}" if disk else "",
        "uid": disk.uid if disk else -1,
        "gid": disk.gid if disk else -1,
        "original": journal.original if journal else "",
        "current": journal.current if journal else "",
        "wish": journal.wish if journal else "",
        "previous": journal.previous if journal else "",
        "pending": journal.pending_release if journal else "",
        "releases": sorted(world.releases),
        "litter": sorted(world.litter),
    }


def journal_to_data(journal: Journal) -> Dict[str, str]:
    """The journal as plain data (``journal.json`` adds ``deployed_at_unix`` and ``cursor``)."""
    return {key: getattr(journal, key) for key in Journal.__dataclass_fields__}


def journal_from_data(data: Mapping[str, Any]) -> Journal:
    """The reverse; raises Refused when a field is missing or no text, so a broken journal is never taken for an empty
    one."""
    try:
        fields = {key: data[key] for key in Journal.__dataclass_fields__}
    except (KeyError, TypeError) as error:
        raise Refused(f"the release journal lacks {error}; restore it from a backup or the evidence") from None
    if not all(isinstance(value, str) for value in fields.values()):
        raise Refused("the release journal holds a field that is no text; restore it from a backup or the evidence")
    return Journal(**fields)


def manifest_to_data(name: str, target: str, release: Release) -> Dict[str, Any]:
    """The content of a release's ``manifest.json``."""
    file = release.file
    return {
        "name": name,
        "target": target,
        "sha256": file.sha256,
        "sha1": file.sha1,
        "size": file.size,
        "mode": f"{file.mode:04o}",
        "uid": file.uid,
        "gid": file.gid,
        "origin": release.origin,
        "made_from": release.made_from,
        "recipes": list(release.recipes),
        "stored_at_unix": release.stored_at_unix,
    }


def manifest_from_data(data: Mapping[str, Any]) -> Release:
    """The reverse; raises ValueError for a manifest that is incomplete."""
    try:
        file = FileState(
            str(data["sha256"]),
            str(data["sha1"]),
            int(data["size"]),
            int(data["mode"], 8),
            int(data["uid"]),
            int(data["gid"]),
        )
        recipes = tuple(str(item) for item in data["recipes"])
        return Release(file, str(data["origin"]), int(data["stored_at_unix"]), str(data["made_from"]), recipes)
    except (KeyError, TypeError) as error:
        raise ValueError(f"incomplete manifest: {error}") from None
