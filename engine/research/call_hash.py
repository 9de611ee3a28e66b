"""The name of a request: what is asked, of which model, in which role; never when, nor how long an answer may take."""

from engine.research.canonical import canonical, digest
from engine.research.models import Ask


def request_body(ask: Ask) -> bytes:
    """A request as canonical JSON, as it is kept and hashed."""
    return canonical({
        "role": ask.role, "model": ask.model, "system": ask.system, "user": ask.user, "schema": ask.schema,
        "max_tokens": ask.max_tokens, "effort": ask.effort,
    })


def call_hash(ask: Ask) -> str:
    """The sha256 of `request_body`, in hex."""
    return digest(request_body(ask))
