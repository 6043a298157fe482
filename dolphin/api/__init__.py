"""The Python front door: what ``import dolphin as dp`` shows, with names, dates and symbols as text.

Every function takes the dataset's name first, then the configuration, then ``start`` and ``stop`` (bars that close at
or after the one and before the other, UTC); ``workspace=`` is by default the one that the command line would find.
"""

from dolphin.api.configs import Config
from dolphin.api.data import generate, scan
from dolphin.api.judging import champion, gate, ladder, parity, promote
from dolphin.api.running import backtest, stress, sweep

__all__ = [
    "Config",
    "backtest",
    "champion",
    "gate",
    "generate",
    "ladder",
    "parity",
    "promote",
    "scan",
    "stress",
    "sweep",
]
