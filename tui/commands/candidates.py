"""Candidates on the command line: where each strategy stands on its way to real money, and taking it a step further or back."""

import sys
from pathlib import Path

from engine.candidates import STAGES, Stage
from engine.errors import QuarterdeckError, UsageError
from engine.inputs import DemoteCandidate, PromoteCandidate
from engine.service import CandidateView, Snapshot
from tui.commands.arming import person
from tui.commands.link import command_id, engine_link
from tui.commands.queries import snapshot_for
from tui.commands.trading import told_receipt
from tui.formats import MISSING, moment, money, percent, plain
from tui.printing import numbers, print_facts, print_json, print_table, words


def list_candidates(path: Path, *, as_json: bool) -> None:
    """Every configured strategy and its stage."""
    snapshot = snapshot_for(path)
    found = snapshot.candidates if snapshot else ()
    if as_json:
        print_json(found)
        return
    columns = (*words("strategy", "portfolio", "stage", "since (UTC)"), *numbers("days", "round trips", "net", "drawdown"),
               *words("next", "still asked for"))
    print_table(columns, [_row(view) for view in found], empty="no strategies; [[strategies]] in config.toml names them")


def _row(view: CandidateView) -> list[str]:
    unmet = [gate.name for gate in view.gates if not gate.met]
    asked = ", ".join(unmet) if unmet else "a person's word" if view.gates else ""
    return [view.name, view.portfolio, view.stage, moment(view.since_ns) if view.since_ns else MISSING, f"{view.days:.1f}",
            str(view.round_trips), money(view.net, view.money_decimals, signed=True), percent(view.drawdown_percent, 1),
            view.next_stage or MISSING, asked or MISSING]


def show(path: Path, name: str, *, as_json: bool) -> None:
    """One strategy with everything that its next stage asks for."""
    view = _found(snapshot_for(path), name)
    if as_json:
        print_json(view)
        return
    _show(view)


def _found(snapshot: Snapshot | None, name: str) -> CandidateView:
    known = snapshot.candidates if snapshot else ()
    view = next((one for one in known if one.name == name), None)
    if view is None:
        raise UsageError(f"{name}: no such strategy; there is: {', '.join(one.name for one in known) or 'none'}")
    return view


def _show(view: CandidateView) -> None:
    since = f" since {moment(view.since_ns)} UTC" if view.since_ns else ""
    where = f"{view.portfolio}, {'REAL MONEY' if view.live else 'paper'}"
    may = f"may enter there with {percent(view.capital_percent, 0)} of its capital" if view.may_enter else "enters nothing there"
    print_facts([
        ("strategy", view.name), ("rule", f"{view.rule}{', with a model' if view.uses_model else ''}"),
        ("stage", f"{view.stage}{since}"), ("portfolio", f"{where}: {may}"),
        ("in this stage", _results(view)),
        ("form", view.digest), ("next stage", view.next_stage or "none, this is the last one")])
    if view.gates:
        print()
        rows = [[gate.name, gate.needed, plain(gate.found), "met" if gate.met else "NOT MET"] for gate in view.gates]
        print_table(words(f"{view.next_stage} asks for", "needed", "found", ""), rows, empty="")
    if view.evidence:
        print()
        rows = [[one.kind, one.text, plain(one.source), moment(one.at_ns), plain(one.by), "" if one.current else "other form"]
                for one in view.evidence]
        print_table(words("evidence", "found", "on", "at (UTC)", "by", ""), rows, empty="")
    if view.history:
        print()
        rows = [[one.stage, moment(one.at_ns), plain(one.by), plain(one.reason) or MISSING] for one in view.history]
        print_table(words("step to", "at (UTC)", "by", "why"), rows, empty="")


def _results(view: CandidateView) -> str:
    net = money(view.net, view.money_decimals, view.currency, signed=True)
    return (f"{view.round_trips} round trips in {view.days:.1f} days, net {net}, drawdown {percent(view.drawdown_percent, 1)}, "
            f"losing in a row {view.losing_streak}")


def promote(path: Path, name: str, reason: str, *, yes: bool, as_json: bool) -> int:
    """One stage further, in the form shown; asks for the name where somebody sits there. The exit status."""
    if not yes and not sys.stdin.isatty():
        raise UsageError("promote: there is no terminal to ask on; --yes says that it is meant")
    with engine_link(path) as link:
        view = _found(link.snapshot_now(), name)
        if not view.next_stage:
            raise QuarterdeckError(f"{name} is in {view.stage}; there is no further stage")
        if not yes and view.ready:
            _show(view)
            _require_typed(view)
        receipt = link.send_now(PromoteCandidate(command_id(), name, Stage(view.next_stage), view.digest, person(), reason))
    return told_receipt(receipt, as_json=as_json)


def _require_typed(view: CandidateView) -> None:
    stake = ", where it may enter with REAL MONEY" if Stage(view.next_stage).is_live else ""
    print(f"type the strategy's name to promote it to {view.next_stage}{stake}: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != view.name:
        raise QuarterdeckError("promote: that is not the strategy's name; nothing was promoted")


def demote(path: Path, name: str, to: str, reason: str, *, as_json: bool) -> int:
    """Back at once; the exit status."""
    if to and to not in set(STAGES):
        raise UsageError(f"--to {to}: must be one of {', '.join(STAGES)}")
    with engine_link(path) as link:
        receipt = link.send_now(DemoteCandidate(command_id(), name, Stage(to) if to else None, person(), reason))
    return told_receipt(receipt, as_json=as_json)
