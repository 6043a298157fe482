"""DOLPHIN: research-first backtesting and parity.

One numba engine runs bit-identically in sweeps, under vectorbt's books, in the Nautilus backtest and live;
``dolphin parity`` names the first bar, stage and field where two runs differ; ``dolphin promote`` freezes
what passes the gate. The command line is the front door (``dolphin --help``). From Python:

>>> import dolphin
>>> workspace = dolphin.find_workspace()                          # doctest: +SKIP
>>> config = dolphin.read_config("blue.toml")                     # doctest: +SKIP
>>> run = dolphin.backtest(workspace, "edge", config)             # doctest: +SKIP
>>> run.metrics["sharpe_365"]                                     # doctest: +SKIP
>>> dolphin.open("edge").bars.head().collect()                    # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dolphin.catalog import Dataset, generate, import_klines, open_dataset
    from dolphin.catalog.query.handle import open_handle as open
    from dolphin.config import Config, read_config
    from dolphin.core.strategy import Strategy
    from dolphin.errors import DolphinError
    from dolphin.gate import evaluate, promote
    from dolphin.parity.divergence import compare
    from dolphin.parity.ladder import ladder
    from dolphin.parity.why import why
    from dolphin.report import tear_sheet
    from dolphin.study.backtest import backtest
    from dolphin.study.findings.books import books
    from dolphin.study.sweep import read_study, sweep
    from dolphin.workspace import find as find_workspace

__version__ = "0.1.0"

#: Name -> (module, attribute); loaded at first use, so that importing the package costs nothing.
_PUBLIC = {
    "Config": ("config", "Config"),
    "Dataset": ("catalog", "Dataset"),
    "DolphinError": ("errors", "DolphinError"),
    "Strategy": ("core.strategy", "Strategy"),
    "backtest": ("study.backtest", "backtest"),
    "books": ("study.findings.books", "books"),
    "compare": ("parity.divergence", "compare"),
    "evaluate": ("gate", "evaluate"),
    "find_workspace": ("workspace", "find"),
    "generate": ("catalog", "generate"),
    "import_klines": ("catalog", "import_klines"),
    "ladder": ("parity.ladder", "ladder"),
    "open": ("catalog.query.handle", "open_handle"),
    "open_dataset": ("catalog", "open_dataset"),
    "promote": ("gate", "promote"),
    "read_config": ("config", "read_config"),
    "read_study": ("study.sweep", "read_study"),
    "sweep": ("study.sweep", "sweep"),
    "tear_sheet": ("report", "tear_sheet"),
    "why": ("parity.why", "why"),
}

__all__ = [
    "Config",
    "Dataset",
    "DolphinError",
    "Strategy",
    "backtest",
    "books",
    "compare",
    "evaluate",
    "find_workspace",
    "generate",
    "import_klines",
    "ladder",
    "open",
    "open_dataset",
    "promote",
    "read_config",
    "read_study",
    "sweep",
    "tear_sheet",
    "why",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'dolphin' has no attribute '{name}'")
    module, attribute = _PUBLIC[name]
    return getattr(import_module(f"dolphin.{module}"), attribute)
