"""The trigger channel: an HTTP endpoint that takes webhook posts and answers them the way Discord does.

`POST /api/webhooks/<id>/<token>` turns an accepted post into a message for the bot, `GET /health` shows whether the
bot is at rest, `GET /commands/<name>?<option>=<value>` runs a command and returns its embed.
"""

import itertools
import json
import logging
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

logger = logging.getLogger("bot.gateway")

MAX_BODY_BYTES = 1024 * 1024
MAX_CONTENT = 2000
MAX_EMBEDS = 10
MAX_EMBED_TOTAL = 6000
MAX_FIELDS = 25
EMBED_TEXT_LIMITS = {"title": 256, "description": 4096}
FIELD_NAME_LIMIT = 256
FIELD_VALUE_LIMIT = 1024
FOOTER_LIMIT = 2048
USERNAME_LIMIT = 80

_snowflakes = itertools.count(int(time.time() * 1000) << 22)


@dataclass(frozen=True)
class ChannelMessage:
    webhook_id: str
    author_name: str
    content: str
    embeds: list = field(default_factory=list)
    id: int = field(default_factory=lambda: next(_snowflakes))


class _FormErrors:
    """Collects errors in Discord's nested shape: {"embeds": {"0": {"fields": {...}}}}."""

    def __init__(self):
        self.tree = {}

    def add(self, path, code, message):
        node = self.tree
        for part in path:
            node = node.setdefault(str(part), {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def check_length(self, path, value, limit, required=False):
        if value is None and not required:
            return 0
        if not isinstance(value, str):
            code = "BASE_TYPE_REQUIRED" if value is None else "STRING_TYPE_CONVERT"
            self.add(path, code, "This field is required" if value is None else "Could not interpret as string.")
            return 0
        if len(value) > limit:
            self.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")
        return len(value)


def check_form(payload):
    """Discord's answer to a bad form as (status, body), or None when the form is good.

    Empty field values are let through: the API description forbids them, posts with them were accepted all the same.
    """
    if not isinstance(payload, dict):
        return 400, {"code": 50109, "message": "The request body contains invalid JSON."}
    content = payload.get("content") or ""
    embeds = payload.get("embeds") or []
    errors = _FormErrors()
    errors.check_length(("content",), content, MAX_CONTENT)
    errors.check_length(("username",), payload.get("username"), USERNAME_LIMIT)
    if not isinstance(embeds, list):
        errors.add(("embeds",), "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        embeds = []
    if len(embeds) > MAX_EMBEDS:
        errors.add(("embeds",), "BASE_TYPE_MAX_LENGTH", f"Must be {MAX_EMBEDS} or fewer in length.")

    total = sum(_check_embed(errors, index, embed) for index, embed in enumerate(embeds))
    if total > MAX_EMBED_TOTAL:
        errors.add(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {MAX_EMBED_TOTAL}")
    if errors.tree:
        return 400, {"code": 50035, "message": "Invalid Form Body", "errors": errors.tree}
    if not content and not embeds:
        return 400, {"code": 50006, "message": "Cannot send an empty message"}
    return None


def _check_embed(errors, index, embed):
    """Count the characters of one embed, noting what breaks a limit."""
    path = ("embeds", index)
    if not isinstance(embed, dict):
        errors.add(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
        return 0
    total = sum(errors.check_length((*path, key), embed.get(key), limit) for key, limit in EMBED_TEXT_LIMITS.items())
    footer = embed.get("footer")
    if isinstance(footer, dict):
        total += errors.check_length((*path, "footer", "text"), footer.get("text"), FOOTER_LIMIT)
    fields = embed.get("fields") or []
    if not isinstance(fields, list):
        errors.add((*path, "fields"), "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        return total
    if len(fields) > MAX_FIELDS:
        errors.add((*path, "fields"), "BASE_TYPE_MAX_LENGTH", f"Must be {MAX_FIELDS} or fewer in length.")
    for number, entry in enumerate(fields):
        where = (*path, "fields", number)
        if not isinstance(entry, dict):
            errors.add(where, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
            continue
        total += errors.check_length((*where, "name"), entry.get("name"), FIELD_NAME_LIMIT, required=True)
        total += errors.check_length((*where, "value"), entry.get("value"), FIELD_VALUE_LIMIT, required=True)
    return total


class PostBucket:
    """Discord's bucket of one webhook: so many posts in so many seconds."""

    def __init__(self, posts, seconds):
        self.posts, self.seconds = posts, seconds
        self._times = defaultdict(deque)
        self._lock = threading.Lock()

    def take(self, key):
        """Seconds to wait before the next post, 0 when this one may pass."""
        now = time.monotonic()
        with self._lock:
            times = self._times[key]
            while times and now - times[0] >= self.seconds:
                times.popleft()
            if len(times) >= self.posts:
                return self.seconds - (now - times[0])
            times.append(now)
            return 0.0


class ChannelGateway:
    """Runs the endpoint in threads of its own; `deliver` and the two readers are given by the bot."""

    def __init__(self, config, deliver, read_health, run_command):
        self.config = config
        self.deliver = deliver
        self.read_health = read_health
        self.run_command = run_command
        self.bucket = PostBucket(config.channel_posts, config.channel_posts_seconds)
        self.posts = 0
        self.accepted = 0
        self._count_lock = threading.Lock()
        self._server = None

    @property
    def port(self):
        return self._server.server_address[1]

    def start(self):
        gateway = self

        class Handler(_Handler):
            pass

        Handler.gateway = gateway
        self._server = ThreadingHTTPServer((self.config.webhook_host, self.config.webhook_port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="gateway", daemon=True).start()
        logger.info(f"Trigger channel listens on {self.config.webhook_host}:{self.port}")

    def stop(self):
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def take_post(self, webhook_id, token, body):
        """Judge one post: (status, JSON body or None, extra headers)."""
        with self._count_lock:
            self.posts += 1
        if webhook_id not in self.config.webhook_whitelist:
            return 404, {"message": "Unknown Webhook", "code": 10015}, {}
        if not self.config.webhook_token or token != self.config.webhook_token:
            return 401, {"message": "Invalid Webhook Token", "code": 50027}, {}
        wait = self.bucket.take(webhook_id)
        if wait > 0:
            body = {"message": "You are being rate limited.", "retry_after": round(wait, 3), "global": False}
            return 429, body, {"Retry-After": str(int(wait) + 1), "X-RateLimit-Remaining": "0"}
        try:
            payload = json.loads(body.decode("utf-8"))
        except (ValueError, RecursionError):
            return 400, {"code": 50109, "message": "The request body contains invalid JSON."}, {}
        refusal = check_form(payload)
        if refusal is not None:
            return (*refusal, {})

        with self._count_lock:
            self.accepted += 1
        self.deliver(
            ChannelMessage(
                webhook_id=webhook_id,
                author_name=payload.get("username") or "Captain Hook",
                content=payload.get("content") or "",
                embeds=payload.get("embeds") or [],
            )
        )
        return 204, None, {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "slomix"
    timeout = 15
    gateway = None

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > MAX_BODY_BYTES:
            self.close_connection = True
            return self._answer(413 if length.isdigit() else 411, {"message": "Bad Content-Length", "code": 0})
        body = self.rfile.read(int(length))
        parts = urlsplit(self.path).path.strip("/").split("/")
        if len(parts) != 4 or parts[:2] != ["api", "webhooks"]:
            return self._answer(404, {"message": "404: Not Found", "code": 0})
        status, answer, headers = self.gateway.take_post(parts[2], parts[3], body)
        if status != 204:
            logger.warning(f"Post to webhook {parts[2]} refused with {status}: {json.dumps(answer)[:300]}")
        return self._answer(status, answer, headers)

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/health":
            return self._answer(200, self.gateway.read_health())
        if url.path.startswith("/commands/"):
            options = {name: values[0] for name, values in parse_qs(url.query).items()}
            try:
                return self._answer(200, self.gateway.run_command(url.path.removeprefix("/commands/"), options))
            except LookupError as e:
                return self._answer(400, {"message": str(e), "code": 0})
        return self._answer(404, {"message": "404: Not Found", "code": 0})

    def _answer(self, status, body=None, headers=None):
        data = b"" if body is None else json.dumps(body).encode("utf-8")
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format, *args):
        logger.debug(f"{self.address_string()} {format % args}")
