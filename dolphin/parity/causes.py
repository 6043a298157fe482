"""Why two sides part: the first input that is another, the kind of cause, and whether one explains all that follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dolphin.core.records import Market
from dolphin.features import history_bars
from dolphin.parity.sides import Scene, Side
from dolphin.times import format_time

#: Bars after the first difference that are decided again to see whether they follow from it.
LATER = 20_000


@dataclass(frozen=True)
class Input:
    """One value of a row that the two sides read differently."""

    row: int
    ts: int
    name: str
    left: Any
    right: Any


@dataclass(frozen=True)
class Later:
    """What becomes of the bars after the first difference when it is undone.

    ``verdict`` is "one cause", "several causes" or "not known"; ``bars`` were decided again.
    """

    verdict: str
    sentence: str
    bars: int = 0
    next_bar: int | None = None
    next_time: str | None = None
    next_stage: str | None = None


def first_unequal_input(a: Scene, b: Scene, back: int) -> Input | None:
    """The first value in the last ``back`` rows before the scenes' bar, or in it, that is not the same bit for bit.

    Also of assets that neither side holds: their prices decide which one is entered.
    """
    if a.row != b.row:
        return None
    rows = slice(max(0, a.row - back), a.row + 1)
    theirs = b.market.by_row()
    found: Input | None = None
    for name, values in a.market.by_row().items():
        if name == "log_price" or name not in theirs:
            continue
        x, y = values[rows], theirs[name][rows]
        if x.shape != y.shape:
            return Input(a.row, int(a.market.ts[a.row]), name, f"{x.shape[1:]} columns", f"{y.shape[1:]} columns")
        for label, p, q in _parts(name, x, y, a):
            unequal = (p != q) & ~((p != p) & (q != q))
            if unequal.any():
                k = int(np.argmax(unequal))
                row = rows.start + k
                if found is None or row < found.row:
                    found = Input(row, int(a.market.ts[row]), label, p[k].item(), q[k].item())
    return found


def _parts(name: str, x: Any, y: Any, scene: Scene) -> Any:
    """One-dimensional columns with what people call them."""
    if name == "ts":
        yield "time", x, y
    elif name == "risk":
        for field in x.dtype.names:
            yield field, x[field], y[field]
    else:
        labels = scene.config.strategy.columns if name == "features" else scene.symbols
        for j, label in enumerate(labels):
            yield (label if name == "features" else f"{name} of {label}"), x[:, j], y[:, j]


def cause_of(
    a: Side, b: Side, stage: str | None, scenes: tuple[Scene, Scene] | None, unequal: Input | None
) -> str | None:
    """The likely cause class of PARITY section 3; None if nothing points at one."""
    if a.about.config_hash != b.about.config_hash:
        return "different config"
    other_data = a.about.dataset_digest != b.about.dataset_digest
    if stage in ("data", "features", "risk") or unequal is not None or other_data:
        return "different input"
    if a.about.engine_digest != b.about.engine_digest:
        return "different engine code"
    if scenes is None:
        return "different fill" if stage == "fill" else None
    filled = [{order[:2] for order in scene.orders if "filled" in order[2]} for scene in scenes]
    before = [{order for order in orders if order[1] < scenes[0].row} for orders in filled]
    if (stage in ("fill", "state") and filled[0] != filled[1]) or (stage == "intent" and before[0] != before[1]):
        return "order of events"  # the same order was answered in another bar, or not yet
    return "different fill" if stage == "fill" else None


def later_causes(a: Side, b: Side, k: int, scenes: tuple[Scene, Scene], stage: str | None) -> Later:
    """Decide B's bars after bar ``k`` again from A's state after it, with B's inputs: is it A's run from there on?

    Then everything after the first difference follows from it. If not, the bar where it parts again has a cause
    of its own.
    """
    one, two = scenes
    if one.row != two.row:
        return Later("not known", "the two number their bars differently")
    stop = min(one.until, two.until)
    bars = stop - one.row - 1
    if bars <= 0:
        return Later("one cause", "it is the last bar that both have")
    if one.again != a.digest_at(k):
        return Later("not known", f"the code here decides bar {one.row} of {a.label} otherwise than was recorded")
    if not _alike(one.market, two.market):
        return Later("not known", "the two have other assets or other features: neither goes on with the other's rows")
    back = int(one.config.strategy.warmup_bars(one.config.params))
    market = spliced(one.market, two.market, one.row, stop, back)
    again = a.go_on(one, market, stop)
    unequal = np.flatnonzero(again != one.digests_after[:bars])
    if not len(unequal):
        sentence = f"the first difference undone, the next {bars:,} bars of B are A's, bit for bit: one cause"
        return _fills_too(a, b, scenes, stop, Later("one cause", sentence, bars))
    m = one.row + 1 + int(unequal[0])
    when = format_time(one.market.ts[m])
    named = first_unequal_input(_at(one, m), _at(two, m), 0)
    what = f"input {named.name}" if named is not None else "another decision from the same row"
    sentence = f"the first difference undone, B parts from A again at bar {m:,}, {when} ({what}: "
    sentence += f"{named.left!r} and {named.right!r})" if named is not None else "its inputs differ before it)"
    memory = history_bars(_spacing(one)) if stage in ("data", "features") or named is not None else 0
    if m - one.row <= memory:
        sentence += f"; features look back {memory:,} bars, so it may still follow from the first"
    return Later("several causes", sentence, bars, m, when, None if named is None else named.name)


def _alike(a: Market, b: Market) -> bool:
    """Whether rows of one have a place in the other."""
    theirs = b.by_row()
    return all(values.shape[1:] == theirs[name].shape[1:] for name, values in a.by_row().items() if name in theirs)


def _at(scene: Scene, row: int) -> Scene:
    return Scene(**{**scene.__dict__, "row": row})


def _spacing(scene: Scene) -> int:
    ts = scene.market.ts
    return max(1, int(ts[scene.row] - ts[scene.row - 1])) if scene.row > 0 else 1


def _fills_too(a: Side, b: Side, scenes: tuple[Scene, Scene], stop: int, found: Later) -> Later:
    """The same where fills were recorded: an order that both sent and that was filled otherwise is another cause."""
    from dolphin.parity.journal_side import JournalSide

    if not isinstance(a, JournalSide) or not isinstance(b, JournalSide):
        return found
    ours, theirs = a.fills_after(scenes[0], stop), b.fills_after(scenes[1], stop)
    other = sorted(
        (key for key in ours.keys() & theirs.keys() if _price_differs(ours[key], theirs[key])), key=lambda key: key[2]
    )
    if not other:
        return found
    bar = int(other[0][2])
    when = format_time(scenes[0].market.ts[bar])
    sentence = (
        f"{len(other):,} later fills of orders that both sent have other prices, first at bar {bar:,}, {when}: "
        "each of them is a cause of its own"
    )
    return Later("several causes", sentence, found.bars, bar, when, "fill")


def _price_differs(x: tuple[float, ...], y: tuple[float, ...]) -> bool:
    """Another price: quantity and fee follow from the capital."""
    return x[1] != y[1]


def spliced(a: Market, b: Market, row: int, stop: int, back: int) -> Market:
    """``a``'s last ``back`` rows up to ``row`` and ``b``'s after it, up to ``stop``; other rows use no memory."""
    low = max(0, row - back)
    rows: dict[str, Any] = {}
    theirs = b.by_row()
    for name, values in a.by_row().items():
        if name not in theirs:
            continue
        out = np.empty((stop, *values.shape[1:]), values.dtype)
        out[low : row + 1] = values[low : row + 1]
        out[row + 1 : stop] = theirs[name][row + 1 : stop]
        rows[name] = out
    return a._replace(**rows)
