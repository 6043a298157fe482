"""The scanner: absorption ratios, velocities, breadth and volatility of a market, bar by bar."""

from dolphin.features.block import REGIMES, VEL_DIV, WARMUP_BARS, WINDOWS, FeatureBlock
from dolphin.features.scanner import Scanner, history_bars, scan, scanner_digest

__all__ = [
    "REGIMES",
    "VEL_DIV",
    "WARMUP_BARS",
    "WINDOWS",
    "FeatureBlock",
    "Scanner",
    "history_bars",
    "scan",
    "scanner_digest",
]
