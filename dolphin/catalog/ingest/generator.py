"""Generated markets with a known truth, the same bits on every machine.

One strong common factor moves all assets, ``r[j] = beta[j] * (f + own[j])``: f has daily deviation 3 %
and mild volatility clustering, beta lies in 0.85 to 1.25, and an asset's own variance is 6 to 14 % of the
factor's. The absorption ratio therefore stays near 0.9, and its bar-to-bar velocity is a few tenths of
a percent. Everything below is stated in bars, so that it works at any spacing.

**Decoupling events.** After 150 bars without one, each bar starts an event with probability 1/100 (about
6 a day at 1m). For 1 to 3 bars every asset gets an extra shock of its own with 1.5 to 1.9 times the
factor's variance: the absorption ratio of 50 bars falls by about 3 % per such bar, so ``vel_div`` drops
to about -0.03. Over the next 100 bars the market drifts, evenly.

- ``edge``: the drift is DOWN 1.2 % with probability 0.7 and UP 0.8 % otherwise, for a beta of 1; between
  events a steady drift up makes the expected change zero. So a short entered at the event meets a take
  profit of 0.95 % more often than not before 125 bars: this is the planted edge. With the defaults of
  ``vel_div`` (volatility gate off, 8 bps a round trip), both halves of 110 days at 1m over five seeds:
  Sharpe ratio (365) 3.4 to 10.0, profit factor 1.2 to 1.8, win rate 62 to 68 %, maximum drawdown 14 to
  35 %, about 4.5 trades a day. The finer the spacing, the smaller the noise beside the drift.
- ``null``: the same random moves and the same events at the same bars, without any drift. A constant
  mean does not enter a correlation, so the features are those of ``edge`` but for the bars where the
  drift changes, while prices are a martingale: friction and luck decide. The same runs over three seeds: profit
  factor 0.65 to 0.82 in five of six halves, and 1.3 in one, which is what a gate has to withstand.
  (A drift of random sign per event would be a trend, hence an edge for whoever waits to see it.)
- ``crash``: ``null``, and in the middle of the sample the factor falls 30 % within an hour (at least 12
  bars) at three times the deviation and a fifth of the own moves (correlation towards 1), then rises by
  12 % over four times as long.

Random numbers are raw PCG64 words; normals are sums of four 16-bit fields (bounded by 3.46 deviations).
Prices are rounded to ticks of at most 1e-5 of the price. No libm, no order that depends on threads.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from dolphin.catalog.ingest.importer import ImportReport
from dolphin.catalog.quality.rules import RULES
from dolphin.catalog.store.dataset import from_manifest
from dolphin.catalog.store.draft import drafting
from dolphin.catalog.store.instruments import MIN_NOTIONAL, Instrument
from dolphin.catalog.store.layout import Identity, manifest_path
from dolphin.errors import DolphinError, nearest
from dolphin.progress import Progress
from dolphin.times import DAY_NS, SECOND_NS, format_day, format_spacing, parse_time
from dolphin.workspace import Workspace

PRESETS = ("edge", "null", "crash")
REFERENCE = "BTCUSDT"
START_NS = parse_time("2025-01-01")
MAX_DAYS, MAX_ASSETS = 5000, 1000

DAILY_DEVIATION = 0.03
QUIET_BARS, EVENT_ODDS, DRIFT_BARS = 150, 100, 100
DOWN, DOWN_PROBABILITY, UP = -0.012, 0.7, 0.008
SHOCK_VARIANCE = (1.5, 1.9)
CRASH_FALL, CRASH_REBOUND, CRASH_NS, CRASH_BARS = 0.30, 0.12, 3600 * SECOND_NS, 12
_LEVELS = (2500.0, 420.0, 95.0, 31.0, 7.5, 2.2, 0.85, 0.31, 0.092, 0.021, 0.0047)
_DAILY_TURNOVER = 2e9


@dataclass(frozen=True)
class PlantedEvents:
    """What is planted, bar by bar: see the module's text.

    Attributes
    ----------
    drift, shock, calm, wild : float64 [T]
        As the kernel takes them.
    starts : int64 [E]
        First bar of each event.
    down : int
        Events whose drift goes down (``edge`` only).
    """

    drift: NDArray[np.float64]
    shock: NDArray[np.float64]
    calm: NDArray[np.float64]
    wild: NDArray[np.float64]
    starts: NDArray[np.int64]
    down: int


def generate(
    workspace: Workspace,
    name: str,
    *,
    preset: str,
    days: int = 10,
    assets: int = 50,
    spacing_ns: int = 5 * SECOND_NS,
    seed: int = 1,
    progress: Progress | None = None,
) -> ImportReport:
    """Make a synthetic market and store it as dataset ``name``.

    Parameters
    ----------
    preset : {"edge", "null", "crash"}
        What is planted; see the module's text.
    days, assets : int
        UTC days from 2025-01-01; symbols including the reference BTCUSDT.
    spacing_ns : int
        Bar spacing; must divide a day. Deviations scale with its square root.
    seed : int
        Another seed is another market of the same kind.
    """
    _check(preset, days, assets, seed, spacing_ns)
    bars = DAY_NS // spacing_ns
    instruments, levels = universe(assets, seed)
    planted = plant_events(preset, bars * days, spacing_ns, seed)
    with drafting(workspace.catalog, name) as draft:
        symbols = tuple(i.symbol for i in instruments)
        draft.identity = Identity(spacing_ns, symbols, REFERENCE, instruments, synthetic=True)
        walk = PriceWalk(instruments, levels, planted, spacing_ns, seed)
        column = pl.Series("symbol", symbols).gather(np.repeat(np.arange(assets), bars))
        for day in range(days):
            if progress:
                progress(day, days, f"generating {format_day(START_NS // DAY_NS + day)}")
            ts = START_NS + day * DAY_NS + spacing_ns * np.arange(bars, dtype=np.int64)
            values = {key: array.ravel() for key, array in walk.day(bars).items()}
            frame = pl.DataFrame({"symbol": column, "ts": np.tile(ts, assets), **values})
            draft.write_day(START_NS // DAY_NS + day, frame)
        if progress:
            progress(days, days, "generated")
        quality = _clean(symbols, bars * days * assets)
        text = f"--preset {preset} --days {days} --assets {assets} --spacing {format_spacing(spacing_ns)}"
        about = {
            "source": f"generated: preset {preset}, seed {seed}",
            "made": f"dolphin data generate --name {name} {text} --seed {seed}",
            "ingest_id": str(uuid.uuid4()),
            "preset": preset,
            "seed": seed,
            "planted": {"events": int(planted.starts.size), "down": planted.down},
            "quality": quality,
        }
        manifest, unchanged = draft.publish(about)
    dataset = from_manifest(workspace.catalog, manifest, manifest_path(workspace.catalog, name))
    return ImportReport(dataset, quality, unchanged)


class PriceWalk:
    """The generator's state from day to day."""

    def __init__(
        self,
        instruments: tuple[Instrument, ...],
        levels: NDArray[np.float64],
        planted: PlantedEvents,
        spacing_ns: int,
        seed: int,
    ) -> None:
        n = len(instruments)
        self._planted, self._done, self._variance = planted, 0, 1.0
        self._level = levels.copy()
        self._words = [_stream(seed, k) for k in (10, 11, 12)]
        share = spacing_ns / DAY_NS
        self._deviation = DAILY_DEVIATION * float(np.sqrt(share))
        self._beta = 0.85 + 0.4 * uniform(_stream(seed, 2), n)
        self._beta[[i.symbol == REFERENCE for i in instruments]] = 1.0
        self._own_ratio = np.sqrt(0.06 + 0.08 * uniform(_stream(seed, 3), n))
        tick = [(float(i.tick_num), float(10**i.tick_exp)) for i in instruments]
        lot = [(float(i.lot_num), float(10**i.lot_exp)) for i in instruments]
        self._grid = [np.array([q[k] for q in quotients]) for quotients in (tick, lot) for k in (0, 1)]
        self._turnover = _DAILY_TURNOVER * share / levels

    def day(self, bars: int) -> dict[str, NDArray[np.float64]]:
        """The next ``bars`` bars: open, high, low, close, volume, each float64 [N, bars]."""
        from dolphin.catalog.ingest.generator_kernel import walk  # numba loads only for those who generate

        n, at = self._level.size, slice(self._done, self._done + bars)
        common = self._words[0].random_raw(bars)
        own, shape = (words.random_raw(bars * n).reshape(bars, n) for words in self._words[1:])
        out = {key: np.empty((n, bars)) for key in ("open", "high", "low", "close", "volume")}
        planted = self._planted
        advance: Any = walk
        self._variance = advance(
            self._level, self._variance, common, own, shape, self._deviation,
            planted.drift[at], planted.shock[at], planted.calm[at], planted.wild[at],
            self._beta, self._own_ratio, *self._grid, self._turnover, *out.values(),
        )  # fmt: skip
        self._done += bars
        return out


