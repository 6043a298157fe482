"""What else speaks for or against a candidate: shown with a limit and a reading aid, never decisive.

None of these keeps its promise on markets without an edge, or else none has the power to decide; together they
tell a person what kind of result this is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl

from dolphin.core.records import Floats
from dolphin.errors import DolphinError
from dolphin.gate.evidence.looks import Looks
from dolphin.gate.evidence.pbo import cscv
from dolphin.gate.evidence.resampling import drawdown_of, interval, profit_factor_of, sharpe_of
from dolphin.gate.evidence.searches import Search
from dolphin.gate.evidence.sharpe import deflated, expected_best, moments, probabilistic, shortest_record
from dolphin.gate.measure import Measure
from dolphin.gate.policy import Policy
from dolphin.study.findings.histogram import histogram
from dolphin.study.findings.study_plan import read_plan
from dolphin.study.findings.study_summary import plateau_of
from dolphin.study.measure.measured import run_alone
from dolphin.study.measure.metrics import one
from dolphin.workspace import Workspace

#: Years of days in a Sharpe ratio.
ANNUAL = math.sqrt(365.0)


@dataclass(frozen=True)
class Advice:
    """One piece of it.

    Attributes
    ----------
    name, value, limit, op : str, float or None, float or None, str
        ``value`` is None where it cannot be had; ``op`` is how it should stand to the limit.
    good : bool or None
    reading : str
        What it means, in a line.
    picture : dict
        ``kind``: ``range`` (low, high, mark, limit), ``bars`` (values, zero) or ``dots`` (values, mark).
    """

    name: str
    value: float | None
    limit: float | None
    op: str
    reading: str
    picture: dict[str, Any] = field(default_factory=dict)
    share: bool = False

    @property
    def good(self) -> bool | None:
        """Whether the value stands to the limit as it should; None where there is nothing to compare."""
        if self.value is None or self.limit is None or math.isnan(self.value):
            return None
        return self.value >= self.limit if self.op == ">=" else self.value <= self.limit

    def document(self) -> dict[str, Any]:
        """Plain facts."""
        return asdict(self) | {"good": self.good}


def advisory(
    workspace: Workspace, search: Search | None, measure: Measure, looks: Looks, policy: Policy
) -> list[dict[str, Any]]:
    """All of it, as documents, in the order of the page."""
    found = [
        *_ratios(workspace, search, measure, looks, policy),
        *_overfitting(search, policy),
        *_intervals(measure, policy),
    ]
    found += [*_neighbours(workspace, search, policy), *_frictions(measure, policy), *_removals(measure)]
    found += [*_parts(measure, policy), _trades(measure, policy)]
    return [piece.document() for piece in found]


def _ratios(
    workspace: Workspace, search: Search | None, measure: Measure, looks: Looks, policy: Policy
) -> Iterator[Advice]:
    here = moments(measure.daily_returns)
    psr = probabilistic(here)
    yield Advice(
        "probabilistic Sharpe ratio", _known(psr), policy.advisory("psr"), ">=",
        f"The chance that the true ratio of the judged {here.days} days is above zero, if this were the only look.",
        _range(0.0, 1.0, psr, policy.advisory("psr")), True,
    )  # fmt: skip
    days = shortest_record(here, confidence=policy.advisory("psr"))
    reading = "So many days like these would be needed to tell its ratio from zero."
    yield Advice(
        "minimum track record, days", _known(days), float(here.days), "<=", reading,
        _range(0.0, 2.0 * here.days, min(days, 2.0 * here.days), float(here.days)),
    )  # fmt: skip
    if search is None:
        return
    rows = search.rows.filter(pl.col("state") == "done").to_dicts()
    # Trials that could not have been chosen, of too few trades, are none of those whose best this is.
    choice = read_plan(workspace, search.study).choice
    counts = (~np.isnan(choice.scores_of(rows)[:, 0])).tolist() if rows else []
    ratios = np.array([moments(row["daily_returns"]).sharpe for row, can in zip(rows, counts, strict=True) if can])
    ratios = ratios[np.isfinite(ratios)]
    count = max(looks.count(search.first_ts, search.last_ts), 2)
    mine = search.row_of(measure.config.hash) if measure.config.hash in search.rows["config_hash"] else None
    if mine is None or len(ratios) < 2:
        return
    seen = moments(np.array(mine["daily_returns"], np.float64))
    variance = float(ratios.var(ddof=1))
    luck = expected_best(count, variance)
    dsr = deflated(seen, count, variance)
    yield Advice(
        "deflated Sharpe ratio", _known(dsr), policy.advisory("dsr"), ">=",
        f"On its train window it has {ANNUAL * seen.sharpe:.3g}; the best of {count:,} looks without an edge is "
        f"expected at {ANNUAL * luck:.3g}. The chance that it is above that.",
        {"kind": "dots", "values": _thin(ANNUAL * ratios), "mark": ANNUAL * seen.sharpe, "limit": ANNUAL * luck}, True,
    )  # fmt: skip


def _overfitting(search: Search | None, policy: Policy) -> Iterator[Advice]:
    if search is None:
        return
    returns, blocks = search.returns, policy.advisory("pbo_blocks")
    if returns.shape[0] < 10 or returns.shape[1] < 2 * blocks:
        return
    found = cscv(returns, blocks)
    counts = histogram(found.logits, 15)[0]
    yield Advice(
        "probability of overfitting", found.probability, policy.advisory("pbo"), "<=",
        f"How often the best trial on one half of the train window ({blocks} blocks) is in the worse half of the "
        "trials on the other. Bars: where it comes out there, worst left.",
        {"kind": "bars", "values": counts.tolist()}, True,
    )  # fmt: skip


def _intervals(measure: Measure, policy: Policy) -> Iterator[Advice]:
    run, share = measure.whole, policy.advisory("interval")
    days, block = np.nan_to_num(run.daily_returns), policy.hard("block_days")
    trades = run.recording.trades["pnl"]
    seed, per = policy.hard("seed"), f"{100 * share:.0f} %"
    for name, values, measured, metric, limit in (
        ("profit factor", trades, profit_factor_of, "profit_factor", 1.0),
        ("Sharpe ratio", days, sharpe_of, "sharpe_365", 0.0),
        ("largest drawdown", days, drawdown_of, "max_drawdown", 0.2),
    ):
        low, high = interval(values, measured, share=share, block=block, seed=seed)
        fall = metric == "max_drawdown"
        mark = float(run.metrics[metric])
        yield Advice(
            f"{name}, {'upper' if fall else 'lower'} end of {per}", _known(high if fall else low), limit,
            "<=" if fall else ">=",
            f"It was {mark:.3g}; drawn anew in blocks it lies between {low:.3g} and {high:.3g}.",
            _range(low, high, mark, limit), fall,
        )  # fmt: skip


def _neighbours(workspace: Workspace, search: Search | None, policy: Policy) -> Iterator[Advice]:
    if search is None:
        return
    try:
        found = plateau_of(workspace, search.study)
    except DolphinError:
        return
    if found is None or found.verdict == "unknown":
        return
    yield Advice(
        "neighbours that hold up", found.holding, policy.advisory("neighbours"), ">=", found.sentence,
        _range(0.0, 1.0, found.holding, policy.advisory("neighbours")), True,
    )  # fmt: skip


def _frictions(measure: Measure, policy: Policy) -> Iterator[Advice]:
    base = float(measure.whole.metrics["roi"])
    bps = policy.advisory("friction_bps")
    for name, values, reading in (
        (
            f"ROI at {bps:g} bps a round trip", {"slippage_bps": bps / 4.0, "fee_bps": bps / 4.0},
            "The same trades against more friction; it should still earn.",
        ),
        ("ROI with fills a bar later", {"fill_timing": "next"}, "What is decided on a close is filled at the next."),
    ):  # fmt: skip
        config = measure.config.with_values(values)
        found = one(run_alone(config, measure.market, measure.start, measure.stop).metrics)["roi"]
        yield Advice(name, _known(found), 0.0, ">=", reading, _bars([base, found]), True)


def _removals(measure: Measure) -> Iterator[Advice]:
    run = measure.whole
    trades, capital = run.recording.trades, run.config.account.initial_capital
    gains = trades["pnl"] / capital
    if not len(gains):
        return
    ordered = np.sort(gains)[::-1]
    rest = float(ordered[5:].sum())
    yield Advice(
        "P&L without its best five trades", rest, 0.0, ">=",
        "Over the initial capital. What hangs on five trades may not come again.", _bars(ordered[:12].tolist()), True,
    )  # fmt: skip
    assets = np.unique(trades["asset"])
    left = {run.dataset.symbols[k]: float(gains[trades["asset"] != k].sum()) for k in assets}
    worst = min(left, key=lambda name: left[name])
    yield Advice(
        "P&L without its best asset", left[worst], 0.0, ">=",
        f"Each asset left out in turn; it costs most without {worst}.", _bars(sorted(left.values())[:20]), True,
    )  # fmt: skip


def _parts(measure: Measure, policy: Policy) -> Iterator[Advice]:
    days = np.nan_to_num(measure.whole.daily_returns)
    count = policy.advisory("parts")
    if len(days) < 2 * count:
        return
    earned = [float(np.prod(1.0 + part) - 1.0) for part in np.array_split(days, count)]
    yield Advice(
        "sub-periods that earn", float(np.mean(np.array(earned) > 0.0)), 0.5, ">=",
        f"Return of each of {count} equal parts of the judged window.", _bars(earned), True,
    )  # fmt: skip


def _trades(measure: Measure, policy: Policy) -> Advice:
    count, least = float(measure.whole.metrics["trades"]), float(policy.advisory("least_trades"))
    reading = "Fewer trades than these are easily lucky: a third of the best of searches without an edge have 30 to 39."
    return Advice("trades", count, least, ">=", reading, _range(0.0, max(2.0 * least, count), count, least))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _range(low: float, high: float, mark: float, limit: float) -> dict[str, Any]:
    return {"kind": "range", "low": low, "high": high, "mark": mark, "limit": limit}


def _bars(values: list[float]) -> dict[str, Any]:
    return {"kind": "bars", "values": [float(value) for value in values]}


def _thin(values: Floats, count: int = 80) -> list[float]:
    """Quantiles of many values: enough for a picture."""
    return [float(x) for x in np.quantile(values, np.linspace(0.0, 1.0, min(count, len(values))))]
