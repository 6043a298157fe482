"""What does the survival stack cost a strategy that earns? On generated markets with a planted edge: no recorded one is
known here.

    python research/risk_of_an_edge.py WORKSPACE [--seeds 8] [--days 20]

Each seed is a market of 50 assets at one minute (preset ``edge``), on which ``vel_div`` runs with a leverage cap of 2
and of 6: on neutral inputs, and with Rm1 to Rm5 applied, of which Rm5 alone has a source. The markets are independent;
that their edge is like a real one is not claimed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from dolphin.catalog import generate, open_dataset
from dolphin.config import parse_config
from dolphin.market.assemble import open_market
from dolphin.market.risk_table import build_risk
from dolphin.study.measure.run import run
from dolphin.workspace import Workspace

CAPS = (2.0, 6.0)


def figures(home: Workspace, name: str, cap: float) -> list[tuple[float, float, int]]:
    """ROI, drawdown and trades on neutral inputs, then with the stack applied."""
    dataset, found = open_dataset(home, name), []
    for risk in ({"mode": "neutral"}, {"mode": "apply"}):
        params = {"direction": "bidirectional", "vol_gate_mode": "off", "soft_cap": cap, "abs_cap": cap}
        config = parse_config({"params": params, "risk": risk | {"table": f"{name}_risk"}}, where="study")
        metrics = run(dataset, open_market(dataset, config), config, 0, dataset.n_bars).metrics
        found.append((metrics["roi"], metrics["max_drawdown"], metrics["trades"]))
    return found


def main() -> None:
    """Generate, run, print."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument("workspace", type=Path)
    ask.add_argument("--seeds", type=int, default=8)
    ask.add_argument("--days", type=int, default=20)
    given = ask.parse_args()
    home, seeds = Workspace(given.workspace), range(7, 7 + given.seeds)
    for seed in seeds:
        name = f"edge_1m_{seed}"
        if not (home.catalog / f"{name}.json").is_file():
            generate(home, name, preset="edge", days=given.days, assets=50, spacing_ns=60 * 10**9, seed=seed)
        build_risk(open_dataset(home, name), f"{name}_risk")
    for cap in CAPS:
        found = np.array([figures(home, f"edge_1m_{seed}", cap) for seed in seeds])
        for k, what in enumerate(("neutral", "Rm1 to Rm5")):
            roi, deep, trades = np.median(found[:, k], axis=0)
            print(f"cap {cap:g}, {what:<11} ROI {roi:+7.1%}  max DD {deep:6.1%}  trades {trades:6,.0f}")
        better = found[:, 1, 0] > found[:, 0, 0]
        change = found[:, 1] - found[:, 0]
        print(f"  better in ROI on {better.sum()} of {len(seeds)} markets; changes of ROI and max DD, in points:")
        print("  " + ", ".join(f"{100 * roi:+.1f} / {100 * deep:+.1f}" for roi, deep, _ in change))


if __name__ == "__main__":
    main()
