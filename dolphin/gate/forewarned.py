"""What the forewarner said at the end of the judged window: RED refuses, where a candidate's risk table has one."""

from __future__ import annotations

from typing import Any

import numpy as np

from dolphin.catalog import Dataset
from dolphin.catalog.store.tables import open_table
from dolphin.config import Config
from dolphin.gate.report import Check
from dolphin.market.risk_sources import forecast_at
from dolphin.market.risk_table import risk_table
from dolphin.risk.forewarner import MISSING, STATUSES, effective
from dolphin.times import format_time
from dolphin.workspace import Workspace

#: What a verdict says where there is none: no pass and no refusal.
NONE = {"status": "not available (neutral)", "counts_as_pass": False}


def forewarned(dataset: Dataset, config: Config, last_ts: int) -> tuple[dict[str, Any], list[Check]]:
    """What the verdict says of the forewarner, and the check that RED does not hold; none without forecasts.

    Parameters
    ----------
    last_ts : int
        The last close that was judged, ns.
    """
    named = config.risk.table
    source = risk_table(dataset, named).manifest["tables"].get("forecasts") if named else None
    if source is None:
        return dict(NONE), []
    table = open_table(Workspace(dataset.root.parent), f"{source['name']}@{source['digest']}")
    probability, hours, status = forecast_at(table, np.array([last_ts], np.int64))
    code = int(effective(int(status[0]), float(hours[0]), False))
    at = format_time(last_ts)
    if code == MISSING:
        return {**NONE, "status": f"no forecast until {at}"}, []
    word = STATUSES[code]
    about = {
        "status": word, "counts_as_pass": True, "catastrophic_prob": float(probability[0]),
        "age_hours": float(hours[0]), "table": f"{table.name} {table.digest[:16]}",
    }  # fmt: skip
    words = f"{word} at {at}: a chance of {probability[0]:.3g} of catastrophe, {hours[0]:.3g} h old, {table.name}"
    return about, [Check("forewarner", word != "RED", words)]
