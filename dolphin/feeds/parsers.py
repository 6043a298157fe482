"""What providers answer, read: bytes in, the newest value and the time that it is about out.

A parser gives None where the answer is whole and holds no value yet (a holiday, an empty window); it raises
:class:`Unreadable` where it is not what the provider publishes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from dolphin.risk.book import imbalance, spread_bps
from dolphin.times import SECOND_NS, parse_time

MS = 10**6
HOUR_NS = 3600 * SECOND_NS


class Answer(NamedTuple):
    """A value and what it is about, ns UTC by the provider's clock."""

    value: float
    reference_ns: int


class Unreadable(Exception):
    """An answer that is not what its provider publishes."""


#: ``parse(body, now_ns)``.
Parser = Callable[[bytes, int], Answer | None]


def reading(parse: Callable[[Any, int], Answer | None]) -> Parser:
    """A parser of JSON: whatever is not as it should be is :class:`Unreadable`, in one line."""

    @functools.wraps(parse)
    def read(body: bytes, now_ns: int) -> Answer | None:
        try:
            return parse(msgspec.json.decode(body), now_ns)
        except (msgspec.MsgspecError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise Unreadable(f"{type(error).__name__}: {' '.join(str(error).split())[:80]}") from None

    return read


def newest_of(value: str, time: str) -> Parser:
    """The newest of a list of objects with these fields, times in ms (Binance)."""

    @reading
    def parse(document: Any, now_ns: int) -> Answer | None:
        if not isinstance(document, list):
            raise TypeError(f"no list: {str(document)[:60]}")
        rows = [(int(row[time]) * MS, float(row[value])) for row in document]
        return Answer(max(rows)[1], max(rows)[0]) if rows else None

    return parse


def field_of(value: str, time: str) -> Parser:
    """One object with these fields, time in ms (Binance)."""

    @reading
    def parse(document: Any, now_ns: int) -> Answer | None:
        return Answer(float(document[value]), int(document[time]) * MS)

    return parse


@reading
def basis_of_marks(document: Any, now_ns: int) -> Answer | None:
    """Binance premiumIndex: mark price over index price, less one."""
    return Answer(float(document["markPrice"]) / float(document["indexPrice"]) - 1.0, int(document["time"]) * MS)


@reading
def book_imbalance(document: Any, now_ns: int) -> Answer | None:
    """Binance depth: imbalance of the quantities of all levels."""
    bid, ask = (sum(float(level[1]) for level in document[side]) for side in ("bids", "asks"))
    return Answer(imbalance(bid, ask), int(document["E"]) * MS)


@reading
def book_spread(document: Any, now_ns: int) -> Answer | None:
    """Binance depth: best ask less best bid, bps."""
    bid, ask = float(document["bids"][0][0]), float(document["asks"][0][0])
    return Answer(spread_bps(bid, ask), int(document["E"]) * MS)


@reading
def bybit_newest(document: Any, now_ns: int) -> Answer | None:
    """Bybit v5 history of funding or of open interest: the newest of ``result.list``."""
    if document["retCode"] != 0:
        raise ValueError(f"retCode {document['retCode']}: {document.get('retMsg', '')}")
    rows = []
    for row in document["result"]["list"]:
        if "fundingRate" in row:
            rows.append((int(row["fundingRateTimestamp"]) * MS, float(row["fundingRate"])))
        else:
            rows.append((int(row["timestamp"]) * MS, float(row["openInterest"])))
    return Answer(max(rows)[1], max(rows)[0]) if rows else None


@reading
def deribit_volatility(document: Any, now_ns: int) -> Answer | None:
    """Deribit volatility index: close of the newest hour that is over, about the hour's end."""
    rows = [(int(row[0]) * MS + HOUR_NS, float(row[4])) for row in document["result"]["data"]]
    over = [row for row in rows if row[0] <= now_ns]
    return Answer(max(over)[1], max(over)[0]) if over else None


@reading
def deribit_funding(document: Any, now_ns: int) -> Answer | None:
    """Deribit funding history: the newest rate over eight hours."""
    rows = [(int(row["timestamp"]) * MS, float(row["interest_8h"])) for row in document["result"]]
    return Answer(max(rows)[1], max(rows)[0]) if rows else None


@reading
def deribit_ticker_funding(document: Any, now_ns: int) -> Answer | None:
    """Deribit ticker: the running rate over eight hours."""
    return Answer(float(document["result"]["funding_8h"]), int(document["result"]["timestamp"]) * MS)


def fred_csv(body: bytes, now_ns: int) -> Answer | None:
    """FRED's CSV of a graph: date and value a line, a dot or nothing on holidays."""
    try:
        head, *lines = body.decode("utf-8").strip().splitlines()
        if head.split(",")[0].strip().lower() not in ("observation_date", "date"):
            raise ValueError(f"begins with '{head[:40]}'")
        rows = [line.strip().split(",") for line in lines]
        known = [(parse_time(date), float(value)) for date, value in rows if value.strip() not in ("", ".")]
    except Exception as error:
        raise Unreadable(f"{type(error).__name__}: {' '.join(str(error).split())[:80]}") from None
    return Answer(max(known)[1], max(known)[0]) if known else None


@reading
def fear_and_greed(document: Any, now_ns: int) -> Answer | None:
    """alternative.me: the newest index, about a UTC day."""
    rows = [(int(row["timestamp"]) * SECOND_NS, float(row["value"])) for row in document["data"]]
    return Answer(max(rows)[1], max(rows)[0]) if rows else None


@reading
def blockchain_hashrate(document: Any, now_ns: int) -> Answer | None:
    """blockchain.com chart in TH/s; EH/s."""
    if document["unit"] != "Hash Rate TH/s" and "TH/s" not in document["unit"]:
        raise ValueError(f"unit {document['unit']}")
    rows = [(int(row["x"]) * SECOND_NS, float(row["y"]) / 1e6) for row in document["values"]]
    return Answer(max(rows)[1], max(rows)[0]) if rows else None


@reading
def mempool_hashrate(document: Any, now_ns: int) -> Answer | None:
    """mempool.space: daily averages in H/s; EH/s."""
    rows = [(int(row["timestamp"]) * SECOND_NS, float(row["avgHashrate"]) / 1e18) for row in document["hashrates"]]
    return Answer(max(rows)[1], max(rows)[0]) if rows else None


@reading
def llama_tvl(document: Any, now_ns: int) -> Answer | None:
    """DefiLlama: value locked on all chains, USD, a row a day."""
    rows = [(int(row["date"]) * SECOND_NS, float(row["tvl"])) for row in document]
    return Answer(max(rows)[1], max(rows)[0]) if rows else None
