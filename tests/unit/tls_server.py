"""A server on this machine whose certificate, made here, is over; and the trust in whoever made it."""

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.unit.venue_homes import Served

HOST = "127.0.0.1"


def write_expired_certificate(path: Path) -> None:
    """A certificate that signs itself and ended yesterday, with its key, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=30))
            .not_valid_after(now - timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
            .sign(key, hashes.SHA256()))
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


class ServedTls(Served):
    """Answers nothing: no client should come so far. `requests` counts those that did."""

    def __init__(self, certificate: Path) -> None:
        super().__init__()
        self.requests = 0
        self._certificate = certificate
        self._runner = self.call(self._made)
        self.port: int = self._runner.addresses[0][1]

    async def _made(self) -> web.AppRunner:
        async def never(_: web.Request) -> web.Response:
            self.requests += 1
            return web.Response(status=500)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", never)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, HOST, 0, ssl_context=context).start()
        return runner

    def close(self) -> None:
        self.call(self._runner.cleanup)
        super().close()


@contextmanager
def served_expired(folder: Path) -> Iterator[tuple[ServedTls, Path]]:
    """The server, and the file that whoever trusts its maker names."""
    certificate = folder / "expired.pem"
    write_expired_certificate(certificate)
    made = ServedTls(certificate)
    try:
        yield made, certificate
    finally:
        made.close()
