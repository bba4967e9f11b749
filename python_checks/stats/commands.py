"""``rollout stats header | parse | check | newest``: what a stats file says, and whether it can be true;
``probe | replay``: what a site's own parser makes of it. They only read."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ansible_collections.slomix.timetracking.plugins.module_utils.stats_checks import Checked, Gametime

OK, NO, UNJUDGED = 0, 1, 2


def register(commands: Any) -> None:
    """Add the subcommands of this group."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--format", choices=("text", "json"), default="text", help="for people (text) or for programs")
    group = commands.add_parser("stats", help="read, check and find stats files").add_subparsers(
        metavar="ACTION", required=True
    )
    one = group.add_parser(
        "header",
        parents=[common],
        help="the typed header of one file",
        description="Exit code: 0 a round header, 1 not one, 2 the file cannot be read.",
    )
    one.add_argument("file", type=Path, metavar="FILE")
    one.set_defaults(run=_header)
    one = group.add_parser(
        "parse",
        parents=[common],
        help="header and players with named fields and units",
        description="Exit code: 0 a complete round file, 1 not one, 2 a file cannot be read.",
    )
    one.add_argument("file", type=Path, metavar="FILE")
    one.add_argument("--first", type=Path, metavar="R1", help="the R1 of an R2: also show what happened in R2 alone")
    one.set_defaults(run=_parse)
    one = group.add_parser(
        "check",
        parents=[common],
        help="what must hold in every round, each violation with its numbers",
        description="Exit code: 0 clean, 1 violations, 2 something could not be judged.",
    )
    one.add_argument(
        "paths", type=Path, nargs="+", metavar="FILE|DIR", help="of a folder, its round files at any depth"
    )
    one.add_argument("--gametimes", type=Path, metavar="DIR", help="compare with the gametime files of this folder")
    one.add_argument("--timezone", metavar="NAME", help="the game server's time zone, such as Europe/Berlin")
    one.set_defaults(run=_check)
    one = group.add_parser(
        "newest",
        parents=[common],
        help="the newest complete round file of a folder",
        description="Exit code: 0 found, 1 there is none, 2 the folder cannot be read.",
    )
    one.add_argument("folder", type=Path, metavar="DIR")
    one.add_argument("--settle", type=_seconds, default=1.0, metavar="SECONDS", help="between the two reads (1)")
    one.set_defaults(run=_newest)
    parsers = argparse.ArgumentParser(add_help=False)
    parsers.add_argument("--python", metavar="PROGRAM", help="the interpreter to run a parser with (this one)")
    parsers.add_argument(
        "--root", type=Path, action="append", default=[], metavar="DIR", help="a folder that parsers may import from"
    )
    parsers.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS", help="for one parser's run (120)")
    one = group.add_parser(
        "probe",
        parents=[common, parsers],
        help="what a site's parser makes of field 9",
        description="Runs the parser (a class or function with parse_stats_file) in a process of its own, without"
        " network. Exit code: 0 it reads milliseconds and takes no other value for one, 1 it does not, 2 it could not"
        " be tried.",
    )
    one.add_argument("parser", type=Path, metavar="PARSER.py")
    one.set_defaults(run=_probe)
    one = group.add_parser(
        "replay",
        parents=[common, parsers],
        help="the rows of two parsers, compared on stored files",
        description="8-field files must give equal rows, 9-field files may differ in what follows from field 9. Exit"
        " code: 0 so it is, 1 it is not, 2 it could not be tried.",
    )
    one.add_argument("--before", type=Path, required=True, metavar="P1", help="the parser as it was")
    one.add_argument("--after", type=Path, required=True, metavar="P2", help="the changed one")
    one.add_argument(
        "paths", type=Path, nargs="+", metavar="FILE|DIR", help="of a folder, its round files at any depth"
    )
    one.set_defaults(run=_replay)


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 60:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 60 seconds")
    return number


def _header(arguments: argparse.Namespace) -> int:
    from ansible_collections.slomix.timetracking.plugins.module_utils import stats_file, stats_folder

    read = stats_folder.read_file(str(arguments.file))
    if read.error:
        return _unreadable(arguments, f"{arguments.file} {read.error}")
    stats = stats_file.parse_stats(read.data)
    header = stats.header
    if header is None:
        _show(arguments, {"file": str(arguments.file), "header": False, "reason": stats.reason})
        return NO
    _show(
        arguments,
        {
            "file": str(arguments.file),
            "header": True,
            **header.as_dict(),
            "complete": stats.complete,
            "why_incomplete": stats.why_incomplete,
        },
    )
    return OK


