"""What a strategy declares arrives: columns by role, no columns at all, symbols by name, prices beside closes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from own_features_for_tests import BREADTH
from pair_for_tests import BY_QUOTES, PAIR
from strategies_for_tests import TWO_SLOTS

from dolphin.catalog import Dataset
from dolphin.catalog.ingest.frames import import_frame
from dolphin.catalog.store.columns import row_column
from dolphin.config import Config, parse_config
from dolphin.core.records import MARKET_COLUMNS, NO_SYMBOLS
from dolphin.core.strategy import Strategy
from dolphin.errors import DolphinError
from dolphin.features import compute_feature
from dolphin.market.assemble import feature_columns, open_market
from dolphin.parity.checks import append_only, lookahead, warmup
from dolphin.parity.ladder import ladder
from dolphin.study.measure.run import run, trades_frame
from dolphin.workspace import create


def config_of(strategy: Strategy, **params: object) -> Config:
    config = parse_config({}, where="x")
    chosen = strategy.params(**params)
    return dataclasses.replace(config, strategy=strategy, strategy_name=strategy.name, params=chosen)


def test_velocity_differences_are_columns_by_name(dataset: Dataset) -> None:
    strategy = dataclasses.replace(TWO_SLOTS, features=("v50-v150", "v50-v750", "vel_div"))
    features, columns = open_market(dataset, config_of(strategy)).features, feature_columns(dataset)
    np.testing.assert_array_equal(features[:, 0], columns["v50_vel"] - columns["v150_vel"])
    assert features[:, 1].tobytes() == features[:, 2].tobytes()
    unknown = dataclasses.replace(TWO_SLOTS, features=("v50-v151",))
    with pytest.raises(DolphinError, match="declares the unknown feature 'v50-v151'; did you mean 'v50-v150'"):
        open_market(dataset, config_of(unknown))


def test_parameters_select_what_stands_in_a_role(dataset: Dataset) -> None:
    strategy = dataclasses.replace(
        TWO_SLOTS,
        features=lambda p: {
            "signal": "v50_vel" if p.fade == "winner" else "v150_vel",
            "wide": dataclasses.replace(BREADTH, inputs=("signal",)),
        },
    )
    assert strategy.columns == ("signal", "wide_up", "wide_fed")
    columns = feature_columns(dataset)
    for fade, name in (("winner", "v50_vel"), ("loser", "v150_vel")):
        market = open_market(dataset, config_of(strategy, fade=fade))
        np.testing.assert_array_equal(market.features[:, 0], columns[name])
        np.testing.assert_array_equal(market.features[1:, 2], columns[name][1:])  # an input is what its role is
        fed = compute_feature(BREADTH, market.ts, market.price, np.asarray(columns[name])[:, None])
        np.testing.assert_array_equal(market.features[:, 1], fed[:, 0])


def test_roles_do_not_depend_on_parameters() -> None:
    strategy = dataclasses.replace(
        TWO_SLOTS, features=lambda p: {"a": "vol"} if p.fade == "winner" else {"a": "vol", "b": "vol"}
    )
    with pytest.raises(DolphinError, match=r"'two_slots' has other columns here \(a, b\) than by default \(a\)"):
        _ = config_of(strategy, fade="loser").reads
    picky = dataclasses.replace(TWO_SLOTS, features=lambda p: {"a": {7: "vol", 9: "vol_ewma"}[p.hold]})
    with pytest.raises(DolphinError, match="has features that raise KeyError: 8"):
        _ = config_of(picky, hold=8).reads


@pytest.mark.slow
def test_without_features_there_are_none_anywhere(dataset: Dataset) -> None:
    config = config_of(PAIR)
    market = open_market(dataset, config)
    assert market.features.shape == (len(market.ts), 0)
    case = (dataset, market, config, 100, 1500)
    done = run(*case)
    assert done.metrics["trades"] > 50
    assert np.isnan(trades_frame(done, feature_columns(dataset)["regime"])["vel_div_entry"].to_numpy()).all()
    for found in (lookahead(*case, cuts=1), append_only(dataset, config, days=1)):
        assert found.passed, found.detail
    late = warmup(dataset, market, config, 2500, len(market.ts), bars=200)
    assert late.passed, late.detail


@pytest.mark.slow
def test_symbols_and_columns_go_through_the_ladder(dataset: Dataset) -> None:
    config = config_of(PAIR, first="SYN02USDT")
    market = open_market(dataset, config)
    for name in MARKET_COLUMNS:
        expected = row_column(dataset, name) if name in PAIR.market_columns else np.empty((0, 0))
        np.testing.assert_array_equal(getattr(market, name), expected)
    assert (market.symbols["first"][0], market.symbols["second"][0]) == (2, 1)
    done = run(dataset, market, config, 100, 700)
    assert set(done.recording.trades["asset"].tolist()) == {2} and len(done.recording.trades) > 20
    report = ladder(dataset, market, config, 100, 700, rungs=(0, 2), full_bars=300)
    assert report.passed and {result.rung for result in report.results} == {0, 2}, report.as_dict()


@pytest.mark.slow  # vectorbt's simulation is compiled for every strategy and process
def test_symbols_and_columns_go_through_vectorbt(dataset: Dataset) -> None:
    config = config_of(PAIR, first="SYN02USDT")
    report = ladder(dataset, open_market(dataset, config), config, 100, 700, rungs=(1,))
    assert report.passed and len(report.results) == 1, report.as_dict()


@pytest.fixture(scope="module")
def quoted(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Dataset ``q``: a part of a day with quotes up to two ticks from the close, imported from a table."""
    ticks = {one.symbol: one.tick_num / 10**one.tick_exp for one in dataset.instruments}
    frame = dataset.frame().filter(pl.col("ts") < dataset.first_ts + 1000 * dataset.spacing_ns).collect()
    tick, k = pl.col("symbol").replace_strict(ticks), pl.int_range(pl.len())
    there = k % 11 != 0  # where nobody quoted, the last quote stands
    frame = frame.with_columns(
        pl.when(there).then(pl.col("close") - tick * (k % 3)).alias("best bid"),
        pl.when(there).then(pl.col("close") + tick * (k * k % 4)).alias("best ask"),
    )
    home = create(tmp_path_factory.mktemp("quoted"))
    return import_frame(frame, name="q", stamped="close", reference="BTCUSDT", workspace=home).dataset


