"""Gate 1 on evenings as they happen: each situation has one right verdict, through the real SQL, log windows, load proof and ledger.

Table: (what happened, verdict, a word of what was found or of what to do next, how it happened).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from evening import API, BAD_ARGUMENT, OTHER_SHA1, OTHER_SHA256, R1_S, R2_S, RESTORED, SHA1, Evening, init

from python_checks.tests.halves import HOOK, LOADED, Statistics

pytestmark = pytest.mark.postgres
Happens = Callable[[Evening], object]
DAY_S = 86400
CANNOT_LOAD = f"{API}can not open file '{HOOK}'\n"
ERROR_LINE = "2026-02-20 21:53:00 | ERROR    | bot.webhook               | STATS_READY embed unusable: supply R2\n"
OTHER_ERROR = f"{API}et_Obituary error running lua script: '[string \"c0rnp0rn7.lua\"]:9: nil'\n"


def console(*lines: str) -> Happens:
    """A good pair, and these lines on the console after the load."""

    def happens(evening: Evening) -> None:
        evening.pair()
        evening.after = init(HOOK, named=SHA1, extra="".join(f"{line}\n" for line in lines)) + evening.after

    return happens


def after(text: str, **changes: Any) -> Happens:
    """A good pair in the database, and this console since the deployment."""

    def happens(evening: Evening) -> None:
        evening.pair()
        evening.after = text
        for name, value in changes.items():
            setattr(evening, name, value)

    return happens


def pair(at_s: int = 0, **halves: Any) -> Happens:
    """One pair whose halves differ from the good one by these."""
    return lambda evening: evening.pair(at_s, **halves)


def good(*more: Happens) -> Happens:
    """A good pair, and then these."""

    def happens(evening: Evening) -> None:
        evening.pair()
        for one in more:
            one(evening)

    return happens


def rotate(evening: Evening) -> None:
    evening.pair()
    evening.webhook.rename(evening.webhook.with_name("webhook.log.1"))
    evening.webhook.write_text("2026-02-20 22:30:00 | INFO     | bot.webhook               | alive\n")


def lost_log(evening: Evening) -> None:
    evening.pair()
    evening.webhook.unlink()


def emptied_console(evening: Evening) -> None:
    """After the pair was played the console is emptied in place; what is left begins with a later load."""
    evening.pair()
    evening.console.write_text("")
    evening.after = init(HOOK, at=LOADED + 2000, named=SHA1) + init(HOOK, at=LOADED + 2600)


def rotated_console(evening: Evening) -> None:
    evening.pair()
    evening.console.rename(evening.console.with_name("etconsole.log.1"))
    evening.console.write_text("")


def lost(imported_s: int | None) -> dict[str, Any]:
    """R2 without post and row, and its file imported so long after it was saved."""
    return {"r2": {"lua": False, "posted": False, "imported_s": imported_s}}


def file_alone_was_late(evening: Evening) -> None:
    evening.pair(**lost(3600))
    evening.pair(1000)
    evening.stats.connection.execute("UPDATE lua_round_teams SET captured_at = to_timestamp(round_end_unix + 1)")


def begun_anew(**older: Any) -> Happens:
    """The log of the older pair was rotated away before a good one."""
    return lambda evening: (evening.pair(**older), evening.webhook.write_text(""), evening.pair(2000))


def many_posts(evening: Evening) -> None:
    evening.pair()
    for at_s in range(2000, 5000, 6):
        evening.post(1, at_s, "goldrush")
    evening.pair(5000)


def two_claim_r2(evening: Evening) -> None:
    _, r2 = evening.pair()
    evening.stats.lua(2, LOADED + R2_S + 1, r2)


def linked_to_an_older_round(evening: Evening) -> None:
    old = evening.half(2, -300, posted=False, lua=False)
    evening.pair(r2={"lua": False})
    evening.stats.lua(2, LOADED + R2_S, old)


def replayed(evening: Evening, **first: Any) -> None:
    """The same map again 20 minutes later: its posts come before its files, so the linker takes the older rounds."""
    older = evening.pair(**first)
    for number, at_s, old in zip((1, 2), (1700, 2300), older, strict=True):
        evening.half(number, at_s, lua=False)
        evening.stats.lua(number, LOADED + at_s, old)


def aborted_later(evening: Evening) -> None:
    """The next R2 of the map is aborted: it leaves a row and no file."""
    _, r2 = evening.pair()
    evening.stats.lua(2, LOADED + R2_S + 900, r2, lasts=30)


def ingested_again(evening: Evening) -> None:
    """Rows of an older evening whose captured_at is now."""
    evening.half(1, -5000, posted=False)
    evening.half(2, -4400, posted=False)


def summary(evening: Evening) -> None:
    evening.stats.half(0, LOADED + R2_S, lua=False)


def rubbish_times(evening: Evening) -> None:
    evening.stats.connection.execute("UPDATE rounds SET round_time = 'x'")


def midnight(evening: Evening) -> None:
    """21:45 + 2:05 h: R1 ends on this day, R2 on the next."""
    evening.pair(7700)


def clock_runs_behind(evening: Evening) -> None:
    """The game server's clock is set back by an hour after the load: what is played seems to be before it."""
    evening.pair(-3600)


