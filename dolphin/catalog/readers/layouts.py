"""What the columns of a table mean: every layout that is read, told by its column names alone.

How the bytes of a table are stored (CSV, Parquet, Arrow, ...) is another question, answered beside this
module; any of them may hold any of these layouts. To read a further producer, add its layout here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from dolphin.catalog.readers.candles import quote
from dolphin.catalog.readers.clock import Clock
from dolphin.catalog.readers.headers import quotes_of
from dolphin.catalog.readers.names import symbol_of_file
from dolphin.catalog.readers.reading import Kind, NoLayout, Source
from dolphin.catalog.store.instruments import check_symbol
from dolphin.catalog.store.layout import COLUMNS, VALUES
from dolphin.catalog.store.scan_layout import FEATURES, SCAN_NUMBER
from dolphin.errors import DolphinError, nearest

KLINE_COLUMNS = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume",
    "count", "taker_buy_volume", "taker_buy_quote_volume", "ignore",
)  # fmt: skip
PRICE = pl.Decimal(20, 8)
TICK_COLUMNS: dict[str, Any] = {
    "symbol": pl.String, "ts": pl.Int64, "price": PRICE, "quantity": PRICE, "buyer_is_maker": pl.Boolean,
    "trade_id": pl.Int64, "bid": PRICE, "ask": PRICE, "received_ts": pl.Int64,
}  # fmt: skip
Make = Callable[[pl.DataFrame, Source, Clock], pl.DataFrame]
TOLD = "--columns time=COLUMN,close=COLUMN"
CANDLES = "freqtrade candles"
FREQTRADE = re.compile(r"([A-Z0-9]+)_([A-Z0-9]+)(?:_[A-Z0-9]+)?-(?:\d+(?:s|m|h|d|w|Mo?|y)(?:-(\w+))?|trades)")
_FREQTRADE_NAMES = "freqtrade writes BTC_USDT-5m.feather or BTC_USDT_USDT-5m-futures.feather"
SCAN_COLUMNS = ("vel_div", "lambda_max_w50", "lambda_max_w150", "instability", "timestamp")


@dataclass(frozen=True)
class Layout:
    """One producer's table.

    Attributes
    ----------
    title : str
        Its name in messages.
    kind : Kind
        What its rows are.
    columns : tuple of str
        Columns that it always has; they tell it from the others.
    make : callable
        ``make(frame, source, clock)`` gives the canonical frame.
    optional : tuple of str
        Columns read where they are there; ``None`` reads every column.
    integers, decimals, flags : frozenset of str
        How a text file's cells are to be read; times are among the integers, all else are floats.
    """

    title: str
    kind: Kind
    columns: tuple[str, ...]
    make: Make
    optional: tuple[str, ...] | None = ()
    integers: frozenset[str] = frozenset()
    decimals: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset({"symbol"})

    def wanted(self, columns: Sequence[str]) -> list[str]:
        """Which of a file's columns are read."""
        read = {*self.columns, *(self.optional or ()), *self.quotes(columns)}
        return [c for c in columns if self.optional is None or c in read]

    def quotes(self, columns: Sequence[str]) -> set[str]:
        """Those of bars that hold bids and asks, under any usual name; their cells may be empty."""
        return set(quotes_of(columns).values()) if self.kind == "bars" else set()


