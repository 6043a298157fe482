"""The faults of the evidence still apply, name a test that is there, and some of them are made and seen."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from evidence_faults import FAULTS

import dolphin

PACKAGE = Path(dolphin.__file__).parent
TESTS = Path(__file__).resolve().parents[1]

#: One of each module that is seen within seconds.
SAMPLE = ("stouffer-wrong-tail", "normal-wrong-tail", "shift-of-zero", "blocks-half-as-long", "psr-without-root",
          "pbo-judged-where-chosen", "bet-knows-today", "guard-ignored", "fat-tails-too-wide")  # fmt: skip


def test_every_fault_applies_and_names_a_test() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 90
    for fault in FAULTS:
        source = (PACKAGE / fault.module).read_text()
        assert compile(fault.edited(source), fault.module, "exec") and fault.edited(source) != source
        file, _, name = fault.detector.partition("::")
        assert re.search(rf"^def {name}\(", (TESTS / file).read_text(), re.M), fault.detector
    modules = {Path(fault.module).stem for fault in FAULTS}
    computing = {path.stem for path in (PACKAGE / "gate" / "evidence").glob("*.py")} - {"__init__", "part"}
    assert modules == computing, "every module of the evidence is made wrong in some way"


@pytest.mark.slow
def test_faults_are_seen_by_the_test_that_is_named_for_them() -> None:
    script = TESTS.parents[1] / "scripts" / "mutate_evidence.py"
    command = [sys.executable, script, "--only", *SAMPLE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=TESTS.parents[1])
    assert done.returncode == 0 and f"{len(SAMPLE)} of {len(SAMPLE)} faults" in done.stdout, done.stdout + done.stderr
