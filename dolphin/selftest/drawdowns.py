"""An account whose own drawdown (Rm5) bounds what it may do, over more days than its peak is of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from dolphin.config.config import RiskInputs
from dolphin.core.records import DAY_NS, STALKER, Market
from dolphin.parity.case import Case
from dolphin.parity.rung_plain import plain_rung
from dolphin.parity.rungs_core import core_rung
from dolphin.parity.rungs_nautilus import nautilus_rung
from dolphin.selftest.detectors import Finding, found
from dolphin.selftest.markets import FIRST, START, config_of, dataset_of, small_market
from dolphin.strategies.vel_div import VEL_DIV

#: Two hours a bar; days without a bar in between, where what is 30 days old has to be forgotten all the same.
BAR_NS = DAY_NS // 12
BARS, GAP_AT, GAP_DAYS = 800, 350, 4

#: Losses come quickly at this leverage, and are not made good.
LEVERED: dict[str, Any] = {"soft_cap": 4.0, "abs_cap": 12.0, "base_leverage": 3.0}


def weighed_market() -> Market:
    """The small market over 70 days; the other factors of Rm are 1 but for some bars, and a person steps in twice."""
    market = small_market(len(VEL_DIV.columns), BARS)
    rng = np.random.default_rng(5)
    risk = np.array(market.risk)
    risk["rm1"] = np.where(rng.random(BARS) < 0.01, 0.0, 1.0)
    risk["others"] = np.where(rng.random(BARS) < 0.1, 0.9, 1.0)
    for bar in (150, 600):
        risk["imposed"][bar : bar + 5] = 1 + STALKER
        risk["rm1"][bar + 2] = 0.0
    ts = START + BAR_NS * np.arange(1, BARS + 1, dtype=np.int64)
    ts[GAP_AT:] += GAP_DAYS * DAY_NS
    return market._replace(ts=ts, risk=risk)


def weighed_case() -> Case:
    """vel_div, both ways and often, weighing its account's drawdown."""
    market = weighed_market()
    config = replace(config_of(VEL_DIV, **LEVERED), risk=RiskInputs(table="made in memory"))
    return Case(replace(dataset_of(market), spacing_ns=BAR_NS), market, config, FIRST, BARS)


def plain_agrees() -> Finding | None:
    """Rung R: what Rm5 and the posture are, written a second time."""
    return found(plain_rung(weighed_case()))


def core_agrees() -> Finding | None:
    """Rung 0: bars that a flat account passes over count as those that it decides."""
    return found(core_rung(weighed_case()), "sweep")


def nautilus_agrees() -> Finding | None:
    """Rung 2: the session weighs where the step does."""
    return found(nautilus_rung(weighed_case(), "scan"))