def _parse(arguments: argparse.Namespace) -> int:
    from ansible_collections.slomix.timetracking.plugins.module_utils import stats_file, stats_folder

    reads = [stats_folder.read_file(str(path)) for path in (arguments.file, arguments.first) if path]
    for path, read in zip((arguments.file, arguments.first), reads, strict=False):
        if read.error:
            return _unreadable(arguments, f"{path} {read.error}")
    stats = stats_file.parse_stats(reads[0].data)
    body = {"file": str(arguments.file), **stats.as_dict()}
    halves: list[stats_file.HalfPlayer] = []
    if arguments.first:
        first = stats_file.parse_stats(reads[1].data)
        rounds = [one.header.round if one.header else None for one in (first, stats)]
        if rounds != [1, 2] or not first.complete:
            why = first.why_incomplete or f"the rounds are {rounds[0]} and {rounds[1]}, required are 1 and 2"
            return _unreadable(arguments, f"{arguments.first} is not the R1 of {arguments.file}: {why}")
        halves = stats_file.second_half(first, stats)
        body["second_half"] = [
            {
                "guid": half.player.guid,
                "plain_name": half.player.plain_name,
                "how": half.how,
                "dropped": list(half.dropped),
                "time_played_s": half.time_played_s,
                "fields": half.fields,
                "weapons": {name: weapon._asdict() for name, weapon in half.weapons.items()},
            }
            for half in halves
        ]
    if arguments.format == "json":
        print(json.dumps(body, indent=2))
    else:
        print("\n".join(_file_lines(stats, halves)))
    return OK if stats.complete else NO


def _file_lines(stats: Any, halves: list[Any]) -> list[str]:
    from ansible_collections.slomix.timetracking.plugins.filter.rows_table import rows_table
    from ansible_collections.slomix.timetracking.plugins.module_utils.stats_file import FIELDS, TEAMS

    lines = _lines(stats.header.as_dict()) if stats.header else [f"no round file: {stats.reason}"]
    alone = {half.player.line: half for half in halves}
    for player in stats.players:
        lines += ["", f"{player.guid} {player.plain_name!r}, {TEAMS[player.team]}, rounds {player.rounds}"]
        rows = [{"weapon": name, **weapon._asdict()} for name, weapon in player.weapons.items()]
        lines += ["  " + line for line in rows_table(rows)]
        half = alone.get(player.line)
        if half is not None:
            lines.append(f"  R2 alone: {half.how}{' ' + ', '.join(half.dropped) if half.dropped else ''}")
        for one in FIELDS:
            value = player.fields[one.name]
            text = f"  {one.name:24}{'unknown' if value is None else value} {one.unit} ({one.span})"
            lines.append(text if half is None else f"{text}; in R2 {half.fields[one.name]}")
    lines += [f"line {one.line}: {one.text}" for one in stats.problems]
    return lines


def _check(arguments: argparse.Namespace) -> int:
    from zoneinfo import ZoneInfo

    from ansible_collections.slomix.timetracking.plugins.module_utils import stats_checks

    gametimes: list[Gametime] | None = None
    unjudged: list[str] = []
    zone = None
    if arguments.timezone:
        try:
            zone = ZoneInfo(arguments.timezone)
        except (OSError, ValueError, KeyError):
            return _unreadable(arguments, f"{arguments.timezone!r} is no time zone; name one such as Europe/Berlin")
    if arguments.gametimes:
        try:
            gametimes, unjudged = _gametimes(arguments.gametimes)
        except OSError as error:
            return _unreadable(arguments, f"{arguments.gametimes} cannot be listed: {error.strerror}")
    results: list[Checked] = []
    skipped: dict[str, int] = {}
    for folder, names in _by_folder(arguments.paths, skipped, unjudged).items():
        files, bad = _round_files(folder, names)
        unjudged += bad
        done = stats_checks.check_folder(files, gametimes, zone, [name for name in names if name in files])
        results += done
    violations = sum(len(one.violations) for one in results)
    unclear = sum(len(one.unjudged) for one in results) + len(unjudged)
    code = NO if violations else UNJUDGED if unclear or not results else OK
    if not results and not unjudged:
        unjudged.append("no round file was found, so nothing was checked")
    verdict = {OK: "clean", NO: "violations", UNJUDGED: "unjudged"}[code]
    if arguments.format == "json":
        body = {
            "verdict": verdict,
            "files": [one.as_dict() for one in results],
            "unjudged": unjudged,
            "skipped": skipped,
        }
        print(json.dumps(body, indent=2))
        return code
    for one in results:
        print(f"{one.name}: {one.verdict}")
        for text in [
            *(f"{found.rule}: {found.text}" for found in one.violations),
            *(f"not judged: {why}" for why in one.unjudged),
            *(f"note: {note}" for note in one.notes),
        ]:
            print(f"  {text}")
    for why in unjudged:
        print(f"not judged: {why}")
    passed_over = "".join(f", {count} {kind} passed over" for kind, count in sorted(skipped.items()))
    print(f"{verdict}: {len(results)} files, {violations} violations, {unclear} not judged{passed_over}")
    return code


