"""``dolphin trials``: the registry, filtered and sorted; and whether it is true."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolphin.cli.common import Json, emit, progress_bar, say, table
from dolphin.errors import DolphinError

if TYPE_CHECKING:
    import polars as pl

_SHOWN = ("sharpe_365", "roi", "profit_factor", "win_rate", "max_drawdown", "trades")


def trials(
    study: Annotated[str, typer.Argument(help="Study file (TOML) or registered name; or 'verify' [STUDY].")],
    of: Annotated[str | None, typer.Argument(help="With 'verify': only this study.")] = None,
    where: Annotated[str | None, typer.Option("--where", help='SQL: "sharpe_365 > 2 AND trades > 50".')] = None,
    sort: Annotated[str | None, typer.Option("--sort", help="Column; default: the study's objective.")] = None,
    ascending: Annotated[bool, typer.Option("--ascending", help="Lowest first.")] = False,
    top: Annotated[int, typer.Option("--top", "--count", min=1, help="How many to show.")] = 20,
    sample: Annotated[int, typer.Option("--sample", min=0, help="verify: trials to run again.")] = 10,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="verify: which; default: at random.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on stdout, nothing else there.")] = False,
    as_json: Json = False,
) -> None:
    """The registered trials of a study, best first; 'verify' checks the registry and runs a sample again."""
    if study == "verify":
        _verify(of, sample, seed, as_json)
        return
    if of is not None:
        raise DolphinError(f"'{of}' is one argument too many", mend="name one study, or: dolphin trials verify STUDY")
    from dolphin import workspace
    from dolphin.study.trials.registry import Registry
    from dolphin.study.trials.trials import searched, select

    home = workspace.find()
    name, found, objective, lowest, names = _trials(study, where is None)
    found = select(found, where=where, sort=sort or objective, ascending=ascending if sort else lowest)
    if where is None:
        found = found.unique("config_hash", keep="first", maintain_order=True)
    shown = found.head(top)
    if as_csv:
        print(shown.drop("daily_returns").write_csv(), end="")
        return
    looked_at = None if found.is_empty() else Registry(home).count_on(found["dataset_digest"][-1])
    document = {
        "study": name,
        "found": found.height,
        "configurations_on_this_data": looked_at or 0,
        "trials": [_spelled(row) for row in shown.to_dicts()],
    }

    def show() -> None:
        say(f"{name}: {found.height:,} trials; {looked_at or 0:,} different configurations were looked at on this data")
        show_trials(shown, sort or objective, searched(found, names))

    emit(document, as_json, show)


def _trials(study: str, best: bool) -> tuple[str, pl.DataFrame, str, bool, Any]:
    """Name, trials, objective, whether the lowest is best, and names of the searched parameters if known.

    ``best`` leaves only trials that could be the best: finished, with enough trades.
    """
    import polars as pl

    from dolphin import workspace
    from dolphin.catalog import open_dataset
    from dolphin.study.sweep import read_study
    from dolphin.study.trials.trials import is_study_file, trials_of

    home = workspace.find()
    if is_study_file(study):
        read = read_study(Path(study), home.research)
        name, objective, lowest, names = read.name, read.objective, read.direction == "minimize", list(read.space)
        found = trials_of(home, study_hash=read.hash)
        found = found.filter(pl.col("dataset_digest") == open_dataset(home, read.dataset).digest)
        least = read.min_trades
    else:
        name, objective, lowest, names, least = study, "sharpe_365", False, None, 1
        found = trials_of(home, study)
    if best:
        found = found.filter(pl.col("state") == "done", pl.col("trades") >= least, pl.col(objective).is_not_nan())
    return name, found, objective, lowest, names


def _verify(study: str | None, sample: int, seed: int | None, as_json: bool) -> None:
    from dolphin import workspace
    from dolphin.study.sweep import read_study
    from dolphin.study.trials.registry import Registry
    from dolphin.study.trials.trials import is_study_file, rerun_sample, trials_of

    home = workspace.find()
    problems = Registry(home).problems()
    if problems:
        document = {"chain": problems, "holds": False}
        emit(document, as_json, lambda: say("\n".join(problems), style="red"))
        raise typer.Exit(1)
    if study is not None and is_study_file(study):
        found = trials_of(home, study_hash=read_study(Path(study), home.research).hash)
    else:
        found = trials_of(home, study)
    with progress_bar() as progress:
        again = rerun_sample(home, found, sample, seed, progress)
    holds = not again.different
    states: dict[str, int] = dict(found["state"].value_counts().sort("state").iter_rows())
    document = {
        "chain": [],
        "holds": holds,
        "trials": found.height,
        "states": states,
        "run_again": again.equal + len(again.different),
        "equal": again.equal,
        "different": again.different,
        "not_runnable": again.not_runnable,
    }

    def show() -> None:
        counts = ", ".join(f"{count:,} {state}" for state, count in states.items())
        say(f"the chain holds; {found.height:,} trials ({counts or 'none'})")
        say(f"run again: {document['run_again']}, equal bit by bit: {again.equal}")
        for reason, count in again.not_runnable.items():
            say(f"not run again: {count}, because {reason}")
        for line in again.different:
            say(line, style="red")

    emit(document, as_json, show)
    if not holds:
        raise typer.Exit(1)


def show_trials(trials: pl.DataFrame, objective: str, names: list[str]) -> None:
    """Trials as a table: the usual figures, the one sorted by, and the searched parameters."""
    if trials.is_empty():
        say("no such trial")
        return
    extra = [] if objective in (*_SHOWN, *names, "trial") else [objective]
    columns = [name for name in ("trial", "state", *extra, *_SHOWN, *names) if name in trials.columns]
    if trials["state"].n_unique() == 1:
        columns.remove("state")
    table(f"by {objective}", [name.replace("_", "\n") for name in columns], trials.select(columns).rows())


def _spelled(row: dict[str, Any]) -> dict[str, Any]:
    from dolphin.study.measure.metrics import spelled

    def plain(value: Any) -> Any:
        return [spelled(item) for item in value] if isinstance(value, list) else spelled(value)

    return {name: plain(value) for name, value in row.items()}
