"""Evidence that grows day by day, and may be looked at on any of them: a bet against "no better".

Capital that is staked on daily differences cannot grow by more than chance allows if there is nothing in them
(Waudby-Smith and Ramdas, *Estimating means of bounded random variables by betting*, 2024): under no advantage it
ever reaches 20 with a probability of at most 1 in 20.
"""

from __future__ import annotations

import math

import numpy as np

from dolphin.core.records import Floats

#: Stakes of the mixture, in units of one standard deviation.
STAKES = (0.02, 0.04, 0.06, 0.09, 0.13, 0.18)

#: The capital at which it is evidence, one over the level of error.
ENOUGH = 20.0


def e_process(differences: Floats, history: Floats) -> Floats:
    """(T,) float64: the mean over the stakes k of prod(1 + k d_i / s_i), after each day.

    Parameters
    ----------
    differences : (T,) array
        The rival's daily return less the champion's.
    history : (H,) array
        The same of earlier days, such as the backtest's: s_i is the standard deviation of these and of the days
        before i alone.

    Notes
    -----
    A part with 1 + k d/s <= 0 dies. Strictly valid while no loss is beyond 5.5 s.
    """
    return np.asarray(e_parts(differences, history).mean(axis=1))


def e_parts(differences: Floats, history: Floats) -> Floats:
    """(T, K) float64: what each stake has made of 1 after each day; :func:`e_process` is their mean."""
    past = [float(d) for d in history if math.isfinite(d)]
    count, mean, square = (
        len(past),
        float(np.mean(past)) if past else 0.0,
        float(np.var(past)) * len(past) if past else 0.0,
    )
    parts, found = np.ones(len(STAKES)), np.empty((len(differences), len(STAKES)))
    for i, d in enumerate(np.nan_to_num(np.asarray(differences, np.float64)).tolist()):
        scale = math.sqrt(square / (count - 1)) if count > 1 else 0.0
        if scale > 0.0:
            parts *= np.maximum(1.0 + np.array(STAKES) * d / scale, 0.0)
        found[i] = parts
        count += 1
        step = d - mean
        mean += step / count
        square += step * (d - mean)
    return found
