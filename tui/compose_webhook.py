"""The webhook of a home: its sources with their secrets out of the key store, and the server that takes their signals."""

import logging

from engine.config import Config
from engine.errors import KeysUnavailable
from engine.runner import Engine
from store.home import Home
from store.nonces import NonceBook
from tui.http_server import HttpServer
from tui.key_access import key_store, webhook_entry
from tui.webhook import Webhook

NONCES_FILE = "webhook.db"
WORKER = "webhook"
_log = logging.getLogger("quarterdeck.webhook")


def webhook_server(home: Home, config: Config, engine: Engine) -> HttpServer | None:
    """The server of a home's signals, not yet started; None where the configuration wants none. A source without a secret is
    told in the log and takes nothing."""
    if not config.webhook.port or not config.webhook_source:
        return None
    secrets = _secrets(home, config)
    terms = config.webhook

    def hook() -> Webhook:  # in the server's own thread, which alone uses the nonces
        return Webhook(engine, config.webhook_source, secrets, NonceBook(home.path / NONCES_FILE), engine.pulses,
                       window_seconds=terms.window_seconds, largest_bytes=terms.largest_bytes)

    return HttpServer(WORKER, lambda: hook().app(), terms.host, terms.port, engine.pulses)


def _secrets(home: Home, config: Config) -> dict[str, str]:
    found: dict[str, str] = {}
    try:
        store = key_store(home.path, config)
        for source in config.webhook_source:
            key = store.read(webhook_entry(source.name))
            if key is None:
                _log.warning("webhook: %s has no secret; `quarterdeck webhook secret %s` makes one", source.name, source.name)
            else:
                found[source.name] = key.secret
    except KeysUnavailable as error:
        _log.error("webhook: no signal is taken: %s", error)
    return found
