"""What is recorded of an account beside its orders and positions: whose it is, and what its venue does not let it do."""

from engine.event_base import Event


class AccountTold(Event, frozen=True, omit_defaults=True):
    """The venue's word on the account as a whole: `owner` is its own name of it, `barred` why it may open nothing (empty: it
    may), each as the last report said it."""

    account: str
    owner: str = ""
    barred: str = ""


class CloseRefused(Event, frozen=True, omit_defaults=True):
    """The venue did not let go of what was opened today; `cause` are its words."""

    account: str
    instrument_id: str
    cause: str
