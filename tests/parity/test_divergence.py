"""The first difference of two runs: found by bisection, explained from data and configs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.catalog import generate
from dolphin.config import Config, parse_config
from dolphin.core.digest import STAGES
from dolphin.errors import DolphinError
from dolphin.manifests import write_manifest
from dolphin.parity.divergence import Field, compare, first_difference
from dolphin.study.backtest import backtest
from dolphin.workspace import Workspace, create

CONFIG = parse_config(
    {
        "params": {
            "direction": "bidirectional",
            "short_threshold": -0.004,
            "long_threshold": 0.004,
            "vol_gate_mode": "off",
            "tp_pct": 0.002,
            "max_hold_bars": 30,
        }
    },
    where="test",
)
SECOND = 10**9
DAY = 86_400 * SECOND


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = create(tmp_path_factory.mktemp("home"))
    generate(workspace, "m", preset="edge", days=3, assets=6, spacing_ns=60 * SECOND, seed=3)
    return workspace


@pytest.fixture(scope="module")
def base(home: Workspace) -> Path:
    return record(home, "base", CONFIG)


def record(
    home: Workspace, name: str, config: Config, start: int | None = None, stop: int | None = None, data: str = "m"
) -> Path:
    backtest(home, data, config, start, stop, out=home.root / "runs" / name, force=True)
    return home.root / "runs" / name


def digests(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "digests.parquet")


def linear(a: np.ndarray, b: np.ndarray) -> int | None:
    return next((i for i in range(len(a)) if a[i] != b[i]), None)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=60), st.data())
def test_bisection_is_a_linear_search_on_chains(chain: list[int], data: st.DataObject) -> None:
    a = np.array(chain, np.uint64)
    where = data.draw(st.integers(0, len(chain)))
    # From the first difference on, chained digests stay different.
    b = np.concatenate([a[:where], a[where:] ^ np.uint64(data.draw(st.integers(1, 2**64 - 1)))])
    assert first_difference(a, b) == linear(a, b) == (None if where == len(chain) else where)


def test_equal_runs(home: Workspace, base: Path) -> None:
    again = record(home, "again", CONFIG)
    found = compare(base, again, home)
    assert found.equal and found.bar is None and found.bars == 4320
    assert found.sentence == "all 4,320 bars are equal, bit for bit" and found.fields == []


@pytest.mark.parametrize(
    ("values", "stage", "cause_note"),
    [
        ({"tp_pct": 0.0021}, "intent", "params.tp_pct: 0.002 and 0.0021"),
        ({"max_hold_bars": 29}, "intent", "params.max_hold_bars: 30 and 29"),
        ({"long_threshold": 0.0041, "long_extreme": 0.06}, "intent", "params.long_threshold: 0.004 and 0.0041"),
        ({"vel_div": "v50-v150"}, "features", "params.vel_div: 'v50-v750' and 'v50-v150'"),
        ({"fee_bps": 2.5}, "fill", "friction.fee_bps: 2.0 and 2.5"),
        ({"initial_capital": 25_001.0}, "state", "account.initial_capital: 25000.0 and 25001.0"),
    ],
)
def test_another_config_differs_at_the_bar_of_a_linear_search(
    home: Workspace, base: Path, values: dict[str, object], stage: str, cause_note: str
) -> None:
    other = record(home, "other", CONFIG.with_values(values))
    found = compare(base, other, home)
    a, b = digests(base), digests(other)
    expected = linear(a["digest"].to_numpy(), b["digest"].to_numpy())
    assert not found.equal and found.bar == expected and found.bars == 4320
    assert found.stage == stage and found.cause == "different config"
    when = np.datetime64(a["ts"][expected], "ns").astype("datetime64[s]")
    assert found.time == f"{when}Z" and f"bar {expected:,}, {when}Z, in stage '{stage}'" in found.sentence
    assert cause_note in found.notes
    differing = [f for f in found.fields if not f.equal]
    assert differing and {f.stage for f in differing} <= set(STAGES)
    assert min(STAGES.index(f.stage) for f in differing) == STAGES.index(stage)
    order = [STAGES.index(f.stage) for f in found.fields]
    assert order == sorted(order)
    mirrored = compare(other, base, home)
    assert (mirrored.bar, mirrored.stage) == (found.bar, found.stage)
    # The fields agree with what the runs recorded of that bar.
    equity = {f.name: (f.left, f.right) for f in found.fields if f.stage == "state"}["equity"]
    recorded = tuple(pl.read_parquet(p / "equity.parquet")["equity"][expected] for p in (base, other))
    assert equity == recorded


def test_without_a_workspace_the_bar_is_still_named(home: Workspace, base: Path) -> None:
    other = record(home, "other", CONFIG.with_values({"tp_pct": 0.0021}))
    found = compare(base, other)
    assert found.bar == compare(base, other, home).bar
    assert found.fields == [] and found.stage is None and found.cause == "different config"


def test_a_longer_run(home: Workspace, base: Path) -> None:
    ts = digests(base)["ts"]
    shorter = record(home, "shorter", CONFIG, None, int(ts[3000]))
    for pair in ((base, shorter), (shorter, base)):
        found = compare(*pair, home)
        assert not found.equal and (found.bar, found.bars, found.cause) == (3000, 3000, "missing bar")
        assert found.sentence == "all 3,000 shared bars are equal, then the bars themselves differ"
        assert found.time == "2025-01-03T02:00:00Z"


def test_another_start(home: Workspace, base: Path) -> None:
    later = record(home, "later", CONFIG, int(digests(base)["ts"][100]))
    found = compare(base, later, home)
    assert not found.equal and found.cause == "missing bar" and found.stage == "data"
    assert "begin at different bars: 2025-01-01T00:00:00Z and 2025-01-01T01:40:00Z" in found.sentence
    assert found.notes == [f"{base} began earlier"]


def test_windows_without_a_shared_bar(home: Workspace, base: Path) -> None:
    ts = digests(base)["ts"]
    early = record(home, "early", CONFIG, None, int(ts[1000]))
    late = record(home, "late", CONFIG, int(ts[2000]))
    with pytest.raises(DolphinError, match="the two runs share no bar"):
        compare(early, late, home)


def test_other_data_is_different_input(home: Workspace, base: Path) -> None:
    generate(home, "m4", preset="edge", days=3, assets=6, spacing_ns=60 * SECOND, seed=4)
    other = record(home, "m4", CONFIG, data="m4")
    found = compare(base, other, home)
    expected = linear(digests(base)["digest"].to_numpy(), digests(other)["digest"].to_numpy())
    assert found.bar == expected and found.cause == "different input"
    assert found.stage in ("data", "features")
    assert any(line.startswith("data digests differ: ") or "dataset" in line for line in found.notes)


def test_a_market_of_other_assets_is_not_gone_on_with(home: Workspace, base: Path) -> None:
    generate(home, "few", preset="edge", days=3, assets=4, spacing_ns=60 * SECOND, seed=3)
    found = compare(base, record(home, "few", CONFIG, data="few"), home)
    assert found.cause == "different input" and found.later is not None and found.later.verdict == "not known"
    assert "other assets or other features" in found.later.sentence


def test_an_altered_dataset_is_said_so(home: Workspace, base: Path, tmp_path: Path) -> None:
    copy = Workspace(tmp_path / "home")
    shutil.copytree(home.root, copy.root)
    other = record(copy, "other", CONFIG.with_values({"tp_pct": 0.0021}))
    generate(copy, "m", preset="edge", days=3, assets=6, spacing_ns=60 * SECOND, seed=9)
    found = compare(base, other, copy)
    assert found.bar is not None and found.fields == []
    assert any("the bar could not be decided again" in line and "another version now" in line for line in found.notes)


def test_a_digest_that_no_code_here_gives(home: Workspace, base: Path, tmp_path: Path) -> None:
    forged = tmp_path / "forged"
    shutil.copytree(base, forged)
    frame = digests(forged)
    row = pl.int_range(pl.len())
    frame.with_columns(
        pl.when(row >= 1234).then(pl.col("digest") ^ pl.lit(1, pl.UInt64)).otherwise(pl.col("digest")).alias("digest")
    ).write_parquet(forged / "digests.parquet")
    write_manifest(forged)
    found = compare(base, forged, home)
    assert found.bar == 1234 and all(f.equal for f in found.fields)
    assert "decided again here, both agree: one run was made by other code or other data" in found.notes


@pytest.mark.slow
def test_the_answer_is_json_and_in_one_order(home: Workspace, base: Path) -> None:
    other = record(home, "other", CONFIG.with_values({"fee_bps": 2.5}))
    program = (
        "import json, sys; from pathlib import Path; from dolphin.parity.divergence import compare;"
        "from dolphin.workspace import Workspace;"
        "print(json.dumps(compare(Path(sys.argv[1]), Path(sys.argv[2]), Workspace(Path(sys.argv[3]))).as_dict()))"
    )
    command = [sys.executable, "-c", program, str(base), str(other), str(home.root)]
    texts = {
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1
    document = json.loads(texts.pop())
    assert document == json.loads(json.dumps(compare(base, other, home).as_dict()))
    fee = next(f for f in document["fields"] if (f["stage"], f["name"]) == ("fill", "fee"))
    assert not fee["equal"] and float(fee["left"]) == pytest.approx(float(fee["right"]) * 0.8)


def test_field_equality_is_bitwise_with_nan() -> None:
    nan = float("nan")
    assert Field("features", "vol", nan, nan).equal and not Field("features", "vol", nan, 1.0).equal
    assert not Field("fill", "fee", None, 1.0).equal and Field("fill", "fee", None, None).equal


DAMAGE = {
    "no folder": lambda folder: shutil.rmtree(folder),
    "no run.json": lambda folder: (folder / "run.json").unlink(),
    "no digests": lambda folder: (folder / "digests.parquet").unlink(),
    "half a json": lambda folder: (folder / "config.json").write_text('{"config": '),
    "json of another kind": lambda folder: (folder / "config.json").write_text("[]"),
    "no hash": lambda folder: (folder / "config.json").write_text('{"config": {}}'),
    "run of another kind": lambda folder: (folder / "run.json").write_text("3"),
    "run without dataset": lambda folder: (folder / "run.json").write_text("{}"),
    "truncated digests": lambda folder: (folder / "digests.parquet").write_bytes(
        (folder / "digests.parquet").read_bytes()[:-30]
    ),
    "other columns": lambda folder: pl.DataFrame({"x": [1]}).write_parquet(folder / "digests.parquet"),
}


@pytest.mark.parametrize("how", sorted(DAMAGE))
def test_a_damaged_run_folder_is_named(home: Workspace, base: Path, tmp_path: Path, how: str) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(base, folder)
    DAMAGE[how](folder)
    for pair in ((base, folder), (folder, base)):
        with pytest.raises(DolphinError) as caught:
            compare(*pair, home)
        assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
