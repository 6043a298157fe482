"""Percentiles in configs: which words are taken, and the numbers of a window in their place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dolphin.config import Config, Variants, parse_config, settled
from dolphin.config.quantiles import word
from dolphin.core.records import Market
from dolphin.errors import DolphinError


def open_config(text: str) -> Config:
    return parse_config({"params": {"vol_p60": text}}, where="x")


@pytest.mark.parametrize(("text", "percentile"), [("p60", 60.0), ("p2.5", 2.5), ("p0", 0.0), ("p100", 100.0)])
def test_a_percentile_is_kept_as_its_word(text: str, percentile: float) -> None:
    config = open_config(text)
    assert config.of_window == (("vol_p60", percentile),) and word(percentile) == text
    assert config.document()["params"]["vol_p60"] == text
    again = parse_config({k: v for k, v in config.document().items() if v is not None}, where="x")
    assert again.hash == config.hash and again.of_window == config.of_window
    assert config.hash != parse_config({}, where="x").hash


@pytest.mark.parametrize("text", ["p60", "p75", "p2.5", "p100"])
def test_it_is_numpys_percentile_of_what_is_known_on_the_spans(market: Market, text: str) -> None:
    config, spans = open_config(text), [(700, 1200), (3000, 3500)]
    vol = np.concatenate([market.features[a:b, 1] for a, b in spans])
    expected = float(np.percentile(vol[~np.isnan(vol)], float(text[1:])))
    found = settled(config, market, spans)
    assert found.params.vol_p60 == expected and not found.of_window  # type: ignore[attr-defined]
    assert found.hash == parse_config({"params": {"vol_p60": expected}}, where="x").hash
    early = settled(config, market, [(0, 1200)])  # the warm-up of the column is left out
    assert early.params.vol_p60 == np.nanpercentile(market.features[:1200, 1], float(text[1:]))  # type: ignore[attr-defined]


def test_a_number_stays_and_a_window_without_values_is_refused(market: Market) -> None:
    fixed = parse_config({"params": {"vol_p60": 0.5}}, where="x")
    assert settled(fixed, market, [(0, 10)]) is fixed
    blank = market._replace(features=np.full_like(market.features, np.nan))
    with pytest.raises(DolphinError, match="\"p75\" needs bars with a value of 'vol'; use a longer window"):
        settled(open_config("p75"), blank, [(0, 10)])


def test_the_column_is_that_of_the_role_under_any_strategy(market: Market) -> None:
    """Another parameter, of another column: nothing of the framework knows either by name."""
    config = parse_config({}, where="x")
    strategy = replace(config.strategy, quantiles={"tp_pct": "vel_div"})
    other = replace(config, strategy=strategy, of_window=(("tp_pct", 90.0),))
    found = settled(other, market, [(1000, 2000)])
    assert found.params.tp_pct == np.percentile(market.features[1000:2000, 0], 90.0)  # type: ignore[attr-defined]


def test_a_percentile_cannot_be_searched(busy: Config) -> None:
    with pytest.raises(DolphinError, match='vol_p60 = "p75" cannot be searched; put it into the study'):
        Variants(busy).of({"vol_p60": "p75"})
