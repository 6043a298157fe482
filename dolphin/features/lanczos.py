"""Largest eigenvalue of a correlation matrix by the Lanczos method with full reorthogonalisation.

Started at the last bar's eigenvector it ends after four to six products. When to stop: theta being
the largest Ritz value and r the norm of its residual, lambda_1 - theta <= r^2 / (theta - lambda_2)
(Kato-Temple). lambda_2 has a rigorous upper bound from the trace n and the squared Frobenius norm:
the other n - 1 eigenvalues have a known mean m and variance, and none of them exceeds
m + sqrt(n - 2) * deviation (Samuelson's inequality). Where the bound leaves no gap (no factor
dominates), a factorisation proves afterwards that no eigenvalue is larger (:func:`bounded`).

Literature: Parlett, *The Symmetric Eigenvalue Problem*, chapters 10 to 13.
"""

from __future__ import annotations

import math

from dolphin.core.jit import inline

TOLERANCE = 1e-11  # relative error of lambda at which the iteration stops
ALLOWED = 1e-10  # relative error of lambda that :func:`bounded` must exclude
WARM_RESIDUAL = 2e-7  # relative residual to stop at without a gap: the error is proven afterwards,
COLD_RESIDUAL = 1e-10  # or, from the fixed vector, is at most this
NARROW = 0.02  # gaps below this part of theta count as none
EXHAUSTED = 1e-14  # a relative residual below which there is nothing left to gain
NEWTON_LIMIT = 200
CANCELLED = 1e-5  # a new direction shorter than this part of n is orthogonalised twice
LONG = 12  # beyond this size the Ritz value is computed at every fourth size only


@inline
def dot(x, i, y, k):  # type: ignore[no-untyped-def]
    """x[i] . y[k] in four partial sums."""
    a = 0.0
    b = 0.0
    c = 0.0
    d = 0.0
    for j in range(0, x.shape[1], 4):
        a += x[i, j] * y[k, j]
        b += x[i, j + 1] * y[k, j + 1]
        c += x[i, j + 2] * y[k, j + 2]
        d += x[i, j + 3] * y[k, j + 3]
    return (a + b) + (c + d)


@inline
def multiply(c, q, k):  # type: ignore[no-untyped-def]
    """q[k + 1] = c q[k]."""
    width = c.shape[0]
    out = k + 1
    for j in range(width):
        q[out, j] = 0.0
    for i in range(0, width, 4):
        x0 = q[k, i]
        x1 = q[k, i + 1]
        x2 = q[k, i + 2]
        x3 = q[k, i + 3]
        for j in range(width):
            q[out, j] += (c[i, j] * x0 + c[i + 1, j] * x1) + (c[i + 2, j] * x2 + c[i + 3, j] * x3)


@inline
def second_bound(theta, n, square):  # type: ignore[no-untyped-def]
    """Upper bound of the second eigenvalue, given that the first is at least ``theta``."""
    others = float(n - 1)
    mean = (n - theta) / others
    variance = (square - theta * theta) / others - mean * mean
    if variance <= 0.0:
        return mean
    return mean + math.sqrt(variance * (others - 1.0))


@inline
def ritz(alpha, beta, ratio, size, low, high):  # type: ignore[no-untyped-def]
    """Largest eigenvalue of the tridiagonal matrix, known to lie in [low, high].

    Newton on theta - alpha_0 - beta_0^2 / u_1(theta), u the pivots from the bottom, inside a
    bracket. Leaves s_{j+1}/s_j of the eigenvector in ``ratio`` and returns (theta, |s|^2 / s_0^2).
    """
    theta = low
    slope = 1.0
    final = False
    for _ in range(NEWTON_LIMIT):
        pivot = theta - alpha[size - 1]
        slope = 1.0
        below = pivot <= 0.0  # a pivot u_1, u_2, ... that is not positive: theta is below the root
        for back in range(size - 1):
            if below:
                break
            j = size - 2 - back
            ratio[j] = beta[j] / pivot
            pivot = theta - alpha[j] - beta[j] * ratio[j]
            slope = 1.0 + ratio[j] * ratio[j] * slope
            below = j > 0 and pivot <= 0.0
        if final:
            break
        if below or pivot < 0.0:
            low = theta
        else:
            high = theta
        after = 0.5 * (low + high)
        if not below:
            newton = theta - pivot / slope
            if low <= newton <= high:
                after = newton
        if abs(after - theta) <= 2e-16 * theta:
            if not below:
                break
            final = True  # the bracket has closed on a pole: its upper end is the root
            after = high
        theta = after
    return theta, slope


