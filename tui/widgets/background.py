"""Work beside the screen: a failure of it never ends the app, and nothing is left un-awaited where it is called off."""

from collections.abc import Callable, Coroutine
from typing import Any, cast

from textual.dom import DOMNode
from textual.worker import Worker


def start(node: DOMNode, work: Callable[[], Coroutine[Any, Any, Any]], *, group: str = "default",
          exclusive: bool = False) -> Worker[Any]:
    """Start `work` for the life of `node`; with `exclusive`, earlier work of the same group is called off."""
    worker: Worker[Any] = node.run_worker(cast("Any", work), group=group, exclusive=exclusive, exit_on_error=False)
    return worker
