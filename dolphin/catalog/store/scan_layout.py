"""How the scans of a dataset lie on disk: folders, files, columns and manifest, for all who write or read them.

``data_catalog/scans/<name>/`` (``<name>@<digest>`` for a version that the name does not mean) holds a Parquet
file per UTC day with exactly the columns of the data specification: ``ts``, the features, then the prices of
the symbols. What else the scanner knows lies in a file of the same name in ``detail/``, its state after the
newest day in ``state/``. Scans over other windows lie in a folder of their own below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dolphin.errors import Damaged, NotFound
from dolphin.files import read_json

SCAN_SCHEMA = 3

#: The feature columns over the default windows.
FEATURES = (
    "vel_div", "v50_vel", "v150_vel", "v300_vel", "v750_vel",
    "instability_50", "instability_150", "vol", "bull_pct",
)  # fmt: skip

#: The number of the bar on the dataset's grid, from 0; a column of the detail.
SCAN_NUMBER = "scan_number"

#: The file of any day, as a pattern.
DAYS = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].parquet"

DETAIL, STATE = "detail", "state"


def feature_names(windows: Sequence[int]) -> tuple[str, ...]:
    """The columns of a scan file over these windows, ``ts`` and prices aside."""
    velocities = tuple(f"v{w}_vel" for w in windows)
    instability = tuple(f"instability_{w}" for w in windows[:2])
    return ("vel_div", *velocities, *instability, "vol", "bull_pct")


def folder_of(catalog: Path, label: str, windows: Sequence[int] | None = None) -> Path:
    """Where the scan days of a version lie; those over other windows than the default in a folder below."""
    folder = catalog / "scans" / label
    return folder / ("w" + "-".join(map(str, windows))) if windows else folder


def day_files(date: str) -> tuple[str, str]:
    """The files of a day within the folder: the scan and its detail."""
    return f"{date}.parquet", f"{DETAIL}/{date}.parquet"


def state_file(date: str) -> str:
    """The file of the scanner's state after a day's last row."""
    return f"{STATE}/{date}.npz"


def manifest_of(folder: Path) -> Path:
    """The manifest of a folder of scans."""
    return folder / "manifest.json"


def read_manifest(folder: Path) -> dict[str, Any]:
    """What the manifest says; empty if there is none that can be read (a scan can always be made again)."""
    path = manifest_of(folder)
    try:
        found = read_json(path) if path.is_file() else {}
    except (NotFound, Damaged):
        return {}
    return found if isinstance(found, dict) else {}


def listed_files(manifest: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 by file of all days of a manifest."""
    return {file: what["sha256"] for day in manifest["days"].values() for file, what in day["files"].items()}
