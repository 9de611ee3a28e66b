"""What calls cost, and that no cycle and no day costs more than it may: the dearest a call can come to is set aside before it,
on disk as well, so that a process that ends between request and answer forgets none of it."""

from collections import Counter
from collections.abc import Mapping
from math import ceil
from typing import NamedTuple, Protocol

from engine.research.models import Ask, Usage
from engine.research.settings import Budgets, ModelPrice

BYTES_PER_TOKEN = 2  # English comes to about 4, numbers to 2; what is set aside errs on the dear side
UNPRICED = ModelPrice(0.0, 0.0)


def cost_micro_usd(price: ModelPrice, usage: Usage) -> int:
    """The cost of one call in millionths of a US dollar, rounded up. Tokens from and to the cache are beside `tokens_in`."""
    exact = (usage.tokens_in * price.input_usd + usage.tokens_out * price.output_usd
             + usage.cache_read_tokens * price.cache_read_usd + usage.cache_write_tokens * price.cache_write_usd)
    return ceil(exact - 1e-6)


def tokens_of(usage: Usage) -> int:
    """All tokens of one call, cached ones too."""
    return usage.tokens_in + usage.tokens_out + usage.cache_read_tokens + usage.cache_write_tokens


def dearest(ask: Ask) -> Usage:
    """The most that a request can come to before it is put: all of its bytes, and the longest answer."""
    said = sum(len(part.encode()) for part in (*ask.system, ask.user)) + len(str(ask.schema))
    return Usage(tokens_in=ceil(said / BYTES_PER_TOKEN), tokens_out=ask.max_tokens)


class Aside(NamedTuple):
    """What was set aside for one call, on which day, and its place in the ledger (0: there is none)."""

    micro_usd: int
    tokens: int
    day: str
    place: int = 0


class Ledger(Protocol):
    """Where a day's money lasts beyond the process. Raises `StoreError`."""

    def set_aside(self, day: str, run_id: str, micro_usd: int, tokens: int) -> int:
        """Write down the most that a call can come to, before it is made; its place."""
        ...

    def settle(self, place: int, micro_usd: int, tokens: int) -> None:
        """Write down what it came to instead."""
        ...

    def spent_on(self, day: str) -> tuple[int, int]:
        """Millionths of a dollar and tokens of a day: what was paid, and what was set aside and never settled."""
        ...


class Purse:
    """The day's money and tokens, shared by all cycles. Used in one thread."""

    def __init__(self, budgets: Budgets, prices: Mapping[str, ModelPrice], ledger: Ledger | None = None) -> None:
        self.budgets = budgets
        self.ledger = ledger
        self.day = ""
        self.day_micro_usd = 0
        self.day_tokens = 0
        self._prices = prices
        self._under_way_micro_usd = 0
        self._of_runs: Counter[str] = Counter()

    @property
    def paid_micro_usd(self) -> int:
        """The day's money without what is only set aside for calls that are under way."""
        return max(0, self.day_micro_usd - self._under_way_micro_usd)

    def price_of(self, model: str) -> ModelPrice:
        return self._prices.get(model, UNPRICED)

    def begin_day(self, day: str, spent_micro_usd: int = 0, spent_tokens: int = 0) -> None:
        """A run on a day on which so much is known to be spent; what was paid on that day, by this purse or by the process
        before, is not forgotten. A run that looked before midnight turns no day back. Raises `StoreError`."""
        if (len(day), day) < (len(self.day), self.day):  # days are dates, or numbers
            return
        if day != self.day:
            known = self.ledger.spent_on(day) if self.ledger is not None else (0, 0)
            self.day, self._under_way_micro_usd = day, 0
            self.day_micro_usd, self.day_tokens = known
        self.day_micro_usd = max(self.day_micro_usd, spent_micro_usd)
        self.day_tokens = max(self.day_tokens, spent_tokens)

    def cycle(self, run_id: str = "") -> "Cycle":
        """A new cycle's own account."""
        return Cycle(self, run_id)

    def put_aside(self, run_id: str, micro_usd: int, tokens: int) -> Aside:
        """Take so much for a call; raises `StoreError`, and takes nothing, where that cannot be written down."""
        place = self.ledger.set_aside(self.day, run_id, micro_usd, tokens) if self.ledger is not None else 0
        self._under_way_micro_usd += micro_usd
        self._pay(run_id, micro_usd, tokens)
        return Aside(micro_usd, tokens, self.day, place)

    def settled(self, run_id: str, aside: Aside, micro_usd: int, tokens: int) -> None:
        """Put what was taken right by what the call came to; of a day that is over only the ledger still tells."""
        if self.ledger is not None:
            self.ledger.settle(aside.place, micro_usd, tokens)
        if aside.day == self.day:
            self._pay(run_id, micro_usd - aside.micro_usd, tokens - aside.tokens)
        else:
            self._of_runs[run_id] += micro_usd - aside.micro_usd

    def ended(self, aside: Aside) -> None:
        """A call is over, whatever it came to."""
        if aside.day == self.day:
            self._under_way_micro_usd -= aside.micro_usd

    def close_run(self, run_id: str) -> int:
        """What a run has cost, once it is over; it is not asked about again."""
        return self._of_runs.pop(run_id, 0)

    def _pay(self, run_id: str, micro_usd: int, tokens: int) -> None:
        self.day_micro_usd += micro_usd
        self.day_tokens += tokens
        self._of_runs[run_id] += micro_usd


def _usd(micro_usd: int) -> str:
    return f"${micro_usd / 1_000_000:,.4f}"


def _tokens(count: int) -> str:
    return f"{count:,}"


class Cycle:
    """What one cycle has spent and set aside."""

    def __init__(self, purse: Purse, run_id: str) -> None:
        self._purse = purse
        self._run_id = run_id
        self.micro_usd = 0
        self.tokens = 0

    def set_aside(self, ask: Ask) -> Aside | str:
        """Take the dearest that a call can come to; where a budget ends before, nothing is taken and it is told which."""
        usage, purse = dearest(ask), self._purse
        price = purse.price_of(ask.model)
        dear = ModelPrice(max(price.input_usd, price.cache_write_usd), price.output_usd)
        micro_usd, tokens = cost_micro_usd(dear, usage), tokens_of(usage)
        most = purse.budgets
        budgets = ((_usd, "cycle_usd", self.micro_usd, micro_usd, most.cycle_micro_usd),
                   (_usd, "day_usd", purse.day_micro_usd, micro_usd, most.day_micro_usd),
                   (_tokens, "cycle_tokens", self.tokens, tokens, most.cycle_tokens),
                   (_tokens, "day_tokens", purse.day_tokens, tokens, most.day_tokens))
        for told, name, taken, asked, limit in budgets:
            if taken + asked > limit:
                return f"{name} ({told(limit)}) ends before this call: {told(taken)} taken, up to {told(asked)} more asked"
        aside = purse.put_aside(self._run_id, micro_usd, tokens)
        self.micro_usd += micro_usd
        self.tokens += tokens
        return aside

    def settle(self, aside: Aside, model: str, usage: Usage) -> None:
        """Put what was set aside right by what the call really used."""
        micro_usd, tokens = cost_micro_usd(self._purse.price_of(model), usage), tokens_of(usage)
        self._purse.settled(self._run_id, aside, micro_usd, tokens)
        self.micro_usd += micro_usd - aside.micro_usd
        self.tokens += tokens - aside.tokens

    def ended(self, aside: Aside) -> None:
        """A call is over; where it was not settled, what was set aside counts: it may be charged all the same."""
        self._purse.ended(aside)
