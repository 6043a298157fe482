"""Rung 4: every bar of a journal decided again, from what was recorded and what was filled."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.config import Config
from dolphin.core.compiling import guarded
from dolphin.core.digest import STAGES
from dolphin.core.engine import NO_TRADES
from dolphin.core.records import Market, Records, State, Words
from dolphin.core.snapshot import from_arrays
from dolphin.errors import Damaged, DolphinError
from dolphin.journal import kernels
from dolphin.journal.header import check_header, config_of
from dolphin.journal.held import Held, empty_stages, hold
from dolphin.journal.reader import Index, Journal
from dolphin.journal.writer import unpack_state
from dolphin.times import format_time

#: Bars whose inputs are in memory at once.
AT_ONCE = 1 << 15


@dataclass(frozen=True)
class Replayed:
    """What replaying a journal found; ``first`` is the first bar (of those held) that differs, None if none does."""

    bars: int
    first: int | None
    bar: int | None
    time: str | None
    stage: str | None
    differing: int
    sentence: str
    seconds: float
    duplicates: int = 0
    torn: int = 0
    ended: bool = True
    engine_differs: bool = False
    problems: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether every digest is the recorded one and nothing contradicts itself."""
        return self.first is None and not self.problems


class Replayer:
    """A journal's session, to be decided again from any state.

    Parameters
    ----------
    journal : Journal
    research : Path, optional
        Where the workspace's strategies are.
    config : Config, optional
        Another than the header's.
    """

    def __init__(self, journal: Journal, research: Path | None = None, config: Config | None = None) -> None:
        check_header(journal.header, journal.path)
        self.journal = journal
        self.config = config_of(journal.header, journal.path, research) if config is None else config
        self.engine = self.config.engine
        self.kernels: Any = guarded(kernels, self.engine.strategy)
        self.params, self.friction = self.config.params_record(), self.config.friction_record()
        self.assets = journal.shape.assets
        if len(self.config.strategy.columns) != journal.shape.features:
            raise DolphinError(
                f"its rows have {journal.shape.features} features, strategy "
                f"'{self.config.strategy_name}' reads {len(self.config.strategy.columns)}",
                where=str(journal.path),
            )

    @property
    def banks(self) -> int:
        """Fills that a slot can have in a bar."""
        return 1 if self.engine.strategy.plain else 3

    def start(self, held: Held) -> State:
        """The state before the first bar that is held: the recorded one, or a flat account at the session's start."""
        if held.state is not None:
            return self.unpacked(held.state[1])
        if int(held.account[0, 3]) != 1:
            raise DolphinError("begins in the middle of a session, without its state", where=str(self.journal.path))
        return self.engine.new_state(self.assets, float(self.journal.header["initial_capital"]))

    def unpacked(self, text: str) -> State:
        """A state as a record holds it."""
        try:
            return from_arrays(self.engine, self.assets, unpack_state(text))
        except (ValueError, KeyError, OSError) as error:
            raise Damaged(f"holds a state that cannot be used: {error}", where=str(self.journal.path)) from None

    def run(
        self,
        state: State,
        held: Held,
        low: int,
        high: int,
        *,
        market: Market | None = None,
        bookings: Records | None = None,
    ) -> tuple[Words, Words]:
        """Bars ``low`` to ``high`` of those held from ``state`` on; digests and stage words.

        ``market`` and ``bookings`` take the place of the journal's.
        """
        book = held.bookings.records if bookings is None else bookings
        digests, stages = np.zeros(high - low, np.uint64), empty_stages(high - low)
        funded = bool(self.journal.header["funded"])
        breaks = np.flatnonzero(np.diff(held.bars[low:high]) != 1) + 1
        edges = sorted({*breaks.tolist(), *range(0, high - low, AT_ONCE), high - low})
        for a, b in pairwise(edges):
            rows = held.market(low + a, low + b) if market is None else market
            first = int(held.bars[low + a])
            booked = int(np.searchsorted(book["at"], first))
            self.kernels.replay(
                state, self.params, self.friction, rows, first - a, first, first + b - a, NO_TRADES,
                book, booked, funded, stages, digests,
            )  # fmt: skip
        return digests, stages


def replay(
    journal: Journal, research: Path | None = None, index: Index | None = None, config: Config | None = None
) -> Replayed:
    """Decide a whole journal again and compare every digest; ``config`` is another than the header's.

    Raises
    ------
    DolphinError
        If the journal is damaged, holds no bar, or names a strategy that is not there.
    """
    began = time.perf_counter()
    index = journal.index() if index is None else index
    player = Replayer(journal, research, config)
    held = hold(journal, index, player.banks)
    digests, stages = player.run(player.start(held), held, 0, len(held.bars))
    seconds = time.perf_counter() - began
    other = player.engine.digest != journal.header["engine_digest"]
    unequal = np.flatnonzero(digests != held.digests)
    where: dict[str, Any] = {"first": None, "bar": None, "time": None, "stage": None}
    sentence = f"all {len(held.bars):,} bars decided again: every digest is the recorded one"
    if len(unequal):
        k = int(unequal[0])
        differs = np.flatnonzero(stages[k] != held.stages[k])
        stage = STAGES[int(differs[0])] if len(differs) else "chain"
        where = {"first": k, "bar": int(held.bars[k]), "time": format_time(held.ts[k]), "stage": stage}
        sentence = (
            f"equal for {k:,} bars; the first that differs is bar {where['bar']:,}, {where['time']}, in stage '{stage}'"
        )
    if held.problems:
        sentence += f"; {len(held.problems)} contradictions in its events"
    return Replayed(
        bars=len(held.bars), **where, differing=len(unequal), sentence=sentence, seconds=seconds,
        duplicates=held.bookings.duplicates, torn=index.torn, ended=index.ended, engine_differs=other,
        problems=held.problems,
    )  # fmt: skip
