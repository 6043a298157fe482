"""A strategy that is shown one row after the other: ``python -P -m dolphin.gate.decider FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

from dolphin.gate.confined import confine


def main(folder: Path) -> None:
    """Confine the process, and only then load what decides."""
    kept = confine(folder)
    from dolphin.gate.deciding import decide_rows

    decide_rows(folder, kept)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
