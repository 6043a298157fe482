from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from dolphin.catalog import Dataset, generate, open_dataset, verify
from dolphin.catalog.ingest import generator
from dolphin.catalog.ingest.generator import PriceWalk, plant_events, uniform, universe
from dolphin.catalog.ingest.generator_kernel import fields_normal, walk
from dolphin.catalog.store.instruments import round_prices
from dolphin.errors import DolphinError
from dolphin.workspace import Workspace, create

MINUTE_NS = 60 * 10**9
# The same on every machine and every version of numpy, numba and polars: if this changes, so do the
# digests of everybody's generated markets.
DIGESTS = {
    "edge": "5044ee32e2b918f80e4050887123094fded896bf7440b0c4356a0b4f0a1567cb",
    "null": "05df085911f4cc6e97fcbdad02c0f49670cb9779fac9e3cd803fde77425363aa",
    "crash": "c6a61779ab7b228142648c5667161c8d17bf432b8e04d9e939f1ca5c7c1f2d52",
}


@pytest.fixture(scope="module")
def markets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Dataset]:
    """Two days of twelve assets at 1m, of every preset."""
    workspace = create(tmp_path_factory.mktemp("generated"))
    return {
        preset: generate(workspace, preset, preset=preset, days=2, assets=12, spacing_ns=MINUTE_NS).dataset
        for preset in generator.PRESETS
    }


@pytest.mark.parametrize("preset", DIGESTS)
def test_digest_is_the_same_everywhere(markets: dict[str, Dataset], preset: str) -> None:
    assert markets[preset].digest == DIGESTS[preset]


def test_manifest_says_what_it_is(markets: dict[str, Dataset]) -> None:
    dataset = markets["edge"]
    assert dataset.synthetic and dataset.reference == "BTCUSDT" and dataset.n_bars == 2880
    assert dataset.symbols == tuple(sorted(dataset.symbols)) and len(dataset.symbols) == 12
    assert dataset.days == ("2025-01-01", "2025-01-02")
    manifest = dataset.manifest
    assert (manifest["preset"], manifest["seed"]) == ("edge", 1)
    assert manifest["made"] == (
        "dolphin data generate --name edge --preset edge --days 2 --assets 12 --spacing 1m --seed 1"
    )
    assert manifest["planted"]["events"] == plant_events("edge", 2880, MINUTE_NS, 1).starts.size > 3


def test_bars_are_sound_and_on_the_grid(markets: dict[str, Dataset]) -> None:
    for dataset in markets.values():
        rows = dataset.frame().collect()
        assert rows.height == 2880 * 12 and not rows.select(pl.any_horizontal(pl.all().is_null().any())).item()
        assert (rows["low"] <= rows.select(pl.min_horizontal("open", "close")).to_series()).all()
        assert (rows["high"] >= rows.select(pl.max_horizontal("open", "close")).to_series()).all()
        assert (rows["low"] > 0).all() and (rows["volume"] > 0).all()
        for instrument in dataset.instruments:
            own = rows.filter(pl.col("symbol") == instrument.symbol)
            for column in ("open", "high", "low", "close"):
                values = own[column].to_numpy()
                ticks = np.rint(values * 10**instrument.tick_exp / instrument.tick_num)
                assert (ticks * instrument.tick_num / 10**instrument.tick_exp == values).all()
                assert (round_prices(values, instrument.price_precision) == values).all()
            close = own["close"].to_numpy()
            assert instrument.tick_num / 10**instrument.tick_exp <= 1.01e-5 * close[0]
            assert (own["open"].to_numpy()[1:] == close[:-1]).all()
        assert {i.tick_num for i in dataset.instruments} == {1, 5}


