"""``*__Indicators.npz``: arrays of one length beside a ``.sha256`` file, without which nothing is read.

The layout is ``timestamps`` (int64 ms, us or ns, or datetime64; also ``timestamp`` or ``ts``), one
one-dimensional array per indicator under its name, and optionally ``symbol``, ``regime`` (text),
``scan_number`` (integers) and ``eigenvalues`` (T x N). ``X.npz.sha256`` is what ``sha256sum X.npz`` prints,
or the bare digest.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from dolphin.catalog.readers.archives import checked_members
from dolphin.catalog.readers.clock import Clock
from dolphin.catalog.readers.layouts import features
from dolphin.catalog.readers.reading import MAX_ROWS, Reading, Source, check_begins, explained, filled
from dolphin.catalog.store.cache import Array
from dolphin.errors import DolphinError
from dolphin.files import sha256_file

MAX_BYTES = 4 << 30
TIMES = ("timestamps", "timestamp", "ts")
_TEXTS = ("symbol", "regime")


def read_npz(path: Path, *, allow_pickle: bool = False) -> Reading:
    """Indicator arrays, once the file's SHA-256 is the one beside it.

    Parameters
    ----------
    allow_pickle : bool
        Load object arrays too (they are pickles).
    """
    check_begins(path, b"PK", "NPZ")
    check_digest(path)
    source = Source.of(path)
    shapes = {}
    for member in checked_members(path, (".npy",)):
        name = member.filename.removesuffix(".npy")
        with explained(source.where, "NPZ"), zipfile.ZipFile(path) as archive:
            shapes[name] = _check_header(archive, member, source, allow_pickle)
    total = sum(m.file_size for m in checked_members(path, (".npy",)))
    if total > MAX_BYTES:
        raise DolphinError(f"would unpack to {total} bytes", where=source.where, mend="split it by time")
    times = [name for name in TIMES if name in shapes]
    if len(times) != 1:
        raise DolphinError("no array 'timestamps'", where=source.where, mend=f"it has {', '.join(sorted(shapes))}")
    _check_shapes(shapes, times[0], source)

    def frames() -> Iterator[pl.DataFrame]:
        clock = Clock(source.where)
        with np.load(path, allow_pickle=allow_pickle) as archive:
            arrays = {name: archive[name] for name in shapes}
        for start in range(0, shapes[times[0]][0], MAX_ROWS):
            piece = {name: _column(name, a[start : start + MAX_ROWS], source) for name, a in arrays.items()}
            frame = pl.DataFrame(piece)
            yield features(frame, source, clock.ns(frame[times[0]]))

    return Reading("features", filled(frames(), source.where, "NPZ"))


def check_digest(path: Path) -> None:
    """Raise unless ``{path}.sha256`` holds the file's SHA-256.

    Raises
    ------
    DolphinError
        If it is missing, no digest, of another file, or not the one of this file.
    """
    beside = path.with_name(path.name + ".sha256")
    mend = f"if you trust the file, make it with: sha256sum {path.name} > {beside.name}"
    with explained(str(beside), "a digest"):
        text = beside.read_bytes()[:4096].decode() if beside.is_file() else None
    if text is None:
        raise DolphinError(f"no checksum file '{beside.name}' beside it", where=str(path), mend=mend)
    match = re.fullmatch(r"([0-9a-fA-F]{64})(?:\s+\*?(.+?))?\s*", text)
    if not match:
        raise DolphinError("holds no SHA-256", where=str(beside), mend=mend)
    if match[2] and Path(match[2]).name != path.name:
        raise DolphinError(f"is the checksum of '{match[2][:80]}'", where=str(beside), mend=mend)
    if match[1].lower() != sha256_file(path):
        raise DolphinError(
            f"its SHA-256 is not the one in '{beside.name}'",
            where=str(path),
            mend="copy both files again; the data was damaged or changed",
        )


def _check_header(archive: zipfile.ZipFile, member: zipfile.ZipInfo, source: Source, pickles: bool) -> tuple[int, ...]:
    """Shape of an array, once its type is plain and its header agrees with its size."""
    name = member.filename
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(stream)
        header = stream.tell()
    if dtype.hasobject:
        if pickles:
            return tuple(shape)
        raise DolphinError(
            f"'{name}' holds Python objects (a pickle), so it is not read",
            where=source.where,
            mend="save plain arrays, or allow pickles if you made it yourself",
        )
    wanted = dtype.itemsize
    for length in shape:
        wanted *= length
    if min(shape, default=0) < 0 or wanted != member.file_size - header:
        raise DolphinError(f"'{name}' is not as long as it says", where=source.where, mend="check what was downloaded")
    return tuple(shape)


def _check_shapes(shapes: dict[str, tuple[int, ...]], time: str, source: Source) -> None:
    for name, shape in shapes.items():
        if len(shape) != (2 if name == "eigenvalues" else 1):
            raise DolphinError(f"'{name}' has {len(shape)} dimensions", where=source.where, mend="one value per time")
        if shape[0] != shapes[time][0]:
            raise DolphinError(
                f"'{name}' has {shape[0]} values for {shapes[time][0]} times",
                where=source.where,
                mend="one value per time",
            )


def _column(name: str, values: Array, source: Source) -> pl.Series:
    if name == "eigenvalues":
        return pl.Series(name, np.ascontiguousarray(values, np.float64)).arr.to_list()
    if values.dtype.kind == "M":
        return pl.Series(name, values.astype("datetime64[ns]").astype(np.int64))
    if values.dtype.kind in "SU" or (values.dtype.kind == "O" and name in _TEXTS):
        if name not in _TEXTS:
            raise DolphinError(f"'{name}' is text, no number", where=source.where, mend="save numbers")
        return pl.Series(name, [v.decode() if isinstance(v, bytes) else str(v) for v in values], pl.String)
    if values.dtype.kind not in "iufO":
        raise DolphinError(f"'{name}' is {values.dtype}, no number", where=source.where, mend="save numbers")
    integer = name == "scan_number" or name in TIMES
    if integer and values.dtype.kind == "f":
        raise DolphinError(f"'{name}' is {values.dtype}, no integer", where=source.where, mend="save int64")
    return pl.Series(name, values.astype(np.int64 if integer else np.float64))
