"""What is compared: the equity of a pointer's champion, of a run folder or of a journal, as returns per UTC day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dolphin.catalog import open_dataset
from dolphin.core.records import Floats, Ints
from dolphin.errors import DolphinError
from dolphin.files import read_json
from dolphin.gate.candidate import frozen_config
from dolphin.gate.champions import POINTERS, open_champion
from dolphin.gate.evidence.searches import find_search
from dolphin.journal.reader import Journal
from dolphin.journal.schema import ACCOUNT_VALUES
from dolphin.journal.showing import open_journal
from dolphin.manifests import check_manifest
from dolphin.market.assemble import open_market
from dolphin.progress import Progress
from dolphin.study.measure.run import run, window_rows
from dolphin.times import DAY_NS, return_day
from dolphin.workspace import Workspace


@dataclass(frozen=True)
class Side:
    """One of the two.

    Attributes
    ----------
    name, kind : str
        As it was named; ``pointer``, ``run`` or ``journal``.
    days : int64 [D]
        Day numbers of its whole UTC days; the one that is still open is left out.
    levels : float64 [D + 1]
        Equity before the first of these days, then at the end of each.
    first_ts : int
        Close of its first bar.
    seen : int
        The last close that its search or its freeze has seen (ns); 0 if none is known.
    about : dict
        Facts: configuration, dataset, whether it is generated.
    """

    name: str
    kind: str
    days: Ints
    levels: Floats
    first_ts: int
    seen: int
    about: dict[str, Any]


def read_side(workspace: Workspace, text: str, *, data: str | None = None, progress: Progress | None = None) -> Side:
    """The side that a command's argument means: ``blue``, ``green``, a run folder, a journal, a session's folder.

    Parameters
    ----------
    data : str, optional
        For a pointer: the dataset that its champion is run on; by default the newest version of its own.

    Raises
    ------
    DolphinError
        If there is no such thing, or it is damaged, or has no whole day.
    """
    path = Path(text)
    if text in POINTERS and not path.exists():
        return _of_pointer(workspace, text, data, progress)
    if (path / "run.json").is_file():
        return _of_run(workspace, path, text)
    if (path / "session.json").is_file():
        return _of_session(workspace, path, text)
    if path.exists():
        return _of_journal(workspace, open_journal(path), text)
    raise DolphinError("no such side", where=text, mend="name a run folder, a journal, or a pointer (blue, green)")


def side_of(name: str, kind: str, ts: Ints, equity: Floats, capital: float, seen: int, about: dict[str, Any]) -> Side:
    """A side from its equity (B,) at closes ``ts`` (B,) and the capital before the first."""
    if not len(ts):
        raise DolphinError("holds no bar", where=name)
    days = np.asarray(return_day(ts))
    last = np.flatnonzero(np.diff(days, append=days[-1] + 1))
    if int(ts[-1]) % DAY_NS:  # a bar of that day may still come
        last = last[:-1]
    if not len(last):
        raise DolphinError("holds no whole UTC day", where=name, mend="compare when it has run for longer")
    return Side(name, kind, days[last], np.concatenate([[capital], equity[last]]), int(ts[0]), seen, about)


def _of_pointer(workspace: Workspace, pointer: str, data: str | None, progress: Progress | None) -> Side:
    champion = open_champion(workspace, pointer)
    about = champion.document("run.json")
    config = frozen_config(workspace, champion)
    dataset = open_dataset(workspace, data or about["dataset"]["name"])
    first, last = int(about["first_bar"]["ts"]), int(about["last_bar"]["ts"])
    start, stop = window_rows(dataset.grid(), first, None, dataset.name)
    found = run(dataset, open_market(dataset, config, progress), config, start, stop)
    facts = {
        "champion": champion.hash, "config_hash": config.hash, "strategy": config.strategy_name,
        "dataset": dataset.name, "dataset_digest": dataset.digest, "synthetic": dataset.synthetic,
    }  # fmt: skip
    capital = config.account.initial_capital
    return side_of(pointer, "pointer", found.market.ts[start:stop], found.recording.equity, capital, last, facts)


def _of_run(workspace: Workspace, folder: Path, name: str) -> Side:
    check_manifest(folder)
    about, config = read_json(folder / "run.json"), read_json(folder / "config.json")
    equity = pl.read_parquet(folder / "equity.parquet", columns=["ts", "equity"])
    digest, key = about["dataset"]["digest"], config["hash"]
    facts = {
        "config_hash": key, "strategy": config["config"]["strategy"], "dataset": about["dataset"]["name"],
        "dataset_digest": digest, "synthetic": about["synthetic"],
    }  # fmt: skip
    capital = float(config["config"]["account"]["initial_capital"])
    seen = _searched(workspace, key, digest)
    return side_of(name, "run", equity["ts"].to_numpy(), equity["equity"].to_numpy(), capital, seen, facts)


def session_of(workspace: Workspace, pointer: str) -> Path | None:
    """The state folder of the session that trades a pointer's champion; None if there is none with a bar."""
    folder = workspace.root / "runs" / "trade" / pointer
    path = folder / "session.json"
    if not path.is_file() or not any((folder / "journal").glob("*.arrow")):
        return None
    return folder if read_json(path).get("champion") == open_champion(workspace, pointer).hash else None


def _of_session(workspace: Workspace, folder: Path, name: str) -> Side:
    """The days of a session, a journal each, as one."""
    journals = [Journal(path) for path in sorted((folder / "journal").glob("*.arrow"))]
    if not journals:
        raise DolphinError("has no journal yet", where=name, mend="compare when it has run for some days")
    return _of_journals(workspace, journals, name)


def _of_journal(workspace: Workspace, journal: Journal, name: str) -> Side:
    return _of_journals(workspace, [journal], name)


def _of_journals(workspace: Workspace, journals: Sequence[Journal], name: str) -> Side:
    """Journals that follow each other, as one side."""
    accounts, times, header = [np.zeros((0, len(ACCOUNT_VALUES)))], [np.zeros(0, np.int64)], journals[0].header
    for journal in journals:
        index = journal.index()
        closing = index.of(journal.closing)
        if len(closing):
            accounts.append(journal.field(index, closing, "account"))
            times.append(journal.field(index, closing, "ts"))
    account, ts = np.concatenate(accounts), np.concatenate(times)
    dataset = header["dataset"]
    facts = {
        "config_hash": header["config_hash"], "strategy": header["config"]["strategy"],
        "dataset": dataset["name"], "dataset_digest": dataset["digest"], "synthetic": dataset.get("synthetic"),
        "session": header["session"],
    }  # fmt: skip
    seen = _searched(workspace, header["config_hash"], dataset["digest"])
    equity = account[:, ACCOUNT_VALUES.index("equity")]
    return side_of(name, "journal", ts, equity, float(header["initial_capital"]), seen, facts)


def _searched(workspace: Workspace, config_hash: str, dataset_digest: str) -> int:
    """The last close of the search that this configuration comes from; 0 if the registry knows of none."""
    search = find_search(workspace, config_hash, dataset_digest)
    return search.last_ts if search is not None else 0
