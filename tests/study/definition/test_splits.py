"""Splits: small exact cases, the promises of purge and embargo, and agreement with skfolio's splitters."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dolphin.core.records import DAY_NS
from dolphin.errors import DolphinError
from dolphin.study.definition.splits import Fold, block_spans, parse_scheme, paths, split, zones

HOUR = DAY_NS // 24


def hours(days: int) -> np.ndarray:
    """Hourly closes of whole UTC days."""
    return np.arange(1, days * 24 + 1, dtype=np.int64) * HOUR


def folds(days: int, horizon: int = 0, memory: int = 0, **table: Any) -> list[Fold]:
    return split(parse_scheme(table, "s.toml"), hours(days), 0, days * 24, horizon=horizon, memory=memory)


def rows(spans: tuple[tuple[int, int], ...]) -> np.ndarray:
    return np.concatenate([np.arange(a, b) for a, b in spans])


def test_holdout_is_the_last_share_of_the_days() -> None:
    assert folds(10, scheme="holdout", share=0.3) == [Fold(0, ((0, 168),), ((168, 240),))]


def test_walk_forward_rolls_or_is_anchored() -> None:
    rolling = folds(10, scheme="walk_forward", train=4, test=2)
    assert [(f.train, f.test) for f in rolling] == [
        (((0, 96),), ((96, 144),)), (((48, 144),), ((144, 192),)), (((96, 192),), ((192, 240),)),
    ]  # fmt: skip
    anchored = folds(10, scheme="walk_forward", train=4, test=2, anchored=True, purge=5)
    assert [f.train for f in anchored] == [((0, 91),), ((0, 139),), ((0, 187),)]


def test_a_window_inside_the_data_keeps_its_rows() -> None:
    ts = hours(12)
    (fold,) = split(parse_scheme({"scheme": "holdout", "share": 0.5}, "x"), ts, 30, 200)
    assert fold.train[0][0] == 30 and fold.test[0][1] == 200 and fold.train[0][1] == fold.test[0][0]
    assert ts[fold.test[0][0]] % DAY_NS == HOUR  # midnight's bar is of the day before


def test_kfold_purges_before_and_embargoes_after() -> None:
    found = folds(6, horizon=3, memory=10, scheme="kfold", folds=3)
    assert [(f.train, f.test) for f in found] == [
        (((48 + 13, 96), (96, 144)), ((0, 48),)),
        (((0, 45), (96 + 13, 144)), ((48, 96),)),
        (((0, 48), (48, 93)), ((96, 144),)),
    ]


def test_combinatorial_counts_and_paths() -> None:
    found = folds(12, scheme="combinatorial", folds=6, test_folds=2)
    assert len(found) == 15
    ways = paths(found)
    assert len(ways) == 5 and all([block for block, _ in way] == list(range(6)) for way in ways)
    pairs = [pair for way in ways for pair in way]
    assert len(set(pairs)) == len(pairs) == 30 == sum(len(f.blocks) for f in found)
    assert block_spans(found)[2] == (96, 144)


@pytest.mark.parametrize(("folds_", "test_folds", "purge", "embargo"), [(6, 2, 0, 0), (6, 2, 3, 7), (5, 1, 2, 0)])
def test_combinatorial_agrees_with_skfolio(folds_: int, test_folds: int, purge: int, embargo: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skfolio.model_selection import CombinatorialPurgedCV

    days = 10 * folds_  # whole days in every block: skfolio cuts by rows
    ours = folds(days, scheme="combinatorial", folds=folds_, test_folds=test_folds, purge=purge, embargo=embargo)
    if test_folds == 1:
        assert ours == folds(days, scheme="kfold", folds=folds_, purge=purge, embargo=embargo)
        return
    theirs = CombinatorialPurgedCV(folds_, test_folds, purged_size=purge, embargo_size=embargo)
    seen = {}
    for train, tests in theirs.split(np.zeros((days * 24, 1))):
        seen[tuple(np.concatenate(tests).tolist())] = train.tolist()
    assert len(seen) == len(ours)
    for fold in ours:
        assert seen[tuple(rows(fold.test).tolist())] == rows(fold.train).tolist()


@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.parametrize("purge", [0, 5])
def test_walk_forward_agrees_with_skfolio(anchored: bool, purge: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skfolio.model_selection import WalkForward

    ours = folds(30, scheme="walk_forward", train=10, test=4, anchored=anchored, purge=purge)
    # skfolio takes the purge out of the test's distance, ours out of the train's end: give it the shorter train.
    theirs = WalkForward(
        test_size=4 * 24, train_size=10 * 24 - purge, expand_train=anchored, purged_size=purge
    ).split(np.zeros((30 * 24, 1)))  # fmt: skip
    for fold, (train, test) in zip(ours, theirs, strict=True):
        assert rows(fold.train).tolist() == train.tolist() and rows(fold.test).tolist() == test.tolist()


schemes = st.one_of(
    st.builds(lambda s: {"scheme": "holdout", "share": s}, st.floats(0.05, 0.95)),
    st.builds(
        lambda a, b, c, d: {"scheme": "walk_forward", "train": a, "test": b, "step": c, "anchored": d},
        st.integers(1, 8), st.integers(1, 5), st.integers(1, 6), st.booleans(),
    ),
    st.builds(lambda n: {"scheme": "kfold", "folds": n}, st.integers(2, 8)),
    st.builds(
        lambda n, k: {"scheme": "combinatorial", "folds": n, "test_folds": k}, st.integers(4, 7), st.integers(1, 3)
    ),
)  # fmt: skip


@given(schemes, st.integers(2, 30), st.integers(0, 20), st.integers(0, 30), st.integers(0, 23))
def test_no_training_bar_sees_the_test(table: dict[str, Any], days: int, horizon: int, memory: int, late: int) -> None:
    ts = hours(days)
    try:
        found = split(parse_scheme(table, "x"), ts, late, len(ts), horizon=horizon, memory=memory)
    except DolphinError as error:
        assert "too few" in str(error)
        return
    for fold in found:
        train, test = rows(fold.train), rows(fold.test)
        assert not np.intersect1d(train, test).size and train.min() >= late and test.max() < len(ts)
        after = memory + horizon if fold.blocks else 0
        for low, high in fold.test:
            assert ts[low] % DAY_NS == HOUR or low == late
            # A trade from before the border, and a feature that looks back over it, stay out.
            assert not np.any((train >= high) & (train < high + after))
            assert not np.any((train < low) & (train >= low - (horizon if fold.blocks else 0)))
        if not fold.blocks:
            assert train.max() < test.min()


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ([], "must be a table"),
        ({"scheme": "walkforward"}, "did you mean 'walk_forward'"),
        ({"scheme": "walk_forward", "test": 3}, "train"),
        ({"scheme": "kfold", "fold": 3}, "did you mean 'folds'"),
        ({"scheme": "kfold", "folds": 1}, "folds = 1"),
        ({"scheme": "combinatorial", "folds": 4, "test_folds": 4}, "leaves none"),
    ],
)
def test_a_wrong_table_is_one_clear_line(table: Any, complaint: str) -> None:
    with pytest.raises(DolphinError, match=complaint):
        parse_scheme(table, "s.toml")


@pytest.mark.parametrize("table", [{"scheme": "walk_forward", "train": 9, "test": 2}, {"scheme": "kfold", "folds": 11}])
def test_too_few_days_are_said(table: dict[str, Any]) -> None:
    with pytest.raises(DolphinError, match="10 days are too few"):
        folds(10, **table)


@pytest.mark.parametrize("purge", [0, 3])
@pytest.mark.parametrize("embargo", [0, 5, 60])
def test_zones_cover_the_window_once(purge: int, embargo: int) -> None:
    found = folds(20, scheme="combinatorial", folds=5, test_folds=2, purge=purge, embargo=embargo)
    for fold in found:
        named = zones(fold, (0, 480), purge, embargo)
        assert (named["train"], named["test"]) == (list(fold.train), list(fold.test))
        seen = np.concatenate([np.arange(a, b) for spans in named.values() for a, b in spans])
        assert np.sort(seen).tolist() == list(range(480))
        assert all(b - a <= embargo for a, b in named["embargoed"])
        assert all(b - a <= 2 * purge for a, b in named["purged"])
    if purge and embargo == 60:
        # Block 0 and 1 judged: 3 bars of purge and 60 of embargo after them.
        assert zones(found[0], (0, 480), purge, embargo)["purged"] == [(192, 195)]
        assert zones(found[0], (0, 480), purge, embargo)["embargoed"] == [(195, 255)]


def test_zones_of_a_walk_forward_are_its_own_rows() -> None:
    _, second = folds(10, scheme="walk_forward", train=4, test=2, step=3, purge=5)
    assert zones(second, (0, 240), 5, 0) == {
        "train": [(72, 163)], "test": [(168, 216)], "purged": [(163, 168)], "embargoed": []
    }  # fmt: skip
