"""Where strategies run: their rules see every closed bar after the engine has decided on it, and what they want goes through
the engine's decision as an input.

Nothing here lasts. What a rule remembers is found again from the bars of history; what those cannot tell is journaled with
every want. A bar that a strategy acted on before a restart is history too, so it acts on each bar once.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from engine.bar_columns import InstrumentBars, common_moments
from engine.budgets import sizing_minor
from engine.errors import QuarterdeckError, TapeError
from engine.inputs import Bar, ClosePosition, EnableStrategy, Input, PlaceOrder, StrategyActed
from engine.instruments import ALWAYS_OPEN, Instrument
from engine.kernel.wants import KEEP, NOTHING, BarColumns, Held, RuleWant, basket_want, flat
from engine.market import KEPT_BARS, MarketView
from engine.state import State
from engine.strategies.registry import BASKET, Strategy, built_in, params_of
from engine.strategy_state import Number, StrategyPlace, StrategySettings, StrategyState
from engine.strategy_wants import command_of, held_of, price_words
from engine.units import Nanoseconds
from engine.want import resolve

AFTER_ALL_NS = 1 << 62
NOT_ACTED = StrategyPlace(0)
UNKNOWN = StrategyState()


class Place(NamedTuple):
    """Where the newest bars stand, an index for each instrument, and when they end."""

    indices: list[int]
    close_ns: Nanoseconds


class Running:
    """A strategy at one place: on an instrument, or on its whole basket."""

    def __init__(self, settings: StrategySettings, strategy: Strategy, instruments: Sequence[Instrument]) -> None:
        self.settings = settings
        self.strategy = strategy
        self.instruments = tuple(instruments)
        self.params = params_of(strategy, settings.params)
        self.memory = strategy.memory()
        self.begun = False
        self.failed = False
        self.asked_ns: Nanoseconds | None = None

    @property
    def joins(self) -> bool:
        """Whether it is a basket on longer bars, which do not have to be told together."""
        return self.strategy.kind == BASKET and self.settings.bar_ns != 0

    def start_over(self) -> None:
        """More is known of the past: what it remembers is found again."""
        self.begun, self.asked_ns = False, None

    @property
    def place_id(self) -> str:
        """The instrument that its journaled memory goes by; "" for a basket."""
        return "" if self.strategy.kind == BASKET else self.instruments[0].instrument_id

    def kept(self) -> dict[str, Number]:
        return {name: getattr(self.memory, name) for name in self.strategy.kept}

    def restore(self, memory: Mapping[str, Number]) -> None:
        """Take back what history cannot tell."""
        blank = self.strategy.memory()
        self.memory = self.memory._replace(
            **{name: type(getattr(blank, name))(memory.get(name, getattr(blank, name))) for name in self.strategy.kept})

    def step(self, columns: Sequence[BarColumns], places: Sequence[int], held: Sequence[Held]) -> tuple[RuleWant, list[int]]:
        """Run the rule on the bars at these places: its want, or a basket's target weights."""
        seen = min(place + 1 for place in places)
        if self.strategy.kind == BASKET:
            out = [KEEP] * len(self.instruments)
            self.memory = self.strategy.rule(self.params, self.memory, tuple(columns), tuple(places), seen, tuple(held), out)
            return RuleWant(NOTHING, 0, 0, 0, 0, 0, 0, 0), out
        self.memory, want = self.strategy.rule(self.params, self.memory, columns[0], places[0], seen, held[0])
        return want, []


