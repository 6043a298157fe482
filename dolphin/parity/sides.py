"""What can be compared, bar by bar and a stretch decided again: a run folder, a journal, a rung run now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from dolphin.catalog import open_dataset
from dolphin.config import Config, parse_config
from dolphin.core.engine import NO_TRADES
from dolphin.core.records import NONE, Floats, Ints, Market, State, Words
from dolphin.errors import DolphinError, nearest_beside
from dolphin.files import read_json
from dolphin.manifests import MANIFEST, check_manifest
from dolphin.market.assemble import open_market
from dolphin.parity.fields import ACTIONS, copied
from dolphin.study.measure.run import JOURNAL
from dolphin.workspace import Workspace

_RUNS = "'dolphin runs list' has the runs"


@dataclass(frozen=True)
class About:
    """What a side was made from."""

    config: dict[str, Any]
    config_hash: str
    dataset: str
    dataset_digest: str
    engine_digest: str
    synthetic: bool = False


@dataclass(frozen=True)
class Around:
    """Bars ``first`` to ``first + B`` of a side: arrays have a row per bar; ``events`` are in words."""

    first: int
    bars: Ints
    ts: Ints
    equity: Floats
    capital: Floats
    positions: Ints
    digests: Words
    events: list[list[str]]


@dataclass(frozen=True)
class Scene:
    """One bar decided again: the state before and after it, and what the decision read.

    ``market`` holds row ``row`` and what is looked back on, and the rows after it as far as ``until``. ``again`` is the
    digest that this code gives, ``words`` are the stage words; ``orders`` what happened to orders in it, one per event:
    (slot, bar of the wish, status, action, asset, side, qty, price, fee).
    """

    config: Config
    symbols: tuple[str, ...]
    market: Market
    row: int
    until: int
    before: State
    after: State
    words: Words
    again: int
    digests_after: Words
    around: Around
    orders: list[tuple[Any, ...]] = field(default_factory=list)


class Side(Protocol):
    """One of the two that are compared; bars are numbered from 0."""

    label: str
    about: About

    @property
    def bars(self) -> int:
        """How many bars it has."""

    def ts_at(self, k: int) -> int:
        """When bar ``k`` closed."""

    def digest_at(self, k: int) -> int:
        """The chained digest of bar ``k``."""

    def curves(self) -> tuple[Floats, Floats, Ints]:
        """Equity, capital and whether a position is open, per bar."""

    def scene(self, k: int, before: int, after: int, later: int) -> Scene:
        """Bar ``k`` decided again, with ``before`` and ``after`` bars around it and ``later`` bars of inputs."""

    def go_on(self, scene: Scene, market: Market, stop: int) -> Words:
        """Digests of the rows after the scene's up to ``stop``, decided on this market from the state after it."""


