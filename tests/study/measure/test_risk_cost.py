"""What the risk inputs of a run cost: refused trades by category, Rm5 of the account."""

from __future__ import annotations

import numpy as np
import pytest

from dolphin.catalog import Dataset
from dolphin.catalog.store.tables import write_table
from dolphin.config import Config, parse_config
from dolphin.core.capital import rm5
from dolphin.core.records import APEX, HIBERNATE, TURTLE
from dolphin.market.assemble import open_market
from dolphin.market.risk_table import build_risk, table_rows
from dolphin.risk.rules import parse_rules
from dolphin.study.measure.risk_cost import blamed, risk_cost, risk_frame, whole_stack
from dolphin.study.measure.run import Run, run
from dolphin.workspace import Workspace

HOUR = 3600 * 10**9


@pytest.fixture
def runs(home: Workspace, busy: Config) -> dict[str, Run]:
    """The busy configuration under forecasts that are RED for a day, observed and applied."""
    import polars as pl

    from dolphin.catalog import open_dataset

    dataset: Dataset = open_dataset(home, "m")
    at = [dataset.first_ts + 4 * HOUR * k for k in range(18)]
    red = [0.5 if 6 <= k < 12 else 0.01 for k in range(18)]
    frame = pl.DataFrame(
        {
            "series": ["CATASTROPHIC_PROB"] * 18,
            "symbol": pl.Series([None] * 18, dtype=pl.String),
            "reference_ts": at,
            "available_ts": at,
            "value": red,
        }
    )
    write_table(home, "f", kind="series", parts=[("2025-01-01", None, frame)], about={"sources": []})
    build_risk(dataset, "r", rules=parse_rules({"required": ["vix"]}, "test"), forecasts="f")
    found = {}
    for mode in ("observe", "apply"):
        config = parse_config({"params": busy.params.model_dump(), "risk": {"table": "r", "mode": mode}}, where="t")
        found[mode] = run(dataset, open_market(dataset, config), config, 800, dataset.n_bars)
    return found


def test_refused_trades_are_those_of_the_neutral_run_in_bars_that_refuse(runs: dict[str, Run]) -> None:
    observe, apply = (risk_cost(runs[mode]) for mode in ("observe", "apply"))
    assert observe["refused"] == apply["refused"] > 0 and observe["neutral_trades"] == apply["neutral_trades"]
    trades, rows = runs["observe"].recording.trades, table_rows(runs["observe"].dataset, "r")
    blocked = rows["posture"][trades["entry_bar"]] >= TURTLE
    assert observe["refused"] == int(blocked.sum())
    assert observe["refused_pnl"] == pytest.approx(float(trades["pnl"][blocked].sum()))
    assert observe["categories"]["Rm2 structure"]["refused"] + observe["categories"]["hysteresis"]["refused"] == int(
        blocked.sum()
    )
    entered = runs["apply"].recording.trades["entry_bar"]
    assert (rows["posture"][entered] < TURTLE).all()
    assert observe["categories"]["Rm2 structure"]["below_full"] == pytest.approx(
        float(np.mean(rows["rm2"][800:] < 1.0))
    )


def test_the_account_s_own_factor_is_of_the_bar_before(runs: dict[str, Run]) -> None:
    done = runs["observe"]
    equity = np.concatenate([[done.config.account.initial_capital], done.recording.equity[:-1]])
    drawdown = 1.0 - equity / np.maximum.accumulate(equity)  # the window is shorter than thirty days
    assert whole_stack(done)[1] == pytest.approx([rm5(d) for d in drawdown], abs=1e-12)
    frame = risk_frame(done)
    rm = frame["rm_account"].to_numpy()
    assert (rm <= frame["rm"].to_numpy() + 1e-15).all() and rm.min() >= 0.0
    assert set(frame["posture_account"].unique().to_list()) <= set(range(APEX, HIBERNATE + 1))


def test_blame() -> None:
    rows = np.zeros(3, [(name, "f8") for name in ("rm1", "rm2", "rm3", "rm4")])
    rows[0] = (1.0, 0.1, 0.5, 1.0)
    rows[1] = (1.0, 1.0, 1.0, 1.0)
    rows[2] = (0.0, 0.1, 0.5, 1.0)
    assert blamed(rows).tolist() == ["Rm2 structure", "hysteresis", "Rm1 invariants"]
