"""The mark on a host: real processes take it, race for it, die while they write it, and meet what cannot be used."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import host_lock, lock

from python_checks.gates import host_locking
from python_checks.tests.conftest import TARGET_PYTHON

FORK = multiprocessing.get_context("fork")


def mark(name: str = "run-1", controller: str = "desk", **more: Any) -> dict[str, Any]:
    return {"name": name, "controller": controller, "operator": "ana@desk", "purpose": "phase 1", "head": "", **more}


def holder(folder: Path) -> str:
    found = host_lock.look(str(folder))[0]
    return str(found["name"]) if found else ""


# --- who gets it --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "name", "expected"),
    [
        (None, "", ("taken", "")),
        (mark("run-2"), "", ("mine", "")),
        (mark("run-1"), "", ("taken", "ended")),
        (mark("run-1", "laptop"), "", ("held", "")),
        (mark("run-1", "laptop"), "run-0", ("held", "")),
        (mark("run-1", "laptop"), "run-1", ("taken", "broken")),
        ({"name": "unreadable", "controller": ""}, "", ("held", "")),
        ({"name": "unreadable", "controller": ""}, "unreadable", ("taken", "broken")),
    ],
)
def test_who_makes_way(there: Any, name: str, expected: tuple[str, str]) -> None:
    assert host_lock.decide(there, mark("run-2"), name) == expected


def test_a_process_that_outlived_its_killed_run_pushes_no_later_run_aside() -> None:
    """Began in that order on one boot of one machine; after a reboot the count begins anew and says nothing."""
    early, late = (mark(f"run-{n}", place={"boot": "b"}, process_ticks=n) for n in (1, 2))
    assert host_lock.decide(late, early) == ("held", "") and host_lock.decide(early, late) == ("taken", "ended")
    assert host_lock.decide({**late, "place": {"boot": "a"}}, early) == ("taken", "ended")


def test_nobody_without_a_controller_is_the_same_controller() -> None:
    nobody = {"name": "unreadable", "controller": ""}
    assert host_lock.decide(nobody, mark("run-2", ""))[0] == host_lock.HELD


def test_no_age_ends_a_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host_lock.take(str(tmp_path), mark("run-1", "laptop"))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 400 * 86400)
    found = host_lock.take(str(tmp_path), mark("run-2"))
    assert found["state"] == host_lock.HELD and found["held_s"] > 399 * 86400


def test_it_remembers_who_was_there_before(tmp_path: Path) -> None:
    folder = str(tmp_path / "site")
    first = host_lock.take(folder, mark("run-1", "laptop"))
    assert (first["state"], first["holder"], first["previous"]) == ("taken", None, None)
    assert host_lock.free(folder, "run-1")
    second = host_lock.take(folder, mark("run-2"))
    assert second["holder"] is None and second["previous"]["name"] == "run-1"
    again = host_lock.take(folder, mark("run-2"))
    assert again["state"] == "mine" and again["previous"]["name"] == "run-1"
    third = host_lock.take(folder, mark("run-3"))
    assert third["way"] == "ended" and third["previous"]["name"] == "run-2"


def test_it_is_freed_by_its_name_only(tmp_path: Path) -> None:
    host_lock.take(str(tmp_path), mark("run-1"))
    assert not host_lock.free(str(tmp_path), "run-2")
    assert holder(tmp_path) == "run-1"
    assert host_lock.free(str(tmp_path), "run-1") and not host_lock.free(str(tmp_path), "run-1")
    assert holder(tmp_path) == ""


def test_freeing_and_looking_leave_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "site"
    assert not host_lock.free(str(folder), "run-1") and host_lock.look(str(folder)) == (None, None)
    assert list(tmp_path.iterdir()) == []


def test_the_host_frees_itself_with_the_text_alone(tmp_path: Path) -> None:
    """What the controller sends over ssh: Debian's own Python, no collection, no environment."""
    host_lock.take(str(tmp_path), mark("run-1"))
    text = Path(host_lock.__file__).read_bytes()
    subprocess.run([TARGET_PYTHON, "-I", "-", str(tmp_path), "run-1"], input=text, env={}, check=True)
    assert holder(tmp_path) == ""


# --- the module -----------------------------------------------------------------------------------------------------------


