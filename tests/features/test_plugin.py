"""A feature of one's own: what it may declare, that stream, batch and threads agree, and what caches see."""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_features_for_tests import BREADTH, DAY, MINUTE, SMOOTH, prices, smoothed, with_factor

from dolphin.core.jit import inline
from dolphin.errors import DolphinError
from dolphin.features import Feature, FeatureStream, compute_feature
from dolphin.features import plugin as plugin_module


def plainly(close: np.ndarray, ts: np.ndarray) -> np.ndarray:
    """SMOOTH in plain Python: an exponential average of the mean log move, begun anew every day."""
    log, values = np.log(close), np.full(len(ts), np.nan)
    days = ts // DAY
    for day in np.unique(days):
        rows = np.flatnonzero(days == day)
        state, last = 0.0, None
        for t in range(max(0, rows[0] - SMOOTH.warmup_bars), rows[-1] + 1):
            moves = [] if last is None else [x for x in log[t] - last if not math.isnan(x)]
            if moves:
                state += 0.25 * (sum(moves) / len(moves) - state)
            last = log[t]
            if t >= max(rows[0], SMOOTH.warmup_bars):
                values[t] = state
    return values


def test_values_are_those_of_a_slow_implementation() -> None:
    ts, close = prices(bars=400, seed=3, spacing=10 * MINUTE)
    close[:37, 2] = np.nan
    values = compute_feature(SMOOTH, ts, close)[:, 0]
    np.testing.assert_allclose(values, plainly(close, ts), rtol=1e-9, atol=1e-15)
    assert np.isnan(values[: SMOOTH.warmup_bars]).all() and np.isfinite(values[SMOOTH.warmup_bars :]).all()


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    bars=st.integers(1, 700),
    spacing=st.sampled_from([MINUTE, 7 * MINUTE, 60 * MINUTE, DAY]),
    start=st.integers(0, 700),
    missing=st.floats(0.0, 0.9),
)
def test_streams_threads_and_parts_give_the_bits_of_the_batch(
    seed: int, bars: int, spacing: int, start: int, missing: float
) -> None:
    ts, close = prices(bars=bars, seed=seed, spacing=spacing)
    close[np.random.default_rng(seed).random(close.shape) < missing] = np.nan
    inputs, start = np.cumsum(close[:, :1], axis=0), min(start, bars)
    for feature, given_inputs in ((SMOOTH, np.empty((bars, 0))), (BREADTH, inputs)):
        batch = compute_feature(feature, ts, close, given_inputs)
        again = compute_feature(feature, ts, close, given_inputs, threads=3)
        stream = FeatureStream(feature, close.shape[1])
        stream.warm(ts[:start], close[:start], given_inputs[:start])
        rows = [stream.update(int(ts[t]), close[t], given_inputs[t]).copy() for t in range(start, bars)]
        streamed = np.array(rows).reshape(-1, batch.shape[1])
        assert batch.tobytes() == again.tobytes() and batch[start:].tobytes() == streamed.tobytes()


@pytest.mark.slow
def test_a_module_under_another_name_finds_its_kernel(tmp_path: Path) -> None:
    """A cached kernel looks its module up by name; a workspace imports it under another than a test does."""
    source = f"""
from dolphin.core.jit import inline
from dolphin.features import Feature

@inline
def update(state, bar, out):
    out[0] = {time.time_ns()} - bar.price[0]

MINE = Feature("mine", update, memory=0, warmup_bars=1)
"""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own.py").write_text(source)
    run = """
import sys, numpy as np
from pathlib import Path
from dolphin.features import compute_feature
from dolphin.strategies import load_feature
if sys.argv[1] == "one":
    feature = load_feature("own:MINE", Path("one"))
else:
    sys.path.insert(0, "other")
    from own import MINE as feature
compute_feature(feature, np.arange(3), np.ones((3, 2)))
print(feature.digest)
"""
    digests = {subprocess.check_output([sys.executable, "-c", run, name], cwd=tmp_path) for name in ("one", "other")}
    assert len(digests) == 1


def test_blocks_of_rows_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    ts, close = prices(bars=900, seed=5)
    whole = compute_feature(SMOOTH, ts, close)
    monkeypatch.setattr(plugin_module, "CHUNK", 7)
    assert compute_feature(SMOOTH, ts, close).tobytes() == whole.tobytes()


def test_a_column_of_each_name_and_the_inputs_in_order() -> None:
    ts, close = prices(bars=300, seed=1)
    inputs = np.linspace(0.0, 1.0, 300)[:, None]
    assert BREADTH.names == ("broad_up", "broad_fed") and SMOOTH.names == ("smooth",)
    values = compute_feature(BREADTH, ts, close, inputs)
    np.testing.assert_array_equal(values[1:, 1], inputs[1:, 0])
    np.testing.assert_array_equal(values[1:, 0], (close[1:] > close[:-1]).mean(axis=1))


