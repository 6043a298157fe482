"""Random eigenvalues of a scan, proved with interval arithmetic.

The returns are float64 numbers (our own logarithm of price ratios); proved is the largest eigenvalue
of their exact correlation matrix C, which is enclosed entry by entry in 192-bit balls (Arb, through
python-flint). Below, the Rayleigh quotient of any vector is a bound; LAPACK proposes a good one.
Above, with mu I - C = L L' + E for any real L the eigenvalue is at most mu + |E|_inf, because L L' is
positive semidefinite and |E|_2 <= |E|_inf (Rump, *Verification of positive definiteness*, BIT 46,
2006); LAPACK proposes L, and E is enclosed. Nothing that LAPACK says is believed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dolphin.catalog import Dataset, format_time
from dolphin.catalog.store.cache import Arrays
from dolphin.core.logarithm import ln_array
from dolphin.core.records import Floats, Ints
from dolphin.errors import DolphinError
from dolphin.features import WINDOWS
from dolphin.market.scanning import day_bounds, scan_days
from dolphin.progress import Progress

ALLOWED = 1e-10  # relative error that a value may have
PRECISION = 192  # bits of the balls
MARGINS = (1e-13, 1e-12, 4e-12, 1e-11, 4e-11, 1e-10, 1e-9, 1e-8)  # tried for mu, relative, until L exists


@dataclass(frozen=True)
class Certificate:
    """An eigenvalue of ours and a proven enclosure of the true one.

    Attributes
    ----------
    row : int
        Bar of the grid.
    time : str
        Its close.
    window, assets : int
        Length of the window in bars, and active assets in it.
    value : float
        Absorption ratio as stored, times the number of assets.
    lower, upper : float
        The true eigenvalue lies between them, rounding included.
    error : float
        Proven bound of the value's relative error.
    proven : bool
        Whether that is at most 1e-10.
    """

    row: int
    time: str
    window: int
    assets: int
    value: float
    lower: float
    upper: float
    error: float
    proven: bool

    def as_dict(self) -> dict[str, Any]:
        """The attributes by name."""
        return asdict(self)


def certify_rows(
    dataset: Dataset,
    windows: Sequence[int] = WINDOWS,
    count: int = 10,
    seed: int = 1,
    progress: Progress | None = None,
) -> list[Certificate]:
    """Prove random rows of the stored scan, a random window each.

    Raises
    ------
    DolphinError
        If a day is not scanned, or no row has an eigenvalue.
    """
    prices = dataset.prices()
    found: list[Certificate] = []
    for row, k, a, assets in _draws(dataset, prices.ts, windows, seed):
        returns = window_returns(prices.close, row, windows[k])
        if returns.shape[1] != assets:
            raise DolphinError(
                f"bar {row}, window {windows[k]}: {assets} assets are stored as active, by the prices it is otherwise",
                where=dataset.name,
                mend=f"run 'dolphin check append-only {dataset.name}'",
            )
        lower, upper, error = enclosure(returns, a)
        time = format_time(int(prices.ts[row]))
        value = a * assets
        found.append(Certificate(row, time, windows[k], assets, value, lower, upper, error, error <= ALLOWED))
        if progress:
            progress(len(found), count, "proving eigenvalues")
        if len(found) == count:
            break
    if not found:
        raise DolphinError(f"no bar has an eigenvalue over windows {windows}", where=dataset.name)
    return found


def window_returns(close: Floats, row: int, window: int) -> Floats:
    """The log returns of the active assets in the window that ends at ``row``, float64[window, n]."""
    prices = np.array(close[row - window : row + 1], np.float64)
    returns = ln_array(prices[1:] / prices[:-1])
    active = np.isfinite(returns).all(axis=0) & (returns != returns[0]).any(axis=0)
    return np.ascontiguousarray(returns[:, active])


def enclosure(returns: Floats, absorption: float) -> tuple[float, float, float]:
    """Proven bounds of the largest eigenvalue of the correlation matrix, and of our relative error.

    Parameters
    ----------
    returns : float64[L, n]
        Taken as exact numbers.
    absorption : float
        Our eigenvalue divided by n.

    Returns
    -------
    lower, upper, error : float
        Each rounded outwards.
    """
    from flint import arb, arb_mat, ctx

    before, ctx.prec = ctx.prec, PRECISION
    try:
        length, n = returns.shape
        columns = []
        for j in range(n):
            column = [arb(float(x)) for x in returns[:, j]]
            mean = sum(column, arb(0)) / length
            column = [x - mean for x in column]
            root = sum((x * x for x in column), arb(0)).sqrt()
            columns.append([x / root for x in column])
        unit = arb_mat(columns)
        c = unit * unit.transpose()
        middle = np.array([[float(c[i, j].mid()) for j in range(n)] for i in range(n)])
        middle = (middle + middle.T) / 2.0
        vector = arb_mat(n, 1, [arb(float(x)) for x in np.linalg.eigh(middle)[1][:, -1]])
        lower = (vector.transpose() * c * vector)[0, 0] / (vector.transpose() * vector)[0, 0]
        upper = _upper(c, middle, float(lower.mid()))
        value = arb(float(absorption)) * n
        error = ((upper - value).abs_upper()).max((value - lower).abs_upper()) / lower.abs_lower()
        return _float(lower.lower(), -1), _float(upper.upper(), +1), _float(error.upper(), +1)
    finally:
        ctx.prec = before


def _upper(c: Any, middle: Floats, near: float) -> Any:
    """A ball above which no eigenvalue of C lies."""
    from flint import arb, arb_mat

    n = len(middle)
    for margin in MARGINS:
        mu = near * (1.0 + margin)
        try:
            factor = np.linalg.cholesky(mu * np.eye(n) - middle)
        except np.linalg.LinAlgError:
            continue  # mu is below the eigenvalue, or too close to it for float64
        low = arb_mat(n, n, [arb(float(x)) for x in factor.ravel()])
        shifted = arb_mat(n, n, [arb(mu if i == j else 0.0) for i in range(n) for j in range(n)]) - c
        rest = shifted - low * low.transpose()
        norm = arb(0)
        for i in range(n):
            norm = norm.max(sum((abs(rest[i, j]) for j in range(n)), arb(0)))
        return arb(mu) + norm
    return arb(n)  # the trace: no proposal held, so nothing better is known


def _float(ball: Any, direction: int) -> float:
    """A float64 that is not inside of an exact number's side."""
    return float(np.nextafter(float(ball), direction * np.inf))


def _draws(dataset: Dataset, ts: Ints, windows: Sequence[int], seed: int) -> Iterator[tuple[int, int, float, int]]:
    """Random (row, window number, absorption ratio, assets), each once, while there are any."""
    days, bounds = scan_days(dataset, windows), day_bounds(dataset, ts)
    total = len(ts) * len(windows)
    stored: dict[int, Arrays] = {}
    for draw in random.Random(seed).sample(range(total), total) if total < 10**6 else _endless(total, seed):
        row, k = divmod(draw, len(windows))
        n = int(np.searchsorted(bounds, row, side="right")) - 1
        if n not in stored:
            stored = stored if len(stored) < 8 else {}
            stored[n] = days.read(dataset.days[n : n + 1])
        a = float(stored[n][f"a_{windows[k]}"][row - bounds[n]])
        if a == a:
            yield row, k, a, int(stored[n][f"n_{windows[k]}"][row - bounds[n]])


def _endless(total: int, seed: int) -> Iterator[int]:
    """Different random numbers below a total too large to shuffle."""
    chosen, source = set[int](), random.Random(seed)
    while len(chosen) < total:
        number = source.randrange(total)
        if number not in chosen:
            chosen.add(number)
            yield number
