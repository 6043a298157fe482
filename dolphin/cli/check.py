"""``dolphin check``."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolphin.cli.common import (
    From,
    Json,
    Sets,
    To,
    default_config,
    emit,
    load_config,
    progress_bar,
    say,
    window,
)

if TYPE_CHECKING:
    from dolphin.workspace import Workspace


class Kind(StrEnum):
    """What to check."""

    lookahead = "lookahead"
    warmup = "warmup"
    append_only = "append-only"
    feature = "feature"
    strategy = "strategy"


def check(
    kind: Annotated[Kind, typer.Argument(help="lookahead, warmup, append-only, feature or strategy.")],
    name: Annotated[
        str, typer.Argument(help="Dataset; for feature and strategy: its name, or module:attribute of research.")
    ],
    of: Annotated[
        str | None, typer.Argument(metavar="[DATASET]", help="For feature and strategy: the dataset.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Config file of the strategy.")] = None,
    start: From = None,
    stop: To = None,
    sets: Sets = None,
    debug: Annotated[
        bool, typer.Option("--debug", help="Of a strategy: run it in plain Python; it may print, bounds are checked.")
    ] = False,
    as_json: Json = False,
) -> None:
    """No look-ahead, no warm-up dependence, nothing rewritten; every rule of a plug-in feature, of a strategy."""
    from dolphin import workspace
    from dolphin.catalog import open_dataset
    from dolphin.errors import DolphinError
    from dolphin.market.scanning import scan_dataset
    from dolphin.parity import checks
    from dolphin.study.backtest import prepare

    home = workspace.find()
    if kind is Kind.feature:
        check_feature(home, name, of, config, start, stop, sets, as_json)
        return
    if debug:
        if kind is not Kind.strategy:
            raise DolphinError("--debug is of a strategy", mend="dolphin check strategy NAME --debug")
        debug_strategy(home, name, of, config, start, stop, sets, as_json)
        return
    if kind is Kind.strategy:
        check_strategy(home, name, of, config, start, stop, sets, as_json)
        return
    if of is not None:
        raise DolphinError(f"check {kind.value} takes one name, a dataset", where=of)
    with progress_bar() as progress:
        if kind is Kind.append_only:
            dataset = open_dataset(home, name)
            scan_dataset(dataset, progress)
            result = checks.append_only(dataset, load_config(config, sets) if config else None)
        elif config is None:
            raise DolphinError(f"check {kind.value} needs a strategy", mend="add --config FILE.toml")
        else:
            settings = load_config(config, sets)
            case = prepare(home, name, settings, *window(start, stop), progress)
            result = checks.lookahead(*case, progress=progress) if kind is Kind.lookahead else checks.warmup(*case)
    told = f"{result.name}: {'ok' if result.passed else 'FAILED'}: {result.detail}"
    _conclude(result.passed, result.as_dict() | {"dataset": name}, as_json, told)


def check_feature(
    home: Workspace,
    name: str,
    dataset_name: str | None,
    config: Path | None,
    start: str | None,
    stop: str | None,
    sets: list[str] | None,
    as_json: bool,
) -> None:
    """Every rule of a plug-in feature, on the prices of a dataset."""
    from dolphin.errors import DolphinError
    from dolphin.parity.own_features import check_feature as run_suite
    from dolphin.strategies import load_feature

    feature = load_feature(name, home.research)
    if dataset_name is None:
        raise DolphinError("check feature needs a dataset", mend=f"dolphin check feature {name} DATASET")
    settings = load_config(config, sets) if config else None
    with progress_bar() as progress:
        found = run_suite(home, dataset_name, feature, settings, *window(start, stop), progress)
    document = found.as_dict() | {"dataset": dataset_name, "passed": found.passed}
    _conclude(found.passed, document, as_json, f"feature {found.feature} on {dataset_name}\n{found}")


def check_strategy(
    home: Workspace,
    name: str,
    dataset_name: str | None,
    config: Path | None,
    start: str | None,
    stop: str | None,
    sets: list[str] | None,
    as_json: bool,
) -> None:
    """Every rule of a strategy, on small generated markets and on a stretch of a dataset."""
    from dolphin.errors import DolphinError
    from dolphin.parity.own_strategy import check_strategy as run_suite

    settings = load_config(config, sets) if config else default_config(home, name, sets)
    if settings.strategy_name != name:
        raise DolphinError(f"is of strategy '{settings.strategy_name}', not of '{name}'", where=str(config))
    if dataset_name is None and (start or stop):
        raise DolphinError("--from and --to need a dataset", mend=f"dolphin check strategy {name} DATASET")
    with progress_bar() as progress:
        found = run_suite(home, settings, dataset_name, *window(start, stop), progress)
    markets = ", ".join(found.markets)
    _conclude(found.passed, found.as_dict(), as_json, f"strategy {found.strategy} on {markets}\n{found}")


def debug_strategy(
    home: Workspace,
    name: str,
    dataset_name: str | None,
    config: Path | None,
    start: str | None,
    stop: str | None,
    sets: list[str] | None,
    as_json: bool,
) -> None:
    """Some hundred bars of a strategy in plain Python, what it prints included."""
    from dolphin.parity.debugging import debug

    settings = load_config(config, sets) if config else default_config(home, name, sets)
    found = debug(home, settings, dataset_name, *window(start, stop))
    wishes = ", ".join(f"{count} {action}" for action, count in found.wishes.items()) or "nothing"
    told = f"{found.strategy} in plain Python on {found.market}: {found.bars} bars, asked for {wishes}; "
    told += f"{found.fills} fills, {found.trades} trades"
    emit(vars(found), as_json, lambda: say(told))


def _conclude(passed: bool, document: Mapping[str, Any], as_json: bool, told: str) -> None:
    """Print what was found; what does not pass exits 1."""
    emit(document, as_json, lambda: say(told))
    if not passed:
        raise typer.Exit(1)