def edited(evening: Evening) -> None:
    """One byte of the evidence is another."""
    evening.pair()

    def flip(one: Evening) -> None:
        path = Path(one.evidence) / "ledger.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"r2_links":1', b'"r2_links":2', 1))

    evening.later.append(flip)


def cut_tail(evening: Evening) -> None:
    """The last record, a bad one, is taken away."""
    evening.pair(r2={"lua": False})
    evening.later_record("1.7/verify/pairs", {"failed": True, "msg": "no"}, "vm")

    def cut(one: Evening) -> None:
        path = Path(one.evidence) / "ledger.jsonl"
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))

    evening.later.append(cut)


def restored(evening: Evening) -> None:
    evening.pair()
    evening.later_record("0.4/verify", {"rows": []}, "vm", digests={"database": RESTORED})


def aged(days: float) -> Happens:
    return good(lambda evening: setattr(evening, "age", timedelta(days=days)))


def replanned(evening: Evening) -> None:
    evening.pair()
    evening.plans = {1: "9" * 64}


def drifted(evening: Evening) -> None:
    evening.pair()
    evening.seen = {"after": {**evening.seen["after"], "sha256": OTHER_SHA256}, "drift": "somebody changed it"}


def rolled_back(evening: Evening) -> None:
    evening.pair()
    evening.later_record("1.6/revert", {"changed": True}, "game", digests={"webhook_lua": OTHER_SHA256})


def slow_database(evening: Evening) -> None:
    evening.rows_fault = {"failed": True, "msg": "PostgreSQL refused the statement with SQLSTATE 57014"}


def set_attributes(**changes: Any) -> Happens:
    def happens(evening: Evening) -> None:
        for name, value in changes.items():
            setattr(evening, name, value)

    return happens


def waived(hours: float, happens: Happens = lambda evening: None) -> Happens:
    def both(evening: Evening) -> None:
        evening.waive(hours)
        happens(evening)

    return both


LOST = lost(60)
BY_FILE = {"r2": {"posted": False}}
AT_NIGHT = 16000  # R2 ends at 02:28
HELD = {"r1": {"clock": "12:00", "winner": 1, "defender": 1}}
NEXT_DAY = DAY_S - 2000
HOUR_ON = 3630  # looks like a clock change

