"""An exchange for its prices alone: what it lists, without a key, an account or orders."""

from collections.abc import Callable, Sequence

from brokers.ccxt_venue.answers import cause_of
from brokers.ccxt_venue.listing import Listing
from brokers.ccxt_venue.numbers import exact
from brokers.ccxt_venue.session import VENUES_OWN, Endpoints, Session
from engine.errors import QuarterdeckError, VenueUnreachable
from engine.inputs import (
    CancelAnswer,
    NotSent,
    OrderMissing,
    OrderReport,
    SubmitAnswer,
    Unanswered,
    VenueCapabilities,
    VenueReport,
)
from engine.instruments import Instrument
from engine.orders import OrderIntent
from engine.ports import VenueMessage
from engine.units import Nanoseconds

NO_ACCOUNT = "the exchange is read for its prices alone"


class CcxtPrices:
    """Stands where a broker would: it lists, and answers nothing else."""

    def __init__(self, account: str, exchange_id: str, *, symbols: Sequence[str], endpoints: Endpoints = VENUES_OWN,
                 sandbox: bool = False, minor_exponent: int) -> None:
        self.account = account
        self.exchange_id = exchange_id
        self.capabilities = VenueCapabilities(stop=False)
        self._symbols, self._minor_exponent = tuple(symbols), minor_exponent
        self._session = Session(exchange_id, endpoints=endpoints, sandbox=sandbox)

    async def connect(self, sink: Callable[[VenueMessage], None]) -> tuple[Instrument, ...]:  # noqa: ARG002 - nothing to tell
        """Read what the exchange lists; raises `VenueUnreachable`, `ConfigError`, and `InstrumentError` for symbols."""
        await self._session.open()
        try:
            exchange = self._session.exchange
            listed = [symbol for symbol in self._symbols if symbol in exchange.markets]
            tickers = await self._session.call(exchange.fetch_tickers, listed) if exchange.has.get("fetchTickers") else {}
            prices = {symbol: price for symbol, ticker in tickers.items() if (price := exact(ticker.get("last"))) is not None}
            return Listing(self.exchange_id, exchange.markets, exchange.precisionMode, self._symbols, self._minor_exponent,
                           prices).all()
        except QuarterdeckError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever ccxt raises, the exchange did not tell what it lists
            raise VenueUnreachable(f"{self.exchange_id} did not tell its markets ({cause_of(error)})") from None
        finally:
            await self._session.close()

    async def close(self) -> None:
        await self._session.close()

    async def submit(self, intents: Sequence[OrderIntent]) -> Sequence[SubmitAnswer]:
        return [NotSent(NO_ACCOUNT)] * len(intents)

    async def cancel(self, client_order_id: str, venue_order_id: str) -> CancelAnswer:  # noqa: ARG002 - the port's shape
        return NotSent(NO_ACCOUNT)

    async def cancel_all(self) -> int | Unanswered:
        return 0

    async def order(self, client_order_id: str) -> OrderReport | OrderMissing | Unanswered:  # noqa: ARG002 - the port's shape
        return Unanswered(NO_ACCOUNT)

    async def report(self, since_ns: Nanoseconds,  # noqa: ARG002 - the port's shape
                     client_order_ids: Sequence[str]) -> VenueReport | Unanswered:  # noqa: ARG002
        return Unanswered(NO_ACCOUNT)
