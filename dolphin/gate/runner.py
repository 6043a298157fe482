"""The gate's runs, in a process of their own: ``python -P -m dolphin.gate.runner FOLDER``.

Here, and not in the process that judges (:mod:`dolphin.gate.apart`), the strategy's module is imported and compiled.
``FOLDER/ask.json`` says what to run; what is found goes into the folder, progress as lines to stdout. What the module
prints goes to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from dolphin.errors import DolphinError, Refused
from dolphin.files import write_bytes, write_json
from dolphin.gate.recount import leave
from dolphin.progress import Progress

#: Exit code where ``error.json`` says why nothing was judged.
SAID = 3


def main(folder: Path) -> int:
    """Run what is asked for; the exit code."""
    tell = _channel()
    ask = json.loads((folder / "ask.json").read_text())
    try:
        _judge(folder, ask, tell)
    except DolphinError as error:
        details = list(error.details) if isinstance(error, Refused) else []
        what = {"kind": type(error).__name__, "what": error.what, "where": error.where, "mend": error.mend}
        write_json(folder / "error.json", what | {"details": details})
        return SAID
    return 0


def _judge(folder: Path, ask: dict[str, Any], tell: Progress) -> None:
    # All of ours is loaded, and looked at, before anything of the workspace is.
    from dolphin.gate.candidate import find_candidate
    from dolphin.gate.evaluation import evaluate
    from dolphin.gate.freeze import contents_of
    from dolphin.gate.repetition import gather_again
    from dolphin.gate.watch import Watch
    from dolphin.workspace import Workspace

    workspace = Workspace(Path(ask["root"]))
    watch = Watch(workspace.research)
    names = {key: ask[key] for key in ("dataset", "start", "stop")}
    candidate = find_candidate(workspace, ask["candidate"], **names)
    report = evaluate(workspace, candidate, tier2=ask["tier2"], parity=ask["parity"], progress=tell)
    leave(report.measure, folder)
    if report.passed and ask["who"] is not None:
        for name, data in contents_of(workspace, candidate, report, ask["who"]).items():
            write_bytes(folder / "champion" / name, data)
    found = {"report": report.as_dict(), "config": report.measure.config.document()}
    if ask["repeat"]:
        found["repeated"] = gather_again(workspace, ask["candidate"], tell)
    write_json(folder / "found.json", found | {"watch": vars(watch.check())})


def _channel() -> Progress:
    """Progress on what was stdout; whatever else is printed goes to stderr."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(done: int, total: int, text: str) -> None:
        out.write(json.dumps([done, total, text]) + "\n")
        out.flush()

    return tell


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
