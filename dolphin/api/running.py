"""Runs, studies and stress tests from Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dolphin.api.configs import as_config, ns
from dolphin.api.results import RunResult, StudyResult
from dolphin.errors import DolphinError
from dolphin.parity.in_plain import look_before_first_run
from dolphin.progress import Progress
from dolphin.study.backtest import backtest as run_backtest
from dolphin.study.definition.spec import Study, parse_study, read_study
from dolphin.study.stress.monte_carlo import Stress
from dolphin.study.stress.monte_carlo import stress as run_stress
from dolphin.study.sweep import sweep as run_sweep
from dolphin.workspace import Workspace
from dolphin.workspace import find as find_workspace


def backtest(
    name: str,
    config: Any = "vel_div",
    start: str | None = None,
    stop: str | None = None,
    *,
    out: str | Path | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> RunResult:
    """Run a configuration on dataset ``name``.

    Parameters
    ----------
    config : Config, str, Path, Strategy or mapping
        ``dolphin.Config(...)``, a config file, or a strategy (its defaults).
    out : path, optional
        Where to write the run folder; a run is registered either way.
    **options
        Those of :func:`dolphin.study.backtest.backtest`: ``force``, ``journal``, ``open_holdout``.

    Examples
    --------
    >>> import dolphin as dp
    >>> home = dp.workspace.create("lab")
    >>> _ = dp.generate("demo", days=2, assets=4, spacing="5m", workspace=home)
    >>> run = dp.backtest("demo", dp.Config("vel_div", fee_bps=3), start="2025-01-02", workspace=home)
    >>> run
    <run of vel_div on demo, synthetic: ...>
    >>> run.equity.columns
    ['time', 'ts', 'equity', 'capital', 'drawdown', 'position']
    """
    home = workspace or find_workspace()
    folder = None if out is None else Path(out)
    settings = as_config(config, home)
    look_before_first_run(home, name, settings, ns(start), ns(stop))
    done = run_backtest(home, name, settings, ns(start), ns(stop), out=folder, progress=progress, **options)
    return RunResult(done, folder)


def sweep(
    study: str | Path | Study,
    config: Any = None,
    start: str | None = None,
    stop: str | None = None,
    *,
    search: Mapping[str, Any] | None = None,
    name: str | None = None,
    resume: bool = False,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> StudyResult:
    """Run a study: a study file, or a dataset with a configuration and what to search.

    Parameters
    ----------
    study : str, Path or Study
        A study file; with ``search`` the name of a dataset.
    config : Config, str, Path, Strategy or mapping
        What is not searched.
    search : mapping, optional
        By parameter: ``(low, high)``, ``(low, high, step)``, a list of choices, or a table as in a study file.
    name : str, optional
        The study's; by default the dataset's and the strategy's.
    **options
        Keys of a study file (``trials``, ``sampler``, ``objective``, ``seed``, ``validation``, ...) and ``threads``,
        ``cluster``, ``fork``, ``open_holdout``.

    Raises
    ------
    DolphinError
        For what cannot be run; a study of that name that is there goes on only with ``resume``.
    """
    home = workspace or find_workspace()
    run = {key: options.pop(key) for key in ("threads", "cluster", "fork", "open_holdout") if key in options}
    if search is not None:
        settings = as_config(config if config is not None else "vel_div", home)
        table: dict[str, Any] = {"trials": 64, **options, "dataset": str(study), "config": settings.document()}
        if table["config"]["preset"] is None:
            del table["config"]["preset"]
        table |= {key: value for key, value in (("from", start), ("to", stop)) if value is not None}
        table["search"] = {key: _range(value) for key, value in search.items()}
        called = name or f"{study}_{settings.strategy.name}"
        made = parse_study(table, called, called, home.root, home.research)
    elif isinstance(study, Study):
        made = study
    else:
        if config is not None or name is not None:
            raise DolphinError("a study file has its own config and name", mend="give search={...} with a dataset")
        over = options | {key: value for key, value in (("from", start), ("to", stop)) if value is not None}
        path = Path(study)
        made = read_study(path if path.exists() else home.root / path, home.research, over)
    look_before_first_run(home, made.dataset, made.config, made.start_ns, made.stop_ns)
    return StudyResult(run_sweep(home, made, resume=resume, progress=progress, **run), home)


def _range(value: Any) -> Any:
    """A range as study files have it."""
    if isinstance(value, tuple) and len(value) in (2, 3):
        return dict(zip(("low", "high", "step"), value, strict=False))
    return {"choices": value} if isinstance(value, list) else value


def stress(
    name: str,
    config: Any = "vel_div",
    start: str | None = None,
    stop: str | None = None,
    *,
    runs: int = 200,
    out: str | Path | None = None,
    workspace: Workspace | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> Stress:
    """Run a configuration, then the same under worse fills, missed trades, noise and later starts."""
    home = workspace or find_workspace()
    folder = None if out is None else Path(out)
    span, settings = (ns(start), ns(stop)), as_config(config, home)
    look_before_first_run(home, name, settings, *span)
    return run_stress(home, name, settings, *span, runs=runs, out=folder, progress=progress, **options)
