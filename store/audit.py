"""The audit trail: who did what and when, out of the journal, with what a third party needs to prove it.

Every row of the trail carries its whole journal row, so that its hash can be computed again (`store.chain.row_hash`). Beside
the file lies a proof: number and hash of every row of the time asked for, those included that are not part of the trail. So
the rows of the trail cannot be changed, and their neighbours pin their place; against a journal, or any of its backups, it
also shows that nothing was left out.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from engine.analytics.tables import Table, Value
from engine.errors import JournalDamaged
from engine.events import VERSIONS, decode
from engine.instruments import Instrument
from store.chain import ChainedRow, row_hash
from store.read import chained_rows
from store.upcasters import Upcasters

COLUMNS = ("seq", "time", "who", "what", "subject", "detail", "at_ns", "kind", "version", "payload", "prev_hash", "hash")
PROOF_FORMAT = 1
TRAIL = {
    "SessionStarted": "engine started",
    "OrderIntended": "order", "OrderResent": "order sent again", "OrderDenied": "order withdrawn", "OrderAcked": "order accepted",
    "OrderFilled": "fill", "OrderUnanswered": "order without an answer", "CancelRequested": "cancel asked",
    "CancelSettled": "cancel not done", "OrderClosed": "order closed", "OrderSettled": "order settled by hand",
    "OrderMissed": "order not found", "ExternalOrderSeen": "foreign order", "ParentAccepted": "order over time",
    "ParentEnded": "order over time ended", "PlanSet": "exits set", "ExitWanted": "exit", "WantRefused": "refused",
    "ProposalRaised": "decision raised", "ProposalSettled": "decision settled",
    "TradingStateChanged": "trading state", "BrakeSet": "brake set", "BrakeReleased": "brake released",
    "FlattenStarted": "flatten", "FlattenFinished": "flatten ended",
    "LimitChanged": "limit changed", "Armed": "armed", "Disarmed": "disarmed",
    "AccessGranted": "unlocked", "AccessDenied": "unlock refused",
    "StrategySwitched": "strategy switched", "CandidatePromoted": "candidate promoted", "CandidateDemoted": "candidate demoted",
    "RehearsalRecorded": "rehearsal recorded",
    "AlertRuleSet": "alert rule set", "AlertRuleRemoved": "alert rule removed", "AlertRuleSwitched": "alert rule switched",
    "AlertAcknowledged": "alert seen", "RebalanceStarted": "rebalancing", "JobPaused": "job paused or resumed",
    "PositionAdjusted": "position adjusted", "CashAdjusted": "cash adjusted", "AccountTold": "the venue on the account",
    "CloseRefused": "close refused", "DriftCleared": "drift cleared",
}
_ENGINE = "engine"
_SUBJECTS = ("client_order_id", "proposal_id", "portfolio", "account", "strategy", "alert_id", "job_id", "rule_id", "key", "what")
_LEFT_OUT = {"by", "command_id", "at_ns"}


class Trail(NamedTuple):
    """The audit rows of a time, and the proof: what they follow, and number and hash of every row of that time."""

    table: Table
    prev_hash: str
    chain: tuple[tuple[int, str], ...]


def audit_trail(journal: Path, from_ns: int, until_ns: int) -> Trail:
    """The trail of a journal from a time on up to another; raises `JournalDamaged` at a row that is not what was written."""
    rows: list[tuple[Value, ...]] = []
    chain: list[tuple[int, str]] = []
    prev_hash = ""
    instruments: dict[str, Instrument] = {}
    upcasters = Upcasters(VERSIONS)
    for chained in chained_rows(journal):
        if chained.kind == "InstrumentListed":
            listed: Any = decode(chained.kind, upcasters.row(chained.row).payload)
            instruments[listed.instrument.instrument_id] = listed.instrument
        if not from_ns <= chained.at_ns < until_ns:
            continue
        prev_hash = prev_hash or chained.prev_hash.hex()
        chain.append((chained.seq, chained.hash.hex()))
        if chained.kind in TRAIL:
            current = upcasters.row(chained.row)
            rows.append(_row(chained, decode(current.kind, current.payload), instruments))
    return Trail(Table(COLUMNS, rows), prev_hash, tuple(chain))


def proof_of(trail: Trail, file_sha256: str) -> dict[str, object]:
    """The proof as JSON: the file's checksum, the hash that the first row follows, and every row's number and hash."""
    return {"format": PROOF_FORMAT, "file_sha256": file_sha256, "rows": len(trail.table.rows), "prev_hash": trail.prev_hash,
            "chain": [[seq, digest] for seq, digest in trail.chain]}


def problems(records: list[Mapping[str, str]], proof: Mapping[str, Any]) -> Iterator[str]:
    """What does not hold in a trail that was read back: rows as text by column, and its proof."""
    chain = [(int(seq), str(digest)) for seq, digest in proof["chain"]]
    before = dict(zip((seq for seq, _ in chain), [str(proof["prev_hash"]), *(digest for _, digest in chain)], strict=False))
    known = dict(chain)
    if int(proof["rows"]) != len(records):
        yield f"the proof is of {proof['rows']} rows, the file has {len(records)}"
    for record in records:
        seq = int(record["seq"])
        digest = row_hash(bytes.fromhex(record["prev_hash"]), seq, int(record["at_ns"]), record["kind"].encode(),
                          int(record["version"]), record["payload"].encode(errors="surrogateescape"))
        if digest.hex() != record["hash"]:
            yield f"row {seq} does not match its hash"
        elif known.get(seq) != record["hash"]:
            yield f"row {seq} is not the one of the proof"
        elif before[seq] != record["prev_hash"]:
            yield f"row {seq} does not follow the row before it"


def differences(journal: Path, proof: Mapping[str, Any], present: set[int]) -> Iterator[str]:
    """Where a trail's proof is not the journal's own, and which rows of the trail were left out; stops at the tenth."""
    chain = {int(seq): str(digest) for seq, digest in proof["chain"]}
    if not chain:
        return
    told = 0
    try:
        for row in chained_rows(journal, min(chain), max(chain)):
            if told >= 10:
                return
            if chain.pop(row.seq, None) != row.hash.hex():
                told += 1
                yield f"row {row.seq} is another one in {journal.name}"
            elif row.kind in TRAIL and row.seq not in present:
                told += 1
                yield f"row {row.seq} ({TRAIL[row.kind]}) is left out"
    except JournalDamaged as error:
        yield str(error)
        return
    for seq in list(chain)[:10 - told]:
        yield f"row {seq} is not in {journal.name}"


def _row(chained: ChainedRow, event: Any, instruments: Mapping[str, Instrument]) -> tuple[Value, ...]:
    time = datetime.fromtimestamp(chained.at_ns / 1_000_000_000, UTC).isoformat(timespec="milliseconds")
    return (chained.seq, time, _who(event), TRAIL[chained.kind], _subject(event), _detail(event, instruments), chained.at_ns,
            chained.kind, chained.version, chained.payload.decode(errors="surrogateescape"), chained.prev_hash.hex(),
            chained.hash.hex())


def _who(event: Any) -> str:
    """Who wanted it: a person or surface by name, else the strategy, else the engine itself."""
    if by := getattr(event, "by", ""):
        return str(by)
    if (intent := getattr(event, "intent", None)) is not None:
        return str(intent.approved_by or intent.strategy)
    if (proposal := getattr(event, "proposal", None)) is not None:
        return str(proposal.want.origin)
    return "venue" if type(event).__name__ in {"OrderAcked", "OrderFilled", "OrderClosed", "ExternalOrderSeen"} else _ENGINE


def _subject(event: Any) -> str:
    sources = (event, *(getattr(event, name, None) for name in ("intent", "proposal", "fill", "rule")))
    return next((str(found) for name in _SUBJECTS for source in sources if (found := getattr(source, name, ""))), "")


def _detail(event: Any, instruments: Mapping[str, Instrument]) -> str:
    told = _TELLERS.get(type(event).__name__)
    if told is not None:
        return told(event, instruments)
    plain = {name: {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
             for name, value in msgspec.to_builtins(event).items() if name not in _LEFT_OUT}
    return ", ".join(f"{name} {value}" for name, value in plain.items() if isinstance(value, str | int | float) and value != "")


def _intent(event: Any, instruments: Mapping[str, Instrument]) -> str:
    intent = event.intent
    instrument = instruments.get(intent.instrument_id)
    quantity = f"{instrument.quantity(intent.order_lots):f}" if instrument else f"{intent.order_lots} lots of"
    asked = (("limit", intent.limit_ticks), ("trigger", intent.trigger_ticks))
    levels = [f"{word} {instrument.price(ticks):f}" for word, ticks in asked if ticks and instrument]
    return " ".join([intent.portfolio, intent.purpose.value, intent.side.value, quantity, intent.instrument_id, intent.kind.value,
                     *levels, intent.reason]).strip()


def _fill(event: Any, instruments: Mapping[str, Instrument]) -> str:
    fill = event.fill
    instrument = instruments.get(fill.instrument_id)
    if instrument is None:
        return f"{event.portfolio} {fill.side.value} {fill.last_lots} lots of {fill.instrument_id}"
    return (f"{event.portfolio} {fill.side.value} {instrument.quantity(fill.last_lots):f} {fill.instrument_id} at "
            f"{instrument.price(fill.last_ticks):f}, trade {fill.trade_id}")


def _proposal(event: Any, _: Mapping[str, Instrument]) -> str:
    card = event.proposal.card
    return f"{card.portfolio} {card.side} {card.quantity} {card.symbol}, digest {event.proposal.digest}"


_TELLERS: Mapping[str, Callable[[Any, Mapping[str, Instrument]], str]] = {
    "OrderIntended": _intent, "ExternalOrderSeen": _intent, "OrderFilled": _fill, "ProposalRaised": _proposal,
    "SessionStarted": lambda event, _: f"version {event.version}, engine {event.engine_id}",
}