def recognise(columns: Iterable[str], source: Source) -> Layout:
    """The layout that has these columns.

    Raises
    ------
    NoLayout
        If it is none; the line lists what is read, or the column that is missing.
    DolphinError
        If it is not one alone.
    """
    names = list(columns)
    if len(set(names)) != len(names):
        raise NoLayout("a column name occurs twice", where=source.where, mend="name every column once")
    fitting = [layout for layout in LAYOUTS if set(layout.columns) <= set(names)]
    # A candle file of the same columns that freqtrade did not name is of somebody else.
    foreign = [layout for layout in fitting if layout.title == CANDLES and not FREQTRADE.fullmatch(source.stem)]
    if foreign and len(fitting) == 1:
        raise NoLayout(f"'{source.name}' names no pair and timeframe", where=source.where, mend=_FREQTRADE_NAMES)
    fitting = [layout for layout in fitting if layout not in foreign]
    if len(fitting) == 1:
        return fitting[0]
    if len({layout.kind for layout in fitting}) > 1:
        titles = " and as ".join(layout.title for layout in fitting)
        raise DolphinError(f"its columns read as {titles}", where=source.where, mend="keep the columns of one")
    if fitting:
        return fitting[0]
    closest = max(LAYOUTS, key=lambda layout: sum(c in names for c in layout.columns) / len(layout.columns))
    missing = [c for c in closest.columns if c not in names]
    if 2 * len(missing) <= len(closest.columns) and len(closest.columns) > 3:
        raise NoLayout(f"column '{missing[0]}' is missing", where=source.where, mend=nearest(missing[0], names))
    shown = ", ".join(map(str, names[:8]))
    raise NoLayout(
        f"no known layout (columns {shown[:120]})",
        where=source.where,
        mend=f"name them: {TOLD}; or it is one of {known()}",
    )


def known() -> str:
    """One line that lists every layout by its columns."""
    return "; ".join(f"{layout.title} ({', '.join(layout.columns)})" for layout in LAYOUTS)


def check_symbols(frame: pl.DataFrame, source: Source) -> None:
    """Raise unless every row has a symbol that is one."""
    empty = frame["symbol"].null_count()
    if empty:
        raise DolphinError(f"{empty} rows have no symbol", where=source.where)
    for symbol in frame["symbol"].unique().to_list():
        check_symbol(symbol if symbol.isprintable() else repr(symbol)[:80], source.where)


def floats(frame: pl.DataFrame, names: Sequence[str], source: Source) -> list[pl.Expr]:
    """These columns as float64.

    Raises
    ------
    DolphinError
        If one holds no numbers.
    """
    for name in names:
        if not frame.schema[name].is_numeric() and frame.schema[name] != pl.Null:
            raise DolphinError(f"column '{name}' is {frame.schema[name]}, no number", where=source.where)
    return [pl.col(name).cast(pl.Float64) for name in names]


def decimals(frame: pl.DataFrame, name: str, source: Source) -> pl.Series:
    """A column as decimal128(20,8), exactly; floats are taken as the decimals they print as.

    Raises
    ------
    DolphinError
        If a value is empty, no finite number, or needs more than 12 digits before or 8 after the point.
    """
    found = frame[name]
    if found.dtype == pl.String:
        found = found.str.strip_chars().cast(pl.Decimal(38, 18), strict=False)
    elif found.dtype.is_integer() or (found.dtype.is_decimal() and found.dtype != PRICE):
        found = found.cast(pl.Decimal(38, 18), strict=False)
    elif not found.dtype.is_float() and found.dtype != PRICE:
        raise DolphinError(f"column '{name}' is {found.dtype}, no number", where=source.where)
    exact = found.cast(PRICE, strict=False)
    odd = exact.null_count() + int((exact.cast(found.dtype) != found).sum() or 0)
    if odd:
        raise DolphinError(
            f"{odd} of {found.len()} values of '{name}' are no decimals of 12 digits before and 8 after the point",
            where=source.where,
            mend="ticks are archived exactly, as decimal128(20,8)",
        )
    return exact.alias(name)


def _tidy_bars(frame: pl.DataFrame, source: Source, clock: Clock) -> pl.DataFrame:
    if not isinstance(frame.schema["symbol"], pl.String | pl.Categorical | pl.Enum):
        raise DolphinError(f"column 'symbol' is {frame.schema['symbol']}, no text", where=source.where)
    numbers = floats(frame, VALUES, source)
    quotes = [quote(frame[name], source).alias(role) for role, name in quotes_of(frame.columns, source).items()]
    # a symbol that is none is a quality rule of the importer
    return frame.select(pl.col("symbol").cast(pl.String), clock.ns(frame["ts"]).alias("ts"), *numbers, *quotes)


def _one_symbol(time: str, symbol_of: Callable[[Source], str]) -> Make:
    """Bars of one symbol, which the file's name tells."""

    def make(frame: pl.DataFrame, source: Source, clock: Clock) -> pl.DataFrame:
        symbol = pl.lit(symbol_of(source)).alias("symbol")
        return _tidy_bars(frame.select(symbol, pl.col(time).alias("ts"), pl.exclude(time)), source, clock)

    return make


