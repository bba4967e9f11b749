"""lua_release as a process on real files: what it leaves on disk, whatever stops it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import release, release_store
from ansible_collections.slomix.timetracking.plugins.modules import lua_release

SECRET = "https://example.invalid/api/webhooks/123/canary-token"
OLD = f'url = "{SECRET}"\nlimit = string.format("%d", 7.5)\n'.encode()
NEW = f'url = "{SECRET}"\nlimit = string.format("%d", math.floor(7.5))\n'.encode()
NAME = "hook.lua"
RunModule = Callable[..., dict[str, Any]]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Site:
    """A game folder and a store; the server that answers on the port is empty, so the moment is right."""

    def __init__(self, folder: Path, port: int) -> None:
        self.legacy = folder / "legacy" / "luascripts"
        self.legacy.mkdir(parents=True)
        self.target = self.legacy / NAME
        self.target.write_bytes(OLD)
        self.target.chmod(0o640)
        self.console = folder / "etconsole.log"
        self.console.write_text("first line\n")
        self.store = folder / "releases"
        self.port = port

    def args(self, data: bytes | None = NEW, **more: Any) -> dict[str, Any]:
        moment = {"port": self.port, "rcon_password_file": "/nowhere", "timeout_s": 1}
        base = {
            "name": NAME,
            "target": str(self.target),
            "store_dir": str(self.store),
            "console_log": str(self.console),
            "moment": moment,
            "state": "deployed" if data is not None else "restored",
        }
        if data is not None:
            base |= {"content_b64": base64.b64encode(data).decode(), "sha256": sha256(data)}
        return base | more

    def tree(self) -> dict[str, str]:
        """Every file of target folder and store with its digest, without the journal's and manifests' times."""
        found = {}
        for path in sorted([*self.legacy.rglob("*"), *self.store.rglob("*")]):
            if path.is_file():
                found[str(path)] = sha256(path.read_bytes())
                if path.suffix == ".json":
                    data = json.loads(path.read_text())
                    timeless = {
                        k: v for k, v in data.items() if k not in ("stored_at_unix", "deployed_at_unix", "cursor")
                    }
                    found[str(path)] = json.dumps(timeless, sort_keys=True)
        return found

    def journal(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.store / NAME / "journal.json").read_text())
        return data


@pytest.fixture
def site(tmp_path: Path, game: Any) -> Site:
    return Site(tmp_path, game.port)


def test_check_predicts_exactly_what_the_run_then_does_and_touches_nothing(site: Site, run_module: RunModule) -> None:
    before = site.tree()
    predicted = run_module("lua_release", site.args(), check=True)
    assert site.tree() == before and not site.store.exists()
    real = run_module("lua_release", site.args())
    assert real["changed"] and predicted["changed"]
    for key in ("actions", "before", "after", "replaces_target", "diff"):
        assert predicted[key] == real[key]
    assert site.target.read_bytes() == NEW
    assert stat.S_IMODE(site.target.stat().st_mode) == 0o640
    for check in (True, False):
        again = run_module("lua_release", site.args(), check=check)
        assert (again["changed"], again["actions"]) == (False, [])
        assert again["deployment"] == real["deployment"]


def test_the_store_holds_both_files_with_manifests_and_is_private(site: Site, run_module: RunModule) -> None:
    run_module("lua_release", site.args(made_from=sha256(OLD), recipes=["webhook"]))
    folder = site.store / NAME / sha256(NEW)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["sha1"] == hashlib.sha1(NEW).hexdigest()
    assert (manifest["made_from"], manifest["recipes"], manifest["mode"]) == (sha256(OLD), ["webhook"], "0640")
    assert (site.store / NAME / sha256(OLD) / "file").read_bytes() == OLD
    assert stat.S_IMODE((folder / "file").stat().st_mode) == 0o600
    assert stat.S_IMODE((site.store / NAME).stat().st_mode) == 0o700


def test_the_cursor_is_taken_behind_the_console_as_it_was_at_the_switch(site: Site, run_module: RunModule) -> None:
    result = run_module("lua_release", site.args())
    assert result["deployment"]["cursor"]["offset"] == len("first line\n")
    assert result["deployment"]["cursor"]["inode"] == site.console.stat().st_ino


def test_no_output_ever_shows_the_webhook_url(site: Site, run_module: RunModule) -> None:
    for arguments in (site.args(), site.args(None), site.args(NEW, sha256="0" * 64)):
        for check in (True, False):
            text = json.dumps(run_module("lua_release", arguments, check=check))
            assert "canary-token" not in text
            assert base64.b64encode(NEW).decode() not in text
    shown = run_module("lua_release", site.args(NEW.replace(b"canary", b"other")), check=True)["diff"]["prepared"]
    assert shown.count("<masked ") == 2 and "+url" in shown, "a changed URL must show as a change, masked"


def test_restore_is_byte_identical_with_mode_and_recorded(site: Site, run_module: RunModule) -> None:
    run_module("lua_release", site.args())
    site.target.chmod(0o600)
    restored = run_module("lua_release", site.args(None))
    assert restored["changed"] and site.target.read_bytes() == OLD
    assert stat.S_IMODE(site.target.stat().st_mode) == 0o640
    assert run_module("lua_release", site.args(None))["changed"] is False
    assert run_module("lua_release", site.args())["changed"] is True
    assert site.target.read_bytes() == NEW


def test_restore_goes_by_digest_even_if_times_say_otherwise(site: Site, run_module: RunModule) -> None:
    third = NEW + b"-- third\n"
    for data in (NEW, third):
        run_module("lua_release", site.args(data))
    for number, data in enumerate((third, NEW, OLD)):
        os.utime(site.store / NAME / sha256(data), (number, number))
    run_module("lua_release", site.args(None, release=sha256(NEW)))
    assert site.target.read_bytes() == NEW


def test_a_hand_edit_is_reported_and_left_alone(site: Site, run_module: RunModule) -> None:
    run_module("lua_release", site.args())
    site.target.write_bytes(b"-- edited\n")
    seen = run_module("lua_release", site.args(state="read"))
    assert sha256(b"-- edited\n") in seen["drift"]
    for arguments in (site.args(OLD), site.args(None)):
        for check in (True, False):
            refused = run_module("lua_release", arguments, check=check)
            assert refused["failed"] and "by hand" in refused["msg"]
    assert site.target.read_bytes() == b"-- edited\n"


def test_a_symbolic_link_is_written_through(site: Site, run_module: RunModule, tmp_path: Path) -> None:
    real = tmp_path / "elsewhere.lua"
    site.target.rename(real)
    site.target.symlink_to(real)
    result = run_module("lua_release", site.args())
    assert site.target.is_symlink() and real.read_bytes() == NEW
    assert result["after"]["target"] == str(real)
    assert [path.name for path in real.parent.iterdir() if path.name.startswith(".")] == []


def test_the_staged_name_can_be_reached_by_no_lua_modules_entry(site: Site) -> None:
    stage = Path(release_store.Host(NAME, str(site.target), str(site.store), None).stage)
    assert stage.parent == site.legacy and stage.name.startswith(".") and not stage.name.endswith(".lua")


def test_wrong_digest_missing_target_and_odd_names_are_refused(site: Site, run_module: RunModule) -> None:
    assert "digest" in run_module("lua_release", site.args(sha256="0" * 64))["msg"]
    assert "no regular file" in run_module("lua_release", site.args(target=str(site.target) + "x"))["msg"]
    assert "plain file name" in run_module("lua_release", site.args(name="../x"))["msg"]
    assert "no base64" in run_module("lua_release", site.args(content_b64="%%"))["msg"]
    assert site.target.read_bytes() == OLD


def test_a_second_run_waits_for_the_one_that_a_killed_controller_left_behind(site: Site, run_module: RunModule) -> None:
    held = release_store.lock(str(site.store / NAME))
    with pytest.raises(release.Refused, match="another run holds"):
        release_store.lock(str(site.store / NAME), wait_s=0.3)
    begun = time.monotonic()
    ends = threading.Timer(1.0, os.close, [held])
    ends.start()
    assert run_module("lua_release", site.args())["changed"]
    assert time.monotonic() - begun >= 1.0, "it must not act while the other one does"


def test_a_broken_journal_is_not_taken_for_an_empty_one(site: Site, run_module: RunModule) -> None:
    run_module("lua_release", site.args())
    (site.store / NAME / "journal.json").write_text("{")
    assert "no JSON" in run_module("lua_release", site.args(OLD))["msg"]
    assert site.target.read_bytes() == NEW


def test_rotten_bytes_in_the_store_are_not_restored(site: Site, run_module: RunModule) -> None:
    run_module("lua_release", site.args())
    (site.store / NAME / sha256(OLD) / "file").write_bytes(b"rot")
    assert "no longer match" in run_module("lua_release", site.args(None))["msg"]
    assert site.target.read_bytes() == NEW


def test_owner_that_cannot_be_kept_is_refused_before_anything_is_written(game: Any) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to become another user")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        site = Site(Path(folder), game.port)
        site.legacy.chmod(0o777)
        site.target.chmod(0o644)
        become = "import os, runpy; os.setgroups([]); os.setgid(65534); os.setuid(65534)"
        done = subprocess.run(
            [sys.executable, "-c", f"{become}; runpy.run_module({lua_release.__name__!r}, run_name='__main__')"],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": site.args()}),
            capture_output=True,
            text=True,
            env=environment(),
        )
        assert "connect as its owner" in json.loads(done.stdout)["msg"], done.stderr
        assert site.target.read_bytes() == OLD


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "PYTHONPATH": os.pathsep.join(sys.path)}


def final_tree(site: Site, run_module: RunModule, tmp_path: Path) -> dict[str, str]:
    """What an undisturbed run leaves, with the other site's paths put in place of its own."""
    calm = Site(tmp_path / "calm", site.port)
    run_module("lua_release", calm.args())
    old, new = str(tmp_path / "calm"), str(tmp_path)
    return {key.replace(old, new): value.replace(old, new) for key, value in calm.tree().items()}