SITUATIONS: list[tuple[str, str, str, Happens]] = [
    # --- pairs
    ("one complete pair", "pass", "", pair()),
    ("nobody played", "inconclusive", "play", lambda evening: None),
    ("the defect: R2 with a fractional limit is lost", "fail", "r2_lua_rows = 0", pair(**LOST)),
    ("R1 is lost", "fail", "r1_posted = false", pair(r1={"lua": False, "posted": False})),
    ("R2 was posted and never stored", "fail", "r2_lua_rows = 0", pair(r2={"lua": False})),
    ("a good pair and one that lost R2", "fail", "r2_lua_rows = 0", good(pair(2000, **LOST))),
    ("one that lost R2 and then a good pair", "fail", "r2_lua_rows = 0", lambda e: (e.pair(0, **LOST), e.pair(2000))),
    ("the same map an hour later, its R2 is lost", "fail", "r2_lua_rows = 0", good(pair(HOUR_ON, **LOST))),
    ("likewise, and the R2 before it was cancelled", "fail", "r2_lua_rows = 0", lambda e: (
        e.pair(r2={"status": "cancelled"}), e.pair(HOUR_ON, **LOST))),
    ("the same map an hour later", "pass", "", good(pair(HOUR_ON))),
    ("a lost R2, and an hour later the map again", "pass", "", lambda e: (e.half(1, R1_S - HOUR_ON), e.pair())),
    ("a full hold whose R2 is lost, beside a good pair", "fail", "r2_posted = false", good(pair(2000, **LOST, **HELD))),
    ("R2's link is NULL", "inconclusive", "UNLINKED", pair(r2={"linked": False})),
    ("two Lua rows claim R2", "inconclusive", "r2_links = 2", two_claim_r2),
    ("R2's row went to an older round of the map", "inconclusive", "MISLINKED", linked_to_an_older_round),
    ("the map is played again, its rows go to the first pair", "inconclusive", "CLAIMED", replayed),
    ("likewise, and then a good pair", "pass", "", lambda e: (replayed(e), e.pair(8000))),
    ("likewise, and then one that lost R2", "fail", "r2_lua_rows = 0", lambda e: (replayed(e), e.pair(8000, **LOST))),
    ("an aborted R2's row goes to the R2 before it", "inconclusive", "CLAIMED", aborted_later),
    ("the first pair lost R2, the replay's row goes there", "fail", "r2_posted = false", lambda e: replayed(e, **LOST)),
    ("a pair from two maps", "inconclusive", "NO_R1", pair(r1={"map_name": "goldrush"})),
    (
        "R1 of one evening, R2 of the next",
        "inconclusive",
        "NO_R1",
        lambda e: (e.half(1, R1_S), e.half(2, R2_S + NEXT_DAY)),
    ),
    ("R1 and R2 46 minutes apart", "inconclusive", "NO_R1", lambda e: (e.half(1, R1_S), e.half(2, R1_S + 46 * 60))),
    ("R1 and R2 44 minutes apart", "pass", "", lambda e: (e.half(1, R1_S), e.half(2, R1_S + 44 * 60))),
    ("R2 alone", "inconclusive", "NO_R1", lambda e: e.half(2, R2_S)),
    ("R1 alone", "inconclusive", "play", lambda e: e.half(1, R1_S)),
    ("R1 began before the load, R2 after it", "inconclusive", "MIXED", lambda e: (e.half(1, 100), e.half(2, R2_S))),
    ("both halves are of before the load", "inconclusive", "play", lambda e: (e.half(1, -1500), e.half(2, -900))),
    ("old rounds ingested anew", "inconclusive", "play", ingested_again),
    ("the defenders held R1: an integral limit", "inconclusive", "INTEGRAL_LIMIT", pair(**HELD)),
    ("R1 was surrendered", "inconclusive", "INTEGRAL_LIMIT", pair(r1={"clock": "12:00", "winner": 2, "defender": 2})),
    ("R1 was won on a full minute", "inconclusive", "LIMIT_UNKNOWN", pair(r1={"clock": "7:00"})),
    ("nobody is known to have won R1", "inconclusive", "LIMIT_UNKNOWN", pair(r1={"winner": 0})),
    ("bots only", "inconclusive", "BOT", pair(r1={"bots": True}, r2={"bots": True})),
    ("bots only in R2", "inconclusive", "BOT", pair(r2={"bots": True})),
    ("R2 is a substitution", "inconclusive", "STATUS", pair(r2={"status": "substitution"})),
    ("R2 was cancelled", "inconclusive", "play", pair(r2={"status": "cancelled"})),
    ("an orphan R2", "inconclusive", "STATUS", pair(r2={"status": "orphan_r2"})),
    ("only the match summary was stored", "inconclusive", "play", summary),
    ("a summary beside the pair", "pass", "", good(summary)),
    ("R1 was restarted", "pass", "", lambda e: (e.half(1, 200, status="cancelled", lua=False, posted=False), e.pair())),
    ("an aborted R1, stored, and then the pair", "pass", "", lambda e: (e.half(1, 340), e.pair())),
    ("a held pair beside a good one", "pass", "1 good", good(pair(2000, **HELD))),
    ("the session crosses midnight", "pass", "", midnight),
    ("times with colons", "pass", "", pair(r1={"colons": True}, r2={"colons": True})),
    ("times that are none", "inconclusive", "play", good(rubbish_times)),
    ("incomplete and young", "inconclusive", "UNSETTLED", lambda e: (e.pair(**lost(None)), setattr(e.stats, "settle_s", 60))),
    # --- the bot was down
    ("R2's post found nobody", "inconclusive", "LATE", pair(**lost(3600))),
    ("R2's post found nobody, and then a good pair", "pass", "", lambda e: (e.pair(**lost(3600)), e.pair(2000))),
    ("the bot was down all evening", "inconclusive", "LATE", pair(r1={**LOST["r2"], "imported_s": 40000}, **lost(39400))),
    ("R2 is lost, its file came by polling", "fail", "r2_lua_rows = 0", pair(**lost(630))),
    ("R2 is lost, its file came late, yet the bot took the next post", "fail", "r2_lua_rows = 0", file_alone_was_late),
    ("R2 is lost at night, its file came in the morning", "fail", "r2_lua_rows = 0", pair(AT_NIGHT, **lost(30000))),
    # --- the bot's log
    ("the bot's log was rotated in between", "pass", "", rotate),
    ("the bot's log is gone", "inconclusive", "r1_posted", lost_log),
    ("the bot's log is silent", "inconclusive", "r1_posted", good(lambda e: e.webhook.write_text(""))),
    ("the log holds another program's lines only", "inconclusive", "r1_posted", good(lambda e: e.webhook.write_text("STATS_READY\n"))),
    ("the post was of the other map", "inconclusive", "UNPOSTED", lambda e: (e.pair(**BY_FILE), e.post(2, R2_S, "goldrush"))),
    ("the post was of the other map, and no row came", "fail", "r2_posted = false", lambda e: (
        e.pair(**LOST), e.post(2, R2_S, "goldrush"))),
    ("the word is there, in an error line", "inconclusive", "UNPOSTED", good(lambda e: e.webhook.write_text(ERROR_LINE))),
    ("the word is there, in an error line, and no row came", "fail", "r2_posted = false", lambda e: (
        e.pair(**LOST), e.webhook.write_text(ERROR_LINE))),
    ("Discord lost R2's post, its row came by the gametime file", "inconclusive", "UNPOSTED", pair(**BY_FILE)),
    ("likewise, beside a good pair", "pass", "", good(pair(2000, **BY_FILE))),
    ("R1's row came by the gametime file, a full hold's R2 is lost", "fail", "r2_posted = false", good(pair(
        2000, r1={"posted": False, **HELD["r1"]}, **LOST))),
    ("the log no longer holds an older good pair", "pass", "", begun_anew()),
    ("the log no longer holds a full hold that lost R2", "fail", "r2_posted = false", begun_anew(**LOST, **HELD)),
    ("more posts than are looked at", "pass", "", many_posts),
    # --- the console
    ("the old error is still in the console", "pass", "", pair()),
    ("the error comes again", "fail", "lua_error = 1", console(BAD_ARGUMENT)),
    ("the error is glued to other text", "fail", "bad_argument = 1", console(f"type=number{BAD_ARGUMENT}")),
    ("caught, the round still lost", "fail", "crashed = 1", console("[stats_discord_webhook] Webhook payload/send crashed: x")),
    ("another module fails", "pass", "", console(OTHER_ERROR)),
    ("a player says that it failed", "pass", "", console("say: x: nothing wrong here")),
    ("a player quotes the error", "pass", "", console("say: ana: error running lua script: was that bad argument #9 again?")),
    ("another module does not load", "pass", "", console(
        f"{API}Lua module [luascripts/x.lua] [00] disallowed by ACL",
        f"{API}syntax error during pre-compilation: [string \"luascripts/x.lua\"]:3: '=' expected",
        f"{API}Lua VM start failed ( luascripts/x.lua )")),
    ("the file did not load for a while", "fail", "load_failed = 1", console(
        f"{API}syntax error during pre-compilation: [string \"{HOOK}\"]:3: '=' expected")),
    ("the console was emptied after the pair", "inconclusive", "play", emptied_console),
    ("the console was rotated, the old file kept", "pass", "", rotated_console),
    ("the console holds no finished half", "inconclusive", "control_count = 0", after(
        init(HOOK, named=SHA1).replace("==== ShutdownGame", "==== x") + init(HOOK).replace("==== ShutdownGame", "==== x"))),
    # --- the load
    ("copied, no map load since", "inconclusive", "pending", after("")),
    ("the server loaded it and then could not", "fail", "failed", after(init(HOOK, named=SHA1) + init(extra=CANNOT_LOAD))),
    ("the running file has other bytes", "fail", "failed", after(init(HOOK, named=OTHER_SHA1) + init(HOOK, named=OTHER_SHA1))),
    ("nobody says which bytes were loaded", "inconclusive", "unknown", after(init(HOOK))),
    ("a competition configuration dropped the module", "fail", "failed", after(init(HOOK, named=SHA1) + init("c0rnp0rn7.lua"))),
    ("no deployment is recorded", "inconclusive", "unknown", good(set_attributes(cursor=None))),
    ("edited by hand after the deployment", "drift", "webhook_lua", drifted),
    ("rolled back", "fail", "revert", rolled_back),
    # --- clocks, databases, ledgers
    ("the game server's clock was set back", "inconclusive", "play", clock_runs_behind),
    ("the controller's clock was an hour ahead", "error", "future", good(set_attributes(age=timedelta(hours=-1)))),
    ("the database was restored since", "expired", "restored", restored),
    ("the database does not answer in time", "error", "57014", slow_database),
    ("which database it was is not known", "inconclusive", "database", good(set_attributes(database=""))),
    ("the evidence was edited", "broken", "evidence verify", edited),
    ("a bad record was cut off", "broken", "evidence verify", cut_tail),
    ("the evidence is 13.9 days old", "pass", "", aged(13.9)),
    ("the evidence is 14.1 days old", "expired", "14.1 d", aged(14.1)),
    ("the plan was changed since", "expired", "plan", replanned),
    ("only a dry run", "inconclusive", "nothing is recorded", good(set_attributes(check=True))),
    ("nobody played, waived", "waived", "the season is over", waived(1)),
    ("nobody played, the waiver has expired", "inconclusive", "play", waived(-1)),
    ("the defect, waived", "fail", "r2_lua_rows = 0", waived(1, pair(**LOST))),
    ("the evidence was edited, waived", "broken", "evidence verify", waived(1, edited)),
]  # fmt: skip


