"""A dialog of one portfolio whose parts are turned by a key, longer than the screen where they have to be."""

from textual.containers import VerticalScroll

from engine.service import Snapshot
from tui.screens.dialog import Dialog


class TurnedDialog(Dialog):
    """Says which portfolios there are and what happens with another one; turning the page is the same for all."""

    def __init__(self, heading: str, portfolio: str) -> None:
        super().__init__(heading)
        self.portfolio = portfolio

    def action_scroll_on(self) -> None:
        """A page further down; from the end back to the top."""
        self.scroll_body(_page_on)

    def action_next_portfolio(self) -> None:
        """The portfolio after this one; after the last the first."""
        names = self.portfolios(self.app.snapshot) if self.app.snapshot is not None else []
        if len(names) > 1:
            at = names.index(self.portfolio) if self.portfolio in names else -1
            self.portfolio = names[(at + 1) % len(names)]
            self.another_portfolio()

    def portfolios(self, snapshot: Snapshot) -> list[str]:
        """Those that can be shown, in order."""
        return [account.portfolio for account in snapshot.accounts]

    def another_portfolio(self) -> None:
        """Show the portfolio that `portfolio` names by now."""


def _page_on(body: VerticalScroll) -> float:
    at_end = body.scroll_y >= body.max_scroll_y
    return 0 if at_end else body.scroll_y + body.size.height - 1
