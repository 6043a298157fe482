"""A live session's journal: what the exchange said of each order beside what was booked."""

from __future__ import annotations

from typing import Any

from dolphin.core.records import Market, Records, State, Words
from dolphin.errors import Damaged
from dolphin.journal.schema import ACCEPTED, SUBMITTED
from dolphin.journal.session import SessionJournal
from dolphin.journal.writer import JournalWriter, json_text, wanted
from dolphin.live.binance.assembler import Late
from dolphin.live.binance.outcomes import Part


class LiveJournal(SessionJournal):
    """Write-ahead, with the exchange's ids.

    An order's parts are written as they come, as events that book nothing (status ACCEPTED, with the part in their
    ids); once it is settled one event books all of it, as the session does.

    Attributes
    ----------
    unfinished : int
        A bar whose row stands in the journal already, and that is decided again; -1 for none.
    intents : dict
        What was wished in it, by slot.
    """

    def __init__(self, writer: JournalWriter) -> None:
        super().__init__(writer, write_ahead=True)
        self.unfinished = -1
        self.intents: dict[int, tuple[Any, ...]] = {}
        self._notes: dict[int, dict[str, str]] = {}
        self._orders: dict[int, Any] = {}
        self._bar = self._next = -1

    def go_on_behind(self, bar: int) -> None:
        """A restart: ``bar`` is the last that was closed."""
        self._bar, self._next = bar, bar + 1

    def turn(self, writer: JournalWriter) -> None:
        """Go on in another file: a new day's."""
        self.writer = writer

    def opened(self, market: Market, bar: int) -> None:
        """See :class:`~dolphin.journal.session.SessionJournal`."""
        self._bar = self._next = bar
        self._ts = int(market.ts[bar])
        if bar != self.unfinished:
            super().opened(market, bar)

    def decided(self, state: State, bar: int) -> None:
        """See there; wishes that stand in the journal are compared and not written again."""
        if bar != self.unfinished or not self.intents:
            super().decided(state, bar)
            return
        wished = {slot: state.intents[slot].item() for slot in wanted(state.intents)}
        if wished != self.intents:
            raise Damaged(
                f"bar {bar} was decided otherwise before the session was killed", where=str(self.writer.path),
                mend="nothing was sent; see dolphin journal show",
            )  # fmt: skip

    def keep(self, slot: int, order: Records) -> None:
        """What later events of the slot are about."""
        self._orders[slot] = order.copy()

    def note(self, slot: int, ids: dict[str, str]) -> None:
        """What the next event of the slot's order is to say."""
        self._notes[slot] = ids

    def event(self, order: Any, bar: int, slot: int, status: int, **more: Any) -> None:
        """See :class:`~dolphin.journal.session.SessionJournal`."""
        more["ids"] = self._notes.pop(slot, None) or more.get("ids")
        super().event(order, bar, slot, status, **more)

    def sent(self, slot: int, order: Records, client_id: str, *, wished: bool = True) -> None:
        """An order is about to go out; the intent of one that was ``wished`` is durable already."""
        self.keep(slot, order)
        super().event(order, self._bar, slot, SUBMITTED, phase=int(wished), ids={"client_id": client_id})
        if not wished:
            self.writer.flush(order=True)

    def closed(self, market: Market, state: State, bar: int, stages: Words) -> None:
        """See there; what is heard from now on belongs to the next bar."""
        super().closed(market, state, bar, stages)
        self._next = bar + 1

    def accepted(self, slot: int, order_id: str, order: Records | None = None) -> None:
        """The exchange has it; ``order`` is another than the slot's last."""
        about = self._orders[slot] if order is None else order
        super().event(about, self._next, slot, ACCEPTED, phase=1, ids={"order_id": order_id})

    def part(self, slot: int, part: Part, order: Records | None = None) -> None:
        """An execution, as it comes."""
        about = self._orders[slot] if order is None else order
        ids = {name: str(value) for name, value in part._asdict().items()}
        super().event(about, self._next, slot, ACCEPTED, phase=1, ts=part.ts, ids={"part": json_text(ids)})

    def late(self, late: Late) -> None:
        """A bar that changed nothing."""
        self.writer.text("gap", json_text({"late": late._asdict()}), self._bar)

    def said(self, kind: str, document: dict[str, Any]) -> None:
        """A record of an operator or of risk."""
        self.writer.text(kind, json_text(document), self._bar)
        self.writer.flush()
