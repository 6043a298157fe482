"""Does the circuit breaker help, and what does the survival stack cost and save? On recorded data, paired runs.

    python research/risk_inputs.py WORKSPACE --dataset NAME --external TABLE --study NAME [--forecasts TABLE]

Every configuration of a registered study runs four times on the dataset: on neutral inputs (which is what ``observe``
gives), with the circuit breaker applied, with the survival stack applied whole (Rm5 by the account's own drawdown),
and with both. Differences are paired by configuration. Read them as one market: the configurations share it.

Less exposure makes whatever loses lose less. So the study also asks what the inputs *know*: the mean return on
notional, which leverage does not touch, of the neutral trades decided in boosted bars, and in bars of each posture;
and which category refuses which of them.

The breaker is *reduced* to the factors that the table holds. All nine would never be ready: nobody recorded implied
volatility, long over short accounts, taker ratio and open interest for these years.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from dolphin.catalog import Dataset, open_dataset
from dolphin.config import Config, parse_config
from dolphin.core.records import DAY_NS
from dolphin.market.assemble import open_market
from dolphin.market.risk_table import build_risk, table_rows
from dolphin.risk.rules import parse_rules
from dolphin.study.forewarn.outcomes import configs_of
from dolphin.study.measure.risk_cost import risk_cost
from dolphin.study.measure.run import run
from dolphin.workspace import Workspace

RECORDED = ("funding_btc", "funding_eth", "fng", "vix")


def named(config: Config, table: str, mode: str, account: bool = False) -> Config:
    """The configuration with a risk table, and the account's own Rm5 if asked for."""
    document = {key: value for key, value in config.document().items() if value is not None}
    return parse_config(document | {"risk": {"table": table, "mode": mode, "account": account}}, where="study")


def batch(dataset: Dataset, config: Config) -> dict:
    """Metrics of a plain run over all bars."""
    return run(dataset, open_market(dataset, config), config, 0, dataset.n_bars).metrics


def row(name: str, found: list[dict], neutral: list[dict]) -> str:
    """Medians, and how many configurations are better than on neutral inputs."""
    roi, deep = (np.array([m[key] for m in found]) for key in ("roi", "max_drawdown"))
    roi0, deep0 = (np.array([m[key] for m in neutral]) for key in ("roi", "max_drawdown"))
    trades = np.median([m["trades"] for m in found])
    return (
        f"{name:<22}{np.median(roi):>9.1%}{np.median(deep):>9.1%}{trades:>8.0f}"
        f"{np.median(roi - roi0):>+11.1%}{int((roi > roi0).sum()):>6}"
        f"{np.median(deep - deep0):>+12.1%}{int((deep < deep0).sum()):>6}   {sum(bool(m['ruined']) for m in found)}"
    )


def selection(dataset: Dataset, configs: list[Config], table: str, what: str) -> None:
    """Print the mean P&L on notional of neutral trades by what the table said at their entry."""
    rows, found = table_rows(dataset, table), []
    for config in configs:
        done = run(dataset, open_market(dataset, config), config, 0, dataset.n_bars)
        trades = done.recording.trades
        found.append((rows[what][trades["entry_bar"]], trades["pnl_pct"], trades["entry_bar"]))
    told, pnl, bars = (np.concatenate(parts) for parts in zip(*found, strict=True))
    for value in np.unique(told):
        here = told == value
        days = len(np.unique(bars[here] * dataset.spacing_ns // DAY_NS))
        mean = pnl[here].mean()
        print(f"  {what} {value:6.3f}: {here.sum():6,} trades on {days:3} days, {mean:+.4%} of notional a trade")


def categories(dataset: Dataset, configs: list[Config], table: str) -> None:
    """Print what each category cost: trades of the neutral run that it refuses, and their P&L by the capital."""
    found = []
    for config in configs:
        applied = named(config, table, "apply", account=True)
        cost = risk_cost(run(dataset, open_market(dataset, applied), applied, 0, dataset.n_bars))
        found.append((cost, config.account.initial_capital))
    trades = sum(cost["neutral_trades"] for cost, _ in found)
    print(f"refused of {trades:,} neutral trades, and what these made, of the capital, median of configurations")
    for name in found[0][0]["categories"]:
        parts = [(cost["categories"][name], capital) for cost, capital in found]
        below = [part["below_full"] for part, _ in parts if "below_full" in part]
        pnl = np.median([part["refused_pnl"] / capital for part, capital in parts])
        refused = sum(part["refused"] for part, _ in parts)
        full = f"below full in {np.median(below):6.1%} of bars" if below else ""
        print(f"  {name:<20}{refused:>7,}{pnl:>+10.1%}   {full}")


def main() -> None:
    """Build the tables, run, print."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument("workspace", type=Path)
    for name in ("dataset", "external", "study"):
        ask.add_argument(f"--{name}", required=True)
    ask.add_argument("--forecasts")
    ask.add_argument("--trials", type=int, default=12)
    given = ask.parse_args()
    home = Workspace(given.workspace)
    dataset = open_dataset(home, given.dataset)
    base = f"risk_{given.dataset}"
    rules = parse_rules({"required": list(RECORDED)}, "study")
    build_risk(dataset, f"{base}_nine", external=given.external)
    reduced = build_risk(dataset, f"{base}_acb", rules=rules, external=given.external)
    stack = build_risk(dataset, f"{base}_stack", forecasts=given.forecasts)
    build_risk(dataset, f"{base}_both", rules=rules, external=given.external, forecasts=given.forecasts)
    print("breaker:", reduced.manifest["summary"]["breaker"])
    print("stack:", stack.manifest["categories"]["Rm2 structure"], stack.manifest["summary"]["postures"])
    configs = configs_of(home, given.study, given.trials, 0)
    neutral = [batch(dataset, config) for config in configs]
    cases = {
        "neutral": neutral,
        "nine factors": [batch(dataset, named(c, f"{base}_nine", "apply")) for c in configs],
        "reduced breaker": [batch(dataset, named(c, f"{base}_acb", "apply")) for c in configs],
        "stack, observe": [batch(dataset, named(c, f"{base}_stack", "observe")) for c in configs],
        "stack Rm1-4, apply": [batch(dataset, named(c, f"{base}_stack", "apply")) for c in configs],
        "stack Rm1-5, apply": [batch(dataset, named(c, f"{base}_stack", "apply", account=True)) for c in configs],
        "breaker and Rm1-5": [batch(dataset, named(c, f"{base}_both", "apply", account=True)) for c in configs],
    }
    print(f"{len(configs)} configurations of {given.study} on {given.dataset}, {dataset.n_bars:,} bars")
    print(f"{'':<22}{'ROI':>9}{'max DD':>9}{'trades':>8}{'d ROI':>11}{'wins':>6}{'d max DD':>12}{'wins':>6}   ruined")
    for name, found in cases.items():
        print(row(name, found, neutral))
    selection(dataset, configs, f"{base}_acb", "boost")
    selection(dataset, configs, f"{base}_stack", "posture")
    categories(dataset, configs, f"{base}_stack")


if __name__ == "__main__":
    main()
