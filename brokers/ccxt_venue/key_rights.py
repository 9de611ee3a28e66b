"""What an exchange says that a key may do: asked where it can tell, and left open where it cannot."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from brokers.ccxt_venue.answers import cause_of, is_a
from brokers.ccxt_venue.session import Endpoints, KeySource, Session
from brokers.key_rights import KeyRights
from engine.errors import KeyRefused, VenueUnreachable


async def key_rights(account: str, exchange_id: str, key_source: KeySource, *, endpoints: Endpoints, sandbox: bool) -> KeyRights:
    """Ask what the key may do, or at least that it opens the account.

    Raises `ConfigError` for an exchange or a sandbox that does not exist, `VenueUnreachable`, and `KeyRefused` where the exchange
    does not know the key.
    """
    session = Session(exchange_id, key_source, endpoints=endpoints, sandbox=sandbox)
    await session.open()
    try:
        return await _asked(session) or await _opened(session)
    except Exception as error:  # noqa: BLE001 - the table of ccxt's classes is too wide; the text is cleaned of the key
        told = session.clean(cause_of(error))
        refused = is_a(error, "AuthenticationError")
    finally:
        await session.close()
    if refused:
        raise KeyRefused(f"account {account}: {exchange_id} refuses the key ({told})") from None
    raise VenueUnreachable(f"account {account}: {exchange_id} does not answer ({told})") from None


async def _asked(session: Session) -> KeyRights | None:
    """The exchange's own word on the key, None where it gives none."""
    question = QUESTIONS.get(session.exchange_id)
    method = getattr(session.exchange, question[0], None) if question else None
    if question is None or method is None:
        return None
    try:
        answer = await session.call(method)
    except Exception as error:
        if is_a(error, "AuthenticationError") and not is_a(error, "PermissionDenied"):
            raise
        return None
    return question[1](answer) if isinstance(answer, Mapping) else None


async def _opened(session: Session) -> KeyRights:
    await session.call(session.exchange.fetch_balance)
    return KeyRights(None, None, (f"{session.exchange_id} knows the key, but does not say what it may do",))


def _flag(answer: Mapping[str, Any], name: str) -> bool | None:
    value = answer.get(name)
    return value if isinstance(value, bool) else None


def _binance(answer: Mapping[str, Any]) -> KeyRights:
    bound = _flag(answer, "ipRestrict")
    notes = () if bound is not False else ("the key works from every address: bind it to yours at the venue",)
    return KeyRights(_flag(answer, "enableSpotAndMarginTrading"), _flag(answer, "enableWithdrawals"), notes)


def _kraken(answer: Mapping[str, Any]) -> KeyRights | None:
    result = answer.get("result")
    named = result.get("permissions") if isinstance(result, Mapping) else None
    if not isinstance(named, list):
        return None
    words = [str(one) for one in named]
    return KeyRights("modify-trades" in words or "create-modify-orders" in words, any("withdraw" in word for word in words))


def _coinbase(answer: Mapping[str, Any]) -> KeyRights:
    return KeyRights(_flag(answer, "can_trade"), _flag(answer, "can_transfer"))


QUESTIONS: Final[Mapping[str, tuple[str, Callable[[Mapping[str, Any]], KeyRights | None]]]] = {
    "binance": ("sapiGetAccountApiRestrictions", _binance),
    "kraken": ("privatePostGetApiKeyInfo", _kraken),
    "coinbase": ("v3PrivateGetBrokerageKeyPermissions", _coinbase),
}
