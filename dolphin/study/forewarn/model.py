"""A forewarner on disk: one JSON file with its trees, its judgement, what it was trained on, and its hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.catalog import Dataset
from dolphin.config import Config
from dolphin.core.records import Floats, Ints
from dolphin.errors import Damaged, DolphinError, NotFound
from dolphin.features import scanner_digest
from dolphin.files import canonical_json, read_json, sha256_bytes, write_json
from dolphin.market.assemble import feature_columns
from dolphin.progress import Progress
from dolphin.risk.forewarner import EVERY_NS, Forecast, forecast
from dolphin.study.forewarn.judging import drift, quantiles_of
from dolphin.study.forewarn.outcomes import MARKET, Examples, examples_of, market_state, numbers_of, parameters_of
from dolphin.study.forewarn.training import envelope, judged_on, train
from dolphin.study.forewarn.trees import Boosted, from_dict

SCHEMA = 1


@dataclass(frozen=True)
class Forewarner:
    """A trained forewarner; ``document`` is all of its file."""

    model: Boosted
    document: dict[str, Any]

    @property
    def hash(self) -> str:
        """SHA-256 of the document without it."""
        return str(self.document["hash"])

    @property
    def names(self) -> tuple[str, ...]:
        """Its inputs: the market's, then the parameters."""
        return tuple(self.document["names"])

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters among its inputs."""
        return self.names[len(MARKET) :]

    def probabilities(self, state: Floats, config: Config) -> Floats:
        """(K,) probabilities of ``config`` at these states of the market (K, 11)."""
        values = np.tile(parameters_of(config, self.parameters), (len(state), 1))
        return self.model.probabilities(np.column_stack([state, values]).astype(np.float32))


def train_forewarner(
    dataset: Dataset,
    configs: Sequence[Config],
    *,
    days: float,
    loss: float,
    every_ns: int = EVERY_NS,
    seed: int = 0,
    study: str = "",
    threads: int = 1,
    progress: Progress | None = None,
) -> Forewarner:
    """Learn from what ``configs`` lost on ``dataset``; see :func:`~dolphin.study.forewarn.outcomes.examples_of`."""
    names, _ = numbers_of(configs)
    examples = examples_of(
        dataset, configs, names, days=days, loss=loss, every_ns=every_ns, threads=threads, progress=progress
    )
    trained = train(examples, seed=seed)
    document = {
        "schema": SCHEMA,
        "names": list(examples.names),
        "days": days,
        "loss": loss,
        "every_ns": every_ns,
        "seed": seed,
        "model": trained.model.as_dict(),
        "climatology": trained.climatology,
        "quantiles": [quantiles_of(examples.x[:, k].astype(np.float64)) for k in range(examples.x.shape[1])],
        "validation": trained.validation,
        "training": {
            "study": study,
            "dataset": {"name": dataset.name, "digest": dataset.digest, "spacing_ns": dataset.spacing_ns},
            "configs": sha256_bytes(canonical_json(sorted(config.hash for config in configs))),
            "configurations": len(configs),
            "strategy": configs[0].strategy_name,
            "windows": len(examples.starts),
            "first_ts": int(examples.starts[0]),
            "last_ts": int(examples.stops[-1]),
            "examples": digest_of(examples),
            "engine_digest": configs[0].engine.digest,
            "scanner_digest": scanner_digest(),
        },
    }
    document = plain(document)
    document["hash"] = sha256_bytes(canonical_json(document))
    return Forewarner(from_dict(document["model"], "the new model", len(examples.names)), document)


def digest_of(examples: Examples) -> str:
    """SHA-256 of inputs and outcomes, little-endian."""
    return sha256_bytes(examples.x.astype("<f4").tobytes() + examples.bad.astype("u1").tobytes())


def plain(value: Any) -> Any:
    """Without numbers that JSON has not: NaN becomes null."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def write_forewarner(found: Forewarner, path: Path) -> None:
    """Write its file, whole or not at all."""
    write_json(path, found.document)


