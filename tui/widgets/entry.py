"""A one-line input without frame and without a blinking cursor: calm, and the same picture every time."""

from textual.widgets import Input


class Entry(Input):
    """An input of one line."""

    def __init__(self, value: str = "", *, placeholder: str = "", suggestions: tuple[str, ...] = (),
                 select_on_focus: bool = True, id: str | None = None) -> None:
        suggester = None
        if suggestions:
            from textual.suggester import SuggestFromList

            suggester = SuggestFromList(suggestions, case_sensitive=False)
        super().__init__(value, placeholder=placeholder, suggester=suggester, select_on_focus=select_on_focus, id=id,
                         compact=True)
        self.cursor_blink = False
