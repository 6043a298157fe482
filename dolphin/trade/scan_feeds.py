"""The feeds ``scans:FOLDER[@DATASET]`` and ``store:URL@DATASET``: another program's scans, and what market they are of.

A dataset of the catalog tells symbols, ticks, spacing, reference and row 0. Without one the folder tells them: its
``instruments.json``, and the smallest step between the scans that are there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dolphin.catalog import Dataset, open_dataset
from dolphin.errors import BadInput, NotFound
from dolphin.files import canonical_json, sha256_bytes
from dolphin.live.feeds.scan_feed import ScanFeed, folder_feed, store_feed
from dolphin.live.feeds.scan_folder import ScanFolder
from dolphin.stores import open_store
from dolphin.workspace import Workspace


def scans_of_folder(workspace: Workspace, what: str) -> tuple[ScanFeed, dict[str, Any]]:
    """The feed of a folder, and what its data is.

    Raises
    ------
    DolphinError
        If there is no such folder or dataset, or nothing tells the market.
    """
    folder, at, name = what.rpartition("@")
    if not at:
        feed = folder_feed(Path(what), _spacing_of(Path(what)))
    else:
        dataset = open_dataset(workspace, name)
        feed = folder_feed(
            Path(folder), dataset.spacing_ns, dataset.instruments, dataset.reference, int(dataset.grid()[0])
        )
    return feed, _about(feed, f"scans:{what}")


def scans_of_store(workspace: Workspace, what: str) -> tuple[ScanFeed, dict[str, Any]]:
    """The feed of a store.

    Raises
    ------
    DolphinError
        If there is no such store or dataset, or none is named.
    """
    url, at, name = what.rpartition("@")
    if not at or not name:
        raise BadInput("names no dataset", where=f"--feed store:{what}", mend="--feed store:URL@DATASET")
    dataset: Dataset = open_dataset(workspace, name)
    store = open_store(url or "embedded")
    feed = store_feed(store, dataset.instruments, dataset.spacing_ns, dataset.reference, int(dataset.grid()[0]))
    return feed, _about(feed, f"store:{what}")


def _spacing_of(folder: Path) -> int:
    """The smallest step between the scans of a folder (ns)."""
    times = np.unique([scan.ts for scan in ScanFolder(folder).poll()])
    if len(times) < 2:
        raise NotFound(
            "fewer than two scans, so that nothing tells the spacing", where=str(folder),
            mend="name a dataset of the same market: scans:FOLDER@DATASET",
        )  # fmt: skip
    return int(np.diff(times).min())


def _about(feed: ScanFeed, name: str) -> dict[str, Any]:
    """Name, digest (of the market that the scans are of, not of the scans) and spacing."""
    market = {
        "symbols": list(feed.symbols), "instruments": [one.as_dict() for one in feed.instruments],
        "reference": feed.reference, "spacing_ns": feed.spacing_ns,
    }  # fmt: skip
    digest = sha256_bytes(canonical_json(market))
    return {"name": name, "digest": digest, "spacing_ns": feed.spacing_ns, "synthetic": False}
