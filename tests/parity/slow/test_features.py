"""The slow features: known values by hand, and what the scanner says of the same prices."""

from __future__ import annotations

import numpy as np

from dolphin.features import scan
from dolphin.parity.slow.features import SlowFeatures, first_difference, same

MINUTE = 60_000_000_000


def test_known_values() -> None:
    up = np.exp(np.cumsum(np.where(np.arange(60) % 3 == 0, 0.02, -0.01)))
    slow = SlowFeatures(np.column_stack([up, 7.0 * up**2, 1.0 / up, np.full(60, 5.0)]), 0, windows=(50, 51))
    a, n = slow.absorption(59, 50)
    assert n == 3 and abs(a - 1.0) < 1e-12, "three that move as one, and one that stands still"
    row = slow.row(59)
    assert abs(row["vol"] - np.std(np.diff(np.log(up))[-50:])) < 1e-15
    assert row["bull_pct"] + row["bear_pct"] == 100.0 and row["regime"] in (-1.0, 1.0)
    assert np.isnan(slow.row(50)["v50_vel"]) and abs(slow.row(51)["v50_vel"]) < 1e-12
    assert slow.absorption(49, 50)[1] == 0 and np.isnan(slow.row(49)["vol"])


def test_the_scanner_agrees_and_one_other_bit_of_it_is_found() -> None:
    rng = np.random.default_rng(2)
    close = np.round(100.0 * np.exp(np.cumsum(0.002 * rng.standard_normal((820, 4)), axis=0)), 4)
    close[:30, 1] = np.nan
    block = scan(MINUTE * np.arange(1, 821), close, 0)
    slow = SlowFeatures(close, 0)
    assert first_difference(slow, block, (0, 49, 50, 51, 120, 300, 749, 750, 751, 819)) is None
    block.a[751, 3] += 1e-8
    found = first_difference(slow, block, (300, 751, 819))
    assert found is not None and found[0] == 751 and found[1].startswith("a_750 of row 751")
    block.vol[300] *= 1.0 + 1e-5
    found = first_difference(slow, block, (300, 751, 819))
    assert found is not None and found[0] == 300 and found[1].startswith("vol of row 300")


def test_nan_is_equal_to_nan_alone() -> None:
    assert same(np.nan, np.nan) and not same(np.nan, 0.0) and same(50.0, 50.0 + 1e-8) and not same(0.1, 0.1 + 1e-8)
