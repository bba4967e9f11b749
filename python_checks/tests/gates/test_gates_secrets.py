"""Canary secrets of every kind go into a record and into no file of the ledger; evidence is not eaten on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.slomix.timetracking.plugins.module_utils import ledger
from ansible_collections.slomix.timetracking.plugins.module_utils.plain import REDACTED, plain, redact, redact_text
from hypothesis import given
from hypothesis import strategies as st

CANARY = "canary7f3a91"
HOOK = f"http://slomix-vm.example.invalid:8080/api/webhooks/1234/{CANARY}"

RESULTS: dict[str, Any] = {
    "database password": {"password": CANARY, "stats_db_password": CANARY, "PGPASSWORD": CANARY},
    "password as a number": {"rcon_password": 771234551, "text": "no canary"},
    "webhook url": {"webhook_url": HOOK, "discord_webhook_urls": [HOOK], "url": HOOK},
    "webhook url in a diff": {"diff": {"before": f'discord_webhook_url = "{HOOK}",\n', "after": f"-- {HOOK}"}},
    "rcon password": {"rcon": CANARY, "rconpassword": CANARY, "rconPassword": CANARY},
    "rcon in a packet": {"sent": f"\xff\xff\xff\xffrcon {CANARY} lua_status"},
    "key path": {"ssh_key_path": f"/home/et/.ssh/{CANARY}", "msg": f"Permission denied: /home/et/.ssh/{CANARY}"},
    "key file option": {"ansible_ssh_private_key_file": f"/keys/{CANARY}", "identity_file": f"~/{CANARY}"},
    "token": {"headers": {"Authorization": f"Bot {CANARY}", "cookie": CANARY}, "api_key": CANARY, "bot_token": CANARY},
    "nested under a secret": {"secrets": {"inner": [CANARY, {"deep": CANARY}]}},
    "credentials in a url": {"msg": f"connection to postgresql://etlegacy_user:{CANARY}@127.0.0.1/etlegacy failed"},
    "libpq text": {"dsn": f"host=x password={CANARY}", "msg": f"host=x password={CANARY} dbname=y"},
    "environment line": {"stderr": f"PGPASSWORD='{CANARY}' psql -h x", "line": f'DISCORD_TOKEN="{CANARY} two"'},
    "private key": {"out": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{CANARY}\n-----END OPENSSH PRIVATE KEY-----"},
    "long text": {"stdout": ("x" * 5000) + f" {HOOK} password: {CANARY}"},
}


@pytest.mark.parametrize("name", RESULTS)
def test_no_canary_reaches_the_disk(name: str, tmp_path: Path) -> None:
    ledger.append(str(tmp_path), {"kind": "step", "result": RESULTS[name]})
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert CANARY.encode() not in everything
    assert b"771234551" not in everything
    assert REDACTED.encode() in everything or b"redacted" in everything


def test_a_raw_text_is_redacted_too(tmp_path: Path) -> None:
    name = ledger.store_raw(str(tmp_path), f"curl {HOOK}")
    assert CANARY not in (tmp_path / "raw" / name).read_text()


@pytest.mark.parametrize(
    "kept",
    [
        {"webhook_lua": "a" * 64, "webhook": {"loaded": True, "sha1": "b" * 40}},
        {"rcon": {"state": "answered", "modules": ["c0rnp0rn7.lua"]}},
        {"password_found": True, "token_present": False, "rcon_password": None, "secret": ""},
        {"msg": "rcon did not answer within 2 s", "line": "STATS_READY: supply R2 (winner=1)"},
        {"diff": "-  local limit = string.format('%d', limit)\n+  limit = to_int(limit)"},
        {"known": "/home/et/.ssh/known_hosts", "log": "/opt/slomix/logs/webhook.log"},
        {"masked": 'discord_webhook_url = "<masked 1a2b3c4d>"'},
        {"page": "http://slomix-vm.example.invalid:7000/api/sessions"},
    ],
)
def test_evidence_is_kept(kept: dict[str, Any]) -> None:
    assert redact(kept) == kept


@given(st.text())
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = redact_text(text)
    assert redact_text(once) == once


@pytest.mark.parametrize("name", RESULTS)
def test_redacting_a_redacted_result_changes_nothing(name: str) -> None:
    once = redact(plain(RESULTS[name]))
    assert redact(once) == once


def test_plain_unwraps_what_ansible_wraps() -> None:
    class Tagged(str):
        """Stands for Ansible's tagged text: a subclass that must not reach the ledger."""

    class Count(int):
        """The same for a number."""

    made = plain({Tagged("key"): [Tagged("value"), Count(3), (1, 2), {3, 1}]})
    assert made == {"key": ["value", 3, [1, 2], [1, 3]]}
    assert type(made["key"][0]) is str
    assert type(made["key"][1]) is int
    assert type(next(iter(made))) is str