def test_the_module_takes_it_once_and_check_mode_predicts(
    tmp_path: Path, run_module: Callable[..., dict[str, Any]]
) -> None:
    options = {"dir": str(tmp_path / "site"), "mark": mark("run-1")}
    foreign = {**options, "mark": mark("run-2", "laptop")}
    predicted = run_module("site_lock", options, check=True)
    assert list(tmp_path.iterdir()) == [], "check mode makes nothing"
    real = run_module("site_lock", options)
    for key in ("state", "way", "holder", "previous", "changed"):
        assert predicted[key] == real[key]
    assert (real["state"], real["changed"], real["dir"]) == ("taken", False, options["dir"])
    assert Path(real["python"]).name.startswith("python")
    before = (tmp_path / "site" / host_lock.FILE).stat()
    seen = run_module("site_lock", foreign, check=True)
    refused = run_module("site_lock", foreign)
    assert seen["state"] == refused["state"] == "held"
    assert refused["holder"]["name"] == "run-1" and refused["held_s"] >= 0
    broken = run_module("site_lock", {**foreign, "break_lock": "run-1"}, check=True)
    assert (broken["state"], broken["way"]) == ("taken", "broken")
    after = (tmp_path / "site" / host_lock.FILE).stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert (tmp_path / "site").stat().st_mode & 0o777 == 0o700


# --- two at once ----------------------------------------------------------------------------------------------------------


def contest(folder: Path, name: str, rounds: int, start: Any, guarded: bool, won: Any) -> None:
    """One of two runs on two controllers: try for ``rounds`` hosts, each at the same moment as the other.

    Between reading and writing it waits a little, so that the two meet on a busy machine too.
    """
    read = host_lock._read

    def slow(folder: str) -> Any:
        found = read(folder)
        time.sleep(0.004)
        return found

    host_lock._read = slow  # type: ignore[assignment]
    if not guarded:
        host_lock._flock = lambda handle, folder: None  # type: ignore[assignment]
    got = []
    for number in range(rounds):
        start.wait(10)
        try:
            if host_lock.take(str(folder / str(number)), mark(name, name))["state"] == host_lock.TAKEN:
                got.append(number)
        except host_lock.HostLockError:
            got.append(-1)
    won.put((name, got))


def winners(folder: Path, rounds: int, guarded: bool) -> dict[str, list[int]]:
    start, won = FORK.Barrier(2), FORK.Queue()
    given = [(folder, name, rounds, start, guarded, won) for name in ("ana", "ben")]
    runs = [FORK.Process(target=contest, args=one, daemon=True) for one in given]
    for one in runs:
        one.start()
    return dict(won.get(timeout=30) for _ in runs)


def test_of_two_at_once_exactly_one_gets_each_host(tmp_path: Path) -> None:
    rounds = 50
    found = winners(tmp_path, rounds, guarded=True)
    assert sorted(found["ana"] + found["ben"]) == list(range(rounds)), "none twice, none lost"
    for name, hosts in found.items():
        assert all(holder(tmp_path / str(number)) == name for number in hosts), "whoever was told so is on the host"


def test_the_contest_would_show_a_lock_that_does_not_hold(tmp_path: Path) -> None:
    """The mutant: without the guard hosts go to both, or one run meets the other's half-made file."""
    found = winners(tmp_path, 50, guarded=False)
    assert sorted(found["ana"] + found["ben"]) != list(range(50)), "the two never met, so the contest proves nothing"


def endless(folder: Path) -> None:
    number = 0
    while True:
        number += 1
        host_lock.take(str(folder), mark(f"run-{number}", "desk", padding="x" * 20000))


def test_a_run_killed_while_it_writes_leaves_one_whole_mark(tmp_path: Path) -> None:
    dice = random.Random(6)
    for attempt in range(25):
        writer = FORK.Process(target=endless, args=(tmp_path,))
        writer.start()
        time.sleep(0.005 + dice.random() * 0.02)
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        found = host_lock.look(str(tmp_path))[0]
        assert found is None or (found["name"] != host_lock.UNREADABLE and len(found["padding"]) == 20000), attempt
    assert host_lock.take(str(tmp_path), mark("next"))["state"] == host_lock.TAKEN, "the same controller just goes on"
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted({host_lock.FILE, host_lock.GUARD})


def test_a_full_disk_leaves_the_old_mark_whole(tmp_path: Path) -> None:
    """A write that breaks off in its middle, here by a limit on the size of files."""
    host_lock.take(str(tmp_path), mark("run-1"))
    before = (tmp_path / host_lock.FILE).read_bytes()

    def try_it() -> str:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        host_lock.take(str(tmp_path), mark("run-2"))
        return "written"

    said = elsewhere(try_it)
    assert "too large" in said and "next:" in said
    assert (tmp_path / host_lock.FILE).read_bytes() == before
    assert not (tmp_path / host_lock.NEW).exists()


