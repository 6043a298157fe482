"""What every reader must pass: each producer's layout as a writer, and how its reading is held to it.

A new reader adds its producer to ``PRODUCERS`` and passes the tests of ``test_reader_conformance.py``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from hypothesis import strategies as st

from dolphin.catalog import readers
from dolphin.catalog.readers.layouts import TICK_COLUMNS
from dolphin.catalog.readers.reading import Kind
from dolphin.catalog.store.scan_layout import FEATURES

UNITS = {"ms": 10**6, "us": 10**3, "ns": 1}
VALUES = ("open", "high", "low", "close", "volume")
MINUTE_NS = 60 * 10**9


@dataclass(frozen=True)
class Producer:
    """How one producer writes canonical rows."""

    title: str
    kind: Kind
    frames: st.SearchStrategy[pl.DataFrame]
    name: Callable[[pl.DataFrame], str]
    write: Callable[[pl.DataFrame, Path], None]
    allow_pickle: bool = False
    cut_tells: bool = True  # a file that ends within a number is not taken for one with another number

    def file(self, frame: pl.DataFrame, folder: Path) -> Path:
        """Write ``frame`` the way the producer does."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.name(frame)
        self.write(frame, path)
        return path

    def read(self, path: Path) -> pl.DataFrame:
        """All rows of a file."""
        reading = readers.read(path, allow_pickle=self.allow_pickle)
        assert reading.kind == self.kind
        return pl.concat(reading.frames)


# Canonical rows


symbols = st.from_regex(r"[A-Z0-9]{1,20}", fullmatch=True)
pairs = st.from_regex(r"[A-Z0-9]{2,20}", fullmatch=True)
prices = st.builds(lambda m, e: m * 10.0**e, st.floats(1, 10), st.integers(-8, 4))  # over 12 orders of magnitude
numbers = st.floats(-1e12, 1e12) | st.sampled_from([0.0, float("nan"), float("inf")])
starts = st.integers(946_684_800_000, 4_102_444_000_000)  # ms
counts = st.integers(1, 12)


@st.composite
def bars(draw: st.DrawFn, symbol: st.SearchStrategy[str] = symbols, many: bool = False) -> pl.DataFrame:
    """Rows of one or more symbols, whole minutes apart; prices need not make sense as candles."""
    frames = []
    for name in sorted(draw(st.sets(symbol, min_size=1, max_size=3 if many else 1))):
        rows, start = draw(counts), draw(starts)
        cells = {c: draw(st.lists(prices, min_size=rows, max_size=rows)) for c in VALUES}
        ts = [start * 10**6 + MINUTE_NS * i for i in range(rows)]
        frames.append(pl.DataFrame({"symbol": [name] * rows, "ts": ts, **cells}))
    return pl.concat(frames)


@st.composite
def ticks(draw: st.DrawFn, symbol: st.SearchStrategy[str] = symbols, quotes: bool = False) -> pl.DataFrame:
    """Trades with exact decimals; with ``quotes`` also bid, ask and the time of receipt."""
    rows = draw(counts)
    exact = st.decimals(Decimal("0.00000001"), Decimal("99999999999.99999999"), places=8)

    def column(of: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(of, min_size=rows, max_size=rows))

    ts = [t * 10**6 for t in column(starts)]
    nullable = exact | st.none()
    columns: dict[str, Any] = {
        "symbol": [draw(symbol)] * rows,
        "ts": ts,
        "price": column(exact),
        "quantity": column(exact),
        "buyer_is_maker": column(st.booleans()),
        "trade_id": column(st.integers(0, 2**63 - 1)),
        "bid": column(nullable) if quotes else [None] * rows,
        "ask": column(nullable) if quotes else [None] * rows,
        "received_ts": [t + 5 for t in ts] if quotes else [None] * rows,
    }
    return pl.DataFrame(columns, schema=TICK_COLUMNS)


@st.composite
def floats_like(draw: st.DrawFn) -> pl.DataFrame:
    """Ticks whose decimals are those that a float64 prints as: what freqtrade keeps."""
    frame = draw(ticks(pairs))
    cents = st.decimals(Decimal("0.01"), Decimal("99999.99"), places=2)
    cells = draw(st.lists(cents, min_size=2 * frame.height, max_size=2 * frame.height))
    return frame.with_columns(
        pl.Series("price", cells[: frame.height], pl.Decimal(20, 8)),
        pl.Series("quantity", cells[frame.height :], pl.Decimal(20, 8)),
    )


