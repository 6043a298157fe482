"""A process that appends batches of trials, for tests of many writers and of killed ones.

Arguments: workspace root, writer's name, batches, trials per batch. Says ``n`` on stdout after batch n.
"""

import sys
from pathlib import Path

from dolphin.study.trials.registry import Registry, trial_frame
from dolphin.workspace import Workspace

root, name, batches, trials = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
registry = Registry(Workspace(root))
print("ready", flush=True)
for batch in range(batches):
    rows = [
        {"study": name, "trial": batch * trials + k, "state": "done", "config_hash": f"{name}-{batch}-{k}"}
        for k in range(trials)
    ]
    registry.append(trial_frame(rows))
    print(batch, flush=True)
