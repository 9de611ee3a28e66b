"""What the tests of research share: a snapshot, what is asked of it, a store in memory, and a model that says what it is told."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from engine.research.call_hash import call_hash
from engine.research.decided import ResearchCause
from engine.research.models import Answered, Ask, ContentBlock, Unavailable, Usage
from engine.research.rule_analyst import Daily
from engine.research.settings import ModelLine, ModelPrice, ResearchSettings
from engine.research.snapshot import Mark, Row, RowKind, Snapshot, build
from engine.research.task import Asked
from engine.units import NS_PER_SECOND

AS_OF_NS = 20_000 * 86_400 * NS_PER_SECOND
LINE = ModelLine("one", model="model-a", news_model="model-n")
PRICES = {"model-a": ModelPrice(2.0, 10.0, 0.2, 2.5), "model-n": ModelPrice(0.1, 0.5), "model-b": ModelPrice(1.0, 1.0)}
MODELS_ON = ResearchSettings(lines=(LINE,), prices=PRICES)


def rising(days: int = 300, drift: float = 0.004) -> Daily:
    """Closes that mostly rise, with a swing."""
    closes = tuple(100 * math.exp(drift * day + 0.02 * math.sin(day / 3)) for day in range(days))
    return Daily(closes, tuple(1.01 * one for one in closes), tuple(0.99 * one for one in closes))


def news_row(text: str, source: str = "wire", minute: int = 1) -> Row:
    at_ns = AS_OF_NS - minute * 60_000_000_000
    return Row(kind=RowKind.NEWS, event_time_ns=at_ns, known_at_ns=at_ns, source=source, text=text)


def snapshot(symbol: str = "AAPL", rows: Sequence[Row] = (), portfolio: str = "main") -> Snapshot:
    indicator = Row(kind=RowKind.INDICATOR, event_time_ns=AS_OF_NS - 1, known_at_ns=AS_OF_NS - 1, source="engine",
                    facts={"rsi14": 61.2, "atr14": 4.1})
    mark = Mark(Decimal("227.5"), "USD", "simulated", AS_OF_NS)
    return build(portfolio, symbol, AS_OF_NS, mark, (indicator, *rows))


def asked(number: int = 1, shown: Snapshot | None = None, settings: ResearchSettings | None = None,
          daily: Daily | None = None, run_id: str = "R7", cause: ResearchCause = ResearchCause.PERSON) -> Asked:
    found = shown or snapshot()
    return Asked(run_id, number, cause, "T1", f"{found.symbol}@paper", "equity", found, ("AAPL", "MSFT"), daily or rising(),
                 5, 3, 10.0, "0" * 32, shortable=True, atr_bps=180.0, settings=settings or ResearchSettings())


class StoreInMemory:
    """A store of calls that forgets when the test ends."""

    def __init__(self) -> None:
        self.calls: dict[tuple[str, int], Answered | Unavailable] = {}
        self.asks: list[Ask] = []
        self.asked: dict[tuple[str, str], bytes] = {}
        self.digests: dict[tuple[str, str], str] = {}
        self.snapshots: dict[str, bytes] = {}
        self._seen: Counter[str] = Counter()

    def keep_call(self, call_hash: str, ask: Ask, answer: Answered | Unavailable, at_ns: int, run_id: str) -> None:
        self.asks.append(ask)
        self.calls[call_hash, self._seen[call_hash]] = answer
        self._seen[call_hash] += 1

    def keep_snapshot(self, snapshot_id: str, portfolio: str, symbol: str, as_of_ns: int, body: bytes) -> None:
        self.snapshots[snapshot_id] = body

    def keep_asked(self, run_id: str, instrument_id: str, body: bytes) -> None:
        self.asked[run_id, instrument_id] = body

    def keep_decided(self, run_id: str, instrument_id: str, digest: str) -> None:
        self.digests[run_id, instrument_id] = digest

    def recorded(self, call_hash: str, occurrence: int) -> Answered | Unavailable | None:
        return self.calls.get((call_hash, occurrence))


def opinion_text(stance: str = "long", p_up: float = 0.58, p_win: float | None = 0.57, **changed: object) -> str:
    opens = stance in {"long", "short"}
    told = {"schema_version": 1, "symbol": "AAPL", "stance": stance, "p_up": p_up, "p_win": p_win if opens else None,
            "horizon_days": 5, "target_bps": 400 if opens else None, "stop_bps": 200 if opens else None,
            "thesis": "Trend holds.", "against": "Momentum is stretched.", "evidence": ["E1", "E2"],
            "claims": [{"evidence_id": "E2", "field": "rsi14", "value": 61.2}], "event_tags": []}
    return msgspec.json.encode(told | changed).decode()


def answer(text: str, stop_reason: str = "end_turn", tokens_in: int = 1_000, tokens_out: int = 200) -> Answered:
    return Answered(stop_reason, (ContentBlock("text", text),), Usage(tokens_in, tokens_out), "model-a", "req", 40)


def usual_answer(ask: Ask) -> Answered | Unavailable:
    """A sensible answer for each role."""
    match ask.role.partition(":")[0]:
        case "cross":
            return answer('{"p_up": 0.57, "reason": "RSI.", "evidence": ["E2"]}')
        case "news":
            return answer('{"notes": []}')
    return answer(opinion_text())


class SpeakingModel:
    """A model that answers by a function of the request, and counts what it was asked."""

    name = "one"
    host = "nowhere"

    def __init__(self, say: Callable[[Ask], Answered | Unavailable] = usual_answer) -> None:
        self.say = say
        self.asked: list[str] = []

    async def ask(self, ask: Ask, heard: Callable[[int], None] | None = None) -> Answered | Unavailable:
        self.asked.append(ask.role)
        self.last = call_hash(ask)
        if heard is not None:
            heard(10)
        return self.say(ask)

    async def open(self) -> None:
        """Nothing is to be loaded."""

    async def close(self) -> None:
        """Nothing is open."""
