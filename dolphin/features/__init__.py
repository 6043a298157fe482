"""The scanner: absorption ratios, velocities, breadth and volatility of a market, bar by bar."""

from dolphin.features.bar import Bar
from dolphin.features.block import REGIMES, VEL_DIV, WARMUP_BARS, WINDOWS, FeatureBlock, check_windows
from dolphin.features.kernel import kept, restored
from dolphin.features.plugin import Feature, FeatureStream
from dolphin.features.plugin import compute as compute_feature
from dolphin.features.scanner import (
    Scanner,
    history_bars,
    in_order,
    measure,
    measure_on,
    scan,
    scanner_digest,
    trailing_bars,
)
from dolphin.features.trail import TRAIL_ROWS, follow, new_trail, remember

__all__ = [
    "REGIMES",
    "TRAIL_ROWS",
    "VEL_DIV",
    "WARMUP_BARS",
    "WINDOWS",
    "Bar",
    "Feature",
    "FeatureBlock",
    "FeatureStream",
    "Scanner",
    "check_windows",
    "compute_feature",
    "follow",
    "history_bars",
    "in_order",
    "kept",
    "measure",
    "measure_on",
    "new_trail",
    "remember",
    "restored",
    "scan",
    "scanner_digest",
    "trailing_bars",
]
