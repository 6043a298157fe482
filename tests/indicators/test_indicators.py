from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import talib

from dolphin import indicators
from dolphin.core.records import Floats
from dolphin.errors import DolphinError
from dolphin.features.conformance import conform
from dolphin.features.plugin import compute
from dolphin.indicators import rows
from dolphin.indicators.averages import sma
from dolphin.indicators.spreads import rolling_correlation

SPACING = 300 * 10**9
TS = 1_735_689_600 * 10**9 + SPACING * np.arange(1, 1_501)


@pytest.fixture(scope="module")
def close() -> Floats:
    """Three random walks, the third listed late."""
    rng = np.random.default_rng(11)
    prices = np.array([100.0, 20.0, 5.0]) * np.exp(np.cumsum(0.002 * rng.standard_t(4, (len(TS), 3)), axis=0))
    prices[:40, 2] = np.nan
    return prices


def expected(close: Floats) -> dict[str, list[Floats]]:
    """Every indicator by TA-Lib, pandas or numpy."""
    price, other = close[:, 0].copy(), close[:, 1].copy()
    series, moves = pd.Series(price), pd.Series(np.log(price)).diff()
    mean, off = series.rolling(20).mean(), series.rolling(20).std(ddof=0)
    fast, slow = (series.ewm(span=n, adjust=False).mean() for n in (12, 26))
    signal = (fast - slow).ewm(span=9, adjust=False).mean()
    return {
        "sma": [talib.SMA(price, 20)],
        "ema": [series.ewm(span=20, adjust=False).mean()],
        "rsi": [talib.RSI(price, 14)],
        "bollinger": list(np.array(talib.BBANDS(price, 20, 2.0, 2.0))[[1, 0, 2]]),
        "macd": [fast - slow, signal, fast - slow - signal],
        "zscore": [(series - mean) / off],
        "donchian": [talib.MAX(price, 20), talib.MIN(price, 20)],
        "realised_volatility": [np.sqrt((moves**2).rolling(20).sum())],
        "rolling_correlation": [moves.rolling(20).corr(pd.Series(np.log(other)).diff())],
    }


MADE = {
    name: getattr(indicators, name)(*arguments)
    for name, arguments in {
        "sma": (20,), "ema": (20,), "rsi": (14,), "bollinger": (20,), "macd": (), "zscore": (20,), "donchian": (20,),
        "realised_volatility": (20,), "rolling_correlation": (20,),
    }.items()
}  # fmt: skip


def test_every_indicator_is_tried() -> None:
    assert sorted(MADE) == indicators.__all__


@pytest.mark.parametrize("name", sorted(MADE))
def test_it_is_what_others_compute(name: str, close: Floats) -> None:
    feature = MADE[name]
    found = compute(feature, TS, close)
    theirs = np.column_stack(expected(close)[name])
    known = slice(max(feature.warmup_bars, 400), None)  # exponential ones: where theirs has settled, too
    np.testing.assert_allclose(found[known], theirs[known], rtol=2e-6, atol=1e-9)
    assert np.isnan(found[: feature.warmup_bars]).all()


@pytest.mark.parametrize("name", sorted(MADE))
def test_it_keeps_every_rule_of_features(name: str, close: Floats) -> None:
    found = conform(MADE[name], TS, close)
    assert found.passed, found


def test_equal_ones_are_one_and_others_have_another_digest(close: Floats) -> None:
    assert sma(20) is sma(20) and len({sma(20).digest, sma(21).digest, sma(20, 1).digest}) == 3
    later = compute(sma(20, 2), TS, close)
    np.testing.assert_allclose(later[59:], pd.Series(close[:, 2]).rolling(20).mean().to_numpy()[59:, None])
    for absent in (sma(20, 7), rolling_correlation(5, 0, 9)):
        assert np.isnan(compute(absent, TS, close)).all()


@pytest.mark.parametrize("n", [0, -3, 2.5, True, 5_000])
def test_what_is_no_length(n: object) -> None:
    with pytest.raises(DolphinError, match="an indicator over"):
        sma(n)  # type: ignore[arg-type]


def test_indicators_of_rows(close: Floats) -> None:
    price = close[:, 0].copy()
    market = SimpleNamespace(price=close, high=close * 1.001, low=close * 0.998)
    rng = talib.TRANGE(price * 1.001, price * 0.998, price)
    for i in (0, 13, 14, 700):
        theirs = talib.SMA(rng[1:], 14)[i - 1] if i > 13 else np.nan
        assert rows.atr.py_func(market, i, 0, 14) == pytest.approx(theirs, nan_ok=True)
    for ours, theirs in ((rows.mean, talib.SMA), (rows.highest, talib.MAX), (rows.lowest, talib.MIN)):
        for i in (5, 19, 900):
            assert ours(close, i, 0, 20) == pytest.approx(theirs(price, 20)[i], nan_ok=True)


@pytest.mark.parametrize("side", [1, -1])
def test_the_furthest_row_is_the_latest_of_equals(side: int) -> None:
    values = np.random.default_rng(1).integers(1, 6, (60, 1)).astype(float)
    values[:9] = np.nan
    for n in (1, 2, 8, 9, 31):
        for i in range(n - 1, 60):
            window = values[i - n + 1 : i + 1, 0]
            found, row = rows.extreme(values, i, 0, n, side)
            if np.isnan(values[i, 0]):
                assert np.isnan(found)
                continue
            assert found == (np.nanmax(window) if side > 0 else np.nanmin(window))
            assert row == i - n + 1 + np.flatnonzero(window == found)[-1]
