"""The account and risk strip: what kind of money first, then money, risk, state, connection and what waits."""

from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from engine.inputs import Connectivity, TradingState
from engine.service import (
    AccessView,
    AccountView,
    AlertLevel,
    FlattenView,
    Mode,
    ProposalStatus,
    Snapshot,
)
from engine.units import NS_PER_SECOND
from tui.formats import age, arrow, clock, countdown, gain_tone, money, percent, plain, plural, zone_name
from tui.widgets.chips import Chip, chip, chip_line

if TYPE_CHECKING:
    from tui.theming import Tones

MODE_WORDS = {Mode.PAPER: " PAPER ", Mode.REPLAY: " ▷ REPLAY ", Mode.LIVE: " ■ LIVE ■ "}
STATE_WORDS = {TradingState.ACTIVE: ("● ACTIVE", "good"), TradingState.REDUCING: ("◐ REDUCING", "warn"),
               TradingState.HALTED: ("■ HALTED", "crit")}
LINK_WORDS = {Connectivity.LIVE: ("● venue", "good"), Connectivity.RECONCILING: ("◐ comparing", "warn"),
              Connectivity.DOWN: ("○ VENUE DOWN", "crit")}


class StatusStrip(Widget):
    """Two lines at the top of the workstation."""

    DEFAULT_CSS = "StatusStrip { height: 2; width: 1fr; }"

    def __init__(self, zone: tzinfo = UTC) -> None:
        super().__init__(id="strip")
        self.zone = zone
        self._lines: tuple[list[Chip], list[Chip]] = ([], [])
        self._mode: Mode | None = None

    def show(self, snapshot: Snapshot, portfolio: str, access: AccessView = AccessView()) -> None:  # noqa: B008 - it is frozen
        """Bring the strip up to date; nothing is painted where nothing changed."""
        account = account_of(snapshot, portfolio)
        mode, *money_line = money_chips(snapshot, account, self.zone)
        lines = ([mode, *access_chips(access), *money_line], state_chips(snapshot, account))
        if lines != self._lines or snapshot.mode is not self._mode:
            self._lines, self._mode = lines, snapshot.mode
            self.refresh()

    def render_line(self, y: int) -> Strip:
        tones: Tones = self.app.tones  # type: ignore[attr-defined]
        base, width = self.rich_style, self.size.width
        chips = self._lines[y] if y < 2 else []
        if not chips:
            chips = [chip(" Waiting for the engine…", "muted")] if y == 0 else []
        segments = chip_line(chips, width - 1, tones, base)
        return Strip([*segments, Segment(" ", base)]).adjust_cell_length(width, base)


def account_of(snapshot: Snapshot, portfolio: str) -> AccountView | None:
    """The account of a portfolio, the first one where it is not there."""
    for account in snapshot.accounts:
        if account.portfolio == portfolio:
            return account
    return snapshot.accounts[0] if snapshot.accounts else None


def money_chips(snapshot: Snapshot, account: AccountView | None, zone: tzinfo) -> list[Chip]:
    """Mode, account, equity, the day, heat, exposure, clock."""
    chips = [chip(MODE_WORDS[snapshot.mode], snapshot.mode.value.lower())]
    if account is None:
        return [*chips, chip("no account yet", "muted"), chip(clock(snapshot.at_ns, zone), "muted", 2)]
    decimals, tone = account.money_decimals, gain_tone(account.day_pnl)
    position = f" {_place(snapshot, account)}" if len(snapshot.accounts) > 1 else ""
    hot = account.heat_percent > account.heat_limit_percent
    return [
        *chips,
        chip(plain(account.portfolio) + position, "strong", 4),
        Chip((("eq ", "muted"), (money(account.equity, decimals, account.currency), "strong")), 0),
        Chip((("day ", "muted"), (f"{arrow(account.day_pnl)} ", tone),
              (money(account.day_pnl, decimals, signed=True), tone)), 1),
        chip(percent(account.day_pnl_percent, signed=True), tone, 3),
        Chip((("heat ", "muted"), (percent(account.heat_percent, 1).removesuffix("%"), "crit" if hot else ""),
              (f"/{percent(account.heat_limit_percent, 1)}", "muted")), 1),
        chip(heat_bar(account), "crit" if hot else "warn" if _warm(account) else "good", 3),
        *total_chips(snapshot),
        Chip((("exposure ", "muted"), (percent(account.gross_exposure_percent, 0), "")), 5),
        Chip((("power ", "muted"), (money(account.buying_power, decimals), "")), 7),
        Chip((("fees ", "muted"), (money(account.fees, decimals), "")), 8),
        chip(f"{clock(snapshot.at_ns, zone)} {zone_name(snapshot.at_ns, zone)}", "muted", 4),
    ]


def access_chips(access: AccessView) -> list[Chip]:
    """Whether this screen may act: beside the kind of money, since nothing else decides more about what a key does."""
    if access.read_only:
        return [chip("READ ONLY", "warn", 0)]
    if not access.guarded:
        return []
    left = access.unlocked_seconds
    return [chip(f"unlocked {countdown(left)}", "warn", 2) if left > 0 else chip("locked", "muted", 2)]


def total_chips(snapshot: Snapshot) -> list[Chip]:
    """What all portfolios are worth together and what they risk, where there are several; ~ where a rate is missing or stale."""
    total = snapshot.total
    if total is None:
        return []
    hot = bool(total.heat_limit_percent) and total.heat_percent > total.heat_limit_percent
    limit = f"/{percent(total.heat_limit_percent, 1)}" if total.heat_limit_percent else "%"
    return [Chip((("all ", "muted"), ("~" if total.left_out or total.stale else "", "warn"),
                  (money(total.equity, total.money_decimals, total.currency), ""), (" heat ", "muted"),
                  (percent(total.heat_percent, 1).removesuffix("%"), "crit" if hot else ""), (limit, "muted")), 5)]