@inline
def lanczos(c, n, square, enough, q, alpha, beta, ratio):  # type: ignore[no-untyped-def]
    """Largest eigenvalue of ``c`` from the start vector in q[0] (not zero, any norm).

    Parameters
    ----------
    c : float64[M, M]
        Symmetric, unit diagonal on n rows, the other rows and columns zero.
    n : int
        Order of the matrix, at least 2.
    square : float
        Sum of the squares of ``c``.
    enough : float
        Relative residual to stop at where no gap can be proven.
    q : float64[M + 1, M]
        Basis; on return q[0] holds the eigenvector.
    alpha, beta, ratio : float64[M + 1]
        Work space.

    Returns
    -------
    theta, residual / theta, products, proven
        ``proven`` tells that the norms certify a gap, and with it an error within TOLERANCE.
    """
    width = c.shape[0]
    inverse = 1.0 / math.sqrt(dot(q, 0, q, 0))
    for j in range(width):
        q[0, j] *= inverse
    theta = 0.0
    upper = 0.0  # the largest Ritz value is between theta and this
    residual = 0.0
    slope = 1.0
    proven = False
    size = 0
    while True:
        multiply(c, q, size)
        part = dot(q, size, q, size + 1)
        alpha[size] = part
        for j in range(width):
            q[size + 1, j] -= part * q[size, j]
        norm = 0.0
        for _ in range(2):
            for i in range(size + 1):  # the products do not wait for each other
                ratio[i] = dot(q, i, q, size + 1)
            for i in range(size + 1):
                part = ratio[i]
                for j in range(width):
                    q[size + 1, j] -= part * q[i, j]
            norm = math.sqrt(dot(q, size + 1, q, size + 1))
            if norm > CANCELLED * n:  # otherwise the rounding of the first sweep shows: once more
                break
        beta[size] = norm
        if size == 0:
            theta = alpha[0]
            upper = theta
            residual = norm
        else:
            half = 0.5 * (upper - alpha[size])
            b = beta[size - 1]
            upper = 0.5 * (upper + alpha[size]) + math.sqrt(half * half + b * b)
        size += 1
        last = size >= n or norm <= EXHAUSTED * upper
        if size > 1:
            if size > LONG and size % 4 != 0 and not last:
                residual = math.inf
            else:
                theta, slope = ritz(alpha, beta, ratio, size, theta, upper * (1.0 + 1e-15))
                upper = theta
                residual = norm / math.sqrt(slope)
                for j in range(size - 1):
                    residual *= ratio[j]
        gap = theta - second_bound(theta, n, square)
        proven = gap > NARROW * theta
        if proven:
            proven = residual * residual <= TOLERANCE * theta * gap
            last = last or proven
        else:
            last = last or residual <= enough * theta
        if last:
            break
        inverse = 1.0 / norm
        for j in range(width):
            q[size, j] *= inverse
    # The Ritz vector, in place of the first basis vector.
    part = 1.0 / math.sqrt(slope)
    for j in range(width):
        q[0, j] *= part
    for k in range(1, size):
        part *= ratio[k - 1]
        for j in range(width):
            q[0, j] += part * q[k, j]
    return theta, residual / theta, size, proven


@inline
def bounded(c, bound, work):  # type: ignore[no-untyped-def]
    """Whether no eigenvalue of ``c`` exceeds ``bound``: bound I - c has only positive pivots.

    ``work`` is float64[1, M, M]. Rounding moves the answer by some 1e-14 of the bound.
    """
    width = c.shape[0]
    for i in range(width):
        for j in range(width):
            work[0, i, j] = -c[i, j]
        work[0, i, i] += bound
    for k in range(0, width, 4):
        for r in range(k, k + 4):  # the four pivot rows among themselves
            pivot = work[0, r, r]
            if not pivot > 0.0:
                return False
            inverse = 1.0 / pivot
            for i in range(r + 1, k + 4):
                part = work[0, r, i] * inverse
                for j in range(k, width):
                    work[0, i, j] -= part * work[0, r, j]
        d0 = 1.0 / work[0, k, k]
        d1 = 1.0 / work[0, k + 1, k + 1]
        d2 = 1.0 / work[0, k + 2, k + 2]
        d3 = 1.0 / work[0, k + 3, k + 3]
        for i in range(k + 4, width):  # then all four at once: a quarter of the traffic
            p0 = work[0, k, i] * d0
            p1 = work[0, k + 1, i] * d1
            p2 = work[0, k + 2, i] * d2
            p3 = work[0, k + 3, i] * d3
            for j in range(i - i % 4, width):  # whole groups of four; what is left of i is not read
                work[0, i, j] -= (p0 * work[0, k, j] + p1 * work[0, k + 1, j]) + (
                    p2 * work[0, k + 2, j] + p3 * work[0, k + 3, j]
                )
    return True
