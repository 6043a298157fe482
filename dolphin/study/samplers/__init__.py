"""Which configurations a study looks at: samplers behind one small protocol."""

from __future__ import annotations

from dolphin.errors import DolphinError, nearest
from dolphin.study.samplers.cmaes import CmaEs
from dolphin.study.samplers.grid import Grid
from dolphin.study.samplers.halving import Halving
from dolphin.study.samplers.protocol import Sampler
from dolphin.study.samplers.sobol import Random, Sobol

#: Names of all samplers; Optuna's are imported on use.
SAMPLERS = ("cmaes", "grid", "halving", "nsga2", "random", "sobol", "tpe")


def sampler_class(name: str, where: str | None = None) -> type[Sampler]:
    """The sampler of that name."""
    if name in ("tpe", "nsga2"):
        from dolphin.study.samplers.optuna_batches import Nsga2, Tpe

        return {"tpe": Tpe, "nsga2": Nsga2}[name]
    simple: dict[str, type[Sampler]] = {kind.NAME: kind for kind in (CmaEs, Grid, Halving, Random, Sobol)}
    if name not in simple:
        raise DolphinError(f"unknown sampler '{name}'", where=where, mend=nearest(name, SAMPLERS))
    return simple[name]


__all__ = ["SAMPLERS", "CmaEs", "Grid", "Halving", "Random", "Sampler", "Sobol", "sampler_class"]
