"""Old events are translated step by step on read."""

import json

import pytest

from engine.errors import JournalDamaged
from engine.events import VERSIONS
from engine.ports import JournalRow
from store.upcasters import Payload, Upcasters


def make() -> Upcasters:
    upcasters = Upcasters({"StopMoved": 3, "OrderAcked": 1})

    @upcasters.register("StopMoved", 1)
    def _name_the_unit(payload: Payload) -> Payload:
        return {**{key: value for key, value in payload.items() if key != "stop"}, "stop_ticks": payload["stop"]}

    @upcasters.register("StopMoved", 2)
    def _add_best(payload: Payload) -> Payload:
        return {**payload, "best_ticks": 0}

    return upcasters


def test_every_step_is_applied_until_current() -> None:
    old = JournalRow(7, 1, "StopMoved", 1, b'{"key":"main|\xc3\xa9","stop":5}')
    new = make().row(old)
    assert new[:4] == (7, 1, "StopMoved", 3)
    assert json.loads(new.payload) == {"key": "main|é", "stop_ticks": 5, "best_ticks": 0}
    assert make().row(new) == new


def test_current_and_unknown_kinds_pass_unchanged() -> None:
    rows = [JournalRow(1, 1, "OrderAcked", 1, b"{}"), JournalRow(2, 1, "Other", 9, b"{}")]
    assert list(make().rows(rows)) == rows


def test_what_cannot_be_read_is_named() -> None:
    with pytest.raises(JournalDamaged, match="row 4: OrderAcked version 2 is newer"):
        make().row(JournalRow(4, 1, "OrderAcked", 2, b"{}"))
    with pytest.raises(JournalDamaged, match="no translation of StopMoved from version 1"):
        Upcasters({"StopMoved": 2}).row(JournalRow(4, 1, "StopMoved", 1, b"{}"))
    assert Upcasters({"StopMoved": 3}).missing() == ("StopMoved 1 to 2", "StopMoved 2 to 3")
    assert make().missing() == ()
    with pytest.raises(ValueError, match="already"):
        make().register("StopMoved", 1)(lambda payload: payload)


def test_every_event_of_today_has_its_translations() -> None:
    assert Upcasters(VERSIONS).missing() == ()
