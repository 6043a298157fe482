"""Ready streaming indicators: features for a strategy to declare in one line.

    Strategy(..., features=lambda p: {"fast": sma(p.fast), "slow": sma(p.slow)})

Each is of one asset, by its column in the dataset (0 unless told: the first symbol); of any asset inside ``decide`` see
:mod:`dolphin.indicators.rows`, where the average true range is, too: a feature sees closes, not highs and lows.
"""

from dolphin.indicators.averages import ema, macd, rsi, sma
from dolphin.indicators.spreads import bollinger, donchian, realised_volatility, rolling_correlation, zscore

__all__ = [
    "bollinger",
    "donchian",
    "ema",
    "macd",
    "realised_volatility",
    "rolling_correlation",
    "rsi",
    "sma",
    "zscore",
]
