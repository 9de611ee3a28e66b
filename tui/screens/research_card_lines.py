"""The card of a trade that research proposes: six things, read in five seconds. What can be said at length lies behind it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from engine.service import DecisionView, OrderCard, ProposalView, QuoteView, ResearchView, Snapshot
from engine.units import NS_PER_SECOND
from tui.formats import age, money, number, percent, plain, plain_float, plural
from tui.screens.research_lines import probability, skill_words
from tui.widgets.columns import shortened
from tui.widgets.fact_list import wrapped

type Line = list[tuple[str, str]]
type Piece = tuple[str, str]

LABEL = 9
BETWEEN = "  "
MOST_TEXT_ROWS = 2
RULES = "rule/"


class Around(NamedTuple):
    """What stands beside the card and changes while it is read: ages in seconds, the limit of heat, research of the portfolio;
    and the keys of marked texts and of details."""

    snapshot_age: float | None = None
    price_age: float | None = None
    heat_limit_percent: float | None = None
    research: ResearchView | None = None
    marks_key: str = "f"
    details_key: str = "i"


def around(snapshot: Snapshot | None, view: ProposalView, keys: Mapping[str, str]) -> Around:
    """What the newest snapshot says about the surroundings of a pending trade."""
    if snapshot is None or view.decision is None:
        return Around(marks_key=keys["card_marks"], details_key=keys["card_details"])
    account = next((one for one in snapshot.accounts if one.portfolio == view.card.portfolio), None)
    quote: QuoteView | None = next(
        (one for one in snapshot.quotes if one.instrument_id == view.decision.instrument_id), None)
    return Around(max(0.0, (snapshot.at_ns - view.decision.at_ns) / NS_PER_SECOND), quote.age_seconds if quote else None,
                  account.heat_limit_percent if account else None,
                  next((one for one in snapshot.research if one.portfolio == view.card.portfolio), None),
                  keys["card_marks"], keys["card_details"])


def research_card_lines(view: ProposalView, decision: DecisionView, beside: Around, unread: Sequence[str],
                        width: int) -> list[Line]:
    """The six: what it is and risks, how likely, its exits, what speaks for it, what against it, who dissents and what guards it.

    `unread` are the marks on texts that nobody has opened yet.
    """
    return [
        *_flowed("order", _order(view.card), width), *_flowed("odds", _odds(decision), width),
        *_flowed("exits", _exits(view.card, decision, beside), width),
        *_said("for", decision.thesis, width), *_said("against", decision.against, width),
        *_flowed("guards", _guards(view.card, decision, beside, unread), width),
        [],
        [(f"{'from':{LABEL}}", "muted"), (_from(view, decision, beside.details_key, width - LABEL), "muted")]]


def _order(card: OrderCard) -> list[Piece]:
    risk = "RISK UNBOUNDED, no stop"
    if card.worst_loss is not None:
        share = float(abs(card.worst_loss) / card.notional) * card.equity_share_percent * 100 if card.notional else 0.0
        risk = f"risk {money(abs(card.worst_loss), None, card.currency)}, {share:.1f} bps of equity"
    return [(f"{card.side.value} {number(card.quantity)} {plain(card.symbol)}", "strong"),
            (f"{money(card.notional, None, card.currency)}, {percent(card.equity_share_percent, 1)} of equity", ""),
            (risk, "loss" if card.worst_loss is not None else "crit")]


def _odds(one: DecisionView) -> list[Piece]:
    pieces = [(f"up {probability(one.p_cal)} cal, {skill_words(one)}", "strong")]
    if one.probation:
        pieces.append((f"PROBATION: {probability(one.p_stated)} as stated counts", "warn"))
    won = f"wins {probability(one.p_win)}, " if one.p_win is not None else ""
    return [*pieces, (f"{won}break-even {probability(one.breakeven_p)}", ""),
            (f"EV {plain_float(one.ev_low_bps, 1, signed=True)} low, {plain_float(one.ev_bps, 1, signed=True)} mid bps", "")]


def _exits(card: OrderCard, one: DecisionView, beside: Around) -> list[Piece]:
    entry = card.limit if card.limit is not None else card.trigger
    price = f"at market, {number(card.reference)}" if entry is None else f"at {number(entry)}"
    newest = "no price" if beside.price_age is None else f"price {age(beside.price_age)}"
    return [(f"in {price}", ""), (f"target {_level(card.target, card.reference)}", ""),
            (f"stop {_level(card.stop, card.reference)}", "" if card.stop is not None else "crit"),
            (f"{plural(one.horizon_days, 'trading day')} ahead, no exit by time", ""),
            (f"data {age(beside.snapshot_age)} old, {newest}", "muted")]


def _level(price: Decimal | None, reference: Decimal | None) -> str:
    if price is None:
        return "NONE"
    return f"{number(price)} ({percent(float((price / reference - 1) * 100), 1, signed=True)})" if reference else number(price)


def _guards(card: OrderCard, one: DecisionView, beside: Around, unread: Sequence[str]) -> list[Piece]:
    pieces = [(f"dissent: {plain(one.dissent)}" if one.dissent else "no dissent", "strong" if one.dissent else "")]
    if unread:
        pieces.append((f"⚑ {plural(len(unread), 'marked text')} UNREAD: {beside.marks_key} opens", "warn"))
    else:
        pieces.append((f"⚑ {plural(len(one.flags), 'marked text')}, read" if one.flags else "no marked texts", "muted"))
    failed = [check for check in card.checks if not check.passed]
    pieces += [(f"✗ {plain(check.name)}: {plain(check.message)}", "crit") for check in failed] or [
        (f"✓ all {len(card.checks)} checks pass", "good")]
    limit = f" of {percent(beside.heat_limit_percent, 1)}" if beside.heat_limit_percent is not None else ""
    pieces.append((f"heat {percent(card.heat_before_percent, 1)} → {percent(card.heat_after_percent, 1)}{limit}", ""))
    pieces += [(f"cut by {plain(clamp.limit)} to {number(clamp.after)}", "warn") for clamp in card.clamps]
    pieces += [(f"cut {plain(clamp)}", "muted") for clamp in one.clamps]
    if beside.research is not None and not one.analyst.startswith(RULES):
        left = max(Decimal(0), beside.research.day_budget_usd - beside.research.spent_usd)
        pieces.append((f"models ${number(left, 2)} left today", "muted"))
    return pieces


def _from(view: ProposalView, one: DecisionView, details_key: str, room: int) -> str:
    """Who says so and until where it holds; the digest where there is room."""
    rules = ", RULES, NO MODEL" if one.analyst.startswith(RULES) else ""
    told = f"{plain(one.analyst)}{rules}; {details_key} tells all; valid {number(view.band_low)} – {number(view.band_high)}"
    whole = f"{told}; digest {plain(view.digest)[:16]}"
    return whole if len(whole) <= room else shortened(told, room).rstrip()


def _said(label: str, text: str, width: int) -> list[Line]:
    """What somebody said, in two lines at most; the rest lies behind the card."""
    pieces = wrapped(plain(text) or "nothing was said", width - LABEL)
    kept = pieces[:MOST_TEXT_ROWS]
    if len(pieces) > MOST_TEXT_ROWS:
        kept[-1] = shortened(f"{kept[-1]} {pieces[MOST_TEXT_ROWS]}", width - LABEL).rstrip()
    return [[(f"{label if place == 0 else '':{LABEL}}", "muted"), (piece, "")] for place, piece in enumerate(kept)]


def _flowed(label: str, pieces: Sequence[Piece], width: int) -> list[Line]:
    """Pieces side by side, each whole on one line as long as it fits there at all."""
    room = width - LABEL
    lines: list[Line] = [[(f"{label:{LABEL}}", "muted")]]
    used = 0
    for text, tone in pieces:
        for place, part in enumerate(wrapped(text, room) or [""]):
            gap = len(BETWEEN) if used else 0
            if place or used + gap + len(part) > room:
                lines.append([(" " * LABEL, "")])
                used = gap = 0
            lines[-1].append((" " * gap + part, tone))
            used += gap + len(part)
    return lines
