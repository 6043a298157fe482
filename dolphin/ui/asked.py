"""What a page is made from: the workspace, and what the address and the form say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dolphin.errors import BadInput, NotFound
from dolphin.workspace import Workspace

if TYPE_CHECKING:
    from dolphin.ui.explorer import Explorer


#: No row number is larger.
LARGEST = 1 << 40


@dataclass(frozen=True)
class Asked:
    """One request: ``names`` are the parts of its path, ``query`` and ``form`` take several values of a name."""

    workspace: Workspace
    names: Mapping[str, str]
    query: Any
    csrf: str
    explorer: Explorer
    form: Any = None

    @property
    def name(self) -> str:
        """What the address names."""
        return self.names["name"]

    def number(self, key: str, default: int | None = None) -> int:
        """A whole number of the query."""
        text = self.query.get(key)
        if text is None and default is not None:
            return default
        try:
            value = int(text)
        except (TypeError, ValueError):
            value = LARGEST + 1
        if abs(value) > LARGEST:
            raise BadInput(f"{key} is {str(text)[:20]!r}, not a whole number of bars or points")
        return value

    def run_folder(self) -> Path:
        """The run folder that the address names."""
        return run_folder(self.workspace, self.name)


def runs_root(workspace: Workspace) -> Path:
    """Where the runs of a workspace are."""
    return workspace.root / "runs"


def run_folder(workspace: Workspace, name: str) -> Path:
    """The folder of a run by its path below ``runs``; nothing outside it is looked at.

    Raises
    ------
    NotFound
        If there is no run.
    """
    folder = inside(runs_root(workspace), name)
    if not (folder / "run.json").is_file():
        raise NotFound("no such run", where=name, mend="'dolphin runs list' has them")
    return folder


def inside(root: Path, name: str) -> Path:
    """A path below ``root``; one that leads out of it is none."""
    root = root.resolve()
    path = (root / name).resolve()
    if "\0" in name or path == root or not path.is_relative_to(root):
        raise NotFound("no such thing here", where=name)
    return path


def name_of(workspace: Workspace, folder: Path) -> str:
    """A run folder's name in addresses."""
    return folder.resolve().relative_to(runs_root(workspace).resolve()).as_posix()
