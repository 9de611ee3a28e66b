"""The words of the commands that trade, protect, approve and halt."""

from typing import TYPE_CHECKING, Annotated

import typer

from tui.commands.options import AnyPortfolio, Json, Portfolio, Symbol, Yes, home_of, leave

if TYPE_CHECKING:
    from engine.inputs import PlaceOrder, SizeSpec
    from engine.parents import OverTime

Quantity = Annotated[str | None, typer.Argument(metavar="[QUANTITY]", help="How much; or --risk.", show_default=False)]
Limit = Annotated[str | None, typer.Option("--limit", help="Limit price; without it the order is a market order.")]
Trigger = Annotated[str | None, typer.Option("--stop-entry", "--trigger", help="Enter once the price is here.")]
Stop = Annotated[str | None, typer.Option("--stop", help="Protective stop price.")]
TakeProfit = Annotated[str | None, typer.Option("--take-profit", "--target", help="Profit target price.")]
Trail = Annotated[str | None, typer.Option("--trail", help="Trailing stop: 2%, 50 (in price) or 1.5atr.")]
Breakeven = Annotated[str | None, typer.Option("--breakeven", help="Move the stop to the entry once here.")]
MaxHold = Annotated[str | None, typer.Option("--max-hold", help="Leave after this time: 90s, 45m, 2h, 3d.")]
Risk = Annotated[str | None, typer.Option("--risk", help="Size by risk: 1% or 50bp of equity, down to the stop.")]
Atr = Annotated[str | None, typer.Option("--atr", help="With --risk: over this many average ranges; also the stop.")]
Volatility = Annotated[str | None, typer.Option("--volatility", help="Size by a yearly volatility, in percent of equity.")]
Edge = Annotated[str | None, typer.Option("--edge", help="Size by an edge: win rate, payoff, round trips: 0.55,1.5,80.")]
Largest = Annotated[bool, typer.Option("--largest", help="As much as every limit allows.")]
InForce = Annotated[str, typer.Option("--tif", help="day, gtc, ioc or fok.")]
WhatIf = Annotated[bool, typer.Option("--what-if", help="Print checks and heat before and after; send nothing.")]
Propose = Annotated[bool, typer.Option("--propose", help="Make it a pending decision instead of sending it.")]
Over = Annotated[str | None, typer.Option("--over", help="Work it off in slices over this time: 30m, 2h.")]
Style = Annotated[str, typer.Option("--style", help="With --over: twap (evenly) or vwap (as the volume of past days).")]
Participation = Annotated[str | None, typer.Option("--participation", help="With --over: at most this part of the volume: 5%.")]
Why = Annotated[str, typer.Option("--why", help="A note kept with the order.")]
PART_NAMES = {"stop": "stop", "take-profit": "target", "target": "target", "trail": "trail", "breakeven": "breakeven",
              "max-hold": "max_hold"}


def buy(context: typer.Context, symbol: Symbol, quantity: Quantity = None, limit: Limit = None, trigger: Trigger = None,
        stop: Stop = None, take_profit: TakeProfit = None, trail: Trail = None, breakeven: Breakeven = None,
        max_hold: MaxHold = None, risk: Risk = None, atr: Atr = None, volatility: Volatility = None, edge: Edge = None,
        largest: Largest = False, over: Over = None, style: Style = "twap", participation: Participation = None,
        tif: InForce = "gtc", portfolio: Portfolio = "", what_if: WhatIf = False,
        propose: Propose = False, why: Why = "", as_json: Json = False) -> None:
    """Buy, with its exits."""
    order = entry_order("BUY", symbol, quantity, limit=limit, trigger=trigger, stop=stop, take_profit=take_profit, trail=trail,
                        breakeven=breakeven, max_hold=max_hold, risk=risk, size=size_of(atr, volatility, edge, largest), tif=tif,
                        portfolio=portfolio, propose=propose, why=why, over=over_of(over, style, participation))
    _place(context, order, what_if=what_if, as_json=as_json)


