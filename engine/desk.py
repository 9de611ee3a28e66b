"""Where strategies run: their rules see every closed bar after the engine has decided on it, and what they want goes through
the engine's decision as an input.

Nothing here lasts. What a rule remembers is found again from the bars of history; what those cannot tell is journaled with
every want. A bar that a strategy acted on before a restart is history too, so it acts on each bar once.
"""

from array import array
from collections.abc import Mapping, Sequence

from engine.budgets import sizing_minor
from engine.errors import QuarterdeckError
from engine.inputs import Bar, ClosePosition, EnableStrategy, Input, PlaceOrder, StrategyActed
from engine.instruments import Instrument
from engine.kernel.wants import KEEP, NOTHING, BarColumns, Held, RuleWant, basket_want, flat
from engine.market import KEPT_BARS, MarketView
from engine.state import State
from engine.strategies.registry import BASKET, Strategy, built_in, params_of
from engine.strategy_state import Number, StrategyPlace, StrategySettings, StrategyState
from engine.strategy_wants import command_of, held_of, price_words
from engine.units import Nanoseconds
from engine.want import resolve

LONGEST_COLUMNS = 4 * KEPT_BARS
TRIMMED_COLUMNS = 2 * KEPT_BARS
AFTER_ALL_NS = 1 << 62
NOT_ACTED = StrategyPlace(0)
UNKNOWN = StrategyState()


