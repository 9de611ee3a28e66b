"""Arming and disarming an account with real money, and the end of an arming by itself."""

from engine.arming import LONGEST_ARM_HOURS, limits_digest, live_settings
from engine.decide.withdrawals import withdraw_entries
from engine.events import Armed, CommandDone, Disarmed
from engine.golive import gates
from engine.inputs import ArmAccount, DisarmAccount
from engine.service import AlertLevel, Refusal
from engine.state import AccountState
from engine.turn import Turn
from engine.units import seconds_to_ns


def arm(turn: Turn, command: ArmAccount) -> None:
    """Let an account with real money open positions until its time is over; only under the limits that were shown."""
    refusal = _unarmable(turn, command)
    if refusal is not None:
        turn.refuse(command.command_id, f"arm {command.account}", refusal)
        return
    until_ns = turn.at_ns + seconds_to_ns(command.hours * 3_600)
    unmet = tuple(dict.fromkeys((*_unmet(turn, command.account), *command.unmet)))
    turn.emit(Armed(command.account, until_ns, command.by, command.limits_digest, command.command_id,
                    command.despite if unmet else "", unmet))
    despite = f" despite {len(unmet)} unmet gates ({', '.join(unmet)}): {command.despite}" if unmet else ""
    text = f"{command.account} is ARMED for {command.hours:g} h by {command.by}{despite}"
    turn.alert(AlertLevel.WARN, "armed", command.account, text)
    turn.accept(command.command_id, text)


def _unarmable(turn: Turn, command: ArmAccount) -> Refusal | None:
    if command.account not in turn.state.accounts:
        return Refusal("account", ", ".join(turn.state.accounts), command.account,
                       f"there is no account called {command.account!r}")
    settings = live_settings(turn.state, command.account)
    if settings is None:
        return Refusal("arming", "an account with real money", command.account,
                       f"{command.account} holds no real money: it trades without being armed")
    if not 0 < command.hours <= LONGEST_ARM_HOURS:
        return Refusal("arming", f"up to {LONGEST_ARM_HOURS:g} h", f"{command.hours:g} h",
                       f"an account is armed for more than nothing and at most {LONGEST_ARM_HOURS:g} hours")
    in_force = limits_digest(settings.limits)
    if command.limits_digest != in_force:
        return Refusal("limits", in_force, command.limits_digest,
                       "those are not the limits in force; read them again and arm then")
    unmet = (*_unmet(turn, command.account), *command.unmet)
    if unmet and not command.despite.strip():
        return Refusal("gates", "every gate met, or a reason", ", ".join(dict.fromkeys(unmet)),
                       f"gates before real money are not met: {', '.join(dict.fromkeys(unmet))}; `quarterdeck golive` says what "
                       "to do")
    return None


def _unmet(turn: Turn, account: str) -> list[str]:
    """The gates of an account's portfolio that the engine itself knows not to be met."""
    settings = live_settings(turn.state, account)
    found = gates(turn.state, turn.at_ns, settings.portfolio) if settings is not None else ()
    return [gate.name for gate in found if not gate.met]


def disarm(turn: Turn, command: DisarmAccount) -> None:
    """End an arming at once: working entries are withdrawn, protection and exits stay."""
    account = turn.state.accounts.get(command.account)
    if account is None or live_settings(turn.state, command.account) is None:
        turn.refuse(command.command_id, f"disarm {command.account}", Refusal(
            "arming", "an account with real money", command.account,
            f"{command.account!r} is no account with real money of this engine"))
        return
    if not account.armed_until_ns:
        turn.emit(CommandDone(command.command_id, f"{command.account} was not armed"))
        turn.accept(command.command_id, f"{command.account} was not armed")
        return
    withdrawn = _end(turn, account, f"disarmed by {command.by}", command.by, command.command_id)
    entries = f"; {withdrawn} working entries cancelled" if withdrawn else ""
    turn.accept(command.command_id, f"{command.account} is disarmed{entries}")


def end_what_is_over(turn: Turn, *, restored: bool = False) -> None:
    """Disarm what has run out, holds no real money any more, or was armed under other limits; said once, journaled. A journal
    that was `restored` knows nothing of what came after its backup, a demotion or a disarming: who knows of that arms anew."""
    for account in list(turn.state.accounts.values()):
        if not account.armed_until_ns:
            continue
        settings = live_settings(turn.state, account.account)
        if settings is None:
            _end(turn, account, "the account holds no real money any more", "engine")
        elif restored:
            _end(turn, account, "the journal was put back from a backup", "engine")
        elif turn.at_ns >= account.armed_until_ns:
            _end(turn, account, "its time is over", "engine")
        elif account.armed_digest != limits_digest(settings.limits):
            _end(turn, account, "its limits changed since", "engine")


def _end(turn: Turn, account: AccountState, reason: str, by: str, command_id: str = "") -> int:
    """Disarm and withdraw the account's working entries; how many."""
    turn.emit(Disarmed(account.account, reason, by, command_id))
    portfolios = [name for name, known in turn.state.portfolios.items() if known.settings.account == account.account]
    withdrawn = sum(withdraw_entries(turn, name, f"disarmed: {reason}") for name in portfolios)
    turn.alert(AlertLevel.WARN, "disarmed", account.account, f"{account.account} is no longer armed: {reason}")
    return withdrawn
