"""What a venue says that a key may do."""

from typing import NamedTuple


class KeyRights(NamedTuple):
    """None where the venue does not say. `notes` are the venue's remarks, in words; no part of the key is among them."""

    may_trade: bool | None
    may_withdraw: bool | None
    notes: tuple[str, ...] = ()
