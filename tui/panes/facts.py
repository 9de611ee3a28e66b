"""Everything known about one row, as facts: label, text, tone. The detail pane and the detail dialog show the same."""

from datetime import tzinfo
from typing import NamedTuple

from engine.service import (
    AlertView,
    FillView,
    OrderView,
    PositionView,
    ProposalView,
    QuoteView,
    StopHome,
)
from tui.formats import (
    age,
    arrow,
    countdown,
    duration,
    gain_tone,
    moment,
    money,
    multiple,
    number,
    percent,
    plain,
)

type Subject = PositionView | OrderView | FillView | ProposalView | AlertView | QuoteView


class Fact(NamedTuple):
    """One fact; `wide` ones take a line of their own and wrap."""

    label: str
    text: str
    tone: str = ""
    wide: bool = False


class Sheet(NamedTuple):
    """A title and its facts, the most important first."""

    title: str
    facts: tuple[Fact, ...]


def sheet_of(subject: Subject, zone: tzinfo) -> Sheet:
    """The facts of whatever is selected."""
    match subject:
        case PositionView():
            return position_sheet(subject, zone)
        case OrderView():
            return order_sheet(subject, zone)
        case FillView():
            return fill_sheet(subject, zone)
        case ProposalView():
            return proposal_sheet(subject, zone)
        case AlertView():
            return Sheet(plain(subject.code), (
                Fact("level", subject.level.value), Fact("at", moment(subject.at_ns, zone)),
                Fact("about", plain(subject.subject)), Fact("seen", f"{subject.count} times"),
                Fact("acknowledged", "yes" if subject.acknowledged else "no"),
                Fact("", plain(subject.text), wide=True)))
        case QuoteView():
            return quote_sheet(subject)


def position_sheet(view: PositionView, zone: tzinfo) -> Sheet:
    decimals, gain = view.price_decimals, gain_tone(view.pnl)
    home = {StopHome.VENUE: "at the venue", StopHome.ENGINE: "by the engine only",
            StopHome.PENDING: "being placed", StopHome.NONE: "nowhere"}[view.stop_home]
    stop, target = "none", "none"
    if view.stop is not None:
        stop = f"{number(view.stop, decimals)}  {percent(unsigned(view.stop_distance_percent))} away"
    if view.target is not None:
        target = f"{number(view.target, decimals)}  {percent(unsigned(view.target_distance_percent))} away"
    stale = " STALE" if view.mark_stale else ""
    return Sheet(f"{plain(view.symbol)} {plain(view.side)} {number(view.quantity, view.quantity_decimals)}", (
        Fact("P&L", f"{arrow(view.pnl)} {money(view.pnl, None, signed=True)}  "
             f"{percent(view.pnl_percent, signed=True)}  {multiple(view.r_multiple)}", gain),
        Fact("stop", stop, "" if view.stop is not None else "crit"),
        Fact("stop is", home + (f" · {plain(view.stop_home_detail)}" if view.stop_home_detail else ""),
             "crit" if view.unprotected_now else "good" if view.stop_home is StopHome.VENUE else "warn"),
        Fact("bare", ("NOW, " if view.unprotected_now else "") + duration(view.unprotected_seconds) + " in all",
             "crit" if view.unprotected_now else ""),
        Fact("target", target),
        Fact("trail", plain(view.trail) or "none"),
        Fact("breakeven", number(view.breakeven_at, decimals) if view.breakeven_at is not None else "none"),
        Fact("max hold", countdown(view.max_hold_left_seconds) + " left"
             if view.max_hold_left_seconds is not None else "none"),
        Fact("entry", number(view.entry, decimals)),
        Fact("mark", f"{number(view.mark, decimals)}  {age(view.mark_age_seconds)} old{stale}",
             "stale" if view.mark_stale else ""),
        Fact("value", money(view.market_value, None, view.currency)),
        Fact("open risk", f"{money(view.open_risk, None, view.currency)}  {percent(view.open_risk_percent)}"),
        Fact("held", f"{duration(view.age_seconds)} since {moment(view.opened_at_ns, zone)}"),
        Fact("strategy", plain(view.strategy)),
        Fact("portfolio", plain(view.portfolio)),
    ))