def exchange_symbol(source: Source) -> str:
    """``BTCUSDT`` of ``BTCUSDT-5m-2025-01.csv``, ``BTCUSD`` of ``BTC-USD.csv``."""
    return symbol_of_file(source)


def freqtrade_symbol(source: Source) -> str:
    """``BTCUSDT`` of ``BTC_USDT-5m.feather`` and ``BTC_USDT_USDT-5m-futures.feather``.

    Raises
    ------
    DolphinError
        On another name, and on mark, index, premium and funding candles: nothing traded there.
    """
    match = FREQTRADE.fullmatch(source.stem)
    if not match:
        raise DolphinError(
            f"'{source.name}' names no pair and timeframe",
            where=source.where,
            mend=_FREQTRADE_NAMES,
        )
    if match[3] not in (None, "spot", "futures"):
        raise DolphinError(
            f"{match[3]} candles are no traded prices",
            where=source.where,
            mend="import the -futures file beside it; funding rates are read from (symbol, ts, funding_rate)",
        )
    symbol = match[1] + match[2]
    check_symbol(symbol, f"{source.where} (the file name)")
    return symbol


def _ticks(names: dict[str, str], symbol_of: Callable[[Source], str] | None = None, sides: bool = False) -> Make:
    """Ticks whose columns are called ``names[canonical]`` at this producer."""

    def make(frame: pl.DataFrame, source: Source, clock: Clock) -> pl.DataFrame:
        frame = frame.select(pl.col(theirs).alias(ours) for ours, theirs in names.items() if theirs in frame.columns)
        found: dict[str, pl.Series | pl.Expr] = {"ts": clock.ns(frame["ts"]).alias("ts")}
        for name in ("price", "quantity"):
            found[name] = decimals(frame, name, source)
        for name in ("bid", "ask"):
            if name in frame.columns and frame[name].null_count() < frame.height:
                whole = frame.filter(pl.col(name).is_not_null())
                decimals(whole, name, source)
                found[name] = pl.col(name).cast(PRICE)
        if symbol_of:
            found["symbol"] = pl.lit(symbol_of(source))
        if sides:
            found["buyer_is_maker"] = pl.col("buyer_is_maker").replace_strict(
                {"sell": True, "buy": False}, default=None, return_dtype=pl.Boolean
            )
        if "received_ts" in frame.columns and frame["received_ts"].null_count() < frame.height:
            received = frame["received_ts"]
            if received.null_count():
                raise DolphinError(f"{received.null_count()} rows have no received_ts", where=source.where)
            found["received_ts"] = Clock(source.where).ns(received).alias("received_ts")
        frame = frame.with_columns(**found)
        absent = [pl.lit(None).alias(c) for c in TICK_COLUMNS if c not in frame.columns]
        frame = frame.with_columns(*absent).select(pl.col(c).cast(t, strict=False) for c, t in TICK_COLUMNS.items())
        check_symbols(frame, source)
        return frame

    return make


def features(frame: pl.DataFrame, source: Source, time: pl.Series) -> pl.DataFrame:
    """ts, symbol and scan_number (null where absent), then every numeric column, eigenvalues and regime."""
    known = ("ts", "symbol", SCAN_NUMBER, "regime", "eigenvalues", time.name)
    numeric = [c for c in frame.columns if frame.schema[c].is_numeric() and c not in known]
    columns: list[pl.Expr | pl.Series] = [time.alias("ts")]
    for name, dtype in (("symbol", pl.String()), (SCAN_NUMBER, pl.Int64())):
        columns.append((pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name))
    columns += [pl.col(name).cast(pl.Float64) for name in numeric]
    if "eigenvalues" in frame.columns:
        columns.append(pl.col("eigenvalues").cast(pl.List(pl.Float64)))
    if "regime" in frame.columns:
        columns.append(pl.col("regime").cast(pl.String))
    frame = frame.select(columns)
    if frame["symbol"].null_count() < frame.height:
        check_symbols(frame, source)
    return frame


