"""One generated day of 5-second bars, 50 assets, as a case of the parity ladder."""

from __future__ import annotations

from pathlib import Path

from dolphin import workspace
from dolphin.catalog import generate
from dolphin.config import parse_config
from dolphin.market.assemble import open_market
from dolphin.parity.case import Case

SPACING_NS = 5_000_000_000
PARAMS = {"vol_gate_mode": "off", "direction": "bidirectional"}


def one_day(home: Path) -> Case:
    """``vel_div`` in both directions over the whole day."""
    dataset = generate(
        workspace.create(home), "bench", preset="edge", days=1, assets=50, spacing_ns=SPACING_NS, seed=1
    ).dataset
    config = parse_config({"params": PARAMS}, where="benchmark")
    market = open_market(dataset, config)
    return Case(dataset, market, config, 0, len(market.ts))
