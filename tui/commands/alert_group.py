"""The words of the commands that set alert rules."""

from typing import Annotated

import typer

from tui.commands.options import Json, Portfolio, home_of, leave

alert = typer.Typer(help="Alert rules: add, list, remove, enable, disable, test.", rich_markup_mode=None)

Condition = Annotated[str, typer.Argument(metavar="CONDITION", show_default=False,
                                          help="Such as 'BTC/USD price > 70000 and spread < 5bps'.")]
Do = Annotated[list[str] | None, typer.Option(
    "--do", help="What to do: notify, 'buy 0.1 BTC/USD stop 65000', 'close BTC/USD', 'tighten BTC/USD to 1%', reduce, halt, "
                 "'research BTC/USD'; may be repeated. Without it: notify.")]
Name = Annotated[str, typer.Option("--id", help="A name of its own; a rule of that name is replaced.")]
Repeat = Annotated[bool, typer.Option("--repeat", help="Fire again once the condition was over; else once.")]
Hysteresis = Annotated[str, typer.Option("--hysteresis", help="By how much of each level it must be over to be ready again.")]
Cooldown = Annotated[str, typer.Option("--cooldown", help="The least time between two firings: 90s, 10m, 2h.")]
Expires = Annotated[str | None, typer.Option("--expires", help="Stop watching after this time: 2h, 3d.")]
Note = Annotated[str, typer.Option("--note", help="Words that go with the alert.")]
RuleId = Annotated[str, typer.Argument(metavar="ID", help="The rule's id, as `alert list` shows it.")]


@alert.command("add")
def add(context: typer.Context, condition: Condition, do: Do = None, name: Name = "", portfolio: Portfolio = "",
        repeat: Repeat = False, hysteresis: Hysteresis = "0.1%", cooldown: Cooldown = "60s", expires: Expires = None,
        note: Note = "", as_json: Json = False) -> None:
    """Watch for a condition, and act when it comes true."""
    from tui.commands import alert_rules

    rule = alert_rules.rule_of(condition, do or [], rule_id=name, portfolio=portfolio, repeat=repeat, hysteresis=hysteresis,
                               cooldown=cooldown, expires=expires, note=note)
    leave(alert_rules.add(home_of(context), rule, as_json=as_json))


@alert.command("list")
def list_rules(context: typer.Context, as_json: Json = False) -> None:
    """Every rule, whether it still watches, and what it saw when it fired."""
    from tui.commands import alert_rules

    alert_rules.list_rules(home_of(context), as_json=as_json)


@alert.command("remove")
def remove(context: typer.Context, rule_id: RuleId, as_json: Json = False) -> None:
    """Forget a rule."""
    from tui.commands import alert_rules

    leave(alert_rules.remove(home_of(context), rule_id, as_json=as_json))


@alert.command("enable")
def enable(context: typer.Context, rule_id: RuleId, as_json: Json = False) -> None:
    """Watch a rule anew, also one that has fired or expired."""
    from tui.commands import alert_rules

    leave(alert_rules.switch(home_of(context), rule_id, enabled=True, as_json=as_json))


@alert.command("disable")
def disable(context: typer.Context, rule_id: RuleId, as_json: Json = False) -> None:
    """Stop watching a rule without forgetting it."""
    from tui.commands import alert_rules

    leave(alert_rules.switch(home_of(context), rule_id, enabled=False, as_json=as_json))


What = Annotated[str, typer.Argument(metavar="CONDITION|ID", show_default=False, help="A condition, or a rule's id.")]


@alert.command("test")
def try_out(context: typer.Context, condition: What, portfolio: Portfolio = "", as_json: Json = False) -> None:
    """What each part of a condition reads now; nothing is recorded, nothing fires."""
    from tui.commands import alert_rules

    leave(alert_rules.read(home_of(context), condition, portfolio, as_json=as_json))
