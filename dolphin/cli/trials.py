"""``dolphin trials``: the registry, filtered and sorted; and whether it is true."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dolphin.cli import completion
from dolphin.cli.common import Json, emit, metric, progress_bar, say, table
from dolphin.errors import DolphinError
from dolphin.files import json_value

if TYPE_CHECKING:
    import polars as pl

    from dolphin.study.trials.choice import Choice
    from dolphin.workspace import Workspace

_SHOWN = ("sharpe_365", "roi", "profit_factor", "win_rate", "max_drawdown", "trades")

#: Reasons of invalid trials that are told in full.
REASONS = 3


def trials(
    study: Annotated[
        str,
        typer.Argument(
            help="Study file (TOML) or registered name; or verify, export, import, merge.",
            autocompletion=completion.studies,
        ),
    ],
    of: Annotated[
        str | None, typer.Argument(help="verify: a study; export, import: a file; merge: a workspace.")
    ] = None,
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
    if study in ("export", "import", "merge"):
        _exchange(study, of, as_json)
        return
    if of is not None:
        raise DolphinError(f"'{of}' is one argument too many", mend="name one study, or: dolphin trials verify STUDY")
    from dolphin import workspace
    from dolphin.study.trials.registry import Registry
    from dolphin.study.trials.trials import searched

    name, every, choice, names = _trials(study)
    found = _found(every, choice, where, sort, ascending)
    shown = found.head(top)
    if as_csv:
        print(shown.drop("daily_returns").write_csv(), end="")
        return
    looked_at = 0 if every.is_empty() else Registry(workspace.find()).count_on(every["dataset_digest"][-1])
    reasons = _invalid(every)
    folds = every["fold"].drop_nulls().len()
    document = {
        "study": name,
        "objective": choice.objective,
        "found": found.height,
        "configurations_on_this_data": looked_at,
        "looks_of_validation": folds,
        "invalid": reasons,
        "trials": [json_value(row) for row in shown.to_dicts()],
    }

    def show() -> None:
        say(f"{name}: {found.height:,} trials; {looked_at:,} different configurations were looked at on this data")
        if folds:
            say(f"besides, {folds:,} looks of its validation: --where 'fold is not null'")
        for reason, count in list(reasons.items())[:REASONS]:
            say(f"{count:,} invalid: {reason}")
        if len(reasons) > REASONS:
            say(f"invalid for {len(reasons) - REASONS:,} more reasons: --where \"state = 'invalid'\"")
        show_trials(shown, sort or choice.objective, searched(found, names), validated=folds > 0)

    emit(document, as_json, show)


def _found(every: pl.DataFrame, choice: Choice, where: str | None, sort: str | None, ascending: bool) -> pl.DataFrame:
    """What is asked for, in the order in which it is shown: the best first where nothing else is said."""
    import polars as pl

    from dolphin.study.trials.trials import select

    best = choice.ranked(_searched(every))
    if where is None:
        found = best if sort is None else select(best, sort=sort, ascending=ascending)
    else:
        found = select(
            every, where=where, sort=sort or choice.objective, ascending=ascending if sort else not choice.maximize
        )
        if sort is None:  # the best first here too, then what cannot be the best
            rank = pl.col("_place").replace_strict(best["_place"], range(best.height), default=best.height)
            found = found.sort(rank, maintain_order=True)
    return found.drop("_place")


def _invalid(every: pl.DataFrame) -> dict[str, int]:
    """Why trials could not be run, each reason with its count, the most frequent first."""
    import polars as pl

    notes = every.filter(pl.col("state") == "invalid")["note"]
    return dict(notes.value_counts().sort("count", "note", descending=[True, False]).iter_rows())


def _trials(study: str) -> tuple[str, pl.DataFrame, Choice, Any]:
    """Name, all trials with their place in ``_place``, how the best is chosen, and the searched parameters if known."""
    import polars as pl

    from dolphin import workspace
    from dolphin.catalog import open_dataset
    from dolphin.study.findings.study_plan import read_plan
    from dolphin.study.sweep import read_study
    from dolphin.study.trials.choice import choice_of
    from dolphin.study.trials.trials import is_study_file, trials_of

    home = workspace.find()
    if is_study_file(study):
        read = read_study(Path(study), home.research)
        name, choice = read.name, choice_of(read)
        names: Sequence[str] | None = list(read.space)
        found = trials_of(home, study_hash=read.hash)
        found = found.filter(pl.col("dataset_digest") == open_dataset(home, read.dataset).digest)
    else:
        found, plan = trials_of(home, study), read_plan(home, study)
        name, choice, names = study, plan.choice, plan.searched
    return name, found.with_row_index("_place"), choice, names


def _searched(every: pl.DataFrame) -> pl.DataFrame:
    """The trials among which the best is: those of the latest sweep, or all of what no sweep has run."""
    from dolphin.study.trials.trials import latest_search

    return every if every["study_hash"].null_count() == every.height else latest_search(every)


def _exchange(verb: str, what: str | None, as_json: bool) -> None:
    """Write the registry to a file, or merge a file or another workspace's into it."""
    from dolphin import workspace
    from dolphin.study.trials.exchange import export_registry, import_registry, merge_registry

    if what is None:
        mend = f"dolphin trials {verb} {'WORKSPACE' if verb == 'merge' else 'FILE'}"
        raise DolphinError(f"'{verb}' needs one more argument", mend=mend)
    home = workspace.find()
    if verb == "export":
        found = export_registry(home, Path(what))
        line = (
            f"{found['trials']:,} trials of {found['segments']:,} segments written to {what}; head {found['head'][:16]}"
        )
    else:
        found = merge_registry(home, _workspace_at(what)) if verb == "merge" else import_registry(home, Path(what))
        line = (
            f"{found['trials_added']:,} of {found['trials']:,} were new (segments: {found['segments_added']:,}); "
            f"{found['holdout_lines_added']:,} lines about holdouts; its chain holds, head {found['head'][:16]}"
        )
    emit(found, as_json, lambda: say(line))


