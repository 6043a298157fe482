"""Days side by side, any number of assets, any windows: the bits of one bar after another."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scanner_markets import MINUTE, assert_same_bits, make_market

from dolphin.errors import DolphinError
from dolphin.features import (
    FeatureBlock,
    Scanner,
    follow,
    history_bars,
    in_order,
    kept,
    measure,
    measure_on,
    new_trail,
    restored,
    scan,
    scanner,
    scanner_digest,
)


def streamed(ts: np.ndarray, close: np.ndarray, windows: tuple[int, ...]) -> FeatureBlock:
    out = FeatureBlock.empty(len(ts), windows)
    one = Scanner(close.shape[1], 0, windows)
    for t in range(len(ts)):
        row = one.update(int(ts[t]), close[t])
        for name, values in out.arrays().items():
            values[t] = getattr(row, name)[0]
    return out


@settings(max_examples=6, deadline=None)
@given(
    assets=st.integers(2, 60),
    seed=st.integers(0, 999),
    factor=st.sampled_from([0.0, 0.4, 2.0]),
    spacing=st.sampled_from([5, 20, 60, 24 * 60]),
    windows=st.sampled_from([(50, 150, 300, 750), (3, 50), (21, 64, 100), (7, 8, 9, 10, 333)]),
    threads=st.integers(1, 5),
    hole=st.integers(0, 700),
)
def test_parallel_is_streaming_to_the_bit(
    assets: int, seed: int, factor: float, spacing: int, windows: tuple[int, ...], threads: int, hole: int
) -> None:
    ts, close = make_market(800, assets, seed, factor=factor, spacing=spacing * MINUTE)
    close[:hole, assets - 1] = np.nan
    close[hole : hole + 120, 0] = close[hole, 0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanner, "CHUNK", 1)  # every day a piece of its own
        parallel = scan(ts, close, 0, windows=windows, threads=threads)
    assert_same_bits(parallel, streamed(ts, close, windows))


@pytest.mark.slow
def test_many_assets_on_all_cores() -> None:
    ts, close = make_market(900, 401, 5, spacing=10 * MINUTE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanner, "CHUNK", 1)
        assert_same_bits(scan(ts, close, 3, threads=0), scan(ts, close, 3, threads=1))
    assert np.isfinite(scan(ts, close, 3).a[760:]).all()


def test_a_kept_state_goes_on_to_the_bit() -> None:
    ts, close = make_market(1000, 7, 4, spacing=5 * MINUTE)
    whole = scan(ts, close, 0)
    low, row = 287, 470  # a day's first bar, and one inside of that day
    out = FeatureBlock.empty(575 - low)
    state = measure(ts, close, 0, low, row, out.rows(0, row - low))
    copy = restored({name: values.copy() for name, values in kept(state).items()}, 7, (50, 150, 300, 750))
    measure_on(ts[row:575], close[row:575], 0, copy, out.rows(row - low, 575 - low))
    for name in ("a", "n_active", "residual", "iterations", "recomputed", "vol", "bull_pct", "reference_return"):
        assert getattr(out, name).tobytes() == getattr(whole, name)[low:575].tobytes(), name


def test_the_trailing_features_need_nothing_but_a_and_vol() -> None:
    ts, close = make_market(900, 4, 6)
    whole = scan(ts, close, 0)
    again = whole.copy()
    for values in (again.v, again.instability, again.vol_ewma):
        values[:] = 7.0
    follow(new_trail(again.windows), again)
    assert_same_bits(again, whole)


def test_other_windows_have_other_columns_and_digests() -> None:
    ts, close = make_market(200, 4, 6)
    windows = (20, 61, 120)
    block = scan(ts, close, 0, windows=windows)
    assert list(block.columns())[:7] == [
        "vel_div", "v20_vel", "v61_vel", "v120_vel", "instability_20", "instability_61", "vol",
    ]  # fmt: skip
    np.testing.assert_array_equal(block.vel_div(), block.v[:, 0] - block.v[:, 2])
    assert_same_bits(FeatureBlock.of(block.columns(), windows), block)
    returns = np.log(close[1:] / close[:-1])
    for w, k in ((20, 0), (61, 1), (120, 2)):
        for t in (w, 150, 199):
            plain = np.linalg.eigvalsh(np.corrcoef(returns[t - w : t].T))[-1] / 4
            assert block.a[t, k] == pytest.approx(plain, rel=1e-10)
    assert np.isnan(block.a[19, 0]) and np.isfinite(block.a[20, 0])
    assert len({scanner_digest(), scanner_digest(windows), scanner_digest((20, 61, 121))}) == 3
    assert history_bars(MINUTE, windows) == 121 + 1440 + 52
    with pytest.raises(DolphinError, match="unknown vel_div"):
        block.vel_div("v50-v750")


@pytest.mark.parametrize("threads", [1, 3])
def test_work_in_order_stops_at_an_error(threads: int) -> None:
    assert list(in_order(lambda n: n * n, range(20), threads)) == [n * n for n in range(20)]
    done: list[int] = []
    with pytest.raises(ZeroDivisionError):
        for result in in_order(lambda n: 12 // (3 - n), range(100), threads):
            done.append(result)
    assert done == [4, 6, 12]
