"""From prices to what the engine reads: scans that go on where they stopped, and the choice of features."""

from __future__ import annotations

import numpy as np
import pytest

from dolphin.catalog import Dataset, open_dataset
from dolphin.config import Config, parse_config
from dolphin.core.logarithm import ln_array
from dolphin.core.records import Market
from dolphin.errors import DolphinError
from dolphin.market.assemble import choose, feature_columns, instrument_records, open_market
from dolphin.workspace import Workspace


@pytest.mark.parametrize("how", ["flip", "truncate", "remove", "meta"])
def test_a_damaged_cache_is_rebuilt_with_equal_bits(home: Workspace, how: str) -> None:
    dataset = open_dataset(home, "m")
    before = {name: np.array(values) for name, values in feature_columns(dataset).items()}
    prices = np.array(dataset.prices().close)
    for folder in (home.catalog / "cache").iterdir():
        for path in folder.glob("*.npy"):
            data = bytearray(path.read_bytes())
            if how == "flip":
                data[-3] ^= 4
                path.write_bytes(data)
            elif how == "truncate":
                path.write_bytes(data[:-5])
            elif how == "remove":
                path.unlink()
        if how == "meta":
            (folder / "meta.json").write_text("{")
    after = feature_columns(open_dataset(home, "m"))
    assert list(after) == list(before)
    for name, values in before.items():
        assert values.tobytes() == np.ascontiguousarray(after[name]).tobytes(), name
    assert open_dataset(home, "m").prices().close.tobytes() == prices.tobytes()


def test_the_definition_of_vel_div_and_vol_follow_the_config(dataset: Dataset) -> None:
    columns = feature_columns(dataset)
    plain, other = (
        choose(columns, parse_config({"params": params}, where="x"))
        for params in ({}, {"vel_div": "v50-v150", "vol_ewma": True})
    )
    np.testing.assert_array_equal(plain[:, 0], columns["v50_vel"] - columns["v750_vel"])
    np.testing.assert_array_equal(plain[:, 0], columns["vel_div"])
    np.testing.assert_array_equal(plain[:, 1], columns["vol"])
    np.testing.assert_array_equal(other[:, 0], columns["v50_vel"] - columns["v150_vel"])
    np.testing.assert_array_equal(other[:, 1], columns["vol_ewma"])
    assert np.isfinite(plain[-1]).all() and np.isfinite(other[-1]).all()
    assert (plain[-1] != other[-1]).all()
    assert plain.flags.c_contiguous and plain.dtype == np.float64


def test_the_return_of_the_reference_reaches_the_sleeves(dataset: Dataset) -> None:
    market = open_market(dataset, parse_config({"strategy": "vel_div_sleeves"}, where="x"))
    price = market.price[:, dataset.reference_column]
    np.testing.assert_array_equal(market.features[7:, 2], price[7:] / price[:-7] - 1.0)
    assert np.isnan(market.features[:7, 2]).all()


def test_an_unknown_feature_is_named(dataset: Dataset, busy: Config) -> None:
    import dataclasses

    strategy = dataclasses.replace(busy.strategy, features=("vel_div", "instability_51"), quantiles={})
    config = dataclasses.replace(busy, strategy=strategy)
    with pytest.raises(DolphinError, match="declares the unknown feature 'instability_51'; did you mean"):
        choose(feature_columns(dataset), config)


def test_the_market_is_the_dataset(dataset: Dataset, market: Market, busy: Config) -> None:
    prices = dataset.prices()
    assert market.ts is not None and (market.ts == prices.ts).all() and (market.price == prices.close).all()
    assert market.log_price.tobytes() == ln_array(np.array(prices.close)).tobytes()
    assert (market.risk["boost"] == 1.0).all() and (market.risk["rm"] == 1.0).all()
    assert not market.risk["beta"].any() and not market.risk["posture"].any()
    assert open_market(dataset, busy).features.tobytes() == market.features.tobytes()


def test_instrument_records_are_exact_decimals(dataset: Dataset) -> None:
    for record, instrument in zip(instrument_records(dataset.instruments), dataset.instruments, strict=True):
        assert record["tick"] == float(f"{instrument.tick_num}e-{instrument.tick_exp}")
        assert record["lot"] == float(f"{instrument.lot_num}e-{instrument.lot_exp}")
        assert record["tick_num"] / record["tick_den"] == record["tick"]
        assert record["min_notional"] == instrument.min_notional
