"""How often the gate itself errs, as ``dolphin gate calibrate`` measured it for a policy."""

from __future__ import annotations

from typing import Any

from dolphin.errors import DolphinError
from dolphin.files import read_json
from dolphin.gate.policy import Policy
from dolphin.workspace import Workspace

FILE = "calibration.json"


def own_error(workspace: Workspace, policy: Policy) -> dict[str, Any]:
    """The measured figures of exactly this policy, or that there are none, or that they are stale."""
    path = workspace.promote / FILE
    if not path.is_file():
        return {"status": "not measured here: run 'dolphin gate calibrate STUDY'"}
    try:
        document = read_json(path)
        if document["policy_sha256"] != policy.sha256:
            return {"status": "stale: measured for another policy; run 'dolphin gate calibrate STUDY' again"}
        return {"status": "measured for this policy", "study": document["study"], "kinds": document["kinds"]}
    except (DolphinError, KeyError, TypeError):
        return {"status": f"promote/{FILE} is not readable: run 'dolphin gate calibrate STUDY' again"}
