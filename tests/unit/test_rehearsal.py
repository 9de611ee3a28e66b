"""Rehearsals: every incident passes with the engine as it is, for several seeds, and fails once something is broken in it."""

from collections.abc import Sequence

import msgspec
import pytest

from brokers.paper.broker import PaperBroker
from engine.config import Config
from engine.decide import prices
from engine.golive_words import Incident, Rehearsed
from engine.inputs import Accepted, Settings, SubmitAnswer
from engine.orders import OrderIntent, Purpose, Side
from engine.rehearsal.scenes import Scene, scene_of
from engine.rehearsal.tape import SceneTape, favour_percent
from engine.turn import Turn
from tui.compose_rehearsal import rehearsal_settings, rehearse

SETTINGS = rehearsal_settings(Config().settings())
SOFT = [incident for incident in Incident if incident is not Incident.CRASH]


def missed(found: Rehearsed) -> set[str]:
    """The measures that did not keep their bound."""
    return {measure.name for measure in found.measures if not measure.met}


def played(incident: Incident, seed: int = 1, settings: Settings = SETTINGS) -> Rehearsed:
    return rehearse(incident, seed, settings)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("incident", SOFT)
def test_every_incident_passes(incident: Incident, seed: int) -> None:
    found = played(incident, seed)
    assert missed(found) == set()
    assert found.passed


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 4])
def test_a_process_that_is_really_killed_comes_back_to_a_protected_position(seed: int) -> None:
    found = played(Incident.CRASH, seed)
    assert missed(found) == set()
    assert found.unprotected_seconds <= scene_of(Incident.CRASH, seed).cause_seconds + 10


def test_the_same_seed_gives_the_same_result() -> None:
    assert played(Incident.OUTAGE, 5) == played(Incident.OUTAGE, 5)
    assert scene_of(Incident.OUTAGE, 5) != scene_of(Incident.OUTAGE, 6)


def test_seeds_play_both_sides_and_every_crash() -> None:
    assert {scene_of(Incident.GAP, seed).side for seed in range(9)} == {Side.BUY, Side.SELL}
    assert {scene_of(Incident.CRASH, seed).faults[0][3:] for seed in range(20)} == {(1, True), (2, False), (2, True)}


def test_the_market_of_a_scene_moves_against_the_position_whichever_side_it_is_on() -> None:
    for seed in range(6):
        scene = scene_of(Incident.GAP, seed)
        assert favour_percent(scene, scene.seconds - 1) < -3
        quotes = [item for item in SceneTape(scene).items() if item.instrument_id == "DRILL@paper"]
        assert (quotes[-1].bid_ticks - quotes[0].bid_ticks) * scene.side.sign < 0  # type: ignore[union-attr]


# ---- a rehearsal that fails ----------------------------------------------------------------------------------------------------


def test_a_venue_that_only_says_that_it_took_a_stop_fails_the_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine believes it; the stopwatch looks at the venue."""
    submit = PaperBroker.submit

    async def lying(self: PaperBroker, intents: Sequence[OrderIntent]) -> Sequence[SubmitAnswer]:
        if intents[0].purpose is Purpose.STOP:
            return [Accepted(f"v-{one.client_order_id}") for one in intents]
        return await submit(self, intents)

    monkeypatch.setattr(PaperBroker, "submit", lying)
    found = played(Incident.LOST_ANSWER)
    assert {"unprotected", "safe again"} <= missed(found)
    assert found.safe_seconds is None


def test_an_engine_that_does_not_act_on_a_level_fails_the_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(turn: Turn, quote: object) -> None:
        """Sees nothing."""

    monkeypatch.setattr(prices, "quote_seen", blind)
    found = played(Incident.GAP)
    assert "flat" in missed(found)
    assert found.flat_seconds is None or found.flat_seconds > 0


def test_an_order_that_goes_out_twice_fails_the_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    submit = PaperBroker.submit

    async def doubling(self: PaperBroker, intents: Sequence[OrderIntent]) -> Sequence[SubmitAnswer]:
        if intents[0].purpose is Purpose.ENTRY and not intents[0].client_order_id.endswith("+"):
            await submit(self, [msgspec.structs.replace(one, client_order_id=f"{one.client_order_id}+") for one in intents])
        return await submit(self, intents)

    monkeypatch.setattr(PaperBroker, "submit", doubling)
    assert "held at most" in missed(played(Incident.LOST_ANSWER))


def test_deadlines_of_the_home_that_are_too_long_fail_the_rehearsal() -> None:
    """The rehearsal is of the configuration too: an order that is looked up after ten minutes is found too late."""
    patient = msgspec.structs.replace(SETTINGS, query_after_seconds=600.0, reconcile_seconds=86_400.0)
    assert "unprotected" in missed(played(Incident.LOST_ANSWER, settings=patient))


def test_a_scene_that_never_was_in_the_market_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = scene_of(Incident.GAP, 1)
    empty: Scene = scene._replace(script=())
    monkeypatch.setattr("tui.compose_rehearsal.scene_of", lambda incident, seed: empty)
    assert "held at most" in missed(played(Incident.GAP))
