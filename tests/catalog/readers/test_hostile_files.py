"""Files made to harm: each is refused with one line, before it can cost memory or leave its folder."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import stat
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from catalog.readers.conformance import kline_bytes, seal

from dolphin.catalog import readers
from dolphin.catalog.readers import archives
from dolphin.errors import DolphinError

FRAME = pl.DataFrame(
    {"symbol": ["AUSDT"] * 4, "ts": [1_735_689_600 * 10**9 + 60 * 10**9 * i for i in range(4)]}
    | {name: [1.5, 2.5, 1.25, 2.0] for name in ("open", "high", "low", "close", "volume")}
)
CSV = kline_bytes(FRAME, True, "ms")


def refused(path: Path) -> str:
    """The line with which a file is refused."""
    with pytest.raises(DolphinError) as caught:
        for _ in readers.read(path).frames:
            pass
    line = str(caught.value)
    assert "\n" not in line and path.name in line
    return line


@pytest.fixture
def zipped(tmp_path: Path) -> Callable[..., Path]:
    def write(*members: tuple[str | zipfile.ZipInfo, bytes], name: str = "a.zip") -> Path:
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, data in members:
                archive.writestr(member, data, zipfile.ZIP_DEFLATED)
        return path

    return write


@pytest.mark.parametrize(
    "name", ["../AUSDT-1m.csv", "/AUSDT-1m.csv", "a/../../AUSDT-1m.csv", "C:AUSDT-1m.csv", "..\\AUSDT-1m.csv"]
)
def test_zip_paths_that_leave_the_archive(zipped: Callable[..., Path], name: str) -> None:
    assert "points outside the archive" in refused(zipped((name, CSV)))


def test_zip_members_that_are_no_plain_file(zipped: Callable[..., Path]) -> None:
    link = zipfile.ZipInfo("AUSDT-1m.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    assert "symbolic link" in refused(zipped((link, b"/etc/passwd")))
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("AUSDT-1m.csv", CSV)
    assert "'b.zip' in the zip is no CSV" in refused(zipped(("b.zip", inner.getvalue())))


def test_zip_with_an_encrypted_member(zipped: Callable[..., Path]) -> None:
    path = zipped(("AUSDT-1m.csv", CSV))
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + 8] |= 1
    path.write_bytes(data)
    assert "is encrypted" in refused(path)


def test_zip_bombs(zipped: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "would unpack to 5000000 bytes" in refused(zipped(("AUSDT-1m.csv", b"0" * 5_000_000)))
    monkeypatch.setattr(archives, "MAX_MEMBERS", 3)
    assert "holds 4 files" in refused(zipped(*((f"A{i}-1m.csv", CSV) for i in range(4))))
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", len(CSV))
    assert "would unpack to" in refused(zipped(*((f"A{i}-1m.csv", CSV) for i in range(2))))


def test_zip_with_overlapping_members(zipped: Callable[..., Path]) -> None:
    path = zipped(("A-1m.csv", CSV), ("B-1m.csv", CSV))
    data = bytearray(path.read_bytes())
    second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
    data[second + 42 : second + 46] = struct.pack("<I", 0)  # both lie at the first one's place
    path.write_bytes(data)
    assert "overlaps another file" in refused(path)


@pytest.mark.parametrize("claim", [len(CSV) // 2, len(CSV) + 1000])
def test_zip_that_lies_about_a_size(zipped: Callable[..., Path], claim: int) -> None:
    path = zipped(("AUSDT-1m.csv", CSV))
    data = bytearray(path.read_bytes())
    for magic, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        start = data.index(magic) + at
        data[start : start + 4] = struct.pack("<I", claim)
    path.write_bytes(data)
    line = refused(path)
    assert "Bad CRC" in line if claim < len(CSV) else f"is {len(CSV)} bytes where it says {claim}" in line


def test_zip_of_two_kinds_and_a_name_twice(zipped: Callable[..., Path]) -> None:
    trades = b"1,2.0,3.0,6.0,1735689600000,True\n"
    assert "holds bars and ticks" in refused(zipped(("A-1m.csv", CSV), ("A-trades.csv", trades)))
    with pytest.warns(UserWarning, match="Duplicate name"):
        path = zipped(("A-1m.csv", CSV), ("A-1m.csv", CSV))
    assert "holds a file twice" in refused(path)


def test_gzip_bomb_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "AUSDT-1m.csv.gz"
    with gzip.open(path, "wb") as stream:
        stream.write(CSV)
        for _ in range(100):
            stream.write(b"\n" * (1 << 20))
    tracemalloc.start()
    assert "unpacks to more than" in refused(path)
    assert tracemalloc.get_traced_memory()[1] < 64 << 20
    tracemalloc.stop()


def test_truncated_gzip(tmp_path: Path) -> None:
    path = tmp_path / "AUSDT-1m.csv.gz"
    path.write_bytes(gzip.compress(CSV)[:-9])
    assert "not readable as" in refused(path)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (CSV + b"1" * (20 << 20), "a line of more than"),
        (b"1" * (20 << 20), "a line without end"),
        (CSV + b"\0\0\0\0", "not a CSV text file"),
        (CSV.replace(b"2.5", b"\xff.5"), "utf-8"),
        (b"\xff\xfea\0b\0", "holds no rows"),
        (b"a,b,d\n1,2,3\n", "no known layout"),
        (b"open_time,open,open\n1,2,3\n", "a column name occurs twice"),
        (CSV + b"1735689900000,1,2\n", "a line of 3 cells where there are 12"),
    ],
    ids=["long line", "one line", "NUL", "no UTF-8", "UTF-16", "unknown", "twice", "cut line"],
)
def test_hostile_csv(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "AUSDT-1m.csv"
    path.write_bytes(data)
    assert says in refused(path)


def test_an_unknown_layout_lists_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"x": [1], "y": [2]}).write_parquet(path)
    line = refused(path)
    assert "no known layout (columns x, y)" in line
    assert "freqtrade candles (date, open, high, low, close, volume)" in line
    both = FRAME.with_columns(price=pl.col("open"), quantity=pl.col("open"))
    both.write_parquet(path)
    assert "its columns read as klines of many symbols and as ticks" in refused(path)


def test_units_may_not_change_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dolphin.catalog.readers.lines.BLOCK_BYTES", 256)
    path = tmp_path / "AUSDT-1m.csv"
    path.write_bytes(kline_bytes(FRAME, False, "ms") * 3 + kline_bytes(FRAME, False, "us"))
    assert "one unit per file" in refused(path)


@pytest.mark.slow
def test_parquet_of_absurd_claims(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = 4_000_000
    constant = {name: pa.array(np.zeros(rows)) for name in ("open", "high", "low", "close", "volume")}
    table = {"symbol": pa.array(["A"] * rows).dictionary_encode(), "ts": pa.array(np.full(rows, 10**18)), **constant}
    pq.write_table(pa.table(table), path, compression="zstd")
    assert f"claims {rows} rows" in refused(path)
    pq.write_table(pa.table(table), path, compression="zstd", use_dictionary=False)
    assert "would unpack to" in refused(path) or "claims" in refused(path)


def test_arrow_of_absurd_lengths(tmp_path: Path) -> None:
    path = tmp_path / "a.arrow"
    table = FRAME.with_columns(pl.lit(0.0).alias("volume")).to_arrow()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    whole = path.read_bytes()
    assert readers.read(path).kind == "bars"
    for claim in (10**12, 2**62):
        path.write_bytes(whole.replace(struct.pack("<q", 32), struct.pack("<q", claim)))
        assert "would unpack to" in refused(path) or "not readable" in refused(path)
    path.write_bytes(whole.replace(struct.pack("<q", 4), struct.pack("<q", 10**15)))
    assert "rows in" in refused(path)


def test_an_arrow_stream_without_its_end_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "a.arrows"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, FRAME.to_arrow().schema) as writer:
        writer.write_table(FRAME.to_arrow())
    assert readers.read(path).notes == ()
    path.write_bytes(path.read_bytes()[:-8])
    assert "without the mark of a stream's end" in readers.read(path).notes[0]
    feather = tmp_path / "a.feather"
    feather.write_bytes(b"FEA1" + bytes(64))
    assert "Feather of version 1" in refused(feather)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested 100000 deep"),
        ('{"scan_number": 1, "eigenvalues": [[1]]}', "no list of numbers as eigenvalues"),
        ('{"scan_number": 1, "eigenvalues": [true]}', "no list of numbers as eigenvalues"),
        ('{"scan_number": 1.5, "eigenvalues": [1]}', "not readable as JSON"),
        ('{"eigenvalues": [1]}', "no 'scan_number'"),
        ('{"scan_number": 1, "eigenvalues": [1], "ts": "soon"}', "'soon' is no time"),
        ("[]", "without rows"),
        ("7", "without rows"),
        ("[[1, 2, 3]]", "lists of no known length"),
        ('{"scan_number": 1', "not readable as JSON"),
        ('[{"scan_number": 1, "eigenvalues": []}, {"scan_number": 2, "eigenvalues": [], "x": 1}]', "has 'x'"),
        ('[{"scan_number": 1, "eigenvalues": [], "x": 1}, {"scan_number": 2, "eigenvalues": [], "x": "y"}]', "'x' is"),
    ],
)
def test_hostile_json(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "eigen.json"
    path.write_text(text)
    assert says in refused(path)


def test_oversized_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "eigen.json"
    path.write_text(json.dumps([{"scan_number": 1, "eigenvalues": [1.5]}] * 50))
    monkeypatch.setattr("dolphin.catalog.readers.documents.MAX_DOCUMENT_BYTES", 1000)
    monkeypatch.setattr("dolphin.catalog.readers.documents.MAX_LINE_BYTES", 100)
    assert "a JSON document of more than 1000 bytes" in refused(path)


def test_eigenvalues_without_times_are_known_by_scan_number(tmp_path: Path) -> None:
    path = tmp_path / "eigen.json"
    path.write_text('{"scan_number": 7, "eigenvalues": [2.5, 0.5], "regime": "bull", "bull": 0.7, "note": "x"}')
    reading = readers.read(path)
    frame = pl.concat(reading.frames)
    assert frame.row(0, named=True) == {
        "ts": None, "symbol": None, "scan_number": 7, "bull": 0.7, "eigenvalues": [2.5, 0.5], "regime": "bull",
    }  # fmt: skip
    assert reading.notes == (
        "keys left out, no numbers: note",
        "no times: its rows are known by scan_number alone",
    )


def npz(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    seal(path)
    return path


def test_npz_needs_its_checksum(tmp_path: Path) -> None:
    times = np.array([1_735_689_600_000, 1_735_689_660_000])
    path = npz(tmp_path / "d__Indicators.npz", timestamps=times, vol=np.array([0.5, np.nan]))
    frame = pl.concat(readers.read(path).frames)
    assert frame.columns == ["ts", "symbol", "scan_number", "vol"]
    beside = tmp_path / "d__Indicators.npz.sha256"
    text = beside.read_text()
    beside.write_text(text[:64].upper() + "\n")
    assert readers.read(path).kind == "features"
    beside.write_text("0" * 64 + f" *{path.name}\n")
    assert "its SHA-256 is not the one in" in refused(path)
    beside.write_text(text.replace("d__", "e__"))
    assert "is the checksum of 'e__Indicators.npz'" in refused(path)
    beside.write_text("none\n")
    assert "holds no SHA-256" in refused(path)
    beside.unlink()
    assert "make it with: sha256sum d__Indicators.npz > d__Indicators.npz.sha256" in refused(path)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"vol": np.zeros(2)}, "no array 'timestamps'"),
        ({"timestamps": np.array([10**12, 10**12]), "vol": np.zeros(3)}, "'vol' has 3 values for 2 times"),
        ({"timestamps": np.array([10**12]), "vol": np.zeros((1, 2))}, "'vol' has 2 dimensions"),
        ({"timestamps": np.array([10**12]), "vol": np.array(["x"])}, "'vol' is text"),
        ({"timestamps": np.array([1e12]), "vol": np.zeros(1)}, "'timestamps' is float64, no integer"),
        ({"timestamps": np.array([10**12]), "vol": np.array([None])}, "holds Python objects"),
        ({"timestamps": np.array([], np.int64), "vol": np.zeros(0)}, "holds no rows"),
    ],
)
def test_npz_of_no_known_layout(tmp_path: Path, arrays: dict[str, object], says: str) -> None:
    assert says in refused(npz(tmp_path / "d__Indicators.npz", **arrays))


class _Harm:
    """Unpickled, it would write a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("suffix", [".pkl", ".pickle", ".p", ".joblib"])
