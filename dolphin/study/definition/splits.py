"""Which bars a configuration is chosen on and which judge it: holdout, walk-forward, k-fold, combinatorial.

Every stretch of bars is a run of its own, begun flat. Features are computed from history alone, so bars
after a border never reach back over it; what reaches forward is kept out by the purge (a trade opened
before a border may end after it) and the embargo (features after a border still look back over it).

Literature: Lopez de Prado, *Advances in Financial Machine Learning*, chapters 7 and 12.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from dolphin.core.records import Floats, Ints
from dolphin.errors import DolphinError, nearest
from dolphin.study.measure.spans import Span
from dolphin.times import return_day


class _Scheme(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Holdout(_Scheme):
    """The last ``share`` of the days judges, the others are for choosing."""

    scheme: Literal["holdout"]
    share: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    purge: Annotated[int, Field(ge=0)] = 0


class WalkForward(_Scheme):
    """Choose on ``train`` days, judge on the next ``test`` days, move on by ``step`` (default ``test``)."""

    scheme: Literal["walk_forward"]
    train: Annotated[int, Field(ge=1)]
    test: Annotated[int, Field(ge=1)]
    step: Annotated[int, Field(ge=1)] | None = None
    anchored: bool = False
    purge: Annotated[int, Field(ge=0)] = 0


class KFold(_Scheme):
    """``folds`` blocks of days, each judged once, the choice made on what purge and embargo leave of the others."""

    scheme: Literal["kfold"]
    folds: Annotated[int, Field(ge=2, le=100)] = 5
    purge: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    embargo: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"


class Combinatorial(_Scheme):
    """Every choice of ``test_folds`` of ``folds`` blocks judges once; the judged blocks make up paths."""

    scheme: Literal["combinatorial"]
    folds: Annotated[int, Field(ge=3, le=24)] = 6
    test_folds: Annotated[int, Field(ge=1, le=12)] = 2
    purge: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    embargo: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"


Scheme = Holdout | WalkForward | KFold | Combinatorial
SCHEMES: dict[str, type[Scheme]] = {
    "holdout": Holdout,
    "walk_forward": WalkForward,
    "kfold": KFold,
    "combinatorial": Combinatorial,
}


@dataclass(frozen=True)
class Fold:
    """One split.

    Attributes
    ----------
    number : int
        From 0.
    train, test : tuple of (first row, row after the last)
        Stretches of neighbouring bars, in order, disjoint.
    blocks : tuple of int
        The judged blocks of a k-fold scheme, else empty.
    """

    number: int
    train: tuple[Span, ...]
    test: tuple[Span, ...]
    blocks: tuple[int, ...] = ()


def parse_scheme(table: Any, where: str) -> Scheme:
    """The ``[validation]`` table of a study.

    Raises
    ------
    DolphinError
        For an unknown scheme or key, or a value out of its bounds.
    """
    if not isinstance(table, Mapping):
        raise DolphinError("[validation] must be a table", where=where)
    name = table.get("scheme")
    if not isinstance(name, str) or name not in SCHEMES:
        raise DolphinError(f"unknown scheme '{name}'", where=f"{where}: [validation]", mend=nearest(str(name), SCHEMES))
    try:
        found: Scheme = TypeAdapter(SCHEMES[name]).validate_python(dict(table))
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else "scheme"
        unknown = first["type"] == "extra_forbidden"
        raise DolphinError(
            f"unknown key '{key}'" if unknown else f"{key} = {first['input']!r}: {first['msg']}",
            where=f"{where}: [validation]",
            mend=nearest(key, SCHEMES[name].model_fields) if unknown else None,
        ) from None
    if isinstance(found, Combinatorial) and found.test_folds >= found.folds:
        raise DolphinError(
            f"test_folds = {found.test_folds} leaves none of {found.folds} folds to choose on",
            where=f"{where}: [validation]",
        )
    return found


def split(scheme: Scheme, ts: Ints, start: int, stop: int, *, horizon: int = 0, memory: int = 0) -> list[Fold]:
    """The folds of rows ``start`` to ``stop``; borders lie between the UTC days of returns.

    Parameters
    ----------
    ts : int64[T]
        Close times, ns UTC.
    horizon : int
        Bars that a trade lasts at most: the purge where the scheme says ``auto``.
    memory : int
        Bars that a feature looks back: the embargo where the scheme says ``auto``.

    Raises
    ------
    DolphinError
        If the window is too short for the scheme.
    """
    days, first_rows = np.unique(return_day(ts[start:stop]), return_index=True)
    edges = np.append(start + first_rows, stop)
    match scheme:
        case Holdout():
            first = len(days) - max(1, round(len(days) * scheme.share))
            folds = [_ordered(0, edges, 0, first, len(days), scheme.purge)]
        case WalkForward():
            step = scheme.step or scheme.test
            folds = []
            for first in range(scheme.train, len(days) - scheme.test + 1, step):
                begin = 0 if scheme.anchored else first - scheme.train
                folds.append(_ordered(len(folds), edges, begin, first, first + scheme.test, scheme.purge))
        case KFold() | Combinatorial():
            purge = horizon if scheme.purge == "auto" else scheme.purge
            embargo = memory if scheme.embargo == "auto" else scheme.embargo
            folds = _blocked(scheme, edges, len(days), purge, embargo)
    if not folds or any(not fold.train or not fold.test for fold in folds):
        needs = f"{scheme.train} + {scheme.test} days" if isinstance(scheme, WalkForward) else "more days"
        raise DolphinError(
            f"{len(days)} days are too few for this validation: it needs {needs}"
            + (" (with purge and embargo)" if isinstance(scheme, KFold | Combinatorial) else ""),
            where="[validation]",
            mend="take a longer window, or shorter or fewer folds",
        )
    return folds


def paths(folds: list[Fold]) -> list[list[tuple[int, int]]]:
    """Ways through all blocks of a combinatorial scheme: per path and block, (block, number of its fold).

    Every pair of a block and a fold that judges it is on one path. ``C(n - 1, k - 1)`` paths for k of n.
    """
    blocks = sorted({block for fold in folds for block in fold.blocks})
    judged = {block: [fold.number for fold in folds if block in fold.blocks] for block in blocks}
    count = comb(len(blocks) - 1, len(folds[0].blocks) - 1) if blocks else 0
    return [[(block, judged[block][p]) for block in blocks] for p in range(count)]


def block_spans(folds: list[Fold]) -> dict[int, Span]:
    """Rows of each block of a k-fold scheme."""
    return {block: span for fold in folds for block, span in zip(fold.blocks, fold.test, strict=True)}


def zones(fold: Fold, window: Span, purge: int, embargo: int) -> dict[str, list[Span]]:
    """The rows of a fold by what they are for: ``train``, ``test``, ``purged``, ``embargoed``.

    Rows of a rolling walk-forward that are outside its train and test windows are none of these.
    """
    used = sorted([*fold.train, *fold.test])
    first, last = window if fold.blocks else (used[0].start, used[-1].stop)
    left = []
    for low, high in zip([first, *(b for _, b in used)], [*(a for a, _ in used), last], strict=True):
        if low < high:
            left.append(Span(low, high))
    purged, embargoed = [], []
    for low, high in left:
        # After a judged block come the purge, then the embargo; the purge of the next block ends the gap.
        behind = max((b for _, b in fold.test if b <= low), default=None)
        ahead = min((a for a, _ in fold.test if a >= high), default=None)
        begin = low if behind is None or not fold.blocks else min(high, max(low, behind + purge))
        end = high if ahead is None else max(begin, min(high, ahead - purge))
        if behind is None or not fold.blocks:
            purged.append(Span(low, high))
            continue
        purged += [Span(a, b) for a, b in ((low, begin), (end, high)) if a < b]
        if begin < end:
            embargoed.append(Span(begin, end))
    return {"train": list(fold.train), "test": list(fold.test), "purged": purged, "embargoed": embargoed}


def _ordered(number: int, edges: Floats, begin: int, first: int, last: int, purge: int) -> Fold:
    """Train days [begin, first), test days [first, last)."""
    train = Span(int(edges[begin]), int(edges[first]) - purge)
    return Fold(number, (train,) if train.bars > 0 else (), (Span(int(edges[first]), int(edges[last])),))


def _blocked(scheme: KFold | Combinatorial, edges: Floats, days: int, purge: int, embargo: int) -> list[Fold]:
    borders = edges[[days * k // scheme.folds for k in range(scheme.folds + 1)]]
    spans = [Span(int(a), int(b)) for a, b in pairwise(borders)]
    if not all(span.bars for span in spans):
        return []
    judged = 1 if isinstance(scheme, KFold) else scheme.test_folds
    folds = []
    for number, blocks in enumerate(combinations(range(scheme.folds), judged)):
        train = []
        for block, (low, high) in enumerate(spans):
            if block in blocks:
                continue
            # The purge on both sides, as trades reach over the border either way; the embargo after it.
            # Either may be longer than a block.
            low = max([low, *(spans[b].stop + purge + embargo for b in blocks if b < block)])
            high = min([high, *(spans[b].start - purge for b in blocks if b > block)])
            if low < high:
                train.append(Span(low, high))
        folds.append(Fold(number, tuple(train), tuple(spans[block] for block in blocks), blocks))
    return folds
