"""The 28 indicators (RISK section 5): for each its sources in order, its plausible range, and when it is public.

A choice names the instrument that its value is of (``basis``). A fallback may be of another one; then its values go by
that name, in the record and in a series of their own: no series changes its instrument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from dolphin.catalog.ingest.external import LAGS, LagRule, after, at_once
from dolphin.feeds import parsers as p
from dolphin.risk.factors import INDICATORS, limit_ns
from dolphin.times import DAY_NS, SECOND_NS, format_day

MINUTE_NS, HOUR_NS = 60 * SECOND_NS, 3600 * SECOND_NS
Params = Mapping[str, str] | Callable[[int], Mapping[str, str]]


class Choice(NamedTuple):
    """One way to a value: provider, path, query (or what makes it of the time in ns), parser, instrument, weight."""

    source: str
    path: str
    params: Params
    parse: p.Parser
    basis: str
    weight: int = 1

    def query(self, now_ns: int) -> dict[str, str]:
        """The query now."""
        return dict(self.params(now_ns) if callable(self.params) else self.params)


class Declared(NamedTuple):
    """An indicator's choices in order, the range it must lie in, when it is public, how often it is asked for.

    Without choices it is made of our own streams (liquidations).
    """

    choices: tuple[Choice, ...]
    low: float
    high: float
    lag: LagRule
    every_ns: int

    @property
    def basis(self) -> str:
        """The instrument of the first choice: what the indicator's own series is of."""
        return self.choices[0].basis if self.choices else LIQUIDATIONS


#: What the four figures of liquidations are of.
LIQUIDATIONS = "Binance USD-M liquidations, all symbols, as streamed"


def _at_once(period_ns: int) -> LagRule:
    return LagRule(at_once, period_ns, "at its time")


def _binance(path: str, parse: p.Parser, basis: str, weight: int = 1, **params: str) -> Choice:
    return Choice("binance", path, params, parse, f"Binance USD-M {basis}", weight)


def _funding(coin: str) -> Declared:
    pair = f"{coin}USDT"
    query = {"category": "linear", "symbol": pair, "limit": "1"}
    rate = _binance("/fapi/v1/fundingRate", p.newest_of("fundingRate", "fundingTime"), pair, symbol=pair, limit="1")
    other = Choice("bybit", "/v5/market/funding/history", query, p.bybit_newest, f"Bybit linear {pair}")
    return Declared((rate, other), -0.03, 0.03, LAGS["FUNDING_RATE"], 5 * MINUTE_NS)


def _open_interest(coin: str, low: float, high: float) -> Declared:
    pair = f"{coin}USDT"
    now = _binance("/fapi/v1/openInterest", p.field_of("openInterest", "time"), pair, symbol=pair)
    past = _binance(
        "/futures/data/openInterestHist", p.newest_of("sumOpenInterest", "timestamp"), pair,
        symbol=pair, period="5m", limit="1",
    )  # fmt: skip
    return Declared((now, past), low, high, _at_once(5 * MINUTE_NS), MINUTE_NS)


def _ratio(path: str, value: str, pair: str = "BTCUSDT") -> Declared:
    parse = p.newest_of(value, "timestamp")
    choice = _binance(f"/futures/data/{path}", parse, pair, symbol=pair, period="5m", limit="1")
    return Declared((choice,), 0.02, 50.0, _at_once(5 * MINUTE_NS), MINUTE_NS)


def _depth(pair: str, parse: p.Parser, low: float, high: float) -> Declared:
    choice = _binance("/fapi/v1/depth", parse, f"{pair} 20 levels", 2, symbol=pair, limit="20")
    return Declared((choice,), low, high, _at_once(5 * SECOND_NS), 5 * SECOND_NS)


def _window(hours: int, **fixed: str) -> Callable[[int], Mapping[str, str]]:
    """Deribit's query of the hours before now; whole hours, so that one cycle asks once."""

    def query(now_ns: int) -> Mapping[str, str]:
        end = now_ns // p.MS
        return {**fixed, "start_timestamp": str(end - hours * 3_600_000), "end_timestamp": str(end)}

    return query


def _volatility(coin: str) -> Declared:
    query = _window(6, currency=coin, resolution="3600")
    path = "/api/v2/public/get_volatility_index_data"
    choice = Choice("deribit", path, query, p.deribit_volatility, f"Deribit DVOL {coin}")
    return Declared((choice,), 5.0, 400.0, _at_once(HOUR_NS), MINUTE_NS)


def _options_funding(coin: str) -> Declared:
    name, basis = f"{coin}-PERPETUAL", f"Deribit {coin}-PERPETUAL"
    path = "/api/v2/public/get_funding_rate_history"
    past = Choice("deribit", path, _window(6, instrument_name=name), p.deribit_funding, basis)
    now = Choice("deribit", "/api/v2/public/ticker", {"instrument_name": name}, p.deribit_ticker_funding, basis)
    return Declared((past, now), -0.05, 0.05, _at_once(HOUR_NS), 5 * MINUTE_NS)


