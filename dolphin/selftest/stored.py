"""Detectors that need a stored dataset: what the engine is given, PARITY section 4, and proofs of eigenvalues."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from pydantic import BaseModel

from dolphin.catalog import Dataset, generate, import_klines, read_features, write_day
from dolphin.catalog.ingest.generator import START_NS
from dolphin.config import Config
from dolphin.core.jit import inline
from dolphin.core.records import OPEN, Market
from dolphin.core.strategy import Strategy
from dolphin.features import scanner_digest
from dolphin.market.assemble import open_market
from dolphin.market.certify import certify_rows
from dolphin.parity.checks import CheckResult, append_only, lookahead, warmup
from dolphin.parity.slow.features import SlowFeatures, same
from dolphin.selftest.detectors import Finding
from dolphin.selftest.markets import VEL_DIV, config_of
from dolphin.workspace import Workspace, create

SPACING = 300_000_000_000
DAYS, ASSETS = 12, 5

#: Where assets have nothing in common an eigenvalue takes long to settle; the proofs are about such.
APART_DAYS, APART_ASSETS = 4, 24

_FOLDERS = contextlib.ExitStack()


@inline
def _peek(state, params, market, i):  # type: ignore[no-untyped-def]
    if i + 1 < market.price.shape[0] and state.slots[0].side == 0 and market.price[i + 1, 0] < market.price[i, 0]:
        intent = state.intents[0]
        intent.action, intent.asset, intent.side, intent.qty, intent.leverage = OPEN, 0, -1, 0.01, 1.0


class _NoParams(BaseModel):
    pass


#: It looks at the next bar's price.
PEEKING = Strategy(
    name="peeking", decide=_peek, params=_NoParams, features=("vel_div", "vol"), reasons=("",),
    warmup_bars=lambda params: 0,
)  # fmt: skip


@functools.cache
def dataset() -> Dataset:
    """Twelve days of five assets, generated into a folder that goes when the process ends."""
    return generate(_home(), "m", preset="edge", days=DAYS, assets=ASSETS, spacing_ns=SPACING, seed=5).dataset


@functools.cache
def apart() -> Dataset:
    """Four days of 24 assets that have nothing in common: their largest eigenvalues lie close together."""
    bars, rng, home = 288 * APART_DAYS, np.random.default_rng(5), _home()
    ts = START_NS // 10**6 + SPACING // 10**6 * np.arange(bars)
    frames = []
    for k in range(APART_ASSETS):
        close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, bars)))
        rows = {"symbol": "BTCUSDT" if k == 0 else f"SYN{k:02}USDT", "ts": ts, "close": close, "volume": 1.0}
        frames.append(pl.DataFrame(rows | dict.fromkeys(("open", "high", "low"), close)))
    source = home.root / "apart.parquet"
    pl.concat(frames).write_parquet(source)
    return import_klines(home, source, "apart", on_jump="flag").dataset


def _home() -> Workspace:
    folder = Path(_FOLDERS.enter_context(tempfile.TemporaryDirectory(prefix="dolphin-selftest-")))
    return create(folder / "home")


@functools.cache
def settings() -> Config:
    """vel_div that trades often on this dataset, ranking over a longer look-back than the longest window."""
    thresholds: dict[str, Any] = {
        "short_threshold": -0.004,
        "short_extreme": -0.02,
        "long_threshold": 0.004,
        "long_extreme": 0.02,
    }
    return config_of(VEL_DIV, **thresholds, rank_lookback=2_000, min_alignment=-1.0)


def market() -> Market:
    """Every row of it."""
    return open_market(dataset(), settings())


def columns_agree() -> Finding | None:
    """Prices are those of the files, by symbol and time; features are those of the prices."""
    of, seen = dataset(), market()
    files = sorted(Path(of.root).rglob(f"{of.name}/*/*/date=*.parquet"))
    rows = pl.concat([pl.read_parquet(file, columns=["symbol", "ts", "close"]) for file in files])
    at = {int(t): k for k, t in enumerate(seen.ts)}
    for symbol, ts, close in rows.iter_rows():
        row, column = at[ts], sorted(of.symbols).index(symbol)
        if seen.price[row, column] != close:
            return Finding(
                "data", row, f"{symbol} closes at {close} by its file, at {seen.price[row, column]} in the market"
            )
    slow = SlowFeatures(np.array(seen.price), of.symbols.index(of.reference))
    for t in (49, 50, 60, 800, 1_000, 1_727, 1_728, 2_500, len(seen.ts) - 1):
        for k, name in enumerate(("vel_div", "vol")):
            ours = slow.row(t)[name]
            if not same(ours, float(seen.features[t, k])):
                return Finding("features", t, f"{name} of row {t} is {seen.features[t, k]!r}, by its prices {ours!r}")
    return None


def eigenvalues_proved() -> Finding | None:
    """Random rows of the stored scan, proved with interval arithmetic."""
    open_market(apart(), settings())
    for one in certify_rows(apart(), count=24, seed=3):
        if not one.proven:
            return Finding(
                "features", one.row, f"window {one.window}: eigenvalue {one.value!r} is off by {one.error:.1e}"
            )
    return None


def _said(result: CheckResult) -> Finding | None:
    stage = "features" if "feature" in result.detail or "column" in result.detail else "decision"
    return None if result.passed else Finding(stage, None, result.detail)


def nobody_peeks() -> Finding | None:
    """The look-ahead check of vel_div."""
    return _said(lookahead(dataset(), market(), settings(), 3_100, 3_400, cuts=1))


def peeking_is_seen() -> Finding | None:
    """The look-ahead check of a strategy that looks at the next price: it must not pass."""
    config = Config(
        strategy=PEEKING, strategy_name="peeking", preset=None, params=_NoParams(), friction=settings().friction,
        account=settings().account,
    )  # fmt: skip
    if lookahead(dataset(), market(), config, 3_100, 3_200, cuts=1).passed:
        return Finding("decision", None, "the look-ahead check passes a strategy that reads the next bar's price")
    return None


def warm_up_suffices() -> Finding | None:
    """The warm-up check of vel_div with the long look-back."""
    of = dataset()
    return _said(warmup(of, market(), settings(), 3_120, of.n_bars))


def nothing_rewritten() -> Finding | None:
    """The append-only check of what was stored."""
    market()
    return _said(append_only(dataset()))


@contextlib.contextmanager
def _rewritten() -> Iterator[None]:
    """One stored volatility is another, in the last bit."""
    of, scanner, date = dataset(), scanner_digest(), dataset().days[-1]
    stored, prices = read_features(of, scanner, days=(date,)), of.prices()
    rows = np.flatnonzero(np.isin(prices.ts, stored["ts"]))
    changed = stored | {"vol": np.array(stored["vol"])}
    changed["vol"][7] = np.nextafter(changed["vol"][7], 1.0)
    write_day(of, scanner, date, changed, prices.close[rows])
    try:
        yield
    finally:
        write_day(of, scanner, date, stored, prices.close[rows])


def rewriting_is_seen() -> Finding | None:
    """The append-only check where a stored row was rewritten: it must not pass."""
    market()
    with _rewritten():
        if append_only(dataset(), days=2).passed:
            return Finding("features", None, "the append-only check passes a stored row that was rewritten")
    return None