@pytest.mark.parametrize("mode", [0o700, 0o770])
def test_a_folder_that_the_site_made_for_a_group_is_used_by_the_group(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    host_lock.take(str(tmp_path), mark())
    assert host_lock.free(str(tmp_path), "run-1")
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {mode & 0o666}


# --- what cannot be used --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"holder": null}', b'{"holder": {"name": "x"}, "last": null}',
     b'{"holder": {"name": 1, "controller": "c"}, "last": null}', b'{"holder": "run-1", "last": null}'],
)  # fmt: skip
def test_what_cannot_be_read_is_held_by_somebody(tmp_path: Path, content: bytes) -> None:
    (tmp_path / host_lock.FILE).write_bytes(content)
    assert host_lock.take(str(tmp_path), mark())["state"] == host_lock.HELD
    assert not host_lock.free(str(tmp_path), "run-1")
    assert host_lock.take(str(tmp_path), mark(), break_lock="unreadable")["way"] == host_lock.BROKEN
    assert holder(tmp_path) == "run-1"


def test_a_mark_without_its_guard_still_counts(tmp_path: Path) -> None:
    host_lock.take(str(tmp_path), mark("run-1"))
    (tmp_path / host_lock.GUARD).unlink()
    assert host_lock.take(str(tmp_path), mark("run-2", "laptop"), check=True)["state"] == host_lock.HELD
    assert host_lock.take(str(tmp_path), mark("run-2", "laptop"))["state"] == host_lock.HELD


def elsewhere(act: Callable[[], str]) -> str:
    """What ``act`` says in a process of its own, which may give up rights."""
    said = FORK.Queue()

    def run() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            said.put(act())
        except host_lock.HostLockError as error:
            said.put(str(error))

    process = FORK.Process(target=run)
    process.start()
    answer = str(said.get(timeout=20))
    process.join()
    return answer


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_a_home_that_may_not_be_written_is_said_plainly(tmp_path: Path, check: bool) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)

    def as_nobody() -> str:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        return str(host_lock.take(str(home / ".rollout/site"), mark(), check=check)["state"])

    said = elsewhere(as_nobody)
    assert "ermission denied" in said
    for word in ("found: ", "required: ", str(home / ".rollout/site"), "rollout_lock_dir"):
        assert word in said
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("check", [False, True], ids=["run", "check"])
def test_a_read_only_home_is_said_plainly(tmp_path: Path, check: bool) -> None:
    code = (
        "import json, runpy, sys; m = runpy.run_path(sys.argv[1]);\n"
        "try: print(m['take'](sys.argv[2] + '/.rollout/site', json.loads(sys.argv[3]), check=sys.argv[4] == 'True'))\n"
        "except m['HostLockError'] as error: print(error)"
    )
    words = [sys.executable, "-c", code, host_lock.__file__, str(tmp_path), json.dumps(mark()), str(check)]
    mounted = 'mount -t tmpfs -o ro none "$1"; shift; exec "$@"'
    unshared = ["unshare", "--map-root-user", "--mount", "sh", "-c", mounted, "-", str(tmp_path), *words]
    done = subprocess.run(unshared, capture_output=True, text=True)
    assert "ead-only file system" in done.stdout, done.stdout + done.stderr
    assert "next: give it" in done.stdout


def test_a_file_in_the_way_is_said_plainly(tmp_path: Path, run_module: Callable[..., dict[str, Any]]) -> None:
    (tmp_path / ".rollout").write_text("")
    options = {"dir": str(tmp_path / ".rollout/site"), "mark": mark()}
    for check in (True, False):
        found = run_module("site_lock", options, check=check)
        assert found["failed"] and "found: " in found["msg"] and "rollout_lock_dir" in found["msg"]


def test_a_guard_that_somebody_keeps_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_lock, "WAIT_S", 0.1)
    host_lock.take(str(tmp_path), mark())
    with (
        host_lock._guarded(str(tmp_path), make=True),
        pytest.raises(host_lock.HostLockError, match="has been busy for"),
    ):
        host_lock.take(str(tmp_path), mark("run-2"))


# --- the controller's side ------------------------------------------------------------------------------------------------


def test_one_controller_is_one_lock_file(tmp_path: Path) -> None:
    folder, copy = tmp_path / "evidence", tmp_path / "copy"
    for one in (folder, copy):
        one.mkdir()
        (one / lock.FILE).touch()
    mine = host_locking.controller(folder)
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert host_locking.controller(link) == mine == host_locking.controller(folder)
    assert host_locking.controller(copy) != mine
    folder.rename(tmp_path / "kept")
    copy.rename(folder)
    assert host_locking.controller(folder) != mine, "another lock at the same path keeps nobody apart"


