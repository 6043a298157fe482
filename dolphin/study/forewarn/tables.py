"""Forecasts of a forewarner as a table of series, each public when it was made."""

from __future__ import annotations

import numpy as np
import polars as pl

from dolphin.catalog import Dataset
from dolphin.catalog.store.tables import Table, write_table
from dolphin.config import Config
from dolphin.core.records import Floats, Ints
from dolphin.market.risk_sources import PROBABILITY
from dolphin.study.forewarn.model import Forewarner
from dolphin.times import format_time
from dolphin.workspace import Workspace


def write_forecasts(
    workspace: Workspace,
    name: str,
    found: Forewarner,
    dataset: Dataset,
    config: Config,
    ts: Ints,
    probability: Floats,
    made: str,
) -> Table:
    """Publish forecasts as table ``name``; what was made of the training's own time is said in its notes."""
    training = found.document["training"]
    own = (ts >= training["first_ts"]) & (ts <= training["last_ts"])
    notes = [] if found.document["validation"]["has_skill"] else ["its forewarner has shown no skill"]
    if own.any():
        span = f"{format_time(training['first_ts'])} to {format_time(training['last_ts'])}"
        notes.append(f"{np.mean(own):.1%} of these forecasts are of the time that it was trained on ({span})")
    frame = pl.DataFrame(
        {
            "series": [PROBABILITY] * len(ts),
            "symbol": pl.Series([None] * len(ts), dtype=pl.String),
            "reference_ts": ts,
            "available_ts": ts,
            "value": probability,
        }
    )
    years = frame.group_by(pl.from_epoch("available_ts", "ns").dt.year(), maintain_order=True)
    about = {
        "source": dataset.name,
        "made": made,
        "made_from": [f"{dataset.name}@{dataset.digest}"],
        "model": found.hash,
        "config_hash": config.hash,
        "training": training,
        "notes": notes,
        "lag_rules": {PROBABILITY: "when it was made"},
    }
    parts = ((f"{key[0]:04d}-01-01", None, part) for key, part in years)  # type: ignore[str-bytes-safe]
    return write_table(workspace, name, kind="series", parts=parts, about=about)
