from __future__ import annotations

import zipfile
from pathlib import Path

import polars as pl
import pytest

from dolphin.catalog import readers
from dolphin.errors import DolphinError

HEADER = ",".join(readers.KLINE_COLUMNS)
ROWS = [(1735689600000 + 60000 * i, f"{10 + i}.50,{11 + i}.00,10.25,10.75,3.5") for i in range(4)]


def table(path: Path) -> pl.DataFrame:
    return pl.concat(readers.read(path).frames)


def kline_text(factor: int = 1, header: bool = False, end: str = "\n") -> str:
    lines = [f"{t * factor},{ohlcv},{t * factor + 59999},1,2,3,4,0" for t, ohlcv in ROWS]
    return end.join([HEADER, *lines] if header else lines) + end


@pytest.mark.parametrize("factor", [1, 1000, 1_000_000])
@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_in_every_form(tmp_path: Path, factor: int, header: bool, end: str) -> None:
    path = tmp_path / "FILUSDT-1m-2025-01.csv"
    path.write_bytes(kline_text(factor, header, end).encode())
    frame = table(path)
    assert frame["symbol"].unique().to_list() == ["FILUSDT"]
    assert frame["ts"].to_list() == [t * 10**6 for t, _ in ROWS]
    assert frame["open"].to_list() == [10.5, 11.5, 12.5, 13.5]
    assert frame["volume"].to_list() == [3.5] * 4
    assert frame.columns == ["symbol", "ts", "open", "high", "low", "close", "volume"]


def test_csv_with_a_byte_order_mark_and_spaced_names(tmp_path: Path) -> None:
    path = tmp_path / "AUSDT-1m.csv"
    text = kline_text(header=True).replace("open_time", "Open Time", 1).replace(",open,", ",Open,", 1)
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert table(path).height == 4


def test_zip_is_the_csv_inside(tmp_path: Path) -> None:
    plain = tmp_path / "AUSDT-1m.csv"
    plain.write_text(kline_text())
    packed = tmp_path / "any.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(plain, "folder/AUSDT-1m.csv")
    assert table(packed).equals(table(plain))


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_parquet_datetimes(tmp_path: Path, klines: pl.DataFrame, unit: str) -> None:
    path = tmp_path / "k.parquet"
    klines.with_columns(pl.col("ts").cast(pl.Datetime("ms")).cast(pl.Datetime(unit))).write_parquet(path)  # type: ignore[arg-type]
    expected = klines["ts"].to_numpy() * 10**6
    assert (table(path)["ts"].to_numpy() == expected).all()


def spoilt(tmp_path: Path, case: str) -> Path:
    path = tmp_path / "AUSDT-1m.csv"
    if case == "magic":
        path = tmp_path / "a.parquet"
        path.write_bytes(b"hello, this is no Parquet")
    elif case == "cut":
        path = tmp_path / "a.parquet"
        path.write_bytes(b"PAR1 and then nothing")
    elif case == "no rows":
        path = tmp_path / "a.parquet"
        numbers = dict.fromkeys(("open", "high", "low", "close", "volume"), pl.Float64)
        pl.DataFrame(schema={"symbol": pl.String, "ts": pl.Int64, **numbers}).write_parquet(path)
    elif case == "text price":
        path = tmp_path / "a.parquet"
        pl.DataFrame({"symbol": ["A"], "ts": [ROWS[0][0]], "open": ["x"], "high": [1.0], "low": [1.0],
                      "close": [1.0], "volume": [1.0]}).write_parquet(path)  # fmt: skip
    elif case == "binary":
        path.write_bytes(b"\0\1\2\3" * 10)
    elif case == "empty":
        path.write_bytes(b"\n")
    elif case == "column":
        path.write_text(kline_text(header=True).replace("close,", "clsoe,", 1))
    elif case == "few columns":
        path.write_text("1735689600000,1,2\n")
    elif case == "ragged":
        path.write_text(kline_text() + "1735689900000,1,2,3,4,5,6,7,8,9,10,11,12,13,14\n")
    elif case == "no time":
        path.write_text(kline_text(header=True) + "soon,1,2,1,1,1,0,0,0,0,0,0\n")
    elif case == "year":
        path.write_text(kline_text().replace("1735689600000", "17356896", 1))
    elif case == "name":
        path = tmp_path / "klines.csv"
        path.write_text(kline_text())
    elif case == "no zip":
        path = tmp_path / "a.zip"
        path.write_bytes(b"PK but no zip")
    else:
        path = tmp_path / "a.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            if case == "traversal":
                archive.writestr("../../AUSDT-1m.csv", kline_text())
            elif case == "absolute":
                archive.writestr("/AUSDT-1m.csv", kline_text())
            elif case == "bomb":
                archive.writestr("AUSDT-1m.csv", "0" * 3_000_000)
            elif case == "other member":
                archive.writestr("run.exe", "x")
    return path


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("magic", "not a Parquet file"),
        ("cut", "not readable as Parquet"),
        ("no rows", "no rows"),
        ("text price", "column 'open' is String, no number"),
        ("binary", "not a CSV"),
        ("empty", "empty file"),
        ("column", r"no column for the close; did you mean 'clsoe'"),
        ("few columns", "3 columns without a header"),
        ("ragged", "not readable as CSV"),
        ("no time", "1 rows have no integer open_time"),
        ("year", "1 of 4 times are empty or not between 2000 and 2100"),
        ("name", "names no symbol"),
        ("no zip", "not a zip file"),
        ("empty zip", "empty zip"),
        ("traversal", "points outside the archive"),
        ("absolute", "points outside the archive"),
        ("bomb", "would unpack to 3000000 bytes"),
        ("other member", "'run.exe' in the zip is no CSV"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, case: str, says: str) -> None:
    path = spoilt(tmp_path, case)
    with pytest.raises(DolphinError, match=says) as caught:
        table(path)
    assert path.name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_find_files(tmp_path: Path) -> None:
    with pytest.raises(DolphinError, match="no such file or folder"):
        readers.find_files(tmp_path / "absent")
    with pytest.raises(DolphinError, match="no data file in this folder"):
        readers.find_files(tmp_path)
    for name in ("b.csv", "a.parquet", "instruments.json", ".hidden.csv", "notes.pdf", "README.md", "b.npz.sha256"):
        (tmp_path / name).write_bytes(b"x")
    files, skipped = readers.find_files(tmp_path)
    assert [p.name for p in files] == ["a.parquet", "b.csv"]
    assert [p.name for p in skipped] == ["notes.pdf"]
    assert readers.find_files(tmp_path / "b.csv") == ([tmp_path / "b.csv"], [])
    with pytest.raises(DolphinError, match=r"no reader for '\.pdf'"):
        readers.find_files(tmp_path / "notes.pdf")


@pytest.mark.parametrize("name", ["BTCUSDT-aggTrades-2025-01.csv", "BTCUSDT-trades-2025-01.csv"])
def test_a_trade_file_cut_in_its_last_field_is_refused(tmp_path: Path, name: str) -> None:
    middle = "1,2," if "agg" in name else "3.5,"
    line = f"7,100.5,0.25,{middle}1735689600000,True"
    whole = f"{line}\n{line.replace('7,', '8,', 1)}"
    for cut in range(6):
        path = tmp_path / name
        path.write_text(whole[: len(whole) - cut])
        if cut == 0:
            assert table(path)["buyer_is_maker"].to_list() == [True, True]
            continue
        with pytest.raises(DolphinError, match=r"cells where there are|no true or false as is_buyer_maker"):
            table(path)
