"""The faults themselves: they still apply to the sources, and say who is to catch them."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import replace

import pytest

from dolphin.core.digest import STAGES
from dolphin.errors import DolphinError
from dolphin.selftest.copies import PACKAGE
from dolphin.selftest.detectors import DETECTORS
from dolphin.selftest.fault import Fault
from dolphin.selftest.faults import FAULTS

#: What a detector can name beside the stages of a bar.
OTHER_STAGES = {"chain", "sweep", "books", "decision", "code", "journal", "events", "error"}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_applies_to_the_source_and_leaves_python(fault: Fault) -> None:
    source = (PACKAGE / fault.module).read_text()
    edited = fault.edited(source)
    assert ast.dump(ast.parse(edited)) != ast.dump(ast.parse(source)), "no comment, no layout"
    assert fault.detector in DETECTORS and fault.stage in {*STAGES, *OTHER_STAGES}


def test_there_are_many_and_each_is_another() -> None:
    assert len(FAULTS) >= 40
    for count in (
        Counter(fault.name for fault in FAULTS),
        Counter((f.module, f.old, f.new, f.detector) for f in FAULTS),
    ):
        assert count.most_common(1)[0][1] == 1
    assert len({fault.key for fault in FAULTS}) == len(FAULTS)


def test_every_detector_has_a_fault_to_catch() -> None:
    assert {fault.detector for fault in FAULTS} == set(DETECTORS)


def test_a_text_that_is_gone_or_there_twice_is_a_mistake_of_the_fault() -> None:
    fault = replace(FAULTS[0], old="a = 1\n", new="a = 2\n")
    assert fault.edited("a = 1\n") == "a = 2\n"
    for source, count in (("b = 1\n", 0), ("a = 1\na = 1\n", 2)):
        with pytest.raises(DolphinError, match=f"stands {count} times in the source"):
            fault.edited(source)
