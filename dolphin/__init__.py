"""DOLPHIN: research-first backtesting and parity.

One numba engine runs bit-identically in sweeps, under vectorbt's books, in the Nautilus backtest and live;
``parity`` names the first bar, stage and field where two runs differ; ``promote`` freezes what passes the gate.
The command line is the front door (``dolphin --help``), and this is the other:

>>> import dolphin as dp
>>> home = dp.workspace.create("lab")                      # or cd into one: it is found
>>> _ = dp.generate("demo", days=2, assets=4, spacing="5m", workspace=home)
>>> run = dp.backtest("demo", dp.Config("vel_div", fee_bps=3), workspace=home)
>>> sorted(run.metrics)[:3]
['bars', 'exposure', 'fees_paid']
>>> dp.open("demo", home).bars.collect().height
2304

``run.plot()``, ``run.trades``, ``run.report("run.html")``; ``dp.sweep``, ``dp.ladder``, ``dp.gate`` take the same.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dolphin import indicators as indicators
    from dolphin import workspace as workspace
    from dolphin.api import Config as Config
    from dolphin.api import backtest as backtest
    from dolphin.api import champion as champion
    from dolphin.api import gate as gate
    from dolphin.api import generate as generate
    from dolphin.api import ladder as ladder
    from dolphin.api import parity as parity
    from dolphin.api import promote as promote
    from dolphin.api import scan as scan
    from dolphin.api import stress as stress
    from dolphin.api import sweep as sweep
    from dolphin.catalog import Dataset as Dataset
    from dolphin.catalog import import_klines as import_klines
    from dolphin.catalog import open_dataset as open_dataset
    from dolphin.catalog.ingest.frames import import_frame as import_frame
    from dolphin.catalog.query.handle import open_handle as open
    from dolphin.config import read_config as read_config
    from dolphin.core.strategy import Strategy as Strategy
    from dolphin.errors import DolphinError as DolphinError
    from dolphin.features import Feature as Feature
    from dolphin.gate import evaluate as evaluate
    from dolphin.parity.divergence import compare as compare
    from dolphin.parity.why import why as why
    from dolphin.report import tear_sheet as tear_sheet
    from dolphin.study.findings.books import books as books
    from dolphin.study.sweep import read_study as read_study
    from dolphin.workspace import find as find_workspace  # noqa: F401

# numba paints its messages where it finds colorama; ours are lines that may be piped. Read when numba is imported.
os.environ.setdefault("NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING", "1")

__version__ = "0.1.0"

#: Name -> (module, attribute); loaded at first use, so that importing the package costs nothing.
_PUBLIC = {
    "Config": ("api", "Config"),
    "Feature": ("features", "Feature"),
    "Strategy": ("core.strategy", "Strategy"),
    "backtest": ("api", "backtest"),
    "champion": ("api", "champion"),
    "gate": ("api", "gate"),
    "generate": ("api", "generate"),
    "import_frame": ("catalog.ingest.frames", "import_frame"),
    "indicators": ("indicators", ""),
    "ladder": ("api", "ladder"),
    "open": ("catalog.query.handle", "open_handle"),
    "parity": ("api", "parity"),
    "promote": ("api", "promote"),
    "scan": ("api", "scan"),
    "stress": ("api", "stress"),
    "sweep": ("api", "sweep"),
}
#: What code may import from here too, and Tab does not show.
_MORE = {
    "Dataset": ("catalog", "Dataset"),
    "DolphinError": ("errors", "DolphinError"),
    "books": ("study.findings.books", "books"),
    "compare": ("parity.divergence", "compare"),
    "evaluate": ("gate", "evaluate"),
    "find_workspace": ("workspace", "find"),
    "import_klines": ("catalog", "import_klines"),
    "open_dataset": ("catalog", "open_dataset"),
    "read_config": ("config", "read_config"),
    "read_study": ("study.sweep", "read_study"),
    "tear_sheet": ("report", "tear_sheet"),
    "why": ("parity.why", "why"),
    "workspace": ("workspace", ""),
}

__all__ = [
    "Config",
    "Feature",
    "Strategy",
    "backtest",
    "champion",
    "gate",
    "generate",
    "import_frame",
    "indicators",
    "ladder",
    "open",
    "parity",
    "promote",
    "scan",
    "stress",
    "sweep",
]


class _Room(ModuleType):
    """A room whose name is a verb too: ``dolphin.gate`` is the room, ``dolphin.gate(...)`` asks it."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        name = self.__name__.rpartition(".")[2]
        return getattr(import_module("dolphin.api"), name)(*arguments, **options)


class _Package(ModuleType):
    """This package: the import system hands it its rooms, and two of them can be called."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("gate", "parity") and type(value) is ModuleType:
            value.__class__ = _Room
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC and name not in _MORE:
        raise AttributeError(f"module 'dolphin' has no attribute '{name}'")
    if name in ("gate", "parity"):
        return import_module(f"dolphin.{name}")
    module, attribute = (_PUBLIC | _MORE)[name]
    found = import_module(f"dolphin.{module}")
    return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
    return __all__
