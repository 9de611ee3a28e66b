"""The one table of keys: bindings, the key line, the help page and the palette are all made from it."""

from collections.abc import Mapping
from typing import NamedTuple

from textual.binding import Binding

from engine.errors import ConfigError


class KeyEntry(NamedTuple):
    """One act and its keys.

    `scope` is where it works: "app" everywhere, "main" on the workstation, "grid" in a table, or a dialog's name.
    `rank` orders the key line, 0 keeps an act out of it; `panes` names the panes in whose key line it stands (all where
    empty). `required` acts can be moved to another key but never lost.
    """

    entry_id: str
    keys: str
    action: str
    label: str
    scope: str
    about: str
    rank: int = 0
    priority: bool = False
    required: bool = False
    panes: str = ""

    @property
    def shown(self) -> str:
        """The first key as it is written on the screen."""
        return shown_key(self.keys.split(",")[0])


KEYMAP: tuple[KeyEntry, ...] = (
    KeyEntry("panic", "f9", "panic", "HALT", "app", "Halt at once: entries are blocked and working entry orders "
             "cancelled, stops stay. No question asked; pressing again never resumes.", 0, True, True),
    KeyEntry("flatten", "ctrl+x", "flatten", "FLATTEN", "app", "Second stage: asks once more, then cancels every order "
             "at the venue and closes every position.", 0, True, True),
    KeyEntry("help", "question_mark,f1", "help", "help", "app", "This page.", 10),
    KeyEntry("palette", "colon,ctrl+p", "command_palette", "commands", "app", "Every command, by name.", 20),
    KeyEntry("quit", "q,ctrl+q", "leave", "quit", "app", "Leave; asks where something is open.", 90, False, True),
    KeyEntry("lock", "L", "lock", "lock", "app", "Lock this screen, where a PIN or an authenticator is asked for.", 0),
    KeyEntry("interrupt", "ctrl+c", "interrupt", "interrupt", "app", "Never leaves by itself; says how to leave.", 0),
    KeyEntry("buy", "b", "ticket('BUY')", "buy", "main", "Open a buy ticket for the selected instrument.", 40,
             panes="positions,market,chart"),
    KeyEntry("sell", "s", "ticket('SELL')", "sell", "main", "Open a sell ticket for the selected instrument.", 41,
             panes="positions,market,chart"),
    KeyEntry("protect", "t", "protect", "protect", "main", "Change stop, target, trail and longest hold of the "
             "selected position.", 30, panes="positions"),
    KeyEntry("close", "x", "close", "close", "main", "Close the selected position, or part of it.", 31,
             panes="positions"),
    KeyEntry("cancel", "c", "cancel", "cancel", "main", "Cancel the selected order.", 32, panes="orders"),
    KeyEntry("settle", "e", "settle", "settle", "main", "Say what became of the selected order, where the venue both took "
             "and refused it.", 0, panes="orders"),
    KeyEntry("card", "a", "card", "approve", "main", "Open the card of the selected decision; it is approved there.",
             33, panes="decisions"),
    KeyEntry("decline", "d", "decline", "decline", "main", "Decline the selected decision.", 34, panes="decisions"),
    KeyEntry("acknowledge", "n", "acknowledge", "acknowledge", "main", "Acknowledge the selected alert, or the one in the "
             "message line.", 35, panes="alerts"),
    KeyEntry("alert_rules", "w", "alert_rules", "rules", "main", "Alert rules: what is watched, and what then happens.",
             36, panes="alerts"),
    KeyEntry("detail", "enter", "detail", "detail", "grid", "Everything known about the selected row.", 0),
    KeyEntry("filter", "slash", "filter", "filter", "main", "Show only rows that contain a word; esc clears it.", 0),
    KeyEntry("show_all", "escape", "back", "show all", "main", "Show all rows of a filtered table again, or all panes.", 0),
    KeyEntry("order_by", "o", "order_by", "sort", "grid", "Sort by the next column.", 0),
    KeyEntry("order_reverse", "O", "order_reverse", "reverse", "grid", "Reverse the sorting.", 0),
    KeyEntry("zoom", "z", "zoom", "zoom", "main", "Give the focused pane the whole screen, and back.", 60),
    KeyEntry("next_portfolio", "p", "next_portfolio", "portfolio", "main", "Show the next portfolio.", 0),
    KeyEntry("pane_1", "1", "pane('positions')", "positions", "main", "Positions.", 0),
    KeyEntry("pane_2", "2", "pane('decisions')", "decisions", "main", "Decisions that wait for a person.", 0),
    KeyEntry("pane_3", "3", "pane('orders')", "orders", "main", "Orders.", 0),
    KeyEntry("pane_4", "4", "pane('fills')", "fills", "main", "Fills.", 0),
    KeyEntry("pane_5", "5", "pane('alerts')", "alerts", "main", "Alerts and messages.", 0),
    KeyEntry("pane_6", "6", "pane('market')", "market", "main", "Quotes of every instrument.", 0),
    KeyEntry("pane_7", "7", "pane('chart')", "chart", "main", "Price chart of the selected instrument.", 0),
    KeyEntry("next_pane", "tab", "next_pane(1)", "next pane", "main", "Focus the next pane.", 0),
    KeyEntry("previous_pane", "shift+tab", "next_pane(-1)", "previous pane", "main", "Focus the pane before.", 0),
    KeyEntry("reconcile", "R", "reconcile", "ask venue", "main", "Ask the venue now and compare.", 0),
    KeyEntry("risk", "r", "risk", "risk", "main", "Risk: heat, exposure, limits and how much of them is used, brakes.", 0),
    KeyEntry("targets", "T", "targets", "targets", "main", "Targets of the portfolio, drift, and rebalancing.", 0),
    KeyEntry("schedule", "S", "schedule", "schedule", "main", "The schedule: what is due when, what the last runs did.", 0),
    KeyEntry("candidates", "C", "candidates", "candidates", "main", "Candidates: the way of strategies to real money.", 0),
    KeyEntry("performance", "P", "performance", "results", "main", "Performance: equity, drawdown, figures, round trips.", 0),
    KeyEntry("research", "K", "research", "research", "main", "Research: what it decided, how good its forecasts were, threads, "
             "events.", 0),
    KeyEntry("strategies", "A", "strategies", "strategies", "main", "Strategies (automatic trading): what each holds and wants, "
             "on or off.", 0),
    KeyEntry("health", "H", "health", "health", "main", "Health: who works, what waits, what is not well.", 0),
    KeyEntry("mute", "m", "mute", "mute", "main", "Silence the bell, and back.", 0),
    KeyEntry("up", "up,k", "move(-1)", "up", "grid", "One row up.", 0),
    KeyEntry("down", "down,j", "move(1)", "down", "grid", "One row down.", 0),
    KeyEntry("page_up", "pageup", "move_page(-1)", "page up", "grid", "One page up.", 0),
    KeyEntry("page_down", "pagedown", "move_page(1)", "page down", "grid", "One page down.", 0),
    KeyEntry("first", "home,g", "move_to(0)", "first", "grid", "The first row.", 0),
    KeyEntry("last", "end,G", "move_to(-1)", "last", "grid", "The last row.", 0),
    KeyEntry("back", "escape", "back", "back", "dialog", "One level back; never acts on an order.", 10, False, True),
    KeyEntry("send", "f5", "send", "send", "ticket", "Send the order whose checks are shown.", 20),
    KeyEntry("set_rule", "f5", "send", "set rule", "alert-rules", "Set the rule that the form says.", 20),
    KeyEntry("rebalance", "f5", "rebalance", "rebalance", "targets", "Send what brings the portfolio back to its targets.", 20),
    KeyEntry("targets_portfolio", "p", "next_portfolio", "portfolio", "targets", "Show the next portfolio with targets.", 21),
    KeyEntry("strategy_switch", "f5", "switch", "on/off", "strategies", "Let the selected strategy run, or stop it; asks first.",
             20),
    KeyEntry("job_run", "f5", "run_now", "run now", "schedule", "Run the selected job; its next time stays.", 20),
    KeyEntry("job_pause", "p", "pause", "pause", "schedule", "Let the selected job wait, or go on.", 21),
    KeyEntry("candidate_promote", "f5", "promote", "promote", "candidates", "Let the selected strategy go one stage further; "
             "asks for its name.", 20),
    KeyEntry("candidate_demote", "d", "demote", "demote", "candidates", "Take the selected strategy one stage back; asks "
             "once.", 21),
    KeyEntry("risk_part", "n", "next_part", "next part", "risk", "The next part: heat, exposure, limits, correlation.", 20),
    KeyEntry("risk_portfolio", "p", "next_portfolio", "portfolio", "risk", "Show the next portfolio.", 21),
    KeyEntry("risk_up", "up,k", "scroll_by(-1)", "up", "risk", "One line up.", 0),
    KeyEntry("risk_down", "down,j", "scroll_by(1)", "down", "risk", "One line down.", 0),
    KeyEntry("risk_page_up", "pageup", "scroll_by(-10)", "page up", "risk", "Ten lines up.", 0),
    KeyEntry("risk_page_down", "pagedown,space", "scroll_by(10)", "page down", "risk", "Ten lines down.", 0),
    KeyEntry("risk_back", "r", "back", "back", "risk", "Back to the workstation.", 0),
    KeyEntry("performance_part", "n", "next_part", "next part", "performance", "The next part: figures, months, causes, "
             "round trips.", 20),
    KeyEntry("performance_portfolio", "p", "next_portfolio", "portfolio", "performance", "Show the next portfolio.", 21),
    KeyEntry("performance_scroll", "space", "scroll_on", "scroll", "performance", "A page down; at the end to the top.", 0),
    KeyEntry("performance_back", "P", "back", "back", "performance", "Back to the workstation.", 0),
    KeyEntry("research_run", "f5", "run_now", "run now", "research", "Look into the portfolio's market now.", 20),
    KeyEntry("research_part", "n", "next_part", "next part", "research", "The next part: now, decisions, calibration, threads, "
             "events.", 21),
    KeyEntry("research_portfolio", "p", "next_portfolio", "portfolio", "research", "Show the next portfolio.", 22),
    KeyEntry("research_stop", "x", "stop_run", "stop", "research", "End the run that is under way.", 0),
    KeyEntry("research_apply", "y", "apply_change", "apply", "research", "Apply the first proposed change; asks once.", 0),
    KeyEntry("research_reject", "d", "reject_change", "reject", "research", "Leave that parameter as it is.", 0),
    KeyEntry("research_scroll", "space", "scroll_on", "scroll", "research", "A page down; at the end to the top.", 0),
    KeyEntry("research_back", "K", "back", "back", "research", "Back to the workstation.", 0),
    KeyEntry("decision_up", "up,k", "scroll_by(-1)", "up", "decision", "One line up.", 0),
    KeyEntry("decision_down", "down,j", "scroll_by(1)", "down", "decision", "One line down.", 0),
    KeyEntry("decision_page_up", "pageup", "scroll_by(-10)", "page up", "decision", "Ten lines up.", 0),
    KeyEntry("decision_page_down", "pagedown,space", "scroll_by(10)", "page down", "decision", "Ten lines down.", 0),
    KeyEntry("card_approve", "a", "approve", "approve", "card", "Approve exactly what is shown.", 20),
    KeyEntry("card_decline", "d", "decline", "decline", "card", "Decline it, with a reason.", 21),
    KeyEntry("card_halve", "h", "halve", "halve", "card", "Put half of it in its place: a new card to read and approve.", 22),
    KeyEntry("card_details", "i", "details", "details", "card", "Everything that research has on it: voices, prompts, snapshot.",
             23),
    KeyEntry("card_marks", "f", "marks", "marks", "card", "Open the marks on texts behind it; unread they keep it from being "
             "approved.", 24),
    KeyEntry("card_seen", "enter", "seen", "seen", "card", "Say that a changed card has been read again.", 25),
    KeyEntry("card_scroll", "space", "scroll_on", "scroll", "card", "Show what is below, where the card is longer than the "
             "screen.", 0),
)

