"""The command palette: every act by name, the levers that have no key, themes and instruments."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from engine.inputs import AcceptDrift
from engine.orders import Side
from tui.formats import plain

if TYPE_CHECKING:
    from tui.app import QuarterdeckApp


class Act(NamedTuple):
    """One line of the palette."""

    name: str
    about: str
    run: Callable[[], object]


class ActProvider(Provider):
    """Offers what can be done now; acts of the workstation only while no dialog is open."""

    async def discover(self) -> Hits:
        for act in self._acts(with_symbols=False):
            yield DiscoveryHit(act.name, act.run, help=act.about)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for act in self._acts(with_symbols=True):
            score = matcher.match(act.name)
            if score > 0:
                yield Hit(score, matcher.highlight(act.name), act.run, help=act.about)

    def _acts(self, *, with_symbols: bool) -> Iterator[Act]:
        app = cast("QuarterdeckApp", self.app)
        yield from _levers(app)
        on_workstation = self.screen is app.workstation
        for entry in app.keymap:
            name = f"{entry.label.capitalize()}  ({entry.shown})"
            if entry.scope == "app" and entry.entry_id not in ("palette", "interrupt", "panic", "flatten"):
                yield Act(name, entry.about, _runner(app, f"app.{entry.action}"))
            elif entry.scope == "main" and on_workstation:
                yield Act(name, entry.about, _runner(app, f"screen.{entry.action}"))
        for theme in app.own_themes:
            yield Act(f"Theme: {theme}", "Change the colours", partial(setattr, app, "theme", theme))
        if with_symbols and on_workstation:
            yield from _instruments(app)


def _levers(app: "QuarterdeckApp") -> Iterator[Act]:
    from tui.screens.golive import GoLiveScreen
    from tui.screens.resume import ReduceDialog, ResumeDialog

    keys = app.key_names
    yield Act(f"Halt trading  ({keys['panic']})", "At once, without a question", app.action_panic)
    yield Act(f"Flatten everything…  ({keys['flatten']})", "Asks once more", app.action_flatten)
    yield Act("Resume trading…", "Asks for the word RESUME", lambda: app.push_screen(ResumeDialog()))
    yield Act("Reduce only…", "No new entries", lambda: app.push_screen(ReduceDialog()))
    yield Act("Go live: gates before real money", "Each gate met or not, and what to do",
              lambda: app.push_screen(GoLiveScreen(app.workstation.portfolio or "main")))
    for account in app.snapshot.accounts if app.snapshot else ():
        for drift in account.drift:
            instrument_id = drift.partition(": ours")[0]
            yield Act(f"Accept the venue's word: {plain(drift)}", "Entries are allowed there again",
                      partial(_accept, app, account.account, instrument_id))


def _instruments(app: "QuarterdeckApp") -> Iterator[Act]:
    for quote in app.snapshot.quotes if app.snapshot else ():
        symbol = plain(quote.symbol)
        for side in Side:
            yield Act(f"{side.value.capitalize()} {symbol}", "Open a ticket",
                      partial(_open_ticket, app, side, quote.symbol))


def _open_ticket(app: "QuarterdeckApp", side: Side, symbol: str) -> None:
    from tui.screens.ticket import TicketDialog

    app.push_screen(TicketDialog(side, symbol, app.workstation.portfolio or "main"))


def _accept(app: "QuarterdeckApp", account: str, instrument_id: str) -> None:
    app.act(AcceptDrift(app.next_command_id(), account, instrument_id), f"venue's word on {instrument_id} accepted")


def _runner(app: "QuarterdeckApp", action: str) -> Callable[[], object]:
    async def run() -> None:
        await app.run_action(action, app.screen)

    return run
