"""A journal as one side of a comparison: few records are read, and a stretch is decided again from a kept state."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.config import Config
from dolphin.core.records import Floats, Ints, Market, Words
from dolphin.errors import DolphinError
from dolphin.journal import Journal
from dolphin.journal.header import check_header
from dolphin.journal.held import Held, hold
from dolphin.journal.replaying import Replayer
from dolphin.journal.schema import LEAST_TEXT, STATUSES, template
from dolphin.parity.fields import copied
from dolphin.parity.sides import About, Around, Scene, order_text


class JournalSide:
    """A journal; ``config`` is that of its header unless given.

    Raises
    ------
    DolphinError
        If it holds no bar.
    """

    def __init__(self, journal: Journal, research: Path | None = None, config: Config | None = None) -> None:
        self.journal, self.label = journal, str(journal.path)
        self._research, self._config = research, config
        header = journal.header
        check_header(header, journal.path)
        data = header["dataset"]
        made = data["name"], data["digest"], header["engine_digest"], bool(data.get("synthetic"))
        self.about = About(header["config"], header["config_hash"], *made)
        if not journal.bars:
            raise DolphinError("holds no bar that was closed", where=self.label)

    @property
    def bars(self) -> int:
        """How many bars it has."""
        return self.journal.bars

    def ts_at(self, k: int) -> int:
        """When bar ``k`` closed."""
        return self.journal.bar_at(k).ts

    def digest_at(self, k: int) -> int:
        """The chained digest of bar ``k``."""
        return self.journal.bar_at(k).digest

    @cached_property
    def player(self) -> Replayer:
        """What decides its bars again."""
        return Replayer(self.journal, self._research, self._config)

    def curves(self) -> tuple[Floats, Floats, Ints]:
        """Equity, capital and whether a position is open, per bar."""
        index = self.journal.index(check=False)
        account = self.journal.field(index, index.of(self.journal.closing), "account")
        return account[:, 1], account[:, 0], (account[:, 2] > 0).astype(np.int64)

    def scene(self, k: int, before: int, after: int, later: int) -> Scene:
        """Bar ``k`` decided again, with ``before`` and ``after`` bars around it and ``later`` bars of inputs."""
        player = self.player
        low, stop = max(0, k - before), min(self.bars, k + 1 + max(after, later))
        first, text = self._kept_state(low)
        lookback = int(self.journal.header["lookback"])
        held, origin = self._window(max(0, first - lookback), stop)
        state = player.unpacked(text) if text is not None else player.start(held)
        market = held.market(first - origin, stop - origin)
        player.run(state, held, first - origin, k - origin, market=market)
        kept = copied(state)
        digests, words = player.run(state, held, k - origin, k - origin + 1, market=market)
        row = int(held.bars[k - origin])
        high = min(self.bars, k + after + 1)
        part = slice(low - origin, high - origin)
        symbols = tuple(self.journal.header["symbols"])
        told = _by_bar(held, symbols)
        around = Around(
            low, held.bars[part], held.ts[part], held.account[part, 1], held.account[part, 0],
            held.account[part, 2].astype(np.int64), held.digests[part],
            [told.get(int(bar), []) for bar in held.bars[part]],
        )  # fmt: skip
        again = int(digests[0])
        # What was written down counts; what this code makes of it is beside it.
        recorded = held.stages[k - origin]
        events = [_event(e) for e in held.events if e.bar == row]
        end = min(self.bars, k + 1 + later) - origin
        return Scene(
            player.config, symbols, market, row, int(held.bars[end - 1]) + 1, kept, state,
            recorded if again != int(held.digests[k - origin]) else words[0], again,
            held.digests[k - origin + 1 : end], around, events,
        )  # fmt: skip

    def go_on(self, scene: Scene, market: Market, stop: int) -> Words:
        """Digests of the rows after the scene's up to ``stop``, decided on this market from the state after it.

        The fills are this journal's own.
        """
        k = self._number(scene)
        held, origin = self._window(k, min(self.bars, k + stop - scene.row))
        rows = np.searchsorted(held.bars, (scene.row + 1, stop))
        digests, _ = self.player.run(copied(scene.after), held, int(rows[0]), int(rows[1]), market=market)
        assert origin == k
        return digests

    def fills_after(self, scene: Scene, stop: int) -> dict[tuple[Any, ...], tuple[float, ...]]:
        """Fills after the scene's bar by (slot, bar of the wish, bar, action, asset, side): quantity, price, fee."""
        k = self._number(scene)
        held, _ = self._window(k, min(self.bars, k + stop - scene.row))
        return {
            (b["slot"], b["bar"], b["at"], b["action"], b["asset"], b["side"]): (b["qty"], b["price"], b["fee"])
            for b in ({name: row[name].item() for name in row.dtype.names} for row in held.bookings.records)
            if b["at"] > scene.row and b["qty"] > 0.0 and b["price"] > 0.0
        }

    def _number(self, scene: Scene) -> int:
        """The number of the scene's bar."""
        return scene.around.first + int(np.searchsorted(scene.around.bars, scene.row))

    def _window(self, low: int, high: int) -> tuple[Held, int]:
        """Bars ``low`` to ``high`` in memory, and the number of the first of them."""
        start = self.journal.start if low == 0 else _end(self.journal, low - 1)
        index = self.journal.index(low=start, high=_end(self.journal, high - 1))
        return hold(self.journal, index, self.player.banks), low

    def _kept_state(self, k: int) -> tuple[int, str | None]:
        """The first bar that can be decided from a state in the file, at most ``k``, and that state's text.

        (0, None) where there is none before.
        """
        journal = self.journal
        of = template(journal.shape, "state", LEAST_TEXT)
        sign, at = of.front[of.body :], journal.bar_at(k).offset
        while (at := journal.find_before(sign, at)) >= 0:
            found = journal.template_at(at - of.body)
            if found is not None and found.kind == "state" and journal.intact(at - of.body, found):
                place = at - of.body
                following = journal.closing_from(place)
                assert following is not None and journal.first is not None
                return following.ordinal - journal.first.ordinal, journal.text_at(place, found)
        return 0, None


def _end(journal: Journal, k: int) -> int:
    closing = journal.bar_at(k)
    return closing.offset + closing.size


def _event(event: Any) -> tuple[Any, ...]:
    status = STATUSES[int(event["status"])].lower().replace("_", " ")
    slot, order = event.order
    return slot, order, status, *(event[name] for name in ("action", "asset", "side", "qty", "price", "fee"))


def _by_bar(held: Held, symbols: tuple[str, ...]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for event in held.events:
        found.setdefault(event.bar, []).append(order_text(_event(event), symbols))
    return found


class ReplayedSide(JournalSide):
    """A journal as it is decided again by the code that is here (rung 4)."""

    def __init__(self, journal: Journal, research: Path | None = None) -> None:
        super().__init__(journal, research)
        self.label = f"{journal.path}@rung4"
        self._replay()

    def _replay(self) -> None:
        journal = self.journal
        held = hold(journal, journal.index(), self.player.banks)
        self._again, _ = self.player.run(self.player.start(held), held, 0, len(held.bars))

    def digest_at(self, k: int) -> int:
        """The chained digest of bar ``k``, decided again."""
        return int(self._again[k])
