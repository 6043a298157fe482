"""Could the gate's evidence be stronger without promoting more luck? Other statistics on the same markets.

    python research/gate_power.py WORKSPACE STUDY [--markets 150] [--kinds boot,broad@2,broad@4,narrow@8] [--json FILE]

On each market of ``dolphin gate calibrate`` the study is searched, and some numbers are kept: on the train window the
best score, the mean of the twenty best, and the Sharpe ratio of their equal-weight portfolio (is it a family or one of
them?); on the bars after it, among common shifts of their signals, the rank of the best one by its days and by its
bars, of the mean of the eight best, and of equal-weight portfolios of 8, 20 and 50. Rules made of them are then asked
two things: how many of the markets without an edge do they promote, and how many with one. ``boot`` markets are their
own null, each against all others. With ``--json`` what is finished is kept there, and a second run goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import chi2, norm

from dolphin.catalog import open_dataset
from dolphin.config import Config
from dolphin.core.records import Floats, Market
from dolphin.gate.calibration.bench import Bench
from dolphin.gate.calibration.markets import Kind, kinds_of
from dolphin.gate.calibration.summary import clopper_pearson
from dolphin.gate.evidence.combining import rank
from dolphin.gate.evidence.shifting import draw_shifts, least_rows, shifted
from dolphin.gate.floors import read_floors
from dolphin.gate.policy import Policy, read_policy
from dolphin.study.measure.measured import measure
from dolphin.study.measure.run import flat_state
from dolphin.study.sweep import read_study
from dolphin.study.trials.choice import Choice
from dolphin.workspace import Workspace

FAMILY, CARRIED, SHIFTS, SEED = 20, 8, 99, 1
#: Members of the portfolios that are carried to the holdout.
PORTFOLIOS = (8, 20, 50)

Numbers = dict[str, float]


def numbers_of(bench: Bench, policy: Policy, kind: Kind, number: int) -> Numbers:
    """What is kept of one market: scores on the train window, ranks after it."""
    market = bench._maker.make(kind, number, SEED)
    (start, train), stop = bench._train, min(bench._stop, len(market.ts))
    quantiles = bench._quantiles(market)
    scores = np.nan_to_num(bench._scores(market, quantiles), nan=-np.inf)
    order = np.argsort(-scores, kind="stable")
    configs = [bench._configs[c].with_quantiles(quantiles) for c in order[: max(PORTFOLIOS)]]
    rule = Choice(bench.choice.objectives[:1], bench.choice.directions[:1], 1)
    least = least_rows(policy.hard("holdout_shift_days"), bench.dataset.spacing_ns)
    seen = measure(configs[:FAMILY], market, start, train).daily_returns
    rows = []
    for shift in [0, *draw_shifts(stop - train, least, SHIFTS, [SEED, number, 1])]:
        moved = shifted(market, train, stop, shift)
        found = measure(configs, moved, train, stop)
        single = np.nan_to_num(rule.scores(found.metrics)[:CARRIED, 0])
        joint = [sharpe(found.daily_returns[:count].mean(axis=0)) for count in PORTFOLIOS]
        rows.append([single[0], single.mean(), by_bar(configs[0], moved, train, stop), *joint])
    held = np.array(rows)
    names = ("p_b", "p_b_eight", "p_b_bars", *(f"p_b_of_{count}" for count in PORTFOLIOS))
    return {
        "best": float(scores[order[0]]),
        "family": float(np.mean(scores[order[:FAMILY]])),
        "portfolio": sharpe(seen.mean(axis=0)),
        **{name: rank(float(held[0, k]), held[1:, k].tolist()) for k, name in enumerate(names)},
        "unseen": float(held[0, 0]),
        "unseen_of_20": float(held[0, names.index("p_b_of_20")]),
    }


def sharpe(returns: Floats) -> float:
    """Of daily returns, annual; 0 where nothing moves."""
    deviation = returns.std(ddof=1)
    return float(returns.mean() / deviation * np.sqrt(365.0)) if deviation > 0.0 else 0.0


def by_bar(config: Config, market: Market, start: int, stop: int) -> float:
    """The mean return of a bar by the deviation of bars, of one configuration."""
    state = flat_state(config, market, start, stop)
    curve = config.engine.run(state, config.params_record(), config.friction_record(), market, start, stop).equity
    return sharpe(np.diff(curve) / curve[:-1])


def stouffer(a: float, b: float, weight: float = 1.0) -> float:
    """One p of two; ``weight`` is that of the first."""
    z = (weight * norm.isf(a) + norm.isf(b)) / np.hypot(weight, 1.0)
    return float(norm.sf(z))


def fisher(a: float, b: float) -> float:
    """One p of two."""
    return float(chi2.sf(-2.0 * (np.log(a) + np.log(b)), 4))


#: p_a of best, family, portfolio ("a", "f", "q"), p_b by name -> promoted?
RULES: dict[str, Callable[[Numbers], bool]] = {
    "the policy: best, p_b <= .30": lambda p: joined(p["a"], p["p_b"]),
    "without the guard": lambda p: joined(p["a"], p["p_b"], guard=1.0),
    "the family instead of the best": lambda p: joined(p["f"], p["p_b"]),
    "portfolio of 20 instead of the best": lambda p: joined(p["q"], p["p_b"]),
    "eight carried to the holdout": lambda p: joined(p["a"], p["p_b_eight"]),
    "family and eight": lambda p: joined(p["f"], p["p_b_eight"]),
    "holdout by bars": lambda p: joined(p["a"], p["p_b_bars"]),
    "portfolio of 8 to the holdout": lambda p: joined(p["a"], p["p_b_of_8"]),
    "portfolio of 20 to the holdout": lambda p: joined(p["a"], p["p_b_of_20"]),
    "portfolio of 50 to the holdout": lambda p: joined(p["a"], p["p_b_of_50"]),
    "portfolio of 20 on both": lambda p: joined(p["q"], p["p_b_of_20"]),
    "portfolio of 20, no guard": lambda p: joined(p["a"], p["p_b_of_20"], guard=1.0),
    "portfolio of 20, holdout double": lambda p: joined(p["a"], p["p_b_of_20"], weight=0.5),
    "the search counts double": lambda p: joined(p["a"], p["p_b"], weight=2.0),
    "the holdout counts double": lambda p: joined(p["a"], p["p_b"], weight=0.5),
    "Fisher instead of Stouffer": lambda p: fisher(p["a"], p["p_b"]) <= 0.05 and p["p_b"] <= 0.30,
    "the holdout alone": lambda p: p["p_b"] <= 0.05,
    "the holdout alone, portfolio of 20": lambda p: p["p_b_of_20"] <= 0.05,
}


def joined(a: float, b: float, *, guard: float = 0.30, weight: float = 1.0) -> bool:
    """Stouffer at .05, and the limit on p_b."""
    return stouffer(a, b, weight) <= 0.05 and b <= guard


def main() -> None:
    """Print the shares that each rule promotes, by kind of market."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("study", type=Path)
    parser.add_argument("--markets", type=int, default=150)
    parser.add_argument("--kinds", default="boot,broad@2,broad@4,narrow@8")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    home = Workspace(asked.workspace)
    study, policy = read_study(asked.study, home.research), read_policy(home)
    bench = Bench(open_dataset(home, study.dataset), study, policy, read_floors(home), 0, SEED, 1)
    kinds = kinds_of(asked.kinds.split(","))
    kept = asked.json is not None and asked.json.is_file()
    found: dict[str, list[Numbers]] = json.loads(asked.json.read_text()) if kept else {}
    for kind in kinds:
        rows = found.setdefault(str(kind), [])
        for number in range(len(rows), asked.markets):
            rows.append(numbers_of(bench, policy, kind, number))
            if asked.json:
                asked.json.write_text(json.dumps(found))
        one, many = (np.mean([row[name] for row in rows]) for name in ("unseen", "unseen_of_20"))
        print(f"{kind}: mean Sharpe unseen of the chosen {one:.2f}, of the portfolio of 20 {many:.2f}", flush=True)
    for name, rule in RULES.items():
        words = []
        for kind in kinds:
            count = sum(rule(ps) for ps in p_values(kind, found))
            low, high = clopper_pearson(count, len(found[str(kind)]))
            words.append(f"{kind} {count / len(found[str(kind)]):.3f} [{low:.2f}, {high:.2f}]")
        print(f"{name:36} {'  '.join(words)}")


def p_values(kind: Kind, found: dict[str, list[Numbers]]) -> list[Numbers]:
    """The p of each market by name: of the search the ranks among ``boot`` markets, of the holdout as kept."""
    rows, nulls = found[str(kind)], found["boot"]
    every = []
    for k, row in enumerate(rows):
        others = nulls[:k] + nulls[k + 1 :] if str(kind) == "boot" else nulls
        names = {"a": "best", "f": "family", "q": "portfolio"}
        every.append(row | {short: rank(row[key], [other[key] for other in others]) for short, key in names.items()})
    return every


if __name__ == "__main__":
    main()
