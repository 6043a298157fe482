from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.catalog.quality.jumps import COLUMNS, JUMP, MEDIAN_BARS, SOURCE_WITHIN, VOLUME_TIMES, Jumps

SYMBOLS = ["AUSDT", "BUSDT"]


def frame_of(
    closes: list[float], volumes: list[float] | None = None, symbol: str = "AUSDT", first: int = 0
) -> pl.DataFrame:
    ts = [(first + i) * 60 for i in range(len(closes))]
    return pl.DataFrame(
        {"symbol": symbol, "ts": ts, "close": list(map(float, closes)), "volume": volumes or [1.0] * len(closes)}
    )


def find(jumps: Jumps, frame: pl.DataFrame) -> tuple[list[int], list[int]]:
    column = np.array([SYMBOLS.index(s) for s in frame["symbol"]])
    found, stray = jumps.add(column, frame)
    return found.tolist(), stray.tolist()


def test_a_lone_wrong_price_is_stray_and_the_way_back_is_not() -> None:
    jumps = Jumps(SYMBOLS)
    assert find(jumps, frame_of([100, 101, 150, 101, 102])) == ([2, 3], [2])
    table = jumps.table()
    assert dict(table.schema) == COLUMNS
    assert table["close_before"].to_list() == [101, 150] and table["move"][0] == 150 / 101 - 1


def test_a_level_that_holds_loses_one_bar_at_most() -> None:
    assert find(Jumps(SYMBOLS), frame_of([100, 101, 150, 151, 150])) == ([2], [2])


def test_exactly_five_per_cent_is_none() -> None:
    assert find(Jumps(SYMBOLS), frame_of([100.0, 105.0, 99.75])) == ([], [])


def test_volume_confirms() -> None:
    volumes = [1.0] * 10 + [3.0, 2.9, 1.0]
    closes = [100.0] * 10 + [110.0, 121.0, 121.0]
    assert find(Jumps(SYMBOLS), frame_of(closes, volumes)) == ([11], [11])
    # without any volume nothing is confirmed
    assert find(Jumps(SYMBOLS), frame_of([100, 110], [0.0, 0.0]))[0] == [1]


def test_a_second_source_confirms_within_one_per_cent() -> None:
    asked = []

    def second(symbols: list[str], ts: np.ndarray) -> np.ndarray:
        asked.append((symbols, ts.tolist()))
        return np.array([{60: 110.0 / (1 + SOURCE_WITHIN) + 0.01, 180: 200.0}.get(int(t), np.nan) for t in ts])

    jumps = Jumps(SYMBOLS, second)
    assert find(jumps, frame_of([100, 110, 110, 130, 150]))[0] == [3, 4]
    assert asked == [(["AUSDT"] * 3, [60, 180, 240])]
    assert jumps.table()["second_close"].to_list() == [200.0, None]


@given(
    st.lists(st.sampled_from([90.0, 100.0, 102.0, 120.0]), min_size=1, max_size=40),
    st.lists(st.integers(1, 39), max_size=4),
    st.data(),
)
def test_days_do_not_matter_and_the_obvious_loop_agrees(
    closes: list[float], cuts: list[int], data: st.DataObject
) -> None:
    volumes = data.draw(st.lists(st.sampled_from([0.0, 1.0, 5.0]), min_size=len(closes), max_size=len(closes)))
    expected, stray, base = [], [], closes[0]
    for i in range(len(closes)):
        if i:
            past = volumes[max(0, i - MEDIAN_BARS) : i]
            big = volumes[i] > 0 and volumes[i] >= VOLUME_TIMES * float(np.median(past))
            if abs(closes[i] / closes[i - 1] - 1) > JUMP and not big:
                expected.append(i)
                if abs(closes[i] / base - 1) > JUMP:
                    stray.append(i)
                    continue
        base = closes[i]
    found, lost = [], []
    jumps = Jumps(SYMBOLS)
    edges = sorted({0, len(closes), *(c for c in cuts if c < len(closes))})
    for a, b in pairwise(edges):
        days = [frame_of(closes[a:b], volumes[a:b], symbol, a) for symbol in SYMBOLS]
        here, gone = find(jumps, pl.concat(days))
        found += [a + i for i in here if i < b - a]
        lost += [a + i for i in gone if i < b - a]
        assert [i - (b - a) for i in here if i >= b - a] == [i for i in here if i < b - a]
    assert (found, lost) == (expected, stray)
    assert jumps.table().filter(symbol="AUSDT")["ts"].to_list() == [60 * i for i in expected]


@pytest.mark.parametrize("closes", [[], [100.0]])
def test_nothing_to_compare_with(closes: list[float]) -> None:
    jumps = Jumps(SYMBOLS)
    if closes:
        assert find(jumps, frame_of(closes)) == ([], [])
    assert jumps.table().is_empty() and dict(jumps.table().schema) == COLUMNS
