"""A small generated market that the tests of several rooms run on, and a copy of it to write into."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from once import made_once

from dolphin.catalog import Dataset, generate, open_dataset
from dolphin.config import Config, parse_config
from dolphin.core.records import Market
from dolphin.market.assemble import feature_columns, open_market
from dolphin.workspace import Workspace, create

#: A configuration that trades often on the small market, both ways and with every exit but two.
BUSY = {
    "params": {
        "direction": "bidirectional",
        "short_threshold": -0.004,
        "short_extreme": -0.02,
        "long_threshold": 0.004,
        "long_extreme": 0.02,
        "vol_gate_mode": "off",
        "tp_pct": 0.002,
        "stop_pct": 0.004,
        "max_hold_bars": 30,
    }
}


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with the scanned dataset ``m``; nobody writes into it."""
    made = made_once(tmp_path_factory, "small_market", furnish)
    return Workspace(Path(shutil.copytree(made, tmp_path_factory.mktemp("pristine") / "home")))


def furnish(folder: Path) -> None:
    """Make the workspace of :func:`pristine`."""
    home = create(folder)
    generate(home, "m", preset="edge", days=3, assets=8, spacing_ns=60 * 10**9, seed=3)
    feature_columns(open_dataset(home, "m"))


@pytest.fixture
def home(pristine: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the workspace for tests that change it."""
    shutil.copytree(pristine.root, tmp_path / "home")
    return Workspace(tmp_path / "home")


@pytest.fixture(scope="session")
def dataset(pristine: Workspace) -> Dataset:
    return open_dataset(pristine, "m")


@pytest.fixture(scope="session")
def busy() -> Config:
    return parse_config(BUSY, where="test")


@pytest.fixture(scope="session")
def market(dataset: Dataset, busy: Config) -> Market:
    return open_market(dataset, busy)


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., Path]:
    """Write a study file: keys as given, and a base configuration that trades."""

    def write(text: str, name: str = "look") -> Path:
        path = tmp_path / f"{name}.toml"
        path.write_text(text)
        return path

    return write
