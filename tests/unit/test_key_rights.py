"""What exchanges say of a key, read without believing more than they say."""

import pytest

from brokers.ccxt_venue.key_rights import QUESTIONS
from brokers.key_rights import KeyRights


@pytest.mark.parametrize(("exchange", "answer", "trade", "withdraw"), [
    ("binance", {"enableSpotAndMarginTrading": True, "enableWithdrawals": False, "ipRestrict": True}, True, False),
    ("binance", {"enableSpotAndMarginTrading": False, "enableWithdrawals": True, "ipRestrict": False}, False, True),
    ("binance", {}, None, None),
    ("binance", {"enableWithdrawals": "false"}, None, None),
    ("kraken", {"result": {"permissions": ["query-funds", "modify-trades", "close-trades"]}}, True, False),
    ("kraken", {"result": {"permissions": ["query-funds", "withdraw-funds"]}}, False, True),
    ("coinbase", {"can_view": True, "can_trade": True, "can_transfer": False}, True, False),
    ("coinbase", {"can_view": True}, None, None),
])
def test_each_word_of_an_exchange_is_read_as_it_is(exchange: str, answer: dict[str, object], trade: bool | None,
                                                   withdraw: bool | None) -> None:
    found = QUESTIONS[exchange][1](answer)
    assert isinstance(found, KeyRights)
    assert (found.may_trade, found.may_withdraw) == (trade, withdraw)


@pytest.mark.parametrize("answer", [{}, {"result": None}, {"result": {"permissions": "all"}}])
def test_an_answer_of_another_shape_says_nothing(answer: dict[str, object]) -> None:
    assert QUESTIONS["kraken"][1](answer) is None


def test_a_key_that_works_from_every_address_is_remarked_on() -> None:
    rights = QUESTIONS["binance"][1]({"ipRestrict": False})
    assert rights is not None
    assert "works from every address" in rights.notes[0]
