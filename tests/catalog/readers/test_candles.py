from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from dolphin.catalog import readers
from dolphin.catalog.readers.moments import moments
from dolphin.catalog.readers.names import symbol_of, symbol_of_file
from dolphin.catalog.readers.reading import Source
from dolphin.errors import DolphinError
from dolphin.times import DAY_NS, parse_time

SOURCE = Source("a.csv", "a.csv")


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("BTC-USD.csv", "BTCUSD"),
        ("BTC-EUR.csv", "BTCEUR"),
        ("BTCUSDT-5m-2025-01.csv", "BTCUSDT"),
        ("BINANCE_BTCUSDT, 60.csv", "BTCUSDT"),
        ("COINBASE_BTCUSD, 1D_a1b2c.csv", "BTCUSD"),
        ("XBTUSD_1440.csv", "XBTUSD"),
        ("EURUSD_M15_202001020000_202012312345.csv", "EURUSD"),
        ("BRK-B.csv", "BRKB"),
        ("^GSPC.csv", "GSPC"),
        ("btc_usdt_1h_2024.csv.gz", "BTCUSDT"),
        ("5M.csv", "5M"),
    ],
)
def test_the_symbol_that_a_file_names(name: str, symbol: str) -> None:
    assert symbol_of_file(Source(name, name)) == symbol


def test_symbols_of_a_column() -> None:
    assert [symbol_of(s) for s in ("BTC/USDT", "BTC/USDT:USDT", "brk.b", "NASDAQ:AAPL", "EURUSD=X")] == [
        "BTCUSDT", "BTCUSDTPERP", "BRKB", "AAPL", "EURUSDX",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2024-01-02", "2024-01-02"),
        ("2024-01-02 03:04", "2024-01-02T03:04:00"),
        ("2024-01-02T03:04:05.123456789Z", "2024-01-02T03:04:05.123456789"),
        ("2024-01-02T03:04:05-05:00", "2024-01-02T08:04:05"),
        ("2024/1/2 3:04:05 UTC", "2024-01-02T03:04:05"),
        ("2024.01.02 03:04", "2024-01-02T03:04:00"),
        ("20240102", "2024-01-02"),
        ("20240102 030405", "2024-01-02T03:04:05"),
        ("31.12.2024 10:00", "2024-12-31T10:00:00"),
        ("31/12/2024", "2024-12-31"),
        ("12/31/2024", "2024-12-31"),
        ("1704164645", "2024-01-02T03:04:05"),
        ("1704164645000", "2024-01-02T03:04:05"),
        ("1704164645.5", "2024-01-02T03:04:05.5"),
        ("1704164645000000", "2024-01-02T03:04:05"),
        ("1704164645000000001", "2024-01-02T03:04:05.000000001"),
        ("1987-10-19", "1987-10-19"),
        ("Mar 05, 2024", "2024-03-05"),
        ("5-March-2024 10:00", "2024-03-05T10:00:00"),
        ("12/31/2024 12:05 AM", "2024-12-31T00:05:00"),
        ("12/31/2024 1:05:06 pm", "2024-12-31T13:05:06"),
    ],
)
def test_times_as_people_write_them(written: str, read: str) -> None:
    assert moments(pl.Series("time", [written]), SOURCE).ns.to_list() == [parse_time(read)]


@pytest.mark.parametrize(
    "written",
    ["01/02/2024", "2024-13-01", "2024-01-02 25:00", "soon", "12", "1850-01-01", "Foo 05, 2024", "12/31/2024 13:05 PM"],
)
def test_what_is_no_time(written: str) -> None:
    with pytest.raises(DolphinError, match=r"a\.csv: .*"):
        moments(pl.Series("time", [written]), SOURCE)


