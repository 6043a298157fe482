"""``dolphin scan`` with its options, as a user runs it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from command_line import Answer

Call = Callable[..., Answer]


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_give_the_same_files(home: Path, pristine: Path, call: Call, threads: int) -> None:
    scans = home / "data_catalog" / "scans" / "m"
    shutil.rmtree(scans)
    done = call(home, "scan", "m", "--threads", threads, "--json")
    assert done.code == 0 and done.json["computed"] == 3 and done.json["recomputed"] == done.json["unproven"] == 0
    before = pristine / "data_catalog" / "scans" / "m"
    for path in sorted(before.rglob("*.parquet")):
        assert (scans / path.relative_to(before)).read_bytes() == path.read_bytes()


def test_other_windows_lie_apart(home: Path, call: Call) -> None:
    done = call(home, "scan", "m", "--windows", "20,60,120,240", "--json")
    folder = home / "data_catalog" / "scans" / "m" / "w20-60-120-240"
    assert done.code == 0 and done.json["folder"] == str(folder) and done.json["windows"] == [20, 60, 120, 240]
    names = pl.read_parquet_schema(folder / "2025-01-02.parquet")
    assert list(names)[:10] == [
        "ts", "vel_div", "v20_vel", "v60_vel", "v120_vel", "v240_vel",
        "instability_20", "instability_60", "vol", "bull_pct",
    ]  # fmt: skip
    assert call(home, "scan", "m", "--json").json["computed"] == 0  # the default scan is untouched
    assert call(home, "scan", "m", "--windows", "20,60,120,240").out.startswith("m: 0 of 3 days computed")
    for text, words in {"20,x": "not numbers", "60,20": "increasing", "1,50": "of 3 to", "50": "2 to 16"}.items():
        refused = call(home, "scan", "m", "--windows", text)
        assert refused.code == 2 and words in refused.complaint


def test_certify_prints_enclosures_and_refuses_wrong_values(home: Path, call: Call) -> None:
    pytest.importorskip("flint")
    done = call(home, "scan", "m", "--certify", "4", "--seed", "3", "--json")
    assert done.code == 0 and len(done.json["certificates"]) == 4
    for found in done.json["certificates"]:
        assert found["proven"] and found["error"] <= 1e-10 and found["assets"] == 8
        assert found["lower"] <= found["upper"] < found["lower"] * (1 + 1e-11)
    assert "4 of 4 within a relative error of 1e-10" in call(home, "scan", "m", "--certify", "4").out
    # An eigenvalue that is wrong in the tenth digit, written by the book.
    from dolphin.catalog import open_dataset
    from dolphin.market.scanning import scan_days
    from dolphin.workspace import Workspace

    dataset = open_dataset(Workspace(home), "m")
    days, prices = scan_days(dataset), dataset.prices()
    for date in dataset.days:
        columns = days.read((date,))
        wrong = {name: values * (1 + 1e-9) for name, values in columns.items() if name.startswith("a_")}
        inside = (prices.ts >= columns["ts"][0]) & (prices.ts <= columns["ts"][-1])
        days.write(date, columns | wrong, prices.close[inside])
    days.flush()
    refused = call(home, "scan", "m", "--certify", "3", "--json")
    assert refused.code == 1 and not any(found["proven"] for found in refused.json["certificates"])


def test_spectrum(home: Path, call: Call) -> None:
    assert call(home, "scan", "m", "--spectrum", "--json").json["spectrum"]["computed"] == 3
    path = home / "data_catalog" / "scans" / "m" / "spectrum" / "2025-01-03.parquet"
    frame = pl.read_parquet(path)
    assert frame.columns == ["ts", "spectrum_50", "spectrum_150", "spectrum_300", "spectrum_750"]
    assert (frame["spectrum_750"].list.len() == 8).all()
    assert frame["spectrum_750"].list.sum().to_numpy() == pytest.approx(8.0, rel=1e-12)
    assert call(home, "scan", "m", "--spectrum", "--json").json["spectrum"]["computed"] == 0
