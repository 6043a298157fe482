"""Datasets from Python: generated markets and feature rows."""

from __future__ import annotations

from dolphin.catalog import generate as generate_market
from dolphin.catalog import open_dataset
from dolphin.catalog.query.handle import Handle, open_handle
from dolphin.market.scanning import scan_dataset
from dolphin.progress import Progress
from dolphin.times import parse_spacing
from dolphin.workspace import Workspace
from dolphin.workspace import find as find_workspace


def generate(
    name: str,
    *,
    preset: str = "edge",
    days: int = 10,
    assets: int = 50,
    spacing: str = "5s",
    seed: int = 1,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
) -> Handle:
    """A generated market as dataset ``name``, labelled synthetic in everything that is made from it.

    Parameters
    ----------
    preset : {"edge", "null", "crash"}
        With a planted edge, with none, or with a crash in it.

    Examples
    --------
    >>> import dolphin as dp
    >>> home = dp.workspace.create("lab")
    >>> dp.generate("demo", days=2, assets=4, spacing="5m", workspace=home).symbols
    ('BTCUSDT', 'SYN01USDT', 'SYN02USDT', 'SYN03USDT')
    """
    home = workspace or find_workspace()
    generate_market(
        home, name, preset=preset, days=days, assets=assets, spacing_ns=parse_spacing(spacing), seed=seed,
        progress=progress,
    )  # fmt: skip
    return open_handle(name, home)


def scan(name: str, *, workspace: Workspace | None = None, progress: Progress | None = None) -> Handle:
    """Feature rows for every bar of a dataset; only what is missing is computed. ``.features`` of what it gives."""
    home = workspace or find_workspace()
    scan_dataset(open_dataset(home, name), progress)
    return open_handle(name, home)