def _by_folder(paths: list[Path], skipped: dict[str, int], unjudged: list[str]) -> dict[Path, list[str]]:
    """The files to check per folder, those below it included; a folder's siblings are counted in ``skipped``, a named
    sibling is not judged. A pair of halves is looked for in one folder only."""
    from ansible_collections.slomix.timetracking.plugins.module_utils import stats_folder, stats_names

    wanted: dict[Path, list[str]] = {}
    for path in paths:
        if not path.is_dir():
            kind = stats_names.parse_name(path.name).kind
            if kind in (stats_names.ROUND, stats_names.OTHER):
                wanted.setdefault(path.parent, []).append(path.name)
            else:
                unjudged.append(f"{path} is no round file but of the kind {kind}")
            continue
        for folder in _folders(path, unjudged):
            try:
                names = stats_folder.list_files(str(folder))
            except OSError as error:
                unjudged.append(f"{folder} cannot be listed: {error.strerror}")
                continue
            for name in names:
                kind = stats_names.parse_name(name).kind
                if kind == stats_names.ROUND:
                    wanted.setdefault(folder, []).append(name)
                else:
                    skipped[kind] = skipped.get(kind, 0) + 1
    return {folder: list(dict.fromkeys(names)) for folder, names in wanted.items()}


def _folders(top: Path, unjudged: list[str]) -> list[Path]:
    """A folder and those below it, sorted; links are not followed, and what cannot be entered is not judged."""
    found = []

    def closed(error: OSError) -> None:
        if error.filename != str(top):  # the top is listed again, and told there
            unjudged.append(f"{error.filename} cannot be listed: {error.strerror}")

    for here, below, _ in os.walk(top, onerror=closed):
        below.sort()
        found.append(Path(here))
    return found or [top]


def _round_files(folder: Path, names: list[str]) -> tuple[dict[str, bytes], list[str]]:
    """Bytes of the named files, and of the folder's R1 files that a named R2 may need; plus what cannot be read."""
    from ansible_collections.slomix.timetracking.plugins.module_utils import stats_folder, stats_names

    parsed = [stats_names.parse_name(name) for name in names]
    needed = set(names)
    if any(one.round == 2 for one in parsed):
        try:
            around = [stats_names.parse_name(name) for name in stats_folder.list_files(str(folder))]
        except OSError:
            around = []  # the named files themselves are then reported as unreadable
        firsts = stats_names.first_halves(around)
        found = [stats_names.first_half_of(one, firsts.get(one.map, ())) for one in parsed]
        needed |= {first.name for first in found if first is not None}
    reads = {name: stats_folder.read_file(str(folder / name)) for name in sorted(needed)}
    bad = [f"{folder / name} {reads[name].error}" for name in names if reads[name].error]
    return {name: read.data for name, read in reads.items() if not read.error}, bad


def _gametimes(folder: Path) -> tuple[list[Gametime], list[str]]:
    """The gametimes of a folder, and what cannot be read; raises OSError when it cannot be listed."""
    from ansible_collections.slomix.timetracking.plugins.module_utils import stats_checks, stats_folder, stats_names

    found, bad = [], []
    for name in stats_folder.list_files(str(folder)):
        if stats_names.parse_name(name).kind != stats_names.GAMETIME:
            continue
        read = stats_folder.read_file(str(folder / name))
        gametime, why = (None, f"{name} {read.error}") if read.error else stats_checks.parse_gametime(name, read.data)
        if gametime is None:
            bad.append(why)
        else:
            found.append(gametime)
    return found, bad