@pytest.fixture(scope="module")
def gate(root: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((root / "playbooks/plan/gates/phase1.yml").read_text()))


@pytest.fixture
def evening(
    tmp_path: Path, pg: Any, root: Path, slomix_schema: str, gate: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Evening]:
    # The server's own clock: gametime lines carry local time without a zone.
    monkeypatch.setenv("TZ", "Europe/Ljubljana")
    time.tzset()
    sql = (root / "playbooks/plan/sql/pairs_since_load.sql").read_text()
    stats = Statistics(pg.dsn(pg.database(slomix_schema)), sql)
    yield Evening(tmp_path, stats, gate)
    stats.connection.close()
    os.environ.pop("TZ", None)
    time.tzset()


@pytest.mark.parametrize(
    ("verdict", "word", "happens"), [row[1:] for row in SITUATIONS], ids=[row[0] for row in SITUATIONS]
)
def test_an_evening_has_its_verdict(evening: Evening, verdict: str, word: str, happens: Happens) -> None:
    happens(evening)
    found = evening.verdict()
    lines = [f"{one.id} {one.verdict}: {one.found} | {one.next}" for one in found.checks]
    assert found.verdict == verdict, "\n".join(lines)
    assert word in f"{found.found} {found.next}" + " ".join(one.found for one in found.checks if one.verdict == verdict)
    assert found.verdict in ("pass", "waived") or found.next, "what is not a pass says what to do next"


def test_there_are_enough_of_them() -> None:
    names = [row[0] for row in SITUATIONS]
    assert len(set(names)) == len(names) >= 60
    assert {row[1] for row in SITUATIONS} >= {
        "pass",
        "fail",
        "inconclusive",
        "expired",
        "error",
        "drift",
        "broken",
        "waived",
    }