def unsigned(distance_percent: float | None) -> float | None:
    """A distance without its direction."""
    return None if distance_percent is None else abs(distance_percent)


def order_sheet(view: OrderView, zone: tzinfo) -> Sheet:
    return Sheet(f"{plain(view.symbol)} {view.side.value} {number(view.quantity)}", (
        Fact("status", view.status.value + (" · working" if view.working else "")),
        Fact("for", view.purpose.value + (" · placed outside Quarterdeck" if view.external else "")),
        Fact("kind", view.kind.value.replace("_", " ")), Fact("limit", number(view.limit)),
        Fact("trigger", number(view.trigger)), Fact("filled", f"{number(view.filled)} of {number(view.quantity)}"),
        Fact("average", number(view.average)), Fact("good for", view.time_in_force.value),
        Fact("placed", f"{moment(view.placed_at_ns, zone)}  {age(view.age_seconds)} ago"),
        Fact("our id", plain(view.client_order_id)), Fact("venue id", plain(view.venue_order_id) or "none yet"),
        Fact("strategy", plain(view.strategy)), Fact("portfolio", plain(view.portfolio)),
        Fact("reason", plain(view.reason) or "none", wide=True),
    ))


def fill_sheet(view: FillView, zone: tzinfo) -> Sheet:
    return Sheet(f"{plain(view.symbol)} {view.side.value} {number(view.quantity)} @ {number(view.price)}", (
        Fact("at", moment(view.at_ns, zone)), Fact("fee", f"{number(view.fee)} {plain(view.currency)}"),
        Fact("for", view.purpose.value), Fact("source", plain(view.source)),
        Fact("execution", plain(view.trade_id)), Fact("order", plain(view.client_order_id)),
        Fact("portfolio", plain(view.portfolio)),
    ))


def proposal_sheet(view: ProposalView, zone: tzinfo) -> Sheet:
    card = view.card
    kind = card.kind.value.replace("_", " ")
    failed = [check for check in card.checks if not check.passed]
    verdict = f"✗ {len(failed)} fail: {plain(failed[0].message)}" if failed else f"✓ all {len(card.checks)} pass"
    return Sheet(f"{card.side.value} {number(card.quantity)} {plain(card.symbol)}", (
        Fact("state", view.status.value + (f" · {countdown(view.seconds_left)} left" if view.seconds_left > 0 else "")),
        Fact("price", f"{kind} {number(card.limit)}" if card.limit is not None else kind),
        Fact("worst case", money(-abs(card.worst_loss), None, card.currency) if card.worst_loss is not None else "NO STOP",
             "" if card.worst_loss is not None else "crit"),
        Fact("stop · target", f"{number(card.stop)} · {number(card.target)}"),
        Fact("heat", f"{percent(card.heat_before_percent)} → {percent(card.heat_after_percent)}"),
        Fact("notional", money(card.notional, None, card.currency)),
        Fact("checks", verdict, "warn" if failed else "good"),
        Fact("from", plain(view.origin)), Fact("raised", moment(view.raised_at_ns, zone)),
        Fact("answer", plain(view.status_reason) or "none"), Fact("digest", plain(view.digest)[:16]),
        Fact("why", plain(view.rationale) or "no reason given", wide=True),
    ))


def quote_sheet(view: QuoteView) -> Sheet:
    decimals = view.price_decimals
    return Sheet(plain(view.symbol), (
        Fact("last", number(view.last, decimals), "stale" if view.stale else ""),
        Fact("change", f"{arrow(view.change_percent)} {percent(view.change_percent, signed=True)}"),
        Fact("bid", number(view.bid, decimals)), Fact("ask", number(view.ask, decimals)),
        Fact("age", age(view.age_seconds) + (" STALE" if view.stale else ""), "stale" if view.stale else ""),
        Fact("session", "open" if view.session_open else "closed"),
        Fact("smallest step", number(view.quantity_step)), Fact("currency", plain(view.currency)),
    ))
