"""The trigger channel answers posts the way Discord does; curl's retries and the webhook's fallbacks hang on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from bot.automation.channel_gateway import PostBucket, check_form
from hypothesis import given
from hypothesis import strategies as st
from slomix_composed import stats_ready
from slomix_process import TOKEN, Bot

pytestmark = pytest.mark.postgres


def post_with(**changes: Any) -> dict[str, Any]:
    """A good post with parts of its embed replaced."""
    post = stats_ready("2026-02-20-213000")
    post["embeds"][0].update(changes)
    return post


FIELD = {"name": "n", "value": "v"}


@pytest.mark.parametrize(
    ("payload", "status", "code"),
    [
        ({"content": "hello"}, None, None),
        ({"content": "x" * 2000}, None, None),
        ({"content": "x" * 2001}, 400, 50035),
        ({"content": "", "embeds": []}, 400, 50006),
        ({}, 400, 50006),
        ([], 400, 50109),
        (post_with(fields=[FIELD] * 25), None, None),
        (post_with(fields=[FIELD] * 26), 400, 50035),
        (post_with(fields=[{"name": "n", "value": "x" * 1024}]), None, None),
        (post_with(fields=[{"name": "n", "value": "x" * 1025}]), 400, 50035),
        (post_with(fields=[{"name": "n", "value": ""}]), None, None),  # refused on paper, accepted in practice
        (post_with(fields=[{"name": "n"}]), 400, 50035),
        (post_with(fields=[{"name": "n", "value": 7}]), 400, 50035),
        (post_with(fields=[{"name": "x" * 257, "value": "v"}]), 400, 50035),
        (post_with(title="x" * 257), 400, 50035),
        (post_with(fields=[{"name": "n", "value": "x" * 1000}] * 7), 400, 50035),  # 6000 characters in all
        ({"content": "c", "username": "x" * 81}, 400, 50035),
        ({"content": 7}, 400, 50035),
        ({"content": "c", "embeds": ["text"]}, 400, 50035),
    ],
)
def test_form(payload: Any, status: int | None, code: int | None) -> None:
    refusal = check_form(payload)
    assert (refusal[0], refusal[1]["code"]) == (status, code) if refusal else status is None


def test_error_names_the_field() -> None:
    refusal = check_form(post_with(fields=[FIELD, {"name": "Axis_JSON", "value": "x" * 1025}]))
    assert refusal is not None
    errors = refusal[1]["errors"]["embeds"]["0"]["fields"]["1"]["value"]["_errors"]
    assert errors == [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 1024 or fewer in length."}]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["content", "embeds", "fields", "name", "value", "footer", "text", "title", "username"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_judged(payload: Any) -> None:
    refusal = check_form(payload)
    assert refusal is None or (refusal[0] == 400 and refusal[1]["message"])


def test_bucket_counts_each_webhook_alone() -> None:
    bucket = PostBucket(posts=2, seconds=60)
    assert [bucket.take("a") > 0 for _ in range(3)] == [False, False, True]
    assert bucket.take("b") == 0


def test_answers_over_http(start_bot: Callable[..., Bot]) -> None:
    bot = start_bot(WEBHOOK_BUCKET_POSTS="100")
    good = {"content": "hello"}
    assert bot.post(good)[:2] == (204, None)
    assert bot.post(good, webhook_id="1")[1]["code"] == 10015
    assert bot.post(good, token="wrong")[:2] == (401, {"message": "Invalid Webhook Token", "code": 50027})
    assert bot.post(b'{"content": "a\\"')[0] == 400
    assert bot.post(b'{"content": "\xff"}')[0] == 400
    assert bot.post(b"[" * 100_000)[0] == 400
    assert bot.post({"content": ""})[1]["code"] == 50006
    status, body, _ = bot.post(post_with(fields=[{"name": "n", "value": "x" * 1025}]))
    assert (status, body["message"]) == (400, "Invalid Form Body")
    assert bot.request("/api/other", b"{}")[0] == 404
    assert bot.request("/nothing")[0] == 404
    report = bot.wait_idle()
    assert (report["posts"], report["accepted"], report["queue"]) == (8, 1, 0)
    assert bot.log("errors").count("refused with") == 7
    assert TOKEN not in "".join(bot.log(name) for name in ("bot", "webhook", "errors", "database"))


def test_sixth_post_within_the_window_is_limited(start_bot: Callable[..., Bot]) -> None:
    bot = start_bot(WEBHOOK_BUCKET_SECONDS="20")  # live: 2 s; wide here, so that a busy machine cannot pass it
    answers = [bot.post({"content": "hello"}) for _ in range(6)]
    assert [status for status, _, _ in answers] == [204] * 5 + [429]
    _, body, headers = answers[-1]
    assert 0 < body["retry_after"] <= 20 and body["global"] is False
    assert body["retry_after"] <= int(headers["Retry-After"]) <= 21


def test_http_keeps_a_connection_open_and_needs_a_length(start_bot: Callable[..., Bot]) -> None:
    import http.client

    bot = start_bot()
    connection = http.client.HTTPConnection("127.0.0.1", bot.port, timeout=5)
    for _ in range(2):
        connection.request("GET", "/health")
        assert json.loads(connection.getresponse().read())["posts"] == 0
    connection.putrequest("POST", "/api/webhooks/1/2")
    connection.endheaders()
    assert connection.getresponse().status == 411
    connection.close()
