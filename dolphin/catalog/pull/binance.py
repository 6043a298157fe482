"""Where Binance publishes klines: the archive's files with their checksums, and the REST interface.

Layout as published by the exchange (github.com/binance/binance-public-data).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dolphin.catalog.pull.fetch import Fetcher
from dolphin.errors import DolphinError

ARCHIVE = "https://data.binance.vision"
INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")


@dataclass(frozen=True)
class MarketEndpoints:
    """One market: where its archive, its REST interface and a page's length are."""

    folder: str
    rest: str
    klines: str
    limit: int


MARKETS = {
    "spot": MarketEndpoints("data/spot", "https://api.binance.com", "/api/v3/klines", 1000),
    "um": MarketEndpoints("data/futures/um", "https://fapi.binance.com", "/fapi/v1/klines", 1500),
}


@dataclass(frozen=True)
class Binance:
    """The addresses of one market."""

    market: MarketEndpoints
    archive: str
    rest: str

    def file_name(self, symbol: str, interval: str, period: str) -> str:
        """Name of the zip of a month (``2024-01``) or a day (``2024-01-15``)."""
        return f"{symbol}-{interval}-{period}.zip"

    def url(self, symbol: str, interval: str, period: str) -> str:
        """Address of that zip; its checksum file has ``.CHECKSUM`` appended."""
        span = "monthly" if len(period) == 7 else "daily"
        name = self.file_name(symbol, interval, period)
        return f"{self.archive}/{self.market.folder}/{span}/klines/{symbol}/{interval}/{name}"

    def checksum(self, fetcher: Fetcher, url: str) -> str | None:
        """SHA-256 that the archive states for a file; None if it has no such file."""
        body = fetcher.get(f"{url}.CHECKSUM")
        if body is None:
            return None
        stated = body.split()[0].decode("ascii", "replace").lower() if body.split() else ""
        if len(stated) != 64 or not set(stated) <= set("0123456789abcdef"):
            raise DolphinError("no SHA-256 in the checksum file", where=f"{url}.CHECKSUM", mend="try again later")
        return stated

    def recent(self, fetcher: Fetcher, symbol: str, interval: str, start_ms: int, stop_ms: int) -> Iterator[str]:
        """CSV lines, as the archive writes them, of the candles that open in [start, stop) and are closed."""
        where = f"{self.rest}{self.market.klines}"
        while start_ms < stop_ms:
            query = {"symbol": symbol, "interval": interval, "startTime": start_ms, "endTime": stop_ms - 1}
            body = fetcher.get(where, query | {"limit": self.market.limit})
            rows = _rows(body, where)
            for row in rows:
                if int(row[6]) < stop_ms:
                    yield ",".join(str(value) for value in row)
            if len(rows) < self.market.limit:
                return
            start_ms = int(rows[-1][0]) + 1


def _rows(body: bytes | None, where: str) -> list[list[Any]]:
    try:
        rows = json.loads(body or b"[]")
        if all(isinstance(row, list) and len(row) >= 11 and int(row[6]) > int(row[0]) for row in rows):
            return list(rows)
    except (ValueError, TypeError):
        pass
    raise DolphinError("the answer holds no klines", where=where, mend="check --rest")
