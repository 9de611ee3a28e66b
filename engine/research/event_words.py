"""The closed list of what events can be, and the words by which rules tell kind and direction where no model does."""

import functools
import re
from enum import StrEnum


class EventKind(StrEnum):
    """The closed list of what an event can be."""

    EARNINGS = "earnings"
    GUIDANCE = "guidance"
    MERGER = "merger"
    CAPITAL = "capital"
    DIVIDEND = "dividend"
    RATING = "rating"
    PRODUCT = "product"
    CONTRACT = "contract"
    SUPPLY = "supply"
    LEGAL = "legal"
    REGULATION = "regulation"
    MANAGEMENT = "management"
    SECURITY = "security"
    RATES = "rates"
    INFLATION = "inflation"
    JOBS = "jobs"
    GROWTH = "growth"
    COMMODITY = "commodity"
    GEOPOLITICS = "geopolitics"
    LISTING = "listing"
    OTHER = "other"


EVENT_KINDS = tuple(kind.value for kind in EventKind)
WHOLE_MARKET = frozenset({EventKind.RATES, EventKind.INFLATION, EventKind.JOBS, EventKind.GROWTH, EventKind.GEOPOLITICS})


class Direction(StrEnum):
    """What an event says of those that it names: good, bad, or nothing that can be told. Of a number it is
    whether more or less came than was expected."""

    UP = "up"
    DOWN = "down"
    UNCLEAR = "unclear"

    @property
    def sign(self) -> int:
        return {Direction.UP: 1, Direction.DOWN: -1, Direction.UNCLEAR: 0}[self]


_KINDS: tuple[tuple[EventKind, tuple[str, ...]], ...] = (
    (EventKind.GUIDANCE, ("guidance", "outlook", "forecasts? (?:full|fiscal|annual|revenue|profit)", "profit warning",
                          "warns? (?:on|of) profit")),
    (EventKind.EARNINGS, ("earnings", "quarterly (?:results?|profit|loss)", "eps", "(?:first|second|third|fourth)[- ]quarter",
                          "q[1-4] results")),
    (EventKind.MERGER, ("acquires?", "acquired", "acquisition", "mergers?", "merges?", "takeover", "buyout",
                        "to buy (?:rival|all)", "tender offer")),
    (EventKind.DIVIDEND, ("dividends?",)),
    (EventKind.CAPITAL, ("buybacks?", "share repurchase", "stock split", "secondary offering", "share (?:sale|offering)",
                         "convertible notes", "raises capital")),
    (EventKind.RATING, (r"upgrad\w*", r"downgrad\w*", "price target", "initiates? coverage", "overweight", "underweight",
                        "outperform", "underperform")),
    (EventKind.LEGAL, ("lawsuits?", "sues?", "sued", "settles?", "settlement", "court", "verdict", r"indict\w*", "antitrust",
                       "fraud", r"investigat\w*", "probe")),
    (EventKind.REGULATION, ("sec", "fda", "ftc", "regulators?", "approval", "approves", "sanctions?", "tariffs?",
                            "export (?:ban|control|curb)s?", "ban")),
    (EventKind.MANAGEMENT, ("ceo", "cfo", "chief executive", "steps? down", "resigns?", "appoints?", "names? new",
                            "successor")),
    (EventKind.SECURITY, (r"hack\w*", "breach", "exploit", "ransomware", "cyber", "outage", "stolen")),
    (EventKind.LISTING, ("ipo", r"delist\w*", "lists? on", "to be listed", "index (?:addition|removal)", "joins? the s&p")),
    (EventKind.SUPPLY, ("shortages?", "supply chain", "halts? production", "factory", "plant (?:fire|closure)", "strike",
                        "recalls?")),
    (EventKind.CONTRACT, ("contracts?", "partners? with", "partnership", "orders? (?:worth|from)", "supply deal", "agreement")),
    (EventKind.PRODUCT, ("unveils?", r"launch\w*", "new (?:product|model|chip|phone)", "releases?")),
    (EventKind.RATES, ("fomc", "federal reserve", "fed", "ecb", "interest rates?", "rate (?:cut|hike|decision)s?",
                       "central bank", "treasury yields?")),
    (EventKind.INFLATION, ("cpi", "ppi", "pce", "inflation", "consumer prices")),
    (EventKind.JOBS, ("payrolls?", "jobless", "unemployment", "jobs report")),
    (EventKind.GROWTH, ("gdp", "pmi", "ism", "retail sales", "recession", "industrial production")),
    (EventKind.COMMODITY, ("opec", "crude", "oil prices?", "natural gas", "lithium", "copper", "gold prices?")),
    (EventKind.GEOPOLITICS, ("war", "invasion", "missiles?", "ceasefire", "election", "coup", "embargo")),
)

_GOOD = ("beats?", "tops?", "exceeds?", "raises?", "raised", r"upgrad\w*", "surges?", "jumps?", "soars?", "rall(?:y|ies)",
         "record (?:profit|revenue|high)", "wins?", r"approv\w*", "gains?", "rises?", "climbs?", "outperform", "overweight",
         "better than", "buyback", "increases? dividend", "ceasefire")
_BAD = ("miss(?:es|ed)?", "cuts?", "lowers?", "lowered", r"downgrad\w*", "plunges?", "falls?", "drops?", "slumps?", "tumbles?",
        "sinks?", "warns?", "warning", "lawsuit", "sues?", "sued", "fraud", "probe", r"investigat\w*", r"recall\w*", "halts?",
        "breach", r"hack\w*", r"delist\w*", r"bankrupt\w*", "layoffs?", "loss", "worse than", "resigns?", "shortage",
        "underperform", "underweight", "default", r"sanction\w*", "ban")
_DENIALS = ("not", "no", "denies", "denied", "never", "without")


@functools.cache
def _any_of(words: tuple[str, ...]) -> re.Pattern[str]:
    """Whole words, in any case; compiled once a text is looked at, since most starts see none for a while."""
    return re.compile(rf"\b(?:{'|'.join(words)})\b", re.IGNORECASE)


def kind_of(told: str, text: str) -> EventKind:
    """The kind that a calendar names, else the first whose words stand in the text."""
    if told in EVENT_KINDS:
        return EventKind(told)
    return next((kind for kind, words in _KINDS if _any_of(words).search(text)), EventKind.OTHER)


def direction_of(text: str) -> Direction:
    """Good or bad by words, where they all agree; unclear where they do not, or where they may be denied."""
    good, bad = bool(_any_of(_GOOD).search(text)), bool(_any_of(_BAD).search(text))
    if good == bad or _any_of(_DENIALS).search(text):
        return Direction.UNCLEAR
    return Direction.UP if good else Direction.DOWN