class Columns:
    """The closed bars of one instrument, oldest first; trimmed once rules have begun to run on them."""

    def __init__(self) -> None:
        self.bars = BarColumns(*(array("q") for _ in BarColumns._fields))

    def add(self, bar: Bar) -> bool:
        """Take a bar in; False for one that is no newer than what is known."""
        closes_ns = self.bars.closes_ns
        if closes_ns and bar.close_ns <= closes_ns[-1]:
            return False
        values = (bar.open_ns, bar.close_ns, bar.open_ticks, bar.high_ticks, bar.low_ticks, bar.close_ticks, bar.volume_lots)
        for column, value in zip(self.bars, values, strict=True):
            column.append(value)  # type: ignore[attr-defined]
        return True

    def trim(self) -> None:
        if len(self.bars.closes_ns) > LONGEST_COLUMNS:
            for column in self.bars:
                del column[:-TRIMMED_COLUMNS]  # type: ignore[attr-defined]

    def __len__(self) -> int:
        return len(self.bars.closes_ns)


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
                 user_strategies: Mapping[str, Strategy] | None = None) -> None:
        """`user_strategies` are those that are no part of the program, by the rule's name. Raises `ConfigError` for a rule that
        does not exist and for parameters that it does not take."""
        known = user_strategies or {}
        self._strategies = [(one, known.get(one.rule) or built_in(one.rule)) for one in strategies]
        for settings, strategy in self._strategies:
            params_of(strategy, settings.params)
        self._columns: dict[str, Columns] = {}
        self._running: dict[str, list[Running]] = {}
        self._resolved_for: tuple[object, object] = (None, None)
        self.idle = not self._strategies

    # ---- history ---------------------------------------------------------------------------------------------------------

    def history(self, bar: Bar) -> None:
        """A bar of a tape from before the point at which a run goes on: known, not acted on."""
        if self.idle:
            return
        self._columns.setdefault(bar.instrument_id, Columns()).add(bar)
        for running in self._running.get(bar.instrument_id, ()):
            running.begun = False

    def warm(self, instrument_id: str, state: State, market: MarketView) -> None:
        """Older bars have become known: start over from them, now and not when the next bar is waited for."""
        if self.idle:
            return
        columns = self._columns[instrument_id] = Columns()
        for bar in market.bars(instrument_id, KEPT_BARS):
            columns.add(bar)
        self._resolve(state)
        for running in self._running.get(instrument_id, ()):
            running.begun = False
            if running.strategy.kind == BASKET:
                continue
            known = state.strategies.get(running.settings.name, UNKNOWN)
            try:
                self._catch_up(running, [columns.bars], AFTER_ALL_NS, known.places.get(running.place_id, NOT_ACTED))
            except Exception:  # noqa: BLE001 - the next bar finds it again, and tells
                running.begun = False

    def _columns_with(self, bar: Bar, market: MarketView) -> Columns | None:
        """The instrument's bars up to this one; None where it is not new."""
        columns = self._columns.get(bar.instrument_id)
        if columns is None:
            columns = self._columns[bar.instrument_id] = Columns()
            for known in market.bars(bar.instrument_id, KEPT_BARS):
                if known.close_ns < bar.close_ns:
                    columns.add(known)
        return columns if columns.add(bar) else None

    # ---- a closed bar ----------------------------------------------------------------------------------------------------

    def bar_closed(self, bar: Bar, state: State, market: MarketView) -> list[Input]:
        """What the strategies of the bar's instrument want now; the state has decided on the bar already."""
        if self.idle:
            return []
        columns = self._columns_with(bar, market)
        if columns is None:
            return []
        self._resolve(state)
        wanted: list[Input] = []
        for running in self._running.get(bar.instrument_id, ()):
            places = self._places_at(running, bar.close_ns)
            if places is None or running.failed:
                continue
            acted: Input | None
            try:
                acted = self._run(running, places, bar.close_ns, state, market)
            except Exception as error:  # noqa: BLE001 - a rule is a person's code; it ends with its strategy, not the engine
                running.failed = True
                named = "" if isinstance(error, QuarterdeckError) else f"{type(error).__name__}: "
                told = f"its rule failed: {named}{error}"
                acted = EnableStrategy(f"desk:{running.settings.name}:{running.place_id}:{bar.close_ns}",
                                       running.settings.name, enabled=False, by="engine", reason=told)
            if acted is not None:
                wanted.append(acted)
        columns.trim()
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

    def _places_at(self, running: Running, close_ns: Nanoseconds) -> list[int] | None:
        """The newest bar's place in each column, where all of them close at this moment."""
        places = []
        for instrument in running.instruments:
            columns = self._columns.get(instrument.instrument_id)
            if columns is None or columns.bars.closes_ns[-1] != close_ns:
                return None
            places.append(len(columns) - 1)
        return places

    def _run(self, running: Running, places: list[int], close_ns: Nanoseconds, state: State,
             market: MarketView) -> StrategyActed | None:
        known = state.strategies.get(running.settings.name, UNKNOWN)
        place = known.places.get(running.place_id, NOT_ACTED)
        columns = [self._columns[one.instrument_id].bars for one in running.instruments]
        if not running.begun:
            self._catch_up(running, columns, close_ns, place)
        if close_ns <= place.acted_ns or not known.runs(running.settings):
            before = running.kept()
            running.step(columns, places, [flat()] * len(places))
            running.restore(place.memory if close_ns <= place.acted_ns else before)
            return None
        held = [held_of(state, running.settings, one, column.closes_ns)
                for one, column in zip(running.instruments, columns, strict=True)]
        before = running.kept()
        want, weights = running.step(columns, places, held)
        commands, words = self._asked(running, want, weights, held, close_ns, state, market)
        if not commands and running.kept() == before:
            return None
        return StrategyActed(running.settings.name, running.place_id, close_ns, running.kept(), words, commands)

    def _catch_up(self, running: Running, columns: Sequence[BarColumns], before_ns: Nanoseconds, place: StrategyPlace) -> None:
        """Run the rule over the bars before this moment as if flat; then give it back what it has from its wants."""
        running.begun = True
        running.memory = running.strategy.memory()
        indexed = [{close_ns: at for at, close_ns in enumerate(column.closes_ns)} for column in columns]
        for close_ns in columns[0].closes_ns:
            places = [index[close_ns] for index in indexed if close_ns in index]
            if close_ns < before_ns and len(places) == len(columns):
                running.step(columns, places, [flat()] * len(places))
        running.restore(place.memory)

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
            basket_want(target_bps, holding, self._columns[one.instrument_id].bars.closes[-1], one.value_num, one.value_den,
                        equity, running.params.band_bps, running.params.stop_bps)
            for one, target_bps, holding in zip(running.instruments, weights, held, strict=True)]