@st.composite
def features(
    draw: st.DrawFn,
    names: tuple[str, ...],
    symbol: bool = False,
    scan: bool = False,
    spectrum: bool = False,
    regime: bool = False,
    finite: bool = False,
) -> pl.DataFrame:
    """Feature rows with these columns."""
    rows = draw(counts)
    values = numbers.filter(np.isfinite) if finite else numbers

    def column(of: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(of, min_size=rows, max_size=rows))

    columns: dict[str, Any] = {
        "ts": pl.Series([t * 10**6 for t in column(starts)], dtype=pl.Int64),
        "symbol": pl.Series(column(symbols) if symbol else [None] * rows, dtype=pl.String),
        "scan_number": pl.Series(column(st.integers(0, 2**40)) if scan else [None] * rows, dtype=pl.Int64),
        **{name: pl.Series(column(values), dtype=pl.Float64) for name in names},
    }
    if spectrum:
        width = draw(st.integers(1, 5))
        cells = column(st.lists(values, min_size=width, max_size=width))
        columns["eigenvalues"] = pl.Series(cells, dtype=pl.List(pl.Float64))
    if regime:
        columns["regime"] = pl.Series(column(st.sampled_from(["bull", "bear", "neutral"])), dtype=pl.String)
    return pl.DataFrame(columns)


# Producers' files


def one_symbol(frame: pl.DataFrame) -> str:
    return str(frame["symbol"][0])


def pair(frame: pl.DataFrame) -> str:
    """A freqtrade pair whose two halves make the symbol."""
    symbol = one_symbol(frame)
    return f"{symbol[:-1]}_{symbol[-1]}"


