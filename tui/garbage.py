"""When Python looks for garbage: seldom while the program loads, and afterwards not among what it loaded.

Next to nothing of what a start makes is garbage, and looking for it took a sixth of the start. What is there once the program
runs stays until its end: looking through all of it stopped every thread, the engine's too, for some 40 ms each time. And at the
end the interpreter would look through everything once more, a fifth of a short command.
"""

import gc

LOADING_THRESHOLD = 400_000  # objects beyond those let go of; a start of the workstation makes 200,000
RUNNING_THRESHOLDS = (700, 10, 10)  # Python's own


def look_seldom() -> None:
    """While the program loads, and for a short command until its end."""
    gc.set_threshold(LOADING_THRESHOLD)


def look_usually() -> None:
    """Once an engine or a screen runs: as usual, but no more among what is there now. Without `look_seldom` it does nothing."""
    if gc.get_threshold()[0] == LOADING_THRESHOLD:
        gc.freeze()
        gc.set_threshold(*RUNNING_THRESHOLDS)


def look_no_more() -> None:
    """At the very end, when everything that lasts is closed."""
    gc.freeze()
