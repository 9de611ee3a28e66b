"""What losses are measured from: never from a guess, and never moved by money that comes or goes into a loss of its own."""



from engine.brakes import DAY_LOSS
from engine.inputs import SetTradingState, TradingState
from engine.state import State, decode_state, encode_state
from tests.unit.engine_desk import Desk
from tests.unit.test_engine_brakes import DAY_SECONDS, brake, desk, falls_to, portfolio


def restarted(made: Desk, *, days: float = 0.0) -> Desk:
    """The engine after a restart, so many days later, before any price."""
    restored: State = decode_state(encode_state(made.state))
    again = Desk(settings=made.settings, state=restored, live=False)
    again.later(days * DAY_SECONDS)
    again.start()
    return again


def test_a_day_that_has_to_begin_without_a_price_counts_from_the_first_one() -> None:
    made = desk(max_day_loss_fraction=0.04)
    falls_to(made, 9_990)
    again = restarted(made, days=1)
    for _ in range(3):
        again.beat(121)
    again.quote(13_000)
    again.beat()
    assert again.state.day == made.state.day + 1
    assert portfolio(again).day_equity_minor == 13_000_000
    falls_to(again, 12_480)
    assert again.state.effective_state("main") is TradingState.REDUCING
    assert brake(again, DAY_LOSS).baseline_minor == 13_000_000


def test_an_overnight_gap_is_no_loss_of_the_day_that_began_without_a_price() -> None:
    made = desk(max_day_loss_fraction=0.04, max_drawdown_fraction=0.5)
    falls_to(made, 9_990)
    again = restarted(made, days=1)
    again.beat(121)
    again.quote(9_000)
    again.beat()
    assert portfolio(again).day_equity_minor == 9_000_000
    assert again.state.effective_state("main") is TradingState.ACTIVE


def test_who_resumes_before_any_price_lets_losses_count_from_the_first_one() -> None:
    made = desk(max_day_loss_fraction=0.04)
    falls_to(made, 9_400)
    again = restarted(made)
    assert again.do(SetTradingState("go", TradingState.ACTIVE, "main", "looked at it", "ann")).accepted
    again.quote(9_400)
    again.beat()
    assert again.state.effective_state("main") is TradingState.ACTIVE
    assert portfolio(again).day_equity_minor == 9_400_000
    falls_to(again, 9_024)
    assert again.state.effective_state("main") is TradingState.REDUCING
