"""Plug-in features in a strategy: declared, found, computed once, and part of every hash."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from own_features_for_tests import BREADTH, SMOOTH
from strategies_for_tests import TWO_SLOTS

from dolphin.catalog import Dataset, open_dataset
from dolphin.config import Config, Variants, parse_config
from dolphin.core.strategy import Strategy
from dolphin.errors import DolphinError
from dolphin.features import Feature, compute_feature
from dolphin.gate.freeze import sources
from dolphin.market import plugins as own_features
from dolphin.market.assemble import feature_columns, open_market
from dolphin.strategies import load, load_feature
from dolphin.strategies.vel_div import VEL_DIV, features
from dolphin.workspace import Workspace

#: A module of research/ with a feature, and one with a strategy that names it.
FEATURE = """
from dolphin.core.jit import inline
from dolphin.features import Feature

SCALE = 2.0

@inline
def update(state, bar, out):
    out[0] = SCALE * bar.price[0]

MINE = Feature("mine", update, memory=0, warmup_bars=1)
"""
STRATEGY = """
from strategies_for_tests import TwoSlotParams, decide
from dolphin.core.strategy import Strategy

OWN = Strategy("own", decide, TwoSlotParams, ("vel_div", "{feature}"), ("", "RIDDEN", "FADED"), lambda p: 11,
               slots=2, memory=2)
"""


def config_with(*features: object) -> Config:
    strategy = dataclasses.replace(TWO_SLOTS, features=features)
    config = parse_config({}, where="test")
    return dataclasses.replace(config, strategy=strategy, strategy_name="two_slots", params=strategy.params())


def test_columns_are_the_declared_ones_then_what_features_read() -> None:
    strategy = dataclasses.replace(TWO_SLOTS, features=(BREADTH, "vel_div", SMOOTH))
    assert strategy.columns == ("broad_up", "broad_fed", "vel_div", "smooth", "vol")
    assert strategy.plugins() == (BREADTH, SMOOTH)
    assert TWO_SLOTS.columns == TWO_SLOTS.features and not TWO_SLOTS.plugins()


def test_the_market_holds_them_in_that_order(dataset: Dataset) -> None:
    market = open_market(dataset, config_with(BREADTH, "vel_div", SMOOTH))
    columns = feature_columns(dataset)
    vol = np.asarray(columns["vol"])[:, None]
    expected = compute_feature(BREADTH, market.ts, market.price, vol)
    np.testing.assert_array_equal(market.features[:, :2], expected)
    np.testing.assert_array_equal(market.features[:, 3:4], compute_feature(SMOOTH, market.ts, market.price))
    np.testing.assert_array_equal(market.features[:, 4], columns["vol"])
    assert np.isfinite(market.features[1000:]).all()


def test_inputs_follow_the_definitions_of_the_config(dataset: Dataset) -> None:
    feature = dataclasses.replace(BREADTH, inputs=("vel_div",))
    strategy = dataclasses.replace(VEL_DIV, features=lambda params: {**features(params), "broad": feature})
    columns = feature_columns(dataset)
    for definition, slow in (("v50-v750", "v750_vel"), ("v50-v150", "v150_vel")):
        config = dataclasses.replace(parse_config({"params": {"vel_div": definition}}, where="x"), strategy=strategy)
        fed = open_market(dataset, config).features[1:, 3]
        np.testing.assert_array_equal(fed, (columns["v50_vel"] - columns[slow])[1:])


def test_a_feature_is_computed_once(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, count = open_dataset(home, "m"), []
    config = config_with(dataclasses.replace(SMOOTH, warmup_bars=85))  # no other test has it in the cache

    def counted(*arguments: object, **options: object) -> np.ndarray:
        count.append(1)
        return compute_feature(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(own_features, "compute_feature", counted)
    first = np.array(open_market(dataset, config).features)
    assert open_market(dataset, config).features.tobytes() == first.tobytes() and len(count) == 1
    for path in (home.catalog / "cache").glob("own-*/values.npy"):  # damaged: made again
        path.write_bytes(path.read_bytes()[:-3])
    assert open_market(dataset, config).features.tobytes() == first.tobytes() and len(count) == 2
    open_market(dataset, config_with(dataclasses.replace(SMOOTH, warmup_bars=90)))
    assert len(count) == 3


def research(folder: Path, source: str = FEATURE, feature: str = "own_feature:MINE") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "own_feature.py").write_text(source)
    (folder / "own_strategy.py").write_text(STRATEGY.format(feature=feature))
    return folder


def test_a_change_of_source_changes_every_hash(tmp_path: Path) -> None:
    found = []
    for name, source in (("a", FEATURE), ("b", FEATURE), ("c", FEATURE.replace("2.0", "3.0"))):
        config = parse_config({"strategy": "own_strategy:OWN"}, where="x", research=research(tmp_path / name, source))
        feature = config.strategy.plugins()[0]
        assert isinstance(feature, Feature) and config.strategy.columns == ("vel_div", "mine")
        found.append((feature.digest, config.strategy.digest, config.hash))
        assert Variants(config).of({"hold": 8}).hash == config.with_values({"hold": 8}).hash
    assert found[0] == found[1] and not set(found[0]) & set(found[2])


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        ("own_feature:MIME", r"own_feature.py: defines no Feature named 'MIME'; did you mean 'MINE'\?"),
        ("own_featur:MINE", r"no such feature module; did you mean 'own_feature'\?"),
        ("own_strategy:OWN", "defines no Feature named 'OWN'"),
    ],
)
def test_a_feature_that_is_not_there_is_named(tmp_path: Path, feature: str, words: str) -> None:
    with pytest.raises(DolphinError, match=words):
        load("own_strategy:OWN", research(tmp_path / "r", feature=feature))
    with pytest.raises(DolphinError, match="needs a module of the workspace's research folder; name it as"):
        load_feature("mine", tmp_path)


def test_what_is_no_feature_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="declares a float as a feature, not a name or a Feature"):
        Strategy("own", TWO_SLOTS.decide, TWO_SLOTS.params, ("vol", 3.0), ("",), lambda p: 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="has two features named 'smooth'"):
        dataclasses.replace(TWO_SLOTS, features=(SMOOTH, SMOOTH))
    source = STRATEGY.replace('"{feature}"', "3.0")
    (tmp_path / "wrong.py").write_text(source)
    with pytest.raises(DolphinError, match="does not import: TypeError: strategy 'own' declares a float"):
        load("wrong:OWN", tmp_path)
    vol = dataclasses.replace(SMOOTH, name="vol")
    with pytest.raises(DolphinError, match="feature 'vol' has a column 'vol', and so has the scanner"):
        open_market(dataset, config_with(vol))
    wrong = dataclasses.replace(BREADTH, inputs=("instability_51",))
    with pytest.raises(DolphinError, match=r"feature 'broad' declares the unknown feature 'instability_51'; did you"):
        open_market(dataset, config_with(wrong))


def test_a_strategy_names_the_files_of_its_features(tmp_path: Path) -> None:
    folder = research(tmp_path / "a")
    config = parse_config({"strategy": "own_strategy:OWN"}, where="x", research=folder)
    assert config.strategy.sources == (config.strategy.source, folder / "own_feature.py")
    assert set(sources(config.strategy)) == {"strategy.py", "source_own_feature.py"}
    assert sources(config.strategy)["source_own_feature.py"] == FEATURE.encode()