def test_the_digest_sees_source_constants_closures_and_declaration(monkeypatch: pytest.MonkeyPatch) -> None:
    assert dataclasses.replace(SMOOTH).digest == SMOOTH.digest
    changes = (
        {"warmup_bars": 61},
        {"name": "other"},
        {"update": BREADTH.update},
        {"inputs": ("vol",)},
        {"columns": ("a",)},
    )
    digests = {dataclasses.replace(SMOOTH, **change).digest for change in changes}  # type: ignore[arg-type]
    assert len(digests | {SMOOTH.digest}) == len(changes) + 1
    assert with_factor(2.0).digest != with_factor(3.0).digest
    assert with_factor(2.0).digest == with_factor(2.0).digest
    monkeypatch.setitem(smoothed.py_func.__globals__, "ALPHA", 0.5)
    assert dataclasses.replace(SMOOTH).digest != SMOOTH.digest


def test_closures_are_compiled_as_what_they_are() -> None:
    ts, close = prices(bars=50, seed=1)
    two, three = (compute_feature(with_factor(f), ts, close) for f in (2.0, 3.0))
    np.testing.assert_array_equal(two[1:, 0], 2.0 * close[1:, 0])
    np.testing.assert_array_equal(three[1:, 0], 3.0 * close[1:, 0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"memory": -1}, "memory = -1 is not a number of float64"),
        ({"memory": 2.0}, "memory = 2.0 is not a number of float64"),
        ({"memory": 10**9}, "is not a number of float64 from 0 to"),
        ({"warmup_bars": 0}, "warmup_bars = 0 is not a number of bars"),
        ({"warmup_bars": True}, "warmup_bars = True is not"),
        ({"name": "my feature"}, "'my feature' are no different identifiers"),
        ({"columns": ("a", "a")}, "no different identifiers"),
        ({"columns": "ab"}, "tuples of names"),
        ({"inputs": "vol"}, "tuples of names"),
        ({"tolerance": 2.0}, "tolerance = 2.0"),
        ({"update": smoothed.py_func}, "not decorated with dolphin.core.jit.inline"),
    ],
)
def test_a_declaration_that_cannot_hold_is_refused(change: dict, words: str) -> None:
    with pytest.raises(DolphinError, match=words):
        dataclasses.replace(SMOOTH, **change)


def test_a_wrong_number_of_arguments_is_refused() -> None:
    @inline
    def update(state, bar):
        state[0] = bar.price[0]

    with pytest.raises(DolphinError, match=r"takes \(state, bar, out\), not 2"):
        Feature("short", update, 1, 1)


def test_a_state_that_depends_on_the_market_is_checked() -> None:
    feature = dataclasses.replace(SMOOTH, memory=lambda assets: assets / 2)
    with pytest.raises(DolphinError, match=r"memory of 2.0 numbers for 4 assets"):
        compute_feature(feature, *prices(bars=5, seed=1))


def test_what_does_not_compile_is_one_line_that_names_the_place() -> None:
    @inline
    def update(state, bar, out):
        out[0] = bar.prices[0]  # there is no such field

    with pytest.raises(DolphinError) as told:
        compute_feature(Feature("typo", update, 1, 1), *prices(bars=5, seed=1))
    line = str(told.value)
    assert "feature 'typo' does not compile" in line and "prices" in line and "\n" not in line
    assert "test_plugin.py" in line


def test_what_update_raises_is_one_line() -> None:
    @inline
    def update(state, bar, out):
        if bar.price[0] != bar.price[0]:
            raise ValueError("no price")
        out[0] = bar.price[0]

    ts, close = prices(bars=5, seed=1)
    close[3, 0] = np.nan
    with pytest.raises(DolphinError, match=r"^feature 'picky' raised ValueError: no price$"):
        compute_feature(Feature("picky", update, 1, 1), ts, close)


def test_rows_that_do_not_fit_are_refused() -> None:
    ts, close = prices(bars=5, seed=1)
    for arrays in ((ts[:4], close), (ts, close[:, 0]), (ts, close, np.zeros((5, 1)))):
        with pytest.raises(DolphinError, match="do not fit"):
            compute_feature(SMOOTH, *arrays)
    stream = FeatureStream(SMOOTH, 4)
    stream.update(int(ts[0]), close[0], np.empty(0))
    with pytest.raises(DolphinError, match="already taken in"):
        stream.warm(ts, close, np.empty((5, 0)))
