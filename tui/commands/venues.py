"""`venues`: what each venue does by itself, and what the engine does in its stead."""

from tui.printing import print_json, print_table, words


def venues(*, as_json: bool) -> int:
    """Print the table of what is native where; nothing is asked of any venue."""
    from brokers.venue_table import venue_table

    rows = venue_table()
    if as_json:
        print_json([row._asdict() for row in rows])
        return 0
    cells = [[row.venue, row.trades, _who(row.stop), _who(row.trailing),
              "once filled" if row.children_wait else _who(row.bracket), _who(row.oco),
              "venue" if row.reduce_only else "no", " ".join(row.in_force), "yes" if row.verified else "no"] for row in rows]
    print_table(words("venue", "trades", "stop", "trailing", "bracket", "oco", "reduce-only", "in force", "verified"), cells,
                empty="")
    print("venue: it can do this by itself; engine: the engine does it, and it watches beside the venue in any case.")
    print("A plan's trail is the engine's everywhere: it moves the stop, which rests at the venue where stops do.")
    for row in rows:
        if row.note:
            print(f"{row.venue}, {row.trades}: {row.note}")
    return 0


def _who(native: bool) -> str:
    return "venue" if native else "engine"
