"""The gatekeeper of a home: what codes are compared with comes out of its key store."""

import logging

from engine.config import Config
from engine.errors import KeysUnavailable
from engine.runner import Engine
from store.home import Home
from tui.access import SET_UP, Gatekeeper
from tui.access_codes import APPROVALS, PIN, TOTP, AccessSecrets
from tui.key_access import key_store

_log = logging.getLogger("quarterdeck.access")


def gatekeeper_of(home: Home, config: Config, engine: Engine) -> Gatekeeper:
    """The gatekeeper of a home's engine. Where nobody has to unlock anything and nobody is told of decisions, no key store is
    asked; one that cannot be asked is told in the log, and nothing is unlocked then."""
    terms = config.access
    wanted = terms.unlock != "nobody" or any(route.decisions for route in config.notify_route)
    gate = Gatekeeper(engine, unlock=terms.unlock, unlocked_seconds=terms.unlocked_seconds, idle_seconds=terms.idle_seconds,
                      read_secrets=(lambda: read_secrets(home, config)) if wanted else AccessSecrets,
                      now_ns=engine.parts.clock.now_ns)
    if terms.unlock != "nobody" and not gate.ways:
        _log.warning("access: [access] unlock = %s, and there is no code yet: %s", terms.unlock, SET_UP)
    return gate


def read_secrets(home: Home, config: Config) -> AccessSecrets:
    """What is set up, out of a key store that is opened anew."""
    try:
        store = key_store(home.path, config)
        kept = [store.read(name) for name in (PIN, TOTP, APPROVALS)]
    except KeysUnavailable as error:
        _log.error("access: nothing can be unlocked: %s", error)
        return AccessSecrets()
    return AccessSecrets(*("" if key is None else key.secret for key in kept))
