"""The process that one fault is looked for in: runs detectors and writes what they saw.

``python -m dolphin.selftest.battery OUT DETECTOR...`` with the package that is first on the path.
"""

from __future__ import annotations

import sys
import time
import traceback
from pathlib import Path
from typing import Any

from dolphin.files import write_json
from dolphin.selftest.detectors import DETECTORS, Finding


def run(names: list[str], *, all_of_them: bool) -> list[dict[str, Any]]:
    """What each detector saw, in order; after the first that saw something no more unless ``all_of_them``."""
    seen: list[dict[str, Any]] = []
    for name in names:
        began = time.perf_counter()
        try:
            found = DETECTORS[name]()
        except Exception as error:  # a fault may break a detector in any way: that is seen, too
            where = traceback.extract_tb(error.__traceback__)[-1]
            sentence = f"{type(error).__name__} in {Path(where.filename).name}: {' '.join(str(error).split())[:300]}"
            found = Finding("error", None, sentence)
        seen.append({"detector": name, "seconds": time.perf_counter() - began, **(found._asdict() if found else {})})
        if found and not all_of_them:
            break
    return seen


def main(arguments: list[str]) -> None:
    """Write what was seen to the file that is named first."""
    out, *names = arguments
    every = names[:1] == ["--all"]
    write_json(Path(out), run(names[1:] if every else names, all_of_them=every))


if __name__ == "__main__":
    main(sys.argv[1:])
