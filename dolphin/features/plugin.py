"""A streaming feature of one's own, computed beside the scanner's by one kernel, in batch and live.

The contract. A feature is ``update(state, bar, out)``: it sees one bar and its own state, and writes its
value. The state is **re-anchored at the first bar of each UTC day**: set to zero and fed with exactly
``warmup_bars`` trailing rows (all there are, if fewer). So a value depends on those rows and on its own day
alone: no bit depends on when a process started, days may be computed side by side, and a stream is the batch.
Before ``warmup_bars`` rows of data a value is NaN, whatever was written.
"""

from __future__ import annotations

import hashlib
import sys
import types
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numba.core.errors import NumbaError

from dolphin.core import fingerprint, jit
from dolphin.core.logarithm import ln_array
from dolphin.core.records import DAY_NS, Floats, Ints
from dolphin.errors import DolphinError
from dolphin.features.scanner import in_order

CHUNK = 256  # rows that are copied at once: they stay in the cache
MOST_MEMORY = 1 << 22  # numbers of state
LONGEST_WARMUP = 100_000  # bars

_KERNEL = Path(__file__).with_name("plugin_kernel.py")


@dataclass(frozen=True)
class Feature:
    """A plug-in feature, declared by a strategy: ``Strategy(features=("vel_div", MINE), ...)``.

    Parameters
    ----------
    name : str
        Name of its column, or the first part of the names of its columns.
    update : callable
        ``update(state, bar, out)``, decorated with :func:`dolphin.core.jit.inline`. ``state`` (memory,)
        float64 is its own; ``bar`` is a :class:`~dolphin.features.bar.Bar`; ``out`` (columns,) float64 is
        NaN when it comes. No allocation, no ``math`` or ``np`` transcendental function.
    memory : int or callable
        Size of the state, or the size from the number of assets.
    warmup_bars : int
        Rows from a state of zeros to a value that does not depend on what was before them (up to
        ``tolerance``).
    columns : tuple of str
        Where it has several: they are named ``name_column``.
    inputs : tuple of str
        Columns of the scanner that it reads as ``bar.inputs``, by the definitions of the config
        (``vel_div`` is the one that the strategy's parameters select).
    tolerance : float
        How far a value may depend on rows before the warm-up, relative to the column's largest absolute
        value: rounding of running sums, or what is left of an exponential average.

    Raises
    ------
    DolphinError
        For a declaration that cannot hold.
    """

    name: str
    update: Callable[..., None]
    memory: int | Callable[[int], int]
    warmup_bars: int
    columns: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    tolerance: float = 1e-9

    def __post_init__(self) -> None:
        wrong = self._mistake()
        if wrong:
            raise DolphinError(f"feature '{self.name}': {wrong}")

    def _mistake(self) -> str | None:
        names = (self.name, *(self.columns or ()))
        if not all(isinstance(name, str) and name.isidentifier() for name in names) or len(set(names)) < len(names):
            return f"its names {', '.join(map(repr, names))} are no different identifiers"
        if not isinstance(self.columns, tuple) or not isinstance(self.inputs, tuple):
            return "columns and inputs are tuples of names"
        if not hasattr(self.update, "py_func"):
            return "update is not decorated with dolphin.core.jit.inline"
        if self.update.py_func.__code__.co_argcount != 3:
            return f"update takes (state, bar, out), not {self.update.py_func.__code__.co_argcount} arguments"
        if not callable(self.memory) and not _whole(self.memory, 0, MOST_MEMORY):
            return f"memory = {self.memory!r} is not a number of float64 from 0 to {MOST_MEMORY}, nor a function"
        if not _whole(self.warmup_bars, 1, LONGEST_WARMUP):
            return f"warmup_bars = {self.warmup_bars!r} is not a number of bars from 1 to {LONGEST_WARMUP}"
        if not (isinstance(self.tolerance, float) and 0.0 <= self.tolerance < 1.0):
            return f"tolerance = {self.tolerance!r} is not a share from 0 to 1"
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its columns."""
        return tuple(f"{self.name}_{column}" for column in self.columns) or (self.name,)

    @property
    def functions(self) -> list[Callable[..., Any]]:
        """What of it can change a value."""
        return [self.update, self.memory] if callable(self.memory) else [self.update]

    @property
    def sources(self) -> frozenset[Path]:
        """The files of what the digest covers; the framework's own are left out."""
        return frozenset(fingerprint.files_of(self.functions))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all that can change a value: functions and constants that are reached, declaration."""
        memory = self.memory.__qualname__ if callable(self.memory) else self.memory
        declared = (self.name, self.update.__qualname__, memory, self.warmup_bars, self.columns, self.inputs)
        return hashlib.sha256(repr((declared, fingerprint.of_functions(self.functions))).encode()).hexdigest()

    def new_state(self, assets: int) -> Floats:
        """(memory,) float64 zeros for a market of ``assets`` columns."""
        size = self.memory(assets) if callable(self.memory) else self.memory
        if not _whole(size, 0, MOST_MEMORY):
            raise DolphinError(f"feature '{self.name}': memory of {size!r} numbers for {assets} assets")
        return np.zeros(size)

    @cached_property
    def advance(self) -> Callable[..., None]:
        """The compiled loop over rows: ``advance(ts, price, log_price, inputs, state, out)``.

        Raises
        ------
        DolphinError
            If ``update`` does not compile: one line that says why.
        """
        return compiled(self, self.update, "")


def _whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def compiled(feature: Feature, update: Callable[..., None], variant: str) -> Callable[..., None]:
    """The loop around ``update``; ``variant`` tells it from the feature's own in numba's disk cache."""
    # A cached kernel looks up the module of ``update`` by name: imported under another, it is another kernel.
    depends = (jit.kernel_digest(), feature.digest, feature.update.__module__, variant)
    key = hashlib.sha256(repr(depends).encode()).hexdigest()
    name = f"dolphin.features.plugin_{key[:16]}"
    if name not in sys.modules:
        module = types.ModuleType(name, doc=f"The loop of feature {feature.name}.")
        module.__file__ = str(_KERNEL)
        module.__dict__.update(update=update, kernel=jit.kernel_in(key))
        sys.modules[name] = module  # numba looks a cached kernel's globals up by module name
        try:
            exec(compile(_KERNEL.read_text(), str(_KERNEL), "exec"), module.__dict__)
        except BaseException as error:
            del sys.modules[name]
            if not isinstance(error, NumbaError | NotImplementedError):
                raise
            where = Path(feature.update.py_func.__code__.co_filename).name  # type: ignore[attr-defined]
            raise DolphinError(f"feature '{feature.name}' does not compile: {_reason(error)}", where=where) from None
    loop = sys.modules[name].advance

    def advance(*arrays: Floats) -> None:
        try:
            loop(*arrays)
        except Exception as error:  # whatever the user's code raises
            reason = " ".join(str(error).split())
            raise DolphinError(f"feature '{feature.name}' raised {type(error).__name__}: {reason}") from error

    return advance


def _reason(error: BaseException) -> str:
    """The lines of numba's message that tell what is wrong, and where, as one."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("Failed in", "During", "- Resolution", "<source"))]
    place = next((line for line in lines if line.startswith("File ") and "plugin_kernel" not in line), "")
    first = next((line for line in told if not line.startswith(("File ", "^", ">>>"))), type(error).__name__)
    return f"{first} ({place.rstrip(':')})" if place and place not in first else first


