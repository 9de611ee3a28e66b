"""What a person may change of research on the evidence of its forecasts: thresholds, weights of voices, and expected slippage."""

from collections.abc import Mapping

import msgspec

THRESHOLDS_PERCENT = (60.0, 55.0, 52.0, 50.0)
THRESHOLD, WEIGHT, SLIPPAGE = "threshold", "weight", "slippage_bps"


class Parameters(msgspec.Struct, frozen=True, omit_defaults=True):
    """Thresholds in percent by aggressiveness, weights of voices such as llm/MODEL (1 where none), and the bps that a round trip
    is expected to cost on top of what is configured."""

    thresholds_percent: tuple[float, ...] = THRESHOLDS_PERCENT
    weights: dict[str, float] = {}
    slippage_bps: float = 0.0

    def threshold_percent(self, aggressiveness: int) -> float:
        """The conviction that is asked for at a level, in percent."""
        return self.thresholds_percent[min(max(aggressiveness, 0), len(self.thresholds_percent) - 1)]


def parameters_of(applied: Mapping[str, str]) -> Parameters:
    """The parameters with the changes that were applied, as values by name; what is none of ours changes nothing."""
    found = Parameters()
    for name, value in applied.items():
        found = changed(found, name, value) or found
    return found


def changed(parameters: Parameters, name: str, text: str) -> Parameters | None:
    """The parameters with another value of one of them; None where there is no such parameter or value."""
    kind, _, key = name.partition(".")
    try:
        value = float(text)
    except ValueError:
        return None
    if kind == WEIGHT and key and 0 <= value <= 10:
        return msgspec.structs.replace(parameters, weights={**parameters.weights, name.removeprefix(f"{WEIGHT}."): value})
    if kind == SLIPPAGE and not key and abs(value) <= 1_000:
        return msgspec.structs.replace(parameters, slippage_bps=value)
    levels = {str(level): level for level in range(len(parameters.thresholds_percent))}
    if kind == THRESHOLD and key in levels and 50 <= value <= 100:
        thresholds = tuple(value if level == levels[key] else own for level, own in enumerate(parameters.thresholds_percent))
        return msgspec.structs.replace(parameters, thresholds_percent=thresholds)
    return None
