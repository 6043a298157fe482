"""Where a live session trades, and the feed of what it sees there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dolphin.catalog import Dataset
from dolphin.live.binance.asking import Client
from dolphin.live.binance.assembler import Late
from dolphin.live.binance.feed import BinanceFeed
from dolphin.live.binance.hooks import REST
from dolphin.live.binance.trader import ASK_AFTER
from dolphin.live.binance.vigil import EVERY


@dataclass(frozen=True)
class Venue:
    """Where is traded, and what.

    Attributes
    ----------
    dataset : Dataset
        Symbols, grids, spacing and the number of each row are its, so that research can decide the days again.
    environment : str
        ``live``, ``testnet`` or ``demo``.
    url : str, optional
        Another exchange's REST address, such as a drill's.
    leverage : int, optional
        What every symbol must be set to.
    ask_after, check_every : float
        Seconds until an order is asked about, and between two looks at the account.
    """

    dataset: Dataset
    environment: str = "testnet"
    url: str | None = None
    leverage: int | None = None
    ask_after: float = ASK_AFTER
    check_every: float = EVERY

    @property
    def address(self) -> str:
        """Of its REST interface."""
        return self.url or REST[self.environment]

    @property
    def name(self) -> str:
        """As the session's folder names its feed."""
        return f"binance {self.environment}" + (f" {self.url}" if self.url and "127.0.0.1" not in self.url else "")


def feed_of(
    client: Client, venue: Venue, on_late: Callable[[Late], None] | None = None, columns: Sequence[str] = ()
) -> BinanceFeed:  # fmt: skip
    """The exchange's klines; rows have the dataset's numbers."""
    dataset = venue.dataset
    return BinanceFeed(
        client, dataset.instruments, dataset.reference, dataset.spacing_ns, int(dataset.first_ts), on_late=on_late,
        name=venue.name, columns=columns,
    )  # fmt: skip