def test_days_do_not_depend_on_how_they_are_cut() -> None:
    instruments, levels = universe(5, 3)
    planted = plant_events("crash", 300, MINUTE_NS, 3)
    whole = PriceWalk(instruments, levels, planted, MINUTE_NS, 3).day(300)
    parts = PriceWalk(instruments, levels, planted, MINUTE_NS, 3)
    first, second = parts.day(100), parts.day(200)
    for name, values in whole.items():
        assert np.array_equal(values, np.concatenate([first[name], second[name]], axis=1)), name


def test_compiled_and_plain_python_agree_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    instruments, levels = universe(4, 1)
    planted = plant_events("edge", 400, MINUTE_NS, 1)
    compiled = PriceWalk(instruments, levels, planted, MINUTE_NS, 1).day(400)
    module = "dolphin.catalog.ingest.generator_kernel"
    monkeypatch.setattr(f"{module}.fields_normal", fields_normal.py_func)
    monkeypatch.setattr(f"{module}.walk", walk.py_func)
    plain = PriceWalk(instruments, levels, planted, MINUTE_NS, 1).day(400)
    assert all(np.array_equal(compiled[name], plain[name]) for name in compiled)


def test_normal_numbers_are_nearly_normal() -> None:
    words = np.random.PCG64(5).random_raw(200_000)
    z = np.array([fields_normal(word) for word in words])
    assert abs(z.mean()) < 0.01 and abs(z.std() - 1.0) < 0.01
    assert abs((np.abs(z) < 1.0).mean() - 0.683) < 0.02 and np.abs(z).max() <= 3.47
    assert fields_normal(np.uint64(0)) == -fields_normal(np.uint64(2**64 - 1))
    u = uniform(np.random.PCG64(5), 10_000)
    assert u.min() >= 0.0 and u.max() < 1.0 and abs(u.mean() - 0.5) < 0.02


def absorption(close: np.ndarray, t: int) -> float:
    """Largest eigenvalue of the correlation of 50 returns up to bar t, per asset."""
    returns = np.diff(np.log(close[:, t - 50 : t + 1]))
    return float(np.linalg.eigvalsh(np.corrcoef(returns))[-1]) / close.shape[0]


def test_the_planted_edge() -> None:
    """Events lower the absorption ratio sharply; what follows falls in edge and has no sign in null."""
    bars, assets = 60_000, 20
    after: dict[str, np.ndarray] = {}
    for preset in ("edge", "null"):
        instruments, levels = universe(assets, 11)
        planted = plant_events(preset, bars, MINUTE_NS, 11)
        close = PriceWalk(instruments, levels, planted, MINUTE_NS, 11).day(bars)["close"]
        starts = planted.starts[(planted.starts > 60) & (planted.starts < bars - 130)]
        after[preset] = np.array([np.mean(close[:, t + 103] / close[:, t]) - 1.0 for t in starts])
        velocity = np.array([absorption(close, t) / absorption(close, t - 1) - 1.0 for t in starts])
        quiet = np.array([absorption(close, t) / absorption(close, t - 1) - 1.0 for t in starts - 5])
        assert np.median(velocity) < -0.025 and (velocity < -0.012).mean() > 0.95
        assert (np.abs(quiet) < 0.02).mean() > 0.97
        assert 0.85 < np.median([absorption(close, t - 5) for t in starts]) < 0.96
        if preset == "edge":
            assert abs(np.log(close[:, -1] / close[:, 0]).mean()) < 1.5  # it does not drift away
            assert planted.down == pytest.approx(generator.DOWN_PROBABILITY * planted.starts.size, rel=0.1)
    edge, null = after["edge"], after["null"]
    planted = generator.DOWN_PROBABILITY * generator.DOWN + (1 - generator.DOWN_PROBABILITY) * generator.UP
    for moves, mean in ((edge, planted), (null, 0.0)):
        assert abs(np.mean(moves) - mean) < 3.0 * np.std(moves) / np.sqrt(moves.size)
    assert np.mean(edge) < -5.0 * np.std(edge) / np.sqrt(edge.size)  # nobody could take it for luck
    assert np.std(null) < 0.015


