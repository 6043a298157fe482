"""How often a true edge of the candidate's size would breach each floor by bad luck alone.

Days are drawn with the candidate's own volatility and the mean that its Sharpe ratio asks for, once normal and once
with the fat tails of a t distribution with four degrees of freedom; trades are drawn from its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dolphin.core.records import Floats
from dolphin.gate.evidence.normal import quantile
from dolphin.gate.evidence.resampling import drawdown_of, profit_factor_of, sharpe_of
from dolphin.gate.floors import OPERATORS
from dolphin.gate.measure import Measure
from dolphin.gate.report import FloorResult

#: Windows that are drawn, the seed of it, and the level at which the holdout alone is judged.
DRAWS, SEED, LEVEL = 4000, 20260301, 0.05

_OF_DAYS = {
    "roi": lambda days: np.prod(np.maximum(1.0 + days, 0.0), axis=1) - 1.0,
    "max_drawdown": drawdown_of,
    "sharpe_365": sharpe_of,
    "sharpe_252": lambda days: sharpe_of(days) * math.sqrt(252.0 / 365.0),
}


def drawn_days(sharpe: float, volatility: float, days: int, *, fat: bool, draws: int = DRAWS) -> Floats:
    """(draws, days) daily returns of a true annual Sharpe ratio and a daily volatility."""
    rng = np.random.default_rng([SEED, days, int(fat)])
    noise = rng.standard_t(4, (draws, days)) / math.sqrt(2.0) if fat else rng.standard_normal((draws, days))
    return volatility * (noise + sharpe / math.sqrt(365.0))


def worst_rolling_of(days: Floats, length: int) -> Floats:
    """(draws,) worst return over any ``length`` days in a row."""
    level = np.cumprod(np.maximum(1.0 + days, 1e-12), axis=1)
    level = np.concatenate([np.ones((len(level), 1)), level], axis=1)
    if level.shape[1] <= length:
        return np.full(len(days), np.nan)
    return np.asarray((level[:, length:] / level[:, :-length] - 1.0).min(axis=1))


def chances(measure: Measure, floors: Sequence[FloorResult]) -> dict[str, Any]:
    """The chance that each floor is breached by a true Sharpe ratio of the size seen on the judged window."""
    whole = measure.whole
    returns = whole.daily_returns[np.isfinite(whole.daily_returns)]
    sharpe = float(whole.metrics["sharpe_365"])
    if len(returns) < 2 or not math.isfinite(sharpe):
        words = "There is no Sharpe ratio on the judged window whose luck could be told."
        return {"sharpe_365": None, "floors": [], "all_together": None, "power": None, "words": words}
    volatility = float(returns.std(ddof=1))
    pnl = whole.recording.trades["pnl_pct"] * whole.recording.trades["leverage"]
    rows: list[dict[str, Any]] = []
    held = {fat: np.ones(DRAWS, bool) for fat in (False, True)}
    for floor in floors:
        row: dict[str, Any] = {"floor": floor.name}
        for fat, name in ((False, "normal_days"), (True, "fat_tailed_days")):
            values = _values(floor, sharpe, volatility, pnl, len(returns), fat)
            if values is None:
                row[name] = None
                continue
            passed = OPERATORS[floor.op](values, floor.limit)  # type: ignore[arg-type]
            row[name] = float(1.0 - np.mean(passed))
            held[fat] &= np.asarray(passed)
        row["how"] = "drawn from its own trades" if floor.metric in ("profit_factor", "win_rate", "trades") else "days"
        rows.append(row)
    seen = drawn_days(sharpe, volatility, len(returns), fat=True)
    # The holdout's test, as a t-test has it: the shifts themselves cannot be drawn.
    edge = sharpe_of(seen) * math.sqrt(len(returns) / 365.0) >= quantile(1.0 - LEVEL)
    passes = {"edge_alone": edge, "floors_alone": held[True], "both": edge & held[True]}
    power = {name: float(np.mean(hits)) for name, hits in passes.items()}
    words = (
        f"A true Sharpe ratio of {sharpe:.3g}, the size seen on the judged window, meets all floors in "
        f"{100 * power['floors_alone']:.0f} of 100 such windows (fat-tailed days), is seen by the holdout alone in "
        f"{100 * power['edge_alone']:.0f}, and passes both in {100 * power['both']:.0f}; the rest is bad luck. The "
        "search's reruns add to what the holdout sees."
    )
    together = {"normal_days": float(1.0 - held[False].mean()), "fat_tailed_days": float(1.0 - held[True].mean())}
    return {"sharpe_365": sharpe, "floors": rows, "all_together": together, "power": power, "words": words}


def _values(floor: FloorResult, sharpe: float, volatility: float, pnl: Floats, seen: int, fat: bool) -> Floats | None:
    """(DRAWS,) values of a floor's metric by luck; None for what cannot be drawn."""
    days = max(2, min(seen, round(floor.days)))
    if floor.metric in ("profit_factor", "win_rate", "trades"):
        if not len(pnl):
            return None
        rng = np.random.default_rng([SEED, days, 7])
        count = rng.poisson(len(pnl) * days / seen, DRAWS)
        if floor.metric == "trades":
            return count.astype(np.float64)
        drawn = pnl[rng.integers(0, len(pnl), (DRAWS, max(int(count.max()), 1)))]
        drawn = np.where(np.arange(drawn.shape[1]) < count[:, None], drawn, 0.0)
        if floor.metric == "profit_factor":
            return profit_factor_of(drawn)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((drawn > 0.0).sum(axis=1) / count)
    drawn = drawn_days(sharpe, volatility, seen if floor.rolling else days, fat=fat)
    if floor.rolling:
        return worst_rolling_of(drawn, days)
    return np.asarray(_OF_DAYS[floor.metric](drawn)) if floor.metric in _OF_DAYS else None
