"""How often the gate itself errs, as ``dolphin gate calibrate`` measured it for a policy."""

from __future__ import annotations

from typing import Any

from dolphin.errors import DolphinError
from dolphin.files import read_json
from dolphin.gate.floors import read_floors
from dolphin.gate.policy import Policy
from dolphin.workspace import Workspace

FILE = "calibration.json"


def own_error(workspace: Workspace, policy: Policy) -> dict[str, Any]:
    """The measured figures of exactly this policy and these floors, or that there are none, or that they are stale."""
    path = workspace.promote / FILE
    if not path.is_file():
        return {"status": "not measured here: run 'dolphin gate calibrate STUDY'"}
    try:
        document = read_json(path)
        if document["policy_sha256"] != policy.sha256:
            return {"status": "stale: measured for another policy; run 'dolphin gate calibrate STUDY' again"}
        if document["floors_sha256"] != read_floors(workspace).sha256:
            return {"status": "stale: measured for other floors; run 'dolphin gate calibrate STUDY' again"}
        kinds = document["kinds"]
        found = {"status": "measured for this policy", "study": document["study"], "words": _words(kinds)}
        return found | {"kinds": kinds}
    except (DolphinError, KeyError, TypeError):
        return {"status": f"promote/{FILE} is not readable: run 'dolphin gate calibrate STUDY' again"}


def _words(kinds: dict[str, Any]) -> str:
    """The shares that were promoted, without and with an edge."""
    said = []
    for planted, what in ((False, "without an edge"), (True, "with a planted edge")):
        mine = [about for about in kinds.values() if about["edge_planted"] == planted]
        count, promoted = (sum(about[key] for about in mine) for key in ("markets", "promoted"))
        if count:
            said.append(f"{promoted} of {count} markets {what} were promoted ({100 * promoted / count:.1f} %)")
    return "; ".join(said)
