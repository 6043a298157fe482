"""What a study searched for, as far as its page must know: from its file, or from what its sweep left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.config import read_table
from dolphin.errors import NotFound, nearest
from dolphin.files import read_json
from dolphin.manifests import check_manifest
from dolphin.study.search.study_document import StudyDocument
from dolphin.study.trials.choice import Choice
from dolphin.study.trials.registry import Registry
from dolphin.study.trials.trials import is_study_file
from dolphin.workspace import Workspace


@dataclass(frozen=True)
class StudyPlan:
    """What a study searched for, from its file or what its sweep left."""

    name: str
    choice: Choice = field(default_factory=Choice)
    searched: tuple[str, ...] | None = None
    log: tuple[str, ...] = ()
    file: str | None = None


def read_plan(workspace: Workspace, study: str) -> StudyPlan:
    """The plan of a study by its file, or by the name under which it is registered.

    Raises
    ------
    DolphinError
        If there is no such file or study; the nearest is suggested.
    """
    file = study if is_study_file(study) else None
    name = Path(study).stem if file else study
    table = read_table(Path(file)) if file else None
    left = workspace.experiments / name / "study.json"  # as it was run, options of the command included
    if left.is_file():
        check_manifest(left.parent, left.name)
        document: StudyDocument = read_json(left)
        return _plan(name, document["study"], file)
    if table is not None:
        return _plan(name, table, file)
    for folder in (workspace.experiments, workspace.research):
        if (folder / f"{study}.toml").is_file():
            return _plan(study, read_table(folder / f"{study}.toml"), str(folder / f"{study}.toml"))
    known = Registry(workspace).trials().select(pl.col("study").unique()).collect()["study"].to_list()
    if study not in known:
        raise NotFound(f"no study '{study}' is registered", mend=nearest(study, [k for k in known if k]))
    return StudyPlan(study)


def _plan(name: str, table: Mapping[str, Any], file: str | None) -> StudyPlan:
    objectives = _several(table.get("objective", "sharpe_365"))
    directions = _several(table.get("direction", "maximize"))
    search = table.get("search")
    search = search if isinstance(search, dict) else {}
    return StudyPlan(
        name=name,
        choice=Choice(
            objectives,
            directions * len(objectives) if len(directions) == 1 else directions,
            int(table.get("min_trades", 1)),
        ),
        searched=tuple(key.rpartition(".")[2] for key in search) or None,
        log=tuple(
            key.rpartition(".")[2] for key, entry in search.items() if isinstance(entry, dict) and entry.get("log")
        ),
        file=file,
    )


def _several(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
