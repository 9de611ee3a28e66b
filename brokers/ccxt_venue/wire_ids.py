"""Our client order ids as a venue takes them, and back.

Most venues take any short text. Kraken takes free text up to 18 characters or 32 hexadecimal digits, and our ids may be
longer; those travel as one number in 128 bits. Both ways are functions of the id alone, so that an order is found again
by its id after a crash, without anything written down.
"""

import re
from typing import NamedTuple

ALPHABET = "-0123456789abcdefghijklmnopqrstuvwxyz"
HEX_DIGITS = 32
_HEX = re.compile(r"[0-9a-f]{32}")


class WireIds(NamedTuple):
    """What a venue takes: text of `free_characters` at most, and where `hex_beyond` is set 32 hex digits for longer ids."""

    free_characters: int = 36
    hex_beyond: bool = False

    def outward(self, client_order_id: str) -> str | None:
        """The id for the venue, or None where the venue could not take it."""
        if not client_order_id or not client_order_id.isascii():
            return None
        if len(client_order_id) <= self.free_characters:
            return client_order_id
        return _packed(client_order_id) if self.hex_beyond else None

    def inward(self, wire_id: str) -> str:
        """Our id behind a venue's text; what we did not make stays as it is."""
        if self.hex_beyond and _HEX.fullmatch(wire_id):
            return _unpacked(wire_id, self.free_characters) or wire_id
        return wire_id


def _packed(text: str) -> str | None:
    """The text as a number whose digits are 1 to 37, so that its length is in it; None beyond 128 bits."""
    number = 0
    for character in text:
        digit = ALPHABET.find(character)
        if digit < 0:
            return None
        number = number * len(ALPHABET) + digit + 1
    return f"{number:0{HEX_DIGITS}x}" if number < 1 << 4 * HEX_DIGITS else None


def _unpacked(wire_id: str, free_characters: int) -> str:
    """The text behind a packed number; empty where it is one that we would not have packed."""
    number, characters = int(wire_id, 16), []
    while number:
        number, digit = divmod(number - 1, len(ALPHABET))
        characters.append(ALPHABET[digit])
    text = "".join(reversed(characters))
    return text if len(text) > free_characters else ""
