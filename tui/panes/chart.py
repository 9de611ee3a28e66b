"""The price chart of the selected instrument, with entry, stop and target."""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from engine.inputs import Bar
from engine.service import PositionView, ProposalView, QuoteView, Snapshot, TripView
from engine.units import NS_PER_SECOND
from tui.formats import age, moment, money, number, percent, plain
from tui.widgets.candles import Candle, Scale, braille_rows, candle_cells, scale_of
from tui.widgets.columns import shortened

if TYPE_CHECKING:
    from tui.theming import Tones

LEAST_WIDTH_FOR_CANDLES = 36


WIDEST_BARS = 400
DRAW_NS = NS_PER_SECOND
PAST_BARS = 2_000  # all that the engine keeps


class Level(NamedTuple):
    """A price drawn as a line: its word, its line character and its tone."""

    word: str
    price: Decimal
    line: str
    tone: str


class Past(NamedTuple):
    """A span of the past to show instead of now, with its levels; `words` stand in the title."""

    instrument_id: str
    from_ns: int
    to_ns: int
    words: str
    levels: tuple[Level, ...]


class Picture(NamedTuple):
    """All that the drawing depends on; the chart is drawn again only when it changes."""

    bars: tuple[Bar, ...]
    tick_size: Decimal
    decimals: int
    last: Decimal | None
    levels: tuple[Level, ...]
    past: Past | None = None


