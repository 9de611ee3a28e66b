"""What a home's journal adds up to, without an engine: the state, and the snapshot that a query shows."""

import logging

from msgspec.structs import replace

from engine.events import VERSIONS
from engine.market import MarketView
from engine.service import HealthView, Mode, PositionView, Snapshot, StopHome
from engine.state import SNAPSHOT_FORMAT, State, decode_state
from engine.views import snapshot as snapshot_of
from store import snapshots
from store.archive import folded, state_at
from store.home import Home
from store.read import chain_hash, is_blank, journal_rows
from store.upcasters import Upcasters

REPLAY_MARKER = "replay.json"
_log = logging.getLogger("quarterdeck.home")


def restored_state(home: Home) -> State:
    """The state of a home's journal: the newest verified snapshot and the rows after it; else what the archived rows add up to,
    as the journal keeps it, and the rows since; else all rows.

    Raises `JournalDamaged` naming the row that is not what was written.
    """
    if not home.journal.is_file() or is_blank(home.journal):
        return State()
    loaded = snapshots.load_latest(home.snapshots, SNAPSHOT_FORMAT, lambda seq: chain_hash(home.journal, seq))
    for warning in loaded.warnings:
        _log.warning("snapshot passed over: %s", warning)
    if loaded.snapshot is None:
        return state_at(home.journal)
    state = decode_state(loaded.snapshot.blob)
    return folded(state, Upcasters(VERSIONS).rows(journal_rows(home.journal, state.seq + 1)))


def folded_snapshot(home: Home) -> Snapshot | None:
    """What the journal adds up to, as a screen would show it without prices; None where nothing is recorded."""
    state = restored_state(home)
    if not state.seq:
        return None
    live = any(portfolio.settings.live for portfolio in state.portfolios.values())
    mode = Mode.REPLAY if (home.path / REPLAY_MARKER).exists() else Mode.LIVE if live else Mode.PAPER
    health = HealthView(journal_seq=state.seq, journal_lag_ms=0.0, inputs_per_second=0.0, queue_depth=0,
                        uptime_seconds=0.0, replay_position="", replay_speed="")
    shown = snapshot_of(state, MarketView(), state.at_ns, version=0, mode=mode, health=health)
    return replace(shown, positions=tuple(_unwatched(position) for position in shown.positions))


def _unwatched(position: PositionView) -> PositionView:
    """A position as it is without an engine: a stop that is not at the venue guards nothing."""
    if position.stop_home is StopHome.VENUE:
        return position
    return replace(position, unprotected_now=True, stop_home_detail="no engine runs: nobody watches this position")
