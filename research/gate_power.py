"""Could the gate's evidence be stronger without promoting more luck? Other statistics on the same markets.

    python research/gate_power.py WORKSPACE STUDY [--markets 150] [--kinds boot,broad@2,broad@4,narrow@8]

On each market of ``dolphin gate calibrate`` the study is searched, and four numbers are kept: the best score and the
mean of the twenty best (is it a family or one of them?), and on the bars after the train window the rank of the best
and of the mean of the eight best among common shifts of their signals. Rules made of them are then asked two things:
how many of the markets without an edge do they promote, and how many with one. ``boot`` markets are their own null,
each against all others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import chi2, norm

from dolphin.catalog import open_dataset
from dolphin.gate.calibration.bench import Bench
from dolphin.gate.calibration.markets import Kind, kinds_of
from dolphin.gate.calibration.summary import clopper_pearson
from dolphin.gate.evidence.combining import rank
from dolphin.gate.evidence.shifting import draw_shifts, least_rows, shifted
from dolphin.gate.floors import read_floors
from dolphin.gate.policy import Policy, read_policy
from dolphin.study.measure.measured import measure
from dolphin.study.sweep import read_study
from dolphin.study.trials.choice import Choice
from dolphin.workspace import Workspace

FAMILY, CARRIED, SHIFTS, SEED = 20, 8, 99, 1

Numbers = dict[str, float]


def numbers_of(bench: Bench, policy: Policy, kind: Kind, number: int) -> Numbers:
    """Best and mean of the best on the train window, ranks of one and of eight after it."""
    market = bench._maker.make(kind, number, SEED)
    train, stop = bench._train[1], min(bench._stop, len(market.ts))
    quantiles = bench._quantiles(market)
    scores = np.nan_to_num(bench._scores(market, quantiles), nan=-np.inf)
    order = np.argsort(-scores, kind="stable")
    configs = [bench._configs[c].with_quantiles(quantiles) for c in order[:CARRIED]]
    rule = Choice(bench.choice.objectives[:1], bench.choice.directions[:1], 1)
    least = least_rows(policy.hard("holdout_shift_days"), bench.dataset.spacing_ns)
    held = np.array(
        [
            np.nan_to_num(rule.scores(measure(configs, shifted(market, train, stop, s), train, stop).metrics)[:, 0])
            for s in [0, *draw_shifts(stop - train, least, SHIFTS, [SEED, number, 1])]
        ]
    )
    return {
        "best": float(scores[order[0]]),
        "family": float(np.mean(scores[order[:FAMILY]])),
        "p_b": rank(float(held[0, 0]), held[1:, 0].tolist()),
        "p_b_eight": rank(float(held[0].mean()), held[1:].mean(axis=1).tolist()),
        "unseen": float(held[0, 0]),
    }


def stouffer(a: float, b: float, weight: float = 1.0) -> float:
    """One p of two; ``weight`` is that of the first."""
    z = (weight * norm.isf(a) + norm.isf(b)) / np.hypot(weight, 1.0)
    return float(norm.sf(z))


def fisher(a: float, b: float) -> float:
    """One p of two."""
    return float(chi2.sf(-2.0 * (np.log(a) + np.log(b)), 4))


#: p_a of the best, p_a of the family, p_b of the best, p_b of the eight -> promoted?
RULES: dict[str, Callable[[float, float, float, float], bool]] = {
    "the policy: best, p_b <= .30": lambda a, f, b, e: stouffer(a, b) <= 0.05 and b <= 0.30,
    "without the guard": lambda a, f, b, e: stouffer(a, b) <= 0.05,
    "the family instead of the best": lambda a, f, b, e: stouffer(f, b) <= 0.05 and b <= 0.30,
    "eight carried to the holdout": lambda a, f, b, e: stouffer(a, e) <= 0.05 and e <= 0.30,
    "family and eight": lambda a, f, b, e: stouffer(f, e) <= 0.05 and e <= 0.30,
    "the search counts double": lambda a, f, b, e: stouffer(a, b, 2.0) <= 0.05 and b <= 0.30,
    "Fisher instead of Stouffer": lambda a, f, b, e: fisher(a, b) <= 0.05 and b <= 0.30,
    "the holdout alone": lambda a, f, b, e: b <= 0.05,
}


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
    found: dict[str, list[Numbers]] = {}
    for kind in kinds:
        found[str(kind)] = [numbers_of(bench, policy, kind, number) for number in range(asked.markets)]
        print(
            f"{kind}: mean Sharpe of the chosen, unseen {np.mean([r['unseen'] for r in found[str(kind)]]):.2f}",
            flush=True,
        )
        if asked.json:
            asked.json.write_text(json.dumps(found))
    for name, rule in RULES.items():
        words = []
        for kind in kinds:
            count = sum(rule(*ps) for ps in p_values(kind, found))
            low, high = clopper_pearson(count, asked.markets)
            words.append(f"{kind} {count / asked.markets:.3f} [{low:.2f}, {high:.2f}]")
        print(f"{name:32} {'  '.join(words)}")


def p_values(kind: Kind, found: dict[str, list[Numbers]]) -> list[tuple[float, float, float, float]]:
    """p_a of the best and of the family (ranks among ``boot`` markets), p_b of the best and of the eight."""
    rows, nulls = found[str(kind)], found["boot"]
    every = []
    for k, row in enumerate(rows):
        others = nulls[:k] + nulls[k + 1 :] if str(kind) == "boot" else nulls
        a, f = (rank(row[key], [other[key] for other in others]) for key in ("best", "family"))
        every.append((a, f, row["p_b"], row["p_b_eight"]))
    return every


if __name__ == "__main__":
    main()
