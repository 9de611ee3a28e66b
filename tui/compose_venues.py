"""Real venues in the composition: accounts with their keys and locks, their brokers, and the venues' market data.

Everything that reaches a library of a venue is imported inside the function that needs it.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from brokers.key_rights import KeyRights
from brokers.market.merged import AwaitedFeed, MergedFeed
from brokers.paper.on_venue import PaperOnVenue
from brokers.paper.records import PaperOptions
from brokers.patient import OutOfReach, PatientBroker
from brokers.remembered import Remembered
from brokers.sessions import session_bounds
from engine.config import Config
from engine.config_accounts import PAPER, SIMULATED, AccountConfig
from engine.errors import ConfigError, KeysUnavailable
from engine.inputs import Settings
from engine.instruments import Instrument
from engine.ports import Broker, MarketFeed
from engine.service import Mode
from engine.state import State
from store.home import Home, HomeLock, lock_account
from store.keys import Key
from tui.key_access import key_store, required_key
from tui.printing import print_note

if TYPE_CHECKING:
    from brokers.alpaca.endpoints import AlpacaEndpoints
    from brokers.ccxt_venue.session import Endpoints


class OpenedAccount(NamedTuple):
    """An account at a real venue, ready to be connected: its broker, the feed of what it lists, and what its adapter is to know
    of its past."""

    config: AccountConfig
    broker: PatientBroker
    feed: MarketFeed
    instrument_venue: str
    remembered: Remembered


class RealVenues(NamedTuple):
    """What a configuration needs of real venues. `locks` are held until `release`; `papers` are paper accounts on a real
    venue's prices. Everything is empty where the configuration is all paper on the simulated market."""

    accounts: tuple[OpenedAccount, ...]
    papers: tuple[PaperOnVenue, ...]
    locks: tuple[HomeLock, ...]
    live: bool

    @property
    def brokers(self) -> tuple[Broker, ...]:
        """The brokers of the portfolios' accounts, those at real venues first: paper accounts take their listing."""
        return (*(one.broker for one in self.accounts if not self._prices_alone(one)), *self.papers)

    def _prices_alone(self, account: OpenedAccount) -> bool:
        return any(paper.opens_source and paper.source is account.broker for paper in self.papers)

    @property
    def mode(self) -> Mode:
        return Mode.LIVE if self.live else Mode.PAPER

    def keep(self) -> None:
        """Keep the accounts' locks from being swept away; raises `OSError` where one is."""
        for lock in self.locks:
            lock.keep()

    def release(self) -> None:
        """Give the accounts' locks back."""
        for lock in self.locks:
            lock.release()


def merged_feed(real: RealVenues, simulated: MarketFeed | None) -> MarketFeed:
    """The market data of all venues as one feed; that of the built-in market alone where there is no other."""
    if not real.accounts and simulated is not None:
        return simulated
    feeds = [one.feed for one in real.accounts]
    venues: dict[str, list[int]] = {}
    for at, one in enumerate(real.accounts):
        venues.setdefault(one.instrument_venue, []).append(at)
    if simulated is not None:
        venues[PAPER] = [len(feeds)]
        feeds.append(simulated)
    return MergedFeed(feeds, venues)


def real_venues(home: Home, config: Config, paper_options: Callable[[AccountConfig], PaperOptions], *,
                locked: bool = True) -> RealVenues:
    """Get the accounts ready that the portfolios and the market's source need: keys read, accounts locked, nothing sent.

    Without `locked`, for a panic: no lock is taken, since another engine may hang on to it, and an account whose key cannot be
    read is out of reach instead of keeping the others from being closed. Raises `ConfigError`, `KeysUnavailable`, `HomeLocked`.
    """
    traded = [config.account_named(portfolio.account) for portfolio in config.portfolio]
    real = [account for account in traded if account.kind != "paper"]
    source = None if config.market.source == SIMULATED else config.account_named(config.market.source)
    on_source = [account for account in traded if account.kind == "paper"] if source is not None else []
    extra = [source] if source is not None and on_source and source not in real else []
    needed = [*real, *(one for one in extra if one.kind == "alpaca")]
    keys = _keys(home, config, needed) if locked else _keys_in_need(home, config, needed)
    locks = _locked(real, keys) if locked else ()
    try:
        accounts = tuple(_out_of_reach(account) if account in needed and account.name not in keys
                         else _opened(account, keys.get(account.name)) for account in (*real, *extra))
        prices = next((one.broker for one in accounts if one.config == source), None)
        options = {one.name: _options_on(config, one, paper_options(one)) for one in on_source}
        papers = tuple(PaperOnVenue(name, home.paper, options[name], prices, opens_source=bool(extra) and at == 0)
                       for at, name in enumerate(options) if prices is not None)
    except BaseException:
        for lock in locks:
            lock.release()
        raise
    return RealVenues(accounts, papers, locks, live=any(account.live for account in real))


