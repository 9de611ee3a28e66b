"""Research in the simulation: runs are asked for at odd times, and a desk of dice answers them at once, late, twice, with what
was never asked, from the future, or never. What must hold: the chain, one seal for each decision, no order without one."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

from msgspec.structs import replace

from engine.decide.research import seal_of
from engine.effects import PerformLearning, PerformResearch, RecallDays
from engine.events import OrderIntended, ProposalRaised, decode
from engine.inputs import (
    Approve,
    AutomationLevel,
    Command,
    DaysRecalled,
    Halve,
    Input,
    LearningEnded,
    ReleaseResearchAlarm,
    ResearchDecided,
    ResearchEnded,
    RunJob,
    RunResearch,
    StopResearch,
)
from engine.instruments import Instrument
from engine.orders import Purpose
from engine.ports import JournalRow
from engine.research.decided import Cell, Decided, ResearchCause, RoleAnswer, Worth
from engine.research.opinions import Stance
from engine.research.recalibration import CellMap, Series
from engine.research_events import DecisionGated, DecisionSealed, ForecastResolved
from engine.research_state import NO_SEAL, ORIGIN, ResearchRun
from engine.research_views import NOBODY, Live
from engine.research_words import CalibrationView, DecisionStatus
from engine.runner import Engine
from engine.schedule_words import Job, JobKind
from engine.service import ProposalStatus
from engine.units import NS_PER_SECOND

CELL = Cell("rule/1", "rule/1", "1", "crypto")
LEARNING = Job("learning", JobKind.LEARNING, "40 0 * * *")
PROVEN = CellMap(CELL, Series(n=300), Series(n=300), skill_percent=2.0, skill_low_percent=0.5, skill_high_percent=3.5)


class ScriptedDesk:
    """Stands in for the desk of every engine of one seed; its dice roll on over crashes, what it was about to say does not."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed * 32_452_843 + 17)
        self.proven = self.random.random() < 0.6
        self._waiting: list[tuple[int, Input]] = []
        self._answers = 0
        self._engine: Engine | None = None

    def attach(self, engine: Engine) -> None:
        """Sit down at another engine; the one before has died, and with it what was under way."""
        self._engine = engine
        self._waiting.clear()
        engine._shell._research = self  # type: ignore[assignment]

    def begin(self, effect: Any) -> "asyncio.Future[None]":
        now_ns = self._now_ns()
        if isinstance(effect, PerformResearch):
            self._plan(effect.run, now_ns)
        elif isinstance(effect, PerformLearning):
            self._later(now_ns, LearningEnded(effect.run_id, 0, CalibrationView((), (), (), 0), self._maps()))
        elif isinstance(effect, RecallDays):
            for instrument_id in effect.instrument_ids if self.random.random() < 0.2 else ():
                self._later(now_ns, DaysRecalled(instrument_id, ()))
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def live(self) -> Live:
        return NOBODY

    def close(self) -> None:
        """Nothing is open."""

    def pump(self, at_ns: int) -> None:
        """Say what is due; called between two items of the tape."""
        due = [one for one in self._waiting if one[0] <= at_ns]
        self._waiting = [one for one in self._waiting if one[0] > at_ns]
        if self._engine is not None:
            for _, said in sorted(due, key=lambda one: one[0]):
                self._engine._shell.deliver(said)
            self._answer_pending(self._engine)

    def _answer_pending(self, engine: Engine) -> None:
        """A person looks at pending trades of research now and then: approves, halves, or leaves them."""
        for proposal in engine.state.proposals.values():
            if proposal.status is not ProposalStatus.PENDING or not proposal.decision_id or self.random.random() < 0.9:
                continue
            self._answers += 1
            command_id = f"person-{self._answers}"
            if self.random.random() < 0.3:
                engine._shell.commands.append(Halve(command_id, proposal.proposal_id, proposal.digest))
            else:
                read = ("E2: urls",) if self.random.random() < 0.5 else ()
                engine._shell.commands.append(Approve(command_id, proposal.proposal_id, proposal.digest, flags_read=read))

    # ---- what is said ----

    def _plan(self, run: ResearchRun, now_ns: int) -> None:
        """One to three decisions, each in its own time, and the end of the run; some runs never end."""
        random = self.random
        if random.random() < 0.15:
            return
        last_ns = now_ns
        for number in range(1, random.randint(1, 3) + 1):
            wait_seconds = random.choice((0, 0, 3, 20, 250))
            decided = self._decided(run, number)
            if decided is None:
                continue
            last_ns = max(last_ns, now_ns + wait_seconds * NS_PER_SECOND)
            for _ in range(random.choice((1, 1, 1, 2))):
                self._later(now_ns + wait_seconds * NS_PER_SECOND, ResearchDecided(run.run_id, (decided,)))
        failure = random.choice(("", "", "the archive cannot be written"))
        self._later(last_ns + random.choice((0, 1, -1)) * NS_PER_SECOND, ResearchEnded(run.run_id, failure, "", 1_000))

    def _decided(self, run: ResearchRun, number: int) -> Decided | None:
        assert self._engine is not None
        random, market = self.random, self._engine.market
        instrument: Instrument = random.choice(list(self._engine.state.instruments.values()))
        mark = market.marks.get(instrument.instrument_id)
        if mark is None:
            return None
        stance = random.choice((Stance.LONG, Stance.LONG, Stance.SHORT, Stance.FLAT, Stance.EXIT))
        worth = Worth((0.6,), 0.6, 0.58, 0.55, 0.0, 0.5, "shrink", 300, 10.0, 30.0, 5.0, 0.5, 0.1,
                      random.choice((5.0, 20.0, 40.0)), random.random() < 0.8, p_win_agg=0.6)
        silent = random.random() < 0.1
        symbol = instrument.symbol if random.random() < 0.95 else "DOGE/USD"
        return Decided(
            f"{run.run_id}-{number}", run.run_id, "main", "t-main", instrument.instrument_id, symbol, "s" * 64,
            self._now_ns() + (NS_PER_SECOND if random.random() < 0.03 else 0), instrument.price(mark.bid_ticks), "quotes",
            "rule/1", "rule/1", stance, 1, random.choice((50, 200, 400)), random.choice((50, 200)), None if silent else worth,
            actionable=not silent and stance is not Stance.FLAT and random.random() < 0.9, thesis="dice", reason="",
            answers=(RoleAnswer("rule", "rule/1", "", 0.6, stance),), flags=("E2: urls",) if random.random() < 0.1 else (),
            asset_class="crypto", atr_bps=random.choice((0.0, 300.0, 1_000.0)))

    def _maps(self) -> tuple[CellMap, ...]:
        if not self.proven:
            return ()
        return (replace(PROVEN, alarm="acquiescence") if self.random.random() < 0.2 else PROVEN,)

    def _later(self, at_ns: int, said: Input) -> None:
        self._waiting.append((at_ns, said))

    def _now_ns(self) -> int:
        assert self._engine is not None
        return self._engine.parts.clock.now_ns()


