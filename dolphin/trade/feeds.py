"""Feeds by name, as ``--feed KIND:WHAT`` names them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dolphin.catalog import open_dataset
from dolphin.config import Config, columns_needed
from dolphin.errors import BadInput, Refused, nearest
from dolphin.live.binance.hooks import REST
from dolphin.live.feed import Feed
from dolphin.live.feeds.klines import KlineFeed
from dolphin.live.feeds.scan_store import ScanStore
from dolphin.live.node import Beside
from dolphin.live.replay_feed import ReplayFeed
from dolphin.stores import Store
from dolphin.study.measure.run import window_rows
from dolphin.trade.scan_feeds import scans_of_folder, scans_of_store
from dolphin.trade.watching import Skew
from dolphin.workspace import Workspace


@dataclass(frozen=True)
class FeedOptions:
    """What the command says of a feed.

    Attributes
    ----------
    speed : float
        Of a replay: times as fast as the clock, 0 without waiting.
    start_ns, stop_ns : int, optional
        Of a replay: the window.
    dataset : str, optional
        Of an exchange: the dataset that tells the market, where the feed names none (a champion's own).
    environment, url : str
        Of an exchange: which, or another one's address.
    """

    speed: float = 1.0
    start_ns: int | None = None
    stop_ns: int | None = None
    dataset: str | None = None
    environment: str = "live"
    url: str | None = None


@dataclass(frozen=True)
class Opened:
    """A feed, and what its data is.

    Attributes
    ----------
    data : dict
        Name, digest, spacing and whether it was made up.
    first_ts : int, optional
        Close of its first row, where that is part of what the session is.
    live : bool
        Whether rows come as they happen, so that it can be silent.
    paced : bool
        Whether its rows follow each other as the clock does.
    store, store_url : Store, str, optional
        What it reads, if that is a store: no process opens one twice.
    skew : callable, optional
        Asks the exchange how far this machine's clock is ahead, in ms.
    beside : Beside, optional
        What the node has to host for it.
    source : Feed, optional
        The feed itself where ``feed`` adds to it.
    """

    feed: Feed
    data: dict[str, Any]
    first_ts: int | None = None
    live: bool = True
    paced: bool = False
    store: Store | None = None
    store_url: str | None = None
    skew: Skew | None = None
    beside: Beside | None = None
    source: Feed | None = None


Open = Callable[[Workspace, str, Config, FeedOptions], Opened]


def _replay(workspace: Workspace, what: str, config: Config, options: FeedOptions) -> Opened:
    dataset = open_dataset(workspace, what)
    grid = dataset.grid()
    start, stop = window_rows(grid, options.start_ns, options.stop_ns, what)
    data = {
        "name": dataset.name, "digest": dataset.digest, "spacing_ns": dataset.spacing_ns,
        "synthetic": dataset.synthetic,
    }  # fmt: skip
    return Opened(ReplayFeed(dataset, config, start, stop, options.speed), data, int(grid[start]), live=False)


def _binance(workspace: Workspace, what: str, config: Config, options: FeedOptions) -> Opened:
    name = what or options.dataset
    if not name:
        raise BadInput(
            "names no dataset, and there is no champion that would", where="--feed binance",
            mend="--feed binance:DATASET tells symbols, ticks, spacing and reference",
        )  # fmt: skip
    if options.environment not in REST:
        raise BadInput(
            f"no environment '{options.environment}'", where="--environment", mend=nearest(options.environment, REST)
        )
    if columns := columns_needed(config):
        raise Refused(f"the strategy reads {', '.join(columns)}; the exchange's klines feed closes", where="binance")
    dataset = open_dataset(workspace, name)
    feed = KlineFeed(dataset, options.environment, options.url)
    data = {
        "name": dataset.name, "digest": dataset.digest, "spacing_ns": dataset.spacing_ns, "synthetic": False,
        "exchange": options.url or options.environment,
    }  # fmt: skip
    return Opened(feed, data, skew=feed.skew_ms, beside=feed)


def _store(workspace: Workspace, what: str, *_: object) -> Opened:
    feed, data = scans_of_store(workspace, what)
    scans = feed.scans
    assert isinstance(scans, ScanStore)
    return Opened(feed, data, store=scans.store, store_url=what.rpartition("@")[0] or "embedded")


#: How each kind is opened.
KINDS: dict[str, Open] = {
    "replay": _replay,
    "binance": _binance,
    "scans": lambda workspace, what, *_: Opened(*scans_of_folder(workspace, what)),
    "store": _store,
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
