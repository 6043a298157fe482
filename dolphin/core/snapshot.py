"""A state as plain arrays by name, and back: to stop in the middle of a run and go on with the same bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dolphin.core.engine import Engine
from dolphin.core.records import ACCOUNT, Records, State

#: What is shared by the combinations of a sweep, or carries nothing over.
LEFT_OUT = ("ranking", "scratch")

#: What there is only where the account's drawdown is weighed.
WEIGHED = ("in_force", "stress", "highs")


def to_arrays(state: State) -> dict[str, Records]:
    """Everything that a run goes on from, by names such as ``account.capital``, ``slots.qty`` and ``memory``.

    Each array is a contiguous copy of a plain dtype with the shape of its field of ``state``.
    """
    arrays = {}
    for name, values in _kept(state).items():
        for field in _fields(name, values):
            key, source = (f"{name}.{field}", values[field]) if field else (name, values)
            arrays[key] = np.array(source, order="C")
    return arrays


def from_arrays(engine: Engine, assets: int, arrays: Mapping[str, Records]) -> State:
    """The state that ``arrays`` were taken from (:func:`to_arrays`), for a market of ``assets`` columns.

    Raises
    ------
    ValueError
        In one line, for an array that is unknown, missing, or of another shape or type than this engine's.
    """
    state = engine.new_state(assets, 1.0, days=np.size(arrays.get("day_ends", ())))
    if np.size(arrays.get("signals", ())):  # a disturbed run has one per slot, any other none
        state = state._replace(signals=np.zeros(len(state.slots), np.int64))
    targets = {
        f"{name}.{field}" if field else name: values[field] if field else values
        for name, values in _kept(state).items()
        for field in _fields(name, values)
    }
    for name in arrays:
        if name not in targets:
            raise ValueError(f"a snapshot of strategy '{engine.strategy.name}' has no array '{name}'")
    for name, target in targets.items():
        if name not in arrays:
            raise ValueError(f"the snapshot of strategy '{engine.strategy.name}' lacks the array '{name}'")
        given = np.asarray(arrays[name])
        if given.shape != target.shape or given.dtype != target.dtype:
            raise ValueError(
                f"array '{name}' of the snapshot is {given.dtype} {given.shape}, "
                f"strategy '{engine.strategy.name}' with {assets} assets has {target.dtype} {target.shape}"
            )
        target[...] = given
    return state


def _kept(state: State) -> dict[str, Any]:
    return {
        name: values
        for name, values in state._asdict().items()
        if name not in LEFT_OUT and (name not in WEIGHED or values.size)
    }


def _fields(name: str, values: Records) -> tuple[str, ...]:
    """The fields of a record; an account's but the one that names its strategy. One empty name for plain arrays."""
    if name == "account":
        return ACCOUNT.names or ()
    return values.dtype.names or ("",)
