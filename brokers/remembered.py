"""What the journal knows of an account's symbols, for its adapter to open it with."""

from collections.abc import Sequence


class Remembered:
    """`held` is traded whatever the configuration names, or nobody would watch it; `listed` was traded before: where the venue
    lists one of those no more, the account begins without it instead of not at all. What is missing then is in `gone`."""

    def __init__(self) -> None:
        self.held: tuple[str, ...] = ()
        self.listed: frozenset[str] = frozenset()
        self.gone: tuple[str, ...] = ()

    def asked(self, symbols: Sequence[str]) -> tuple[str, ...]:
        """The symbols to open the account with."""
        return tuple(dict.fromkeys((*symbols, *self.held)))

    def may_be_gone(self, symbol: str) -> bool:
        return symbol in self.listed or symbol in self.held