def compute(
    feature: Feature,
    ts: Ints,
    close: Floats,
    inputs: Floats | None = None,
    *,
    threads: int = 1,
    out: Floats | None = None,
) -> Floats:
    """The feature at every row.

    Parameters
    ----------
    feature : Feature
    ts : int64[T]
        Close times, ns UTC, increasing.
    close : float64[T, N]
        Prices, forward-filled, NaN before an asset's first; may be a memory map: rows are read in blocks.
    inputs : float64[T, I], optional
        The scanner's columns that the feature asks for.
    threads : int
        Days are computed side by side on so many threads, 0 for one per core; no bit depends on it.
    out : float64[T, K], optional
        Where to write.

    Returns
    -------
    float64[T, K], NaN in the first ``warmup_bars`` rows.
    """
    rows = len(ts)
    inputs = np.empty((rows, 0)) if inputs is None else inputs
    if close.ndim != 2 or len(close) != rows or inputs.shape != (rows, len(feature.inputs)):
        raise DolphinError(
            f"feature '{feature.name}': times of shape {np.shape(ts)}, prices {close.shape} and "
            f"inputs {inputs.shape} do not fit ({len(feature.inputs)} inputs are declared)"
        )
    out = np.empty((rows, len(feature.names))) if out is None else out
    feature.advance  # noqa: B018 - a mistake in it is told once, before there are threads
    bounds = [0, *(np.flatnonzero(np.diff(np.asarray(ts) // DAY_NS)) + 1).tolist(), rows] if rows else [0]

    def day(piece: tuple[int, int]) -> None:
        low, high = piece
        state = feature.new_state(close.shape[1])
        replay(feature, state, ts, close, inputs, max(0, low - feature.warmup_bars), low)
        for first in range(low, high, CHUNK):
            last = min(first + CHUNK, high)
            out[first:last] = replay(feature, state, ts, close, inputs, first, last)

    for _ in in_order(day, list(pairwise(bounds)), threads):
        pass
    out[: feature.warmup_bars] = np.nan
    return out


def replay(feature: Feature, state: Floats, ts: Ints, close: Floats, inputs: Floats, low: int, high: int) -> Floats:
    """Feed rows ``low`` to ``high`` to ``state``; returns what was written at them, (high - low, K)."""
    out = np.full((high - low, len(feature.names)), np.nan)
    for first in range(low, high, CHUNK):
        rows = slice(first, min(first + CHUNK, high))
        times, price = np.array(ts[rows], np.int64), np.array(close[rows], np.float64, order="C")
        given = np.array(inputs[rows], np.float64, order="C")
        feature.advance(times, price, ln_array(price), given, state, out[first - low : rows.stop - low])
    return out


class FeatureStream:
    """The same feature, one bar at a time.

    Parameters
    ----------
    feature : Feature
    n_assets : int
        Number of price columns.
    """

    def __init__(self, feature: Feature, n_assets: int) -> None:
        self.feature = feature
        self._state = feature.new_state(n_assets)
        self._behind: deque[tuple[int, Floats, Floats]] = deque(maxlen=feature.warmup_bars)
        self._day: int | None = None
        self._rows = 0  # taken in, as far as they count for the warm-up
        self._ts = np.empty(1, np.int64)
        self._price = np.empty((1, n_assets))
        self._inputs = np.empty((1, len(feature.inputs)))
        self._out = np.empty((1, len(feature.names)))

    def warm(self, ts: Ints, close: Floats, inputs: Floats) -> None:
        """Take in the history before the first live bar (shapes as for :func:`compute`).

        Only rows since ``warmup_bars`` before the last day's first bar are read.
        """
        if self._rows:
            raise DolphinError(f"feature '{self.feature.name}' has already taken in bars")
        if not len(ts):
            return
        behind = self.feature.warmup_bars
        low = int(np.searchsorted(ts, int(ts[-1]) // DAY_NS * DAY_NS))
        begin = max(0, low - behind)
        replay(self.feature, self._state, ts, close, inputs, begin, len(ts))
        for row in range(max(0, len(ts) - behind), len(ts)):
            self._behind.append((int(ts[row]), np.array(close[row]), np.array(inputs[row])))
        self._day, self._rows = int(ts[-1]) // DAY_NS, len(ts)

    def update(self, ts: int, price: Floats, inputs: Floats) -> Floats:
        """Take in one bar; returns (K,) float64, overwritten by the next call."""
        if ts // DAY_NS != self._day:
            self._re_anchor()
            self._day = ts // DAY_NS
        self._ts[0], self._price[0], self._inputs[0] = ts, price, inputs
        self._out[:] = np.nan
        self.feature.advance(
            self._ts, self._price, ln_array(self._price), self._inputs, self._state, self._out
        )  # fmt: skip
        if self._rows < self.feature.warmup_bars:
            self._out[:] = np.nan
        self._rows += 1
        self._behind.append((int(ts), np.array(price, np.float64), np.array(inputs, np.float64)))
        value: Floats = self._out[0]
        return value

    def _re_anchor(self) -> None:
        self._state[:] = 0.0
        if self._behind:
            ts, price, inputs = (np.array(part) for part in zip(*self._behind, strict=True))
            replay(self.feature, self._state, ts, price, inputs, 0, len(ts))