def test_pickles_are_refused_unless_asked_for(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(pickle.dumps(_Harm(tmp_path / "harmed")))
    assert "a pickle can run any code" in refused(path)
    assert not (tmp_path / "harmed").exists()
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DolphinError, match="holds a list, no table"):
        readers.read(path, allow_pickle=True)
    path.write_bytes(pickle.dumps(FRAME.to_pandas()))
    assert pl.concat(readers.read(path, allow_pickle=True).frames).equals(FRAME)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("BTC_USDT_USDT-1h-mark.feather", "mark candles are no traded prices"),
        ("BTC_USDT_USDT-8h-funding_rate.feather", "funding_rate candles are no traded prices"),
        ("klines.feather", "names no symbol"),
    ],
)
def test_freqtrade_names(tmp_path: Path, name: str, says: str) -> None:
    path = tmp_path / name
    frame = FRAME.select(pl.col("ts").cast(pl.Datetime("ns", "UTC")).alias("date"), *FRAME.columns[2:])
    frame.write_ipc(path)
    assert says in refused(path)


def test_symbols_that_are_none(tmp_path: Path) -> None:
    """Of ticks; bars with such symbols are read, and a quality rule of the importer counts them."""
    path = tmp_path / "a.parquet"
    ticks = FRAME.select("symbol", "ts", price="close", quantity="volume")
    for symbol in ("btc", "BTC/USDT", "ВТС", "", "A" * 21, "A\n"):  # noqa: RUF001
        ticks.with_columns(pl.lit(symbol).alias("symbol")).write_parquet(path)
        assert "is no symbol" in refused(path)
    ticks.with_columns(pl.lit(None, pl.String).alias("symbol")).write_parquet(path)
    assert "4 rows have no symbol" in refused(path)


def test_ticks_must_be_exact_decimals(tmp_path: Path) -> None:
    path = tmp_path / "AUSDT-trades.csv"
    for price in ("0.123456789", "1234567890123", "nan", "x", ""):
        path.write_text(f"1,{price},3.0,6.0,1735689600000,True\n")
        assert "1 of 1 values of 'price' are no decimals" in refused(path)
