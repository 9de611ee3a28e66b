"""Fetching what strangers publish: http and https alone, no address of this machine or its network unless that is configured,
bounded in size, time and redirects, and only where it changed."""

import asyncio
import ipaddress
import re
import socket
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from brokers.news.aside import aside
from engine.errors import QuarterdeckError

if TYPE_CHECKING:
    import aiohttp

MOST_BYTES = 1_000_000
WHOLE_SECONDS = 20.0
CONNECT_SECONDS = 5.0
MOST_REDIRECTS = 3
CHUNK = 65_536
REDIRECTS = frozenset({301, 302, 303, 307, 308})
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9.])?")
HEADERS = {"User-Agent": "quarterdeck", "Accept": "application/rss+xml, application/atom+xml, text/calendar, text/csv, */*;q=0.1"}


class SourceFailed(QuarterdeckError):
    """A source did not give what was asked for; the message says why in a few words, without its address's secrets."""


class Fetched(NamedTuple):
    """What a source gave: nothing new where `body` is None. The two marks make the next question a conditional one."""

    body: bytes | None
    content_type: str = ""
    etag: str = ""
    last_modified: str = ""


def problem_of(address: str, *, private: bool) -> str:
    """Why an address is not fetched, empty where it may be: it must be http or https and, unless private ones are allowed, no
    number of this machine or its network. Names are looked at again when they are resolved."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "it is no address"
    if parts.scheme not in ("http", "https") or not host or port == 0:
        return "it must begin with https:// or http://"
    if parts.username or parts.password:
        return "it must not hold a name or a password"
    if not _is_plain(host):
        return "its host is written in an unusual way"
    return "" if private or not _is_private(host) else "it is an address of this machine or its network; private = true allows it"


def _is_plain(host: str) -> bool:
    """Whether a host is what it looks like: a name in ASCII, four numbers, or an IPv6 address. What else may stand for a number
    (127.1, 2130706433, digits of other scripts) is resolved by nobody who would look at it."""
    if ":" not in host and not host.replace(".", "").isdigit():
        return bool(_NAME.fullmatch(host))
    try:
        return bool(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return False


def _is_private(host: str) -> bool:
    """Whether a literal address is none of the public internet; a name is not literal."""
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):  # an address of the old kind may be written inside one of the new
        translated = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF) if found in _TRANSLATED else None
        found = found.ipv4_mapped or found.sixtofour or translated or found
    return not found.is_global or found.is_multicast


async def fetch(address: str, known: Fetched | None = None, *, private: bool = False, most_bytes: int = MOST_BYTES,
                whole_seconds: float = WHOLE_SECONDS) -> Fetched:
    """What lies at an address, or nothing new. Raises `SourceFailed` for whatever keeps it from coming whole and in time."""
    try:
        async with asyncio.timeout(whole_seconds):
            return await _followed(address, known, private=private, most_bytes=most_bytes)
    except TimeoutError:
        raise SourceFailed(f"it did not answer within {whole_seconds:g} s") from None


async def _followed(address: str, known: Fetched | None, *, private: bool, most_bytes: int) -> Fetched:
    """The end of a bounded chain of redirects; each step is looked at as the first one was."""
    import aiohttp

    connector = aiohttp.TCPConnector(resolver=_resolver(private=private), limit=2, use_dns_cache=False)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, headers=HEADERS, trust_env=False,
                                         max_line_size=16_384, max_field_size=16_384,
                                         cookie_jar=aiohttp.DummyCookieJar()) as session:
            for _ in range(MOST_REDIRECTS + 1):
                if problem := problem_of(address, private=private):
                    raise SourceFailed(problem)
                async with session.get(address, headers=_conditions(known), allow_redirects=False) as response:
                    if response.status in REDIRECTS:
                        address = urljoin(address, response.headers.get("Location", ""))
                        continue
                    return await _read(response, most_bytes)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise SourceFailed(f"it cannot be reached ({_cause(error)})") from error
    raise SourceFailed(f"it sends on more than {MOST_REDIRECTS} times")


async def _read(response: "aiohttp.ClientResponse", most_bytes: int) -> Fetched:
    if response.status == 304:
        return Fetched(None)
    if response.status != 200:
        raise SourceFailed(f"it answered {response.status}")
    if (response.content_length or 0) > most_bytes:
        raise SourceFailed(f"it is longer than {most_bytes} bytes")
    body = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK):  # what was compressed is counted as it unfolds
        body += chunk
        if len(body) > most_bytes:
            raise SourceFailed(f"it is longer than {most_bytes} bytes")
    return Fetched(bytes(body), response.headers.get("Content-Type", ""), response.headers.get("ETag", "")[:200],
                   response.headers.get("Last-Modified", "")[:100])


def _conditions(known: Fetched | None) -> dict[str, str]:
    if known is None:
        return {}
    named = {"If-None-Match": known.etag, "If-Modified-Since": known.last_modified}
    return {name: value for name, value in named.items() if value}


def _cause(error: BaseException) -> str:
    inner = error.__cause__ if isinstance(error.__cause__, SourceFailed) else None
    return str(inner) if inner is not None else type(error).__name__


def _resolver(*, private: bool) -> Any:
    """A resolver that knows no private addresses: a name cannot lead to this machine, whatever it resolved to a moment ago."""
    from aiohttp.abc import AbstractResolver, ResolveResult

    class PublicResolver(AbstractResolver):
        async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
            found = await aside(lambda: socket.getaddrinfo(host, port, family, socket.SOCK_STREAM))
            allowed = [ResolveResult(hostname=host, host=str(address[0]), port=port, family=of, proto=proto,
                                     flags=socket.AI_NUMERICHOST)
                       for of, _, proto, _, address in found if private or not _is_private(str(address[0]))]
            if not allowed:
                raise OSError("its name leads to this machine or its network; private = true allows it")
            return allowed

        async def close(self) -> None:
            """Nothing is kept."""

    return PublicResolver()