def plant_events(preset: str, bars: int, spacing_ns: int, seed: int) -> PlantedEvents:
    """Where events lie and what follows them."""
    draws = uniform(_stream(seed, 4), bars)
    strength = uniform(_stream(seed, 5), bars)
    side = uniform(_stream(seed, 6), bars)
    drift, shock = np.zeros(bars), np.zeros(bars)
    calm, wild = np.ones(bars), np.ones(bars)
    starts, down, since = [], 0, 0
    for t in range(bars):
        since += 1
        if since <= QUIET_BARS or draws[t] * EVENT_ODDS >= 1.0:
            continue
        since = 0
        starts.append(t)
        shocks = 1 + int(3.0 * strength[t])
        low, high = SHOCK_VARIANCE
        shock[t : t + shocks] = np.sqrt(low + (high - low) * (3.0 * strength[t] - (shocks - 1)))
        after = slice(t + shocks, t + shocks + DRIFT_BARS)
        falls = bool(side[t] < DOWN_PROBABILITY)
        drift[after] = (DOWN if falls else UP) / DRIFT_BARS
        down += falls
    if preset == "edge":
        per_event = DOWN_PROBABILITY * DOWN + (1.0 - DOWN_PROBABILITY) * UP
        drift[drift == 0.0] = -per_event / (QUIET_BARS + EVENT_ODDS - DRIFT_BARS)
    else:
        down, drift = 0, np.zeros(bars)
    if preset == "crash":
        _plant_crash(drift, calm, wild, spacing_ns)
    return PlantedEvents(drift, shock, calm, wild, np.array(starts, np.int64), down)


