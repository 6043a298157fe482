"""``dolphin gate calibrate``: search, holdout and policy on many markets whose truth is known.

Each market is searched on the study's train window as the study does it, and the chosen one is judged on the rest.
p_a is the rank of the best among those of the other markets without an edge (of its kind; of ``boot`` for a planted
edge): each is a rerun of the search on signals that know nothing. That spares a market its own reruns, unless they
are asked for.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.catalog import Dataset, generate, open_dataset
from dolphin.config import Config, Variants, settled
from dolphin.core.records import Market
from dolphin.errors import BadInput, DolphinError
from dolphin.files import canonical_json, read_json, sha256_bytes, write_json
from dolphin.gate.calibration.markets import EDGES, KINDS, Maker
from dolphin.gate.evidence.combining import rank, stouffer
from dolphin.gate.evidence.searches import FIXED
from dolphin.gate.evidence.shifting import draw_shifts, least_rows, scores_under, shifted
from dolphin.gate.policy import Policy, read_policy
from dolphin.gate.report import plain
from dolphin.gate.trust import FILE
from dolphin.progress import Progress
from dolphin.study.definition.spec import Study
from dolphin.study.measure.evaluator import LocalEvaluator
from dolphin.study.measure.measured import Combinations, combinations, measure, measure_records
from dolphin.study.measure.run import window_rows
from dolphin.study.samplers import sampler_class
from dolphin.study.trials.choice import Choice, choice_of
from dolphin.times import DAY_NS, format_time
from dolphin.workspace import Workspace, create

#: Seconds between two writes of what is finished.
EVERY = 2.0

Row = dict[str, Any]


def calibrate(
    workspace: Workspace,
    study: Study,
    *,
    kinds: Sequence[str] = ("shift", "boot"),
    markets: int = 100,
    reruns: int = 0,
    drift_bps: float = 1.0,
    seed: int = 1,
    threads: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure how often the policy promotes, and write ``promote/calibration.json``.

    What is finished is kept in ``promote/.calibration``: an interrupted run goes on, and more markets cost only the
    new ones. Nothing is registered, for no market is looked at.

    Parameters
    ----------
    kinds : sequence of str
        Of :data:`~dolphin.gate.calibration.markets.KINDS`; a planted edge needs ``boot``.
    markets : int
        Of each kind.
    reruns : int
        Own reruns of the search on each market for p_a, as the gate itself does; 0 ranks the markets among each other.
    drift_bps : float
        Size of planted edges.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise DolphinError(f"unknown kind '{unknown[0]}'", mend=f"known: {', '.join(KINDS)}")
    if not reruns and any(kind in EDGES for kind in kinds) and "boot" not in kinds:
        raise DolphinError("planted edges are ranked among markets of the kind boot", mend="add boot, or --reruns 39")
    policy = read_policy(workspace)
    bench = Bench(open_dataset(workspace, study.dataset), study, policy, drift_bps, reruns, seed, threads)
    path = workspace.promote / ".calibration" / f"{bench.key[:32]}.json"
    known: dict[str, Row] = read_json(path)["rows"] if path.is_file() else {}
    written, done, total = time.monotonic(), 0, markets * len(kinds)
    try:
        for kind in kinds:
            for number in range(markets):
                name = f"{kind} {number}"
                if name not in known:
                    known[name] = plain(bench.row(kind, number))
                    if time.monotonic() - written > EVERY:
                        write_json(path, {"rows": known})
                        written = time.monotonic()
                done += 1
                if progress:
                    progress(done, total, "calibration markets")
    finally:
        write_json(path, {"rows": known})
    rows = {kind: [known[f"{kind} {number}"] for number in range(markets)] for kind in kinds}
    document: dict[str, Any] = {
        "policy_sha256": policy.sha256,
        "study": study.name,
        "study_hash": study.hash,
        "dataset": {"name": bench.dataset.name, "digest": bench.dataset.digest},
        "engine_digest": study.config.engine.digest,
        "trials": bench.trials,
        "reruns": reruns,
        "drift_bps": drift_bps,
        "seed": seed,
        "created": format_time(time.time_ns() // 1000 * 1000),
        "kinds": {kind: summary(kind, rows, policy) for kind in kinds},
    }
    document["kinds"] = _earlier(workspace, document) | document["kinds"]
    write_json(workspace.promote / FILE, plain(document))
    return document


def _earlier(workspace: Workspace, document: dict[str, Any]) -> dict[str, Any]:
    """The kinds that an earlier calibration of the very same has measured."""
    path = workspace.promote / FILE
    if not path.is_file():
        return {}
    found = read_json(path)
    same = all(found.get(key) == plain(document[key]) for key in document if key not in ("created", "kinds"))
    return dict(found["kinds"]) if same else {}


class Bench:
    """The study's configurations, and what becomes of them on a market.

    Raises
    ------
    DolphinError
        If the study's sampler learns, or no bars are left after its window.
    """

    def __init__(
        self, dataset: Dataset, study: Study, policy: Policy, drift_bps: float, reruns: int, seed: int,
        threads: int | None,
    ) -> None:  # fmt: skip
        if study.sampler not in FIXED:
            raise DolphinError(
                f"the {study.sampler} sampler learns, which calibration does not do", where=study.name,
                mend=f"use a study with {', '.join(FIXED)}",
            )  # fmt: skip
        self.dataset, self._study, self._policy = dataset, study, policy
        self._reruns, self._seed, self._threads = reruns, seed, threads or os.cpu_count() or 1
        self.choice: Choice = choice_of(study)
        self._evaluator = LocalEvaluator(dataset, threads=self._threads)
        market = self._evaluator.market(study.config)
        self._train = window_rows(market.ts, study.start_ns, study.stop_ns, study.name)
        bars = round(DAY_NS / dataset.spacing_ns)
        self._stop = len(market.ts) // bars * bars
        if self._stop - self._train[1] < policy.hard("least_holdout_days") * bars:
            raise DolphinError("no bars are left after the study's window to judge on", where=study.name)
        self._maker = Maker(market, study.config, dataset.spacing_ns, drift_bps)
        self._base = settled(study.config, market, [self._train])
        self._configs, self._many = self._candidates()
        self.trials = len(self._configs)
        about = [
            dataset.digest, study.hash, study.trials, study.config.engine.digest, policy.values, drift_bps, reruns, seed
        ]  # fmt: skip
        self.key = sha256_bytes(canonical_json(plain(about)))

    def _candidates(self) -> tuple[list[Config], Combinations]:
        """The study's valid trials, percentiles settled on the real train window."""
        study, variants = self._study, Variants(self._base)
        space = study.space.over(self._base)
        sampler = sampler_class(study.sampler)(space, study.seed, study.trials, len(study.objectives), study.options)
        size = sampler.size if sampler.size is not None else study.trials
        if size is None:
            raise DolphinError("needs a number of trials", where=study.name, mend="add trials = 1024")
        found: list[Config] = []
        asked = 0
        while asked < size and (points := sampler.ask()[: size - asked]):
            asked += len(points)
            for point in points:
                values, broken = space.complete(point)
                if broken is None:
                    try:
                        found.append(variants.of(values).config)
                    except BadInput:
                        continue
        if not found or any(config.reads != found[0].reads for config in found):
            raise DolphinError("its trials must read one and the same market", where=study.name)
        return found, combinations(found)

    def row(self, kind: str, number: int) -> Row:
        """What the gate would make of one market: the best, its own p_b, and with reruns its own p_a."""
        began = time.perf_counter()
        if kind == "null":
            with tempfile.TemporaryDirectory(prefix="dolphin-calibrate-") as folder:
                found = self._judged(self._generated(Path(folder), number), kind, number)
        else:
            found = self._judged(self._maker.make(kind, number, self._seed), kind, number)
        return found | {"seconds": round(time.perf_counter() - began, 3)}

    def _generated(self, folder: Path, number: int) -> Market:
        home, seed = create(folder / "w"), 1_000_003 * self._seed + number
        days = len(self._maker.market.ts) * self.dataset.spacing_ns // DAY_NS
        spacing, assets = self.dataset.spacing_ns, len(self.dataset.symbols)
        generate(home, "null", preset="null", days=days, assets=assets, spacing_ns=spacing, seed=seed)
        market = LocalEvaluator(open_dataset(home, "null"), threads=self._threads).market(self._study.config)
        # Mapped files go with the folder.
        return market._replace(**{name: np.array(values) for name, values in market.by_row().items()})

    def _judged(self, market: Market, kind: str, number: int) -> Row:
        start, train = self._train
        stop, numbers = min(self._stop, len(market.ts)), self._quantiles(market)
        scores = self._scores(market, numbers)
        if not np.isfinite(scores).any():
            return {"best": None, "p_b": 1.0, "p_a": 1.0, "sharpe": None, "trades": 0}
        c = int(np.nanargmax(scores))
        config = self._configs[c].with_quantiles(numbers)
        least = least_rows(self._policy.hard("holdout_shift_days"), self.dataset.spacing_ns)
        shifts = draw_shifts(stop - train, least, self._policy.hard("holdout_shifts"), [self._seed, number, 1])
        rule = Choice(self.choice.objectives[:1], self.choice.directions[:1], 1)
        held = scores_under(config, market, train, stop, [0, *shifts], rule, threads=self._threads)
        unseen = measure([config], market, train, stop).metrics
        row = {
            "best": float(scores[c]), "p_b": rank(float(held[0]), held[1:].tolist()), "p_a": None,
            "sharpe": float(unseen["sharpe_365"][0]), "trades": int(unseen["trades"][0]),
        }  # fmt: skip
        if self._reruns:
            least = least_rows(self._policy.hard("search_shift_days"), self.dataset.spacing_ns)
            drawn = draw_shifts(train - start, least, self._reruns, [self._seed, number, 2])
            others = [self._scores(shifted(market, start, train, shift), numbers) for shift in drawn]
            row["p_a"] = rank(float(scores[c]), [_best(other) for other in others])
        return row

    def _quantiles(self, market: Market) -> dict[str, float]:
        """The numbers of the config's percentiles on this market's train window."""
        if not self._study.config.of_window:
            return {}
        here = settled(self._study.config, market, [self._train])
        return {name: float(getattr(here.params, name)) for name, _ in self._study.config.of_window}

    def _scores(self, market: Market, numbers: dict[str, float]) -> Any:
        params = self._many.params.copy()
        for name, value in numbers.items():
            params[name] = value
        many = self._many._replace(params=params)
        found = measure_records(self._base.engine, many, market, *self._train, threads=self._threads)
        return self.choice.scores(found.metrics)[:, 0]


