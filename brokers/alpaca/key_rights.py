"""What Alpaca says that a key may do."""

import asyncio

from brokers.alpaca.answers import Fault, Outcome
from brokers.alpaca.endpoints import AlpacaEndpoints, KeySource
from brokers.alpaca.pace import RequestPace
from brokers.alpaca.rest import RestCalls
from brokers.alpaca.wire import WireAccount
from brokers.key_rights import KeyRights
from engine.errors import KeyRefused, VenueUnreachable


async def key_rights(account: str, key_source: KeySource, endpoints: AlpacaEndpoints, *, paper: bool) -> KeyRights:
    """Ask for the account that the key opens. Raises `VenueUnreachable`, or `KeyRefused`."""

    def new_client() -> object:
        from brokers.alpaca.sdk import trading_client

        return trading_client(key_source(), endpoints, paper=paper)

    rest = RestCalls(await asyncio.to_thread(new_client), RequestPace())
    try:
        found = await rest.get(WireAccount, "/account")
    finally:
        rest.close()
    if isinstance(found, Fault):
        if found.outcome is Outcome.REFUSED:
            kind = "paper" if paper else "live"
            raise KeyRefused(f"account {account}: Alpaca refuses the key ({found.cause}); it needs one of its {kind} venue")
        raise VenueUnreachable(f"account {account}: Alpaca at {endpoints.trading_url} does not answer: {found.cause}")
    blocked = found.trading_blocked or found.account_blocked or found.status not in ("", "ACTIVE")
    notes = (f"the account is {found.status or 'open'}, in {found.currency}",)
    return KeyRights(may_trade=not blocked, may_withdraw=None, notes=notes)
