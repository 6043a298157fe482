"""Scans that go on where they stopped."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dolphin.catalog import Dataset, import_klines, missing_days, open_dataset, read_features, scan_folder
from dolphin.errors import DolphinError
from dolphin.features import scan, scanner_digest
from dolphin.market.certify import certify_rows
from dolphin.market.scanning import scan_dataset, scan_days
from dolphin.market.spectra import spectrum_folder, write_spectra
from dolphin.workspace import Workspace, create


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != "verified.json"
    }


def test_a_second_scan_has_nothing_to_do(pristine: Workspace) -> None:
    dataset = open_dataset(pristine, "m")
    assert (scan_dataset(dataset).days, scan_dataset(dataset).computed) == (3, 0)


@pytest.mark.parametrize("removed", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)])
def test_a_rescan_of_missing_days_is_the_same_to_the_byte(home: Workspace, removed: tuple[int, ...]) -> None:
    dataset = open_dataset(home, "m")
    folder = scan_folder(dataset)
    before = tree(folder)
    for k in removed:
        (folder / ("detail" if k == 1 else "") / f"{dataset.days[k]}.parquet").unlink()
    assert scan_dataset(dataset).computed == len(removed)
    assert tree(folder) == before


@pytest.mark.parametrize("damage", [lambda data: data[:-7], lambda data: b""])
def test_a_truncated_day_is_scanned_again(home: Workspace, damage: Callable[[bytes], bytes]) -> None:
    dataset = open_dataset(home, "m")
    folder = scan_folder(dataset)
    before = tree(folder)
    path = folder / f"{dataset.days[1]}.parquet"
    path.write_bytes(damage(path.read_bytes()))
    assert scan_dataset(dataset).computed == 1 and tree(folder) == before


@pytest.mark.parametrize("text", [None, b"{", b"[]", b'{"days": 3}'])
def test_a_damaged_or_missing_scan_manifest_means_scanning_again(home: Workspace, text: bytes | None) -> None:
    dataset = open_dataset(home, "m")
    folder = scan_folder(dataset)
    before = tree(folder)
    (folder / "manifest.json").unlink()
    if text is not None:
        (folder / "manifest.json").write_bytes(text)
    assert scan_dataset(dataset).computed == 3 and tree(folder) == before


def test_an_interrupted_scan_keeps_its_finished_days(home: Workspace) -> None:
    dataset = open_dataset(home, "m")
    folder = scan_folder(dataset)
    before = tree(folder)
    shutil.rmtree(folder)

    def interrupt(done: int, total: int, text: str) -> None:
        assert total == 3 and text == "scanning days"
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scan_dataset(dataset, interrupt)
    done = [f"{date}.parquet" for date in dataset.days[:2]]
    assert set(tree(folder)) == {"manifest.json", *done, *(f"detail/{name}" for name in done)}
    assert scan_dataset(dataset).computed == 1 and tree(folder) == before


MINUTES = 1440
OPEN = 1_735_689_600_000  # 2025-01-01T00:00Z, ms


def klines(bars: int, *, bump: int | None = None) -> pl.DataFrame:
    """Minutes of four symbols; with ``bump`` one close differs, the volume always does."""
    rng = np.random.default_rng(11)
    frames = []
    for symbol in ("AAAUSDT", "BTCUSDT", "CCCUSDT", "DDDUSDT"):
        cents = 10_000 + np.cumsum(rng.integers(-20, 21, 6 * MINUTES))[:bars]
        if bump is not None:
            cents[bump] += 7
        close = cents / 100.0
        frame = {"symbol": [symbol] * bars, "ts": OPEN + 60_000 * np.arange(bars)}
        frame |= dict.fromkeys(("open", "high", "low", "close"), close)
        frames.append(pl.DataFrame(frame | {"volume": np.full(bars, 1.0 + bars / 1000)}))
    return pl.concat(frames)


@pytest.fixture
def version(tmp_path: Path) -> Callable[..., Dataset]:
    """Import the klines as the next version of dataset ``k``."""
    home = create(tmp_path / "growing")

    def make(bars: int, **options: int) -> Dataset:
        path = tmp_path / f"{bars}.parquet"
        klines(bars, **options).write_parquet(path)
        return import_klines(home, path, "k").dataset

    return make


def stored(dataset: Dataset) -> dict[str, bytes]:
    return {name: values.tobytes() for name, values in read_features(dataset, scanner_digest()).items()}


def plain(dataset: Dataset) -> dict[str, bytes]:
    prices = dataset.prices()
    block = scan(prices.ts, prices.close, dataset.reference_column)
    return {"ts": prices.ts.tobytes()} | {name: values.tobytes() for name, values in block.columns().items()}


def test_new_bars_and_new_days_cost_only_themselves(version: Callable[..., Dataset]) -> None:
    first = version(2 * MINUTES + 300)
    assert (scan_dataset(first, threads=1).rows, stored(first)) == (2 * MINUTES + 300, plain(first))
    # More bars on the last day: the scan goes on from the state that it kept.
    second = version(2 * MINUTES + 700)
    assert second.digest != first.digest and missing_days(second, scanner_digest()) == second.days
    done = scan_dataset(second)
    assert (done.computed, done.rows, done.kept) == (1, 400, 2)
    assert stored(second) == plain(second)
    # The rest of that day, and one and a half more.
    third = version(4 * MINUTES + 720)
    done = scan_dataset(third)
    assert (done.computed, done.rows, done.kept) == (3, 740 + MINUTES + 720, 2)
    assert stored(third) == plain(third)
    assert [path.stem for path in (scan_folder(third) / "state").iterdir()] == [third.days[-1]]
    numbers = pl.scan_parquet(scan_folder(third) / "detail" / "*.parquet").collect().sort("ts")["scan_number"]
    assert (numbers == pl.int_range(third.n_bars, eager=True)).all()


def test_without_the_kept_state_the_day_is_scanned_again(version: Callable[..., Dataset]) -> None:
    first = version(MINUTES + 300)
    scan_dataset(first)
    state = scan_folder(first) / "state" / f"{first.days[-1]}.npz"
    state.write_bytes(state.read_bytes()[:-1])
    second = version(MINUTES + 310)
    done = scan_dataset(second)
    assert (done.computed, done.rows, done.kept) == (1, 311, 1)  # the bar that closes at midnight opens the day
    assert stored(second) == plain(second)


def test_a_changed_price_costs_what_depends_on_it(version: Callable[..., Dataset]) -> None:
    scan_dataset(version(5 * MINUTES))
    changed = version(5 * MINUTES, bump=MINUTES + 5)
    done = scan_dataset(changed)
    # Day 1 has the price, day 2 its returns, and the velocities at day 3's beginning look back on day 2.
    assert (done.computed, done.kept) == (3, 3)
    assert stored(changed) == plain(changed)


def test_rows_that_would_change_are_refused(version: Callable[..., Dataset]) -> None:
    first = version(MINUTES + 300)
    scan_dataset(first)
    days = scan_days(first)
    columns = dict(days.read(first.days[1:]))
    columns["vol"] = columns["vol"] * 2.0
    close = first.prices().close[MINUTES - 1 :]
    entry = days.days[first.days[1]]
    with pytest.raises(DolphinError, match="append-only"):
        days.write(first.days[1], columns, close, entry["inputs"])
    # The same behind our back, found when the day grows and its state is gone.
    days.write(first.days[1], columns, close)
    days.flush()
    manifest = scan_folder(first) / "manifest.json"
    document = json.loads(manifest.read_text())
    document["days"][first.days[1]]["inputs"] = entry["inputs"]
    manifest.write_text(json.dumps(document))
    with pytest.raises(DolphinError, match="stored rows whose prices are unchanged"):
        scan_dataset(version(MINUTES + 310))


@pytest.mark.parametrize("windows", [(50, 150, 300, 750), (20, 61, 120)])
def test_threads_change_no_byte(home: Workspace, windows: tuple[int, ...]) -> None:
    dataset = open_dataset(home, "m")
    trees = []
    for threads in (1, 3):
        shutil.rmtree(home.root / "data_catalog" / "scans", ignore_errors=True)
        assert scan_dataset(dataset, windows=windows, threads=threads).computed == 3
        trees.append(tree(scan_days(dataset, windows).folder))
    assert trees[0] == trees[1] and len(trees[0]) == 8
    assert missing_days(dataset, scanner_digest()) == (() if windows[0] == 50 else dataset.days)


def test_spectra_are_written_once_and_certificates_hold(home: Workspace) -> None:
    pytest.importorskip("flint")
    dataset = open_dataset(home, "m")
    assert write_spectra(dataset)["computed"] == 3
    folder = spectrum_folder(dataset)
    before = tree(folder)
    (folder / f"{dataset.days[1]}.parquet").unlink()
    assert write_spectra(dataset)["computed"] == 1 and tree(folder) == before
    spectrum = pl.scan_parquet(folder / "*.parquet").collect().sort("ts")
    features = read_features(dataset, scanner_digest())
    largest = spectrum["spectrum_750"].list.first().to_numpy() / 8
    np.testing.assert_allclose(largest[760:], features["a_750"][760:], rtol=1e-10)
    found = certify_rows(dataset, count=6, seed=5)
    assert len(found) == 6 and all(one.proven and one.lower <= one.value * (1 + 1e-10) for one in found)
    assert found == certify_rows(dataset, count=6, seed=5) != certify_rows(dataset, count=6, seed=6)