def _options_on(config: Config, account: AccountConfig, options: PaperOptions) -> PaperOptions:
    """Paper money counted in the decimals of the venue whose prices it trades on."""
    return msgspec.structs.replace(
        options, initial_cash_minor=int(account.initial_cash.scaleb(config.minor_exponent_of(account))))


def require_same_money(state: State, settings: Settings) -> None:
    """Refuse an account whose money was counted otherwise before: its past would be read wrongly. Raises `ConfigError`."""
    for known in state.portfolios.values():
        before = known.settings
        for chosen in settings.portfolios:
            money = (chosen.currency, chosen.minor_exponent)
            if chosen.account == before.account and money != (before.currency, before.minor_exponent):
                raise ConfigError(
                    f'account "{chosen.account}" was kept in {before.currency} of {before.minor_exponent} decimals, now '
                    f"{money[0]} of {money[1]}: give the account and its portfolio new names, or use a new home")


def note_held(state: State, real: RealVenues) -> None:
    """Tell each broker what the journal holds at its account, so that nothing is ever counted in other lots than before."""
    for opened in real.accounts:
        positions = (one.instrument_id for one in state.positions.values() if one.account == opened.config.name)
        orders = (one.intent.instrument_id for one in state.orders.values() if one.intent.account == opened.config.name)
        opened.broker.held = {one: state.instruments[one] for one in (*positions, *orders) if one in state.instruments}
        remembered = opened.remembered
        remembered.held = tuple(one.symbol for one in opened.broker.held.values())
        # at any time: what the account listed last leaves out what was gone by then, and all where it was out of reach
        remembered.listed = frozenset(one.symbol for one in state.instruments.values() if one.venue == opened.instrument_venue)


def _keys(home: Home, config: Config, accounts: Sequence[AccountConfig]) -> dict[str, Key]:
    """The accounts' keys; the place where they lie is not even looked at where none is needed."""
    if not accounts:
        return {}
    store = key_store(home.path, config)
    return {account.name: required_key(store, account.name) for account in accounts}


def _keys_in_need(home: Home, config: Config, accounts: Sequence[AccountConfig]) -> dict[str, Key]:
    """The keys that can be read; what cannot is told."""
    found: dict[str, Key] = {}
    for account in accounts:
        try:
            found |= _keys(home, config, [account])
        except (ConfigError, KeysUnavailable) as error:
            print_note(f"{error}; THIS ACCOUNT CANNOT BE CLOSED FROM HERE")
    return found


def _locked(accounts: Sequence[AccountConfig], keys: dict[str, Key]) -> tuple[HomeLock, ...]:
    """One lock for each venue account, whatever homes call it; raises `HomeLocked`, `ConfigError` for two of one key."""
    names: dict[str, str] = {}
    for account in accounts:
        other = names.setdefault(lock_name(account, keys[account.name]), account.name)
        if other != account.name:
            raise ConfigError(f'accounts "{other}" and "{account.name}" have the same key: one venue account belongs to one '
                              "portfolio")
    locks: list[HomeLock] = []
    try:
        for name in names:
            locks += lock_account(name)
    except BaseException:
        for lock in locks:
            lock.release()
        raise
    return tuple(locks)


