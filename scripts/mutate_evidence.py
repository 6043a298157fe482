"""Every computation of the gate's evidence made wrong, one at a time: does the test that is named for it see it?

    python scripts/mutate_evidence.py [--only NAME ...] [--write docs/gate_faults.md]

The faults are ``tests/gate/evidence/evidence_faults.py``. Each test runs once on the sound package first, and has to
hold. Exit code 0: all caught; 1: not all.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "gate" / "evidence")]

from evidence_faults import FAULTS  # noqa: E402
from wrong_evidence import look, warm  # noqa: E402

BEGIN, END = "<!-- the table of a run begins -->", "<!-- the table of a run ends -->"


def main() -> int:
    """Make them, run the tests, print; the exit code."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument("--only", nargs="+", metavar="NAME")
    ask.add_argument("--write", type=Path, metavar="PAGE", help="Put the table into this page.")
    given = ask.parse_args()
    unknown = set(given.only or ()) - {fault.name for fault in FAULTS}
    if unknown:
        ask.error(f"no such fault: {', '.join(sorted(unknown))}")
    chosen = [fault for fault in FAULTS if not given.only or fault.name in given.only]
    warm()
    began, sound, rows, caught = time.monotonic(), {}, [], 0
    for fault in chosen:
        if fault.detector not in sound:
            sound[fault.detector] = look(fault.detector, None)
        before = sound[fault.detector]
        seen = look(fault.detector, fault)
        well = seen.failed and not before.failed and not before.sentence.startswith("the test could not run")
        caught += well
        said = "caught" if well else f"NOT CAUGHT ({before.sentence if before.failed else seen.sentence})"
        print(f"{fault.name:<32} {fault.detector:<96} {said}", flush=True)
        rows.append(
            f"| {fault.name} | {fault.what} | `{fault.module}` | `{fault.detector}` | {'yes' if well else 'NO'} |"
        )
    words = f"{caught} of {len(chosen)} faults were caught by the test that is named for them"
    print(f"{words}; {time.monotonic() - began:.0f} s")
    if given.write:
        head = ["| fault | pretends that | where | test | caught |", "|---|---|---|---|---|"]
        text = given.write.read_text(encoding="utf-8")
        first, last = text.index(BEGIN) + len(BEGIN), text.index(END)
        table = "\n".join([f"{words}.", "", *head, *rows])
        given.write.write_text(f"{text[:first]}\n{table}\n{text[last:]}", encoding="utf-8")
    return int(caught < len(chosen))


if __name__ == "__main__":
    sys.exit(main())
