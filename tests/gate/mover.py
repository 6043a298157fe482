"""Promote N times, as one of several processes that do: ``mover.py ROOT WHO N``."""

from __future__ import annotations

import sys
from pathlib import Path

from dolphin.gate.champions import install
from dolphin.workspace import Workspace

root, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for n in range(count):
    contents = {"config.json": f"{who} {n}".encode(), "same.json": b"{}"}
    install(Workspace(root), contents, pointer="blue", reason=f"{who} {n}", who=who)
