"""The closed union of what the core asks of the world. The loop releases an effect only once its events are durable."""

from typing import NamedTuple

from engine.research_state import ResearchRun
from engine.risk import RiskApproved
from engine.schedule_words import Job
from engine.service import AlertLevel, Receipt
from engine.units import Nanoseconds


class SubmitOrders(NamedTuple):
    """Send one order, or an entry with its protective children; `reduces` marks what may go even while the journal
    cannot be written, because it can only make a position smaller."""

    account: str
    approved: tuple[RiskApproved, ...]
    reduces: bool


class SendCancel(NamedTuple):
    account: str
    client_order_id: str
    venue_order_id: str
    request_id: str


class SendCancelAll(NamedTuple):
    """Cancel every open order of the account, foreign ones too."""

    account: str


class AskOrder(NamedTuple):
    """Look one order up by our id."""

    account: str
    client_order_id: str


class AskReport(NamedTuple):
    """Ask the venue for everything: fills since, open orders, the named orders, positions, cash."""

    account: str
    since_ns: Nanoseconds
    client_order_ids: tuple[str, ...]


class Notify(NamedTuple):
    """Tell a person away from the screen. It is about one portfolio, or (empty) about all; `at_ns` is when its alert was
    raised, by which an acknowledgement of an earlier one is told from one of this."""

    level: AlertLevel
    title: str
    text: str
    alert_id: str = ""
    portfolio: str = ""
    at_ns: Nanoseconds = 0


class PerformJob(NamedTuple):
    """Run a job of the schedule outside of the core; its end comes back as `JobEnded`."""

    job: Job
    run_id: str


class PerformResearch(NamedTuple):
    """Have the desk look into a portfolio's market; what it comes to is `ResearchDecided` and `ResearchEnded`."""

    run: ResearchRun


class EndResearch(NamedTuple):
    """Have the desk leave a run."""

    run_id: str


class PerformLearning(NamedTuple):
    """Have what resolved forecasts are worth worked out; it comes back as `LearningEnded`."""

    run_id: str


class RecallDays(NamedTuple):
    """Ask for the daily bars of instruments whose forecasts wait for them; they come back as `DaysRecalled`."""

    instrument_ids: tuple[str, ...]


class Answer(NamedTuple):
    """The receipt of a command, given once what it caused is durable."""

    receipt: Receipt


type Effect = (SubmitOrders | SendCancel | SendCancelAll | AskOrder | AskReport | Notify | PerformJob | PerformResearch
               | EndResearch | PerformLearning | RecallDays | Answer)
