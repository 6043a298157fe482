"""The same run through Nautilus' own `BacktestNode`: data from a Parquet catalog, streamed in chunks."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from nautilus_trader.backtest.config import SimulationModuleConfig
from nautilus_trader.backtest.node import BacktestNode
from nautilus_trader.config import BacktestDataConfig, BacktestRunConfig, BacktestVenueConfig, ImportableActorConfig
from nautilus_trader.core.nautilus_pyo3.model import register_custom_data_class
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import Bar
from nautilus_trader.model.objects import Money
from nautilus_trader.persistence.catalog.parquet import ParquetDataCatalog

from dolphin.live.backtest import LEVERAGE, NautilusRun, Prepared, engine_config, prepared, quiet
from dolphin.live.exchange import VENUE, Exchange
from dolphin.live.scan import SCAN_CLIENT, Scan

#: Files per kind of data in the catalog: a border between files is a border that rows can be lost at.
FILES = 3

register_custom_data_class(Scan)


class ExchangeKey(SimulationModuleConfig, frozen=True):
    """Nautilus makes a venue's modules itself, from text: ours is named by a key and waits to be fetched."""

    key: str


_waiting: dict[str, Exchange] = {}


def waiting_exchange(config: ExchangeKey) -> Exchange:
    """The exchange module of this key, once."""
    return _waiting.pop(config.key)


def run_from_catalog(*what: Any, chunk: int, **options: Any) -> NautilusRun:
    """A run by bars (arguments of :func:`~dolphin.live.backtest.prepared`), through a catalog in a temporary folder.

    ``chunk`` is the node's ``chunk_size``: so many data objects are read, run and let go of at a time.

    Raises
    ------
    DolphinError
        As :func:`~dolphin.live.backtest.run_backtest`.
    """
    run, capital = prepared(*what, feed="bars", **options), what[6]
    with tempfile.TemporaryDirectory(prefix="dolphin-catalog-") as folder, quiet():
        write_catalog(Path(folder), run)
        node = BacktestNode([_config(folder, run, capital, chunk)])
        try:
            node.build()
            (backtest,) = node.get_engines()
            backtest.change_fill_model(VENUE, run.fills)
            backtest.add_strategy(run.strategy)
            began = time.perf_counter()
            node.run()
            return run.outcome(backtest, time.perf_counter() - began)
        finally:
            node.dispose()


def write_catalog(folder: Path, run: Prepared) -> None:
    """Instruments, and bars of each instrument and scans in files of consecutive rows."""
    catalog = ParquetDataCatalog(str(folder))
    catalog.write_data(list(run.perpetuals))
    kinds: dict[Any, list] = {}
    for one in run.data:
        if isinstance(one, Bar):
            kinds.setdefault(one.bar_type, []).append(one)
        else:
            kinds.setdefault(None, []).append(one.data)
    for objects in kinds.values():
        _write_files(catalog, objects)


def _write_files(catalog: ParquetDataCatalog, objects: Sequence[Any]) -> None:
    borders = sorted({int(row) for row in np.linspace(0, len(objects), FILES + 1)})
    for low, high in pairwise(borders):
        catalog.write_data(list(objects[low:high]))


def _config(folder: str, run: Prepared, capital: float, chunk: int) -> BacktestRunConfig:
    key = f"{id(run)}"
    _waiting[key] = run.exchange
    here = __name__
    module = ImportableActorConfig(
        actor_path=f"{here}:waiting_exchange", config_path=f"{here}:ExchangeKey", config={"key": key}
    )
    venue = BacktestVenueConfig(
        name=VENUE.value,
        oms_type="HEDGING" if run.hedging else "NETTING",
        account_type="MARGIN",
        base_currency="USDT",
        starting_balances=[str(Money(capital, USDT))],
        default_leverage=float(LEVERAGE),
        modules=[module],
    )
    bars = BacktestDataConfig(
        catalog_path=folder, data_cls=Bar.fully_qualified_name(), bar_types=[str(kind) for kind in run.bar_types]
    )
    scans = BacktestDataConfig(
        catalog_path=folder, data_cls=f"{Scan.__module__}:{Scan.__name__}", client_id=SCAN_CLIENT.value
    )
    return BacktestRunConfig(
        engine=engine_config(),
        venues=[venue],
        data=[bars, scans],
        chunk_size=chunk,
        raise_exception=True,
        dispose_on_completion=False,
    )
