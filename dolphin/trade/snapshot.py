"""Everything that a session goes on from, as one file of arrays per snapshot; the newest good one counts."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dolphin.core.engine import Engine
from dolphin.core.records import State
from dolphin.core.snapshot import from_arrays, to_arrays
from dolphin.errors import DolphinError
from dolphin.files import publish, sweep

#: Snapshots that are kept: one that a copy damaged has another behind it.
KEPT = 3


@dataclass(frozen=True)
class Snapshot:
    """What stood after a bar. ``parts`` are arrays by part (``engine``, ``scanner``, ``risk``)
    and name."""

    bar: int
    ts: int
    digest: int
    parts: dict[str, dict[str, Any]]

    def state(self, engine: Engine, assets: int) -> State:
        """The engine's state."""
        return from_arrays(engine, assets, self.parts["engine"])


def write_snapshot(
    folder: Path, bar: int, ts: int, state: State, scanner: dict[str, Any], risk: dict[str, Any] | None = None
) -> None:
    """Write the file whole, and let the oldest go."""
    about = json.dumps({"bar": bar, "ts": ts, "digest": int(state.account["digest"][0])})
    arrays: dict[str, Any] = {f"engine/{name}": values for name, values in to_arrays(state).items()}
    arrays |= {f"scanner/{name}": values for name, values in scanner.items()}
    arrays |= {f"risk/{name}": values for name, values in (risk or {}).items()}
    with publish(folder / f"{bar:012d}.npz") as part, part.open("wb") as stream:
        np.savez(stream, about=np.array(about), **arrays)
    for old in sorted(folder.glob("*.npz"))[:-KEPT]:
        old.unlink(missing_ok=True)


def snapshots(folder: Path) -> Iterator[Snapshot]:
    """Those that can be read, newest first."""
    sweep(folder)
    for path in sorted(folder.glob("*.npz"), reverse=True):
        try:
            yield _read(path)
        except (DolphinError, OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
            continue


def _read(path: Path) -> Snapshot:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
        about = json.loads(str(held["about"]))
        parts: dict[str, dict[str, Any]] = {"engine": {}, "scanner": {}, "risk": {}}
        for name in held.files:
            part, _, inner = name.partition("/")
            if part in parts:
                parts[part][inner] = held[name]
    return Snapshot(int(about["bar"]), int(about["ts"]), int(about["digest"]), parts)
