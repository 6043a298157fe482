"""Everything that a session goes on from, as one file per snapshot; the newest good one counts."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import descr_to_dtype, dtype_to_descr

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


def take_snapshot(
    bar: int, ts: int, state: State, scanner: Mapping[str, Any], risk: Mapping[str, Any] | None = None
) -> Snapshot:
    """Copies of what stands after a bar; those of the scanner are copies already."""
    own = {name: np.array(values) for name, values in (risk or {}).items()}
    parts: dict[str, dict[str, Any]] = {"engine": to_arrays(state), "scanner": dict(scanner), "risk": own}
    return Snapshot(bar, ts, int(state.account["digest"][0]), parts)


def write_snapshot(folder: Path, taken: Snapshot) -> None:
    """Write the file whole, and let the oldest go.

    All arrays are one in the file, behind their names, types and shapes: a member for each of a hundred small ones
    would cost more than all that they hold.
    """
    arrays = {
        f"{part}/{name}": np.asarray(values) for part, held in taken.parts.items() for name, values in held.items()
    }
    layout = {name: [dtype_to_descr(values.dtype), list(values.shape)] for name, values in arrays.items()}
    about = json.dumps({"bar": taken.bar, "ts": taken.ts, "digest": taken.digest, "layout": layout})
    data = np.concatenate([np.zeros(0, np.uint8), *(values.reshape(-1).view(np.uint8) for values in arrays.values())])
    with publish(folder / f"{taken.bar:012d}.npz") as part, part.open("wb") as stream:
        np.savez(stream, about=np.array(about), data=data)
    for old in sorted(folder.glob("*.npz"))[:-KEPT]:
        old.unlink(missing_ok=True)


def snapshots(folder: Path) -> Iterator[Snapshot]:
    """Those that can be read, newest first."""
    sweep(folder)
    for path in sorted(folder.glob("*.npz"), reverse=True):
        try:
            yield _read(path)
        except (DolphinError, OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
            continue


def _descr(kind: Any) -> Any:
    """The description of a type, of a record's fields too, as it was before it was JSON."""
    return kind if isinstance(kind, str) else [(one[0], _descr(one[1]), *map(tuple, one[2:])) for one in kind]


def _read(path: Path) -> Snapshot:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as held:
        about, data = json.loads(str(held["about"])), held["data"]
    parts: dict[str, dict[str, Any]] = {"engine": {}, "scanner": {}, "risk": {}}
    at = 0
    for full, (kind, shape) in about["layout"].items():
        part, _, name = full.partition("/")
        dtype = descr_to_dtype(_descr(kind))
        size = dtype.itemsize * prod(shape)
        parts[part][name] = np.frombuffer(data[at : at + size].tobytes(), dtype).reshape(shape).copy()
        at += size
    return Snapshot(int(about["bar"]), int(about["ts"]), int(about["digest"]), parts)
