"""Signed signals over HTTP. Nothing of a request is believed before its signature is; each refusal is one word to the sender,
one line in the log at most every minute for its kind, and nothing at all to the engine.

A sender signs `timestamp.nonce.body` with HMAC-SHA256 and its own secret, and sends the three headers below. A nonce is used up
on the disk before the command goes to the engine; the command's id follows from the signal's own, so that a repetition under a
new nonce is answered, not done again.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from engine.config_webhook import WebhookSourceConfig
from engine.errors import EngineUnreachable, QuarterdeckError, UsageError
from engine.pulses import Pulses
from engine.service import Receipt, Service
from store.nonces import NonceBook
from tui.paces import SECONDS_PER_MINUTE, Paces
from tui.webhook_signals import command_of, signal_of

if TYPE_CHECKING:
    from aiohttp import web

TIMESTAMP_HEADER = "X-Quarterdeck-Timestamp"
NONCE_HEADER = "X-Quarterdeck-Nonce"
SIGNATURE_HEADER = "X-Quarterdeck-Signature"
ANSWER_SECONDS = 30.0
BODY_SECONDS = 5.0
LOGGED_EVERY_SECONDS = 60.0
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"[0-9a-f]{64}")
_log = logging.getLogger("quarterdeck.webhook")


class Refused(Exception):
    """A request that is not taken; never leaves this module."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


class Webhook:
    """Takes signals for a running engine. `secrets` are by source; one without a secret takes nothing."""

    def __init__(self, service: Service, sources: Sequence[WebhookSourceConfig], secrets: Mapping[str, str], nonces: NonceBook,
                 pulses: Pulses, *, window_seconds: int, largest_bytes: int,
                 now_seconds: Callable[[], float] = time.time) -> None:
        self._service = service
        self._sources = {source.name: source for source in sources}
        self._secrets = secrets
        self._nonces = nonces
        self._pulses = pulses
        self._window_seconds = window_seconds
        self._largest_bytes = largest_bytes
        self._now_seconds = now_seconds
        self._paces = Paces(time.monotonic)

    def app(self) -> "web.Application":
        """The application that answers `POST /hook/NAME`, and nothing else."""
        from aiohttp import web

        logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # a broken request is its sender's affair
        app = web.Application(client_max_size=self._largest_bytes)
        app.router.add_post("/hook/{name}", self._answer)
        app.on_cleanup.append(self._close)
        return app

    async def _close(self, _: "web.Application") -> None:
        self._nonces.close()

    async def _answer(self, request: "web.Request") -> "web.Response":
        from aiohttp import web

        sender = request.remote or ""
        try:
            receipt = await self._take(request, sender)
        except Refused as refused:
            self._note(refused, sender)
            return web.json_response({"accepted": False, "error": refused.why}, status=refused.status)
        self._count("taken" if receipt.accepted else "refused by the engine")
        return web.Response(status=200 if receipt.accepted else 422, body=msgspec.json.encode(receipt),
                            content_type="application/json")

    async def _take(self, request: "web.Request", sender: str) -> Receipt:
        """The engine's receipt for a request that is what it says; raises `Refused`."""
        source = self._sources.get(request.match_info["name"])
        if source is not None and not _comes_from(sender, source.allow_from):
            raise Refused(403, "not from there")
        body = await self._body(request)
        nonce = self._signed(request, source, body)
        if source is None or not self._paces.spend(f"source {source.name}", source.per_minute):
            raise Refused(429, "too many signals")
        try:
            if not self._nonces.take(source.name, nonce, int(self._now_seconds())):
                raise Refused(409, "this nonce was used before")
            command = command_of(source, signal_of(body))
        except UsageError as error:
            raise Refused(400, str(error)) from error
        except QuarterdeckError as error:
            _log.error("webhook: %s", error)
            raise Refused(503, "nothing can be recorded") from error
        try:
            return await asyncio.wait_for(self._service.send(command), ANSWER_SECONDS)
        except (EngineUnreachable, TimeoutError) as error:
            raise Refused(503, "the engine does not answer; send the same id again") from error

    async def _body(self, request: "web.Request") -> bytes:
        from aiohttp import web

        if (request.content_length or 0) > self._largest_bytes:
            raise Refused(413, "too large")
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise Refused(413, "too large") from error
        except TimeoutError as error:
            raise Refused(408, "too slow") from error

    def _signed(self, request: "web.Request", source: WebhookSourceConfig | None, body: bytes) -> str:
        """The nonce of a request whose signature and time are right. An unknown source is refused like a wrong signature."""
        timestamp, nonce, signature = (request.headers.get(name, "")
                                       for name in (TIMESTAMP_HEADER, NONCE_HEADER, SIGNATURE_HEADER))
        secret = self._secrets.get(source.name, "") if source is not None else ""
        well_formed = (_TIMESTAMP.fullmatch(timestamp), _NONCE.fullmatch(nonce), _SIGNATURE.fullmatch(signature))
        expected = signature_of(secret, timestamp, nonce, body)
        if not all(well_formed) or not secret or not hmac.compare_digest(expected.encode(), signature.encode()):
            raise Refused(401, "the signature is not right")
        if abs(self._now_seconds() - int(timestamp)) > self._window_seconds:
            raise Refused(401, "its time is not now")
        return nonce

    def _note(self, refused: Refused, sender: str) -> None:
        """Log each kind of refusal once a minute, and count every one. Nobody is shut out for them: behind a proxy all senders
        have one address, and a stranger's noise must not silence a source."""
        self._count(f"refused {refused.status}")
        if self._paces.spend(f"log {refused.status}", SECONDS_PER_MINUTE / LOGGED_EVERY_SECONDS):
            _log.warning("webhook: refused with %s (%s), from %s; others of this kind are counted only", refused.status,
                         "".join(letter if letter.isprintable() else " " for letter in refused.why), sender)

    def _count(self, what: str) -> None:
        name = f"webhook {what}"
        self._pulses.counts[name] = self._pulses.counts.get(name, 0) + 1


def signature_of(secret: str, timestamp: str, nonce: str, body: bytes) -> str:
    """HMAC-SHA256 of `timestamp.nonce.body`, in lower-case hexadecimal."""
    return hmac.new(secret.encode(), f"{timestamp}.{nonce}.".encode(errors="replace") + body, hashlib.sha256).hexdigest()


def _comes_from(sender: str, networks: Sequence[str]) -> bool:
    """Whether the peer itself, whatever a header says, is in one of the networks."""
    try:
        address = ipaddress.ip_address(sender)
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(one) for one in networks)
