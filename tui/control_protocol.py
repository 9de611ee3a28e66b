"""The control socket's messages: JSON-RPC 2.0, one object a line, over a Unix socket.

Methods: hello, ping, snapshot, subscribe, send, what_if, bars, performance, research, unlock, lock, approve_by_code,
reload_access, stop. A client may say in its hello that it only wants to look on: nothing it sends is done from then on. After
`subscribe` the server sends notifications named "snapshot", at most ten a second and only the newest.
"""

import math
from typing import Literal

import msgspec

from engine import errors
from engine.inputs import Command, PlaceOrder
from engine.service import (
    AccessView,
    Mode,
    OrderCard,
    PerformanceQuery,
    ProposalView,
    Receipt,
    Refusal,
    ResearchQuery,
    Snapshot,
)

PROTOCOL = 1
MAX_REQUEST_BYTES = 256 << 10
MAX_RESPONSE_BYTES = 64 << 20
HUGE = 1e9

PARSE_ERROR, INVALID_REQUEST, METHOD_UNKNOWN, INVALID_PARAMS, INTERNAL_ERROR, ENGINE_ERROR = (
    -32700, -32600, -32601, -32602, -32603, -32000)


class Hello(msgspec.Struct, frozen=True):
    """Who answers: both sides compare `protocol` before anything else."""

    protocol: int
    version: str
    engine_id: str
    mode: Mode
    pid: int
    access: AccessView = AccessView()


class Request(msgspec.Struct, frozen=True, omit_defaults=True):
    """One call; without an `id` it is a notification and gets no answer."""

    method: str
    id: int | str | None = None
    params: msgspec.Raw = msgspec.Raw(b"{}")
    jsonrpc: Literal["2.0"] = "2.0"


class RpcError(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a call failed; `kind` is the name of the exception in engine.errors, where it was one."""

    code: int
    message: str
    kind: str = ""


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer to a call, or a notification where `method` is set."""

    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: RpcError | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw()


class HelloParams(msgspec.Struct, frozen=True):
    protocol: int
    version: str
    read_only: bool = False


class UnlockParams(msgspec.Struct, frozen=True):
    """A PIN or an authenticator's code; kept nowhere."""

    code: str


class UnlockAnswer(msgspec.Struct, frozen=True):
    """Whether the code was right, and what may be done now."""

    receipt: Receipt
    access: AccessView


class ApprovalParams(msgspec.Struct, frozen=True):
    """A notice's code and an authenticator's, for one pending trade."""

    proposal_id: str
    code: str
    totp: str


class BarsParams(msgspec.Struct, frozen=True):
    instrument_id: str
    limit: int


class WhatIfAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Exactly one of the two."""

    card: OrderCard | None = None
    refusal: Refusal | None = None


encoder = msgspec.json.Encoder()
request_decoder = msgspec.json.Decoder(Request)
command_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
order_decoder = msgspec.json.Decoder(PlaceOrder)
bars_params_decoder = msgspec.json.Decoder(BarsParams)
performance_query_decoder = msgspec.json.Decoder(PerformanceQuery)
research_query_decoder = msgspec.json.Decoder(ResearchQuery)
hello_params_decoder = msgspec.json.Decoder(HelloParams)
unlock_decoder = msgspec.json.Decoder(UnlockParams)
approval_decoder = msgspec.json.Decoder(ApprovalParams)


def finite(snapshot: Snapshot) -> Snapshot:
    """The snapshot as JSON can carry it: a share of an equity that is gone is a huge number instead of infinity."""
    accounts = tuple(map(_finite, snapshot.accounts))
    positions = tuple(map(_finite, snapshot.positions))
    proposals = tuple(_finite_card(proposal) for proposal in snapshot.proposals)
    if accounts == snapshot.accounts and positions == snapshot.positions and proposals == snapshot.proposals:
        return snapshot
    return msgspec.structs.replace(snapshot, accounts=accounts, positions=positions, proposals=proposals)


def _finite_card(proposal: ProposalView) -> ProposalView:
    card = finite_card(proposal.card)
    return proposal if card is proposal.card else msgspec.structs.replace(proposal, card=card)


def finite_card(card: OrderCard) -> OrderCard:
    """As `finite`, of one order's card."""
    return _finite(card)


def _finite[S: msgspec.Struct](record: S) -> S:
    endless = {name: math.copysign(HUGE, value) for name in record.__struct_fields__
               if type(value := getattr(record, name)) is float and not math.isfinite(value)}
    return msgspec.structs.replace(record, **endless) if endless else record


def request_line(request_id: int, method: str, params: object) -> bytes:
    """A call as one line."""
    body = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
    return encoder.encode(body) + b"\n"


def result_line(request_id: int | str | None, result: object) -> bytes:
    """A good answer as one line."""
    return encoder.encode({"jsonrpc": "2.0", "id": request_id, "result": result}) + b"\n"


def error_line(request_id: int | str | None, error: RpcError) -> bytes:
    """A failed call's answer as one line."""
    return encoder.encode({"jsonrpc": "2.0", "id": request_id, "error": error}) + b"\n"


def snapshot_line(snapshot: Snapshot) -> bytes:
    """A snapshot pushed to a subscriber as one line."""
    return encoder.encode({"jsonrpc": "2.0", "method": "snapshot", "params": finite(snapshot)}) + b"\n"


def exception_of(error: RpcError) -> errors.QuarterdeckError:
    """The exception that an error answer stands for, of the class the engine raised where that is known."""
    found = getattr(errors, error.kind, errors.QuarterdeckError) if error.kind else errors.QuarterdeckError
    known = isinstance(found, type) and issubclass(found, errors.QuarterdeckError)
    return found(error.message) if known else errors.QuarterdeckError(error.message)
