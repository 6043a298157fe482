"""Feeds by name, as ``--feed KIND:WHAT`` names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dolphin.catalog import open_dataset
from dolphin.config import Config
from dolphin.errors import BadInput, nearest
from dolphin.live.feed import Feed
from dolphin.live.replay_feed import ReplayFeed
from dolphin.study.measure.run import window_rows
from dolphin.trade.scan_feeds import scans_of_folder, scans_of_store
from dolphin.workspace import Workspace


@dataclass(frozen=True)
class FeedOptions:
    """What the command says of a feed: times as fast as the clock (0 without waiting), and a window in ns."""

    speed: float = 1.0
    start_ns: int | None = None
    stop_ns: int | None = None


@dataclass(frozen=True)
class Opened:
    """A feed, and what its data is: a document of name, digest, spacing and whether it was made up."""

    feed: Feed
    data: dict[str, Any]
    first_ts: int | None = None


Open = Callable[[Workspace, str, Config, FeedOptions], Opened]


def _replay(workspace: Workspace, what: str, config: Config, options: FeedOptions) -> Opened:
    dataset = open_dataset(workspace, what)
    grid = dataset.grid()
    start, stop = window_rows(grid, options.start_ns, options.stop_ns, what)
    data = {
        "name": dataset.name, "digest": dataset.digest, "spacing_ns": dataset.spacing_ns,
        "synthetic": dataset.synthetic,
    }  # fmt: skip
    return Opened(ReplayFeed(dataset, config, start, stop, options.speed), data, int(grid[start]))


#: How each kind is opened.
KINDS: dict[str, Open] = {
    "replay": _replay,
    "scans": lambda workspace, what, *_: Opened(*scans_of_folder(workspace, what)),
    "store": lambda workspace, what, *_: Opened(*scans_of_store(workspace, what)),
}


def open_feed(workspace: Workspace, text: str, config: Config, options: FeedOptions) -> Opened:
    """The feed that a text names.

    Raises
    ------
    DolphinError
        If there is no such kind, or it cannot be opened.
    """
    kind, _, what = text.partition(":")
    if kind not in KINDS:
        raise BadInput(f"no feed '{kind}'", where=f"--feed {text}", mend=nearest(kind, KINDS))
    if kind == "replay" and not what:
        raise BadInput("names no dataset", where=f"--feed {text}", mend="--feed replay:NAME")
    return KINDS[kind](workspace, what, config, options)
