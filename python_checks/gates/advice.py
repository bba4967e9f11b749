"""What to do next, as text: commands inside a sentence are found, completed for a site, and kept whole on the screen.

Gates, findings and refusals name commands without a site, since they know none:
``ansible-playbook playbooks/gate.yml -e phase=1``.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

_WORD = r"(?:'[^']*'|[^\s'\";,()]*[^\s'\";,().:])"
COMMAND = re.compile(
    rf"ansible-playbook(?: -i {_WORD})* playbooks/\w+\.yml(?: --\w+| -e {_WORD})*"
    rf"|rollout (?:evidence \w+|gate \d+|log|status)(?: (?:-i|--evidence) {_WORD})*"
)
_PLAYBOOK = re.compile(r"playbooks/(\w+)\.yml")
# Playbooks that take the site's lock, and so can push a stale one aside.
_LOCKING = re.compile(r"phase\d+|rollback|migrate|migrate_rollback")


@dataclass(frozen=True)
class Place:
    """How the site was named on the command line, and so must be named on the next one; ``lock`` is a stale holder."""

    inventory: Sequence[str] = ()
    evidence: str = ""
    lock: str = ""


def parts(text: str) -> list[str]:
    """The sentences of an advice, each once: several checks that ask for the same are answered by doing it once."""
    return list(dict.fromkeys(part for part in text.split("; ") if part))


def placed(text: str, place: Place) -> str:
    """``text`` with each command completed so that it can be copied: ``-i INVENTORY``, the evidence's folder, the stale
    lock's name."""
    return COMMAND.sub(lambda match: _placed(match.group(0), place), text)


def _placed(command: str, place: Place) -> str:
    inventory = "".join(f" -i {shlex.quote(path)}" for path in place.inventory)
    playbook = _PLAYBOOK.search(command)
    if playbook is None:
        return command + (f" --evidence {shlex.quote(place.evidence)}" if place.evidence else inventory)
    lock = f" -e break_lock={place.lock}" if place.lock and _LOCKING.fullmatch(playbook[1]) else ""
    return command.replace("ansible-playbook", f"ansible-playbook{inventory}", 1) + lock


def lines(text: str, width: int, indent: int) -> list[str]:
    """``next: …`` in lines of ``width``. A command stands on a line of its own and is never broken or cut, so that it can
    be copied; that line alone may be wider."""
    made: list[str] = []
    first, rest = " " * indent + "next: ", " " * (indent + 6)
    end = 0
    for match in [*COMMAND.finditer(text), None]:
        words = text[end : match.start() if match else len(text)].strip(" ;,:" if end else " ;")
        if match and words in ("run", "by"):
            words = ""
        made += textwrap.wrap(words, width, initial_indent=rest if made else first, subsequent_indent=rest)
        if match:
            made.append((rest if made else first) + match.group(0))
            end = match.end()
    return made