def times(frame: pl.DataFrame, unit: str, name: str = "ts") -> pl.Expr:
    return (pl.col("ts") // UNITS[unit]).alias(name)


def kline_bytes(frame: pl.DataFrame, header: bool, unit: str) -> bytes:
    lines = [",".join(readers.KLINE_COLUMNS)] if header else []
    for _, ts, *cells in frame.iter_rows():
        values = ",".join(map(repr, cells))
        lines.append(f"{ts // UNITS[unit]},{values},{ts // UNITS[unit] + 59},1.5,3,0.5,0.7,0")
    return ("\n".join(lines) + "\n").encode()


def trade_bytes(frame: pl.DataFrame, header: bool, unit: str, aggregate: bool) -> bytes:
    lines = []
    if header:
        lines.append(
            "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
            if aggregate
            else "id,price,qty,quote_qty,time,is_buyer_maker"
        )
    for row in frame.iter_rows(named=True):
        time, maker = row["ts"] // UNITS[unit], str(row["buyer_is_maker"])
        head = f"{row['trade_id']},{row['price']},{row['quantity']}"
        lines.append(f"{head},1,2,{time},{maker.lower()}" if aggregate else f"{head},3.5,{time},{maker}")
    return ("\n".join(lines) + "\n").encode()


def write_zip(data: bytes, name: str, path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)


def write_tidy(frame: pl.DataFrame, path: Path, unit: str, datetimes: bool) -> None:
    time = pl.col("ts").cast(pl.Datetime("ns")).cast(pl.Datetime(unit)) if datetimes else times(frame, unit)  # type: ignore[arg-type]
    frame.with_columns(time.alias("ts")).write_parquet(path, compression="zstd")


def write_feather(frame: pl.DataFrame, path: Path, unit: str) -> None:
    """As pandas' ``to_feather(compression="lz4")`` writes freqtrade's candles."""
    import pandas as pd
    import pyarrow.feather as feather

    table = pd.DataFrame({c: frame[c].to_numpy() for c in VALUES})
    date = pd.to_datetime(frame["ts"].to_numpy(), unit="ns", utc=True).as_unit(unit)
    table.insert(0, "date", date)
    feather.write_feather(pa.Table.from_pandas(table), str(path), compression="lz4")


def write_trades_feather(frame: pl.DataFrame, path: Path) -> None:
    import pyarrow.feather as feather

    table = pa.table(
        {
            "timestamp": (frame["ts"] // 10**6).to_arrow(),
            "id": frame["trade_id"].cast(pl.String).to_arrow(),
            "type": pa.nulls(frame.height, pa.string()),
            "side": ["sell" if maker else "buy" for maker in frame["buyer_is_maker"]],
            "price": frame["price"].cast(pl.Float64).to_arrow(),
            "amount": frame["quantity"].cast(pl.Float64).to_arrow(),
            "cost": [0.0] * frame.height,
        }
    )
    feather.write_feather(table, str(path), compression="lz4")


def freqtrade_json(frame: pl.DataFrame) -> bytes:
    return json.dumps([[ts // 10**6, *cells] for _, ts, *cells in frame.iter_rows()]).encode()


def write_ipc(frame: pl.DataFrame, path: Path, stream: bool, unit: str, compression: str | None) -> None:
    table = frame.with_columns(times(frame, unit, "timestamp")).drop("ts", "scan_number").to_arrow()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    new = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as sink, new(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=4)


def records(frame: pl.DataFrame, unit: str | None) -> list[dict[str, Any]]:
    """Eigenvalue records; times as integers, or as ISO text where ``unit`` is None."""
    rows = []
    for row in frame.iter_rows(named=True):
        ts = row.pop("ts")
        time = ts // UNITS[unit] if unit else f"{np.datetime64(ts // 1000, 'us')}Z"
        rows.append({"timestamp": time, **{k: v for k, v in row.items() if k != "symbol"}})
    return rows


def write_npz(frame: pl.DataFrame, path: Path, packed: bool) -> None:
    arrays = {c: frame[c].to_numpy() for c in frame.columns if c not in ("ts", "symbol", "regime", "eigenvalues")}
    arrays["eigenvalues"] = np.array(frame["eigenvalues"].to_list())
    arrays["regime"] = np.array(frame["regime"].to_list())
    arrays["timestamps"] = frame["ts"].to_numpy() // 10**6
    buffer = io.BytesIO()
    (np.savez_compressed if packed else np.savez)(buffer, **arrays)
    path.write_bytes(buffer.getvalue())
    seal(path)


def seal(path: Path) -> None:
    """The checksum file beside an NPZ, as sha256sum prints it."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(path.name + ".sha256").write_text(f"{digest}  {path.name}\n")


@st.composite
def candles(draw: st.DrawFn, step: int = MINUTE_NS, volume: bool = True) -> pl.DataFrame:
    """Bars of one symbol as people's exports have them: times on the grid, a symbol of letters."""
    rows, first = draw(st.integers(2, 12)), draw(st.integers(20_000, 25_000)) * 86_400 * 10**9
    cells = {c: draw(st.lists(prices, min_size=rows, max_size=rows)) for c in VALUES}
    symbol = draw(st.from_regex(r"Q[A-Z]{4}X", fullmatch=True))
    if not volume:
        cells["volume"] = [0.0] * rows
    return pl.DataFrame({"symbol": [symbol] * rows, "ts": [first + step * i for i in range(rows)], **cells})


def export(
    header: str | None, form: str, separator: str = ",", *, columns: tuple[str, ...] = VALUES, tail: str = ""
) -> Callable[[pl.DataFrame, Path], None]:
    """A writer of text: the time by ``form`` (of strftime, or a unit), then these columns, then what nobody reads."""

    def write(frame: pl.DataFrame, path: Path) -> None:
        time = (
            pl.from_epoch("ts", time_unit="ns").dt.strftime(form)
            if "%" in form
            else pl.col("ts") // (UNITS | {"s": 10**9})[form]
        )
        table = frame.select(time.cast(pl.String).alias("time"), *columns)
        lines = [separator.join(map(str, row)) + tail for row in table.iter_rows()]
        path.write_text("\n".join([*([header] if header else []), *lines]) + "\n", newline="\n")

    return write


def write_download(frame: pl.DataFrame, path: Path) -> None:
    """As ``yfinance.download(...).to_csv()``: fields and tickers in two rows, the index' name in a third."""
    import pandas as pd

    symbol = frame["symbol"][0]
    fields = ["Close", "High", "Low", "Open", "Volume"]
    index = pd.DatetimeIndex(pd.to_datetime(frame["ts"].to_numpy()), name="Date")
    columns = pd.MultiIndex.from_product([fields, [symbol]], names=["Price", "Ticker"])
    pd.DataFrame(frame.select(f.lower() for f in fields).to_numpy(), index, columns).to_csv(path)


def write_frame(form: str) -> Callable[[pl.DataFrame, Path], None]:
    """A pandas frame with its times in the index, as Parquet or Feather."""

    def write(frame: pl.DataFrame, path: Path) -> None:
        import pandas as pd

        table = pd.DataFrame({name.title(): frame[name].to_numpy() for name in VALUES})
        table.index = pd.DatetimeIndex(pd.to_datetime(frame["ts"].to_numpy()), name="Date")
        if form == "feather":
            table = table.reset_index()
        getattr(table, f"to_{form}")(path)

    return write


DAY_FRAMES, FLAT = candles(86_400 * 10**9), candles(volume=False)


def _exports() -> list[Producer]:
    """Files that people have: charting programs, terminals, exchanges, spreadsheets, and frames that were saved."""
    text = [
        ("yfinance history", DAY_FRAMES, "{}.csv",
         export("Date,Open,High,Low,Close,Volume,Dividends,Stock Splits", "%Y-%m-%d 00:00:00-05:00", tail=",0.0,0.0")),
        ("yfinance download", DAY_FRAMES, "prices.csv", write_download),
        ("ccxt frame", candles(), "{}-1m.csv", export("timestamp,open,high,low,close,volume", "ms")),
        ("ccxt lists", candles(), "binance_{}_1m.csv", export(None, "ms")),
        ("TradingView in seconds", candles(), "BINANCE_{}, 1.csv", export("time,open,high,low,close,Volume", "s")),
        ("TradingView in ISO", candles(), "BINANCE_{}, 1_a1b2c.csv",
         export("time,open,high,low,close,Volume", "%Y-%m-%dT%H:%M:%S+00:00")),
        ("MetaTrader 5", candles(), "{}_M1_202001020000_202012312345.csv",
         export("<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>", "%Y.%m.%d\t%H:%M:%S",
                "\t", tail="\t0\t3")),
        ("MetaTrader 4", candles(), "{}1.csv", export(None, "%Y.%m.%d,%H:%M")),
        ("Kraken", candles(), "{}_1.csv", export(None, "s", tail=",17")),
        ("spreadsheet with commas", FLAT, "{}.csv", None),
        ("TSV without volume", FLAT, "{}.tsv", export("datetime\topen\thigh\tlow\tclose", "%Y-%m-%d %H:%M:%S", "\t",
                                                     columns=VALUES[:4])),
    ]  # fmt: skip

    def with_commas(frame: pl.DataFrame, path: Path) -> None:
        export("Date;Open;High;Low;Close", "%d.%m.%Y %H:%M", ";", columns=VALUES[:4])(frame, path)
        head, _, rows = path.read_text().partition("\n")
        lines = [";".join([t, *(c.replace(".", ",") for c in cells)])
                 for t, *cells in (line.split(";") for line in rows.splitlines())]  # fmt: skip
        path.write_text("\n".join([head, *lines]) + "\n")

    made = [
        Producer(
            title, "bars", frames, lambda f, n=name: n.format(one_symbol(f)), write or with_commas, cut_tells=False
        )
        for title, frames, name, write in text
    ]
    for form in ("parquet", "feather"):
        name = lambda f, s=form: f"{one_symbol(f)}.{s}"  # noqa: E731
        made.append(Producer(f"pandas {form}", "bars", DAY_FRAMES, name, write_frame(form)))
    return made


def write_pickle(frame: pl.DataFrame, path: Path) -> None:
    import pickle

    import pandas as pd

    table = pd.DataFrame({c: frame[c].to_list() for c in frame.columns})
    with path.open("wb") as stream:
        pickle.dump(table, stream)


SCAN = ("vel_div", "lambda_max_w50", "lambda_max_w150", "instability")
EIGEN = {"names": ("bull", "bear"), "scan": True, "spectrum": True, "regime": True}


MANY, ONE, PAIRED = bars(many=True), bars(), bars(pairs)
TRADES = ticks()
SCANS, EIGENS = features(SCAN, symbol=True), features(**EIGEN)


def _producers() -> list[Producer]:
    made = []
    for unit in UNITS:
        for datetimes in (False, True):
            made.append(
                Producer(
                    f"klines parquet {'datetime ' * datetimes}{unit}", "bars", MANY, lambda f: "k.parquet",
                    lambda f, p, u=unit, d=datetimes: write_tidy(f, p, u, d),
                )
            )  # fmt: skip
    for unit in ("ms", "us"):
        for header in (False, True):
            made.append(
                Producer(
                    f"klines csv {unit} {'header' * header}", "bars", ONE,
                    lambda f: f"{one_symbol(f)}-1m-2025-01.csv",
                    lambda f, p, u=unit, h=header: p.write_bytes(kline_bytes(f, h, u)),
                )
            )  # fmt: skip
    made += [
        Producer(
            "klines csv.gz", "bars", ONE, lambda f: f"{one_symbol(f)}-1m.csv.gz",
            lambda f, p: p.write_bytes(gzip.compress(kline_bytes(f, True, "ms"))),
        ),
        Producer(
            "klines zip", "bars", ONE, lambda f: "any.zip",
            lambda f, p: write_zip(kline_bytes(f, False, "us"), f"{one_symbol(f)}-1m.csv", p),
        ),
        Producer(
            "aggregate trades csv", "ticks", TRADES, lambda f: f"{one_symbol(f)}-aggTrades-2025-01.csv",
            lambda f, p: p.write_bytes(trade_bytes(f, True, "ms", True)),
        ),
        Producer(
            "aggregate trades zip without header", "ticks", TRADES, lambda f: "trades.zip",
            lambda f, p: write_zip(trade_bytes(f, False, "us", True), f"{one_symbol(f)}-aggTrades.csv", p),
        ),
        Producer(
            "trades csv", "ticks", TRADES, lambda f: f"{one_symbol(f)}-trades-2025-01.csv",
            lambda f, p: p.write_bytes(trade_bytes(f, False, "us", False)),
        ),
        Producer(
            "trades csv.gz with header", "ticks", TRADES, lambda f: f"{one_symbol(f)}-trades-2025-01.csv.gz",
            lambda f, p: p.write_bytes(gzip.compress(trade_bytes(f, True, "ms", False))),
        ),
        Producer(
            "ticks parquet", "ticks", ticks(quotes=True), lambda f: "ticks.parquet",
            lambda f, p: f.write_parquet(p),
        ),
        Producer(
            "freqtrade feather", "bars", PAIRED, lambda f: f"{pair(f)}-5m.feather",
            lambda f, p: write_feather(f, p, "ms"),
        ),
        Producer(
            "freqtrade futures feather", "bars", PAIRED, lambda f: f"{pair(f)}_USDT-1h-futures.feather",
            lambda f, p: write_feather(f, p, "ns"),
        ),
        Producer(
            "freqtrade trades feather", "ticks", floats_like(), lambda f: f"{pair(f)}-trades.feather",
            write_trades_feather,
        ),
        Producer(
            "freqtrade json", "bars", PAIRED, lambda f: f"{pair(f)}-5m.json",
            lambda f, p: p.write_bytes(freqtrade_json(f)),
        ),
        Producer(
            "freqtrade json.gz", "bars", PAIRED, lambda f: f"{pair(f)}-5m.json.gz",
            lambda f, p: p.write_bytes(gzip.compress(freqtrade_json(f))),
        ),
        Producer(
            "scan arrow file", "features", SCANS, lambda f: "scan.arrow",
            lambda f, p: write_ipc(f, p, False, "ms", "lz4"),
        ),
        Producer(
            "scan arrow file of polars", "features", SCANS, lambda f: "scan.arrow",
            lambda f, p: f.rename({"ts": "timestamp"}).drop("scan_number").write_ipc(p, compression="zstd"),
        ),
        Producer(
            "scan arrow stream", "features", SCANS, lambda f: "scan.arrows",
            lambda f, p: write_ipc(f, p, True, "ns", None),
        ),
        Producer(
            "scan arrow stream called ipc", "features", SCANS, lambda f: "scan.ipc",
            lambda f, p: write_ipc(f, p, True, "us", "zstd"),
        ),
        Producer(
            "scan day parquet", "features", features((*FEATURES, "BTCUSDT", "1INCHUSDT")),
            lambda f: "2025-01-31.parquet",
            lambda f, p: f.drop("symbol", "scan_number").write_parquet(p, compression="zstd"),
        ),
        Producer(
            "eigenvalue json", "features", EIGENS, lambda f: "eigen.json",
            lambda f, p: p.write_text(json.dumps(records(f, "ms"), indent=1)),
        ),
        Producer(
            "eigenvalue lines", "features", EIGENS, lambda f: "eigen.ndjson",
            lambda f, p: p.write_text("\n".join(map(json.dumps, records(f, None)))),
        ),
        Producer(
            "eigenvalue lines packed", "features", EIGENS, lambda f: "eigen.jsonl.gz",
            lambda f, p: p.write_bytes(gzip.compress("\n".join(map(json.dumps, records(f, "ns"))).encode())),
        ),
        Producer(
            "indicators npz", "features", EIGENS, lambda f: "2025-01-31__Indicators.npz",
            lambda f, p: write_npz(f, p, False),
        ),
        Producer(
            "indicators npz packed", "features", EIGENS, lambda f: "a__Indicators.npz",
            lambda f, p: write_npz(f, p, True),
        ),
        Producer("pickle", "bars", MANY, lambda f: "k.pkl", write_pickle, allow_pickle=True),
    ]  # fmt: skip
    return made


PRODUCERS = _producers() + _exports()