def _newest(arguments: argparse.Namespace) -> int:
    from ansible_collections.slomix.timetracking.plugins.module_utils import stats_folder

    try:
        newest = stats_folder.newest_round(str(arguments.folder), arguments.settle)
    except OSError as error:
        return _unreadable(arguments, f"{arguments.folder} cannot be listed: {error.strerror}")
    if arguments.format == "json":
        print(json.dumps(newest.as_dict(), indent=2))
    else:
        for name, reason in newest.skipped:
            print(f"passed over {name}: {reason}")
        for doubt in newest.doubts:
            print(f"doubt: {doubt}")
        others = ", ".join(f"{count} {kind}" for kind, count in sorted(newest.counts.items())) or "no files"
        print(arguments.folder / newest.found.name if newest.found else f"no complete round file ({others})")
    return OK if newest.found else NO


def _probe(arguments: argparse.Namespace) -> int:
    from python_checks.stats.probe import probe
    from python_checks.stats.replay import ParserFailed

    try:
        found = probe(arguments.parser, **_runner_options(arguments))
    except (ParserFailed, OSError) as error:
        return _unreadable(arguments, str(error))
    if arguments.format == "json":
        print(json.dumps(found.as_dict(), indent=2))
    else:
        print(f"{found.parser} of {arguments.parser}: field 9 is read as: {found.reads}")
        print("\n".join(f"  {text}" for text in found.evidence))
        print("\n".join(f"  fault: {text}" for text in found.faults), end="\n" if found.faults else "")
        if found.stand_ins:
            print(f"  missing here, replaced by nothing: {', '.join(found.stand_ins)}")
    return OK if found.right else NO


def _replay(arguments: argparse.Namespace) -> int:
    from python_checks.stats.replay import ParserFailed, replay

    unjudged: list[str] = []
    skipped: dict[str, int] = {}
    files = [
        folder / name for folder, names in _by_folder(arguments.paths, skipped, unjudged).items() for name in names
    ]
    if unjudged or not files:
        return _unreadable(arguments, "; ".join(unjudged) or "no round file was found, so nothing was compared")
    try:
        report = replay(arguments.before, arguments.after, files, **_runner_options(arguments))
    except (ParserFailed, OSError) as error:
        return _unreadable(arguments, str(error))
    if arguments.format == "json":
        print(json.dumps({**report.as_dict(), "skipped": skipped}, indent=2))
    else:
        print("\n".join(_replay_lines(report)))
    return NO if report.refused else OK


def _replay_lines(report: Any) -> list[str]:
    from ansible_collections.slomix.timetracking.plugins.filter.rows_table import rows_table

    def name_of(path: str) -> str:
        return path.rsplit(".", 1)[-1]

    rows: dict[tuple[bool, str], dict[str, Any]] = {}
    for one in report.differences:
        row = rows.setdefault(
            (one.allowed, name_of(one.path)),
            {
                "differs": name_of(one.path),
                "times": 0,
                "allowed": one.allowed,
                "first in": one.file,
                "before": str(one.before)[:40],
                "after": str(one.after)[:40],
                "rule": one.why,
            },
        )
        row["times"] += 1
    lines = rows_table([rows[key] for key in sorted(rows)]) if rows else []
    counted = ", ".join(f"{count} of {fields} fields" for fields, count in sorted(report.files.items()))
    refused = f"{len(report.refused)} differences that no rule allows" if report.refused else "nothing else differs"
    total = sum(report.files.values())
    return [*lines, f"{total} files ({counted}), {report.equal} equal, {report.failed} read by neither; {refused}"]


def _runner_options(arguments: argparse.Namespace) -> dict[str, Any]:
    options: dict[str, Any] = {"roots": arguments.root, "timeout_s": arguments.timeout}
    return {**options, "python": arguments.python} if arguments.python else options


def _show(arguments: argparse.Namespace, body: dict[str, Any]) -> None:
    print(json.dumps(body, indent=2) if arguments.format == "json" else "\n".join(_lines(body)))


def _lines(body: dict[str, Any]) -> list[str]:
    """Name and value per line; unknown where there is none. Bytes that a terminal obeys are shown escaped."""
    return [f"{name:20}{'unknown' if value is None else _plain(value)}" for name, value in body.items()]


def _plain(value: Any) -> str:
    text = "; ".join(map(str, value)) if isinstance(value, list) else str(value)
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _unreadable(arguments: argparse.Namespace, why: str) -> int:
    _show(arguments, {"error": why})
    return UNJUDGED
