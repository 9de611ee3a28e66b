"""Order effects to broker calls, and every outcome back as an input. The only caller of a broker's orders.

It takes nothing but `RiskApproved`. What a broker raises or leaves unanswered becomes one of the four answers: an unlisted
exception is `Unanswered`, since nothing proves that the order did not arrive.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from engine.effects import AskOrder, AskReport, Effect, Notify, SendCancel, SendCancelAll, SubmitOrders
from engine.errors import InvariantBroken
from engine.inputs import (
    CancelAllAnswered,
    CancelAnswered,
    Input,
    NotSent,
    ReportFailed,
    SubmitAnswered,
    Unanswered,
    VenueReported,
)
from engine.ports import Broker, Clock, Notifier
from engine.risk import RiskApproved
from engine.units import NS_PER_SECOND, Nanoseconds

ASK_SPACING_NS = 2 * NS_PER_SECOND
CALL_SECONDS = 15.0
REPORT_SECONDS = 120.0  # many requests, one after the other: cut off, it would begin anew, and a slow venue never be read whole
NO_BROKER = "its account is not in the configuration"


class Gateway:
    """Performs effects; `deliver` takes the answers, in the engine's own loop."""

    def __init__(self, brokers: Mapping[str, Broker], clock: Clock, deliver: Callable[[Input], None],
                 notifier: Notifier | None = None, call_seconds: float = CALL_SECONDS,
                 report_seconds: float = REPORT_SECONDS) -> None:
        self._brokers = brokers
        self._clock = clock
        self._deliver = deliver
        self._notifier = notifier
        self._call_seconds = call_seconds
        self._report_seconds = report_seconds
        self._asked_at_ns: dict[str, Nanoseconds] = {}
        self._reports: dict[str, AskReport | None] = {}

    async def perform(self, effect: Effect) -> None:
        """Carry out one effect and deliver its outcome; an account that left the configuration has nobody to ask."""
        account = getattr(effect, "account", None)
        if account is not None and account not in self._brokers:
            self._nobody_there(effect)
            return
        if isinstance(effect, SubmitOrders):
            await self._submit(effect)
        elif isinstance(effect, SendCancel):
            await self._cancel(effect)
        elif isinstance(effect, SendCancelAll):
            answer = await self._answered(self._brokers[effect.account].cancel_all())
            self._deliver(CancelAllAnswered(effect.account, answer))
        elif isinstance(effect, AskOrder):
            await self._ask_order(effect)
        elif isinstance(effect, AskReport):
            await self._ask_report(effect)
        elif isinstance(effect, Notify) and self._notifier is not None:
            self._notifier.notify(effect)

    def _nobody_there(self, effect: Effect) -> None:
        if isinstance(effect, SubmitOrders):
            self.withhold(effect, NO_BROKER)
        elif isinstance(effect, SendCancel):
            self._deliver(CancelAnswered(effect.client_order_id, effect.request_id, NotSent(NO_BROKER)))
        elif isinstance(effect, AskReport):
            self._deliver(ReportFailed(effect.account, NO_BROKER))

    async def _answered[A](self, call: Awaitable[A], seconds: float = 0.0) -> A | Unanswered:
        """A broker's answer in bounded time; whatever goes wrong means that there was none."""
        seconds = seconds or self._call_seconds
        try:
            async with asyncio.timeout(seconds):
                return await call
        except TimeoutError:
            return Unanswered(f"no answer within {seconds:g} s")
        except Exception as error:  # noqa: BLE001 - an exception nobody listed proves nothing: unanswered
            return Unanswered(type(error).__name__)

    async def _submit(self, effect: SubmitOrders) -> None:
        for one in effect.approved:
            if type(one) is not RiskApproved:
                raise InvariantBroken("the gateway takes nothing but RiskApproved")
        intents = [one.intent for one in effect.approved]
        answers = await self._answered(self._brokers[effect.account].submit(intents))
        for place, intent in enumerate(intents):
            answer = answers if isinstance(answers, Unanswered) else answers[place]
            self._deliver(SubmitAnswered(intent.client_order_id, answer))

    def withhold(self, effect: SubmitOrders, cause: str) -> None:
        """Answer for orders that must not go."""
        for one in effect.approved:
            self._deliver(SubmitAnswered(one.intent.client_order_id, NotSent(cause)))

    async def _cancel(self, effect: SendCancel) -> None:
        answer = await self._answered(self._brokers[effect.account].cancel(effect.client_order_id, effect.venue_order_id))
        self._deliver(CancelAnswered(effect.client_order_id, effect.request_id, answer))

    async def _ask_order(self, effect: AskOrder) -> None:
        """Repeated questions about one order are spaced."""
        now_ns = self._clock.now_ns()
        if now_ns - self._asked_at_ns.get(effect.client_order_id, -ASK_SPACING_NS) < ASK_SPACING_NS:
            return
        self._remember_asking(effect.client_order_id, now_ns)
        answer = await self._answered(self._brokers[effect.account].order(effect.client_order_id))
        if not isinstance(answer, Unanswered):
            self._asked_at_ns.pop(effect.client_order_id, None)
            self._deliver(answer)

    def _remember_asking(self, client_order_id: str, now_ns: Nanoseconds) -> None:
        """Only as long as it spaces anything: an order that is never answered must not stay for good."""
        self._asked_at_ns.pop(client_order_id, None)
        self._asked_at_ns[client_order_id] = now_ns
        while now_ns - self._asked_at_ns[oldest := next(iter(self._asked_at_ns))] >= ASK_SPACING_NS:
            del self._asked_at_ns[oldest]

    async def _ask_report(self, effect: AskReport) -> None:
        """One report of an account at a time; a question that came meanwhile is asked once more afterwards, since the
        answer under way may be older than what it wants to know."""
        if effect.account in self._reports:
            self._reports[effect.account] = effect
            return
        asked: AskReport | None = effect
        while asked is not None:
            self._reports[effect.account] = None
            call = self._brokers[effect.account].report(asked.since_ns, asked.client_order_ids)
            answer = await self._answered(call, self._report_seconds)
            asked = self._reports.pop(effect.account)
            if isinstance(answer, Unanswered):
                self._deliver(ReportFailed(effect.account, answer.cause))
                return
            self._deliver(VenueReported(answer))
