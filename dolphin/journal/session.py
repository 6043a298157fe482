"""What a session says to its journal, bar by bar."""

from __future__ import annotations

from typing import Any

from dolphin.core.records import Market, Records, State, Words
from dolphin.journal.schema import REJECTED
from dolphin.journal.writer import JournalWriter, json_text, wanted, write_working


class SessionJournal:
    """The journal of one session whose fills come from an exchange.

    Parameters
    ----------
    writer : JournalWriter
    write_ahead : bool
        Whether a bar's inputs are written before it is decided, and intents before they are sent, so that a kill
        loses neither; otherwise a bar is one record, written when it closes.
    """

    def __init__(self, writer: JournalWriter, *, write_ahead: bool) -> None:
        self.writer, self.write_ahead = writer, write_ahead
        self._ts = 0

    def history(self, market: Market, start: int, rows: int) -> None:
        """The rows before the first bar that decisions may read."""
        for bar in range(max(0, start - rows), start):
            self.writer.inputs("history", market, bar)
        self.writer.flush()

    def opened(self, market: Market, bar: int) -> None:
        """Row ``bar`` is there and nothing was decided."""
        self._ts = int(market.ts[bar])
        if self.write_ahead:
            self.writer.inputs("row", market, bar)
            self.writer.flush()
        else:
            self.writer.scanned()

    def decided(self, state: State, bar: int) -> None:
        """What is wished, before it is sent."""
        intents = state.intents
        wished = wanted(intents)
        for slot in wished:
            self.writer.order("intent", bar, self._ts, intents[slot], slot)
        if wished and self.write_ahead:
            self.writer.flush(order=True)

    def event(
        self, order: Any, bar: int, slot: int, status: int, *, phase: int, ts: int | None = None, bank: int = 0,
        commission: float = 0.0, ids: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        """What became of an order, at exchange time ``ts``; ``ids`` are the exchange's (trade_id, order_id)."""
        self.writer.order(
            "event", bar, self._ts if ts is None else ts, order, slot, bank=bank, phase=phase, status=status,
            commission=commission, text=json_text(ids) if ids else "",
        )  # fmt: skip
        if self.write_ahead:
            self.writer.flush()

    def rejected(
        self, order: Records, bar: int, slot: int, *, phase: int, ts: int | None = None, why: str = ""
    ) -> None:  # fmt: skip
        """An order that the exchange, or a limit of ours, would not have."""
        self.event(order, bar, slot, REJECTED, phase=phase, ts=ts, ids={"why": why} if why else None)

    def closed(self, market: Market, state: State, bar: int, stages: Words) -> None:
        """The bar is marked and folded."""
        writer, account = self.writer, state.account[0]
        digest = int(account["digest"])
        write_working(writer, state, bar, self._ts)
        if self.write_ahead:
            writer.decision(bar, self._ts, account, digest, stages)
        else:
            writer.whole_bar(market, bar, account, digest, stages)
        writer.bar_done(state, bar, self._ts)
