"""Book figures of recorded streams."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from dolphin.errors import DolphinError
from dolphin.market.book_series import LEAST, SERIES, make_books
from dolphin.workspace import Workspace, create

START = 1_723_161_253 * 10**9


def recorded(path: Path, seconds: int, behind: int = 0) -> Path:
    """Two quotes and a trade a second; the recorder's clock is ``behind`` ns."""
    lines = []
    for k in range(seconds):
        for half, size in ((0, "3.0"), (1, "1.0")):
            local = START + k * 10**9 + half * 4 * 10**8
            quote = {"s": "BTCUSDT", "u": k, "b": "99.0", "B": size, "a": "101.0", "A": "1.0"}
            lines.append(f"{local} " + json.dumps({"stream": "btcusdt@bookTicker", "data": quote}))
        event = (START + k * 10**9 + 5 * 10**8 + behind) // 10**6
        trade = {"e": "trade", "E": event, "s": "BTCUSDT", "t": k, "p": "100.0", "q": "0.5", "T": event, "M": True}
        lines.append(f"{START + k * 10**9 + 5 * 10**8} " + json.dumps({"stream": "btcusdt@trade", "data": trade}))
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


@pytest.fixture
def home(tmp_path: Path) -> Workspace:
    return create(tmp_path / "home")


def test_figures(home: Workspace, tmp_path: Path) -> None:
    table = make_books(home, "b", [recorded(tmp_path / "a.gz", 70)])
    frame = table.frame().collect()
    assert set(frame["series"].unique()) == set(SERIES) and table.symbols == ("BTCUSDT",)
    by = {key[0]: part.sort("available_ts") for key, part in frame.partition_by("series", as_dict=True).items()}
    assert by["IMBALANCE"]["value"].to_list() == [0.0] * 70  # the last quote of each second
    assert by["AGREEMENT"]["value"].to_list() == [1.0] * 70
    assert by["SPREAD_BPS"]["value"][0] == pytest.approx(200.0)
    # both sides' mean size at the touch is 1.5; half of a minute's volume is 15
    assert by["FILL_PROB"]["value"][-1] == pytest.approx(15.0 / 16.5)
    assert by["FILL_PROB"]["value"][0] == pytest.approx(0.25 / 1.75)
    assert by["DEPTH_QUALITY"].height == 70 - LEAST and set(by["DEPTH_QUALITY"]["value"]) == {1.0}
    assert by["IMBALANCE"]["available_ts"][0] == START + 10**9


def test_a_recorder_behind_the_exchange_knows_nothing_early(home: Workspace, tmp_path: Path) -> None:
    table = make_books(home, "b", [recorded(tmp_path / "a.gz", 3, behind=1_250_000_000)])
    first = table.frame().select(pl.col("available_ts").min()).collect().item()
    assert first == START + 2 * 10**9
    assert "1.250 s behind" in table.manifest["notes"][0]


@pytest.mark.slow
def test_real_books(home: Workspace, shared_data: Path) -> None:
    table = make_books(home, "b", [shared_data / "books"])
    assert table.symbols == ("BTCUSDT", "BTCUSDTPERP")
    frame = table.frame().collect()
    low, high = {"IMBALANCE": -1.0, "AGREEMENT": -1.0}, {"SPREAD_BPS": 50.0}
    for (series,), part in frame.partition_by("series", as_dict=True).items():
        assert part["value"].is_between(low.get(series, 0.0), high.get(series, 1.0)).all(), series


def test_one_line(home: Workspace, tmp_path: Path) -> None:
    with pytest.raises(DolphinError, match="no such file"):
        make_books(home, "b", [tmp_path / "none.gz"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DolphinError, match="no recorded stream"):
        make_books(home, "b", [tmp_path / "empty"])
    bad = tmp_path / "bad.gz"
    bad.write_bytes(gzip.compress(b'1 {"data": {"b": "x", "B": "1", "a": "1", "A": "1", "s": "X"}}'))
    with pytest.raises(DolphinError, match="line 1"):
        make_books(home, "b", [bad])