def _workspace_at(root: str) -> Workspace:
    from dolphin import workspace
    from dolphin.errors import NotFound

    if not (Path(root) / workspace.MARKER).is_file():
        raise NotFound("is no workspace", where=root, mend="name a folder that holds dolphin.toml")
    return workspace.Workspace(Path(root).resolve())


def _verify(study: str | None, sample: int, seed: int | None, as_json: bool) -> None:
    from dolphin import workspace
    from dolphin.study.sweep import read_study
    from dolphin.study.trials.exchange import origin_problems
    from dolphin.study.trials.registry import Registry
    from dolphin.study.trials.trials import is_study_file, rerun_sample, trials_of

    home = workspace.find()
    problems = Registry(home).problems() + origin_problems(Registry(home))
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


def show_trials(trials: pl.DataFrame, objective: str, names: list[str], *, validated: bool = False) -> None:
    """Trials as a table: the usual figures, the one sorted by, and the searched parameters.

    Beside looks of a validation each says why it was looked at and in which fold; what did not finish says why.
    """
    if trials.is_empty():
        say("no such trial")
        return
    extra = [] if objective in (*_SHOWN, *names, "trial") else [objective]
    where = ["role", "fold"] if validated else []
    note = ["note"] if trials["note"].null_count() < trials.height else []
    columns = [name for name in ("trial", *where, "state", *note, *extra, *_SHOWN, *names) if name in trials.columns]
    if trials["state"].n_unique() == 1 and not note:
        columns.remove("state")
    rows = [[metric(*cell) for cell in zip(columns, row, strict=True)] for row in trials.select(columns).iter_rows()]
    table(f"by {objective}", [name.replace("_", "\n") for name in columns], rows)
