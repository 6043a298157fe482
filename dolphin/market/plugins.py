"""Plug-in features of a strategy: whole columns, from the hot cache or on given rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from dolphin.catalog import Dataset
from dolphin.catalog.store.cache import Writer
from dolphin.core.jit import kernel_digest
from dolphin.core.records import Floats, Ints
from dolphin.features import Feature, compute_feature, scanner_digest

#: From a feature, the definitions of its inputs and their rows (T, I) to its columns (T, K).
Compute = Callable[[Feature, tuple[str, ...], Floats], Floats]


def of_dataset(dataset: Dataset) -> Compute:
    """Columns of the whole grid, computed once: a change of source, data, scanner or kernel makes new ones."""

    def columns(feature: Feature, definitions: tuple[str, ...], inputs: Floats) -> Floats:
        def build(writer: Writer) -> None:
            prices = dataset.prices()
            out = writer.array("values", (len(prices.ts), len(feature.names)), np.float64)
            compute_feature(feature, prices.ts, prices.close, inputs, threads=0, out=out)

        depends = (feature.digest, definitions, scanner_digest() if definitions else "", kernel_digest())
        version = hashlib.sha256(repr(depends).encode()).hexdigest()
        return dataset.cached("own", build, version)["values"]

    return columns


def of_rows(ts: Ints, close: Floats) -> Compute:
    """Columns of these rows alone, as if no others were known."""

    def columns(feature: Feature, definitions: tuple[str, ...], inputs: Floats) -> Floats:
        return compute_feature(feature, ts, close, inputs)

    return columns
