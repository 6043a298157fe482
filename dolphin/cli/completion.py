"""Names that a shell completes: datasets, run folders, studies. Nothing heavy, and no complaint where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dolphin.errors import DolphinError

#: Folders below ``runs`` that are looked into for runs.
DEPTH = 3


def datasets(incomplete: str) -> list[str]:
    """Names of the catalog."""
    return _beginning(incomplete, (path.stem for root in _roots() for path in (root / "data_catalog").glob("*.json")))


def runs(incomplete: str) -> list[str]:
    """Run folders of the workspace as they are seen from here, and folders by their path."""
    return _beginning(incomplete, (_from_here(path) for root in _roots() for path in run_folders(root / "runs")))


def studies(incomplete: str) -> list[str]:
    """Registered studies by name, and study files by path."""
    return _beginning(incomplete, _studies())


def runs_and_studies(incomplete: str) -> list[str]:
    """What has a page."""
    return runs(incomplete) + studies(incomplete)


def run_folders(folder: Path) -> list[Path]:
    """The folders of runs below a folder, itself included, in order of their names."""
    found, below = [], [folder]
    for _ in range(DEPTH + 1):
        found += [path for path in below if (path / "run.json").is_file() and (path / "metrics.json").is_file()]
        below = [
            path for one in below if one.is_dir() for path in one.iterdir() if path.is_dir() and path.name[0] != "."
        ]
    return sorted(found)


def _studies() -> Iterator[str]:
    for root in _roots():
        for path in sorted((root / "experiments").glob("*")):
            if path.suffix == ".toml":
                yield _from_here(path)
            elif (path / "best.toml").is_file():
                yield path.name


def _roots() -> Iterator[Path]:
    """The workspace, if there is one: none is made for a completion."""
    import os

    from dolphin import workspace

    if home := os.environ.get("DOLPHIN_HOME"):
        yield Path(home)
        return
    try:
        yield workspace.find().root
    except DolphinError:
        return


def _from_here(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _beginning(incomplete: str, names: Iterator[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(incomplete)})
