"""The checks find what they are for: plug-ins that peek, lie about their warm-up, rewritten rows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from thorough import thorough

from dolphin.catalog import Dataset, generate, read_features, scan_folder, write_day
from dolphin.config import Config, parse_config
from dolphin.core.records import Market
from dolphin.errors import DolphinError
from dolphin.features import FeatureBlock, history_bars, scan, scanner_digest
from dolphin.market.assemble import open_market
from dolphin.parity import checks
from dolphin.parity.checks import append_only, lookahead, warmup
from dolphin.workspace import create

MINUTE = 60_000_000_000

#: One strategy per way to be wrong (and one that is right): enter short on WHEN, leave after ten bars.
PLUGIN = """
from pydantic import BaseModel, ConfigDict

from dolphin.core.jit import inline
from dolphin.core.records import CLOSE, OPEN
from dolphin.core.strategy import Strategy


class Params(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    hold: int = 10


@inline
def decide(state, params, market, i):
    slot = state.slots[0]
    intent = state.intents[0]
    if slot.side != 0:
        if i - slot.entry_bar >= params.hold:
            intent.action = CLOSE
            intent.reason = 1
            intent.asset = slot.asset
            intent.side = slot.side
            intent.qty = slot.qty
            intent.leverage = slot.leverage
        return
    rows = market.price.shape[0]
    {when}
    intent.action = OPEN
    intent.asset = 0
    intent.side = -1
    intent.qty = 1.0
    intent.leverage = 1.0


PLUGIN = Strategy(
    name="plugin",
    decide=decide,
    params=Params,
    features=("vel_div",),
    reasons=("", "MAX_HOLD"),
    warmup_bars=lambda params: 60,
)
"""
WHEN = {
    "honest": "if not market.price[i, 0] < market.price[max(i - 50, 0), 0]:\n        return",
    "next_price": "if i + 1 < rows and not market.price[i + 1, 0] < market.price[i, 0]:\n        return",
    "next_feature": "if i + 1 < rows and not market.features[i + 1, 0] < 0.0:\n        return",
    "next_log": "if i + 3 < rows and not market.log_price[i + 3, 1] < market.log_price[i, 1]:\n      return",
    "far_ahead": "if not market.price[min(i + 2000, rows - 1), 0] < market.price[i, 0]:\n        return",
    "length": "if i + 5000 > rows:\n        return",
    "long_memory": "if not market.price[i, 0] < market.price[max(i - 5000, 0), 0]:\n        return",
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    workspace = create(tmp_path_factory.mktemp("checks") / "workspace")
    return generate(workspace, "walk", preset="edge", days=6, assets=5, spacing_ns=MINUTE, seed=5).dataset


@pytest.fixture(scope="module")
def market(dataset: Dataset) -> Market:
    return open_market(dataset, parse_config({}, where="test"))


def plugin(which: str, tmp_path: Path) -> Config:
    (tmp_path / f"{which}.py").write_text(PLUGIN.replace("{when}", WHEN[which]))
    return parse_config({"strategy": f"{which}:PLUGIN"}, where="test", research=tmp_path)


def market_for(dataset: Dataset, config: Config) -> Market:
    return open_market(dataset, config)


def test_bundled_strategy_passes_everything(dataset: Dataset, market: Market) -> None:
    config = parse_config({"params": {"vol_gate_mode": "off", "short_threshold": -0.01}}, where="test")
    ahead = lookahead(dataset, market, config, 800, len(market.ts), cuts=2)
    assert ahead.passed and "7840 bars decided" in ahead.detail
    warm = warmup(dataset, market, config, 0, len(market.ts))
    need = history_bars(MINUTE) + 752
    begin = need + (len(market.ts) - need) // 2  # rows before the warm-up, or nothing would be tested
    assert warm.passed and f"{need} warm-up bars decide like all {begin}" in warm.detail
    later = warmup(dataset, market, config, 4000, len(market.ts))
    assert later.passed and f"{need} warm-up bars decide like all 4000" in later.detail
    assert append_only(dataset).passed
    assert set(ahead.as_dict()) == {"name", "passed", "detail"}


def test_fill_on_the_next_bar_is_no_peek(dataset: Dataset, market: Market) -> None:
    config = parse_config(
        {"params": {"vol_gate_mode": "off", "short_threshold": -0.01}, "friction": {"fill_timing": "next"}},
        where="test",
    )
    assert lookahead(dataset, market, config, 3000, 6000, cuts=1).passed


@pytest.mark.slow
def test_honest_plugin_passes(dataset: Dataset, tmp_path: Path) -> None:
    config = plugin("honest", tmp_path)
    market = market_for(dataset, config)
    assert lookahead(dataset, market, config, 3000, 5000, cuts=1).passed
    assert warmup(dataset, market, config, 3000, 5000).passed


@pytest.mark.parametrize("which", thorough(["next_price", "next_feature", "next_log", "far_ahead", "length"]))
def test_peeking_plugin_is_caught_at_the_bar(which: str, dataset: Dataset, tmp_path: Path) -> None:
    config = plugin(which, tmp_path)
    market = market_for(dataset, config)
    start, stop = 3000, 5000
    found = lookahead(dataset, market, config, start, stop, cuts=1)
    assert not found.passed and "when later rows are removed" in found.detail
    bar = int(found.detail.split("at bar ")[1].split()[0])
    assert start <= bar < start + 40, "named near the first decision that peeked"


def test_altered_and_shuffled_rows_catch_it_too(dataset: Dataset, tmp_path: Path, monkeypatch) -> None:
    config = plugin("next_price", tmp_path)
    market = market_for(dataset, config)
    futures = checks._futures
    for what in ("altered", "shuffled"):
        monkeypatch.setattr(checks, "_futures", lambda *a, what=what: (f for f in futures(*a) if f[0] == what))
        found = lookahead(dataset, market, config, 3000, 5000, cuts=1)
        assert not found.passed and f"when later rows are {what}" in found.detail


def test_market_is_left_as_it_was(dataset: Dataset, market: Market) -> None:
    before = [np.array(values) for values in market]
    config = parse_config({}, where="test")
    lookahead(dataset, market, config, 4000, 4500, cuts=1)
    warmup(dataset, market, config, 4000, 4500)
    for values, kept in zip(market, before, strict=True):
        assert values.tobytes() == kept.tobytes()


def test_scanner_that_peeks_is_caught(dataset: Dataset, market: Market, monkeypatch) -> None:
    def peeking(ts: np.ndarray, close: np.ndarray, reference: int) -> FeatureBlock:
        block = scan(ts, close, reference)
        vol = np.append(block.vol[1:], np.nan)
        return dataclasses.replace(block, vol=vol)

    config = parse_config({}, where="test")
    monkeypatch.setattr(checks, "scan", peeking)
    found = lookahead(dataset, market, config, 3000, 3100, cuts=[3050])
    assert not found.passed and "feature vol up to bar 3050" in found.detail


@pytest.mark.slow
def test_understated_warm_up_is_caught(dataset: Dataset, tmp_path: Path) -> None:
    config = plugin("long_memory", tmp_path)
    market = market_for(dataset, config)
    found = warmup(dataset, market, config, 6000, 8000)
    need = history_bars(MINUTE) + 60
    assert not found.passed and f"with the stated {need} warm-up bars only" in found.detail


def test_too_little_history_is_a_failure_with_the_reason(dataset: Dataset, market: Market) -> None:
    found = warmup(dataset, market, parse_config({}, where="test"), 0, 2000)
    assert not found.passed and "only 2000 bars exist" in found.detail


def test_rows_outside_the_data_are_refused(dataset: Dataset, market: Market) -> None:
    config = parse_config({}, where="test")
    with pytest.raises(DolphinError, match="are not within"):
        lookahead(dataset, market, config, 0, len(market.ts) + 1)
    with pytest.raises(DolphinError, match="are not within"):
        warmup(dataset, market, config, 10, 10)


def test_rewritten_row_is_caught(dataset: Dataset, market: Market) -> None:
    scanner, prices = scanner_digest(), dataset.prices()
    date = dataset.days[-1]
    stored = read_features(dataset, scanner, days=(date,))
    rows = np.flatnonzero(np.isin(prices.ts, stored["ts"]))
    changed = stored | {"vol": stored["vol"].copy()}
    changed["vol"][7] = np.nextafter(changed["vol"][7], 1.0)
    try:
        write_day(dataset, scanner, date, changed, prices.close[rows])
        found = append_only(dataset, days=2)
        assert not found.passed and f"{date}.parquet: column vol is not what" in found.detail
    finally:
        write_day(dataset, scanner, date, stored, prices.close[rows])
    assert append_only(dataset, days=2).passed


def test_damaged_file_is_caught(dataset: Dataset, market: Market) -> None:
    path = scan_folder(dataset) / f"{dataset.days[2]}.parquet"
    before = path.read_bytes()
    try:
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
        found = append_only(dataset)
        assert not found.passed and str(path) in found.detail
    finally:
        path.write_bytes(before)
