"""Bars of two real markets, all four windows, against LAPACK itself: each 11th, or every one if asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from thorough import rounds

from dolphin.features import WINDOWS, in_order, scan


@pytest.mark.slow
@pytest.mark.parametrize("name", ["klines_1m_2021", "klines_5m_2022"])
def test_lapack_agrees_at_its_bars(name: str, load_whole: Callable[[str], Any]) -> None:
    ts, close, reference = load_whole(name)
    block = scan(ts, close, reference, threads=0)
    returns = np.log(close[1:] / close[:-1])  # row t - 1 is the return of bar t

    def window(k: int) -> float:
        worst = 0.0
        w = WINDOWS[k]
        for t in range(w, len(ts), rounds(1, 11)):
            piece = returns[t - w : t]
            active = np.isfinite(piece).all(axis=0) & (piece != piece[0]).any(axis=0)
            n = int(active.sum())
            assert block.n_active[t, k] == n
            if n >= 2:
                x = piece[:, active] - piece[:, active].mean(axis=0)
                x /= np.sqrt((x * x).sum(axis=0))
                worst = max(worst, abs(block.a[t, k] * n / np.linalg.eigvalsh(x.T @ x)[-1] - 1.0))
        return worst

    assert max(in_order(window, range(len(WINDOWS)), 1)) <= 1e-10
    there = np.isfinite(block.a)
    assert there[WINDOWS[-1] :].any(axis=0).all()
    assert (block.iterations[there] > 0).all() and np.isfinite(block.residual[there]).all()
    assert not (block.recomputed == 2).any()