def test_stopped_after_any_step_the_next_run_ends_the_same(tmp_path: Path, run_module: RunModule, game: Any) -> None:
    """The real steps on real files, cut after each of them; then the module as a process."""
    wish = release.FileState(*release_store.digests(NEW), len(NEW), 0, 0, 0)
    steps = 6
    for cut in range(steps + 1):
        home = tmp_path / str(cut)
        site = Site(home, game.port)
        expected = final_tree(site, run_module, home)
        host = release_store.Host(NAME, str(site.target), str(site.store), str(site.console))
        plan = release.plan_deploy(host.read(), wish, "", (), 10)
        assert len(plan.steps) == steps
        Path(host.store).mkdir(parents=True)
        for step in plan.steps[:cut]:
            host.perform(step, NEW)
        assert site.target.read_bytes() in (OLD, NEW)
        run_module("lua_release", site.args())
        assert {k: v for k, v in site.tree().items() if "calm" not in k} == expected, f"cut after step {cut}"
        assert site.journal()["cursor"]["offset"] == len("first line\n")


@pytest.mark.parametrize("leftover", ["stage", "release", "journal"])
def test_half_written_leftovers_are_cleaned_up(site: Site, run_module: RunModule, leftover: str) -> None:
    host = release_store.Host(NAME, str(site.target), str(site.store), None)
    Path(host.store).mkdir(parents=True)
    half = Path(host.stage)
    if leftover == "release":
        made = Path(host.store, release_store.NEW_PREFIX + sha256(NEW))
        made.mkdir()
        half = made / "file"
    elif leftover == "journal":
        half = Path(host.store, release_store.JOURNAL_NEW)
    half.write_bytes(NEW[:10])
    predicted = run_module("lua_release", site.args(), check=True)
    real = run_module("lua_release", site.args())
    assert predicted["actions"] == real["actions"] and "leftover" in real["actions"][0]
    assert not half.exists() and site.target.read_bytes() == NEW
    assert run_module("lua_release", site.args())["changed"] is False


