"""The eigenvalue solver alone, against LAPACK."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dolphin.core.jit import kernel
from dolphin.features.kernel import absorption, new_state
from dolphin.features.lanczos import COLD_RESIDUAL, bounded, lanczos, second_bound
from dolphin.features.moments import fixed_vector, padded


@kernel
def call(c, n, square, enough, q, alpha, beta, ratio):  # type: ignore[no-untyped-def]
    return lanczos(c, n, square, enough, q, alpha, beta, ratio)


@kernel
def call_bounded(c, bound, work):  # type: ignore[no-untyped-def]
    return bounded(c, bound, work)


def none_above(matrix: np.ndarray, bound: float) -> bool:
    m = padded(len(matrix))
    c = np.zeros((m, m))
    c[: len(matrix), : len(matrix)] = matrix
    return bool(call_bounded(c, bound, np.full((1, m, m), np.nan)))


def solve(matrix: np.ndarray, start: np.ndarray | None = None) -> tuple[float, float, int, bool, np.ndarray]:
    """(theta, relative residual, products, proven, vector) of a correlation matrix."""
    n, m = len(matrix), padded(len(matrix))
    c, q = np.zeros((m, m)), np.zeros((m + 1, m))
    c[:n, :n] = matrix
    q[0] = fixed_vector(n)
    if start is not None:
        q[0, :n] = start
    work = [np.zeros(m + 1) for _ in range(3)]
    theta, residual, size, proven = call(c, n, float((matrix**2).sum()), COLD_RESIDUAL, q, *work)
    return theta, residual, size, bool(proven), q[0, :n]


def equicorrelated(n: int, rho: float) -> np.ndarray:
    return np.full((n, n), rho) + (1.0 - rho) * np.eye(n)


def random_correlation(n: int, rows: int, factor: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, n)) + factor * rng.normal(size=(rows, 1))
    matrix = np.corrcoef(x.T)
    np.fill_diagonal(matrix, 1.0)
    return (matrix + matrix.T) / 2.0


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(2, 30),
    rows=st.integers(20, 300),
    factor=st.floats(0.0, 3.0),
    seed=st.integers(0, 10_000),
    warm=st.integers(0, 3),
)
def test_lapack_agrees_and_a_proof_is_a_proof(n: int, rows: int, factor: float, seed: int, warm: int) -> None:
    matrix = random_correlation(n, rows, factor, seed)
    values, vectors = np.linalg.eigh(matrix)
    theta, residual, _, _, vector = solve(matrix)
    assert theta == pytest.approx(values[-1], rel=1e-10)
    truth = np.linalg.norm(matrix @ vector - theta * vector) / theta
    assert residual == pytest.approx(truth, rel=1e-2, abs=1e-13)
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-12)
    assert none_above(matrix, values[-1] * (1.0 + 1e-10))
    assert not none_above(matrix, values[-1] * (1.0 - 1e-10))
    # Started at a wrong eigenvector, it may fail to find the largest, but never claims a proof then.
    start = vectors[:, max(0, n - 1 - warm)]
    theta, _, _, proven, _ = solve(matrix, start)
    if proven:
        assert theta == pytest.approx(values[-1], rel=1e-10)
    assert second_bound.py_func(values[-1], n, float((matrix**2).sum())) >= values[-2] - 1e-9


def test_no_correlation_at_all() -> None:
    theta, residual, size, _, _ = solve(np.eye(7))
    assert (theta, size) == (pytest.approx(1.0, abs=1e-15), 1)
    assert residual < 1e-14
    assert none_above(np.eye(7), 1.0 + 1e-10) and not none_above(np.eye(7), 1.0)


@pytest.mark.parametrize("rho", [1.0, -1.0, 0.5, -0.5, 1e-6, 0.0])
def test_two_assets(rho: float) -> None:
    theta, _, size, _, _ = solve(equicorrelated(2, rho))
    assert theta == pytest.approx(1.0 + abs(rho), abs=1e-14)
    assert size <= 2


def test_equal_largest_eigenvalues() -> None:
    matrix = np.zeros((8, 8))
    matrix[:4, :4] = matrix[4:, 4:] = equicorrelated(4, 0.5)
    theta, residual, _, _, vector = solve(matrix)
    assert theta == pytest.approx(2.5, abs=1e-13)
    assert np.linalg.norm(matrix @ vector - theta * vector) < 1e-9
    assert residual < 1e-9


def test_start_in_the_wrong_block_is_not_proven() -> None:
    matrix = np.zeros((9, 9))
    matrix[:4, :4], matrix[4:, 4:] = equicorrelated(4, 0.5), equicorrelated(5, 0.6)
    start = np.r_[np.ones(4), np.zeros(5)]
    theta, _, _, proven, _ = solve(matrix, start)
    assert theta == pytest.approx(2.5, abs=1e-13)
    assert not proven and not none_above(matrix, theta * (1.0 + 1e-10))
    assert solve(matrix)[0] == pytest.approx(3.4, rel=1e-10)


def test_warm_start_takes_one_product() -> None:
    matrix = random_correlation(40, 300, 1.0, 1)
    vector = solve(matrix)[4]
    theta, _, size, proven, _ = solve(matrix, vector)
    assert size == 1 and proven
    assert theta == pytest.approx(np.linalg.eigvalsh(matrix)[-1], rel=1e-11)


@kernel
def call_absorption(n, state):  # type: ignore[no-untyped-def]
    return absorption(0, 0, n, state)


@pytest.mark.slow
def test_a_warm_vector_in_the_wrong_block_is_found_out() -> None:
    state = new_state(9, (50, 150))
    state.s2[0, :4, :4], state.s2[0, 4:9, 4:9] = equicorrelated(4, 0.5), equicorrelated(5, 0.6)
    state.active[:9] = True
    state.vector[0, :4] = 0.5
    state.warm[0] = 1
    ratio, residual, products, recomputed = call_absorption(9, state)
    assert ratio == pytest.approx(3.4 / 9.0, rel=1e-10)
    assert residual < 1e-9 and products > 1 and recomputed == 0
    assert np.abs(state.vector[0, :4]).max() < 1e-4
