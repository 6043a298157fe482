"""Boosted trees as plain arrays: what scikit-learn has trained, in JSON, and evaluated here without it.

An input is rounded to float32 before it is compared, as scikit-learn does; the probability comes from our own
exponential, so that a status is the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dolphin.core.exponential import exp_array
from dolphin.core.records import Floats
from dolphin.errors import Damaged

#: The feature number of a leaf.
LEAF = -2


@dataclass(frozen=True)
class Tree:
    """One regression tree, a row per node: feature (LEAF at a leaf), threshold, left and right child, value."""

    feature: NDArray[np.int64]
    threshold: Floats
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Floats

    def at(self, x: NDArray[np.float32]) -> Floats:
        """(E,) float64: the value of the leaf that each row reaches."""
        node = np.zeros(len(x), np.int64)
        while True:
            feature = self.feature[node]
            inner = feature != LEAF
            if not inner.any():
                return self.value[node]
            rows = np.flatnonzero(inner)
            below = x[rows, feature[rows]] <= self.threshold[node[rows]]
            node[rows] = np.where(below, self.left[node[rows]], self.right[node[rows]])


@dataclass(frozen=True)
class Boosted:
    """A sum of trees: ``base`` + ``rate`` * tree values, and the calibration p = 1 / (1 + exp(-(slope s + shift)))."""

    base: float
    rate: float
    trees: tuple[Tree, ...]
    slope: float = 1.0
    shift: float = 0.0

    def scores(self, x: NDArray[np.float32]) -> Floats:
        """(E,) float64 log-odds before calibration."""
        rows = np.ascontiguousarray(x, np.float32)
        total = np.full(len(rows), self.base)
        for tree in self.trees:
            total += self.rate * tree.at(rows)
        return total

    def probabilities(self, x: NDArray[np.float32]) -> Floats:
        """(E,) float64 calibrated probabilities."""
        odds: Floats = 1.0 / (1.0 + exp_array(-(self.slope * self.scores(x) + self.shift)))
        return odds

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "base": self.base,
            "rate": self.rate,
            "slope": self.slope,
            "shift": self.shift,
            "trees": [{name: getattr(tree, name).tolist() for name in Tree.__annotations__} for tree in self.trees],
        }


def from_dict(document: Any, where: str, features: int) -> Boosted:
    """The model of a document (:meth:`Boosted.as_dict`), checked: a walk through it ends and stays inside.

    Raises
    ------
    DolphinError
        If the arrays are none of a tree.
    """
    try:
        trees = tuple(_tree(entry, features) for entry in document["trees"])
        numbers = [float(document[name]) for name in ("base", "rate", "slope", "shift")]
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(f"holds no trees ({error})", where=where, mend="train it again") from None
    if not np.isfinite(numbers).all():
        raise Damaged("a number of the model is not finite", where=where, mend="train it again")
    return Boosted(numbers[0], numbers[1], trees, numbers[2], numbers[3])


def _tree(entry: Any, features: int) -> Tree:
    kinds = {"feature": np.int64, "threshold": np.float64, "left": np.int64, "right": np.int64, "value": np.float64}
    arrays: dict[str, NDArray[Any]] = {name: np.array(entry[name], kind) for name, kind in kinds.items()}
    nodes = len(arrays["feature"])
    inner = arrays["feature"] != LEAF
    own = np.arange(nodes)[inner]
    children = np.concatenate([arrays["left"][inner], arrays["right"][inner]])
    if not nodes or any(array.shape != (nodes,) for array in arrays.values()):
        raise ValueError("arrays of different lengths")
    if ((arrays["feature"][inner] < 0) | (arrays["feature"][inner] >= features)).any():
        raise ValueError("a feature that there is not")
    if (children <= np.tile(own, 2)).any() or (children >= nodes).any() or not np.isfinite(arrays["value"]).all():
        raise ValueError("a child before its parent, or outside")
    return Tree(**arrays)


def of_sklearn(model: Any) -> Boosted:
    """The arrays of a fitted binary ``GradientBoostingClassifier``."""
    prior = float(model.init_.class_prior_[1])
    base = float(np.log(prior / (1.0 - prior)))
    trees = []
    for (regressor,) in model.estimators_:
        tree = regressor.tree_
        trees.append(
            Tree(
                tree.feature.astype(np.int64),
                tree.threshold.astype(np.float64),
                tree.children_left.astype(np.int64),
                tree.children_right.astype(np.int64),
                tree.value[:, 0, 0].astype(np.float64),
            )
        )
    return Boosted(base, float(model.learning_rate), tuple(trees))
