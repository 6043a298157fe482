"""From a champion, or a run, back to every source file by digest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import polars as pl

from dolphin.catalog.query.lineage import Node, dataset_lineage
from dolphin.catalog.store.layout import dataset_names
from dolphin.errors import DolphinError, NotFound, nearest
from dolphin.files import read_json
from dolphin.gate.champions import POINTERS, Champion, champion_at, open_champion, pointer_path
from dolphin.manifests import check_manifest
from dolphin.workspace import Workspace

_METRICS = ("trades", "profit_factor", "win_rate", "roi", "max_drawdown", "sharpe_365")


def lineage_of(workspace: Workspace, text: str, *, check_sources: bool = False) -> Node:
    """The lineage of a pointer (blue, green), a champion's id, a run folder or a dataset.

    Parameters
    ----------
    text : str
        The id of a champion may be cut to 8 digits.
    check_sources : bool
        Hash the source files where they are still found.

    Raises
    ------
    DolphinError
        If there is nothing of that name. What cannot be followed is in the nodes, not raised.
    """
    path = Path(text)
    if text in POINTERS and not path.exists():
        return _champion(workspace, open_champion(workspace, text), check_sources)
    if (path / "run.json").is_file():
        check_manifest(path)
        config = read_json(path / "config.json")
        facts = {"final_digest": read_json(path / "run.json").get("final_digest")}
        return Node("run", str(path), facts, _run(workspace, read_json(path / "run.json"), config, check_sources))
    if re.fullmatch(r"[0-9a-f]{8,64}", text):
        found = [folder.name for folder in (workspace.promote / "champions").glob(f"{text}*")]
        if len(found) == 1:
            return _champion(workspace, champion_at(workspace, found[0]), check_sources)
    names = set(dataset_names(workspace.catalog))
    if text.partition("@")[0] not in names:
        raise NotFound(
            "no champion, run folder or dataset of that name", where=text, mend=nearest(text, {*names, *POINTERS})
        )
    return dataset_lineage(workspace, text, check_sources=check_sources)


def _champion(workspace: Workspace, champion: Champion, check: bool) -> Node:
    problems = champion.problems()
    if problems:
        return Node("champion", champion.hash, {}, (), problems[0])
    provenance = champion.document("provenance.json")
    facts = {key: provenance.get(key) for key in ("created", "who", "final_digest")}
    candidate = Node("candidate", provenance["candidate"]["name"], {"kind": provenance["candidate"]["kind"]})
    behind = _run(workspace, champion.document("run.json"), champion.document("config.json"), check)
    scanner = Node("scanner", provenance["scanner_digest"], {})
    strategy = Node("strategy", provenance["strategy"]["name"], {"sha256": provenance["strategy"]["sha256"]})
    return Node("champion", champion.hash, facts, (candidate, strategy, scanner, *behind))


def _run(workspace: Workspace, run: Any, config: Any, check: bool) -> tuple[Node, ...]:
    """Config, engine and data of a run."""
    try:
        name, digest = run["dataset"]["name"], run["dataset"]["digest"]
        engine, times = run["engine_digest"], [run[key]["time"] for key in ("first_bar", "last_bar")]
        stated = config["hash"]
    except (KeyError, TypeError) as error:
        raise DolphinError(f"run.json or config.json lacks {error}", mend="run it again") from None
    data = dataset_lineage(workspace, f"{name}@{digest}", check_sources=check)
    window = Node("window", f"{times[0]} to {times[1]}", {})
    return (Node("config", stated, {}), Node("engine", engine, {}), window, data, *_risk(workspace, run, check))


def _risk(workspace: Workspace, run: Any, check: bool) -> tuple[Node, ...]:
    """The risk table of a run that names one, and what it was made from."""
    risk = run.get("risk")
    if not risk:
        return ()
    table = dataset_lineage(workspace, f"{risk['table']}@{risk['digest']}", check_sources=check)
    return (Node("risk inputs", risk["table"], {key: risk[key] for key in ("mode", "rules_hash")}, (table,)),)


def champions_frame(workspace: Workspace) -> pl.DataFrame:
    """One row per champion: its id, pointers, provenance and main metrics."""
    schema: dict[str, Any] = {
        "champion": pl.String,
        "pointers": pl.String,
        "created": pl.String,
        "who": pl.String,
        "strategy": pl.String,
        "config_hash": pl.String,
        "engine_digest": pl.String,
        "dataset": pl.String,
        "dataset_digest": pl.String,
        "first_ts": pl.Int64,
        "last_ts": pl.Int64,
        **dict.fromkeys(_METRICS, pl.Float64),
    }
    held: dict[str, list[str]] = {}
    for pointer in POINTERS:
        file = pointer_path(workspace, pointer)
        if file.is_file():
            held.setdefault(str(read_json(file).get("champion")), []).append(pointer)
    rows = []
    for champion in champions(workspace):
        provenance, metrics = champion.document("provenance.json"), champion.document("metrics.json")["whole"]
        rows.append(
            {
                "champion": champion.hash,
                "pointers": ",".join(held.get(champion.hash, ())),
                "created": provenance["created"],
                "who": provenance["who"],
                "strategy": provenance["strategy"]["name"],
                "config_hash": provenance["config_hash"],
                "engine_digest": provenance["engine_digest"],
                "dataset": provenance["data"]["name"],
                "dataset_digest": provenance["data"]["digest"],
                "first_ts": provenance["data"]["first_ts"],
                "last_ts": provenance["data"]["last_ts"],
                **{name: float(metrics[name]) for name in _METRICS},
            }
        )
    return pl.DataFrame(rows, schema=schema)


def champions(workspace: Workspace) -> list[Champion]:
    """Every champion's folder, by hash, unchecked."""
    folders = (workspace.promote / "champions").glob("[0-9a-f]*")
    return [champion_at(workspace, folder.name) for folder in sorted(folders)]


def used_versions(workspace: Workspace) -> set[str]:
    """Digests of the dataset versions that champions and the workspace's run folders were made on."""
    used = {digest for champion in champions(workspace) for digest in _versions(champion.document("run.json"))}
    for folder in (workspace.root / "runs", workspace.experiments):
        for path in folder.rglob("run.json"):
            check_manifest(path.parent, path.name)
            used |= _versions(read_json(path))
    return used


def _versions(run: Any) -> set[str]:
    """Digests of the dataset and of the risk table of a run."""
    return {run["dataset"]["digest"]} | ({run["risk"]["digest"]} if run.get("risk") else set())
