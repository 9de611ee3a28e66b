"""From a JSON object to the fields of an opinion under their own names, with numbers and texts as such.

A key that gives itself a right is an alarm; one that sizes is dropped, since a model never sizes. A value is taken only where it
can mean one thing.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.research.answer_json import Draft, Fault, reject, retry, shown
from engine.research.models import Answered
from engine.research.opinions import Claim, Stance
from engine.research.schema import CLAIM_FIELDS, FIELDS
from engine.research.untrusted import harmless, without_links

ALIASES: Mapping[str, str] = {
    "action": "stance", "signal": "stance", "direction": "stance", "side": "stance", "recommendation": "stance",
    "ticker": "symbol", "instrument": "symbol", "asset": "symbol",
    "probability_up": "p_up", "prob_up": "p_up", "up_probability": "p_up", "p_of_up": "p_up",
    "win_probability": "p_win", "probability_win": "p_win", "prob_win": "p_win",
    "horizon": "horizon_days", "days": "horizon_days", "horizon_trading_days": "horizon_days",
    "take_profit_bps": "target_bps", "stop_loss_bps": "stop_bps",
    "take_profit": "target_price", "take_profit_price": "target_price", "price_target": "target_price", "tp": "target_price",
    "stop_loss": "stop_price", "stop_loss_price": "stop_price", "sl": "stop_price",
    "take_profit_pct": "target_pct", "target_percent": "target_pct", "take_profit_percent": "target_pct",
    "stop_loss_pct": "stop_pct", "stop_percent": "stop_pct", "stop_loss_percent": "stop_pct",
    "reasoning": "thesis", "rationale": "thesis", "reason": "thesis", "summary": "thesis",
    "counter_argument": "against", "counterargument": "against", "risks": "against", "bear_case": "against",
    "evidence_ids": "evidence", "sources": "evidence", "tags": "event_tags", "events": "event_tags", "version": "schema_version",
}
LEVELS = ("target_price", "stop_price", "target_pct", "stop_pct")
KNOWN = frozenset((*FIELDS, *LEVELS))
SIZING = frozenset({
    "quantity", "qty", "size", "position_size", "notional", "leverage", "order_type", "order", "orders", "units",
    "shares", "contracts", "amount", "capital", "margin", "allocation", "weight", "risk_usd", "risk_bps",
    "risk_fraction", "risk_percent", "lots", "lot_size", "entry", "entry_price", "limit_price", "price",
    "time_in_force", "tif", "kelly", "kelly_fraction", "position_pct", "portfolio_pct",
})
CONTROL = frozenset({
    "automation_level", "automation", "auto_execute", "auto_approve", "aggressiveness", "approve", "approved",
    "approval", "approved_by", "execute", "execute_now", "permissions", "permission", "limits", "risk_limit",
    "risk_limits", "override", "overrides", "max_risk", "max_position", "max_loss", "max_leverage", "trading_state",
    "halt", "resume", "system", "tool", "tools", "tool_calls", "function_call", "command", "commands", "settings",
    "config", "configuration", "whitelist", "allowed_symbols", "bypass", "disable_stops", "ignore_limits",
    "kill_switch", "panic", "confirm", "confirmed",
})
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
MOST_MAGNITUDE = 1e15


class Listed(msgspec.Struct, frozen=True):
    """What an answer about a symbol is held against: mark and average true range in its price, the latter None where there are
    too few bars."""

    mark: float
    atr: float | None
    shortable: bool


class AnswerContext(msgspec.Struct, frozen=True):
    """What is true where an answer is read: the symbol asked, what is listed, signed quantities held, facts by evidence id."""

    asked_symbol: str
    symbols: Mapping[str, Listed]
    positions: Mapping[str, float]
    facts: Mapping[str, Mapping[str, float | str]]


class OpinionDraft(Draft):
    """An opinion on its way: `fields` as they came, under their own names, then each as it was read."""

    def __init__(self, answer: Answered, context: AnswerContext) -> None:
        super().__init__(answer)
        self.context = context
        self.fields: dict[str, Any] = {}
        self.symbol = ""
        self.stance = Stance.FLAT
        self.numbers: dict[str, float] = {}
        self.texts: dict[str, str] = {}
        self.evidence: tuple[str, ...] = ()
        self.claims: tuple[Claim, ...] = ()
        self.event_tags: tuple[str, ...] = ()

    @property
    def is_opening(self) -> bool:
        """Whether it wants a position, and so needs levels."""
        return self.stance in {Stance.LONG, Stance.SHORT}

    @property
    def listed(self) -> Listed:
        """What is known of the symbol that was asked about."""
        return self.context.symbols[self.context.asked_symbol]

    @property
    def held(self) -> float:
        """The signed quantity held."""
        return self.context.positions.get(self.context.asked_symbol, 0.0)


def plain_key(key: str) -> str:
    """A key in small letters with underscores: of "Horizon Days", "horizonDays" and "horizon-days" one."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key.strip())
    return re.sub(r"[\s_-]+", "_", spaced).strip("_").lower()