def test_killed_at_random_times_it_never_leaves_a_mixture_and_converges(
    tmp_path: Path, run_module: RunModule, game: Any
) -> None:
    random_times = random.Random(20260220)
    site = Site(tmp_path, game.port)
    payload = {wish: json.dumps({"ANSIBLE_MODULE_ARGS": site.args(wish)}) for wish in (OLD, NEW)}
    started = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", lua_release.__name__],
        input=payload[NEW],
        text=True,
        capture_output=True,
        env=environment(),
    )
    whole_s = time.monotonic() - started
    hit = number = 0
    # How long a run takes changes with the machine's load, so the kills go on until enough of them came in time.
    while hit < 5:
        number += 1
        assert number < 100, "the kills came too late to prove anything"
        wish = OLD if number % 2 else NEW
        process = subprocess.Popen(
            [sys.executable, "-m", lua_release.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(),
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(payload[wish])
        process.stdin.close()
        time.sleep(whole_s * random_times.uniform(0.3, 1.05))
        process.send_signal(signal.SIGKILL)
        hit += process.wait() == -signal.SIGKILL
        assert site.target.read_bytes() in (OLD, NEW), "the server would read a mixture"
        run_module("lua_release", site.args(wish))
        assert site.target.read_bytes() == wish
        assert run_module("lua_release", site.args(wish))["changed"] is False
        assert [path.name for path in site.legacy.iterdir()] == [NAME]
        assert all(not path.name.startswith(".new") for path in (site.store / NAME).iterdir())


def test_a_full_disk_gives_a_clear_error_and_leaves_the_target(
    tmp_path: Path, run_module: RunModule, game: Any
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no mount here: {mounted.stderr.strip()}")
    try:
        site = Site(small, game.port)
        big = NEW + b"--" + b"x" * 60_000 + b"\n"
        failed = run_module("lua_release", site.args(big))
        assert failed["failed"] and "No space left" in failed["msg"] and sha256(OLD) in failed["msg"]
        assert site.target.read_bytes() == OLD
        assert run_module("lua_release", site.args())["changed"]
        assert site.target.read_bytes() == NEW
        subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
        refused = run_module("lua_release", site.args(OLD))
        assert refused["failed"] and site.target.read_bytes() == NEW
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_wrong_moment_refuses_warns_under_check_and_can_be_forced(
    site: Site, run_module: RunModule, game: Any
) -> None:
    game.match(players=4, gamestate=0, current_round=1)
    asked = site.args()
    asked["moment"] = {"port": game.port, "rcon_password_file": str(game.password_file), "timeout_s": 1}
    refused = run_module("lua_release", asked)
    assert refused["failed"] and "4 players" in refused["msg"] and refused["moment"]["safe"] is False
    assert site.target.read_bytes() == OLD
    assert "would be refused" in str(run_module("lua_release", asked, check=True)["warnings"])
    asked["moment"]["forced"] = True
    done = run_module("lua_release", asked)
    assert done["moment"]["forced"] and site.target.read_bytes() == NEW
    asked["moment"]["forced"] = False
    assert run_module("lua_release", asked)["changed"] is False, "without a change the moment does not matter"


def test_the_switch_gives_way_to_an_edit_made_while_it_was_preparing(site: Site) -> None:
    host = release_store.Host(NAME, str(site.target), str(site.store), None)
    wish = release.FileState(*release_store.digests(NEW), len(NEW), 0, 0, 0)
    plan = release.plan_deploy(host.read(), wish, "", (), 10)
    Path(host.store).mkdir(parents=True)
    for step in plan.steps:
        if isinstance(step, release.Switch):
            site.target.write_bytes(b"-- edited meanwhile\n")
            with pytest.raises(release.Refused, match="changed since"):
                host.perform(step, NEW)
            break
        host.perform(step, NEW)
    assert site.target.read_bytes() == b"-- edited meanwhile\n"


def test_the_world_read_back_equals_the_world_predicted(site: Site) -> None:
    host = release_store.Host(NAME, str(site.target), str(site.store), None)
    world = host.read()
    wish = release.FileState(*release_store.digests(NEW), len(NEW), 0, 0, 0)
    plan = release.plan_deploy(world, wish, "", (), 10)
    Path(host.store).mkdir(parents=True)
    for step in plan.steps:
        host.perform(step, NEW)
        world = release.apply(world, step)
        assert release.view(replace(host.read(), obstacle="")) == release.view(world)
