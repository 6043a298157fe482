"""``dolphin gate calibrate``: search, holdout and policy on many markets whose truth is known.

Each market is searched on the study's train window as the study does it, and the chosen one is judged on the rest.
p_a is the rank of the best among those of the other markets without an edge (of its kind; of ``boot`` for a planted
edge): each is a rerun of the search on signals that know nothing. That spares a market its own reruns, unless they
are asked for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from dolphin.catalog import open_dataset
from dolphin.errors import DolphinError
from dolphin.files import read_json, write_json
from dolphin.gate.calibration.bench import Bench
from dolphin.gate.calibration.markets import Kind, kinds_of
from dolphin.gate.calibration.summary import Row, over_nulls, summary
from dolphin.gate.floors import read_floors
from dolphin.gate.policy import read_policy
from dolphin.gate.report import plain
from dolphin.gate.trust import FILE
from dolphin.progress import Progress
from dolphin.study.definition.spec import Study
from dolphin.times import format_time
from dolphin.workspace import Workspace

#: Seconds between two writes of what is finished.
EVERY = 2.0


def calibrate(
    workspace: Workspace,
    study: Study,
    *,
    kinds: Sequence[str] = ("shift", "boot"),
    markets: int = 100,
    reruns: int = 0,
    seed: int = 1,
    threads: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure how often the policy promotes, and write ``promote/calibration.json``.

    What is finished is kept in ``promote/.calibration``: an interrupted run goes on, and more markets cost only the
    new ones. Nothing is registered, for no market is looked at.

    Parameters
    ----------
    kinds : sequence of str
        Of :data:`~dolphin.gate.calibration.markets.KINDS`; a planted edge may have its size behind it (``broad@0.5``:
        half a basis point a bar) and needs ``boot``.
    markets : int
        Of each kind.
    reruns : int
        Own reruns of the search on each market for p_a, as the gate itself does; 0 ranks the markets among each other.
    """
    asked = kinds_of(kinds)
    if not reruns and any(kind.edge for kind in asked) and Kind("boot") not in asked:
        raise DolphinError("planted edges are ranked among markets of the kind boot", mend="add boot, or --reruns 39")
    policy, floors = read_policy(workspace), read_floors(workspace)
    bench = Bench(open_dataset(workspace, study.dataset), study, policy, floors, reruns, seed, threads)
    rows = _rows(workspace, bench, asked, markets, progress)
    document: dict[str, Any] = {
        "policy_sha256": policy.sha256,
        "floors_sha256": floors.sha256,
        "study": study.name,
        "study_hash": study.hash,
        "dataset": {"name": bench.dataset.name, "digest": bench.dataset.digest},
        "engine_digest": study.config.engine.digest,
        "trials": bench.trials,
        "reruns": reruns,
        "seed": seed,
        "created": format_time(time.time_ns() // 1000 * 1000),
        "kinds": {str(kind): summary(kind, rows, policy) for kind in asked},
    }
    document["kinds"] = _earlier(workspace, document) | document["kinds"]
    document["without_edge"] = over_nulls(document["kinds"])
    write_json(workspace.promote / FILE, plain(document))
    return document


def _rows(
    workspace: Workspace, bench: Bench, kinds: Sequence[Kind], markets: int, progress: Progress | None
) -> dict[Kind, list[Row]]:
    """What became of every market, those that are finished from their file."""
    path = workspace.promote / ".calibration" / f"{bench.key[:32]}.json"
    known: dict[str, Row] = read_json(path)["rows"] if path.is_file() else {}
    written, done, total = time.monotonic(), 0, markets * len(kinds)
    try:
        for kind in kinds:
            for number in range(markets):
                name = f"{kind} {number}"
                if name not in known:
                    known[name] = plain(bench.row(kind, number))
                    if time.monotonic() - written > EVERY:
                        write_json(path, {"rows": known})
                        written = time.monotonic()
                done += 1
                if progress:
                    progress(done, total, "calibration markets")
    finally:
        write_json(path, {"rows": known})
    return {kind: [known[f"{kind} {number}"] for number in range(markets)] for kind in kinds}


def _earlier(workspace: Workspace, document: dict[str, Any]) -> dict[str, Any]:
    """The kinds that an earlier calibration of the very same has measured."""
    path = workspace.promote / FILE
    if not path.is_file():
        return {}
    found = read_json(path)
    same = all(found.get(key) == plain(document[key]) for key in document if key not in ("created", "kinds"))
    return dict(found["kinds"]) if same else {}
