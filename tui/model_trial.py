"""One short question to a line of models, to see that address and key are right; it costs a small part of a cent."""

import asyncio

from engine.research.models import Answered, Ask, Unavailable
from engine.research.schema import closed_object
from engine.research.settings import ModelLine
from tui.compose_research import model_of

TRIAL_SECONDS = 30.0
TRIAL_TOKENS = 300


def asked_once(line: ModelLine, secret: str) -> Answered | Unavailable:
    """What comes back."""
    schema = closed_object({"ready": {"type": "boolean"}})
    ask = Ask("trial", line.model, ("Answer with the one JSON object of the schema.",), "Are you ready?", schema, TRIAL_TOKENS,
              TRIAL_SECONDS, line.effort)

    async def put() -> Answered | Unavailable:
        model = model_of(line, secret)
        try:
            return await model.ask(ask)
        finally:
            await model.close()

    return asyncio.run(put())