def sell(context: typer.Context, symbol: Symbol, quantity: Quantity = None, limit: Limit = None,
         trigger: Trigger = None, stop: Stop = None, take_profit: TakeProfit = None, trail: Trail = None,
         breakeven: Breakeven = None, max_hold: MaxHold = None, risk: Risk = None, atr: Atr = None,
         volatility: Volatility = None, edge: Edge = None, largest: Largest = False, over: Over = None,
         style: Style = "twap", participation: Participation = None, tif: InForce = "gtc", portfolio: Portfolio = "",
         what_if: WhatIf = False, propose: Propose = False, why: Why = "",
         as_json: Json = False) -> None:
    """Sell short, with its exits; `close` leaves a position."""
    order = entry_order("SELL", symbol, quantity, limit=limit, trigger=trigger, stop=stop, take_profit=take_profit, trail=trail,
                        breakeven=breakeven, max_hold=max_hold, risk=risk, size=size_of(atr, volatility, edge, largest), tif=tif,
                        portfolio=portfolio, propose=propose, why=why, over=over_of(over, style, participation))
    _place(context, order, what_if=what_if, as_json=as_json)


def size_of(atr: str | None, volatility: str | None, edge: str | None, largest: bool) -> "SizeSpec | None":
    """A size that is not a quantity, None where none is named. Raises `UsageError`."""
    if atr is None and volatility is None and edge is None and not largest:
        return None
    from engine.inputs import SizeSpec
    from tui.commands.parsing import edge_of, maybe_positive, positive

    return SizeSpec(volatility_percent=positive(volatility.removesuffix("%"), "--volatility") if volatility is not None else None,
                    edge=edge_of(edge) if edge is not None else None, largest=largest, atr=maybe_positive(atr, "--atr"))


def over_of(over: str | None, style: str, participation: str | None) -> "OverTime | None":
    """How an order is worked off over time, None where it is sent in one. Raises `UsageError`."""
    from engine.errors import UsageError
    from engine.parents import OverTime, Style
    from tui.commands.parsing import percent_of, seconds_of

    if over is None:
        if participation is not None or style != Style.TWAP:
            raise UsageError("--style and --participation go with --over, the time that the order may take")
        return None
    if style.lower() not in set(Style):
        raise UsageError(f"--style {style}: must be one of {', '.join(Style)}")
    return OverTime(seconds_of(over, "--over"), Style(style.lower()),
                    percent_of(participation, "--participation") if participation is not None else None)


def entry_order(side: str, symbol: str, quantity: str | None, *, limit: str | None = None, trigger: str | None = None,
                stop: str | None = None, take_profit: str | None = None, trail: str | None = None,
                breakeven: str | None = None, max_hold: str | None = None, risk: str | None = None,
                size: "SizeSpec | None" = None, tif: str = "gtc", portfolio: str = "", propose: bool = False,
                why: str = "", over: "OverTime | None" = None) -> "PlaceOrder":
    """An entry as it was typed. Raises `UsageError`."""
    from engine.errors import UsageError
    from engine.inputs import PlaceOrder
    from engine.orders import Side, TimeInForce
    from tui.commands.link import command_id
    from tui.commands.parsing import maybe_positive, percent_of, seconds_of, trail_of
    from tui.commands.trading import order_kind

    by_size = size is not None and (size.volatility_percent is not None or size.edge is not None or size.largest)
    if (quantity is not None) + (risk is not None) + by_size != 1:
        raise UsageError(f"{side.lower()} {symbol}: give either a quantity or --risk (or --volatility, --edge, --largest)")
    if size is not None and size.atr is not None and risk is None:
        raise UsageError(f"--atr {size.atr}: goes with --risk, which says how much may be lost over that range")
    if tif.lower() not in set(TimeInForce):
        raise UsageError(f"--tif {tif}: must be one of {', '.join(TimeInForce)}")
    limit_price, trigger_price = maybe_positive(limit, "--limit"), maybe_positive(trigger, "--stop-entry")
    return PlaceOrder(
        command_id(), symbol.upper(), Side(side), portfolio=portfolio,
        quantity=maybe_positive(quantity, "quantity"), risk_percent=percent_of(risk, "--risk") if risk is not None else None,
        kind=order_kind(limit_price, trigger_price), limit=limit_price, trigger=trigger_price,
        stop=maybe_positive(stop, "--stop"), target=maybe_positive(take_profit, "--take-profit"),
        trail=trail_of(trail) if trail is not None else None, breakeven_at=maybe_positive(breakeven, "--breakeven"),
        max_hold_seconds=seconds_of(max_hold, "--max-hold") if max_hold is not None else None,
        time_in_force=TimeInForce(tif.lower()), propose=propose, rationale=why, size=size, over=over)


