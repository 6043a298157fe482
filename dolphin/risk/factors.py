"""External factors: the indicators, their native periods and units, their old names, and how old they may be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from dolphin.errors import DolphinError, nearest
from dolphin.freshness import LIMITS
from dolphin.times import DAY_NS, SECOND_NS

MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS


class Indicator(NamedTuple):
    """How often a value comes (its native period), in what unit, and what it is."""

    period_ns: int
    unit: str
    text: str


#: The 28 indicators (RISK section 5).
INDICATORS: dict[str, Indicator] = {
    "funding_btc": Indicator(8 * HOUR_NS, "rate per 8 h", "funding rate of the BTC perpetual"),
    "funding_eth": Indicator(8 * HOUR_NS, "rate per 8 h", "funding rate of the ETH perpetual"),
    "oi_btc": Indicator(5 * MINUTE_NS, "BTC", "open interest"),
    "oi_eth": Indicator(5 * MINUTE_NS, "ETH", "open interest"),
    "ls_btc": Indicator(5 * MINUTE_NS, "ratio", "long accounts over short accounts"),
    "ls_eth": Indicator(5 * MINUTE_NS, "ratio", "long accounts over short accounts"),
    "ls_top": Indicator(5 * MINUTE_NS, "ratio", "long over short positions of top traders"),
    "taker": Indicator(5 * MINUTE_NS, "ratio", "taker buys over taker sells"),
    "basis": Indicator(5 * MINUTE_NS, "fraction", "perpetual over index, less one"),
    "imbal_btc": Indicator(5 * SECOND_NS, "-1 to 1", "order-book imbalance"),
    "imbal_eth": Indicator(5 * SECOND_NS, "-1 to 1", "order-book imbalance"),
    "spread": Indicator(5 * SECOND_NS, "bps", "best ask less best bid"),
    "dvol_btc": Indicator(HOUR_NS, "% a year", "implied volatility index"),
    "dvol_eth": Indicator(HOUR_NS, "% a year", "implied volatility index"),
    "fund_dbt_btc": Indicator(8 * HOUR_NS, "rate per 8 h", "funding rate at the options exchange"),
    "fund_dbt_eth": Indicator(8 * HOUR_NS, "rate per 8 h", "funding rate at the options exchange"),
    "vix": Indicator(DAY_NS, "% a year", "implied volatility of US equities"),
    "dxy": Indicator(DAY_NS, "index", "US dollar against other currencies"),
    "us10y": Indicator(DAY_NS, "% a year", "10-year US yield"),
    "sp500": Indicator(DAY_NS, "index", "S&P 500"),
    "fedfunds": Indicator(31 * DAY_NS, "% a year", "federal funds rate"),
    "fng": Indicator(DAY_NS, "0 to 100", "fear and greed"),
    "hashrate": Indicator(DAY_NS, "EH/s", "Bitcoin network hash rate"),
    "tvl": Indicator(DAY_NS, "USD", "value locked in decentralised finance"),
    "liq_vol_24h": Indicator(5 * MINUTE_NS, "USD", "liquidations of 24 hours"),
    "liq_long_ratio": Indicator(5 * MINUTE_NS, "0 to 1", "share of longs in liquidations"),
    "liq_z_score": Indicator(5 * MINUTE_NS, "sigma", "liquidations against their mean"),
    "liq_percentile": Indicator(5 * MINUTE_NS, "0 to 100", "liquidations against their history"),
}

#: Indicators of the first version, kept where they are recorded.
LEGACY_V1: dict[str, Indicator] = {
    "claims": Indicator(7 * DAY_NS, "persons", "initial jobless claims"),
    "ycurve": Indicator(DAY_NS, "%", "10-year less 2-year yield"),
    "stables": Indicator(DAY_NS, "USD", "stablecoins in circulation"),
    "m2": Indicator(31 * DAY_NS, "USD", "money supply"),
    "usdc": Indicator(DAY_NS, "USD", "USDC in circulation"),
    "vol24": Indicator(5 * MINUTE_NS, "USD", "traded in 24 hours"),
}

#: Names under which older records hold an indicator.
ALIASES = {
    "dvol": "dvol_btc",
    "fear_greed": "fng",
    "imbalance_btc": "imbal_btc",
    "imbalance_eth": "imbal_eth",
    "funding_rate": "funding_btc",
    "taker_ratio": "taker",
}


def indicator_name(name: str) -> str:
    """The present name of an indicator, whatever an older record calls it.

    Raises
    ------
    DolphinError
        If it is none of these.
    """
    found = ALIASES.get(name, name)
    known = INDICATORS | LEGACY_V1
    if found not in known:
        raise DolphinError(f"no indicator '{name}'", mend=nearest(name, {*known, *ALIASES}))
    return found


def limit_ns(name: str) -> int:
    """The age up to which an indicator is fresh: max(120 s, 2 native periods)."""
    limit = LIMITS["external_factor"]
    period = (INDICATORS | LEGACY_V1)[indicator_name(name)].period_ns
    return max(limit.dead_after, limit.periods * period)


def known_of(record: Mapping[str, object]) -> dict[str, float]:
    """The indicators of a record by their present names; None and NaN are left out, a present name goes before an old.

    Keys that are no indicator are passed over: records carry times and schemas too.
    """
    found: dict[str, float] = {}
    known = INDICATORS | LEGACY_V1
    for key in sorted(record, key=lambda name: name in known):  # old names first, present ones over them
        value, name = record[key], ALIASES.get(key, key)
        if name in known and isinstance(value, int | float) and not isinstance(value, bool) and value == value:
            found[name] = float(value)
    return found
