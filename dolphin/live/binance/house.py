"""What a trader asks of those who keep its session: what may be sent, what is to be closed, what to write down."""

from __future__ import annotations

from collections.abc import Sequence

from dolphin.core.records import Records
from dolphin.live.answers import Given
from dolphin.live.feed import Row
from dolphin.live.session import Session


class House:
    """Keeps nothing and forbids nothing: a drill's. A session's own is in :mod:`dolphin.trade.live`."""

    async def ready(self) -> None:
        """Once, before the first new row: books are compared."""

    def begins(self, row: Row) -> Row:
        """A row came and nothing is written of it yet; the row as it is to be decided on."""
        return row

    def given(self) -> Sequence[Given]:
        """What an operator says is ours, to be booked in this row."""
        return ()

    def closings(self) -> Sequence[int]:
        """The slots whose positions are to be closed in this row, whoever wants it."""
        return ()

    def stops(self, session: Session, order: Records) -> str | None:
        """Why an order may not go out; None if it may."""
        return None

    def sent(self, session: Session, order: Records) -> None:
        """An order that was not stopped is out; nothing waits for what is noted of it."""

    def interrupted(self, orders: Sequence[str]) -> None:
        """The session is to end, and waits for the row at hand; these orders of it are on their way."""

    def refused(self, client_id: str, symbol: str, why: str) -> None:
        """The exchange did not take an order."""

    def unprotected(self, symbol: str, why: str, closed: str) -> None:
        """The exchange did not take what was to protect a position; ``closed`` is why that is held still, if it is."""

    def closed(self) -> None:
        """The row is closed and every order of it settled."""
