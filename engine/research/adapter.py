"""From a raw answer to an opinion, or to the code that says why there is none.

Repairs lose nothing and each has a code; what can mean two things is asked again, once, by the caller; what cannot be is rejected
and not asked again, which would teach the model to fit the check. `STEPS` is the whole of it: every check is one function there,
and a test that takes each one out shows that none is idle.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from engine.research.answer_fields import (
    AnswerContext,
    Listed,
    OpinionDraft,
    claim_parts,
    list_of,
    no_control_keys,
    number_of,
    text_of,
    under_own_names,
    without_extra_keys,
    without_sizing_keys,
)
from engine.research.answer_json import OBJECT_STEPS, Draft, Fault, Step, reject, retry, run_steps, shown
from engine.research.event_words import EVENT_KINDS
from engine.research.models import Answered
from engine.research.opinions import Claim, Opinion, Reading, Stance, Verdict
from engine.research.schema import MOST_AGAINST, MOST_CLAIMS, MOST_EVIDENCE, MOST_HORIZON_DAYS, MOST_THESIS, SCHEMA_VERSION

__all__ = ["STEPS", "AnswerContext", "Listed", "read_answer", "read_object"]

BPS = 10_000
CLAIM_TOLERANCE = 0.005
LEAST_STOP_ATR = 0.25
MOST_LEVEL_ATR = 6.0
_WORDS = {"long": Stance.LONG, "buy": Stance.LONG, "short": Stance.SHORT, "flat": Stance.FLAT, "hold": Stance.FLAT,
          "neutral": Stance.FLAT, "exit": Stance.EXIT, "close": Stance.EXIT}
_DAYS = ("d", "day", "days", "trading day", "trading days", "trading-day", "trading-days")
_BPS = ("bp", "bps", "basis points")


def read_answer(answer: Answered, context: AnswerContext, steps: Sequence[Step[OpinionDraft]] | None = None) -> Reading:
    """An opinion that may be counted, or why not. Never raises for anything that a model may answer.

    `context.symbols` must hold `context.asked_symbol`. `steps` is for the test that takes one out.
    """
    draft = OpinionDraft(answer, context)
    fault = run_steps(draft, STEPS if steps is None else steps)
    repairs = tuple(draft.repairs)
    if fault is not None:
        return Reading(fault.verdict, fault.code, repairs, None, fault.message)
    return Reading(Verdict.ACCEPT_REPAIRED if repairs else Verdict.ACCEPT, "", repairs, _opinion(draft))


def read_object(answer: Answered) -> tuple[Mapping[str, Any] | None, Reading]:
    """The one JSON object of an answer that follows another schema, by the same rules; None with the reading that says why."""
    draft = Draft(answer)
    fault = run_steps(draft, OBJECT_STEPS)
    repairs = tuple(draft.repairs)
    if fault is not None:
        return None, Reading(fault.verdict, fault.code, repairs, None, fault.message)
    return draft.value, Reading(Verdict.ACCEPT_REPAIRED if repairs else Verdict.ACCEPT, "", repairs)


def version_is_known(draft: OpinionDraft) -> Fault | None:
    """Another version may mean other things by the same names."""
    version = draft.fields.get("schema_version")
    number = number_of(draft, version, "schema_version")
    if isinstance(number, Fault) or number != SCHEMA_VERSION:
        return retry("SCHEMA_VERSION", f"schema_version must be {SCHEMA_VERSION}")
    return None


def symbol_is_named(draft: OpinionDraft) -> Fault | None:
    """A symbol, as a text."""
    raw = draft.fields.get("symbol")
    if not isinstance(raw, str) or not raw.strip():
        return retry("MISSING_FIELD:symbol", "symbol is missing")
    draft.symbol = raw
    return None


def symbol_as_listed(draft: OpinionDraft) -> Fault | None:
    """A cashtag or small letters are the listed symbol written otherwise; look-alike letters are not."""
    bare = draft.symbol.strip().removeprefix("$").upper()
    if draft.symbol not in draft.context.symbols and bare.isascii() and bare in draft.context.symbols:
        draft.symbol = bare
        draft.repaired("SYMBOL_NORMALISED")
    return None


def symbol_is_listed(draft: OpinionDraft) -> Fault | None:
    """Nothing that is not listed is ever spoken of."""
    if draft.symbol not in draft.context.symbols:
        return reject("SYMBOL_NOT_ALLOWED", "symbol is not listed")
    return None


def symbol_was_asked(draft: OpinionDraft) -> Fault | None:
    """An opinion on another symbol than the asked one answers another question."""
    if draft.symbol != draft.context.asked_symbol:
        return reject("SYMBOL_MISMATCH", "another symbol was asked about")
    return None


def stance_by_position(draft: OpinionDraft) -> Fault | None:
    """Sell what is held long, or buy back what is held short: an exit, never a flip. With nothing held, sell is not clear."""
    word = _word(draft.fields.get("stance"))
    if word == "sell" and draft.held <= 0:
        return retry("AMBIGUOUS_STANCE", "say short to open, exit to close")
    if (word == "sell" and draft.held > 0) or (word == "buy" and draft.held < 0):
        draft.fields["stance"] = Stance.EXIT.value
        draft.repaired("SELL_TO_EXIT" if word == "sell" else "BUY_TO_EXIT")
    return None


def stance_is_known(draft: OpinionDraft) -> Fault | None:
    """One of the four, or an ordinary word for one."""
    raw = draft.fields.get("stance")
    if raw is None:
        return retry("MISSING_FIELD:stance", "stance is missing")
    stance = _WORDS.get(_word(raw))
    if stance is None:
        return retry("UNKNOWN_ENUM:stance", f"stance must be long, short, flat or exit, got {shown(raw)}")
    if raw != stance.value:
        draft.repaired("ENUM_NORMALISED")
    draft.stance = stance
    return None


def p_up_is_given(draft: OpinionDraft) -> Fault | None:
    """The scored series: whatever the stance, it has to be there."""
    return _read_probability(draft, "p_up")


def p_win_is_given(draft: OpinionDraft) -> Fault | None:
    """Of an opening stance; it means nothing for the others and is not read."""
    return _read_probability(draft, "p_win") if draft.is_opening else None


def probabilities_are_inside(draft: OpinionDraft) -> Fault | None:
    """Above 0 and below 1. A number above 10 can only be a percentage; 1 may be all or one percent."""
    for name, p in tuple(draft.numbers.items()):
        if 10 < p < 100:
            draft.numbers[name] = p = round(p / 100, 12)
            draft.repaired("PERCENT_NUMBER")
        if not 0 < p < 1:
            return retry(f"P_OUT_OF_RANGE:{name}", f"{name} must be above 0 and below 1, got {p:g}")
    return None


def horizon_is_a_number(draft: OpinionDraft) -> Fault | None:
    """A whole number of trading days, with or without the word."""
    number = _required(draft, "horizon_days", "horizon_days", units=_DAYS)
    if isinstance(number, Fault):
        return number
    if not number.is_integer():
        return retry("NON_INTEGER:horizon_days", "horizon_days must be a whole number")
    draft.numbers["horizon_days"] = number
    return None


def horizon_is_in_range(draft: OpinionDraft) -> Fault | None:
    """What cannot be resolved inside the review window is no forecast of ours."""
    if not 1 <= draft.numbers["horizon_days"] <= MOST_HORIZON_DAYS:
        return retry("HORIZON_RANGE", f"horizon_days must be 1 to {MOST_HORIZON_DAYS}")
    return None


def levels_from_prices(draft: OpinionDraft) -> Fault | None:
    """A price level is a distance from our mark, on the side where it belongs; on the other one it is of another time."""
    for label, side in _sides(draft):
        raw = draft.fields.get(f"{label}_price")
        if raw is None:
            continue
        draft.repaired("PRICE_TO_BPS")
        price = number_of(draft, raw, label)
        if isinstance(price, Fault):
            return price
        distance = (price - draft.listed.mark) / draft.listed.mark * BPS * side
        if distance <= 0:
            return reject(f"BARRIER_SIDE:{label}", f"{label} lies on the wrong side of the mark")
        if fault := _set_level(draft, label, distance):
            return fault
    return None


def levels_from_percent(draft: OpinionDraft) -> Fault | None:
    """A percentage is a hundred basis points."""
    for label, _ in _sides(draft):
        raw = draft.fields.get(f"{label}_pct")
        if raw is None:
            continue
        draft.repaired("PCT_TO_BPS")
        percentage = number_of(draft, raw, label, percent=1.0)
        if isinstance(percentage, Fault):
            return percentage
        if fault := _set_level(draft, label, percentage * 100):
            return fault
    return None


def levels_are_numbers(draft: OpinionDraft) -> Fault | None:
    """Whole basis points, both of them, for an opening stance."""
    for label, _ in _sides(draft):
        number = _required(draft, f"{label}_bps", label, percent=100.0, units=_BPS)
        if isinstance(number, Fault):
            return number
        if not number.is_integer():
            return retry(f"NON_INTEGER:{label}", f"{label}_bps must be a whole number")
        draft.numbers[label] = number
    return None


def levels_are_positive(draft: OpinionDraft) -> Fault | None:
    """Distances have no sign."""
    for label, _ in _sides(draft):
        if draft.numbers[label] <= 0:
            return retry(f"BPS_SIGN:{label}", f"{label}_bps must be above 0")
    return None


def texts_are_there(draft: OpinionDraft) -> Fault | None:
    """One line for, one against, which a person can read in seconds."""
    for name, most in (("thesis", MOST_THESIS), ("against", MOST_AGAINST)):
        text = text_of(draft, name, most)
        if isinstance(text, Fault):
            return text
        draft.texts[name] = text
    return None


def evidence_is_cited(draft: OpinionDraft) -> Fault | None:
    """Every view cites the snapshot."""
    ids = list_of(draft, "evidence")
    if not ids:
        return retry("NO_EVIDENCE", "cite at least one evidence id")
    if not all(isinstance(one, str) for one in ids):
        return retry("NON_TEXT:evidence", "evidence ids are texts")
    plain = tuple(dict.fromkeys(one.strip().strip("[]").upper() for one in ids))
    if plain != tuple(ids):
        draft.repaired("EVIDENCE_NORMALISED")
    draft.evidence = plain
    return None


def evidence_is_bounded(draft: OpinionDraft) -> Fault | None:
    """Eight at most: whoever cites everything cites nothing."""
    if len(draft.evidence) > MOST_EVIDENCE:
        return retry("EVIDENCE_RANGE", f"cite at most {MOST_EVIDENCE} evidence ids")
    return None


def evidence_exists(draft: OpinionDraft) -> Fault | None:
    """An id that the snapshot does not hold is made up."""
    for one in draft.evidence:
        if one not in draft.context.facts:
            return reject("UNKNOWN_EVIDENCE", f"{shown(one)} is not in the snapshot")
    return None


def claims_have_their_form(draft: OpinionDraft) -> Fault | None:
    """Each an id, the name of a fact and a number; six at most."""
    claims = list_of(draft, "claims")
    if len(claims) > MOST_CLAIMS:
        return retry("CLAIMS_RANGE", f"at most {MOST_CLAIMS} claims")
    for raw in claims:
        parts = claim_parts(draft, raw)
        if isinstance(parts, Fault):
            return parts
        evidence_id, field, value = parts
        number = number_of(draft, value, "claim")
        if isinstance(number, Fault):
            return number
        if not isinstance(evidence_id, str) or not isinstance(field, str):
            return retry("CLAIM_SHAPE", "a claim needs evidence_id, field and value")
        draft.claims = (*draft.claims, Claim(evidence_id.strip(), field.strip(), number))
    return None


def claims_are_facts(draft: OpinionDraft) -> Fault | None:
    """What is cited has to be there: the evidence, and the number of that name."""
    for claim in draft.claims:
        if isinstance(draft.context.facts.get(claim.evidence_id, {}).get(claim.field), str | None):
            return reject("CLAIM_UNKNOWN", f"{shown(claim.evidence_id)} holds no number {shown(claim.field)}")
    return None


def claims_are_true(draft: OpinionDraft) -> Fault | None:
    """And as it is there, but for rounding: within half a percent."""
    for claim in draft.claims:
        fact = draft.context.facts.get(claim.evidence_id, {}).get(claim.field)
        if isinstance(fact, float | int) and abs(claim.value - fact) > CLAIM_TOLERANCE * abs(fact) + 1e-12:
            return reject("CLAIM_MISMATCH", f"{shown(claim.field)} of {shown(claim.evidence_id)} is another number")
    return None


def tags_are_known(draft: OpinionDraft) -> Fault | None:
    """Kinds of event from the closed list; none is an answer too."""
    tags = list_of(draft, "event_tags")
    for tag in tags:
        if tag not in EVENT_KINDS:
            return retry("UNKNOWN_ENUM:event_tags", f"{shown(tag)} is not a kind of event")
    draft.event_tags = tuple(dict.fromkeys(tags))
    return None


def exit_has_a_position(draft: OpinionDraft) -> Fault | None:
    """Whoever leaves what is not held believes in another state than ours."""
    if draft.stance is Stance.EXIT and draft.held == 0:
        return reject("NO_POSITION", "there is no position to leave")
    return None


def short_is_possible(draft: OpinionDraft) -> Fault | None:
    """Not everything can be sold short, nor everywhere."""
    if draft.stance is Stance.SHORT and not draft.listed.shortable:
        return reject("NOT_SHORTABLE", "the symbol cannot be sold short")
    return None


def direction_is_consistent(draft: OpinionDraft) -> Fault | None:
    """Long with a likely fall, or short with a likely rise: one of the two is a slip."""
    p_up = draft.numbers["p_up"]
    if (draft.stance is Stance.LONG and p_up < 0.5) or (draft.stance is Stance.SHORT and p_up > 0.5):
        return retry("INCONSISTENT", f"stance {draft.stance.value} contradicts p_up {p_up:g}")
    return None


def range_is_known(draft: OpinionDraft) -> Fault | None:
    """Without an average true range no level can be judged."""
    if draft.is_opening and not (draft.listed.atr or 0) > 0:
        return reject("ATR_UNKNOWN", "there are too few bars to judge a level")
    return None


def stop_is_outside_noise(draft: OpinionDraft) -> Fault | None:
    """A stop inside the noise inflates every size that is made from risk."""
    if draft.is_opening and draft.numbers["stop"] < LEAST_STOP_ATR * _atr_bps(draft) - 1e-6:
        return reject("STOP_TOO_TIGHT", f"the stop is closer than {LEAST_STOP_ATR} average true ranges")
    return None


def levels_are_reachable(draft: OpinionDraft) -> Fault | None:
    """No further than six average true ranges times the root of the horizon, and no price of nothing."""
    most = MOST_LEVEL_ATR * _atr_bps(draft) * math.sqrt(draft.numbers["horizon_days"])
    for label, side in _sides(draft):
        if draft.numbers[label] > most:
            return reject(f"{label.upper()}_TOO_FAR", f"the {label} is further than the horizon carries")
        if side < 0 and draft.numbers[label] >= BPS:
            return reject(f"BELOW_ZERO:{label}", f"the {label} lies at or below a price of 0")
    return None


STEPS: tuple[Step[OpinionDraft], ...] = (
    *OBJECT_STEPS,
    no_control_keys, without_sizing_keys, under_own_names, without_extra_keys, version_is_known,
    symbol_is_named, symbol_as_listed, symbol_is_listed, symbol_was_asked, stance_by_position, stance_is_known,
    p_up_is_given, p_win_is_given, probabilities_are_inside, horizon_is_a_number, horizon_is_in_range,
    levels_from_prices, levels_from_percent, levels_are_numbers, levels_are_positive,
    texts_are_there, evidence_is_cited, evidence_is_bounded, evidence_exists,
    claims_have_their_form, claims_are_facts, claims_are_true, tags_are_known,
    exit_has_a_position, short_is_possible, direction_is_consistent, range_is_known, stop_is_outside_noise, levels_are_reachable,
)


def _opinion(draft: OpinionDraft) -> Opinion:
    numbers = draft.numbers
    return Opinion(
        symbol=draft.symbol, stance=draft.stance, p_up=numbers["p_up"], p_win=numbers.get("p_win"),
        horizon_days=int(numbers["horizon_days"]), target_bps=int(numbers.get("target", 0)), stop_bps=int(numbers.get("stop", 0)),
        thesis=draft.texts["thesis"], against=draft.texts["against"], evidence=draft.evidence, claims=draft.claims,
        event_tags=draft.event_tags)


def _word(raw: object) -> str:
    return raw.strip().lower() if isinstance(raw, str) else ""


def _required(draft: OpinionDraft, name: str, label: str, *, percent: float | None = None,
              units: Sequence[str] = ()) -> float | Fault:
    raw = draft.fields.get(name)
    if raw is None:
        return retry(f"MISSING_FIELD:{label}", f"{name} is missing")
    return number_of(draft, raw, label, percent=percent, units=units)


def _read_probability(draft: OpinionDraft, name: str) -> Fault | None:
    number = _required(draft, name, name, percent=0.01)
    if isinstance(number, Fault):
        return number
    draft.numbers[name] = number
    return None


def _sides(draft: OpinionDraft) -> tuple[tuple[str, int], ...]:
    """Target and stop, with the side of the mark on which each lies; none of them where no position is wanted."""
    if not draft.is_opening:
        return ()
    upwards = 1 if draft.stance is Stance.LONG else -1
    return (("target", upwards), ("stop", -upwards))


def _set_level(draft: OpinionDraft, label: str, distance_bps: float) -> Fault | None:
    """Take a level from another unit; beside one in basis points it has to be the same."""
    told = draft.fields.get(f"{label}_bps")
    if told is not None and (isinstance(told, bool) or not isinstance(told, int | float) or abs(told - distance_bps) > 1):
        return retry(f"ALIAS_CONFLICT:{label}", f"two values for {label}")
    draft.fields[f"{label}_bps"] = round(distance_bps) if told is None else told
    return None


def _atr_bps(draft: OpinionDraft) -> float:
    return (draft.listed.atr or 0.0) / draft.listed.mark * BPS