def no_control_keys(draft: OpinionDraft) -> Fault | None:
    """No key, at any depth that is read, that names a right, a limit or a setting."""
    for place in (draft.value, *_objects(draft.value.get("claims"))):
        for key in place:
            if plain_key(key) in CONTROL:
                return reject(f"CONTROL_KEY:{plain_key(key)}", "an answer cannot change permissions")
    return None


def without_sizing_keys(draft: OpinionDraft) -> Fault | None:
    """A model never sizes: such keys are dropped, and that is told."""
    kept = {key: value for key, value in draft.value.items() if plain_key(key) not in SIZING}
    if len(kept) < len(draft.value):
        draft.repaired("SIZING_KEY_DROPPED")
        draft.value = kept
    return None


def under_own_names(draft: OpinionDraft) -> Fault | None:
    """Every known key under its own name; two names for one field have to say the same."""
    for key, value in draft.value.items():
        name = ALIASES.get(plain_key(key), plain_key(key))
        if name not in KNOWN:
            continue
        if name != key and name not in LEVELS:  # a level's own repair says so
            draft.repaired("ALIAS")
        if name in draft.fields and not _same(draft.fields[name], value):
            return retry(f"ALIAS_CONFLICT:{_label(name)}", f"two values for {name}")
        draft.fields[name] = value
    return None


def without_extra_keys(draft: OpinionDraft) -> Fault | None:
    """Keys that mean nothing here are not read, and that is told."""
    if any(ALIASES.get(plain_key(key), plain_key(key)) not in KNOWN for key in draft.value):
        draft.repaired("EXTRA_KEY_DROPPED")
    return None


def number_of(draft: Draft, raw: object, label: str, *, percent: float | None = None, units: Sequence[str] = ()) -> float | Fault:
    """A number, from a number or from a text that can only be that one: digits, digits with a percent sign where `percent` says
    what one percent is, digits with one of the `units`. "231,50" and "3-6" may be several."""
    non_numeric = retry(f"NON_NUMERIC:{label}", f"{label} must be a number, got {shown(raw)}")
    if isinstance(raw, bool) or not isinstance(raw, int | float | str):
        return non_numeric
    if not isinstance(raw, str):
        return float(raw) if abs(raw) < MOST_MAGNITUDE else non_numeric
    text = raw.strip()
    found = _NUMBER.match(text)
    if found is None or abs(number := float(found.group())) >= MOST_MAGNITUDE:
        return non_numeric
    rest = text[found.end():].strip().lower()
    if not rest:
        draft.repaired("NUMERIC_STRING")
        return number
    if rest == "%" and percent is not None:
        draft.repaired("PERCENT_STRING")
        return round(number * percent, 12)
    if rest in units:
        draft.repaired("UNIT_STRING")
        return number
    return non_numeric


def list_of(draft: OpinionDraft, name: str) -> list[Any]:
    """A field that is a list; one value alone is a list of it, none an empty one."""
    raw = draft.fields.get(name)
    if raw is None or raw == "":
        return []
    if not isinstance(raw, list):
        draft.repaired("SCALAR_TO_LIST")
        return [raw]
    return raw


def text_of(draft: OpinionDraft, name: str, most: int) -> str | Fault:
    """A text without anything that acts on a screen; blank is missing, and a long one is not cut."""
    raw = draft.fields.get(name)
    if raw is None:
        return retry(f"MISSING_FIELD:{name}", f"{name} is missing")
    if not isinstance(raw, str):
        return retry(f"NON_TEXT:{name}", f"{name} must be a text")
    safe = harmless(raw)
    if safe != " ".join(raw.split()):
        draft.repaired("CONTROL_CHARS")
    told = without_links(safe)
    if told != safe:
        draft.repaired("LINK_REMOVED")
    if not told:
        return retry(f"MISSING_FIELD:{name}", f"{name} is blank")
    return told if len(told) <= most else retry(f"TEXT_TOO_LONG:{name}", f"{name} must have at most {most} characters")


def claim_parts(draft: OpinionDraft, raw: object) -> tuple[Any, ...] | Fault:
    """Evidence id, field and value of one claim, as they came."""
    if not isinstance(raw, dict) or not set(CLAIM_FIELDS) <= set(raw):
        return retry("CLAIM_SHAPE", "a claim needs evidence_id, field and value")
    if len(raw) > len(CLAIM_FIELDS):
        draft.repaired("EXTRA_KEY_DROPPED")
    return tuple(raw[name] for name in CLAIM_FIELDS)


def _objects(value: object) -> list[dict[str, Any]]:
    found = value if isinstance(value, list) else [value]
    return [part for part in found if isinstance(part, dict)]


def _same(one: object, other: object) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _label(name: str) -> str:
    """What a field is called in a code: target and stop are one each, in whatever unit."""
    return name.rsplit("_", 1)[0] if name in {*LEVELS, "target_bps", "stop_bps"} else name
