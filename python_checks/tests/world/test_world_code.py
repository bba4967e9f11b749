"""The world's pure parts: apt sources, digests, the rendered .env, inventories, names and ports."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import containers
import image_build
import layout
import pytest
import world
import yaml
from containers import WorldError

ROOT = Path(__file__).resolve().parents[3]

DEB822 = """\
Types: deb
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb-src
URIs: http://mirror.invalid/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://mirror.invalid/debian
Suites: trixie
Components: main

Enabled: no
Types: deb
URIs: http://other.invalid/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
# deb http://commented.invalid/debian bookworm main
deb [signed-by=/k.gpg arch=amd64,i386] http://mirror.invalid/debian-security bookworm-security main
deb http://database.invalid/apt bookworm-pgdg main
deb http://containers.invalid/linux bookworm stable
deb-src http://mirror.invalid/debian bookworm main
"""


def test_only_debians_own_sources_of_the_release_are_used(tmp_path: Path) -> None:
    """A third party's or another release's packages must not get into the root file system."""
    (tmp_path / "debian.sources").write_text(DEB822)
    (tmp_path / "sources.list").write_text(ONE_LINE)
    (tmp_path / "notes.disabled").write_text(DEB822)
    first, second = image_build.debian_stanzas(sorted(tmp_path.iterdir()))
    assert first == DEB822.split("\n\n")[0]
    assert second.splitlines() == [
        "Types: deb",
        "URIs: http://mirror.invalid/debian-security",
        "Suites: bookworm-security",
        "Components: main",
        "Signed-By: /k.gpg",
        "Arch: amd64 i386",
    ]


def test_tree_digest_follows_names_modes_contents_and_links_but_not_times(tmp_path: Path) -> None:
    path, link = tmp_path / "a", tmp_path / "link"
    path.write_text("x")
    link.symlink_to("a")
    seen = {image_build.tree_digest(tmp_path)}
    os.utime(path, (1, 1))
    assert image_build.tree_digest(tmp_path) in seen

    def relink() -> None:
        link.unlink()
        link.symlink_to("b")

    changes: list[Callable[[], object]] = [
        lambda: path.write_text("y"),
        lambda: path.chmod(0o755),
        lambda: path.rename(tmp_path / "b"),
        relink,
        lambda: (tmp_path / "empty").mkdir(),
    ]
    for change in changes:
        change()
        digest = image_build.tree_digest(tmp_path)
        assert digest not in seen
        seen.add(digest)


def test_list_files_allow_comments(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("# title\npodman\n\nrunc # why\n")
    assert image_build.names_in(tmp_path / "list") == ["podman", "runc"]


def test_every_package_list_of_the_project_is_plain_names() -> None:
    lists = [ROOT / "scripts/debian-packages.txt", ROOT / "molecule/world/slomix_vm/debian-packages.txt"]
    for path in [*lists, *image_build.IMAGES.glob("*/packages.txt")]:
        names = image_build.names_in(path)
        assert names
        assert all(name.replace("-", "").replace(".", "").replace("+", "").isalnum() for name in names), path


def test_env_takes_the_webhooks_id_and_token_from_the_game_servers_script() -> None:
    text = layout.render_env("ID=@WEBHOOK_ID@\nTOKEN=@WEBHOOK_TOKEN@\nPASSWORD=@POSTGRES_PASSWORD@\n", "secret")
    url = layout.webhook_url()
    assert text == f"ID={url[1]}\nTOKEN={url[2]}\nPASSWORD=secret\n"
    assert url[0] in layout.WEBHOOK_LUA.read_text()


def test_env_refuses_a_placeholder_it_does_not_know() -> None:
    """Left as it is, the bot would start with the placeholder as its value."""
    with pytest.raises(WorldError, match="NEW_THING"):
        layout.render_env("A=@NEW_THING@\n", "secret")


def test_real_env_template_is_filled_completely() -> None:
    assert "@" not in layout.render_env(layout.ENV_TEMPLATE.read_text(), "secret").replace("@example", "")


def test_demo_inventory_is_the_file_in_the_repository() -> None:
    world = layout.new_world("demo", shadow=False, interpreter="lua54")
    text = layout.inventory_text(world)
    static = (ROOT / "inventory/demo/hosts.yml").read_text()
    assert text == static.replace('"{{ inventory_dir }}/../.."', '"{{ inventory_dir }}/../../.."')


def test_other_worlds_inventory_differs_in_name_and_ports_only() -> None:
    world = layout.World("other", 40001, 40002)
    inventory = yaml.safe_load(layout.inventory_text(world))["rollout_hosts"]
    assert inventory["vars"]["world_name"] == "other"
    assert inventory["vars"]["rollout_evidence_dir"] == "{{ rollout_root }}/evidence/{{ world_name }}"
    hosts = {name: host for group in inventory["children"].values() for name, host in group["hosts"].items()}
    assert {name: host["ansible_port"] for name, host in hosts.items()} == {"et-server": 40001, "slomix-vm": 40002}
    assert "48101" not in layout.inventory_text(world)


@pytest.mark.parametrize("hour", range(24))
def test_it_is_noon_where_a_new_world_lives(hour: int) -> None:
    """Whatever the hour of UTC (the day may be another one)."""
    now = datetime(2026, 2, 28, hour, 30, tzinfo=UTC)
    assert now.astimezone(ZoneInfo(layout.noon_zone(hour))).strftime("%H:%M") == "12:30"


def test_evidence_of_an_earlier_world_is_kept_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "ROOT", tmp_path)
    layout.set_evidence_aside("other")
    assert not (tmp_path / "evidence").exists()
    (tmp_path / "evidence" / "other").mkdir(parents=True)
    (tmp_path / "evidence" / "other" / "ledger.jsonl").write_text("{}\n")
    layout.set_evidence_aside("other")
    (kept,) = (tmp_path / "evidence").iterdir()
    assert kept.name.startswith("other-2")
    assert (kept / "ledger.jsonl").read_text() == "{}\n"


@pytest.mark.parametrize("name", ["", "Demo", "a b", "../x", "cache", "9lives", "x" * 40])
def test_bad_world_names_are_refused(name: str) -> None:
    """A name becomes a folder, container names and a network name."""
    with pytest.raises(WorldError, match="is no name for a world"):
        layout.new_world(name, shadow=False, interpreter="lua54")


def test_ports_of_other_worlds_are_free_and_not_the_demos() -> None:
    world = layout.new_world("other", shadow=False, interpreter="lua54")
    assert len({world.game_port, world.stats_port} | set(layout.DEMO_PORT.values())) == 4


def test_unknown_world_says_how_to_start_it() -> None:
    with pytest.raises(WorldError, match=r"world\.py up --name nowhere"):
        layout.load_world("nowhere")


def test_exec_hands_the_command_through_as_it_is() -> None:
    """Only the first ``--`` is the world's own; the command may need another."""
    typed = ["exec", "slomix-vm", "--", "runuser", "-u", "postgres", "--", "psql", "-AtF", ","]
    assert world.command_line(typed).command == typed[3:]
    assert world.command_line(["exec", "--name", "x", "et-server", "id", "-un"]).command == ["id", "-un"]


def test_limits_stay_within_what_the_kernel_grants() -> None:
    """podman's defaults ask for more than the hard limits and fail without CAP_SYS_RESOURCE."""
    options = containers.Podman(Path("unused")).limits
    values = {name: int(both.split(":")[0]) for name, both in (option.split("=") for option in options[1::2])}
    assert set(values) == {"nofile", "nproc"}
    for name, which in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        hard = resource.getrlimit(which)[1]
        assert 0 < values[name] <= (hard if hard != resource.RLIM_INFINITY else 2**31)