def _place(context: typer.Context, order: "PlaceOrder", *, what_if: bool, as_json: bool) -> None:
    from tui.commands import trading

    leave(trading.place(home_of(context), order, what_if=what_if, as_json=as_json))


def close(context: typer.Context, symbol: Symbol, quantity: Quantity = None, portfolio: Portfolio = "",
          as_json: Json = False) -> None:
    """Close a position at market, or part of it."""
    from tui.commands import trading
    from tui.commands.parsing import maybe_positive

    size = maybe_positive(quantity, "quantity")
    leave(trading.close(home_of(context), symbol.upper(), portfolio, size, as_json=as_json))


def cancel(context: typer.Context, order_id: Annotated[str, typer.Argument(metavar="ID", help="The order's id.")],
           as_json: Json = False) -> None:
    """Cancel a working order."""
    from tui.commands import trading

    leave(trading.cancel(home_of(context), order_id, as_json=as_json))


def settle(context: typer.Context,
           order_id: Annotated[str, typer.Argument(metavar="ID", help="The disputed order's id.")],
           as_what: Annotated[str, typer.Option("--as", help="What became of it: filled or canceled.")],
           why: Annotated[str, typer.Option("--why", help="How you know; it is recorded.")],
           as_json: Json = False) -> None:
    """Say what became of an order that the venue both took and refused."""
    from tui.commands import trading

    leave(trading.settle(home_of(context), order_id, as_what, why, as_json=as_json))


Clear = Annotated[list[str] | None, typer.Option(
    "--clear", help="Remove a part: stop, take-profit, trail, breakeven or max-hold; may be repeated.")]


def protect(context: typer.Context,
            symbol: Annotated[str | None, typer.Argument(metavar="[SYMBOL]", help="The position to change.")] = None,
            stop: Stop = None, take_profit: TakeProfit = None, trail: Trail = None, breakeven: Breakeven = None,
            max_hold: MaxHold = None,
            clear: Clear = None, portfolio: Portfolio = "", as_json: Json = False) -> None:
    """The protection ledger; with SYMBOL, change it."""
    if symbol is None:
        from engine.errors import UsageError
        from tui.commands import queries

        if any(part is not None for part in (stop, take_profit, trail, breakeven, max_hold, clear)):
            raise UsageError("protect: name the SYMBOL whose protection is to change")
        queries.protection(home_of(context), as_json=as_json)
        return
    from engine.inputs import SetProtection
    from tui.commands import trading
    from tui.commands.link import command_id
    from tui.commands.parsing import maybe_positive, seconds_of, trail_of

    change = SetProtection(
        command_id(), symbol.upper(), portfolio, stop=maybe_positive(stop, "--stop"),
        target=maybe_positive(take_profit, "--take-profit"), trail=trail_of(trail) if trail is not None else None,
        breakeven_at=maybe_positive(breakeven, "--breakeven"),
        max_hold_seconds=seconds_of(max_hold, "--max-hold") if max_hold is not None else None, clear=_parts(clear or []))
    trading.require_something(change)
    leave(trading.protect(home_of(context), change, as_json=as_json))


def _parts(names: list[str]) -> tuple[str, ...]:
    from engine.errors import UsageError

    for name in names:
        if name not in PART_NAMES:
            raise UsageError(f"--clear {name}: must be one of {', '.join(PART_NAMES)}")
    return tuple(PART_NAMES[name] for name in names)


DecisionId = Annotated[str, typer.Argument(metavar="ID", help="The decision's id, as `decisions` shows it.")]


Digest = Annotated[str, typer.Option("--digest", help="Approve only this card, as `decisions` shows it.")]


Code = Annotated[str, typer.Option("--code", help="The code of the notice that told of it; goes with --totp.")]
Totp = Annotated[str, typer.Option("--totp", help="The authenticator's code; asked on a terminal where left out.")]


