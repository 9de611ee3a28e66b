"""An order's card as lines: terms, worst case, heat and exposure before and after, every check. Tickets and decisions
show the very same."""

from collections.abc import Sequence

from engine.orders import Side
from engine.service import CheckView, OrderCard, Refusal, Snapshot
from tui.formats import MISSING, age, money, number, percent, plain
from tui.widgets.fact_list import wrapped

type Line = list[tuple[str, str]]


def terms_lines(card: OrderCard, market: Sequence[Line] | None = None) -> list[Line]:
    """What would be sent; `market` in the place of the price of now where the card is older than that."""
    price = number(card.limit) if card.limit is not None else ""
    trigger = f" trigger {number(card.trigger)}" if card.trigger is not None else ""
    return [
        [(f"{card.side.value} {number(card.quantity)} {plain(card.symbol)}", "strong"),
         (f"  {card.kind.value.replace('_', ' ')} {price}{trigger}".rstrip(), "")],
        *([_pair("over", plain(card.over))] if card.over else []),
        *([_pair("market now", number(card.reference))] if market is None else market),
        _pair("stop", number(card.stop) if card.stop is not None else "NONE", "" if card.stop is not None else "crit"),
        _pair("target", number(card.target) if card.target is not None else "none"),
        *([_pair("trail", plain(card.trail))] if card.trail else []),
    ]


def market_lines(card: OrderCard, snapshot: Snapshot | None) -> list[Line]:
    """The price that a waiting card was worked out with, and what its side would pay or get now, with the quote's age."""
    quotes = [quote for quote in snapshot.quotes if quote.symbol == card.symbol] if snapshot is not None else []
    raised = _pair("when raised", number(card.reference))
    if len(quotes) != 1:
        return [raised, _pair("market now", "several venues quote it" if quotes else "no quote", "warn")]
    [quote] = quotes
    price = number(quote.ask if card.side is Side.BUY else quote.bid, quote.price_decimals)
    old = f"  {age(quote.age_seconds)} old" + (" STALE" if quote.stale else "")
    return [raised, [*_pair("market now", price), (old, "stale" if quote.stale else "muted")]]


def money_lines(card: OrderCard) -> list[Line]:
    """What it costs and risks."""
    worst = (money(-abs(card.worst_loss), None, card.currency) if card.worst_loss is not None else "UNBOUNDED, no stop")
    reward = f"{card.reward_to_risk:.2f} to 1" if card.reward_to_risk is not None else MISSING
    return [
        _pair("notional", f"{money(card.notional, None, card.currency)}  {percent(card.equity_share_percent, 1)} equity"),
        _pair("fee", money(card.fee_estimate, None, card.currency)),
        _pair("worst case", worst, "loss" if card.worst_loss is not None else "crit"),
        _pair("reward", reward),
        _pair("heat", f"{percent(card.heat_before_percent)} → {percent(card.heat_after_percent)}", "strong"),
        *([_pair("correlated", f"{percent(card.correlated_heat_before_percent)} → {percent(card.correlated_heat_after_percent)}")]
          if card.correlated_heat_after_percent else []),
        _pair("exposure", f"{percent(card.exposure_before_percent, 1)} → {percent(card.exposure_after_percent, 1)}"),
        *clamp_lines(card),
    ]


def clamp_lines(card: OrderCard) -> list[Line]:
    """What each limit took off the size."""
    lines: list[Line] = []
    for clamp in card.clamps:
        before = number(clamp.before) if clamp.before is not None else "no bound"
        lines.append(_pair("cut", f"{before} → {number(clamp.after)}", "warn"))
        lines.append(_pair("", f"by {plain(clamp.limit)}, {plain(clamp.allowed)}", "warn"))
    return lines


def check_lines(checks: Sequence[CheckView], width: int, most: int = 99) -> list[Line]:
    """Failed checks first, with their limit and value; then the passed ones."""
    failed = [check for check in checks if not check.passed]
    passed = [check for check in checks if check.passed]
    lines: list[Line] = []
    for check in failed:
        for position, text in enumerate(wrapped(f"{check.name}: {check.message}", width - 2)):
            lines.append([("✗ " if position == 0 else "  ", "crit"), (text, "warn")])
    room = most - len(lines)
    # The last checks are those of money and heat: they keep their numbers longest.
    brief = len(passed) - room + 1 if len(passed) > room else 0
    if brief:
        lines.append([("✓ ", "good"), (f"{min(brief, len(passed))} other checks pass", "muted")])
    longest = max((len(plain(check.name)) for check in passed[brief:]), default=0)
    for check in passed[brief:]:
        held = f"{plain(check.value)} of {plain(check.limit)}" if check.limit and check.value else plain(check.message)
        lines.append([("✓ ", "good"), (f"{plain(check.name):{max(17, longest + 1)}}", ""), (held, "muted")])
    return lines


def refusal_lines(refusal: Refusal, width: int) -> list[Line]:
    """Why there is no card."""
    return [[("✗ " if position == 0 else "  ", "crit"), (text, "warn")]
            for position, text in enumerate(wrapped(refusal.message, width - 2))]


def _pair(label: str, text: str, tone: str = "") -> Line:
    return [(f"{label:12}", "muted"), (text, tone)]