def test_midnights_of_a_zone_are_dates() -> None:
    texts = pl.Series("Date", ["2024-01-02 00:00:00-05:00", "2024-07-02 00:00:00-04:00"])
    expected = [parse_time("2024-01-02"), parse_time("2024-07-02")]
    assert moments(texts, SOURCE).ns.to_list() == expected
    typed = pl.Series("Date", expected).cast(pl.Datetime("ns")).dt.replace_time_zone("America/New_York")
    assert moments(typed, SOURCE).ns.to_list() == expected
    assert moments(typed.dt.offset_by("1h"), SOURCE).ns.to_list() == [
        parse_time("2024-01-02T06:00:00"), parse_time("2024-07-02T05:00:00"),
    ]  # fmt: skip


def write(folder: Path, text: str, name: str = "AAPL.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


ADJUSTED = "Date,Open,High,Low,Close,Adj Close,Volume\n2024-01-02,10,11,9,10.5,5.25,100\n"


def test_an_adjusted_close_adjusts_the_candle(tmp_path: Path) -> None:
    path = write(tmp_path, ADJUSTED)
    (plain,) = readers.read(path).frames
    assert plain.row(0)[2:] == (10.0, 11.0, 9.0, 10.5, 100.0)
    reading = readers.read(path, columns={"close": "adj close"})
    (adjusted,) = reading.frames
    assert adjusted.row(0)[2:] == (5.0, 5.5, 4.5, 5.25, 100.0)
    assert reading.notes == ("prices are adjusted as 'Adj Close' is",)


def test_several_tickers_of_one_download(tmp_path: Path) -> None:
    text = "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume\n"
    text += "Ticker" + ",AAPL,BRK-B" * 5 + "\nDate" + "," * 10 + "\n"
    text += "2024-01-02" + ",1,2" * 5 + "\n2024-01-03" + ",1," * 5 + "\n"
    (frame,) = readers.read(write(tmp_path, text, "two.csv")).frames
    assert frame.group_by("symbol").len().sort("symbol").rows() == [("AAPL", 2), ("BRKB", 1)]


CANDLE = (100.0, 101.5, 99.0, 1100.5, 1234.5)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("BTCUSDT.csv", "https://www.CryptoDataDownload.com\n"
         "Unix,Date,Symbol,Open,High,Low,Close,Volume BTC,tradecount\n"
         "1709258400000,2024-03-01 02:00:00,BTCUSDT,1,1,1,1,1,1\n"
         "1709254800000,2024-03-01 01:00:00,BTCUSDT,100,101.5,99,1100.5,1234.5,7\n"),
        ("Gold Futures Historical Data.csv", '"Date","Price","Open","High","Low","Vol.","Change %"\n'
         '"Mar 02, 2024","1","1","1","1","","0%"\n'
         '"Mar 01, 2024","1,100.50","100.00","101.50","99.00","1.2345K","0%"\n'),
        ("dax.csv", "date;open;high;low;close;volume\n01.03.2024;100,0;101,50;99;1.100,50;1.234,5\n"),
        ("dax.tsv", "date\topen\thigh\tlow\tclose\tvolume\n01.03.2024\t100,0\t101,50\t99\t1100,50\t1234,5\n"),
        ("btc.csv", ",open,high,low,close,volume\n2024-03-01 00:00:00+00:00,100,101.5,99,1100.5,1234.5\n"),
        ("AAPL.csv", "Ticker,AAPL,AAPL,AAPL,AAPL,AAPL\nPrice,Open,High,Low,Close,Volume\nDate,,,,,\n"
         "2024-03-01,100,101.5,99,1100.5,1234.5\n"),
    ],
)  # fmt: skip
def test_exports_that_people_download(tmp_path: Path, name: str, text: str) -> None:
    reading = readers.read(write(tmp_path, text, name))
    (frame,) = reading.frames
    assert frame.row(0)[2:] == CANDLE
    assert frame["ts"][0] // DAY_NS == parse_time("2024-03-01") // DAY_NS
    turned = "its newest row is its first: read from the end"
    assert (turned in reading.notes) == (frame.height == 2) and frame["ts"].is_sorted()