def approve(context: typer.Context, decision: DecisionId, digest: Digest = "", code: Code = "", totp: Totp = "",
            yes: Yes = False, as_json: Json = False) -> None:
    """Approve a pending trade exactly as its card says, or by the code of a notice."""
    from tui.commands import trading

    if code or totp:
        leave(trading.approve_by_code(home_of(context), decision, code, totp, as_json=as_json))
        return
    leave(trading.approve(home_of(context), decision, digest, yes=yes, as_json=as_json))


def decline(context: typer.Context, decision: DecisionId,
            reason: Annotated[str, typer.Option("--reason", help="Why, for the record.")] = "",
            as_json: Json = False) -> None:
    """Decline a pending trade."""
    from tui.commands import trading

    leave(trading.decline(home_of(context), decision, reason, as_json=as_json))


def halve(context: typer.Context, decision: DecisionId, digest: Digest = "", as_json: Json = False) -> None:
    """Put half of a pending trade in its place: a new card, to be approved anew."""
    from tui.commands import trading

    leave(trading.halve(home_of(context), decision, digest, as_json=as_json))


def panic(context: typer.Context, portfolio: AnyPortfolio = "", yes: Yes = False, as_json: Json = False) -> None:
    """Halt at once, then close everything.

    Works through a running engine, against a hanging one, and without any. Ends with 0 only where the venue itself
    reported no order and no position.
    """
    from tui.commands import safety

    leave(safety.panic(home_of(context), portfolio, yes=yes, as_json=as_json))


Cause = Annotated[str, typer.Option("--why", help="The cause, for the record.")]


def halt(context: typer.Context, portfolio: AnyPortfolio = "", why: Cause = "", as_json: Json = False) -> None:
    """Block entries and cancel those that work; stops stay."""
    _set_state(context, "HALTED", portfolio, why, yes=True, as_json=as_json)


def reduce(context: typer.Context, portfolio: AnyPortfolio = "", why: Cause = "", as_json: Json = False) -> None:
    """Allow only orders that make positions smaller."""
    _set_state(context, "REDUCING", portfolio, why, yes=True, as_json=as_json)


def resume(context: typer.Context, portfolio: AnyPortfolio = "", why: Cause = "", yes: Yes = False,
           as_json: Json = False) -> None:
    """Allow entries again; asks first, or needs --yes."""
    _set_state(context, "ACTIVE", portfolio, why, yes=yes, as_json=as_json)


def _set_state(context: typer.Context, state: str, portfolio: str, why: str, *, yes: bool, as_json: bool) -> None:
    from engine.inputs import TradingState
    from tui.commands import safety

    leave(safety.set_state(home_of(context), TradingState(state), portfolio, why, yes=yes, as_json=as_json))


VenueAccount = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account, by its name in config.toml.")]


def arm(context: typer.Context, account: VenueAccount,
        hours: Annotated[float, typer.Option("--hours", help="For how long.")] = 12.0,
        confirm_name: Annotated[str, typer.Option("--confirm-name", metavar="ACCOUNT",
                                                  help="The name once more, where there is no terminal to ask on.")] = "",
        despite: Annotated[str, typer.Option("--despite-gates", metavar="REASON",
                                             help="Why, although gates of `golive` are not met; it is kept.")] = "",
        as_json: Json = False) -> None:
    """Let an account with real money open positions for a time; shows its limits and unmet gates, asks for its name."""
    from tui.commands import arming

    leave(arming.arm(home_of(context), account, hours, confirm_name, despite, as_json=as_json))


def disarm(context: typer.Context, account: VenueAccount, as_json: Json = False) -> None:
    """End an arming at once; stops and exits stay."""
    from tui.commands import arming

    leave(arming.disarm(home_of(context), account, as_json=as_json))


def ack(context: typer.Context, alert: Annotated[str, typer.Argument(metavar="ID", help="The alert's id.")],
        as_json: Json = False) -> None:
    """Mark an alert as seen."""
    from tui.commands import trading

    leave(trading.acknowledge(home_of(context), alert, as_json=as_json))


COMMANDS = {one.__name__: one for one in (buy, sell, close, cancel, settle, protect, approve, decline, halve, panic, halt,
                                          reduce, resume, ack, arm, disarm)}