def state_chips(snapshot: Snapshot, account: AccountView | None) -> list[Chip]:
    """Trading state, connection, quotes, protection, what waits for a person."""
    chips = [Chip(((" ", ""), *flatten_parts(snapshot.flatten), *state_parts(snapshot, account)), 0)]
    if account is not None:
        words, tone = LINK_WORDS[account.connectivity]
        chips.append(chip(words, tone, 0 if account.connectivity is not Connectivity.LIVE else 3))
        chips.append(armed_chip(account, snapshot.at_ns))
    chips.append(quotes_chip(snapshot))
    chips.append(protection_chip(snapshot))
    drift = sum(len(each.drift) for each in snapshot.accounts)
    if drift:
        chips.append(chip(f"≠ DRIFT {drift}", "crit", 0))
    missed = sum(meter.stream != meter.ours for each in snapshot.accounts for meter in each.drift_meter)
    if missed:
        chips.append(chip(f"≠ stream {missed}", "warn", 4))
    pending = [view for view in snapshot.proposals if view.status is ProposalStatus.PENDING]
    if pending:
        soonest = min(view.seconds_left for view in pending)
        chips.append(chip(f"? {len(pending)} wait {countdown(soonest)}", "pending", 1))
    chips.append(alerts_chip(snapshot))
    if account is not None:
        chips.append(chip(account.automation.value.replace("_", " "), "muted", 5))
    if snapshot.mode is Mode.REPLAY and snapshot.health.replay_position:
        chips.append(chip(f"▷ {plain(snapshot.health.replay_position)} {plain(snapshot.health.replay_speed)}", "", 2))
    chips.append(chip(f"journal {snapshot.health.journal_seq:,} {snapshot.health.journal_lag_ms:.0f}ms", "muted", 8))
    return [each for each in chips if each.width]


def state_parts(snapshot: Snapshot, account: AccountView | None) -> Sequence[tuple[str, str]]:
    """The trading state of the shown portfolio, and how many others differ."""
    if account is None:
        return (("○ starting", "warn"),)
    words, tone = STATE_WORDS[account.trading_state]
    others = sum(each.trading_state is not account.trading_state for each in snapshot.accounts)
    return ((words, tone), *(((f" (+{others} other)", "warn"),) if others else ()))


def flatten_parts(flatten: FlattenView | None) -> Sequence[tuple[str, str]]:
    """How far a flatten is; silent once it ended flat."""
    if flatten is None or (flatten.finished and flatten.flat):
        return ()
    left = sum(line.lots_left != 0 for line in flatten.lines)
    if flatten.finished:
        return ((f"✗ NOT FLAT, {left} left ", "crit"),)
    return ((f"■ FLATTENING {len(flatten.lines) - left}/{len(flatten.lines)} ", "crit"),)


def armed_chip(account: AccountView, at_ns: int) -> Chip:
    """Whether real money may open positions, and for how much longer; silent on paper."""
    if not account.live:
        return chip("")
    if not account.armed_until_ns:
        return chip("▢ NOT ARMED", "warn", 0)
    return chip(f"■ ARMED {countdown((account.armed_until_ns - at_ns) / NS_PER_SECOND)}", "crit", 0)


def quotes_chip(snapshot: Snapshot) -> Chip:
    """The age of the newest quote, and how many held instruments have an old one."""
    ages = [quote.age_seconds for quote in snapshot.quotes if quote.age_seconds is not None]
    stale = [view for view in snapshot.positions if view.mark_stale]
    if stale:
        oldest = max((view.mark_age_seconds or 0.0 for view in stale), default=0.0)
        return chip(f"! {len(stale)} stale {age(oldest)}", "stale", 0)
    return chip(f"quotes {age(min(ages))}" if ages else "no quotes", "muted" if ages else "warn", 2)


def protection_chip(snapshot: Snapshot) -> Chip:
    """How many positions are without a stop right now."""
    bare = [view for view in snapshot.positions if view.unprotected_now]
    if bare:
        longest = max(view.unprotected_seconds for view in bare)
        return chip(f"✗ {len(bare)} UNPROTECTED {countdown(longest)}", "crit", 0)
    if not snapshot.positions:
        return chip("flat", "muted", 3)
    return chip(f"✓ {len(snapshot.positions)} protected", "good", 2)


def alerts_chip(snapshot: Snapshot) -> Chip:
    """Alerts that nobody acknowledged, by the worst level."""
    unread = [view for view in snapshot.alerts if not view.acknowledged and view.level is not AlertLevel.INFO]
    if not unread:
        return chip("")
    loud = any(view.level in (AlertLevel.ERROR, AlertLevel.CRIT) for view in unread)
    return chip(f"! {plural(len(unread), 'alert')}", "crit" if loud else "warn", 2)


def heat_bar(account: AccountView, cells: int = 6) -> str:
    """Heat against its limit, as a bar."""
    limit = account.heat_limit_percent or 1.0
    filled = min(cells, max(0, round(account.heat_percent / limit * cells)))
    return "▰" * filled + "▱" * (cells - filled)


def _warm(account: AccountView) -> bool:
    return account.heat_percent > 0.8 * account.heat_limit_percent


def _place(snapshot: Snapshot, account: AccountView) -> str:
    return f"{snapshot.accounts.index(account) + 1}/{len(snapshot.accounts)}"