def _plant_crash(
    drift: NDArray[np.float64], calm: NDArray[np.float64], wild: NDArray[np.float64], spacing_ns: int
) -> None:
    """Fall and rebound in the middle: the factor's level moves along straight lines."""
    span = max(CRASH_BARS, CRASH_NS // spacing_ns)
    middle = drift.size // 2
    fall = np.arange(min(span, drift.size - middle)) / span * CRASH_FALL
    drift[middle : middle + fall.size] = -CRASH_FALL / span / (1.0 - fall)
    rise = middle + span
    count = max(0, min(4 * span, drift.size - rise))
    back = np.arange(count) / (4 * span) * CRASH_REBOUND
    drift[rise : rise + count] = CRASH_REBOUND / (4 * span) / (1.0 + back)
    calm[middle:rise], wild[middle:rise] = 0.2, 3.0


def universe(assets: int, seed: int) -> tuple[tuple[Instrument, ...], NDArray[np.float64]]:
    """Instruments in ascending order of symbols, and their first prices."""
    digits = max(2, len(str(assets - 1)))
    spread = 0.7 + 0.6 * uniform(_stream(seed, 1), assets)
    instruments, levels = [], []
    for i in range(assets):
        level = 60_000.0 if i == 0 else _LEVELS[(i - 1) % len(_LEVELS)] * float(spread[i])
        symbol = REFERENCE if i == 0 else f"SYN{i:0{digits}d}USDT"
        places = 0
        while 10**places * level < 1e5:  # a tick of at most 1e-5 of the price
            places += 1
        num, places = (5, places + 1) if i % 4 == 3 else (1, max(places, 2))
        lot = 0
        while level > 10**lot:  # a lot of at most 1 USDT
            lot += 1
        instruments.append(Instrument(symbol, places, num, places, 1, lot, MIN_NOTIONAL))
        levels.append(level)
    return tuple(instruments), np.array(levels)


def uniform(words: np.random.PCG64, count: int) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1): the upper 53 bits of raw words."""
    raw = np.asarray(words.random_raw(count))
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _stream(seed: int, number: int) -> np.random.PCG64:
    """Independent streams of one seed."""
    return np.random.PCG64(np.random.SeedSequence([seed, number]))


def _check(preset: str, days: int, assets: int, seed: int, spacing_ns: int) -> None:
    if preset not in PRESETS:
        raise DolphinError(f"unknown preset '{preset}'", mend=nearest(preset, PRESETS))
    for what, value, least, most in (
        ("days", days, 1, MAX_DAYS),
        ("assets", assets, 2, MAX_ASSETS),
        ("seed", seed, 0, 2**63 - 1),
    ):
        if not least <= value <= most:
            raise DolphinError(f"{what} is {value}", mend=f"choose {least} to {most}")
    if spacing_ns <= 0 or DAY_NS % spacing_ns or DAY_NS // spacing_ns < 2:
        raise DolphinError(f"spacing {format_spacing(spacing_ns)} does not fit a day", mend="choose 5s, 1m, 5m")


def _clean(symbols: tuple[str, ...], rows: int) -> dict[str, Any]:
    """The quality numbers of data without a blemish."""
    none = {"missing": 0, "gaps": 0, "longest": 0, "share": 0.0}
    return {
        "rows": rows,
        "rejected": 0,
        "counts": {rule.name: 0 for rule in RULES},
        "rounded": 0,
        "missing_share": 0.0,
        "gaps": {symbol: dict(none) for symbol in symbols},
    }