def summary(kind: str, rows: dict[str, list[Row]], policy: Policy) -> dict[str, Any]:
    """How many markets of a kind the policy promotes, with a 95 % interval (Clopper and Pearson)."""
    mine = rows[kind]
    against = [row["best"] for row in rows["boot" if kind in EDGES and "boot" in rows else kind]]
    promoted = 0
    for k, row in enumerate(mine):
        p_a = row["p_a"]
        if p_a is None:
            others = against if kind in EDGES else against[:k] + against[k + 1 :]
            p_a = rank(_number(row["best"]), [_number(other) for other in others])
        promoted += stouffer(p_a, row["p_b"]) <= policy.alpha and row["p_b"] <= policy.hard("guard")
    low, high = clopper_pearson(promoted, len(mine))
    sharpes = [row["sharpe"] for row in mine if isinstance(row["sharpe"], float)]
    bests = [row["best"] for row in mine if isinstance(row["best"], float)]
    return {
        "edge_planted": kind in EDGES,
        "markets": len(mine),
        "promoted": int(promoted),
        "share": promoted / len(mine),
        "interval_95": [low, high],
        "mean_best_on_train": float(np.mean(bests)) if bests else None,
        "mean_sharpe_of_the_chosen_unseen": float(np.mean(sharpes)) if sharpes else None,
        "seconds_a_market": float(np.mean([row["seconds"] for row in mine])),
    }


def clopper_pearson(k: int, n: int) -> tuple[float, float]:
    """The exact 95 % interval of a share k of n."""
    from scipy.stats import beta

    low = 0.0 if k == 0 else float(beta.ppf(0.025, k, n - k + 1))
    high = 1.0 if k == n else float(beta.ppf(0.975, k + 1, n - k))
    return low, high


def _best(scores: Any) -> float:
    return float(np.nanmax(scores)) if np.isfinite(scores).any() else math.nan


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
