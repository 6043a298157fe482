"""What every feed must keep, as one function that a test of any feed calls."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from contextlib import aclosing

import numpy as np

from dolphin.live.feed import Feed, History, Row

#: Seconds that a row may take to come before a feed counts as silent.
PATIENCE = 60.0


def check_feed(make: Callable[[], Feed], rows: int = 50, history: int = 20) -> list[str]:
    """What is wrong with a feed, a line each; empty if nothing.

    Parameters
    ----------
    make : callable
        Opens the feed anew: twice the same source must give the same rows.
    rows : int
        Rows that the source has at least from where a session begins.
    history : int
        Rows that are asked for before them; fewer may be there.
    """
    return asyncio.run(_check(make, rows, history))


async def _check(make: Callable[[], Feed], rows: int, history: int) -> list[str]:
    feed = make()
    found = _of_sizes(feed)
    try:
        before = await feed.history(history, None)
        got = await take(feed, None, rows)
        found += _of_history(feed, before, history) + _of_rows(feed, got, rows)
        if found:
            return found
        if len(before.ts) and (before.first + len(before.ts), before.ts[-1] + feed.spacing_ns) != (
            got[0].bar, got[0].ts,
        ):  # fmt: skip
            found.append("the history does not end where the rows begin")
    finally:
        await feed.close()
        await feed.close()
    again = make()
    try:
        middle = got[rows // 2]
        rest = await take(again, middle.ts, rows - rows // 2 - 1)
        found += [
            f"after a restart row {one.bar} is another"
            for one, other in zip(got[rows // 2 + 1 :], rest, strict=False)
            if not same(one, other)
        ]
        past = await again.history(rows // 2, middle.ts)
        if not len(past.ts) or int(past.ts[-1]) != middle.ts:
            found.append("the history up to a row does not end with it")
        elif past.price[-1].tobytes() != middle.price.tobytes() or past.first + len(past.ts) - 1 != middle.bar:
            found.append("the history up to a row says something else of it than the row did")
    finally:
        await again.close()
    return found


async def take(feed: Feed, after: int | None, count: int) -> list[Row]:
    """The next ``count`` rows; fewer if the source ends or falls silent."""
    got: list[Row] = []
    async with aclosing(feed.rows(after)) as source:  # type: ignore[type-var]
        while len(got) < count:
            try:
                got.append(await asyncio.wait_for(anext(source), PATIENCE))
            except (StopAsyncIteration, TimeoutError):
                break
    return got


def same(one: Row, other: Row) -> bool:
    """Whether two rows say the same; the local clock and whether one may trade on it aside."""
    return (
        (one.bar, one.ts) == (other.bar, other.ts)
        and one.price.tobytes() == other.price.tobytes()
        and one.age.tobytes() == other.age.tobytes()
        and one.columns.keys() == other.columns.keys()
        and all(one.columns[name].tobytes() == other.columns[name].tobytes() for name in one.columns)
    )


def _of_sizes(feed: Feed) -> list[str]:
    found = []
    if len(set(feed.symbols)) != len(feed.symbols) or len(feed.symbols) < 2:
        found.append("its symbols are not at least two different ones")
    if tuple(instrument.symbol for instrument in feed.instruments) != feed.symbols:
        found.append("its instruments are not its symbols'")
    if feed.reference not in feed.symbols:
        found.append("its reference is none of its symbols")
    if feed.spacing_ns <= 0:
        found.append("its spacing is not positive")
    return found


def _of_history(feed: Feed, history: History, most: int) -> list[str]:
    count, assets = len(history.ts), len(feed.symbols)
    found = []
    if count > most:
        found.append(f"{count} rows of history where {most} were asked for")
    if history.price.shape != (count, assets) or history.age.shape != (count, assets):
        found.append("its history has other shapes than rows and symbols")
    if count > 1 and not (np.diff(history.ts) == feed.spacing_ns).all():
        found.append("its history has holes")
    return found


def _of_rows(feed: Feed, rows: list[Row], least: int) -> list[str]:
    assets = len(feed.symbols)
    if len(rows) < least:
        return [f"{len(rows)} rows came, {least} were to come"]
    found = []
    for row in rows:
        if row.price.shape != (assets,) or row.price.dtype != np.float64:
            found.append(f"row {row.bar}: prices are not float64 of {assets}")
        elif row.age.shape != (assets,) or row.age.dtype != np.int32:
            found.append(f"row {row.bar}: ages are not int32 of {assets}")
        elif ((row.age < 0) != np.isnan(row.price)).any() or (row.price <= 0.0).any():
            found.append(f"row {row.bar}: a price that is not there, or an age that is not its price's")
        if row.ts % feed.spacing_ns:
            found.append(f"row {row.bar}: its time is not on the grid")
    for one, two in itertools.pairwise(rows):
        if (two.bar, two.ts) != (one.bar + 1, one.ts + feed.spacing_ns):
            found.append(f"row {two.bar} does not follow row {one.bar}")
        old = two.age != 0
        if (two.age[old] != np.where(one.age[old] < 0, -1, one.age[old] + 1)).any():
            found.append(f"row {two.bar}: an age is not one more than before")
        elif two.price[old].tobytes() != one.price[old].tobytes():
            found.append(f"row {two.bar}: a price moved and its age says that none came")
    return found
