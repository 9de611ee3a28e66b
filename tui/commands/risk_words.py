"""The words of the commands about risk: heat, what an order would do to it, limits and changing one."""

from typing import Annotated

import typer

from tui.commands.options import Json, Portfolio, home_of, leave
from tui.commands.ordering import (
    Atr,
    Edge,
    Largest,
    Limit,
    Risk,
    Stop,
    TakeProfit,
    Trail,
    Trigger,
    Volatility,
    WhatIf,
    entry_order,
    size_of,
)

Order = Annotated[list[str] | None, typer.Argument(
    metavar="[buy|sell SYMBOL [QUANTITY]]", help="With --what-if: the order to think of.", show_default=False)]
Change = Annotated[list[str] | None, typer.Argument(
    metavar="[set LIMIT VALUE]", help="Change a limit: its name and a value, or default.", show_default=False)]


def heat(context: typer.Context, order: Order = None, what_if: WhatIf = False, limit: Limit = None, trigger: Trigger = None,
         stop: Stop = None, take_profit: TakeProfit = None, trail: Trail = None, risk: Risk = None, atr: Atr = None,
         volatility: Volatility = None, edge: Edge = None, largest: Largest = False, portfolio: Portfolio = "",
         as_json: Json = False) -> None:
    """What would be lost if every stop were hit at once; with --what-if, after an order."""
    from engine.errors import UsageError
    from tui.commands import risking

    words = order or []
    if bool(words) != what_if:
        raise UsageError("heat: --what-if takes an order, such as `heat --what-if buy BTC/USD 0.01 --stop 60000`")
    if not what_if:
        risking.heat(home_of(context), as_json=as_json)
        return
    if words[0].lower() not in ("buy", "sell") or not 2 <= len(words) <= 3:
        raise UsageError(f"heat --what-if {' '.join(words)}: say buy or sell, a symbol, and a quantity or a size")
    wanted = entry_order(words[0].upper(), words[1], words[2] if len(words) > 2 else None, limit=limit, trigger=trigger,
                         stop=stop, take_profit=take_profit, trail=trail, risk=risk,
                         size=size_of(atr, volatility, edge, largest), portfolio=portfolio)
    leave(risking.heat_what_if(home_of(context), wanted, as_json=as_json))


def risk(context: typer.Context, change: Change = None, portfolio: Portfolio = "", as_json: Json = False) -> None:
    """Limits, what of them is used, and the brakes; `risk set LIMIT VALUE` changes one."""
    from engine.errors import UsageError
    from tui.commands import risking

    if not change:
        risking.risk(home_of(context), as_json=as_json)
        return
    if len(change) != 3 or change[0] != "set":
        raise UsageError(f"risk {' '.join(change)}: say `risk set LIMIT VALUE`, for example `risk set max_heat_fraction 0.04`")
    leave(risking.set_limit(home_of(context), portfolio, change[1], change[2], as_json=as_json))


COMMANDS = {one.__name__: one for one in (heat, risk)}