ACTING = frozenset({
    "panic", "flatten", "buy", "sell", "protect", "close", "cancel", "settle", "decline", "acknowledge", "reconcile", "send",
    "set_rule", "rebalance", "research_run", "research_stop", "research_apply", "research_reject", "strategy_switch",
    "job_run", "job_pause", "candidate_promote", "candidate_demote", "card_approve", "card_decline",
    "card_halve"})
"""What changes something: who only looks on is told why these keys do nothing."""


def bindings_for(scope: str) -> list[Binding | tuple[str, str] | tuple[str, str, str]]:
    """Textual's bindings of one scope; a person's own keys are laid over them by id."""
    return [Binding(entry.keys, entry.action, entry.label, id=entry.entry_id, priority=entry.priority, show=False)
            for entry in KEYMAP if entry.scope == scope]


SCOPE_TITLES = {"app": "Everywhere; in a dialog those with F or ^",
                "main": "Workstation", "grid": "In a table", "dialog": "In a dialog",
                "ticket": "Order ticket", "card": "Decision card", "alert-rules": "Alert rules", "risk": "Risk",
                "targets": "Targets", "schedule": "Schedule",
                "candidates": "Candidates", "performance": "Performance", "strategies": "Strategies",
                "research": "Research", "decision": "A decision of research"}