def read_forewarner(path: Path) -> Forewarner:
    """Read and check a forewarner's file.

    Raises
    ------
    DolphinError
        If there is none, it is damaged, or of another schema.
    """
    if not Path(path).is_file():
        raise NotFound("no such forewarner", where=str(path), mend="train one: dolphin forewarn train")
    document = read_json(path)
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise DolphinError(f"not a forewarner of schema {SCHEMA}", where=str(path), mend="train it again")
    body = {key: value for key, value in document.items() if key != "hash"}
    if sha256_bytes(canonical_json(body)) != document.get("hash"):
        raise Damaged("damaged: its hash is not that of its contents", where=str(path), mend="train it again")
    return Forewarner(from_dict(document["model"], str(path), len(document["names"])), document)


def evaluate(
    found: Forewarner,
    dataset: Dataset,
    configs: Sequence[Config],
    *,
    threads: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge a forewarner on other data than it was trained on, against the climatology of its training.

    Raises
    ------
    DolphinError
        On data of another spacing, or of the training's time.
    """
    check_spacing(found, dataset)
    document, training = found.document, found.document["training"]
    grid = dataset.grid()
    if dataset.digest == training["dataset"]["digest"] or (
        grid[0] <= training["last_ts"] and grid[-1] >= training["first_ts"]
    ):
        raise DolphinError(
            f"'{dataset.name}' is of the time that it was trained on: its judgement there says nothing",
            mend="name data of another time; its file has the walk-forward validation",
        )
    examples = examples_of(
        dataset, configs, found.parameters, days=document["days"], loss=document["loss"],
        every_ns=document["every_ns"], threads=threads, progress=progress,
    )  # fmt: skip
    probability = found.model.probabilities(examples.x)
    flat = np.full(len(probability), float(document["climatology"]))
    judged = judged_on(examples, np.ones(len(flat), np.bool_), probability, flat, document["seed"])
    once = np.unique(examples.window, return_index=True)[1]  # the market of a window is that of all configurations
    shifts = {
        name: drift(document["quantiles"][k], training["windows"], examples.x[once, k].astype(np.float64))
        for k, name in enumerate(MARKET)
    }
    known: dict[str, Any] = plain(judged | {"dataset": dataset.name, "digest": dataset.digest, "drift": shifts})
    return known


def check_spacing(found: Forewarner, dataset: Dataset) -> None:
    """Refuse data of another bar spacing: nothing compares the two."""
    if dataset.spacing_ns != found.document["training"]["dataset"]["spacing_ns"]:
        raise DolphinError("was trained on bars of another spacing", where=dataset.name, mend="train one on such bars")


def forecasts(
    found: Forewarner, dataset: Dataset, config: Config, progress: Progress | None = None
) -> tuple[Ints, Floats, list[Forecast], dict[str, Any]]:
    """Forecasts of ``config`` every four hours of a dataset, and the drift of its inputs from the training's.

    Returns
    -------
    times (K,) int64, probabilities (K,) float64, the records, and drift by input
    """
    check_spacing(found, dataset)
    state, ts = market_state(feature_columns(dataset, progress)), dataset.grid()
    every = max(1, EVERY_NS // dataset.spacing_ns)
    rows = np.arange(0, len(ts), every)
    rows = rows[~np.isnan(state[rows]).any(axis=1)]
    if not len(rows):
        raise DolphinError("too short for a forecast: the scanner's memory is not full", where=dataset.name)
    probability = found.probabilities(state[rows], config)
    quantiles = found.document["quantiles"][: len(MARKET)]
    records = [
        forecast(float(p), envelope(quantiles, state[row]), int(ts[row]))
        for p, row in zip(probability, rows.tolist(), strict=True)
    ]
    windows = found.document["training"]["windows"]
    shifts = {name: drift(quantiles[k], windows, state[rows, k]) for k, name in enumerate(MARKET)}
    return ts[rows], probability, records, plain(shifts)
