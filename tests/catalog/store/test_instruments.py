from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dolphin.catalog.store.instruments import (
    DecimalCount,
    Instrument,
    check_symbol,
    exact_decimal,
    load_instruments,
    round_prices,
)
from dolphin.errors import DolphinError


@given(st.lists(st.floats(1e-12, 1e15), min_size=1), st.integers(0, 10))
@example([2.675, 0.125, 1.005, 0.5, 1.5, 2.5, 1e-10, 9007199254740993.0], 2)
@example([0.5, 1.5, 2.5, 4503599627370495.5], 0)
def test_rounding_is_pythons(values: list[float], precision: int) -> None:
    assert round_prices(np.array(values), precision).tolist() == [round(v, precision) for v in values]


@given(st.integers(1, 10**12), st.integers(0, 10))
def test_rounding_near_halves_is_pythons(k: int, precision: int) -> None:
    half = (k + 0.5) / 10**precision
    values = [half, np.nextafter(half, 0.0), np.nextafter(half, np.inf), k / 10**precision]
    assert round_prices(np.array(values), precision).tolist() == [round(float(v), precision) for v in values]


def test_rounding_leaves_what_is_no_number() -> None:
    assert np.isnan(round_prices(np.array([np.nan]), 2)[0])
    assert round_prices(np.array([np.inf]), 2)[0] == np.inf


@pytest.mark.parametrize(
    ("value", "parts"),
    [(0.01, (1, 2)), (1.0, (1, 0)), (10.0, (1 * 10, 0)), (1e-05, (1, 5)), (0.05, (5, 2)), (2.5, (25, 1))],
)
def test_ticks_are_exact(value: float, parts: tuple[int, int]) -> None:
    assert exact_decimal(value) == parts


@given(st.integers(1, 10**9), st.integers(0, 10))
def test_ticks_mean_the_decimal_they_print_as(m: int, d: int) -> None:
    num, exp = exact_decimal(m / 10**d)
    assert Decimal(num).scaleb(-exp) == Decimal(m).scaleb(-d)
    assert num / 10**exp == m / 10**d


@pytest.mark.parametrize("value", [0.0, -0.1, float("nan"), float("inf")])
def test_what_is_no_tick(value: float) -> None:
    with pytest.raises(DolphinError):
        exact_decimal(value)


def test_load(tmp_path: Path) -> None:
    entry = {"price_precision": 2, "price_tick": 0.05, "lot_step": 0.001, "min_notional": 10}
    path = tmp_path / "instruments.json"
    path.write_text(json.dumps({"note": "", "instruments": {"BTCUSDT": entry}}))
    expected = (Instrument("BTCUSDT", 2, 5, 2, 1, 3, 10.0),)
    assert load_instruments(path, ["BTCUSDT"]) == expected
    path.write_text(json.dumps({"BTCUSDT": entry}))
    assert load_instruments(path, ["BTCUSDT"]) == expected
    with pytest.raises(DolphinError, match=r"no instrument for ETHUSDT; add it"):
        load_instruments(path, ["BTCUSDT", "ETHUSDT"])
    del entry["lot_step"]
    path.write_text(json.dumps({"BTCUSDT": entry}))
    with pytest.raises(DolphinError, match="lot_step"):
        load_instruments(path, ["BTCUSDT"])
    path.write_text("[1]")
    with pytest.raises(DolphinError, match="holds no instruments"):
        load_instruments(path, ["BTCUSDT"])


def test_ticks_from_data() -> None:
    count = DecimalCount()
    prices = np.round(np.arange(1, 2001) * 0.25, 2)
    count.add("AUSDT", "price", prices)
    count.add("AUSDT", "volume", np.array([1.0, 2.5, 3.125]))
    assert count.instrument("AUSDT") == Instrument("AUSDT", 2, 1, 2, 1, 3, 5.0)
    count.add("AUSDT", "price", np.array([0.1 + 0.2]))  # one slip of arithmetic in 2001 is no new tick
    assert count.instrument("AUSDT").price_precision == 2


@pytest.mark.parametrize("symbol", ["btcusdt", "", "A" * 21, "BTC-USDT", "../X"])
def test_what_is_no_symbol(symbol: str) -> None:
    with pytest.raises(DolphinError, match="is no symbol"):
        check_symbol(symbol, "file")
