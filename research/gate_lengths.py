"""How long a holdout does the gate's rule need, and what do tests add that a strategy cannot see?

    python research/gate_lengths.py WORKSPACE STUDY --json FILE [--kinds boot,broad@4.3,narrow@5.5] [--markets 100]
                                    [--days 55,110,165] [--rows FILE] [--seconds S]

On each market of ``dolphin gate calibrate`` (of the kinds that are drawn from blocks of days, as long as it takes) the
study is searched, and the chosen configuration is judged on holdouts of several lengths: p_b among shifts of its
signals, p_t among its trades moved in a circle; for the search beside p_a, its rank among ``boot`` markets, White's
reality check. Kinds ``shift`` and ``shiftd`` have no more days than there are. What is finished is kept in FILE, and a
second run goes on; with ``--seconds`` it stops after so many. ``--rows`` is what ``dolphin gate calibrate`` has kept of
the same markets (``promote/.calibration``): best and p_b on its 55 days are then taken from there, and the power of
longer holdouts is told from them.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from scipy.stats import norm

from dolphin.catalog import open_dataset
from dolphin.core.records import Market
from dolphin.gate.calibration.bench import Bench
from dolphin.gate.calibration.markets import Kind, Maker, kinds_of
from dolphin.gate.calibration.summary import clopper_pearson
from dolphin.gate.evidence.combining import rank, stouffer
from dolphin.gate.evidence.moving import held_of, sharpes_moved
from dolphin.gate.evidence.resampling import reality_check
from dolphin.gate.evidence.shifting import draw_shifts, least_rows, scores_under
from dolphin.gate.floors import read_floors
from dolphin.gate.policy import Policy, read_policy
from dolphin.study.measure.measured import measure_records
from dolphin.study.measure.run import flat_state
from dolphin.study.sweep import read_study
from dolphin.study.trials.choice import Choice
from dolphin.times import DAY_NS
from dolphin.workspace import Workspace

SHIFTS, MOVES, SEED = 99, 999, 1
#: Days of a holdout whose power is told from what was kept of 55.
LENGTHS = (55, 70, 80, 90, 110, 141, 165, 220, 300, 330)

#: Limits of the test without shifted signals, as multiples of alpha.
FACTORS = (1.0, 2.0, 3.0, 4.0)

Numbers = dict[str, float]


def longer(market: Market, days: int, spacing_ns: int) -> Market:
    """The market repeated until it has so many days, every return at its time of day; a seam has none."""
    bars = round(DAY_NS / spacing_ns)
    whole = len(market.ts) // bars * bars
    times = -(-days * bars // whole)
    parts = {name: np.concatenate([values[:whole]] * times) for name, values in market.by_row().items()}
    drift = market.log_price[whole - 1] - market.log_price[0]
    logs = parts["log_price"] + np.repeat(np.arange(times), whole)[:, None] * np.nan_to_num(drift)
    ts = market.ts[0] + np.arange(times * whole, dtype=np.int64) * spacing_ns
    return market._replace(**parts | {"ts": ts, "log_price": logs, "price": np.exp(logs)})


def numbers_of(
    bench: Bench, maker: Maker, policy: Policy, kind: Kind, number: int, lengths: list[int], known: set[int]
) -> Numbers:
    """What is kept of one market; of lengths in ``known`` p_b is had already."""
    real = kind.name in ("shift", "shiftd")
    market = (bench._maker if real else maker).make(kind, number, SEED)
    (start, train), spacing = bench._train, bench.dataset.spacing_ns
    quantiles = bench._quantiles(market)
    params = bench._many.params.copy()
    for name, value in quantiles.items():
        params[name] = value
    found = measure_records(bench._base.engine, bench._many._replace(params=params), market, start, train)
    scores = bench.choice.scores(found.metrics)[:, 0]
    if not np.isfinite(scores).any():
        return {"best": -1e9, "p_rc": 1.0} | {f"{p} {days}": 1.0 for days in lengths for p in ("p_b", "p_t")}
    best = int(np.nanargmax(scores))
    returns = np.asarray(found.daily_returns)
    row: Numbers = {"best": float(scores[best]), "p_rc": reality_check(returns, seed=[SEED, number])[0]}
    config = bench._configs[best].with_quantiles(quantiles)
    rule = Choice(bench.choice.objectives[:1], bench.choice.directions[:1], 1)
    least = least_rows(policy.hard("holdout_shift_days"), spacing)
    for days in lengths:
        stop = train + days * round(DAY_NS / spacing)
        if stop > len(market.ts):
            continue
        if days not in known:
            shifts = draw_shifts(stop - train, least, SHIFTS, [SEED, number, 1])
            held = scores_under(config, market, train, stop, [0, *shifts], rule)
            row |= {f"sharpe {days}": float(held[0]), f"p_b {days}": rank(float(held[0]), held[1:].tolist())}
        state = flat_state(config, market, train, stop)
        trades = config.engine.run(state, config.params_record(), config.friction_record(), market, train, stop).trades
        moves = [0, *draw_shifts(stop - train, least, MOVES, [SEED, number, 2])]
        span = slice(train, stop)
        moved = sharpes_moved(held_of(trades, train), market.price[span], market.ts[span], moves)
        row |= {f"p_t {days}": rank(float(moved[0]), moved[1:].tolist())}
    return row


def main() -> None:
    """Print the shares that are promoted, by kind of market and length of the holdout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("study", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--kinds", default="boot,broad@4.3,narrow@5.5")
    parser.add_argument("--markets", type=int, default=100)
    parser.add_argument("--days", default="55")
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--seconds", type=float, default=np.inf)
    asked = parser.parse_args()
    began, home = time.monotonic(), Workspace(asked.workspace)
    study, policy = read_study(asked.study, home.research), read_policy(home)
    bench = Bench(open_dataset(home, study.dataset), study, policy, read_floors(home), 0, SEED, 1)
    lengths, spacing = [int(days) for days in asked.days.split(",")], bench.dataset.spacing_ns
    days = bench._train[1] * spacing // DAY_NS + 1 + max(lengths)
    maker = Maker(longer(bench._maker.market, days, spacing), study.config, spacing)
    found: dict[str, dict[str, Numbers]] = json.loads(asked.json.read_text()) if asked.json.is_file() else {}
    kept = json.loads(asked.rows.read_text())["rows"] if asked.rows else {}
    for kind in kinds_of(asked.kinds.split(",")):
        rows = found.setdefault(str(kind), {})
        for number in range(asked.markets):
            if str(number) in rows or time.monotonic() - began > asked.seconds:
                continue
            old = kept.get(f"{kind} {number}")
            rows[str(number)] = numbers_of(bench, maker, policy, kind, number, lengths, {55} if old else set())
            if old:
                rows[str(number)] |= {
                    "best": -1e9 if old["best"] is None else old["best"],
                    "p_b 55": old["p_b"],
                    "sharpe 55": old["sharpe"] or 0.0,
                }
            asked.json.write_text(json.dumps(found))
    nulls = {name: [row["best"] for row in found[name].values()] for name in found if "@" not in name}
    for name in {key.rpartition(" ")[0] for key in kept}:
        if "@" not in name:
            nulls[name] = [row["best"] or -1e9 for key, row in kept.items() if key.rpartition(" ")[0] == name]
    told(found, nulls, policy)
    if kept:
        expected(kept, policy)


def expected(kept: dict[str, dict[str, float]], policy: Policy) -> None:
    """Power at a Sharpe ratio of 4 by days of the holdout, from what was kept of 55: no market is made again.

    z_b is a configuration's own share and a draw of unit variance; the share, shrunk by what it varies among the
    markets of a kind, grows with the root of the days. p_a stays. Between kinds by a straight line of probits.
    """
    rng = np.random.default_rng(SEED)
    nulls = [row["best"] for key, row in kept.items() if key.startswith("boot ")]
    for family in ("broad", "narrow"):
        kinds = sorted({key.rpartition(" ")[0] for key in kept if key.startswith(family)})
        sharpes, shares = [], []
        for kind in kinds:
            rows = [row for key, row in kept.items() if key.rpartition(" ")[0] == kind]
            sharpes.append(np.mean([row["sharpe"] or 0.0 for row in rows]))
            z_a = norm.isf([rank(row["best"], nulls) for row in rows])
            z_b = norm.isf([min(row["p_b"], 1.0 - 1e-9) for row in rows])
            varies = max(z_b.var() - 1.0, 0.0)
            shrunk = varies / (1.0 + varies)
            share = z_b.mean() + shrunk * (z_b - z_b.mean())
            share = share + np.sqrt(shrunk) * rng.standard_normal((400, len(rows)))
            noise, passed = rng.standard_normal(share.shape), []
            for days in LENGTHS:
                z = np.minimum(share * np.sqrt(days / 55.0) + noise, norm.isf(1.0 / 200.0))
                joined = (z_a + z) / np.sqrt(2.0) >= norm.isf(policy.alpha)
                passed.append(np.mean(joined & (z >= norm.isf(policy.hard("guard")))))
            shares.append(norm.ppf(passed))
        order = np.argsort(sharpes)
        for days, ends in zip(LENGTHS, np.array(shares)[order].T, strict=True):
            print(f"{family} at 4, {days} days: {norm.cdf(np.interp(4.0, np.array(sharpes)[order], ends)):.2f}")


def told(found: dict[str, dict[str, Numbers]], nulls: dict[str, list[float]], policy: Policy) -> None:
    """Print what share of each kind passes; ``nulls`` are the best scores of markets without an edge."""
    for name, rows in found.items():
        lengths = sorted({int(key.split()[1]) for row in rows.values() for key in row if key.startswith("p_b ")})
        others = nulls[name if name in nulls else "boot"]
        for days in lengths:
            mine = [row for row in rows.values() if f"p_b {days}" in row]
            passed, alone = [], []
            for row in mine:
                p_a = rank(row["best"], others)
                if name in nulls:  # it is one of them
                    p_a = (p_a * (len(others) + 1) - 1) / len(others)
                p, p_b = stouffer(p_a, row[f"p_b {days}"]), row[f"p_b {days}"]
                passed.append(p <= policy.alpha and p_b <= policy.hard("guard"))
                alone.append(stouffer(row["p_rc"], row[f"p_t {days}"]))
            sharpe = np.mean([row.get(f"sharpe {days}", 0.0) for row in mine])
            low, high = clopper_pearson(sum(passed), len(mine))
            words = [f"{name} {days} days, {len(mine)} markets, Sharpe {sharpe:.2f}: the rule {np.mean(passed):.3f}"]
            words.append(f"[{low:.2f}, {high:.2f}]; without shifted signals at most")
            for factor in FACTORS:
                second = np.array(alone) <= factor * policy.alpha
                words.append(f"{factor * policy.alpha:.2f}: {second.mean():.3f}, both {(second & passed).mean():.3f};")
            print(" ".join(words))


if __name__ == "__main__":
    main()
