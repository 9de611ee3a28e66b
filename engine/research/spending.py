"""What calls cost, and that no cycle and no day costs more than it may: the dearest a call can come to is set aside before it."""

from collections.abc import Mapping
from math import ceil

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


class Purse:
    """The day's money and tokens, shared by all cycles. Used in one thread."""

    def __init__(self, budgets: Budgets, prices: Mapping[str, ModelPrice]) -> None:
        self.budgets = budgets
        self._prices = prices
        self._day = ""
        self.day_micro_usd = 0
        self.day_tokens = 0

    def price_of(self, model: str) -> ModelPrice:
        return self._prices.get(model, UNPRICED)

    def begin_day(self, day: str, spent_micro_usd: int = 0, spent_tokens: int = 0) -> None:
        """A run on a day on which so much is known to be spent; what this purse has paid itself on that day is not forgotten."""
        if day != self._day:
            self._day, self.day_micro_usd, self.day_tokens = day, 0, 0
        self.day_micro_usd = max(self.day_micro_usd, spent_micro_usd)
        self.day_tokens = max(self.day_tokens, spent_tokens)

    def cycle(self) -> "Cycle":
        """A new cycle's own account."""
        return Cycle(self)


class Cycle:
    """What one cycle has spent and set aside."""

    def __init__(self, purse: Purse) -> None:
        self._purse = purse
        self.micro_usd = 0
        self.tokens = 0

    def set_aside(self, ask: Ask) -> tuple[int, int] | None:
        """Take the dearest that a call can come to; None, and nothing taken, where a budget ends before."""
        usage, purse = dearest(ask), self._purse
        price = purse.price_of(ask.model)
        dear = ModelPrice(max(price.input_usd, price.cache_write_usd), price.output_usd)
        micro_usd, tokens = cost_micro_usd(dear, usage), tokens_of(usage)
        budgets = purse.budgets
        if (self.micro_usd + micro_usd > budgets.cycle_micro_usd or purse.day_micro_usd + micro_usd > budgets.day_micro_usd
                or self.tokens + tokens > budgets.cycle_tokens or purse.day_tokens + tokens > budgets.day_tokens):
            return None
        self._pay(micro_usd, tokens)
        return micro_usd, tokens

    def settle(self, aside: tuple[int, int], model: str, usage: Usage) -> None:
        """Put what was set aside right by what the call really used."""
        self._pay(cost_micro_usd(self._purse.price_of(model), usage) - aside[0], tokens_of(usage) - aside[1])

    def _pay(self, micro_usd: int, tokens: int) -> None:
        self.micro_usd += micro_usd
        self.tokens += tokens
        self._purse.day_micro_usd += micro_usd
        self._purse.day_tokens += tokens
