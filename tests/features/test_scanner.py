"""The scanner's contract: definitions, streaming, restarts, no look-ahead, awkward markets."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scanner_markets import MINUTE, assert_same_bits, make_market, plain_absorption, worst_error

from dolphin.errors import DolphinError
from dolphin.features import WARMUP_BARS, WINDOWS, FeatureBlock, Scanner, history_bars, scan, scanner_digest

HOUR = 60 * MINUTE
DAY = 24 * HOUR


@st.composite
def markets(draw: st.DrawFn, rows: int = 900) -> tuple[np.ndarray, np.ndarray]:
    """Markets with late, constant and stuttering assets, with and without a common factor."""
    assets = draw(st.integers(2, 9))
    factor = draw(st.sampled_from([0.0, 0.3, 2.0]))
    spacing = draw(st.sampled_from([5 * MINUTE, 20 * MINUTE, HOUR]))
    ts, close = make_market(rows, assets, draw(st.integers(0, 999)), factor=factor, spacing=spacing)
    for j in range(assets):
        kind = draw(st.sampled_from(["plain", "plain", "late", "constant", "stuck", "gap"]))
        row = draw(st.integers(1, rows - 1))
        if kind == "late":
            close[:row, j] = np.nan
        elif kind == "constant":
            close[:, j] = 7.0
        elif kind == "stuck":
            close[row:, j] = close[row, j]
        elif kind == "gap":
            close[row : row + 3, j] = np.nan
    return ts, close


@settings(max_examples=25, deadline=None)
@given(markets())
def test_definitions(market: tuple[np.ndarray, np.ndarray]) -> None:
    ts, close = market
    block = scan(ts, close, 0)
    assert worst_error(block, close, np.arange(3, len(ts), 71)) < 1e-9
    assert np.all(np.nan_to_num(block.residual) <= 1e-5)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(block.v[1:], block.a[1:] / block.a[:-1] - 1.0, rtol=0, atol=1e-15)
    assert np.isnan(block.v[0]).all()
    np.testing.assert_array_equal(block.vel_div("v50-v150"), block.v[:, 0] - block.v[:, 1])
    returns = np.vstack([np.full((1, close.shape[1]), np.nan), np.diff(np.log(close), axis=0)])
    for t in range(60, len(ts), 83):
        last = returns[t - 49 : t + 1]
        np.testing.assert_allclose(block.vol[t], last[:, 0].std(), atol=1e-15)
        np.testing.assert_allclose(block.instability[t], block.v[max(0, t - 49) : t + 1, :2].std(axis=0), atol=1e-14)
        active = np.isfinite(last).all(axis=0) & (last != last[0]).any(axis=0)
        assert block.n_active[t, 0] == active.sum()
        if active.any():
            up = (close[t, active] > close[t - 50, active]).mean()
            down = (close[t, active] < close[t - 50, active]).mean()
            assert block.bull_pct[t] == pytest.approx(100 * up, abs=1e-12)
            assert block.bear_pct[t] == pytest.approx(100 * down, abs=1e-12)
            assert block.regime[t] == np.sign(up - down)
        else:
            assert np.isnan(block.bull_pct[t]) and np.isnan(block.bear_pct[t]) and block.regime[t] == 0
    np.testing.assert_array_equal(block.reference_return[7:], close[7:, 0] / close[:-7, 0] - 1.0)
    assert np.isnan(block.reference_return[:7]).all()


@settings(max_examples=10, deadline=None)
@given(markets())
def test_streaming_is_batch_to_the_bit(market: tuple[np.ndarray, np.ndarray]) -> None:
    ts, close = market
    batch = scan(ts, close, 1)
    scanner = Scanner(close.shape[1], 1)
    for t in range(len(ts)):
        assert_same_bits(scanner.update(int(ts[t]), close[t]), batch.rows(t, t + 1))


@settings(max_examples=10, deadline=None)
@given(markets(), st.integers(1, 899), st.integers(0, 99))
def test_later_bars_change_nothing_before(market: tuple[np.ndarray, np.ndarray], row: int, seed: int) -> None:
    ts, close = market
    before = scan(ts, close, 0)
    changed = close.copy()
    changed[row:] *= np.random.default_rng(seed).uniform(0.5, 2.0, close[row:].shape)
    after = scan(ts, changed, 0)
    assert_same_bits(before.rows(0, row), after.rows(0, row))
    # Something later does change (a bar that counts), or the first part could not fail.
    assert before.vol[row:].tobytes() != after.vol[row:].tobytes() or row > 895 or np.isnan(before.vol[row:]).all()
    assert_same_bits(scan(ts[:row], close[:row], 0), before.rows(0, row))


@settings(max_examples=8, deadline=None)
@given(markets(rows=1300))
def test_restart_at_every_day_is_the_same_to_the_bit(market: tuple[np.ndarray, np.ndarray]) -> None:
    ts, close = market
    whole = scan(ts, close, 0)
    for row in np.flatnonzero(np.diff(ts // DAY)) + 1:
        out = FeatureBlock.empty(len(ts))
        for known, values in zip(out.arrays().values(), whole.arrays().values(), strict=True):
            known[:row] = values[:row]
        assert_same_bits(scan(ts, close, 0, out=out, start_row=int(row)), whole)


def test_scan_in_pieces_and_progress() -> None:
    ts, close = make_market(9000, 3, 5)
    seen: list[tuple[int, int]] = []
    out = scan(ts, close, 0, stop_row=8900, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (8900, 8900) and len(seen) == 3
    assert np.isnan(out.a[8900:]).all()
    row = int(np.flatnonzero(np.diff(ts[:8900] // DAY))[-1]) + 1
    assert_same_bits(scan(ts, close, 0, out=out, start_row=row), scan(ts, close, 0))


@pytest.mark.parametrize("spacing", [5 * MINUTE, HOUR])
def test_warm_scanner_is_the_one_that_started_earlier(spacing: int) -> None:
    ts, close = make_market(2400, 6, 3, spacing=spacing)
    whole = scan(ts, close, 2)
    start = 1 + int(np.flatnonzero(np.diff(ts // DAY))[-2])
    for offset in (0, 5):  # from a day's first bar, and from inside a day
        first = start + offset
        history = slice(first - history_bars(spacing), first)
        scanner = Scanner(6, 2)
        scanner.warm(ts[history], close[history])
        for t in range(first, len(ts)):
            assert_same_bits(scanner.update(int(ts[t]), close[t]), whole.rows(t, t + 1))
    scanner = Scanner(6, 2)
    history = slice(start - 751, start)
    known = whole.rows(start - 751, start)
    scanner.warm(ts[history], close[history], known)
    for t in range(start, len(ts)):
        assert_same_bits(scanner.update(int(ts[t]), close[t]), whole.rows(t, t + 1))


def test_warm_up_is_as_stated() -> None:
    ts, close = make_market(800, 4, 1)
    vel_div = scan(ts, close, 0).vel_div()
    assert np.isnan(vel_div[:WARMUP_BARS]).all()
    assert np.isfinite(vel_div[WARMUP_BARS:]).all()


def test_an_asset_that_appears_and_one_that_stops() -> None:
    ts, close = make_market(1700, 5, 8)
    close[:400, 3] = np.nan
    close[500:, 4] = close[500, 4]
    block = scan(ts, close, 0)
    for k, w in enumerate(WINDOWS):
        # The first return is at row 401; the last return that is not zero at row 500.
        appeared = np.arange(1700) >= 400 + w
        moving = (np.arange(1700) >= w) & (np.arange(1700) < 500 + w)
        whole = 3 * (np.arange(1700) >= w)
        np.testing.assert_array_equal(block.n_active[:, k], whole + appeared + moving)
    assert worst_error(block, close, np.arange(0, 1700, 13)) < 1e-10


def test_equal_returns_that_are_not_zero_are_inactive() -> None:
    ts, close = make_market(140, 3, 2)
    close[:, 2] = 2.0 ** np.arange(140)
    close[120:, 2] *= 1.5
    block = scan(ts, close, 0)
    assert block.n_active[119, 0] == 2 and block.n_active[120, 0] == 3
    assert worst_error(block, close, np.arange(140)) < 1e-9


def test_an_outlier_passes_through() -> None:
    ts, close = make_market(1500, 6, 4)
    close[200:, 1] *= 1000.0
    close[201:, 2] *= 1.5
    block = scan(ts, close, 0)
    assert worst_error(block, close, np.arange(190, 1000, 1)) < 1e-10


def test_a_drift_far_above_the_noise() -> None:
    ts, close = make_market(1000, 4, 9, factor=0.0)
    close[:, 1] = np.exp(1e-2 * np.arange(1000) + 1e-7 * np.cumsum(np.random.default_rng(1).normal(size=1000)))
    block = scan(ts, close, 0)
    assert worst_error(block, close, np.arange(50, 1000, 7)) < 1e-9


def test_two_assets_and_mirror_images() -> None:
    ts, close = make_market(900, 2, 6)
    block = scan(ts, close, 0)
    assert worst_error(block, close, np.arange(50, 900, 11)) < 1e-10
    close[:, 1] = 1.0 / close[:, 0]  # correlation -1
    assert np.nanmax(np.abs(scan(ts, close, 0).a[50:] - 1.0)) < 1e-10


def test_weak_correlation_of_many_assets() -> None:
    ts, close = make_market(1000, 64, 7, factor=0.0)
    block = scan(ts, close, 0)
    assert worst_error(block, close, np.arange(50, 1000, 47)) < 1e-10
    assert plain_absorption(close, 999, 750) < 0.05


def test_long_quiet_after_a_storm_keeps_its_digits() -> None:
    ts, close = make_market(4000, 5, 11, spacing=MINUTE)
    noise = np.diff(np.log(close), axis=0)
    noise[300:330] *= 300.0
    noise[400:] *= 0.05
    close[1:] = 100.0 * np.exp(np.cumsum(noise, axis=0))
    assert worst_error(scan(ts, close, 0), close, np.arange(60, 1440, 9)) < 1e-10


def test_missing_values_have_one_bit_pattern() -> None:
    ts, close = make_market(900, 4, 12)
    close[:300, 1] = -np.nan
    block = scan(ts, close, 1)
    quiet = np.array([np.nan]).view(np.uint64)[0]
    for name, values in block.arrays().items():
        if values.dtype == np.float64:
            bits = values[np.isnan(values)].view(np.uint64)
            assert (bits == quiet).all(), name
    assert np.isnan(block.a).any() and np.isnan(block.vol[:350]).all()


PROGRAM = """
import hashlib, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from scanner_markets import make_market
from dolphin.features import scan
ts, close = make_market(1100, 11, 21, factor=0.4)
block = scan(ts, close, 0)
print(hashlib.sha256(b"".join(x.tobytes() for x in block.arrays().values())).hexdigest())
"""


@pytest.mark.slow
def test_generic_processor_gives_the_same_bits() -> None:
    ts, close = make_market(1100, 11, 21, factor=0.4)
    here = hashlib.sha256(b"".join(x.tobytes() for x in scan(ts, close, 0).arrays().values())).hexdigest()
    environment = os.environ | {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent)]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == here


def test_read_only_prices_are_accepted() -> None:
    ts, close = make_market(300, 3, 2)
    expected = scan(ts, close, 0)
    frozen = np.asfortranarray(close)
    frozen.flags.writeable = False
    assert_same_bits(scan(ts, frozen, 0), expected)


def test_errors_say_what_is_wrong() -> None:
    ts, close = make_market(300, 3, 2)
    with pytest.raises(DolphinError, match="row 7"):
        scan(np.r_[ts[:7], ts[6], ts[8:]], close, 0)
    with pytest.raises(DolphinError, match="do not fit"):
        scan(ts[:-1], close, 0)
    with pytest.raises(DolphinError, match="reference column 3"):
        scan(ts, close, 3)
    with pytest.raises(DolphinError, match="1 assets"):
        scan(ts, close[:, :1], 0)
    with pytest.raises(DolphinError, match="earlier rows"):
        scan(ts, close, 0, start_row=287)
    whole = scan(ts, close, 0)
    with pytest.raises(DolphinError, match="inside a UTC day"):
        scan(ts, close, 0, out=whole, start_row=286)
    with pytest.raises(DolphinError, match="300 rows of windows"):
        scan(ts[:-1], close[:-1], 0, out=whole)
    for windows in ([50], [50, 50], [2, 50], [60, 50], [50, 20_001], range(3, 20)):
        with pytest.raises(DolphinError, match="no scan over windows"):
            scan(ts, close, 0, windows=windows)
    with pytest.raises(DolphinError, match="not within"):
        scan(ts, close, 0, stop_row=301)
    with pytest.raises(DolphinError, match="did you mean 'v50-v750'"):
        whole.vel_div("v50-v75")
    scanner = Scanner(3, 0)
    scanner.update(5, close[0])
    with pytest.raises(DolphinError, match="not after"):
        scanner.update(5, close[1])
    with pytest.raises(DolphinError, match="prices of shape"):
        scanner.update(6, close[0, :2])
    recalled = Scanner(3, 0)
    recalled.warm(ts[:100], close[:100], whole.rows(0, 100))
    with pytest.raises(DolphinError, match="inside a UTC day"):
        recalled.update(int(ts[100]), close[100])
    with pytest.raises(DolphinError, match="already"):
        scanner.warm(ts, close)


def test_columns_of_the_scan_file() -> None:
    ts, close = make_market(60, 3, 2)
    columns = scan(ts, close, 0).columns()
    assert list(columns)[:10] == [
        "vel_div", "v50_vel", "v150_vel", "v300_vel", "v750_vel",
        "instability_50", "instability_150", "vol", "bull_pct", "bear_pct",
    ]  # fmt: skip
    assert all(values.shape == (60,) for values in columns.values())
    assert len(scanner_digest()) == 64


def test_smoothed_volatility_is_the_ewma() -> None:
    ts, close = make_market(400, 2, 2)
    block = scan(ts, close, 0)
    value = block.vol[50]
    assert np.isnan(block.vol_ewma[:50]).all() and block.vol_ewma[50] == value
    for t in range(51, 400):
        value += (block.vol[t] - value) * 2.0 / 6.0
        assert block.vol_ewma[t] == pytest.approx(value, rel=1e-7)
