"""Real venues in the composition: accounts with their keys and locks, brokers, and the venues' market data in one feed.

Everything that reaches a library of a venue is imported inside the function that needs it.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from brokers.key_rights import KeyRights
from engine.config_accounts import AccountConfig
from engine.errors import ConfigError
from engine.inputs import Bar, MarketItem
from engine.ports import MarketFeed
from store.keys import Key

if TYPE_CHECKING:
    from brokers.alpaca.endpoints import AlpacaEndpoints
    from brokers.ccxt_venue.session import Endpoints

FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0
_log = logging.getLogger("quarterdeck.venues")


# ---- market data of several venues --------------------------------------------------------------------------------------


class MergedFeed:
    """The feeds of several venues as one. A feed that fails is begun again, ever more slowly; the others do not notice."""

    def __init__(self, feeds: Mapping[str, MarketFeed]) -> None:
        self._feeds = dict(feeds)
        self._closed = asyncio.Event()

    async def run(self, sink: Callable[[MarketItem], None]) -> None:
        await asyncio.gather(*(self._keep(venue, feed, sink) for venue, feed in self._feeds.items()))

    def history(self, instrument_id: str, limit: int) -> Sequence[Bar]:
        """Bars of an instrument from the feed of its venue; none where no feed is of that venue."""
        feed = self._feeds.get(instrument_id.rpartition("@")[2])
        return feed.history(instrument_id, limit) if feed is not None else ()

    async def close(self) -> None:
        self._closed.set()
        for feed in self._feeds.values():
            await feed.close()

    async def _keep(self, venue: str, feed: MarketFeed, sink: Callable[[MarketItem], None]) -> None:
        wait_seconds = FIRST_RETRY_SECONDS
        while not self._closed.is_set():
            try:
                await feed.run(sink)
                return
            except Exception as error:  # noqa: BLE001 - its quotes go stale, which blocks entries by itself
                _log.error("market data of %s stopped (%s); trying again in %.0f s", venue, type(error).__name__, wait_seconds)
            try:
                await asyncio.wait_for(self._closed.wait(), wait_seconds)
            except TimeoutError:
                wait_seconds = min(2 * wait_seconds, LONGEST_RETRY_SECONDS)


# ---- accounts ------------------------------------------------------------------------------------------------------------


def lock_name(account: AccountConfig, key: Key) -> str:
    """What two engines on one venue account have in common, whatever their homes call it; shows no part of the key."""
    place = account.endpoints.rest_url or ("practice" if not account.live else "real money")
    return f"{account.venue} ({place}, key {hashlib.sha256(key.key_id.encode()).hexdigest()[:8]})"


def alpaca_endpoints(account: AccountConfig) -> "AlpacaEndpoints":
    """Alpaca's addresses, each pointed elsewhere where the configuration says so."""
    from brokers.alpaca.endpoints import AlpacaEndpoints, endpoints_of

    own, other = endpoints_of(paper=account.paper), account.endpoints
    return AlpacaEndpoints(other.rest_url or own.trading_url, other.data_url or own.data_url,
                           other.stream_url or own.trading_stream_url, other.data_stream_url or own.data_stream_url)


def ccxt_endpoints(account: AccountConfig) -> "Endpoints":
    from brokers.ccxt_venue.session import Endpoints

    return Endpoints(account.endpoints.rest_url, account.endpoints.stream_url)


def key_rights(account: AccountConfig, key: Key) -> KeyRights:
    """What the account's venue says that a key may do; raises as the venue's adapter does."""
    if account.kind == "alpaca":
        from brokers.alpaca.key_rights import key_rights as alpaca_rights

        return asyncio.run(alpaca_rights(account.name, lambda: (key.key_id, key.secret), alpaca_endpoints(account),
                                         paper=account.paper))
    if account.kind == "ccxt":
        from brokers.ccxt_venue.key_rights import key_rights as ccxt_rights

        return asyncio.run(ccxt_rights(account.name, account.exchange, ccxt_key_source(key), endpoints=ccxt_endpoints(account),
                                       sandbox=account.sandbox))
    raise ConfigError(f'account "{account.name}": the paper venue needs no key')


def ccxt_key_source(key: Key) -> Callable[[], tuple[str, str, str | None]]:
    return lambda: (key.key_id, key.secret, key.passphrase or None)
