"""Which orders this account has at the venue, as far as this process knows: our id, the venue's id and the symbol."""

from collections.abc import Iterable

from engine.inputs import OrderReport
from engine.orders import OrderIntent
from engine.units import Lots

KEPT_CLOSED = 5_000


class KnownOrder:
    """One order. `told` is what was last reported of it, so that nothing is told twice, `told_lots` what its fills were."""

    __slots__ = ("client_order_id", "closed", "cum_lots", "intent", "sent", "symbol", "told", "told_lots", "venue_order_id")

    def __init__(self, client_order_id: str, symbol: str, intent: OrderIntent | None = None) -> None:
        self.client_order_id = client_order_id
        self.symbol = symbol
        self.intent = intent
        self.venue_order_id = ""
        self.sent = False
        self.closed = False
        self.cum_lots: Lots = 0
        self.told: object = None
        self.told_lots: Lots = 0


class KnownOrders:
    """The index of orders by our id and by the venue's."""

    def __init__(self) -> None:
        self._by_client: dict[str, KnownOrder] = {}
        self._by_venue: dict[str, KnownOrder] = {}

    def submitted(self, intent: OrderIntent, symbol: str) -> KnownOrder:
        """Our own order, on its way."""
        known = self._by_client.setdefault(intent.client_order_id, KnownOrder(intent.client_order_id, symbol, intent))
        known.intent, known.symbol = intent, symbol
        self._forget_old()
        return known

    def seen(self, client_order_id: str, venue_order_id: str, symbol: str) -> KnownOrder:
        """An order that the venue names: ours, or a foreign one, whose id may be empty."""
        known = self._by_client.get(client_order_id) or self._by_venue.get(venue_order_id)
        if known is None:
            known = KnownOrder(client_order_id, symbol)
        if client_order_id:
            self._by_client[client_order_id] = known
        self.bind(known, venue_order_id)
        self._forget_old()
        return known

    def bind(self, known: KnownOrder, venue_order_id: str) -> None:
        if venue_order_id:
            known.venue_order_id = venue_order_id
            self._by_venue[venue_order_id] = known

    def by_client(self, client_order_id: str) -> KnownOrder | None:
        return self._by_client.get(client_order_id)

    def by_venue(self, venue_order_id: str) -> KnownOrder | None:
        return self._by_venue.get(venue_order_id)

    def working(self) -> list[KnownOrder]:
        """Orders that were sent or seen and not seen closed, and closed ones some of whose fills are still owed to us."""
        return [known for known in self._each()
                if (known.sent or known.venue_order_id) and (not known.closed or known.told_lots < known.cum_lots)]

    def news(self, known: KnownOrder, report: OrderReport) -> bool:
        """Note a report; True where it says something that was not told before."""
        done = report.closed_as is not None or report.cum_lots >= report.order_lots
        told = (report.closed_as, report.cum_lots if report.closed_as is None else None)
        if known.closed and report.closed_as is None and not done:
            return False  # an older word that comes late
        known.closed = known.closed or done
        known.cum_lots = max(known.cum_lots, report.cum_lots)
        if known.told == told or (report.closed_as is None and known.told is not None and report.cum_lots < known.cum_lots):
            return False
        known.told = told
        return True

    def _each(self) -> Iterable[KnownOrder]:
        seen: dict[int, KnownOrder] = {id(known): known for known in self._by_client.values()}
        seen.update({id(known): known for known in self._by_venue.values()})
        return seen.values()

    def _forget_old(self) -> None:
        """Closed orders are only kept for late words; the oldest go first."""
        for index in (self._by_venue, self._by_client):
            if len(index) > 2 * KEPT_CLOSED:
                closed = [key for key, known in index.items() if known.closed][:KEPT_CLOSED]
                for key in closed:
                    del index[key]