def researching(random: Random, seed: int, start_ns: int, span_ns: int) -> list[tuple[int, Command]]:
    """Runs by a person, by events and as drills, some of them stopped; and a person who lets alarms go."""
    commands: list[tuple[int, Command]] = []
    for place in range(random.randint(0, 14)):
        at_ns = start_ns + random.randrange(span_ns)
        symbols = random.choice(((), (), ("BTC/USD",), ("NOPE",)))
        cause = random.choice((ResearchCause.PERSON, ResearchCause.PERSON, ResearchCause.EVENT, ResearchCause.DRILL))
        commands.append((at_ns, RunResearch(f"s{seed}-run-{place}", symbols=symbols, cause=cause)))
        if random.random() < 0.3:
            commands.append((at_ns + random.randint(1, 60) * NS_PER_SECOND, StopResearch(f"s{seed}-stop-{place}")))
    commands += [(start_ns + place * span_ns // 2, RunJob(f"s{seed}-learn-{place}", LEARNING.job_id)) for place in range(2)]
    commands.append((start_ns + span_ns // 2 + 1, ReleaseResearchAlarm(f"s{seed}-release")))
    return commands


def broken_research(rows: Sequence[JournalRow], automation: AutomationLevel) -> list[str]:
    """What the journal shows that must never be."""
    found: list[str] = []
    seal, sealed, resolved = NO_SEAL, Counter[str](), Counter[str]()
    allowed: dict[str, None] = {}
    proposed: dict[str, None] = {}
    for row in rows:
        match decode(row.kind, row.payload):
            case DecisionSealed() as event:
                if (event.previous, event.seal) != (seal, seal_of(seal, event.decided, event.window, event.refused)):
                    found.append(f"the chain of decisions is broken at row {row.seq}")
                if event.window is not None and event.decided.as_of_ns > row.at_ns:
                    found.append(f"a forecast from the future is open at row {row.seq}")
                seal = event.seal
                sealed[event.decided.decision_id] += 1
            case DecisionGated() as event if event.status is DecisionStatus.APPROVED:
                if automation is not AutomationLevel.AUTO_EXECUTE or not event.conditions \
                        or not all(condition.holds for condition in event.conditions):
                    found.append(f"{event.decision_id} went without a person at row {row.seq}")
                allowed[event.decision_id] = None
            case ProposalRaised() as event if event.proposal.decision_id:
                proposed[event.proposal.decision_id] = None
            case OrderIntended() as event if event.intent.strategy == ORIGIN and event.intent.purpose is Purpose.ENTRY:
                if not event.intent.approved_by and event.command_id not in allowed:
                    found.append(f"an order of research that nobody allowed at row {row.seq}")
            case ForecastResolved() as event:
                resolved[event.decision_id] += 1
    found += [f"{key} was sealed {count} times" for key, count in sealed.items() if count > 1]
    found += [f"{key} was resolved {count} times" for key, count in resolved.items() if count > 1]
    return found + [f"{key} was proposed and never sealed" for key in (*allowed, *proposed) if key not in sealed]
