"""What the risk inputs of a run came to: rows per bar with the account's own factor, and what each category cost.

A trade that was refused is not in the run. It is in the same run on neutral inputs, made beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from dolphin.core.records import TURTLE, Floats, Records, neutral_risk
from dolphin.market.risk_table import table_rows
from dolphin.risk.capital import Capital
from dolphin.risk.stack import step_columns
from dolphin.study.measure.run import Run

CATEGORIES = {
    "rm1": "Rm1 invariants",
    "rm2": "Rm2 structure",
    "rm3": "Rm3 microstructure",
    "rm4": "Rm4 environment",
    "rm5": "Rm5 capital",
}
HYSTERESIS = "hysteresis"
TURN = "SUBDAY_ACB_NORMALIZATION"


def window_rows_of(run: Run) -> Records:
    """(bars,) of ROW: the table's rows of the run's window."""
    assert run.config.risk.table is not None
    return table_rows(run.dataset, run.config.risk.table)[run.start : run.stop]


def whole_stack(run: Run) -> tuple[Records, Floats]:
    """(bars,) of RISK with the account's Rm5 and (bars,) float64 Rm5: the step's, or what it would have made of them.

    Of the drawdown after the bar before, from the peak of 30 days.
    """
    before = np.concatenate([[run.config.account.initial_capital], run.recording.equity[:-1]])
    return Capital().weigh(step_columns(window_rows_of(run)), run.market.ts[run.start : run.stop], before)


def risk_frame(run: Run) -> pl.DataFrame:
    """Per bar: close time, the table's row, and what Rm5 of this run's account makes of it.

    ``rm_account`` is Rm1 to Rm5, ``posture_account`` the posture from it. In mode ``apply`` the step reads these, or
    ``rm`` and ``posture`` where ``account`` is off; in other modes neither.
    """
    rows, (whole, rm5) = window_rows_of(run), whole_stack(run)
    columns = {name: rows[name] for name in rows.dtype.names or ()}
    columns |= {"rm5": rm5, "rm_account": whole["rm"], "posture_account": whole["posture"]}
    return pl.DataFrame({"ts": run.market.ts[run.start : run.stop], **columns})


def risk_cost(run: Run) -> dict[str, Any]:
    """What each category cost: ``risk.json`` of a run folder.

    Per category the share of bars below full and the mean; of the trades that the run makes on neutral inputs those
    whose posture refuses them (by the lowest factor of the bar that decides) with their P&L, and those that a posture
    or Rm caps. Where the config weighs the account the posture is that of Rm1 to Rm5, of this run's own equity. Of the
    breaker the shares of bars ready and boosted, the mean boost, the trades that it enlarges.
    """
    rows, (whole, rm5) = window_rows_of(run), whole_stack(run)
    weighs = run.config.risk.account
    rm, posture = (whole["rm"], whole["posture"]) if weighs else (rows["rm"], rows["posture"])
    factors = {name: rm5 if name == "rm5" else rows[name] for name in CATEGORIES}
    trades = neutral_trades(run)
    at = trades["entry_bar"] - (run.config.friction.fill_timing == "next") - run.start
    refused = posture[at] >= TURTLE
    blame = blamed({name: values[at] for name, values in factors.items() if weighs or name != "rm5"})
    capped = ~refused & ((rm[at] < 1.0) | (posture[at] > 0))
    categories = {
        text: _category(factors[name], refused & (blame == text), trades["pnl"]) for name, text in CATEGORIES.items()
    }
    held_back = refused & (blame == HYSTERESIS)
    categories[HYSTERESIS] = {"refused": int(held_back.sum()), "refused_pnl": float(trades["pnl"][held_back].sum())}
    reasons = list(run.config.strategy.reasons)
    turns = int(run.recording.state.exits[reasons.index(TURN)]) if TURN in reasons else 0
    return {
        "mode": run.config.risk.mode,
        "bars": len(rows),
        "neutral_trades": len(trades),
        "refused": int(refused.sum()),
        "refused_pnl": float(trades["pnl"][refused].sum()),
        "capped": int(capped.sum()),
        "mean_rm": float(np.mean(rm)),
        "account": weighs,
        "mean_rm5": float(np.mean(rm5)),
        "categories": categories,
        "breaker": {
            "ready": float(np.mean(rows["ready"])),
            "boosted": float(np.mean(rows["boost"] > 1.0)),
            "mean_boost": float(np.mean(rows["boost"])),
            "boosted_trades": int(np.count_nonzero(rows["boost"][at] > 1.0)),
            "turn_exits": turns,
        },
    }


def neutral_trades(run: Run) -> Records:
    """The trades of the run on neutral inputs: its own, unless it applies its table."""
    if run.config.risk.mode != "apply":
        return run.recording.trades
    market = run.market._replace(risk=neutral_risk(len(run.market.ts)))
    config = run.config.with_values({"risk.account": False})
    state = config.engine.new_state(market.price.shape[1], config.account.initial_capital)
    done = config.engine.run(state, config.params_record(), config.friction_record(), market, run.start, run.stop)
    return done.trades


def blamed(factors: Mapping[str, Floats]) -> np.ndarray:
    """The category of the lowest factor of each bar; the hysteresis where all are full."""
    values = np.column_stack(list(factors.values()))
    names = np.array([CATEGORIES[name] for name in factors])
    return np.where(values.min(axis=1) < 1.0, names[values.argmin(axis=1)], HYSTERESIS)


def _category(values: Floats, refused: np.ndarray, pnl: Floats) -> Mapping[str, Any]:
    return {
        "below_full": float(np.mean(values < 1.0)),
        "mean": float(np.mean(values)),
        "refused": int(refused.sum()),
        "refused_pnl": float(pnl[refused].sum()),
    }
