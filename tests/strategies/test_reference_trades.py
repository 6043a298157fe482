"""The independent slow implementation's results, through the real path: import, scan, run."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from thorough import thorough

from dolphin import workspace
from dolphin.catalog import import_klines, open_dataset, parse_time
from dolphin.config import parse_config, settled
from dolphin.market.assemble import feature_columns, open_market
from dolphin.study.measure.run import run, trades_frame

STUDIES = {
    "klines_5m_2022": {},
    # The vectors cover the first ten days: 14,400 closes from 2021-04-02T00:01.
    "klines_1m_2021": {"stop_ns": parse_time("2021-04-12T00:01:00Z")},
}
CASES = ("default_gate_off", "gate_min_p60", "bidirectional_stop", "long_max_aligned")
FRICTION = ("slippage_bps", "fee_bps")


@pytest.fixture(scope="module", params=thorough(STUDIES))
def studied(request, shared_data, shared_vectors, tmp_path_factory):
    """Dataset and reference folder of one of the two studies."""
    home = workspace.create(tmp_path_factory.mktemp("vectors"))
    import_klines(home, shared_data / request.param, "v", **STUDIES[request.param])
    return open_dataset(home, "v"), shared_vectors / request.param


def test_the_grid_is_the_reference_grid(studied):
    dataset, folder = studied
    cases = json.loads((folder / "cases.json").read_bytes())
    assert list(dataset.symbols) == cases["symbols"]
    assert dataset.n_bars == cases["bars"]
    assert dataset.first_ts == cases["first_close_ms"] * 1_000_000
    assert dataset.last_ts == cases["last_close_ms"] * 1_000_000


def test_features_agree_at_every_bar(studied):
    dataset, folder = studied
    columns, reference = feature_columns(dataset), pl.read_parquet(folder / "features.parquet")
    ours = {f"v{w}": columns[f"v{w}_vel"] for w in (50, 150, 300, 750)}
    ours |= {f"a{w}": columns[f"a_{w}"] for w in (50, 150, 300, 750)}
    ours |= {"vel_div": columns["vel_div"], "vol": columns["vol"]}
    compared = 0
    for name in reference.columns:
        key = name.replace("_", "") if name.replace("_", "") in ours else name
        if key in ours:
            np.testing.assert_allclose(ours[key], reference[name].to_numpy(), rtol=0, atol=1e-9, equal_nan=True)
            compared += 1
    assert compared == 10


@pytest.mark.parametrize("case", CASES)
def test_trades_one_to_one(studied, case):
    dataset, folder = studied
    reference = json.loads((folder / "cases.json").read_bytes())["cases"][case]
    values = dict(reference["params"])
    table = {
        "friction": {name: values.pop(name) for name in FRICTION},
        "account": {"initial_capital": values.pop("initial_capital")},
        "params": values,
    }
    config = parse_config(table, where=case)
    market = open_market(dataset, config)
    done = run(dataset, market, config, 0, dataset.n_bars)
    ours = trades_frame(done, feature_columns(dataset)["regime"])
    theirs = pl.read_parquet(folder / f"trades_{case}.parquet")
    for name, column in (
        ("entry_bar", "entry_bar"),
        ("exit_bar", "exit_bar"),
        ("asset", "asset"),
        ("reason", "exit_reason"),
    ):
        assert theirs[name].to_list() == ours[column].to_list()
    assert theirs["side"].to_list() == [1 if side == "LONG" else -1 for side in ours["side"]]
    for name, column in (
        ("qty", "quantity"),
        ("entry", "entry_price"),
        ("exit", "exit_price"),
        ("pnl", "pnl"),
    ):
        np.testing.assert_allclose(ours[column].to_numpy(), theirs[name].to_numpy(), rtol=1e-9)
    # Leverage is linear in vel_div with slope 5 / 0.03, and vel_div may differ by 1e-9.
    np.testing.assert_allclose(ours["leverage"].to_numpy(), theirs["leverage"].to_numpy(), atol=2e-7)
    names = {
        "pf": "profit_factor",
        "wr": "win_rate",
        "roi": "roi",
        "max_dd": "max_drawdown",
        "sharpe": "sharpe_365",
    }
    assert done.metrics["trades"] == reference["metrics"]["trades"]
    for name, ours_name in names.items():
        assert done.metrics[ours_name] == pytest.approx(reference["metrics"][name], rel=1e-9)
    assert done.metrics["final_equity"] == pytest.approx(reference["final_equity"], rel=1e-9)


def test_p60_is_the_percentile_of_the_window(studied):
    dataset, folder = studied
    reference = json.loads((folder / "cases.json").read_bytes())["cases"]["gate_min_p60"]["params"]["vol_p60"]
    config = parse_config({"params": {"vol_p60": "p60"}}, where="test")
    market = open_market(dataset, config)
    assert settled(config, market, [(0, len(market.ts))]).params.vol_p60 == pytest.approx(reference, rel=1e-9)
