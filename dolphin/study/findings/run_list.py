"""Run folders side by side: which there are, what differs in their configurations, and how to be rid of one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dolphin.errors import DolphinError, NotFound, nearest_beside
from dolphin.files import read_json
from dolphin.manifests import MANIFEST

#: Folders below the one that is named that are looked into.
DEPTH = 3
SHOWN = ("sharpe_365", "roi", "profit_factor", "win_rate", "max_drawdown", "trades")


def find_runs(folder: Path) -> list[dict[str, Any]]:
    """The runs below a folder, the newest first: folder, dataset, window, strategy, metrics; a damaged one says why."""
    found, below = [], [Path(folder)]
    for _ in range(DEPTH + 1):
        found += [path for path in below if (path / "run.json").is_file()]
        below = [
            path for one in below if one.is_dir() for path in one.iterdir() if path.is_dir() and path.name[0] != "."
        ]
    return sorted((about_run(path) for path in found), key=lambda one: (-one["written"], one["run"]))


def about_run(folder: Path) -> dict[str, Any]:
    """What a run folder says of itself; ``problem`` where its documents cannot be read."""
    about: dict[str, Any] = {"run": str(folder), "written": (folder / "run.json").stat().st_mtime_ns}
    try:
        run, metrics = read_json(folder / "run.json"), read_json(folder / "metrics.json")
        config = read_json(folder / "config.json")
        return about | {
            "strategy": config["config"]["strategy"],
            "dataset": run["dataset"]["name"],
            "from": run["first_bar"]["time"],
            "to": run["last_bar"]["time"],
            "synthetic": run["synthetic"],
            "config_hash": config["hash"],
            "final_digest": run["final_digest"],
            "metrics": metrics,
            "config": config["config"],
            "problem": None,
        }
    except (DolphinError, KeyError, TypeError) as error:
        return about | {"problem": " ".join(str(error).split()) or type(error).__name__}


def compare_runs(folders: list[Path]) -> dict[str, Any]:
    """Metrics of several runs, and what of configuration, data and window is not the same in all of them.

    Raises
    ------
    DolphinError
        Fewer than two, or a folder that is no run or is damaged.
    """
    if len(folders) < 2:
        raise DolphinError("one run is no comparison", mend="name two run folders or more")
    runs = [about_run(_run(folder)) for folder in folders]
    for run in runs:
        if run["problem"]:
            raise DolphinError(run["problem"], where=run["run"])
    flat = [{name: run[name] for name in ("dataset", "from", "to")} | dict(_flat(run["config"])) for run in runs]
    names = list(dict.fromkeys(name for one in flat for name in one))
    differ = {name: [one.get(name) for one in flat] for name in names if len({repr(o.get(name)) for o in flat}) > 1}
    return {
        "runs": [run["run"] for run in runs],
        "metrics": {name: [run["metrics"].get(name) for run in runs] for name in runs[0]["metrics"] if name != "exits"},
        "differ": differ,
        "same_decisions": len({run["final_digest"] for run in runs}) == 1,
    }


def _flat(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _run(folder: Path) -> Path:
    if not (Path(folder) / "run.json").is_file():
        mend = nearest_beside(Path(folder), "*/run.json", "'dolphin runs list' has them")
        raise NotFound("is no run folder", where=str(folder), mend=mend)
    return Path(folder)


def remove_run(folder: Path) -> int:
    """Delete a run folder; its trial stays registered. Returns the bytes that it had.

    Raises
    ------
    DolphinError
        If it is no run folder, or holds files that a run did not write.
    """
    folder = _run(folder)
    held = read_json(folder / MANIFEST) if (folder / MANIFEST).is_file() else {}
    listed = set(held.get("files", ())) if isinstance(held, dict) else set()
    others = sorted(path.name for path in folder.iterdir() if path.name not in listed | {MANIFEST})
    if others:
        raise DolphinError(
            f"holds {others[0]}, which the run did not write", where=str(folder), mend="move it away, or delete by hand"
        )
    size = sum(path.stat().st_size for path in folder.iterdir())
    shutil.rmtree(folder)
    return size