def test_edge_and_null_share_everything_but_the_drift() -> None:
    edge, null = (plant_events(p, 20_000, MINUTE_NS, 2) for p in ("edge", "null"))
    for name in ("shock", "calm", "wild", "starts"):
        assert np.array_equal(getattr(edge, name), getattr(null, name))
    assert not null.drift.any() and null.down == 0
    assert edge.drift.min() == generator.DOWN / generator.DRIFT_BARS
    assert abs(edge.drift.sum()) < 0.5 * np.abs(edge.drift).sum()
    assert (np.diff(edge.starts) > generator.QUIET_BARS).all()


@pytest.mark.parametrize("spacing_ns", [5 * 10**9, MINUTE_NS, 5 * MINUTE_NS])
def test_the_crash(spacing_ns: int) -> None:
    bars = 40 * max(12, 3600 * 10**9 // spacing_ns)
    instruments, levels = universe(8, 1)
    planted = plant_events("crash", bars, spacing_ns, 1)
    close = PriceWalk(instruments, levels, planted, spacing_ns, 1).day(bars)["close"]
    middle, span = bars // 2, bars // 40
    fall = close[:, middle + span] / close[:, middle] - 1.0
    assert (fall < -0.15).all() and -0.45 < np.mean(fall) < -0.22
    rebound = np.mean(close[:, middle + 5 * span] / close[:, middle + span]) - 1.0
    assert 0.03 < rebound < 0.22


def test_deviation_scales_with_the_root_of_the_spacing() -> None:
    deviations = []
    for spacing_ns in (5 * 10**9, MINUTE_NS):
        instruments, levels = universe(2, 1)
        planted = plant_events("null", 20_000, spacing_ns, 1)
        close = PriceWalk(instruments, levels, planted, spacing_ns, 1).day(20_000)["close"][0]
        deviations.append(np.diff(np.log(close)).std() / np.sqrt(spacing_ns / 86_400e9))
    assert deviations == pytest.approx([generator.DAILY_DEVIATION] * 2, rel=0.15)


def test_again_is_idempotent_and_verified(workspace: Workspace) -> None:
    def make(seed: int) -> tuple[Dataset, bool]:
        report = generate(workspace, "g", preset="null", days=1, assets=2, spacing_ns=5 * MINUTE_NS, seed=seed)
        return report.dataset, report.unchanged

    first, unchanged = make(1)
    assert not unchanged and make(1) == (first, True)
    assert verify(workspace, "g") == []
    other, unchanged = make(2)
    assert not unchanged and other.digest != first.digest and open_dataset(workspace, "g") == other
    assert not np.isnan(other.prices().close).any()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"preset": "edgy"}, "unknown preset 'edgy'; did you mean 'edge'"),
        ({"days": 0}, "days is 0"),
        ({"assets": 1}, "assets is 1"),
        ({"seed": -1}, "seed is -1"),
        ({"spacing_ns": 7 * 10**9}, "does not fit a day"),
    ],
)
def test_bad_requests(workspace: Workspace, arguments: dict, says: str) -> None:
    with pytest.raises(DolphinError, match=says):
        generate(workspace, "g", **{"preset": "edge", **arguments})
    assert not (workspace.catalog / "bars").exists()


@pytest.mark.slow
def test_another_target_makes_the_same_bits(markets: dict[str, Dataset]) -> None:
    """A generic CPU, without wide vectors, in a process of its own."""
    program = """
import hashlib
from dolphin.catalog.ingest.generator import PriceWalk, plant_events, universe
instruments, levels = universe(12, 1)
day = PriceWalk(instruments, levels, plant_events("edge", 2880, 60 * 10**9, 1), 60 * 10**9, 1).day(2880)
print(hashlib.sha256(day["close"].T.tobytes()).hexdigest())
"""
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment)
    mine = hashlib.sha256(np.ascontiguousarray(markets["edge"].prices().close).tobytes()).hexdigest()
    assert done.stdout.strip() == mine
