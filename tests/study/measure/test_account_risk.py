"""Rm5 applied: the account's own drawdown caps it, and stops it."""

from __future__ import annotations

import numpy as np
import pytest

from dolphin.catalog import open_dataset
from dolphin.config import Config, parse_config
from dolphin.core.records import APEX
from dolphin.market.assemble import open_market
from dolphin.market.risk_table import build_risk
from dolphin.risk.drawdown import RollingPeak
from dolphin.risk.posture import new_hysteresis, postures
from dolphin.risk.survival import rm5
from dolphin.study.measure.account_risk import run_whole_stack
from dolphin.study.measure.run import run
from dolphin.workspace import Workspace


def with_table(busy: Config, **more: object) -> Config:
    return parse_config({"params": busy.params.model_dump() | more, "risk": {"table": "r"}}, where="test")


def test_without_stress_it_is_the_run(home: Workspace, busy: Config) -> None:
    dataset = open_dataset(home, "m")
    build_risk(dataset, "r")
    config = with_table(busy, soft_cap=1.0, abs_cap=1.0)
    market = open_market(dataset, config)
    ours, batch = run_whole_stack(dataset, market, config, 800, 1500), run(dataset, market, config, 800, 1500)
    assert (ours.rm5 == 1.0).all() and ours.equity.tobytes() == batch.recording.equity.tobytes()
    assert ours.state.account["digest"][0] == batch.recording.digests[-1]


def test_a_loss_caps_and_then_stops(home: Workspace, busy: Config) -> None:
    dataset = open_dataset(home, "m")
    build_risk(dataset, "r")
    config = with_table(busy, soft_cap=100.0, abs_cap=100.0, fraction=1.0, maintenance_margin=0.0, tp_pct=0.05)
    market = open_market(dataset, config)
    done = run_whole_stack(dataset, market, config, 800, dataset.n_bars)
    before = np.concatenate([[config.account.initial_capital], done.equity[:-1]])
    drawdown = RollingPeak(dataset.spacing_ns).drawdowns(market.ts[800:], before)
    assert done.rm5 == pytest.approx([rm5(d) for d in drawdown], abs=0)
    read = done.risk[800:]
    assert (read["posture"] == postures(new_hysteresis(), np.ones(len(drawdown)), done.rm5)).all()
    assert drawdown.max() > 0.1 and read["posture"].max() > APEX