def _fred(series: str, low: float, high: float, days: int = 21) -> Declared:
    def query(now_ns: int) -> Mapping[str, str]:
        return {"id": series, "cosd": format_day(now_ns // DAY_NS - days)}

    choice = Choice("fred", "/graph/fredgraph.csv", query, p.fred_csv, f"FRED {series}")
    return Declared((choice,), low, high, LAGS[series], 30 * MINUTE_NS)


def _daily(low: float, high: float, lag_ns: int, *choices: Choice) -> Declared:
    text = f"{lag_ns // HOUR_NS} h after its time"
    return Declared(choices, low, high, LagRule(after(lag_ns), DAY_NS, text), 10 * MINUTE_NS)


def _liquidations(low: float, high: float) -> Declared:
    return Declared((), low, high, _at_once(5 * MINUTE_NS), MINUTE_NS)


DECLARED: dict[str, Declared] = {
    "funding_btc": _funding("BTC"),
    "funding_eth": _funding("ETH"),
    "oi_btc": _open_interest("BTC", 1e3, 1e7),
    "oi_eth": _open_interest("ETH", 1e4, 1e8),
    "ls_btc": _ratio("globalLongShortAccountRatio", "longShortRatio"),
    "ls_eth": _ratio("globalLongShortAccountRatio", "longShortRatio", "ETHUSDT"),
    "ls_top": _ratio("topLongShortPositionRatio", "longShortRatio"),
    "taker": _ratio("takerlongshortRatio", "buySellRatio"),
    "basis": Declared(
        (
            _binance(
                "/futures/data/basis", p.newest_of("basisRate", "timestamp"), "BTCUSDT last over index",
                pair="BTCUSDT", contractType="PERPETUAL", period="5m", limit="1",
            ),
            _binance("/fapi/v1/premiumIndex", p.basis_of_marks, "BTCUSDT mark over index", symbol="BTCUSDT"),
        ),
        -0.2, 0.2, _at_once(5 * MINUTE_NS), MINUTE_NS,
    ),
    "imbal_btc": _depth("BTCUSDT", p.book_imbalance, -1.0, 1.0),
    "imbal_eth": _depth("ETHUSDT", p.book_imbalance, -1.0, 1.0),
    "spread": _depth("BTCUSDT", p.book_spread, 0.0, 500.0),
    "dvol_btc": _volatility("BTC"),
    "dvol_eth": _volatility("ETH"),
    "fund_dbt_btc": _options_funding("BTC"),
    "fund_dbt_eth": _options_funding("ETH"),
    "vix": _fred("VIXCLS", 5.0, 150.0),
    "dxy": _fred("DTWEXBGS", 60.0, 200.0),
    "us10y": _fred("DGS10", -2.0, 20.0),
    "sp500": _fred("SP500", 500.0, 50_000.0),
    "fedfunds": _fred("FEDFUNDS", -2.0, 25.0, 120),
    "fng": Declared(
        (Choice("alternative", "/fng/", {"limit": "2"}, p.fear_and_greed, "alternative.me"),),
        0.0, 100.0, LAGS["FEAR_GREED"], 10 * MINUTE_NS,
    ),
    "hashrate": _daily(
        10.0, 100_000.0, 26 * HOUR_NS,  # the mean of a day, named by its beginning
        Choice("blockchain", "/charts/hash-rate", {"timespan": "5days", "format": "json"}, p.blockchain_hashrate,
               "blockchain.com estimate"),
        Choice("mempool", "/api/v1/mining/hashrate/1m", {}, p.mempool_hashrate, "mempool.space estimate"),
    ),
    "tvl": _daily(
        1e9, 1e13, HOUR_NS, Choice("llama", "/v2/historicalChainTvl", {}, p.llama_tvl, "DefiLlama all chains")
    ),
    "liq_vol_24h": _liquidations(0.0, 1e12),
    "liq_long_ratio": _liquidations(0.0, 1.0),
    "liq_z_score": _liquidations(-50.0, 1000.0),
    "liq_percentile": _liquidations(0.0, 100.0),
}  # fmt: skip
assert DECLARED.keys() == INDICATORS.keys()


def fresh_for(name: str) -> int:
    """Age in ns up to which a value is fresh: that of the specification, or two periods of its publication.

    The dollar index is of every day and published once a week; the longer one counts.
    """
    return max(limit_ns(name), 2 * DECLARED[name].lag.period_ns)


def series_of(name: str, basis: str) -> str:
    """The series that recorded values of an indicator go into: its own, or one of a fallback's instrument."""
    if basis == DECLARED[name].basis:
        return name.upper()
    kept = "".join(c if c.isalnum() else "_" for c in basis.upper())
    return f"{name.upper()}__{kept}"
