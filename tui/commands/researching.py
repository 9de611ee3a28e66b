"""Commands that let research work: runs with their progress, changes applied, alarms released."""

import sys
import time
from pathlib import Path
from typing import NamedTuple

from engine.errors import EngineUnreachable
from engine.inputs import (
    ApplyResearchChange,
    Command,
    RejectResearchChange,
    ReleaseResearchAlarm,
    RunResearch,
    StopResearch,
)
from engine.research.decided import ResearchCause
from engine.service import ResearchView, RoleProgress, RunView, Snapshot
from tui.commands.link import Link, command_id, engine_link, portfolio_meant
from tui.commands.queries import snapshot_for
from tui.commands.trading import told_receipt
from tui.formats import number, plain, plural
from tui.printing import numbers, print_error, print_facts, print_json, print_table, words

POLL_SECONDS = 0.2
RUN_SECONDS = 1_800.0
OFF = "research is off; [research] enabled = true in config.toml switches it on"


class Asked(NamedTuple):
    """A run as it was typed."""

    symbols: tuple[str, ...]
    portfolio: str
    drill: bool


def run(path: Path, asked: Asked, *, waits: bool, as_json: bool) -> int:
    """Begin a run and tell its progress to its end; 1 where it was refused or failed."""
    cause = ResearchCause.DRILL if asked.drill else ResearchCause.PERSON
    with engine_link(path, asked.portfolio) as link:
        asked = asked._replace(portfolio=portfolio_meant(link, asked.portfolio))
        last = _run_of(link.snapshot_now(), asked.portfolio)
        receipt = link.send_now(RunResearch(command_id(), asked.portfolio, asked.symbols, cause))
        if not receipt.accepted or not waits:
            return told_receipt(receipt, as_json=as_json)
        ended = _followed(link, asked.portfolio, last.run_id if last is not None else "", shows=not as_json)
    from tui.commands.research_record import decisions_of_run

    found = decisions_of_run(path, ended.run_id)
    if as_json:
        print_json({"accepted": True, "receipt": receipt, "run": ended, "decisions": found})
    else:
        from tui.commands.research_record import print_decisions

        print_decisions(found, empty="nothing was decided")
        drilled = "; a drill: scored, never proposed" if asked.drill else ""
        print(f"{plain(ended.text)}; {plural(len(found), 'decision')}, ${number(ended.cost_usd, 4)}{drilled}")
    failed = not found
    if failed:
        print_error(f"run {ended.run_id}: {plain(ended.text) or 'it ended without a decision'}")
    return int(failed)


def _followed(link: Link, portfolio: str, last_run_id: str, *, shows: bool) -> RunView:
    """The run after the last one, once it has ended; its roles are told as they answer. Raises `EngineUnreachable` where that
    takes too long."""
    deadline = time.monotonic() + RUN_SECONDS
    told_before = ""
    while time.monotonic() < deadline:
        one = _run_of(link.snapshot_now(), portfolio)
        if one is not None and one.run_id != last_run_id:
            line = _progress(one)
            if shows and line != told_before and not one.ended_at_ns:
                print(line, file=sys.stderr)
                told_before = line
            if one.ended_at_ns:
                return one
        time.sleep(POLL_SECONDS)
    raise EngineUnreachable(f"the run is not over after {RUN_SECONDS:g} s; `quarterdeck research status` shows it")


def _progress(view: RunView) -> str:
    """One line on a run that goes on."""
    roles = ", ".join(f"{one.role} {_role(one)}" for one in view.roles)
    return f"{plain(view.symbol) or 'scan'} ({view.done} of {len(view.symbols)}): {roles or plain(view.text)}"


def _role(one: RoleProgress) -> str:
    if one.p_up is not None:
        return f"{one.p_up:.0%}"
    return f"{one.state} {one.code}".strip()


def _run_of(snapshot: Snapshot, portfolio: str) -> RunView | None:
    """The newest run of a portfolio."""
    return next((one.run for one in snapshot.research if one.portfolio == portfolio), None)


def status(path: Path, *, as_json: bool) -> None:
    """Research of every portfolio."""
    snapshot = snapshot_for(path)
    found = snapshot.research if snapshot else ()
    if as_json:
        print_json(found)
        return
    if not found:
        if snapshot is not None:
            print(OFF)
        return
    for view in found:
        print_facts(_facts(view))
        print()
        rows = [[one.name, one.asked, one.value, "yes" if one.holds else "NO"] for one in view.conditions]
        if rows:
            print_table((*words("auto_execute asks for", "asked"), *numbers("is"), *words("holds")), rows, empty="")


def _facts(view: ResearchView) -> list[tuple[str, str]]:
    acts = view.acts_as if not view.fallback else f"{view.acts_as} ({plain(view.fallback)})"
    facts = [("portfolio", view.portfolio), ("analyst", plain(view.badge)), ("host", plain(view.host) or "-"),
             ("automation", view.automation), ("acts as", acts), ("aggressiveness", str(view.aggressiveness)),
             ("spent today", f"${number(view.spent_usd, 4)} of ${number(view.day_budget_usd, 2)}"),
             ("models left alone", f"until {view.breaker} UTC" if view.breaker else "no"),
             ("open forecasts", str(view.open_forecasts))]
    if view.run is not None:
        state = "running" if not view.run.ended_at_ns else "ended"
        facts.append(("last run", f"{view.run.run_id}, {view.run.cause}, {state}: {plain(view.run.text) or _progress(view.run)}"))
    return facts


def stop(path: Path, portfolio: str, *, as_json: bool) -> int:
    """End a run."""
    with engine_link(path) as link:
        return told_receipt(link.send_now(StopResearch(command_id(), portfolio_meant(link, portfolio))), as_json=as_json)


def settle_change(path: Path, change_id: str, reason: str, *, applies: bool, as_json: bool) -> int:
    """Apply a proposed change, or leave the parameter as it is."""
    command: Command = ApplyResearchChange(command_id(), change_id) if applies \
        else RejectResearchChange(command_id(), change_id, reason)
    return _sent(path, command, as_json=as_json)


def release(path: Path, portfolio: str, reason: str, *, as_json: bool) -> int:
    """End what a degradation alarm withholds."""
    with engine_link(path) as link:
        command = ReleaseResearchAlarm(command_id(), portfolio_meant(link, portfolio), reason)
        return told_receipt(link.send_now(command), as_json=as_json)


def _sent(path: Path, command: Command, *, as_json: bool) -> int:
    with engine_link(path) as link:
        return told_receipt(link.send_now(command), as_json=as_json)
