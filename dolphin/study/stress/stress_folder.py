"""The folder of a stress test: what may be written there, written whole, read again."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from dolphin.catalog import Dataset
from dolphin.catalog.store.layout import writing
from dolphin.config import Config
from dolphin.errors import Damaged, DolphinError, NotFound
from dolphin.files import publish_folder, read_json, write_json
from dolphin.manifests import check_manifest, write_manifest
from dolphin.study.stress.stress_document import StressDocument

_REPLACE = "name a new folder for --out, or replace it with --force"


def check_out(out: Path) -> None:
    """Refuse a file, and a folder that holds other files than an earlier stress test."""
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise DolphinError("is a file", where=str(out), mend="name a folder for --out")
    if out.is_dir() and any(out.iterdir()) and not (out / "stress.json").is_file():
        raise DolphinError("holds other files than a stress test", where=str(out), mend="name a new folder for --out")


def check_same(out: Path, dataset: Dataset, config: Config, first_ts: int, last_ts: int, runs: int, seed: int) -> None:
    """Refuse a folder that holds the stress test of anything else."""
    path = Path(out) / "stress.json"
    if not path.is_file():
        return
    try:
        about: StressDocument = read_json(path)
        held = {
            "configuration": about["provenance"]["config_hash"],
            "dataset": about["provenance"]["dataset"]["digest"],
            "window": (about["first_ts"], about["last_ts"]),
            "number of runs": about["runs"],
            "seed": about["seed"],
        }
    except (NotFound, Damaged, KeyError, TypeError):
        raise DolphinError("holds a stress test that cannot be read", where=str(path), mend=_REPLACE) from None
    wanted = {
        "configuration": config.hash,
        "dataset": dataset.digest,
        "window": (first_ts, last_ts),
        "number of runs": runs,
        "seed": seed,
    }
    other = [name for name, value in wanted.items() if held[name] != value]
    if other:
        raise DolphinError(f"holds the stress test of another {' and '.join(other)}", where=str(out), mend=_REPLACE)


def write_stress(rows: pl.DataFrame, document: StressDocument, out: Path) -> None:
    """Write ``stress.parquet`` and ``stress.json``; the folder appears whole or not at all."""
    with publish_folder(out) as part, writing(out):
        rows.write_parquet(part / "stress.parquet", compression="zstd")
        write_json(part / "stress.json", document)
        write_manifest(part)


def read_stress(folder: Path) -> tuple[StressDocument, pl.DataFrame]:
    """What :func:`write_stress` wrote."""
    folder = Path(folder)
    if not (folder / "stress.json").is_file():
        raise DolphinError("holds no stress test", where=str(folder), mend="run 'dolphin stress' first")
    check_manifest(folder)
    return read_json(folder / "stress.json"), pl.read_parquet(folder / "stress.parquet")