class RunSide:
    """A run folder, or a run of now: decided again from its dataset."""

    def __init__(
        self, label: str, about: About, ts: Ints, digests: Words, workspace: Workspace | None,
        *, where: str = "", folder: Path | None = None, ready: tuple[Config, Market, tuple[str, ...]] | None = None,
    ) -> None:  # fmt: skip
        self.label, self.about, self.folder = label, about, folder
        self._ts, self._digests = ts, digests
        self._workspace, self._where, self._ready = workspace, where, ready

    @property
    def bars(self) -> int:
        """How many bars it has."""
        return len(self._ts)

    def ts_at(self, k: int) -> int:
        """When bar ``k`` closed."""
        return int(self._ts[k])

    def digest_at(self, k: int) -> int:
        """The chained digest of bar ``k``."""
        return int(self._digests[k])

    def curves(self) -> tuple[Floats, Floats, Ints]:
        """Equity, capital and whether a position is open, per bar."""
        if self.folder is None:
            raise DolphinError(
                "a rung run now has no curves", where=self.label, mend="compare a run folder or a journal"
            )
        frame = pl.read_parquet(self.folder / "equity.parquet")
        held = np.abs(frame["position"].to_numpy()).astype(np.int64)
        return frame["equity"].to_numpy(), frame["capital"].to_numpy(), held

    def opened(self) -> tuple[Config, Market, tuple[str, ...]]:
        if self._ready is not None:
            return self._ready
        if self._workspace is None:
            raise DolphinError("no workspace here holds its data", where=self.label, mend="set DOLPHIN_HOME")
        dataset = open_dataset(self._workspace, self.about.dataset)
        if dataset.digest != self.about.dataset_digest:
            raise DolphinError(f"dataset '{dataset.name}' is another version now", where=self.label)
        config = parse_config(
            {key: value for key, value in self.about.config.items() if value is not None},
            where=self._where,
            research=self._workspace.research,
        )
        self._ready = config, open_market(dataset, config), dataset.symbols
        return self._ready

    def scene(self, k: int, before: int, after: int, later: int) -> Scene:
        """Bar ``k`` decided again, with ``before`` and ``after`` bars around it and ``later`` bars of inputs."""
        config, market, symbols = self.opened()
        engine, params, friction = config.engine, config.params_record(), config.friction_record()
        state = engine.new_state(market.price.shape[1], config.account.initial_capital)
        start = int(np.searchsorted(market.ts, self._ts[0]))
        low, high = max(0, k - before), min(self.bars, k + after + 1)
        row = start + k
        if low:
            engine.run(state, params, friction, market, start, start + low)
        kept: dict[str, Any] = {"before": copied(state) if low == k else None}
        seen: list[tuple[float, float, int, list[str]]] = []

        def look(i: int, words: Words) -> None:
            account = state.account[0]
            events = _orders_of(state, i)
            told = [order_text(order, symbols) for order in events]
            seen.append((float(account["equity"]), float(account["capital"]), int(account["open_positions"]), told))
            if i == row - 1:
                kept["before"] = copied(state)
            if i == row:
                kept.update(after=copied(state), words=words.copy(), orders=events)

        digests = engine.run_per_bar(state, params, friction, market, start + low, start + high, look)
        around = Around(
            low, np.arange(start + low, start + high), self._ts[low:high], np.array([one[0] for one in seen]),
            np.array([one[1] for one in seen]), np.array([one[2] for one in seen]), self._digests[low:high],
            [one[3] for one in seen],
        )  # fmt: skip
        until = start + min(self.bars, k + 1 + later)
        return Scene(
            config, symbols, market, row, until, kept["before"], kept["after"], kept["words"],
            int(digests[k - low]), self._digests[k + 1 : k + 1 + later], around, kept["orders"],
        )  # fmt: skip

    def go_on(self, scene: Scene, market: Market, stop: int) -> Words:
        """Digests of the rows after the scene's up to ``stop``, decided on this market from the state after it."""
        config, state = scene.config, copied(scene.after)
        digests = np.empty(stop - scene.row - 1, np.uint64)
        where = market, scene.row + 1, stop
        config.engine.kernels.run_digested(
            state, config.params_record(), config.friction_record(), *where, NO_TRADES, digests
        )
        return digests


def _orders_of(state: State, i: int) -> list[tuple[Any, ...]]:
    """The fills of a bar."""
    slots, found = len(state.slots), []
    for f, fill in enumerate(state.fills):
        if fill["action"] != NONE:
            values = (fill[name].item() for name in ("action", "asset", "side", "qty", "price", "fee"))
            found.append((f % slots, int(fill["bar"]), "filled", *values))
    return found


def order_text(order: tuple[Any, ...], symbols: tuple[str, ...]) -> str:
    """An order's event in a few words."""
    _, _, status, action, asset, side, qty, price, _ = order
    way = "long" if side > 0 else "short"
    at = f" at {price!r}" if price == price and price else ""
    return f"{ACTIONS[int(action)]} {way} {qty!r} {symbols[int(asset)]} {status}{at}"


def run_side(folder: Path, workspace: Workspace | None = None) -> RunSide:
    """The parts of a run folder that a comparison needs.

    Raises
    ------
    DolphinError
        If the folder is missing, incomplete or damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DolphinError("no such run folder", where=str(folder), mend=nearest_beside(folder, "*/run.json", _RUNS))
    # A journal is checked record by record where it is read.
    held = read_json(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
    names = [name for name in held.get("files", ()) if name != JOURNAL] if isinstance(held, dict) else []
    check_manifest(folder, *names)
    run, config = read_json(folder / "run.json"), read_json(folder / "config.json")
    try:
        frame = pl.read_parquet(folder / "digests.parquet")
        ts, digests = frame["ts"].to_numpy(), frame["digest"].to_numpy()
        dataset = run["dataset"]
        engine, synthetic = run["engine_digest"], bool(run.get("synthetic"))
        about = About(config["config"], config["hash"], dataset["name"], dataset["digest"], engine, synthetic)
        texts = (about.dataset, about.dataset_digest, about.engine_digest, about.config_hash)
        if not isinstance(about.config, Mapping) or not all(isinstance(text, str) for text in texts):
            raise TypeError("not what a run writes")
    except (OSError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        reason = " ".join(str(error).split())
        raise DolphinError(f"incomplete or damaged ({reason})", where=str(folder)) from error
    return RunSide(str(folder), about, ts, digests, workspace, where=str(folder / "config.json"), folder=folder)
