"""What could lose money and once did, in the shell: threads of work that die, pauses, defects."""

import asyncio
from typing import Any

from engine.inputs import TradingState
from tests.unit.engine_desk import Shell, bought


def test_a_defect_costs_one_input_and_not_the_engine() -> None:
    """Something that no decision knows: dropped, told, halted; the stop is watched on."""

    async def run() -> None:
        async with Shell().running() as shell:
            await shell.quote(10_000)
            assert (await shell.engine.send(bought())).accepted
            await shell.until(lambda: shell.state.positions)
            nonsense: Any = "nonsense"
            shell.engine._shell.deliver(nonsense)
            await shell.until(lambda: shell.state.trading_state is TradingState.HALTED)
            assert "defect" in shell.state.trading_cause
            await shell.quote(9_400)
            await shell.quote(9_400)
            await shell.until(lambda: not shell.state.positions)
            assert shell.engine.defects == 1

    asyncio.run(run())


def test_a_command_that_meets_a_defect_is_refused() -> None:
    async def run() -> None:
        async with Shell().running() as shell:
            await shell.quote(10_000)
            command: Any = bought()
            unknown = type("Unknown", (), {"command_id": "u"})()
            receipt = await shell.engine.send(unknown)
            assert not receipt.accepted
            assert receipt.refusal is not None
            assert receipt.refusal.check == "defect"
            assert (await shell.engine.send(command)).accepted

    asyncio.run(run())


