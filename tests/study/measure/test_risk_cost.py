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
from dolphin.study.measure.risk_cost import blamed, neutral_trades, risk_cost, risk_frame, whole_stack
from dolphin.study.measure.run import Run, run
from dolphin.workspace import Workspace

HOUR = 3600 * 10**9


@pytest.fixture
def runs(home: Workspace, busy: Config) -> dict[str, Run]:
    """The busy configuration under forecasts that are RED for a day: observed, applied, and so where it loses much.

    Only the last weighs its account's drawdown.
    """
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
    for name, mode, fee in (("observe", "observe", 2.0), ("apply", "apply", 2.0), ("weighed", "apply", 60.0)):
        risk = {"table": "r", "mode": mode, "account": name == "weighed"}
        document = {"params": busy.params.model_dump(), "friction": {"fee_bps": fee}, "risk": risk}
        config = parse_config(document, where="t")
        found[name] = run(dataset, open_market(dataset, config), config, 800, dataset.n_bars)
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


def test_what_the_account_s_own_factor_cost(runs: dict[str, Run]) -> None:
    done = runs["weighed"]
    cost, frame = risk_cost(done), risk_frame(done)
    capital, stress = cost["categories"]["Rm5 capital"], frame["rm5"].to_numpy()
    assert capital["below_full"] == np.mean(stress < 1.0) > 0.0 and capital["mean"] == np.mean(stress)
    assert sum(of["refused"] for of in cost["categories"].values()) == cost["refused"]
    assert sum(of["refused_pnl"] for of in cost["categories"].values()) == pytest.approx(cost["refused_pnl"])
    trades, posture = neutral_trades(done), frame["posture_account"].to_numpy()
    at = trades["entry_bar"] - done.start
    lowest = np.column_stack([frame[f"rm{k}"].to_numpy()[at] for k in range(1, 6)]).argmin(axis=1) == 4
    assert cost["refused"] == int((posture[at] >= TURTLE).sum())
    assert capital["refused"] == int(((posture[at] >= TURTLE) & lowest & (stress[at] < 1.0)).sum()) > 0
    assert cost["mean_rm"] == np.mean(frame["rm_account"].to_numpy())
    entered = done.recording.trades["entry_bar"] - done.start
    assert (posture[entered] < TURTLE).all()
    for name in ("observe", "apply"):
        assert risk_cost(runs[name])["categories"]["Rm5 capital"]["refused"] == 0


def test_blame() -> None:
    rows = np.array([(1.0, 0.1, 0.5, 1.0, 0.3), (1.0,) * 5, (0.0, 0.1, 0.5, 1.0, 1.0), (1.0, 1.0, 1.0, 0.4, 0.2)])
    factors = {f"rm{k + 1}": rows[:, k] for k in range(5)}
    assert blamed(factors).tolist() == ["Rm2 structure", "hysteresis", "Rm1 invariants", "Rm5 capital"]