_VISIBLE_TOGETHER = (("app", "main", "grid"), ("app", "dialog", "ticket"), ("app", "dialog", "card"), ("app", "dialog", "risk"),
                     ("app", "dialog", "grid", "alert-rules"), ("app", "dialog", "grid", "schedule"),
                     ("app", "dialog", "grid", "targets"), ("app", "dialog", "grid", "candidates"),
                     ("app", "dialog", "grid", "performance"), ("app", "dialog", "grid", "research"),
                     ("app", "dialog", "decision"),
                     ("app", "dialog", "grid", "strategies"), ("app", "dialog", "grid", "golive"))
_SHOWN = {"question_mark": "?", "colon": ":", "slash": "/", "escape": "esc", "pageup": "pgup", "pagedown": "pgdn",
          "enter": "⏎", "up": "↑", "down": "↓"}


def shown_key(key: str) -> str:
    """A key as people write it: `^X`, `F9`, `?`."""
    if key.startswith("ctrl+"):
        return "^" + key.removeprefix("ctrl+").upper()
    if key.startswith("f") and key[1:].isdigit():
        return key.upper()
    return _SHOWN.get(key, key)


def keymap_with(overrides: Mapping[str, str]) -> tuple[KeyEntry, ...]:
    """The table with a person's own keys; `overrides` maps an entry's id to its keys.

    Raises `ConfigError` where an id is unknown, a key would mean two things at once, or a required act lost its key.
    """
    known = {entry.entry_id: entry for entry in KEYMAP}
    for entry_id, keys in overrides.items():
        if entry_id not in known:
            raise ConfigError(f"keys.{entry_id}: no such act; known are {', '.join(sorted(known))}")
        if not keys.strip(" ,") and known[entry_id].required:
            raise ConfigError(f"keys.{entry_id}: this act cannot be without a key; give it another one")
    table = tuple(entry._replace(keys=overrides.get(entry.entry_id, entry.keys)) for entry in KEYMAP)
    _refuse_clashes(table)
    return table


def _refuse_clashes(table: tuple[KeyEntry, ...]) -> None:
    for scopes in _VISIBLE_TOGETHER:
        taken: dict[str, str] = {}
        for entry in table:
            if entry.scope not in scopes:
                continue
            for key in filter(None, (part.strip() for part in entry.keys.split(","))):
                if key in taken:
                    raise ConfigError(f"keys.{entry.entry_id}: {key!r} already means {taken[key]!r}; "
                                      "choose another key")
                taken[key] = entry.entry_id