def test_a_run_without_the_sites_lock_may_not_take_a_host(tmp_path: Path) -> None:
    with pytest.raises(lock.LockError, match="does not hold the site's lock"):
        host_locking.mark(tmp_path)


HEAD = "a" * 64
RECORDS = [{"run": "run-0", "hash": HEAD}, {"run": "run-1", "hash": "b" * 64}]


@pytest.mark.parametrize(
    ("previous", "known"),
    [
        (None, True),
        (mark("run-9", "laptop", head=HEAD), True),
        (mark("run-9", "laptop", head="c" * 64), False),
        (mark("run-9", "desk", head="c" * 64), False),
        (mark("run-1", "laptop"), True),
        (mark("run-9", "laptop"), False),
        (mark("run-9", "desk"), True),
        ({"name": "unreadable", "controller": ""}, False),
    ],
)
def test_what_the_ledger_knows(previous: Any, known: bool) -> None:
    """Also of our own runs: a ledger that was put back to an earlier copy does not know them any more."""
    found = host_locking.unknown(previous, {**mark(), "evidence": "/e"}, RECORDS)
    assert (found == "") == known
    if not known:
        assert "not the whole story" in found and previous["name"] in found


def seen(there: dict[str, Any], held_s: float | None = 5.0) -> dict[str, Any]:
    return {"holder": there, "held_s": held_s}


def test_whether_the_holder_runs_is_told_as_far_as_it_is_seen() -> None:
    here = host_locking._place()
    mine = {"process": os.getpid(), "process_ticks": lock.process_ticks(os.getpid()), "since": "", "evidence": "/e"}
    running = host_locking.refusal(seen(mark("run-9", "other", place=here, **mine)), asked="run-9")
    assert "is running" in running and "cannot be broken" in running and "/e" in running
    ended = {**mine, "process_ticks": 1}
    assert "is stale" in host_locking.refusal(seen(mark("run-9", "other", place=here, **ended)))
    far = {"host": "laptop", "machine": "m", "boot": "b", "pid_namespace": "p"}
    text = host_locking.refusal(seen(mark("run-9", "other", place=far, **mine), 7300.0))
    assert "cannot be seen from here" in text and "for 2 h" in text and "-e break_lock=run-9" in text
    assert "an unknown time" in host_locking.refusal(seen({"name": "unreadable", "controller": ""}, None))


def test_a_mark_shows_no_machine_id() -> None:
    """machine-id(5): not to be shown to an untrusted network as it is."""
    place = lock.place()
    shown = json.dumps(host_locking._place())
    assert place.machine not in shown and place.boot not in shown
    assert asdict(place)["host"] in shown


# --- freed when the run is over -------------------------------------------------------------------------------------------


def run_of(process: int) -> lock.Holder:
    return lock.Holder("run-1", "ana@desk", "phase 1", "", process, lock.process_ticks(process), lock.place())


def words_of(process: int) -> bytes:
    """Its command line, once it is what it will be."""
    for _ in range(200):
        words = Path(f"/proc/{process}/cmdline").read_bytes()
        if b"lock.py" in words:
            return words
        time.sleep(0.01)
    raise AssertionError(words)


def test_a_host_is_freed_when_the_run_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    host_lock.take(str(folder), mark("run-1"))
    run = subprocess.Popen(["sleep", "60"])
    waits = lock.at_end(run_of(run.pid), [sys.executable, "-I", "-", str(folder), "run-1"], host_lock.__file__)
    assert str(folder).encode() not in words_of(waits), "what it will do is in no process list"
    names = {line.split(b"=")[0] for line in Path(f"/proc/{waits}/environ").read_bytes().split(b"\0") if line}
    assert names <= {b"PATH", b"SSH_AUTH_SOCK"}
    assert holder(folder) == "run-1"
    run.kill()
    run.wait()
    for _ in range(250):
        if not holder(folder):
            return
        time.sleep(0.02)
    raise AssertionError("the host was not freed")


def test_a_way_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "END_PAUSE_S", 0.0)
    log, script = tmp_path / "log", tmp_path / "script"
    script.write_text(f"echo x >> {log}; test $(wc -l < {log}) -ge 2")
    lock.after(0, 0, {"command": ["sh"], "script": str(script)})
    assert log.read_text() == "x\nx\n"
    lock.after(0, 0, {"command": ["no-such-program"], "script": str(script)})
    log.write_text("")
    script.write_text(f"echo x >> {log}; exit 1")
    lock.after(0, 0, {"command": ["sh"], "script": str(script)})
    assert log.read_text() == "x\n" * lock.END_TRIES, "and not for ever"