@pytest.mark.slow  # vectorbt's simulation, as above
def test_imported_quotes_go_through_the_ladder(quoted: Dataset) -> None:
    config = config_of(BY_QUOTES)
    market = open_market(quoted, config)
    assert market.high.shape == (0, 0) and market.bid.shape == market.price.shape
    at = quoted.symbols.index("BTCUSDT")
    rows = quoted.frame().filter(pl.col("symbol") == "BTCUSDT").sort("ts").collect()
    assert rows["bid"].null_count() > 50
    for name in ("bid", "ask"):
        np.testing.assert_array_equal(getattr(market, name)[:, at], rows[name].forward_fill().to_numpy())
    done = run(quoted, market, config, 100, 500)
    assert len(done.recording.trades) > 20
    report = ladder(quoted, market, config, 100, 500, rungs=(0, "R", 1, 2), full_bars=100)
    assert report.passed and {result.rung for result in report.results} == {0, "R", 1, 2}, report.as_dict()


@pytest.mark.slow
def test_a_peek_at_a_later_column_is_found(dataset: Dataset) -> None:
    from dolphin.core.jit import inline

    honest = PAIR.decide

    @inline
    def peeking(state, params, market, i):  # type: ignore[no-untyped-def]
        ahead = min(i + 1, market.high.shape[0] - 1)
        if market.high[ahead, 0] > market.price[i, 0] * 1.0002:
            honest(state, params, market, i)

    strategy = dataclasses.replace(PAIR, name="peeks", decide=peeking)
    market = open_market(dataset, config_of(strategy))
    found = lookahead(dataset, market, config_of(strategy), 100, 400, cuts=1)
    assert not found.passed and "changes when later rows are" in found.detail


def test_a_symbol_that_is_not_there_is_named(dataset: Dataset) -> None:
    with pytest.raises(DolphinError, match="m: strategy 'pair' names the symbol 'SYN99USDT', which is not in it; did"):
        open_market(dataset, config_of(PAIR, first="SYN99USDT"))
    plain = dataclasses.replace(PAIR, symbols=("BTCUSDT", "SYN03USDT"))
    record = open_market(dataset, config_of(plain)).symbols
    assert record.dtype.names == ("BTCUSDT", "SYN03USDT") and record[0].item() == (0, 3)
    assert open_market(dataset, config_of(TWO_SLOTS)).symbols is NO_SYMBOLS


def test_texts_are_of_the_hash_and_not_of_the_record() -> None:
    one, other = config_of(PAIR), config_of(PAIR, first="SYN02USDT")
    assert one.hash != other.hash and one.reads != other.reads
    assert one.params_record().dtype.names == ("hold", "least_range")
    assert one.params_record().tobytes() == other.params_record().tobytes()


def test_a_workspaces_strategy_is_found_from_its_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dolphin.config import read_config
    from dolphin.study.definition.spec import read_study

    home, elsewhere = create(tmp_path / "home"), create(tmp_path / "elsewhere")
    own = "from dataclasses import replace\nfrom pair_for_tests import PAIR\nOWN = replace(PAIR, name='own')\n"
    (home.research / "own_pair.py").write_text(own)
    (home.root / "some").mkdir()
    file = home.root / "some" / "c.toml"
    file.write_text('strategy = "own_pair:OWN"\n[params]\nfirst = "SYN03USDT"\n')
    monkeypatch.delenv("DOLPHIN_HOME", raising=False)
    monkeypatch.chdir(elsewhere.root)  # not where the command runs, but where the file lies
    assert read_config(file).strategy.name == "own"
    study = 'dataset = "m"\nconfig = "c.toml"\n[search]\nfirst = { choices = ["BTCUSDT", "SYN02USDT"] }\n'
    (home.root / "some" / "s.toml").write_text(study)
    inline_config = study.replace('"c.toml"', '{ strategy = "own_pair:OWN" }')
    (home.root / "some" / "t.toml").write_text(inline_config)
    for name in ("s", "t"):
        assert read_study(home.root / "some" / f"{name}.toml").config.strategy.name == "own"
    (tmp_path / "c.toml").write_text(file.read_text())
    monkeypatch.setenv("DOLPHIN_HOME", str(home.root))  # outside of every workspace: as the command finds it
    assert read_config(tmp_path / "c.toml").strategy.name == "own"