class ChartPane(Widget, can_focus=True):
    """Candles on half rows. Bars come from the service, in ticks; levels from the position or the pending trade."""

    NUMBER, TITLE = "7", "Chart"

    def __init__(self, *, id: str | None = None, zone: tzinfo = UTC) -> None:
        super().__init__(id=id)
        self.zone = zone
        self.instrument_id = ""
        self.past: Past | None = None
        self._bars: tuple[Bar, ...] = ()
        self._bars_of = ""
        self._picture: Picture | None = None
        self._shown_ns = 0
        self._strips: list[Strip] = []
        self._note = "Select an instrument."
        self.border_title = " 7 Chart "

    @property
    def bars_wanted(self) -> int:
        """How many bars fill the widest plot: asked for whatever the width is now, since the pane may be about to grow."""
        return PAST_BARS if self.past else WIDEST_BARS

    @property
    def has_bars(self) -> bool:
        """Whether there is anything to draw."""
        return bool(self._bars)

    def follow(self, instrument_id: str) -> bool:
        """Turn to an instrument; whether it is another one."""
        if instrument_id == self.instrument_id:
            return False
        self.instrument_id = instrument_id
        self._note = "Loading bars…" if instrument_id else "Select an instrument."
        self._bars, self._bars_of, self._picture = (), "", None
        self._draw()
        return True

    def look_back(self, past: Past) -> None:
        """Show a span of the past until `release`."""
        self.past = past
        self.follow(past.instrument_id)
        self._picture = None

    def release(self) -> None:
        """Show now again."""
        if self.past is not None:
            self.past, self._picture = None, None

    def show_bars(self, instrument_id: str, bars: Sequence[Bar]) -> None:
        """Take the bars of an instrument; late ones of another are dropped."""
        if instrument_id == self.instrument_id:
            self._bars, self._bars_of = tuple(bars), instrument_id
            self._note = "No bars yet for this instrument." if not bars else ""
            if self.past and bars and self.past.to_ns < bars[0].open_ns:
                self._bars, self._note = (), f"No bars are kept from then; the oldest is of {moment(bars[0].open_ns, self.zone)}."
            if not self._bars:
                self._draw()

    def show_failure(self, instrument_id: str, text: str) -> None:
        """Say why there is no chart."""
        if instrument_id == self.instrument_id and not self._bars:
            self._note = f"No bars: {plain(text)}"
            self._draw()

    def show_snapshot(self, snapshot: Snapshot, proposal: ProposalView | None) -> None:
        """Bring title, levels and drawing up to date."""
        quote = next((each for each in snapshot.quotes if each.instrument_id == self.instrument_id), None)
        if quote is None:
            return
        position = next((each for each in snapshot.positions if each.instrument_id == self.instrument_id), None)
        if self.past is not None:
            self._show_past(self.past, quote)
            return
        picture = Picture(self._bars, tick_size_of(quote), quote.price_decimals, quote.last,
                          levels_of(position, proposal if proposal and proposal.card.symbol == quote.symbol else None))
        if self._only_the_price_moved(picture, snapshot.at_ns):
            return
        self._shown_ns = snapshot.at_ns
        doubt = "?" if quote.stale and quote.session_open else ""
        title = (f" 7 Chart {plain(quote.symbol)} {number(quote.last, quote.price_decimals)}{doubt} "
                 f"{percent(quote.change_percent, signed=True)} · {bar_span(self._bars)} · {age(quote.age_seconds)} ")
        self.border_title = title.replace("[", "\\[")
        if picture != self._picture:
            self._picture = picture
            self._draw()

    def _only_the_price_moved(self, picture: Picture, at_ns: int) -> bool:
        """Whether this picture can wait: a whole chart a frame is more than all the rest, and too much for a slow link."""
        return (self._picture is not None and 0 < at_ns - self._shown_ns < DRAW_NS
                and picture == self._picture._replace(last=picture.last))

    def _show_past(self, past: Past, quote: QuoteView) -> None:
        title = f" 7 Chart {plain(quote.symbol)} {past.words} · 7 shows now "
        self.border_title = title.replace("[", "\\[")
        picture = Picture(self._bars, tick_size_of(quote), quote.price_decimals, None, past.levels, past)
        if picture != self._picture:
            self._picture = picture
            self._draw()

    def on_resize(self) -> None:
        self._draw()

    def redraw(self) -> None:
        """Draw again in another theme."""
        self._draw()

    # ---- drawing ----------------------------------------------------------------------------------------------------

    def _draw(self) -> None:
        self._strips = self._drawn() if self.size.height > 1 and self.size.width > 12 else []
        self.refresh()

    def _drawn(self) -> list[Strip]:
        picture, tones = self._picture, self._tones
        if picture is None or not picture.bars:
            return [Strip([Segment("")]), Strip([Segment("  " + self._note, self.rich_style + tones["muted"])])]
        tick = float(picture.tick_size)
        highest = max(bar.high_ticks for bar in picture.bars) * tick
        axis = max(len(number(Decimal(str(each)), picture.decimals))
                   for each in (highest, *(float(level.price) for level in picture.levels))) + 3
        width = max(1, self.size.width - axis)
        step = 2 if width >= LEAST_WIDTH_FOR_CANDLES else 1
        bars = window(picture.bars, width // step, picture.past)
        shown = [Candle(bar.open_ticks * tick, bar.high_ticks * tick, bar.low_ticks * tick, bar.close_ticks * tick)
                 for bar in bars]
        scale = scale_of(shown, [float(level.price) for level in picture.levels], self.size.height - 1)
        plot = self._candles(shown, scale, width) if step == 2 else self._line(shown, scale, width)
        rows = [Strip([*plot[row], *self._axis(row, scale, picture, axis, tones)]) for row in range(scale.rows)]
        return [*rows, self._times(bars, width, step, tones)]

    @property
    def _tones(self) -> "Tones":
        tones: Tones = self.app.tones  # type: ignore[attr-defined]
        return tones

    def _level_rows(self, scale: Scale) -> dict[int, Level]:
        levels = self._picture.levels if self._picture else ()
        return {scale.row(float(level.price)): level for level in levels if scale.holds(float(level.price))}

    def _candles(self, candles: Sequence[Candle], scale: Scale, width: int) -> list[list[Segment]]:
        base, tones, levels = self.rich_style, self._tones, self._level_rows(scale)
        columns = [(candle_cells(candle, scale), "gain" if candle.close >= candle.open else "loss")
                   for candle in candles]
        left = width - 2 * len(columns)
        rows = []
        for row in range(scale.rows):
            level = levels.get(row)
            filler = level.line if level else " "
            filler_style = base + tones[level.tone] if level else base
            segments = [Segment(filler * left, filler_style)]
            for cells, tone in columns:
                segments.append(Segment(cells[row], base + tones[tone]) if cells[row] != " "
                                else Segment(filler, filler_style))
                segments.append(Segment(filler, filler_style))
            rows.append(list(Segment.simplify(segments)))
        return rows

    def _line(self, candles: Sequence[Candle], scale: Scale, width: int) -> list[list[Segment]]:
        base, tones, levels = self.rich_style, self._tones, self._level_rows(scale)
        rows = []
        for row, text in enumerate(braille_rows([candle.close for candle in candles], scale, width)):
            level = levels.get(row)
            segments = [Segment(level.line, base + tones[level.tone]) if level and cell == " "
                        else Segment(cell, base + tones["gain"]) for cell in text]
            rows.append(list(Segment.simplify(segments)))
        return rows

    def _axis(self, row: int, scale: Scale, picture: Picture, width: int, tones: "Tones") -> list[Segment]:
        base = self.rich_style
        level = self._level_rows(scale).get(row)
        if picture.last is not None and scale.holds(float(picture.last)) and scale.row(float(picture.last)) == row:
            return [Segment(shortened("▸" + number(picture.last, picture.decimals), width), base + tones["strong"])]
        if level is not None:
            return [Segment(shortened(f"{level.word[0].upper()} {number(level.price, picture.decimals)}", width),
                            base + tones[level.tone])]
        beyond = self._beyond(row, scale, picture)
        if beyond is not None:
            return [Segment(shortened(beyond[0], width), base + tones[beyond[1]])]
        if row % 3 == 1:
            return [Segment(shortened(" " + number(Decimal(str(scale.price(row))), picture.decimals), width),
                            base + tones["muted"])]
        return [Segment(" " * width, base)]

    def _beyond(self, row: int, scale: Scale, picture: Picture) -> tuple[str, str] | None:
        """Levels outside the picture are named at its edge."""
        for level in picture.levels:
            price = float(level.price)
            if (row == 0 and price > scale.high) or (row == scale.rows - 1 and price < scale.low):
                mark = level.word[0].upper() + ("↑" if row == 0 else "↓")
                return mark + number(level.price, picture.decimals), level.tone
        return None

    def _times(self, bars: Sequence[Bar], width: int, step: int, tones: "Tones") -> Strip:
        text = [" "] * self.size.width
        left = width - step * len(bars)
        pattern = "%d %b" if bars[-1].close_ns - bars[-1].open_ns >= 86_400 * NS_PER_SECOND else "%H:%M"
        for index in range(0, len(bars), max(1, 16 // step)):
            at = left + index * step
            label = datetime.fromtimestamp(bars[index].open_ns // NS_PER_SECOND, self.zone).strftime(pattern)
            if at >= 0 and at + len(label) < width:
                text[at:at + len(label)] = label
        past = self._picture.past if self._picture else None
        for mark, at_ns in (("▲in", past.from_ns), ("▲out", past.to_ns)) if past else ():
            index = next((place for place, bar in enumerate(bars) if bar.close_ns >= at_ns), len(bars) - 1)
            if bars[0].open_ns <= at_ns:
                at = left + index * step
                _clear_word(text, at)  # a label that it would cut through gives way
                _clear_word(text, at + len(mark) - 1)
                text[at:at + len(mark)] = mark
        return Strip([Segment("".join(text), self.rich_style + tones["muted"])])

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y < len(self._strips):
            return self._strips[y].adjust_cell_length(width, self.rich_style).apply_style(self.rich_style)
        return Strip.blank(width, self.rich_style)


def _clear_word(text: list[str], at: int) -> None:
    """Blank the word that a place of a line lies in."""
    if at >= len(text) or text[at] == " ":
        return
    start, end = at, at
    while start > 0 and text[start - 1] != " ":
        start -= 1
    while end < len(text) and text[end] != " ":
        end += 1
    text[start:end] = " " * (end - start)


def window(bars: Sequence[Bar], most: int, past: Past | None) -> Sequence[Bar]:
    """The newest bars that fit, or those around a span of the past with what came before and after it; where the span is longer
    than the chart is wide, several bars are drawn as one."""
    if past is None:
        return bars[-most:]
    first = next((place for place, bar in enumerate(bars) if bar.close_ns >= past.from_ns), len(bars))
    end = next((place for place, bar in enumerate(bars) if bar.open_ns > past.to_ns), len(bars))
    together = -(-(end - first) // max(1, most * 2 // 3)) or 1
    wanted = most * together
    stop = min(len(bars), end + max(2, (wanted - (end - first)) // 2))
    start = max(0, stop - wanted)
    return [merged(bars[place:min(stop, place + together)]) for place in range(start, stop, together)]


def merged(bars: Sequence[Bar]) -> Bar:
    """Bars in a row as one."""
    return Bar(bars[0].instrument_id, bars[0].open_ns, bars[-1].close_ns, bars[0].open_ticks, max(bar.high_ticks for bar in bars),
               min(bar.low_ticks for bar in bars), bars[-1].close_ticks, sum(bar.volume_lots for bar in bars))


def past_of(trip: TripView) -> Past:
    """A round trip as a span of the past."""
    levels = (Level("entry", Decimal(repr(trip.entry)), "─", "entry-line"),
              Level("close", Decimal(repr(trip.exit)), "┈", "target-line"))
    words = f"{trip.side} round trip {trip.number}, {money(trip.net, 2, signed=True)}"
    return Past(trip.instrument_id, trip.opened_at_ns, trip.closed_at_ns, words, levels)


def tick_size_of(quote: QuoteView) -> Decimal:
    """The size of one tick; a service that does not name it has a tick of one unit in the last shown decimal."""
    return quote.tick_size or Decimal(1).scaleb(-quote.price_decimals)


def levels_of(position: PositionView | None, proposal: ProposalView | None) -> tuple[Level, ...]:
    """Entry, stop and target of the position, or of the trade that waits for an answer."""
    prices: tuple[Decimal | None, ...]
    if position is not None:
        prices = (position.entry, position.stop, position.target)
    elif proposal is not None:
        card = proposal.card
        prices = (card.limit or card.reference, card.stop, card.target)
    else:
        return ()
    kinds = (("entry", "─", "entry-line"), ("stop", "╌", "stop-line"), ("target", "┈", "target-line"))
    return tuple(Level(word, price, line, tone) for (word, line, tone), price in zip(kinds, prices, strict=True)
                 if price is not None)


def bar_span(bars: Sequence[Bar]) -> str:
    """How long a bar lasts: `1m`, `5m`, `1d`."""
    if not bars:
        return "no bars"
    return age((bars[0].close_ns - bars[0].open_ns) / NS_PER_SECOND)
