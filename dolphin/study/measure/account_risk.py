"""A run in which Rm5 is applied: one Python call a bar, because the step does not know its account's drawdown yet.

Slower than the batch by a factor of a hundred or so, and for studies: what the whole stack would have cost and saved.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dolphin.catalog import Dataset
from dolphin.config import Config
from dolphin.core.digest import STAGES
from dolphin.core.engine import NO_TRADES
from dolphin.core.records import Floats, Market, Records, State
from dolphin.market.risk_table import table_rows
from dolphin.risk.capital import apply_capital
from dolphin.risk.drawdown import RollingPeak
from dolphin.risk.posture import new_hysteresis
from dolphin.risk.stack import step_columns
from dolphin.study.measure.run import days_of


class WholeStack(NamedTuple):
    """The account at the end, ``equity`` (bars,) after each bar, ``risk`` (T,) of RISK as the step read it, and
    ``rm5`` (bars,)."""

    state: State
    equity: Floats
    risk: Records
    rm5: Floats


def run_whole_stack(dataset: Dataset, market: Market, config: Config, start: int, stop: int) -> WholeStack:
    """Run ``config``, which names a risk table, with Rm1 to Rm5 applied.

    Rm5 of a bar is of the drawdown after the bar before, from the highest equity of 30 days.
    """
    assert config.risk.table is not None
    engine, rows = config.engine, table_rows(dataset, config.risk.table)
    market = market._replace(risk=step_columns(rows))
    state = engine.new_state(market.price.shape[1], config.account.initial_capital, days_of(market.ts, start, stop))
    params, friction, stages = config.params_record(), config.friction_record(), np.zeros(len(STAGES), np.uint64)
    peak, hysteresis = RollingPeak(dataset.spacing_ns), new_hysteresis()
    equity, rm5 = np.empty(stop - start), np.empty(stop - start)
    account = state.account["equity"]
    for k, i in enumerate(range(start, stop)):
        rm5[k] = apply_capital(rows, peak, hysteresis, i, int(market.ts[i]), float(account[0]), market.risk)
        engine.kernels.step_bar(state, params, friction, market, i, NO_TRADES, stages)
        equity[k] = account[0]
    return WholeStack(state, equity, market.risk, rm5)
