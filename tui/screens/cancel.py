"""Cancel one order; says what a protective order protects."""

from engine.inputs import CancelOrder
from engine.orders import Purpose
from engine.service import OrderView
from tui.formats import number, plain
from tui.screens.dialog import ConfirmDialog


class CancelDialog(ConfirmDialog):
    """Asks before an order is cancelled."""

    def __init__(self, order: OrderView) -> None:
        self.order = order
        price = order.trigger if order.trigger is not None else order.limit
        lines = [[(f"{order.side.value} {number(order.quantity)} {plain(order.symbol)}", "strong"),
                  (f"  {order.kind.value.replace('_', ' ')} {number(price) if price is not None else ''}", "")],
                 [(f"filled {number(order.filled)}, {order.status.value}, ", "muted"),
                  (f"order {plain(order.client_order_id)}", "muted")]]
        if order.purpose in (Purpose.STOP, Purpose.TARGET):
            lines.append([(f"This is a {order.purpose.value} order: it protects the position.", "warn")])
        if order.external:
            lines.append([("It was placed outside Quarterdeck.", "warn")])
        super().__init__(f"Cancel order in {order.portfolio}", lines, safe="Keep", act="Cancel the order")

    def confirmed(self) -> None:
        self.app.act(CancelOrder(self.app.next_command_id(), self.order.client_order_id),
                     f"cancel of {self.order.client_order_id} asked")
