"""A study file, read and checked (``docs/studies.md`` has its keys)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dolphin import workspace
from dolphin.catalog import parse_time
from dolphin.config import Config, parse_config, read_config, read_table
from dolphin.errors import DolphinError, nearest
from dolphin.files import canonical_json, sha256_bytes
from dolphin.study.definition.holdout import Holdout, parse_holdout
from dolphin.study.definition.splits import Scheme, parse_scheme
from dolphin.study.measure.metrics import ALL_METRICS
from dolphin.study.samplers import sampler_class
from dolphin.study.space.space import Space, parse_space

#: What a study can look for.
OBJECTIVES = tuple(name for name in ALL_METRICS if name not in ("open_position", "ruined"))

DIRECTIONS = ("maximize", "minimize")

_KEYS = (
    "dataset", "from", "to", "config", "search", "derived", "constraints", "sampler", "trials", "timeout", "seed",
    "objective", "direction", "min_trades", "validation", "storage", "holdout",
)  # fmt: skip

#: Keys that say how much is run and where it is kept, not what a trial is: the same study with or without.
_OUTSIDE = ("trials", "timeout", "storage", "validation")


@dataclass(frozen=True)
class Study:
    """A study file, read and checked.

    Attributes
    ----------
    sampler, options : str, dict
        Name of the sampler and its options, defaults filled in.
    trials, timeout : int, float, or None
        The budget: how many, and how many seconds.
    objectives, directions : tuple of str
        What is looked for; the first decides what is best.
    min_trades : int
        Trials with fewer are registered but never best.
    storage : str
        ``journal``, ``none`` or the URL of an Optuna storage.
    validation : Scheme or None
    holdout : Holdout or None
        Bars that nobody looks at before the gate does.
    forked_from : str or None
        The study that this is a new start of.
    hash : str
        Of its name and content, so that no two studies share trials; budget, storage and validation are left
        out, so that a study can grow.
    """

    name: str
    dataset: str
    start_ns: int | None
    stop_ns: int | None
    config: Config
    space: Space
    sampler: str
    options: dict[str, int]
    trials: int | None
    timeout: float | None
    seed: int
    objectives: tuple[str, ...]
    directions: tuple[str, ...]
    min_trades: int
    storage: str
    validation: Scheme | None
    hash: str = field(repr=False)
    forked_from: str | None = None
    holdout: Holdout | None = None

    @property
    def objective(self) -> str:
        """The first objective."""
        return self.objectives[0]

    @property
    def direction(self) -> str:
        """The direction of the first objective."""
        return self.directions[0]

    def fork(self, number: int) -> Study:
        """A new study of the same content: ``name-2`` and so on."""
        return replace(
            self,
            name=f"{self.name}-{number}",
            hash=sha256_bytes(f"{self.hash} {number}".encode()),
            forked_from=self.name,
        )


def read_study(path: Path, research: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Study:
    """Read a study TOML.

    Parameters
    ----------
    path : Path
    research : Path, optional
        Where ``module:attribute`` strategies live; by default in the workspace that the file lies in, or else
        in the one that the command would find.
    overrides : mapping, optional
        Keys that win over the file's.

    Raises
    ------
    DolphinError
        On an unknown key, parameter, sampler or objective, an empty range or a bad base config.
    """
    path = Path(path)
    table = read_table(path) | dict(overrides or {})
    if research is None and isinstance(base := table.get("config"), dict) and ":" in str(base.get("strategy", "")):
        research = workspace.around(path).research
    return parse_study(table, path.stem, str(path), path.parent, research)


def parse_study(table: Mapping[str, Any], name: str, where: str, folder: Path, research: Path | None = None) -> Study:
    """A study by its table (see :func:`read_study`); a base config that is a file lies in ``folder``."""
    table = dict(table)
    for key in table:
        if key not in _KEYS:
            raise DolphinError(f"unknown key '{key}'", where=where, mend=nearest(key, _KEYS))
    if not isinstance(table.get("dataset"), str):
        raise DolphinError("'dataset' is missing", where=where, mend='add dataset = "NAME"')
    config = _base_config(table.get("config", {}), folder, where, research)
    space = parse_space(table.get("search", {}), where, config, table.get("derived"), table.get("constraints"))
    objectives, directions = _aims(table, where)
    sampler, options = _sampler(table.get("sampler", "sobol"), where)
    for key in ("from", "to"):
        if key in table and not isinstance(table[key], str):
            table[key] = str(table[key])  # TOML has dates of its own
    holdout = parse_holdout(table["holdout"], where) if "holdout" in table else None
    if holdout is not None:
        table["holdout"] = holdout.document()
    identity = {key: table[key] for key in table if key not in ("config", *_OUTSIDE)} | {
        "study": name,
        "config": replace(config, of_window=()).document(),
        "p60": _percentiles(config),
        "strategy": config.strategy_identity,
    }
    return Study(
        name=name,
        dataset=table["dataset"],
        start_ns=parse_time(table["from"]) if "from" in table else None,
        stop_ns=parse_time(table["to"]) if "to" in table else None,
        config=config,
        space=space,
        sampler=sampler,
        options=options,
        trials=_whole(table, "trials", None, 1, where),
        timeout=_seconds(table.get("timeout"), where),
        seed=_whole(table, "seed", 1, 0, where) or 0,
        objectives=objectives,
        directions=directions,
        min_trades=_whole(table, "min_trades", 1, 0, where) or 0,
        storage=_storage(table.get("storage", "journal"), where),
        validation=parse_scheme(table["validation"], where) if "validation" in table else None,
        holdout=holdout,
        hash=sha256_bytes(canonical_json(identity)),
    )


def _base_config(base: Any, folder: Path, where: str, research: Path | None) -> Config:
    """What the trials vary: a table of the study file, or a file of its own in ``folder``."""
    if isinstance(base, str):
        return read_config(folder / base, research=research)
    if not isinstance(base, dict):
        raise DolphinError("config must be a table or the name of a file", where=where)
    return parse_config(base, where=f"{where}: [config]", research=research)


def _percentiles(config: Config) -> bool | dict[str, float]:
    """Open percentiles as the hash spells them: as it did when a strategy had one such parameter, and p60 was all."""
    if config.of_window == tuple((name, 60.0) for name in list(config.strategy.quantiles)[:1]):
        return bool(config.of_window)
    return dict(config.of_window) or False


def _aims(table: Mapping[str, Any], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Objectives and their directions; one direction holds for all."""
    names = table.get("objective", "sharpe_365")
    names = names if isinstance(names, list) else [names]
    for name in names:
        if name not in OBJECTIVES:
            raise DolphinError(f"unknown objective '{name}'", where=where, mend=nearest(str(name), OBJECTIVES))
    if not names or len(set(names)) < len(names):
        raise DolphinError("objective must name each metric once", where=where)
    ways = table.get("direction", "maximize")
    ways = ways if isinstance(ways, list) else [ways] * len(names)
    for way in ways:
        if not isinstance(way, str) or way not in DIRECTIONS:
            raise DolphinError(f"unknown direction '{way}'", where=where, mend=nearest(str(way), DIRECTIONS))
    if len(ways) != len(names):
        raise DolphinError(
            f"{len(names)} objectives, but {len(ways)} directions", where=where, mend="name one direction for each"
        )
    return tuple(names), tuple(ways)


def _sampler(entry: Any, where: str) -> tuple[str, dict[str, int]]:
    table = dict(entry) if isinstance(entry, Mapping) else {"name": entry}
    name = table.pop("name", None)
    if not isinstance(name, str):
        raise DolphinError(
            f"unknown sampler '{name}'", where=where, mend='write sampler = "sobol" or { name = "cmaes", ... }'
        )
    return name, sampler_class(name, where).check(table, where)


def _storage(value: Any, where: str) -> str:
    if value in ("journal", "none") or (isinstance(value, str) and "://" in value):
        return str(value)
    raise DolphinError(
        f"storage {value!r} is no Optuna storage", where=where, mend='write "journal", "none" or e.g. "sqlite:///a.db"'
    )


def _seconds(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise DolphinError(f"timeout = {value!r} must be a number of seconds above 0", where=where)
    return float(value)


def _whole(table: Mapping[str, Any], key: str, default: int | None, least: int, where: str) -> int | None:
    value = table.get(key, default)
    if value is not None and (type(value) is not int or not least <= value < 2**63):
        raise DolphinError(f"{key} = {value!r} must be a whole number of at least {least}", where=where)
    return value