def lock_name(account: AccountConfig, key: Key) -> str:
    """What two engines on one venue account have in common, whatever their homes call it; shows no part of the key."""
    place = account.endpoints.rest_url or ("real money" if account.live else "practice")
    return f"{account.venue} ({place}, key {hashlib.sha256(key.key_id.encode()).hexdigest()[:8]})"


# ---- the adapters ----------------------------------------------------------------------------------------------------------


def _out_of_reach(account: AccountConfig) -> OpenedAccount:
    broker = PatientBroker(OutOfReach(account.name, "its key cannot be read"), account.currency, account.minor_exponent)
    return OpenedAccount(account, broker, MergedFeed((), {}), account.exchange or account.venue, Remembered())


def _opened(account: AccountConfig, key: Key | None) -> OpenedAccount:
    return _alpaca(account, key) if account.kind == "alpaca" else _exchange(account, key)


def _exchange(account: AccountConfig, key: Key | None) -> OpenedAccount:
    """An exchange; without a key its prices alone, which are open to all."""
    from brokers.ccxt_venue.broker import CcxtBroker, Tuning
    from brokers.ccxt_venue.feed import CcxtFeed
    from brokers.ccxt_venue.prices import CcxtPrices

    name, endpoints = account.exchange, ccxt_endpoints(account)
    remembered = Remembered()
    inner: Broker = CcxtPrices(account.name, name, symbols=account.symbols, endpoints=endpoints, sandbox=account.sandbox,
                               minor_exponent=account.minor_exponent)
    if key is not None:
        inner = trading = CcxtBroker(account.name, name, ccxt_key_source(key), symbols=account.symbols, endpoints=endpoints,
                           sandbox=account.sandbox, tuning=Tuning(minor_exponent=account.minor_exponent))
        remembered = trading.remembered
    broker = PatientBroker(inner, account.currency, account.minor_exponent)
    feed = CcxtFeed(name, instruments=_listing_of(broker), endpoints=endpoints, sandbox=account.sandbox)
    return OpenedAccount(account, broker, AwaitedFeed(feed, broker.opened), name, remembered)


def _alpaca(account: AccountConfig, key: Key | None) -> OpenedAccount:
    from brokers.alpaca.broker import AlpacaBroker
    from brokers.alpaca.endpoints import VENUE
    from brokers.alpaca.feed import AlpacaFeed

    assert key is not None
    endpoints = alpaca_endpoints(account)
    inner = AlpacaBroker(account.name, lambda: (key.key_id, key.secret), paper=account.paper, symbols=account.symbols,
                         endpoints=endpoints, fractions=account.fractions)
    broker = PatientBroker(inner, account.currency, account.minor_exponent)
    feed = AlpacaFeed(lambda: (key.key_id, key.secret), paper=account.paper, instruments=_listing_of(broker), endpoints=endpoints,
                      sessions=session_bounds)
    return OpenedAccount(account, broker, AwaitedFeed(feed, broker.opened), VENUE, inner.remembered)


def _listing_of(broker: PatientBroker) -> Callable[[], Sequence[Instrument]]:
    return lambda: broker.listing


def alpaca_endpoints(account: AccountConfig) -> "AlpacaEndpoints":
    """Alpaca's addresses, each pointed elsewhere where the configuration says so."""
    from brokers.alpaca.endpoints import AlpacaEndpoints, endpoints_of

    own, other = endpoints_of(paper=account.paper), account.endpoints
    return AlpacaEndpoints(other.rest_url or own.trading_url, other.data_url or own.data_url,
                           other.stream_url or own.trading_stream_url, other.data_stream_url or own.data_stream_url,
                           account.timeout_seconds)


def ccxt_endpoints(account: AccountConfig) -> "Endpoints":
    from brokers.ccxt_venue.session import Endpoints

    return Endpoints(account.endpoints.rest_url, account.endpoints.stream_url, account.timeout_seconds)


def ccxt_key_source(key: Key) -> Callable[[], tuple[str, str, str | None]]:
    return lambda: (key.key_id, key.secret, key.passphrase or None)


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
