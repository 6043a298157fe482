"""What stands before the gate: a run folder, a config on a dataset, or a frozen champion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.catalog import Dataset, open_dataset, parse_time
from dolphin.config import Config, parse_config, read_config
from dolphin.core.records import Words
from dolphin.errors import DolphinError, nearest_beside
from dolphin.files import read_json
from dolphin.gate.champions import POINTERS, Champion, open_champion
from dolphin.manifests import check_manifest
from dolphin.market.risk_table import check_recorded
from dolphin.study.measure.run import window_rows
from dolphin.workspace import Workspace


@dataclass(frozen=True)
class Candidate:
    """A configuration, and the rows of a dataset that it is judged on.

    Attributes
    ----------
    kind : {"run", "config", "champion"}
        Where it comes from.
    recorded : dict
        What an earlier run of it left (``final_digest``, ``metrics``, ``engine_digest``, ``origin``);
        empty for a config. The gate's own run must give the same.
    digests : ndarray, optional
        Frozen digest per bar, uint64, of a champion.
    """

    name: str
    kind: str
    config: Config
    dataset: Dataset
    start: int
    stop: int
    recorded: dict[str, Any]
    digests: Words | None = None
    champion: Champion | None = None

    @classmethod
    def from_run(cls, workspace: Workspace, folder: Path) -> Candidate:
        """The configuration, dataset and window of a run folder.

        Raises
        ------
        DolphinError
            If a file of it is missing or was changed, or the dataset has other contents by now.
        """
        folder = Path(folder)
        check_manifest(folder)
        about, metrics = read_json(folder / "run.json"), read_json(folder / "metrics.json")
        config = _config(read_json(folder / "config.json"), folder / "config.json", workspace)
        dataset, start, stop = _window(workspace, about, folder / "run.json")
        check_recorded(dataset, config, about, str(folder / "run.json"))
        recorded = _recorded(about, metrics, folder / "run.json", "the run folder")
        return cls(folder.name, "run", config, dataset, start, stop, recorded)

    @classmethod
    def from_config(
        cls,
        workspace: Workspace,
        file: Path,
        dataset: str,
        *,
        start_ns: int | None = None,
        stop_ns: int | None = None,
    ) -> Candidate:
        """A config file on (a part of) a dataset."""
        config = read_config(file, research=workspace.research)
        opened = open_dataset(workspace, dataset)
        start, stop = window_rows(opened.grid(), start_ns, stop_ns, dataset)
        return cls(Path(file).stem, "config", config, opened, start, stop, {})

    @classmethod
    def from_pointer(cls, workspace: Workspace, pointer: str = "blue") -> Candidate:
        """The frozen champion that a pointer names, on its frozen data and window."""
        champion = open_champion(workspace, pointer)
        about = champion.document("run.json")
        config = frozen_config(workspace, champion)
        dataset, start, stop = _window(workspace, about, champion.folder / "run.json")
        check_recorded(dataset, config, about, str(champion.folder / "run.json"))
        metrics = champion.document("metrics.json")["whole"]
        recorded = _recorded(about, metrics, champion.folder / "run.json", "the champion")
        digests = pl.read_parquet(champion.folder / "digests.parquet")["digest"].to_numpy()
        return cls(pointer, "champion", config, dataset, start, stop, recorded, digests, champion)


def find_candidate(
    workspace: Workspace,
    text: str,
    *,
    dataset: str | None = None,
    start: str | None = None,
    stop: str | None = None,
) -> Candidate:
    """The candidate that a command's argument means: a pointer, a run folder or a config file.

    Parameters
    ----------
    dataset, start, stop : str, optional
        For a config file: the dataset's name, and ``--from`` and ``--to``.
    """
    path = Path(text)
    if text in POINTERS and not path.exists():
        return Candidate.from_pointer(workspace, text)
    if (path / "run.json").is_file():
        return Candidate.from_run(workspace, path)
    if path.is_file():
        if dataset is None:
            raise DolphinError("a config file needs a dataset", where=text, mend="name one with --data NAME")
        window = {
            "start_ns": parse_time(start) if start else None,
            "stop_ns": parse_time(stop) if stop else None,
        }
        return Candidate.from_config(workspace, path, dataset, **window)
    what = "holds no run.json" if path.is_dir() else "no such candidate"
    mend = nearest_beside(path, "*/run.json", "name a run folder, a config file, or a pointer (blue, green)")
    raise DolphinError(what, where=text, mend=mend)


def frozen_config(workspace: Workspace, champion: Champion) -> Config:
    """The resolved configuration that a champion was frozen with.

    Its files are those of its name, which holds them all; what its strategy's sources are by now, its digests tell.
    """
    return _config(champion.document("config.json"), champion.folder / "config.json", workspace, frozen=True)


def _config(document: Any, path: Path, workspace: Workspace, *, frozen: bool = False) -> Config:
    try:
        table, stated = dict(document["config"]), document["hash"]
    except (KeyError, TypeError, ValueError):
        raise DolphinError("holds no config and hash", where=str(path)) from None
    table = {key: value for key, value in table.items() if value is not None}
    config = parse_config(table, where=str(path), research=workspace.research)
    if config.hash != stated and not frozen:
        raise DolphinError(
            "its hash is not that of its config and its strategy's sources", where=str(path),
            mend="it was edited, or the strategy was: run the config again",
        )  # fmt: skip
    return config


def _window(workspace: Workspace, about: Any, path: Path) -> tuple[Dataset, int, int]:
    try:
        name, digest = about["dataset"]["name"], about["dataset"]["digest"]
        first, last = about["first_bar"], about["last_bar"]
        start, stop = int(first["row"]), int(last["row"]) + 1
        times = int(first["ts"]), int(last["ts"])
    except (KeyError, TypeError, ValueError):
        raise DolphinError("says no dataset and window", where=str(path), mend="run it again") from None
    try:
        dataset = open_dataset(workspace, f"{name}@{digest}")
    except DolphinError as error:
        raise DolphinError(
            f"is of dataset '{name}' {str(digest)[:16]}, which cannot be opened ({error.what})",
            where=str(path),
            mend="get that version of the data, or run it again on the present one",
        ) from error
    if not 0 <= start < stop <= dataset.n_bars or dataset.grid()[[start, stop - 1]].tolist() != list(times):
        raise DolphinError("its rows and times do not fit the dataset", where=str(path), mend="run it again")
    return dataset, start, stop


def _recorded(about: Any, metrics: Any, path: Path, origin: str) -> dict[str, Any]:
    try:
        return {
            "origin": origin,
            "final_digest": about["final_digest"],
            "engine_digest": about["engine_digest"],
            "metrics": metrics,
        }
    except KeyError as error:
        raise DolphinError(f"lacks {error}", where=str(path), mend="run it again") from None
