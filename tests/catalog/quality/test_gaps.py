from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dolphin.catalog.quality.gaps import Gaps
from dolphin.catalog.quality.rules import REPORT

DAY = 6  # bars


def follow(present: np.ndarray) -> Gaps:
    """The gaps of a (bars, symbols) mask, given a day at a time."""
    symbols = [f"S{j}" for j in range(present.shape[1])]
    gaps = Gaps(symbols)
    for start in range(0, present.shape[0], DAY):
        part = present[start : start + DAY]
        column, bar = np.nonzero(part.T)
        closes = np.arange(start, start + part.shape[0], dtype=np.int64) * 60
        gaps.add(start // DAY, closes, column, closes[bar])
    return gaps


def runs(missing: list[bool]) -> list[int]:
    """Lengths of the runs of True, by the obvious loop."""
    lengths, open_ = [], 0
    for bar in [*missing, False]:
        if bar:
            open_ += 1
        elif open_:
            lengths.append(open_)
            open_ = 0
    return lengths


@given(arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 4))))
def test_against_the_obvious_loop(present: np.ndarray) -> None:
    gaps = follow(present)
    for j, row in enumerate(gaps.table().values()):
        lengths = runs((~present[:, j]).tolist())
        assert row == {
            "missing": sum(lengths),
            "gaps": len(lengths),
            "longest": max(lengths, default=0),
            "share": sum(lengths) / present.shape[0],
        }
    report = gaps.report()
    assert dict(report.schema) == REPORT
    for row in report.iter_rows(named=True):
        day, j = (row["date"] - row["date"].replace(1970, 1, 1)).days, int(row["symbol"][1:])
        part = (~present[day * DAY : (day + 1) * DAY, j]).tolist()
        lengths = runs(part)
        assert (row["count"], row["gaps"], row["longest"]) == (sum(lengths), len(lengths), max(lengths))
        assert row["expected"] == len(part)
    assert report["count"].sum() == (~present).sum()
    assert report.select("date", "symbol").is_duplicated().sum() == 0


def test_a_gap_over_midnight_is_one() -> None:
    present = np.ones((3 * DAY, 1), bool)
    present[DAY - 2 : 2 * DAY + 1] = False
    gaps = follow(present)
    assert gaps.table()["S0"] == {"missing": 9, "gaps": 1, "longest": 9, "share": 0.5}
    assert gaps.report().select("count", "gaps", "longest").rows() == [(2, 1, 2), (6, 1, 6), (1, 1, 1)]
    assert gaps.report().filter(pl.col("rule") != "gap").is_empty()