def test_text_of_two_bytes_a_character(tmp_path: Path) -> None:
    path = tmp_path / "EURUSD_H1.csv"
    path.write_bytes("<DATE>\t<TIME>\t<CLOSE>\n2024.03.01\t01:00:00\t1.5\n".encode("utf-16"))
    (frame,) = readers.read(path).frames
    assert frame.row(0)[:2] == ("EURUSD", parse_time("2024-03-01T01:00:00"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("date,close\n2024-01-01,\"1,234\"\n", "'1,234' in column 'close' is no number"),
        ("date;close\n2024-01-01;1,5\n2024-01-02;1.5.0\n", "'1.5.0' in column 'close' is no number (data row 2"),
        ("Datum;Hoch\n2024-01-01;1\n", "name it: --columns time=COLUMN (there are 'Datum', 'Hoch')"),
    ],
)  # fmt: skip
def test_a_number_or_a_header_that_is_not_told_is_shown_as_it_stands(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DolphinError) as caught:
        list(readers.read(write(tmp_path, text)).frames)
    assert says in str(caught.value)


def test_a_text_file_in_a_folder_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, "date,close\n2024-01-01,1\n", "aapl.us.txt")
    with pytest.raises(DolphinError, match=r"read where it is named itself: .*aapl\.us\.txt"):
        readers.find_files(tmp_path)
    assert readers.find_files(path)[0] == [path]


@pytest.mark.parametrize(
    ("text", "columns", "says"),
    [
        ("when,px\n2024-01-01,2\n", {"time": "when", "close": "pxx"}, "no column 'pxx'; did you mean 'px'"),
        ("when,px\n2024-01-01,2\n", {"tme": "when"}, "no such role; did you mean 'time'"),
        ("when,close\n2024-01-01,2\n", None, "no column for the time; name it: --columns time=COLUMN"),
        ("date,open,high,close\n2024-01-01,1,1,1\n", None, "no column for the low"),
        ("date,close\n2024-01-01,x\n", None, "'x' in column 'close' is no number (data row 1"),
        ("date,close\n2024-01-01,1\n2024-01-02\n", None, "data row 2 has 1 cells where there are 2: '2024-01-02'"),
        ("pair,date,close\nA/B,2024-01-01,1\nA-B,2024-01-02,1\n", None, "'A-B' and 'A/B' are both AB here"),
        ("date,close\n", None, "no rows"),
    ],
)  # fmt: skip
def test_what_a_table_is_refused_for(tmp_path: Path, text: str, columns: dict[str, str] | None, says: str) -> None:
    with pytest.raises(DolphinError) as caught:
        list(readers.read(write(tmp_path, text), columns=columns).frames)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_the_first_sheet_of_a_workbook(tmp_path: Path) -> None:
    import pandas as pd

    table = pd.DataFrame({"Close": [1.5, 2.5]}, pd.DatetimeIndex(["2024-01-02", "2024-01-03"], name="Date"))
    with pd.ExcelWriter(tmp_path / "GOLD.xlsx") as book:
        table.to_excel(book, sheet_name="prices")
        table.to_excel(book, sheet_name="other")
    reading = readers.read(tmp_path / "GOLD.xlsx")
    (frame,) = reading.frames
    assert frame.select("symbol", "ts", "close").rows() == [
        ("GOLD", parse_time("2024-01-02"), 1.5), ("GOLD", parse_time("2024-01-03"), 2.5),
    ]  # fmt: skip
    assert "only its first sheet of 2 is read" in reading.notes
    (tmp_path / "BAD.xlsx").write_bytes((tmp_path / "GOLD.xlsx").read_bytes()[:900])
    with pytest.raises(DolphinError, match=r"BAD\.xlsx"):
        readers.read(tmp_path / "BAD.xlsx")
