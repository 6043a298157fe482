"""A study's configurations, and what becomes of them on a market whose truth is known."""

from __future__ import annotations

import math
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.catalog import Dataset, generate, open_dataset
from dolphin.config import Config, Variants, settled
from dolphin.core.records import Market
from dolphin.errors import BadInput, DolphinError
from dolphin.files import canonical_json, sha256_bytes
from dolphin.gate.calibration.markets import EDGES, Kind, Maker
from dolphin.gate.calibration.summary import Row
from dolphin.gate.evidence.combining import rank
from dolphin.gate.evidence.searches import FIXED
from dolphin.gate.evidence.shifting import draw_shifts, least_rows, scores_under, shifted
from dolphin.gate.floors import Floors
from dolphin.gate.judging import judge_floors
from dolphin.gate.measure import Measure
from dolphin.gate.policy import Policy
from dolphin.gate.report import plain
from dolphin.study.definition.spec import Study
from dolphin.study.measure.evaluator import LocalEvaluator
from dolphin.study.measure.measured import Combinations, combinations, measure_records
from dolphin.study.measure.run import window_rows
from dolphin.study.samplers import sampler_class
from dolphin.study.trials.choice import Choice, choice_of
from dolphin.times import DAY_NS
from dolphin.workspace import create


class Bench:
    """The study's configurations, and what becomes of them on a market.

    Raises
    ------
    DolphinError
        If the study's sampler learns, or no bars are left after its window.
    """

    def __init__(
        self, dataset: Dataset, study: Study, policy: Policy, floors: Floors, reruns: int, seed: int,
        threads: int | None,
    ) -> None:  # fmt: skip
        if study.sampler not in FIXED:
            raise DolphinError(
                f"the {study.sampler} sampler learns, which calibration does not do", where=study.name,
                mend=f"use a study with {', '.join(FIXED)}",
            )  # fmt: skip
        self.dataset, self._study, self._policy, self._floors = dataset, study, policy, floors
        self._reruns, self._seed, self._threads = reruns, seed, threads or os.cpu_count() or 1
        self.choice: Choice = choice_of(study)
        self._evaluator = LocalEvaluator(dataset, threads=self._threads)
        market = self._evaluator.market(study.config)
        self._train = window_rows(market.ts, study.start_ns, study.stop_ns, study.name)
        bars = round(DAY_NS / dataset.spacing_ns)
        self._stop = len(market.ts) // bars * bars
        if self._stop - self._train[1] < policy.hard("least_holdout_days") * bars:
            raise DolphinError("no bars are left after the study's window to judge on", where=study.name)
        self._maker = Maker(market, study.config, dataset.spacing_ns)
        self._base = settled(study.config, market, [self._train])
        self._configs, self._many = self._candidates()
        self.trials = len(self._configs)
        about = [
            dataset.digest, study.hash, study.trials, study.config.engine.digest, policy.values, floors.sha256, reruns,
            seed, EDGES, "without trend",
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

    def row(self, kind: Kind, number: int) -> Row:
        """What the gate would make of one market: the best, its own p_b, its floors, with reruns its own p_a."""
        began = time.perf_counter()
        if kind.name == "null":
            with tempfile.TemporaryDirectory(prefix="dolphin-calibrate-") as folder:
                found = self._judged(self._generated(Path(folder), number), number)
        else:
            found = self._judged(self._maker.make(kind, number, self._seed), number)
        return found | {"seconds": round(time.perf_counter() - began, 3)}

    def _generated(self, folder: Path, number: int) -> Market:
        home, seed = create(folder / "w"), 1_000_003 * self._seed + number
        days = len(self._maker.market.ts) * self.dataset.spacing_ns // DAY_NS
        spacing, assets = self.dataset.spacing_ns, len(self.dataset.symbols)
        generate(home, "null", preset="null", days=days, assets=assets, spacing_ns=spacing, seed=seed)
        market = LocalEvaluator(open_dataset(home, "null"), threads=self._threads).market(self._study.config)
        # Mapped files go with the folder.
        return market._replace(**{name: np.array(values) for name, values in market.by_row().items()})

    def _judged(self, market: Market, number: int) -> Row:
        start, train = self._train
        stop, numbers = min(self._stop, len(market.ts)), self._quantiles(market)
        scores = self._scores(market, numbers)
        if not np.isfinite(scores).any():
            return {"best": None, "p_b": 1.0, "p_a": 1.0, "sharpe": None, "trades": 0, "floors": [False, False]}
        c = int(np.nanargmax(scores))
        config = self._configs[c].with_quantiles(numbers)
        least = least_rows(self._policy.hard("holdout_shift_days"), self.dataset.spacing_ns)
        shifts = draw_shifts(stop - train, least, self._policy.hard("holdout_shifts"), [self._seed, number, 1])
        rule = Choice(self.choice.objectives[:1], self.choice.directions[:1], 1)
        held = scores_under(config, market, train, stop, [0, *shifts], rule, threads=self._threads)
        unseen = Measure(self.dataset, market, config, train, stop)
        row = {
            "best": float(scores[c]), "p_b": rank(float(held[0]), held[1:].tolist()), "p_a": None,
            "sharpe": float(unseen.whole.metrics["sharpe_365"]), "trades": int(unseen.whole.metrics["trades"]),
            "floors": [self._met(unseen, tier2=False), self._met(unseen, tier2=True)],
        }  # fmt: skip
        if self._reruns:
            least = least_rows(self._policy.hard("search_shift_days"), self.dataset.spacing_ns)
            drawn = draw_shifts(train - start, least, self._reruns, [self._seed, number, 2])
            others = [self._scores(shifted(market, start, train, shift), numbers) for shift in drawn]
            row["p_a"] = rank(float(scores[c]), [_best(other) for other in others])
        return row

    def _met(self, unseen: Measure, *, tier2: bool) -> bool:
        """Whether every floor holds; there is no champion to be compared with."""
        return all(floor.passed for floor in judge_floors(self._floors, unseen, None, None, tier2=tier2))

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


def _best(scores: Any) -> float:
    return float(np.nanmax(scores)) if np.isfinite(scores).any() else math.nan