def left_out(schema: dict[str, pl.DataType], layout: Layout) -> tuple[str, ...]:
    """A note on the columns of a feature file that are neither numbers nor known."""
    kept = {"symbol", "regime", "eigenvalues", *layout.columns}
    odd = [c for c, dtype in schema.items() if not dtype.is_numeric() and c not in kept]
    if layout.kind != "features" or not odd:
        return ()
    return (f"columns left out, no numbers: {', '.join(odd)}",)


def _scan_rows(frame: pl.DataFrame, source: Source, clock: Clock) -> pl.DataFrame:
    floats(frame, SCAN_COLUMNS[:-1], source)
    return features(frame, source, clock.ns(frame["timestamp"]))


def _scan_day(frame: pl.DataFrame, source: Source, clock: Clock) -> pl.DataFrame:
    floats(frame, FEATURES, source)
    return features(frame, source, clock.ns(frame["ts"]))


def _series(frame: pl.DataFrame, source: Source, clock: Clock) -> pl.DataFrame:
    raise AssertionError("series are read by a module of their own")


_TRADE_INTEGERS = frozenset({"ts", "time", "transact_time", "timestamp", "trade_id", "agg_trade_id", "received_ts"})
_TRADE_DECIMALS = frozenset({"price", "quantity", "qty", "amount", "bid", "ask"})
_MAKER = frozenset({"is_buyer_maker", "buyer_is_maker"})
_SAME = {name: name for name in TICK_COLUMNS}

LAYOUTS = (
    Layout("klines of many symbols", "bars", COLUMNS, _tidy_bars, integers=frozenset({"ts"})),
    Layout(
        "klines of one exchange symbol", "bars", ("open_time", *VALUES), _one_symbol("open_time", exchange_symbol),
        integers=frozenset({"open_time"}),
    ),
    Layout(
        CANDLES, "bars", ("date", *VALUES), _one_symbol("date", freqtrade_symbol),
        texts=frozenset({"date"}),
    ),
    Layout(
        "ticks", "ticks", ("symbol", "ts", "price", "quantity"), _ticks(_SAME),
        tuple(_SAME)[4:], _TRADE_INTEGERS, _TRADE_DECIMALS, _MAKER,
    ),
    Layout(
        "aggregate trades of one exchange symbol", "ticks",
        ("agg_trade_id", "price", "quantity", "transact_time", "is_buyer_maker"),
        _ticks({"ts": "transact_time", "price": "price", "quantity": "quantity",
                "buyer_is_maker": "is_buyer_maker", "trade_id": "agg_trade_id"}, exchange_symbol),
        (), _TRADE_INTEGERS, _TRADE_DECIMALS, _MAKER,
    ),
    Layout(
        "trades of one exchange symbol", "ticks", ("id", "price", "qty", "time", "is_buyer_maker"),
        _ticks({"ts": "time", "price": "price", "quantity": "qty",
                "buyer_is_maker": "is_buyer_maker", "trade_id": "id"}, exchange_symbol),
        (), _TRADE_INTEGERS | {"id"}, _TRADE_DECIMALS, _MAKER,
    ),
    Layout(
        "freqtrade trades", "ticks", ("timestamp", "side", "price", "amount"),
        _ticks({"ts": "timestamp", "price": "price", "quantity": "amount",
                "buyer_is_maker": "side", "trade_id": "id"}, freqtrade_symbol, sides=True),
        ("id",), _TRADE_INTEGERS, _TRADE_DECIMALS, texts=frozenset({"side", "id"}),
    ),
    Layout(
        "scan rows", "features", SCAN_COLUMNS, _scan_rows, None,
        frozenset({"timestamp", SCAN_NUMBER}), texts=frozenset({"symbol", "regime"}),
    ),
    Layout(
        "scan days", "features", ("ts", *FEATURES), _scan_day, None,
        frozenset({"ts", SCAN_NUMBER}), texts=frozenset({"symbol", "regime"}),
    ),
    Layout("a series", "series", ("date", "value"), _series),
    Layout("a series", "series", ("datetime", "value"), _series),
    Layout("funding rates", "series", ("symbol", "ts", "funding_rate"), _series),
)  # fmt: skip
