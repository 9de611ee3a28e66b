"""The JSON schema of an opinion, as a model is given it.

The Messages API keeps no bounds, lengths or patterns, knows no optional field and closes every object: so every field is
required, null stands for none, and the bounds stand in the descriptions. `engine.research.adapter` checks them again.
"""

from typing import Any

from engine.research.event_words import EVENT_KINDS
from engine.research.opinions import Stance

SCHEMA_VERSION = 1
MOST_HORIZON_DAYS = 20
MOST_THESIS = 400
MOST_AGAINST = 300
MOST_EVIDENCE = 8
MOST_CLAIMS = 6
FIELDS = ("schema_version", "symbol", "stance", "p_up", "p_win", "horizon_days", "target_bps", "stop_bps", "thesis", "against",
          "evidence", "claims", "event_tags")
CLAIM_FIELDS = ("evidence_id", "field", "value")


def closed_object(properties: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """An object with exactly these fields, all of them required."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def opinion_schema() -> dict[str, Any]:
    """The schema of an opinion, version 1."""
    return closed_object({
        "schema_version": {"type": "integer", "enum": [SCHEMA_VERSION]},
        "symbol": _text("the symbol that was asked about, as it is written there"),
        "stance": {"type": "string", "enum": [stance.value for stance in Stance],
                   "description": "exit only where the snapshot shows a position"},
        "p_up": _number("probability that the close after horizon_days is above the snapshot's mark; above 0 and below 1"),
        "p_win": _nullable("number", "probability of the target before the stop; above 0 and below 1; null when flat or exit"),
        "horizon_days": {"type": "integer", "description": f"trading days, 1 to {MOST_HORIZON_DAYS}"},
        "target_bps": _nullable("integer", "distance from the mark in basis points, above 0; null when flat or exit"),
        "stop_bps": _nullable("integer", "distance from the mark in basis points, above 0; null when flat or exit"),
        "thesis": _text(f"at most {MOST_THESIS} characters"),
        "against": _text(f"the strongest case against it, at most {MOST_AGAINST} characters"),
        "evidence": _list(_text("an evidence id of the snapshot"), f"1 to {MOST_EVIDENCE} evidence ids"),
        "claims": _list(closed_object({
            "evidence_id": _text("the evidence id whose facts hold the number"),
            "field": _text("the name of the fact"),
            "value": _number("the number as it stands there"),
        }), f"at most {MOST_CLAIMS} cited numbers"),
        "event_tags": _list({"type": "string", "enum": list(EVENT_KINDS)}, "kinds of event that matter; empty for none"),
    })


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _number(description: str) -> dict[str, Any]:
    return {"type": "number", "description": description}


def _nullable(kind: str, description: str) -> dict[str, Any]:
    return {"anyOf": [{"type": kind}, {"type": "null"}], "description": description}


def _list(items: dict[str, Any], description: str) -> dict[str, Any]:
    return {"type": "array", "items": items, "description": description}
