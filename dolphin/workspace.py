"""The folder a quant versions: where things are, found from wherever the command runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dolphin.errors import DolphinError, NotFound
from dolphin.files import write_bytes

MARKER = "dolphin.toml"
#: Files of the package that a new workspace gets a copy of, in ``promote/``.
RULES = tuple(Path(__file__).parent / "gate" / name for name in ("floors.toml", "policy.toml"))
FOLDERS = {
    "research": "Strategies of one's own (one module each) and studies that answer a question.",
    "data_catalog": "Dataset manifests; the data itself lies beside them and is ignored by git.",
    "experiments": "Study definitions (TOML) and the append-only trial registry, run summaries.",
    "promote": "Floors and policy, champions by content hash, the blue and green pointers, the audit log.",
    "notebooks": "What people read and run from top to bottom.",
}
GITIGNORE = """\
data_catalog/*/
runs/
.lock
promote/.shifts/
promote/.calibration/
"""


@dataclass(frozen=True)
class Workspace:
    """A workspace by its root; every path of the layout is derived from it."""

    root: Path

    @property
    def catalog(self) -> Path:
        """Datasets, scans and the hot cache."""
        return self.root / "data_catalog"

    @property
    def experiments(self) -> Path:
        """Studies and the trial registry."""
        return self.root / "experiments"

    @property
    def promote(self) -> Path:
        """Floors, champions, pointers, audit log."""
        return self.root / "promote"

    @property
    def research(self) -> Path:
        """The user's own strategies and studies."""
        return self.root / "research"


def create(root: Path) -> Workspace:
    """Make a workspace; what is already there is left as it is."""
    root = Path(root).resolve()
    if root.exists() and not root.is_dir():
        raise DolphinError("is a file", where=str(root), mend="name a folder")
    for folder, line in FOLDERS.items():
        readme = root / folder / "README.md"
        if not readme.exists():
            write_bytes(readme, f"# {folder}\n{line}\n".encode())
    for rules in RULES:
        own = root / "promote" / rules.name
        if not own.exists():
            write_bytes(own, rules.read_bytes())
    marker, ignore = root / MARKER, root / ".gitignore"
    if not ignore.exists():
        write_bytes(ignore, GITIGNORE.encode())
    if not marker.exists():
        write_bytes(marker, b"# A DOLPHIN workspace: the command finds it by this file.\nversion = 1\n")
    return Workspace(root)


def find(start: Path | None = None) -> Workspace:
    """The workspace at ``DOLPHIN_HOME`` (created when missing), or the nearest one upwards.

    Raises
    ------
    DolphinError
        If neither exists.
    """
    home = os.environ.get("DOLPHIN_HOME")
    if home:
        return create(Path(home))
    here = Path(start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / MARKER).is_file():
            return Workspace(folder)
    raise NotFound(
        f"no workspace ({MARKER}) here or above",
        where=str(here),
        mend="run 'dolphin init DIR', or set DOLPHIN_HOME",
    )


def around(file: Path) -> Workspace:
    """The workspace that a file lies in, or else the one that :func:`find` finds."""
    for folder in Path(file).resolve().parents:
        if (folder / MARKER).is_file():
            return Workspace(folder)
    return find()
