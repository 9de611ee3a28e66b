"""Which exchanges there are, told before anything is opened."""

import difflib


def exchange_problem(exchange_id: str, *, sandbox: bool) -> str:
    """What is wrong with the choice of an exchange, in words; empty where nothing is. Loading ccxt takes a second."""
    import ccxt.pro

    known: list[str] = list(ccxt.pro.exchanges)
    if exchange_id not in known:
        close = difflib.get_close_matches(exchange_id, known, n=3)
        hint = f"; did you mean {', '.join(close)}?" if close else ""
        return f"ccxt knows no exchange with streams called {exchange_id!r}{hint}"
    if sandbox and not getattr(ccxt.pro, exchange_id)().urls.get("test"):
        return (f"{exchange_id} has no sandbox: write sandbox = false, for real money or, named as market.source, for its prices "
                "alone")
    return ""
