"""A journal for people: a stretch of its bars, and whether it is whole."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from dolphin.core.records import BRACKET, CANCEL, Market
from dolphin.errors import DolphinError, NotFound
from dolphin.journal.bookings import Event
from dolphin.journal.header import check_header
from dolphin.journal.held import Held, hold
from dolphin.journal.reader import Journal
from dolphin.journal.schema import FILLED, KINDS, PARTLY_FILLED, RISK_VALUES, STATUSES
from dolphin.times import format_time

#: The name of the journal in a run folder.
IN_RUN = "journal.arrow"

ACTIONS = ("none", "open", "close", "increase", "reduce", "reverse", "cancel")
ORDER_KINDS = ("market", "limit", "stop", "bracket")


def open_journal(path: Path) -> Journal:
    """The journal that a path names: the file itself, or the one in a run folder."""
    path = Path(path)
    if path.is_dir():
        if not (path / IN_RUN).is_file():
            raise NotFound("holds no journal", where=str(path), mend="dolphin backtest --journal writes one")
        path = path / IN_RUN
    return Journal(path)


def part(journal: Journal, first: int, count: int) -> Held:
    """Bars ``first`` to ``first + count`` of those in the file, in memory; no other bar is read."""
    journal.bar_at(first)
    low = journal.start if first == 0 else _end(journal, first - 1)
    return hold(journal, journal.index(low=low, high=_end(journal, first + count - 1)))


def _end(journal: Journal, k: int) -> int:
    closing = journal.bar_at(k)
    return closing.offset + closing.size


def stretch(
    path: Path, bars: int = 20, at: int | None = None, start_ns: int | None = None, stop_ns: int | None = None
) -> dict[str, Any]:
    """Bars from row ``at`` or time ``start_ns`` on, or the last ones, as plain types."""
    journal = open_journal(path)
    total = journal.bars
    if not total or bars < 1:
        raise DolphinError("no bar to show", where=str(path), mend="its writer was stopped before the first one closed")
    first = max(0, total - bars)
    if at is not None:
        first = _search(journal, total, "bar", at)
    elif start_ns is not None:
        first = _search(journal, total, "ts", start_ns)
    elif stop_ns is not None:
        first = max(0, _search(journal, total, "ts", stop_ns) - bars)
    until = _search(journal, total, "ts", stop_ns) if stop_ns is not None else total
    if first >= min(until, total):
        known = f"bars {journal.bar_at(0).bar} to {journal.bar_at(total - 1).bar}"
        raise DolphinError("no bars there", where=str(path), mend=f"it holds {known}")
    held = part(journal, first, min(bars, until - first))
    header, market = journal.header, held.market(0, len(held.bars))
    return {
        "journal": str(journal.path),
        "header": {
            "session": header["session"],
            "strategy": header["strategy"]["name"],
            "dataset": header["dataset"]["name"],
            "config_hash": header["config_hash"],
        },
        "bars_in_all": total,
        "bars": [_bar(journal, held, market, k) for k in range(len(held.bars))],
    }


def _search(journal: Journal, total: int, name: str, value: int) -> int:
    """The first bar whose number or time is not below ``value``, by bisection."""
    low, high = 0, total
    while low < high:
        middle = (low + high) // 2
        if getattr(journal.bar_at(middle), name) < value:
            low = middle + 1
        else:
            high = middle
    return low


def _bar(journal: Journal, held: Held, market: Market, k: int) -> dict[str, Any]:
    bar = int(held.bars[k])
    symbols = journal.header["symbols"]
    wished = [wish_text(order, symbols) for order in held.intents[held.intent_bars == bar]]
    happened = [event_text(event, symbols) for event in held.events if event.bar == bar]
    capital, equity, positions, _ = held.account[k].tolist()
    return {
        "bar": bar,
        "time": format_time(held.ts[k]),
        "capital": capital,
        "equity": equity,
        "position": int(positions),
        "digest": f"{int(held.digests[k]):016x}",
        "stages": [f"{int(word):016x}" for word in held.stages[k]],
        "features": [None if value != value else value for value in market.features[bar].tolist()],
        "risk": dict(zip(RISK_VALUES, market.risk[bar].item(), strict=True)),
        "events": wished + happened,
    }


def wish_text(order: Any, symbols: list[str]) -> str:
    """An intent in a few words."""
    action = ACTIONS[int(order["action"])] if 0 <= order["action"] <= CANCEL else "?"
    kind = ORDER_KINDS[int(order["kind"])] if 0 <= order["kind"] <= BRACKET else "?"
    side = "long" if order["side"] > 0 else "short"
    return f"wants {action} {side} {float(order['qty'])!r} {symbols[int(order['asset'])]} {kind}"


def event_text(event: Event, symbols: list[str]) -> str:
    """An event of an order in a few words."""
    status = STATUSES[int(event["status"])].lower().replace("_", " ")
    if event["status"] in (PARTLY_FILLED, FILLED):
        status += f" {event['qty']!r} at {event['price']!r}, fee {event['fee']:.4f}"
    late = f", wished in bar {int(event['bar'])}" if int(event["bar"]) != event.bar else ""
    return f"{symbols[int(event['asset'])]} {status}{late}"


def verified(path: Path) -> dict[str, Any]:
    """What a journal holds, every record held against its check.

    Raises
    ------
    Damaged
        If anything but its end is not as it was written.
    """
    journal = open_journal(path)
    check_header(journal.header, journal.path)
    index = journal.index()
    counts = Counter(index.kinds.tolist())
    held = hold(journal, index) if journal.bars else None
    header = journal.header
    return {
        "journal": str(journal.path),
        "session": header["session"],
        "strategy": header["strategy"]["name"],
        "config_hash": header["config_hash"],
        "engine_digest": header["engine_digest"],
        "strategy_digest": header["strategy"]["digest"],
        "dataset": header["dataset"]["name"],
        "dataset_digest": header["dataset"]["digest"],
        "bars": 0 if held is None else len(held.bars),
        "first_bar": None if held is None else format_time(held.ts[0]),
        "last_bar": None if held is None else format_time(held.ts[-1]),
        "final_digest": None if held is None else f"{int(held.digests[-1]):016x}",
        "bytes": journal.size,
        "whole_bytes": index.good,
        "torn_bytes": index.torn,
        "ended": index.ended,
        "problems": "; ".join(held.problems) if held is not None and held.problems else "none",
        "records": {KINDS[code]: count for code, count in sorted(counts.items())},
        "versions": header["versions"],
    }