class Desk:
    """All strategies of an engine, run in the order of the configuration."""

    def __init__(self, strategies: Sequence[StrategySettings] = (),
                 user_strategies: Mapping[str, Strategy] | None = None,
                 bar_session: Callable[[Instrument], str] = operator.attrgetter("session")) -> None:
        """`user_strategies` are those that are no part of the program, by the rule's name; `bar_session` names the hours that
        longer bars keep to. What has a problem is left out. Raises `ConfigError` for a rule that does not exist and for
        parameters that it does not take."""
        self._bar_session = bar_session
        known = user_strategies or {}
        self._strategies = [(one, known.get(one.rule) or built_in(one.rule)) for one in strategies if not one.problem]
        for settings, strategy in self._strategies:
            params_of(strategy, settings.params)
        self._lengths = tuple(sorted({one.bar_ns for one, _ in self._strategies if one.bar_ns}))
        self._bars: dict[str, InstrumentBars] = {}
        self._running: dict[str, list[Running]] = {}
        self._resolved_for: tuple[object, object] = (None, None)
        self.idle = not self._strategies

    # ---- history ---------------------------------------------------------------------------------------------------------

    def history(self, bar: Bar, state: State, market: MarketView) -> None:
        """A bar of a tape from before the point at which a run goes on: known, not acted on."""
        if self.idle:
            return
        self._bars_of(bar.instrument_id, state, market).add(bar)
        for running in self._running.get(bar.instrument_id, ()):
            running.start_over()

    def warm(self, instrument_id: str, state: State, market: MarketView) -> None:
        """Older bars have become known: start over from them, now and not when the next bar is waited for."""
        if self.idle:
            return
        self._bars.pop(instrument_id, None)
        bars = self._bars_of(instrument_id, state, market)
        for bar in market.bars(instrument_id, KEPT_BARS):
            bars.add(bar)
        self._find_again(instrument_id, state, market)

    def lengths_on(self, instrument_id: str, state: State) -> tuple[Nanoseconds, ...]:
        """The lengths of longer bars that strategies look at on an instrument."""
        self._resolve(state)
        return tuple(sorted({one.settings.bar_ns for one in self._running.get(instrument_id, ()) if one.settings.bar_ns}))

    def warm_longer(self, bar_ns: Nanoseconds, parts: Sequence[Bar], state: State, market: MarketView) -> None:
        """An older past of one instrument has become known, from which its longer bars of that length are joined."""
        instrument_id = parts[0].instrument_id
        self._bars_of(instrument_id, state, market).begin_with(bar_ns, parts)
        self._find_again(instrument_id, state, market)

    def _find_again(self, instrument_id: str, state: State, market: MarketView) -> None:
        """What the strategies of an instrument remember, from all that is known of it."""
        self._resolve(state)
        for running in self._running.get(instrument_id, ()):
            running.start_over()
            self._count(running, market)
            if running.strategy.kind == BASKET:
                continue
            known = state.strategies.get(running.settings.name, UNKNOWN)
            try:
                self._catch_up(running, AFTER_ALL_NS, known.places.get(running.place_id, NOT_ACTED))
            except Exception:  # noqa: BLE001 - the next bar finds it again, and tells
                running.begun = False

    def _bars_of(self, instrument_id: str, state: State, market: MarketView) -> InstrumentBars:
        bars = self._bars.get(instrument_id)
        if bars is None:
            known = state.instruments.get(instrument_id)
            session = self._bar_session(known) if known is not None and self._lengths else ALWAYS_OPEN
            bars = InstrumentBars(self._lengths, session, market.session_bounds)
            self._bars[instrument_id] = bars
        return bars

    def _bars_with(self, bar: Bar, state: State, market: MarketView) -> InstrumentBars | None:
        """The instrument's bars up to this one; None where it is not new."""
        fresh = bar.instrument_id not in self._bars
        bars = self._bars_of(bar.instrument_id, state, market)
        for known in market.bars(bar.instrument_id, KEPT_BARS) if fresh else ():
            if known.close_ns < bar.close_ns:
                bars.add(known)
        return bars if bars.add(bar) else None

    # ---- a closed bar ----------------------------------------------------------------------------------------------------

    def bar_closed(self, bar: Bar, state: State, market: MarketView) -> list[Input]:
        """What the strategies of the bar's instrument want now; the state has decided on the bar already."""
        if self.idle:
            return []
        bars = self._bars_with(bar, state, market)
        if bars is None:
            return []
        self._resolve(state)
        wanted: list[Input] = []
        for running in self._running.get(bar.instrument_id, ()):
            runs = state.strategies.get(running.settings.name, UNKNOWN).runs(running.settings)
            if running.failed and not runs:
                continue
            if running.failed:  # somebody let it run again
                running.failed = False
                running.start_over()
            acted: Input | None = None
            try:
                place = self._place_at(running, bars, bar.close_ns)
                if place is not None:
                    acted = self._run(running, place, state, market)
                    self._count(running, market)
            except Exception as error:  # noqa: BLE001 - a rule is a person's code; it ends with its strategy, not the engine
                running.failed = True
                if not runs:
                    continue
                named = "" if isinstance(error, QuarterdeckError) else f"{type(error).__name__}: "
                told = f"its rule failed: {named}{error}"
                acted = EnableStrategy(f"desk:{running.settings.name}:{running.place_id}:{bar.close_ns}",
                                       running.settings.name, enabled=False, by="engine", reason=told)
            if acted is not None:
                wanted.append(acted)
        bars.trim()
        return wanted

    def _resolve(self, state: State) -> None:
        """Find out which instruments the strategies' symbols mean; again once the list of instruments changed."""
        now = (state.instruments, tuple(account.listed for account in state.accounts.values()))
        if self._resolved_for[0] is now[0] and self._resolved_for[1] == now[1]:
            return
        self._resolved_for = now
        before = {(one.settings.name, one.place_id): one for many in self._running.values() for one in many}
        self._running = {}
        for settings, strategy in self._strategies:
            if settings.portfolio not in state.portfolios:
                continue
            found = [resolve(state, symbol, settings.portfolio) for symbol in settings.symbols]
            instruments = [one for one in found if isinstance(one, Instrument)]
            groups = [instruments] if strategy.kind == BASKET else [[one] for one in instruments]
            for group in groups:
                if not group or (strategy.kind == BASKET and len(group) < len(found)):
                    continue
                running = Running(settings, strategy, group)
                known = before.get((settings.name, running.place_id))
                running = known if known is not None and known.instruments == running.instruments else running
                for instrument in group:
                    self._running.setdefault(instrument.instrument_id, []).append(running)

    def _place_at(self, running: Running, bars: InstrumentBars, now_ns: Nanoseconds) -> Place | None:
        """Where the newest bars stand and when they end, where the rule is to be asked after the bar that closes now; `bars` are
        those of that bar's instrument. Raises `TapeError` where there are no bars of its length."""
        length_ns = running.settings.bar_ns
        if length_ns and bars.longer[length_ns].problem:
            raise TapeError(bars.longer[length_ns].problem)
        if not running.joins and length_ns not in bars.told:
            return None
        every = [self._bars.get(one.instrument_id) for one in running.instruments]
        known = [one for one in every if one is not None and len(one.feed) and one.feed.bars.closes_ns[-1] == now_ns]
        if len(known) < len(every):
            return None
        columns = [one.of(length_ns) for one in known]
        ends_ns = [one.bars.closes_ns[-1] if len(one) else 0 for one in columns]
        if running.joins and not self._first_asked(running, ends_ns, now_ns):
            return None
        return Place([len(one) - 1 for one in columns], ends_ns[0])

    def _first_asked(self, running: Running, ends_ns: Sequence[Nanoseconds], now_ns: Nanoseconds) -> bool:
        """Whether a basket's newest longer bars end together and were not asked about yet."""
        if running.asked_ns is None:
            asked = [end_ns for moment_ns, end_ns in self._moments(running) if moment_ns < now_ns]
            running.asked_ns = max(asked, default=0)
        if min(ends_ns) < max(ends_ns) or ends_ns[0] <= running.asked_ns:
            return False
        running.asked_ns = ends_ns[0]
        return True

    def _moments(self, running: Running) -> list[tuple[Nanoseconds, Nanoseconds]]:
        """When a basket was asked on longer bars, and about which."""
        bars = [self._bars[one.instrument_id] for one in running.instruments]
        longer = [one.longer[running.settings.bar_ns] for one in bars]
        return common_moments([one.feed.bars.closes_ns for one in bars], [(one.bars.closes_ns, one.told_ns) for one in longer])

    def _count(self, running: Running, market: MarketView) -> None:
        """Let it be seen how many bars a strategy on longer ones knows."""
        bar_ns = running.settings.bar_ns
        if bar_ns:
            for one in running.instruments:
                known = self._bars.get(one.instrument_id)
                market.longer_bars[one.instrument_id, bar_ns] = len(known.of(bar_ns)) if known is not None else 0

    def _columns_of(self, running: Running) -> list[BarColumns]:
        return [self._bars[one.instrument_id].of(running.settings.bar_ns).bars for one in running.instruments]

    def _run(self, running: Running, place: Place, state: State, market: MarketView) -> StrategyActed | None:
        known = state.strategies.get(running.settings.name, UNKNOWN)
        acted = known.places.get(running.place_id, NOT_ACTED)
        places, close_ns = place
        columns = self._columns_of(running)
        if not running.begun:
            self._catch_up(running, close_ns, acted)
        if close_ns <= acted.acted_ns or not known.runs(running.settings):
            before = running.kept()
            running.step(columns, places, [flat()] * len(places))
            running.restore(acted.memory if close_ns <= acted.acted_ns else before)
            return None
        held = [held_of(state, running.settings, one, column.closes_ns)
                for one, column in zip(running.instruments, columns, strict=True)]
        before = running.kept()
        want, weights = running.step(columns, places, held)
        commands, words = self._asked(running, want, weights, held, close_ns, state, market)
        if not commands and running.kept() == before:
            return None
        return StrategyActed(running.settings.name, running.place_id, close_ns, running.kept(), words, commands)

    def _catch_up(self, running: Running, before_ns: Nanoseconds, acted: StrategyPlace) -> None:
        """Run the rule over the bars before this moment as if flat; then give it back what it has from its wants."""
        running.begun = True
        running.memory = running.strategy.memory()
        columns = self._columns_of(running)
        indexed = [{close_ns: at for at, close_ns in enumerate(column.closes_ns)} for column in columns]
        ends_ns = [end_ns for _, end_ns in self._moments(running)] if running.joins else columns[0].closes_ns
        for close_ns in ends_ns:
            places = [index[close_ns] for index in indexed if close_ns in index]
            if close_ns < before_ns and len(places) == len(columns):
                running.step(columns, places, [flat()] * len(places))
        running.restore(acted.memory)

    def _asked(self, running: Running, want: RuleWant, weights: Sequence[int], held: Sequence[Held], close_ns: Nanoseconds,
               state: State, market: MarketView) -> tuple[tuple[PlaceOrder | ClosePosition, ...], str]:
        """The commands that a want, or a basket's weights, come to, and the want in words; what reduces goes first."""
        wants = [want]
        if running.strategy.kind == BASKET:
            wants = self._basket_wants(running, weights, held, state, market)
        commands: list[PlaceOrder | ClosePosition] = []
        words: list[str] = []
        for instrument, one, holding in zip(running.instruments, wants, held, strict=True):
            if one.act == NOTHING:
                continue
            told = running.strategy.explain(running.params, running.memory, one, price_words(instrument))
            command = command_of(running.settings, instrument, one, holding, close_ns, told)
            if command is not None:
                commands.append(command)
                words.append(told if len(wants) == 1 else f"{instrument.symbol}: {told}")
        commands.sort(key=lambda command: isinstance(command, PlaceOrder))
        return tuple(commands), "; ".join(words)

    def _basket_wants(self, running: Running, weights: Sequence[int], held: Sequence[Held], state: State,
                      market: MarketView) -> list[RuleWant]:
        equity = sizing_minor(state, market, running.settings.portfolio, running.settings.name)
        return [
            basket_want(target_bps, holding, self._bars[one.instrument_id].feed.bars.closes[-1], one.value_num, one.value_den,
                        equity, running.params.band_bps, running.params.stop_bps)
            for one, target_bps, holding in zip(running.instruments, weights, held, strict=True)]
